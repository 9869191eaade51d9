//! Whether a model gives numbers.

use latent_runtime::onnx::ModelMetadata;

use crate::graph::Graph;
use crate::graph::interpret::{self, Array, RunError};
use crate::random_inputs::random_inputs;

/// Why a model is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FiniteError {
    /// Nothing that it gives is a number.
    #[error(
        "every output is infinite or not a number on {examples} random inputs; the first such value is the result of node \
         \"{node}\" ({operator}), where 32-bit floats overflow: look at its weights and at those before it"
    )]
    NoNumbers {
        /// Inputs that were tried.
        examples: usize,
        /// The first node that overflows.
        node: String,
        operator: &'static str,
    },
    /// The graph cannot be evaluated.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Checks that a model gives at least one finite value on `examples` random inputs in 32-bit floats.
///
/// # Errors
/// [`FiniteError::NoNumbers`] with the first node that overflows.
pub fn check_finite(graph: &Graph, metadata: &ModelMetadata, examples: usize) -> Result<(), FiniteError> {
    let mut first = None;
    for inputs in random_inputs::<f32>(graph, metadata, examples, 0) {
        let outputs = interpret::run_with(graph, inputs, |node, array: &mut Array<f32>| {
            if first.is_none() && array.data.iter().any(|value| !value.is_finite()) {
                first = Some((node.name.clone(), node.op.name()));
            }
        })?;
        if outputs.iter().any(|output| output.data.iter().any(|value| value.is_finite())) {
            return Ok(());
        }
    }
    match first {
        Some((node, operator)) => Err(FiniteError::NoNumbers { examples, node, operator }),
        // An output without elements.
        None => Ok(()),
    }
}
