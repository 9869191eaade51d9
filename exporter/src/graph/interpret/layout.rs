//! Moving elements about.

use super::array::each_index;
use super::convolution::four;
use super::{Array, Real};
use crate::graph::{DepthToSpace, Pad, PadMode, Slice};

pub(super) fn transpose<T: Real>(permutation: &[usize], x: &Array<T>) -> Array<T> {
    let mut steps = vec![1; x.shape.len()];
    for axis in (1..x.shape.len()).rev() {
        steps[axis - 1] = steps[axis] * x.shape[axis];
    }
    let mut result = Array::zeros(permutation.iter().map(|&axis| x.shape[axis]).collect());
    let shape = result.shape.clone();
    each_index(&shape, |place, index| {
        let from: usize = index.iter().zip(permutation).map(|(&at, &axis)| at * steps[axis]).sum();
        result.data[place] = x.data[from];
    });
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
    each_index(&shape, |place, index| {
        // The place in x along each axis; `None` where there is only the constant.
        let axes = index.iter().zip(&pad.before).zip(&x.shape);
        let from = axes.map(|((&at, &before), &length)| source(pad.mode, at, before, length));
        let from = from.zip(&x.shape).try_fold(0, |from, (at, &length)| Some(from * length + at?));
        result.data[place] = match (from, pad.mode) {
            (Some(from), _) => x.data[from],
            (None, PadMode::Constant(constant)) => T::from_f64(constant.into()),
            (None, _) => T::default(),
        };
    });
    result
}

/// Where along an axis the padded element `at` comes from.
fn source(mode: PadMode, at: usize, before: usize, length: usize) -> Option<usize> {
    if (before..before + length).contains(&at) {
        return Some(at - before);
    }
    match mode {
        PadMode::Constant(_) => None,
        PadMode::Edge => Some(if at < before { 0 } else { length - 1 }),
        // Mirrored at the outermost element, which is not repeated.
        PadMode::Reflect => Some(if at < before { before - at } else { 2 * (length - 1) - (at - before) }),
    }
}

pub(super) fn depth_to_space<T: Real>(depth: &DepthToSpace, x: &Array<T>) -> Array<T> {
    let [batch, channels, height, width] = four(&x.shape);
    let block = depth.block;
    let outputs = channels / (block * block);
    let mut result = Array::zeros(vec![batch, outputs, height * block, width * block]);
    let shape = result.shape.clone();
    each_index(&shape, |place, index| {
        let [n, c, row, column] = four(index);
        let channel = depth.source([c, outputs], [row % block, column % block]);
        let from = ((n * channels + channel) * height + row / block) * width + column / block;
        result.data[place] = x.data[from];
    });
    result
}

pub(super) fn slice<T: Real>(slices: &[Slice], x: &Array<T>) -> Array<T> {
    let (mut starts, mut shape) = (vec![(0, 1); x.shape.len()], x.shape.clone());
    for slice in slices {
        starts[slice.axis] = (slice.first(), slice.step);
        shape[slice.axis] = slice.count();
    }
    let mut result = Array::zeros(shape.clone());
    each_index(&shape, |place, index| {
        let axes = index.iter().zip(&starts).zip(&x.shape);
        let from = axes.fold(0, |from, ((&at, &(start, step)), &length)| {
            from * length + start.saturating_add_signed(at as isize * step)
        });
        result.data[place] = x.data[from];
    });
    result
}

/// A new last axis with 1 at the place that an element counts.
pub(super) fn one_hot<T: Real>(depth: usize, x: &Array<T>) -> Array<T> {
    let mut result = Array::zeros([x.shape.as_slice(), &[depth]].concat());
    for (at, value) in x.data.iter().enumerate() {
        let place = value.to_f64().round_ties_even();
        if place >= 0.0 && place < depth as f64 {
            result.data[at * depth + place as usize] = T::from_f64(1.0);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_at_both_ends() {
        let x = Array { shape: vec![3], data: vec![1.0f32, 2.0, 3.0] };
        let cases = [
            (PadMode::Constant(9.0), [9.0, 9.0, 1.0, 2.0, 3.0, 9.0]),
            (PadMode::Edge, [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]),
            (PadMode::Reflect, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]),
        ];
        for (mode, expected) in cases {
            let result = pad(&Pad { before: vec![2], after: vec![1], mode }, &x);
            assert_eq!(result.data, expected, "{mode:?}");
        }
    }
}
