//! Activations: the reference for every vector kernel.

use super::image::{Block, map};
use super::math::{self, max, min};
use crate::ops::Activation;

impl Activation {
    /// Its value at `x`.
    #[inline(always)]
    pub(crate) fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Relu => max(x, 0.0),
            Self::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    x * slope
                }
            }
            Self::Clip { low, high } => min(max(x, low), high),
            Self::Sigmoid => math::sigmoid(x),
            Self::Tanh => math::tanh(x),
            Self::HardSwish => x * min(max(x * (1.0 / 6.0) + 0.5, 0.0), 1.0),
        }
    }
}

/// The activation of every lane; the kind is decided once, so that each case is a plain vector loop.
#[inline(always)]
pub(crate) fn activate(block: &mut Block, activation: Activation) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => map(block, |x| Activation::Relu.apply(x)),
        Activation::LeakyRelu { slope } => map(block, |x| Activation::LeakyRelu { slope }.apply(x)),
        Activation::Clip { low, high } => map(block, |x| Activation::Clip { low, high }.apply(x)),
        Activation::Sigmoid => map(block, |x| Activation::Sigmoid.apply(x)),
        Activation::Tanh => map(block, |x| Activation::Tanh.apply(x)),
        Activation::HardSwish => map(block, |x| Activation::HardSwish.apply(x)),
    }
}
