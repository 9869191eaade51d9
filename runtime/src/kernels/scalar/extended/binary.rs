//! Functions of two elements, one of which may stand for a whole axis.

use super::{Target, get, get_in_place, put};
use crate::kernels::geometry::Pixel;
use crate::kernels::image::Image;
use crate::kernels::values::Values;
use crate::ops::{Activation, Binary};

impl Binary {
    /// Its value at `a` and `b`.
    fn apply(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            // A NaN stays one, as in ONNX Runtime.
            Self::Maximum if a.is_nan() || a > b => a,
            Self::Minimum if a.is_nan() || a < b => a,
            Self::Maximum | Self::Minimum => b,
            Self::Power if b == 2.0 => a * a,
            Self::Power => libm::powf(a, b),
            Self::Prelu if a > 0.0 => a,
            Self::Prelu => a * b,
        }
    }
}

/// `activation(a op b)`; in place without `a`.
pub(super) fn binary(
    batch: usize,
    binary: Binary,
    activation: Activation,
    (from, input): (&Image, Option<&Values<'_>>),
    (other, second): (&Image, &Values<'_>),
    (to, output): Target<'_, '_>,
) {
    // 0 along the axes on which b has one element for all.
    let [by_channel, by_row, by_column] = other.extents().map(|extent| usize::from(extent > 1));
    to.pixels(batch, |pixel| {
        let Pixel { example, row, column } = pixel;
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        let beside = other.strides.at(Pixel { example, row: row * by_row, column: column * by_column });
        for channel in 0..to.channels {
            let a = get_in_place(from, input, output, source + channel);
            let b = get(other, second, beside + channel * by_channel);
            put(to, output, target + channel, activation.apply(binary.apply(a, b)));
        }
    });
}
