//! Operators that move elements about.

use super::{NodeContext, Result};
use crate::graph::{DepthOrder, DepthToSpace, Dim, Op, Pad, PadMode, Slice, ValueId, shape_text};
use crate::import::shape_values::{Entry, ShapeValue};

/// The number of elements, and how often the batch is a factor of it.
fn elements(dims: &[Dim]) -> (usize, usize) {
    dims.iter().fold((1, 0), |(count, batches), dim| match dim {
        Dim::Batch => (count, batches + 1),
        Dim::Size(length) => (count.saturating_mul(*length), batches),
    })
}

/// Inputs: x, shape. In the shape 0 keeps an axis (unless allowzero), and one -1 is what is left.
pub(super) fn reshape(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let allow_zero = node.attributes.flag("allowzero")?;
    // A shape as a vector of its entries.
    if let (Some(entries), Some(wanted)) = (node.shape_value(0)?, node.shape_value(1)?)
        && let Some(&[wanted]) = wanted.known().as_deref()
        && (wanted == -1 || wanted == entries.entries.len() as i64)
    {
        node.bind_shape(ShapeValue { scalar: false, ..entries });
        return Ok(());
    }
    let target = node.entries(1, "shape")?;
    if let Some((value, axes)) = node.joined(0) {
        return apart(node, value, axes, &target);
    }
    let shape = node.shape(0)?;
    let mut dims = Vec::with_capacity(target.len());
    let mut rest = None;
    for (axis, entry) in target.iter().enumerate() {
        dims.push(match *entry {
            Entry::Batch => Dim::Batch,
            Entry::Known(0) if !allow_zero => match shape.get(axis) {
                Some(&dim) => dim,
                None => {
                    return Err(node.error(format!("its shape keeps axis {axis} of {}", shape_text(&shape))));
                }
            },
            Entry::Known(-1) if rest.is_none() => {
                rest = Some(axis);
                Dim::Size(1)
            }
            Entry::Known(length @ 0..=0x7fff_ffff) => Dim::Size(length as usize),
            Entry::Known(other) => return Err(node.error(format!("its shape has the length {other}"))),
        });
    }
    let ((all, all_batches), (known, known_batches)) = (elements(&shape), elements(&dims));
    if let Some(axis) = rest {
        dims[axis] = match (all_batches.checked_sub(known_batches), known) {
            (Some(0), 1..) if all % known == 0 => Dim::Size(all / known),
            (Some(1), _) if all == known => Dim::Batch,
            // As PyTorch transposes the keys of attention.
            (Some(1), _) if axis == 0 && shape.len() >= dims.len() && shape.ends_with(&dims[1..]) => {
                let input = node.input(0)?;
                node.bind_joined(input, shape.len() + 1 - dims.len());
                return Ok(());
            }
            _ => {
                let (from, to) = (shape_text(&shape), shape_text(&dims));
                return Err(node.error(format!("{from} cannot become {to} with axis {axis} free")));
            }
        };
    }
    let input = node.input(0)?;
    node.emit(Op::Reshape(dims), vec![input])
}

/// What [`reshape`] joined, made the axes again that it was.
fn apart(node: &mut NodeContext, value: ValueId, axes: usize, target: &[Entry]) -> Result {
    let dims = node.dims(value);
    let are_joined = target.len() > axes
        && target.iter().zip(&dims[..axes]).all(|(entry, dim)| match (entry, dim) {
            (Entry::Batch | Entry::Known(-1), Dim::Batch) => true,
            (Entry::Known(length), Dim::Size(size)) => *length == *size as i64,
            _ => false,
        });
    let sizes = target.iter().skip(axes).map(|entry| match entry {
        Entry::Known(length @ 0..=0x7fff_ffff) => Some(Dim::Size(*length as usize)),
        _ => None,
    });
    match sizes.collect::<Option<Vec<_>>>().filter(|_| are_joined) {
        Some(sizes) => node.emit(Op::Reshape([&dims[..axes], &sizes].concat()), vec![value]),
        None => Err(node.error(format!(
            "it splits an axis that joins the batch with others into others than those of {}",
            shape_text(&dims)
        ))),
    }
}

/// A matrix: the axes before `axis`, and the others.
pub(super) fn flatten(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let shape = node.shape(0)?;
    let axis = match node.attributes.int("axis")?.unwrap_or(1) {
        axis if axis == shape.len() as i64 => shape.len(),
        axis => node.axis(axis, shape.len())?,
    };
    let mut dims = Vec::new();
    for part in [&shape[..axis], &shape[axis..]] {
        dims.push(match elements(part) {
            (length, 0) => Dim::Size(length),
            (1, 1) => Dim::Batch,
            _ => {
                return Err(
                    node.error(format!("it joins the batch with other axes of {}", shape_text(&shape)))
                );
            }
        });
    }
    let input = node.input(0)?;
    node.emit(Op::Reshape(dims), vec![input])
}

/// Inputs: x, [axes] (an attribute before opset 13).
pub(super) fn squeeze(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    if let Some(shape) = node.shape_value(0)? {
        node.attributes.ignore("axes");
        let [_] = shape.entries.as_slice() else {
            return Err(node.error("it squeezes a shape of several axes"));
        };
        node.bind_shape(ShapeValue { scalar: true, ..shape });
        return Ok(());
    }
    let shape = node.shape(0)?;
    let one = |axis: &usize| shape[*axis] == Dim::Size(1);
    let axes = match node.axes(13, 1, shape.len())? {
        Some(axes) => axes,
        None => (0..shape.len()).filter(one).collect(),
    };
    if let Some(axis) = axes.iter().find(|axis| !one(axis)) {
        return Err(node.error(format!("axis {axis} of {} is not of length 1", shape_text(&shape))));
    }
    let kept = shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &dim)| dim);
    let dims = kept.collect();
    let input = node.input(0)?;
    node.emit(Op::Reshape(dims), vec![input])
}

/// Inputs: x, axes (an attribute before opset 13).
pub(super) fn unsqueeze(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    if let Some(shape) = node.shape_value(0)? {
        node.attributes.ignore("axes");
        if !shape.scalar {
            return Err(node.error("it adds an axis to a shape"));
        }
        node.bind_shape(ShapeValue { scalar: false, ..shape });
        return Ok(());
    }
    let shape = node.shape(0)?;
    let count = if node.opset() < 13 {
        // Read here only to know how many there are.
        node.attributes.ints("axes")?.map(<[i64]>::to_vec)
    } else {
        Some(node.integers(1, "axes")?)
    };
    let Some(axes) = count else { return Err(node.error("its axes are missing")) };
    let rank = shape.len() + axes.len();
    let axes = axes.into_iter().map(|axis| node.axis(axis, rank)).collect::<Result<Vec<_>>>()?;
    let mut rest = shape.iter().copied();
    let mut dims = Vec::with_capacity(rank);
    for axis in 0..rank {
        match if axes.contains(&axis) { Some(Dim::Size(1)) } else { rest.next() } {
            Some(dim) => dims.push(dim),
            None => return Err(node.error("its axes repeat")),
        }
    }
    let input = node.input(0)?;
    node.emit(Op::Reshape(dims), vec![input])
}

/// Inputs: x, shape; the result's shape is both broadcast against each other.
pub(super) fn expand(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let shape = node.shape(0)?;
    let wanted = node.entries(1, "shape")?;
    let rank = shape.len().max(wanted.len());
    let mut dims = Vec::with_capacity(rank);
    for axis in 0..rank {
        let own = (axis + shape.len()).checked_sub(rank).map_or(Dim::Size(1), |axis| shape[axis]);
        let wanted = (axis + wanted.len()).checked_sub(rank).map_or(Entry::Known(1), |axis| wanted[axis]);
        dims.push(match wanted {
            Entry::Batch => Dim::Batch,
            Entry::Known(1) => own,
            Entry::Known(length @ 0..=0x7fff_ffff) => Dim::Size(length as usize),
            Entry::Known(other) => return Err(node.error(format!("its shape has the length {other}"))),
        });
    }
    let input = node.input(0)?;
    if dims == shape {
        node.alias(input);
        return Ok(());
    }
    node.emit(Op::Expand(dims), vec![input])
}

/// Inputs: x, repeats. An axis of length 1 is spread, others are joined with themselves.
pub(super) fn tile(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let shape = node.shape(0)?;
    let repeats = node.entries(1, "repeats")?;
    if repeats.len() != shape.len() {
        return Err(node.error(format!("it has {} repeats for {}", repeats.len(), shape_text(&shape))));
    }
    let mut value = node.input(0)?;
    let mut dims = shape.clone();
    for (axis, &times) in repeats.iter().enumerate() {
        let times = match times {
            Entry::Known(1) => continue,
            Entry::Known(times @ 2..=0x10000) if shape[axis] != Dim::Batch => times as usize,
            // One for all examples.
            Entry::Batch if shape[axis] == Dim::Size(1) => {
                dims[axis] = Dim::Batch;
                continue;
            }
            Entry::Known(times) => {
                let what = format!("repeats axis {axis} of {} {times} times", shape_text(&shape));
                return Err(node.error(format!("it {what}, which is not supported")));
            }
            Entry::Batch => {
                let what = format!("repeats axis {axis} of {} once for each example", shape_text(&shape));
                return Err(node.error(format!("it {what}, which is not supported")));
            }
        };
        match shape[axis] {
            Dim::Size(1) => dims[axis] = Dim::Size(times),
            _ => {
                value = node.step(Op::Concat { axis }, vec![value; times])?;
                dims[axis] = node.dims(value)[axis];
            }
        }
    }
    if dims == node.dims(value) {
        node.alias(value);
        return Ok(());
    }
    node.emit(Op::Expand(dims), vec![value])
}

pub(super) fn transpose(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    if let Some((value, axes)) = node.joined(0) {
        let rank = node.dims(value).len() + 1 - axes;
        let permutation = node.attributes.ints("perm")?.unwrap_or_default().to_vec();
        let permutation: Vec<usize> =
            permutation.into_iter().map(|axis| node.axis(axis, rank)).collect::<Result<_>>()?;
        let [0, rest @ ..] = permutation.as_slice() else {
            return Err(
                node.error("it moves an axis that joins the batch with others, which is not supported")
            );
        };
        let permutation = (0..axes).chain(rest.iter().map(|axis| axis + axes - 1)).collect();
        let turned = node.step(Op::Transpose(permutation), vec![value])?;
        node.bind_joined(turned, axes);
        return Ok(());
    }
    let rank = node.shape(0)?.len();
    let permutation = match node.attributes.ints("perm")? {
        Some(permutation) => permutation.iter().map(|&axis| node.axis(axis, rank)).collect::<Result<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let input = node.input(0)?;
    node.emit(Op::Transpose(permutation), vec![input])
}

pub(super) fn concat(node: &mut NodeContext) -> Result {
    let count = node.input_count();
    node.check_counts(count)?;
    let Some(axis) = node.attributes.int("axis")? else {
        return Err(node.attributes.error("axis", "is missing".into()));
    };
    let mut shapes = Vec::with_capacity(count);
    for index in 0..count {
        shapes.extend(node.shape_value(index)?);
    }
    if shapes.len() == count && count > 0 {
        let element = shapes[0].element;
        let entries = shapes.into_iter().flat_map(|shape| shape.entries).collect();
        node.bind_shape(ShapeValue { element, ..ShapeValue::vector(entries) });
        return Ok(());
    }
    let rank = node.shape(0)?.len();
    let axis = node.axis(axis, rank)?;
    let inputs = (0..count).map(|index| node.input(index)).collect::<Result<_>>()?;
    node.emit(Op::Concat { axis }, inputs)
}

/// Inputs: x, pads, [value], [axes].
pub(super) fn pad(node: &mut NodeContext) -> Result {
    node.check_counts(4)?;
    let mode = node.attributes.text("mode")?.unwrap_or("constant");
    let mode = match mode {
        "constant" if node.has(2) => PadMode::Constant(node.scalar(2, "value")?),
        "constant" => PadMode::Constant(0.0),
        "edge" => PadMode::Edge,
        "reflect" => PadMode::Reflect,
        "wrap" => return wrapped(node),
        other => {
            return Err(node.attributes.error("mode", format!("is \"{other}\", which is not supported")));
        }
    };
    let sides = sides(node)?;
    let input = node.input(0)?;
    let shape = node.dims(input);
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    let mut slices = Vec::new();
    for (axis, &[first, last]) in sides.iter().enumerate() {
        (before[axis], after[axis]) = (first.max(0) as usize, last.max(0) as usize);
        if first >= 0 && last >= 0 {
            continue;
        }
        // What is cut off is cut off first: of a border that is made from the image it would not be the same.
        if (first > 0 || last > 0) && !matches!(mode, PadMode::Constant(_)) {
            return Err(
                node.error(format!("it pads axis {axis} by {first} and {last} with what it cuts off"))
            );
        }
        let Dim::Size(length) = shape[axis] else {
            return Err(node.error("it cuts off examples of the batch"));
        };
        let (start, cut) = (first.min(0).unsigned_abs() as usize, last.min(0).unsigned_abs() as usize);
        match length.checked_sub(cut) {
            Some(end) if start < end => slices.push(Slice::new(axis, start, end)),
            _ => return Err(node.error(format!("it cuts off all of axis {axis} of {}", shape_text(&shape)))),
        }
    }
    let pads = before.iter().chain(&after).any(|&side| side > 0);
    let pad = Op::Pad(Pad { before, after, mode });
    match (slices.is_empty(), pads) {
        (false, true) => {
            let part = node.step(Op::Slice(slices), vec![input])?;
            node.emit(pad, vec![part])
        }
        (false, false) => node.emit(Op::Slice(slices), vec![input]),
        _ => node.emit(pad, vec![input]),
    }
}

/// The image beside itself.
fn wrapped(node: &mut NodeContext) -> Result {
    let sides = sides(node)?;
    let mut value: ValueId = node.input(0)?;
    for (axis, &[before, after]) in sides.iter().enumerate() {
        if (before, after) == (0, 0) {
            continue;
        }
        let Dim::Size(length) = node.dims(value)[axis] else {
            return Err(node.error("it pads the batch"));
        };
        let reach = 0..=length as i64;
        if !reach.contains(&before) || !reach.contains(&after) {
            return Err(node.error(format!("it wraps {before} and {after} elements of an axis of {length}")));
        }
        let mut parts = vec![value];
        if before > 0 {
            let slice = Slice::new(axis, length - before as usize, length);
            parts.insert(0, node.step(Op::Slice(vec![slice]), vec![value])?);
        }
        if after > 0 {
            parts.push(node.step(Op::Slice(vec![Slice::new(axis, 0, after as usize)]), vec![value])?);
        }
        value = node.step(Op::Concat { axis }, parts)?;
    }
    node.alias(value);
    Ok(())
}

/// How much Pad puts before and after each axis.
fn sides(node: &mut NodeContext) -> Result<Vec<[i64; 2]>> {
    let rank = node.shape(0)?.len();
    let pads = node.integers(1, "pads")?;
    let axes = match node.has(3) {
        true => node
            .integers(3, "axes")?
            .into_iter()
            .map(|axis| node.axis(axis, rank))
            .collect::<Result<Vec<_>>>()?,
        false => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(node.error(format!("it has {} pads for {} axes", pads.len(), axes.len())));
    }
    if let Some(pad) = pads.iter().find(|pad| pad.unsigned_abs() > 1 << 16) {
        return Err(node.error(format!("it pads by {pad}; only -65536 to 65536 is supported")));
    }
    let mut sides = vec![[0; 2]; rank];
    for (index, &axis) in axes.iter().enumerate() {
        sides[axis] = [pads[index], pads[index + axes.len()]];
    }
    Ok(sides)
}

/// Inputs: x, [lengths] (an attribute before opset 13). Without them as many equal parts as outputs; a last one may be
/// smaller.
pub(super) fn split(node: &mut NodeContext) -> Result {
    let outputs = node.all_outputs();
    let given = match node.attributes.ints("split")? {
        Some(_) if node.opset() >= 13 => {
            return Err(node.attributes.error("split", "is not supported".into()));
        }
        Some(lengths) => Some(lengths.to_vec()),
        None if node.has(1) => Some(node.integers(1, "split")?),
        None => None,
    };
    if let Some(count) = node.attributes.int("num_outputs")?
        && count != outputs as i64
    {
        return Err(node
            .attributes
            .error("num_outputs", format!("is {count}, but it has {outputs} outputs")));
    }
    let axis = node.attributes.int("axis")?.unwrap_or(0);
    let whole = node.shape_value(0)?;
    let shape = match &whole {
        Some(entries) => vec![Dim::Size(entries.entries.len())],
        None => node.shape(0)?,
    };
    let axis = node.axis(axis, shape.len())?;
    let Dim::Size(length) = shape[axis] else {
        return Err(node.error("it takes the batch apart, which is not supported"));
    };
    let part = length.div_ceil(outputs.max(1));
    let lengths = given.unwrap_or_else(|| {
        (0..outputs).map(|at| part.min(length.saturating_sub(at * part)) as i64).collect()
    });
    let lengths: Option<Vec<usize>> = lengths.iter().map(|&length| usize::try_from(length).ok()).collect();
    let sum =
        lengths.as_ref().and_then(|lengths| lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)));
    let lengths = match lengths {
        Some(lengths) if lengths.len() == outputs && sum == Some(length) => lengths,
        _ => return Err(node.error(format!("its parts are not {outputs} that make up {length}"))),
    };
    let mut start = 0;
    for (index, length) in lengths.into_iter().enumerate() {
        let end = start + length;
        match &whole {
            Some(entries) => {
                let part = entries.slice(start as i64, end as i64);
                node.bind_shape_output(index, part);
            }
            None => {
                let input = node.input(0)?;
                let part = node.step(Op::Slice(vec![Slice::new(axis, start, end)]), vec![input])?;
                node.bind_output(index, part);
            }
        }
        start = end;
    }
    Ok(())
}

/// Where a block's pixels lie among the channels.
fn depth_order(node: &mut NodeContext) -> Result<DepthOrder> {
    match node.attributes.text("mode")?.unwrap_or("DCR") {
        "DCR" => Ok(DepthOrder::BlockFirst),
        "CRD" => Ok(DepthOrder::ChannelFirst),
        other => Err(node.attributes.error("mode", format!("is \"{other}\", expected DCR or CRD"))),
    }
}

fn block_size(node: &mut NodeContext) -> Result<usize> {
    match node.attributes.int("blocksize")? {
        Some(block @ 1..=0x10000) => Ok(block as usize),
        Some(other) => Err(node.attributes.error("blocksize", format!("is {other}, expected 1 or more"))),
        None => Err(node.attributes.error("blocksize", "is missing".into())),
    }
}

/// Blocks of pixels become channels: the inverse of DepthToSpace.
pub(super) fn space_to_depth(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let block = block_size(node)?;
    let input = node.input(0)?;
    let shape = node.dims(input);
    let (batch, [channels, height, width]) = match *shape {
        [batch, Dim::Size(channels), Dim::Size(height), Dim::Size(width)]
            if height.is_multiple_of(block) && width.is_multiple_of(block) =>
        {
            (batch, [channels, height, width])
        }
        _ => {
            return Err(node.error(format!("{} is no image of blocks of {block} pixels", shape_text(&shape))));
        }
    };
    let (rows, columns) = (height / block, width / block);
    let apart = [channels, rows, block, columns, block].map(Dim::Size);
    let apart = node.step(Op::Reshape([&[batch], &apart[..]].concat()), vec![input])?;
    let permutation = match depth_order(node)? {
        DepthOrder::BlockFirst => vec![0, 3, 5, 1, 2, 4],
        DepthOrder::ChannelFirst => vec![0, 1, 3, 5, 2, 4],
    };
    let turned = node.step(Op::Transpose(permutation), vec![apart])?;
    let together = [channels * block * block, rows, columns].map(Dim::Size);
    node.emit(Op::Reshape([&[batch], &together[..]].concat()), vec![turned])
}

pub(super) fn depth_to_space(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let block = block_size(node)?;
    let order = depth_order(node)?;
    let input = node.input(0)?;
    node.emit(Op::DepthToSpace(DepthToSpace { block, order }), vec![input])
}
