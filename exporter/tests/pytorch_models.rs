//! Models written by PyTorch's exporters: taken in, evaluated, optimized, and packed for the native engine, they give what PyTorch gave.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array, Real};
use latent_exporter::graph::{Graph, Tensor};
use latent_exporter::import::import_file;
use latent_exporter::onnx::{self, About, FloatType};
use latent_exporter::pack::{FloatPrecision, pack_graph};
use latent_exporter::passes::optimize;
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use latent_test_support::python;
use prost::Message;
use support::{read_tensor, run_python, tensor_file};

/// The operators that are left of each model when it is optimized, whatever exporter and opset wrote it.
#[rustfmt::skip] // One line an architecture.
const LEFT: &[(&str, &[&str])] = &[
    ("vanilla_generator", &["Gemm", "Gemm", "Gemm", "Reshape"]),
    ("dcgan_generator", &["Gemm", "Gemm", "Reshape", "ConvTranspose", "ConvTranspose"]),
    ("dcgan_discriminator", &["Conv", "MaxPool", "Conv", "MaxPool", "Reshape", "Gemm", "Gemm"]),
    // Stem, three blocks of two convolutions, two shortcuts; sums and activations are in the convolutions.
    (
        "encoder",
        &[
            "Conv", "Conv", "Conv", "Conv", "Conv", "Conv", "Conv", "Conv", "Conv", "ReduceMean", "Reshape",
            "LpNormalization",
        ],
    ),
    (
        "mobile",
        &["Conv", "Conv", "Conv", "ReduceMean", "Conv", "Conv", "Mul", "ReduceMean", "Gemm", "Softmax"],
    ),
    (
        "unet",
        &[
            "Pad", "Conv", "AveragePool", "Conv", "ConvTranspose", "Resize", "Concat", "ConvTranspose", "Resize",
            "MaxPool", "Pad", "Clip",
        ],
    ),
    ("permuted", &["Conv", "Conv", "Reshape", "Gemm"]),
    ("unflattened", &["Gemm", "Reshape", "ConvTranspose"]),
];

/// The largest difference between a graph's output and the expected one, over the expected one's range.
fn difference<T: Real>(graph: &Graph, input: &Tensor, expected: &Tensor) -> f64 {
    let found = interpret::run(graph, vec![Array::<T>::from_tensor(input)]).unwrap().swap_remove(0);
    assert_eq!(found.shape, expected.shape());
    error_of(found.data.iter().map(|value| value.to_f64()), expected)
}

fn error_of(found: impl Iterator<Item = f64>, expected: &Tensor) -> f64 {
    let expected = expected.doubles();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    // An output that hardly varies would hide every error.
    assert!(range > 1e-4, "the output is almost constant");
    let errors = found.zip(&expected).map(|(found, expected)| (found - expected).abs());
    errors.fold(0.0, f64::max) / range
}

/// The same for a packed model in the native engine.
fn packed_difference(packed: &[u8], input: &Tensor, expected: &Tensor) -> f64 {
    let mut backend = NativeBackend::from_bytes(packed, &NativeOptions::default()).unwrap();
    let mut output = vec![0.0; expected.len()];
    backend.run(input.shape()[0], input.floats().unwrap(), &mut output).unwrap();
    error_of(output.iter().map(|&value| f64::from(value)), expected)
}

/// Writes a graph as ONNX, takes it in again, and evaluates it.
fn written_difference(
    graph: &Graph,
    floats: FloatType,
    file: &Path,
    input: &Tensor,
    expected: &Tensor,
) -> Result<f64, String> {
    let model = onnx::write(graph, &About::default(), floats).map_err(|error| error.to_string())?;
    fs::write(file, model.encode_to_vec()).unwrap();
    let graph = import_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(difference::<f64>(&graph, input, expected))
}

/// Checks one model.
fn check(folder: &Path, left: &[&str]) -> Result<(), String> {
    let graph = import_file(&folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let [input, output] =
        ["input_0.pb", "output_0.pb"].map(|file| read_tensor(tensor_file(&folder.join(file))));
    let (input, output) = (input?, output?);
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    let ways = [
        ("in f64", difference::<f64>(&graph, &input, &output)),
        ("in f32", difference::<f32>(&graph, &input, &output)),
        ("optimized", difference::<f64>(&optimized, &input, &output)),
    ];
    if let Some((way, error)) = ways.iter().find(|(_, error)| *error > 1e-5) {
        return Err(format!("{way} it differs by {error:e} of the range"));
    }
    for (precision, tolerance) in [(FloatPrecision::F32, 1e-5), (FloatPrecision::F16, 5e-3)] {
        let packed = pack_graph(&optimized, &ModelMetadata::default(), precision)
            .map_err(|error| error.to_string())?;
        let error = packed_difference(&packed, &input, &output);
        if error > tolerance {
            return Err(format!("packed in {precision:?} it differs by {error:e} of the range"));
        }
    }
    for (graph, file, floats) in [
        (&graph, "written.onnx", FloatType::F32),
        (&optimized, "optimized.onnx", FloatType::F32),
        (&optimized, "half.onnx", FloatType::F16),
    ] {
        let error = written_difference(graph, floats, &folder.join(file), &input, &output)?;
        if error > if floats == FloatType::F16 { 5e-3 } else { 1e-5 } {
            return Err(format!("as {file} it differs by {error:e} of the range"));
        }
    }
    let found: Vec<&str> = optimized.nodes.iter().map(|node| node.op.name()).collect();
    if found != left { Err(format!("{found:?} are left, expected {left:?}")) } else { Ok(()) }
}

#[test]
fn pytorch_models_are_taken_in() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    eprint!("{}", run_python(&python, "export_models.py", &[folder.path().as_os_str()]));
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 3 * LEFT.len(), "{names:?}");
    let mut failures = Vec::new();
    for name in &names {
        let Some((_, left)) = LEFT.iter().find(|(model, _)| name.split('-').next() == Some(model)) else {
            panic!("nothing is known of {name}");
        };
        if let Err(error) = check(&folder.path().join(name), left) {
            failures.push(format!("{name}: {error}"));
        }
    }
    eprintln!(
        "{} of {} models of PyTorch's exporters agree with it",
        names.len() - failures.len(),
        names.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What was written, against ONNX's checker and in ONNX Runtime.
    eprint!("{}", run_python(&python, "check_written.py", &[folder.path().as_os_str()]));
}
