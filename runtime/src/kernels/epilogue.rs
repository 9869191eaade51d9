//! What follows the sum of products, one output element at a time: the reference for every vector kernel.

use super::math::{self, max, min};

/// A function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    Identity,
    Relu,
    LeakyRelu { slope: f32 },
    Clip { low: f32, high: f32 },
    Sigmoid,
    Tanh,
    HardSwish,
}

impl Activation {
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

/// The U8 value of `x` steps: rounded half to even, limited to 0..=255, 0 for NaN.
///
/// Limited first, so that the conversion to an integer is exact everywhere; the one definition of requantization.
#[inline(always)]
pub(crate) fn quantize(x: f32, zero_point: u8) -> u8 {
    // 1.5 * 2^23: adding it leaves the integer, rounded half to even, in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let zero = f32::from(zero_point);
    let limited = min(max(x, -zero), 255.0 - zero);
    let rounded = (limited + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
    (rounded + i32::from(zero_point)) as u8
}

/// The fused operand of an addition, before the activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Residual<'a> {
    pub(crate) values: Values<'a>,
    /// From steps of a U8 operand to the units of the sum.
    pub(crate) scale: f32,
    pub(crate) zero_point: u8,
}

/// Elements of either type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    U8(&'a [u8]),
}

impl Values<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }
}

/// Elements of either type, to be written.
#[derive(Debug)]
pub(crate) enum ValuesMut<'a> {
    F32(&'a mut [f32]),
    U8(&'a mut [u8]),
}

impl ValuesMut<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }
}

/// Bias and, for integer sums, the way back to real (or output) units; one entry per row of weights.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bias<'a> {
    F32(&'a [f32]),
    /// `(sum + bias) * scale`. `sum128` is 128 times the sum of a row's weights, for kernels that can only multiply
    /// signed inputs: they take 128 off each input and add this.
    I32 {
        bias: &'a [i32],
        scale: &'a [f32],
        sum128: &'a [i32],
    },
}

/// `after(activation(sum + bias [+ residual]))`, rounded to the output's type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue<'a> {
    pub(crate) bias: Bias<'a>,
    pub(crate) residual: Option<Residual<'a>>,
    pub(crate) activation: Activation,
    /// Scale and shift.
    pub(crate) after: Option<(&'a [f32], &'a [f32])>,
    /// Of a U8 output.
    pub(crate) zero_point: u8,
}

impl<'a> Epilogue<'a> {
    /// The bias and nothing else, of a float output.
    pub(crate) fn bare(bias: Bias<'a>) -> Self {
        Self { bias, residual: None, activation: Activation::Identity, after: None, zero_point: 0 }
    }

    /// Everything after the bias. `row` counts weights' rows, `at` is the residual's element.
    #[inline(always)]
    pub(crate) fn finish(&self, sum: f32, row: usize, at: usize) -> f32 {
        let mut y = self.activation.apply(self.add_residual(sum, at));
        if let Some((scale, shift)) = self.after {
            y = y * scale[row] + shift[row];
        }
        y
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
        }
    }
}
