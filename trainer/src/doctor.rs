//! What `trainer doctor` finds out.
