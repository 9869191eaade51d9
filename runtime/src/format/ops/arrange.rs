//! Operators that move elements: copies, pads, resizes, changes of shape.

use crate::format::error::FormatError;
use crate::format::layout::operator as field;
#[cfg(feature = "alloc")]
use crate::format::record::Writer;
use crate::format::record::{Ends, Reader};
use crate::ops::{Coordinates, Interpolation, Operation, Pad, PadMode, Resize, VIEW_AXES, View, ViewAxis};

pub(super) fn read_copy<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let at = [reader.extent(0, 0, "channel")?, reader.extent(1, 0, "row")?, reader.extent(2, 0, "column")?];
    if at[0] + input.channels > output.channels
        || at[1] + input.height > output.height
        || at[2] + input.width > output.width
    {
        return Err(reader.shapes("the input does not fit into the output at this place"));
    }
    Ok(Operation::Copy { at })
}

#[cfg(feature = "alloc")]
pub(super) fn write_copy(writer: &mut Writer<'_>, at: [usize; 3]) {
    for (n, at) in at.into_iter().enumerate() {
        writer.argument(n, at);
    }
}

pub(super) fn read_pad<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let before = [reader.extent(1, 0, "pad")?, reader.extent(2, 0, "pad")?];
    let constant = PadMode::Constant(reader.float(field::ARGUMENTS + 3));
    let mode = reader.choice(0, &[constant, PadMode::Edge, PadMode::Reflect], "pad mode")?;
    if matches!(mode, PadMode::Constant(value) if value.is_nan()) {
        return Err(reader.parameter("pad value"));
    }
    if input.channels != output.channels
        || before[0] + input.height > output.height
        || before[1] + input.width > output.width
    {
        return Err(reader.shapes("the padded input does not fit the output"));
    }
    let after = [output.height - input.height - before[0], output.width - input.width - before[1]];
    let reflects = |pad: usize, extent: usize| pad < extent;
    if mode == PadMode::Reflect
        && !(reflects(before[0].max(after[0]), input.height)
            && reflects(before[1].max(after[1]), input.width))
    {
        return Err(reader.parameter("pad"));
    }
    Ok(Operation::Pad(Pad { before, mode }))
}

#[cfg(feature = "alloc")]
pub(super) fn write_pad(writer: &mut Writer<'_>, pad: &Pad) {
    let (mode, value) = match pad.mode {
        PadMode::Constant(value) => (0, value),
        PadMode::Edge => (1, 0.0),
        PadMode::Reflect => (2, 0.0),
    };
    writer.argument(0, mode);
    writer.argument(1, pad.before[0]);
    writer.argument(2, pad.before[1]);
    writer.float(3, value);
}

/// In the order of their numbers; `a` is Keys's.
const fn interpolations(a: f32) -> [Interpolation; 6] {
    [
        Interpolation::RoundPreferFloor,
        Interpolation::RoundPreferCeil,
        Interpolation::Floor,
        Interpolation::Ceil,
        Interpolation::Linear,
        Interpolation::Cubic { a },
    ]
}

/// In the order of their numbers.
const COORDINATES: [Coordinates; 4] = [
    Coordinates::HalfPixel,
    Coordinates::PytorchHalfPixel,
    Coordinates::Asymmetric,
    Coordinates::AlignCorners,
];

pub(super) fn read_resize<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let a = reader.float(field::ARGUMENTS + 4);
    let interpolation = reader.choice(0, &interpolations(a), "interpolation")?;
    if matches!(interpolation, Interpolation::Cubic { .. }) && !a.is_finite() {
        return Err(reader.parameter("coefficient"));
    }
    let coordinates = reader.choice(1, &COORDINATES, "coordinates")?;
    let step = [reader.float(field::ARGUMENTS + 2), reader.float(field::ARGUMENTS + 3)];
    if step.iter().any(|step| !(step.is_normal() && *step > 0.0)) {
        return Err(reader.parameter("scale"));
    }
    if input.channels != output.channels {
        return Err(reader.shapes("a resize keeps the number of channels"));
    }
    Ok(Operation::Resize(Resize { step, coordinates, interpolation }))
}

#[cfg(feature = "alloc")]
pub(super) fn write_resize(writer: &mut Writer<'_>, resize: &Resize) {
    let a = match resize.interpolation {
        Interpolation::Cubic { a } => a,
        _ => 0.0,
    };
    writer.choice(0, &interpolations(a), &resize.interpolation);
    writer.float(4, a);
    writer.choice(1, &COORDINATES, &resize.coordinates);
    writer.float(2, resize.step[0]);
    writer.float(3, resize.step[1]);
}

pub(super) fn read_reorder<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if input.logical() != output.logical() {
        return Err(reader.shapes("input and output have different numbers of elements"));
    }
    Ok(Operation::Reorder)
}

/// Argument 0 is the first element, then come the axes, extent and stride of each.
pub(super) fn read_view<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let argument = |at: usize| reader.word(field::ARGUMENTS + at);
    let mut axes = [ViewAxis::ONE; VIEW_AXES];
    for (n, axis) in axes.iter_mut().enumerate() {
        let stride = argument(2 + 2 * n).cast_signed();
        *axis = ViewAxis { extent: argument(1 + 2 * n) as usize, stride: stride as isize };
    }
    let view = View { start: argument(0) as usize, axes };
    if view.elements() != Some(output.logical()) {
        return Err(reader.shapes("the view's axes have another number of elements than the output"));
    }
    if !view.fits(input.logical()) {
        return Err(reader.shapes("the view reaches beyond the input"));
    }
    if !input.same_quantization(output) {
        return Err(reader.types());
    }
    Ok(Operation::View(view))
}

#[cfg(feature = "alloc")]
pub(super) fn write_view(writer: &mut Writer<'_>, view: &View) {
    writer.argument(0, view.start);
    for (n, axis) in view.axes.iter().enumerate() {
        writer.argument(1 + 2 * n, axis.extent);
        writer.argument(2 + 2 * n, axis.stride as usize);
    }
}
