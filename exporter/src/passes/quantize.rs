//! QuantizeLinear and DequantizeLinear. A layer keeps the integers of its weights and bias, in the one form that layers
//! have; other constants become floats. What is on a grid already is not put on it again.

use super::canonical::{CANONICAL, first, is_canonical};
use super::{Links, Weight, set_weight, weight};
use crate::graph::{
    Content, Dim, Elements, Epilogue, Gemm, Graph, Grid, Node, Op, Tensor, ValueId, interpret,
};

/// Whether input `index` of a node is the weight or bias of a layer, which may be integers. A bias only beside weights
/// that are.
fn takes_integers(graph: &Graph, links: &Links, node: &Node, index: usize) -> bool {
    match (&node.op, index) {
        (Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_) | Op::MatMul, 1) => true,
        (Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_), 2) => {
            weight(graph, links, node.inputs[1]).is_some_and(|weight| weight.dequantize.is_some())
        }
        _ => false,
    }
}

/// What depends on constants alone is a constant, but for the integers of layers.
pub(super) fn constants(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let inputs = node.inputs.iter().map(|&id| graph.constant(id)).collect::<Option<Vec<_>>>()?;
        if !node.epilogue.is_empty() {
            return None;
        }
        let is_weight = matches!(node.op, Op::Dequantize { .. });
        let mut readers = Vec::new();
        for (reader, other) in graph.nodes.iter().enumerate() {
            for (index, &id) in other.inputs.iter().enumerate() {
                if id == node.output && !(is_weight && takes_integers(graph, &links, other, index)) {
                    readers.push((reader, index));
                }
            }
        }
        if readers.is_empty() {
            return None;
        }
        Some((readers, interpret::fold(&node.op, &inputs)?))
    });
    let Some((index, (readers, tensor))) = found else { return false };
    let name = graph.value(graph.nodes[index].output).name.clone();
    let constant = graph.add_constant(name, tensor);
    for (reader, input) in readers {
        graph.nodes[reader].inputs[input] = constant;
    }
    true
}

/// Weights that are transposed after they were dequantized are transposed before.
pub(super) fn transposed_weights(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::Transpose(permutation) = &node.op else { return None };
        let Weight { tensor, dequantize } = weight(graph, &links, node.inputs[0])?;
        let (axis, parameters) = dequantize?;
        let axis = permutation.iter().position(|&from| from == axis)?;
        Some((interpret::fold(&node.op, &[tensor])?, axis, parameters.to_vec()))
    });
    let Some((index, (tensor, axis, parameters))) = found else { return false };
    let name = format!("{}.integers", graph.nodes[index].name);
    let integers = graph.add_constant(name, tensor);
    graph.nodes[index].op = Op::Dequantize { axis };
    graph.nodes[index].inputs = [vec![integers], parameters].concat();
    true
}

/// Gemm with weights that are dequantized: its transposes and factors go into them and their scales.
pub(super) fn gemm(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    struct Found {
        weight: Tensor,
        /// The axis, scale and zero point of the integers; none when they have become floats.
        dequantize: Option<(usize, Vec<ValueId>)>,
        /// The factor of the weights' scales.
        alpha: f32,
        bias: Option<Vec<f32>>,
        gemm: Gemm,
    }
    let found = first(graph, |_, node| {
        let Op::Gemm(gemm) = &node.op else { return None };
        let Weight { tensor, dequantize } = weight(graph, &links, node.inputs[1])?;
        let (axis, parameters) = dequantize?;
        let &Dim::Size(outputs) = graph.shape(node.output).get(1)? else { return None };
        let bias_has_form = node.inputs.get(2).is_none_or(|&bias| graph.shape(bias) == [Dim::Size(outputs)]);
        if gemm.transpose_a || (is_canonical(gemm) && bias_has_form) {
            return None;
        }
        let bias = match node.inputs.get(2) {
            None => None,
            Some(_) if bias_has_form && gemm.beta == 1.0 => None,
            Some(&id) => {
                let values = dequantized(graph, &links, id)?;
                let values = values.floats()?;
                let spread = match (values.len(), graph.shape(id).last()) {
                    (1, _) => vec![values[0]; outputs],
                    (count, Some(&Dim::Size(last))) if count == outputs && last == outputs => values.to_vec(),
                    _ => return None,
                };
                Some(spread.into_iter().map(|value| gemm.beta * value).collect())
            }
        };
        if gemm.alpha <= 0.0 || gemm.alpha.is_nan() {
            // A scale is positive.
            let weight = dequantized(graph, &links, node.inputs[1])?;
            return Some(Found {
                weight,
                dequantize: None,
                alpha: 1.0,
                bias,
                gemm: Gemm { beta: 1.0, ..*gemm },
            });
        }
        let (weight, axis) = match gemm.transpose_b {
            true => (tensor.clone(), axis),
            false => (interpret::fold(&Op::Transpose(vec![1, 0]), &[tensor])?, usize::from(axis == 0)),
        };
        Some(Found {
            weight,
            dequantize: Some((axis, parameters.to_vec())),
            alpha: gemm.alpha,
            bias,
            gemm: CANONICAL,
        })
    });
    let Some((index, found)) = found else { return false };
    let Found { weight, mut dequantize, alpha, bias, gemm } = found;
    let name = graph.nodes[index].name.clone();
    if let Some((_, parameters)) = &mut dequantize
        && alpha != 1.0
        && let Some(scale) = graph.constant(parameters[0])
    {
        let scaled: Vec<f32> = scale.floats().unwrap_or_default().iter().map(|scale| scale * alpha).collect();
        let shape = scale.shape().to_vec();
        if let Some(scale) = Tensor::new(shape, Elements::F32(scaled)) {
            parameters[0] = graph.add_constant(format!("{name}.scale"), scale);
        }
    }
    if let Some(bias) = bias {
        graph.nodes[index].inputs[2] = graph.add_constant(format!("{name}.bias"), Tensor::vector(bias));
    }
    graph.nodes[index].op = Op::Gemm(gemm);
    set_weight(graph, index, weight, dequantize);
    true
}

/// The floats of a constant, or of one that is dequantized.
pub(super) fn dequantized(graph: &Graph, links: &Links, id: ValueId) -> Option<Tensor> {
    if let Some(tensor) = graph.constant(id) {
        return Some(tensor.clone());
    }
    let (_, node) = links.producer(graph, id)?;
    let inputs = node.inputs.iter().map(|&id| graph.constant(id)).collect::<Option<Vec<_>>>()?;
    match node.op {
        Op::Dequantize { .. } => interpret::fold(&node.op, &inputs),
        _ => None,
    }
}

/// Integers that are moved about and then dequantized are dequantized first: then all that is between computes with
/// floats.
pub(super) fn dequantize_first(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (_, before) = links.producer(graph, *node.inputs.first()?)?;
        let fits = matches!(node.op, Op::Dequantize { .. })
            && graph.grid(node).is_some()
            && matches!(before.op, Op::Reshape(_) | Op::Transpose(_) | Op::Pool(_));
        fits.then(|| before.clone())
    });
    let Some((index, mut moved)) = found else { return false };
    let dequantize = &mut graph.nodes[index];
    (moved.name, moved.output) = (format!("{}.moved", dequantize.name), dequantize.output);
    dequantize.inputs[0] = moved.inputs[0];
    // With one scale for all, the axis says nothing.
    dequantize.op = Op::Dequantize { axis: 0 };
    let name = format!("{}.first", dequantize.name);
    let shape = graph.shape(moved.inputs[0]);
    let content = Content::Computed { element: crate::graph::Element::F32, shape };
    let floats = graph.add_value(name, content);
    graph.nodes[index].output = floats;
    moved.inputs[0] = floats;
    graph.nodes.insert(index + 1, moved);
    true
}

/// Two DequantizeLinear of the same integers.
pub(super) fn dequantized_twice(graph: &mut Graph) -> bool {
    let found = first(graph, |index, node| {
        let grid = graph.grid(node).filter(|_| matches!(node.op, Op::Dequantize { .. }))?;
        let same = |other: &&Node| other.inputs[0] == node.inputs[0] && graph.grid(other) == Some(grid);
        let is_dequantize = |other: &&Node| matches!(other.op, Op::Dequantize { .. });
        graph.nodes[..index].iter().filter(is_dequantize).find(same).map(|other| other.output)
    });
    let Some((index, output)) = found else { return false };
    let node = graph.nodes.remove(index);
    graph.replace(node.output, output);
    true
}

/// QuantizeLinear and DequantizeLinear of what is on their grid already.
pub(super) fn needless(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    // What each value is known to be on.
    let mut grids: Vec<Option<Grid>> = vec![None; graph.values.len()];
    for node in graph.nodes.iter().filter(|node| node.epilogue == Epilogue::default()) {
        let same = |grids: &[Option<Grid>]| {
            let mut all = node.inputs.iter().map(|id| grids[id.0]);
            let grid = all.next()?;
            all.all(|other| other == grid).then_some(grid)?
        };
        grids[node.output.0] = match &node.op {
            Op::Dequantize { .. } => graph.grid(node),
            op if op.keeps_grids() => same(&grids),
            _ => None,
        };
    }
    let found = first(graph, |_, node| {
        let Op::Dequantize { .. } = node.op else { return None };
        let (_, quantize) = links.producer(graph, node.inputs[0])?;
        let grid = graph.grid(node)?;
        let Op::Quantize { .. } = quantize.op else { return None };
        (graph.grid(quantize) == Some(grid) && grids[quantize.inputs[0].0] == Some(grid))
            .then(|| quantize.inputs[0])
    });
    let Some((index, value)) = found else { return false };
    let node = graph.nodes.remove(index);
    graph.replace(node.output, value);
    true
}
