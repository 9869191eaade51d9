//! From one ONNX model to another: simplified, with another form of transposed convolutions, in half precision.

use half::f16;
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::rng::Rng;

use crate::graph::interpret::{self, Array, RunError};
use crate::graph::{Dim, Graph};
use crate::onnx::FloatType;
use crate::pack::Difference;
use crate::passes;

/// How transposed convolutions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Exported,
    /// As Conv, DepthToSpace and Slice where that is possible: what ONNX Runtime computes in integers.
    DepthToSpace,
}

/// The graph of a float model: simplified, with nothing fused.
pub fn for_floats(graph: &Graph, form: Form) -> Graph {
    let mut graph = graph.clone();
    passes::simplify(&mut graph);
    if form == Form::DepthToSpace {
        passes::depth_to_space(&mut graph);
    }
    graph
}

/// The float graph that is to be quantized for ONNX Runtime: simplified, and fused as its integer kernels are.
pub fn for_quantization(graph: &Graph, form: Form) -> Graph {
    let mut graph = graph.clone();
    passes::optimize_for_onnx(&mut graph);
    if form == Form::DepthToSpace {
        passes::depth_to_space(&mut graph);
    }
    graph
}

/// How far `to`, as it was read back from a file, is from `from` on `examples` random inputs: latent vectors of the
/// model's distribution, or values from U(-1, 1). Both are evaluated by definition in f64; for [`FloatType::F16`] what
/// each node of `to` gives is rounded to half precision.
///
/// # Errors
/// When one of the graphs cannot be evaluated.
pub fn difference(
    from: &Graph,
    to: &Graph,
    metadata: &ModelMetadata,
    floats: FloatType,
    examples: usize,
    seed: u64,
) -> Result<Difference, RunError> {
    let shapes: Vec<Vec<Dim>> = from.inputs.iter().map(|&id| from.shape(id)).collect();
    // A model with a fixed batch takes its inputs one by one.
    let free = shapes.iter().any(|shape| shape.contains(&Dim::Batch));
    let (calls, batch) = if free { (1, examples) } else { (examples, 1) };
    let uniform = Distribution::Uniform { low: -1.0, high: 1.0 };
    let mut rng = Rng::from_seed(seed);
    let (mut low, mut high, mut largest, mut squares, mut count) =
        (f64::INFINITY, f64::NEG_INFINITY, 0.0f64, 0.0, 0.0);
    for _ in 0..calls {
        let mut draw = |shape: &Vec<Dim>| {
            let length = |dim: &Dim| if let Dim::Size(length) = dim { *length } else { batch };
            let lengths: Vec<usize> = shape.iter().map(length).collect();
            let distribution = metadata.distribution.filter(|_| shape.len() == 2).unwrap_or(uniform);
            let mut values = vec![0.0; lengths.iter().product()];
            distribution.fill(&mut rng, &mut values);
            Array { shape: lengths, data: values.into_iter().map(f64::from).collect() }
        };
        let inputs: Vec<Array<f64>> = shapes.iter().map(&mut draw).collect();
        let expected = interpret::run(from, inputs.clone())?;
        let found = interpret::run_with(to, inputs, |array: &mut Array<f64>| {
            if floats == FloatType::F16 {
                array.data.iter_mut().for_each(|value| *value = f16::from_f64(*value).to_f64());
            }
        })?;
        let pairs =
            found.iter().zip(&expected).flat_map(|(found, expected)| found.data.iter().zip(&expected.data));
        for (&found, &expected) in pairs {
            (low, high) = (low.min(expected), high.max(expected));
            let error = (found - expected).abs();
            // A NaN on one side alone would vanish in a maximum.
            let error = if error.is_nan() { f64::INFINITY } else { error };
            largest = largest.max(error);
            squares += error * error;
            count += 1.0;
        }
    }
    Ok(Difference { examples, range: high - low, largest, rms: (squares / f64::max(count, 1.0)).sqrt() })
}
