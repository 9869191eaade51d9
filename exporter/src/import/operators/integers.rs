//! Operators on 8-bit integers, between Quantize and Dequantize, as training for quantization and optimizers leave them.
//!
//! An operator that only moves or compares elements gives the same integers when its input is dequantized and its result quantized
//! again, and then it is one on floats.

use super::{NodeContext, Result};
use crate::graph::{Element, Elements, Op, Tensor, ValueId};
use crate::import::node::QuantizedBy;

/// Operators that only move or compare elements, and are therefore the same on integers as on what these stand for.
const MOVING: &[&str] = &["Clip", "Relu", "Resize", "Pad", "Concat", "Slice", "DepthToSpace", "Expand"];

/// An operator of [`MOVING`] whose input is of 8-bit integers; whether it was.
pub(super) fn moving(node: &mut NodeContext) -> Result<bool> {
    if !MOVING.contains(&node.operator()) || !node.has(0) || node.shape_value(0)?.is_some() {
        return Ok(false);
    }
    let input = node.input(0)?;
    let element = node.element(input);
    if !matches!(element, Element::U8 | Element::I8) {
        return Ok(false);
    }
    if node.operator() == "Resize" && node.attributes.peek_text("mode").is_some_and(|mode| mode != "nearest")
    {
        return Err(node.error(
            "it interpolates between integers, whose rounding ONNX does not define; resize after DequantizeLinear",
        ));
    }
    // Without a Quantize before it, an integer stands for itself.
    let by = node.quantized_by(input).unwrap_or(QuantizedBy::Itself);
    let count = node.input_count();
    if node.operator() == "Concat" {
        for index in 1..count {
            let other = node.input(index)?;
            if node.constant_of(other).is_none()
                && node.quantized_by(other).unwrap_or(QuantizedBy::Itself) != by
            {
                return Err(node.error(
                    "its inputs were quantized with different scales or zero points, but side by side they can have only one",
                ));
            }
        }
    }
    let mut inputs = Vec::new();
    for index in 0..count {
        let Some(name) = node.input_name(index) else {
            inputs.push(None);
            continue;
        };
        // What is no integer of 8 bits is a shape, a scale of a Resize, and so on.
        let is_shape = node.shape_value(index)?.is_some();
        let value = if is_shape { None } else { Some(node.input(index)?) };
        inputs.push(match value.filter(|&value| matches!(node.element(value), Element::U8 | Element::I8)) {
            Some(value) => {
                let floats = dequantize(node, value, by)?;
                Some(node.temporary(floats))
            }
            None => Some(name),
        });
    }
    // The integer 0, which Relu compares with and Pad puts around unless told otherwise, need not stand for 0.
    let mut operator = node.operator();
    let pads_zero =
        operator == "Pad" && node.attributes.peek_text("mode").is_none_or(|mode| mode == "constant");
    if operator == "Relu" || (pads_zero && !node.has(2)) {
        let zero = node.new_constant("zero", integer(element, 0));
        let zero = dequantize(node, zero, by)?;
        let zero = Some(node.temporary(zero));
        if operator == "Relu" {
            inputs.push(zero);
            operator = "Clip";
        } else {
            inputs.resize(inputs.len().max(3), None);
            inputs[2] = zero;
        }
    }
    let floats = node.on_floats(operator, inputs)?;
    quantize(node, floats, element, by)?;
    Ok(true)
}

/// The floats that integers stand for.
fn dequantize(node: &mut NodeContext, value: ValueId, by: QuantizedBy) -> Result<ValueId> {
    let (scale, zero_point) = parameters(node, by, node.element(value));
    if let (Some(tensor), Some(scale), Some(zero)) =
        (node.constant_of(value), node.number_of(scale), node.number_of(zero_point))
    {
        let floats = tensor.doubles().iter().map(|value| ((value - zero) * scale) as f32).collect();
        if let Some(tensor) = Tensor::new(tensor.shape().to_vec(), Elements::F32(floats)) {
            return Ok(node.new_constant("floats", tensor));
        }
    }
    node.step(Op::Dequantize { axis: 0 }, vec![value, scale, zero_point])
}

/// The node's result: floats as integers again.
fn quantize(node: &mut NodeContext, floats: ValueId, element: Element, by: QuantizedBy) -> Result {
    if by == QuantizedBy::Itself
        && let Some(tensor) = node.constant_of(floats)
    {
        let tensor = tensor.cast(element);
        node.bind_constant(tensor);
        return Ok(());
    }
    let (scale, zero_point) = parameters(node, by, element);
    node.emit(Op::Quantize { axis: 0, element }, vec![floats, scale, zero_point])
}

fn parameters(node: &mut NodeContext, by: QuantizedBy, element: Element) -> (ValueId, ValueId) {
    match by {
        QuantizedBy::Values { scale, zero_point: Some(zero_point) } => (scale, zero_point),
        QuantizedBy::Values { scale, zero_point: None } => {
            (scale, node.new_constant("zero_point", integer(element, 0)))
        }
        QuantizedBy::Itself => (
            node.new_constant("scale", integer(Element::F32, 1)),
            node.new_constant("zero_point", integer(element, 0)),
        ),
    }
}

fn integer(element: Element, value: i8) -> Tensor {
    Tensor::scalar(value.into()).cast(element)
}
