//! Operators that are others in one: the QOperator form of quantized models (QLinearConv and its kin, of ONNX and of ONNX
//! Runtime's domain com.microsoft), and dynamic quantization.
//!
//! A QLinear operator is DequantizeLinear, the operator on floats, and QuantizeLinear, which is how its definition explains it.
//! Dynamic quantization rounds each activation to 8 bits of a range found at run time; here its integers stay what they stand for:
//! DynamicQuantizeLinear gives its input, with the scale 1 and the zero point 0, and the integer products become products
//! of floats.

use std::borrow::Cow;
use std::collections::HashSet;

use latent_runtime::onnx::proto::attribute_proto::AttributeType;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{AttributeProto, NodeProto, TensorProto};

/// ONNX Runtime's own operators.
pub(super) const MICROSOFT: &str = "com.microsoft";

type TakeApart = fn(&mut Parts, &mut HashSet<String>);

/// Name and domain of each composite operator, and what takes it apart.
#[rustfmt::skip] // One line an operator.
const COMPOSITES: &[(&str, &str, TakeApart)] = &[
    ("ConvInteger", "", |parts, dynamic| parts.integer_product("Conv", dynamic)),
    ("DynamicQuantizeLinear", "", |parts, dynamic| parts.dynamic(dynamic)),
    ("MatMulInteger", "", |parts, dynamic| parts.integer_product("MatMul", dynamic)),
    ("QLinearConv", "", |parts, _| parts.convolution()),
    ("QLinearMatMul", "", |parts, _| parts.matmul()),
    ("DequantizeLinear", MICROSOFT, |parts, _| parts.same_as_onnx()),
    ("QGemm", MICROSOFT, |parts, _| parts.gemm()),
    ("QLinearAdd", MICROSOFT, |parts, _| parts.binary("Add")),
    ("QLinearAveragePool", MICROSOFT, |parts, _| parts.function("AveragePool")),
    ("QLinearConcat", MICROSOFT, |parts, _| parts.concat()),
    ("QLinearGlobalAveragePool", MICROSOFT, |parts, _| parts.function("GlobalAveragePool")),
    ("QLinearLeakyRelu", MICROSOFT, |parts, _| parts.function("LeakyRelu")),
    ("QLinearMul", MICROSOFT, |parts, _| parts.binary("Mul")),
    ("QLinearReduceMean", MICROSOFT, |parts, _| parts.function("ReduceMean")),
    ("QLinearSigmoid", MICROSOFT, |parts, _| parts.function("Sigmoid")),
    ("QLinearSoftmax", MICROSOFT, |parts, _| parts.function("Softmax")),
    ("QuantizeLinear", MICROSOFT, |parts, _| parts.same_as_onnx()),
];

/// The nodes with every composite operator taken apart, and whether activations were quantized dynamically.
pub(super) fn expanded(nodes: Vec<Cow<'_, NodeProto>>) -> (Vec<Cow<'_, NodeProto>>, bool) {
    let mut out = Vec::with_capacity(nodes.len());
    // What DynamicQuantizeLinear made: floats here.
    let mut dynamic = HashSet::new();
    for node in nodes {
        let mut parts = Parts { node: &node, nodes: Vec::new() };
        if parts.expand(&mut dynamic) {
            out.extend(parts.nodes.into_iter().map(Cow::Owned));
        } else {
            out.push(node);
        }
    }
    (out, !dynamic.is_empty())
}

/// The nodes that one node becomes.
struct Parts<'n> {
    node: &'n NodeProto,
    nodes: Vec<NodeProto>,
}

impl Parts<'_> {
    fn expand(&mut self, dynamic: &mut HashSet<String>) -> bool {
        let microsoft = self.node.domain == MICROSOFT;
        if !microsoft && !matches!(&*self.node.domain, "" | "ai.onnx") {
            return false;
        }
        let composite = COMPOSITES
            .iter()
            .find(|(name, domain, _)| *name == self.node.op_type && (*domain == MICROSOFT) == microsoft);
        let Some((_, _, take_apart)) = composite else { return false };
        take_apart(self, dynamic);
        true
    }

    /// Inputs: x, scale, zero point, w, scale, zero point, scale, zero point of the result, [bias].
    fn convolution(&mut self) {
        let x = self.dequantized(0, None);
        let w = self.dequantized(3, Some(0));
        let mut inputs = vec![x, w];
        if self.has(8) {
            let scale = self.add("Mul", "bias_scale", vec![self.input(1), self.input(4)], vec![]);
            let bias = vec![self.input(8), scale];
            inputs.push(self.add("DequantizeLinear", "bias", bias, vec![int("axis", 0)]));
        }
        let result = self.add("Conv", "float", inputs, self.attributes(&[]));
        self.quantized(result, 6);
    }

    /// Inputs: a, scale, zero point, b, scale, zero point, scale, zero point of the result.
    fn matmul(&mut self) {
        let inputs = vec![self.dequantized(0, None), self.dequantized(3, Some(-1))];
        let result = self.add("MatMul", "float", inputs, vec![]);
        self.quantized(result, 6);
    }

    /// Inputs: a, scale, zero point, b, scale, zero point, [c], [scale, zero point of the result].
    fn gemm(&mut self) {
        let attributes = self.attributes(&[]);
        let transposed = attributes.iter().any(|attribute| attribute.name == "transB" && attribute.i != 0);
        let alpha =
            attributes.iter().find(|attribute| attribute.name == "alpha").map_or(1.0, |alpha| alpha.f);
        let a = self.dequantized(0, None);
        let b = self.dequantized(3, Some(if transposed { 0 } else { 1 }));
        let mut inputs = vec![a, b];
        if self.has(6) {
            let mut scale = self.add("Mul", "bias_scale", vec![self.input(1), self.input(4)], vec![]);
            if alpha != 1.0 {
                let alpha = self.constant("alpha", alpha);
                scale = self.add("Mul", "bias_scale_alpha", vec![scale, alpha], vec![]);
            }
            let bias = vec![self.input(6), scale];
            inputs.push(self.add("DequantizeLinear", "bias", bias, vec![int("axis", -1)]));
        }
        if self.has(7) {
            let result = self.add("Gemm", "float", inputs, attributes);
            self.quantized(result, 7);
        } else {
            self.finish("Gemm", inputs, attributes);
        }
    }

    /// Inputs: a, scale, zero point, b, scale, zero point, scale, zero point of the result.
    fn binary(&mut self, operator: &str) {
        let inputs = vec![self.dequantized(0, None), self.dequantized(3, None)];
        let result = self.add(operator, "float", inputs, self.attributes(&[]));
        self.quantized(result, 6);
    }

    /// Inputs: x, scale, zero point, scale, zero point of the result.
    fn function(&mut self, operator: &str) {
        let x = self.dequantized(0, None);
        // Channels last is a layout of ONNX Runtime's inside, never written by its tools; 1 stays, and is refused.
        let is_off = |name: &str| self.node.attribute.iter().any(|a| a.name == name && a.i == 0);
        let mut dropped = vec!["opset"];
        if is_off("channels_last") {
            dropped.push("channels_last");
        }
        let result = self.add(operator, "float", vec![x], self.attributes(&dropped));
        self.quantized(result, 3);
    }

    /// Inputs: scale, zero point of the result, then x, scale, zero point of each.
    fn concat(&mut self) {
        let count = self.node.input.len().saturating_sub(2) / 3;
        let inputs = (0..count).map(|index| self.dequantized(2 + 3 * index, None)).collect();
        let result = self.add("Concat", "float", inputs, self.attributes(&[]));
        self.quantized(result, 0);
    }

    fn same_as_onnx(&mut self) {
        self.nodes.push(NodeProto { domain: String::new(), ..self.node.clone() });
    }

    /// Outputs: y, scale, zero point.
    fn dynamic(&mut self, dynamic: &mut HashSet<String>) {
        let [y, scale, zero] =
            [0, 1, 2].map(|index| self.node.output.get(index).cloned().unwrap_or_default());
        self.push("Identity", "floats", vec![self.input(0)], y.clone(), vec![]);
        if !scale.is_empty() {
            self.push("Constant", "scale", vec![], scale, vec![float("value_float", 1.0)]);
        }
        if !zero.is_empty() {
            let tensor = TensorProto {
                data_type: DataType::Uint8 as i32,
                int32_data: vec![0],
                ..TensorProto::default()
            };
            let r#type = AttributeType::Tensor as i32;
            let value =
                AttributeProto { name: "value".into(), r#type, t: Some(tensor), ..Default::default() };
            self.push("Constant", "zero_point", vec![], zero, vec![value]);
        }
        dynamic.insert(y);
    }

    /// Inputs: a, b, [zero point of a], [zero point of b].
    fn integer_product(&mut self, operator: &str, dynamic: &HashSet<String>) {
        let a = match dynamic.contains(&self.input(0)) {
            true => self.input(0),
            false => {
                let one = self.constant("one", 1.0);
                let inputs = vec![self.input(0), one, self.input(2)];
                self.add("DequantizeLinear", "a", inputs, vec![])
            }
        };
        let b = self.weights();
        let attributes = self.attributes(&[]);
        self.finish(operator, vec![a, b], attributes);
    }

    /// Integer weights less their zero point, as floats.
    fn weights(&mut self) -> String {
        let to = || vec![int("to", DataType::Float as i64)];
        let floats = self.add("Cast", "b_floats", vec![self.input(1)], to());
        if !self.has(3) {
            return floats;
        }
        let mut zero = self.add("Cast", "b_zero", vec![self.input(3)], to());
        if self.node.op_type == "ConvInteger" {
            // One for each output channel, the first axis of the weights.
            let shape = self.longs("zero_shape", &[-1, 1, 1, 1]);
            zero = self.add("Reshape", "zero_per_channel", vec![zero, shape], vec![]);
        }
        self.add("Sub", "b", vec![floats, zero], vec![])
    }

    /// The floats of input `first`, whose scale and zero point follow it; they vary along `axis`.
    fn dequantized(&mut self, first: usize, axis: Option<i64>) -> String {
        let inputs = (first..first + 3).map(|index| self.input(index)).collect();
        let attributes = axis.map(|axis| int("axis", axis)).into_iter().collect();
        self.add("DequantizeLinear", &format!("{first}"), inputs, attributes)
    }

    /// The node's result: `floats` on the scale and zero point that inputs `first` and the next are.
    fn quantized(&mut self, floats: String, first: usize) {
        let inputs = vec![floats, self.input(first), self.input(first + 1)];
        self.finish("QuantizeLinear", inputs, vec![]);
    }

    fn has(&self, index: usize) -> bool {
        self.node.input.get(index).is_some_and(|name| !name.is_empty())
    }

    fn input(&self, index: usize) -> String {
        self.node.input.get(index).cloned().unwrap_or_default()
    }

    fn attributes(&self, dropped: &[&str]) -> Vec<AttributeProto> {
        self.node.attribute.iter().filter(|a| !dropped.contains(&&*a.name)).cloned().collect()
    }

    fn constant(&mut self, part: &str, value: f32) -> String {
        self.add("Constant", part, vec![], vec![float("value_float", value)])
    }

    fn longs(&mut self, part: &str, values: &[i64]) -> String {
        let r#type = AttributeType::Ints as i32;
        let ints =
            AttributeProto { name: "value_ints".into(), r#type, ints: values.into(), ..Default::default() };
        self.add("Constant", part, vec![], vec![ints])
    }

    /// A step on the way to the node's result.
    fn add(
        &mut self,
        operator: &str,
        part: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{}/{part}", self.node.output.first().map_or("", String::as_str));
        self.push(operator, part, inputs, output.clone(), attributes);
        output
    }

    /// The last step, which has the node's name and result.
    fn finish(&mut self, operator: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) {
        let output = self.node.output.first().cloned().unwrap_or_default();
        self.push(operator, "", inputs, output, attributes);
    }

    fn push(
        &mut self,
        operator: &str,
        part: &str,
        mut input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        while input.last().is_some_and(String::is_empty) {
            input.pop();
        }
        let name = match (&*self.node.name, part) {
            ("", _) => String::new(),
            (name, "") => name.to_string(),
            (name, part) => format!("{name}/{part}"),
        };
        let (op_type, output) = (operator.into(), vec![output]);
        self.nodes.push(NodeProto { name, op_type, input, output, attribute, ..NodeProto::default() });
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..Default::default() }
}

/// Domain and name of every composite operator, and the operators that it becomes, as an example of nine inputs shows.
#[cfg(test)]
pub(super) fn composites() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let example = |&(name, domain, _): &(&'static str, &'static str, TakeApart)| {
        let node = NodeProto {
            op_type: name.into(),
            domain: domain.into(),
            input: (0..9).map(|index| format!("input {index}")).collect(),
            output: (0..3).map(|index| format!("output {index}")).collect(),
            ..NodeProto::default()
        };
        let (nodes, _) = expanded(vec![Cow::Owned(node)]);
        let mut parts: Vec<String> = Vec::new();
        for node in &nodes {
            if !parts.contains(&node.op_type) {
                parts.push(node.op_type.clone());
            }
        }
        (domain, name, parts)
    };
    COMPOSITES.iter().map(example).collect()
}
