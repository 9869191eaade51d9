//! Walks a generator's latent space: live in a window, or recorded to a file.
#![deny(unsafe_code)]

pub mod model;
pub mod picture;
pub mod walk;
