//! Operators other than matrix products: one entry that checks bounds and compiles the scalar source for every
//! instruction set.

use super::epilogue::{Activation, Epilogue, Values, ValuesMut};
use super::geometry::{Geometry, OutOfBounds};
use super::image::Image;
use super::matmul::Weights;
use super::scalar::arrange::{self, Border, Coordinates, Interpolation};
use super::scalar::elementwise::{self, Affine, Binary};
use super::scalar::pool::{self, Axis, Combine};
use super::scalar::{depthwise, normalize};
use super::{Engine, Isa};

/// An operator and its parameters.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack: there is no allocator to box with"
)]
pub(crate) enum Operation<'a> {
    Depthwise { geometry: Geometry, weights: Weights<'a>, epilogue: Epilogue<'a> },
    Pool { window: [Axis; 2], combine: Combine },
    Elementwise { before: Affine<'a>, activation: Activation, after: Affine<'a> },
    Binary { kind: Binary, activation: Activation, other: Image, second: Values<'a> },
    Copy { at: [usize; 3] },
    Pad { before: [usize; 2], border: Border },
    Resize { scale: [f32; 2], coordinates: Coordinates, interpolation: Interpolation },
    Softmax,
    L2Normalize { epsilon: f32 },
    Reorder,
}

/// Runs an operator. Without `input` it works in place, which only elementwise and binary operators can.
pub(crate) fn run(
    engine: &Engine,
    batch: usize,
    operation: &Operation<'_>,
    (from, input): (&Image, Option<Values<'_>>),
    (to, mut output): (&Image, ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    let input = input.as_ref();
    check(batch, operation, (from, input), (to, &output))?;
    match engine.isa() {
        Isa::Scalar => compute(batch, operation, (from, input), (to, &mut output)),
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => isa.compute(batch, operation, (from, input), (to, &mut output)),
        #[cfg(target_arch = "aarch64")]
        Isa::Arm(_) => compute(batch, operation, (from, input), (to, &mut output)),
    }
    Ok(())
}

/// Whether shapes go together and everything lies in the slices.
fn check(
    batch: usize,
    operation: &Operation<'_>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    let same = from.channels == to.channels && from.height == to.height && from.width == to.width;
    let affine = |affine: &Affine<'_>| {
        affine.is_none_or(|(scale, shift)| scale.len() >= to.channels && shift.len() >= to.channels)
    };
    let (shapes, in_place) = match operation {
        Operation::Depthwise { geometry, weights, epilogue } => {
            let Some(input) = input else { return Err(OutOfBounds) };
            return depthwise::check(geometry, input, weights, epilogue, output);
        }
        Operation::Pool { window, .. } => {
            let steps = window.iter().all(|axis| axis.kernel > 0 && axis.stride > 0 && axis.dilation > 0);
            (steps && from.channels == to.channels, false)
        }
        Operation::Elementwise { before, after, .. } => (same && affine(before) && affine(after), true),
        Operation::Binary { other, second, .. } => {
            other.check(batch, second.len())?;
            let pixel = other.height == 1 && other.width == 1;
            let fits = pixel || (other.height == to.height && other.width == to.width);
            (same && fits && other.channels == to.channels, true)
        }
        Operation::Copy { at } => (
            at[0] + from.channels <= to.channels
                && at[1] + from.height <= to.height
                && at[2] + from.width <= to.width,
            false,
        ),
        Operation::Pad { before, border } => {
            let axes = [(before[0], from.height, to.height), (before[1], from.width, to.width)];
            let fits = axes.iter().all(|&(before, input, output)| {
                let rest = output.checked_sub(input).and_then(|rest| rest.checked_sub(before));
                rest.is_some_and(|after| *border != Border::Reflect || before.max(after) < input)
            });
            (fits && from.channels == to.channels, false)
        }
        Operation::Resize { .. } => (from.channels == to.channels, false),
        Operation::Softmax | Operation::L2Normalize { .. } => (same, false),
        Operation::Reorder => {
            (from.channels * from.height * from.width == to.channels * to.height * to.width, false)
        }
    };
    to.check(batch, output.len())?;
    match input {
        Some(input) => from.check(batch, input.len())?,
        None if in_place => from.check(batch, output.len())?,
        None => return Err(OutOfBounds),
    }
    if shapes { Ok(()) } else { Err(OutOfBounds) }
}

/// The operators' plain source; inlined into a function per instruction set.
#[inline(always)]
pub(crate) fn compute(
    batch: usize,
    operation: &Operation<'_>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    match operation {
        Operation::Elementwise { before, activation, after } => {
            elementwise::elementwise(batch, *before, *activation, *after, (from, input), (to, output));
            return;
        }
        Operation::Binary { kind, activation, other, second } => {
            elementwise::binary(batch, *kind, *activation, (from, input), (other, second), (to, output));
            return;
        }
        _ => {}
    }
    let Some(input) = input else { return };
    match operation {
        Operation::Depthwise { geometry, weights, epilogue } => {
            depthwise::depthwise(geometry, input, weights, epilogue, output);
        }
        Operation::Pool { window, combine } => {
            pool::pool(batch, window, *combine, (from, input), (to, output));
        }
        Operation::Copy { at } => arrange::copy(batch, *at, (from, input), (to, output)),
        Operation::Pad { before, border } => {
            arrange::pad(batch, *before, *border, (from, input), (to, output))
        }
        Operation::Resize { scale, coordinates, interpolation } => {
            arrange::resize(batch, *scale, (*coordinates, *interpolation), (from, input), (to, output));
        }
        Operation::Softmax => normalize::softmax(batch, (from, input), (to, output)),
        Operation::L2Normalize { epsilon } => {
            normalize::l2_normalize(batch, *epsilon, (from, input), (to, output));
        }
        Operation::Reorder => arrange::reorder(batch, (from, input), (to, output)),
        Operation::Elementwise { .. } | Operation::Binary { .. } => {}
    }
}
