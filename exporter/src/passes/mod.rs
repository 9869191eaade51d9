//! Rewrites of a graph that leave what it computes unchanged: towards fewer, larger operators, as the packed format
//! has them.
//!
//! First everything takes one form (`canonical`, `layout`, `upsample`): a product with constant weights is a Gemm with
//! weights (out, in), BatchNorm and arithmetic with constants are one multiplication and addition per channel, pixels that
//! are repeated are a Resize. Transposes move until they meet their inverse, a layer that takes them into its weights,
//! or an end of the model: those that put an image's channels first towards the input, all others towards the output.
//! Then those affine maps go into the layer before or after, wherever that is exact (`fold`). Convolutions whose channels are interleaved become one
//! layer, a transposed convolution (`shuffle`). At last activations, residual additions and
//! what is left of the affine maps become the epilogue of the layer before (`fuse`).
//!
//! A quantized model keeps its meaning to the last bit: weights that are dequantized constants count as a layer's
//! weights (`quantize`), but nothing is folded into integers, and what is rounded to a grid stays rounded to it.
//!
//! Each rewrite changes one place and says whether it did; they are repeated until none applies.

mod canonical;
mod depth_to_space;
mod fold;
mod fuse;
mod layout;
mod quantize;
mod shuffle;
mod upsample;

use std::collections::BTreeMap;

use crate::graph::{Content, Dim, Element, Epilogue, Graph, Node, Op, Tensor, ValueId};

pub use depth_to_space::depth_to_space;

/// Changes one place of the graph, and returns whether it did.
type Rewrite = fn(&mut Graph) -> bool;

const SIMPLIFY: &[Rewrite] = &[
    quantize::transposed_weights,
    quantize::constants,
    quantize::gemm,
    quantize::dequantized_twice,
    quantize::dequantize_first,
    quantize::needless,
    canonical::batch_norm_to_affine,
    canonical::gemm,
    canonical::matmul,
    canonical::gelu,
    canonical::hard_swish,
    canonical::hard_sigmoid,
    canonical::l2_normalize,
    canonical::needless_expand,
    canonical::constant_operand,
    canonical::pad_into_convolution,
    layout::needless,
    upsample::repeated,
    layout::twice,
    layout::transpose_past,
    layout::transpose_before,
    layout::transpose_into_next,
    layout::transpose_into_previous,
    layout::transposed_alike,
    upsample::twice,
    layout::product_of_pixels,
    layout::product_of_rows,
    fold::affine_twice,
    fold::affine_before_reshape,
    fold::affine_after_reshape,
    fold::into_previous,
    fold::into_next,
];

/// Of images whose channels become rows and columns.
const SHUFFLE: &[Rewrite] = &[
    shuffle::depth_to_space_first,
    shuffle::slice_first,
    shuffle::transposed,
    shuffle::slice_into_pads,
    shuffle::needless_taps,
];

const FUSE: &[Rewrite] = &[fuse::residual, fuse::activation, fuse::affine];

/// Rewrites the graph until nothing more can be simplified or fused, towards what the packed format has.
pub fn optimize(graph: &mut Graph) {
    rewrite(graph, &[SIMPLIFY, SHUFFLE, SIMPLIFY, FUSE]);
}

/// Rewrites the graph until nothing more can be simplified; nothing is fused.
pub fn simplify(graph: &mut Graph) {
    rewrite(graph, &[SIMPLIFY]);
}

/// Rewrites the graph until nothing more can be simplified, and fuses what ONNX Runtime fuses in a quantized model:
/// there a layer or a sum and its limits (Relu, Clip) are one step, while the sum, any other function and an affine
/// map are steps with 8-bit inputs of their own.
pub fn optimize_for_onnx(graph: &mut Graph) {
    rewrite(graph, &[SIMPLIFY, &[fuse::limits]]);
}

fn rewrite(graph: &mut Graph, stages: &[&[Rewrite]]) {
    graph.remove_unread();
    for rewrites in stages {
        while rewrites.iter().any(|rewrite| rewrite(graph)) {
            graph.remove_unread();
        }
    }
}

/// Who computes each value, and how often it is read.
struct Links {
    producers: BTreeMap<ValueId, usize>,
    uses: BTreeMap<ValueId, usize>,
}

impl Links {
    fn of(graph: &Graph) -> Links {
        let producers = graph.nodes.iter().enumerate().map(|(index, node)| (node.output, index)).collect();
        Links { producers, uses: graph.uses() }
    }

    /// The node that computes `value`, with its place.
    fn producer<'a>(&self, graph: &'a Graph, value: ValueId) -> Option<(usize, &'a Node)> {
        let index = *self.producers.get(&value)?;
        Some((index, graph.nodes.get(index)?))
    }

    /// The same, when `value` is read once only.
    fn sole_producer<'a>(&self, graph: &'a Graph, value: ValueId) -> Option<(usize, &'a Node)> {
        self.producer(graph, value).filter(|_| self.uses.get(&value) == Some(&1))
    }
}

/// Node `index` and the node before it become one: the first, with the second's name and result.
fn join(graph: &mut Graph, first: usize, second: usize) {
    let second = graph.nodes.remove(second);
    graph.nodes[first].output = second.output;
}

/// A layer's constant weights: floats, or integers that are dequantized.
struct Weight<'a> {
    /// The floats or integers.
    tensor: &'a Tensor,
    /// Of integers: the axis along which their scales vary; scale and, if there is one, zero point.
    dequantize: Option<(usize, &'a [ValueId])>,
}

/// The weight that a value is.
fn weight<'a>(graph: &'a Graph, links: &Links, id: ValueId) -> Option<Weight<'a>> {
    if let Some(tensor) = graph.constant(id) {
        return tensor.floats().map(|_| Weight { tensor, dequantize: None });
    }
    let (_, node) = links.producer(graph, id)?;
    let Op::Dequantize { axis } = node.op else { return None };
    let tensor = graph.constant(node.inputs[0])?;
    Some(Weight { tensor, dequantize: Some((axis, &node.inputs[1..])) })
}

/// Gives node `index` another weight; the node may move to the next place.
fn set_weight(graph: &mut Graph, index: usize, tensor: Tensor, dequantize: Option<(usize, Vec<ValueId>)>) {
    let name = format!("{}.weight", graph.nodes[index].name);
    let shape = tensor.shape().iter().map(|&length| Dim::Size(length)).collect();
    let Some((axis, parameters)) = dequantize else {
        graph.nodes[index].inputs[1] = graph.add_constant(name, tensor);
        return;
    };
    let integers = graph.add_constant(format!("{name}.integers"), tensor);
    let output = graph.add_value(&name, Content::Computed { element: Element::F32, shape });
    graph.nodes[index].inputs[1] = output;
    let inputs = [vec![integers], parameters].concat();
    let op = Op::Dequantize { axis };
    graph.nodes.insert(index, Node { name, op, inputs, epilogue: Epilogue::default(), output });
}

/// Whether a node is a layer in the form that [`canonical`] and [`quantize`] give it, with constant weights (and bias).
fn is_layer(graph: &Graph, links: &Links, node: &Node) -> bool {
    let form = match &node.op {
        Op::Gemm(gemm) => canonical::is_canonical(gemm),
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_) => true,
        _ => false,
    };
    form && node.inputs[1..].iter().all(|&id| weight(graph, links, id).is_some())
        && node.inputs.get(2).is_none_or(|&bias| graph.shape(bias).len() == 1)
}

/// Whether a node is a layer whose weights (and bias) are floats: those can be changed, unless several of its channels
/// become one.
fn is_float_layer(graph: &Graph, links: &Links, node: &Node) -> bool {
    is_layer(graph, links, node)
        && !matches!(node.op, Op::Interleaved(_))
        && node.inputs[1..].iter().all(|&id| graph.constant(id).is_some())
}

/// A constant of floats that is made by a rewrite. It is named after the node that it is for.
fn constant(graph: &mut Graph, node: usize, part: &str, shape: Vec<usize>, values: Vec<f32>) -> ValueId {
    let name = format!("{}.{part}", graph.nodes[node].name);
    // The number of values is that of the shape by construction; an empty tensor would fail in inference.
    let tensor =
        Tensor::new(shape, crate::graph::Elements::F32(values)).unwrap_or_else(|| Tensor::vector(vec![]));
    graph.add_constant(name, tensor)
}

#[cfg(test)]
mod tests;
