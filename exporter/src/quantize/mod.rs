//! Static int8 quantization: a float graph and real inputs give a graph with explicit Quantize and Dequantize nodes.
//!
//! Activations are unsigned 8-bit integers with one scale and zero point for a whole tensor, zero being exact; weights
//! are signed, symmetric, with one scale for each output channel; biases are 32-bit integers. Which values become
//! integers is decided in `plan`, their ranges by `observe` and [`Calibrator`], weights by `weights`; `insert` writes
//! the new graph, `int4` gives it weights of 4 bits where that is wanted, and `report` says what it cost.
//!
//! The rules of the resulting graph, on which the packed format and the ONNX writer rely:
//!
//! - A quantized value is followed by Quantize (U8, scalar scale and zero point) and Dequantize, and every node that
//!   reads it reads the latter's result. Outputs of the graph stay float. A node's epilogue is part of the node.
//! - A layer's weight is an I8 constant through Dequantize with a scale for each output channel (axis 0; for a
//!   transposed convolution axis 1), its bias an I32 constant through Dequantize with the scales of input and weight
//!   multiplied. Neither has a zero point. One scale serves all channels when asked for, and for transposed convolutions in groups.
//! - What only moves or selects elements (max pool, reshape, concatenation, ...) has one scale for inputs and result: the
//!   same constants. Between them there are Quantize and Dequantize all the same, so that each layer reads the latter.

mod calibrate;
mod entropy;
mod histogram;
mod inputs;
mod insert;
mod int4;
mod observe;
mod plan;
mod report;
mod weights;

use crate::graph::interpret::RunError;
use crate::graph::{Element, Graph, InferError, Op, ValueId};

pub use calibrate::{Calibrator, Parameters};
pub(crate) use inputs::per_example;
pub use inputs::{DataError, Inputs, Oddity, Pictures, Samples, Source, is_array};
pub use int4::{Int4Layer, to_int4};
pub(crate) use observe::in_batches;
pub use report::{LayerReport, OutputReport, Report, TensorReport};

/// How to quantize.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How the range of an activation is chosen.
    pub calibrator: Calibrator,
    /// How weights are quantized.
    pub weights: WeightOptions,
    /// Names of nodes that stay float.
    pub keep_float: Vec<String>,
    /// Whether the result of every int8 layer is quantized, even if only float nodes read it, as ONNX Runtime needs it:
    /// it computes a convolution, or a fully connected layer with a function after it, in integers only between
    /// Dequantize and Quantize. A transposed convolution it computes with floats anyway.
    pub every_layer: bool,
    /// The greatest value that an output can have less the least: the peak of its signal-to-noise ratio. Measured when
    /// not given.
    pub peak: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            calibrator: Calibrator::Mse,
            weights: WeightOptions::default(),
            keep_float: Vec::new(),
            every_layer: false,
            peak: None,
        }
    }
}

/// How weights are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightOptions {
    /// A scale for each output channel, or one for all.
    pub per_channel: bool,
    /// How the scale is chosen.
    pub range: WeightRange,
}

impl Default for WeightOptions {
    fn default() -> Self {
        WeightOptions { per_channel: true, range: WeightRange::MinMax }
    }
}

/// How the scale of weights is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightRange {
    /// The largest weight is just representable.
    MinMax,
    /// The mean squared error is least.
    Mse,
}

/// Why a graph cannot be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// Not one input of floats, the first.
    #[error(
        "the model has {found} inputs; only a model with one input of floats, and labels after it, can be quantized"
    )]
    Inputs {
        /// How many there are.
        found: usize,
    },
    /// A graph that is quantized already.
    #[error("node \"{node}\" quantizes already; give the float model that this one was made from")]
    Quantized {
        /// A node that quantizes.
        node: String,
    },
    /// A name in [`Options::keep_float`] that no node has.
    #[error("no node is named \"{name}\", which is to stay float; the nodes are {nodes}")]
    UnknownNode {
        /// The name.
        name: String,
        /// The names that there are.
        nodes: String,
    },
    /// Nothing that could be quantized.
    #[error("no layer can be quantized: {why}")]
    Nothing {
        /// Why not.
        why: String,
    },
    /// A percentile that keeps nothing, or more than everything.
    #[error("the percentile is {found}; expected more than 50 and at most 100")]
    Percentile {
        /// The percentile.
        found: f64,
    },
    /// Samples of another shape than the graph's input, or too few.
    #[error("the calibration inputs {what}")]
    Samples {
        /// What is wrong with them.
        what: String,
    },
    /// An activation that is infinite or not a number.
    #[error(
        "\"{value}\" has values that are not finite for a calibration input; check that the inputs are what the model expects"
    )]
    NotFinite {
        /// The activation.
        value: String,
    },
    /// The graph cannot be evaluated.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The rewritten graph is wrong: a fault of this crate.
    #[error("the quantized graph is wrong: {0}; please report this")]
    Infer(#[from] InferError),
}

/// Quantizes `graph`, as [`crate::passes`] left it, with ranges observed on `inputs.calibration`; the report compares both
/// graphs on `inputs.held_out`. Values and nodes of `graph` keep their identity in the result.
///
/// # Errors
/// When the graph has not one input, is quantized already or has nothing to quantize, when the inputs do not fit it, or
/// when a value is not finite.
pub fn quantize(graph: &Graph, inputs: &Inputs, options: &Options) -> Result<(Graph, Report), QuantizeError> {
    let is_label = |&id: &ValueId| matches!(graph.element(id), Element::I32 | Element::I64);
    let input = match graph.inputs.split_first() {
        Some((&input, others)) if others.iter().all(is_label) => input,
        _ => return Err(QuantizeError::Inputs { found: graph.inputs.len() }),
    };
    let quantizes =
        |node: &&crate::graph::Node| matches!(node.op, Op::Quantize { .. } | Op::Dequantize { .. });
    if let Some(node) = graph.nodes.iter().find(quantizes) {
        return Err(QuantizeError::Quantized { node: node.name.clone() });
    }
    options.calibrator.check()?;
    for samples in [&inputs.calibration, &inputs.held_out] {
        samples.check(&graph.shape(input))?;
    }
    let plan = plan::Plan::of(graph, options)?;
    let observed = observe::observe(graph, &inputs.calibration, &plan.sources())?;
    let parameters = plan.parameters(graph, &observed, options.calibrator)?;
    let inserted = insert::insert(graph, &plan, &parameters, options.weights)?;
    let report = report::report(graph, &inserted, &plan, (&observed, &parameters), inputs, options)?;
    Ok((inserted.graph, report))
}

#[cfg(test)]
mod tests;
