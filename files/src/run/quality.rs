//! How good generated images are, in the features of a classifier.

use serde::{Deserialize, Serialize};

/// Figures of generated images beside real ones. Definitions and sources are with the types of `latent-quality`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// How many images were judged. Figures of different numbers are not to be compared: fewer give a larger distance.
    pub samples: usize,
    /// Squared Fréchet distance of the features.
    pub frechet: f64,
    /// Kernel distance of the features.
    pub kernel: f64,
    /// Inception score, by the classifier.
    pub score: f64,
    /// KL divergence of the classes' shares from those of real images, in nats. `None` if it is infinite.
    pub class_divergence: Option<f64>,
    /// Classes with at least a tenth of their share among real images.
    pub classes_covered: usize,
    /// Part of the images that the classifier is sure of, with a probability above 0.9.
    pub confident: f64,
    /// Part of the generated images that lie where real ones are.
    pub precision: f64,
    /// Part of the real images that lie where generated ones are.
    pub recall: f64,
    /// How dense generated images lie where real ones are; about 1 for real ones.
    pub density: f64,
    /// Part of the real images near which there is a generated one.
    pub coverage: f64,
}

/// Figures as they were during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QualityCheck {
    /// The iteration after which they were measured.
    pub iteration: u64,
    /// What they were.
    #[serde(flatten)]
    pub quality: Quality,
}
