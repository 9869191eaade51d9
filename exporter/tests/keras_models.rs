//! Models that Keras wrote through tf2onnx (`keras/make.py`): packed in each precision they give what Keras gave.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::import::import_file;
use latent_exporter::passes::optimize;
use support::{error_of, exporter_succeeds, packed_error, read_tensor, tensor_file};

/// Each model and the range of its pictures.
#[rustfmt::skip] // A table.
const MODELS: &[(&str, &str)] = &[
    ("dcgan", "-1,1"), ("upsampling", "0,1"), ("encoder", "0,255"), ("mobile", "-1,1"), ("residual", "-1,1"),
];

fn check(folder: &Path, name: &str, range: &str) -> Result<(), String> {
    let model = folder.join(format!("{name}.onnx"));
    let read = |role: &str| read_tensor(tensor_file(&folder.join(format!("{name}.{role}.pb"))));
    let (input, expected) = (read("input")?, read("output")?);
    let graph = import_file(&model).map_err(|error| error.to_string())?;
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    for (way, graph) in [("as it is", &graph), ("optimized", &optimized)] {
        let found = interpret::run(graph, vec![Array::<f64>::from_tensor(&input)]).unwrap().swap_remove(0);
        let error = error_of(found.data.into_iter(), &expected);
        if error > 1e-5 {
            return Err(format!("{way} it differs by {error:e} of the range"));
        }
    }
    let out = tempfile::tempdir().unwrap();
    for (precision, tolerance) in [("f32", 1e-5), ("f16", 5e-3), ("bf16", 4e-2), ("int8", 0.03)] {
        let packed = out.path().join("model.lat");
        let [model, packed_text] = [&model, &packed].map(|path| path.to_str().unwrap());
        let few: &[&str] = if precision == "int8" { &["--samples", "64"] } else { &[] };
        let args = ["pack", model, "--precision", precision, "--range", range];
        exporter_succeeds(&[&args[..], few, &["--force", "--out", packed_text]].concat())?;
        let error = packed_error(&fs::read(&packed).unwrap(), &input, &expected);
        eprintln!("{name} {precision}: {error:.1e} of the range");
        if error > tolerance {
            return Err(format!("packed in {precision} it differs by {error:e} of the range"));
        }
    }
    Ok(())
}

#[test]
fn keras_models_are_packed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras");
    let failures: Vec<String> = MODELS
        .iter()
        .filter_map(|(name, range)| check(&folder, name, range).err().map(|error| format!("{name}: {error}")))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
