//! The shapes of a graph's inner values, as far as they can be told.

use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;

use super::proto::tensor_proto::DataType;
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use super::{Dimension, ValueInfo};

type Shape = Vec<Dimension>;

/// The shapes of all values of a graph that are declared or follow from the operators; for showing a model, not for
/// trusting it. A value whose shape cannot be told is left out.
pub fn infer_shapes(graph: &GraphProto) -> HashMap<String, Vec<Dimension>> {
    let mut shapes: HashMap<String, Shape> = HashMap::new();
    let mut integers: HashMap<&str, Vec<i64>> = HashMap::new();
    for tensor in &graph.initializer {
        shapes.insert(tensor.name.clone(), fixed(&tensor.dims));
        if let Some(values) = int64_values(tensor) {
            integers.insert(&tensor.name, values);
        }
    }
    // An output may be declared with a name where a size is, as PyTorch does: the operators may say more.
    let is_vague = |value: &ValueInfo| value.shape.as_deref().is_some_and(has_free_size);
    let outputs = || graph.output.iter().map(ValueInfo::new);
    let exact = outputs().filter(|output| !is_vague(output));
    let declared = graph.input.iter().chain(&graph.value_info).map(ValueInfo::new);
    for value in declared.chain(exact) {
        // What follows from the operators is at least as exact as a declaration with a dimension unknown.
        if let Some(shape) = value.shape.filter(|shape| !shape.contains(&Dimension::Unknown)) {
            shapes.insert(value.name, shape);
        }
    }
    for node in &graph.node {
        if let Some(tensor) =
            attribute(node, "value").and_then(|a| a.t.as_ref()).filter(|_| node.op_type == "Constant")
            && let Some(output) = node.output.first()
        {
            shapes.insert(output.clone(), fixed(&tensor.dims));
            if let Some(values) = int64_values(tensor) {
                integers.insert(output, values);
            }
            continue;
        }
        let inputs: Vec<Option<&Shape>> = node.input.iter().map(|name| shapes.get(name)).collect();
        let target = node.input.get(1).and_then(|name| integers.get(name.as_str())).map(Vec::as_slice);
        if let Some(output) = node.output.first()
            && let Some(shape) = output_shape(node, &inputs, target)
        {
            shapes.entry(output.clone()).or_insert(shape);
        }
    }
    for output in outputs() {
        if let Some(shape) = output.shape {
            shapes.entry(output.name).or_insert(shape);
        }
    }
    shapes
}

fn fixed(dims: &[i64]) -> Shape {
    dims.iter().map(|&dim| usize::try_from(dim).map_or(Dimension::Unknown, Dimension::Fixed)).collect()
}

fn int64_values(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_type != DataType::Int64 as i32 || tensor.dims.len() > 1 {
        return None;
    }
    if !tensor.int64_data.is_empty() {
        return Some(tensor.int64_data.clone());
    }
    Some(tensor.raw_data.chunks_exact(8).filter_map(|b| b.try_into().ok().map(i64::from_le_bytes)).collect())
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.i)
}

/// One of the spatial attributes: a value for each axis, or `default`.
fn ints(node: &NodeProto, name: &str, count: usize, default: i64) -> Option<Vec<i64>> {
    match attribute(node, name) {
        None => Some(std::vec![default; count]),
        Some(attribute) => Some(attribute.ints.clone()).filter(|values| values.len() == count),
    }
}

fn size(dimension: &Dimension) -> Option<i64> {
    match dimension {
        Dimension::Fixed(size) => i64::try_from(*size).ok(),
        _ => None,
    }
}

fn output_shape(node: &NodeProto, inputs: &[Option<&Shape>], target: Option<&[i64]>) -> Option<Shape> {
    let first = *inputs.first()?;
    match node.op_type.as_str() {
        "Relu"
        | "LeakyRelu"
        | "Tanh"
        | "Sigmoid"
        | "HardSwish"
        | "HardSigmoid"
        | "Elu"
        | "Selu"
        | "Gelu"
        | "Erf"
        | "Softplus"
        | "Softmax"
        | "LogSoftmax"
        | "Identity"
        | "Dropout"
        | "Clip"
        | "Cast"
        | "Abs"
        | "Neg"
        | "Sqrt"
        | "Exp"
        | "Log"
        | "Reciprocal"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "LpNormalization"
        | "PRelu"
        | "QuantizeLinear"
        | "DequantizeLinear" => first.cloned(),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" => {
            inputs.iter().try_fold(Vec::new(), |shape, input| Some(broadcast(&shape, (*input)?)))
        }
        "Gemm" => {
            let (a, b) = (first?, (*inputs.get(1)?)?);
            let rows = a.get(usize::from(int(node, "transA", 0) != 0))?;
            let columns = b.get(usize::from(int(node, "transB", 0) == 0))?;
            Some(Vec::from([rows.clone(), columns.clone()]))
        }
        "MatMul" => {
            let (a, b) = (first?, (*inputs.get(1)?)?);
            let (rows, columns) = (a.get(a.len().checked_sub(2)?)?, b.get(b.len().checked_sub(1)?)?);
            if b.len() < 2 {
                return None;
            }
            let mut shape = broadcast(&a[..a.len() - 2], &b[..b.len() - 2]);
            shape.extend([rows.clone(), columns.clone()]);
            Some(shape)
        }
        "Flatten" => {
            let input = first?;
            let axis = int(node, "axis", 1);
            let axis = usize::try_from(if axis < 0 { axis + input.len() as i64 } else { axis }).ok()?;
            let (outer, inner) = (input.get(..axis)?, input.get(axis..)?);
            Some(Vec::from([product(outer), product(inner)]))
        }
        "Reshape" => reshape(first?, target?),
        "Transpose" => {
            let input = first?;
            let order = match attribute(node, "perm") {
                Some(perm) => perm.ints.clone(),
                None => (0..input.len() as i64).rev().collect(),
            };
            order.iter().map(|&axis| input.get(usize::try_from(axis).ok()?).cloned()).collect()
        }
        "Concat" => {
            let mut shape = first?.clone();
            let axis = int(node, "axis", 0);
            let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
            let sizes =
                inputs.iter().try_fold(0i64, |sum, input| sum.checked_add(size((*input)?.get(axis)?)?))?;
            *shape.get_mut(axis)? = Dimension::Fixed(usize::try_from(sizes).ok()?);
            Some(shape)
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let mut shape = first?.clone();
            shape.iter_mut().skip(2).for_each(|size| *size = Dimension::Fixed(1));
            Some(shape)
        }
        "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" => {
            spatial(node, first?, inputs.get(1).copied().flatten())
        }
        _ => None,
    }
}

/// Whether an axis behind the first, the batch, has no fixed size.
pub(super) fn has_free_size(shape: &[Dimension]) -> bool {
    shape.iter().skip(1).any(|dimension| !matches!(dimension, Dimension::Fixed(_)))
}

fn broadcast(a: &[Dimension], b: &[Dimension]) -> Shape {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dimension], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(Dimension::Fixed(1), |index| shape[index].clone())
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (Dimension::Fixed(1), other) | (other, Dimension::Fixed(1)) => other,
            (a, b) if a == b => a,
            (Dimension::Fixed(size), _) | (_, Dimension::Fixed(size)) => Dimension::Fixed(size),
            _ => Dimension::Unknown,
        })
        .collect()
}

/// The product of some dimensions; a symbol stays if all others are 1.
fn product(shape: &[Dimension]) -> Dimension {
    let mut result = Dimension::Fixed(1);
    for dimension in shape {
        result = match (result, dimension) {
            (Dimension::Fixed(1), other) => other.clone(),
            (other, Dimension::Fixed(1)) => other,
            (Dimension::Fixed(a), Dimension::Fixed(b)) => {
                a.checked_mul(*b).map_or(Dimension::Unknown, Dimension::Fixed)
            }
            _ => Dimension::Unknown,
        };
    }
    result
}

fn reshape(input: &[Dimension], target: &[i64]) -> Option<Shape> {
    let mut shape: Shape = target
        .iter()
        .enumerate()
        .map(|(axis, &size)| match size {
            0 => input.get(axis).cloned(),
            -1 => Some(Dimension::Unknown),
            size => Some(Dimension::Fixed(usize::try_from(size).ok()?)),
        })
        .collect::<Option<_>>()?;
    let free = target.iter().position(|&size| size == -1);
    if let Some(free) = free {
        let others: Shape =
            shape.iter().enumerate().filter(|(axis, _)| *axis != free).map(|(_, d)| d.clone()).collect();
        shape[free] = match (product(input), product(&others)) {
            (Dimension::Fixed(all), Dimension::Fixed(others)) if others > 0 => Dimension::Fixed(all / others),
            _ => {
                // The batch on both sides falls out: compare what is fixed.
                let fixed = |shape: &[Dimension]| {
                    let fixed: Shape =
                        shape.iter().filter(|d| matches!(d, Dimension::Fixed(_))).cloned().collect();
                    product(&fixed)
                };
                let symbols = |shape: &[Dimension]| -> Shape {
                    shape.iter().filter(|d| !matches!(d, Dimension::Fixed(_))).cloned().collect()
                };
                match (fixed(input), fixed(&others), symbols(input), symbols(&others)) {
                    (Dimension::Fixed(a), Dimension::Fixed(b), a_symbols, b_symbols)
                        if a_symbols == b_symbols && b > 0 =>
                    {
                        Dimension::Fixed(a / b)
                    }
                    (Dimension::Fixed(a), Dimension::Fixed(b), mut a_symbols, b_symbols)
                        if a == b && a_symbols.len() == 1 && b_symbols.is_empty() =>
                    {
                        a_symbols.remove(0)
                    }
                    _ => Dimension::Unknown,
                }
            }
        };
    }
    Some(shape)
}

/// Convolutions and poolings.
fn spatial(node: &NodeProto, input: &[Dimension], weight: Option<&Shape>) -> Option<Shape> {
    let axes = input.len().checked_sub(2)?;
    let transposed = node.op_type == "ConvTranspose";
    let group = int(node, "group", 1);
    let kernel = match (attribute(node, "kernel_shape"), weight) {
        (Some(attribute), _) if attribute.ints.len() == axes => attribute.ints.clone(),
        (None, Some(weight)) => weight.get(2..)?.iter().map(size).collect::<Option<_>>()?,
        _ => return None,
    };
    let channels = match (node.op_type.as_str(), weight) {
        ("Conv", Some(weight)) => weight.first()?.clone(),
        ("ConvTranspose", Some(weight)) => {
            Dimension::Fixed(usize::try_from(size(weight.get(1)?)?.checked_mul(group)?).ok()?)
        }
        ("Conv" | "ConvTranspose", None) => return None,
        _ => input.get(1)?.clone(),
    };
    let strides = ints(node, "strides", axes, 1)?;
    let dilations = ints(node, "dilations", axes, 1)?;
    let pads = ints(node, "pads", 2 * axes, 0)?;
    let extra = ints(node, "output_padding", axes, 0)?;
    let auto_pad = attribute(node, "auto_pad").map(|attribute| attribute.s.as_slice()).unwrap_or(b"NOTSET");
    let ceil = int(node, "ceil_mode", 0) != 0;
    let mut shape = Vec::from([input.first()?.clone(), channels]);
    for axis in 0..axes {
        let (stride, length) = (strides[axis], size(&input[axis + 2])?);
        let reach = kernel.get(axis)?.checked_sub(1)?.checked_mul(dilations[axis])?.checked_add(1)?;
        let padding = pads[axis].checked_add(pads[axis + axes])?;
        if stride < 1 {
            return None;
        }
        let out = match (transposed, auto_pad) {
            (true, b"NOTSET") => {
                let all = stride.checked_mul(length.checked_sub(1)?)?.checked_add(reach)?;
                all.checked_add(extra[axis])?.checked_sub(padding)?
            }
            (true, _) => stride.checked_mul(length)?,
            (false, b"SAME_UPPER" | b"SAME_LOWER") => (length.checked_add(stride - 1)?) / stride,
            (false, _) => {
                let room = length.checked_add(padding)?.checked_sub(reach)?;
                if room < 0 {
                    return None;
                }
                ((if ceil { room.checked_add(stride - 1)? } else { room }) / stride).checked_add(1)?
            }
        };
        shape.push(Dimension::Fixed(usize::try_from(out).ok()?));
    }
    Some(shape)
}

/// The multiply-accumulate operations of a node for a batch of one, if it is a matrix product or a convolution and its
/// shapes are known. A free dimension counts as 1.
pub fn multiply_accumulates(node: &NodeProto, shapes: &HashMap<String, Vec<Dimension>>) -> Option<u64> {
    let count = |shape: &[Dimension]| {
        shape.iter().try_fold(1u64, |product, dimension| match dimension {
            Dimension::Fixed(size) => product.checked_mul(*size as u64),
            _ => Some(product),
        })
    };
    let shape = |name: Option<&String>| shapes.get(name?);
    let (input, weight) = (shape(node.input.first()), shape(node.input.get(1)));
    let output = shape(node.output.first());
    match node.op_type.as_str() {
        "Gemm" => {
            let inner = input?.get(usize::from(int(node, "transA", 0) == 0))?;
            count(output?)?.checked_mul(size(inner)? as u64)
        }
        "MatMul" => count(output?)?.checked_mul(size(input?.last()?)? as u64),
        // Each output value sums over the weights of its channel; each input value spreads to those of its channel.
        "Conv" => count(output?)?.checked_mul(count(weight?.get(1..)?)?),
        "ConvTranspose" => count(input?)?.checked_mul(count(weight?.get(1..)?)?),
        _ => None,
    }
}

/// Whether an operator multiplies and accumulates: those that [`multiply_accumulates`] counts.
pub fn multiplies(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Gemm" | "MatMul" | "Conv" | "ConvTranspose")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::attribute_proto::AttributeType;
    use std::string::ToString;
    use std::vec;

    fn shape(text: &str) -> Shape {
        let dimension = |part: &str| match part.parse() {
            Ok(size) => Dimension::Fixed(size),
            Err(_) if part == "?" => Dimension::Unknown,
            Err(_) => Dimension::Symbol(part.into()),
        };
        text.split_whitespace().map(dimension).collect()
    }

    fn node(op: &str, attributes: &[(&str, &[i64])]) -> NodeProto {
        let attribute = |(name, values): &(&str, &[i64])| AttributeProto {
            name: name.to_string(),
            r#type: AttributeType::Ints as i32,
            i: values.first().copied().unwrap_or(0),
            ints: values.to_vec(),
            ..Default::default()
        };
        let names = |text: &str| text.split(' ').map(ToString::to_string).collect();
        NodeProto {
            op_type: op.into(),
            attribute: attributes.iter().map(attribute).collect(),
            input: names("a b c"),
            output: names("out"),
            ..Default::default()
        }
    }

    /// The expected shapes are worked out by hand from the operators' definitions.
    #[test]
    fn shapes_follow_from_the_operators() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static [i64])],
            &'static [&'static str],
            Option<&'static str>,
        );
        let cases: &[Case] = &[
            ("Relu", &[], &["N 3 8 8"], Some("N 3 8 8")),
            ("Add", &[], &["N 3 8 8", "3 1 1"], Some("N 3 8 8")),
            ("Mul", &[], &["1 5", "N 1"], Some("N 5")),
            ("Gemm", &[("transB", &[1])], &["N 96", "1024 96", "1024"], Some("N 1024")),
            ("Gemm", &[], &["N 96", "96 10"], Some("N 10")),
            ("MatMul", &[], &["N 7 96", "96 10"], Some("N 7 10")),
            ("MatMul", &[], &["N 96", "96"], None),
            ("Flatten", &[("axis", &[1])], &["N 64 4 4"], Some("N 1024")),
            ("Flatten", &[("axis", &[-1])], &["2 3 4"], Some("6 4")),
            ("Transpose", &[("perm", &[0, 2, 3, 1])], &["N 3 8 9"], Some("N 8 9 3")),
            ("Transpose", &[], &["2 3"], Some("3 2")),
            ("Concat", &[("axis", &[1])], &["N 3 8", "N 5 8"], Some("N 8 8")),
            ("GlobalAveragePool", &[], &["N 64 7 7"], Some("N 64 1 1")),
            ("Conv", &[], &["N 1 28 28", "32 1 5 5"], Some("N 32 24 24")),
            (
                "Conv",
                &[("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])],
                &["N 3 32 32", "8 3 3 3"],
                Some("N 8 16 16"),
            ),
            ("Conv", &[("dilations", &[2, 2])], &["N 3 9 9", "8 3 3 3"], Some("N 8 5 5")),
            (
                "ConvTranspose",
                &[("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])],
                &["N 128 7 7", "128 64 4 4"],
                Some("N 64 14 14"),
            ),
            (
                "ConvTranspose",
                &[("strides", &[2, 2]), ("output_padding", &[1, 1]), ("group", &[2])],
                &["N 8 5 5", "8 3 3 3"],
                Some("N 6 12 12"),
            ),
            (
                "MaxPool",
                &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])],
                &["N 32 25 25"],
                Some("N 32 12 12"),
            ),
            (
                "MaxPool",
                &[("kernel_shape", &[2, 2]), ("strides", &[2, 2]), ("ceil_mode", &[1])],
                &["N 4 5 5"],
                Some("N 4 3 3"),
            ),
            ("Conv", &[], &["N 1 3 3", "32 1 5 5"], None),
            ("Conv", &[("strides", &[0, 0])], &["N 1 28 28", "32 1 5 5"], None),
            ("Frobnicate", &[], &["N 1"], None),
        ];
        for (op, attributes, inputs, expected) in cases {
            let inputs: Vec<Shape> = inputs.iter().map(|text| shape(text)).collect();
            let inputs: Vec<Option<&Shape>> = inputs.iter().map(Some).collect();
            let found = output_shape(&node(op, attributes), &inputs, None);
            assert_eq!(found, expected.map(shape), "{op} {attributes:?}");
        }
    }

    #[test]
    fn reshape_finds_its_free_dimension() {
        let cases: [(&str, &[i64], &str); 6] = [
            ("N 6272", &[-1, 128, 7, 7], "N 128 7 7"),
            ("N 128 7 7", &[0, -1], "N 6272"),
            ("2 6", &[3, -1], "3 4"),
            ("N 64", &[-1, 32], "?  32"),
            ("N 784", &[0, 1, 28, 28], "N 1 28 28"),
            ("N M", &[-1], "?"),
        ];
        for (input, target, expected) in cases {
            assert_eq!(reshape(&shape(input), target), Some(shape(expected)), "{input} to {target:?}");
        }
    }

    #[test]
    fn multiply_accumulates_are_those_of_one_example() {
        let count = |op: &str, a: &str, b: &str, out: &str| {
            let shapes =
                [("a", a), ("b", b), ("out", out)].map(|(name, text)| (name.to_string(), shape(text)));
            multiply_accumulates(&node(op, &[("transB", &[1])]), &HashMap::from(shapes))
        };
        assert_eq!(count("Gemm", "N 96", "1024 96", "N 1024"), Some(96 * 1024));
        assert_eq!(count("MatMul", "N 7 96", "96 10", "N 7 10"), Some(7 * 96 * 10));
        assert_eq!(count("Conv", "N 1 28 28", "32 1 5 5", "N 32 24 24"), Some(32 * 24 * 24 * 25));
        assert_eq!(count("ConvTranspose", "N 128 7 7", "128 64 4 4", "N 64 14 14"), Some(128 * 49 * 64 * 16));
        assert_eq!(count("Relu", "N 1", "1", "N 1"), None);
    }

    #[test]
    fn declared_shapes_and_constants_are_used() {
        let mut reshape = node("Reshape", &[]);
        reshape.input = vec!["x".into(), "target".into()];
        let target = TensorProto {
            name: "target".into(),
            dims: vec![3],
            data_type: DataType::Int64 as i32,
            raw_data: [0i64, 2, -1].iter().flat_map(|x| x.to_le_bytes()).collect(),
            ..Default::default()
        };
        let x = TensorProto { name: "x".into(), dims: vec![5, 8], ..Default::default() };
        let graph = GraphProto { node: vec![reshape], initializer: vec![target, x], ..Default::default() };
        assert_eq!(infer_shapes(&graph)["out"], shape("5 2 4"));
    }
}
