//! Moving elements about.

use super::array::Indices;
use super::{Array, Real};
use crate::graph::{Pad, PadFill};

pub(super) fn transpose<T: Real>(permutation: &[usize], x: &Array<T>) -> Array<T> {
    let mut steps = vec![1; x.shape.len()];
    for axis in (1..x.shape.len()).rev() {
        steps[axis - 1] = steps[axis] * x.shape[axis];
    }
    let mut result = Array::zeros(permutation.iter().map(|&axis| x.shape[axis]).collect());
    let shape = result.shape.clone();
    for (value, index) in result.data.iter_mut().zip(Indices::new(&shape)) {
        *value = x.data[index.iter().zip(permutation).map(|(&at, &axis)| at * steps[axis]).sum::<usize>()];
    }
    result
}

pub(super) fn concat<T: Real>(axis: usize, inputs: &[Array<T>]) -> Array<T> {
    let mut shape = inputs[0].shape.clone();
    shape[axis] = inputs.iter().map(|input| input.shape[axis]).sum();
    let (outer, _, _) = inputs[0].around(axis);
    let mut data = Vec::with_capacity(shape.iter().product());
    for block in 0..outer {
        for input in inputs {
            let (_, length, inner) = input.around(axis);
            data.extend_from_slice(&input.data[block * length * inner..][..length * inner]);
        }
    }
    Array { shape, data }
}

pub(super) fn pad<T: Real>(pad: &Pad, x: &Array<T>) -> Array<T> {
    let lengths = x.shape.iter().zip(pad.before.iter().zip(&pad.after));
    let shape: Vec<usize> = lengths.map(|(&length, (&before, &after))| length + before + after).collect();
    let mut result = Array::zeros(shape.clone());
    for (value, index) in result.data.iter_mut().zip(Indices::new(&shape)) {
        // The place in x along each axis; `None` where there is only the constant.
        let axes = index.iter().zip(&pad.before).zip(&x.shape);
        let from = axes.map(|((&at, &before), &length)| source(pad.fill, at, before, length));
        let place = from.zip(&x.shape).try_fold(0, |place, (at, &length)| Some(place * length + at?));
        *value = match (place, pad.fill) {
            (Some(place), _) => x.data[place],
            (None, PadFill::Constant(constant)) => T::from_f64(constant.into()),
            (None, _) => T::default(),
        };
    }
    result
}

/// Where along an axis the padded element `at` comes from.
fn source(fill: PadFill, at: usize, before: usize, length: usize) -> Option<usize> {
    if (before..before + length).contains(&at) {
        return Some(at - before);
    }
    match fill {
        PadFill::Constant(_) => None,
        PadFill::Edge => Some(if at < before { 0 } else { length - 1 }),
        // Mirrored at the outermost element, which is not repeated.
        PadFill::Reflect => Some(if at < before { before - at } else { 2 * (length - 1) - (at - before) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_at_both_ends() {
        let x = Array { shape: vec![3], data: vec![1.0f32, 2.0, 3.0] };
        let cases = [
            (PadFill::Constant(9.0), [9.0, 9.0, 1.0, 2.0, 3.0, 9.0]),
            (PadFill::Edge, [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]),
            (PadFill::Reflect, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]),
        ];
        for (fill, expected) in cases {
            let result = pad(&Pad { before: vec![2], after: vec![1], fill }, &x);
            assert_eq!(result.data, expected, "{fill:?}");
        }
    }
}
