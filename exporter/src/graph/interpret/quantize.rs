//! Between floats and 8-bit integers.

use super::{Array, Real};
use crate::graph::Element;

/// A scale or zero point for each element of `x`: one for all, or one for each place along `axis`.
fn spread<T: Real>(axis: usize, x: &Array<T>, parameter: &Array<T>, at: usize) -> T {
    if parameter.data.len() == 1 {
        return parameter.data[0];
    }
    let (_, length, inner) = x.around(axis);
    parameter.data[at / inner % length]
}

pub(super) fn quantize<T: Real>(
    axis: usize,
    element: Element,
    x: &Array<T>,
    scale: &Array<T>,
    zero_point: Option<&Array<T>>,
) -> Array<T> {
    let (low, high) = if element == Element::I8 { (-128.0, 127.0) } else { (0.0, 255.0) };
    let value = |(at, &value): (usize, &T)| {
        let zero_point = zero_point.map_or(T::default(), |zero_point| spread(axis, x, zero_point, at));
        let rounded = (value / spread(axis, x, scale, at)).round_ties_even() + zero_point;
        rounded.greater(T::from_f64(low)).smaller(T::from_f64(high))
    };
    Array { shape: x.shape.clone(), data: x.data.iter().enumerate().map(value).collect() }
}

pub(super) fn dequantize<T: Real>(
    axis: usize,
    x: &Array<T>,
    scale: &Array<T>,
    zero_point: Option<&Array<T>>,
) -> Array<T> {
    let value = |(at, &value): (usize, &T)| {
        let zero_point = zero_point.map_or(T::default(), |zero_point| spread(axis, x, zero_point, at));
        (value - zero_point) * spread(axis, x, scale, at)
    };
    Array { shape: x.shape.clone(), data: x.data.iter().enumerate().map(value).collect() }
}
