//! The program itself: recording, and what it says when something is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use latent_runtime::format::{
    Activation, Builder, Element, LayerSpec, ModelInfo, ModelKind, PlainBias, PlainWeights,
};
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use latent_runtime::ops::Binary;
use latent_runtime::ort::{Library, find_library};
use latent_test_support::{Missing, skip};
use prost::Message;

/// image = tanh(z W), 4 latent values, a gray image of 2 by 3.
fn generator(kind: &str) -> Vec<u8> {
    let value = |name: &str, size: i64| {
        let dim = |value| Dimension { value: Some(value), ..Default::default() };
        let shape = TensorShapeProto {
            dim: vec![dim(dimension::Value::DimParam("N".into())), dim(dimension::Value::DimValue(size))],
        };
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
    };
    let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: op.into(),
        name: op.to_lowercase(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        attribute: Vec::<AttributeProto>::new(),
        ..Default::default()
    };
    let weights = TensorProto {
        name: "W".into(),
        dims: vec![4, 6],
        data_type: DataType::Float as i32,
        float_data: (0..24).map(|i| ((i * 7) % 11) as f32 / 5.0 - 1.0).collect(),
        ..Default::default()
    };
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { version: 17, ..Default::default() }],
        graph: Some(GraphProto {
            name: "generator".into(),
            node: vec![node("MatMul", &["z", "W"], "y"), node("Tanh", &["y"], "image")],
            initializer: vec![weights],
            input: vec![value("z", 4)],
            output: vec![value("image", 6)],
            ..Default::default()
        }),
        metadata_props: vec![
            entry("latent.kind", kind),
            entry("latent.image", "1x2x3"),
            entry("latent.distribution", "normal"),
            entry("latent.distribution.a", "0"),
            entry("latent.distribution.b", "1"),
        ],
        ..Default::default()
    }
    .encode_to_vec()
}

fn viewer(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viewer"));
    command.args(args).current_dir(folder);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    // The program looks for ONNX Runtime above itself, which need not be above the build's folder.
    if let Some(library) = library() {
        command.env("ORT_DYLIB_PATH", library);
    }
    command.output().unwrap()
}

fn library() -> Option<PathBuf> {
    match find_library() {
        Library::System(_) => None,
        library => library.path().canonicalize().ok(),
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_gif_that_players_would_slow_down_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = viewer(folder.path(), &["g.onnx", "--record", "a.gif", "--fps", "60"]);
    let error = stderr(&output);
    assert!(!output.status.success() && error.contains("--fps 60") && error.contains(".png"), "{error}");
}

#[test]
fn a_walk_is_recorded_without_a_display_and_the_same_seed_gives_the_same_bytes() {
    if library().is_none() {
        skip!(Missing::OnnxRuntime, "ONNX Runtime is not here (`cargo xtask setup` installs it)");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("g.onnx"), generator("generator")).unwrap();
    let record = |name: &str, more: &[&str]| {
        let args = ["g.onnx", "--record", name, "--frames", "6", "--scale", "2", "--interpolation", "slerp"];
        viewer(folder, &[&args, more].concat())
    };
    for (name, seed) in [("a.gif", "7"), ("b.gif", "7"), ("c.gif", "8")] {
        let output = record(name, &["--seed", seed, "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&result["frames"], &result["width"], &result["height"]),
            (&6.into(), &6.into(), &4.into())
        );
    }
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("a.gif"), bytes("b.gif"));
    assert_ne!(bytes("a.gif"), bytes("c.gif"));
    let recorded = bytes("a.gif");
    let mut decoder = gif::DecodeOptions::new().read_info(&recorded[..]).unwrap();
    let mut frames = 0;
    while decoder.read_next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!((decoder.width(), decoder.height(), frames), (6, 4, 6));

    let output = record("a.gif", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("a.gif is there already; replace it with --force"),
        "{}",
        stderr(&output)
    );
    for (name, more) in [("a.gif", &["--force"][..]), ("d.png", &["--grid", "2x3"]), ("frames", &["--open"])]
    {
        let output = record(name, more);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(folder.join("frames")).unwrap().count(), 6);

    // A walk file says what was done to its latents; options come before it.
    let bytes = |name: &str, walk: &str, more: &[&str]| {
        fs::write(folder.join("edited.txt"), format!("latent-walk 1\nkey seed 7\nkey seed 8\n{walk}"))
            .unwrap();
        let output = record(name, &[&["--walk", "edited.txt"], more].concat());
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        fs::read(folder.join(name)).unwrap()
    };
    let plain = bytes("w1.gif", "", &[]);
    let truncated = bytes("w2.gif", "truncation 0.25\n", &[]);
    assert_ne!(plain, truncated);
    assert_eq!(truncated, bytes("w3.gif", "", &["--truncation", "0.25"]));
    assert_eq!(plain, bytes("w4.gif", "truncation 0.25\n", &["--truncation", "1"]));
    let held = bytes("w5.gif", "hold 0 0.5\nhold 1 0.5\nhold 2 0.5\nhold 3 0.5\n", &[]);
    assert_eq!(held, bytes("w6.gif", "truncation 0\nshift 0.5 0.5 0.5 0.5\n", &[]));
    assert_ne!(held, plain);

    fs::write(folder.join("w.txt"), "latent-walk 1\nkey seed 7\nkey values 1 2 3\n").unwrap();
    let output = record("e.gif", &["--walk", "w.txt"]);
    assert!(
        stderr(&output).contains("w.txt has a latent vector of another size than the 4 values"),
        "{}",
        stderr(&output)
    );

    let output = viewer(folder, &["g.onnx"]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains("there is no display") && error.contains("--record walk.gif"), "{error}");
}

#[test]
fn of_several_inputs_and_outputs_the_user_chooses() {
    let mut builder = Builder::new(ModelInfo { kind: ModelKind::Generator, ..Default::default() });
    let z = builder.input("z", &[4], Element::F32).unwrap();
    let gain = builder.input("gain", &[1], Element::F32).unwrap();
    let weights: Vec<f32> = (0..24).map(|i| ((i * 7) % 11) as f32 / 5.0 - 1.0).collect();
    let spec = LayerSpec::new(PlainWeights::F32(&weights), PlainBias::None);
    let image = builder.fully_connected("image", z, spec).unwrap();
    let image = builder.binary("mul", Binary::Multiply, image, gain, Activation::Tanh, Element::F32).unwrap();
    let spec = LayerSpec::new(PlainWeights::F32(&weights[..16]), PlainBias::None);
    let small = builder.fully_connected("small", z, spec).unwrap();
    builder.output(image, "image", &[1, 2, 3]).unwrap();
    builder.output(small, "small", &[1, 2, 2]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("m.lat"), builder.finish().unwrap()).unwrap();

    let record = |name: &str, more: &[&str]| {
        let output =
            viewer(folder, &[&["m.lat", "--record", name, "--frames", "2", "--scale", "1"], more].concat());
        (output.status.code(), stderr(&output), fs::read(folder.join(name)).unwrap_or_default())
    };
    for (more, expected) in [
        (&["--output", "image"][..], "gain"),
        (&["--input", "gain=1"], "small"),
        (&["--input", "gain=1", "--output", "middle"], "middle"),
        (&["--input", "gain=x", "--output", "small"], "gain=x: these are no numbers"),
        (&["--input", "gain", "--output", "small"], "--input gain: the name of an input is expected"),
    ] {
        let (code, error, _) = record("x.gif", more);
        assert!(code == Some(1) && error.contains(expected), "{more:?}: {error}");
    }
    // A GIF has its width and height at bytes 6 and 8.
    let (code, error, small) = record("small.gif", &["--input", "gain=1", "--output", "small"]);
    assert_eq!((code, &small[6..10]), (Some(0), &[2, 0, 2, 0][..]), "{error}");
    let [one, two] = ["1", "2"].map(|gain| {
        let (code, error, image) =
            record(&format!("{gain}.gif"), &["--input", &format!("gain={gain}"), "--output", "image"]);
        assert_eq!((code, &image[6..10]), (Some(0), &[3, 0, 2, 0][..]), "{error}");
        image
    });
    assert_ne!(one, two);
}

#[test]
fn what_cannot_be_shown_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("d.onnx"), generator("discriminator")).unwrap();
    fs::write(folder.join("broken.onnx"), &generator("generator")[..200]).unwrap();
    fs::write(folder.join("model.bin"), "?").unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    for (model, expected) in [
        ("d.onnx", "d.onnx is a discriminator; the viewer shows generators and encoders"),
        ("broken.onnx", "broken.onnx is truncated or damaged"),
        ("model.bin", "models end in .lat or .onnx"),
        ("missing.onnx", "missing.onnx"),
        ("empty", "empty has no generator. Give a file"),
    ] {
        let output = viewer(folder, &[model, "--record", "x.gif"]);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{model}");
        assert!(error.contains(expected), "{model}: {error}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{model}: {error}");
    }
    assert!(!folder.join("x.gif").exists());
    assert_eq!(viewer(folder, &["--frames", "9"]).status.code(), Some(2));
}

#[test]
fn without_arguments_the_projects_own_model_opens_and_needs_no_other_library() {
    let folder = tempfile::tempdir().unwrap();
    let gif = folder.path().join("walk.gif");
    let mut command = Command::new(env!("CARGO_BIN_EXE_viewer"));
    command.args(["--json", "--frames", "3", "--record"]).arg(&gif);
    // Somewhere in the project; a library of this name would be looked for, and there is none.
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("ORT_DYLIB_PATH", "/no/such/library");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let model = result["model"].as_str().unwrap();
    assert!(model.ends_with("models/dcgan-mnist.int8.lat"), "{model}");
    assert_eq!((&result["backend"], &result["width"]), (&"native".into(), &224.into()));
}
