//! The encoder of a SimCLR run.
//!
//! Its tensors have the names of the notebook's PyTorch modules: `f` is `nn.Sequential(conv1, bn1, relu, layer1, ...,
//! avgpool)` of a torchvision ResNet without the max pool, `g` the projection head `nn.Sequential(Linear without bias,
//! BatchNorm1d, ReLU, Linear)`.
//!
//! **The input's normalization.** (x - mean) / std comes before a convolution that pads with zeros, which stand for the
//! mean: its shift folded into the convolution's bias would be wrong at the border, where taps that fall on padding add
//! nothing. So it stays a multiplication and an addition for each channel in front of the convolution. A packed model does
//! both in one pass over the image, which also quantizes it when the layers are int8; beside the layers it costs nothing.

use super::builder::Builder;
use super::{Folding, Network, finish};
use crate::graph::{Dim, Element, Graph, Op};
use crate::run::{RunError, SimclrRun, Weights};

/// The least norm that an output is divided by, as in `torch.nn.functional.normalize`.
const LEAST_NORM: f32 = 1e-12;

/// Name of the input: images (channels, height, width).
pub const INPUT: &str = "image";

/// What is made of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Whether the projection head stays: the output is then g(h), else the features h.
    pub head: bool,
    /// Whether the input's normalization is in the graph: the input is then an image in the range of run.json, else one
    /// that is normalized already.
    pub normalize_input: bool,
    /// Whether the output is divided by its Euclidean norm.
    pub l2: bool,
    /// What becomes of BatchNorm.
    pub folding: Folding,
}

impl Form {
    /// Name of the output.
    pub fn output(&self) -> &'static str {
        if self.head { "projection" } else { "features" }
    }
}

/// The encoder of `run`, with the given weights.
///
/// # Errors
/// When a tensor is missing, superfluous, of the wrong shape, or a variance is negative; or the images are too small.
pub fn encoder(run: &SimclrRun, weights: Weights, form: &Form) -> Result<Network, RunError> {
    let mut graph = Graph::default();
    let shape = [run.image.channels, run.image.height, run.image.width].map(Dim::Size);
    let shape = std::iter::once(Dim::Batch).chain(shape).collect();
    let mut value = graph.add_input(INPUT, Element::F32, shape);
    let mut builder = Builder::new(graph, weights, form.folding);
    if form.normalize_input {
        let by = run.normalization.mean.iter().zip(&run.normalization.std).map(|(&mean, &std)| {
            let (mean, std) = (f64::from(mean), f64::from(std));
            (1.0 / std, -mean / std)
        });
        value = builder.affine(value, "normalize", &by.collect::<Vec<_>>())?;
    }
    value = builder.layers(value, &run.architecture().layers(run.image.channels), "", "f.")?;
    let head = run.projection.layers(run.features);
    if form.head {
        value = builder.layers(value, &head, "head.", "g.")?;
    } else {
        builder.discard(&head, "g.")?;
    }
    if form.l2 {
        value = builder.node("l2", Op::Normalize { axis: 1, p: 2, epsilon: LEAST_NORM }, vec![value])?;
    }
    finish(builder, form.output(), value)
}
