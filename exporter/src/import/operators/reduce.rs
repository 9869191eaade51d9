//! Sums, means, norms and Softmax.

use super::{NodeContext, Result};
use crate::graph::{Binary, Dim, Function, Op, Reduce, ReduceKind, ValueId};

pub(super) fn global_pool(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let kind = if node.operator() == "GlobalMaxPool" { ReduceKind::Maximum } else { ReduceKind::Mean };
    let rank = node.shape(0)?.len();
    let input = node.input(0)?;
    node.emit(Op::Reduce(Reduce { kind, axes: (2..rank).collect(), keep: true }), vec![input])
}

/// Inputs: x, [axes] (an attribute before opset 18, of ReduceSum before 13).
pub(super) fn reduce(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let kind = match node.operator() {
        "ReduceMean" => ReduceKind::Mean,
        "ReduceMax" => ReduceKind::Maximum,
        "ReduceMin" => ReduceKind::Minimum,
        "ReduceL1" => ReduceKind::Absolute,
        "ReduceL2" => ReduceKind::Euclidean,
        _ => ReduceKind::Sum,
    };
    let input_since = if node.operator() == "ReduceSum" { 13 } else { 18 };
    let keep = node.attributes.int("keepdims")?.unwrap_or(1) != 0;
    let nothing_when_empty = node.attributes.flag("noop_with_empty_axes")?;
    let rank = node.shape(0)?.len();
    let input = node.input(0)?;
    let axes = match node.axes(input_since, 1, rank)? {
        Some(axes) if !axes.is_empty() => axes,
        _ if nothing_when_empty => Vec::new(),
        _ => (0..rank).collect(),
    };
    let mut axes = axes;
    axes.sort_unstable();
    axes.dedup();
    let reduce = |kind, keep| Op::Reduce(Reduce { kind, axes: axes.clone(), keep });
    match node.operator() {
        "ReduceSumSquare" => {
            let squares = node.binary_step(Binary::Multiply, input, input)?;
            of_axes(node, reduce(kind, keep), &axes, squares)
        }
        "ReduceLogSum" => {
            let sum = node.step(reduce(kind, keep), vec![input])?;
            node.emit(Op::Function(Function::Log), vec![sum])
        }
        // Less the greatest, so that no exponential overflows.
        "ReduceLogSumExp" => {
            let greatest = node.step(reduce(ReduceKind::Maximum, true), vec![input])?;
            let less = node.binary_step(Binary::Subtract, input, greatest)?;
            let exponentials = node.step(Op::Function(Function::Exp), vec![less])?;
            let sum = node.step(reduce(kind, keep), vec![exponentials])?;
            let logarithm = node.step(Op::Function(Function::Log), vec![sum])?;
            let greatest = node.step(reduce(ReduceKind::Maximum, keep), vec![input])?;
            node.emit(Op::Binary(Binary::Add), vec![logarithm, greatest])
        }
        "ReduceL1" | "ReduceL2" if axes.is_empty() => {
            node.emit(Op::Function(Function::Absolute), vec![input])
        }
        _ => of_axes(node, reduce(kind, keep), &axes, input),
    }
}

/// A reduction; over no axes it does nothing.
fn of_axes(node: &mut NodeContext, reduce: Op, axes: &[usize], input: ValueId) -> Result {
    if axes.is_empty() {
        node.alias(input);
        return Ok(());
    }
    node.emit(reduce, vec![input])
}

pub(super) fn softmax(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let shape = node.shape(0)?;
    let input = node.input(0)?;
    if node.opset() >= 13 {
        let axis = node.attributes.int("axis")?.unwrap_or(-1);
        let axis = node.axis(axis, shape.len())?;
        return ends_along(node, axis, input);
    }
    // Before opset 13 everything from the axis on was one axis.
    let axis = node.attributes.int("axis")?.unwrap_or(1);
    let axis = node.axis(axis, shape.len())?;
    if axis + 1 == shape.len() {
        return ends_along(node, axis, input);
    }
    let lengths: Option<Vec<usize>> = shape[axis..]
        .iter()
        .map(|dim| match dim {
            Dim::Size(length) => Some(*length),
            Dim::Batch => None,
        })
        .collect();
    let Some(lengths) = lengths else { return Err(node.error("its axis is the batch")) };
    let mut flat = shape[..axis].to_vec();
    flat.push(Dim::Size(lengths.iter().product()));
    let flattened = node.step(Op::Reshape(flat), vec![input])?;
    let result = along(node, axis, flattened)?;
    node.emit(Op::Reshape(shape), vec![result])
}

/// The same as the node's result.
fn ends_along(node: &mut NodeContext, axis: usize, input: ValueId) -> Result {
    if node.operator() == "Softmax" {
        return node.emit(Op::Softmax { axis }, vec![input]);
    }
    let result = along(node, axis, input)?;
    node.alias(result);
    Ok(())
}

/// Softmax, or its logarithm, which is not computed from it: it may be 0.
fn along(node: &mut NodeContext, axis: usize, input: ValueId) -> Result<ValueId> {
    if node.operator() == "Softmax" {
        return node.step(Op::Softmax { axis }, vec![input]);
    }
    let over = |kind| Op::Reduce(Reduce { kind, axes: vec![axis], keep: true });
    let greatest = node.step(over(ReduceKind::Maximum), vec![input])?;
    let less = node.binary_step(Binary::Subtract, input, greatest)?;
    let exponentials = node.step(Op::Function(Function::Exp), vec![less])?;
    let sum = node.step(over(ReduceKind::Sum), vec![exponentials])?;
    let logarithm = node.step(Op::Function(Function::Log), vec![sum])?;
    node.binary_step(Binary::Subtract, less, logarithm)
}

pub(super) fn lp_normalization(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let rank = node.shape(0)?.len();
    let axis = node.attributes.int("axis")?.unwrap_or(-1);
    let axis = node.axis(axis, rank)?;
    let p = match node.attributes.int("p")?.unwrap_or(2) {
        p @ 1..=2 => p as u8,
        other => return Err(node.attributes.error("p", format!("is {other}; only 1 and 2 are supported"))),
    };
    let input = node.input(0)?;
    node.emit(Op::Normalize { axis, p, epsilon: 0.0 }, vec![input])
}
