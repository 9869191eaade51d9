//! Optimizers whose state can be saved.
