//! Models written by PyTorch's exporters: taken in, and evaluated, they give what PyTorch gave.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array, Real};
use latent_exporter::graph::{Graph, Tensor};
use latent_exporter::import::import_file;
use support::{python, read_tensor, run_python, tensor_file};

/// The largest difference between a graph's output and the expected one, over the expected one's range.
fn difference<T: Real>(graph: &Graph, input: &Tensor, expected: &Tensor) -> f64 {
    let found = interpret::run(graph, vec![Array::<T>::from_tensor(input)]).unwrap().swap_remove(0);
    assert_eq!(found.shape, expected.shape());
    let expected = expected.doubles();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    // An output that hardly varies would hide every error.
    assert!(range > 1e-4, "the output is almost constant");
    let errors = found.data.iter().zip(&expected).map(|(found, expected)| (found.to_f64() - expected).abs());
    errors.fold(0.0, f64::max) / range
}

fn check(folder: &Path) -> Result<(), String> {
    let graph = import_file(&folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let [input, output] =
        ["input_0.pb", "output_0.pb"].map(|file| read_tensor(tensor_file(&folder.join(file))));
    let (input, output) = (input?, output?);
    for (name, error) in [
        ("f64", difference::<f64>(&graph, &input, &output)),
        ("f32", difference::<f32>(&graph, &input, &output)),
    ] {
        if error > 1e-5 {
            return Err(format!("the interpreter in {name} differs by {error:e} of the range"));
        }
    }
    Ok(())
}

#[test]
fn pytorch_models_are_taken_in() {
    let Some(python) = python("pytorch_models_are_taken_in") else { return };
    let folder = tempfile::tempdir().unwrap();
    eprint!("{}", run_python(&python, "export_models.py", &[folder.path().as_os_str()]));
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 28, "{names:?}");
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{name}: {}", check(&folder.path().join(name)).err()?)))
        .collect();
    eprintln!(
        "{} of {} models of PyTorch's exporters agree with it",
        names.len() - failures.len(),
        names.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
