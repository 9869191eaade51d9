//! Operators that the usual small generators and encoders do without: the crate's feature `extended-operators`.
//!
//! They are computed element by element, in one defined order, so that results are the same bits on every target.

mod binary;
mod blocks;
mod cubic;
mod function;
mod product;
mod view;

use super::arrange;
use crate::kernels::epilogue::quantize;
use crate::kernels::geometry::Pixel;
use crate::kernels::image::Image;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{Normalize, Operation};

/// A batch that is read: its images and their elements.
type Source<'a, 'v> = (&'a Image, &'a Values<'v>);
/// A batch that is written.
type Target<'a, 'v> = (&'a Image, &'a mut ValuesMut<'v>);

/// Runs one of them. Bounds have been checked; without an input it works in place.
pub(crate) fn compute(
    batch: usize,
    operation: &Operation<&[f32]>,
    second: Option<&(Image, Values<'_>)>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): Target<'_, '_>,
) {
    match *operation {
        Operation::Function(function) => {
            function::function(batch, function, (from, input), (to, output));
            return;
        }
        Operation::Constant(values) => {
            constant(batch, values, (to, output));
            return;
        }
        Operation::Binary { binary, activation } => {
            if let Some((other, second)) = second {
                binary::binary(batch, binary, activation, (from, input), (other, second), (to, output));
            }
            return;
        }
        _ => {}
    }
    let Some(input) = input else { return };
    let source = (from, input);
    match *operation {
        Operation::Normalize(Normalize { kind, block, epsilon }) => {
            blocks::normalize(batch, kind, block, epsilon, source, (to, output));
        }
        Operation::Reduce(reduce) => blocks::reduce(batch, reduce, source, (to, output)),
        Operation::View(ref view) => view::view(batch, view, source, (to, output)),
        Operation::Resize(resize) => cubic::resize(batch, resize, source, (to, output)),
        Operation::Product => {
            if let Some((other, second)) = second {
                product::product(batch, source, (other, second), (to, output));
            }
        }
        Operation::OneHot => one_hot(batch, source, (to, output)),
        // Not of this feature, or done above.
        _ => {}
    }
}

/// A real value of either type.
fn get(image: &Image, values: &Values<'_>, at: usize) -> f32 {
    match values {
        Values::F32(values) => values[at],
        Values::U8(values) => image.real(values[at]),
    }
}

/// As [`get`], of what is about to be overwritten where an operator works in place.
fn get_in_place(image: &Image, input: Option<&Values<'_>>, output: &ValuesMut<'_>, at: usize) -> f32 {
    match (input, output) {
        (Some(input), _) => get(image, input, at),
        (None, ValuesMut::F32(values)) => values[at],
        (None, ValuesMut::U8(values)) => image.real(values[at]),
    }
}

fn put(image: &Image, values: &mut ValuesMut<'_>, at: usize, real: f32) {
    match values {
        ValuesMut::F32(values) => values[at] = real,
        ValuesMut::U8(values) => values[at] = quantize(real * (1.0 / image.scale), image.zero_point),
    }
}

fn constant(batch: usize, values: &[f32], (to, output): Target<'_, '_>) {
    let ValuesMut::F32(output) = output else { return };
    for example in 0..batch {
        let mut rest = values;
        for row in 0..to.height {
            for column in 0..to.width {
                let Some((pixel, tail)) = rest.split_at_checked(to.channels) else { return };
                let at = to.strides.at(Pixel { example, row, column });
                output[at..at + to.channels].copy_from_slice(pixel);
                rest = tail;
            }
        }
    }
}

fn one_hot(batch: usize, (from, input): Source<'_, '_>, (to, output): Target<'_, '_>) {
    let depth = to.elements() / from.elements();
    for example in 0..batch {
        for index in 0..from.elements() {
            let value = libm::rintf(get(from, input, arrange::place(from, example, index)));
            for place in 0..depth {
                let real = f32::from(u8::from(value == place as f32));
                put(to, output, arrange::place(to, example, index * depth + place), real);
            }
        }
    }
}
