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
use crate::kernels::geometry::{OutOfBounds, Pixel};
use crate::kernels::image::Image;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{Normalize, Operation, Reduce};

/// A batch that is read: its images and their elements.
type Source<'a, 'v> = (&'a Image, &'a Values<'v>);
/// A batch that is written.
type Target<'a, 'v> = (&'a Image, &'a mut ValuesMut<'v>);

/// Whether shapes and types go together; `Err` also for an operator that is none of these. That the slices hold what is read and
/// written has been checked, but for the second operand.
pub(crate) fn check(
    batch: usize,
    operation: &Operation<&[f32]>,
    second: Option<&(Image, Values<'_>)>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    let same = from.extents() == to.extents();
    let divides = |block: [usize; 3]| {
        from.extents().iter().zip(block).all(|(extent, block)| block > 0 && extent.is_multiple_of(block))
    };
    let other = match second {
        Some((other, values)) => {
            other.check(batch, values.len())?;
            Some(other.extents())
        }
        None => None,
    };
    let fits = match (operation, other) {
        (Operation::Function(_), _) => same,
        (Operation::Constant(values), _) => values.len() == to.elements() && !output.is_u8(),
        (Operation::Binary { .. }, Some(other)) => {
            same && other.iter().zip(to.extents()).all(|(&b, a)| b == a || b == 1)
        }
        (Operation::Normalize(Normalize { block, .. }), _) => same && divides(*block),
        (Operation::Reduce(Reduce { block, .. }), _) => {
            divides(*block) && (0..3).all(|n| from.extents()[n] == to.extents()[n] * block[n])
        }
        (Operation::View(view), _) => {
            view.elements() == Some(to.elements())
                && view.fits(from.elements())
                && input.is_some_and(|input| input.is_u8() == output.is_u8())
        }
        (Operation::Resize(_), _) => from.channels == to.channels,
        (Operation::Product, Some([channels, rows, columns])) => {
            from.width == rows
                && to.extents() == [from.channels, from.height, columns]
                && (channels == 1 || channels == from.channels)
        }
        (Operation::OneHot, _) => from.elements() > 0 && to.elements().is_multiple_of(from.elements()),
        _ => false,
    };
    if fits { Ok(()) } else { Err(OutOfBounds) }
}

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
