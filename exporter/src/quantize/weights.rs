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

/// Quantizes the weights and the bias of a layer whose input has the scale `input`.
pub(super) fn quantize(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Elements, Gemm, TransposedConvolution, Window};
    use latent_runtime::rng::Rng;

    const GEMM: Op = Op::Gemm(Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true });
    const INPUT: Parameters = Parameters { scale: 0.5, zero_point: 3 };

    fn transposed(groups: usize) -> Op {
        let window = Window { kernel: [1, 2], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
        Op::ConvTranspose(TransposedConvolution { window, groups, output_padding: [0; 2] })
    }

    fn options(per_channel: bool, range: WeightRange) -> WeightOptions {
        WeightOptions { per_channel, range }
    }

    #[test]
    fn each_channel_has_its_scale() {
        // Operator, shape, weights, whether each channel has a scale; integers and scales times 127.
        type Case = (Op, &'static [usize], &'static [f32], bool, &'static [i8], &'static [f32]);
        let cases: [Case; 5] = [
            (GEMM, &[2, 2], &[1.0, -0.5, 0.25, 0.125], true, &[127, -64, 127, 64], &[1.0, 0.25]),
            (GEMM, &[2, 2], &[1.0, -0.5, 0.25, 0.125], false, &[127, -64, 32, 16], &[1.0]),
            // (in, out, 1, 2): the channels are on the second axis.
            (
                transposed(1),
                &[1, 2, 1, 2],
                &[1.0, -0.5, 0.25, 0.125],
                true,
                &[127, -64, 127, 64],
                &[1.0, 0.25],
            ),
            (transposed(1), &[2, 1, 1, 2], &[1.0, -0.5, 0.25, 0.125], true, &[127, -64, 32, 16], &[1.0]),
            (transposed(2), &[2, 1, 1, 2], &[1.0, -0.5, 0.25, 0.125], true, &[127, -64, 32, 16], &[1.0]),
        ];
        for (op, shape, weights, per_channel, integers, scales) in cases {
            let weight = Tensor::new(shape.to_vec(), Elements::F32(weights.to_vec())).unwrap();
            let found = quantize(&op, &weight, None, INPUT, options(per_channel, WeightRange::MinMax));
            assert_eq!(found.weights, integers, "{op:?} {shape:?}");
            let expected = scales.iter().map(|scale| scale / 127.0);
            assert!(expected.eq(found.scales.iter().copied()), "{op:?} {shape:?}: {:?}", found.scales);
            assert_eq!(found.bias, None);
        }
    }

    #[test]
    fn biases_are_in_steps_of_their_sums() {
        let weight = Tensor::new(vec![3, 1], Elements::F32(vec![1.27, 0.0, 1e-30])).unwrap();
        let bias = [1.0, -2.0, 3.0];
        let found = quantize(&GEMM, &weight, Some(&bias), INPUT, options(true, WeightRange::MinMax));
        assert_eq!(found.bias.as_ref().unwrap()[0], 200);
        // Channels without weights to speak of: the bias is still there, and fits.
        for ((value, &integer), &scale) in
            bias.iter().zip(found.bias.as_ref().unwrap()).zip(&found.bias_scales)
        {
            assert!(
                (f64::from(integer) * f64::from(scale) - f64::from(*value)).abs()
                    < 1e-6 + f64::from(scale) / 2.0
            );
            assert!(integer.unsigned_abs() <= 2 * MAX_BIAS as u32);
        }
        let one = quantize(&GEMM, &weight, Some(&bias), INPUT, options(false, WeightRange::MinMax));
        assert_eq!(one.bias, Some(vec![200, -400, 600]));
        assert_eq!((one.scales.len(), one.bias_scales.len()), (1, 1));

        let zeros = Tensor::new(vec![2, 2], Elements::F32(vec![0.0; 4])).unwrap();
        let found = quantize(&GEMM, &zeros, Some(&[0.0; 2]), INPUT, options(true, WeightRange::Mse));
        assert_eq!((found.weights, found.bias, found.sqnr), (vec![0; 4], Some(vec![0; 2]), f64::INFINITY));
        assert!(found.bias_scales.iter().all(|scale| scale.is_normal()));
    }

    #[test]
    fn the_least_error_cuts_off_what_is_rare() {
        let mut rng = Rng::from_seed(2);
        let mut values: Vec<f32> = (0..100_000).map(|_| rng.normal()).collect();
        values[17] = 8.0;
        let weight = Tensor::new(vec![1, 100_000], Elements::F32(values)).unwrap();
        let found = [WeightRange::MinMax, WeightRange::Mse]
            .map(|range| quantize(&GEMM, &weight, None, INPUT, options(true, range)));
        assert_eq!(found[0].scales, [8.0 / 127.0]);
        assert!(
            found[1].scales[0] < 6.5 / 127.0 && found[1].sqnr > found[0].sqnr + 0.5,
            "{:?}",
            found[1].scales
        );
    }
}
