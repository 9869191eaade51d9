//! Directions in a latent space along which images change most, found without labels.

mod first_layer;
mod packed;
mod pca;
mod sefa;

pub use first_layer::first_layer;
pub use pca::pca;
pub use sefa::sefa;

/// Unit vectors, the most important first.
pub type Directions = Vec<Vec<f32>>;

/// How directions are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Sefa,
    Pca,
}

/// The sign of a direction is arbitrary: its largest value is made positive.
fn oriented(mut direction: Vec<f32>) -> Vec<f32> {
    let largest = direction.iter().copied().fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    let norm = direction.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        let factor = largest.signum() / norm;
        direction.iter_mut().for_each(|x| *x *= factor);
    }
    direction
}
