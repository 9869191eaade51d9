//! Functions of single elements, and BatchNormalization.

use super::{NodeContext, Result};
use crate::graph::{Activation, Binary, Element, Function, Op, Tensor};
use crate::import::shape_values::{Entry, Operation, ShapeValue};

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
        _ => (Op::Binary(Binary::Divide), Operation::Divide),
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

/// Functions of single elements that are one operator of the graph.
pub(super) fn function(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let function = match node.operator() {
        "Elu" => Function::Elu { alpha: node.attributes.float("alpha")?.unwrap_or(1.0) },
        "Gelu" => match node.attributes.text("approximate")?.unwrap_or("none") {
            "none" => Function::Gelu,
            "tanh" => Function::GeluTanh,
            other => {
                let what = format!("is \"{other}\", expected none or tanh");
                return Err(node.attributes.error("approximate", what));
            }
        },
        "Softplus" => Function::Softplus,
        "Mish" => Function::Mish,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Abs" => Function::Absolute,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        "Sign" => Function::Sign,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Tan" => Function::Tan,
        "Asin" => Function::Asin,
        "Acos" => Function::Acos,
        "Atan" => Function::Atan,
        "Sinh" => Function::Sinh,
        "Cosh" => Function::Cosh,
        "Asinh" => Function::Asinh,
        "Acosh" => Function::Acosh,
        _ => Function::Atanh,
    };
    let input = node.input(0)?;
    node.emit(Op::Function(function), vec![input])
}

/// alpha Elu(x / alpha).
pub(super) fn celu(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let alpha = node.attributes.float("alpha")?.unwrap_or(1.0);
    if alpha == 0.0 || !alpha.is_finite() {
        return Err(node.attributes.error("alpha", format!("is {alpha}, expected another number than 0")));
    }
    let input = node.input(0)?;
    let number = node.number("alpha", alpha);
    let scaled = node.binary_step(Binary::Divide, input, number)?;
    let elu = node.step(Op::Function(Function::Elu { alpha: 1.0 }), vec![scaled])?;
    node.emit(Op::Binary(Binary::Multiply), vec![elu, number])
}

/// gamma Elu(x), whose constants make means and variances stay (Klambauer et al., 2017).
pub(super) fn selu(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let alpha = node.attributes.float("alpha")?.unwrap_or(1.673_263_2);
    let gamma = node.attributes.float("gamma")?.unwrap_or(1.050_701);
    let input = node.input(0)?;
    let elu = node.step(Op::Function(Function::Elu { alpha }), vec![input])?;
    let gamma = node.number("gamma", gamma);
    node.emit(Op::Binary(Binary::Multiply), vec![elu, gamma])
}

/// x / (1 + |x|)
pub(super) fn softsign(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let input = node.input(0)?;
    let absolute = node.step(Op::Function(Function::Absolute), vec![input])?;
    let one = node.number("one", 1.0);
    let divisor = node.binary_step(Binary::Add, absolute, one)?;
    node.emit(Op::Binary(Binary::Divide), vec![input, divisor])
}

pub(super) fn negative(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    if let Some(shape) = node.shape_value(0)? {
        let zero = ShapeValue { entries: vec![Entry::Known(0)], scalar: true, element: shape.element };
        let Some(result) = zero.combine(&shape, Operation::Subtract) else {
            return Err(node.error("it computes with the batch size, which is not supported"));
        };
        node.bind_shape(ShapeValue { scalar: shape.scalar, ..result });
        return Ok(());
    }
    let input = node.input(0)?;
    let minus = node.number("minus", -1.0);
    node.emit(Op::Binary(Binary::Multiply), vec![input, minus])
}

/// Max, Min, Sum and Mean of one input or more: of two, and then of the result and the next.
pub(super) fn several(node: &mut NodeContext) -> Result {
    let count = node.input_count();
    node.check_counts(count)?;
    let binary = match node.operator() {
        "Max" => Binary::Maximum,
        "Min" => Binary::Minimum,
        _ => Binary::Add,
    };
    let is_mean = node.operator() == "Mean" && count > 1;
    let mut result = node.input(0)?;
    for index in 1..count {
        let next = node.input(index)?;
        if index + 1 == count && !is_mean {
            return node.emit(Op::Binary(binary), vec![result, next]);
        }
        result = node.binary_step(binary, result, next)?;
    }
    if is_mean {
        let count = node.number("count", count as f32);
        return node.emit(Op::Binary(Binary::Divide), vec![result, count]);
    }
    node.alias(result);
    Ok(())
}

/// Inputs: base, exponent, which may be of integers.
pub(super) fn power(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let (base, mut exponent) = (node.input(0)?, node.input(1)?);
    match node.number_of(exponent).filter(|_| node.dims(exponent).len() <= node.dims(base).len()) {
        Some(1.0) => {
            node.alias(base);
            return Ok(());
        }
        Some(2.0) => return node.emit(Op::Binary(Binary::Multiply), vec![base, base]),
        Some(0.5) => return node.emit(Op::Function(Function::Sqrt), vec![base]),
        Some(number) => {
            return node.emit(Op::Function(Function::Power { exponent: number as f32 }), vec![base]);
        }
        None => {}
    }
    let floats = node.constant_of(exponent).filter(|tensor| tensor.element() != Element::F32);
    if let Some(floats) = floats.map(|tensor| tensor.cast(Element::F32)) {
        exponent = node.new_constant("exponent", floats);
    }
    node.emit(Op::Binary(Binary::Power), vec![base, exponent])
}

/// Inputs: x, slope, which is broadcast to x.
pub(super) fn prelu(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    node.check_finite(1)?;
    let inputs = vec![node.input(0)?, node.input(1)?];
    let values = node.constant_of(inputs[1]).and_then(Tensor::floats).unwrap_or_default();
    if let Some((&slope, rest)) = values.split_first()
        && rest.iter().all(|&other| other == slope)
    {
        return node.emit(Op::Activation(Activation::LeakyRelu { slope }), vec![inputs[0]]);
    }
    node.emit(Op::Binary(Binary::Prelu), inputs)
}
