//! Functions of single elements, and BatchNormalization.

use super::{NodeContext, Result};
use crate::graph::{Activation, Binary, Op};
use crate::import::shape_values::Operation;

pub(super) fn batch_normalization(node: &mut NodeContext) -> Result {
    // Statistics as further outputs are how it was trained up to opset 13.
    if node.attributes.flag("training_mode")? || node.output_count() > 1 {
        return Err(node.in_training());
    }
    node.check_counts(5)?;
    let epsilon = node.attributes.float("epsilon")?.unwrap_or(1e-5);
    // The momentum is for training alone.
    node.attributes.ignore("momentum");
    let inputs = node.inputs(5)?;
    node.emit(Op::BatchNorm { epsilon }, inputs)
}

pub(super) fn activation(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let activation = match node.operator() {
        "Relu" => Activation::Relu,
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "HardSwish" => Activation::HardSwish,
        "LeakyRelu" => Activation::LeakyRelu { slope: node.attributes.float("alpha")?.unwrap_or(0.01) },
        _ => {
            let alpha = node.attributes.float("alpha")?.unwrap_or(0.2);
            let beta = node.attributes.float("beta")?.unwrap_or(0.5);
            let input = node.input(0)?;
            return node.emit(Op::HardSigmoid { alpha, beta }, vec![input]);
        }
    };
    let input = node.input(0)?;
    node.emit(Op::Activation(activation), vec![input])
}

/// Inputs: x, [min], [max].
pub(super) fn clip(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    let low = if node.has(1) { node.scalar(1, "min")? } else { f32::NEG_INFINITY };
    let high = if node.has(2) { node.scalar(2, "max")? } else { f32::INFINITY };
    let input = node.input(0)?;
    node.emit(Op::Activation(Activation::Clip { low, high }), vec![input])
}

pub(super) fn binary(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let (op, operation) = match node.operator() {
        "Add" => (Op::Binary(Binary::Add), Operation::Add),
        "Sub" => (Op::Binary(Binary::Subtract), Operation::Subtract),
        "Mul" => (Op::Binary(Binary::Multiply), Operation::Multiply),
        _ => (Op::Divide, Operation::Divide),
    };
    if of_shapes(node, operation)? {
        return Ok(());
    }
    let inputs = vec![node.input(0)?, node.input(1)?];
    node.emit(op, inputs)
}

/// Only of shapes, as PyTorch writes it for `nn.Unflatten`.
pub(super) fn modulo(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let of_dividend = node.attributes.flag("fmod")?;
    if of_dividend || !of_shapes(node, Operation::Modulo)? {
        return Err(
            node.error("it is supported only for integers that are computed from shapes, without fmod")
        );
    }
    Ok(())
}

/// Computes with two shapes; whether both inputs are some.
fn of_shapes(node: &mut NodeContext, operation: Operation) -> Result<bool> {
    let (Some(a), Some(b)) = (node.shape_value(0)?, node.shape_value(1)?) else { return Ok(false) };
    let Some(result) = a.combine(&b, operation) else {
        return Err(node.error("it computes with the batch size, or divides by zero, which is not supported"));
    };
    node.bind_shape(result);
    Ok(true)
}

pub(super) fn identity(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    if let Some(shape) = node.shape_value(0)? {
        node.bind_shape(shape);
        return Ok(());
    }
    let input = node.input(0)?;
    node.alias(input);
    Ok(())
}

/// Dropout does nothing in inference. Inputs: x, [ratio], [training mode].
pub(super) fn dropout(node: &mut NodeContext) -> Result {
    if node.has(2) && node.scalar(2, "training_mode")? != 0.0 {
        return Err(node.in_training());
    }
    node.check_counts(3)?;
    for training_only in ["ratio", "seed"] {
        node.attributes.ignore(training_only);
    }
    let input = node.input(0)?;
    node.alias(input);
    Ok(())
}
