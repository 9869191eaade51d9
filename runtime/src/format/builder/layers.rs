//! Operators with weights: their shapes, types and lengths are checked, groups that the kernels do not know spread.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;

use super::error::{BuildError, length_error, shape_error};
use super::node::{BuildValue, Extents, owned_affine};
use super::spec::{Element, LayerSpec, PlainBias, PlainWeights};
use super::{Builder, ValueId};
use crate::format::ops::{OperatorKind, gains_by_winograd};
use crate::format::pack::{OwnedBias, OwnedWeights, PlainLayer, codebook};
use crate::ops::{GROUP, WeightType, Window};

impl Builder {
    /// A fully connected layer over all of `input` in channel-first order; weights `[output][input]`.
    ///
    /// # Errors
    /// If lengths or types do not fit.
    pub fn fully_connected(
        &mut self,
        name: &str,
        input: ValueId,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let inputs: usize = self.extents(input).iter().product();
        let given = spec.weights.len();
        let outputs = given / inputs;
        if given == 0 || !given.is_multiple_of(inputs) {
            return Err(length_error(name, "weights", given, inputs.max(1)));
        }
        let layer = self.layer(name, input, &spec, given, [1, outputs])?;
        self.add_layer(name, OperatorKind::FullyConnected(layer), input, [outputs, 1, 1], &spec)
    }

    /// A convolution; weights `[output][input / groups][rows][columns]`. With as many groups as input and output
    /// channels it becomes a depthwise one.
    ///
    /// # Errors
    /// If lengths, shapes or types do not fit.
    pub fn convolution(
        &mut self,
        name: &str,
        input: ValueId,
        window: Window,
        groups: usize,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        let per_output = self.per_output(name, channels, groups, &window)?;
        let given = spec.weights.len();
        let outputs = given / per_output;
        if outputs == 0 || !given.is_multiple_of(per_output) || !outputs.is_multiple_of(groups) {
            return Err(length_error(name, "weights", given, per_output * groups));
        }
        let (rows, columns) = match (window.count(0, height, false), window.count(1, width, false)) {
            (Some(rows), Some(columns)) => (rows, columns),
            _ => return Err(shape_error(name, "the kernel is larger than the padded input")),
        };
        let mut layer = self.layer(name, input, &spec, given, [1, outputs])?;
        let axes = window.axes();
        let kind = if groups > 1 && groups == channels && outputs == channels {
            if let OwnedWeights::Int4(weights) = layer.weights {
                layer.weights = OwnedWeights::Int8(weights);
            }
            OperatorKind::Depthwise { window: axes, layer }
        } else {
            let mut groups = groups;
            if groups > 1
                && layer.weights.weight_type().is_integer()
                && !(channels / groups).is_multiple_of(GROUP)
            {
                let taps = window.kernel[0] * window.kernel[1];
                expand_groups(&mut layer.weights, groups, outputs, channels / groups, taps);
                groups = 1;
            }
            let output = BuildValue::new(name, [outputs, rows, columns], spec.output);
            let output = output.value();
            let winograd = self.winograd
                && gains_by_winograd(&self.values[input.0].value(), &output, &axes, groups, &layer.weights);
            OperatorKind::Convolution { window: axes, groups, winograd, layer }
        };
        self.add_layer(name, kind, input, [outputs, rows, columns], &spec)
    }

    /// A transposed convolution; weights `[input][output / groups][rows][columns]`, dilation 1. `output` is the size
    /// of the result: `(in - 1) * stride + kernel - pads + output padding` along each axis.
    ///
    /// # Errors
    /// If lengths, shapes or types do not fit.
    pub fn transposed(
        &mut self,
        name: &str,
        input: ValueId,
        window: Window,
        output: [usize; 2],
        groups: usize,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        if window.dilation != [1, 1] {
            return Err(shape_error(name, "a transposed convolution must have dilation 1"));
        }
        let taps = window.kernel[0] * window.kernel[1];
        self.per_output(name, channels, groups, &window)?;
        let given = spec.weights.len();
        let outputs = given / (channels * taps) * groups;
        if outputs == 0 || !given.is_multiple_of(channels * taps) {
            return Err(length_error(name, "weights", given, channels * taps));
        }
        for (n, input) in [height, width].into_iter().enumerate() {
            // What the inputs reach, less the pad before; more is output padding and must stay below the stride.
            let full = (input - 1) * window.stride[n] + window.kernel[n];
            let least = full.saturating_sub(window.pads[n] + window.pads[n + 2]).max(window.stride[n]);
            if output[n] < least || output[n] > least + window.stride[n].max(window.pads[n + 2]) {
                return Err(shape_error(
                    name,
                    "the output's size does not follow from kernel, stride and pads",
                ));
            }
        }
        let phases = window.stride[0].saturating_mul(window.stride[1]);
        let mut layer = self.layer(name, input, &spec, given, [phases, outputs])?;
        let mut groups = groups;
        if groups > 1
            && layer.weights.weight_type().is_integer()
            && !(channels / groups).is_multiple_of(GROUP)
        {
            expand_transposed_groups(&mut layer.weights, groups, outputs, channels, taps);
            groups = 1;
        }
        let kind = OperatorKind::Transposed { window: window.axes(), groups, layer };
        self.add_layer(name, kind, input, [outputs, output[0], output[1]], &spec)
    }

    fn add_layer(
        &mut self,
        name: &str,
        kind: OperatorKind<PlainLayer, Vec<f32>>,
        input: ValueId,
        extents: Extents,
        spec: &LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        if let Some(residual) = spec.residual {
            let value = &self.values[residual.0];
            if value.extents != extents {
                return Err(shape_error(name, "the residual has another shape than the output"));
            }
            if value.element.kind() != spec.output.kind() {
                return Err(BuildError::Types {
                    operator: name.to_owned(),
                    what: "the residual has another element type than the output",
                });
            }
        }
        self.add(name, kind, input, spec.residual, extents, spec.output)
    }

    pub(super) fn per_output(
        &self,
        name: &str,
        channels: usize,
        groups: usize,
        window: &Window,
    ) -> Result<usize, BuildError> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(shape_error(name, "the groups do not divide the input channels"));
        }
        let sizes = [window.kernel, window.stride, window.dilation];
        if sizes.iter().flatten().any(|&size| size == 0 || size > 1 << 16)
            || window.pads.iter().any(|&pad| pad > 1 << 16)
        {
            return Err(shape_error(
                name,
                "kernel, stride and dilation must be 1 to 65536, pads at most 65536",
            ));
        }
        Ok(channels / groups * window.kernel[0] * window.kernel[1])
    }

    /// `phases` may each have scales and biases of their own.
    fn layer(
        &self,
        name: &str,
        input: ValueId,
        spec: &LayerSpec<'_>,
        weights: usize,
        [phases, outputs]: [usize; 2],
    ) -> Result<PlainLayer, BuildError> {
        let types = |what| BuildError::Types { operator: name.to_owned(), what };
        let check = |what, found: usize, expected: usize| {
            if found == expected { Ok(()) } else { Err(length_error(name, what, found, expected)) }
        };
        let check_rows = |what, found: usize| match found == phases.saturating_mul(outputs) {
            true => Ok(()),
            false => check(what, found, outputs),
        };
        let of_rows = |scales: &[f32]| match scales {
            [scale] => Ok(vec![*scale; outputs]),
            _ => check_rows("weight scales", scales.len()).map(|()| scales.to_vec()),
        };
        let (plain, scales) = match spec.weights {
            PlainWeights::F32(values) => (OwnedWeights::Float(values.to_vec(), WeightType::F32), Vec::new()),
            PlainWeights::F16(values) => (OwnedWeights::Float(values.to_vec(), WeightType::F16), Vec::new()),
            PlainWeights::Bf16(values) => {
                (OwnedWeights::Float(values.to_vec(), WeightType::Bf16), Vec::new())
            }
            PlainWeights::I4 { values, .. } if codebook(values.iter().copied()).is_none() => {
                return Err(types("int4 weights have at most 16 different values, zero among them"));
            }
            PlainWeights::I4 { values, scales } => (OwnedWeights::Int4(values.to_vec()), of_rows(scales)?),
            PlainWeights::I8 { values, scales } => (OwnedWeights::Int8(values.to_vec()), of_rows(scales)?),
        };
        check("weights", plain.len(), weights)?;
        let int8 = plain.weight_type().is_integer();
        if self.element(input).kind() != plain.weight_type().input() {
            return Err(types(if int8 {
                "int8 weights need a U8 input; quantize it first"
            } else {
                "float weights need an F32 input; dequantize it first"
            }));
        }
        if !int8 && spec.output != Element::F32 {
            return Err(types("float weights give an F32 output; quantize it after"));
        }
        let bias = match spec.bias {
            PlainBias::None if int8 => OwnedBias::I32(vec![0; outputs]),
            PlainBias::None => OwnedBias::F32(vec![0.0; outputs]),
            PlainBias::F32(bias) => {
                check_rows("biases", bias.len())?;
                OwnedBias::F32(bias.to_vec())
            }
            PlainBias::I32(bias) => {
                check_rows("biases", bias.len())?;
                if !int8 {
                    return Err(types("an integer bias needs int8 weights"));
                }
                OwnedBias::I32(bias.to_vec())
            }
        };
        let after = owned_affine(name, spec.after, outputs)?;
        Ok(PlainLayer { weights: plain, scales, bias, activation: spec.activation, after })
    }
}

/// Turns grouped int8 weights `[output][input / groups][taps]` into those of one group, with zeros between groups.
fn expand_groups(weights: &mut OwnedWeights, groups: usize, outputs: usize, inputs: usize, taps: usize) {
    let (OwnedWeights::Int8(plain) | OwnedWeights::Int4(plain)) = weights else { return };
    let mut dense = vec![0; outputs * inputs * groups * taps];
    for output in 0..outputs {
        let group = output / (outputs / groups);
        let from = output * inputs * taps;
        let to = (output * groups + group) * inputs * taps;
        dense[to..to + inputs * taps].copy_from_slice(&plain[from..from + inputs * taps]);
    }
    *plain = dense;
}

/// As [`expand_groups`] for `[input][output / groups][taps]`.
fn expand_transposed_groups(
    weights: &mut OwnedWeights,
    groups: usize,
    outputs: usize,
    inputs: usize,
    taps: usize,
) {
    let (OwnedWeights::Int8(plain) | OwnedWeights::Int4(plain)) = weights else { return };
    let per_group = outputs / groups * taps;
    let mut dense = vec![0; inputs * outputs * taps];
    for input in 0..inputs {
        let group = input / (inputs / groups);
        let to = (input * groups + group) * per_group;
        dense[to..to + per_group].copy_from_slice(&plain[input * per_group..(input + 1) * per_group]);
    }
    *plain = dense;
}
