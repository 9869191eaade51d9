//! Operators other than matrix products: one entry that checks bounds and compiles the scalar source for every
//! instruction set.

use super::epilogue::Epilogue;
use super::geometry::{Geometry, OutOfBounds};
use super::image::Image;
#[cfg(feature = "extended-operators")]
use super::scalar::extended;
use super::scalar::{arrange, depthwise, elementwise, normalize, pool};
use super::values::{Values, ValuesMut};
use super::{Engine, Isa};
use crate::features;
use crate::ops::{Affine, Normalize, NormalizeKind, Operation, PackedWeights, Pad, PadMode, Pool};

/// An operator and its parameters.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack: there is no allocator to box with"
)]
pub(crate) enum Work<'a> {
    Depthwise {
        geometry: Geometry,
        weights: PackedWeights<'a>,
        epilogue: Epilogue<'a>,
    },
    Unweighted {
        operation: Operation<&'a [f32]>,
        /// The second operand.
        second: Option<(Image, Values<'a>)>,
    },
}

/// Runs an operator. Without `input` it works in place, where it can ([`Operation::works_in_place`]).
pub(crate) fn run(
    engine: &Engine,
    batch: usize,
    work: &Work<'_>,
    (from, input): (&Image, Option<Values<'_>>),
    (to, mut output): (&Image, ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    let input = input.as_ref();
    #[cfg(feature = "extended-operators")]
    if let Work::Unweighted { operation, second } = work {
        let other = second.as_ref().map(|(other, _)| other.extents());
        if operation.is_extended(from.extents(), other) {
            check_slices(batch, operation, (from, input), (to, &output))?;
            extended::check(batch, operation, second.as_ref(), (from, input), (to, &output))?;
            extended::compute(batch, operation, second.as_ref(), (from, input), (to, &mut output));
            return Ok(());
        }
    }
    check(batch, work, (from, input), (to, &output))?;
    match engine.isa() {
        #[cfg(any(embedded, all(test, feature = "std")))]
        Isa::Embedded(_) => compute(batch, work, (from, input), (to, &mut output)),
        #[cfg(any(scalar, test))]
        Isa::Scalar => compute(batch, work, (from, input), (to, &mut output)),
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => isa.compute(batch, work, (from, input), (to, &mut output)),
        #[cfg(target_arch = "aarch64")]
        Isa::Arm(_) => compute(batch, work, (from, input), (to, &mut output)),
        #[cfg(target_feature = "simd128")]
        Isa::Wasm(_) => compute(batch, work, (from, input), (to, &mut output)),
    }
    Ok(())
}

/// Whether shapes go together and everything lies in the slices.
fn check(
    batch: usize,
    work: &Work<'_>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    let (operation, second) = match work {
        Work::Depthwise { geometry, weights, epilogue } => {
            let Some(input) = input else { return Err(OutOfBounds) };
            return depthwise::check(geometry, input, weights, epilogue, output);
        }
        Work::Unweighted { operation, second } => (operation, second),
    };
    let same = from.channels == to.channels && from.height == to.height && from.width == to.width;
    let affine = |affine: &Option<Affine<&[f32]>>| {
        affine.is_none_or(|Affine { scale, shift }| scale.len() >= to.channels && shift.len() >= to.channels)
    };
    let fits = match operation {
        Operation::Pool(Pool { window, .. }) => {
            let steps = window.iter().all(|axis| axis.kernel > 0 && axis.stride > 0 && axis.dilation > 0);
            steps && from.channels == to.channels
        }
        Operation::Elementwise { before, after, .. } => same && affine(before) && affine(after),
        Operation::Binary { .. } => {
            let Some((other, second)) = second else { return Err(OutOfBounds) };
            other.check(batch, second.len())?;
            let pixel = other.height == 1 && other.width == 1;
            let fits = pixel || (other.height == to.height && other.width == to.width);
            same && fits && other.channels == to.channels
        }
        Operation::Copy { at } => {
            at[0] + from.channels <= to.channels
                && at[1] + from.height <= to.height
                && at[2] + from.width <= to.width
        }
        Operation::Pad(Pad { before, mode }) => {
            let axes = [(before[0], from.height, to.height), (before[1], from.width, to.width)];
            let fits = axes.iter().all(|&(before, input, output)| {
                let rest = output.checked_sub(input).and_then(|rest| rest.checked_sub(before));
                rest.is_some_and(|after| *mode != PadMode::Reflect || before.max(after) < input)
            });
            fits && from.channels == to.channels
        }
        Operation::Resize(_) => from.channels == to.channels,
        Operation::Normalize(_) => same,
        Operation::Reorder => from.elements() == to.elements(),
        // Of `extended`, if it is there.
        Operation::Function(_) | Operation::Constant(_) | Operation::Reduce(_) => false,
        Operation::View(_) | Operation::Product | Operation::OneHot => false,
    };
    check_slices(batch, operation, (from, input), (to, output))?;
    if fits { Ok(()) } else { Err(OutOfBounds) }
}

/// Whether what is read and what is written lies in the slices.
fn check_slices(
    batch: usize,
    operation: &Operation<&[f32]>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &ValuesMut<'_>),
) -> Result<(), OutOfBounds> {
    to.check(batch, output.len())?;
    match input {
        Some(input) => from.check(batch, input.len()),
        None if operation.works_in_place() => from.check(batch, output.len()),
        None => Err(OutOfBounds),
    }
}

/// The operators' plain source; inlined into a function per instruction set.
#[inline(always)]
pub(crate) fn compute(
    batch: usize,
    work: &Work<'_>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    match *work {
        Work::Unweighted { operation: Operation::Elementwise { before, activation, after }, .. }
            if features::ELEMENTWISE =>
        {
            elementwise::elementwise(batch, before, activation, after, (from, input), (to, output));
            return;
        }
        Work::Unweighted {
            operation: Operation::Binary { binary, activation },
            second: Some((ref other, ref second)),
        } if features::ELEMENTWISE => {
            elementwise::binary(batch, binary, activation, (from, input), (other, second), (to, output));
            return;
        }
        _ => {}
    }
    let Some(input) = input else { return };
    let operation = match work {
        Work::Depthwise { geometry, weights, epilogue } => {
            if features::DEPTHWISE {
                depthwise::depthwise(geometry, input, weights, epilogue, output);
            }
            return;
        }
        Work::Unweighted { operation, .. } => operation,
    };
    match *operation {
        Operation::Pool(ref pool) if features::POOL => pool::pool(batch, pool, (from, input), (to, output)),
        Operation::Copy { at } if features::ARRANGE => arrange::copy(batch, at, (from, input), (to, output)),
        Operation::Pad(pad) if features::ARRANGE => arrange::pad(batch, pad, (from, input), (to, output)),
        Operation::Resize(resize) if features::RESIZE => {
            arrange::resize(batch, resize, (from, input), (to, output))
        }
        Operation::Normalize(_) if !features::NORMALIZE => {}
        Operation::Normalize(Normalize { kind: NormalizeKind::Euclidean, epsilon, .. }) => {
            normalize::l2_normalize(batch, epsilon, (from, input), (to, output));
        }
        Operation::Normalize(_) => normalize::softmax(batch, (from, input), (to, output)),
        Operation::Reorder if features::ARRANGE => arrange::reorder(batch, (from, input), (to, output)),
        // Left out of this build.
        Operation::Pool(_) | Operation::Copy { .. } | Operation::Pad(_) => {}
        Operation::Resize(_) | Operation::Reorder => {}
        // Done above, by `elementwise` or by `extended`.
        Operation::Elementwise { .. } | Operation::Binary { .. } => {}
        Operation::Function(_) | Operation::Constant(_) | Operation::Reduce(_) => {}
        Operation::View(_) | Operation::Product | Operation::OneHot => {}
    }
}
