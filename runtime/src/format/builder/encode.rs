//! An operator's record, and its weights in the layout that the kernels stream.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::Builder;
use super::error::BuildError;
use super::node::{LayerPlan, Node, NodeKind};
use crate::format::decode::{can_be_winograd, number};
use crate::format::layout::{
    BLOCK, FLAG_AFTER, FLAG_BEFORE, GROUP, OPERATOR_RECORD, align, operator as field,
};
use crate::format::operator::{Activation, PadKind, WeightType};
use crate::format::pack::{Plain, put_float};
use crate::format::value::{Value, ValueType};
use crate::format::window::Axis;

impl Builder {
    /// A node's record but for its values and name; its weights and parameters go to the data section.
    pub(super) fn encode(
        &self,
        node: &Node,
        data: &mut Vec<u8>,
    ) -> Result<[u32; OPERATOR_RECORD / 4], BuildError> {
        let mut words = [0u32; OPERATOR_RECORD / 4];
        let input = self.values[node.input].value();
        let output = self.values[node.output].value();
        let [in_channels, out_channels] = [input.channels, output.channels];
        let put_activation = |words: &mut [u32; OPERATOR_RECORD / 4], activation: Activation| {
            let (kind, a, b) = activation.encode();
            words[field::ACTIVATION] = kind;
            words[field::ACTIVATION_A] = a.to_bits();
            words[field::ACTIVATION_B] = b.to_bits();
        };
        let put_window = |words: &mut [u32; OPERATOR_RECORD / 4], window: &[Axis; 2]| {
            for (n, axis) in window.iter().enumerate() {
                for (at, extent) in
                    [axis.kernel, axis.stride, axis.dilation, axis.pad].into_iter().enumerate()
                {
                    words[field::ARGUMENTS + 2 * at + n] = extent as u32;
                }
            }
        };
        let depth = |channels: usize| match input.kind {
            ValueType::F32 => channels,
            ValueType::U8 => channels.next_multiple_of(GROUP),
        };
        match &node.kind {
            NodeKind::FullyConnected(layer) => {
                words[field::KIND] = number::FULLY_CONNECTED;
                let (inputs, outputs) = (input.elements(), output.elements());
                let columns = input.logical();
                let part = Part {
                    rows: outputs,
                    depth: inputs,
                    channel: &|row| logical(&output, row),
                    index: &|row, k| Some(logical(&output, row)? * columns + logical(&input, k)?),
                };
                self.put_layer(&mut words, node, layer, &[part], data)?;
            }
            NodeKind::Convolution { window, groups, layer } => {
                words[field::KIND] = number::CONVOLUTION;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *groups as u32;
                let (inputs, outputs) = (in_channels / groups, out_channels / groups);
                let taps = window[0].kernel * window[1].kernel;
                let deep = depth(inputs);
                let index = |group: usize, row: usize, k: usize| {
                    let (tap, channel) = (k / deep, k % deep);
                    (channel < inputs).then(|| ((group * outputs + row) * inputs + channel) * taps + tap)
                };
                if self.is_winograd(&input, &output, window, *groups, layer) {
                    words[field::ARGUMENTS + 9] = 1;
                    let transformed = transformed(layer, outputs, inputs);
                    let mut packed = Vec::new();
                    for kernel in 0..16 {
                        let index = |row: usize, k: usize| Some((kernel * outputs + row) * inputs + k);
                        transformed.pack(outputs, inputs, index, &mut packed);
                    }
                    words[field::WEIGHTS_TYPE] = layer.weights.kind() as u32;
                    put_data(&mut words, field::WEIGHTS, &packed, data);
                    let padded = outputs.next_multiple_of(BLOCK);
                    let rows: Vec<_> = (0..padded).map(|row| ((row < outputs).then_some(row), 0)).collect();
                    self.put_parameters(&mut words, node, layer, &rows, data);
                    return Ok(words);
                }
                let channels: Vec<_> =
                    (0..*groups).map(|group| move |row| Some(group * outputs + row)).collect();
                let indices: Vec<_> = (0..*groups).map(|group| move |row, k| index(group, row, k)).collect();
                let parts: Vec<Part<'_>> = channels
                    .iter()
                    .zip(&indices)
                    .map(|(channel, index)| Part { rows: outputs, depth: taps * deep, channel, index })
                    .collect();
                self.put_layer(&mut words, node, layer, &parts, data)?;
            }
            NodeKind::Depthwise { window, layer } => {
                words[field::KIND] = number::DEPTHWISE;
                put_window(&mut words, window);
                self.put_depthwise(&mut words, node, layer, window, data)?;
            }
            NodeKind::Transposed { window, groups, layer } => {
                words[field::KIND] = number::TRANSPOSED;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *groups as u32;
                let (inputs, outputs) = (in_channels / groups, out_channels / groups);
                let deep = depth(inputs);
                let [rows, columns] = window;
                let mut channels: Vec<Box<Channel<'_>>> = Vec::new();
                let mut indices: Vec<Box<Index<'_>>> = Vec::new();
                let mut depths = Vec::new();
                for row_phase in 0..rows.stride {
                    let vertical = rows.phase(output.height, row_phase);
                    for column_phase in 0..columns.stride {
                        let horizontal = columns.phase(output.width, column_phase);
                        let remainder = vertical.first_tap * columns.stride + horizontal.first_tap;
                        for group in 0..*groups {
                            let first = remainder * out_channels + group * outputs;
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
                self.put_layer(&mut words, node, layer, &parts, data)?;
            }
            NodeKind::Pool { window, kind } => {
                words[field::KIND] = number::POOL;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *kind as u32;
            }
            NodeKind::Elementwise { before, activation, after } => {
                words[field::KIND] = number::ELEMENTWISE;
                put_activation(&mut words, *activation);
                let mut floats = Vec::new();
                for (flag, affine) in [(FLAG_BEFORE, before), (FLAG_AFTER, after)] {
                    if let Some((scale, shift)) = affine {
                        words[field::FLAGS] |= flag;
                        for array in [scale, shift] {
                            floats.extend_from_slice(array);
                            floats.resize(floats.len().next_multiple_of(BLOCK), 0.0);
                        }
                    }
                }
                let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
                put_data(&mut words, field::PARAMETERS, &bytes, data);
            }
            NodeKind::Binary { kind, activation } => {
                words[field::KIND] = number::BINARY;
                words[field::ARGUMENTS] = *kind as u32;
                put_activation(&mut words, *activation);
            }
            NodeKind::Copy { at } => {
                words[field::KIND] = number::COPY;
                for (n, &at) in at.iter().enumerate() {
                    words[field::ARGUMENTS + n] = at as u32;
                }
            }
            NodeKind::Pad { before, kind } => {
                words[field::KIND] = number::PAD;
                let (mode, value) = match kind {
                    PadKind::Constant(value) => (0, *value),
                    PadKind::Edge => (1, 0.0),
                    PadKind::Reflect => (2, 0.0),
                };
                words[field::ARGUMENTS] = mode;
                words[field::ARGUMENTS + 1] = before[0] as u32;
                words[field::ARGUMENTS + 2] = before[1] as u32;
                words[field::ARGUMENTS + 3] = value.to_bits();
            }
            NodeKind::Resize { scale, coordinates, interpolation } => {
                words[field::KIND] = number::RESIZE;
                words[field::ARGUMENTS] = *interpolation as u32;
                words[field::ARGUMENTS + 1] = *coordinates as u32;
                words[field::ARGUMENTS + 2] = scale[0].to_bits();
                words[field::ARGUMENTS + 3] = scale[1].to_bits();
            }
            NodeKind::Softmax => words[field::KIND] = number::SOFTMAX,
            NodeKind::L2Normalize { epsilon } => {
                words[field::KIND] = number::L2_NORMALIZE;
                words[field::ARGUMENTS] = epsilon.to_bits();
            }
            NodeKind::Reshape => words[field::KIND] = number::REORDER,
        }
        Ok(words)
    }

    /// Whether a convolution is worth transformed weights: enough pixels that arithmetic, not the weights' way from memory,
    /// is what takes time. Below 8x8 there is still a third to a half to gain, but there weights are most of the file:
    /// ResNet-18 on 32x32 images in f16 would be a tenth faster for two fifths more bytes.
    fn is_winograd(
        &self,
        input: &Value<'_>,
        output: &Value<'_>,
        window: &[Axis; 2],
        groups: usize,
        layer: &LayerPlan,
    ) -> bool {
        self.winograd
            && can_be_winograd(input, output, window, groups)
            && output.height * output.width >= 64
            && input.channels >= BLOCK
            && output.channels >= BLOCK
            && stay_finite(&layer.weights)
    }

    /// Packs the parts of a layer one after the other and adds their parameters.
    fn put_layer(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        parts: &[Part<'_>],
        data: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
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
        words[field::WEIGHTS_TYPE] = layer.weights.kind() as u32;
        put_data(words, field::WEIGHTS, &packed, data);
        self.put_parameters(words, node, layer, &rows, data);
        Ok(())
    }

    fn put_depthwise(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        window: &[Axis; 2],
        data: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let channels = self.values[node.output].extents[0];
        let taps = window[0].kernel * window[1].kernel;
        let padded = channels.next_multiple_of(BLOCK);
        let mut packed = Vec::new();
        for tap in 0..taps {
            for channel in 0..padded {
                let at = (channel < channels).then_some(channel * taps + tap);
                match &layer.weights {
                    Plain::Float(weights, kind) => {
                        let weight = at.map_or(0.0, |at| weights[at]);
                        put_float(weight, *kind, &mut packed);
                    }
                    Plain::Int8(weights) => packed.push(at.map_or(0, |at| weights[at] as u8)),
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
        words[field::WEIGHTS_TYPE] = layer.weights.kind() as u32;
        put_data(words, field::WEIGHTS, &packed, data);
        self.put_parameters(words, node, layer, &rows, data);
        Ok(())
    }
}

/// The output channel of a row; in a transposed convolution the channels of each remainder of a tap's place count on.
type Channel<'a> = dyn Fn(usize) -> Option<usize> + 'a;

/// The plain weight at a row and depth.
type Index<'a> = dyn Fn(usize, usize) -> Option<usize> + 'a;

/// Rows of weights that are packed together: a group, or a phase's group.
struct Part<'a> {
    rows: usize,
    depth: usize,
    /// The output channel of a row (in the plain order); `None` for padding.
    channel: &'a Channel<'a>,
    /// The plain weight at a row and depth; `None` for padding.
    index: &'a Index<'a>,
}

/// The channel-first index of the element at `position` in memory (no halo); `None` for padding between pixels.
fn logical(value: &Value<'_>, position: usize) -> Option<usize> {
    let (pixel, channel) = (position / value.stride(), position % value.stride());
    (channel < value.channels).then(|| channel * value.height * value.width + pixel)
}

/// Whether no transformed weight becomes infinite by rounding to binary16: the largest is a quarter of the sum of nine.
fn stay_finite(weights: &Plain) -> bool {
    const LIMIT: f32 = 65504.0 * 4.0 / 9.0;
    match weights {
        Plain::Float(weights, WeightType::F16) => weights.iter().all(|weight| weight.abs() <= LIMIT),
        _ => true,
    }
}

/// The 16 kernels `[4 * row + column][output][input]` G g G^T of 3x3 weights g, computed in f64.
fn transformed(layer: &LayerPlan, outputs: usize, inputs: usize) -> Plain {
    let Plain::Float(weights, kind) = &layer.weights else { return layer.weights.clone() };
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
    Plain::Float(kernels, *kind)
}

pub(super) fn put_data(words: &mut [u32; OPERATOR_RECORD / 4], at: usize, bytes: &[u8], data: &mut Vec<u8>) {
    data.resize(align(data.len() as u64) as usize, 0);
    words[at] = data.len() as u32;
    words[at + 1] = bytes.len() as u32;
    data.extend_from_slice(bytes);
}
