//! Convolutions whose channels become rows and columns (DepthToSpace, "pixel shuffle") are transposed convolutions: the
//! way back from `depth_to_space`, which says why. The packed format has the latter only.
//!
//! What lies between the convolution, DepthToSpace and Slice is done after them, as far as it treats all elements of a
//! channel alike; then Conv and DepthToSpace become one, and Slice goes into its pads.

use super::canonical::first;
use super::{Links, Weight, is_layer, set_weight, weight};
use crate::graph::{
    Content, DepthToSpace, Dim, Graph, Interleaved, Node, Op, Slice, Tensor, TransposedConvolution, ValueId,
};

/// Of one value for each channel before DepthToSpace, one for each channel after it; `None` when those that become one
/// channel differ.
fn joined(values: &Tensor, depth: DepthToSpace) -> Option<Tensor> {
    let places = depth.block * depth.block;
    let channels = values.len() / places;
    let all = values.doubles();
    let firsts: Vec<usize> = (0..channels).map(|c| depth.source([c, channels], [0, 0])).collect();
    let alike = (0..channels).all(|c| {
        (0..places).all(|place| {
            let other = depth.source([c, channels], [place / depth.block, place % depth.block]);
            all.get(other) == all.get(firsts[c])
        })
    });
    if !alike || values.shape().len() != 1 || channels * places != values.len() {
        return None;
    }
    values.gather(vec![channels], &firsts)
}

/// Whether all that is done to a node's result is the same for all elements.
fn treats_alike(node: &Node) -> bool {
    node.epilogue.residual.is_none() && node.epilogue.affine.is_none()
}

/// What is done to each element of a channel alike, of which nobody else reads the result: its place, and, where it has
/// one for each channel, the parameters with which it is done after DepthToSpace (or Slice, when that is `None`).
fn elementwise(
    graph: &Graph,
    links: &Links,
    value: ValueId,
    depth: Option<DepthToSpace>,
) -> Option<(usize, Option<[Tensor; 2]>)> {
    let (index, node) = links.sole_producer(graph, value)?;
    if !treats_alike(node) || graph.constant(node.inputs[0]).is_some() {
        return None;
    }
    match &node.op {
        Op::Activation(_) => Some((index, None)),
        Op::Quantize { .. } | Op::Dequantize { .. } => graph.grid(node).map(|_| (index, None)),
        Op::Affine => {
            let [Some(scale), Some(shift)] = [1, 2].map(|input| graph.constant(node.inputs[input])) else {
                return None;
            };
            match depth {
                None => Some((index, None)),
                Some(depth) => Some((index, Some([joined(scale, depth)?, joined(shift, depth)?]))),
            }
        }
        _ => None,
    }
}

/// Node `late`, which only moves elements, is done before node `early`, whose result it reads.
fn exchange(graph: &mut Graph, early: usize, late: usize, parameters: Option<[Tensor; 2]>) {
    let mut mover = graph.nodes[late].clone();
    let mut computes = graph.nodes[early].clone();
    let shape = graph.shape(mover.output);
    let content = Content::Computed { element: graph.element(computes.inputs[0]), shape };
    let between = graph.add_value(format!("{}.before_{}", mover.name, computes.name), content);
    (mover.inputs[0], computes.output, mover.output) = (computes.inputs[0], mover.output, between);
    computes.inputs[0] = between;
    for (input, tensor) in parameters.into_iter().flatten().enumerate() {
        let name = format!("{}.parameter", computes.name);
        computes.inputs[input + 1] = graph.add_constant(name, tensor);
    }
    graph.nodes.splice(late..=late, [mover, computes]);
    graph.nodes.remove(early);
}

/// DepthToSpace of what was computed for single elements.
pub(super) fn depth_to_space_first(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| match &node.op {
        Op::DepthToSpace(depth) if node.epilogue.is_empty() => {
            elementwise(graph, &links, node.inputs[0], Some(*depth))
        }
        _ => None,
    });
    let Some((late, (early, parameters))) = found else { return false };
    exchange(graph, early, late, parameters);
    true
}

/// A part of the rows and columns of what was computed for single elements.
pub(super) fn slice_first(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| match &node.op {
        Op::Slice(slices) if of_images(graph, node, slices) => {
            elementwise(graph, &links, node.inputs[0], None)
        }
        _ => None,
    });
    let Some((late, (early, parameters))) = found else { return false };
    exchange(graph, early, late, parameters);
    true
}

/// Whether parts are cut out of rows and columns, and no more is done.
fn of_images(graph: &Graph, node: &Node, slices: &[Slice]) -> bool {
    node.epilogue.is_empty()
        && graph.shape(node.output).len() == 4
        && slices.iter().all(|slice| slice.axis >= 2)
}

/// DepthToSpace of a Conv: a transposed convolution, when the channels that become one have the same bias and, of
/// integers, the same scale; else an interleaved convolution, which has those of each.
pub(super) fn transposed(graph: &mut Graph) -> bool {
    struct Transposed {
        weight: Tensor,
        dequantize: Option<(usize, Vec<Tensor>)>,
        bias: Option<Tensor>,
    }
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::DepthToSpace(depth) = node.op else { return None };
        let (index, layer) = links.sole_producer(graph, node.inputs[0])?;
        let Op::Conv(conv) = &layer.op else { return None };
        let bare = node.epilogue.is_empty();
        if !is_layer(graph, &links, layer) || !treats_alike(layer) || !bare || conv.groups != 1 {
            return None;
        }
        let interleaved = Interleaved::new(conv.window, depth)?;
        let as_one = || -> Option<Transposed> {
            let Weight { tensor, dequantize } = weight(graph, &links, layer.inputs[1])?;
            let &[all, inputs, ..] = tensor.shape() else { return None };
            let (shape, places) = interleaved.transposed_weights([all, inputs]);
            let of_channels = |(axis, ids): (usize, &[ValueId])| {
                let joined = |&id: &ValueId| match graph.constant(id)? {
                    tensor if tensor.len() == 1 => Some(tensor.clone()),
                    tensor => joined(tensor, depth).filter(|_| axis == 0),
                };
                Some((1, ids.iter().map(joined).collect::<Option<Vec<_>>>()?))
            };
            let dequantize = match dequantize {
                None => None,
                Some(dequantize) => Some(of_channels(dequantize)?),
            };
            let bias = match layer.inputs.get(2) {
                None => None,
                Some(&id) => Some(joined(&super::quantize::dequantized(graph, &links, id)?, depth)?),
            };
            Some(Transposed { weight: tensor.gather(shape.to_vec(), &places)?, dequantize, bias })
        };
        Some((index, interleaved, as_one()))
    });
    let Some((late, (conv, interleaved, as_one))) = found else { return false };
    let mut node = graph.nodes[conv].clone();
    node.output = graph.nodes[late].output;
    let Some(Transposed { weight, dequantize, bias }) = as_one else {
        node.op = Op::Interleaved(interleaved);
        graph.nodes[late] = node;
        graph.nodes.remove(conv);
        return true;
    };
    let window = interleaved.transposed();
    node.op = Op::ConvTranspose(TransposedConvolution { window, groups: 1, output_padding: [0, 0] });
    if let Some(bias) = bias {
        node.inputs[2] = graph.add_constant(format!("{}.bias", node.name), bias);
    }
    let dequantize = dequantize.map(|(axis, parameters)| {
        let add = |tensor| graph.add_constant(format!("{}.parameter", node.name), tensor);
        (axis, parameters.into_iter().map(add).collect())
    });
    graph.nodes[late] = node;
    graph.nodes.remove(conv);
    set_weight(graph, late - 1, weight, dequantize);
    true
}

/// Rows and columns of a transposed convolution that are cut off are pads of it.
pub(super) fn slice_into_pads(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::Slice(slices) = &node.op else { return None };
        let (index, layer) = links.sole_producer(graph, node.inputs[0])?;
        if !of_images(graph, node, slices) || layer.epilogue.residual.is_some() {
            return None;
        }
        let mut op = layer.op.clone();
        let shape = graph.shape(layer.output);
        for &Slice { axis, start, end, step } in slices {
            let Dim::Size(length) = shape[axis] else { return None };
            if step != 1 {
                return None;
            }
            let (axis, cut) = (axis - 2, length - end);
            match &mut op {
                Op::ConvTranspose(conv) => {
                    conv.window.pads[axis] += start;
                    // Rows of nothing but bias are the first to go.
                    let rest = cut.saturating_sub(conv.output_padding[axis]);
                    conv.output_padding[axis] -= cut - rest;
                    conv.window.pads[axis + 2] += rest;
                }
                Op::Interleaved(interleaved) => {
                    interleaved.cut[axis] += start;
                    interleaved.cut[axis + 2] += cut;
                }
                _ => return None,
            }
        }
        let (_, shape) = graph.infer(&op, &layer.inputs).ok()?;
        (shape == graph.shape(node.output)).then_some((index, op))
    });
    let Some((late, (index, op))) = found else { return false };
    graph.nodes[index].op = op;
    super::join(graph, index, late);
    true
}

/// The last rows and columns of a transposed convolution's kernel, when they are zeros: they only reach over what is cut off
/// or add nothing to it.
pub(super) fn needless_taps(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::ConvTranspose(mut conv) = node.op else { return None };
        let Weight { tensor, dequantize } = weight(graph, &links, node.inputs[1])?;
        let zero_point = dequantize.and_then(|(_, ids)| graph.constant(*ids.get(1)?));
        if zero_point.is_some_and(|tensor| tensor.doubles().iter().any(|&value| value != 0.0)) {
            return None;
        }
        let [rows, columns] = conv.window.kernel;
        let values = tensor.doubles();
        let is_last = |axis: usize, at: usize| match axis {
            0 => at / columns % rows == rows - 1,
            _ => at % columns == columns - 1,
        };
        let axis = (0..2).find(|&axis| {
            let fits = conv.window.kernel[axis] > 1
                && conv.window.pads[axis + 2] > 0
                && conv.output_padding[axis] == 0
                && conv.window.dilation[axis] == 1;
            fits && values.iter().enumerate().all(|(at, &value)| value == 0.0 || !is_last(axis, at))
        })?;
        conv.window.kernel[axis] -= 1;
        conv.window.pads[axis + 2] -= 1;
        let places: Vec<usize> = (0..values.len()).filter(|&at| !is_last(axis, at)).collect();
        let mut shape = tensor.shape().to_vec();
        shape[axis + 2] -= 1;
        let parameters = dequantize.map(|(axis, ids)| (axis, ids.to_vec()));
        Some((conv, tensor.gather(shape, &places)?, parameters))
    });
    let Some((index, (conv, tensor, parameters))) = found else { return false };
    graph.nodes[index].op = Op::ConvTranspose(conv);
    set_weight(graph, index, tensor, parameters);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::interpret::Array;
    use crate::graph::{Activation, Convolution, DepthOrder, Element, Elements, Output, Window, interpret};
    use crate::passes::{depth_to_space, optimize};
    use latent_runtime::rng::Rng;

    fn random(rng: &mut Rng, shape: &[usize]) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| rng.uniform(-1.0, 1.0)).collect();
        Tensor::new(shape.to_vec(), Elements::F32(values)).unwrap()
    }

    fn image(graph: &mut Graph, channels: usize, [rows, columns]: [usize; 2]) -> ValueId {
        let shape = [Dim::Batch, Dim::Size(channels), Dim::Size(rows), Dim::Size(columns)];
        graph.add_input("x", Element::F32, shape.to_vec())
    }

    /// Optimizes the graph; its operators then, the result being what it was but for the order of sums.
    fn optimized(mut graph: Graph, value: ValueId, rng: &mut Rng, case: &str) -> (Graph, String) {
        graph.outputs.push(Output { name: "y".into(), value });
        let shape = graph.shape(graph.inputs[0]);
        let lengths: Vec<usize> =
            shape.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { 2 }).collect();
        let input = Array::<f64>::from_tensor(&random(rng, &lengths));
        let run = |graph: &Graph| interpret::run(graph, vec![input.clone()]).unwrap().swap_remove(0);
        let before = run(&graph);
        optimize(&mut graph);
        let after = run(&graph);
        assert_eq!(before.shape, after.shape, "{case}");
        for (a, b) in before.data.iter().zip(&after.data) {
            assert!((a - b).abs() < 1e-6, "{case}: {a} became {b}");
        }
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
        let names = names.join(" ");
        (graph, names)
    }

    /// Kernel, stride, pads, output padding, size.
    type Case = ([usize; 2], usize, [usize; 4], [usize; 2], [usize; 2]);

    /// There and back.
    #[test]
    fn transposed_convolutions_are_found_again() {
        #[rustfmt::skip] // A table.
        let cases: &[Case] = &[
            ([4, 4], 2, [1, 1, 1, 1], [0, 0], [7, 7]),
            ([4, 4], 2, [0, 0, 0, 0], [0, 0], [3, 5]),
            ([2, 2], 2, [0, 0, 0, 0], [0, 0], [4, 3]),
            ([3, 3], 2, [1, 1, 1, 1], [0, 0], [4, 5]),
            ([3, 3], 2, [1, 1, 1, 1], [1, 1], [4, 5]),
            ([5, 3], 2, [2, 0, 1, 1], [0, 1], [3, 4]),
            ([6, 7], 3, [1, 2, 2, 3], [0, 0], [4, 2]),
        ];
        let mut rng = Rng::from_seed(6);
        for &(kernel, stride, pads, output_padding, size) in cases {
            let case = format!("{kernel:?} {stride} {pads:?} {output_padding:?} {size:?}");
            let mut graph = Graph::default();
            let x = image(&mut graph, 3, size);
            let weight = graph.add_constant("w", random(&mut rng, &[3, 2, kernel[0], kernel[1]]));
            let bias = graph.add_constant("b", random(&mut rng, &[2]));
            let window = Window { kernel, stride: [stride; 2], dilation: [1, 1], pads };
            let op = Op::ConvTranspose(TransposedConvolution { window, groups: 1, output_padding });
            let value = graph.add_node("up", op, vec![x, weight, bias], "up").unwrap();
            let relu = Op::Activation(Activation::Relu);
            let value = graph.add_node("relu", relu, vec![value], "relu").unwrap();
            let [scale, shift] =
                ["scale", "shift"].map(|name| graph.add_constant(name, random(&mut rng, &[2])));
            let value = graph.add_node("map", Op::Affine, vec![value, scale, shift], "map").unwrap();
            graph.outputs.push(Output { name: "y".into(), value });
            assert_eq!(depth_to_space(&mut graph), 1, "{case}");
            graph.outputs.clear();
            let (graph, names) = optimized(graph, value, &mut rng, &case);
            assert_eq!(names, "ConvTranspose", "{case}");
            let Op::ConvTranspose(found) = graph.nodes[0].op else { unreachable!() };
            // Taps that nothing is cut off behind stay, though they are zeros.
            let same = [0, 1].map(|axis| found.window.kernel[axis] == kernel[axis]);
            let cut = [0, 1]
                .map(|axis| pads[axis + 2] > 0 && output_padding[axis] == 0 || kernel[axis] % stride == 0);
            assert!(same[0] >= cut[0] && same[1] >= cut[1], "{case}: {found:?}");
        }
    }

    #[test]
    fn what_others_write() {
        use DepthOrder::{BlockFirst, ChannelFirst};
        // The order, the Conv's kernel, pads and stride, whether biases differ within a channel, rows and columns that are
        // kept of the 12, and what is left.
        #[rustfmt::skip] // A table.
        let cases = [
            (BlockFirst, 3, 1, 1, false, 0..12, "ConvTranspose"),
            (ChannelFirst, 3, 1, 1, false, 0..12, "ConvTranspose"),
            (ChannelFirst, 3, 1, 1, false, 3..10, "ConvTranspose"),
            (ChannelFirst, 1, 0, 1, false, 1..12, "ConvTranspose"),
            (ChannelFirst, 5, 2, 1, false, 0..11, "ConvTranspose"),
            (BlockFirst, 3, 1, 1, true, 0..12, "Conv and DepthToSpace"),
            (ChannelFirst, 3, 1, 1, true, 1..12, "Conv and DepthToSpace"),
            (ChannelFirst, 2, 0, 1, true, 2..9, "Conv and DepthToSpace"),
            (ChannelFirst, 2, 0, 2, false, 0..12, "Conv DepthToSpace"),
            // Outputs of nothing but bias.
            (ChannelFirst, 1, 1, 1, false, 0..16, "Conv DepthToSpace"),
        ];
        let mut rng = Rng::from_seed(7);
        for (at, (order, kernel, pad, stride, differ, kept, expected)) in cases.into_iter().enumerate() {
            let mut graph = Graph::default();
            let x = image(&mut graph, 3, [6 * stride; 2]);
            let weight = graph.add_constant("w", random(&mut rng, &[8, 3, kernel, kernel]));
            let depth = DepthToSpace { block: 2, order };
            let mut bias = vec![0.0; 8];
            for (place, channel) in (0..8).map(|at| (at / 2, at % 2)) {
                let value = if differ { rng.uniform(-1.0, 1.0) } else { [0.5, -0.25][channel] };
                bias[depth.source([channel, 2], [place / 2, place % 2])] = value;
            }
            let bias = graph.add_constant("b", Tensor::vector(bias));
            let window =
                Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], pads: [pad; 4] };
            let conv = Op::Conv(Convolution { window, groups: 1 });
            let value = graph.add_node("conv", conv, vec![x, weight, bias], "conv").unwrap();
            let value = graph.add_node("shuffle", Op::DepthToSpace(depth), vec![value], "shuffle").unwrap();
            let tanh = Op::Activation(Activation::Tanh);
            let mut value = graph.add_node("tanh", tanh, vec![value], "tanh").unwrap();
            if kept.len() < 12 {
                let slices = [2, 3].map(|axis| Slice::new(axis, kept.start, kept.end));
                value = graph.add_node("cut", Op::Slice(slices.to_vec()), vec![value], "cut").unwrap();
            }
            let (_, names) = optimized(graph, value, &mut rng, &format!("case {at}"));
            let tanh =
                if expected.ends_with(" DepthToSpace") && !expected.contains("and") { " Tanh" } else { "" };
            assert_eq!(names, format!("{expected}{tanh}"), "case {at}");
        }
    }
}
