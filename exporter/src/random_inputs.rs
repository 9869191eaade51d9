//! Inputs to try a model with.

use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::rng::Rng;

use crate::graph::interpret::{Array, Real};
use crate::graph::{Dim, Graph};

/// The inputs of the calls that put `examples` random inputs into a model: latent vectors of its distribution, or values from
/// U(-1, 1). One with a fixed batch takes them one by one.
pub(crate) fn random_inputs<T: Real>(
    graph: &Graph,
    metadata: &ModelMetadata,
    examples: usize,
    seed: u64,
) -> Vec<Vec<Array<T>>> {
    let shapes: Vec<Vec<Dim>> = graph.inputs.iter().map(|&id| graph.shape(id)).collect();
    let free = shapes.iter().any(|shape| shape.contains(&Dim::Batch));
    let (calls, batch) = if free { (1, examples) } else { (examples, 1) };
    let uniform = Distribution::Uniform { low: -1.0, high: 1.0 };
    let mut rng = Rng::from_seed(seed);
    let mut draw = |shape: &Vec<Dim>| {
        let length = |dim: &Dim| if let Dim::Size(length) = dim { *length } else { batch };
        let lengths: Vec<usize> = shape.iter().map(length).collect();
        let distribution = metadata.distribution.filter(|_| shape.len() == 2).unwrap_or(uniform);
        let mut values = vec![0.0; lengths.iter().product()];
        distribution.fill(&mut rng, &mut values);
        Array { shape: lengths, data: values.into_iter().map(|value| T::from_f64(value.into())).collect() }
    };
    (0..calls).map(|_| shapes.iter().map(&mut draw).collect()).collect()
}
