//! Encoders: PyTorch, tract, ONNX Runtime and the native engine give the same features for the same images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latent_runtime::open::{BackendKind, OpenOptions, open};
use latent_tests::{python, refuse, root, succeed};
use safetensors::SafeTensors;

/// The largest difference in a range of features: sums of thousands of products in f32, in another order each.
const TOLERANCE: f32 = 2e-5;

/// One way to export: options, which output of PyTorch it gives, and whether the caller normalizes images and outputs.
struct Case {
    options: &'static [&'static str],
    expected: &'static str,
    normalize: bool,
    l2: bool,
}

const CASES: [Case; 4] = [
    Case { options: &[], expected: "features", normalize: false, l2: false },
    Case { options: &["--no-fold"], expected: "features", normalize: false, l2: false },
    Case { options: &["--head", "--l2"], expected: "projections", normalize: false, l2: true },
    Case { options: &["--no-normalize-input"], expected: "features", normalize: true, l2: false },
];

/// Runs `python` with the script of this test.
fn script(python: &Path, arguments: &[&Path]) -> String {
    let script = root().join("tests/python/encoders.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn tensor(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
    let view = file.tensor(name).unwrap();
    let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    (view.shape().to_vec(), values)
}

/// Divides each row by its Euclidean norm.
fn normalize_rows(values: &mut [f32], row: usize) {
    for row in values.chunks_exact_mut(row) {
        let norm = row.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    }
}

#[test]
fn pytorch_and_every_back_end_agree_on_features() {
    let Some(python) = python() else { return };
    let scratch = tempfile::tempdir().unwrap();
    eprint!("{}", script(&python, &[scratch.path()]));
    let mut models: Vec<PathBuf> = Vec::new();
    for encoder in ["small", "resnet18", "bottleneck"] {
        let run = scratch.path().join(encoder);
        let bytes = fs::read(run.join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let description: serde_json::Value =
            serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
        let (shape, images) = tensor(&file, "images");
        // ResNet-18 is the small encoder in large: one way is enough.
        let cases = if encoder == "resnet18" { &CASES[..1] } else { &CASES[..] };
        for (index, case) in cases.iter().enumerate() {
            let out = scratch.path().join(format!("{encoder}-{index}"));
            let base = ["export", run.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"];
            let report = succeed("exporter", [&base[..], case.options].concat());
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            let what = format!("{encoder} {:?}", case.options);
            assert_eq!(report["files"][0]["kind"], "encoder");
            if case.expected == "features" {
                assert_eq!(
                    report["files"][0]["parameters"], description["figures"]["encoder_parameters"],
                    "{what}"
                );
            }
            let model = out.join(format!("{encoder}.fp32.onnx"));
            let packed = out.join(format!("{encoder}.f32.lat"));
            succeed("exporter", ["pack", model.to_str().unwrap(), "--out", packed.to_str().unwrap()]);
            models.push(model.clone());

            let mut input = images.clone();
            if case.normalize {
                let plane = shape[2] * shape[3];
                for (at, values) in input.chunks_exact_mut(plane).enumerate() {
                    let number =
                        |key| description["normalization"][key][at % shape[1]].as_f64().unwrap() as f32;
                    let (mean, std) = (number("mean"), number("std"));
                    values.iter_mut().for_each(|value| *value = (*value - mean) / std);
                }
            }
            let (expected_shape, mut expected) = tensor(&file, case.expected);
            if case.l2 {
                normalize_rows(&mut expected, expected_shape[1]);
            }
            for (file, kind) in
                [(&model, BackendKind::Ort), (&model, BackendKind::Tract), (&packed, BackendKind::Native)]
            {
                let mut backend = open(file, kind, &OpenOptions::default()).unwrap();
                assert_eq!(
                    (backend.input().shape, backend.output().shape),
                    (&shape[1..], &expected_shape[1..])
                );
                for batch in [1, shape[0]] {
                    let (inputs, outputs) = (backend.input().values(), backend.output().values());
                    let mut found = vec![f32::NAN; batch * outputs];
                    backend.run(batch, &input[..batch * inputs], &mut found).unwrap();
                    let off = difference(&found, &expected[..batch * outputs]);
                    println!("{what}, {}, batch {batch}: within {off:e} of the range", backend.describe());
                    assert!(off <= TOLERANCE, "{what}, {}, batch {batch}: off by {off}", backend.describe());
                }
            }
        }
    }
    let arguments: Vec<&Path> =
        std::iter::once(Path::new("check")).chain(models.iter().map(PathBuf::as_path)).collect();
    eprint!("{}", script(&python, &arguments));

    // What the models say of themselves, and what does not go together.
    let inspect = |model: &Path| {
        let text = succeed("runtime", ["inspect", model.to_str().unwrap(), "--json"]);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["metadata"].clone()
    };
    let (as_it_is, left) = (inspect(&models[0]), inspect(&models[3]));
    for (key, value) in [
        ("latent.kind", "encoder"),
        ("latent.architecture", "small"),
        ("latent.range.low", "0"),
        ("latent.range.high", "1"),
        ("latent.image", "3x32x32"),
        ("latent.dataset", "noise"),
        ("latent.output", "features"),
        ("latent.features", "256"),
    ] {
        assert_eq!(as_it_is[key], value, "{key}");
        assert_eq!(left[key], value, "{key}");
    }
    assert_eq!(as_it_is.get("latent.normalize.mean"), None);
    assert_eq!(left["latent.normalize.mean"], "0.4914,0.4822,0.4465");
    let training: serde_json::Value =
        serde_json::from_str(as_it_is["latent.training"].as_str().unwrap()).unwrap();
    assert_eq!((&training["loss"], &training["temperature"]), (&"nt-xent".into(), &0.5.into()));

    let run = scratch.path().join("small");
    let out = scratch.path().join("none");
    let export = ["export", run.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let message = refuse("exporter", [&export[..], &["--discriminator"]].concat());
    assert!(message.contains("--discriminator is for GAN runs, and this is a SimCLR run"), "{message}");
    // A file of another network than run.json tells of.
    let json = fs::read_to_string(run.join("run.json")).unwrap();
    fs::write(run.join("run.json"), json.replacen("\"blocks\": 1", "\"blocks\": 2", 1)).unwrap();
    let message = refuse("exporter", export);
    assert!(message.contains("encoder.safetensors: tensor \"f.3.1.conv1.weight\" is missing"), "{message}");
    assert!(!out.exists(), "a failed export leaves nothing behind");
}

/// The largest difference over the range of the expected values; infinite where a value is not finite.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let low = expected.iter().copied().fold(f32::INFINITY, f32::min);
    let high = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest =
        largest.fold(0.0, |worst: f32, off| if off.is_finite() { worst.max(off) } else { f32::INFINITY });
    largest / (high - low)
}
