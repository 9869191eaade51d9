//! Fully connected layers and convolutions, with integers as weights where the model has them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use latent_runtime::format::{self, Element, LayerSpec, PlainBias, PlainWeights};

use latent_runtime::ops::CODES;

use super::elements::on;
use super::{Lowering, PackError, packed};
use crate::graph::{Dim, Interleaved, Node, Op, Tensor, Window, interpret};
use crate::pack::FloatPrecision;

/// How far the scale of a bias may be from that of the products and count as the same: a few roundings of a float.
const SAME_SCALE: f64 = 1e-6;

/// The integers of a layer.
struct Integers {
    weights: Vec<i8>,
    /// One for each output channel.
    scales: Vec<f32>,
    /// In units of input scale times weight scale.
    bias: Vec<i32>,
}

impl<'g> Lowering<'g> {
    /// A fully connected layer or a convolution, with its epilogue. It multiplies integers when both its input and its
    /// weights are integers, and floats otherwise.
    pub(super) fn layer(&mut self, node: &'g Node) -> Result<format::ValueId, PackError> {
        let mut input = self.input(node, 0)?;
        let mut residual = match node.epilogue.residual {
            Some(id) => Some(self.value(id)?.ok_or_else(|| self.error(node, "it adds a constant"))?),
            None => None,
        };
        let integers = match self.builder.element(input) {
            Element::U8 { scale, .. } => self.integers(node, scale)?,
            Element::F32 => None,
        };
        let is_float = |value| self.builder.element(value) == Element::F32;
        let output = match self.wanted(node.output) {
            // A residual of floats is added to floats, and the sum rounded after.
            Some(grid) if integers.is_some() && !residual.is_some_and(is_float) => on(grid),
            _ => Element::F32,
        };
        if let (Some(value), Element::F32) = (residual, output) {
            residual = Some(self.floats_of(node, "residual", value)?);
        }
        let activation = packed(node.epilogue.activation);
        let after = node.epilogue.affine.as_ref().map(|affine| (&*affine.scale, &*affine.shift));
        let fused = LayerSpec {
            residual,
            activation,
            after,
            output,
            ..LayerSpec::new(PlainWeights::F32(&[]), PlainBias::None)
        };
        if let Some(Integers { weights, scales, bias }) = integers {
            let weights = self.in_form(node, Cow::Owned(weights));
            let (scales, bias) = (by_phase(node, Cow::Owned(scales)), by_phase(node, Cow::Owned(bias)));
            let (values, scales) = (&*weights, &*scales);
            let different = || values.iter().chain(&[0]).collect::<BTreeSet<_>>().len();
            let weights = match self.int4 && different() <= CODES {
                true => PlainWeights::I4 { values, scales },
                false => PlainWeights::I8 { values, scales },
            };
            return self.place(node, input, LayerSpec { weights, bias: PlainBias::I32(&bias), ..fused });
        }
        input = self.floats_of(node, "input", input)?;
        let weights = self.in_form(node, self.floats(node, 1)?);
        let bias = if node.inputs.len() > 2 { Some(by_phase(node, self.floats(node, 2)?)) } else { None };
        let fit = |greatest: f32| weights.iter().all(|weight| weight.abs() <= greatest);
        let weights = match self.precision {
            FloatPrecision::F16 if fit(half::f16::MAX.to_f32()) => PlainWeights::F16(&weights),
            FloatPrecision::Bf16 if fit(half::bf16::MAX.to_f32()) => PlainWeights::Bf16(&weights),
            _ => PlainWeights::F32(&weights),
        };
        let bias = bias.as_deref().map_or(PlainBias::None, PlainBias::F32);
        self.place(node, input, LayerSpec { weights, bias, ..fused })
    }

    fn place(
        &mut self,
        node: &Node,
        input: format::ValueId,
        spec: LayerSpec<'_>,
    ) -> Result<format::ValueId, PackError> {
        let name = node.name.as_str();
        let [_, rows, columns] = self.result(node)?;
        Ok(match &node.op {
            Op::Conv(conv) => self.builder.convolution(name, input, conv.window, conv.groups, spec)?,
            Op::ConvTranspose(conv) => {
                let window = undilated(&conv.window);
                self.builder.transposed(name, input, window, [rows, columns], conv.groups, spec)?
            }
            Op::Interleaved(interleaved) => {
                let window = interleaved.transposed();
                self.builder.transposed(name, input, window, [rows, columns], 1, spec)?
            }
            _ => self.builder.fully_connected(name, input, spec)?,
        })
    }

    /// The integers of a layer whose input has the scale `input`; `None` when its weights are not integers, or are but
    /// cannot be multiplied as such: their scales vary within an output channel, they reach too far beyond 8 bits with a
    /// sign, or sums might exceed 32 bits.
    fn integers(&self, node: &Node, input: f32) -> Result<Option<Integers>, PackError> {
        let Some(quantized) = self.dequantized.get(&node.inputs[1]) else { return Ok(None) };
        let shape = self.graph.shape(node.inputs[1]);
        let lengths: Vec<usize> =
            shape.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { 1 }).collect();
        // The axis of output channels, and how often it repeats: once for each group.
        let (channel_axis, repeats) = match &node.op {
            Op::ConvTranspose(conv) => (1, conv.groups),
            _ => (0, 1),
        };
        let per_group = lengths[channel_axis];
        let outputs = per_group * repeats;
        let Some((weights, scales)) = self.plain(quantized, channel_axis) else { return Ok(None) };
        let inner: usize = lengths[channel_axis + 1..].iter().product();
        let narrowed = narrowed(&weights, scales, |at| at / inner % per_group, per_group);
        let Some((narrow, scales)) = narrowed else { return Ok(None) };
        let scales: Vec<f32> = (0..outputs).map(|at| scales[at % per_group]).collect();
        let units: Vec<f64> = scales.iter().map(|&scale| f64::from(scale) * f64::from(input)).collect();
        let Some(bias) = self.bias(node, &units)? else { return Ok(None) };
        // The sum of magnitudes of each channel's weights bounds its sums, whatever the input.
        let mut magnitudes = vec![0i64; outputs];
        for (at, &weight) in narrow.iter().enumerate() {
            let group = if repeats == 1 { 0 } else { at / (inner * per_group) / (lengths[0] / repeats) };
            magnitudes[group * per_group + at / inner % per_group] += i64::from(weight).abs();
        }
        let fits = |(magnitude, bias): (&i64, &i64)| magnitude * 255 + bias.abs() <= i64::from(i32::MAX);
        if !magnitudes.iter().zip(&bias).all(fits) {
            return Ok(None);
        }
        let bias = bias.into_iter().map(|bias| bias as i32).collect();
        Ok(Some(Integers { weights: narrow, scales, bias }))
    }

    /// A layer's bias in the given units, one for each output channel; `None` when it does not fit them.
    fn bias(&self, node: &Node, units: &[f64]) -> Result<Option<Vec<i64>>, PackError> {
        let Some(&id) = node.inputs.get(2) else { return Ok(Some(vec![0; units.len()])) };
        let round = |value: f64, unit: f64| {
            let steps = (value / unit).round_ties_even();
            (steps.abs() <= f64::from(i32::MAX)).then_some(steps as i64)
        };
        if let Some(quantized) = self.dequantized.get(&id)
            && let Some((values, scales)) = self.plain(quantized, 0)
        {
            let steps = values.iter().zip(units).enumerate().map(|(at, (&value, &unit))| {
                let scale = f64::from(scales[at % scales.len()]);
                // The usual case keeps its integers, however large they are.
                if (scale / unit - 1.0).abs() <= SAME_SCALE {
                    Some(value)
                } else {
                    round(value as f64 * scale, unit)
                }
            });
            return Ok(steps.collect());
        }
        let values = self.floats(node, 2)?;
        Ok(values.iter().zip(units).map(|(&value, &unit)| round(value.into(), unit)).collect())
    }

    /// The integers under a DequantizeLinear less their zero points, and their scales: one, or one for each place along
    /// `axis`. `None` when they vary along another axis.
    fn plain(&self, node: &Node, axis: usize) -> Option<(Vec<i64>, &'g [f32])> {
        let Op::Dequantize { axis: own } = node.op else { return None };
        let integers = self.graph.constant(node.inputs[0])?;
        let scales = self.graph.constant(node.inputs[1])?.floats()?;
        let zero_points = match node.inputs.get(2) {
            Some(&id) => self.graph.constant(id)?.integers()?,
            None => vec![0],
        };
        if own != axis && (scales.len() > 1 || zero_points.len() > 1) {
            return None;
        }
        let inner: usize = integers.shape().get(axis + 1..).unwrap_or_default().iter().product();
        let values = integers.integers()?.into_iter().enumerate();
        let values = values.map(|(at, value)| value - zero_points[at / inner % zero_points.len()]);
        Some((values.collect(), scales))
    }

    /// A layer's weights or bias as floats.
    pub(super) fn floats(&self, node: &Node, index: usize) -> Result<Cow<'g, [f32]>, PackError> {
        let graph = self.graph;
        if let Some(values) = graph.constant(node.inputs[index]).and_then(Tensor::floats) {
            return Ok(Cow::Borrowed(values));
        }
        let dequantized = self.dequantized.get(&node.inputs[index]).and_then(|node| {
            let inputs = node.inputs.iter().map(|&id| graph.constant(id)).collect::<Option<Vec<_>>>()?;
            Some(interpret::fold(&node.op, &inputs)?.floats()?.to_vec())
        });
        dequantized.map(Cow::Owned).ok_or_else(|| {
            self.error(node, format!("its input {index} is computed; only constant weights are supported"))
        })
    }

    /// A layer's weights as the format has them. It knows no dilation of transposed convolutions: a kernel with zeros
    /// between its elements is the same. And an interleaved convolution is a transposed one.
    fn in_form<'a, T: Copy + Default>(&self, node: &Node, weights: Cow<'a, [T]>) -> Cow<'a, [T]> {
        match (&node.op, &*self.graph.shape(node.inputs[1])) {
            (Op::ConvTranspose(conv), _) if conv.window.dilation != [1, 1] => {
                Cow::Owned(dilate(&weights, &conv.window))
            }
            (Op::Interleaved(interleaved), &[Dim::Size(all), Dim::Size(inputs), ..]) => {
                let (_, places) = interleaved.transposed_weights([all, inputs]);
                Cow::Owned(places.into_iter().map(|place| weights[place]).collect())
            }
            _ => weights,
        }
    }
}

/// One value for each output channel in the format's order: an interleaved convolution's by the phase that they go to.
fn by_phase<'a, T: Copy>(node: &Node, values: Cow<'a, [T]>) -> Cow<'a, [T]> {
    let Op::Interleaved(Interleaved { depth, .. }) = &node.op else { return values };
    let sources = depth.sources(values.len() / (depth.block * depth.block));
    Cow::Owned(sources.into_iter().map(|channel| values[channel]).collect())
}

/// The window of weights with zeros between.
fn undilated(window: &Window) -> Window {
    Window { kernel: [0, 1].map(|axis| window.extent(axis)), dilation: [1, 1], ..*window }
}

/// Kernels with zeros between their elements.
fn dilate<T: Copy + Default>(weights: &[T], window: &Window) -> Vec<T> {
    let ([rows, columns], [wide_rows, wide_columns]) =
        (window.kernel, [0, 1].map(|axis| window.extent(axis)));
    let mut wide = vec![T::default(); weights.len() / (rows * columns) * wide_rows * wide_columns];
    for (at, &weight) in weights.iter().enumerate() {
        let (kernel, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
        let to = (kernel * wide_rows + row * window.dilation[0]) * wide_columns + column * window.dilation[1];
        wide[to] = weight;
    }
    wide
}

/// How much coarser a channel's steps may become for its weights to fit 8 bits with a sign: by less than the error that
/// rounding to 8 bits made before.
const MOST_COARSE: f64 = 1.1;

/// Weights less their zero points as 8 bits with a sign, and a scale for each of `channels`. Unsigned weights with a zero
/// point that is not their middle reach beyond that: a channel with such is rounded anew to steps that are a little
/// larger. `None` when they would have to be larger than [`MOST_COARSE`] allows.
fn narrowed(
    weights: &[i64],
    scales: &[f32],
    channel: impl Fn(usize) -> usize,
    channels: usize,
) -> Option<(Vec<i8>, Vec<f32>)> {
    let mut largest = vec![0i64; channels];
    for (at, &weight) in weights.iter().enumerate() {
        let beyond = i8::try_from(weight).is_err();
        let most = &mut largest[channel(at)];
        *most = if beyond { weight.abs().max(*most) } else { *most };
    }
    // 1 for a channel that fits.
    let steps: Vec<f64> =
        largest.iter().map(|&most| if most == 0 { 1.0 } else { most as f64 / f64::from(i8::MAX) }).collect();
    if steps.iter().any(|&step| step > MOST_COARSE) {
        return None;
    }
    let narrow = weights.iter().enumerate().map(|(at, &weight)| {
        let step = steps[channel(at)];
        if step == 1.0 { weight as i8 } else { (weight as f64 / step).round_ties_even() as i8 }
    });
    let scales = (0..channels).map(|at| (f64::from(scales[at % scales.len()]) * steps[at]) as f32);
    Some((narrow.collect(), scales.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dilated_kernels_have_zeros_between() {
        let window = Window { kernel: [2, 2], stride: [1, 1], dilation: [1, 2], pads: [0; 4] };
        let wide = dilate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &window);
        assert_eq!(wide, [1.0, 0.0, 2.0, 3.0, 0.0, 4.0, 5.0, 0.0, 6.0, 7.0, 0.0, 8.0]);
    }
}
