//! Functions of one element, by `libm`: its code is the crate's own, and the same on every target.

use super::{Target, get_in_place, put};
use crate::kernels::image::Image;
use crate::kernels::values::Values;
use crate::ops::Function;

impl Function {
    /// Its value at `x`.
    pub(super) fn apply(self, x: f32) -> f32 {
        use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
        match self {
            Self::Elu { alpha } if x < 0.0 => alpha * libm::expm1f(x),
            Self::Elu { .. } => x,
            Self::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                0.5 * x * (1.0 + libm::tanhf(libm::sqrtf(FRAC_2_PI) * (x + 0.044_715 * x * x * x)))
            }
            Self::Softplus => softplus(x),
            Self::Mish => x * libm::tanhf(softplus(x)),
            Self::Erf => libm::erff(x),
            Self::Exp => libm::expf(x),
            Self::Log => libm::logf(x),
            Self::Sqrt => libm::sqrtf(x),
            Self::Reciprocal => 1.0 / x,
            Self::Power { exponent: 2.0 } => x * x,
            Self::Power { exponent } => libm::powf(x, exponent),
            Self::Absolute => libm::fabsf(x),
            Self::Floor => libm::floorf(x),
            Self::Ceil => libm::ceilf(x),
            Self::Round => libm::rintf(x),
            Self::Sign => f32::from(i8::from(x > 0.0) - i8::from(x < 0.0)),
            Self::Sin => libm::sinf(x),
            Self::Cos => libm::cosf(x),
            Self::Tan => libm::tanf(x),
            Self::Asin => libm::asinf(x),
            Self::Acos => libm::acosf(x),
            Self::Atan => libm::atanf(x),
            Self::Sinh => libm::sinhf(x),
            Self::Cosh => libm::coshf(x),
            Self::Asinh => libm::asinhf(x),
            Self::Acosh => libm::acoshf(x),
            Self::Atanh => libm::atanhf(x),
        }
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f32) -> f32 {
    libm::fmaxf(x, 0.0) + libm::log1pf(libm::expf(-libm::fabsf(x)))
}

pub(super) fn function(
    batch: usize,
    function: Function,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): Target<'_, '_>,
) {
    to.pixels(batch, |pixel| {
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        for channel in 0..to.channels {
            let x = get_in_place(from, input, output, source + channel);
            put(to, output, target + channel, function.apply(x));
        }
    });
}
