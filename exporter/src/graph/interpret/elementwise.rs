//! Functions of one or two elements, and of an element and its channel.

use super::{Array, Real, matrix};
use crate::graph::{Activation, Binary, Function};

pub(super) fn activate<T: Real>(activation: &Activation, x: T) -> T {
    let (zero, one) = (T::default(), T::from_f64(1.0));
    let real = |value: f32| T::from_f64(value.into());
    match *activation {
        Activation::Identity => x,
        Activation::Relu => x.greater(zero),
        Activation::LeakyRelu { slope } => {
            if x < zero {
                x * real(slope)
            } else {
                x
            }
        }
        Activation::Clip { low, high } => x.greater(real(low)).smaller(real(high)),
        Activation::Sigmoid => one / (one + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::HardSwish => x * (x / T::from_f64(6.0) + T::from_f64(0.5)).greater(zero).smaller(one),
    }
}

pub(super) fn hard_sigmoid<T: Real>(alpha: f32, beta: f32, x: T) -> T {
    let real = |value: f32| T::from_f64(value.into());
    (real(alpha) * x + real(beta)).greater(real(0.0)).smaller(real(1.0))
}

pub(super) fn binary<T: Real>(binary: Binary, a: &Array<T>, b: &Array<T>) -> Array<T> {
    combine(a, b, |a, b| match binary {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Maximum => a.greater(b),
        Binary::Minimum => a.smaller(b),
        Binary::Power => T::from_f64(a.to_f64().powf(b.to_f64())),
        Binary::Prelu if a > T::default() => a,
        Binary::Prelu => a * b,
    })
}

/// A function of two elements of arrays that are broadcast against each other.
fn combine<T: Real>(a: &Array<T>, b: &Array<T>, function: impl Fn(T, T) -> T) -> Array<T> {
    let shape = matrix::common(&a.shape, &b.shape);
    let (a, b) = (a.broadcast(&shape), b.broadcast(&shape));
    Array { shape, data: a.data.iter().zip(&b.data).map(|(&a, &b)| function(a, b)).collect() }
}

/// Computed in 64 bits, and rounded.
pub(super) fn function<T: Real>(function: &Function, x: T) -> T {
    let x = x.to_f64();
    T::from_f64(match *function {
        Function::Elu { alpha } if x < 0.0 => f64::from(alpha) * x.exp_m1(),
        Function::Elu { .. } => x,
        Function::Gelu => x * (1.0 + error_function(x / std::f64::consts::SQRT_2)) / 2.0,
        Function::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x * (1.0 + inner.tanh()) / 2.0
        }
        Function::Softplus => softplus(x),
        Function::Mish => x * softplus(x).tanh(),
        Function::Erf => error_function(x),
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Sqrt => x.sqrt(),
        Function::Reciprocal => 1.0 / x,
        Function::Power { exponent } => x.powf(exponent.into()),
        Function::Absolute => x.abs(),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Round => x.round_ties_even(),
        Function::Sign if x == 0.0 => 0.0,
        Function::Sign => x.signum(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tan => x.tan(),
        Function::Asin => x.asin(),
        Function::Acos => x.acos(),
        Function::Atan => x.atan(),
        Function::Sinh => x.sinh(),
        Function::Cosh => x.cosh(),
        Function::Asinh => x.asinh(),
        Function::Acosh => x.acosh(),
        Function::Atanh => x.atanh(),
    })
}

/// ln(1 + exp(x)), without an exponential that overflows.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// By a series whose terms all have one sign (Abramowitz and Stegun, 7.1.6).
fn error_function(x: f64) -> f64 {
    // Beyond, it is 1 or -1 to the last bit; NaN goes through the series.
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut sum, mut term) = (x, x);
    let mut n = 0.0;
    while term.abs() > sum.abs() * f64::EPSILON / 4.0 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// x * scale + shift, per channel (axis 1).
pub(super) fn affine<T: Real>(x: &Array<T>, scale: &[T], shift: &[T]) -> Array<T> {
    let (_, channels, inner) = x.around(1);
    let value = |(at, &value): (usize, &T)| {
        let channel = at / inner % channels;
        value * scale[channel] + shift[channel]
    };
    Array { shape: x.shape.clone(), data: x.data.iter().enumerate().map(value).collect() }
}

/// scale (x - mean) / sqrt(variance + epsilon) + shift, per channel; inputs x, scale, shift, mean, variance.
pub(super) fn batch_norm<T: Real>(epsilon: f32, inputs: &[Array<T>]) -> Array<T> {
    let [x, scale, shift, mean, variance] = [0, 1, 2, 3, 4].map(|input| &inputs[input]);
    let (_, channels, inner) = x.around(1);
    let value = |(at, &value): (usize, &T)| {
        let c = at / inner % channels;
        let deviation = (variance.data[c] + T::from_f64(epsilon.into())).sqrt();
        (value - mean.data[c]) / deviation * scale.data[c] + shift.data[c]
    };
    Array { shape: x.shape.clone(), data: x.data.iter().enumerate().map(value).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_known_values() {
        // From Python's math module and PyTorch 2.11 in 64 bits.
        let cases = [
            (Function::Erf, 0.5, 0.5204998778130465),
            (Function::Erf, -2.5, -0.999_593_047_982_555),
            (Function::Erf, 0.0, 0.0),
            (Function::Erf, 7.0, 1.0),
            (Function::Gelu, 1.0, 0.8413447460685429),
            (Function::GeluTanh, 1.0, 0.8411919906082768),
            (Function::Elu { alpha: 2.0 }, -1.0, -1.2642411176571153),
            (Function::Softplus, 0.0, std::f64::consts::LN_2),
            (Function::Softplus, 1000.0, 1000.0),
            (Function::Mish, 1.0, 0.8650983882673103),
            (Function::Power { exponent: 3.0 }, -2.0, -8.0),
            (Function::Round, 2.5, 2.0),
            (Function::Sign, -3.0, -1.0),
            (Function::Sign, 0.0, 0.0),
        ];
        for (given, x, expected) in cases {
            let found = function(&given, x);
            assert!((found - expected).abs() <= 1e-14 * (1.0 + expected.abs()), "{given:?} of {x}: {found}");
        }
    }
}
