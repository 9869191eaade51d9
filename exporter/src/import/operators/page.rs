//! `docs/OPERATORS.md`, made from the tables that the importer itself dispatches on and from what a small model of each operator
//! becomes when it is taken in and packed. `LATENT_WRITE_PAGES=1 cargo test -p latent-exporter --lib operators` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use latent_runtime::AlignedBytes;
use latent_runtime::format::{Model, Precision, ValueType};
use latent_runtime::onnx::proto::attribute_proto::AttributeType;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

use super::{OPERATORS, Operator};
use crate::import::expand::composites;
use crate::import::{ImportError, OPSETS, import};
use crate::pack::{FloatPrecision, pack};
use crate::plan::Plan;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATORS.md");

/// The opset of the examples: the axes of ReduceMean and its kin are an input since 18.
const EXAMPLES: i64 = 21;

#[derive(Clone, Copy)]
enum Given {
    Int(i64),
    Ints(&'static [i64]),
    Text(&'static str),
    Tensor,
}
use Given::{Int, Ints, Text};

type Attributes = &'static [(&'static str, Given)];

/// A model of a few nodes, all of whose activations and weights can be in 8-bit integers.
#[derive(Default)]
struct Example {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    input: Vec<i64>,
    quantized: bool,
    /// An operator and an attribute that its nodes are given with a type that none has.
    wrong: Option<(&'static str, &'static str)>,
}

impl Example {
    fn name(&self) -> String {
        format!("v{}", self.nodes.len() + self.constants.len())
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = self.name();
        self.constants.push(TensorProto { name: name.clone(), ..tensor });
        name
    }

    /// The model's input: a batch of this shape.
    fn x(&mut self, shape: &[i64]) -> String {
        self.input = shape.into();
        self.rounded("x".into())
    }

    /// Weights: one 8-bit scale for all of them if the model is quantized.
    fn weights(&mut self, shape: &[i64]) -> String {
        let count = shape.iter().product::<i64>() as usize;
        let dims = shape.to_vec();
        if !self.quantized {
            let float_data = (0..count).map(|at| 0.25 - 0.125 * (at % 5) as f32).collect();
            return self.constant(TensorProto {
                dims,
                data_type: DataType::Float as i32,
                float_data,
                ..Default::default()
            });
        }
        let int32_data = (0..count).map(|at| 2 - (at % 5) as i32).collect();
        let data_type = DataType::Int8 as i32;
        let integers = self.constant(TensorProto { dims, data_type, int32_data, ..Default::default() });
        let scale = self.number(0.125);
        self.push("DequantizeLinear", &[&integers, &scale], &[])
    }

    /// One number.
    fn number(&mut self, value: f32) -> String {
        let data_type = DataType::Float as i32;
        self.constant(TensorProto { data_type, float_data: vec![value], ..Default::default() })
    }

    /// Numbers that stay floats.
    fn floats(&mut self, values: &[f32]) -> String {
        let (dims, data_type) = (vec![values.len() as i64], DataType::Float as i32);
        self.constant(TensorProto { dims, data_type, float_data: values.into(), ..Default::default() })
    }

    /// Numbers of any shape that stay floats.
    fn tensor(&mut self, shape: &[i64]) -> String {
        let count = shape.iter().product::<i64>() as usize;
        let float_data = (0..count).map(|at| 0.25 + 0.125 * (at % 5) as f32).collect();
        let (dims, data_type) = (shape.to_vec(), DataType::Float as i32);
        self.constant(TensorProto { dims, data_type, float_data, ..Default::default() })
    }

    /// Whole numbers: a shape, axes.
    fn longs(&mut self, values: &[i64]) -> String {
        let (dims, data_type) = (vec![values.len() as i64], DataType::Int64 as i32);
        self.constant(TensorProto { dims, data_type, int64_data: values.into(), ..Default::default() })
    }

    /// A node whose result is rounded to 8 bits if the model is quantized.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: Attributes) -> String {
        let result = self.push(operator, inputs, attributes);
        self.rounded(result)
    }

    fn rounded(&mut self, value: String) -> String {
        if !self.quantized {
            return value;
        }
        let scale = self.number(1.0 / 64.0);
        let data_type = DataType::Uint8 as i32;
        let zero = self.constant(TensorProto { data_type, int32_data: vec![128], ..Default::default() });
        let integers = self.push("QuantizeLinear", &[&value, &scale, &zero], &[]);
        self.push("DequantizeLinear", &[&integers, &scale, &zero], &[])
    }

    /// A node as it is.
    fn push(&mut self, operator: &str, inputs: &[&str], attributes: Attributes) -> String {
        let name = self.name();
        let mut attribute: Vec<AttributeProto> = attributes
            .iter()
            .map(|&(name, given)| {
                let name = name.into();
                match given {
                    Int(i) => {
                        AttributeProto { name, r#type: AttributeType::Int as i32, i, ..Default::default() }
                    }
                    Ints(ints) => {
                        let (r#type, ints) = (AttributeType::Ints as i32, ints.into());
                        AttributeProto { name, r#type, ints, ..Default::default() }
                    }
                    Text(text) => {
                        let (r#type, s) = (AttributeType::String as i32, text.into());
                        AttributeProto { name, r#type, s, ..Default::default() }
                    }
                    Given::Tensor => {
                        let data_type = DataType::Float as i32;
                        let t = Some(TensorProto { data_type, float_data: vec![0.5], ..Default::default() });
                        AttributeProto { name, r#type: AttributeType::Tensor as i32, t, ..Default::default() }
                    }
                }
            })
            .collect();
        if let Some((_, wrong)) = self.wrong.filter(|(of, _)| *of == operator) {
            // A Constant has only one.
            attribute.retain(|attribute| attribute.name != wrong && operator != "Constant");
            let r#type = AttributeType::Graphs as i32;
            attribute.push(AttributeProto { name: wrong.into(), r#type, ..Default::default() });
        }
        self.nodes.push(NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.clone()],
            attribute,
            ..Default::default()
        });
        name
    }

    fn model(self, output: String, opset: i64) -> ModelProto {
        let dim = |length: i64| {
            let value = match length {
                0 => dimension::Value::DimParam("batch".into()),
                length => dimension::Value::DimValue(length),
            };
            Dimension { value: Some(value), ..Default::default() }
        };
        let shape = TensorShapeProto { dim: self.input.iter().map(|&length| dim(length)).collect() };
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
        let value = Some(type_proto::Value::TensorType(tensor));
        let r#type = Some(TypeProto { value, ..Default::default() });
        let input = ValueInfoProto { name: "x".into(), r#type, ..Default::default() };
        let output = ValueInfoProto { name: output, ..Default::default() };
        let (node, initializer) = (self.nodes, self.constants);
        let (input, output) = (vec![input], vec![output]);
        ModelProto {
            opset_import: vec![OperatorSetIdProto { version: opset, ..Default::default() }],
            graph: Some(GraphProto { node, initializer, input, output, ..Default::default() }),
            ..Default::default()
        }
    }
}

type Make = fn(&mut Example) -> String;

fn of_one(e: &mut Example, operator: &str, attributes: Attributes) -> String {
    let x = e.x(&[0, 4, 6, 6]);
    e.node(operator, &[&x], attributes)
}

fn of_two(e: &mut Example, operator: &str) -> String {
    let x = e.x(&[0, 4, 6, 6]);
    e.node(operator, &[&x, &x], &[])
}

/// Picks the batch and computes with it on the way to a shape.
fn reshaped(e: &mut Example, x: &str, entry: &str) -> String {
    let rest = e.longs(&[144]);
    let shape = e.push("Concat", &[entry, &rest], &[("axis", Int(0))]);
    e.node("Reshape", &[x, &shape], &[])
}

/// An example of each operator, and what its attributes do not tell.
#[rustfmt::skip] // A few lines each.
const CASES: &[(&str, Make, &str)] = &[
    ("Abs", |e| of_one(e, "Abs", &[]), ""),
    ("Acos", |e| of_one(e, "Acos", &[]), ""),
    ("Acosh", |e| of_one(e, "Acosh", &[]), ""),
    ("Add", |e| of_two(e, "Add"), "also of shapes"),
    ("Asin", |e| of_one(e, "Asin", &[]), ""),
    ("Asinh", |e| of_one(e, "Asinh", &[]), ""),
    ("Atan", |e| of_one(e, "Atan", &[]), ""),
    ("Atanh", |e| of_one(e, "Atanh", &[]), ""),
    ("AveragePool", |e| of_one(e, "AveragePool", &[("kernel_shape", Ints(&[2, 2])), ("strides", Ints(&[2, 2]))]), "of images and sequences"),
    ("BatchNormalization", |e| {
        let x = e.x(&[0, 4, 6, 6]);
        let [a, b, c, d] = [1.0, 0.5, 0.25, 2.0].map(|value| e.floats(&[value; 4]));
        e.node("BatchNormalization", &[&x, &a, &b, &c, &d], &[])
    }, "in evaluation mode; packed with constant parameters"),
    ("Cast", |e| { let x = e.x(&[0, 4, 6, 6]); e.push("Cast", &[&x], &[("to", Int(DataType::Float as i64))]) },
        "to the type that the value has, integers to floats; any of constants and shapes"),
    ("Ceil", |e| of_one(e, "Ceil", &[]), ""),
    ("Celu", |e| of_one(e, "Celu", &[]), ""),
    ("Clip", |e| { let x = e.x(&[0, 4, 6, 6]); let (a, b) = (e.number(0.0), e.number(6.0)); e.node("Clip", &[&x, &a, &b], &[]) },
        "constant limits"),
    ("Concat", |e| { let x = e.x(&[0, 4, 6, 6]); e.node("Concat", &[&x, &x], &[("axis", Int(1))]) }, "also of shapes; packed along any axis but the batch"),
    ("Constant", |e| { let x = e.x(&[0, 4, 6, 6]); let c = e.push("Constant", &[], &[("value", Given::Tensor)]); e.node("Mul", &[&x, &c], &[]) }, ""),
    ("ConstantOfShape", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.longs(&[1]); let c = e.push("ConstantOfShape", &[&s], &[("value", Given::Tensor)]);
        e.node("Mul", &[&x, &c], &[]) }, "at most 16 777 215 elements"),
    ("Conv", |e| { let x = e.x(&[0, 4, 6, 6]); let w = e.weights(&[8, 4, 3, 3]); e.node("Conv", &[&x, &w], &[("pads", Ints(&[1, 1, 1, 1]))]) },
        "of images and sequences; packed with constant weights"),
    ("ConvTranspose", |e| { let x = e.x(&[0, 4, 6, 6]); let w = e.weights(&[4, 8, 4, 4]);
        e.node("ConvTranspose", &[&x, &w], &[("pads", Ints(&[1, 1, 1, 1])), ("strides", Ints(&[2, 2]))]) }, "of images and sequences; packed with constant weights"),
    ("Cos", |e| of_one(e, "Cos", &[]), ""),
    ("Cosh", |e| of_one(e, "Cosh", &[]), ""),
    ("DepthToSpace", |e| { let x = e.x(&[0, 4, 6, 6]); let w = e.weights(&[8, 4, 3, 3]);
        let y = e.push("Conv", &[&x, &w], &[("pads", Ints(&[1, 1, 1, 1]))]); e.node("DepthToSpace", &[&y], &[("blocksize", Int(2))]) },
        ""),
    ("DequantizeLinear", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.number(0.125);
        let y = e.push("QuantizeLinear", &[&x, &s], &[]); e.push("DequantizeLinear", &[&y, &s], &[]) }, "constant scales; 8-bit integers, and 32-bit biases"),
    ("Div", |e| { let x = e.x(&[0, 4, 6, 6]); let c = e.number(4.0); e.node("Div", &[&x, &c], &[]) }, "also of shapes"),
    ("Dropout", |e| of_one(e, "Dropout", &[]), "does nothing in inference"),
    ("Einsum", |e| { let x = e.x(&[0, 4, 6, 6]); e.push("Einsum", &[&x, &x], &[("equation", Text("nchw,ncvw->nchv"))]) },
        "one or two operands; letters, each once in an operand"),
    ("Elu", |e| of_one(e, "Elu", &[]), ""),
    ("Equal", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [&[11], &[4]].map(|values| e.longs(values)); let c = e.push("Equal", &[&a, &b], &[]);
        let [one, other] = [2.0, 3.0].map(|value| e.floats(&[value])); let s = e.push("Where", &[&c, &one, &other], &[]); e.node("Mul", &[&x, &s], &[]) }, "also of shapes"),
    ("Erf", |e| of_one(e, "Erf", &[]), ""),
    ("Exp", |e| of_one(e, "Exp", &[]), ""),
    ("Expand", |e| { let x = e.x(&[0, 4, 1, 1]); let s = e.longs(&[1, 1, 6, 6]); let y = e.push("Expand", &[&x, &s], &[]);
        let l = e.longs(&[6, 6]); let z = e.node("Resize", &[&x, "", "", &l], &[("axes", Ints(&[2, 3]))]); e.node("Mul", &[&z, &y], &[]) },
        ""),
    ("Flatten", |e| of_one(e, "Flatten", &[]), ""),
    ("Floor", |e| of_one(e, "Floor", &[]), ""),
    ("Gather", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.push("Shape", &[&x], &[]); let i = e.longs(&[0]); let b = e.push("Gather", &[&s, &i], &[]); reshaped(e, &x, &b) },
        "entries of shapes, constant places of any value, computed places of a constant (its axis 0, from 0 on)"),
    ("Gelu", |e| of_one(e, "Gelu", &[]), "also as Erf or Tanh and arithmetic"),
    ("Gemm", |e| { let x = e.x(&[0, 10]); let w = e.weights(&[20, 10]); e.node("Gemm", &[&x, &w], &[("transB", Int(1))]) }, "packed with constant weights"),
    ("GlobalAveragePool", |e| of_one(e, "GlobalAveragePool", &[]), ""),
    ("GlobalMaxPool", |e| of_one(e, "GlobalMaxPool", &[]), ""),
    ("Greater", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [&[11], &[4]].map(|values| e.longs(values)); let c = e.push("Greater", &[&a, &b], &[]);
        let [one, other] = [2.0, 3.0].map(|value| e.floats(&[value])); let s = e.push("Where", &[&c, &one, &other], &[]); e.node("Mul", &[&x, &s], &[]) }, "also of shapes"),
    ("GroupNormalization", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [1.0, 0.5].map(|value| e.floats(&[value; 4])); e.node("GroupNormalization", &[&x, &a, &b], &[("num_groups", Int(2))]) }, "also as a Reshape, InstanceNormalization and another Reshape"),
    ("HardSigmoid", |e| of_one(e, "HardSigmoid", &[]), ""),
    ("HardSwish", |e| of_one(e, "HardSwish", &[]), ""),
    ("Identity", |e| of_one(e, "Identity", &[]), ""),
    ("InstanceNormalization", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [1.0, 0.5].map(|value| e.floats(&[value; 4])); e.node("InstanceNormalization", &[&x, &a, &b], &[]) }, ""),
    ("LayerNormalization", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.tensor(&[4, 6, 6]); e.node("LayerNormalization", &[&x, &a], &[("axis", Int(1))]) }, ""),
    ("LeakyRelu", |e| of_one(e, "LeakyRelu", &[]), ""),
    ("Less", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [&[11], &[4]].map(|values| e.longs(values)); let c = e.push("Less", &[&a, &b], &[]);
        let [one, other] = [2.0, 3.0].map(|value| e.floats(&[value])); let s = e.push("Where", &[&c, &one, &other], &[]); e.node("Mul", &[&x, &s], &[]) }, "also of shapes"),
    ("Log", |e| of_one(e, "Log", &[]), ""),
    ("LogSoftmax", |e| of_one(e, "LogSoftmax", &[("axis", Int(1))]), ""),
    ("LpNormalization", |e| of_one(e, "LpNormalization", &[("axis", Int(1))]), "p 1 and 2"),
    ("MatMul", |e| { let x = e.x(&[0, 10]); let w = e.weights(&[10, 20]); e.node("MatMul", &[&x, &w], &[]) }, "packed with constant weights"),
    ("Max", |e| of_two(e, "Max"), "of any number"),
    ("MaxPool", |e| of_one(e, "MaxPool", &[("kernel_shape", Ints(&[2, 2])), ("strides", Ints(&[2, 2]))]), "of images and sequences; without the maxima's places"),
    ("Mean", |e| of_two(e, "Mean"), "of any number"),
    ("Min", |e| of_two(e, "Min"), "of any number"),
    ("Mish", |e| of_one(e, "Mish", &[]), ""),
    ("Mod", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[11]); let b = e.longs(&[4]); let r = e.push("Mod", &[&a, &b], &[]);
        let rest = e.longs(&[48]); let zero = e.longs(&[0]); let s = e.push("Concat", &[&zero, &r, &rest], &[("axis", Int(0))]); e.node("Reshape", &[&x, &s], &[]) },
        "of shapes only"),
    ("Mul", |e| of_two(e, "Mul"), "also of shapes"),
    ("Neg", |e| of_one(e, "Neg", &[]), "also of shapes"),
    ("OneHot", |e| { let x = e.x(&[0, 4]); let d = e.longs(&[5]); let v = e.floats(&[0.0, 1.0]); e.node("OneHot", &[&x, &d, &v], &[]) }, "constant depth and values; places from 0 on"),
    ("PRelu", |e| { let x = e.x(&[0, 4, 6, 6]); let c = e.tensor(&[4, 1, 1]); e.node("PRelu", &[&x, &c], &[]) }, ""),
    ("Pad", |e| { let x = e.x(&[0, 4, 6, 6]); let p = e.longs(&[0, 0, 1, 1, 0, 0, 1, 1]); e.node("Pad", &[&x, &p], &[]) },
        "constant, edge, reflect or wrap, a negative one cuts off; not of the batch"),
    ("Pow", |e| { let x = e.x(&[0, 4, 6, 6]); let c = e.number(3.0); e.node("Pow", &[&x, &c], &[]) }, "exponents of floats or integers"),
    ("QuantizeLinear", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.number(0.125);
        let y = e.push("QuantizeLinear", &[&x, &s], &[]); e.push("DequantizeLinear", &[&y, &s], &[]) }, "constant scales; to uint8 and int8"),
    ("RMSNormalization", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.tensor(&[4, 6, 6]); e.node("RMSNormalization", &[&x, &a], &[("axis", Int(1))]) }, ""),
    ("Range", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b, c] = [0.0, 6.0, 1.0].map(|value| e.number(value)); let r = e.push("Range", &[&a, &b, &c], &[]);
        e.node("Mul", &[&x, &r], &[]) }, "of shapes and constants only"),
    ("Reciprocal", |e| of_one(e, "Reciprocal", &[]), ""),
    ("ReduceL1", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceL1", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceL2", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); let n = e.push("ReduceL2", &[&x, &a], &[]); e.node("Div", &[&x, &n], &[]) },
        "not over the batch"),
    ("ReduceLogSum", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceLogSum", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceLogSumExp", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceLogSumExp", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceMax", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceMax", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceMean", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[2, 3]); e.node("ReduceMean", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceMin", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceMin", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceSum", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceSum", &[&x, &a], &[]) }, "not over the batch"),
    ("ReduceSumSquare", |e| { let x = e.x(&[0, 4, 6, 6]); let a = e.longs(&[1]); e.node("ReduceSumSquare", &[&x, &a], &[]) }, "not over the batch"),
    ("Relu", |e| of_one(e, "Relu", &[]), ""),
    ("Reshape", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.longs(&[0, 16, 3, 3]); e.node("Reshape", &[&x, &s], &[]) }, "a shape that is constant but for the batch"),
    ("Resize", |e| { let x = e.x(&[0, 4, 6, 6]); let s = e.longs(&[12, 12]); e.node("Resize", &[&x, "", "", &s], &[("axes", Ints(&[2, 3])), ("mode", Text("nearest"))]) },
        "rows and columns; nearest, linear and cubic; half_pixel, pytorch_half_pixel, asymmetric and align_corners"),
    ("Round", |e| of_one(e, "Round", &[]), ""),
    ("Selu", |e| of_one(e, "Selu", &[]), ""),
    ("Shape", |e| { let x = e.x(&[0, 4, 6, 6]); let b = e.push("Shape", &[&x], &[("end", Int(1))]); reshaped(e, &x, &b) }, ""),
    ("Sigmoid", |e| of_one(e, "Sigmoid", &[]), ""),
    ("Sign", |e| of_one(e, "Sign", &[]), ""),
    ("Sin", |e| of_one(e, "Sin", &[]), ""),
    ("Sinh", |e| of_one(e, "Sinh", &[]), ""),
    ("Slice", |e| { let x = e.x(&[0, 4, 6, 6]); let w = e.weights(&[4, 8, 4, 4]); let y = e.push("ConvTranspose", &[&x, &w], &[("strides", Ints(&[2, 2]))]);
        let [a, b, c] = [&[1, 1], &[13, 13], &[2, 3]].map(|values| e.longs(values)); e.node("Slice", &[&y, &a, &b, &c], &[]) },
        "not of the batch"),
    ("Softmax", |e| of_one(e, "Softmax", &[("axis", Int(1))]), ""),
    ("Softplus", |e| of_one(e, "Softplus", &[]), ""),
    ("Softsign", |e| of_one(e, "Softsign", &[]), ""),
    ("SpaceToDepth", |e| of_one(e, "SpaceToDepth", &[("blocksize", Int(2))]), ""),
    ("Split", |e| { let x = e.x(&[0, 4, 6, 6]); let y = e.push("Split", &[&x], &[("axis", Int(1)), ("num_outputs", Int(1))]); e.node("Neg", &[&y], &[]) }, "constant lengths; not of the batch; also of shapes"),
    ("Sqrt", |e| of_one(e, "Sqrt", &[]), ""),
    ("Squeeze", |e| { let x = e.x(&[0, 4, 1, 6]); let a = e.longs(&[2]); e.node("Squeeze", &[&x, &a], &[]) }, ""),
    ("Sub", |e| of_two(e, "Sub"), "also of shapes"),
    ("Sum", |e| of_two(e, "Sum"), "of any number"),
    ("Tan", |e| of_one(e, "Tan", &[]), ""),
    ("Tanh", |e| of_one(e, "Tanh", &[]), ""),
    ("Tile", |e| { let x = e.x(&[0, 4, 6, 6]); let r = e.longs(&[1, 2, 1, 1]); e.node("Tile", &[&x, &r], &[]) }, "repeats that are constant; not of the batch"),
    ("Transpose", |e| { let x = e.x(&[0, 4, 6, 6]); let y = e.push("Transpose", &[&x], &[("perm", Ints(&[0, 2, 3, 1]))]);
        let w = e.weights(&[4, 8]); let y = e.node("MatMul", &[&y, &w], &[]); e.push("Transpose", &[&y], &[("perm", Ints(&[0, 3, 1, 2]))]) },
        "not of the batch"),
    ("Unsqueeze", |e| { let x = e.x(&[0, 4, 6]); let a = e.longs(&[2]); e.node("Unsqueeze", &[&x, &a], &[]) }, ""),
    ("Where", |e| { let x = e.x(&[0, 4, 6, 6]); let [a, b] = [&[11], &[4]].map(|values| e.longs(values)); let c = e.push("Greater", &[&a, &b], &[]);
        let [one, other] = [2.0, 3.0].map(|value| e.floats(&[value])); let s = e.push("Where", &[&c, &one, &other], &[]); e.node("Mul", &[&x, &s], &[]) }, "the condition a constant, or from Equal, Greater or Less"),
];

fn model(make: Make, quantized: bool, wrong: Option<(&'static str, &'static str)>, opset: i64) -> ModelProto {
    let mut example = Example { quantized, wrong, ..Example::default() };
    let output = make(&mut example);
    example.model(output, opset)
}

/// The opsets in which an operator reads an attribute, or ignores it knowingly.
fn opsets(make: Make, operator: &'static str, attribute: &'static str) -> Vec<i64> {
    let reads = |opset: &i64| {
        !matches!(
            import(&model(make, false, Some((operator, attribute)), *opset)),
            Err(ImportError::Attribute { what, .. }) if what == "is not supported"
        )
    };
    OPSETS.filter(reads).collect()
}

/// Operators that are islands of floats between integers.
const ISLANDS: &[&str] =
    &["function", "constant", "standardize", "L1 normalize", "reduce", "product", "one-hot"];

/// What changes the type of elements alone.
const CONVERSIONS: [&str; 3] = ["quantize", "dequantize", "requantize"];

/// What the packed model computes.
fn packed(model: &ModelProto, precision: FloatPrecision) -> BTreeSet<String> {
    let bytes = pack(model, precision).unwrap_or_else(|error| panic!("{error}"));
    let bytes = AlignedBytes::copy_of(&bytes);
    let model = Model::from_bytes(bytes.as_slice()).unwrap();
    let quantized = model.precision() == Precision::Int8;
    let plan = Plan::of(&model).operators.into_iter().enumerate();
    // The others compute with floats, whatever they take and give; what is between them may be floats.
    let computing = (0..plan.len()).filter(|&index| {
        let planned = plan.clone().nth(index);
        planned.is_some_and(|(_, planned)| !CONVERSIONS.contains(&planned.kind.as_str()))
    });
    let is_island = computing.count() > 1
        || (0..plan.len())
            .filter_map(|index| model.operator(index))
            .any(|operator| ISLANDS.contains(&operator.kind.name()));
    let kinds = plan.filter_map(|(index, planned)| {
        let operator = model.operator(index)?;
        let (kind, input, output) = (operator.kind.name(), operator.input.kind, operator.output.kind);
        if CONVERSIONS.contains(&planned.kind.as_str()) {
            return None;
        }
        let integers = [input, output] == [ValueType::U8; 2];
        assert!(is_island || integers == quantized, "{kind} from {input:?} to {output:?}");
        Some(match kind {
            "elementwise" => planned.fused.join(", "),
            "binary" | "function" => planned.kind,
            _ => kind.to_string(),
        })
    });
    kinds.collect()
}

fn row(&(name, make, limits): &(&'static str, Make, &str), operator: &Operator) -> String {
    let attributes = operator.attributes.iter().map(|&attribute| {
        let opsets = opsets(make, name, attribute);
        let (Some(first), Some(last)) = (opsets.first(), opsets.last()) else {
            panic!("{name} has {attribute} in its table, and reads it in no opset")
        };
        match (first == OPSETS.start(), last == OPSETS.end()) {
            (true, true) => format!("`{attribute}`"),
            (true, false) => format!("`{attribute}` (to opset {last})"),
            (false, true) => format!("`{attribute}` (from opset {first})"),
            (false, false) => format!("`{attribute}` (opsets {first} to {last})"),
        }
    });
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let [float, half, bfloat] = [FloatPrecision::F32, FloatPrecision::F16, FloatPrecision::Bf16]
        .map(|precision| packed(&model(make, false, None, EXAMPLES), precision));
    assert_eq!([&half, &bfloat], [&float; 2], "{name}");
    // Where values are quantized, it takes and gives 8-bit integers.
    packed(&model(make, true, None, EXAMPLES), FloatPrecision::F32);
    let kinds = float.into_iter().collect::<Vec<_>>().join(" + ");
    // A packed model has at least one operator, and then copies.
    let kinds = if kinds.is_empty() || (kinds == "copy" && name != "Concat") { "nothing" } else { &kinds };
    format!("| `{name}` | {attributes} | {limits} | {kinds} |")
}

fn page() -> String {
    let mut page = format!(
        "# Operators\n\n\
         What `exporter` takes in of ONNX, in the opsets {} to {}. Any other operator or attribute is refused by name, and so is every value \
         that is not supported. This page is made by a test, from the table that the importer dispatches on and from a small model of each \
         operator (`exporter/src/import/operators/page.rs`): edit those.\n\n\
         *Packed as* is what that model becomes in a `.lat` file, whatever lies around the operator included; weights may be f32, f16, bf16 or int8; \
         layers, pools, sums and what only moves elements take and give 8-bit integers between quantized values; other operators are islands of floats there. \"Nothing\" is what vanishes, is computed when packing, or is taken into a neighbor.\n\n\
         | operator | attributes | limits | packed as |\n|---|---|---|---|\n",
        OPSETS.start(),
        OPSETS.end()
    );
    let names: Vec<&str> = CASES.iter().map(|case| case.0).collect();
    let mut known: Vec<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "each operator has one example, in order of the alphabet");
    for case in CASES {
        let operator = OPERATORS.iter().find(|operator| operator.name == case.0).unwrap();
        writeln!(page, "{}", row(case, operator)).unwrap();
    }
    page += "\n## Operators that are taken apart\n\n\
             The QOperator form of quantized models, of ONNX and of ONNX Runtime (domain `com.microsoft`), and dynamic quantization, whose \
             activations stay floats.\n\n| operator | domain | becomes |\n|---|---|---|\n";
    for (domain, name, parts) in composites() {
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        writeln!(page, "| `{name}` | {domain} | {} |", parts.join(", ")).unwrap();
    }
    page
}

#[test]
fn the_page_of_operators_is_what_the_importer_does() {
    let (path, page) = (Path::new(PAGE), page());
    if std::env::var_os("LATENT_WRITE_PAGES").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found, page,
        "write docs/OPERATORS.md anew: LATENT_WRITE_PAGES=1 cargo test -p latent-exporter --lib operators"
    );
}

#[test]
fn an_attribute_that_an_operator_does_not_have_is_refused() {
    for &(name, make, _) in CASES {
        assert!(opsets(make, name, "no_such").is_empty(), "{name}");
    }
}
