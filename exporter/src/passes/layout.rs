//! Reshape and Transpose: composed, moved, and taken into weights.

use super::canonical::{first, is_canonical};
use super::{Links, Weight, set_weight, weight};
use crate::graph::{
    Content, Convolution, Dim, Element, Epilogue, Graph, Node, Op, Reduce, Tensor, ValueId, Window, interpret,
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

/// The permutation that undoes one.
fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

/// What is done to a transposed tensor can be done before it is transposed: to single elements, with a constant, with
/// another tensor transposed alike, or along axes.
pub(super) fn transpose_past(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let transposed = |id: ValueId| {
        let (_, node) = links.producer(graph, id)?;
        match &node.op {
            Op::Transpose(permutation) => Some((permutation.clone(), node.inputs[0])),
            _ => None,
        }
    };
    enum Operand {
        Value(ValueId),
        /// A constant, with the axes of the tensor before it was transposed.
        Constant(Tensor),
    }
    let found = first(graph, |_, node| {
        let (permutation, from) = node.inputs.iter().find_map(|&id| transposed(id))?;
        if !node.epilogue.is_empty() {
            return None;
        }
        let operand = |&id: &ValueId| match (transposed(id), graph.constant(id)) {
            (Some((other, from)), _) if other == permutation => Some(Operand::Value(from)),
            (_, Some(tensor)) => {
                let mut lengths = vec![1; permutation.len().checked_sub(tensor.shape().len())?];
                lengths.extend(tensor.shape());
                let full = Tensor::new(lengths, tensor.elements().clone())?;
                Some(Operand::Constant(interpret::fold(&Op::Transpose(inverse(&permutation)), &[&full])?))
            }
            _ => None,
        };
        let (op, operands, after) = match &node.op {
            Op::Activation(_) => (node.op.clone(), vec![Operand::Value(from)], permutation.clone()),
            Op::Binary(_) | Op::Divide => (
                node.op.clone(),
                node.inputs.iter().map(operand).collect::<Option<_>>()?,
                permutation.clone(),
            ),
            // With one scale for all, the axis says nothing.
            Op::Quantize { .. } | Op::Dequantize { .. } if graph.grid(node).is_some() => {
                let parameters = node.inputs[1..].iter().map(|&id| Operand::Value(id));
                let operands = std::iter::once(Operand::Value(from)).chain(parameters).collect();
                (node.op.clone(), operands, permutation.clone())
            }
            Op::Softmax { axis } => {
                (Op::Softmax { axis: permutation[*axis] }, vec![Operand::Value(from)], permutation.clone())
            }
            Op::Normalize { axis, p, epsilon } => (
                Op::Normalize { axis: permutation[*axis], p: *p, epsilon: *epsilon },
                vec![Operand::Value(from)],
                permutation.clone(),
            ),
            Op::Reduce(reduce) => {
                let mut axes: Vec<usize> = reduce.axes.iter().map(|&axis| permutation[axis]).collect();
                axes.sort_unstable();
                let after = if reduce.keep { permutation.clone() } else { without(&permutation, &axes) };
                (Op::Reduce(Reduce { axes, ..reduce.clone() }), vec![Operand::Value(from)], after)
            }
            _ => return None,
        };
        Some((op, operands, after))
    });
    let Some((index, (op, operands, after))) = found else { return false };
    let mut inputs = Vec::new();
    for (place, operand) in operands.into_iter().enumerate() {
        inputs.push(match operand {
            Operand::Value(id) => id,
            Operand::Constant(tensor) => {
                let name = format!("{}.operand{place}", graph.nodes[index].name);
                graph.add_constant(name, tensor)
            }
        });
    }
    let Ok((element, shape)) = graph.infer(&op, &inputs) else { return false };
    let name = graph.nodes[index].name.clone();
    let inner = graph.add_value(format!("{name}.transposed"), Content::Computed { element, shape });
    let output = graph.nodes[index].output;
    graph.nodes[index] =
        Node { name: name.clone(), op, inputs, epilogue: Epilogue::default(), output: inner };
    let transpose = Node {
        name: format!("{name}.transpose"),
        op: Op::Transpose(after),
        inputs: vec![inner],
        epilogue: Epilogue::default(),
        output,
    };
    graph.nodes.insert(index + 1, transpose);
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
    let found = first(graph, |_, node| {
        let Op::Gemm(gemm) = &node.op else { return None };
        let Weight { tensor: weight, dequantize } = weight(graph, &links, node.inputs[1])?;
        // Scales may vary along the outputs, which stay where they are.
        if dequantize.is_some_and(|(axis, scale)| {
            axis != 0 && graph.constant(scale[0]).is_none_or(|scale| scale.len() > 1)
        }) {
            return None;
        }
        let (_, reshape) = links.producer(graph, node.inputs[0])?;
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
        Some((node.inputs[0], transpose.inputs[0], target.clone(), weight, dequantize))
    });
    let Some((index, (old, from, target, weight, dequantize))) = found else { return false };
    let name = format!("{}.input", graph.nodes[index].name);
    let flat = graph.add_value(&name, graph.value(old).content.clone());
    let (op, epilogue) = (Op::Reshape(target), Epilogue::default());
    graph.nodes[index].inputs[0] = flat;
    set_weight(graph, index, weight, dequantize);
    graph.nodes.insert(index, Node { name, op, inputs: vec![from], epilogue, output: flat });
    true
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
