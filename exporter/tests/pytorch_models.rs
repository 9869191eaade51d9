//! Models written by PyTorch's exporters: taken in, evaluated, optimized, and packed for the native engine, they give what
//! PyTorch gave.

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
use support::{error_of, read_tensor, run_python, tensor_file};

/// The operators that are left of each model when it is optimized, whatever exporter and opset wrote it. The families of
/// `families.py`, which nobody tuned for, are not here: of them only the numbers are checked.
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

/// Inputs of a model and what PyTorch gives for them.
struct Expected {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Expected {
    fn read(folder: &Path) -> Result<Expected, String> {
        let tensors = |role: &str| {
            let files = (0..).map(|i| folder.join(format!("{role}_{i}.pb"))).take_while(|file| file.exists());
            files.map(|file| read_tensor(tensor_file(&file))).collect::<Result<Vec<_>, _>>()
        };
        Ok(Expected { inputs: tensors("input")?, outputs: tensors("output")? })
    }

    /// The largest of the outputs' differences, each over its expected range.
    fn largest<V: IntoIterator<Item = f64>>(&self, found: impl IntoIterator<Item = V>) -> f64 {
        let errors =
            found.into_iter().zip(&self.outputs).map(|(found, output)| error_of(found.into_iter(), output));
        errors.fold(0.0, f64::max)
    }

    /// The difference of what a graph gives.
    fn of_graph<T: Real>(&self, graph: &Graph) -> f64 {
        let found = interpret::run(graph, self.inputs.iter().map(Array::<T>::from_tensor).collect()).unwrap();
        assert_eq!(found.len(), self.outputs.len());
        for (found, expected) in found.iter().zip(&self.outputs) {
            assert_eq!(found.shape, expected.shape());
        }
        self.largest(found.iter().map(|found| found.data.iter().map(|value| value.to_f64())))
    }

    /// The difference of what a packed model gives in the native engine.
    fn of_packed(&self, packed: &[u8]) -> f64 {
        let mut backend = NativeBackend::from_bytes(packed, &NativeOptions::default()).unwrap();
        // Integers are given as floats.
        let floats = |tensor: &Tensor| tensor.doubles().into_iter().map(|value| value as f32).collect();
        let inputs: Vec<Vec<f32>> = self.inputs.iter().map(floats).collect();
        let mut found: Vec<Vec<f32>> = self.outputs.iter().map(|output| vec![0.0; output.len()]).collect();
        let given: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let mut taken: Vec<&mut [f32]> = found.iter_mut().map(Vec::as_mut_slice).collect();
        backend.run_all(self.inputs[0].shape()[0], &given, &mut taken).unwrap();
        self.largest(found.into_iter().map(|found| found.into_iter().map(f64::from)))
    }

    /// Writes a graph as ONNX, takes it in again, and gives the difference of that.
    fn of_written(&self, graph: &Graph, floats: FloatType, file: &Path) -> Result<f64, String> {
        let model = onnx::write(graph, &About::default(), floats).map_err(|error| error.to_string())?;
        fs::write(file, model.encode_to_vec()).unwrap();
        let graph = import_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(self.of_graph::<f64>(&graph))
    }
}

/// Checks one model.
fn check(folder: &Path, left: Option<&[&str]>) -> Result<(), String> {
    let expected = Expected::read(folder)?;
    let graph = import_file(&folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    let ways = [
        ("in f64", expected.of_graph::<f64>(&graph)),
        ("in f32", expected.of_graph::<f32>(&graph)),
        ("optimized", expected.of_graph::<f64>(&optimized)),
    ];
    if let Some((way, error)) = ways.iter().find(|(_, error)| *error > 1e-5) {
        return Err(format!("{way} it differs by {error:e} of the range"));
    }
    for (precision, tolerance) in
        [(FloatPrecision::F32, 1e-5), (FloatPrecision::F16, 5e-3), (FloatPrecision::Bf16, 4e-2)]
    {
        let packed = pack_graph(&optimized, &ModelMetadata::default(), precision)
            .map_err(|error| error.to_string())?;
        let error = expected.of_packed(&packed);
        if error > tolerance {
            return Err(format!("packed in {precision:?} it differs by {error:e} of the range"));
        }
    }
    for (graph, file, floats) in [
        (&graph, "written.onnx", FloatType::F32),
        (&optimized, "optimized.onnx", FloatType::F32),
        (&optimized, "half.onnx", FloatType::F16),
    ] {
        let error = expected.of_written(graph, floats, &folder.join(file))?;
        if error > if floats == FloatType::F16 { 5e-3 } else { 1e-5 } {
            return Err(format!("as {file} it differs by {error:e} of the range"));
        }
    }
    let found: Vec<&str> = optimized.nodes.iter().map(|node| node.op.name()).collect();
    match left {
        Some(left) if found != left => Err(format!("{found:?} are left, expected {left:?}")),
        _ => Ok(()),
    }
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
    let mut failures = Vec::new();
    for name in &names {
        let left = LEFT.iter().find(|(model, _)| name.split('-').next() == Some(model));
        if let Err(error) = check(&folder.path().join(name), left.map(|(_, left)| *left)) {
            failures.push(format!("{name}: {error}"));
        }
    }
    eprintln!(
        "{} of {} models of PyTorch's exporters agree with it",
        names.len() - failures.len(),
        names.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let of_family = |name: &&String| LEFT.iter().all(|(model, _)| name.split('-').next() != Some(model));
    let families = names.iter().filter(of_family).count();
    assert!(names.len() - families >= 3 * LEFT.len() && families >= 3 * 21, "{names:?}");
    // What was written, against ONNX's checker and in ONNX Runtime.
    eprint!("{}", run_python(&python, "check_written.py", &[folder.path().as_os_str()]));
}
