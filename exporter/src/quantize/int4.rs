//! Weights of 4 bits: the integers of a quantized graph's layers become the nearest of 16 for each layer, by Lloyd's
//! algorithm (Lloyd, "Least squares quantization in PCM", 1982), and biases take up what that shifts on average. All else
//! stays, so the graph says what the packed model computes.

use std::collections::HashMap;

use latent_runtime::ops::CODES;

use super::{QuantizeError, Samples, in_batches};
use crate::graph::interpret;
use crate::graph::{Content, Elements, Graph, Op, Tensor, ValueId};

/// A layer stays in 8 bits if the model has more weights than so many times its own: there is little to gain, and first and
/// last layers are of this kind.
const FEW: usize = 64;
/// The most rounds of Lloyd's algorithm.
const ROUNDS: usize = 100;

/// What became of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Int4Layer {
    /// The node's name.
    pub name: String,
    /// How many weights it has.
    pub weights: usize,
    /// Signal-to-noise ratio of the weights in 4 bits against those in 8, in dB; `None` where they stay in 8.
    pub sqnr: Option<f64>,
}

/// A layer of integers.
struct Layer {
    node: usize,
    integers: ValueId,
    scales: ValueId,
    /// Integers and scales.
    bias: Option<[ValueId; 2]>,
    /// What it reads.
    input: ValueId,
}

/// Rewrites the weights of a graph that [`super::quantize`] gave. `samples` tell what layers read on average. Depthwise
/// layers, and transposed convolutions in groups, stay as they are.
///
/// # Errors
/// When the graph cannot be evaluated on the samples.
pub fn to_int4(graph: &mut Graph, samples: &Samples) -> Result<Vec<Int4Layer>, QuantizeError> {
    let layers = layers(graph);
    let weights = |layer: &Layer| graph.constant(layer.integers).map_or(0, Tensor::len);
    let total: usize = layers.iter().map(weights).sum();
    let means = means(graph, samples, &layers)?;
    let mut report = Vec::new();
    for (layer, means) in layers.iter().zip(means) {
        let weights = graph.constant(layer.integers).map_or(0, Tensor::len);
        let sqnr = if weights * FEW < total { None } else { rewrite(graph, layer, &means) };
        report.push(Int4Layer { name: graph.nodes[layer.node].name.clone(), weights, sqnr });
    }
    Ok(report)
}

fn layers(graph: &Graph) -> Vec<Layer> {
    let dequantize = |id: ValueId| {
        let node = graph.nodes.iter().find(|node| node.output == id)?;
        matches!(node.op, Op::Dequantize { .. }).then(|| [node.inputs[0], node.inputs[1]])
    };
    let found = graph.nodes.iter().enumerate().filter_map(|(index, node)| {
        let fits = match &node.op {
            Op::Gemm(_) => true,
            Op::Conv(conv) => conv.groups == 1,
            Op::ConvTranspose(conv) => conv.groups == 1,
            _ => false,
        };
        let [integers, scales] = fits.then(|| dequantize(*node.inputs.get(1)?)).flatten()?;
        matches!(graph.constant(integers)?.elements(), Elements::I8(_)).then(|| Layer {
            node: index,
            integers,
            scales,
            bias: node.inputs.get(2).and_then(|&bias| dequantize(bias)),
            input: node.inputs[0],
        })
    });
    found.collect()
}

/// The mean of each input channel of each layer.
fn means(graph: &Graph, samples: &Samples, layers: &[Layer]) -> Result<Vec<Vec<f64>>, QuantizeError> {
    let sums = in_batches(graph, samples, |batch| {
        let computed = interpret::run_all(graph, batch)?;
        let of = |layer: &Layer| {
            let Some(array) = computed.get(layer.input.0).and_then(Option::as_ref) else { return Vec::new() };
            let channels = array.shape.get(1).copied().unwrap_or(1).max(1);
            let inner: usize = array.shape.iter().skip(2).product::<usize>().max(1);
            let mut sums = vec![0.0; channels];
            for (at, &value) in array.data.iter().enumerate() {
                sums[at / inner % channels] += f64::from(value);
            }
            let count = (array.data.len() / channels).max(1) as f64;
            sums.iter().map(|sum| sum / count).collect::<Vec<_>>()
        };
        Ok(layers.iter().map(of).collect::<Vec<_>>())
    })?;
    // Batches are of one size, but perhaps for the last: a mean of means.
    let mut means: HashMap<usize, Vec<f64>> = HashMap::new();
    for batch in &sums {
        for (layer, of_batch) in batch.iter().enumerate() {
            let mean = means.entry(layer).or_insert_with(|| vec![0.0; of_batch.len()]);
            for (sum, mean) in mean.iter_mut().zip(of_batch) {
                *sum += mean / sums.len() as f64;
            }
        }
    }
    Ok((0..layers.len()).map(|layer| means.remove(&layer).unwrap_or_default()).collect())
}

/// Gives a layer weights of 4 bits; their signal-to-noise ratio.
fn rewrite(graph: &mut Graph, layer: &Layer, means: &[f64]) -> Option<f64> {
    let tensor = graph.constant(layer.integers)?;
    let Elements::I8(old) = tensor.elements() else { return None };
    let (old, shape) = (old.clone(), tensor.shape().to_vec());
    let scales = graph.constant(layer.scales)?.floats()?.to_vec();
    let inner: usize = shape.iter().skip(2).product();
    // Of a weight: its output channel, its input channel. A transposed convolution's taps are divided among its phases.
    let op = graph.nodes[layer.node].op.clone();
    let (is_transposed, phases) = match &op {
        Op::ConvTranspose(conv) => (true, conv.window.stride.iter().product::<usize>()),
        _ => (false, 1),
    };
    let (first, second) = (shape[0], *shape.get(1)?);
    let channels = move |at: usize| {
        let (a, b) = (at / inner / second % first, at / inner % second);
        if is_transposed { (b, a) } else { (a, b) }
    };
    let scale = |output: usize| f64::from(scales[output % scales.len()]);
    // Weighted by what is multiplied as well, images are further from fp32's.
    let importance = |at: usize| scale(channels(at).0).powi(2);
    let mut histogram = [0.0; 256];
    for (at, &weight) in old.iter().enumerate() {
        histogram[(i16::from(weight) + 128) as usize] += importance(at);
    }
    let nearest = nearest(&codebook(&histogram));
    let new: Vec<i8> = old.iter().map(|&weight| nearest[(i16::from(weight) + 128) as usize]).collect();
    let outputs = if is_transposed { second } else { first };
    let (mut signal, mut noise, mut shift) = (0.0, 0.0, vec![0.0; outputs]);
    for (at, (&old, &new)) in old.iter().zip(&new).enumerate() {
        let (output, input) = channels(at);
        let mean = means.get(input).copied().unwrap_or_default();
        let off = f64::from(i16::from(new) - i16::from(old));
        signal += importance(at) * f64::from(old).powi(2);
        noise += importance(at) * off.powi(2);
        shift[output] += scale(output) * off * mean / phases as f64;
    }
    if let Some([bias, bias_scales]) = layer.bias {
        let steps = graph.constant(bias_scales)?.floats()?.to_vec();
        let Elements::I32(values) = graph.constant(bias)?.elements() else { return None };
        let corrected = values.iter().zip(&shift).enumerate().map(|(at, (&value, shift))| {
            let step = f64::from(steps[at % steps.len()]);
            (f64::from(value) - shift / step).round_ties_even() as i32
        });
        let corrected: Vec<i32> = corrected.collect();
        let tensor = Tensor::new(vec![corrected.len()], Elements::I32(corrected))?;
        graph.values[bias.0].content = Content::Constant(tensor);
    }
    graph.values[layer.integers.0].content = Content::Constant(Tensor::new(shape, Elements::I8(new))?);
    Some(10.0 * (signal / noise).log10())
}

/// The integers with the least weighted squared error, ascending, as Lloyd's algorithm finds them from quantiles on; the
/// one next to zero is zero. `histogram[w + 128]` is the weight of the integer `w`.
fn codebook(histogram: &[f64; 256]) -> [i8; CODES] {
    let total: f64 = histogram.iter().sum();
    let (mut codes, mut below, mut next) = ([0.0; CODES], 0.0, 0);
    for (at, weight) in histogram.iter().enumerate() {
        below += weight;
        while next < CODES && below >= total * (next as f64 + 0.5) / CODES as f64 {
            codes[next] = at as f64 - 128.0;
            next += 1;
        }
    }
    for _ in 0..ROUNDS {
        let (mut weights, mut sums) = ([0.0; CODES], [0.0; CODES]);
        let mut code = 0;
        for (at, weight) in histogram.iter().enumerate() {
            let value = at as f64 - 128.0;
            while code + 1 < CODES && (codes[code + 1] - value).abs() <= (codes[code] - value).abs() {
                code += 1;
            }
            weights[code] += weight;
            sums[code] += weight * value;
        }
        let before = codes;
        for (code, (weight, sum)) in codes.iter_mut().zip(weights.iter().zip(sums)) {
            *code = if *weight > 0.0 { sum / weight } else { *code };
        }
        codes.sort_by(f64::total_cmp);
        if codes == before {
            break;
        }
    }
    let mut codes = codes.map(|code| code.round_ties_even() as i8);
    if let Some(least) = codes.iter_mut().min_by_key(|code| code.unsigned_abs()) {
        *least = 0;
    }
    codes.sort_unstable();
    codes
}

/// What each integer becomes.
fn nearest(codes: &[i8; CODES]) -> [i8; 256] {
    std::array::from_fn(|at| {
        let off = |code: &&i8| (i32::from(**code) - (at as i32 - 128)).abs();
        codes.iter().min_by_key(off).copied().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codebook_is_as_near_as_the_values_allow() {
        // Sixteen values or fewer are kept.
        let values: [i8; 5] = [-127, -3, 0, 50, 127];
        let mut histogram = [0.0; 256];
        values.iter().for_each(|&value| histogram[(i16::from(value) + 128) as usize] = 1.0);
        let kept = nearest(&codebook(&histogram));
        assert!(values.iter().all(|&value| kept[(i16::from(value) + 128) as usize] == value), "{kept:?}");
        // Of a bell, values near the middle are nearer to a code than those of uniform steps of the same number.
        let bell: [f64; 256] = std::array::from_fn(|at| (-((at as f64 - 128.0) / 30.0).powi(2) / 2.0).exp());
        let codes = codebook(&bell);
        assert!(codes.is_sorted() && codes.contains(&0), "{codes:?}");
        let error = |of: &dyn Fn(usize) -> f64| -> f64 {
            bell.iter().enumerate().map(|(at, weight)| weight * (of(at) - (at as f64 - 128.0)).powi(2)).sum()
        };
        let found = nearest(&codes);
        let lloyd = error(&|at| f64::from(found[at]));
        let uniform = error(&|at| ((at as f64 - 128.0) / 17.0).round() * 17.0);
        // Max ("Quantizing for minimum distortion", 1960): 0.009501 of the variance for 16 levels.
        let distortion = lloyd / bell.iter().sum::<f64>() / 900.0;
        assert!(lloyd < uniform && (0.009..0.0125).contains(&distortion), "{distortion} {lloyd} {uniform}");
    }
}
