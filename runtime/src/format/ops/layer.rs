//! Operators with weights: fully connected layers and convolutions.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
#[cfg(feature = "alloc")]
use alloc::vec;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use super::OperatorKind;
use super::parameters::read_layer;
#[cfg(feature = "alloc")]
use super::parameters::write_layer;
#[cfg(feature = "alloc")]
use crate::bfloat16;
use crate::features;
use crate::format::error::FormatError;
use crate::format::layer::Layer;
use crate::format::layout::{WINOGRAD_MAX_CHANNELS, WINOGRAD_SCRATCH, align};
#[cfg(feature = "alloc")]
use crate::format::pack::{OwnedWeights, PlainLayer, put_float};
use crate::format::record::{Ends, Reader, read_window};
#[cfg(feature = "alloc")]
use crate::format::record::{Writer, write_window};
use crate::format::value::Value;
use crate::ops::WeightType;
use crate::ops::{BLOCK, GROUP, NARROW, PackedWeights, ValueType, WindowAxis, expanded_rows, weight_rows};

/// What reading an operator with weights gives.
type Read<'a> = Result<OperatorKind<Layer<'a>, &'a [f32]>, FormatError>;

/// Rows of parameters for so many output channels.
fn parameter_rows(channels: usize) -> u64 {
    channels.next_multiple_of(BLOCK) as u64
}

/// Elements read at each tap: whole groups of four for int8.
fn depth(input: &Value<'_>, channels: usize) -> usize {
    match input.kind {
        ValueType::F32 => channels,
        ValueType::U8 => channels.next_multiple_of(GROUP),
    }
}

/// Checks that a grouped convolution's channels divide, and gives the groups with input and output channels of each.
fn read_groups(
    reader: &Reader<'_, '_>,
    Ends { input, output, .. }: &Ends<'_>,
) -> Result<(usize, usize, usize), FormatError> {
    let groups = reader.extent(8, 1, "number of groups")?;
    if !input.channels.is_multiple_of(groups) || !output.channels.is_multiple_of(groups) {
        return Err(reader.shapes("the groups do not divide the channels"));
    }
    let channels = input.channels / groups;
    if groups > 1 && input.kind == ValueType::U8 && !channels.is_multiple_of(GROUP) {
        return Err(reader.shapes("groups of an int8 convolution must have a multiple of 4 input channels"));
    }
    Ok((groups, channels, output.channels / groups))
}

/// Checks that a convolution's windows stay within the input and its halo.
fn check_covered(
    reader: &Reader<'_, '_>,
    Ends { input, output, .. }: &Ends<'_>,
    window: &[WindowAxis; 2],
) -> Result<(), FormatError> {
    for (axis, (input, output, before, after)) in window.iter().zip([
        (input.height, output.height, input.halo.top, input.halo.bottom),
        (input.width, output.width, input.halo.left, input.halo.right),
    ]) {
        let last = (output as u64 - 1) * axis.stride as u64 + axis.span() as u64;
        if axis.pad > before || last > (axis.pad + input + after) as u64 {
            return Err(FormatError::Halo { operator: reader.operator() });
        }
    }
    Ok(())
}

/// Checks that int8 weights that meet the padding between the input's pixels, whose content is unspecified, are zero:
/// of matrices of these rows and depths, one after the other. Where there is padding, there is one group.
fn check_padding(
    reader: &Reader<'_, '_>,
    input: &Value<'_>,
    layer: &Layer<'_>,
    rows: usize,
    depths: impl IntoIterator<Item = usize>,
) -> Result<(), FormatError> {
    let (channels, stride) = (input.channels, input.stride());
    if !reader.context.thorough || channels == stride {
        return Ok(());
    }
    if !layer.weights.weight_type().is_integer() {
        return Ok(());
    }
    let mut weights = layer.weights;
    for depth in depths {
        for k in (0..depth).filter(|k| k % stride >= channels) {
            if (0..rows).any(|row| weights.integer(weights.place([rows, depth], row, k)) != Some(0)) {
                return Err(FormatError::Padding { operator: reader.operator() });
            }
        }
        let Some(rest) = weights.from(weight_rows(rows) * depth) else { break };
        weights = rest;
    }
    Ok(())
}

/// Bytes of scratch memory that an operator needs for each thread; `weights` says of what type its layer's are.
pub(in crate::format) fn scratch<L, P>(
    kind: &OperatorKind<L, P>,
    (input, output): (&Value<'_>, &Value<'_>),
    weights: impl Fn(&L) -> WeightType,
) -> usize {
    let expanded = |layer: &L, rows: usize, products: usize| match weights(layer) {
        WeightType::I4 => align((expanded_rows(weight_rows(rows), products) * products) as u64) as usize,
        _ => 0,
    };
    match kind {
        OperatorKind::FullyConnected(layer) => expanded(layer, output.elements(), input.elements()),
        OperatorKind::Convolution { winograd: true, .. } => WINOGRAD_SCRATCH,
        OperatorKind::Convolution { window, groups, layer, .. } => {
            let products = window[0].kernel * window[1].kernel * depth(input, input.channels / groups);
            expanded(layer, output.channels / groups, products)
        }
        OperatorKind::Transposed { window, groups, layer } => {
            let deep = depth(input, input.channels / groups);
            let taps = |axis: usize, extent: usize| {
                let axis = window[axis];
                (0..axis.stride).map(move |phase| axis.phase(extent, phase).taps)
            };
            let of = |above: usize, beside: usize| {
                expanded(layer, output.channels / groups, above * beside * deep)
            };
            taps(0, output.height)
                .flat_map(|above| taps(1, output.width).map(move |beside| of(above, beside)))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// The product, or `u64::MAX`, which no length equals, if it overflows.
#[inline(never)]
fn product(factors: [u64; 4]) -> u64 {
    factors
        .into_iter()
        .try_fold(1u64, u64::checked_mul)
        .filter(|&product| product < 1 << 40)
        .unwrap_or(1 << 40)
}

pub(super) fn read_fully_connected<'a>(reader: &Reader<'a, '_>, ends: &Ends<'a>) -> Read<'a> {
    let (inputs, outputs) = (ends.input.elements(), ends.output.elements());
    if [Some(ends.input), ends.second, Some(ends.output)].iter().flatten().any(|value| !value.halo.is_empty())
    {
        return Err(reader.shapes("a fully connected operator takes no halo"));
    }
    let weights = weight_rows(outputs) as u64 * inputs as u64;
    let mut layer = read_layer(reader, ends, weights, parameter_rows(outputs))?;
    layer.matrix = Some([outputs, inputs]);
    check_padding(reader, &ends.input, &layer, outputs, [inputs])?;
    Ok(OperatorKind::FullyConnected(layer))
}

#[cfg(feature = "alloc")]
pub(super) fn write_fully_connected(writer: &mut Writer<'_>, ends: &Ends<'_>, layer: &PlainLayer) {
    let Ends { input, output, .. } = ends;
    let columns = input.logical();
    let part = Part {
        rows: output.elements(),
        depth: input.elements(),
        channel: &|row| logical(output, row),
        index: &|row, k| Some(logical(output, row)? * columns + logical(input, k)?),
    };
    write_parts(writer, ends, layer, &[part]);
}

pub(super) fn read_convolution<'a>(reader: &Reader<'a, '_>, ends: &Ends<'a>) -> Read<'a> {
    let window = read_window(reader)?;
    let (groups, inputs, outputs) = read_groups(reader, ends)?;
    check_covered(reader, ends, &window)?;
    let winograd = reader.choice(9, &[false, true], "weight transform")?;
    let rows = groups as u64 * parameter_rows(outputs);
    let stored = (groups * weight_rows(outputs)) as u64;
    let [kernel_rows, kernel_columns] = [0, 1].map(|n| window[n].kernel as u64);
    let deep = depth(&ends.input, inputs);
    let mut weights = product([stored, kernel_rows, kernel_columns, deep as u64]);
    if winograd {
        if !features::WINOGRAD {
            return Err(reader.feature("winograd"));
        }
        if !can_be_winograd(&ends.input, &ends.output, &window, groups)
            || reader.context.scratch < WINOGRAD_SCRATCH
        {
            return Err(reader.parameter("weight transform"));
        }
        weights = product([stored, 4, 4, deep as u64]);
    }
    let mut layer = read_layer(reader, ends, weights, rows)?;
    if !winograd {
        let depth = window[0].kernel * window[1].kernel * deep;
        layer.matrix = Some([outputs, depth]);
        check_padding(reader, &ends.input, &layer, outputs, [depth])?;
    }
    Ok(OperatorKind::Convolution { window, groups, winograd, layer })
}

#[cfg(feature = "alloc")]
pub(super) fn write_convolution(
    writer: &mut Writer<'_>,
    ends: &Ends<'_>,
    (window, groups, winograd): (&[WindowAxis; 2], usize, bool),
    layer: &PlainLayer,
) {
    write_window(writer, window);
    writer.argument(8, groups);
    let (inputs, outputs) = (ends.input.channels / groups, ends.output.channels / groups);
    if winograd {
        writer.argument(9, 1);
        let transformed = transformed(layer, outputs, inputs);
        let mut packed = Vec::new();
        for kernel in 0..16 {
            let index = |row: usize, k: usize| Some((kernel * outputs + row) * inputs + k);
            transformed.pack(outputs, inputs, index, &mut packed);
        }
        let padded = outputs.next_multiple_of(BLOCK);
        let rows: Vec<_> = (0..padded).map(|row| ((row < outputs).then_some(row), 0)).collect();
        write_layer(writer, ends, layer, &packed, &rows);
        return;
    }
    let taps = window[0].kernel * window[1].kernel;
    let deep = depth(&ends.input, inputs);
    let index = |group: usize, row: usize, k: usize| {
        let (tap, channel) = (k / deep, k % deep);
        (channel < inputs).then(|| ((group * outputs + row) * inputs + channel) * taps + tap)
    };
    let channels: Vec<_> = (0..groups).map(|group| move |row| Some(group * outputs + row)).collect();
    let indices: Vec<_> = (0..groups).map(|group| move |row, k| index(group, row, k)).collect();
    let parts: Vec<Part<'_>> = channels
        .iter()
        .zip(&indices)
        .map(|(channel, index)| Part { rows: outputs, depth: taps * deep, channel, index })
        .collect();
    write_parts(writer, ends, layer, &parts);
}

pub(super) fn read_depthwise<'a>(reader: &Reader<'a, '_>, ends: &Ends<'a>) -> Read<'a> {
    let window = read_window(reader)?;
    if ends.input.channels != ends.output.channels {
        return Err(reader.shapes("a depthwise convolution keeps the number of channels"));
    }
    check_covered(reader, ends, &window)?;
    let rows = parameter_rows(ends.output.channels);
    let weights = product([rows, window[0].kernel as u64, window[1].kernel as u64, 1]);
    let layer = read_layer(reader, ends, weights, rows)?;
    if matches!(layer.weights, PackedWeights::I4 { .. }) {
        return Err(reader.parameter("weight type"));
    }
    Ok(OperatorKind::Depthwise { window, layer })
}

#[cfg(feature = "alloc")]
pub(super) fn write_depthwise(
    writer: &mut Writer<'_>,
    ends: &Ends<'_>,
    window: &[WindowAxis; 2],
    layer: &PlainLayer,
) {
    write_window(writer, window);
    let channels = ends.output.channels;
    let taps = window[0].kernel * window[1].kernel;
    let padded = channels.next_multiple_of(BLOCK);
    let mut packed = Vec::new();
    for tap in 0..taps {
        for channel in 0..padded {
            let at = (channel < channels).then_some(channel * taps + tap);
            match &layer.weights {
                OwnedWeights::Float(weights, kind) => {
                    let weight = at.map_or(0.0, |at| weights[at]);
                    put_float(weight, *kind, &mut packed);
                }
                OwnedWeights::Int8(weights) | OwnedWeights::Int4(weights) => {
                    packed.push(at.map_or(0, |at| weights[at] as u8))
                }
            }
        }
    }
    let rows: Vec<_> = (0..padded)
        .map(|channel| {
            if channel < channels {
                (Some(channel), layer.weights.sum(taps, |tap| Some(channel * taps + tap)))
            } else {
                (None, 0)
            }
        })
        .collect();
    write_layer(writer, ends, layer, &packed, &rows);
}

pub(super) fn read_transposed<'a>(reader: &Reader<'a, '_>, ends: &Ends<'a>) -> Read<'a> {
    let Ends { input, output, .. } = ends;
    let window = read_window(reader)?;
    if window.iter().any(|axis| axis.dilation != 1) {
        return Err(reader.parameter("dilation"));
    }
    let (groups, inputs, outputs) = read_groups(reader, ends)?;
    let rows = groups as u64 * parameter_rows(outputs);
    for (axis, (input, output, before, after)) in window.iter().zip([
        (input.height, output.height, input.halo.top, input.halo.bottom),
        (input.width, output.width, input.halo.left, input.halo.right),
    ]) {
        // A phase beyond the output's end would have weights that nothing uses.
        if axis.stride > output || axis.stride > 64 {
            return Err(reader.parameter("stride"));
        }
        let reach = axis.transposed_reach(input, output);
        if reach.0 > before || reach.1 > after {
            return Err(FormatError::Halo { operator: reader.operator() });
        }
    }
    // Every tap belongs to exactly one phase; each phase has its own sum of weights, so its own parameters.
    let stored = (groups * weight_rows(outputs)) as u64;
    let [kernel_rows, kernel_columns] = [0, 1].map(|n| window[n].kernel as u64);
    let weights = product([stored, kernel_rows, kernel_columns, depth(input, inputs) as u64]);
    let phases = (window[0].stride * window[1].stride) as u64;
    let layer = read_layer(reader, ends, weights, rows * phases)?;
    let taps = |axis: usize, output| {
        let axis = window[axis];
        (0..axis.stride).map(move |phase| axis.phase(output, phase).taps)
    };
    let deep = depth(input, inputs);
    let depths = taps(0, output.height)
        .flat_map(|vertical| taps(1, output.width).map(move |horizontal| vertical * horizontal * deep));
    check_padding(reader, input, &layer, outputs, depths)?;
    Ok(OperatorKind::Transposed { window, groups, layer })
}

#[cfg(feature = "alloc")]
pub(super) fn write_transposed(
    writer: &mut Writer<'_>,
    ends: &Ends<'_>,
    (window, groups): (&[WindowAxis; 2], usize),
    layer: &PlainLayer,
) {
    write_window(writer, window);
    writer.argument(8, groups);
    let Ends { input, output, .. } = ends;
    let (inputs, outputs) = (input.channels / groups, output.channels / groups);
    let deep = depth(input, inputs);
    let [rows, columns] = window;
    let mut channels: Vec<Box<Channel<'_>>> = Vec::new();
    let mut indices: Vec<Box<Index<'_>>> = Vec::new();
    let mut depths = Vec::new();
    for row_phase in 0..rows.stride {
        let vertical = rows.phase(output.height, row_phase);
        for column_phase in 0..columns.stride {
            let horizontal = columns.phase(output.width, column_phase);
            let remainder = vertical.first_tap * columns.stride + horizontal.first_tap;
            for group in 0..groups {
                let first = remainder * output.channels + group * outputs;
                channels.push(Box::new(move |row| Some(first + row)));
                indices.push(Box::new(move |row, k| {
                    let (tap, channel) = (k / deep, k % deep);
                    if channel >= inputs {
                        return None;
                    }
                    let (y, x) = (tap / horizontal.taps, tap % horizontal.taps);
                    let ky = vertical.first_tap + (vertical.taps - 1 - y) * rows.stride;
                    let kx = horizontal.first_tap + (horizontal.taps - 1 - x) * columns.stride;
                    let plane = (group * inputs + channel) * outputs + row;
                    Some((plane * rows.kernel + ky) * columns.kernel + kx)
                }));
                depths.push(vertical.taps * horizontal.taps * deep);
            }
        }
    }
    let parts: Vec<Part<'_>> = channels
        .iter()
        .zip(&indices)
        .zip(depths)
        .map(|((channel, index), depth)| Part { rows: outputs, depth, channel, index })
        .collect();
    write_parts(writer, ends, layer, &parts);
}

/// Packs the parts of a layer one after the other and adds their parameters.
#[cfg(feature = "alloc")]
fn write_parts(writer: &mut Writer<'_>, ends: &Ends<'_>, layer: &PlainLayer, parts: &[Part<'_>]) {
    let mut packed = Vec::new();
    let mut rows = Vec::new();
    for part in parts {
        layer.weights.pack(part.rows, part.depth, part.index, &mut packed);
        for row in 0..part.rows.next_multiple_of(BLOCK) {
            let channel = if row < part.rows { (part.channel)(row) } else { None };
            let sum = match channel {
                Some(_) => layer.weights.sum(part.depth, |k| (part.index)(row, k)),
                None => 0,
            };
            rows.push((channel, sum));
        }
    }
    write_layer(writer, ends, layer, &packed, &rows);
}

/// The output channel of a row; in a transposed convolution the channels of each remainder of a tap's place count on.
#[cfg(feature = "alloc")]
type Channel<'a> = dyn Fn(usize) -> Option<usize> + 'a;

/// The plain weight at a row and depth.
#[cfg(feature = "alloc")]
type Index<'a> = dyn Fn(usize, usize) -> Option<usize> + 'a;

/// Rows of weights that are packed together: a group, or a phase's group.
#[cfg(feature = "alloc")]
struct Part<'a> {
    rows: usize,
    depth: usize,
    /// The output channel of a row (in the plain order); `None` for padding.
    channel: &'a Channel<'a>,
    /// The plain weight at a row and depth; `None` for padding.
    index: &'a Index<'a>,
}

/// The channel-first index of the element at `position` in memory (no halo); `None` for padding between pixels.
#[cfg(feature = "alloc")]
fn logical(value: &Value<'_>, position: usize) -> Option<usize> {
    let (pixel, channel) = (position / value.stride(), position % value.stride());
    (channel < value.channels).then(|| channel * value.height * value.width + pixel)
}

/// Whether the runtime can compute a convolution by Winograd's F(2x2, 3x3).
fn can_be_winograd(input: &Value<'_>, output: &Value<'_>, window: &[WindowAxis; 2], groups: usize) -> bool {
    groups == 1
        && window.iter().all(|axis| axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1)
        && output.height.is_multiple_of(2)
        && output.width.is_multiple_of(2)
        && input.channels <= WINOGRAD_MAX_CHANNELS
        && (NARROW + 1..=WINOGRAD_MAX_CHANNELS).contains(&output.channels)
        && input.kind == ValueType::F32
}

/// Whether a convolution can have transformed weights and is worth them: enough pixels that arithmetic, not the weights' way
/// from memory, is what takes time. Below 8x8 there is still a third to a half to gain, but there weights are most of the
/// file: ResNet-18 on 32x32 images in f16 would be a tenth faster for two fifths more bytes.
#[cfg(feature = "alloc")]
pub(in crate::format) fn gains_by_winograd(
    input: &Value<'_>,
    output: &Value<'_>,
    window: &[WindowAxis; 2],
    groups: usize,
    weights: &OwnedWeights,
) -> bool {
    can_be_winograd(input, output, window, groups)
        && output.height * output.width >= 64
        && input.channels >= BLOCK
        && output.channels >= BLOCK
        && stay_finite(weights)
}

/// Whether no transformed weight becomes infinite by rounding to 16 bits: the largest is a quarter of the sum of nine.
#[cfg(feature = "alloc")]
fn stay_finite(weights: &OwnedWeights) -> bool {
    let (weights, greatest) = match weights {
        OwnedWeights::Float(weights, WeightType::F16) => (weights, 65504.0),
        OwnedWeights::Float(weights, WeightType::Bf16) => (weights, bfloat16::to_f32(0x7F7F)),
        _ => return true,
    };
    weights.iter().all(|weight| weight.abs() <= greatest / 9.0 * 4.0)
}

/// The 16 kernels `[4 * row + column][output][input]` G g G^T of 3x3 weights g, computed in f64.
#[cfg(feature = "alloc")]
fn transformed(layer: &PlainLayer, outputs: usize, inputs: usize) -> OwnedWeights {
    let OwnedWeights::Float(weights, kind) = &layer.weights else { return layer.weights.clone() };
    // G applied to three elements.
    let forward = |g: [f64; 3]| [g[0], (g[0] + g[1] + g[2]) / 2.0, (g[0] - g[1] + g[2]) / 2.0, g[2]];
    let mut kernels = vec![0.0; 16 * outputs * inputs];
    for at in 0..outputs * inputs {
        let g = |y: usize, x: usize| f64::from(weights[at * 9 + 3 * y + x]);
        let rows = [0, 1, 2].map(|y| forward([g(y, 0), g(y, 1), g(y, 2)]));
        for x in 0..4 {
            for (y, value) in forward([rows[0][x], rows[1][x], rows[2][x]]).into_iter().enumerate() {
                kernels[(4 * y + x) * outputs * inputs + at] = value as f32;
            }
        }
    }
    OwnedWeights::Float(kernels, *kind)
}
