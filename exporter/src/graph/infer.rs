//! Types and shapes of results.

use super::{
    Convolution, DepthToSpace, Dim, Element, Gemm, Interleaved, Op, Pad, Pool, Reduce, Resize, Slice,
    TransposedConvolution, Window, shape_text,
};

/// Why inputs do not fit an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InferError(pub(crate) String);

type Typed = (Element, Vec<Dim>);

fn fail<T>(what: String) -> Result<T, InferError> {
    Err(InferError(what))
}

/// The type and shape of what `op` computes from inputs of these types and shapes.
///
/// # Errors
/// When there are too few or too many inputs, or their types or shapes do not fit the operator.
pub fn infer(op: &Op, inputs: &[Typed]) -> Result<Typed, InferError> {
    let expected = match op {
        Op::MatMul | Op::Binary(_) => 2..=2,
        Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_) => 2..=3,
        Op::Quantize { .. } | Op::Dequantize { .. } => 2..=3,
        Op::Affine => 3..=3,
        Op::BatchNorm { .. } => 5..=5,
        Op::Concat { .. } => 1..=usize::MAX,
        _ => 1..=1,
    };
    if !expected.contains(&inputs.len()) {
        return fail(format!(
            "it has {} inputs, expected {} to {}",
            inputs.len(),
            expected.start(),
            expected.end()
        ));
    }
    let (element, shape) = &inputs[0];
    if let Some(other) = float_inputs(op, inputs) {
        return fail(format!("it computes with {other}, only float32 is supported"));
    }
    let shapes: Vec<&[Dim]> = inputs.iter().map(|(_, shape)| shape.as_slice()).collect();
    let result = match op {
        Op::MatMul => matmul(shapes[0], shapes[1])?,
        Op::Gemm(gemm_attributes) => gemm(gemm_attributes, &shapes)?,
        Op::Conv(conv) => convolution(conv, &shapes)?,
        Op::ConvTranspose(conv) => transposed(conv, &shapes)?,
        Op::Interleaved(interleaved_attributes) => interleaved(interleaved_attributes, &shapes)?,
        Op::BatchNorm { .. } | Op::Affine => {
            let channels = *shape.get(1).ok_or_else(|| InferError("its input has no channel axis".into()))?;
            if let Some(wrong) = shapes[1..].iter().find(|shape| **shape != [channels]) {
                return fail(format!(
                    "a parameter of shape {} is given for {channels} channels",
                    shape_text(wrong)
                ));
            }
            shape.clone()
        }
        Op::Activation(_) | Op::Function(_) | Op::HardSigmoid { .. } | Op::Cast => shape.clone(),
        Op::Binary(_) => broadcast(shapes[0], shapes[1])?,
        Op::Pool(pool) => pooled(pool, shape)?,
        Op::Reduce(reduce) => reduced(reduce, shape)?,
        Op::Reshape(target) => {
            if elements(target).is_none() || elements(target) != elements(shape) {
                return fail(format!("{} cannot become {}", shape_text(shape), shape_text(target)));
            }
            target.clone()
        }
        Op::Transpose(permutation) => {
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            if sorted != (0..shape.len()).collect::<Vec<_>>() {
                return fail(format!("perm {permutation:?} is no permutation of {} axes", shape.len()));
            }
            permutation.iter().map(|&axis| shape[axis]).collect()
        }
        Op::Concat { axis } => concat(*axis, &shapes)?,
        Op::Pad(pad) => padded(pad, shape)?,
        Op::Resize(resize) => resized(resize, shape)?,
        Op::Softmax { axis } | Op::Normalize { axis, .. } => {
            check_axis(*axis, shape)?;
            shape.clone()
        }
        Op::Quantize { axis, .. } | Op::Dequantize { axis } => {
            quantization(*axis, &shapes)?;
            shape.clone()
        }
        Op::Expand(target) => {
            if broadcast(shape, target)? != *target {
                return fail(format!("{} cannot be expanded to {}", shape_text(shape), shape_text(target)));
            }
            target.clone()
        }
        Op::DepthToSpace(depth) => depth_to_space(depth, shape)?,
        Op::Slice(slices) => sliced(slices, shape)?,
        Op::Standardize { axes, .. } => {
            reduced(&Reduce { kind: super::ReduceKind::Mean, axes: axes.clone(), keep: true }, shape)?;
            shape.clone()
        }
        Op::OneHot { depth } => [shape.as_slice(), &[Dim::Size(*depth)]].concat(),
    };
    let element = match op {
        Op::Quantize { element, .. } => *element,
        Op::Dequantize { .. } | Op::OneHot { .. } | Op::Cast => Element::F32,
        _ => *element,
    };
    Ok((element, result))
}

/// The type of an input that should be float but is not.
fn float_inputs(op: &Op, inputs: &[Typed]) -> Option<Element> {
    let mut elements = inputs.iter().map(|(element, _)| *element);
    match op {
        // Moving elements about works for any type.
        Op::Reshape(_) | Op::Transpose(_) | Op::Concat { .. } | Op::Expand(_) | Op::Pad(_) => None,
        Op::DepthToSpace(_) | Op::Slice(_) | Op::OneHot { .. } | Op::Cast => None,
        Op::Pool(pool) if pool.kind == super::PoolKind::Max => None,
        Op::Quantize { .. } => elements.take(2).find(|element| *element != Element::F32),
        Op::Dequantize { .. } => elements.nth(1).filter(|element| *element != Element::F32),
        _ => elements.find(|element| *element != Element::F32),
    }
}

fn check_axis(axis: usize, shape: &[Dim]) -> Result<(), InferError> {
    if axis >= shape.len() {
        return fail(format!("axis {axis} is beyond its input's shape {}", shape_text(shape)));
    }
    Ok(())
}

/// The number of elements: how many, and how many batches.
fn elements(shape: &[Dim]) -> Option<(usize, usize)> {
    shape.iter().try_fold((1usize, 0), |(count, batches), dim| match dim {
        Dim::Batch => Some((count, batches + 1)),
        Dim::Size(size) => Some((count.checked_mul(*size)?, batches)),
    })
}

/// The shape of two tensors broadcast against each other, as NumPy does it.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(Dim::Size(1), |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (a, b) if a == b => Ok(a),
            (Dim::Size(1), other) | (other, Dim::Size(1)) => Ok(other),
            _ => fail(format!("the shapes {} and {} cannot be combined", shape_text(a), shape_text(b))),
        })
        .collect()
}

fn matmul(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let wrong = || InferError(format!("{} cannot be multiplied with {}", shape_text(a), shape_text(b)));
    if a.is_empty() || b.is_empty() {
        return Err(wrong());
    }
    // A vector counts as a row on the left and as a column on the right; that axis is not in the result.
    let (a_rows, a_inner) = if a.len() == 1 { (None, a[0]) } else { (Some(a[a.len() - 2]), a[a.len() - 1]) };
    let (b_inner, b_columns) =
        if b.len() == 1 { (b[0], None) } else { (b[b.len() - 2], Some(b[b.len() - 1])) };
    if a_inner != b_inner || a_inner == Dim::Batch {
        return Err(wrong());
    }
    let outer = |shape: &'_ [Dim]| shape[..shape.len().saturating_sub(2)].to_vec();
    let mut shape = broadcast(&outer(a), &outer(b)).map_err(|_| wrong())?;
    shape.extend(a_rows.into_iter().chain(b_columns));
    Ok(shape)
}

fn gemm(gemm: &Gemm, shapes: &[&[Dim]]) -> Result<Vec<Dim>, InferError> {
    let (&[a0, a1], &[b0, b1]) = (shapes[0], shapes[1]) else {
        let (a, b) = (shape_text(shapes[0]), shape_text(shapes[1]));
        return fail(format!("it multiplies matrices, but its inputs have the shapes {a} and {b}"));
    };
    let (rows, inner) = if gemm.transpose_a { (a1, a0) } else { (a0, a1) };
    let (inner_b, columns) = if gemm.transpose_b { (b1, b0) } else { (b0, b1) };
    if inner != inner_b || inner == Dim::Batch {
        return fail(format!(
            "{} cannot be multiplied with {}",
            shape_text(shapes[0]),
            shape_text(shapes[1])
        ));
    }
    let shape = vec![rows, columns];
    if let Some(c) = shapes.get(2)
        && broadcast(&shape, c).as_ref() != Ok(&shape)
    {
        return fail(format!("c of shape {} cannot be added to {}", shape_text(c), shape_text(&shape)));
    }
    Ok(shape)
}

/// The axes of an image: batch, channels, height, width.
fn image(shape: &[Dim]) -> Result<(Dim, usize, [usize; 2]), InferError> {
    match *shape {
        [_, Dim::Size(_), Dim::Size(height), Dim::Size(width)] if height == 0 || width == 0 => {
            fail(format!("its input {} is an image without pixels", shape_text(shape)))
        }
        [batch, Dim::Size(channels), Dim::Size(height), Dim::Size(width)] => {
            Ok((batch, channels, [height, width]))
        }
        _ => fail(format!(
            "its input has the shape {}; only images are supported: batch, channels, height and width, the last three known",
            shape_text(shape)
        )),
    }
}

/// A weight's four lengths, which are constant.
fn weight(shape: &[Dim]) -> Result<[usize; 4], InferError> {
    match *shape {
        [Dim::Size(a), Dim::Size(b), Dim::Size(c), Dim::Size(d)] => Ok([a, b, c, d]),
        _ => fail(format!("its weight has the shape {}, expected four axes", shape_text(shape))),
    }
}

fn check_bias(bias: Option<&&[Dim]>, channels: usize) -> Result<(), InferError> {
    match bias {
        Some(bias) if **bias != [Dim::Size(channels)] => {
            fail(format!("its bias has the shape {}, expected ({channels})", shape_text(bias)))
        }
        _ => Ok(()),
    }
}

fn window_counts(window: &Window, size: [usize; 2], ceil: bool) -> Result<[usize; 2], InferError> {
    match (window.count(0, size[0], ceil), window.count(1, size[1], ceil)) {
        (Some(rows), Some(columns)) => Ok([rows, columns]),
        _ => fail(format!(
            "a window of {} by {} does not fit in the padded image of {} by {}",
            window.extent(0),
            window.extent(1),
            size[0] + window.pads[0] + window.pads[2],
            size[1] + window.pads[1] + window.pads[3]
        )),
    }
}

fn convolution(conv: &Convolution, shapes: &[&[Dim]]) -> Result<Vec<Dim>, InferError> {
    let (batch, channels, size) = image(shapes[0])?;
    let [outputs, inputs, height, width] = weight(shapes[1])?;
    if [height, width] != conv.window.kernel {
        return fail(format!(
            "kernel_shape is {:?}, but its weight is {height} by {width}",
            conv.window.kernel
        ));
    }
    if inputs.checked_mul(conv.groups) != Some(channels) || !outputs.is_multiple_of(conv.groups) {
        return fail(format!(
            "its weight {} does not fit {channels} channels in {} groups",
            shape_text(shapes[1]),
            conv.groups
        ));
    }
    check_bias(shapes.get(2), outputs)?;
    let [rows, columns] = window_counts(&conv.window, size, false)?;
    Ok(vec![batch, Dim::Size(outputs), Dim::Size(rows), Dim::Size(columns)])
}

fn transposed(conv: &TransposedConvolution, shapes: &[&[Dim]]) -> Result<Vec<Dim>, InferError> {
    let (batch, channels, size) = image(shapes[0])?;
    let [inputs, per_group, height, width] = weight(shapes[1])?;
    let window = &conv.window;
    if [height, width] != window.kernel {
        return fail(format!("kernel_shape is {:?}, but its weight is {height} by {width}", window.kernel));
    }
    if inputs != channels || !channels.is_multiple_of(conv.groups) {
        return fail(format!(
            "its weight {} does not fit {channels} channels in {} groups",
            shape_text(shapes[1]),
            conv.groups
        ));
    }
    let outputs = per_group * conv.groups;
    check_bias(shapes.get(2), outputs)?;
    let length = |axis: usize| {
        let full = (size[axis] - 1) * window.stride[axis] + window.extent(axis) + conv.output_padding[axis];
        full.checked_sub(window.pads[axis] + window.pads[axis + 2]).filter(|&length| length > 0)
    };
    match (length(0), length(1)) {
        (Some(rows), Some(columns)) => {
            Ok(vec![batch, Dim::Size(outputs), Dim::Size(rows), Dim::Size(columns)])
        }
        _ => fail("its pads cut away the whole result".into()),
    }
}

fn interleaved(interleaved: &Interleaved, shapes: &[&[Dim]]) -> Result<Vec<Dim>, InferError> {
    let spread = depth_to_space(&interleaved.depth, &convolution(&interleaved.convolution(), shapes)?)?;
    let (_, _, lengths) = image(&spread)?;
    if (0..2).any(|axis| interleaved.cut[axis] + interleaved.cut[axis + 2] >= lengths[axis]) {
        return fail("the whole result is cut away".into());
    }
    sliced(&interleaved.slices(lengths), &spread)
}

fn pooled(pool: &Pool, shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let (batch, channels, size) = image(shape)?;
    let window = &pool.window;
    if (0..4).any(|side| window.pads[side] >= window.extent(side % 2)) {
        return fail(format!("its pads {:?} are as wide as its window", window.pads));
    }
    let [rows, columns] = window_counts(window, size, pool.ceil)?;
    Ok(vec![batch, Dim::Size(channels), Dim::Size(rows), Dim::Size(columns)])
}

fn reduced(reduce: &Reduce, shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    for &axis in &reduce.axes {
        check_axis(axis, shape)?;
        if shape[axis] == Dim::Batch {
            return fail("it reduces over the batch".into());
        }
    }
    let axes = shape.iter().enumerate().filter_map(|(axis, &dim)| match reduce.axes.contains(&axis) {
        false => Some(dim),
        true => reduce.keep.then_some(Dim::Size(1)),
    });
    Ok(axes.collect())
}

fn concat(axis: usize, shapes: &[&[Dim]]) -> Result<Vec<Dim>, InferError> {
    check_axis(axis, shapes[0])?;
    let mut result = shapes[0].to_vec();
    let mut total = 0usize;
    for shape in shapes {
        let others_differ = shape.len() != result.len()
            || shape.iter().zip(&result).enumerate().any(|(other, (a, b))| other != axis && a != b);
        match shape.get(axis) {
            Some(Dim::Size(length)) if !others_differ => total = total.saturating_add(*length),
            _ => {
                return fail(format!(
                    "{} and {} cannot be joined along axis {axis}",
                    shape_text(shapes[0]),
                    shape_text(shape)
                ));
            }
        }
    }
    result[axis] = Dim::Size(total);
    Ok(result)
}

fn padded(pad: &Pad, shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    if pad.before.len() != shape.len() || pad.after.len() != shape.len() {
        return fail(format!("it pads {} axes of {}", pad.before.len(), shape_text(shape)));
    }
    shape
        .iter()
        .zip(pad.before.iter().zip(&pad.after))
        .map(|(&dim, (&before, &after))| match dim {
            dim if (before, after) == (0, 0) => Ok(dim),
            Dim::Batch => fail("it pads the batch".into()),
            Dim::Size(length) => match pad.mode {
                super::PadMode::Reflect if before.max(after) >= length => {
                    fail(format!("it reflects {} elements of an axis of {length}", before.max(after)))
                }
                super::PadMode::Edge if length == 0 => fail("it repeats the edge of an empty axis".into()),
                _ => Ok(Dim::Size(length + before + after)),
            },
        })
        .collect()
}

fn resized(resize: &Resize, shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let (batch, channels, _) = image(shape)?;
    if resize.output.contains(&0) {
        return fail(format!("its result would be {} by {} pixels", resize.output[0], resize.output[1]));
    }
    Ok(vec![batch, Dim::Size(channels), Dim::Size(resize.output[0]), Dim::Size(resize.output[1])])
}

fn depth_to_space(depth: &DepthToSpace, shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let (batch, channels, [height, width]) = image(shape)?;
    let block = depth.block;
    let lengths = (block > 0).then(|| Some((block.checked_mul(block)?, height.checked_mul(block)?)));
    match lengths.flatten().zip(width.checked_mul(block)) {
        Some(((depth, height), width)) if channels.is_multiple_of(depth) => {
            Ok(vec![batch, Dim::Size(channels / depth), Dim::Size(height), Dim::Size(width)])
        }
        _ => fail(format!("{channels} channels cannot become blocks of {block} by {block} pixels")),
    }
}

fn sliced(slices: &[Slice], shape: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let mut result = shape.to_vec();
    for slice in slices {
        check_axis(slice.axis, shape)?;
        match shape[slice.axis] {
            Dim::Size(length) if slice.start <= slice.end && slice.end <= length && slice.step != 0 => {
                result[slice.axis] = Dim::Size(slice.count());
            }
            Dim::Batch => return fail("it takes a part of the batch".into()),
            Dim::Size(_) => {
                return fail(format!(
                    "it takes elements {} to {} along axis {} of {}",
                    slice.start,
                    slice.end,
                    slice.axis,
                    shape_text(shape)
                ));
            }
        }
    }
    Ok(result)
}

fn quantization(axis: usize, shapes: &[&[Dim]]) -> Result<(), InferError> {
    for parameter in &shapes[1..] {
        let one = parameter.iter().all(|&dim| dim == Dim::Size(1));
        if !one && (parameter.len() != 1 || shapes[0].get(axis) != Some(&parameter[0])) {
            return fail(format!(
                "a scale or zero point of shape {} does not fit axis {axis} of {}",
                shape_text(parameter),
                shape_text(shapes[0])
            ));
        }
    }
    Ok(())
}
