//! Constants, and what computes with shapes.

use super::{NodeContext, Result};
use crate::graph::{Element, Elements, Tensor};
use crate::import::shape_values::{Entry, ShapeValue};
use crate::import::tensors;

pub(super) fn constant(node: &mut NodeContext) -> Result {
    node.check_counts(0)?;
    let floats = |shape: Vec<usize>, values: Vec<f32>| Tensor::new(shape, Elements::F32(values));
    let ints = |shape: Vec<usize>, values: Vec<i64>| Tensor::new(shape, Elements::I64(values));
    let tensor = if let Some(proto) = node.attributes.tensor("value")? {
        let name = format!("{}, the value of a Constant", proto.name);
        Some(tensors::tensor(proto, &name)?)
    } else if let Some(value) = node.attributes.float("value_float")? {
        floats(vec![], vec![value])
    } else if let Some(values) = node.attributes.floats("value_floats")? {
        floats(vec![values.len()], values.to_vec())
    } else if let Some(value) = node.attributes.int("value_int")? {
        ints(vec![], vec![value])
    } else if let Some(values) = node.attributes.ints("value_ints")? {
        ints(vec![values.len()], values.to_vec())
    } else {
        // What is left is named by the check that every attribute was read.
        return node.finish_with_error("it has no value that is supported");
    };
    match tensor {
        Some(tensor) => {
            node.bind_constant(tensor);
            Ok(())
        }
        None => Err(node.error("its value is not valid")),
    }
}

pub(super) fn shape(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let dims = node.shape(0)?;
    let (start, end) =
        (node.attributes.int("start")?.unwrap_or(0), node.attributes.int("end")?.unwrap_or(i64::MAX));
    let all = ShapeValue::vector(dims.into_iter().map(Entry::from).collect());
    node.bind_shape(all.slice(start, end));
    Ok(())
}

/// Inputs: data, indices.
pub(super) fn gather(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let axis = node.attributes.int("axis")?.unwrap_or(0);
    match (node.shape_value(0)?, node.shape_value(1)?) {
        (Some(data), Some(indices)) if matches!(axis, 0 | -1) => match data.gather(&indices) {
            Some(result) => {
                node.bind_shape(result);
                Ok(())
            }
            None => Err(node.error("its indices are beyond the shape that it reads")),
        },
        _ => Err(node.error("only picking entries of a shape is supported")),
    }
}

/// Inputs: data, starts, ends, [axes], [steps].
pub(super) fn slice(node: &mut NodeContext) -> Result {
    node.check_counts(5)?;
    let Some(data) = node.shape_value(0)? else {
        return Err(node.error("only a part of a shape is supported, not a part of a tensor"));
    };
    let one = |node: &NodeContext, index: usize, what: &str, default: i64| match node.has(index) {
        false => Ok(default),
        true => match node.integers(index, what)?.as_slice() {
            &[value] => Ok(value),
            other => Err(node.error(format!("its {what} has {} entries, expected one", other.len()))),
        },
    };
    let (start, end) = (one(node, 1, "starts", 0)?, one(node, 2, "ends", i64::MAX)?);
    let (axis, step) = (one(node, 3, "axes", 0)?, one(node, 4, "steps", 1)?);
    if !matches!(axis, 0 | -1) || step != 1 {
        return Err(node.error("only a part of a shape with step 1 is supported"));
    }
    node.bind_shape(data.slice(start, end));
    Ok(())
}

pub(super) fn cast(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    node.attributes.ignore("saturate");
    node.attributes.ignore("round_mode");
    let to = node.attributes.int("to")?.unwrap_or(0);
    let target = i32::try_from(to).ok().and_then(tensors::element);
    if let (Some(shape), Some(Element::I32 | Element::I64)) = (node.shape_value(0)?, target) {
        node.bind_shape(shape);
        return Ok(());
    }
    let input = node.input(0)?;
    let from = node.element(input);
    match (from, target) {
        (from, Some(to)) if from == to => {
            node.alias(input);
            Ok(())
        }
        (_, Some(Element::F32)) if node.is_constant(input) => {
            let tensor = node.constant(0, "input")?;
            let values = tensor.doubles().into_iter().map(|value| value as f32).collect();
            match Tensor::new(tensor.shape().to_vec(), Elements::F32(values)) {
                Some(tensor) => {
                    node.bind_constant(tensor);
                    Ok(())
                }
                None => Err(node.error("its input is not valid")),
            }
        }
        _ => {
            let what =
                format!("asks for {} from {from}, which is not supported", tensors::type_name(to as i32));
            Err(node.attributes.error("to", what))
        }
    }
}
