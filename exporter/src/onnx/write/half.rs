//! Which nodes compute in half precision.

use crate::graph::{Activation, Binary, Element, Function, Graph, Node, Op, Pad, PadMode};

/// Whether a node computes in half precision when a graph is written so: floats, nothing that loses too much there, no
/// constant beyond its range, and not among the names `float32`.
pub(crate) fn can_be_half(graph: &Graph, node: &Node, float32: &[String]) -> bool {
    let sensitive = matches!(
        node.op,
        Op::Reduce(_)
            | Op::Normalize { .. }
            | Op::Softmax { .. }
            | Op::Resize(_)
            | Op::BatchNorm { .. }
            | Op::Quantize { .. }
            | Op::Dequantize { .. }
            | Op::Standardize { .. }
            | Op::Binary(Binary::Power)
            | Op::Cast
    );
    let sensitive = sensitive
        || matches!(&node.op, Op::Function(function) if !matches!(function, Function::Elu { .. } | Function::Absolute));
    let fits = |values: &[f32]| values.iter().all(|&value| half::f16::from_f32(value).is_finite());
    let constants = node.inputs.iter().chain(&node.epilogue.residual);
    let mut floats = constants.filter_map(|&id| graph.constant(id)?.floats());
    // What is added so that nothing is divided by 0 must not vanish.
    let vanishes = |values: &[f32]| {
        values.iter().any(|&value| value != 0.0 && half::f16::from_f32(value) == half::f16::ZERO)
    };
    let is_sum = matches!(node.op, Op::Affine | Op::Binary(_));
    let limits = |activation: &Activation| match *activation {
        // Infinite limits are not written.
        Activation::Clip { low, high } => {
            [low, high].iter().all(|&limit| limit.is_infinite() || fits(&[limit]))
        }
        _ => true,
    };
    let operator = match &node.op {
        Op::Activation(activation) => limits(activation),
        Op::Pad(Pad { mode: PadMode::Constant(value), .. }) => fits(&[*value]),
        _ => true,
    };
    let affine = node.epilogue.affine.as_ref();
    !float32.contains(&node.name)
        && graph.element(node.output) == Element::F32
        && !sensitive
        && operator
        && floats.all(|values| fits(values) && !(is_sum && vanishes(values)))
        && node.epilogue.activation.as_ref().is_none_or(limits)
        && affine.is_none_or(|affine| fits(&affine.scale) && fits(&affine.shift))
}
