//! Elements at places: given, or computed.

use super::{NodeContext, Result};
use crate::graph::{Binary, Dim, Element, Op, Slice, Tensor, ValueId, shape_text};

/// The most places that are picked one by one.
const MAX_PLACES: usize = 1 << 12;

/// Inputs: data, indices. Of shapes; of values at constant places; and of a constant at computed places, which is a product
/// with the places as one-hot vectors.
pub(super) fn gather(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let axis = node.attributes.int("axis")?.unwrap_or(0);
    if let (Some(data), Some(indices)) = (node.shape_value(0)?, node.shape_value(1)?)
        && matches!(axis, 0 | -1)
    {
        return match data.gather(&indices) {
            Some(result) => {
                node.bind_shape(result);
                Ok(())
            }
            None => Err(node.error("its indices are beyond the shape that it reads")),
        };
    }
    let (data, indices) = (node.input(0)?, node.input(1)?);
    let shape = node.dims(data);
    let axis = node.axis(axis, shape.len())?;
    let Dim::Size(length) = shape[axis] else {
        return Err(node.error("it picks examples of the batch, which is not supported"));
    };
    if let Some(places) = node.constant_of(indices).and_then(Tensor::integers) {
        let lengths = node.dims(indices);
        return at_places(node, data, axis, length, &places, lengths);
    }
    if !node.is_constant(data) || axis != 0 {
        return Err(node.error("its indices are computed; then its data must be a constant, and its axis 0"));
    }
    if node.element(data) != Element::F32 {
        return Err(node.error("it picks integers by computed indices, which is not supported"));
    }
    let one_hot = node.step(Op::OneHot { depth: length }, vec![indices])?;
    let rest = &shape[1..];
    let width = rest.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { 1 }).product();
    let table = node.step(Op::Reshape(vec![Dim::Size(length), Dim::Size(width)]), vec![data])?;
    let target = [node.dims(indices), rest.to_vec()].concat();
    if rest.len() == 1 {
        return node.emit(Op::MatMul, vec![one_hot, table]);
    }
    let picked = node.step(Op::MatMul, vec![one_hot, table])?;
    node.emit(Op::Reshape(target), vec![picked])
}

/// The elements at constant places along an axis: runs of them, one after the other.
fn at_places(
    node: &mut NodeContext,
    data: ValueId,
    axis: usize,
    length: usize,
    places: &[i64],
    lengths: Vec<Dim>,
) -> Result {
    let from_end = |&place: &i64| {
        let place = if place < 0 { place.checked_add(length as i64)? } else { place };
        usize::try_from(place).ok().filter(|&place| place < length)
    };
    let Some(places) = places.iter().map(from_end).collect::<Option<Vec<usize>>>() else {
        return Err(
            node.error(format!("its indices reach beyond axis {axis} of {}", shape_text(&node.dims(data))))
        );
    };
    if places.is_empty() || places.len() > MAX_PLACES {
        return Err(node.error(format!("it has {} indices; 1 to {MAX_PLACES} are supported", places.len())));
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < places.len() {
        let step = places.get(at + 1).map_or(1, |&next| next as isize - places[at] as isize);
        let follows = |pair: &[usize]| pair[1] as isize - pair[0] as isize == step;
        let count = 1 + places[at..].windows(2).take_while(|pair| step != 0 && follows(pair)).count();
        let (first, last) = (places[at], places[at + count - 1]);
        let step = if count > 1 { step } else { 1 };
        let slice = Slice { axis, start: first.min(last), end: first.max(last) + 1, step };
        parts.push(match (slice.count(), slice.step) {
            (count, 1) if count == length => data,
            _ => node.step(Op::Slice(vec![slice]), vec![data])?,
        });
        at += count;
    }
    let picked = if let [part] = *parts { part } else { node.step(Op::Concat { axis }, parts)? };
    let shape = node.dims(data);
    let target = [&shape[..axis], &lengths, &shape[axis + 1..]].concat();
    node.emit(Op::Reshape(target), vec![picked])
}

/// Inputs: indices, depth, values (off, on).
pub(super) fn one_hot(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    let indices = node.input(0)?;
    let depth = match node.scalar(1, "depth")? {
        depth if (1.0..=1048576.0).contains(&depth) => depth as usize,
        other => return Err(node.error(format!("its depth is {other}, expected 1 to 1048576"))),
    };
    let values = node.constant(2, "values")?.doubles();
    let &[off, on] = &*values else {
        return Err(node.error(format!("it has {} values, expected two", values.len())));
    };
    let rank = node.dims(indices).len() + 1;
    let axis = node.attributes.int("axis")?.unwrap_or(-1);
    let axis = node.axis(axis, rank)?;
    let mut result = node.step(Op::OneHot { depth }, vec![indices])?;
    if axis + 1 != rank {
        let mut permutation: Vec<usize> = (0..rank - 1).collect();
        permutation.insert(axis, rank - 1);
        result = node.step(Op::Transpose(permutation), vec![result])?;
    }
    if on - off != 1.0 {
        let difference = node.number("difference", (on - off) as f32);
        result = node.binary_step(Binary::Multiply, result, difference)?;
    }
    if off != 0.0 {
        let off = node.number("off", off as f32);
        result = node.binary_step(Binary::Add, result, off)?;
    }
    node.alias(result);
    Ok(())
}
