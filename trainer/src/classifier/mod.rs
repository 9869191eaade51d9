//! A small classifier of labeled images, by whose features generated images are judged.

pub mod augment;
pub mod run;
pub mod settings;
pub mod train;
