//! Weights and biases as integers.

use super::calibrate::{MIN_SCALE, Parameters};
use super::{WeightOptions, WeightRange};
use crate::graph::{Op, Tensor};

/// The greatest integer of a weight. The least is its negative: weights are symmetric.
const MAX_WEIGHT: f32 = 127.0;

/// The greatest integer of a bias. With the sum of the products it fits in 32 bits.
const MAX_BIAS: f64 = (1 << 26) as f64;

/// A layer's weights and bias as integers.
#[derive(Debug, PartialEq)]
pub(super) struct IntegerWeights {
    /// In the order of the floats.
    pub(super) weights: Vec<i8>,
    /// One for each output channel, or one.
    pub(super) scales: Vec<f32>,
    /// The bias, in steps of `bias_scales`.
    pub(super) bias: Option<Vec<i32>>,
    /// The weights' scales times the input's.
    pub(super) bias_scales: Vec<f32>,
    /// Signal-to-noise ratio of the weights, in dB; infinite when they are exact.
    pub(super) sqnr: f64,
}

/// The axis of a layer's weights along which its output channels lie.
pub(super) fn output_axis(op: &Op) -> usize {
    if matches!(op, Op::ConvTranspose(_)) { 1 } else { 0 }
}

/// Quantises the weights and the bias of a layer whose input has the scale `input`.
pub(super) fn quantise(
    op: &Op,
    weight: &Tensor,
    bias: Option<&[f32]>,
    input: Parameters,
    options: WeightOptions,
) -> IntegerWeights {
    // A transposed convolution's second axis are the channels of one group: several channels of the output.
    let grouped = matches!(op, Op::ConvTranspose(conv) if conv.groups > 1);
    let axis = output_axis(op);
    let channels = if options.per_channel && !grouped { weight.shape()[axis] } else { 1 };
    let inner: usize = weight.shape()[axis + 1..].iter().product();
    let floats = weight.floats().unwrap_or_default();
    let channel_of = |at: usize| at / inner.max(1) % channels;
    let mut rows = vec![Vec::with_capacity(floats.len() / channels.max(1)); channels];
    for (at, &value) in floats.iter().enumerate() {
        rows[channel_of(at)].push(value);
    }
    let biases_of = |channel: usize| {
        bias.unwrap_or_default().iter().skip(channel).step_by(channels.max(1)).take(if channels == 1 {
            usize::MAX
        } else {
            1
        })
    };
    let scales: Vec<f32> = rows
        .iter()
        .enumerate()
        .map(|(channel, row)| {
            let largest_bias = biases_of(channel).fold(0.0f32, |largest, value| largest.max(value.abs()));
            // A channel whose weights are next to nothing may still have a bias.
            let least = (f64::from(largest_bias) / (f64::from(input.scale) * MAX_BIAS)) as f32;
            scale(row, options.range).max(least * 1.0001).max(MIN_SCALE)
        })
        .collect();
    let integer = |value: f32, scale: f32| (value / scale).round_ties_even().clamp(-MAX_WEIGHT, MAX_WEIGHT);
    let mut weights = Vec::with_capacity(floats.len());
    let (mut signal, mut noise) = (0.0, 0.0);
    for (at, &value) in floats.iter().enumerate() {
        let scale = scales[channel_of(at)];
        let integer = integer(value, scale);
        weights.push(integer as i8);
        signal += f64::from(value).powi(2);
        noise += f64::from(value - integer * scale).powi(2);
    }
    let bias_scales: Vec<f32> = scales.iter().map(|scale| input.scale * scale).collect();
    let bias = bias.map(|bias| {
        let integer = |(at, &value): (usize, &f32)| {
            let scale = f64::from(bias_scales[at % channels]);
            (f64::from(value) / scale).round_ties_even().clamp(-2.0 * MAX_BIAS, 2.0 * MAX_BIAS) as i32
        };
        bias.iter().enumerate().map(integer).collect()
    });
    let sqnr = if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() };
    IntegerWeights { weights, scales, bias, bias_scales, sqnr }
}

/// The scale for weights that share one; 0 when they are all zero.
fn scale(weights: &[f32], range: WeightRange) -> f32 {
    let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
    let whole = largest / MAX_WEIGHT;
    if whole < f32::MIN_POSITIVE {
        return 0.0;
    }
    let error = |scale: f32| -> f64 {
        let (inverse, mut error) = (1.0 / scale, 0.0f64);
        // In chunks, so that most of the sum is in 32 bits, and fast.
        for chunk in weights.chunks(256) {
            let square = |&weight: &f32| {
                let off =
                    weight - (weight * inverse).round_ties_even().clamp(-MAX_WEIGHT, MAX_WEIGHT) * scale;
                off * off
            };
            error += f64::from(chunk.iter().map(square).sum::<f32>());
        }
        error
    };
    match range {
        WeightRange::MinMax => whole,
        WeightRange::Mse => {
            let candidates = (0..=25).map(|step| whole * (1.0 - 0.02 * step as f32));
            candidates
                .map(|scale| (scale, error(scale)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(whole, |it| it.0)
        }
    }
}
