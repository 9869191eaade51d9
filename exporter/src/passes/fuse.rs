//! Activations, residual additions and affine maps become the epilogue of the layer before them.

use super::canonical::{first, floats};
use super::{Links, is_layer, join};
use crate::graph::{Activation, Affine, Binary, Graph, Op};

/// A sum of a layer's result and another value of its shape. The layer moves to where the sum was, so that the other
/// value is there.
pub(super) fn residual(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (Op::Binary(Binary::Add), &[a, b], true) = (&node.op, &*node.inputs, node.epilogue.is_empty())
        else {
            return None;
        };
        let candidates = [(a, b), (b, a)].into_iter().filter_map(|(result, other)| {
            let (index, layer) = links.sole_producer(graph, result)?;
            let shape = graph.shape(node.output);
            let fits = is_layer(graph, &links, layer)
                && layer.epilogue.is_empty()
                && graph.constant(other).is_none()
                && graph.shape(result) == shape
                && graph.shape(other) == shape;
            fits.then_some((index, other))
        });
        // Of two layers the later: it has less far to move, and its result would have to be kept less long.
        candidates.max_by_key(|(index, _)| *index)
    });
    let Some((index, (layer, other))) = found else { return false };
    let output = graph.nodes[index].output;
    let mut layer_node = graph.nodes[layer].clone();
    layer_node.epilogue.residual = Some(other);
    layer_node.output = output;
    graph.nodes[index] = layer_node;
    graph.nodes.remove(layer);
    true
}

/// A function of the result of a layer, of an affine map, or of a sum, difference or product.
pub(super) fn activation(graph: &mut Graph) -> bool {
    activation_if(graph, |_| true)
}

/// The same for limits alone.
pub(super) fn limits(graph: &mut Graph) -> bool {
    activation_if(graph, |activation| matches!(activation, Activation::Relu | Activation::Clip { .. }))
}

fn activation_if(graph: &mut Graph, wanted: impl Fn(&Activation) -> bool) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (Op::Activation(activation), true) = (&node.op, node.epilogue.is_empty()) else { return None };
        if !wanted(activation) {
            return None;
        }
        let (before, producer) = links.sole_producer(graph, node.inputs[0])?;
        let takes = match &producer.op {
            Op::Affine => true,
            Op::Binary(_) => true,
            _ => is_layer(graph, &links, producer),
        };
        let free = producer.epilogue.activation.is_none() && producer.epilogue.affine.is_none();
        (takes && free).then_some((before, *activation))
    });
    let Some((index, (before, activation))) = found else { return false };
    graph.nodes[before].epilogue.activation = Some(activation);
    join(graph, before, index);
    true
}

/// An affine map after the activation of a layer or of another affine map, or after an activation alone.
pub(super) fn affine(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        if node.op != Op::Affine || !node.epilogue.is_empty() {
            return None;
        }
        let [scale, shift] = [1, 2].map(|input| floats(graph, node.inputs[input]).map(<[f32]>::to_vec));
        let affine = Affine { scale: scale?, shift: shift? };
        let (before, producer) = links.sole_producer(graph, node.inputs[0])?;
        let takes = match &producer.op {
            Op::Affine => producer.epilogue.activation.is_some(),
            Op::Activation(_) => true,
            _ => is_layer(graph, &links, producer),
        };
        (takes && producer.epilogue.affine.is_none()).then_some((before, affine))
    });
    let Some((index, (before, affine))) = found else { return false };
    graph.nodes[before].epilogue.affine = Some(affine);
    join(graph, before, index);
    true
}
