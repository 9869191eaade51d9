//! QuantizeLinear and DequantizeLinear.

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::{NodeContext, Result};
use crate::graph::{Element, Elements, Op, Tensor, ValueId};
use crate::import::tensors;

/// The attributes that both have, and their inputs: x, scale, [zero point].
fn common(node: &mut NodeContext) -> Result<usize> {
    node.check_counts(3)?;
    node.attributes.only_int("block_size", 0)?;
    // 0 is what a channel of zeros is given.
    let node_is_dequantize = node.operator() == "DequantizeLinear";
    let axis = node.attributes.int("axis")?.unwrap_or(1);
    let scales = node.constant(1, "scale")?;
    let count = scales.len();
    let dead = |scale: f64| scale == 0.0 && node_is_dequantize;
    if let Some(at) = scales.doubles().iter().position(|&s| !(s.is_finite() && (s > 0.0 || dead(s)))) {
        let found = scales.doubles()[at];
        return Err(node.error(format!("its scale {at} is {found}; scales are positive and finite")));
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
    let mut inputs = node.inputs(3)?;
    without_dead_channels(node, axis, &mut inputs)?;
    node.emit(Op::Dequantize { axis }, inputs)
}

/// Constants whose scale is 0 are zeros: they get their zero point as value, and the least of the other scales, so that a
/// bias in its units stays fine.
fn without_dead_channels(node: &mut NodeContext, axis: usize, inputs: &mut [ValueId]) -> Result {
    let Some(scales) = node.constant_of(inputs[1]) else { return Ok(()) };
    let (shape, scales) = (scales.shape().to_vec(), scales.floats().unwrap_or_default().to_vec());
    if !scales.contains(&0.0) {
        return Ok(());
    }
    let Some(tensor) = node.constant_of(inputs[0]) else {
        return Err(node.error("its scale is 0, and its input no constant"));
    };
    let zeros = inputs.get(2).and_then(|&id| node.constant_of(id)?.integers()).unwrap_or(vec![0]);
    let inner: usize = tensor.shape().iter().skip(axis + 1).product();
    let length = tensor.shape().get(axis).copied().unwrap_or(1);
    let channel = |at: usize| at / inner.max(1) % length.max(1);
    let (element, lengths) = (tensor.element(), tensor.shape().to_vec());
    let values =
        tensor.integers().unwrap_or_default().into_iter().enumerate().map(|(at, value)| {
            match scales.get(channel(at) % scales.len()) {
                Some(0.0) => zeros[channel(at) % zeros.len()],
                _ => value,
            }
        });
    let values = Tensor::new(lengths, Elements::I64(values.collect()));
    let least = scales.iter().copied().filter(|&scale| scale > 0.0).reduce(f32::min).unwrap_or(1.0);
    let alive = scales.iter().map(|&scale| if scale == 0.0 { least } else { scale }).collect();
    let (Some(values), Some(scales)) = (values, Tensor::new(shape, Elements::F32(alive))) else {
        return Err(node.error("its input is not valid"));
    };
    inputs[0] = node.new_constant("alive", values.cast(element));
    inputs[1] = node.new_constant("alive_scale", scales);
    Ok(())
}
