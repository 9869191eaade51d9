//! Images as points: what an encoder makes of them, which are near each other, and where they lie on a map.

mod neighbors;
mod plane;
mod thread;

pub use neighbors::nearest;
pub use plane::Plane;
pub use thread::{Embedder, ImageSource, Progress, Task};

use std::path::PathBuf;

use crate::picture::Picture;

/// An image and its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub path: PathBuf,
    /// Its path below the folder of images.
    pub name: String,
    /// The index of its folder among the labels.
    pub label: Option<usize>,
    /// What the encoder saw, smaller if that is large.
    pub picture: Picture,
    /// The embedding, its length 1.
    pub features: Vec<f32>,
}
