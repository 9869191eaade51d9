//! Why an ONNX model cannot be taken in.

use latent_runtime::onnx::OnnxError;

/// Why an ONNX model cannot be taken in. Every message names the node, tensor or attribute concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The model uses a set of operators that is too old or too new.
    #[error("the model uses opset {found}, expected {} to {}; export it again with one of these", super::OPSETS.start(), super::OPSETS.end())]
    Opset {
        /// The version.
        found: i64,
    },
    /// More nodes than can be rewritten in a bearable time.
    #[error("the model has {found} nodes; at most {} are taken in", super::MAX_NODES)]
    Nodes {
        /// How many there are.
        found: usize,
    },
    /// An operator that is not supported.
    #[error("node \"{node}\": the operator {operator} is not supported")]
    Operator {
        /// The node.
        node: String,
        /// The operator, with its domain when that is not ONNX's own.
        operator: String,
    },
    /// An attribute that is unknown, of the wrong type, or has a value that is not supported.
    #[error("node \"{node}\" ({operator}): attribute \"{attribute}\" {what}")]
    Attribute {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// The attribute.
        attribute: String,
        /// What is wrong.
        what: String,
    },
    /// Inputs or outputs that are not supported or do not fit.
    #[error("node \"{node}\" ({operator}): {what}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        what: String,
    },
    /// A constant that cannot be read.
    #[error("tensor \"{tensor}\": {what}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// An input or output of the graph that is not supported.
    #[error("{role} \"{name}\" of the model: {what}")]
    Port {
        /// `input` or `output`.
        role: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
}
