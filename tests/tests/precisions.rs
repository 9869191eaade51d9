//! Models in every precision, in ONNX Runtime and tract: what `exporter convert` writes gives what the fp32 model gives,
//! as far as the precision goes, for generators and encoders.

use std::fs;
use std::path::Path;

use latent_exporter::graph::{
    Activation, Binary, Convolution, Dim, Element, Elements, Graph, Op, Output, Reduce, ReduceKind, Tensor,
    ValueId, Window,
};
use latent_exporter::onnx::{About, FloatType, write};
use latent_runtime::latent::Distribution;
use latent_runtime::open::{BackendKind, OpenOptions, open};
use latent_runtime::rng::Rng;
use latent_tests::succeed;
use prost::Message;

const BATCH: usize = 4;

/// A precision, the options that write it, and the least signal-to-noise ratio that it must have, in dB.
type Way = (&'static str, &'static [&'static str], f64);

const WAYS: &[Way] = &[
    ("fp32", &["--precision", "fp32"], 100.0),
    ("fp32, Conv + DepthToSpace", &["--precision", "fp32", "--form", "depth-to-space"], 100.0),
    ("fp16", &["--precision", "fp16"], 45.0),
    // The encoder's file states no range: it is calibrated on the values that it is compared on.
    ("int8", &["--precision", "int8", "--range", "-1,1", "--task-samples", "0"], 20.0),
    (
        "int8, Conv + DepthToSpace, per tensor",
        &[
            "--precision",
            "int8",
            "--range",
            "-1,1",
            "--form",
            "depth-to-space",
            "--per-tensor",
            "--task-samples",
            "0",
        ],
        20.0,
    ),
];

#[test]
fn every_precision_runs_in_every_back_end() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    for command in ["vanilla", "dcgan"] {
        let small =
            ["--data", "synth-digits:512", "--train-images", "512", "--batch", "64", "--iterations", "24"];
        succeed("trainer", [&[command, "--out", &path(command), "--quiet"], &small[..]].concat());
        succeed("exporter", ["export", &path(command), "--out", scratch.path().to_str().unwrap()]);
    }
    fs::write(path("encoder.fp32.onnx"), encoder()).unwrap();

    let mut table =
        format!("{:<9} {:<28} {:<28} {:>9} {:>9}\n", "model", "written as", "in", "largest", "SQNR dB");
    let mut failures = Vec::new();
    for model in ["vanilla", "dcgan", "encoder"] {
        let given = path(&format!("{model}.fp32.onnx"));
        let (input, expected) = reference(Path::new(&given));
        for (index, (way, options, least)) in WAYS.iter().enumerate() {
            let written = path(&format!("{model}.{index}.onnx"));
            succeed("exporter", [&["convert", &given, "--out", &written], *options].concat());
            for kind in [BackendKind::Ort, BackendKind::Tract] {
                let mut backend = open(Path::new(&written), kind, &OpenOptions::default()).unwrap();
                let mut output = vec![f32::NAN; expected.len()];
                backend.run(BATCH, &input, &mut output).unwrap();
                let (largest, ratio) = compare(&output, &expected);
                let name = backend.describe();
                table += &format!("{model:<9} {way:<28} {name:<28} {largest:>9.1e} {ratio:>9.1}\n");
                if ratio < *least || !ratio.is_finite() && largest > 0.0 {
                    failures
                        .push(format!("{model}, {way}, {name}: {ratio:.1} dB, expected at least {least}"));
                }
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// An input, and what the fp32 model gives for it in ONNX Runtime.
fn reference(model: &Path) -> (Vec<f32>, Vec<f32>) {
    let mut backend = open(model, BackendKind::Ort, &OpenOptions::default()).unwrap();
    let mut input = vec![0.0; BATCH * backend.input().values()];
    Distribution::Uniform { low: -1.0, high: 1.0 }.fill(&mut Rng::from_seed(3), &mut input);
    let mut output = vec![0.0; BATCH * backend.output().values()];
    backend.run(BATCH, &input, &mut output).unwrap();
    (input, output)
}

/// The largest difference, and the signal-to-noise ratio in dB.
fn compare(found: &[f32], expected: &[f32]) -> (f32, f64) {
    let differences = || found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    // A maximum would lose a NaN.
    let largest = differences().fold(0.0, |a: f32, b| if b.is_nan() || b > a { b } else { a });
    let power =
        |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
    let ratio = power(&mut expected.iter().copied()) / power(&mut differences());
    (largest, 10.0 * ratio.log10())
}

/// A small ResNet with random weights: a stem, a block that keeps its size and one that halves it, a mean, and features
/// of length 1.
fn encoder() -> Vec<u8> {
    let mut net = Net { graph: Graph { name: "encoder".into(), ..Graph::default() }, rng: Rng::from_seed(1) };
    let shape = [Dim::Batch, Dim::Size(3), Dim::Size(16), Dim::Size(16)].to_vec();
    let image = net.graph.add_input("image", Element::F32, shape);
    let x = net.conv("stem", image, [16, 3, 3], 1);
    let x = net.relu("stem_relu", x);
    let x = net.block("block1", x, [16, 16], 1);
    let x = net.block("block2", x, [16, 32], 2);
    let mean = Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false };
    let x = net.node("mean", Op::Reduce(mean), vec![x]);
    let value = net.node("normalize", Op::Normalize { axis: 1, p: 2, epsilon: 1e-12 }, vec![x]);
    net.graph.outputs.push(Output { name: "features".into(), value });
    write(&net.graph, &About::default(), FloatType::F32).unwrap().encode_to_vec()
}

struct Net {
    graph: Graph,
    rng: Rng,
}

impl Net {
    fn node(&mut self, name: &str, op: Op, inputs: Vec<ValueId>) -> ValueId {
        self.graph.add_node(name, op, inputs, name).unwrap()
    }

    fn constant(&mut self, name: String, shape: &[usize], low: f32, high: f32) -> ValueId {
        let values = (0..shape.iter().product()).map(|_| self.rng.uniform(low, high)).collect();
        self.graph.add_constant(name, Tensor::new(shape.to_vec(), Elements::F32(values)).unwrap())
    }

    fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, Op::Activation(Activation::Relu), vec![x])
    }

    /// Convolution and BatchNorm; `weight` is outputs, inputs and rows or columns of the kernel.
    fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        [outputs, inputs, side]: [usize; 3],
        stride: usize,
    ) -> ValueId {
        let bound = (3.0 / (inputs * side * side) as f32).sqrt();
        let weight = self.constant(format!("{name}.weight"), &[outputs, inputs, side, side], -bound, bound);
        let (kernel, stride) = ([side; 2], [stride; 2]);
        let window = Window { kernel, stride, dilation: [1, 1], pads: [side / 2; 4] };
        let y = self.node(name, Op::Conv(Convolution { window, groups: 1 }), vec![x, weight]);
        let ranges = [("scale", 0.5, 1.5), ("shift", -0.3, 0.3), ("mean", -0.2, 0.2), ("variance", 0.5, 1.5)];
        let parts =
            ranges.map(|(part, low, high)| self.constant(format!("{name}_bn.{part}"), &[outputs], low, high));
        self.node(&format!("{name}_bn"), Op::BatchNorm { epsilon: 1e-5 }, [&[y], &parts[..]].concat())
    }

    fn block(&mut self, name: &str, x: ValueId, [inputs, outputs]: [usize; 2], stride: usize) -> ValueId {
        let y = self.conv(&format!("{name}_conv1"), x, [outputs, inputs, 3], stride);
        let y = self.relu(&format!("{name}_relu1"), y);
        let y = self.conv(&format!("{name}_conv2"), y, [outputs, outputs, 3], 1);
        let short = match (stride, inputs == outputs) {
            (1, true) => x,
            _ => self.conv(&format!("{name}_shortcut"), x, [outputs, inputs, 1], stride),
        };
        let sum = self.node(&format!("{name}_add"), Op::Binary(Binary::Add), vec![y, short]);
        self.relu(&format!("{name}_relu2"), sum)
    }
}
