//! Optimizers whose state can be saved.

mod adam;

pub use adam::{Adam, AdamOptions};
