//! Reshape and Transpose: composed, moved, and taken into weights.

use super::canonical::{first, is_canonical};
use super::{Links, Weight, is_layer, set_weight, weight};
use std::collections::BTreeSet;

use crate::graph::{
    Content, Convolution, Dim, Element, Elements, Epilogue, Graph, Node, Op, Pad, Reduce, Resize, Slice,
    Tensor, ValueId, Window, interpret,
};

/// A Reshape to the same shape, and a Transpose that moves only axes of length 1.
pub(super) fn needless(graph: &mut Graph) -> bool {
    let same = first(graph, |_, node| {
        let shape = graph.shape(node.inputs[0]);
        let same = match &node.op {
            Op::Reshape(target) => *target == shape,
            Op::Transpose(permutation) => permutation.iter().enumerate().all(|(to, &from)| to == from),
            _ => false,
        };
        (same && graph.constant(node.inputs[0]).is_none()).then_some(())
    });
    if let Some((index, ())) = same {
        let node = graph.nodes.remove(index);
        graph.replace(node.output, node.inputs[0]);
        return true;
    }
    let moves_nothing = first(graph, |_, node| {
        let Op::Transpose(permutation) = &node.op else { return None };
        let shape = graph.shape(node.inputs[0]);
        let long = permutation.iter().filter(|&&axis| shape[axis] != Dim::Size(1));
        long.is_sorted().then(|| graph.shape(node.output))
    });
    let Some((index, shape)) = moves_nothing else { return false };
    graph.nodes[index].op = Op::Reshape(shape);
    true
}

/// Two of a kind, one after the other.
pub(super) fn twice(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (_, before) = links.producer(graph, *node.inputs.first()?)?;
        let op = match (&node.op, &before.op) {
            (Op::Reshape(target), Op::Reshape(_)) => Op::Reshape(target.clone()),
            (Op::Transpose(second), Op::Transpose(first)) => {
                Op::Transpose(second.iter().map(|&axis| first[axis]).collect())
            }
            _ => return None,
        };
        Some((op, before.inputs[0]))
    });
    let Some((index, (op, input))) = found else { return false };
    graph.nodes[index].op = op;
    graph.nodes[index].inputs = vec![input];
    true
}

/// An image whose channels are first gets them last.
pub(super) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// An image whose channels are last gets them first.
pub(super) const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];

/// How a node transposes its input. A Reshape that only moves the axes of length 1 of an image to where one of these
/// would move them is that: of an image of one channel they are the same.
pub(super) fn permutation(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    match &node.op {
        Op::Transpose(permutation) => Some(permutation.clone()),
        Op::Reshape(target) => {
            let shape = graph.shape(node.inputs[0]);
            let turns = |permutation: &[usize; 4]| {
                let long = permutation.iter().filter(|&&axis| shape[axis] != Dim::Size(1));
                permutation.iter().zip(target).all(|(&axis, &dim)| shape[axis] == dim) && long.is_sorted()
            };
            let images = shape.len() == 4 && target.len() == 4 && *target != shape;
            let found = [CHANNELS_LAST, CHANNELS_FIRST].into_iter().find(|found| images && turns(found))?;
            Some(found.to_vec())
        }
        _ => None,
    }
}

/// The permutation that undoes one.
pub(super) fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

/// An operand of what is computed before a transposition instead of after it.
enum Operand {
    Value(ValueId),
    /// A value that has to be transposed for it.
    Turned(ValueId),
    /// A constant, with the axes of the tensor before it was transposed.
    Constant(Tensor),
}

/// A node that computes the same before its operands are transposed: its operator, its operands, and how the result
/// is transposed then.
struct Moved {
    op: Op,
    operands: Vec<Operand>,
    after: Vec<usize>,
}

/// Two transpositions of the same tensor.
pub(super) fn transposed_alike(graph: &mut Graph) -> bool {
    let found = first(graph, |index, node| {
        let Op::Transpose(_) = node.op else { return None };
        let alike = |other: &&Node| other.op == node.op && other.inputs == node.inputs;
        graph.nodes[..index].iter().find(alike).map(|other| other.output)
    });
    let Some((index, output)) = found else { return false };
    let node = graph.nodes.remove(index);
    graph.replace(node.output, output);
    true
}

/// What a node computes from operands that `permutation` transposes, computed before: from single elements, a
/// constant, another tensor transposed alike, or along axes.
fn moved(
    graph: &Graph,
    node: &Node,
    permutation: &[usize],
    operand: impl Fn(ValueId) -> Option<Operand>,
) -> Option<Moved> {
    if !node.epilogue.is_empty() {
        return None;
    }
    let along = |axis: usize| permutation.get(axis).copied();
    let mut after = permutation.to_vec();
    let mut others = Vec::new();
    let op = match &node.op {
        Op::Activation(_) | Op::Function(_) | Op::Cast => node.op.clone(),
        Op::Binary(_) => {
            others = node.inputs[1..].iter().map(|&id| operand(id)).collect::<Option<_>>()?;
            node.op.clone()
        }
        Op::Concat { axis } => {
            others = node.inputs[1..].iter().map(|&id| operand(id)).collect::<Option<_>>()?;
            Op::Concat { axis: along(*axis)? }
        }
        Op::Quantize { .. } | Op::Dequantize { .. } => {
            others = node.inputs[1..].iter().map(|&id| Operand::Value(id)).collect();
            match &node.op {
                // With one scale for all, the axis says nothing.
                op if graph.grid(node).is_some() => op.clone(),
                Op::Quantize { axis, element } => Op::Quantize { axis: along(*axis)?, element: *element },
                Op::Dequantize { axis } => Op::Dequantize { axis: along(*axis)? },
                _ => return None,
            }
        }
        Op::Affine => {
            let channels =
                match graph.shape(node.inputs[0]).get(permutation.iter().position(|&axis| axis == 1)?) {
                    Some(&Dim::Size(channels)) => channels,
                    _ => return None,
                };
            others = node.inputs[1..].iter().map(|&id| spread(graph, id, channels)).collect::<Option<_>>()?;
            Op::Affine
        }
        Op::Softmax { axis } => Op::Softmax { axis: along(*axis)? },
        Op::Normalize { axis, p, epsilon } => Op::Normalize { axis: along(*axis)?, p: *p, epsilon: *epsilon },
        Op::Standardize { axes, epsilon } => {
            let mut axes = axes.iter().map(|&axis| along(axis)).collect::<Option<Vec<usize>>>()?;
            axes.sort_unstable();
            Op::Standardize { axes, epsilon: *epsilon }
        }
        Op::Reduce(reduce) => {
            let mut axes = reduce.axes.iter().map(|&axis| along(axis)).collect::<Option<Vec<usize>>>()?;
            axes.sort_unstable();
            if !reduce.keep {
                after = without(permutation, &axes);
            }
            Op::Reduce(Reduce { axes, ..reduce.clone() })
        }
        Op::Pad(pad) => {
            let sides = |sides: &[usize]| inverse(permutation).iter().map(|&axis| sides[axis]).collect();
            Op::Pad(Pad { before: sides(&pad.before), after: sides(&pad.after), mode: pad.mode })
        }
        Op::Slice(slices) => {
            let turned = |slice: &Slice| Some(Slice { axis: along(slice.axis)?, ..*slice });
            Op::Slice(slices.iter().map(turned).collect::<Option<_>>()?)
        }
        Op::Resize(resize) => Op::Resize(resized(graph, node, resize, permutation)?),
        _ => return None,
    };
    let operands = std::iter::once(operand(node.inputs[0])?).chain(others).collect();
    Some(Moved { op, operands, after })
}

/// A parameter of an affine map that is the same for all channels, for another number of channels.
fn spread(graph: &Graph, id: ValueId, channels: usize) -> Option<Operand> {
    let values = graph.constant(id)?.floats()?;
    let (&first, rest) = values.split_first()?;
    rest.iter().all(|&value| value == first).then(|| Operand::Constant(Tensor::vector(vec![first; channels])))
}

/// Rows and columns of a transposed image, resized before; `None` where one of them is neither row nor column then.
fn resized(graph: &Graph, node: &Node, resize: &Resize, permutation: &[usize]) -> Option<Resize> {
    let (from, to) = (graph.shape(node.inputs[0]), graph.shape(node.output));
    let keeps = |axis: usize| from[axis] == to[axis] && (axis < 2 || resize.scale[axis - 2] == 1.0);
    let mut turned = *resize;
    for (to_axis, &axis) in permutation.iter().enumerate() {
        match (axis, to_axis) {
            (2 | 3, 2 | 3) => {
                turned.output[axis - 2] = resize.output[to_axis - 2];
                turned.scale[axis - 2] = resize.scale[to_axis - 2];
            }
            (2 | 3, _) => {
                let Dim::Size(length) = to[to_axis] else { return None };
                (turned.output[axis - 2], turned.scale[axis - 2]) = (length, 1.0);
            }
            (_, 2 | 3) if !keeps(to_axis) => return None,
            _ => {}
        }
    }
    Some(turned)
}

/// A constant operand with the axes of the tensors before they are transposed.
fn turned_constant(tensor: &Tensor, permutation: &[usize]) -> Option<Operand> {
    let mut lengths = vec![1; permutation.len().checked_sub(tensor.shape().len())?];
    lengths.extend(tensor.shape());
    let full = Tensor::new(lengths, tensor.elements().clone())?;
    Some(Operand::Constant(interpret::fold(&Op::Transpose(inverse(permutation)), &[&full])?))
}

/// What is done to a transposed tensor is done before it is transposed. Only a transposition that puts channels before
/// rows and columns stays, and moves the other way ([`transpose_before`]).
pub(super) fn transpose_past(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let transposed = |id: ValueId| {
        let (_, node) = links.producer(graph, id)?;
        let permutation = permutation(graph, node).filter(|permutation| *permutation != CHANNELS_FIRST)?;
        Some((permutation, node.inputs[0]))
    };
    let found = first(graph, |_, node| {
        let (permutation, _) = node.inputs.iter().find_map(|&id| transposed(id))?;
        let operand = |id: ValueId| match (transposed(id), graph.constant(id)) {
            (Some((other, from)), _) if other == permutation => Some(Operand::Value(from)),
            (_, Some(tensor)) => turned_constant(tensor, &permutation),
            _ if permutation == CHANNELS_LAST && graph.shape(id).len() == 4 => Some(Operand::Turned(id)),
            _ => None,
        };
        moved(graph, node, &permutation, operand)
    });
    found.is_some_and(|(index, moved)| compute_before(graph, index, moved))
}

/// What is transposed to have its channels before rows and columns is computed from tensors that are transposed so.
pub(super) fn transpose_before(graph: &mut Graph) -> bool {
    let turned: BTreeSet<ValueId> = graph
        .nodes
        .iter()
        .filter(|node| permutation(graph, node).is_some_and(|permutation| permutation == CHANNELS_FIRST))
        .map(|node| node.inputs[0])
        .collect();
    let found = first(graph, |_, node| {
        // Integers that are moved are dequantized first, so these do not change places.
        if !turned.contains(&node.output) || matches!(node.op, Op::Dequantize { .. }) {
            return None;
        }
        let operand = |id: ValueId| match graph.constant(id) {
            Some(tensor) => turned_constant(tensor, &CHANNELS_LAST),
            None if graph.shape(id).len() == 4 => Some(Operand::Turned(id)),
            None => None,
        };
        moved(graph, node, &CHANNELS_LAST, operand).filter(|moved| moved.after == CHANNELS_LAST)
    });
    found.is_some_and(|(index, moved)| compute_before(graph, index, moved))
}

fn compute_before(graph: &mut Graph, index: usize, moved: Moved) -> bool {
    let Moved { op, operands, after } = moved;
    let name = graph.nodes[index].name.clone();
    let mut made = Vec::new();
    let mut inputs = Vec::new();
    for (place, operand) in operands.into_iter().enumerate() {
        let operand_name = format!("{name}.operand{place}");
        inputs.push(match operand {
            Operand::Value(id) => id,
            Operand::Constant(tensor) => graph.add_constant(operand_name, tensor),
            Operand::Turned(id) => {
                let op = Op::Transpose(CHANNELS_FIRST.to_vec());
                let Ok((element, shape)) = graph.infer(&op, &[id]) else { return false };
                let output = graph.add_value(&operand_name, Content::Computed { element, shape });
                made.push(Node {
                    name: operand_name,
                    op,
                    inputs: vec![id],
                    epilogue: Epilogue::default(),
                    output,
                });
                output
            }
        });
    }
    let Ok((element, shape)) = graph.infer(&op, &inputs) else { return false };
    let inner = graph.add_value(format!("{name}.transposed"), Content::Computed { element, shape });
    let output = graph.nodes[index].output;
    made.push(Node { name: name.clone(), op, inputs, epilogue: Epilogue::default(), output: inner });
    made.push(Node {
        name: format!("{name}.transpose"),
        op: Op::Transpose(after),
        inputs: vec![inner],
        epilogue: Epilogue::default(),
        output,
    });
    graph.nodes.splice(index..=index, made);
    true
}

/// A permutation of the axes that are left when some of the input's are dropped.
fn without(permutation: &[usize], dropped: &[usize]) -> Vec<usize> {
    let left: Vec<usize> = (0..permutation.len()).filter(|axis| !dropped.contains(axis)).collect();
    permutation.iter().filter_map(|axis| left.iter().position(|other| other == axis)).collect()
}

/// A tensor that is transposed, made a vector and multiplied with weights: the weights are permuted instead.
pub(super) fn transpose_into_next(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |index, node| {
        let Op::Gemm(gemm) = &node.op else { return None };
        let Weight { tensor: weight, dequantize } = weight(graph, &links, node.inputs[1])?;
        // Scales may vary along the outputs, which stay where they are.
        if dequantize.is_some_and(|(axis, scale)| {
            axis != 0 && graph.constant(scale[0]).is_none_or(|scale| scale.len() > 1)
        }) {
            return None;
        }
        let mut reader = (index, node);
        let reshape = loop {
            let (at, before) = links.producer(graph, reader.1.inputs[0])?;
            match &before.op {
                // Of single elements: their order is no matter to them.
                Op::Activation(_) | Op::Quantize { .. } | Op::Dequantize { .. }
                    if before.epilogue.is_empty()
                        && links.uses.get(&before.output) == Some(&1)
                        && (matches!(before.op, Op::Activation(_)) || graph.grid(before).is_some()) =>
                {
                    reader = (at, before);
                }
                _ => break before,
            }
        };
        let (Op::Reshape(target), true) = (&reshape.op, is_canonical(gemm)) else { return None };
        let (_, transpose) = links.producer(graph, reshape.inputs[0])?;
        let Op::Transpose(permutation) = &transpose.op else { return None };
        let shape = graph.shape(transpose.inputs[0]);
        // The batch stays where it is, and everything else is one axis.
        if permutation[0] != 0 || target.first() != shape.first() {
            return None;
        }
        let lengths = shape[1..].iter().map(|dim| match dim {
            Dim::Size(length) => Some(*length),
            Dim::Batch => None,
        });
        let lengths: Vec<usize> = lengths.collect::<Option<_>>()?;
        let (outputs, inner) = (weight.shape()[0], weight.shape()[1]);
        if lengths.iter().product::<usize>() != inner {
            return None;
        }
        // The weights as a tensor with the transposed axes, transposed back.
        let mut permuted = vec![outputs];
        permuted.extend(permutation[1..].iter().map(|&axis| lengths[axis - 1]));
        let weight = Tensor::new(permuted, weight.elements().clone())?;
        let back = interpret::fold(&Op::Transpose(inverse(permutation)), &[&weight])?;
        let weight = Tensor::new(vec![outputs, inner], back.elements().clone())?;
        let dequantize = dequantize.map(|(axis, parameters)| (axis, parameters.to_vec()));
        Some((reader.0, reshape.output, transpose.inputs[0], target.clone(), weight, dequantize))
    });
    let Some((index, (reader, old, from, target, weight, dequantize))) = found else { return false };
    let name = format!("{}.input", graph.nodes[index].name);
    let flat = graph.add_value(&name, graph.value(old).content.clone());
    let (op, epilogue) = (Op::Reshape(target), Epilogue::default());
    graph.nodes[reader].inputs[0] = flat;
    set_weight(graph, index, weight, dequantize);
    graph.nodes.insert(reader, Node { name, op, inputs: vec![from], epilogue, output: flat });
    true
}

/// A vector that layers make, made an image and transposed: the layer's outputs are permuted instead, and what is
/// between, which computes with single elements.
pub(super) fn transpose_into_previous(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |index, node| {
        let permutation = permutation(graph, node)?;
        let (at_reshape, reshape) = links.sole_producer(graph, node.inputs[0])?;
        let (Op::Reshape(_), Some(0)) = (&reshape.op, permutation.first()) else { return None };
        let (vector, image) = (graph.shape(reshape.inputs[0]), graph.shape(reshape.output));
        let (&[batch, Dim::Size(length)], Some(same)) = (&*vector, image.first()) else { return None };
        if batch != *same {
            return None;
        }
        // Which element of the vector each element of the transposed image is.
        let lengths = image[1..].iter().map(|dim| match dim {
            Dim::Size(length) => Some(*length),
            Dim::Batch => None,
        });
        let lengths: Vec<usize> = lengths.collect::<Option<_>>()?;
        let places = Tensor::new(
            [vec![1], lengths].concat(),
            Elements::I64((0..i64::try_from(length).ok()?).collect()),
        )?;
        let places = interpret::fold(&Op::Transpose(permutation), &[&places])?.integers()?;
        let places: Vec<usize> = places.into_iter().map(usize::try_from).collect::<Result<_, _>>().ok()?;
        // From the Reshape back to the layer, with all that has one parameter for each element.
        let mut value = reshape.inputs[0];
        let mut parameters = Vec::new();
        loop {
            let (at, before) = links.sole_producer(graph, value)?;
            if !before.epilogue.is_empty() {
                return None;
            }
            match &before.op {
                Op::Activation(_) => {}
                Op::Quantize { .. } | Op::Dequantize { .. } if graph.grid(before).is_some() => {}
                Op::Affine => {
                    for input in [1, 2] {
                        let tensor = graph.constant(before.inputs[input])?;
                        parameters.push((at, input, tensor.gather(vec![length], &places)?));
                    }
                }
                Op::Gemm(gemm) if is_canonical(gemm) && is_layer(graph, &links, before) => {
                    let weight = Permuted::of(graph, &links, before.inputs[1], &places)?;
                    let bias = match before.inputs.get(2) {
                        Some(&id) => Some(Permuted::of(graph, &links, id, &places)?),
                        None => None,
                    };
                    return Some((index, at_reshape, at, parameters, weight, bias));
                }
                _ => return None,
            }
            value = before.inputs[0];
        }
    });
    let Some((_, (transpose, reshape, layer, parameters, weight, bias))) = found else { return false };
    let (output, target) = (graph.nodes[transpose].output, graph.shape(graph.nodes[transpose].output));
    graph.nodes[reshape].op = Op::Reshape(target);
    graph.nodes[reshape].output = output;
    graph.nodes.remove(transpose);
    for (at, input, tensor) in parameters {
        let name = format!("{}.permuted{input}", graph.nodes[at].name);
        graph.nodes[at].inputs[input] = graph.add_constant(name, tensor);
    }
    // The last first: each may put a node before the layer.
    let mut layer = layer;
    for (input, permuted) in [(2, bias), (1, Some(weight))] {
        if let Some(permuted) = permuted {
            layer = permuted.give(graph, layer, input);
        }
    }
    true
}

/// A layer's weights or bias with their first axis, the layer's outputs, in another order.
struct Permuted {
    tensor: Tensor,
    /// The axis, scale and zero point of integers.
    dequantize: Option<(usize, Vec<Tensor>)>,
}

impl Permuted {
    fn of(graph: &Graph, links: &Links, id: ValueId, places: &[usize]) -> Option<Permuted> {
        let along_outputs = |tensor: &Tensor| {
            let inner: usize = tensor.shape().get(1..)?.iter().product();
            let places: Vec<usize> =
                places.iter().flat_map(|&place| place * inner..(place + 1) * inner).collect();
            tensor.gather(tensor.shape().to_vec(), &places)
        };
        let Weight { tensor, dequantize } = weight(graph, links, id)?;
        let dequantize = match dequantize {
            None => None,
            Some((axis, ids)) => {
                let parameter = |&id: &ValueId| match graph.constant(id)? {
                    parameter if parameter.len() == 1 || axis != 0 => Some(parameter.clone()),
                    parameter => along_outputs(parameter),
                };
                Some((axis, ids.iter().map(parameter).collect::<Option<Vec<_>>>()?))
            }
        };
        Some(Permuted { tensor: along_outputs(tensor)?, dequantize })
    }

    /// Gives it to node `index` as input `input`; returns the place that the node has then.
    fn give(self, graph: &mut Graph, index: usize, input: usize) -> usize {
        let name = format!("{}.permuted{input}", graph.nodes[index].name);
        let Some((axis, parameters)) = self.dequantize else {
            graph.nodes[index].inputs[input] = graph.add_constant(name, self.tensor);
            return index;
        };
        let shape = self.tensor.shape().iter().map(|&length| Dim::Size(length)).collect();
        let mut inputs = vec![graph.add_constant(format!("{name}.integers"), self.tensor)];
        for parameter in parameters {
            inputs.push(graph.add_constant(format!("{name}.parameter"), parameter));
        }
        let output = graph.add_value(&name, Content::Computed { element: Element::F32, shape });
        graph.nodes[index].inputs[input] = output;
        let op = Op::Dequantize { axis };
        graph.nodes.insert(index, Node { name, op, inputs, epilogue: Epilogue::default(), output });
        index + 1
    }
}

/// A product over the channels of an image whose channels are last is a convolution of single pixels.
pub(super) fn product_of_pixels(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let channels_last = Op::Transpose(vec![0, 2, 3, 1]);
        let Weight { tensor, dequantize } = weight(graph, &links, *node.inputs.get(1)?)?;
        let (_, transpose) = links.producer(graph, node.inputs[0])?;
        if node.op != Op::MatMul || transpose.op != channels_last || tensor.shape().len() != 2 {
            return None;
        }
        let turned = interpret::fold(&Op::Transpose(vec![1, 0]), &[tensor])?;
        let shape = [turned.shape(), &[1, 1]].concat();
        let dequantize = dequantize.map(|(axis, parameters)| (usize::from(axis == 0), parameters.to_vec()));
        Some((transpose.inputs[0], Tensor::new(shape, turned.elements().clone())?, dequantize))
    });
    let Some((index, (image, tensor, dequantize))) = found else { return false };
    let (Some(&Dim::Size(outputs)), Dim::Size(rows), Dim::Size(columns)) =
        (graph.shape(graph.nodes[index].output).last(), graph.shape(image)[2], graph.shape(image)[3])
    else {
        return false;
    };
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
    let shape = vec![graph.shape(image)[0], Dim::Size(outputs), Dim::Size(rows), Dim::Size(columns)];
    let name = graph.nodes[index].name.clone();
    let content = Content::Computed { element: Element::F32, shape };
    let result = graph.add_value(format!("{name}.pixels"), content);
    let mut transpose = graph.nodes[index].clone();
    graph.nodes[index].op = Op::Conv(Convolution { window, groups: 1 });
    graph.nodes[index].inputs[0] = image;
    graph.nodes[index].output = result;
    transpose.name = format!("{name}.transpose");
    transpose.op = Op::Transpose(vec![0, 2, 3, 1]);
    transpose.inputs = vec![result];
    graph.nodes.insert(index + 1, transpose);
    set_weight(graph, index, tensor, dequantize);
    true
}

/// A product of rows with constant weights is a convolution of as many pixels, and what is added to each of its
/// channels its bias: then its weights can be 16-bit floats or integers.
pub(super) fn product_of_rows(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (Op::MatMul, &[rows, weights]) = (&node.op, &*node.inputs) else { return None };
        let Weight { tensor, dequantize } = weight(graph, &links, weights)?;
        let shape = graph.shape(rows);
        let (&[batch, Dim::Size(count), Dim::Size(inner)], &[_, outputs]) = (&*shape, tensor.shape()) else {
            return None;
        };
        if graph.constant(rows).is_some() || !node.epilogue.is_empty() {
            return None;
        }
        let turned = interpret::fold(&Op::Transpose(vec![1, 0]), &[tensor])?;
        let shape = [turned.shape(), &[1, 1]].concat();
        let weights = Tensor::new(shape, turned.elements().clone())?;
        let dequantize = dequantize.map(|(axis, parameters)| (usize::from(axis == 0), parameters.to_vec()));
        let bias = bias_of(graph, node.output, outputs);
        Some((batch, [count, inner], weights, dequantize, bias))
    });
    let Some((index, (batch, [count, inner], weights, dequantize, bias))) = found else { return false };
    let (name, rows, product) =
        (graph.nodes[index].name.clone(), graph.nodes[index].inputs[0], graph.nodes[index].output);
    let outputs = weights.shape()[0];
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
    let sized = |lengths: &[usize]| -> Vec<Dim> {
        std::iter::once(batch).chain(lengths.iter().map(|&length| Dim::Size(length))).collect()
    };
    let weight = graph.add_constant(format!("{name}.weight"), weights.clone());
    let (bias, result) = match bias {
        Some((add, bias)) => (Some(bias), graph.nodes[add].output),
        None => (None, product),
    };
    let swap = || Op::Transpose(vec![0, 2, 1]);
    let steps = [
        ("columns", swap(), sized(&[inner, count])),
        ("image", Op::Reshape(sized(&[inner, 1, count])), sized(&[inner, 1, count])),
        ("", Op::Conv(Convolution { window, groups: 1 }), sized(&[outputs, 1, count])),
        ("line", Op::Reshape(sized(&[outputs, count])), sized(&[outputs, count])),
        ("rows", swap(), sized(&[count, outputs])),
    ];
    let mut value = rows;
    let mut made = Vec::new();
    let mut layer = 0;
    for (place, (part, op, shape)) in steps.into_iter().enumerate() {
        let mut inputs = vec![value];
        if matches!(op, Op::Conv(_)) {
            inputs.push(weight);
            inputs.extend(bias);
            layer = index + place;
        }
        let name = if part.is_empty() { name.clone() } else { format!("{name}.{part}") };
        let content = Content::Computed { element: Element::F32, shape };
        value = if part == "rows" { result } else { graph.add_value(format!("{name}.result"), content) };
        made.push(Node { name, op, inputs, epilogue: Epilogue::default(), output: value });
    }
    if result != product {
        graph.nodes.retain(|node| node.output != result);
    }
    graph.nodes.splice(index..=index, made);
    set_weight(graph, layer, weights, dequantize);
    true
}

/// The node that adds a constant vector of `outputs` numbers to a value that nothing else reads, and the vector.
fn bias_of(graph: &Graph, value: ValueId, outputs: usize) -> Option<(usize, ValueId)> {
    if graph.uses().get(&value) != Some(&1) {
        return None;
    }
    graph.nodes.iter().enumerate().find_map(|(index, node)| {
        let (Op::Binary(crate::graph::Binary::Add), &[a, b]) = (&node.op, &*node.inputs) else { return None };
        let other = if a == value { b } else { a };
        let fits = node.inputs.contains(&value)
            && node.epilogue.is_empty()
            && graph
                .constant(other)
                .is_some_and(|tensor| tensor.shape() == [outputs] && tensor.floats().is_some());
        fits.then_some((index, other))
    })
}
