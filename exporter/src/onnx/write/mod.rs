//! Any [`Graph`] as an ONNX model.
//!
//! A node's epilogue becomes nodes of its own, in its order: Add, the activation, Mul and Add. Nodes keep their names,
//! and a value has the name of the node that makes it, or of the output that it is. Every value is declared with its
//! type and shape, the batch as the symbol `N`.
//!
//! With [`FloatType::F16`] constants and arithmetic are in half precision, but for what loses too much there (means and
//! norms, which add up many elements, and Resize) and for nodes with a constant beyond the range of half precision.
//! Inputs and outputs stay float32: Cast nodes stand where the types meet.

mod function;
mod graph_builder;
mod half;
mod layout;
mod matrix;
mod node;
mod operator;
mod reduce;
mod value;

use std::collections::{HashMap, HashSet};

use latent_runtime::onnx::ModelMetadata;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{ModelProto, OperatorSetIdProto};

use self::graph_builder::{Attribute, Declaration, GraphBuilder};
use crate::graph::{Graph, Node, ValueId};
pub(crate) use half::can_be_half;
use value::data_type;

/// Version of the ONNX operator set that the models use.
pub const OPSET: i64 = 17;
/// Version of the ONNX file format: the one that came with opset 17, which every reader of it knows.
pub const IR_VERSION: i64 = 8;

/// The type of a model's floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// 32 bits.
    F32,
    /// 16 bits inside, 32 bits where inputs come in and outputs go out.
    F16,
}

/// What a model says beside its graph.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// A sentence on the model.
    pub doc: String,
    /// Names of inputs and outputs, each with a sentence on its values.
    pub ports: Vec<(String, String)>,
    /// What our programs read.
    pub metadata: ModelMetadata,
}

impl About {
    /// What `model` says.
    pub fn of(model: &ModelProto) -> About {
        let graph = model.graph.as_ref();
        let ports = graph.into_iter().flat_map(|graph| graph.input.iter().chain(&graph.output));
        About {
            doc: model.doc_string.clone(),
            ports: ports.map(|port| (port.name.clone(), port.doc_string.clone())).collect(),
            metadata: ModelMetadata::from_model(model),
        }
    }

    fn port(&self, name: &str) -> &str {
        self.ports.iter().find(|(port, _)| port == name).map_or("", |(_, doc)| doc)
    }
}

/// A node that ONNX, in the version that is written, has no form for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node \"{node}\" ({operator}) cannot be written as ONNX of opset {OPSET}: {what}")]
pub struct WriteError {
    /// The node.
    pub node: String,
    /// Its operator.
    pub operator: &'static str,
    /// Why.
    pub what: String,
}

/// Writes `graph` as a model of opset 17.
///
/// # Errors
/// When ONNX has no form for a node.
pub fn write(graph: &Graph, about: &About, floats: FloatType) -> Result<ModelProto, WriteError> {
    write_keeping(graph, about, floats, &[])
}

/// [`write()`], but the nodes of these names compute in 32 bits in any case.
///
/// # Errors
/// As [`write()`].
pub fn write_keeping(
    graph: &Graph,
    about: &About,
    floats: FloatType,
    float32: &[String],
) -> Result<ModelProto, WriteError> {
    let mut writer = Writer {
        graph,
        floats,
        float32,
        builder: GraphBuilder::new(&graph.name, &about.doc),
        written: HashMap::new(),
        constants: HashMap::new(),
        value_names: HashSet::new(),
        node_names: HashSet::new(),
    };
    // The names that others know come first: nothing else may have them.
    for &input in &graph.inputs {
        let name = writer.graph.value(input).name.clone();
        writer.value_names.insert(name.clone());
        let (data_type, shape) = (data_type(graph.element(input)), graph.shape(input));
        let declaration = Declaration { name: &name, data_type, shape: &shape };
        writer.builder.input(declaration, about.port(&name));
        writer.written.insert(input, vec![Written { name, data_type }]);
    }
    writer.value_names.extend(graph.outputs.iter().map(|output| output.name.clone()));
    writer.node_names.extend(graph.nodes.iter().map(|node| node.name.clone()));
    for node in &graph.nodes {
        writer.node(node)?;
    }
    for output in &graph.outputs {
        writer.output(&output.name, output.value, about.port(&output.name));
    }
    Ok(ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "latent-exporter".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        model_version: 1,
        doc_string: about.doc.clone(),
        graph: Some(writer.builder.finish()),
        metadata_props: about.metadata.to_entries(),
        ..ModelProto::default()
    })
}

/// A value under a name, in one of the float types when it is of floats.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    name: String,
    data_type: DataType,
}

struct Writer<'g> {
    graph: &'g Graph,
    floats: FloatType,
    /// Names of nodes that stay in 32 bits.
    float32: &'g [String],
    builder: GraphBuilder,
    /// Under which names a value has been written.
    written: HashMap<ValueId, Vec<Written>>,
    /// The same for constants that belong to no value, such as shapes, by what they are.
    constants: HashMap<String, String>,
    value_names: HashSet<String>,
    node_names: HashSet<String>,
}

/// One node of the graph while it is written: the nodes that come of it share its float type.
struct Step<'n> {
    node: &'n Node,
    /// [`DataType::Float16`] or [`DataType::Float`].
    float: DataType,
    /// The name that the last value must have, when it is an output of the graph.
    last: Option<String>,
}

type Attributes<'a> = Vec<(&'a str, Attribute)>;

fn error(node: &Node, what: impl Into<String>) -> WriteError {
    WriteError { node: node.name.clone(), operator: node.op.name(), what: what.into() }
}
