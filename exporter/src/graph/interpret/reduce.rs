//! Sums along axes, and what is divided by them.

use super::array::each_index;
use super::{Array, Real};
use crate::graph::{Reduce, ReduceKind};

pub(super) fn reduce<T: Real>(reduce: &Reduce, x: &Array<T>) -> Array<T> {
    let reduced = |axis: usize| reduce.axes.contains(&axis);
    let kept: Vec<usize> =
        x.shape.iter().enumerate().map(|(axis, &length)| if reduced(axis) { 1 } else { length }).collect();
    let mut sums: Array<T> = Array::zeros(kept.clone());
    match reduce.kind {
        ReduceKind::Maximum => sums.data.fill(T::from_f64(f64::NEG_INFINITY)),
        ReduceKind::Minimum => sums.data.fill(T::from_f64(f64::INFINITY)),
        _ => {}
    }
    each_index(&x.shape, |place, index| {
        let axes = index.iter().enumerate().zip(&kept);
        let to = axes.fold(0, |to, ((axis, &at), &length)| to * length + if reduced(axis) { 0 } else { at });
        let value = x.data[place];
        let sum = sums.data[to];
        sums.data[to] = match reduce.kind {
            ReduceKind::Mean | ReduceKind::Sum => sum + value,
            ReduceKind::Absolute => sum + value.abs(),
            ReduceKind::Euclidean => sum + value * value,
            ReduceKind::Maximum => sum.greater(value),
            ReduceKind::Minimum => sum.smaller(value),
        };
    });
    let count: usize = reduce.axes.iter().map(|&axis| x.shape[axis]).product();
    let result = sums.map(|sum| match reduce.kind {
        ReduceKind::Mean => sum / T::from_f64(count as f64),
        ReduceKind::Euclidean => sum.sqrt(),
        _ => sum,
    });
    if reduce.keep {
        return result;
    }
    let shape =
        x.shape.iter().enumerate().filter(|(axis, _)| !reduced(*axis)).map(|(_, &length)| length).collect();
    Array { shape, data: result.data }
}

/// (x - mean) / sqrt(variance + epsilon), both over some axes together.
pub(super) fn standardize<T: Real>(axes: &[usize], epsilon: f32, x: &Array<T>) -> Array<T> {
    let mean = |x: &Array<T>| {
        reduce(&Reduce { kind: ReduceKind::Mean, axes: axes.to_vec(), keep: true }, x).broadcast(&x.shape)
    };
    let combine = |a: &Array<T>, b: &Array<T>, function: fn(T, T) -> T| Array {
        shape: a.shape.clone(),
        data: a.data.iter().zip(&b.data).map(|(&a, &b)| function(a, b)).collect(),
    };
    let centered = combine(x, &mean(x), |x, mean| x - mean);
    let variance = mean(&centered.map(|value| value * value));
    let deviation = variance.map(|variance| (variance + T::from_f64(epsilon.into())).sqrt());
    combine(&centered, &deviation, |value, deviation| value / deviation)
}

/// Replaces every line along an axis by a function of it.
fn lines<T: Real>(axis: usize, x: &Array<T>, function: impl Fn(&mut [T])) -> Array<T> {
    let (outer, length, inner) = x.around(axis);
    let mut result = x.clone();
    for block in 0..outer {
        for offset in 0..inner {
            let place = |at: usize| (block * length + at) * inner + offset;
            let mut line: Vec<T> = (0..length).map(|at| x.data[place(at)]).collect();
            function(&mut line);
            for (at, value) in line.into_iter().enumerate() {
                result.data[place(at)] = value;
            }
        }
    }
    result
}

pub(super) fn softmax<T: Real>(axis: usize, x: &Array<T>) -> Array<T> {
    lines(axis, x, |line| {
        // Less the greatest, so that no exponential overflows.
        let greatest = line.iter().copied().fold(T::from_f64(f64::NEG_INFINITY), T::greater);
        let mut sum = T::default();
        for value in line.iter_mut() {
            *value = (*value - greatest).exp();
            sum += *value;
        }
        for value in line {
            *value = *value / sum;
        }
    })
}

pub(super) fn normalize<T: Real>(axis: usize, p: u8, epsilon: f32, x: &Array<T>) -> Array<T> {
    lines(axis, x, |line| {
        let mut sum = T::default();
        for &value in line.iter() {
            sum += if p == 1 { value.abs() } else { value * value };
        }
        let norm = if p == 1 { sum } else { sum.sqrt() }.greater(T::from_f64(epsilon.into()));
        // A line of zeros stays one.
        if norm > T::default() {
            for value in line {
                *value = *value / norm;
            }
        }
    })
}
