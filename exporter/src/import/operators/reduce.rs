//! Means, norms and Softmax.

use super::{NodeContext, Result};
use crate::graph::{Dim, Op, Reduce, ReduceKind};

pub(super) fn global_average_pool(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let rank = node.shape(0)?.len();
    let input = node.input(0)?;
    node.emit(
        Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: (2..rank).collect(), keep: true }),
        vec![input],
    )
}

/// Inputs: x, [axes] (an attribute before opset 18).
pub(super) fn reduce(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let kind = if node.operator() == "ReduceMean" { ReduceKind::Mean } else { ReduceKind::L2 };
    let keep = node.attributes.int("keepdims")?.unwrap_or(1) != 0;
    let nothing_when_empty = node.attributes.flag("noop_with_empty_axes")?;
    let rank = node.shape(0)?.len();
    let input = node.input(0)?;
    let axes = match node.axes(18, 1, rank)? {
        Some(axes) if !axes.is_empty() => axes,
        _ if nothing_when_empty => {
            node.alias(input);
            return Ok(());
        }
        _ => (0..rank).collect(),
    };
    let mut axes = axes;
    axes.sort_unstable();
    axes.dedup();
    node.emit(Op::Reduce(Reduce { kind, axes, keep }), vec![input])
}

pub(super) fn softmax(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let shape = node.shape(0)?;
    let input = node.input(0)?;
    if node.opset() >= 13 {
        let axis = node.attributes.int("axis")?.unwrap_or(-1);
        let axis = node.axis(axis, shape.len())?;
        return node.emit(Op::Softmax { axis }, vec![input]);
    }
    // Before opset 13 everything from the axis on was one axis.
    let axis = node.attributes.int("axis")?.unwrap_or(1);
    let axis = node.axis(axis, shape.len())?;
    if axis + 1 == shape.len() {
        return node.emit(Op::Softmax { axis }, vec![input]);
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
    let result = node.step(Op::Softmax { axis }, vec![flattened])?;
    node.emit(Op::Reshape(shape), vec![result])
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
