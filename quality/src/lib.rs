//! How good generated images are, from numbers alone: nothing here knows of images, networks or files.
//!
//! Features are vectors of one length, one after the other. Those of real and of generated images come from the same network; the
//! figures are as good as it is, and comparable only between sets of it. What is said of n images depends on n, too: the
//! Fréchet distance of few images is larger. So each figure belongs beside that of as many real images that were kept apart.

mod classes;
mod gaussian;
mod kernel;
mod neighbors;

pub use classes::{CONFIDENT, Classes};
pub use gaussian::Gaussian;
pub use kernel::{BLOCK, KernelDistance};
pub use neighbors::{Manifold, Neighborhoods, nearest_of_bytes};

/// Vectors of `dimension` numbers each, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vectors<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Vectors<'a> {
    /// What is left behind the last whole vector is not used; neither are vectors of no numbers.
    pub fn new(values: &'a [f32], dimension: usize) -> Self {
        Self { values: if dimension == 0 { &[] } else { values }, dimension: dimension.max(1) }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Numbers in each.
    pub fn dimension(self) -> usize {
        self.dimension
    }

    fn iter(self) -> impl Iterator<Item = &'a [f32]> + Clone {
        self.values.chunks_exact(self.dimension)
    }

    fn slice(self) -> &'a [f32] {
        &self.values[..self.len() * self.dimension]
    }
}
