//! Normalizations: what is brought to mean 0 and variance 1 over some axes, then scaled and shifted.

use super::{NodeContext, Result};
use crate::graph::{Binary, Dim, Function, Op, Reduce, ReduceKind, Tensor, ValueId, shape_text};

fn epsilon(node: &mut NodeContext) -> Result<f32> {
    match node.attributes.float("epsilon")?.unwrap_or(1e-5) {
        epsilon if epsilon >= 0.0 && epsilon.is_finite() => Ok(epsilon),
        other => Err(node.attributes.error("epsilon", format!("is {other}, expected at least 0"))),
    }
}

/// Inputs: x, scale, shift of each channel. Each channel of each image has a mean and a variance of its own.
pub(super) fn instance(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let epsilon = epsilon(node)?;
    let [x, scale, shift] = [node.input(0)?, node.input(1)?, node.input(2)?];
    let axes = (2..node.dims(x).len()).collect();
    let standard = node.step(Op::Standardize { axes, epsilon }, vec![x])?;
    per_channel(node, standard, scale, shift)
}

/// Inputs: x, scale, shift: of each channel, or (before opset 21) of each group.
pub(super) fn group(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let epsilon = epsilon(node)?;
    node.attributes.only_int("stash_type", 1)?;
    let groups = match node.attributes.int("num_groups")? {
        Some(groups @ 1..=0xffff) => groups as usize,
        Some(other) => {
            return Err(node.attributes.error("num_groups", format!("is {other}, expected 1 or more")));
        }
        None => return Err(node.attributes.error("num_groups", "is missing".into())),
    };
    let [x, mut scale, mut shift] = [node.input(0)?, node.input(1)?, node.input(2)?];
    let shape = node.dims(x);
    let sizes: Option<Vec<usize>> = shape
        .iter()
        .skip(1)
        .map(|dim| match dim {
            Dim::Size(length) => Some(*length),
            Dim::Batch => None,
        })
        .collect();
    let Some((&channels, inner)) = sizes.as_ref().and_then(|sizes| sizes.split_first()) else {
        return Err(node.error(format!("its input {} has no channels", shape_text(&shape))));
    };
    if !channels.is_multiple_of(groups) {
        return Err(node.error(format!("{channels} channels are no {groups} groups")));
    }
    let together = channels / groups * inner.iter().product::<usize>();
    let apart = node.step(Op::Reshape(vec![shape[0], Dim::Size(groups), Dim::Size(together)]), vec![x])?;
    let standard = node.step(Op::Standardize { axes: vec![2], epsilon }, vec![apart])?;
    let standard = node.step(Op::Reshape(shape), vec![standard])?;
    if node.opset() < 21 {
        for parameter in [&mut scale, &mut shift] {
            let Some(tensor) = node.constant_of(*parameter).filter(|tensor| tensor.len() == groups) else {
                return Err(
                    node.error(format!("its scale and shift are no constants of its {groups} groups"))
                );
            };
            let places: Vec<usize> = (0..channels).map(|channel| channel / (channels / groups)).collect();
            let spread = tensor.gather(vec![channels], &places);
            *parameter = match spread {
                Some(tensor) => node.new_constant("spread", tensor),
                None => return Err(node.error("its scale and shift are not valid")),
            };
        }
    }
    per_channel(node, standard, scale, shift)
}

/// The node's result: x * scale + shift, of each channel.
fn per_channel(node: &mut NodeContext, x: ValueId, scale: ValueId, shift: ValueId) -> Result {
    let all = |node: &NodeContext, id: ValueId, number: f32| {
        node.constant_of(id)
            .and_then(Tensor::floats)
            .is_some_and(|values| values.iter().all(|&v| v == number))
    };
    let shape = node.dims(x);
    for parameter in [scale, shift] {
        if node.dims(parameter) != shape[1..2] {
            let found = shape_text(&node.dims(parameter));
            return Err(
                node.error(format!("a parameter of shape {found} does not fit {}", shape_text(&shape)))
            );
        }
    }
    if all(node, scale, 1.0) && all(node, shift, 0.0) {
        node.alias(x);
        return Ok(());
    }
    if node.is_constant(scale) && node.is_constant(shift) {
        return node.emit(Op::Affine, vec![x, scale, shift]);
    }
    // Computed for each example: a vector of one pixel.
    let mut spread = vec![Dim::Size(1); shape.len() - 1];
    spread[0] = shape[1];
    let scale = node.step(Op::Reshape(spread.clone()), vec![scale])?;
    let shift = node.step(Op::Reshape(spread), vec![shift])?;
    let product = node.binary_step(Binary::Multiply, x, scale)?;
    node.emit(Op::Binary(Binary::Add), vec![product, shift])
}

/// The axes from the attribute on.
fn last_axes(node: &mut NodeContext, x: ValueId) -> Result<Vec<usize>> {
    node.attributes.only_int("stash_type", 1)?;
    let rank = node.dims(x).len();
    let axis = node.attributes.int("axis")?.unwrap_or(-1);
    Ok((node.axis(axis, rank)?..rank).collect())
}

/// Inputs: x, scale, [shift], which are broadcast to x. Outputs: y, \[mean\], \[1 / deviation\].
pub(super) fn layer(node: &mut NodeContext) -> Result {
    if node.input_count() > 3 {
        return Err(node.error(format!("it has {} inputs, expected at most 3", node.input_count())));
    }
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let epsilon = epsilon(node)?;
    let (x, scale) = (node.input(0)?, node.input(1)?);
    let axes = last_axes(node, x)?;
    if node.output_count() > 1 {
        statistics(node, x, &axes, epsilon)?;
    }
    let standard = node.step(Op::Standardize { axes, epsilon }, vec![x])?;
    if !node.has(2) {
        return node.emit(Op::Binary(Binary::Multiply), vec![standard, scale]);
    }
    let product = node.binary_step(Binary::Multiply, standard, scale)?;
    let shift = node.input(2)?;
    node.emit(Op::Binary(Binary::Add), vec![product, shift])
}

/// Mean and reciprocal of the deviation as further outputs.
fn statistics(node: &mut NodeContext, x: ValueId, axes: &[usize], epsilon: f32) -> Result {
    let over = || Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: axes.to_vec(), keep: true });
    let mean = node.step(over(), vec![x])?;
    node.bind_output(1, mean);
    let centered = node.binary_step(Binary::Subtract, x, mean)?;
    let squares = node.binary_step(Binary::Multiply, centered, centered)?;
    let variance = node.step(over(), vec![squares])?;
    let epsilon = node.number("epsilon", epsilon);
    let sum = node.binary_step(Binary::Add, variance, epsilon)?;
    let deviation = node.step(Op::Function(Function::Sqrt), vec![sum])?;
    let reciprocal = node.step(Op::Function(Function::Reciprocal), vec![deviation])?;
    node.bind_output(2, reciprocal);
    Ok(())
}

/// Inputs: x, scale, which is broadcast to x: x / sqrt(mean of x^2 + epsilon) * scale.
pub(super) fn root_mean_square(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    node.check_finite(1)?;
    let epsilon = epsilon(node)?;
    let (x, scale) = (node.input(0)?, node.input(1)?);
    let axes = last_axes(node, x)?;
    let squares = node.binary_step(Binary::Multiply, x, x)?;
    let mean = node.step(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes, keep: true }), vec![squares])?;
    let epsilon = node.number("epsilon", epsilon);
    let sum = node.binary_step(Binary::Add, mean, epsilon)?;
    let root = node.step(Op::Function(Function::Sqrt), vec![sum])?;
    let normal = node.binary_step(Binary::Divide, x, root)?;
    node.emit(Op::Binary(Binary::Multiply), vec![normal, scale])
}
