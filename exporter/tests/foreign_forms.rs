//! Models in forms that other exporters use: integers between Quantize and Dequantize, weights that are clipped as integers,
//! functions. Packed and converted, they give what ONNX Runtime gives without graph optimizations.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::Tensor;
use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::import::import;
use latent_exporter::pack::{FloatPrecision, pack};
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx;
use latent_runtime::onnx::proto::ModelProto;
use latent_test_support::python;
use prost::Message;
use support::{exporter, read_tensor, run_python, tensor_file};

/// The greatest difference over the expected range.
fn difference(found: &[f64], expected: &Tensor) -> f64 {
    let expected = expected.doubles();
    assert_eq!(found.len(), expected.len());
    let (low, high) = expected
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    largest / (high - low)
}

fn interpreted(model: &ModelProto, input: &Tensor) -> Vec<f64> {
    let graph = import(model).unwrap();
    interpret::run(&graph, vec![Array::<f64>::from_tensor(input)]).unwrap().swap_remove(0).data
}

fn check(folder: &Path) -> Result<(), String> {
    let model = onnx::load(folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let read = |file: &str| read_tensor(tensor_file(&folder.join(file)));
    let (input, expected) = (read("input_0.pb")?, read("output_0.pb")?);
    import(&model).map_err(|error| error.to_string())?;
    let packed = pack(&model, FloatPrecision::F32).map_err(|error| error.to_string())?;
    let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
    let mut output = vec![0.0; expected.len()];
    backend.run(input.shape()[0], input.floats().unwrap(), &mut output).unwrap();
    let out = folder.join("converted.onnx");
    let given = folder.join("model.onnx");
    let args = ["convert", given.to_str().unwrap(), "--precision", "fp32", "--out", out.to_str().unwrap()];
    let converted = exporter(args);
    if !converted.status.success() {
        return Err(String::from_utf8_lossy(&converted.stderr).into_owned());
    }
    let again = onnx::load(&out).map_err(|error| error.to_string())?;
    for (what, found) in [
        ("interpreted", interpreted(&model, &input)),
        ("packed", output.iter().map(|&value| value.into()).collect()),
        ("converted", interpreted(&again, &input)),
    ] {
        let found = difference(&found, &expected);
        if found > 1e-4 {
            return Err(format!("{what}, it differs by {found:e} of the range"));
        }
    }
    Ok(())
}

#[test]
fn foreign_forms_are_taken_in() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run_python(&python, "foreign_forms.py", &[folder.path().as_os_str()]);
    let folders = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let results: Vec<_> = folders.map(|folder| (folder.clone(), check(&folder))).collect();
    assert!(results.len() >= 19, "{results:?}");
    let failures: Vec<String> = results
        .into_iter()
        .filter_map(|(folder, result)| match folder.ends_with("refused-concat-grids") {
            true if result.as_ref().is_err_and(|error| error.contains("different scales")) => None,
            true => Some(format!("{}: {result:?}", folder.display())),
            false => Some(format!("{}: {}", folder.display(), result.err()?)),
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    // Functions that cannot be put in place of their calls are refused.
    let model = onnx::load(folder.path().join("functions/model.onnx")).unwrap();
    type Change = fn(&mut ModelProto);
    let cases: &[(Change, &str)] = &[
        (|model| model.functions[0].opset_import[0].version = 18, "was written for opset 18"),
        (
            |model| {
                let block = model.functions.iter_mut().find(|function| function.name == "Block").unwrap();
                block.node[1].op_type = "Block".into();
            },
            "deep, or itself",
        ),
        (|model| model.functions.clear(), "operator ours.Block is not supported"),
    ];
    for (change, expected) in cases {
        let mut changed = ModelProto::decode(&*model.encode_to_vec()).unwrap();
        change(&mut changed);
        let error = import(&changed).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
