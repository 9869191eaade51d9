//! `exporter convert`, on models that `exporter export` wrote.

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::import::import;
use latent_files::npy;
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx;
use latent_runtime::onnx::proto::ModelProto;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::rng::Rng;
use latent_test_support::python;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{exporter, run_python, write_run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a run with random weights and exports its generator.
fn generator(folder: &Path, command: &str) -> std::path::PathBuf {
    let run = folder.join(command);
    write_run(&run, command, &[10], false);
    assert!(exporter(["export", text(&run), "--out", text(folder)]).status.success());
    folder.join(format!("{command}.fp32.onnx"))
}

/// How often each operator occurs.
fn count(model: &ModelProto, operator: &str) -> usize {
    model.graph.iter().flat_map(|graph| &graph.node).filter(|node| node.op_type == operator).count()
}

/// How many tensors of two axes or more, the weights of layers, are of this type.
fn tensors(model: &ModelProto, kind: DataType) -> usize {
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    tensors.filter(|tensor| tensor.data_type == kind as i32 && tensor.dims.len() > 1).count()
}

/// What the model gives for four latents, by definition.
fn images(model: &ModelProto) -> Vec<f64> {
    let mut rng = Rng::from_seed(4);
    let latents =
        Array { shape: vec![4, 96], data: (0..4 * 96).map(|_| f64::from(rng.uniform(-1.0, 1.0))).collect() };
    interpret::run(&import(model).unwrap(), vec![latents]).unwrap().swap_remove(0).data
}

/// The array that `check_converted.py` wrote beside a model.
fn read_array(model: &Path) -> Array<f64> {
    let array = npy::decode(&fs::read(format!("{}.npy", text(model))).unwrap()).unwrap();
    Array { shape: array.shape, data: array.values.into_iter().map(f64::from).collect() }
}

/// What the packed model beside `converted` gives for the latents beside `given`.
fn packed_images(converted: &Path, given: &Path) -> Vec<f64> {
    let packed = fs::read(converted.with_extension("lat")).unwrap();
    let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
    let latents = read_array(given);
    let input: Vec<f32> = latents.data.iter().map(|&value| value as f32).collect();
    let mut output = vec![0.0; read_array(converted).data.len()];
    backend.run(latents.shape[0], &input, &mut output).unwrap();
    output.into_iter().map(f64::from).collect()
}

/// Peak signal-to-noise ratio of images from -1 to 1.
fn psnr(found: &[f64], expected: &[f64]) -> f64 {
    let squares: f64 = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    10.0 * (4.0 / (squares / expected.len() as f64)).log10()
}

/// The options, the least ratio of the result in dB, and whether DepthToSpace replaces transposed convolutions.
type Way = (&'static [&'static str], f64, bool);

const WAYS: &[Way] = &[
    (&["--precision", "fp32"], 110.0, false),
    (&["--precision", "fp32", "--form", "depth-to-space"], 110.0, true),
    (&["--precision", "fp16"], 55.0, false),
    (&["--precision", "fp16", "--form", "depth-to-space"], 55.0, true),
    (&["--precision", "int8"], 30.0, false),
    (&["--precision", "int8", "--form", "depth-to-space"], 30.0, true),
    (&["--precision", "int8", "--form", "depth-to-space", "--per-tensor"], 30.0, true),
];

#[test]
fn every_precision_and_form_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["vanilla", "dcgan"] {
        let model = generator(folder.path(), command);
        let given = onnx::load(&model).unwrap();
        let expected = images(&given);
        let mut for_others: Vec<OsString> = vec![model.clone().into()];
        for (index, &(options, least, phases)) in WAYS.iter().enumerate() {
            let case = format!("{command} {options:?}");
            let out = folder.path().join(format!("{command}.{index}.onnx"));
            let few: &[&str] =
                if options[1] == "int8" { &["--samples", "8", "--task-samples", "16"] } else { &[] };
            let args = ["convert", text(&model), "--out", text(&out)];
            let args = args.iter().chain(few).chain(options);
            let output = exporter(args.clone().chain(&["--json"]));
            assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stderr.is_empty(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();

            let bytes = fs::read(&out).unwrap();
            assert_eq!(report["bytes"], bytes.len(), "{case}");
            let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(report["sha256"], sha256, "{case}");
            let written = onnx::load(&out).unwrap();
            assert_eq!(report["nodes"], written.graph.as_ref().unwrap().node.len(), "{case}");
            // What it says of itself is kept.
            assert_eq!(written.metadata_props, given.metadata_props, "{case}");

            let found = psnr(&images(&written), &expected);
            assert!(found > least, "{case}: {found} dB");
            let difference = &report["difference"];
            let said = 20.0 * (2.0 / difference["rms"].as_f64().unwrap()).log10();
            assert!(said > least, "{case}: the report says {said} dB");

            // DCGAN's two transposed convolutions become one Conv each.
            let transposed = if command == "dcgan" { 2 } else { 0 };
            let [up, conv, depth] =
                ["ConvTranspose", "Conv", "DepthToSpace"].map(|name| count(&written, name));
            let forms = if phases { (0, transposed, transposed) } else { (transposed, 0, 0) };
            assert_eq!((up, conv, depth), forms, "{case}");
            let quantized = count(&written, "QuantizeLinear") > 0;
            let by_type =
                [DataType::Float, DataType::Float16, DataType::Int8].map(|kind| tensors(&written, kind));
            match options[1] {
                "fp32" => {
                    assert!(!quantized && by_type[0] > 0 && by_type[1..] == [0, 0], "{case}: {by_type:?}")
                }
                "fp16" => assert!(!quantized && by_type[1] > 0 && by_type[2] == 0, "{case}: {by_type:?}"),
                _ => {
                    let layers = if command == "dcgan" { 4 } else { 3 };
                    assert!(quantized && by_type[2] == layers, "{case}: {by_type:?}");
                    let quality = report["report"]["outputs"][0]["psnr"].as_f64().unwrap();
                    assert!((quality - found).abs() < 3.0, "{case}: {quality} dB, found {found}");
                    assert_eq!(report["task"]["figure"], "frechet", "{case}");
                }
            }

            for_others.extend([least.to_string().into(), out.clone().into()]);
            if command == "dcgan" && phases {
                packs_as_transposed_convolutions(&out, options[1]);
            }
            if command == "dcgan" && !phases {
                continue; // The rest does not depend on the network.
            }

            // Nothing is overwritten unless that is asked for; then the bytes are the same, and the report is for people.
            let output = exporter(args.clone());
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && error.contains("--force"), "{case}: {error}");
            assert!(fs::read(&out).unwrap() == bytes, "{case}: the file has changed");
            fs::write(&out, "something else").unwrap();
            let output = exporter(args.chain(&["--force"]));
            assert!(output.status.success(), "{case}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&sha256) && said.contains("against the given model"), "{case}: {said}");
            assert_eq!(
                said.contains("Fréchet distance of 16 images"),
                options[1] == "int8",
                "{case}: {said}"
            );
            assert!(fs::read(&out).unwrap() == bytes, "{case}: other bytes the second time");
        }
        if let Some(python) = python() {
            let args: Vec<&OsStr> = for_others.iter().map(OsString::as_os_str).collect();
            eprint!("{}", run_python(&python, "check_converted.py", &args));
            for file in for_others.iter().map(Path::new).filter(|file| file.with_extension("lat").exists()) {
                let found = psnr(&packed_images(file, &model), &read_array(file).data);
                eprintln!("{}: {found:.1} dB between the packed model and ONNX Runtime", file.display());
                assert!(found > 45.0, "{}: {found} dB", file.display());
            }
        }
    }
}

/// The native engine has no DepthToSpace: packed, the layers are transposed convolutions again, in integers if they were.
fn packs_as_transposed_convolutions(model: &Path, precision: &str) {
    let packed = model.with_extension("lat");
    let output = exporter(["pack", text(model), "--out", text(&packed), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = 20.0 * (2.0 / report["difference"]["rms"].as_f64().unwrap()).log10();
    // A number may be rounded to its other side here and there.
    let least = if precision == "int8" { 50.0 } else { 110.0 };
    assert!(found > least, "{precision}: {found} dB between the packed model and this one");
    let output = exporter(["inspect", text(&packed), "--json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let operators = plan["operators"].as_array().unwrap();
    let is = |kind: &'static str| {
        move |operator: &&Value| operator["kind"].as_str().is_some_and(|found| found.starts_with(kind))
    };
    let transposed: Vec<&Value> = operators.iter().filter(is("transposed convolution")).collect();
    assert!(
        transposed.len() == 2 && !operators.iter().any(|operator| is("convolution")(&operator)),
        "{operators:?}"
    );
    let weights = if precision == "int8" { "int8" } else { "f32" };
    assert!(transposed.iter().all(|operator| operator["weight_type"] == weights), "{transposed:?}");
}

#[test]
fn what_cannot_be_converted_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let model = generator(folder.path(), "vanilla");
    let (page, quantized, array, out) = (file("page.onnx"), file("q.onnx"), file("z.npy"), file("out.onnx"));
    fs::write(&page, "<html>").unwrap();
    fs::write(&array, latent_files::npy::encode(&array, &[2, 7], &[0.0; 14])).unwrap();
    let small = ["--samples", "4", "--task-samples", "0"];
    let args = ["convert", text(&model), "--precision", "int8", "--out", text(&quantized)];
    assert!(exporter(args.into_iter().chain(small)).status.success());
    let cases: &[(&[&str], i32, &str)] = &[
        (&[text(&page), "--precision", "fp16"], 1, "looks like an HTML page"),
        (&["absent.onnx", "--precision", "fp16"], 1, "absent.onnx"),
        (&[text(&model)], 2, "--precision"),
        (&[text(&model), "--precision", "fp8"], 2, "invalid value 'fp8'"),
        (&[text(&model), "--precision", "fp32", "--form", "round"], 2, "invalid value 'round'"),
        (&[text(&quantized), "--precision", "int8"], 1, "quantizes already"),
        (
            &[text(&model), "--precision", "int8", "--calibrator", "percentile", "--percentile", "3"],
            1,
            "percentile is 3",
        ),
        (
            &[text(&model), "--precision", "int8", "--calibration-data", text(&array)],
            1,
            "the array has shape [2, 7]",
        ),
        (
            &[text(&model), "--precision", "int8", "--keep-float", "nowhere"],
            1,
            "no node is named \"nowhere\"",
        ),
    ];
    for (args, code, expected) in cases {
        let output = exporter(["convert", "--out", text(&out)].iter().chain(*args));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {error}");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert!(!out.exists(), "{args:?}");
    }
    // Nor anything half-written beside it.
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["page.onnx", "q.onnx", "vanilla", "vanilla.fp32.onnx", "z.npy"]);
}
