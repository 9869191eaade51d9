//! Affine maps per channel, taken into the weights of the layer before or after.

use super::canonical::{first, floats};
use super::{Links, constant, is_float_layer, is_layer, join};
use crate::graph::{Content, Dim, Graph, Node, Op};

/// The factors and summands of an affine map with constant ones.
fn pairs(graph: &Graph, node: &Node) -> Option<(Vec<f64>, Vec<f64>)> {
    if node.op != Op::Affine || !node.epilogue.is_empty() {
        return None;
    }
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
    Some((wide(floats(graph, node.inputs[1])?), wide(floats(graph, node.inputs[2])?)))
}

fn narrow(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|value| value as f32).collect()
}

/// Two maps, one after the other.
pub(super) fn affine_twice(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (scale, shift) = pairs(graph, node)?;
        let (before, first) = links.sole_producer(graph, node.inputs[0])?;
        let (first_scale, first_shift) = pairs(graph, first)?;
        let both_scales = first_scale.iter().zip(&scale).map(|(a, b)| a * b).collect();
        let both_shifts = first_shift.iter().zip(&scale).zip(&shift).map(|((a, b), c)| a * b + c).collect();
        Some((before, narrow(both_scales), narrow(both_shifts)))
    });
    let Some((index, (before, scale, shift))) = found else { return false };
    graph.nodes[before].inputs[1] = constant(graph, before, "scale", vec![scale.len()], scale);
    graph.nodes[before].inputs[2] = constant(graph, before, "shift", vec![shift.len()], shift);
    join(graph, before, index);
    true
}

/// How many elements of a vector belong to each channel, when it is reshaped to a tensor with that many channels.
fn repeats(vector: &[Dim], tensor: &[Dim]) -> Option<usize> {
    match (vector, tensor) {
        (&[batch, Dim::Size(length)], &[same, Dim::Size(channels), ..]) if batch == same && channels > 0 => {
            (length % channels == 0).then_some(length / channels)
        }
        _ => None,
    }
}

/// A map after a vector was made an image, where the vector comes from a fully connected layer: the map goes to the
/// vector, where the layer can take it.
pub(super) fn affine_before_reshape(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        pairs(graph, node)?;
        let (before, reshape) = links.sole_producer(graph, node.inputs[0])?;
        let times = repeats(&graph.shape(reshape.inputs[0]), &graph.shape(node.output))?;
        let (_, mut layer) = links.sole_producer(graph, reshape.inputs[0])?;
        if matches!(layer.op, Op::Activation(_)) {
            (_, layer) = links.sole_producer(graph, layer.inputs[0])?;
        }
        let fits = matches!(reshape.op, Op::Reshape(_))
            && is_layer(graph, &links, layer)
            && layer.epilogue.is_empty();
        fits.then_some((before, times))
    });
    let Some((index, (before, times))) = found else { return false };
    swap_with_reshape(graph, before, index, |values| {
        values.iter().flat_map(|&value| vec![value; times]).collect()
    });
    true
}

/// A map before an image is made a vector for a fully connected layer: the map goes to the vector.
pub(super) fn affine_after_reshape(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, layer| {
        let (index, reshape) = links.sole_producer(graph, *layer.inputs.first()?)?;
        let (before, affine) = links.sole_producer(graph, *reshape.inputs.first()?)?;
        pairs(graph, affine)?;
        let times = repeats(&graph.shape(reshape.output), &graph.shape(affine.output))?;
        let fits = matches!(reshape.op, Op::Reshape(_))
            && matches!(layer.op, Op::Gemm(_))
            && is_float_layer(graph, &links, layer);
        fits.then_some((index, before, times))
    });
    let Some((_, (index, before, times))) = found else { return false };
    swap_with_reshape(graph, before, index, |values| {
        values.iter().flat_map(|&value| vec![value; times]).collect()
    });
    true
}

/// Of a Reshape and an affine map next to each other, in either order, does the other one first; `spread` gives the
/// factors and summands for the other shape.
fn swap_with_reshape(graph: &mut Graph, first: usize, second: usize, spread: impl Fn(&[f32]) -> Vec<f32>) {
    let (mut one, mut two) = (graph.nodes[first].clone(), graph.nodes[second].clone());
    let affine = if one.op == Op::Affine { &mut one } else { &mut two };
    let at = if affine.name == graph.nodes[first].name { first } else { second };
    for (input, part) in [(1, "scale"), (2, "shift")] {
        let values = floats(graph, affine.inputs[input]).map(&spread).unwrap_or_default();
        affine.inputs[input] = constant(graph, at, part, vec![values.len()], values);
    }
    // `two` now reads what `one` read; its result has the shape that it had, or that of its input.
    two.inputs[0] = one.inputs[0];
    let shape = match &two.op {
        Op::Reshape(target) => target.clone(),
        _ => graph.shape(two.inputs[0]),
    };
    let element = graph.element(two.output);
    let between = graph.add_value(format!("{}.swapped", two.name), Content::Computed { element, shape });
    one.inputs[0] = between;
    one.output = two.output;
    two.output = between;
    graph.nodes[first] = two;
    graph.nodes[second] = one;
    // A reshape that now comes last gives the shape that the map gave.
    if let Op::Reshape(_) = graph.nodes[second].op {
        graph.nodes[second].op = Op::Reshape(graph.shape(graph.nodes[second].output));
    }
}

/// A layer, then a map: weights and bias are multiplied, and the bias is shifted.
pub(super) fn into_previous(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (scale, shift) = pairs(graph, node)?;
        let (before, layer) = links.sole_producer(graph, node.inputs[0])?;
        if !is_float_layer(graph, &links, layer) || !layer.epilogue.is_empty() {
            return None;
        }
        let weight = graph.constant(layer.inputs[1])?;
        let output_of = channels(&layer.op, weight.shape(), scale.len()).0;
        let values = weight.floats()?.iter().enumerate();
        let weights = values.map(|(at, &value)| f64::from(value) * scale[output_of(at)]).collect();
        let bias = layer.inputs.get(2).and_then(|&bias| floats(graph, bias));
        let bias =
            (0..scale.len()).map(|at| bias.map_or(0.0, |bias| f64::from(bias[at])) * scale[at] + shift[at]);
        Some((before, weight.shape().to_vec(), narrow(weights), narrow(bias.collect())))
    });
    let Some((index, (before, shape, weights, bias))) = found else { return false };
    set_weights(graph, before, shape, weights, bias);
    join(graph, before, index);
    true
}

/// A map, then a layer: weights are multiplied, and what the summands come to is added to the bias. With padding that
/// is exact only without summands, since the padding is zero after the map.
pub(super) fn into_next(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, layer| {
        let (before, affine) = links.sole_producer(graph, *layer.inputs.first()?)?;
        let (scale, shift) = pairs(graph, affine)?;
        if !is_float_layer(graph, &links, layer) {
            return None;
        }
        let no_shift = shift.iter().all(|&value| value == 0.0);
        let exact = match &layer.op {
            Op::Gemm(_) => true,
            Op::Conv(conv) => no_shift || conv.window.pads == [0; 4],
            // At its borders the windows overlap less.
            _ => no_shift,
        };
        let weight = graph.constant(layer.inputs[1])?;
        let &Dim::Size(outputs) = graph.shape(layer.output).get(1)? else { return None };
        let (output_of, input_of) = channels(&layer.op, weight.shape(), outputs);
        let bias = layer.inputs.get(2).and_then(|&bias| floats(graph, bias));
        let mut bias: Vec<f64> =
            (0..outputs).map(|at| bias.map_or(0.0, |bias| f64::from(bias[at]))).collect();
        let mut weights = Vec::with_capacity(weight.len());
        for (at, &value) in weight.floats()?.iter().enumerate() {
            let (value, input) = (f64::from(value), input_of(at));
            if !no_shift {
                bias[output_of(at)] += value * shift[input];
            }
            weights.push(value * scale[input]);
        }
        exact.then(|| (before, weight.shape().to_vec(), narrow(weights), narrow(bias)))
    });
    let Some((index, (before, shape, weights, bias))) = found else { return false };
    set_weights(graph, index, shape, weights, bias);
    graph.nodes[index].inputs[0] = graph.nodes[before].inputs[0];
    graph.nodes.remove(before);
    true
}

type Place = Box<dyn Fn(usize) -> usize>;

/// To which output and to which input channel the weight at a place belongs.
fn channels(op: &Op, shape: &[usize], outputs: usize) -> (Place, Place) {
    match op {
        Op::Gemm(_) => {
            let inner = shape[1];
            (Box::new(move |at| at / inner), Box::new(move |at| at % inner))
        }
        Op::Conv(conv) => {
            let (per_group, taps) = (shape[1], shape[2] * shape[3]);
            let outputs_per_group = outputs / conv.groups;
            let output = move |at: usize| at / (per_group * taps);
            let input = move |at: usize| output(at) / outputs_per_group * per_group + at / taps % per_group;
            (Box::new(output), Box::new(input))
        }
        _ => {
            // Transposed: (in, out / groups, height, width).
            let (inputs, per_group, taps) = (shape[0], shape[1], shape[2] * shape[3]);
            let inputs_per_group = inputs / (outputs / per_group);
            let input = move |at: usize| at / (per_group * taps);
            let output = move |at: usize| input(at) / inputs_per_group * per_group + at / taps % per_group;
            (Box::new(output), Box::new(input))
        }
    }
}

fn set_weights(graph: &mut Graph, index: usize, shape: Vec<usize>, weights: Vec<f32>, bias: Vec<f32>) {
    let weight = constant(graph, index, "weight", shape, weights);
    let bias = constant(graph, index, "bias", vec![bias.len()], bias);
    graph.nodes[index].inputs.truncate(1);
    graph.nodes[index].inputs.extend([weight, bias]);
}
