//! Walks a generator's latent space: live in a window, or recorded to a file.
#![deny(unsafe_code)]

pub mod app;
pub mod cli;
pub mod directions;
pub mod draw;
pub mod inference;
pub mod model;
pub mod picture;
pub mod record;
pub mod seed_map;
pub mod stats;
pub mod text;
pub mod ui;
pub mod walk;
pub mod window;
