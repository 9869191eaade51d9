//! Transposed convolutions as convolutions.
//!
//! With a stride of s, output u of the whole result (before pads are cut off) is sum over j of x\[m - j\] w\[s j + r\],
//! where u = s m + r. So each of the s remainders r is a convolution of its own with ceil(kernel / s) taps. One Conv
//! computes those of rows and columns as s^2 times the channels, DepthToSpace interleaves them, and Slice cuts off the
//! pads. The sums are the same, with zeros for taps beyond the kernel. What is then done to single elements is done
//! before they are moved: so all of it lies between layers. ONNX Runtime has integer kernels for Conv, but not for
//! ConvTranspose.

use super::canonical::{first, floats};
use super::{Links, constant, is_float_layer};
use crate::graph::{
    Affine, Content, Convolution, DepthOrder, DepthToSpace, Dim, Element, Epilogue, Graph, Node, Op, Slice,
    TransposedConvolution, ValueId, Window,
};

/// Rewrites every ConvTranspose with constant weights, the same stride of at least 2 along rows and columns, and neither
/// groups nor gaps in its window. Returns how many there were.
pub fn depth_to_space(graph: &mut Graph) -> usize {
    let mut count = 0;
    while rewrite_one(graph) {
        count += 1;
    }
    graph.remove_unread();
    count
}

/// How one axis is computed.
struct Axis {
    /// Taps of each remainder's convolution.
    taps: usize,
    /// Its padding before and after.
    pads: [usize; 2],
    /// Its outputs.
    length: usize,
    /// The part of the interleaved result that is kept.
    kept: [usize; 2],
}

fn axis(conv: &TransposedConvolution, axis: usize, input: usize, output: usize) -> Option<Axis> {
    let (stride, pad) = (conv.window.stride[axis], conv.window.pads[axis]);
    let taps = conv.window.kernel[axis].div_ceil(stride);
    // The first and last m that are needed; m reaches over inputs m - taps + 1 to m.
    let (low, high) = (pad / stride, (pad + output).checked_sub(1)? / stride);
    let pads = [(taps - 1).checked_sub(low)?, (high + 1).checked_sub(input)?];
    let start = pad - low * stride;
    Some(Axis { taps, pads, length: high + 1 - low, kept: [start, start + output] })
}

fn rewrite_one(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::ConvTranspose(conv) = &node.op else { return None };
        let window = &conv.window;
        let [stride, same] = window.stride;
        let fits = stride == same && stride > 1 && window.dilation == [1, 1] && conv.groups == 1;
        if !fits || !is_float_layer(graph, &links, node) || node.epilogue.residual.is_some() {
            return None;
        }
        let size = |id: ValueId, axis: usize| match graph.shape(id)[axis] {
            Dim::Size(length) => Some(length),
            Dim::Batch => None,
        };
        let (input, output) = (node.inputs[0], node.output);
        let rows = axis(conv, 0, size(input, 2)?, size(output, 2)?)?;
        let columns = axis(conv, 1, size(input, 3)?, size(output, 3)?)?;
        Some((*conv, [rows, columns]))
    });
    let Some((index, (conv, axes))) = found else { return false };
    rewrite(graph, index, &conv, axes);
    true
}

/// The places of the nodes after node `index`, one after the other, that compute with single elements and channels.
fn elementwise_after(graph: &Graph, index: usize) -> Vec<usize> {
    let links = Links::of(graph);
    let mut after = Vec::new();
    let mut output = graph.nodes[index].output;
    let is_elementwise = |node: &Node| match &node.op {
        Op::Activation(_) => node.epilogue.residual.is_none(),
        Op::Affine => {
            let constants = node.inputs[1..].iter().all(|&id| floats(graph, id).is_some());
            constants && node.epilogue.residual.is_none()
        }
        _ => false,
    };
    while links.uses.get(&output) == Some(&1) {
        let reader = graph.nodes.iter().position(|node| node.inputs.first() == Some(&output));
        let Some(reader) = reader.filter(|&reader| is_elementwise(&graph.nodes[reader])) else { break };
        after.push(reader);
        output = graph.nodes[reader].output;
    }
    after
}

fn rewrite(graph: &mut Graph, index: usize, conv: &TransposedConvolution, axes: [Axis; 2]) {
    let node = graph.nodes[index].clone();
    let block = conv.window.stride[0];
    let repeat = |values: &[f32]| values.repeat(block * block);
    let values = |id: ValueId| floats(graph, id).map(<[f32]>::to_vec).unwrap_or_default();
    let weight_shape =
        graph.constant(node.inputs[1]).map(|weight| weight.shape().to_vec()).unwrap_or_default();
    let [inputs, outputs] = [weight_shape[0], weight_shape[1]];
    let (weights, bias) = (values(node.inputs[1]), node.inputs.get(2).map(|&bias| repeat(&values(bias))));

    // From (in, out, kernel rows, kernel columns) to (remainder, out, in, taps, taps), the taps in reverse order.
    let [rows, columns] = conv.window.kernel;
    let taps = axes.each_ref().map(|axis| axis.taps);
    let mut phases = vec![0.0; block * block * outputs * inputs * taps[0] * taps[1]];
    for (at, &weight) in weights.iter().enumerate() {
        let (input, output) = (at / (columns * rows * outputs), at / (columns * rows) % outputs);
        let place = [at / columns % rows, at % columns];
        let remainder = place[0] % block * block + place[1] % block;
        let tap = [0, 1].map(|axis| taps[axis] - 1 - place[axis] / block);
        let to = (remainder * outputs + output) * inputs + input;
        phases[(to * taps[0] + tap[0]) * taps[1] + tap[1]] = weight;
    }
    let depth = block * block * outputs;
    let weight = constant(graph, index, "phases", vec![depth, inputs, taps[0], taps[1]], phases);
    let mut conv_inputs = vec![node.inputs[0], weight];
    conv_inputs.extend(bias.map(|bias| constant(graph, index, "phase_bias", vec![depth], bias)));

    let window = Window {
        kernel: taps,
        stride: [1, 1],
        dilation: [1, 1],
        pads: [axes[0].pads[0], axes[1].pads[0], axes[0].pads[1], axes[1].pads[1]],
    };
    let batch = graph.shape(node.output)[0];
    let image = |channels: usize, lengths: [usize; 2]| Content::Computed {
        element: Element::F32,
        shape: vec![batch, Dim::Size(channels), Dim::Size(lengths[0]), Dim::Size(lengths[1])],
    };
    let lengths = axes.each_ref().map(|axis| axis.length);
    let small = graph.add_value(format!("{}.phases", node.name), image(depth, lengths));
    // An epilogue for each of the channels that a channel becomes.
    let repeated = |epilogue: &Epilogue| {
        let affine = epilogue.affine.as_ref();
        let affine =
            affine.map(|Affine { scale, shift }| Affine { scale: repeat(scale), shift: repeat(shift) });
        Epilogue { affine, ..epilogue.clone() }
    };
    let mut made = vec![Node {
        name: node.name.clone(),
        op: Op::Conv(Convolution { window, groups: 1 }),
        inputs: conv_inputs,
        epilogue: repeated(&node.epilogue),
        output: small,
    }];
    let after = elementwise_after(graph, index);
    let (mut small, mut result) = (small, node.output);
    for &at in &after {
        let mut node = graph.nodes[at].clone();
        result = node.output;
        node.inputs[0] = small;
        for (input, part) in [(1, "phase_scale"), (2, "phase_shift")] {
            if let Some(id) = node.inputs.get_mut(input) {
                let values = floats(graph, *id).map(repeat).unwrap_or_default();
                *id = constant(graph, at, part, vec![values.len()], values);
            }
        }
        small = graph.add_value(format!("{}.phases", node.name), image(depth, lengths));
        made.push(Node { epilogue: repeated(&node.epilogue), output: small, ..node });
    }
    let large = lengths.map(|length| length * block);
    let slices: Vec<Slice> = axes
        .iter()
        .enumerate()
        .map(|(axis, Axis { kept: [start, end], .. })| Slice::new(axis + 2, *start, *end))
        .filter(|slice| (slice.start, slice.end) != (0, large[slice.axis - 2]))
        .collect();
    let spread = match slices.is_empty() {
        true => result,
        false => graph.add_value(format!("{}.spread", node.name), image(outputs, large)),
    };
    let plain = |part: &str, op, input, output| Node {
        name: format!("{}_{part}", node.name),
        op,
        inputs: vec![input],
        epilogue: Epilogue::default(),
        output,
    };
    let depth = DepthToSpace { block, order: DepthOrder::BlockFirst };
    made.push(plain("spread", Op::DepthToSpace(depth), small, spread));
    if !slices.is_empty() {
        made.push(plain("crop", Op::Slice(slices), spread, result));
    }
    // They all come after the convolution.
    for at in after.into_iter().rev() {
        graph.nodes.remove(at);
    }
    graph.nodes.splice(index..=index, made);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::interpret::{self, Array};
    use crate::graph::{Activation, Elements, Output, Tensor};
    use latent_runtime::rng::Rng;

    fn random(rng: &mut Rng, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor::new(shape.to_vec(), Elements::F32((0..count).map(|_| rng.uniform(-1.0, 1.0)).collect()))
            .unwrap()
    }

    /// Kernel, stride, pads, output padding, input size; whether it is rewritten, and whether something is cut off.
    type Case = ([usize; 2], [usize; 2], [usize; 4], [usize; 2], [usize; 2], bool, bool);

    #[rustfmt::skip] // A table.
    const CASES: &[Case] = &[
        ([4, 4], [2, 2], [1, 1, 1, 1], [0, 0], [7, 7], true, true),
        ([4, 4], [2, 2], [0, 0, 0, 0], [0, 0], [3, 5], true, false),
        ([2, 2], [2, 2], [0, 0, 0, 0], [0, 0], [4, 3], true, false),
        ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1], [4, 5], true, true),
        ([5, 3], [2, 2], [2, 0, 1, 1], [0, 1], [3, 4], true, true),
        ([6, 7], [3, 3], [1, 2, 2, 3], [0, 0], [4, 2], true, true),
        ([2, 2], [3, 3], [0, 0, 0, 0], [0, 0], [3, 3], true, true),
        ([3, 3], [2, 2], [3, 0, 0, 0], [0, 0], [5, 3], true, true),
        ([1, 1], [2, 2], [0, 0, 0, 0], [0, 0], [3, 3], true, true),
        ([4, 4], [1, 1], [1, 1, 1, 1], [0, 0], [5, 5], false, false),
        ([4, 4], [2, 1], [1, 1, 1, 1], [0, 0], [5, 5], false, false),
        // More is cut off than the kernel reaches over.
        ([2, 2], [2, 2], [4, 0, 0, 0], [0, 0], [5, 5], false, false),
    ];

    #[test]
    fn the_result_is_the_same() {
        let mut rng = Rng::from_seed(5);
        for &(kernel, stride, pads, output_padding, size, rewritten, cut) in CASES {
            let mut graph = Graph::default();
            let shape = vec![Dim::Batch, Dim::Size(3), Dim::Size(size[0]), Dim::Size(size[1])];
            let x = graph.add_input("x", Element::F32, shape);
            let weight = random(&mut rng, &[3, 2, kernel[0], kernel[1]]);
            let inputs =
                vec![x, graph.add_constant("w", weight), graph.add_constant("b", random(&mut rng, &[2]))];
            let window = Window { kernel, stride, dilation: [1, 1], pads };
            let conv = TransposedConvolution { window, groups: 1, output_padding };
            let value = graph.add_node("up", Op::ConvTranspose(conv), inputs, "up").unwrap();
            graph.nodes[0].epilogue.activation = Some(Activation::LeakyRelu { slope: 0.1 });
            graph.nodes[0].epilogue.affine = Some(Affine { scale: vec![0.5, -2.0], shift: vec![1.0, 0.25] });
            let scale = graph.add_constant("scale", random(&mut rng, &[2]));
            let shift = graph.add_constant("shift", random(&mut rng, &[2]));
            let value = graph.add_node("map", Op::Affine, vec![value, scale, shift], "map").unwrap();
            let value =
                graph.add_node("tanh", Op::Activation(Activation::Tanh), vec![value], "tanh").unwrap();
            graph.outputs.push(Output { name: "y".into(), value });
            let input = Array::<f64>::from_tensor(&random(&mut rng, &[2, 3, size[0], size[1]]));
            let before = interpret::run(&graph, vec![input.clone()]).unwrap().swap_remove(0);
            let case = format!("{kernel:?} {stride:?} {pads:?} {output_padding:?} {size:?}");
            assert_eq!(depth_to_space(&mut graph), usize::from(rewritten), "{case}");
            let names: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
            let all = ["Conv", "Affine", "Tanh", "DepthToSpace", "Slice"];
            let expected = match (rewritten, cut) {
                (false, _) => &["ConvTranspose", "Affine", "Tanh"][..],
                (true, false) => &all[..4],
                (true, true) => &all[..],
            };
            assert_eq!(names, expected, "{case}");
            // In f64 only the order of the sums differs.
            let after = interpret::run(&graph, vec![input]).unwrap().swap_remove(0);
            assert_eq!(before.shape, after.shape, "{case}");
            for (a, b) in before.data.iter().zip(&after.data) {
                assert!((a - b).abs() < 1e-12, "{case}: {a} became {b}");
            }
        }
    }
}
