//! Inputs to try a model with.

use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::rng::Rng;

use crate::graph::interpret::{Array, Real};
use crate::graph::{Dim, Element, Graph, Node, Op};

/// How many labels every table of a graph has.
pub(crate) fn labels(graph: &Graph) -> usize {
    let depth = |node: &Node| if let Op::OneHot { depth } = node.op { Some(depth) } else { None };
    graph.nodes.iter().filter_map(depth).min().unwrap_or(1).max(1)
}

/// The inputs of the calls that put `examples` random inputs into a model: latent vectors of its distribution, or values from
/// U(-1, 1), and labels for inputs of integers. One with a fixed batch takes them one by one.
pub(crate) fn random_inputs<T: Real>(
    graph: &Graph,
    metadata: &ModelMetadata,
    examples: usize,
    seed: u64,
) -> Vec<Vec<Array<T>>> {
    let inputs: Vec<(Element, Vec<Dim>)> =
        graph.inputs.iter().map(|&id| (graph.element(id), graph.shape(id))).collect();
    let free = inputs.iter().any(|(_, shape)| shape.contains(&Dim::Batch));
    // Labels that every table has.
    let labels = labels(graph) as f32;
    let (calls, batch) = if free { (1, examples) } else { (examples, 1) };
    let uniform = Distribution::Uniform { low: -1.0, high: 1.0 };
    let mut rng = Rng::from_seed(seed);
    let mut draw = |(element, shape): &(Element, Vec<Dim>)| {
        let length = |dim: &Dim| if let Dim::Size(length) = dim { *length } else { batch };
        let lengths: Vec<usize> = shape.iter().map(length).collect();
        let distribution = metadata.distribution.filter(|_| shape.len() == 2).unwrap_or(uniform);
        let mut values = vec![0.0; lengths.iter().product()];
        if matches!(element, Element::I32 | Element::I64) {
            values.iter_mut().for_each(|value| *value = rng.uniform(0.0, labels).floor().min(labels - 1.0));
        } else {
            distribution.fill(&mut rng, &mut values);
        }
        Array { shape: lengths, data: values.into_iter().map(|value| T::from_f64(value.into())).collect() }
    };
    (0..calls).map(|_| inputs.iter().map(&mut draw).collect()).collect()
}
