//! How far a packed model is from the ONNX model that it was made from.

use latent_runtime::backend::Backend;
use latent_runtime::latent::Distribution;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::rng::Rng;
use serde::Serialize;

use super::PackError;
use crate::graph::interpret::{self, Array};
use crate::graph::{Dim, Graph};
use crate::quantize::{Samples, per_example};
use crate::random_inputs::random_inputs;

/// How far a packed model's outputs are from the ONNX model's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Inputs that were tried.
    pub examples: usize,
    /// Greatest value of the ONNX model's outputs less the least.
    pub range: f64,
    /// The largest difference of two values.
    pub largest: f64,
    /// The square root of the mean of the squared differences.
    pub rms: f64,
}

impl Difference {
    /// The signal-to-noise ratio with the range as the peak, in dB; infinite when nothing differs.
    pub fn psnr(&self) -> f64 {
        20.0 * (self.range / self.rms).log10()
    }
}

/// Runs `packed` in the native engine and `graph`, as it was taken in, by definition in f64, on `examples` random
/// inputs: latent vectors of the model's distribution, or values from U(-1, 1).
///
/// # Errors
/// When either cannot be run: the engine does not load what the exporter packed, a fault of this project.
pub fn difference(
    graph: &Graph,
    metadata: &ModelMetadata,
    packed: &[u8],
    examples: usize,
    seed: u64,
) -> Result<Difference, PackError> {
    if graph.inputs.len() != 1 || graph.outputs.len() != 1 {
        return of_all(graph, metadata, packed, examples, seed);
    }
    let shape = graph.inputs.first().map(|&id| graph.shape(id)).unwrap_or_default();
    let distribution = metadata.distribution.filter(|_| shape.len() == 2);
    let distribution = distribution.unwrap_or(Distribution::REFERENCE);
    let mut values = vec![0.0; examples * per_example(&shape)];
    distribution.fill(&mut Rng::from_seed(seed), &mut values);
    difference_on(graph, packed, &Samples { count: examples, values })
}

/// The same on these inputs.
///
/// # Errors
/// As [`difference`].
pub fn difference_on(graph: &Graph, packed: &[u8], samples: &Samples) -> Result<Difference, PackError> {
    let fault = |what: String| PackError::Check(what);
    let mut backend = NativeBackend::from_bytes(packed, &NativeOptions::default())
        .map_err(|error| fault(error.to_string()))?;
    let shape = graph.inputs.first().map(|&id| graph.shape(id)).unwrap_or_default();
    // A model with a fixed batch takes its inputs one by one.
    let batch = if shape.first() == Some(&Dim::Batch) { samples.count } else { 1 };
    let lengths: Vec<usize> =
        shape.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { batch }).collect();
    let mut sums = Sums::default();
    for input in samples.values.chunks_exact((batch * per_example(&shape)).max(1)) {
        let wide =
            Array { shape: lengths.clone(), data: input.iter().map(|&value| f64::from(value)).collect() };
        let expected =
            interpret::run(graph, vec![wide]).map_err(|error| fault(error.to_string()))?.swap_remove(0);
        let mut found = vec![0.0; expected.data.len()];
        backend.run(batch, input, &mut found).map_err(|error| fault(error.to_string()))?;
        sums.add(&found, &expected.data);
    }
    Ok(sums.difference(samples.count))
}

/// The same of a model with several inputs or outputs, over the values of all outputs.
fn of_all(
    graph: &Graph,
    metadata: &ModelMetadata,
    packed: &[u8],
    examples: usize,
    seed: u64,
) -> Result<Difference, PackError> {
    let fault = |what: String| PackError::Check(what);
    let mut backend = NativeBackend::from_bytes(packed, &NativeOptions::default())
        .map_err(|error| fault(error.to_string()))?;
    let mut sums = Sums::default();
    for wide in random_inputs::<f64>(graph, metadata, examples, seed) {
        let batch = wide.first().and_then(|input| input.shape.first()).copied().unwrap_or(1);
        let given: Vec<Vec<f32>> =
            wide.iter().map(|input| input.data.iter().map(|&value| value as f32).collect()).collect();
        let expected = interpret::run(graph, wide).map_err(|error| fault(error.to_string()))?;
        let mut found: Vec<Vec<f32>> = expected.iter().map(|output| vec![0.0; output.data.len()]).collect();
        let inputs: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<&mut [f32]> = found.iter_mut().map(Vec::as_mut_slice).collect();
        backend.run_all(batch, &inputs, &mut outputs).map_err(|error| fault(error.to_string()))?;
        found.iter().zip(&expected).for_each(|(found, expected)| sums.add(found, &expected.data));
    }
    Ok(sums.difference(examples))
}

/// What a [`Difference`] is made of.
struct Sums {
    low: f64,
    high: f64,
    largest: f64,
    squares: f64,
    count: f64,
}

impl Default for Sums {
    fn default() -> Self {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Sums { low, high, largest: 0.0, squares: 0.0, count: 0.0 }
    }
}

impl Sums {
    fn add(&mut self, found: &[f32], expected: &[f64]) {
        for (&found, &expected) in found.iter().zip(expected) {
            (self.low, self.high) = (self.low.min(expected), self.high.max(expected));
            let error = (f64::from(found) - expected).abs();
            // A NaN on one side alone would vanish in a maximum.
            let error = if error.is_nan() { f64::INFINITY } else { error };
            self.largest = self.largest.max(error);
            self.squares += error * error;
            self.count += 1.0;
        }
    }

    fn difference(&self, examples: usize) -> Difference {
        Difference {
            examples,
            range: self.high - self.low,
            largest: self.largest,
            rms: (self.squares / self.count.max(1.0)).sqrt(),
        }
    }
}
