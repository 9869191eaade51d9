//! `exporter export`, on run folders with random weights: the models against PyTorch and ONNX's own checker, the
//! files' contents, and what is said when a run cannot be exported.

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use latent_runtime::onnx::proto::ModelProto;
use latent_test_support::python;
use prost::Message;
use support::{checkpoint, exporter, run_python, write_run, write_run_of_classes};

fn export(run: &Path, out: &Path, extra: &[&str]) -> std::process::Output {
    let mut args: Vec<&OsStr> = vec!["export".as_ref(), run.as_os_str(), "--out".as_ref(), out.as_os_str()];
    args.extend(extra.iter().map(OsStr::new));
    exporter(args)
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn model(path: &Path) -> ModelProto {
    ModelProto::decode(fs::read(path).unwrap().as_slice()).unwrap()
}

fn operators(model: &ModelProto) -> Vec<&str> {
    model.graph.as_ref().unwrap().node.iter().map(|node| node.op_type.as_str()).collect()
}

/// All three generators and both discriminators (LSGAN's networks are the vanilla ones), folded and not; conditional ones too.
#[test]
fn models_agree_with_pytorch() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut args: Vec<OsString> = Vec::new();
    for (command, net, classes) in [
        ("vanilla", "vanilla", 0),
        ("lsgan", "vanilla", 0),
        ("dcgan", "dcgan", 0),
        ("vanilla", "vanilla", 3),
        ("dcgan", "dcgan", 10),
    ] {
        let name = format!("{command}{classes}");
        let run = folder.path().join(&name);
        write_run_of_classes(&run, command, &[1950], false, classes);
        for (out, extra) in
            [("folded", &["--discriminator"][..]), ("kept", &["--discriminator", "--no-fold"])]
        {
            if command == "lsgan" && out == "kept" {
                continue;
            }
            let out = folder.path().join(out);
            let output = export(&run, &out, extra);
            assert!(output.status.success(), "{}", stderr(&output));
            for (kind, file) in [("generator", "fp32.onnx"), ("discriminator", "discriminator.fp32.onnx")] {
                let weights = checkpoint(&run, 1950).join(format!("{kind}.safetensors"));
                let model = out.join(format!("{name}.{file}"));
                args.extend([net.into(), kind.into(), classes.to_string().into()]);
                args.extend([weights.into_os_string(), model.into_os_string()]);
            }
        }
    }
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    eprint!("{}", run_python(&python, "check_export.py", &args));
}

#[test]
fn a_model_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("models"));
    write_run(&run, "dcgan", &[250, 1950], true);
    let output = export(&run, &out, &["--discriminator", "--name", "digits", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["iteration"], 1950);
    // REFERENCE.md's parameter counts. Multiply-accumulates: inputs times outputs of the fully connected layers;
    // weights times input positions (transposed) or output positions (not) of the convolutions.
    let generator_macs = 96 * 1024 + 1024 * 6272 + 128 * 64 * 16 * (7 * 7) + 64 * 16 * (14 * 14);
    let discriminator_macs = 32 * 25 * (24 * 24) + 32 * 64 * 25 * (8 * 8) + 1024 * 1024 + 1024;
    let expected = [
        ("generator", "ema", 6_675_009u64, generator_macs, "digits.fp32.onnx"),
        ("discriminator", "raw", 1_102_721, discriminator_macs, "digits.discriminator.fp32.onnx"),
    ];
    for (file, (kind, weights, parameters, macs, name)) in
        report["files"].as_array().unwrap().iter().zip(expected)
    {
        let path = out.join(name);
        assert_eq!((file["kind"].as_str(), file["weights"].as_str()), (Some(kind), Some(weights)));
        assert_eq!((file["parameters"].as_u64(), file["macs"].as_u64()), (Some(parameters), Some(macs)));
        assert_eq!(file["path"], path.to_str().unwrap());
        assert_eq!(file["bytes"], fs::metadata(&path).unwrap().len());
    }

    let generator = model(&out.join("digits.fp32.onnx"));
    assert_eq!((generator.ir_version, generator.opset_import[0].version), (8, 17));
    assert_eq!(generator.producer_name, "latent-exporter");
    let found: Vec<_> =
        generator.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    let (training, rest) = found.split_last().unwrap();
    let expected = [
        ("latent.format", "1"),
        ("latent.kind", "generator"),
        ("latent.architecture", "dcgan"),
        ("latent.weights", "ema"),
        ("latent.latent_size", "96"),
        ("latent.distribution", "uniform"),
        ("latent.distribution.a", "-1"),
        ("latent.distribution.b", "1"),
        ("latent.range.low", "-1"),
        ("latent.range.high", "1"),
        ("latent.image", "1x28x28"),
        ("latent.dataset", "mnist"),
    ];
    assert_eq!(rest, expected);
    assert_eq!(training.0, "latent.training");
    let training: serde_json::Value = serde_json::from_str(training.1).unwrap();
    assert_eq!((&training["iteration"], &training["loss"]), (&1950.into(), &"bce".into()));
    assert_eq!((&training["g_loss"], &training["epoch"]), (&0.9.into(), &5.0.into()));

    // An older checkpoint of the same run does not claim the newest one's figures.
    let output = export(&checkpoint(&run, 250), &out, &["--name", "early", "--weights", "raw"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let early = model(&out.join("early.fp32.onnx"));
    let training: serde_json::Value =
        serde_json::from_str(&early.metadata_props.last().unwrap().value).unwrap();
    assert_eq!(training["iteration"], 250);
    assert!(training.get("g_loss").is_none() && training.get("epoch").is_none());
    assert_eq!(early.metadata_props[3].value, "raw");
}

#[test]
fn a_conditional_model_says_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("models"));
    write_run_of_classes(&run, "dcgan", &[1950], false, 3);
    let output = export(&run, &out, &["--discriminator", "--name", "digits"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for (file, input) in [("digits.fp32.onnx", "z"), ("digits.discriminator.fp32.onnx", "image")] {
        let model = model(&out.join(file));
        let inputs: Vec<&str> =
            model.graph.as_ref().unwrap().input.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(inputs, [input, "label"]);
        let label = &model.graph.as_ref().unwrap().input[1];
        assert!(label.doc_string.starts_with("Classes, numbers from 0 to 2: 0 (kind \"0\"), 1"), "{label:?}");
        let said = |key: &str| {
            model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
        };
        assert_eq!(said("latent.label"), Some("label"));
        assert_eq!(said("latent.classes"), Some("3"));
        let names: Vec<String> = serde_json::from_str(said("latent.class_names").unwrap()).unwrap();
        assert_eq!(names, ["kind \"0\"", "kind \"1\"", "kind \"2\""]);
    }
}

#[test]
fn batch_norm_folds_where_that_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("models"));
    write_run(&run, "dcgan", &[10], false);
    assert!(export(&run, &out, &["--name", "folded"]).status.success());
    assert!(export(&run, &out, &["--name", "kept", "--no-fold"]).status.success());
    let folded =
        ["Gemm", "Relu", "Gemm", "Relu", "Mul", "Add", "Reshape", "ConvTranspose", "Relu", "Mul", "Add"];
    let kept = ["Gemm", "Relu", "BatchNormalization", "Gemm", "Relu", "BatchNormalization", "Reshape"];
    let kept_end = ["ConvTranspose", "Relu", "BatchNormalization"];
    let end = ["ConvTranspose", "Tanh"];
    assert_eq!(operators(&model(&out.join("folded.fp32.onnx"))), [&folded[..], &end].concat());
    assert_eq!(operators(&model(&out.join("kept.fp32.onnx"))), [&kept[..], &kept_end, &end].concat());
}

#[test]
fn the_same_run_gives_the_same_bytes_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("models"));
    write_run(&run, "vanilla", &[10], false);
    let output = export(&run, &out, &[]);
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("run.fp32.onnx") && table.contains("1 952 528"), "{table}");
    let first = fs::read(out.join("run.fp32.onnx")).unwrap();

    // The discriminator is not there yet; all the same nothing is written, for the generator is.
    let output = export(&run, &out, &["--discriminator"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("run.fp32.onnx is there already; replace it with --force"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);

    assert!(export(&run, &out, &["--force"]).status.success());
    assert_eq!(fs::read(out.join("run.fp32.onnx")).unwrap(), first);
}

/// One case of a run that cannot be exported: how it is spoilt, further options, and what must be said.
type Case = (&'static str, fn(&Path), &'static [&'static str], &'static [&'static str]);

fn spoil_json(run: &Path, find: &str, replace: &str) {
    let path = run.join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(find), "{find}");
    fs::write(path, text.replace(find, replace)).unwrap();
}

#[test]
fn a_run_that_cannot_be_exported_is_explained() {
    let cases: &[Case] = &[
        ("no such folder", |run| fs::remove_dir_all(run).unwrap(), &[], &["run: no such folder"]),
        ("not a run", |run| fs::remove_file(run.join("run.json")).unwrap(), &[], &["not a run", "run.json"]),
        (
            "no checkpoint",
            |run| fs::remove_dir_all(run.join("checkpoints")).unwrap(),
            &[],
            &["no checkpoint yet", "wait for its first save"],
        ),
        ("newer", |run| spoil_json(run, "\"format\":1", "\"format\":9"), &[], &["format 9", "up to 1"]),
        (
            "no JSON",
            |run| fs::write(run.join("run.json"), "{\"format\":1,").unwrap(),
            &[],
            &["run.json", "EOF"],
        ),
        (
            "other latent size",
            |run| spoil_json(run, "\"size\":96", "\"size\":64"),
            &[],
            &[
                "generator.safetensors: tensor \"0.weight\" has shape [1024, 96], expected [1024, 64] (as run.json says",
            ],
        ),
        (
            "other image size",
            |run| spoil_json(run, "\"height\":28", "\"height\":32"),
            &[],
            &["tensor \"4.weight\" has shape [784, 1024], expected [896, 1024] (as run.json says"],
        ),
        (
            "other network",
            |run| spoil_json(run, "\"net\":\"vanilla\"", "\"net\":\"dcgan\""),
            &[],
            &["tensor \"2.weight\" has shape [1024, 1024], expected 1 axes"],
        ),
        ("no average", |_| {}, &["--weights", "ema"], &["no generator_ema.safetensors", "--weights raw"]),
        (
            "no discriminator",
            |run| fs::remove_file(checkpoint(run, 10).join("discriminator.safetensors")).unwrap(),
            &["--discriminator"],
            &["no discriminator.safetensors"],
        ),
        (
            "cut off",
            |run| {
                let path = checkpoint(run, 10).join("generator.safetensors");
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            &[],
            &["generator.safetensors", "damaged or was cut off", "another checkpoint"],
        ),
        (
            "not a number",
            |run| {
                let path = checkpoint(run, 10).join("generator.safetensors");
                let mut bytes = fs::read(&path).unwrap();
                let end = bytes.len();
                bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
                fs::write(path, bytes).unwrap();
            },
            &[],
            &["generator.safetensors: tensor \"", "is not finite", "NaN"],
        ),
        ("a name with a folder", |_| {}, &["--name", "../x"], &["--name \"../x\""]),
    ];
    let mut failures = Vec::new();
    for (name, spoil, extra, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (run, out) = (folder.path().join("run"), folder.path().join("models"));
        write_run(&run, "vanilla", &[10], false);
        spoil(&run);
        let output = export(&run, &out, extra);
        let text = stderr(&output);
        let said = expected.iter().all(|part| text.contains(part));
        if output.status.code() != Some(1) || !said || text.lines().count() != 1 || out.exists() {
            failures.push(format!("{name}: {:?} {text}, expected {expected:?}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_out_that_cannot_be_written_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    write_run(&run, "vanilla", &[10], false);
    fs::write(folder.path().join("file"), "").unwrap();
    let output = export(&run, &folder.path().join("file/models"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("file is a file, not a folder"), "{}", stderr(&output));
    assert_eq!(export(&run, folder.path(), &["--weights", "best"]).status.code(), Some(2));
}

/// A disk that fills up: here a limit on the length of files, which fails the same call.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("models"));
    write_run(&run, "vanilla", &[10], false);
    let output = Command::new("bash")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 1000; exec "$0" export "$1" --out "$2""#])
        .args([OsStr::new(env!("CARGO_BIN_EXE_exporter")), run.as_os_str(), out.as_os_str()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("run.fp32.onnx: File too large"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}
