//! Builds an ONNX graph node by node, with names that read well in a viewer.

use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

use crate::graph::{Dim, Elements, Tensor};

/// Name of the batch axis, whose length is known only when the model runs.
const BATCH: &str = "N";

/// The value of a node's attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    /// A 64-bit integer.
    Int(i64),
    /// A 32-bit float.
    Float(f32),
    /// A list of 64-bit integers.
    Ints(Vec<i64>),
    /// A word.
    Text(&'static str),
}

/// Name, type and shape of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Declaration<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The type of its elements.
    pub(super) data_type: DataType,
    /// Its shape.
    pub(super) shape: &'a [Dim],
}

/// A graph under construction. Unless it is declared, a value is a float tensor whose first axis is the batch, and is
/// named after the node that makes it.
#[derive(Debug, Default)]
pub(super) struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    pub(super) fn new(name: &str, doc: &str) -> GraphBuilder {
        GraphBuilder {
            graph: GraphProto { name: name.into(), doc_string: doc.into(), ..GraphProto::default() },
        }
    }

    /// Declares an input of the graph.
    pub(super) fn input(&mut self, input: Declaration, doc: &str) {
        self.graph.input.push(value_info(input, doc));
    }

    /// Declares an output of the graph: a value that some node makes.
    pub(super) fn output(&mut self, output: Declaration, doc: &str) {
        // The output says its shape itself.
        self.graph.value_info.retain(|value| value.name != output.name);
        self.graph.output.push(value_info(output, doc));
    }

    /// Adds a node whose one output is declared. An input with an empty name is absent.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        output: Declaration,
        attributes: Vec<(&str, Attribute)>,
    ) {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.name.into()],
            attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
        self.graph.value_info.push(value_info(output, ""));
    }

    /// Adds a constant tensor of floats. Returns its name.
    pub(super) fn floats(&mut self, name: String, shape: &[usize], data: &[f32]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, DataType::Float, shape, bytes)
    }

    /// Adds a constant vector of 64-bit integers. Returns its name.
    pub(super) fn ints(&mut self, name: String, data: &[i64]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, DataType::Int64, &[data.len()], bytes)
    }

    /// Adds a constant tensor of any type.
    pub(super) fn tensor(&mut self, name: String, tensor: &Tensor) {
        let (data_type, bytes) = match tensor.elements() {
            Elements::F32(data) => {
                (DataType::Float, data.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Elements::U8(data) => (DataType::Uint8, data.clone()),
            Elements::I8(data) => (DataType::Int8, data.iter().map(|&value| value as u8).collect()),
            Elements::I32(data) => {
                (DataType::Int32, data.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Elements::I64(data) => {
                (DataType::Int64, data.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Elements::Bool(data) => (DataType::Bool, data.iter().map(|&value| value.into()).collect()),
        };
        self.constant(name, data_type, tensor.shape(), bytes);
    }

    /// Adds a constant tensor of half-precision floats: `data`, rounded to the nearest.
    pub(super) fn halves(&mut self, name: String, shape: &[usize], data: &[f32]) {
        let bytes = data.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
        self.constant(name, DataType::Float16, shape, bytes);
    }

    fn constant(&mut self, name: String, data_type: DataType, shape: &[usize], raw_data: Vec<u8>) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            data_type: data_type as i32,
            dims: shape.iter().map(|&length| length as i64).collect(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// The finished graph.
    pub(super) fn finish(self) -> GraphProto {
        self.graph
    }
}

fn attribute(name: &str, value: Attribute) -> AttributeProto {
    use attribute_proto::AttributeType;
    let mut proto = AttributeProto { name: name.into(), ..AttributeProto::default() };
    match value {
        Attribute::Int(value) => (proto.r#type, proto.i) = (AttributeType::Int as i32, value),
        Attribute::Float(value) => (proto.r#type, proto.f) = (AttributeType::Float as i32, value),
        Attribute::Ints(values) => (proto.r#type, proto.ints) = (AttributeType::Ints as i32, values),
        Attribute::Text(text) => (proto.r#type, proto.s) = (AttributeType::String as i32, text.into()),
    }
    proto
}

fn value_info(value: Declaration, doc: &str) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let axis = |dim: &Dim| {
        let value = match dim {
            Dim::Batch => Value::DimParam(BATCH.into()),
            Dim::Size(length) => Value::DimValue(*length as i64),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    };
    let shape = TensorShapeProto { dim: value.shape.iter().map(axis).collect() };
    let tensor = type_proto::Tensor { elem_type: value.data_type as i32, shape: Some(shape) };
    ValueInfoProto {
        name: value.name.into(),
        doc_string: doc.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
