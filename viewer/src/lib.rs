//! Walks a generator's latent space, live in a window or recorded to a file; and shows which images an encoder finds
//! alike.
#![deny(unsafe_code)]

#[path = "scenes/walk/mod.rs"]
pub mod app;
pub mod cli;
pub mod directions;
pub mod draw;
pub mod embedding;
#[path = "scenes/explore/mod.rs"]
pub mod explore;
pub mod image_folder;
#[path = "shell/inference.rs"]
pub mod inference;
pub mod model;
pub mod picture;
pub mod record;
#[path = "scenes/walk/seed_plane.rs"]
pub mod seed_map;
#[path = "shell/viewer.rs"]
pub mod stage;
pub mod stats;
pub mod text;
pub mod ui;
pub mod walk;
#[path = "shell/window.rs"]
pub mod window;
