//! Models of operators that small generators and encoders use beside layers: taken in, written again, packed in each precision,
//! they give what ONNX Runtime gives without graph optimizations. With `LATENT_CASES` a folder of ONNX files is tried as well.

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array, Real};
use latent_exporter::graph::{Graph, Tensor};
use latent_exporter::import::import_file;
use latent_exporter::onnx::{self, About, FloatType};
use latent_exporter::pack::{FloatPrecision, pack_graph};
use latent_exporter::passes::optimize;
use latent_exporter::quantize::{Inputs, Options, Source, quantize};
use latent_runtime::backend::Backend;
use latent_runtime::latent::Distribution;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use latent_test_support::python;
use prost::Message;
use support::{read_tensor, run_python, tensor_file};

/// The largest difference, and the root of the mean squared one, over the expected range.
fn differences(found: impl Iterator<Item = f64>, expected: &Tensor) -> (f64, f64) {
    let expected = expected.doubles();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    assert!(range > 1e-4, "the output is almost constant");
    let errors: Vec<f64> =
        found.zip(&expected).map(|(found, expected)| (found - expected).abs() / range).collect();
    if errors.iter().any(|error| error.is_nan()) {
        return (f64::INFINITY, f64::INFINITY);
    }
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    (errors.iter().fold(0.0, |a, &b| a.max(b)), (squares / errors.len() as f64).sqrt())
}

/// The worst over all outputs.
fn worst(differences: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    differences
        .fold((0.0, 0.0), |(largest, rms), (more, other)| (f64::max(largest, more), f64::max(rms, other)))
}

fn evaluated<T: Real>(graph: &Graph, inputs: &[Tensor], expected: &[Tensor]) -> f64 {
    let found = interpret::run(graph, inputs.iter().map(Array::<T>::from_tensor).collect()).unwrap();
    assert_eq!(found.len(), expected.len());
    let each = found.iter().zip(expected).map(|(found, expected)| {
        assert_eq!(found.shape, expected.shape());
        differences(found.data.iter().map(|value| value.to_f64()), expected)
    });
    worst(each).0
}

fn packed(
    graph: &Graph,
    precision: FloatPrecision,
    inputs: &[Tensor],
    expected: &[Tensor],
) -> Result<(f64, f64), String> {
    let packed =
        pack_graph(graph, &ModelMetadata::default(), precision).map_err(|error| error.to_string())?;
    let mut backend =
        NativeBackend::from_bytes(&packed, &NativeOptions::default()).map_err(|error| error.to_string())?;
    let mut outputs: Vec<Vec<f32>> = expected.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
    let given: Vec<&[f32]> = inputs.iter().map(|input| input.floats().unwrap()).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    let batch = inputs[0].shape()[0];
    backend.run_all(batch, &given, &mut slices).map_err(|error| error.to_string())?;
    let each = outputs.iter().zip(expected);
    Ok(worst(each.map(|(found, expected)| differences(found.iter().map(|&value| value.into()), expected))))
}

/// The tensors of a folder that have such a role.
fn tensors(folder: &Path, role: &str) -> Result<Vec<Tensor>, String> {
    let files = (0..).map(|index| folder.join(format!("{role}_{index}.pb")));
    files.take_while(|file| file.is_file()).map(|file| read_tensor(tensor_file(&file))).collect()
}

/// Checks one model. Returns how far the packed models are off.
fn check(folder: &Path) -> Result<String, String> {
    let graph = import_file(&folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let (input, expected) = (tensors(folder, "input")?, tensors(folder, "output")?);
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    let quantized = latent_exporter::pack::is_quantized(&graph);
    // A number that is rounded to its other side here and there.
    let exact = if quantized { 0.011 } else { 2e-5 };
    let mut ways = vec![
        ("in f64", evaluated::<f64>(&graph, &input, &expected), exact),
        ("in f32", evaluated::<f32>(&graph, &input, &expected), exact),
        ("optimized", evaluated::<f64>(&optimized, &input, &expected), exact),
    ];
    for (what, graph, floats) in [
        ("written.onnx", &graph, FloatType::F32),
        ("optimized.onnx", &optimized, FloatType::F32),
        ("half.onnx", &optimized, FloatType::F16),
    ] {
        let file = folder.join(what);
        let model = onnx::write(graph, &About::default(), floats).map_err(|error| error.to_string())?;
        fs::write(&file, model.encode_to_vec()).unwrap();
        let again = import_file(&file).map_err(|error| format!("{what}: {error}"))?;
        let allowed = if floats == FloatType::F16 { 1e-2 } else { exact };
        ways.push((what, evaluated::<f64>(&again, &input, &expected), allowed));
    }
    let single = packed(&optimized, FloatPrecision::F32, &input, &expected)?;
    let half = packed(&optimized, FloatPrecision::F16, &input, &expected)?;
    ways.push(("packed in f32", single.0, exact));
    ways.push(("packed in f16", half.0, if quantized { 0.02 } else { 5e-3 }));
    let mut report = format!("f32 {:.1e}, f16 {:.1e}", single.0, half.0);
    if !quantized {
        let shape = graph.shape(graph.inputs[0]);
        let uniform = Distribution::Uniform { low: -1.0, high: 1.0 };
        let inputs = Inputs::drawn(&shape, uniform, 64, 3, Source::Latents);
        match quantize(&optimized, &inputs, &Options::default()) {
            Ok((mut integers, _)) => {
                optimize(&mut integers);
                let (largest, rms) = packed(&integers, FloatPrecision::F32, &input, &expected)
                    .map_err(|error| format!("in int8: {error}"))?;
                ways.push(("packed in int8", rms, 0.03));
                report += &format!(", int8 {largest:.1e} (rms {rms:.1e})");
            }
            Err(error) => report += &format!(", not in int8: {error}"),
        }
    }
    let left: Vec<&str> = optimized.nodes.iter().map(|node| node.op.name()).collect();
    report += &format!("; {}", left.join(" "));
    match ways.iter().find(|(_, error, allowed)| error > allowed) {
        Some((way, error, _)) => Err(format!("{way} it differs by {error:e} of the range; {report}")),
        None => Ok(report),
    }
}

/// Checks all models in a folder, each in one of its own; returns what is wrong.
fn check_all(folder: &Path) -> (usize, Vec<String>) {
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut failures = Vec::new();
    for folder in &folders {
        let name = folder.file_name().unwrap().display();
        match check(folder) {
            Ok(report) => eprintln!("{name}: {report}"),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    (folders.len(), failures)
}

#[test]
fn small_operators_are_taken_in() {
    // Made before, as when one model is looked into.
    if let Some(folder) = std::env::var_os("LATENT_MODELS") {
        let (_, failures) = check_all(Path::new(&folder));
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        return;
    }
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec![folder.path().as_os_str().to_owned()];
    if let Some(cases) = std::env::var_os("LATENT_CASES") {
        let files = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path());
        args.extend(
            files.filter(|file| file.extension().is_some_and(|end| end == "onnx")).map(OsString::from),
        );
    }
    let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
    eprint!("{}", run_python(&python, "small_operators.py", &args));
    let (count, failures) = check_all(folder.path());
    assert!(count >= 50, "{count} models");
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    // What was written, against ONNX's checker and in ONNX Runtime.
    eprint!("{}", run_python(&python, "check_written.py", &[folder.path().as_os_str()]));
}
