//! What follows the sum of products, one output element at a time: the reference for every vector kernel.

use super::math::{max, min};
use super::values::Values;
use crate::ops::{Activation, Affine, Bias};

/// The U8 value of `x` steps: rounded half to even, limited to 0..=255, 0 for NaN.
///
/// Limited first, so that the conversion to an integer is exact everywhere; the one definition of requantization.
#[inline(always)]
pub(crate) fn quantize(x: f32, zero_point: u8) -> u8 {
    let zero = f32::from(zero_point);
    if cfg!(embedded) {
        return quantize_at_least(-zero, x, zero_point);
    }
    let limited = min(max(x, -zero), 255.0 - zero);
    (rounded(limited) + i32::from(zero_point)) as u8
}

// 1.5 * 2^23: adding it leaves the integer, rounded half to even, in the low bits.
const ROUND: f32 = 12_582_912.0;

/// The nearest integer, halves to even, of what is at least -255; above 2^22 only something as large.
#[inline(always)]
fn rounded(x: f32) -> i32 {
    (x + ROUND).to_bits() as i32 - ROUND.to_bits() as i32
}

/// [`quantize`] of `max(x, least)`, for `least` from `-zero_point` on: limited above as an integer, which a processor without
/// vectors does in an instruction.
#[inline(always)]
pub(crate) fn quantize_at_least(least: f32, x: f32, zero_point: u8) -> u8 {
    (rounded(max(x, least)) + i32::from(zero_point)).clamp(0, 255) as u8
}

/// The fused operand of an addition, before the activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Residual<'a> {
    pub(crate) values: Values<'a>,
    /// From steps of a U8 operand to the units of the sum.
    pub(crate) scale: f32,
    pub(crate) zero_point: u8,
}

/// `after(activation(sum + bias [+ residual]))`, rounded to the output's type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue<'a> {
    pub(crate) bias: Bias<'a>,
    pub(crate) residual: Option<Residual<'a>>,
    pub(crate) activation: Activation,
    /// One entry per row of weights.
    pub(crate) after: Option<Affine<&'a [f32]>>,
    /// Of a U8 output.
    pub(crate) zero_point: u8,
}

impl<'a> Epilogue<'a> {
    /// The bias and nothing else, of a float output.
    pub(crate) fn bare(bias: Bias<'a>) -> Self {
        Self { bias, residual: None, activation: Activation::Identity, after: None, zero_point: 0 }
    }

    /// That of the rows of weights from `row` on; `None` beyond the last.
    pub(crate) fn from(&self, row: usize) -> Option<Self> {
        let bias = match self.bias {
            Bias::F32(bias) => Bias::F32(bias.get(row..)?),
            Bias::I32 { bias, scale, sum128 } => {
                Bias::I32 { bias: bias.get(row..)?, scale: scale.get(row..)?, sum128: sum128.get(row..)? }
            }
        };
        let after = match self.after {
            Some(Affine { scale, shift }) => {
                Some(Affine { scale: scale.get(row..)?, shift: shift.get(row..)? })
            }
            None => None,
        };
        Some(Self { bias, after, ..*self })
    }

    /// Everything after the bias. `row` counts weights' rows, `at` is the residual's element.
    #[inline(always)]
    pub(crate) fn finish(&self, sum: f32, row: usize, at: usize) -> f32 {
        let mut y = self.activation.apply(self.add_residual(sum, at));
        if let Some(Affine { scale, shift }) = self.after {
            y = y * scale[row] + shift[row];
        }
        y
    }

    /// The least value of a result, if there is nothing else after the bias: no residual, at most a ReLU.
    #[cfg(any(embedded, all(test, feature = "std")))]
    pub(crate) fn least(&self) -> Option<f32> {
        match (&self.residual, self.activation, &self.after) {
            (None, Activation::Identity, None) => Some(f32::NEG_INFINITY),
            (None, Activation::Relu, None) => Some(0.0),
            _ => None,
        }
    }

    /// The sum with the residual's element `at`, if there is a residual.
    #[inline(always)]
    pub(crate) fn add_residual(&self, sum: f32, at: usize) -> f32 {
        match &self.residual {
            None => sum,
            Some(residual) => match residual.values {
                Values::F32(values) => sum + values[at],
                Values::U8(values) => {
                    let steps = i32::from(values[at]) - i32::from(residual.zero_point);
                    sum + steps as f32 * residual.scale
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantization_rounds_half_to_even_and_limits() {
        let cases = [
            (0.5, 0, 0),
            (1.5, 0, 2),
            (2.5, 0, 2),
            (-0.5, 10, 10),
            (-1.5, 10, 8),
            (-10.4, 10, 0),
            (1e30, 10, 255),
            (-1e30, 10, 0),
            (f32::INFINITY, 128, 255),
            (f32::NAN, 128, 0),
            (127.49, 128, 255),
            (254.500_02, 0, 255),
        ];
        for (x, zero_point, expected) in cases {
            assert_eq!(quantize(x, zero_point), expected, "{x} {zero_point}");
            assert_eq!(
                quantize_at_least(-f32::from(zero_point), x, zero_point),
                expected,
                "{x} {zero_point}"
            );
            let relu = quantize(max(x, 0.0), zero_point);
            assert_eq!(quantize_at_least(0.0, x, zero_point), relu, "{x} {zero_point}");
        }
    }
}
