//! Pixels that are repeated along rows and columns, as exporters write it for nearest-neighbor upsampling: an axis of
//! length 1 after the rows, spread, and joined with them.

use super::canonical::first;
use super::layout::{CHANNELS_FIRST, CHANNELS_LAST, permutation};
use super::{Links, join};
use crate::graph::{Content, Coordinates, Dim, Epilogue, Graph, Interpolation, Node, Op, Resize, ValueId};

/// An image whose axes are given axes of length 1 (`apart`), which are spread (`wide`) and joined with the axes before
/// them (`joined`): its shape, and how often its elements are repeated along each axis.
fn repeats(apart: &[Dim], wide: &[Dim], joined: &[Dim]) -> Option<(Vec<Dim>, Vec<usize>)> {
    if apart.len() != wide.len() {
        return None;
    }
    let mut axes = apart.iter().copied().zip(wide.iter().copied()).peekable();
    let (mut shape, mut times) = (Vec::new(), Vec::new());
    for &after in joined {
        let (dim, same) = axes.next()?;
        if dim != same {
            return None;
        }
        let spread = axes.next_if(|&(one, length)| {
            let repeated = match (dim, length) {
                (Dim::Size(own), Dim::Size(length)) => own.checked_mul(length).map(Dim::Size),
                _ => None,
            };
            one == Dim::Size(1) && repeated == Some(after)
        });
        times.push(match spread {
            Some((_, Dim::Size(length))) => length,
            _ if dim == after => 1,
            _ => return None,
        });
        shape.push(dim);
    }
    axes.next().is_none().then_some((shape, times))
}

/// Rows or columns of an image that are repeated.
pub(super) fn repeated(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::Reshape(joined) = &node.op else { return None };
        let (_, expand) = links.producer(graph, node.inputs[0])?;
        let (_, apart) = links.producer(graph, expand.inputs[0])?;
        let (Op::Expand(wide), Op::Reshape(apart_shape)) = (&expand.op, &apart.op) else { return None };
        let image = apart.inputs[0];
        let (shape, times) = repeats(apart_shape, wide, joined)?;
        let is_last = links.producer(graph, image).is_some_and(|(_, before)| {
            permutation(graph, before).is_some_and(|permutation| permutation == CHANNELS_LAST)
        });
        match *times {
            [1, 1, rows, columns] if !is_last || columns > 1 => Some((image, shape, false, [rows, columns])),
            [1, rows, columns, 1] => Some((image, shape, true, [rows, columns])),
            _ => None,
        }
    });
    let Some((index, (image, shape, channels_last, times))) = found else { return false };
    let (name, output) = (graph.nodes[index].name.clone(), graph.nodes[index].output);
    let at = if channels_last { 1 } else { 2 };
    let (Dim::Size(rows), Dim::Size(columns)) = (shape[at], shape[at + 1]) else { return false };
    let resize = Op::Resize(Resize {
        output: [rows * times[0], columns * times[1]],
        scale: times.map(|times| times as f32),
        coordinates: Coordinates::Asymmetric,
        interpolation: Interpolation::Floor,
    });
    let mut steps = vec![(".image", Op::Reshape(shape)), ("", resize)];
    if channels_last {
        steps.insert(1, (".first", Op::Transpose(CHANNELS_FIRST.to_vec())));
        steps.push((".last", Op::Transpose(CHANNELS_LAST.to_vec())));
    }
    let last = steps.len() - 1;
    let mut value: ValueId = image;
    let mut made = Vec::new();
    for (place, (part, op)) in steps.into_iter().enumerate() {
        let Ok((element, shape)) = graph.infer(&op, &[value]) else { return false };
        let name = format!("{name}{part}");
        let result = match place == last {
            true => output,
            false => graph.add_value(format!("{name}.result"), Content::Computed { element, shape }),
        };
        made.push(Node { name, op, inputs: vec![value], epilogue: Epilogue::default(), output: result });
        value = result;
    }
    graph.nodes.splice(index..=index, made);
    true
}

/// Rows repeated, then columns, or the other way round.
pub(super) fn twice(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (index, before) = links.sole_producer(graph, *node.inputs.first()?)?;
        let (Op::Resize(second), Op::Resize(first)) = (&node.op, &before.op) else { return None };
        let repeats = |resize: &Resize| {
            resize.coordinates == Coordinates::Asymmetric
                && resize.interpolation == Interpolation::Floor
                && resize.scale.iter().all(|scale| scale.fract() == 0.0)
        };
        let scale = [0, 1].map(|axis| first.scale[axis] * second.scale[axis]);
        let joined = Resize { output: second.output, scale, ..*second };
        let bare = before.epilogue.is_empty() && node.epilogue.is_empty();
        (bare && repeats(first) && repeats(second)).then_some((index, joined))
    });
    let Some((second, (first, resize))) = found else { return false };
    graph.nodes[first].op = Op::Resize(resize);
    join(graph, first, second);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dim::{Batch, Size};

    #[test]
    fn repeated_axes_are_found() {
        let shape = [Batch, Size(4), Size(6), Size(8)];
        type Case<'a> = (&'a [Dim], &'a [Dim], [Dim; 4], Option<[usize; 4]>);
        let cases: [Case<'_>; 5] = [
            (
                &[Batch, Size(4), Size(6), Size(1), Size(8), Size(1)],
                &[Batch, Size(4), Size(6), Size(2), Size(8), Size(3)],
                [Batch, Size(4), Size(12), Size(24)],
                Some([1, 1, 2, 3]),
            ),
            (
                &[Batch, Size(4), Size(1), Size(6), Size(8)],
                &[Batch, Size(4), Size(2), Size(6), Size(8)],
                [Batch, Size(8), Size(6), Size(8)],
                Some([1, 2, 1, 1]),
            ),
            // Another axis is joined with the new one: the image is put beside itself.
            (
                &[Batch, Size(4), Size(6), Size(1), Size(8)],
                &[Batch, Size(4), Size(6), Size(2), Size(8)],
                [Batch, Size(4), Size(6), Size(16)],
                None,
            ),
            // Or the pixels are not repeated but the batch is.
            (
                &[Batch, Size(4), Size(6), Size(1), Size(8)],
                &[Batch, Size(4), Size(6), Size(2), Size(8)],
                [Batch, Size(8), Size(6), Size(8)],
                None,
            ),
            (&[Batch, Size(4), Size(48)], &[Batch, Size(4), Size(48)], shape, None),
        ];
        for (apart, wide, joined, expected) in cases {
            let expected = expected.map(|times| (shape.to_vec(), times.to_vec()));
            assert_eq!(repeats(apart, wide, &joined), expected, "{apart:?} {wide:?} {joined:?}");
        }
    }
}
