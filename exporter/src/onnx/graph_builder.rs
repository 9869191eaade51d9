//! Builds an ONNX graph node by node, with names that read well in a viewer.

use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// Name of the batch axis, whose length is known only when the model runs.
const BATCH: &str = "N";

/// The value of a node's attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A 64-bit integer.
    Int(i64),
    /// A 32-bit float.
    Float(f32),
    /// A list of 64-bit integers.
    Ints(Vec<i64>),
}

/// A graph under construction. Every value is a float tensor whose first axis is the batch, and is named after the
/// node that makes it.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str, doc: &str) -> GraphBuilder {
        GraphBuilder {
            graph: GraphProto { name: name.into(), doc_string: doc.into(), ..GraphProto::default() },
        }
    }

    /// Declares the graph's input; `shape` is that of one example. Returns its name.
    pub fn input(&mut self, name: &str, shape: &[usize], doc: &str) -> String {
        let value = value_info(name, shape, doc);
        self.graph.input.push(value);
        name.into()
    }

    /// Declares the graph's output: the value `name`, which some node makes.
    pub fn output(&mut self, name: &str, shape: &[usize], doc: &str) {
        // The output says its shape itself.
        self.graph.value_info.retain(|value| value.name != name);
        self.graph.output.push(value_info(name, shape, doc));
    }

    /// Adds a node with one output, which is named after the node; `shape` is the output's for one example.
    /// Returns the output's name.
    pub fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        shape: &[usize],
        attributes: Vec<(&str, Attribute)>,
    ) -> String {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.into()],
            attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
        self.graph.value_info.push(value_info(name, shape, ""));
        name.into()
    }

    /// Adds a constant tensor of floats. Returns its name.
    pub fn floats(&mut self, name: String, shape: &[usize], data: &[f32]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, DataType::Float, shape, bytes)
    }

    /// Adds a constant vector of 64-bit integers. Returns its name.
    pub fn ints(&mut self, name: String, data: &[i64]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, DataType::Int64, &[data.len()], bytes)
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
    pub fn finish(self) -> GraphProto {
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
    }
    proto
}

fn value_info(name: &str, shape: &[usize], doc: &str) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let axis = |value| Dimension { value: Some(value), ..Dimension::default() };
    let mut dim = vec![axis(Value::DimParam(BATCH.into()))];
    dim.extend(shape.iter().map(|&length| axis(Value::DimValue(length as i64))));
    let tensor =
        type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.into(),
        doc_string: doc.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
