//! Small graphs through all rewrites: the operators that must be left, and results that must not change.

use super::*;
use crate::graph::interpret::{self, Array};
use crate::graph::*;
use latent_runtime::rng::Rng;

/// A graph under construction with random constants.
struct Net {
    graph: Graph,
    rng: Rng,
    count: usize,
}

impl Net {
    fn new() -> Net {
        Net { graph: Graph::default(), rng: Rng::from_seed(1), count: 0 }
    }

    fn input(&mut self, shape: &[usize]) -> ValueId {
        let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length))).collect();
        self.graph.add_input("x", Element::F32, dims)
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.rng.uniform(-1.0, 1.0)).collect();
        self.graph.add_constant("w", Tensor::new(shape.to_vec(), Elements::F32(values)).unwrap())
    }

    fn positive(&mut self, count: usize) -> ValueId {
        let values = (0..count).map(|_| self.rng.uniform(0.2, 2.0)).collect();
        self.graph.add_constant("v", Tensor::vector(values))
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.count += 1;
        let name = format!("n{}", self.count);
        self.graph.add_node(name.clone(), op, inputs.to_vec(), name).unwrap()
    }

    fn act(&mut self, activation: Activation, x: ValueId) -> ValueId {
        self.node(Op::Activation(activation), &[x])
    }

    fn batch_norm(&mut self, x: ValueId, channels: usize) -> ValueId {
        let [scale, shift, mean] = [0; 3].map(|_| self.weights(&[channels]));
        let variance = self.positive(channels);
        self.node(Op::BatchNorm { epsilon: 1e-5 }, &[x, scale, shift, mean, variance])
    }

    fn conv(&mut self, x: ValueId, weight: &[usize], pad: usize, groups: usize) -> ValueId {
        let kernel = [weight[2], weight[3]];
        let window = Window { kernel, stride: [1, 1], dilation: [1, 1], pads: [pad; 4] };
        let weight = self.weights(weight);
        self.node(Op::Conv(Convolution { window, groups }), &[x, weight])
    }

    fn conv_transpose(&mut self, x: ValueId, weight: &[usize], groups: usize) -> ValueId {
        let window =
            Window { kernel: [weight[2], weight[3]], stride: [2, 2], dilation: [1, 1], pads: [1; 4] };
        let [weight, bias] = [weight, &[weight[1] * groups]].map(|shape| self.weights(shape));
        let conv = TransposedConvolution { window, groups, output_padding: [0, 0] };
        self.node(Op::ConvTranspose(conv), &[x, weight, bias])
    }

    fn linear(&mut self, x: ValueId, inputs: usize, outputs: usize) -> ValueId {
        let weight = self.weights(&[inputs, outputs]);
        let product = self.node(Op::MatMul, &[x, weight]);
        let bias = self.weights(&[outputs]);
        self.node(Op::Binary(Binary::Add), &[product, bias])
    }

    fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length))).collect();
        self.node(Op::Reshape(dims), &[x])
    }

    /// Optimizes, compares results in f64 for a batch of 2, and returns the operators that are left, each with a letter
    /// for each part of its epilogue.
    fn check(mut self, outputs: &[ValueId]) -> String {
        for &value in outputs {
            self.graph.outputs.push(Output { name: format!("y{}", value.0), value });
        }
        let shape: Vec<usize> = self.graph.shape(self.graph.inputs[0])[1..]
            .iter()
            .map(|dim| if let Dim::Size(length) = dim { *length } else { 0 })
            .collect();
        let shape = [&[2], &shape[..]].concat();
        let data = (0..shape.iter().product()).map(|_| f64::from(self.rng.uniform(-2.0, 2.0))).collect();
        let x = Array { shape, data };
        let before = interpret::run(&self.graph, vec![x.clone()]).unwrap();
        optimize(&mut self.graph);
        let after = interpret::run(&self.graph, vec![x]).unwrap();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.shape, after.shape);
            let range = before.data.iter().fold(0.0f64, |range, value| range.max(value.abs()));
            for (a, b) in before.data.iter().zip(&after.data) {
                // What the rounding of folded weights to f32 leaves.
                assert!((a - b).abs() <= 1e-6 * range, "{a} became {b}");
            }
        }
        let text = |node: &Node| {
            let epilogue = &node.epilogue;
            let parts = [
                (epilogue.residual.is_some(), "+r"),
                (epilogue.activation.is_some(), "+a"),
                (epilogue.affine.is_some(), "+s"),
            ];
            let parts: String = parts.iter().filter(|(is, _)| *is).map(|(_, part)| *part).collect();
            format!("{}{parts}", node.op.name())
        };
        self.graph.nodes.iter().map(text).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn batch_norm_folds_into_the_layer_before() {
    for groups in [1, 2] {
        let mut net = Net::new();
        let x = net.input(&[4, 5, 5]);
        let y = net.conv(x, &[6, 4 / groups, 3, 3], 1, groups);
        let y = net.batch_norm(y, 6);
        let y = net.act(Activation::Relu, y);
        assert_eq!(net.check(&[y]), "Conv+a");

        let mut net = Net::new();
        let x = net.input(&[4, 5, 5]);
        let y = net.conv_transpose(x, &[4, 6 / groups, 4, 4], groups);
        let y = net.batch_norm(y, 6);
        let y = net.act(Activation::Tanh, y);
        assert_eq!(net.check(&[y]), "ConvTranspose+a");
    }
    let mut net = Net::new();
    let x = net.input(&[4]);
    let y = net.linear(x, 4, 3);
    let y = net.batch_norm(y, 3);
    assert_eq!(net.check(&[y]), "Gemm");
}

#[test]
fn batch_norm_folds_into_the_layer_after_only_where_that_is_exact() {
    for (pad, expected) in [(0, "Activation Conv"), (1, "Activation+s Conv")] {
        for groups in [1, 2] {
            let mut net = Net::new();
            let x = net.input(&[4, 5, 5]);
            let y = net.act(Activation::Relu, x);
            let y = net.batch_norm(y, 4);
            let y = net.conv(y, &[6, 4 / groups, 3, 3], pad, groups);
            assert_eq!(net.check(&[y]), expected.replace("Activation", "Relu"));
        }
    }
    // The reference's generator: the first BatchNorm into the next layer, the others into the epilogue.
    let mut net = Net::new();
    let x = net.input(&[6]);
    let mut y = net.linear(x, 6, 8);
    y = net.act(Activation::Relu, y);
    y = net.batch_norm(y, 8);
    y = net.linear(y, 8, 3 * 2 * 2);
    y = net.act(Activation::Relu, y);
    y = net.batch_norm(y, 12);
    y = net.reshape(y, &[3, 2, 2]);
    y = net.conv_transpose(y, &[3, 4, 4, 4], 1);
    y = net.act(Activation::Relu, y);
    y = net.batch_norm(y, 4);
    y = net.conv_transpose(y, &[4, 1, 4, 4], 1);
    y = net.act(Activation::Tanh, y);
    assert_eq!(net.check(&[y]), "Gemm+a Gemm+a+s Reshape ConvTranspose+a+s ConvTranspose+a");
}

#[test]
fn affine_maps_pass_reshapes() {
    let mut net = Net::new();
    let x = net.input(&[6]);
    let y = net.linear(x, 6, 12);
    let y = net.reshape(y, &[3, 2, 2]);
    let y = net.batch_norm(y, 3);
    assert_eq!(net.check(&[y]), "Gemm Reshape");

    let mut net = Net::new();
    let x = net.input(&[3, 2, 2]);
    let y = net.act(Activation::Sigmoid, x);
    let y = net.batch_norm(y, 3);
    let y = net.reshape(y, &[12]);
    let y = net.linear(y, 12, 5);
    assert_eq!(net.check(&[y]), "Sigmoid Reshape Gemm");
}

#[test]
fn residual_sums_are_fused_into_the_later_layer() {
    let mut net = Net::new();
    let x = net.input(&[4, 5, 5]);
    let main = net.conv(x, &[4, 4, 3, 3], 1, 1);
    let main = net.batch_norm(main, 4);
    let short = net.conv(x, &[4, 4, 1, 1], 0, 1);
    let short = net.batch_norm(short, 4);
    let y = net.node(Op::Binary(Binary::Add), &[main, short]);
    let y = net.act(Activation::Relu, y);
    assert_eq!(net.check(&[y]), "Conv Conv+r+a");

    // Nothing is fused with a value that is read elsewhere as well.
    let mut net = Net::new();
    let x = net.input(&[4, 5, 5]);
    let main = net.conv(x, &[4, 4, 3, 3], 1, 1);
    let y = net.node(Op::Binary(Binary::Add), &[main, x]);
    assert_eq!(net.check(&[y, main]), "Conv Add");
}

#[test]
fn arithmetic_with_constants_is_an_affine_map() {
    for (op, constant_first) in [
        (Op::Binary(Binary::Add), false),
        (Op::Binary(Binary::Subtract), false),
        (Op::Binary(Binary::Subtract), true),
        (Op::Binary(Binary::Multiply), true),
        (Op::Binary(Binary::Divide), false),
    ] {
        let mut net = Net::new();
        let x = net.input(&[4, 3, 3]);
        let y = net.act(Activation::Tanh, x);
        let c = net.positive(4);
        let c = Tensor::new(vec![4, 1, 1], net.graph.constant(c).unwrap().elements().clone()).unwrap();
        let c = net.graph.add_constant("c", c);
        let y = net.node(op.clone(), &if constant_first { [c, y] } else { [y, c] });
        assert_eq!(net.check(&[y]), "Tanh+s", "{op:?} {constant_first}");
    }
    // One value for each pixel, and a constant over a variable, stay what they are.
    let mut net = Net::new();
    let x = net.input(&[4, 3, 3]);
    let c = net.weights(&[3, 3]);
    let y = net.node(Op::Binary(Binary::Multiply), &[x, c]);
    assert_eq!(net.check(&[y]), "Mul");
}

#[test]
fn transposes_meet_their_inverse_or_go_into_weights() {
    let mut net = Net::new();
    let x = net.input(&[3, 4, 5]);
    let y = net.node(Op::Transpose(vec![0, 2, 3, 1]), &[x]);
    let y = net.linear(y, 3, 6);
    let y = net.act(Activation::HardSwish, y);
    let y = net.node(Op::Transpose(vec![0, 3, 1, 2]), &[y]);
    assert_eq!(net.check(&[y]), "Conv+a");

    let mut net = Net::new();
    let x = net.input(&[3, 4, 5]);
    let y = net.node(Op::Transpose(vec![0, 2, 3, 1]), &[x]);
    let y = net.reshape(y, &[60]);
    let y = net.linear(y, 60, 7);
    assert_eq!(net.check(&[y]), "Reshape Gemm");

    let mut net = Net::new();
    let x = net.input(&[3, 4, 5]);
    let y = net.node(Op::Transpose(vec![0, 2, 3, 1]), &[x]);
    let reduce = Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep: false };
    let y = net.node(Op::Reduce(reduce), &[y]);
    assert_eq!(net.check(&[y]), "ReduceMean");
}

#[test]
fn composite_operators_are_recognized() {
    let mut net = Net::new();
    let x = net.input(&[6]);
    let norm = net.node(Op::Reduce(Reduce { kind: ReduceKind::Euclidean, axes: vec![1], keep: true }), &[x]);
    let norm = net.act(Activation::Clip { low: 1e-12, high: f32::INFINITY }, norm);
    let norm = net.node(Op::Expand(vec![Dim::Batch, Dim::Size(6)]), &[norm]);
    let y = net.node(Op::Binary(Binary::Divide), &[x, norm]);
    assert_eq!(net.check(&[y]), "LpNormalization");

    let mut net = Net::new();
    let x = net.input(&[6]);
    let gate = net.node(Op::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }, &[x]);
    let y = net.node(Op::Binary(Binary::Multiply), &[x, gate]);
    assert_eq!(net.check(&[y]), "HardSwish");

    let mut net = Net::new();
    let x = net.input(&[2, 4, 4]);
    let pad = Pad { before: vec![0, 0, 1, 2], after: vec![0, 0, 0, 1], mode: PadMode::Constant(0.0) };
    let y = net.node(Op::Pad(pad), &[x]);
    let y = net.conv(y, &[3, 2, 3, 3], 1, 1);
    assert_eq!(net.check(&[y]), "Conv");
}
