//! Walks a generator's latent space, live in a window or recorded to a file; and shows which images an encoder finds
//! alike.
//!
//! Who may know whom, from below: [`walk`], [`model`], [`record`], [`draw`] and their like know nothing of the screen;
//! [`action`], [`input`] and [`ui`] are what can be done, what keyboard and mouse did, and what the screen is made of;
//! [`shell`] holds what every scene needs and knows scenes by a trait alone; [`scenes`] are a generator's walk and an
//! encoder's images, which know each other not; [`cli`] puts them together.
#![deny(unsafe_code)]
// Nobody but the program and its tests reads this.
#![allow(missing_docs)]

pub mod action;
pub mod cli;
pub mod directions;
pub mod draw;
pub mod embedding;
pub mod error;
pub mod image_folder;
pub mod input;
pub mod model;
pub mod picture;
pub mod record;
pub mod scenes;
pub mod shell;
pub mod stats;
pub mod text;
pub mod ui;
pub mod walk;
