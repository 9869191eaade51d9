//! From one ONNX model to another: simplified, with another form of transposed convolutions, in half precision.

use std::collections::HashMap;

use half::f16;
use latent_runtime::onnx::ModelMetadata;

use crate::graph::interpret::{self, Array, RunError};
use crate::graph::{Graph, Node, ValueId};
use crate::onnx::{FloatType, can_be_half};
use crate::pack::Difference;
use crate::passes;
use crate::random_inputs::random_inputs;

/// How transposed convolutions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransposedConvForm {
    /// As they are.
    Exported,
    /// As Conv, DepthToSpace and Slice where that is possible: what ONNX Runtime computes in integers.
    DepthToSpace,
}

/// The graph of a float model: simplified, with nothing fused.
pub fn for_floats(graph: &Graph, form: TransposedConvForm) -> Graph {
    let mut graph = graph.clone();
    passes::simplify(&mut graph);
    if form == TransposedConvForm::DepthToSpace {
        passes::depth_to_space(&mut graph);
    }
    graph
}

/// The float graph that is to be quantized for ONNX Runtime: simplified, and fused as its integer kernels are.
pub fn for_quantization(graph: &Graph, form: TransposedConvForm) -> Graph {
    let mut graph = graph.clone();
    passes::optimize_for_onnx(&mut graph);
    if form == TransposedConvForm::DepthToSpace {
        passes::depth_to_space(&mut graph);
    }
    graph
}

/// A value beyond what half precision can hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Overflow {
    pub node: String,
    /// The largest magnitude that was seen.
    pub largest: f64,
    /// The nodes that would have to compute in 32 bits for it: the one that makes it, and those that read it.
    pub nodes: Vec<String>,
}

/// The values of `graph` that are beyond half precision on `examples` random inputs (those of [`difference`]) where a node
/// in half precision makes or reads them; the nodes named in `float32` are none.
///
/// # Errors
/// When the graph cannot be evaluated.
pub fn overflows(
    graph: &Graph,
    metadata: &ModelMetadata,
    float32: &[String],
    examples: usize,
    seed: u64,
) -> Result<Vec<Overflow>, RunError> {
    let limit = f16::MAX.to_f64();
    let mut largest: HashMap<ValueId, f64> = HashMap::new();
    for inputs in random_inputs(graph, metadata, examples, seed) {
        interpret::run_with(graph, inputs, |node, array: &mut Array<f64>| {
            let now = array.data.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            let most = largest.entry(node.output).or_default();
            *most = most.max(now);
        })?;
    }
    let is_half = |node: &&Node| can_be_half(graph, node, float32);
    let beyond = graph.nodes.iter().filter_map(|maker| {
        let most = largest.get(&maker.output).copied().filter(|&most| most > limit)?;
        let reads = |node: &&Node| {
            node.inputs.contains(&maker.output) || node.epilogue.residual == Some(maker.output)
        };
        let nodes: Vec<String> = std::iter::once(maker)
            .chain(graph.nodes.iter().filter(reads))
            .filter(is_half)
            .map(|node| node.name.clone())
            .collect();
        (!nodes.is_empty()).then(|| Overflow { node: maker.name.clone(), largest: most, nodes })
    });
    Ok(beyond.collect())
}

/// How far `to`, as it was read back from a file, is from `from` on `examples` random inputs: latent vectors of the
/// model's distribution, or values from U(-1, 1). Both are evaluated by definition in f64; for [`FloatType::F16`] what
/// each node of `to` gives is rounded to half precision, but for the nodes named in `float32`.
///
/// # Errors
/// When one of the graphs cannot be evaluated.
pub fn difference(
    from: &Graph,
    to: &Graph,
    metadata: &ModelMetadata,
    (floats, float32): (FloatType, &[String]),
    examples: usize,
    seed: u64,
) -> Result<Difference, RunError> {
    let (mut low, mut high, mut largest, mut squares, mut count) =
        (f64::INFINITY, f64::NEG_INFINITY, 0.0f64, 0.0, 0.0);
    for inputs in random_inputs(from, metadata, examples, seed) {
        let expected = interpret::run(from, inputs.clone())?;
        let found = interpret::run_with(to, inputs, |node, array: &mut Array<f64>| {
            if floats == FloatType::F16 && can_be_half(to, node, float32) {
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
