//! One picture is one input, whichever program gives it to a model: `runtime run` and `embed`, the calibration of
//! `exporter pack`, the viewer. The encoder gives the mean of each channel as it finds it, so that its features are its input.

use std::fs;
use std::path::Path;

use latent_exporter::graph::{Convolution, Dim, Element, Elements, Graph, Op, Output, Reduce, ReduceKind};
use latent_exporter::graph::{Tensor, Window};
use latent_exporter::onnx::{About, FloatType, write};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::open::BackendKind;
use latent_runtime::pixels::ValueRange;
use latent_tests::program;
use latent_viewer::model::{Encoder, ModelFile, ModelOptions};
use latent_viewer::picture::Picture;
use prost::Message;
use serde_json::Value;

const SIDE: usize = 8;
const COLOR: [u8; 3] = [255, 102, 0];

/// Metadata of a file, the option that is given, and the features of [`COLOR`] that have to come of both.
struct Case {
    name: &'static str,
    /// Whether images are (N, H, W, C).
    channels_last: bool,
    metadata: &'static [(&'static str, &'static str)],
    range: Option<&'static str>,
    expected: [f64; 3],
    /// Where the range comes from, and what is said of it.
    source: &'static str,
    note: &'static str,
}

const ASSUMED: &str =
    "the model does not say which values are black and white; taking 0 and 1 (--range LOW,HIGH";
const ENCODER: (&str, &str) = ("latent.kind", "encoder");
const SIGNED: [(&str, &str); 2] = [("latent.range.low", "-1"), ("latent.range.high", "1")];

const CASES: [Case; 8] = [
    Case {
        name: "bare",
        channels_last: false,
        metadata: &[],
        range: None,
        expected: [1.0, 0.4, 0.0],
        source: "assumed",
        note: ASSUMED,
    },
    Case {
        name: "given",
        channels_last: false,
        metadata: &[],
        range: Some("-1,1"),
        expected: [1.0, -0.2, -1.0],
        source: "given",
        note: "",
    },
    Case {
        name: "stated",
        channels_last: false,
        metadata: &[ENCODER, SIGNED[0], SIGNED[1]],
        range: None,
        expected: [1.0, -0.2, -1.0],
        source: "stated",
        note: "",
    },
    Case {
        name: "overruled",
        channels_last: false,
        metadata: &[ENCODER, SIGNED[0], SIGNED[1]],
        range: Some("0,1"),
        expected: [1.0, 0.4, 0.0],
        source: "given",
        note: "--range takes 0 and 1 for black and white, where the model says -1 and 1",
    },
    Case {
        name: "normalized",
        channels_last: false,
        metadata: &[
            ENCODER,
            SIGNED[0],
            SIGNED[1],
            ("latent.normalize.mean", "0.5,-0.2,0"),
            ("latent.normalize.std", "0.5,1,0.25"),
        ],
        range: None,
        expected: [1.0, 0.0, -4.0],
        source: "stated",
        note: "",
    },
    Case {
        name: "older",
        channels_last: false,
        metadata: &[("latent.normalise.mean", "0.5,0.5,0.5"), ("latent.normalise.std", "0.25,0.5,0.25")],
        range: None,
        expected: [2.0, -0.2, -2.0],
        source: "assumed",
        note: ASSUMED,
    },
    Case {
        name: "last",
        channels_last: true,
        metadata: &[],
        range: None,
        expected: [1.0, 0.4, 0.0],
        source: "assumed",
        note: ASSUMED,
    },
    Case {
        name: "last-normalized",
        channels_last: true,
        metadata: &[
            ENCODER,
            SIGNED[0],
            SIGNED[1],
            ("latent.image", "3x8x8"),
            ("latent.normalize.mean", "0.5,-0.2,0"),
            ("latent.normalize.std", "0.5,1,0.25"),
        ],
        range: None,
        expected: [1.0, 0.0, -4.0],
        source: "stated",
        note: "",
    },
];

/// A convolution that changes nothing, then the mean of each channel.
fn encoder(metadata: &[(&str, &str)], channels_last: bool) -> Vec<u8> {
    let mut graph = Graph { name: "means".into(), ..Graph::default() };
    let mut shape = [Dim::Batch, Dim::Size(3), Dim::Size(SIDE), Dim::Size(SIDE)].to_vec();
    shape[1..].rotate_left(usize::from(channels_last));
    let mut image = graph.add_input("image", Element::F32, shape);
    if channels_last {
        image = graph.add_node("first", Op::Transpose(vec![0, 3, 1, 2]), vec![image], "first").unwrap();
    }
    let unit = (0..9).map(|at| if at % 4 == 0 { 1.0 } else { 0.0 }).collect();
    let weight = Tensor::new(vec![3, 3, 1, 1], Elements::F32(unit)).unwrap();
    let weight = graph.add_constant("same.weight", weight);
    let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4] };
    let same = Op::Conv(Convolution { window, groups: 1 });
    let same = graph.add_node("same", same, vec![image, weight], "same").unwrap();
    let mean = Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false });
    let value = graph.add_node("mean", mean, vec![same], "mean").unwrap();
    graph.outputs.push(Output { name: "features".into(), value });
    let metadata = ModelMetadata::from_entries(metadata.iter().copied());
    write(&graph, &About { metadata, ..About::default() }, FloatType::F32).unwrap().encode_to_vec()
}

/// What a program prints on stdout and on stderr.
fn said(name: &str, arguments: &[&str], range: Option<&str>, folder: &Path) -> (bool, String, String) {
    let mut command = program(name);
    command.args(arguments).current_dir(folder);
    if let Some(range) = range {
        command.args(["--range", range]);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The result as JSON, after checking what was said of the range.
fn told(case: &Case, name: &str, arguments: &[&str], folder: &Path) -> Value {
    let (succeeded, result, told) = said(name, arguments, case.range, folder);
    assert!(succeeded, "{}: {name} {arguments:?}: {told}", case.name);
    check_note(case, name, &told);
    serde_json::from_str(&result).unwrap()
}

fn check_note(case: &Case, who: &str, told: &str) {
    assert_eq!(told.matches("black and white").count(), usize::from(!case.note.is_empty()), "{who}: {told}");
    assert!(told.contains(case.note), "{}: {who} says {told}", case.name);
}

fn near(case: &Case, what: &str, found: &Value, expected: &[f64]) {
    let found: Vec<f64> = found.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(
        found.len() == expected.len() && off < 1e-5,
        "{}, {what}: {found:?}, not {expected:?}",
        case.name
    );
}

#[test]
fn a_picture_is_the_same_input_everywhere_and_what_is_assumed_is_said() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let pixels = COLOR.repeat(SIDE * SIDE);
    let picture = Picture { width: SIDE, height: SIDE, channels: 3, pixels };
    fs::create_dir(folder.join("pictures")).unwrap();
    for name in ["a.png", "b.png"] {
        fs::write(folder.join("pictures").join(name), picture.to_png().unwrap()).unwrap();
    }
    for case in &CASES {
        let (onnx, lat) = (format!("{}.onnx", case.name), format!("{}.lat", case.name));
        fs::write(folder.join(&onnx), encoder(case.metadata, case.channels_last)).unwrap();
        let (packed, _, told_by_pack) = said("exporter", &["pack", &onnx, "--out", &lat], None, folder);
        assert!(packed, "{told_by_pack}");

        for model in [&onnx, &lat] {
            let report = told(case, "runtime", &["embed", model, "pictures/a.png", "--json"], folder);
            near(case, "embed", &report["embeddings"][0]["values"], &case.expected);
            assert_eq!(report["range"]["source"], case.source, "{report}");
            let report =
                told(case, "runtime", &["run", model, "--input", "pictures/a.png", "--json"], folder);
            near(case, "run", &report["results"][0]["values"], &case.expected);
            assert_eq!(report["range"]["source"], case.source, "{report}");
            told(case, "runtime", &["bench", model, "--seconds", "0.01", "--json"], folder);

            let range = case.range.map(|range| range.parse().unwrap());
            let ModelFile::Encoder(file) =
                ModelFile::read(&folder.join(model), &ModelOptions { range, ..Default::default() }).unwrap()
            else {
                panic!("{model} is no encoder to the viewer")
            };
            assert_eq!(file.encoding.source.name(), case.source);
            if model == &lat {
                let mut viewer = Encoder::open(&file, BackendKind::Native, 1).unwrap();
                let (features, _) = viewer.run(&[&picture]).unwrap();
                near(case, "viewer", &serde_json::to_value(features).unwrap(), &case.expected);
            }
            // It refuses to record an encoder, after it has read the file.
            let (succeeded, _, told) = said("viewer", &[model, "--record", "x.gif"], case.range, folder);
            assert!(!succeeded && told.contains("is an encoder"), "{told}");
            check_note(case, "viewer", &told);
        }

        let calibrate = ["--precision", "int8", "--calibration-data", "pictures", "--json"];
        for (command, report) in [("pack", "quantization"), ("convert", "report")] {
            let out = format!("{}.{command}", case.name);
            let arguments = [&[command, &onnx, "--out", &out], &calibrate[..]].concat();
            let result = told(case, "exporter", &arguments, folder);
            let tensors = result[report]["tensors"].as_array().unwrap();
            let input = tensors.iter().find(|tensor| tensor["name"] == "image").unwrap();
            let ends = [f64::min, f64::max].map(|least| case.expected.into_iter().reduce(least).unwrap());
            near(case, command, &input["observed"], &ends);
        }
    }
}

#[test]
fn what_is_not_stated_stays_so_unless_it_is_given() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::write(folder.join("bare.onnx"), encoder(&[], false)).unwrap();
    let stated = |file: &str| {
        let (_, text, _) = said("runtime", &["inspect", file], None, folder);
        let line = text.lines().find(|line| line.trim_start().starts_with("value range")).unwrap().to_owned();
        line.trim_start().trim_start_matches("value range").trim().to_owned()
    };
    assert_eq!(stated("bare.onnx"), "not stated");
    for (command, out) in [("pack", "m.lat"), ("convert", "m.onnx")] {
        for (range, expected) in [(None, "not stated"), (Some("-1,1"), "-1 (black) to 1 (white)")] {
            let mut arguments = vec![command, "bare.onnx", "--out", out, "--force"];
            if command == "convert" {
                arguments.extend(["--precision", "fp32"]);
            }
            let (succeeded, _, told) = said("exporter", &arguments, range, folder);
            assert!(succeeded, "{told}");
            assert_eq!(stated(out), expected, "{arguments:?} {range:?}");
        }
    }
    let range = ModelFile::read(&folder.join("m.lat"), &ModelOptions::default()).map(|file| match file {
        ModelFile::Encoder(file) => file.encoding.range,
        ModelFile::Generator(file) => file.encoding.range,
    });
    assert_eq!(range.unwrap(), ValueRange::SIGNED);
}

#[test]
fn what_is_no_range_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("runtime", &["run", "m.lat"][..]),
        ("runtime", &["bench", "m.lat"]),
        ("runtime", &["embed", "m.lat", "a.png"]),
        ("runtime", &["search", "a.safetensors", "a.png", "--model", "m.lat"]),
        ("exporter", &["pack", "m.onnx", "--out", "m.lat"]),
        ("exporter", &["convert", "m.onnx", "--out", "n.onnx", "--precision", "fp32"]),
        ("viewer", &["m.lat"]),
    ] {
        for range in ["1,0", "a,b", "nan,1", "0", "-1,1,2"] {
            let output =
                program(name).args(arguments).args(["--range", range]).current_dir(&folder).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?} --range {range}: {told}");
            assert!(told.contains("expected the values of black and white as LOW,HIGH"), "{told}");
        }
    }
}
