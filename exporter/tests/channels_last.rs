//! Models whose images have their channels last: packed and converted they give what ONNX Runtime gives for them, in
//! its order.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::import::import_file;
use latent_exporter::pack::{FloatPrecision, is_quantized, pack_graph};
use latent_exporter::passes::{optimize, simplify};
use latent_runtime::onnx::ModelMetadata;
use latent_test_support::python;
use support::{error_of, exporter_succeeds, packed_error, read_tensor, run_python, tensor_file};

/// How often elements are still moved about in each packed model: where channels come last at an end of it.
#[rustfmt::skip] // A table.
const TRANSPOSES: &[(&str, usize)] = &[
    ("input_last", 1), ("input_gray", 0), ("output_last", 1), ("both", 2), ("scaled_input", 2), ("keras_dcgan", 1),
    ("flattened", 1), ("padded_joined", 2), ("softmax_last", 2), ("mean_last", 1), ("wide_last", 2), ("repeated", 1),
    ("expanded", 0), ("qdq_encoder", 1), ("qdq_generator", 1),
];

fn check(folder: &Path, transposes: usize) -> Result<(), String> {
    let file = folder.join("model.onnx");
    let graph = import_file(&file).map_err(|error| error.to_string())?;
    let read = |file: &str| read_tensor(tensor_file(&folder.join(file)));
    let (input, expected) = (read("input_0.pb")?, read("output_0.pb")?);
    let interpreted = |graph: &latent_exporter::graph::Graph| {
        let found = interpret::run(graph, vec![Array::<f64>::from_tensor(&input)]).unwrap().swap_remove(0);
        assert_eq!(found.shape, expected.shape());
        error_of(found.data.into_iter(), &expected)
    };
    let (mut optimized, mut simplified) = (graph.clone(), graph.clone());
    optimize(&mut optimized);
    simplify(&mut simplified);
    let quantized = is_quantized(&graph);
    // A value between two steps may be rounded either way.
    let float = if quantized { 2e-2 } else { 1e-5 };
    for (way, graph) in [("as it is", &graph), ("simplified", &simplified), ("optimized", &optimized)] {
        let error = interpreted(graph);
        if error > float {
            return Err(format!("{way} it differs by {error:e} of the range"));
        }
    }
    let left = optimized.nodes.iter().filter(|node| node.op.name() == "Transpose").count();
    if left != transposes {
        let names: Vec<&str> = optimized.nodes.iter().map(|node| node.op.name()).collect();
        return Err(format!("{left} transposes are left, expected {transposes}: {names:?}"));
    }
    for (precision, tolerance) in
        [(FloatPrecision::F32, 1e-5), (FloatPrecision::F16, 5e-3), (FloatPrecision::Bf16, 4e-2)]
    {
        let packed = pack_graph(&optimized, &ModelMetadata::default(), precision)
            .map_err(|error| error.to_string())?;
        let error = packed_error(&packed, &input, &expected);
        if error > if quantized { float } else { tolerance } {
            return Err(format!("packed in {precision:?} it differs by {error:e} of the range"));
        }
    }
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (model, packed) = (path("model.onnx"), path("int8.lat"));
    if !quantized {
        exporter_succeeds(&["pack", &model, "--precision", "int8", "--out", &packed])?;
        let error = packed_error(&fs::read(&packed).unwrap(), &input, &expected);
        if error > 0.15 {
            return Err(format!("packed in int8 it differs by {error:e} of the range"));
        }
    }
    let converted = path("fp32.onnx");
    exporter_succeeds(&["convert", &model, "--precision", "fp32", "--out", &converted])?;
    let error = interpreted(&import_file(Path::new(&converted)).map_err(|error| error.to_string())?);
    if error > float { Err(format!("converted it differs by {error:e} of the range")) } else { Ok(()) }
}

#[test]
fn images_with_channels_last() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    eprint!("{}", run_python(&python, "channels_last.py", &[folder.path().as_os_str()]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), TRANSPOSES.len());
    let failures: Vec<String> = TRANSPOSES
        .iter()
        .filter_map(|(name, transposes)| {
            check(&folder.path().join(name), *transposes).err().map(|error| format!("{name}: {error}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
