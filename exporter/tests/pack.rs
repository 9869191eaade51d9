//! `exporter pack`, on models that `exporter export` wrote.

mod support;

use std::fs;
use std::path::Path;

use latent_runtime::backend::Backend;
use latent_runtime::format::ModelKind;
use latent_runtime::native::{NativeBackend, NativeOptions};
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
            // The bounds on the largest difference in a range: 32-bit sums, and weights of 11 bits.
            for (precision, bound) in [("f32", 1e-5), ("f16", 5e-3)] {
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
