//! Run folders as the trainer writes them, with random weights, and the way to call the program and Python.

#![allow(dead_code)] // Each test program uses a part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use latent_exporter::graph::Tensor;
use latent_exporter::import::import;
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use latent_runtime::rng::Rng;
use prost::Message;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

/// What a tensor is for: decides the range of its random values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// Weights and biases: U(±bound).
    Uniform(f32),
    /// BatchNorm's gamma: U(-0.5, 1.5), negative values included, since they are what wrong folding trips over.
    Gamma,
    /// BatchNorm's beta: U(±0.5).
    Beta,
    /// Running mean: U(0, 1).
    Mean,
    /// Running variance: U(0.1, 2).
    Variance,
    /// `num_batches_tracked`.
    Count,
}

/// Name, shape and role of each tensor.
pub(crate) type Spec = Vec<(String, Vec<usize>, Role)>;

/// A layer with weight and bias; `fan_in` gives PyTorch's default bound.
fn layer(spec: &mut Spec, index: usize, weight: &[usize], outputs: usize, fan_in: usize) {
    let bound = Role::Uniform(1.0 / (fan_in as f32).sqrt());
    spec.push((format!("{index}.weight"), weight.to_vec(), bound));
    spec.push((format!("{index}.bias"), vec![outputs], bound));
}

fn batch_norm(spec: &mut Spec, index: usize, channels: usize) {
    let parts = [
        ("weight", Role::Gamma),
        ("bias", Role::Beta),
        ("running_mean", Role::Mean),
        ("running_var", Role::Variance),
    ];
    spec.extend(parts.map(|(part, role)| (format!("{index}.{part}"), vec![channels], role)));
    spec.push((format!("{index}.num_batches_tracked"), vec![], Role::Count));
}

/// The generator's tensors: those of the notebook's `nn.Sequential`.
pub(crate) fn generator(net: &str, latent: usize) -> Spec {
    let mut spec = Spec::new();
    layer(&mut spec, 0, &[1024, latent], 1024, latent);
    if net == "vanilla" {
        layer(&mut spec, 2, &[1024, 1024], 1024, 1024);
        layer(&mut spec, 4, &[784, 1024], 784, 1024);
    } else {
        batch_norm(&mut spec, 2, 1024);
        layer(&mut spec, 3, &[6272, 1024], 6272, 1024);
        batch_norm(&mut spec, 5, 6272);
        layer(&mut spec, 7, &[128, 64, 4, 4], 64, 128 * 4);
        batch_norm(&mut spec, 9, 64);
        layer(&mut spec, 10, &[64, 1, 4, 4], 1, 64 * 4);
    }
    spec
}

/// The discriminator's tensors, with so many scores.
pub(crate) fn discriminator(net: &str, scores: usize) -> Spec {
    let mut spec = Spec::new();
    if net == "vanilla" {
        layer(&mut spec, 1, &[256, 784], 256, 784);
        layer(&mut spec, 3, &[256, 256], 256, 256);
        layer(&mut spec, 5, &[scores, 256], scores, 256);
    } else {
        layer(&mut spec, 1, &[32, 1, 5, 5], 32, 25);
        layer(&mut spec, 4, &[64, 32, 5, 5], 64, 800);
        layer(&mut spec, 8, &[1024, 1024], 1024, 1024);
        layer(&mut spec, 10, &[scores, 1024], scores, 1024);
    }
    spec
}

/// The bytes of a safetensors file with random values.
pub(crate) fn safetensors(spec: &Spec, seed: u64) -> Vec<u8> {
    let mut rng = Rng::from_seed(seed);
    let tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = spec
        .iter()
        .map(|(name, shape, role)| {
            let (low, high) = match role {
                Role::Uniform(bound) => (-bound, *bound),
                Role::Gamma => (-0.5, 1.5),
                Role::Beta => (-0.5, 0.5),
                Role::Mean => (0.0, 1.0),
                Role::Variance => (0.1, 2.0),
                Role::Count => {
                    return (name.clone(), Dtype::I64, shape.clone(), 390i64.to_le_bytes().to_vec());
                }
            };
            let count = shape.iter().product();
            let data = (0..count).flat_map(|_| rng.uniform(low, high).to_le_bytes()).collect();
            (name.clone(), Dtype::F32, shape.clone(), data)
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

/// A `run.json` of the reference run of `command` (`vanilla`, `lsgan` or `dcgan`).
pub(crate) fn run_json(command: &str, iteration: u64) -> serde_json::Value {
    let net = if command == "dcgan" { "dcgan" } else { "vanilla" };
    let loss = if command == "lsgan" { "ls" } else { "bce" };
    serde_json::json!({
        "format": 1, "kind": "gan", "command": command, "latent_version": "0.1.0", "libtorch": "2.11.0", "seed": 7,
        "net": net, "loss": loss,
        "latent": {"size": 96, "distribution": "uniform", "low": -1.0, "high": 1.0},
        "image": {"channels": 1, "height": 28, "width": 28, "low": -1.0, "high": 1.0},
        "data": {"name": "mnist", "source": "mnist:DIR", "images": 50000, "crc32c": 3033760961u32},
        "hyperparameters": {"batch_size": 128},
        "progress": {"iteration": iteration, "iterations": 1950, "epoch": 5.0, "seconds": 1.0, "finished": true, "stopped_by": null},
        "figures": {"d_loss": 1.1, "g_loss": 0.9, "diversity": 0.3, "iterations_per_second": 9.0},
        "diagnosis": [], "verdict": "healthy"
    })
}

/// Writes a run folder with a checkpoint for each of `iterations`; with `ema`, each has the moving average too.
pub(crate) fn write_run(run: &Path, command: &str, iterations: &[u64], ema: bool) {
    write_run_of_classes(run, command, iterations, ema, 0);
}

/// [`write_run`], of a conditional GAN unless there are no classes.
pub(crate) fn write_run_of_classes(run: &Path, command: &str, iterations: &[u64], ema: bool, classes: usize) {
    let net = if command == "dcgan" { "dcgan" } else { "vanilla" };
    for &iteration in iterations {
        let checkpoint = checkpoint(run, iteration);
        fs::create_dir_all(&checkpoint).unwrap();
        let write = |file: &str, spec: Spec, seed: u64| {
            fs::write(checkpoint.join(file), safetensors(&spec, seed + iteration)).unwrap();
        };
        write("generator.safetensors", generator(net, 96 + classes), 1);
        write("discriminator.safetensors", discriminator(net, 1 + classes), 2);
        if ema {
            write("generator_ema.safetensors", generator(net, 96 + classes), 3);
        }
    }
    fs::create_dir_all(run).unwrap();
    let newest = iterations.iter().copied().max().unwrap_or(0);
    let mut json = run_json(command, newest);
    if classes > 0 {
        let names: Vec<String> = (0..classes).map(|class| format!("kind \"{class}\"")).collect();
        json["classes"] = serde_json::json!({"count": classes, "names": names, "crc32c": 7});
    }
    fs::write(run.join("run.json"), json.to_string()).unwrap();
}

/// The folder of a checkpoint.
pub(crate) fn checkpoint(run: &Path, iteration: u64) -> PathBuf {
    run.join(format!("checkpoints/{iteration:08}"))
}

/// Runs the program `exporter`.
pub(crate) fn exporter<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_exporter")).args(args).output().unwrap()
}

/// Runs a script of this folder; panics with what it printed when it fails.
pub(crate) fn run_python(python: &Path, script: &str, args: &[&std::ffi::OsStr]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let output = Command::new(python).env("OMP_NUM_THREADS", "2").arg(&script).args(args).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}: {stdout}\n{}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// Reads a tensor in a file of its own.
pub(crate) fn tensor_file(path: &Path) -> TensorProto {
    TensorProto::decode(fs::read(path).unwrap().as_slice()).unwrap()
}

/// A graph whose one output is the tensor: what the importer makes of a tensor is what it makes of a constant.
pub(crate) fn read_tensor(proto: TensorProto) -> Result<Tensor, String> {
    let output = ValueInfoProto { name: proto.name.clone(), ..ValueInfoProto::default() };
    let model = ModelProto {
        opset_import: vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }],
        graph: Some(GraphProto { initializer: vec![proto], output: vec![output], ..GraphProto::default() }),
        ..ModelProto::default()
    };
    let graph = import(&model).map_err(|error| error.to_string())?;
    graph.constant(graph.outputs[0].value).cloned().ok_or_else(|| "not a constant".to_string())
}

/// The largest difference, over the expected range.
pub(crate) fn error_of(found: impl Iterator<Item = f64>, expected: &Tensor) -> f64 {
    let expected = expected.doubles();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    // An output that hardly varies would hide every error.
    assert!(range > 1e-4, "the output is almost constant");
    found.zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max) / range
}

/// The same for a packed model of one input and one output in the native engine.
pub(crate) fn packed_error(packed: &[u8], input: &Tensor, expected: &Tensor) -> f64 {
    let mut backend = NativeBackend::from_bytes(packed, &NativeOptions::default()).unwrap();
    assert_eq!(backend.input().shape, &input.shape()[1..]);
    assert_eq!(backend.output().shape, &expected.shape()[1..]);
    let mut output = vec![0.0; expected.len()];
    backend.run(input.shape()[0], input.floats().unwrap(), &mut output).unwrap();
    error_of(output.iter().map(|&value| f64::from(value)), expected)
}

/// Runs the program `exporter`; what it said when it failed.
pub(crate) fn exporter_succeeds(arguments: &[&str]) -> Result<(), String> {
    let output = exporter(arguments);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
