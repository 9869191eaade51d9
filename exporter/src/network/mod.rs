//! The trained networks with their weights: generators and discriminators as a chain of layers, encoders as a graph.

mod encoder;
mod layer;
mod reference;

pub use encoder::{Encoder, Form, INPUT, encoder};
pub use layer::{BatchNorm, Convolution, Layer, Linear};
pub use reference::{discriminator, generator};

/// A network that is a chain: each layer reads what the one before it wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Shape of one input example, without the batch axis.
    pub input: Vec<usize>,
    /// The layers in the order of evaluation.
    pub layers: Vec<Step>,
}

/// One layer of a [`Network`].
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name in the graph, such as `fc1`.
    pub name: String,
    /// The layer.
    pub layer: Layer,
    /// Shape of what it writes for one example, without the batch axis.
    pub output: Vec<usize>,
}

impl Network {
    /// Shape of one output example, without the batch axis.
    pub fn output(&self) -> &[usize] {
        self.layers.last().map_or(&self.input, |step| &step.output)
    }

    /// Trained parameters: weights, biases, and BatchNorm's scale and shift. Running statistics do not count, as
    /// in PyTorch.
    pub fn parameters(&self) -> u64 {
        self.layers.iter().map(|step| step.layer.parameters()).sum()
    }

    /// Multiply-accumulates of the matrix products and convolutions for one example. A convolution's taps that
    /// fall on padding are counted too, as is customary.
    pub fn macs(&self) -> u64 {
        let inputs = std::iter::once(&self.input).chain(self.layers.iter().map(|step| &step.output));
        self.layers.iter().zip(inputs).map(|(step, input)| step.layer.macs(input, &step.output)).sum()
    }
}
