//! GAN losses on score tensors.

use serde::{Deserialize, Serialize};

/// Which pair of losses the two networks play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Binary cross-entropy, non-saturating for the generator.
    Bce,
    /// Least squares.
    Ls,
    /// Hinge.
    Hinge,
    /// Wasserstein with gradient penalty.
    WganGp,
}
