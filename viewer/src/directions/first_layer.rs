//! The weights that a generator's latent vector meets first.

use std::path::Path;

use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{GraphProto, NodeProto, TensorProto};
use latent_runtime::onnx::{self, graph_inputs};

use crate::model::ModelError;

/// Nodes that pass a latent vector on as it is, or nearly.
const PASSES_ON: [&str; 9] = [
    "Cast",
    "Reshape",
    "Flatten",
    "Identity",
    "Unsqueeze",
    "Squeeze",
    "QuantizeLinear",
    "DequantizeLinear",
    "Dropout",
];

/// The weight of the first affine layer of a generator, one row of `inputs` values (the latent size) for each output. Of
/// an ONNX file: that of a Gemm, MatMul, Conv or ConvTranspose that the latent vector reaches through nothing that mixes
/// its values, in float32, float16 or int8 with a DequantizeLinear. Of a packed model: that of a fully connected layer.
pub fn first_layer(path: &Path, inputs: usize) -> Result<Vec<f32>, ModelError> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lat")) {
        return super::packed::first_layer(path, inputs);
    }
    let model = onnx::load(path)?;
    let graph = model.graph.unwrap_or_default();
    find(&graph, inputs).map_err(|problem| ModelError::NoFirstLayer { path: path.to_owned(), problem })
}

fn find(graph: &GraphProto, inputs: usize) -> Result<Vec<f32>, String> {
    let mut value = graph_inputs(graph).first().map(|input| input.name.clone()).ok_or("there is no input")?;
    // Every step passes a node, so a graph without a weight ends.
    for _ in 0..=graph.node.len() {
        let node = graph.node.iter().find(|node| node.input.contains(&value));
        let node = node.ok_or_else(|| format!("nothing takes the value \"{value}\""))?;
        let op = node.op_type.as_str();
        if PASSES_ON.contains(&op) && node.input.first() == Some(&value) {
            value = node.output.first().cloned().unwrap_or_default();
            continue;
        }
        // [inputs, outputs] for a layer that multiplies from the right.
        let transposed = match op {
            "Gemm" => attribute(node, "transB") == 0,
            "MatMul" | "ConvTranspose" => true,
            "Conv" => false,
            _ => return Err(format!("the latent vector goes into {op}")),
        };
        let weight = node.input.get(1).ok_or_else(|| format!("{op} has no second input"))?;
        let values = weight_values(graph, weight)?;
        if values.is_empty() || !values.len().is_multiple_of(inputs) {
            return Err(format!(
                "the weight \"{weight}\" has {} values for a latent size of {inputs}",
                values.len()
            ));
        }
        let outputs = values.len() / inputs;
        return Ok(match transposed {
            true => (0..outputs)
                .flat_map(|o| (0..inputs).map(move |i| (o, i)))
                .map(|(o, i)| values[i * outputs + o])
                .collect(),
            false => values,
        });
    }
    Err("the graph goes round in a circle".into())
}

fn attribute(node: &NodeProto, name: &str) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name == name).map_or(0, |attribute| attribute.i)
}

fn weight_values(graph: &GraphProto, name: &str) -> Result<Vec<f32>, String> {
    let initializer = |name: &str| graph.initializer.iter().find(|tensor| tensor.name == name);
    if let Some(tensor) = initializer(name) {
        return floats(tensor);
    }
    let maker = graph.node.iter().find(|node| node.output.iter().any(|output| output == name));
    match maker {
        Some(node) if matches!(node.op_type.as_str(), "Cast" | "Identity" | "Transpose") => {
            if node.op_type == "Transpose" {
                return Err(format!("the weight \"{name}\" is transposed first"));
            }
            weight_values(graph, node.input.first().map_or("", String::as_str))
        }
        Some(node) if node.op_type == "DequantizeLinear" => {
            let tensor = |index: usize| node.input.get(index).and_then(|name| initializer(name));
            let (Some(weight), Some(scale)) = (tensor(0), tensor(1)) else {
                return Err(format!("the scale of the weight \"{name}\" is not constant"));
            };
            let (quantized, scales) = (floats(weight)?, floats(scale)?);
            let zeros = tensor(2).map(floats).transpose()?.unwrap_or_else(|| vec![0.0; scales.len()]);
            let axis = node.attribute.iter().find(|attribute| attribute.name == "axis").map_or(1, |a| a.i);
            let rank = weight.dims.len() as i64;
            let axis = if axis < 0 { axis + rank } else { axis };
            let inner: i64 = weight.dims.iter().skip(usize::try_from(axis).unwrap_or(0) + 1).product();
            let inner = usize::try_from(inner).unwrap_or(1).max(1);
            let channel = |index: usize| if scales.len() == 1 { 0 } else { index / inner % scales.len() };
            if scales.is_empty() || zeros.len() != scales.len() {
                return Err(format!(
                    "the weight \"{name}\" has {} scales and {} zero points",
                    scales.len(),
                    zeros.len()
                ));
            }
            Ok(quantized
                .iter()
                .enumerate()
                .map(|(i, q)| (q - zeros[channel(i)]) * scales[channel(i)])
                .collect())
        }
        _ => Err(format!("the weight \"{name}\" is not constant")),
    }
}

fn floats(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    let raw = &tensor.raw_data;
    let two = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
    Ok(match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => tensor.float_data.clone(),
        Ok(DataType::Float) => {
            raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Ok(DataType::Float16) if raw.is_empty() => {
            tensor.int32_data.iter().map(|&bits| half_to_f32(bits as u16)).collect()
        }
        Ok(DataType::Float16) => raw.chunks_exact(2).map(|bytes| half_to_f32(two(bytes))).collect(),
        Ok(DataType::Int8) if !raw.is_empty() => raw.iter().map(|&byte| f32::from(byte as i8)).collect(),
        Ok(DataType::Uint8) if !raw.is_empty() => raw.iter().map(|&byte| f32::from(byte)).collect(),
        Ok(DataType::Int8 | DataType::Uint8) => tensor.int32_data.iter().map(|&value| value as f32).collect(),
        _ => return Err(format!("the weight \"{}\" is neither float nor 8-bit", tensor.name)),
    })
}

/// IEEE 754 binary16, exactly.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::onnx::proto::{AttributeProto, ValueInfoProto};

    fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
        TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..Default::default()
        }
    }

    fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            attribute: attributes
                .iter()
                .map(|&(name, i)| AttributeProto { name: name.into(), i, ..Default::default() })
                .collect(),
            ..Default::default()
        }
    }

    fn graph(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> GraphProto {
        let input = vec![ValueInfoProto { name: "z".into(), ..Default::default() }];
        GraphProto { node: nodes, input, initializer, ..Default::default() }
    }

    const ROWS: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    const COLUMNS: [f32; 6] = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];

    #[test]
    fn the_first_weight_is_found_behind_every_kind_of_layer() {
        let int8 = TensorProto {
            data_type: DataType::Int8 as i32,
            float_data: vec![],
            raw_data: vec![2, 4, 6, 1, 2, 3],
            ..tensor("w", &[2, 3], &[])
        };
        let half = TensorProto {
            data_type: DataType::Float16 as i32,
            float_data: vec![],
            int32_data: vec![0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600],
            ..tensor("w", &[2, 3], &[])
        };
        let w = |dims: &[i64], values: &[f32]| vec![tensor("w", dims, values)];
        for (what, nodes, initializer) in [
            ("Gemm, transposed", vec![node("Gemm", &["z", "w"], "y", &[("transB", 1)])], w(&[2, 3], &ROWS)),
            ("Gemm", vec![node("Gemm", &["z", "w"], "y", &[])], w(&[3, 2], &COLUMNS)),
            ("MatMul", vec![node("MatMul", &["z", "w"], "y", &[])], w(&[3, 2], &COLUMNS)),
            (
                "ConvTranspose",
                vec![node("Reshape", &["z", "s"], "r", &[]), node("ConvTranspose", &["r", "w"], "y", &[])],
                w(&[3, 2, 1, 1], &COLUMNS),
            ),
            ("half", vec![node("Gemm", &["z", "w"], "y", &[("transB", 1)])], vec![half]),
            (
                "int8",
                vec![
                    node("QuantizeLinear", &["z", "zs"], "q", &[]),
                    node("DequantizeLinear", &["q", "zs"], "d", &[]),
                    node("DequantizeLinear", &["w", "s"], "wd", &[("axis", 0)]),
                    node("Gemm", &["d", "wd"], "y", &[("transB", 1)]),
                ],
                vec![int8, tensor("s", &[2], &[0.5, 2.0])],
            ),
        ] {
            let expected: &[f32] = if what == "int8" { &[1.0, 2.0, 3.0, 2.0, 4.0, 6.0] } else { &ROWS };
            assert_eq!(find(&graph(nodes, initializer), 3).as_deref(), Ok(expected), "{what}");
        }
    }

    #[test]
    fn what_is_found_instead_is_told() {
        let loop_ = vec![node("Identity", &["z"], "z", &[])];
        for (nodes, weight, expected) in [
            (vec![node("Relu", &["z"], "y", &[])], 6, "goes into Relu"),
            (vec![], 6, "nothing takes"),
            (loop_, 6, "circle"),
            (vec![node("Gemm", &["z", "other"], "y", &[])], 6, "not constant"),
            (vec![node("Gemm", &["z", "w"], "y", &[])], 5, "5 values for a latent size of 3"),
        ] {
            let error = find(&graph(nodes, vec![tensor("w", &[5], &ROWS[..weight])]), 3).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        for name in ["model.lat", "model.onnx"] {
            let error = first_layer(Path::new(name), 3).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 5.9604645e-8),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_f32(bits), value);
        }
        assert!(half_to_f32(0x7e00).is_nan());
    }
}
