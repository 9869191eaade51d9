//! The trained networks with their weights, as graphs: generators, discriminators and encoders alike are built from the
//! lists of layers that their runs describe.

mod batch_norm;
mod builder;
mod encoder;
mod gan;

use crate::graph::{Graph, Output, ValueId};
use crate::run::RunError;

pub use encoder::{Form, INPUT, encoder};
pub use gan::{LABEL, discriminator, generator};

/// A network as a graph with one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The graph.
    pub graph: Graph,
    /// Values of the output for one example.
    pub values: usize,
    /// Trained parameters, before any folding: weights, biases, and BatchNorm's scale and shift. Running statistics do
    /// not count, as in PyTorch.
    pub parameters: u64,
    /// Multiply-accumulates of the matrix products and convolutions for one example. A convolution's taps that fall on
    /// padding are counted too, as is customary.
    pub macs: u64,
}

/// What becomes of BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folding {
    /// Folded into the layer before or behind it where that is exact, else one multiplication and one addition.
    #[default]
    On,
    /// Kept as BatchNormalization nodes.
    Off,
}

/// Ends a network in the value `output` under the name `name`.
fn finish(builder: builder::Builder, name: &str, value: ValueId) -> Result<Network, RunError> {
    let builder::Builder { mut graph, weights, parameters, macs, .. } = builder;
    weights.finish()?;
    let values = builder::lengths(&graph.shape(value)).iter().product();
    graph.outputs.push(Output { name: name.into(), value });
    Ok(Network { graph, values, parameters, macs })
}
