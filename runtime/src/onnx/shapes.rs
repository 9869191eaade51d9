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
    for value in graph.input.iter().chain(&graph.output).chain(&graph.value_info).map(ValueInfo::new) {
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
            let sizes = inputs.iter().map(|input| size((*input)?.get(axis)?)).sum::<Option<i64>>()?;
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
                stride.checked_mul(length.checked_sub(1)?)?.checked_add(reach)?.checked_add(extra[axis])?
                    - padding
            }
            (true, _) => stride.checked_mul(length)?,
            (false, b"SAME_UPPER" | b"SAME_LOWER") => (length.checked_add(stride - 1)?) / stride,
            (false, _) => {
                let room = length.checked_add(padding)?.checked_sub(reach)?;
                if room < 0 {
                    return None;
                }
                (if ceil { room.checked_add(stride - 1)? } else { room }) / stride + 1
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
