//! The generator and the discriminator of a GAN's run. Conditional ones take, beside latent vectors or images, the number of
//! a class each, and are told it as [`GanNetworks`](crate::run::GanNetworks) says.

use super::builder::Builder;
use super::{Folding, Network, finish};
use crate::graph::{Binary, Dim, Element, Graph, Op, Reduce, ReduceKind, Slice, ValueId};
use crate::run::{GanRun, Layer, RunError, Weights};

/// Name of the input for classes: numbers from 0, int64, one for each example.
pub const LABEL: &str = "label";

/// The generator of `run`, with the given weights. Inputs `z` (latent) and, if it is conditional, [`LABEL`]; output `image`
/// (channels, height, width).
///
/// # Errors
/// When a tensor is missing, superfluous, of the wrong shape, or a variance is negative.
pub fn generator(run: &GanRun, weights: Weights, folding: Folding) -> Result<Network, RunError> {
    let mut graph = Graph::default();
    let z = graph.add_input("z", Element::F32, vec![Dim::Batch, Dim::Size(run.latent.size)]);
    let label = label(run, &mut graph);
    let mut builder = Builder::new(graph, weights, folding);
    let input = match label {
        None => z,
        Some((label, depth)) => {
            let one_hot = builder.node("one_hot", Op::OneHot { depth }, vec![label])?;
            builder.node("concat", Op::Concat { axis: 1 }, vec![z, one_hot])?
        }
    };
    // Images are not flattened at the end, whatever the notebook does.
    let layers = match run.networks.generator.as_slice() {
        [layers @ .., Layer::Flatten] => layers,
        layers => layers,
    };
    let value = builder.layers(input, layers, "", "")?;
    let shape = [run.image.channels, run.image.height, run.image.width];
    let image = builder.reshape(value, "image", &shape)?;
    end(builder, "image", image)
}

/// The discriminator of `run`, with the given weights. Inputs `image` (channels, height, width) and, if it is conditional,
/// [`LABEL`]; output `score` (1): the raw score.
///
/// # Errors
/// As [`generator`].
pub fn discriminator(run: &GanRun, weights: Weights, folding: Folding) -> Result<Network, RunError> {
    let mut graph = Graph::default();
    let shape = [run.image.channels, run.image.height, run.image.width].map(Dim::Size);
    let shape = std::iter::once(Dim::Batch).chain(shape).collect();
    let image = graph.add_input("image", Element::F32, shape);
    let label = label(run, &mut graph);
    let mut builder = Builder::new(graph, weights, folding);
    let scores = builder.layers(image, &run.networks.discriminator, "", "")?;
    let score = match label {
        None => scores,
        Some((label, depth)) => {
            let one_hot = builder.node("one_hot", Op::OneHot { depth }, vec![label])?;
            let part = |start, end| Op::Slice(vec![Slice::new(1, start, end)]);
            let of_image = builder.node("of_image", part(0, 1), vec![scores])?;
            let of_classes = builder.node("of_classes", part(1, 1 + depth), vec![scores])?;
            let chosen = builder.node("chosen", Op::Binary(Binary::Multiply), vec![of_classes, one_hot])?;
            let sum = Reduce { kind: ReduceKind::Sum, axes: vec![1], keep: true };
            let of_label = builder.node("of_label", Op::Reduce(sum), vec![chosen])?;
            builder.node("add", Op::Binary(Binary::Add), vec![of_image, of_label])?
        }
    };
    end(builder, "score", score)
}

/// The input for classes, and how many there are, if the run is conditional.
fn label(run: &GanRun, graph: &mut Graph) -> Option<(ValueId, usize)> {
    let classes = run.class_count()?;
    Some((graph.add_input(LABEL, Element::I64, vec![Dim::Batch]), classes))
}

/// Ends the network in `value`; the node that makes it is named after the output.
fn end(mut builder: Builder, name: &str, value: ValueId) -> Result<Network, RunError> {
    if let Some(node) = builder.graph.nodes.iter_mut().find(|node| node.output == value) {
        node.name = name.into();
        builder.graph.values[value.0].name = name.into();
    }
    finish(builder, name, value)
}
