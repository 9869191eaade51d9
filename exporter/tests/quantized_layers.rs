//! Quantized graphs, packed: the operators that they become, and results against the interpreter, which rounds by the
//! definition of QuantizeLinear and DequantizeLinear.

use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::graph::{
    Activation, Binary, Convolution, Coordinates, DepthOrder, DepthToSpace, Dim, Element, Elements, Gemm,
    Graph, Interpolation, Op, Output, Pad, PadMode, Pool, PoolKind, Reduce, ReduceKind, Resize, Slice,
    Tensor, TransposedConvolution, ValueId, Window,
};
use latent_exporter::pack::{FloatPrecision, pack_graph};
use latent_exporter::passes::optimize;
use latent_exporter::plan::Plan;
use latent_runtime::AlignedBytes;
use latent_runtime::backend::Backend;
use latent_runtime::format::{Model, Precision};
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::rng::Rng;

/// The examples of each comparison.
const BATCH: usize = 3;

/// How weights are quantized.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weights {
    /// int8, one scale for each output channel.
    PerChannel,
    /// int8, one scale.
    PerTensor,
    /// uint8 around 128, one scale.
    Unsigned,
}

/// A quantized graph under construction, with random constants.
struct Net {
    graph: Graph,
    rng: Rng,
    count: usize,
    /// Whether activations are int8 and not uint8.
    signed: bool,
    weights: Weights,
    /// The scale of the input of the next layer.
    input_scale: f32,
}

const WINDOW: Window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4] };
const GEMM: Gemm = Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true };

fn conv(groups: usize) -> Op {
    Op::Conv(Convolution { window: WINDOW, groups })
}

fn transposed(kernel: usize, stride: usize, pad: usize, groups: usize) -> Op {
    let window = Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], pads: [pad; 4] };
    Op::ConvTranspose(TransposedConvolution { window, groups, output_padding: [0, 0] })
}

fn pool(kind: PoolKind) -> Op {
    let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pads: [0; 4] };
    Op::Pool(Pool { kind, window, ceil: false })
}

impl Net {
    fn new(signed: bool, weights: Weights) -> Net {
        Net { graph: Graph::default(), rng: Rng::from_seed(1), count: 0, signed, weights, input_scale: 1.0 }
    }

    /// The input, from -1 to 1, quantized.
    fn input(&mut self, shape: &[usize]) -> ValueId {
        let x = self.float_input(shape);
        self.round(x, -1.0, 1.0)
    }

    fn float_input(&mut self, shape: &[usize]) -> ValueId {
        let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length))).collect();
        self.graph.add_input("x", Element::F32, dims)
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.count += 1;
        let name = format!("n{}", self.count);
        self.graph.add_node(name.clone(), op, inputs.to_vec(), name).unwrap()
    }

    fn constant(&mut self, shape: &[usize], elements: Elements) -> ValueId {
        self.graph.add_constant("c", Tensor::new(shape.to_vec(), elements).unwrap())
    }

    /// QuantizeLinear and DequantizeLinear of values from `low` to `high`.
    fn round(&mut self, x: ValueId, low: f32, high: f32) -> ValueId {
        let scale = (high - low) / 255.0;
        self.input_scale = scale;
        let zero = (-low / scale).round();
        let scale = self.constant(&[], Elements::F32(vec![scale]));
        let (element, zero) = match self.signed {
            true => (Element::I8, Elements::I8(vec![(zero - 128.0) as i8])),
            false => (Element::U8, Elements::U8(vec![zero as u8])),
        };
        let zero = self.constant(&[], zero);
        let q = self.node(Op::Quantize { axis: 0, element }, &[x, scale, zero]);
        self.node(Op::Dequantize { axis: 0 }, &[q, scale, zero])
    }

    fn integers(&mut self, shape: &[usize], low: i32, high: i32) -> Vec<i32> {
        let count = shape.iter().product();
        (0..count).map(|_| low + self.rng.below((high - low + 1) as u32) as i32).collect()
    }

    fn floats(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.rng.uniform(low, high)).collect()
    }

    /// Quantized weights and bias with scales around `scale`; `axis` is that of the `outputs`.
    fn layer(&mut self, op: Op, x: ValueId, shape: &[usize], outputs: usize, scale: f32) -> ValueId {
        let axis = usize::from(matches!(op, Op::ConvTranspose(_)));
        let input_scale = self.input_scale;
        let values = self.integers(shape, -127, 127);
        let count = if self.weights == Weights::PerChannel { shape[axis] } else { 1 };
        let scales = self.floats(count, 0.5 * scale, scale);
        let integers = match self.weights {
            Weights::Unsigned => Elements::U8(values.iter().map(|value| (value + 128) as u8).collect()),
            _ => Elements::I8(values.iter().map(|&value| value as i8).collect()),
        };
        let mut inputs = vec![self.constant(shape, integers)];
        let lengths = if count == 1 { vec![] } else { vec![count] };
        inputs.push(self.constant(&lengths, Elements::F32(scales.clone())));
        if self.weights == Weights::Unsigned {
            inputs.push(self.constant(&[], Elements::U8(vec![128])));
        }
        let weight = self.node(Op::Dequantize { axis }, &inputs);
        let bias_scales: Vec<f32> = (0..outputs).map(|at| input_scale * scales[at % scales.len()]).collect();
        let values = self.integers(&[outputs], -3000, 3000);
        let values = self.constant(&[outputs], Elements::I32(values));
        let scales = self.constant(&[outputs], Elements::F32(bias_scales));
        let bias = self.node(Op::Dequantize { axis: 0 }, &[values, scales]);
        self.node(op, &[x, weight, bias])
    }

    fn gemm(&mut self, x: ValueId, inputs: usize, outputs: usize) -> ValueId {
        self.layer(Op::Gemm(GEMM), x, &[outputs, inputs], outputs, 0.01)
    }

    fn act(&mut self, activation: Activation, x: ValueId) -> ValueId {
        self.node(Op::Activation(activation), &[x])
    }

    fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        let dims = std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length))).collect();
        self.node(Op::Reshape(dims), &[x])
    }

    fn affine(&mut self, x: ValueId, channels: usize) -> ValueId {
        let [scale, shift] = [(0.5, 1.5), (-0.5, 0.5)].map(|(low, high)| self.floats(channels, low, high));
        let [scale, shift] = [scale, shift].map(|values| self.constant(&[channels], Elements::F32(values)));
        self.node(Op::Affine, &[x, scale, shift])
    }
}

/// What a packed model does: each operator with the type of its weights and of its result.
fn operators(packed: &[u8]) -> String {
    let bytes = AlignedBytes::copy_of(packed);
    let model = Model::from_bytes(bytes.as_slice()).unwrap();
    let element = |index: usize| model.operator(index).map(|operator| operator.output.kind);
    let plan = Plan::of(&model);
    let text = plan.operators.iter().enumerate().map(|(index, operator)| {
        let mut text = operator.kind.clone();
        if let Some(weights) = operator.weight_type {
            text = format!("{weights} {text}");
        }
        for part in &operator.fused {
            // Names of values do not matter here.
            text += if part.starts_with('+') { " + residual" } else { " " };
            text += if part.starts_with('+') { "" } else { part };
        }
        text + if element(index) == Some(latent_runtime::format::ValueType::U8) { " > u8" } else { "" }
    });
    text.collect::<Vec<_>>().join("; ")
}

/// Packs a graph, runs it, and gives what it became and the largest difference from the interpreter's result.
fn pack_and_compare(graph: &Graph, rng: &mut Rng) -> (String, f64) {
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    let packed = pack_graph(&optimized, &ModelMetadata::default(), FloatPrecision::F32).unwrap();
    let lengths = graph.shape(graph.inputs[0]).into_iter().map(|dim| match dim {
        Dim::Batch => BATCH,
        Dim::Size(length) => length,
    });
    let shape: Vec<usize> = lengths.collect();
    let input: Vec<f32> = (0..shape.iter().product()).map(|_| rng.uniform(-1.1, 1.1)).collect();
    let wide = Array { shape, data: input.iter().map(|&value| f64::from(value)).collect() };
    let expected = interpret::run(graph, vec![wide]).unwrap().swap_remove(0).data;
    let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
    assert_eq!(backend.model().precision(), Precision::Int8);
    let mut found = vec![0.0; expected.len()];
    backend.run(BATCH, &input, &mut found).unwrap();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    assert!(range > 1e-3, "the result is almost constant");
    let differences = found.iter().zip(&expected).map(|(&a, &b)| (f64::from(a) - b).abs());
    (operators(&packed), differences.fold(0.0, f64::max))
}

type Make = fn(&mut Net) -> ValueId;

/// Each with what it becomes, and the step of its result; 0 for one of floats.
#[rustfmt::skip] // A line or two for each.
const CASES: &[(&str, Make, f32, &str)] = &[
    ("gemm", |n| { let x = n.input(&[10]); let y = n.gemm(x, 10, 20); n.round(y, -4.0, 4.0) },
        8.0, "int8 fully connected > u8"),
    ("gemm, floats out", |n| { let x = n.input(&[10]); let y = n.gemm(x, 10, 20); n.act(Activation::Tanh, y) },
        0.0, "int8 fully connected tanh"),
    ("gemm, relu, affine", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 20); let y = n.act(Activation::Relu, y); let y = n.affine(y, 20);
        n.round(y, -1.0, 6.0)
    }, 7.0, "int8 fully connected relu affine > u8"),
    ("gemm, leaky relu", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 20);
        let y = n.act(Activation::LeakyRelu { slope: 0.25 }, y); n.round(y, -1.0, 4.0)
    }, 5.0, "int8 fully connected leaky relu 0.25 > u8"),
    ("gemm, clip", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 20);
        let y = n.act(Activation::Clip { low: -0.5, high: 1.5 }, y); n.round(y, -1.0, 3.0)
    }, 4.0, "int8 fully connected clip -0.5..1.5 > u8"),
    ("gemm, sigmoid", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 20); let y = n.act(Activation::Sigmoid, y); n.round(y, 0.0, 1.0)
    }, 1.0, "int8 fully connected sigmoid affine > u8"),
    ("matmul with constant sum", |n| {
        let x = n.input(&[10]);
        let y = n.gemm(x, 10, 20);
        let node = n.graph.nodes.pop().unwrap();
        // (in, out), without a bias.
        let weight = n.node(Op::Transpose(vec![1, 0]), &[node.inputs[1]]);
        let _ = y;
        let y = n.node(Op::MatMul, &[x, weight]);
        let sum = n.floats(20, -1.0, 1.0);
        let sum = n.constant(&[20], Elements::F32(sum));
        let y = n.node(Op::Binary(Binary::Add), &[y, sum]);
        n.round(y, -4.0, 4.0)
    }, 8.0, "int8 fully connected affine > u8"),
    ("convolution", |n| {
        let x = n.input(&[5, 6, 6]); let y = n.layer(conv(1), x, &[18, 5, 3, 3], 18, 0.005);
        let y = n.act(Activation::Relu, y); n.round(y, 0.0, 4.0)
    }, 4.0, "int8 convolution 3x3 p1 relu > u8"),
    ("grouped", |n| {
        let x = n.input(&[8, 5, 5]); let y = n.layer(conv(2), x, &[6, 4, 3, 3], 6, 0.005); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 convolution 3x3 p1 g2 > u8"),
    ("groups of three channels", |n| {
        let x = n.input(&[6, 5, 5]); let y = n.layer(conv(2), x, &[4, 3, 3, 3], 4, 0.005); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 convolution 3x3 p1 > u8"),
    ("depthwise", |n| {
        let x = n.input(&[6, 5, 5]); let y = n.layer(conv(6), x, &[6, 1, 3, 3], 6, 0.02);
        let y = n.act(Activation::Clip { low: 0.0, high: 6.0 }, y); n.round(y, 0.0, 6.0)
    }, 6.0, "int8 depthwise convolution 3x3 p1 clip 0..6 > u8"),
    ("transposed", |n| {
        let x = n.input(&[6, 4, 4]); let y = n.layer(transposed(4, 2, 1, 1), x, &[6, 5, 4, 4], 5, 0.01);
        let y = n.act(Activation::Relu, y); let y = n.affine(y, 5); n.round(y, -1.0, 6.0)
    }, 7.0, "int8 transposed convolution 4x4 s2 p1 relu affine > u8"),
    ("transposed to one channel", |n| {
        let x = n.input(&[6, 4, 4]); let y = n.layer(transposed(4, 2, 1, 1), x, &[6, 1, 4, 4], 1, 0.01);
        n.act(Activation::Tanh, y)
    }, 0.0, "int8 transposed convolution 4x4 s2 p1 tanh"),
    ("transposed, odd", |n| {
        let window = Window { kernel: [3, 2], stride: [3, 1], dilation: [1, 2], pads: [1, 0, 0, 1] };
        let op = Op::ConvTranspose(TransposedConvolution { window, groups: 1, output_padding: [2, 0] });
        let x = n.input(&[4, 3, 4]); let y = n.layer(op, x, &[4, 3, 3, 2], 3, 0.01); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 transposed convolution 3x3 s3,1 p1,0 > u8"),
    ("transposed in groups", |n| {
        let x = n.input(&[8, 3, 3]); let y = n.layer(transposed(3, 2, 1, 2), x, &[8, 3, 3, 3], 6, 0.01);
        n.round(y, -3.0, 3.0)
    }, 6.0, "int8 transposed convolution 3x3 s2 p1 g2 > u8"),
    ("channels become pixels, each with a scale and a bias", |n| {
        let x = n.input(&[6, 4, 4]); let y = n.layer(conv(1), x, &[20, 6, 3, 3], 20, 0.005);
        let y = n.act(Activation::Relu, y);
        let y = n.node(Op::DepthToSpace(DepthToSpace { block: 2, order: DepthOrder::BlockFirst }), &[y]);
        let y = n.affine(y, 5); n.round(y, -1.0, 4.0)
    }, 5.0, "int8 transposed convolution 6x6 s2 p2 relu affine > u8"),
    ("channels become pixels, of which a part is kept", |n| {
        let x = n.input(&[6, 4, 4]); let y = n.layer(conv(1), x, &[18, 6, 3, 3], 18, 0.005); let y = n.round(y, -3.0, 3.0);
        let y = n.node(Op::DepthToSpace(DepthToSpace { block: 3, order: DepthOrder::ChannelFirst }), &[y]);
        let cut = [(2, 1, 12), (3, 2, 9)].map(|(axis, start, end)| Slice::new(axis, start, end));
        let y = n.node(Op::Slice(cut.to_vec()), &[y]); let y = n.round(y, -3.0, 3.0);
        let y = n.layer(conv(1), y, &[5, 2, 3, 3], 5, 0.005); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 transposed convolution 9x9 s3 p4,5 > u8; int8 convolution 3x3 p1 > u8"),
    ("residual", |n| {
        let x = n.input(&[8, 5, 5]); let y = n.layer(conv(1), x, &[8, 8, 3, 3], 8, 0.005);
        let y = n.node(Op::Binary(Binary::Add), &[y, x]); let y = n.act(Activation::Relu, y); n.round(y, 0.0, 4.0)
    }, 4.0, "int8 convolution 3x3 p1 + residual relu > u8"),
    ("residual to floats", |n| {
        let x = n.input(&[8, 5, 5]); let y = n.layer(conv(1), x, &[8, 8, 3, 3], 8, 0.005);
        n.node(Op::Binary(Binary::Add), &[y, x])
    }, 0.0, "dequantize; int8 convolution 3x3 p1 + residual"),
    ("a sum whose operands are both rounded", |n| {
        let x = n.input(&[8, 5, 5]); let y = n.layer(conv(1), x, &[8, 8, 3, 3], 8, 0.005);
        let y = n.round(y, -3.0, 3.0); let y = n.node(Op::Binary(Binary::Add), &[y, x]);
        let y = n.act(Activation::Relu, y); n.round(y, 0.0, 4.0)
    }, 4.0, "int8 convolution 3x3 p1 > u8; add relu > u8"),
    ("max pool", |n| {
        let x = n.input(&[8, 6, 6]); let y = n.layer(conv(1), x, &[8, 8, 3, 3], 8, 0.005);
        let y = n.node(pool(PoolKind::Max), &[y]); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 convolution 3x3 p1 > u8; max pool 2x2 s2 > u8"),
    ("max pool, rounded on both sides", |n| {
        let x = n.input(&[8, 6, 6]); let y = n.node(pool(PoolKind::Max), &[x]); let y = n.round(y, -1.0, 1.0);
        let y = n.layer(conv(1), y, &[8, 8, 3, 3], 8, 0.005); n.round(y, -3.0, 3.0)
    }, 6.0, "max pool 2x2 s2 > u8; int8 convolution 3x3 p1 > u8"),
    ("max pool to another grid", |n| {
        let x = n.input(&[8, 6, 6]); let y = n.node(pool(PoolKind::Max), &[x]); n.round(y, -0.5, 1.5)
    }, 2.0, "max pool 2x2 s2 > u8; requantize > u8"),
    ("mean", |n| {
        let x = n.input(&[8, 6, 6]);
        let y = n.node(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false }), &[x]);
        let y = n.round(y, -0.5, 0.5); let y = n.gemm(y, 8, 5); n.round(y, -1.0, 1.0)
    }, 2.0, "average pool 6x6 s6 > u8; int8 fully connected > u8"),
    ("average pool of floats", |n| {
        let x = n.float_input(&[8, 6, 6]); let y = n.node(pool(PoolKind::Average), &[x]); n.round(y, -1.0, 1.0)
    }, 2.0, "average pool 2x2 s2; quantize > u8"),
    ("concatenation on one grid", |n| {
        let x = n.input(&[4, 4, 4]); let y = n.act(Activation::Relu, x); let y = n.round(y, -1.0, 1.0);
        let y = n.node(Op::Concat { axis: 1 }, &[x, y]); let y = n.round(y, -1.0, 1.0);
        let y = n.layer(conv(1), y, &[8, 8, 3, 3], 8, 0.005); n.round(y, -3.0, 3.0)
    }, 6.0, "elementwise relu > u8; copy > u8; copy > u8; int8 convolution 3x3 p1 > u8"),
    ("concatenation of two grids", |n| {
        let x = n.input(&[4, 4, 4]); let y = n.act(Activation::Tanh, x); let y = n.round(y, -0.5, 0.5);
        let y = n.node(Op::Concat { axis: 1 }, &[x, y]); n.round(y, -1.0, 1.0)
    }, 2.0, "elementwise tanh > u8; copy > u8; copy > u8"),
    ("reshape between vector and image", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 32); let y = n.act(Activation::Relu, y);
        let y = n.reshape(y, &[8, 2, 2]); let y = n.affine(y, 8); let y = n.round(y, -1.0, 5.0);
        let y = n.layer(transposed(2, 2, 0, 1), y, &[8, 3, 2, 2], 3, 0.01); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 fully connected relu affine > u8; int8 transposed convolution 2x2 s2 > u8"),
    ("reshape that is rounded again", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 32); let y = n.round(y, -4.0, 4.0);
        let y = n.reshape(y, &[8, 2, 2]); let y = n.round(y, -4.0, 4.0); let y = n.reshape(y, &[32]);
        let y = n.round(y, -4.0, 4.0); let y = n.gemm(y, 32, 6); n.round(y, -8.0, 8.0)
    }, 16.0, "int8 fully connected > u8; int8 fully connected > u8"),
    ("pads and nearest pixels", |n| {
        let x = n.input(&[3, 4, 4]);
        let y = n.node(Op::Pad(Pad { before: vec![0, 0, 1, 2], after: vec![0, 0, 1, 0], mode: PadMode::Reflect }), &[x]);
        let resize = Resize { output: [12, 12], scale: [2.0, 2.0], coordinates: Coordinates::Asymmetric, interpolation: Interpolation::Floor };
        let y = n.node(Op::Resize(resize), &[y]); let y = n.round(y, -1.0, 1.0);
        let y = n.layer(conv(1), y, &[5, 3, 3, 3], 5, 0.01); n.round(y, -3.0, 3.0)
    }, 6.0, "pad > u8; resize > u8; int8 convolution 3x3 p1 > u8"),
    ("zeros put around an image", |n| {
        let x = n.input(&[3, 4, 4]);
        let y = n.node(Op::Pad(Pad { before: vec![0, 0, 1, 1], after: vec![0, 0, 1, 1], mode: PadMode::Constant(0.0) }), &[x]);
        let y = n.round(y, -1.0, 1.0); let y = n.layer(conv(1), y, &[5, 3, 3, 3], 5, 0.01); n.round(y, -3.0, 3.0)
    }, 6.0, "int8 convolution 3x3 p2 > u8"),
    ("bilinear", |n| {
        let x = n.input(&[3, 4, 4]);
        let resize = Resize { output: [8, 8], scale: [2.0, 2.0], coordinates: Coordinates::HalfPixel, interpolation: Interpolation::Linear };
        let y = n.node(Op::Resize(resize), &[x]); n.round(y, -1.0, 1.0)
    }, 2.0, "resize > u8"),
    ("softmax", |n| { let x = n.input(&[9]); let y = n.node(Op::Softmax { axis: 1 }, &[x]); n.round(y, 0.0, 1.0) },
        1.0, "softmax > u8"),
    ("read as floats and as integers", |n| {
        let x = n.input(&[10]); let y = n.gemm(x, 10, 8); let z = n.act(Activation::Tanh, y);
        let y = n.round(y, -4.0, 4.0); let y = n.gemm(y, 8, 8); n.node(Op::Binary(Binary::Multiply), &[y, z])
    }, 0.0, "int8 fully connected; elementwise tanh; quantize > u8; int8 fully connected; multiply"),
    ("a product of two rounded values", |n| {
        let x = n.input(&[8, 4, 4]);
        let gate = n.node(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: true }), &[x]);
        let gate = n.act(Activation::Sigmoid, gate); let gate = n.round(gate, 0.0, 1.0);
        let y = n.node(Op::Binary(Binary::Multiply), &[x, gate]); n.round(y, -1.0, 1.0)
    }, 2.0, "average pool 4x4 s4; elementwise sigmoid > u8; multiply > u8"),
    ("integers that are moved about", |n| {
        let x = n.input(&[8, 4, 4]);
        // Between QuantizeLinear and DequantizeLinear.
        let mut dequantize = n.graph.nodes.pop().unwrap();
        let y = n.node(pool(PoolKind::Max), &[dequantize.inputs[0]]); let y = n.reshape(y, &[32]);
        dequantize.inputs[0] = y;
        let _ = x;
        let y = n.node(dequantize.op, &dequantize.inputs); let y = n.gemm(y, 32, 5); n.round(y, -8.0, 8.0)
    }, 16.0, "max pool 2x2 s2 > u8; int8 fully connected > u8"),
    ("an image transposed", |n| {
        let x = n.float_input(&[3, 4, 4]); let y = n.node(Op::Transpose(vec![0, 2, 3, 1]), &[x]);
        let y = n.round(y, -1.0, 1.0); let y = n.reshape(y, &[48]); let y = n.round(y, -1.0, 1.0);
        let y = n.gemm(y, 48, 5); n.round(y, -8.0, 8.0)
    }, 16.0, "int8 fully connected > u8"),
    ("floats times integers", |n| {
        let x = n.float_input(&[10]); let y = n.gemm(x, 10, 20); n.round(y, -4.0, 4.0)
    }, 8.0, "f32 fully connected; quantize > u8"),
];

#[test]
fn quantized_layers_become_layers_of_integers() {
    let mut failures = Vec::new();
    for (name, make, range, expected) in CASES {
        for (signed, weights) in [
            (false, Weights::PerChannel),
            (true, Weights::PerTensor),
            (true, Weights::PerChannel),
            (false, Weights::Unsigned),
        ] {
            let mut net = Net::new(signed, weights);
            let y = make(&mut net);
            net.graph.outputs.push(Output { name: "y".into(), value: y });
            let (found, difference) = pack_and_compare(&net.graph, &mut net.rng);
            let what = format!("{name} (signed {signed}, {weights:?})");
            if found != *expected {
                failures.push(format!("{what} became\n  {found}, expected\n  {expected}"));
            }
            // One step for a number that lies between two; a float has roundings of 24 bits.
            let tolerance = if *range > 0.0 { f64::from(range / 255.0) * 1.001 } else { 2e-5 };
            if difference > tolerance {
                failures.push(format!("{what} differs by {difference:e}, allowed {tolerance:e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
