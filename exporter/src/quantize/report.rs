//! What quantization costs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::histogram::Histogram;
use super::insert::Inserted;
use super::observe::in_batches;
use super::plan::Plan;
use super::{Calibrator, Inputs, Options, Parameters, QuantizeError, Source, WeightRange};
use crate::graph::interpret::{self, Array};
use crate::graph::{Graph, ValueId};

/// What was quantized, how, and what it costs on inputs that were not calibrated with. Ratios are in dB; `None` where
/// nothing differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where inputs came from.
    pub source: Source,
    /// How many samples ranges were observed on.
    pub calibration_samples: usize,
    /// How many samples the figures are from.
    pub held_out_samples: usize,
    /// The calibrator's name.
    pub calibrator: &'static str,
    /// Percent of the values that the calibrator keeps, if it is the percentile.
    pub percentile: Option<f64>,
    /// Whether each output channel has a scale of its own.
    pub per_channel: bool,
    /// How the weights' scales were chosen.
    pub weight_range: &'static str,
    /// The layers.
    pub layers: Vec<LayerReport>,
    /// The activations that are quantized.
    pub tensors: Vec<TensorReport>,
    /// The outputs.
    pub outputs: Vec<OutputReport>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Its operator.
    pub operator: &'static str,
    /// Whether it computes with integers.
    pub int8: bool,
    /// Why not, if it does not.
    pub why_float: Option<String>,
    /// Signal-to-noise ratio of its weights.
    pub weight_sqnr: Option<f64>,
}

/// A quantized activation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// The least and the greatest value that was observed; for a value that is moved from another, that one's.
    pub observed: [f32; 2],
    /// The least and the greatest value that there is an integer for.
    pub range: [f64; 2],
    /// The step from one integer to the next.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: u8,
    /// Signal-to-noise ratio against the float graph, with the errors of everything before it.
    pub sqnr: Option<f64>,
}

/// An output of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Signal-to-noise ratio.
    pub sqnr: Option<f64>,
    /// The same with the peak as the signal.
    pub psnr: Option<f64>,
    /// The greatest value less the least: as the model declares it, or as it was seen.
    pub peak: f64,
    /// The largest difference of two values.
    pub largest: f64,
    /// Cosine of the angle between an example's float and quantized outputs, mean over the examples; `None` where some are zero.
    pub cosine: Option<f64>,
    /// For vectors: how often the most similar other example (by cosine) is the same one, from 0 to 1.
    pub same_nearest: Option<f64>,
}

/// Signal and noise of one value.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    signal: f64,
    noise: f64,
}

impl Sums {
    fn of(float: &[f32], quantized: &[f32]) -> Sums {
        let mut sums = Sums::default();
        for (&float, &quantized) in float.iter().zip(quantized) {
            let (float, quantized) = (f64::from(float), f64::from(quantized));
            sums.signal += float * float;
            sums.noise += (float - quantized).powi(2);
        }
        sums
    }

    fn add(&mut self, other: Sums) {
        self.signal += other.signal;
        self.noise += other.noise;
    }
}

/// 10 log10(a / b), where it is finite.
fn decibels(signal: f64, noise: f64) -> Option<f64> {
    Some(10.0 * (signal / noise).log10()).filter(|ratio| ratio.is_finite())
}

/// One batch: the sums of each quantized value, and each output of both graphs.
type Compared = (Vec<(ValueId, Sums)>, Vec<[Array<f32>; 2]>);

pub(super) fn report(
    float: &Graph,
    inserted: &Inserted,
    plan: &Plan,
    (observed, parameters): (&BTreeMap<ValueId, Histogram>, &BTreeMap<ValueId, Parameters>),
    inputs: &Inputs,
    options: &Options,
) -> Result<Report, QuantizeError> {
    let quantized = &inserted.graph;
    let compared: Vec<Compared> = in_batches(float, &inputs.held_out, |batch| {
        let expected = interpret::run_all(float, batch.clone())?;
        let found = interpret::run_all(quantized, batch)?;
        let data = |values: &[Option<Array<f32>>], id: ValueId| {
            values.get(id.0).cloned().flatten().unwrap_or(Array { shape: vec![0], data: vec![] })
        };
        let sums = inserted
            .dequantized
            .iter()
            .map(|(&value, &back)| (value, Sums::of(&data(&expected, value).data, &data(&found, back).data)));
        let outputs = float.outputs.iter().zip(&quantized.outputs);
        let outputs = outputs.map(|(a, b)| [data(&expected, a.value), data(&found, b.value)]);
        Ok((sums.collect(), outputs.collect()))
    })?;
    let mut sums: BTreeMap<ValueId, Sums> = BTreeMap::new();
    for (value, more) in compared.iter().flat_map(|(sums, _)| sums) {
        sums.entry(*value).or_default().add(*more);
    }
    let held_out_samples =
        compared.iter().filter_map(|(_, outputs)| outputs.first()?[0].shape.first()).sum::<usize>();
    let outputs = float.outputs.iter().enumerate().map(|(at, output)| {
        let pairs = compared.iter().filter_map(|(_, outputs)| outputs.get(at));
        output_report(output.name.clone(), pairs, options.peak)
    });
    Ok(Report {
        source: inputs.source,
        calibration_samples: inputs.calibration.count,
        held_out_samples,
        calibrator: options.calibrator.name(),
        percentile: match options.calibrator {
            Calibrator::Percentile(percentile) => Some(percentile),
            _ => None,
        },
        per_channel: options.weights.per_channel,
        weight_range: match options.weights.range {
            WeightRange::MinMax => "min-max",
            WeightRange::Mse => "mse",
        },
        layers: layers(float, inserted, plan),
        tensors: tensors(float, plan, observed, parameters, &sums),
        outputs: outputs.collect(),
    })
}

fn layers(float: &Graph, inserted: &Inserted, plan: &Plan) -> Vec<LayerReport> {
    let nodes = float.nodes.iter().enumerate();
    nodes
        .filter(|(at, _)| plan.layers.contains(at) || plan.float_layers.contains_key(at))
        .map(|(at, node)| LayerReport {
            name: node.name.clone(),
            operator: node.op.name(),
            int8: plan.layers.contains(&at),
            why_float: plan.float_layers.get(&at).cloned(),
            weight_sqnr: inserted.weights.get(&at).copied().filter(|ratio| ratio.is_finite()),
        })
        .collect()
}

/// In the order in which they are computed.
fn tensors(
    float: &Graph,
    plan: &Plan,
    observed: &BTreeMap<ValueId, Histogram>,
    parameters: &BTreeMap<ValueId, Parameters>,
    sums: &BTreeMap<ValueId, Sums>,
) -> Vec<TensorReport> {
    let in_order = float.inputs.iter().copied().chain(float.nodes.iter().map(|node| node.output));
    in_order
        .filter(|value| plan.quantized.contains(value))
        .filter_map(|value| {
            let representative = plan.representative(value);
            let parameters = parameters.get(&representative)?;
            let own = observed.get(&value).or_else(|| observed.get(&representative));
            let sums = sums.get(&value).copied().unwrap_or_default();
            Some(TensorReport {
                name: float.value(value).name.clone(),
                observed: own.map_or([0.0; 2], |histogram| [histogram.low, histogram.high]),
                range: parameters.range(),
                scale: parameters.scale,
                zero_point: parameters.zero_point,
                sqnr: decibels(sums.signal, sums.noise),
            })
        })
        .collect()
}

fn output_report<'a>(
    name: String,
    pairs: impl Iterator<Item = &'a [Array<f32>; 2]>,
    peak: Option<f64>,
) -> OutputReport {
    let (mut sums, mut count, mut largest) = (Sums::default(), 0usize, 0.0f64);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    // Each example's output, as the two graphs give it.
    let mut examples: Vec<[&[f32]; 2]> = Vec::new();
    let mut is_vector = true;
    for [float, quantized] in pairs {
        sums.add(Sums::of(&float.data, &quantized.data));
        count += float.data.len();
        for (&a, &b) in float.data.iter().zip(&quantized.data) {
            (low, high) = (low.min(a.into()), high.max(a.into()));
            let error = (f64::from(a) - f64::from(b)).abs();
            // A NaN would vanish in a maximum.
            largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
        }
        is_vector &= float.shape.len() == 2 && float.shape[1] > 1;
        let length = float.shape.iter().skip(1).product::<usize>().max(1);
        let both = float.data.chunks(length).zip(quantized.data.chunks(length));
        examples.extend(both.map(|(float, quantized)| [float, quantized]));
    }
    let peak = peak.unwrap_or(high - low);
    let cosines = examples.iter().map(|[float, quantized]| cosine(float, quantized)).sum::<f64>();
    OutputReport {
        name,
        sqnr: decibels(sums.signal, sums.noise),
        psnr: decibels(peak * peak, sums.noise / count.max(1) as f64),
        peak,
        largest,
        cosine: Some(cosines / examples.len().max(1) as f64).filter(|cosine| cosine.is_finite()),
        same_nearest: (is_vector && examples.len() > 2).then(|| same_nearest(&examples)),
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// How often an example's most similar other example is the same by both graphs' outputs.
fn same_nearest(examples: &[[&[f32]; 2]]) -> f64 {
    let nearest = |at: usize, graph: usize| {
        let others = (0..examples.len()).filter(|&other| other != at);
        others
            .map(|other| (other, cosine(examples[at][graph], examples[other][graph])))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(other, _)| other)
    };
    let same = (0..examples.len()).filter(|&at| nearest(at, 0) == nearest(at, 1)).count();
    same as f64 / examples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_an_output() {
        let array = |shape: &[usize], data: &[f32]| Array { shape: shape.to_vec(), data: data.to_vec() };
        let pair = [array(&[2, 2], &[3.0, 4.0, 0.0, -1.0]), array(&[2, 2], &[3.0, 4.0, 0.1, -1.0])];
        let found = output_report("y".into(), [&pair].into_iter(), None);
        assert_eq!(found.peak, 5.0);
        assert!((found.largest - 0.1).abs() < 1e-7);
        // Noise 0.01 / 4 a value, signal 26 / 4.
        assert!((found.psnr.unwrap() - 10.0 * (25.0f64 / 0.0025).log10()).abs() < 1e-5);
        assert!((found.sqnr.unwrap() - 10.0 * (26.0f64 / 0.01).log10()).abs() < 1e-5);
        assert!((found.cosine.unwrap() - (1.0 + 1.0 / 1.01f64.sqrt()) / 2.0).abs() < 1e-7);
        let same = output_report("y".into(), [&[pair[0].clone(), pair[0].clone()]].into_iter(), Some(2.0));
        assert_eq!((same.psnr, same.sqnr, same.peak, same.largest), (None, None, 2.0, 0.0));
    }

    #[test]
    fn nearest_examples() {
        let float: [&[f32]; 4] = [&[1.0, 0.0], &[0.9, 0.1], &[0.0, 1.0], &[0.2, 0.9]];
        let pairs = |quantized: [&'static [f32]; 4]| -> Vec<[&[f32]; 2]> {
            float.iter().zip(quantized).map(|(&float, quantized)| [float, quantized]).collect()
        };
        assert_eq!(same_nearest(&pairs([&[2.0, 0.0], &[9.0, 1.0], &[0.0, 1.0], &[0.2, 0.9]])), 1.0);
        assert_eq!(same_nearest(&pairs([&[1.0, 0.0], &[0.1, 0.9], &[0.0, 1.0], &[1.0, 0.1]])), 0.0);
    }
}
