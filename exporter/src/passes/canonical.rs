//! One form for what can be written in several ways.

use super::{Links, constant, weight};
use crate::graph::{
    Activation, Binary, Convolution, Dim, Function, Gemm, Graph, Node, Op, PadMode, Reduce, ReduceKind,
    ValueId,
};

/// The one form of a product with weights: weights (out, in), no factors.
pub(super) const CANONICAL: Gemm = Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true };

pub(super) fn is_canonical(gemm: &Gemm) -> bool {
    *gemm == CANONICAL
}

/// The place of the first node for which `find` gives something, with that.
pub(super) fn first<T>(graph: &Graph, find: impl Fn(usize, &Node) -> Option<T>) -> Option<(usize, T)> {
    graph.nodes.iter().enumerate().find_map(|(index, node)| Some((index, find(index, node)?)))
}

/// The elements of a constant of floats.
pub(super) fn floats(graph: &Graph, id: ValueId) -> Option<&[f32]> {
    graph.constant(id)?.floats()
}

/// BatchNormalization with constant parameters: scale / sqrt(variance + epsilon) and what remains.
pub(super) fn batch_norm_to_affine(graph: &mut Graph) -> bool {
    let found = first(graph, |_, node| {
        let Op::BatchNorm { epsilon } = node.op else { return None };
        let parts = [1, 2, 3, 4].map(|input| floats(graph, node.inputs[input]));
        let [Some(scale), Some(shift), Some(mean), Some(variance)] = parts else { return None };
        let pairs =
            scale.iter().zip(shift).zip(mean).zip(variance).map(|(((&scale, &shift), &mean), &variance)| {
                let factor = f64::from(scale) / (f64::from(variance) + f64::from(epsilon)).sqrt();
                (factor as f32, (f64::from(shift) - f64::from(mean) * factor) as f32)
            });
        Some(pairs.unzip::<f32, f32, Vec<_>, Vec<_>>())
    });
    let Some((index, (scale, shift))) = found else { return false };
    to_affine(graph, index, graph.nodes[index].inputs[0], scale, shift);
    true
}

/// Makes a node an affine map of `input` per channel.
fn to_affine(graph: &mut Graph, index: usize, input: ValueId, scale: Vec<f32>, shift: Vec<f32>) {
    let scale = constant(graph, index, "scale", vec![scale.len()], scale);
    let shift = constant(graph, index, "shift", vec![shift.len()], shift);
    graph.nodes[index].op = Op::Affine;
    graph.nodes[index].inputs = vec![input, scale, shift];
}

/// Gemm with constant weights and bias: factors and transposes go into them.
pub(super) fn gemm(graph: &mut Graph) -> bool {
    let found = first(graph, |_, node| {
        let Op::Gemm(gemm) = &node.op else { return None };
        let weight = graph.constant(node.inputs[1])?;
        let values = weight.floats()?;
        let bias = node.inputs.get(2).map(|&bias| graph.constant(bias));
        let (inner, outputs) = match (weight.shape(), gemm.transpose_b) {
            (&[inner, outputs], false) | (&[outputs, inner], true) => (inner, outputs),
            _ => return None,
        };
        // A bias for each row is none for a network, whose rows are the batch.
        let bias = match bias {
            None => None,
            Some(bias) => match bias?.shape() {
                [] | [1] | [1, 1] => Some(vec![bias?.floats()?[0]; outputs]),
                &[length] | &[1, length] if length == outputs => Some(bias?.floats()?.to_vec()),
                _ => return None,
            },
        };
        let has_form = is_canonical(gemm) && node.inputs.get(2).is_none_or(|&id| graph.shape(id).len() == 1);
        if gemm.transpose_a || has_form {
            return None;
        }
        let mut rows = vec![0.0; inner * outputs];
        for output in 0..outputs {
            for input in 0..inner {
                let from = if gemm.transpose_b { output * inner + input } else { input * outputs + output };
                rows[output * inner + input] = gemm.alpha * values[from];
            }
        }
        let bias = bias.map(|bias| bias.into_iter().map(|value| gemm.beta * value).collect::<Vec<_>>());
        Some((vec![outputs, inner], rows, bias))
    });
    let Some((index, (shape, rows, bias))) = found else { return false };
    let mut inputs = vec![graph.nodes[index].inputs[0]];
    inputs.push(constant(graph, index, "weight", shape, rows));
    if let Some(bias) = bias {
        inputs.push(constant(graph, index, "bias", vec![bias.len()], bias));
    }
    graph.nodes[index].op = Op::Gemm(CANONICAL);
    graph.nodes[index].inputs = inputs;
    true
}

/// A matrix times constant weights is a Gemm.
pub(super) fn matmul(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let matrix = |id: ValueId| graph.shape(id).len() == 2;
        let constant_weight = weight(graph, &links, *node.inputs.get(1)?).is_some();
        (node.op == Op::MatMul && constant_weight && node.inputs.iter().all(|&id| matrix(id))).then_some(())
    });
    let Some((index, ())) = found else { return false };
    graph.nodes[index].op = Op::Gemm(Gemm { transpose_b: false, ..CANONICAL });
    true
}

/// x HardSigmoid(x) with its slope of 1/6, as exporters write HardSwish before opset 14.
pub(super) fn hard_swish(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (Op::Binary(Binary::Multiply), &[a, b]) = (&node.op, &*node.inputs) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
            let (_, gate) = links.producer(graph, gate)?;
            let Op::HardSigmoid { alpha, beta } = gate.op else { return None };
            let matches = gate.inputs == [x] && gate.epilogue.is_empty() && beta == 0.5;
            (matches && (alpha - 1.0 / 6.0).abs() < 1e-6).then_some(x)
        })
    });
    let Some((index, x)) = found else { return false };
    graph.nodes[index].op = Op::Activation(Activation::HardSwish);
    graph.nodes[index].inputs = vec![x];
    true
}

/// HardSigmoid alone: an affine map, then limits. Only when it gates nothing that [`hard_swish`] would take.
pub(super) fn hard_sigmoid(graph: &mut Graph) -> bool {
    let found = first(graph, |_, node| {
        let Op::HardSigmoid { alpha, beta } = node.op else { return None };
        match graph.shape(node.inputs[0]).get(1) {
            Some(Dim::Size(channels)) => Some((alpha, beta, *channels)),
            _ => None,
        }
    });
    let Some((index, (alpha, beta, channels))) = found else { return false };
    let mut clip = graph.nodes[index].clone();
    to_affine(graph, index, clip.inputs[0], vec![alpha; channels], vec![beta; channels]);
    let content = graph.value(clip.output).content.clone();
    let inner = graph.add_value(format!("{}.affine", clip.name), content);
    graph.nodes[index].output = inner;
    graph.nodes[index].name = format!("{}.affine", clip.name);
    clip.op = Op::Activation(Activation::Clip { low: 0.0, high: 1.0 });
    clip.inputs = vec![inner];
    graph.nodes.insert(index + 1, clip);
    true
}

/// What is multiplied: the operands of products of products, each read once only.
fn factors(graph: &Graph, links: &Links, value: ValueId, depth: usize, found: &mut Vec<ValueId>) {
    match links.sole_producer(graph, value) {
        Some((_, Node { op: Op::Binary(Binary::Multiply), inputs, .. })) if depth > 0 => {
            inputs.iter().for_each(|&input| factors(graph, links, input, depth - 1, found));
        }
        _ => found.push(value),
    }
}

/// Whether a constant is one number, as exactly as exporters write it.
fn is_number(graph: &Graph, id: ValueId, number: f32) -> bool {
    matches!(floats(graph, id), Some(&[value]) if (value - number).abs() < 1e-5 * number.abs())
}

/// The other operand of a sum, product or quotient (by it) with this number.
fn beside(graph: &Graph, links: &Links, id: ValueId, binary: Binary, number: f32) -> Option<ValueId> {
    let (_, node) = links.producer(graph, id)?;
    let &[a, b] = &*node.inputs else { return None };
    let bare = node.op == Op::Binary(binary) && node.epilogue.is_empty();
    match (is_number(graph, b, number), is_number(graph, a, number)) {
        (true, _) if bare => Some(a),
        (_, true) if bare && binary.commutes() => Some(b),
        _ => None,
    }
}

/// x (1 + erf(x / sqrt(2))) / 2 and its approximation by tanh, as exporters write Gelu before opset 20.
pub(super) fn gelu(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::Binary(Binary::Multiply) = node.op else { return None };
        let mut all = Vec::new();
        node.inputs.iter().for_each(|&input| factors(graph, &links, input, 2, &mut all));
        let half = all.iter().position(|&factor| is_number(graph, factor, 0.5))?;
        all.remove(half);
        let &[a, b] = &*all else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
            let inner = beside(graph, &links, gate, Binary::Add, 1.0)?;
            let (_, gate) = links.producer(graph, inner)?;
            let scaled = gate.inputs[0];
            let of = |binary, number| beside(graph, &links, scaled, binary, number);
            match gate.op {
                Op::Function(Function::Erf) => {
                    let root = std::f32::consts::SQRT_2;
                    let of = of(Binary::Divide, root).or_else(|| of(Binary::Multiply, root.recip()))?;
                    (of == x).then_some((Function::Gelu, x))
                }
                Op::Activation(Activation::Tanh) => {
                    let sum = of(Binary::Multiply, (2.0 / std::f32::consts::PI).sqrt())?;
                    let (_, sum) = links.producer(graph, sum)?;
                    let &[a, b] = &*sum.inputs else { return None };
                    let part = if a == x { b } else { a };
                    let cube = beside(graph, &links, part, Binary::Multiply, 0.044715)?;
                    let is_sum = sum.op == Op::Binary(Binary::Add) && sum.inputs.contains(&x);
                    (is_sum && is_cube(graph, &links, cube, x)).then_some((Function::GeluTanh, x))
                }
                _ => None,
            }
        })
    });
    let Some((index, (function, x))) = found else { return false };
    graph.nodes[index].op = Op::Function(function);
    graph.nodes[index].inputs = vec![x];
    true
}

fn is_cube(graph: &Graph, links: &Links, value: ValueId, x: ValueId) -> bool {
    let mut all = Vec::new();
    let power = links.producer(graph, value).is_some_and(|(_, node)| {
        node.op == Op::Function(Function::Power { exponent: 3.0 }) && node.inputs == [x]
    });
    factors(graph, links, value, 2, &mut all);
    power || all == [x; 3]
}

/// x divided by its norm, which exporters write with a least norm, and spread over x's shape first.
pub(super) fn l2_normalize(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let (Op::Binary(Binary::Divide), &[x, mut divisor]) = (&node.op, &*node.inputs) else { return None };
        let mut epsilon = 0.0;
        loop {
            let (_, step) = links.producer(graph, divisor)?;
            if !step.epilogue.is_empty() {
                return None;
            }
            match &step.op {
                Op::Expand(_) => {}
                Op::Activation(Activation::Clip { low, high }) if *high == f32::INFINITY => {
                    epsilon = low.max(0.0)
                }
                Op::Reduce(Reduce { kind: ReduceKind::Euclidean, axes, keep: true }) => {
                    return (step.inputs == [x] && axes.len() == 1).then(|| (x, axes[0], epsilon));
                }
                _ => return None,
            }
            divisor = step.inputs[0];
        }
    });
    let Some((index, (x, axis, epsilon))) = found else { return false };
    graph.nodes[index].op = Op::Normalize { axis, p: 2, epsilon };
    graph.nodes[index].inputs = vec![x];
    true
}

/// An operand that is spread over a shape which the operation would spread it over anyway.
pub(super) fn needless_expand(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        if !matches!(node.op, Op::Binary(_)) {
            return None;
        }
        (0..2).find_map(|input| {
            let (_, expand) = links.producer(graph, node.inputs[input])?;
            if !matches!(expand.op, Op::Expand(_)) {
                return None;
            }
            let mut inputs = node.inputs.clone();
            inputs[input] = expand.inputs[0];
            let (_, shape) = graph.infer(&node.op, &inputs).ok()?;
            (shape == graph.shape(node.output)).then_some(inputs)
        })
    });
    let Some((index, inputs)) = found else { return false };
    graph.nodes[index].inputs = inputs;
    true
}

/// Arithmetic with a constant that is one number, or one for each channel.
pub(super) fn constant_operand(graph: &mut Graph) -> bool {
    let found = first(graph, |_, node| {
        let Op::Binary(binary) = node.op else { return None };
        let &[a, b] = &*node.inputs else { return None };
        let shape = graph.shape(node.output);
        let &Dim::Size(channels) = shape.get(1)? else { return None };
        let (x, values, constant_first) = match (per_channel(graph, a, &shape), per_channel(graph, b, &shape))
        {
            (None, Some(values)) => (a, values, false),
            (Some(values), None) => (b, values, true),
            _ => return None,
        };
        if graph.shape(x) != shape || graph.constant(x).is_some() {
            return None;
        }
        let spread = |at: usize| values[if values.len() == 1 { 0 } else { at }];
        let pair = |at: usize| {
            let value = spread(at);
            Some(match (binary, constant_first) {
                (Binary::Add, _) => (1.0, value),
                (Binary::Subtract, false) => (1.0, -value),
                (Binary::Subtract, true) => (-1.0, value),
                (Binary::Multiply, _) => (value, 0.0),
                (Binary::Divide, false) => (1.0 / value, 0.0),
                _ => return None,
            })
        };
        let pairs: Option<Vec<(f32, f32)>> = (0..channels).map(pair).collect();
        let (scale, shift): (Vec<f32>, Vec<f32>) = pairs?.into_iter().unzip();
        scale.iter().chain(&shift).all(|value| value.is_finite()).then_some((x, scale, shift))
    });
    let Some((index, (x, scale, shift))) = found else { return false };
    to_affine(graph, index, x, scale, shift);
    true
}

/// The values of a constant that varies along axis 1 of `shape` alone, or not at all.
fn per_channel(graph: &Graph, id: ValueId, shape: &[Dim]) -> Option<Vec<f32>> {
    let tensor = graph.constant(id)?;
    let lengths = tensor.shape();
    let ahead = shape.len().checked_sub(lengths.len())?;
    let varies = |(axis, &length): (usize, &usize)| length != 1 && axis + ahead != 1;
    (!tensor.is_empty() && !lengths.iter().enumerate().any(varies))
        .then(|| tensor.floats().map(<[f32]>::to_vec))?
}

/// Zeros put around an image before a convolution are padding of the convolution.
pub(super) fn pad_into_convolution(graph: &mut Graph) -> bool {
    let links = Links::of(graph);
    let found = first(graph, |_, node| {
        let Op::Conv(conv) = &node.op else { return None };
        let (_, before) = links.producer(graph, node.inputs[0])?;
        let Op::Pad(pad) = &before.op else { return None };
        let of_image = |sides: &[usize]| sides.len() == 4 && sides[..2] == [0, 0];
        if pad.mode != PadMode::Constant(0.0) || !of_image(&pad.before) || !of_image(&pad.after) {
            return None;
        }
        let mut window = conv.window;
        for axis in 0..2 {
            window.pads[axis] += pad.before[axis + 2];
            window.pads[axis + 2] += pad.after[axis + 2];
        }
        Some((Convolution { window, groups: conv.groups }, before.inputs[0]))
    });
    let Some((index, (conv, input))) = found else { return false };
    graph.nodes[index].op = Op::Conv(conv);
    graph.nodes[index].inputs[0] = input;
    true
}
