//! Runs the operators of a model, one after the other: joins what the format says with what the kernels can do.

use core::ops::Range;

use crate::backend::RunError;
use crate::features;
use crate::format::{ALIGNMENT, Layer, Model, Operator, OperatorKind, Value};
use crate::kernels::Engine;
use crate::kernels::epilogue::{Epilogue, Residual};
use crate::kernels::geometry::{Geometry, OutOfBounds, Strides};
use crate::kernels::image::Image;
use crate::kernels::matmul::{Layout, Part, Place, matmul};
use crate::kernels::operation::{self, Work};
use crate::kernels::scalar::convert;
use crate::kernels::values::{Values, ValuesMut};
use crate::kernels::winograd::winograd;
use crate::ops::{BLOCK, GROUP, ValueType, WindowAxis, weight_rows};

/// The model is not what it was when it was checked, or a kernel has found an index out of bounds.
pub(super) struct Broken;

impl From<OutOfBounds> for Broken {
    fn from(_: OutOfBounds) -> Self {
        Self
    }
}

/// Runs some examples, of which `outside` has a slice for each of the model's inputs and outputs, in an arena that begins at a multiple of 64 and holds it; behind the activations comes scratch memory, as
/// many times the model's as threads may use. `observe` is told before each operator and
/// once at the end.
pub(super) fn execute(
    model: &Model<'_>,
    engine: &mut Engine,
    arena: &mut [u8],
    examples: Range<usize>,
    outside: (&[&[f32]], &mut [&mut [f32]]),
    observe: &mut dyn FnMut(usize),
) -> Result<(), RunError> {
    let (inputs, outputs) = outside;
    let batch = examples.len();
    let of = |value: &Value<'_>| examples.start * value.logical()..examples.end * value.logical();
    for (index, input) in inputs.iter().enumerate() {
        let value = model.input_to_run(index).ok_or(RunError::Damaged { operator: 0 })?;
        let input = input.get(of(&value)).ok_or(RunError::Damaged { operator: 0 })?;
        import(&value, arena, batch, input).map_err(|Broken| RunError::Damaged { operator: 0 })?;
    }
    for index in 0..model.operators_len() {
        observe(index);
        run_operator(model, engine, arena, batch, index)?;
    }
    observe(model.operators_len());
    for (index, output) in outputs.iter_mut().enumerate() {
        let damaged = RunError::Damaged { operator: model.operators_len() };
        let Some(value) = model.output_to_run(index) else { return Err(damaged) };
        let Some(output) = output.get_mut(of(&value)) else { return Err(damaged) };
        export(&value, arena, batch, output).map_err(|Broken| damaged)?;
    }
    Ok(())
}

/// Runs one operator on a batch that is in the arena.
pub(super) fn run_operator(
    model: &Model<'_>,
    engine: &mut Engine,
    arena: &mut [u8],
    batch: usize,
    index: usize,
) -> Result<(), RunError> {
    let damaged = RunError::Damaged { operator: index };
    let operator = model.operator_to_run(index).ok_or(damaged.clone())?;
    let activations = model.activations_len().checked_mul(batch).filter(|&length| length <= arena.len());
    let (arena, scratch) = arena.split_at_mut(activations.ok_or(damaged.clone())?);
    let whole = scratch.len() / ALIGNMENT * ALIGNMENT;
    let scratch =
        bytemuck::try_cast_slice_mut(scratch.get_mut(..whole).unwrap_or(&mut [])).unwrap_or(&mut []);
    step(engine, (arena, scratch), batch, index, &operator).map_err(|Broken| damaged)
}

pub(super) fn import(
    value: &Value<'_>,
    arena: &mut [u8],
    batch: usize,
    outside: &[f32],
) -> Result<(), Broken> {
    let bytes = arena.get_mut(value.range(batch)).ok_or(Broken)?;
    let mut values = values_mut(value, bytes)?;
    fill_halo(value, batch, &mut values)?;
    Ok(convert::import(batch, outside, &image(value), &mut values)?)
}

pub(super) fn export(
    value: &Value<'_>,
    arena: &[u8],
    batch: usize,
    outside: &mut [f32],
) -> Result<(), Broken> {
    let bytes = arena.get(value.range(batch)).ok_or(Broken)?;
    Ok(convert::export(batch, &image(value), &values(value, bytes)?, outside)?)
}

/// What an operator reads (nothing where it works in place), its second operand, and what it writes.
type Slices<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a mut [u8]);

fn slices<'a>(arena: &'a mut [u8], batch: usize, operator: &Operator<'_>) -> Result<Slices<'a>, Broken> {
    let range = |value: &Value<'_>| value.range(batch);
    let (from, to) = (range(&operator.input), range(&operator.output));
    let second = operator.second.as_ref().map(range);
    let disjoint = |_| Broken;
    match (operator.in_place, second) {
        (true, None) => Ok((None, None, arena.get_mut(to).ok_or(Broken)?)),
        (true, Some(second)) => {
            let [second, to] = arena.get_disjoint_mut([second, to]).map_err(disjoint)?;
            Ok((None, Some(second), to))
        }
        (false, Some(second)) if second != from => {
            let [from, second, to] = arena.get_disjoint_mut([from, second, to]).map_err(disjoint)?;
            Ok((Some(from), Some(second), to))
        }
        (false, second) => {
            let [from, to] = arena.get_disjoint_mut([from, to]).map_err(disjoint)?;
            let from: &[u8] = from;
            Ok((Some(from), second.map(|_| from), to))
        }
    }
}

pub(super) fn values<'a>(value: &Value<'_>, bytes: &'a [u8]) -> Result<Values<'a>, Broken> {
    Ok(match value.kind {
        ValueType::F32 => Values::F32(bytemuck::try_cast_slice(bytes).map_err(|_| Broken)?),
        ValueType::U8 => Values::U8(bytes),
    })
}

pub(super) fn values_mut<'a>(value: &Value<'_>, bytes: &'a mut [u8]) -> Result<ValuesMut<'a>, Broken> {
    Ok(match value.kind {
        ValueType::F32 => ValuesMut::F32(bytemuck::try_cast_slice_mut(bytes).map_err(|_| Broken)?),
        ValueType::U8 => ValuesMut::U8(bytes),
    })
}

fn strides(value: &Value<'_>) -> Strides {
    Strides { offset: value.origin(), example: value.example(), row: value.row(), column: value.stride() }
}

pub(super) fn image(value: &Value<'_>) -> Image {
    Image {
        channels: value.channels,
        height: value.height,
        width: value.width,
        strides: strides(value),
        scale: value.scale,
        zero_point: value.zero_point,
    }
}

/// Puts zeros around the image.
pub(super) fn fill_halo(value: &Value<'_>, batch: usize, values: &mut ValuesMut<'_>) -> Result<(), Broken> {
    if value.halo.is_empty() {
        return Ok(());
    }
    let mut fill = |from: usize, to: usize| {
        match values {
            ValuesMut::F32(values) => values.get_mut(from..to).ok_or(Broken)?.fill(0.0),
            ValuesMut::U8(values) => values.get_mut(from..to).ok_or(Broken)?.fill(value.zero_point),
        }
        Ok::<(), Broken>(())
    };
    let across = value.width * value.stride();
    for example in 0..batch {
        let start = example * value.example();
        let mut from = start;
        // From the end of one row of the image to the beginning of the next, the halo is one piece.
        for row in 0..value.height {
            let begin = start + value.origin() + row * value.row();
            fill(from, begin)?;
            from = begin + across;
        }
        fill(from, start + value.elements())?;
    }
    Ok(())
}

/// What follows the sums of a layer, beginning with the parameters of row `row`.
fn epilogue<'a>(
    layer: &Layer<'a>,
    second: Option<&'a [u8]>,
    output: &Value<'_>,
    row: usize,
) -> Result<Epilogue<'a>, OutOfBounds> {
    let residual = match (&layer.residual, second) {
        (Some(residual), Some(bytes)) => Some(Residual {
            values: values(&residual.value, bytes).map_err(|_| OutOfBounds)?,
            scale: residual.scale,
            zero_point: residual.value.zero_point,
        }),
        (None, _) => None,
        (Some(_), None) => return Err(OutOfBounds),
    };
    let zero_point = output.zero_point;
    let Layer { bias, activation, after, .. } = *layer;
    Epilogue { bias, residual, activation, after, zero_point }.from(row).ok_or(OutOfBounds)
}

/// Elements read at each tap of a group with so many channels.
fn depth(input: &Value<'_>, channels: usize) -> usize {
    match input.kind {
        ValueType::F32 => channels,
        ValueType::U8 => channels.next_multiple_of(GROUP),
    }
}

/// A window's first tap over the first output pixel, and the steps from there, in a value with enough halo.
fn window(value: &Value<'_>, window: &[WindowAxis; 2]) -> Result<(Strides, [usize; 2]), Broken> {
    let [rows, columns] = window;
    let back = rows.pad * value.row() + columns.pad * value.stride();
    let strides = Strides {
        offset: value.origin().checked_sub(back).ok_or(Broken)?,
        example: value.example(),
        row: rows.stride * value.row(),
        column: columns.stride * value.stride(),
    };
    Ok((strides, [rows.dilation * value.row(), columns.dilation * value.stride()]))
}

/// A layer's output and how its parts divide it.
fn layout(batch: usize, output: &Value<'_>, residual: Strides, steps: [usize; 2], groups: usize) -> Layout {
    Layout {
        batch,
        height: output.height,
        width: output.width,
        channels: output.channels / groups,
        steps,
        groups,
        output: strides(output),
        residual,
    }
}

fn at_channel(mut strides: Strides, channel: usize) -> Strides {
    strides.offset += channel;
    strides
}

fn step(
    engine: &mut Engine,
    (arena, scratch): (&mut [u8], &mut [f32]),
    batch: usize,
    index: usize,
    operator: &Operator<'_>,
) -> Result<(), Broken> {
    let (from, second, to) = slices(arena, batch, operator)?;
    let (input, output) = (&operator.input, &operator.output);
    let mut target = values_mut(output, to)?;
    if output.first == index + 1 {
        fill_halo(output, batch, &mut target)?;
    }
    let source = from.map(|bytes| values(input, bytes)).transpose()?;
    let residual = match &operator.kind.layer().and_then(|layer| layer.residual) {
        Some(residual) => strides(&residual.value),
        None => Strides::default(),
    };
    let work = match &operator.kind {
        OperatorKind::FullyConnected(layer) => {
            let layout = Layout {
                batch,
                height: 1,
                width: 1,
                channels: output.elements(),
                steps: [1, 1],
                groups: 1,
                output: Strides { example: output.example(), ..Strides::default() },
                residual,
            };
            let part = |_: Place| {
                Ok(Part {
                    taps: [1, 1],
                    tap: [0, 0],
                    depth: input.elements(),
                    input: Strides { example: input.example(), ..Strides::default() },
                    weights: layer.weights,
                    epilogue: epilogue(layer, second, output, 0)?,
                })
            };
            return Ok(matmul(engine, &layout, &part, source.ok_or(Broken)?, target, scratch)?);
        }
        OperatorKind::Convolution { window: axes, groups, winograd: transformed, layer } => {
            let (first, tap) = window(input, axes)?;
            let (inputs, outputs) = (input.channels / groups, output.channels / groups);
            let taps = [axes[0].kernel, axes[1].kernel];
            let depth = depth(input, inputs);
            let stored = weight_rows(outputs) * taps[0] * taps[1] * depth;
            let part = |place: Place| {
                Ok(Part {
                    taps,
                    tap,
                    depth,
                    input: at_channel(first, place.group * inputs),
                    weights: layer.weights.from(place.group * stored).ok_or(OutOfBounds)?,
                    epilogue: epilogue(layer, second, output, place.group * outputs.next_multiple_of(BLOCK))?,
                })
            };
            let layout = layout(batch, output, residual, [1, 1], *groups);
            if features::WINOGRAD && *transformed {
                let part = part(Place { phase: [0, 0], group: 0 })?;
                return Ok(winograd(engine, &layout, &part, source.ok_or(Broken)?, target, scratch)?);
            }
            return Ok(matmul(engine, &layout, &part, source.ok_or(Broken)?, target, scratch)?);
        }
        OperatorKind::Transposed { window: axes, groups, layer } => {
            let (inputs, outputs) = (input.channels / groups, output.channels / groups);
            let [vertical, horizontal] = axes;
            let depth = depth(input, inputs);
            let part = |place: Place| {
                let [y, x] = place.phase;
                let (above, beside) = (vertical.phase(output.height, y), horizontal.phase(output.width, x));
                // In the halo this is before the first pixel, but never before the value's beginning.
                let first = input.origin() as isize
                    + above.first_input * input.row() as isize
                    + beside.first_input * input.stride() as isize;
                let taps = [above.taps, beside.taps];
                let empty = above.taps * beside.taps == 0;
                let offset = if empty { 0 } else { usize::try_from(first).map_err(|_| OutOfBounds)? };
                // Taps of all phases before this one; the phases of an axis share its taps.
                let taps_before = |axis: &WindowAxis, extent, phase| -> usize {
                    (0..phase).map(|phase| axis.phase(extent, phase).taps).sum()
                };
                let before = taps_before(vertical, output.height, y) * horizontal.kernel
                    + above.taps * taps_before(horizontal, output.width, x);
                let stored = weight_rows(outputs) * depth;
                let start = (before * groups + taps[0] * taps[1] * place.group) * stored;
                let row =
                    ((y * horizontal.stride + x) * groups + place.group) * outputs.next_multiple_of(BLOCK);
                Ok(Part {
                    taps,
                    tap: [input.row(), input.stride()],
                    depth,
                    input: at_channel(Strides { offset, ..strides(input) }, place.group * inputs),
                    weights: layer.weights.from(start).ok_or(OutOfBounds)?,
                    epilogue: epilogue(layer, second, output, row)?,
                })
            };
            let layout = layout(batch, output, residual, [vertical.stride, horizontal.stride], *groups);
            return Ok(matmul(engine, &layout, &part, source.ok_or(Broken)?, target, scratch)?);
        }
        OperatorKind::Depthwise { window: axes, layer } if features::DEPTHWISE => {
            let (first, tap) = window(input, axes)?;
            let geometry = Geometry {
                batch,
                height: output.height,
                width: output.width,
                taps: [axes[0].kernel, axes[1].kernel],
                tap,
                depth: 1,
                input: first,
                output: strides(output),
                residual,
                channels: output.channels,
                blocked: false,
            };
            let epilogue = epilogue(layer, second, output, 0)?;
            Work::Depthwise { geometry, weights: layer.weights, epilogue }
        }
        // Refused when the model was opened.
        OperatorKind::Depthwise { .. } => return Err(Broken),
        OperatorKind::Unweighted(operation) => {
            let second = match (&operator.second, second) {
                (Some(other), Some(bytes)) => Some((image(other), values(other, bytes)?)),
                _ => None,
            };
            Work::Unweighted { operation: *operation, second }
        }
    };
    Ok(operation::run(engine, batch, &work, (&image(input), source), (&image(output), target))?)
}
