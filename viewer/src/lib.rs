//! Walks a generator's latent space, live in a window or recorded to a file; and shows which images an encoder finds
//! alike.
#![deny(unsafe_code)]

pub mod app;
pub mod cli;
pub mod directions;
pub mod draw;
pub mod embedding;
pub mod explore;
pub mod image_folder;
pub mod inference;
pub mod model;
pub mod picture;
pub mod record;
pub mod seed_map;
pub mod stage;
pub mod stats;
pub mod text;
pub mod ui;
pub mod walk;
pub mod window;
