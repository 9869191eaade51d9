//! Functions of one or two elements, and of an element and its channel.

use super::{Array, Real, matrix};
use crate::graph::{Activation, Binary};

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
    })
}

/// A function of two elements of arrays that are broadcast against each other.
pub(super) fn combine<T: Real>(a: &Array<T>, b: &Array<T>, function: impl Fn(T, T) -> T) -> Array<T> {
    let shape = matrix::common(&a.shape, &b.shape);
    let (a, b) = (a.broadcast(&shape), b.broadcast(&shape));
    Array { shape, data: a.data.iter().zip(&b.data).map(|(&a, &b)| function(a, b)).collect() }
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
