//! `exporter pack`, on models that `exporter export` wrote.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::{Convolution, Dim, Element, Elements, Graph, Op, Output, Tensor, Window};
use latent_exporter::onnx::{About, FloatType, write};
use latent_files::npy;
use latent_runtime::backend::Backend;
use latent_runtime::format::ModelKind;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::rng::Rng;
use latent_test_support::{Missing, skip};
use prost::Message;
use support::{exporter, write_run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn exported_models_are_packed() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["vanilla", "dcgan"] {
        let run = folder.path().join(command);
        write_run(&run, command, &[10], false);
        let output = exporter(["export", text(&run), "--out", text(folder.path()), "--discriminator"]);
        assert!(output.status.success());
        let models = [
            (format!("{command}.fp32.onnx"), ModelKind::Generator, "z", "image"),
            (format!("{command}.discriminator.fp32.onnx"), ModelKind::Discriminator, "image", "score"),
        ];
        for (model, kind, input, result) in models {
            let model = folder.path().join(model);
            let mut sizes = Vec::new();
            // The bounds on the largest difference in a range: 32-bit sums, and weights of 11 and of 8 bits.
            for (precision, bound) in [("f32", 1e-5), ("f16", 5e-3), ("bf16", 4e-2)] {
                let packed = model.with_extension(format!("{precision}.lat"));
                let args = ["pack", text(&model), "--precision", precision, "--out", text(&packed), "--json"];
                let output = exporter(args);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let difference = &report["difference"];
                let relative =
                    difference["largest"].as_f64().unwrap() / difference["range"].as_f64().unwrap();
                assert!(relative < bound, "{model:?} {precision}: {relative}");
                sizes.push(report["parameter_bytes"].as_f64().unwrap());
                assert_eq!(report["bytes"].as_u64(), Some(fs::metadata(&packed).unwrap().len()));

                let backend = NativeBackend::load(&packed, &NativeOptions::default()).unwrap();
                assert_eq!((backend.input().name, backend.output().name), (input, result));
                assert_eq!(backend.model().kind(), kind);
                assert_eq!(backend.model().metadata_text("latent.dataset"), Some("mnist"));
                assert_eq!(backend.model().latent_size(), if kind == ModelKind::Generator { 96 } else { 0 });

                // The same bytes again, and nothing overwritten.
                let first = fs::read(&packed).unwrap();
                assert_eq!(exporter(args).status.code(), Some(1));
                assert!(exporter(args.into_iter().chain(["--force"])).status.success());
                assert_eq!(fs::read(&packed).unwrap(), first);
            }
            // The plan is the same from the ONNX model as from the packed one, and says what is fused.
            let plans = [model.clone(), model.with_extension("f32.lat")].map(|file| {
                let output = exporter(["inspect", text(&file)]);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            });
            assert_eq!(plans[0], plans[1]);
            assert!(plans[0].contains("fully connected") && plans[0].contains("relu"), "{}", plans[0]);
            assert!(sizes[1] < 0.6 * sizes[0], "{model:?}: {sizes:?}");
        }
    }
}

#[test]
fn float_models_are_packed_to_int8() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["vanilla", "dcgan"] {
        let run = folder.path().join(command);
        write_run(&run, command, &[10], false);
        assert!(exporter(["export", text(&run), "--out", text(folder.path())]).status.success());
        let model = folder.path().join(format!("{command}.fp32.onnx"));
        let packed = folder.path().join(format!("{command}.int8.lat"));
        let args = ["pack", text(&model), "--precision", "int8", "--samples", "16", "--out", text(&packed)];
        let args = args.into_iter().chain(["--task-samples", "32"]);
        let output = exporter(args.clone().chain(["--json"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

        // What the engine gives, in integers, is what the quantized graph gives by definition: as far from the floats.
        let difference = &report["difference"];
        let number = |name: &str| difference[name].as_f64().unwrap();
        let psnr = 20.0 * (2.0 / number("rms")).log10();
        let quantization = &report["quantization"];
        let expected = quantization["outputs"][0]["psnr"].as_f64().unwrap();
        assert!(psnr > 35.0 && (psnr - expected).abs() < 1.5, "{command}: {psnr} dB, expected {expected}");
        assert_eq!(quantization["source"], "latents");
        assert_eq!(quantization["calibration_samples"], 16);
        assert_eq!(quantization["outputs"][0]["peak"], 2.0);
        let layers = quantization["layers"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["int8"] == true), "{layers:?}");
        let backend = NativeBackend::load(&packed, &NativeOptions::default()).unwrap();
        assert_eq!(backend.model().precision().name(), "int8");
        assert_eq!(backend.model().latent_size(), 96);
        // A quarter of the floats' bytes, and a little for the scales.
        let weights: f64 = fs::metadata(&model).unwrap().len() as f64;
        let bytes = report["bytes"].as_f64().unwrap();
        assert!(bytes < 0.3 * weights, "{bytes} of {weights}");

        // The same bytes again; the report as tables.
        let first = fs::read(&packed).unwrap();
        let output = exporter(args.into_iter().chain(["--force", "--verbose"]));
        assert!(output.status.success());
        let tables = String::from_utf8_lossy(&output.stdout).into_owned();
        for part in ["computes in", "zero point", "PSNR dB", "16 latents", "held-out"] {
            assert!(tables.contains(part), "{part}: {tables}");
        }
        assert_eq!(fs::read(&packed).unwrap(), first);

        // Half of that with weights of 4 bits, which cost 15 dB.
        let packed = folder.path().join(format!("{command}.int4.lat"));
        let args = ["pack", text(&model), "--precision", "int4", "--samples", "16", "--out", text(&packed)];
        let output = exporter(args.into_iter().chain(["--task-samples", "32", "--json"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let with_4 = 20.0 * (2.0 / report["difference"]["rms"].as_f64().unwrap()).log10();
        assert!(with_4 > psnr - 20.0 && with_4 < psnr, "{command}: {with_4} dB, {psnr} in int8");
        let halved = report["bytes"].as_f64().unwrap() / bytes;
        assert!(halved < 0.6, "{command}: {halved} of int8's bytes");
        let backend = NativeBackend::load(&packed, &NativeOptions::default()).unwrap();
        assert_eq!(backend.model().precision().name(), "int4");
    }
}

/// One 3x3 convolution of 16 channels over 8x8 pixels, as ONNX.
fn convolution(path: &Path) {
    let mut graph = Graph::default();
    let shape = [Dim::Batch, Dim::Size(16), Dim::Size(8), Dim::Size(8)];
    let image = graph.add_input("image", Element::F32, shape.to_vec());
    let mut rng = Rng::from_seed(1);
    let weights = (0..16 * 16 * 9).map(|_| rng.uniform(-0.1, 0.1)).collect();
    let weights = Tensor::new(vec![16, 16, 3, 3], Elements::F32(weights)).unwrap();
    let weights = graph.add_constant("weights", weights);
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4] };
    let value =
        graph.add_node("conv", Op::Conv(Convolution { window, groups: 1 }), vec![image, weights], "features");
    graph.outputs.push(Output { name: "features".into(), value: value.unwrap() });
    let model = write(&graph, &About::default(), FloatType::F32).unwrap();
    fs::write(path, model.encode_to_vec()).unwrap();
}

#[test]
fn convolutions_are_transformed_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    convolution(&model);
    for (precision, size, bound) in [("f32", 4, 1e-5), ("f16", 2, 5e-3), ("bf16", 2, 4e-2)] {
        let [transformed, direct] = [&[][..], &["--no-winograd"]].map(|more| {
            let packed = folder.path().join("model.lat");
            let args = ["pack", text(&model), "--precision", precision, "--out", text(&packed)];
            let output = exporter(args.iter().chain(&["--json", "--force"]).chain(more));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let number = |name: &str| report["difference"][name].as_f64().unwrap();
            let relative = number("largest") / number("range");
            assert!(relative < bound, "{precision} {more:?}: {relative}");
            let output = exporter(["inspect", text(&packed), "--json"]);
            let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let operator = &plan["operators"][0];
            assert_eq!(operator["weight_type"], precision);
            let kind = operator["kind"].as_str().unwrap().to_string();
            (kind, operator["weight_bytes"].as_u64().unwrap(), plan["scratch_bytes"].as_u64().unwrap())
        });
        // 16 or 9 numbers for each pair of channels; half a megabyte to work in.
        assert_eq!(transformed, ("convolution 3x3 p1 winograd".into(), 16 * 16 * 16 * size, 526_336));
        assert_eq!(direct, ("convolution 3x3 p1".into(), 9 * 16 * 16 * size, 0));
    }
}

/// Options that would be ignored are refused; calibration data that tells nothing is warned of; the first line is the result.
#[test]
fn options_apply_or_are_refused_and_useless_data_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    convolution(Path::new(&at("model.onnx")));
    let (model, out, data) = (at("model.onnx"), at("model.lat"), at("data.npy"));
    let args = |more: &[&str]| {
        let output = exporter([&["pack", &model, "--out", &out, "--force"], more].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for option in [
        &["--samples", "5"][..],
        &["--calibrator", "mse"],
        &["--per-tensor"],
        &["--keep-float", "conv"],
        &["--seed", "1"],
        &["--task-samples", "4"],
        &["--precision", "fp16", "--weight-range", "mse"],
    ] {
        let (code, _, error) = args(option);
        assert!(code == Some(1) && error.contains("is for quantizing a float model"), "{option:?}: {error}");
    }
    let int8 = ["--precision", "int8", "--calibration-data", &data];
    let (code, _, error) = args(&[&int8[..], &["--percentile", "99"]].concat());
    assert!(code == Some(1) && error.contains("--percentile is for --calibrator percentile"), "{error}");
    let (code, _, error) = args(&["--precision", "int8", "--seed=-1"]);
    assert!(code == Some(2) && error.contains("seeds are whole numbers"), "{error}");

    let usual: Vec<f32> = (0..40 * 1024).map(|at| (at * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let mut outlier = usual.clone();
    outlier[5] = 1e6;
    let cases = [
        (vec![0.0; usual.len()], Some("every value is 0")),
        (vec![0.5; usual.len()], Some("every value is 0.5")),
        (outlier, Some("a value reaches 1000000.0000")),
        (usual, None),
    ];
    for (values, expected) in cases {
        let array = npy::encode(Path::new(&data), &[40, 16, 8, 8], &values);
        fs::write(&data, array).unwrap();
        let (code, said, error) = args(&int8);
        assert_eq!(code, Some(0), "{error}");
        assert_eq!(error.contains("warning: --calibration-data"), expected.is_some(), "{error}");
        assert!(expected.is_none_or(|text| error.contains(text)), "{expected:?}: {error}");
        assert!(error.contains("observing ranges on 32 arrays"), "{error}");
        let first = said.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("wrote {out}: ")) && first.contains("outputs"), "{said}");
        assert!(!said.contains("zero point") && said.contains("--verbose"), "{said}");
    }
    for (name, expected) in
        [("fp32", "f32"), ("f32", "f32"), ("fp16", "f16"), ("f16", "f16"), ("bf16", "bf16")]
    {
        let (code, _, error) = args(&["--precision", name]);
        assert_eq!(code, Some(0), "{error}");
        let backend = NativeBackend::load(&out, &NativeOptions::default()).unwrap();
        assert_eq!(backend.model().precision().name(), expected);
    }
}

#[test]
fn what_cannot_be_packed_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    let out = folder.path().join("model.lat");
    fs::write(&file, "<html>").unwrap();
    let cases = [
        (vec!["pack", text(&file), "--out", text(&out)], 1, "looks like an HTML page"),
        (vec!["pack", "absent.onnx", "--out", text(&out)], 1, "absent.onnx"),
        (vec!["pack", text(&file), "--out", text(&out), "--precision", "f64"], 2, "invalid value 'f64'"),
    ];
    for (args, code, expected) in cases {
        let output = exporter(&args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!out.exists());
    }
}

/// A vanilla generator, packed with 8-bit integers, as sources for devices; the options after `--emit`.
fn emitted(folder: &Path, language: &str) -> String {
    let run = folder.join("vanilla");
    write_run(&run, "vanilla", &[10], false);
    assert!(exporter(["export", text(&run), "--out", text(folder)]).status.success());
    let (model, out) = (folder.join("vanilla.fp32.onnx"), folder.join("My-digits.lat"));
    let args = ["pack", text(&model), "--precision", "int8", "--out", text(&out), "--emit", language];
    let output = exporter(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Nothing is overwritten unless it is asked for.
    assert_eq!(exporter(args).status.code(), Some(1));
    assert!(exporter(args.into_iter().chain(["--force"])).status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_emitted_crate_builds_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let said = emitted(folder.path(), "rust");
    assert!(said.contains("RAM: arena") && said.contains("Cortex-M0"), "{said}");
    let program = folder.path().join("my_digits/examples/run.rs");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let source = "fn main() {\n    let mut session = my_digits::session().unwrap();\n    \
                  let mut image = [0; my_digits::OUTPUT_LEN];\n    \
                  session.run_u8(&[0.5; my_digits::INPUT_LEN], &mut image).unwrap();\n    \
                  println!(\"{} {}\", image.len(), my_digits::INPUT_LEN);\n}\n";
    fs::write(program, source).unwrap();
    // The crate is not in a registry; what is not needed of it is not built.
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("runtime");
    let patch = format!("patch.crates-io.latent-runtime.path={:?}", text(&runtime));
    let output = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--config", &patch, "--example", "run"])
        .current_dir(folder.path().join("my_digits"))
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "784 96\n");
}

#[test]
fn emitted_c_holds_the_file() {
    let folder = tempfile::tempdir().unwrap();
    emitted(folder.path(), "c");
    let main = "#include <stdint.h>\n#include <stdio.h>\n#include \"my_digits.h\"\nint main(void) {\n  \
                if ((uintptr_t)my_digits_model % 64 != 0 || MY_DIGITS_INPUT_LEN != 96u || MY_DIGITS_OUTPUT_LEN != 784u)\n    \
                return 1;\n  return fwrite(my_digits_model, 1, MY_DIGITS_LEN, stdout) != MY_DIGITS_LEN;\n}\n";
    fs::write(folder.path().join("main.c"), main).unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "my_digits.c", "-o", "main"])
        .current_dir(folder.path())
        .output();
    let Ok(compiled) = compiled else {
        skip!(Missing::Compiler, "there is no cc");
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = std::process::Command::new(folder.path().join("main")).output().unwrap();
    assert!(ran.status.success() && ran.stdout == fs::read(folder.path().join("My-digits.lat")).unwrap());
}
