//! QuantizeLinear and DequantizeLinear.

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::{NodeContext, Result};
use crate::graph::{Element, Op};
use crate::import::tensors;

/// The attributes that both have, and their inputs: x, scale, [zero point].
fn common(node: &mut NodeContext) -> Result<usize> {
    node.check_counts(3)?;
    node.attributes.only_int("block_size", 0)?;
    let axis = node.attributes.int("axis")?.unwrap_or(1);
    let scales = node.constant(1, "scale")?;
    let (count, positive) =
        (scales.len(), scales.doubles().iter().all(|&scale| scale > 0.0 && scale.is_finite()));
    if !positive {
        return Err(node.error("its scale is not positive and finite"));
    }
    if node.has(2) {
        node.constant(2, "zero point")?;
    }
    // The axis does not matter when there is one scale for all.
    let rank = node.shape(0)?.len();
    if count == 1 { Ok(node.axis(axis, rank).unwrap_or(0)) } else { node.axis(axis, rank) }
}

pub(super) fn quantize(node: &mut NodeContext) -> Result {
    let axis = common(node)?;
    // These concern 8-bit floats and half-precision scales only.
    node.attributes.ignore("saturate");
    node.attributes.only_int("precision", DataType::Undefined as i64)?;
    let wanted = node.attributes.int("output_dtype")?.filter(|&wanted| wanted != DataType::Undefined as i64);
    let element = match (node.has(2), wanted) {
        (true, _) => node.constant(2, "zero point")?.element(),
        (false, None) => Element::U8,
        (false, Some(wanted)) => match i32::try_from(wanted).ok().and_then(tensors::element) {
            Some(element) => element,
            None => {
                return Err(node
                    .attributes
                    .error("output_dtype", format!("is type {wanted}; only uint8 and int8 are supported")));
            }
        },
    };
    if !matches!(element, Element::U8 | Element::I8) {
        return Err(node.error(format!("it quantizes to {element}; only uint8 and int8 are supported")));
    }
    let inputs = node.inputs(3)?;
    node.emit(Op::Quantize { axis, element }, inputs)
}

pub(super) fn dequantize(node: &mut NodeContext) -> Result {
    let axis = common(node)?;
    node.attributes.only_int("output_dtype", DataType::Undefined as i64)?;
    let inputs = node.inputs(3)?;
    node.emit(Op::Dequantize { axis }, inputs)
}
