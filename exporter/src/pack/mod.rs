//! Packed models: from ONNX to the bytes of a `.lat` file.

mod difference;
mod lower;

use latent_runtime::format::{BuildError, ModelInfo, ModelKind, Precision};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::onnx::proto::ModelProto;

pub use difference::{Difference, difference, difference_on};

use crate::graph::{Graph, Op};
use crate::import::{ImportError, import};
use crate::passes::optimize;

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The ONNX model cannot be taken in.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An input or output that has no known size for each example, or is of a type that a packed model does not have.
    #[error("the model's {role} \"{name}\" {what}")]
    Ends {
        /// `input` or `output`.
        role: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// An operator that is understood, but has no counterpart in a packed model.
    #[error("node \"{node}\" ({operator}): {what}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        operator: &'static str,
        /// Why it cannot be packed.
        what: String,
    },
    /// The packed model does not run: a fault of this project.
    #[error("the packed model cannot be compared with the ONNX model: {0}; please report this")]
    Check(String),
    /// The packed format refuses it.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Packs a model whose data is all in memory, with weights as the options say.
///
/// # Errors
/// When the model uses what a packed model does not have.
pub fn pack(model: &ModelProto, options: impl Into<PackOptions>) -> Result<Vec<u8>, PackError> {
    let mut graph = import(model)?;
    optimize(&mut graph);
    pack_graph(&graph, &ModelMetadata::from_model(model), options)
}

/// Packs a graph that [`optimize`] has rewritten.
///
/// # Errors
/// When the graph uses what a packed model does not have.
pub fn pack_graph(
    graph: &Graph,
    metadata: &ModelMetadata,
    options: impl Into<PackOptions>,
) -> Result<Vec<u8>, PackError> {
    let options = options.into();
    let kind = metadata.kind.map_or(ModelKind::Other, ModelKind::from);
    let info = ModelInfo {
        kind,
        precision: match options.precision {
            _ if is_quantized(graph) && options.int4 => Precision::Int4,
            _ if is_quantized(graph) => Precision::Int8,
            FloatPrecision::F32 => Precision::F32,
            FloatPrecision::F16 => Precision::F16,
            FloatPrecision::Bf16 => Precision::Bf16,
        },
        // A discriminator takes no latent vector, whatever its file says of the generator's.
        latent_size: if kind == ModelKind::Generator { metadata.latent_size.unwrap_or(0) } else { 0 },
        distribution: metadata.distribution,
        range: metadata.range,
        metadata: metadata.to_entries().into_iter().map(|entry| (entry.key, entry.value)).collect(),
    };
    lower::lower(graph, info, options)
}

/// Whether a graph rounds activations to integers: then it is packed to int8, as far as it is quantized.
pub fn is_quantized(graph: &Graph) -> bool {
    graph.nodes.iter().any(|node| matches!(node.op, Op::Quantize { .. }))
}

/// How a model is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackOptions {
    /// How weights that are floats are stored.
    pub precision: FloatPrecision,
    /// Whether convolutions of such weights that gain by Winograd's transform get it ([`Builder::winograd`]).
    ///
    /// [`Builder::winograd`]: latent_runtime::format::Builder::winograd
    pub winograd: bool,
    /// Whether integer weights are stored in 4 bits in layers that have at most 16 different ones, as
    /// [`crate::quantize::to_int4`] leaves them.
    pub int4: bool,
}

impl From<FloatPrecision> for PackOptions {
    /// The fastest of this precision.
    fn from(precision: FloatPrecision) -> Self {
        Self { precision, winograd: true, int4: false }
    }
}

/// How the weights of a packed model that are floats are stored; arithmetic is in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatPrecision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16: the upper half of a 32-bit float.
    Bf16,
}
