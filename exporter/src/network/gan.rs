//! The generator and the discriminator of a GAN's run.

use super::builder::Builder;
use super::{Folding, Network, finish};
use crate::graph::{Dim, Element, Graph, ValueId};
use crate::run::{GanRun, Layer, RunError, Weights};

/// The generator of `run`, with the given weights. Input `z` (latent), output `image` (channels, height, width).
///
/// # Errors
/// When a tensor is missing, superfluous, of the wrong shape, or a variance is negative.
pub fn generator(run: &GanRun, weights: Weights, folding: Folding) -> Result<Network, RunError> {
    let mut graph = Graph::default();
    let z = graph.add_input("z", Element::F32, vec![Dim::Batch, Dim::Size(run.latent.size)]);
    let mut builder = Builder::new(graph, weights, folding);
    // Images are not flattened at the end, whatever the notebook does.
    let layers = match run.networks.generator.as_slice() {
        [layers @ .., Layer::Flatten] => layers,
        layers => layers,
    };
    let value = builder.layers(z, layers, "", "")?;
    let shape = [run.image.channels, run.image.height, run.image.width];
    let image = builder.reshape(value, "image", &shape)?;
    end(builder, "image", image)
}

/// The discriminator of `run`, with the given weights. Input `image` (channels, height, width), output `score` (1): the raw
/// score.
///
/// # Errors
/// As [`generator`].
pub fn discriminator(run: &GanRun, weights: Weights, folding: Folding) -> Result<Network, RunError> {
    let mut graph = Graph::default();
    let shape = [run.image.channels, run.image.height, run.image.width].map(Dim::Size);
    let shape = std::iter::once(Dim::Batch).chain(shape).collect();
    let image = graph.add_input("image", Element::F32, shape);
    let mut builder = Builder::new(graph, weights, folding);
    let score = builder.layers(image, &run.networks.discriminator, "", "")?;
    end(builder, "score", score)
}

/// Ends the network in `value`; the node that makes it is named after the output.
fn end(mut builder: Builder, name: &str, value: ValueId) -> Result<Network, RunError> {
    if let Some(node) = builder.graph.nodes.iter_mut().find(|node| node.output == value) {
        node.name = name.into();
        builder.graph.values[value.0].name = name.into();
    }
    finish(builder, name, value)
}
