//! Small graphs through the quantizer: where integers begin and end, and how close the result is.

use std::collections::BTreeMap;

use super::*;
use crate::graph::interpret::{self, Array};
use crate::graph::*;
use crate::passes::optimize;
use latent_runtime::latent::Distribution;
use latent_runtime::rng::Rng;

/// A graph under construction with random constants.
struct Net {
    graph: Graph,
    rng: Rng,
}

impl Net {
    fn new(input: &[usize]) -> (Net, ValueId) {
        let mut graph = Graph::default();
        let shape = std::iter::once(Dim::Batch).chain(input.iter().map(|&length| Dim::Size(length)));
        let x = graph.add_input("x", Element::F32, shape.collect());
        (Net { graph, rng: Rng::from_seed(1) }, x)
    }

    fn constant(&mut self, shape: &[usize], low: f32, high: f32) -> ValueId {
        let values = (0..shape.iter().product()).map(|_| self.rng.uniform(low, high)).collect();
        self.graph.add_constant("c", Tensor::new(shape.to_vec(), Elements::F32(values)).unwrap())
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.add_node(name.clone(), op, inputs.to_vec(), name).unwrap()
    }

    fn relu(&mut self, x: ValueId) -> ValueId {
        self.node(Op::Activation(Activation::Relu), &[x])
    }

    fn linear(&mut self, x: ValueId, from: usize, to: usize) -> ValueId {
        let bound = 1.0 / (from as f32).sqrt();
        let (weight, bias) = (self.constant(&[to, from], -bound, bound), self.constant(&[to], -bound, bound));
        let gemm = Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true };
        self.node(Op::Gemm(gemm), &[x, weight, bias])
    }

    /// 3x3 with padding 1.
    fn conv(&mut self, x: ValueId, from: usize, to: usize) -> ValueId {
        let bound = 1.0 / (9.0 * from as f32).sqrt();
        let (weight, bias) =
            (self.constant(&[to, from, 3, 3], -bound, bound), self.constant(&[to], -bound, bound));
        let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4] };
        self.node(Op::Conv(Convolution { window, groups: 1 }), &[x, weight, bias])
    }

    /// 4x4, stride 2, padding 1.
    fn conv_transpose(&mut self, x: ValueId, from: usize, to: usize, groups: usize) -> ValueId {
        let bound = 1.0 / (4.0 * (from / groups) as f32).sqrt();
        let weight = self.constant(&[from, to / groups, 4, 4], -bound, bound);
        let bias = self.constant(&[to], -bound, bound);
        let window = Window { kernel: [4, 4], stride: [2, 2], dilation: [1, 1], pads: [1; 4] };
        let op = Op::ConvTranspose(TransposedConvolution { window, groups, output_padding: [0, 0] });
        self.node(op, &[x, weight, bias])
    }

    fn batch_norm(&mut self, x: ValueId, channels: usize) -> ValueId {
        let (scale, shift) = (self.constant(&[channels], 0.5, 1.5), self.constant(&[channels], -0.5, 0.5));
        let (mean, variance) = (self.constant(&[channels], 0.0, 1.0), self.constant(&[channels], 0.5, 2.0));
        self.node(Op::BatchNorm { epsilon: 1e-5 }, &[x, scale, shift, mean, variance])
    }

    fn pool(&mut self, kind: PoolKind, x: ValueId) -> ValueId {
        let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pads: [0; 4] };
        self.node(Op::Pool(Pool { kind, window, ceil: false }), &[x])
    }

    fn mean(&mut self, x: ValueId) -> ValueId {
        self.node(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false }), &[x])
    }

    fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        let shape =
            std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length))).collect();
        self.node(Op::Reshape(shape), &[x])
    }

    fn finish(mut self, outputs: &[ValueId]) -> Graph {
        for &value in outputs {
            self.graph.outputs.push(Output { name: format!("y{}", value.0), value });
        }
        self.graph
    }
}

/// Values from U(-1, 1).
fn inputs(graph: &Graph) -> Inputs {
    Inputs::drawn(&graph.shape(graph.inputs[0]), Distribution::REFERENCE, 32, 5, Source::Random)
}

fn quantized(graph: &Graph, options: &Options) -> (Graph, Report) {
    let (quantized, report) = quantize(graph, &inputs(graph), options).unwrap();
    check(&quantized);
    (quantized, report)
}

/// What is promised of every quantized graph.
fn check(graph: &Graph) {
    let producers: BTreeMap<ValueId, &Node> = graph.nodes.iter().map(|node| (node.output, node)).collect();
    let mut known: Vec<ValueId> = graph.inputs.clone();
    for node in &graph.nodes {
        for input in node.inputs.iter().chain(&node.epilogue.residual) {
            assert!(
                known.contains(input) || graph.constant(*input).is_some(),
                "{} reads what is not there",
                node.name
            );
        }
        known.push(node.output);
        assert_eq!(
            graph.infer(&node.op, &node.inputs).unwrap(),
            (graph.element(node.output), graph.shape(node.output)),
            "{}",
            node.name
        );
        if let Op::Quantize { element, .. } = node.op {
            assert_eq!(element, Element::U8);
            assert_eq!(graph.constant(node.inputs[1]).unwrap().shape(), [0usize; 0]);
            assert_eq!(graph.element(node.inputs[2]), Element::U8);
        }
        let integer_weights = node.inputs.get(1).and_then(|input| producers.get(input));
        if !matches!(node.op, Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_)) || integer_weights.is_none() {
            continue;
        }
        // Input and residual come from 8 bits; weights and bias fit together.
        for input in node.inputs[..1].iter().chain(&node.epilogue.residual) {
            assert!(matches!(producers[input].op, Op::Dequantize { .. }), "{}", node.name);
            assert_eq!(graph.element(producers[input].inputs[0]), Element::U8);
        }
        let weight = integer_weights.unwrap();
        assert_eq!(graph.element(weight.inputs[0]), Element::I8);
        let input_scale = graph.constant(producers[&node.inputs[0]].inputs[1]).unwrap().floats().unwrap()[0];
        let weight_scales = graph.constant(weight.inputs[1]).unwrap();
        let bias = producers[&node.inputs[2]];
        assert_eq!(graph.element(bias.inputs[0]), Element::I32);
        let bias_scales = graph.constant(bias.inputs[1]).unwrap();
        assert_eq!(bias_scales.shape(), weight_scales.shape());
        let products = weight_scales.floats().unwrap().iter().map(|scale| scale * input_scale);
        assert!(products.eq(bias_scales.floats().unwrap().iter().copied()));
    }
    let names: std::collections::HashSet<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names.len(), graph.nodes.len(), "two nodes have one name");
}

/// The nodes in order: q and d for the ends of 8-bit integers, operators with a letter for each part of their epilogue, an
/// exclamation mark for integer weights (whose own nodes are left out).
fn text(graph: &Graph) -> String {
    let weights = |id: &ValueId| graph.nodes.iter().any(|node| node.output == *id && is_weight(graph, node));
    let nodes = graph.nodes.iter().filter(|node| !is_weight(graph, node)).map(|node| {
        let epilogue = &node.epilogue;
        let parts = [
            (node.inputs.get(1).is_some_and(weights), "!"),
            (epilogue.residual.is_some(), "+r"),
            (epilogue.activation.is_some(), "+a"),
            (epilogue.affine.is_some(), "+s"),
        ];
        let parts: String = parts.iter().filter(|(is, _)| *is).map(|(_, part)| *part).collect();
        match node.op {
            Op::Quantize { .. } => "q".to_string(),
            Op::Dequantize { .. } => "d".to_string(),
            _ => node.op.name().to_string() + &parts,
        }
    });
    nodes.collect::<Vec<_>>().join(" ")
}

fn is_weight(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Dequantize { .. }) && graph.constant(node.inputs[0]).is_some()
}

/// The signal-to-noise ratio of the first output on the held-out inputs, evaluated by definition in f64.
fn ratio(float: &Graph, quantized: &Graph) -> f64 {
    let samples = inputs(float).held_out;
    let shape = float.shape(float.inputs[0]);
    let lengths = shape.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { samples.count });
    let data: Vec<f64> = samples.values.iter().map(|&value| value.into()).collect();
    let x = Array { shape: lengths.collect(), data };
    let expected = interpret::run(float, vec![x.clone()]).unwrap().swap_remove(0);
    let found = interpret::run(quantized, vec![x]).unwrap().swap_remove(0);
    let signal: f64 = expected.data.iter().map(|value| value * value).sum();
    let noise: f64 = expected.data.iter().zip(&found.data).map(|(a, b)| (a - b).powi(2)).sum();
    10.0 * (signal / noise).log10()
}

/// The shape of the DCGAN generator, smaller.
fn generator() -> Graph {
    let (mut net, x) = Net::new(&[12]);
    let y = net.linear(x, 12, 32);
    let y = net.relu(y);
    let y = net.batch_norm(y, 32);
    let y = net.linear(y, 32, 128);
    let y = net.relu(y);
    let y = net.batch_norm(y, 128);
    let y = net.reshape(y, &[8, 4, 4]);
    let y = net.conv_transpose(y, 8, 6, 1);
    let y = net.relu(y);
    let y = net.batch_norm(y, 6);
    let y = net.conv_transpose(y, 6, 2, 1);
    let y = net.node(Op::Activation(Activation::Tanh), &[y]);
    let mut graph = net.finish(&[y]);
    optimize(&mut graph);
    graph
}

/// Two residual blocks, pools, and features at the end.
fn encoder() -> Graph {
    let (mut net, x) = Net::new(&[3, 8, 8]);
    let y = net.conv(x, 3, 8);
    let y = net.relu(y);
    let mut y = net.pool(PoolKind::Max, y);
    for _ in 0..2 {
        let z = net.conv(y, 8, 8);
        let z = net.relu(z);
        let z = net.conv(z, 8, 8);
        let z = net.node(Op::Binary(Binary::Add), &[z, y]);
        y = net.relu(z);
    }
    let y = net.mean(y);
    net.finish(&[y])
}

#[test]
fn integers_begin_and_end_where_they_should() {
    let mut fused_encoder = encoder();
    optimize(&mut fused_encoder);
    // The cases: what they show, the graph, the nodes afterwards.
    let mut cases = vec![
        (
            "the affine after an activation is part of its layer; reshaped values keep their scale; the output is float",
            generator(),
            "q d Gemm!+a q d Gemm!+a+s q d Reshape q d ConvTranspose!+a+s q d ConvTranspose!+a",
        ),
        (
            "residuals are integers; the last mean reads integers and gives floats",
            fused_encoder,
            "q d Conv!+a q d MaxPool q d Conv!+a q d Conv!+r+a q d Conv!+a q d Conv!+r+a q d ReduceMean",
        ),
        (
            "activations and sums that are nodes of their own: functions of a layer's result are not cut off from it",
            encoder(),
            "q d Conv! Relu q d MaxPool q d Conv! Relu q d Conv! q d Add Relu q d Conv! Relu q d Conv! q d Add Relu \
             ReduceMean",
        ),
    ];
    let case = |build: &dyn Fn(&mut Net, ValueId) -> Vec<ValueId>, input: &[usize]| {
        let (mut net, x) = Net::new(input);
        let outputs = build(&mut net, x);
        net.finish(&outputs)
    };
    cases.push((
        "what nothing reads as integers stays float",
        case(
            &|net, x| {
                let y = net.linear(x, 6, 5);
                let z = net.node(Op::Softmax { axis: 1 }, &[y]);
                vec![z]
            },
            &[6],
        ),
        "q d Gemm! Softmax",
    ));
    cases.push((
        "an output is float, though a layer reads its integers",
        case(
            &|net, x| {
                let y = net.linear(x, 6, 5);
                let z = net.linear(y, 5, 4);
                vec![y, z]
            },
            &[6],
        ),
        "q d Gemm! q d Gemm!",
    ));
    cases.push((
        "joined values have one scale, and so has a mean of its own",
        case(
            &|net, x| {
                let a = net.conv(x, 2, 3);
                let b = net.pool(PoolKind::Average, x);
                let b = net.node(
                    Op::Resize(Resize {
                        output: [4, 4],
                        scale: [2.0, 2.0],
                        coordinates: Coordinates::Asymmetric,
                        interpolation: Interpolation::Floor,
                    }),
                    &[b],
                );
                let y = net.node(Op::Concat { axis: 1 }, &[a, b]);
                vec![net.conv(y, 5, 2)]
            },
            &[2, 4, 4],
        ),
        "q d Conv! q d AveragePool q d Resize q d Concat q d Conv!",
    ));
    cases.push((
        "a pool before the first layer is on integers; floats in between are not",
        case(
            &|net, x| {
                let y = net.pool(PoolKind::Max, x);
                let y = net.batch_norm(y, 2);
                let y = net.pool(PoolKind::Average, y);
                vec![net.conv(y, 2, 2)]
            },
            &[2, 8, 8],
        ),
        "MaxPool BatchNormalization q d AveragePool q d Conv!",
    ));
    for (what, graph, expected) in cases {
        let (quantized, report) = quantized(&graph, &Options::default());
        assert_eq!(text(&quantized), expected, "{what}");
        assert!(
            report
                .layers
                .iter()
                .all(|layer| layer.int8 && layer.weight_sqnr.is_some_and(|ratio| ratio > 35.0))
        );
        let ratio = ratio(&graph, &quantized);
        assert!(ratio > 30.0, "{what}: {ratio} dB");
        // The report, of other inputs, says about the same.
        assert!(
            (report.outputs[0].sqnr.unwrap() - ratio).abs() < 2.5,
            "{what}: {ratio} dB, {:?}",
            report.outputs
        );
    }
}

#[test]
fn moved_values_share_their_constants() {
    let (quantized, report) = quantized(&encoder(), &Options::default());
    let quantizes = quantized.nodes.iter().filter(|node| matches!(node.op, Op::Quantize { .. }));
    let constants: Vec<&[ValueId]> = quantizes.map(|node| &node.inputs[1..]).collect();
    // Input, first layer, what is pooled from it.
    assert_ne!(constants[0], constants[1]);
    assert_eq!(constants[1], constants[2]);
    assert_ne!(constants[2], constants[3]);
    assert_eq!(report.tensors[1].range, report.tensors[2].range);
    // After a Relu zero is the least integer.
    assert_eq!(report.tensors[1].zero_point, 0);
    assert_eq!(report.tensors.len(), constants.len());
}

#[test]
fn nodes_stay_float_when_asked_or_needed() {
    let graph = generator();
    let names: Vec<String> = graph.nodes.iter().map(|node| node.name.clone()).collect();
    let keep = |names: &[&String]| Options {
        keep_float: names.iter().map(|name| name.to_string()).collect(),
        ..Options::default()
    };
    let (quantized_graph, report) = quantized(&graph, &keep(&[&names[3]]));
    assert_eq!(
        text(&quantized_graph),
        "q d Gemm!+a q d Gemm!+a+s Reshape ConvTranspose+a+s q d ConvTranspose!+a"
    );
    assert_eq!(report.layers[2].why_float.as_deref(), Some("as asked for"));
    assert!(!report.layers[2].int8 && report.layers[3].int8);

    // A product that is not of vectors.
    let (mut net, x) = Net::new(&[3, 4]);
    let weight = net.constant(&[4, 5], -1.0, 1.0);
    let y = net.node(Op::MatMul, &[x, weight]);
    let y = net.reshape(y, &[15]);
    let y = net.linear(y, 15, 2);
    let (quantized_graph, report) = quantized(&net.finish(&[y]), &Options::default());
    assert_eq!(text(&quantized_graph), "MatMul q d Reshape q d Gemm!");
    let why = report.layers[0].why_float.as_deref();
    assert_eq!(why, Some("it is no product of vectors with constant weights"));
}

#[test]
fn one_scale_for_all_weights() {
    let options = Options {
        weights: WeightOptions { per_channel: false, range: WeightRange::MinMax },
        calibrator: Calibrator::MinMax,
        ..Options::default()
    };
    let graph = generator();
    let (quantized_graph, report) = quantized(&graph, &options);
    for node in quantized_graph.nodes.iter().filter(|node| is_weight(&quantized_graph, node)) {
        assert!(quantized_graph.constant(node.inputs[1]).unwrap().shape().is_empty(), "{}", node.name);
    }
    assert!(ratio(&graph, &quantized_graph) > 28.0);
    assert!(!report.per_channel && report.calibrator == "min-max");

    // A transposed convolution in groups has one scale in any case.
    let (mut net, x) = Net::new(&[4, 3, 3]);
    let y = net.conv_transpose(x, 4, 6, 2);
    let graph = net.finish(&[y]);
    let (quantized_graph, _) = quantized(&graph, &Options::default());
    let scales = quantized_graph.nodes.iter().filter(|node| is_weight(&quantized_graph, node));
    assert!(
        scales.into_iter().all(|node| quantized_graph.constant(node.inputs[1]).unwrap().shape().is_empty())
    );
    assert!(ratio(&graph, &quantized_graph) > 30.0);
}

#[test]
fn every_convolution_is_between_integers_when_asked() {
    let (mut net, x) = Net::new(&[2, 4, 4]);
    let y = net.conv(x, 2, 3);
    let (scale, shift) = (net.constant(&[3], 0.5, 1.5), net.constant(&[3], 0.1, 0.5));
    let y = net.node(Op::Affine, &[y, scale, shift]);
    let y = net.conv(y, 3, 3);
    let y = net.relu(y);
    let y = net.conv(y, 3, 2);
    let graph = net.finish(&[y]);
    let (float_between, _) = quantized(&graph, &Options::default());
    assert_eq!(text(&float_between), "q d Conv! Affine q d Conv! Relu q d Conv!");
    let options = Options { every_layer: true, ..Options::default() };
    let (integers, _) = quantized(&graph, &options);
    assert_eq!(text(&integers), "q d Conv! q d Affine q d Conv! q d Relu q d Conv!");
}

/// How close is close differs: entropy does not weigh how far off a value is that it cuts off, and values of BatchNorm after
/// ReLU, as in the generator, have both peaks and long tails.
#[test]
fn every_calibrator_gives_close_results() {
    let cases = [
        (Calibrator::MinMax, 30.0),
        (Calibrator::Percentile(99.99), 30.0),
        (Calibrator::Mse, 30.0),
        (Calibrator::Entropy, 15.0),
    ];
    for (calibrator, least) in cases {
        for graph in [generator(), encoder()] {
            let (quantized, report) = quantized(&graph, &Options { calibrator, ..Options::default() });
            assert_eq!(report.calibrator, calibrator.name());
            let ratio = ratio(&graph, &quantized);
            assert!(ratio > least, "{calibrator:?}: {ratio} dB");
        }
    }
}

#[test]
fn what_cannot_be_quantized_is_explained() {
    let graph = generator();
    let shape = graph.shape(graph.inputs[0]);
    let inputs = Inputs::drawn(&shape, Distribution::REFERENCE, 4, 0, Source::Latents);
    let error = |graph: &Graph, inputs: &Inputs, options: &Options| {
        quantize(graph, inputs, options).unwrap_err().to_string()
    };
    let default = Options::default();

    let unknown = Options { keep_float: vec!["nowhere".into()], ..Options::default() };
    let message = error(&graph, &inputs, &unknown);
    assert!(message.contains("\"nowhere\"") && message.contains(&graph.nodes[0].name), "{message}");

    let all = graph.nodes.iter().map(|node| node.name.clone()).collect();
    let message = error(&graph, &inputs, &Options { keep_float: all, ..Options::default() });
    assert!(message.contains("no layer can be quantized") && message.contains("as asked for"), "{message}");

    let (again, _) = quantized(&graph, &default);
    assert!(error(&again, &inputs, &default).contains("quantizes already"));

    let percentile = Options { calibrator: Calibrator::Percentile(12.0), ..Options::default() };
    assert!(error(&graph, &inputs, &percentile).contains("the percentile is 12"));

    let mut wrong = inputs.clone();
    wrong.calibration.values.pop();
    assert!(error(&graph, &wrong, &default).contains("(N, 12)"));
    let mut wrong = inputs.clone();
    wrong.calibration.values[3] = f32::NAN;
    assert!(error(&graph, &wrong, &default).contains("not finite"));

    assert!(error(&Graph::default(), &inputs, &default).contains("0 inputs"));
}
