//! Every back end against a scalar evaluation, and what they refuse.
#![cfg(feature = "ort")]

mod support;

use latent_runtime::backend::RunError;
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::onnx::proto::ModelProto;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::open::{BackendKind, Choice, Label, ModelFormat, OpenError, OpenOptions, open};
use latent_runtime::rng::Rng;
use support::models::{self, Builder};
use support::{has_onnx_runtime, reference, save};

/// Those that run ONNX files here.
fn kinds() -> Vec<BackendKind> {
    let usable = |kind: &BackendKind| {
        kind.is_built_in()
            && kind.reads() == ModelFormat::Onnx
            && (*kind != BackendKind::Ort || has_onnx_runtime())
    };
    BackendKind::ALL.iter().copied().filter(usable).collect()
}

fn models() -> [(&'static str, ModelProto); 3] {
    [
        ("vanilla generator", models::vanilla_generator()),
        ("dcgan generator", models::dcgan_generator()),
        ("discriminator", models::discriminator()),
    ]
}

fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(seed), &mut out);
    out
}

#[test]
fn back_ends_agree_with_the_scalar_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    for kind in kinds() {
        for (name, model) in models() {
            let path = save(&model, folder.path(), "model.onnx");
            let mut backend = open(&path, kind, &OpenOptions { threads: 1, ..Default::default() }).unwrap();
            // More batch sizes than are kept, and back to the first.
            for (seed, batch) in [1, 2, 7, 1, 16, 3, 2, 1].into_iter().enumerate() {
                let input = noise(seed as u64, batch * backend.input().values());
                let mut output = vec![f32::NAN; batch * backend.output().values()];
                backend.run(batch, &input, &mut output).unwrap();
                let expected = reference::evaluate(&model, batch, &input);
                let worst = output.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{name} in {kind}, batch {batch}: off by {worst}");
            }
        }
    }
}

#[test]
fn back_ends_describe_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&models::dcgan_generator(), folder.path(), "model.onnx");
    for kind in kinds() {
        let backend = open(&path, kind, &OpenOptions { threads: 2, ..Default::default() }).unwrap();
        assert_eq!(backend.input().to_string(), "z (N, 12)");
        assert_eq!(backend.output().to_string(), "image (N, 3, 12, 12)");
        let expected = if kind == BackendKind::Ort { "ONNX Runtime 1." } else { "tract" };
        assert!(backend.describe().starts_with(expected), "{}", backend.describe());
    }
}

#[test]
fn runs_of_the_wrong_size_are_refused_and_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&models::vanilla_generator(), folder.path(), "model.onnx");
    for kind in kinds() {
        let mut backend = open(&path, kind, &OpenOptions::default()).unwrap();
        let cases = [
            (0, 0, 0, RunError::EmptyBatch),
            (2, 12, 128, RunError::InputLength { expected: 24, found: 12 }),
            (2, 24, 64, RunError::OutputLength { expected: 128, found: 64 }),
        ];
        for (batch, inputs, outputs, expected) in cases {
            assert_eq!(backend.run(batch, &noise(0, inputs), &mut vec![0.0; outputs]), Err(expected));
        }
        backend.run(1, &noise(0, 12), &mut [0.0; 64]).unwrap();
    }
}

#[test]
fn a_model_for_one_batch_size_takes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = models::vanilla_generator();
    let graph = model.graph.as_mut().unwrap();
    graph.input = vec![models::value("z", None, &[2, 12])];
    graph.output = vec![models::value("image", None, &[2, 1, 8, 8])];
    let path = save(&model, folder.path(), "model.onnx");
    for kind in kinds() {
        let mut backend = open(&path, kind, &OpenOptions::default()).unwrap();
        let wrong = backend.run(1, &noise(0, 12), &mut [0.0; 64]);
        assert_eq!(wrong, Err(RunError::FixedBatch { expected: 2, found: 1 }), "{kind}");
        backend.run(2, &noise(0, 24), &mut [0.0; 128]).unwrap();
    }
}

/// The model with Cast nodes around it, so that it takes and gives float16.
fn in_halves(mut model: ModelProto) -> ModelProto {
    use latent_runtime::onnx::proto::{NodeProto, type_proto};
    let graph = model.graph.as_mut().unwrap();
    let half = DataType::Float16 as i32;
    for port in [&mut graph.input[0], &mut graph.output[0]] {
        let Some(type_proto::Value::TensorType(tensor)) = &mut port.r#type.as_mut().unwrap().value else {
            panic!()
        };
        tensor.elem_type = half;
    }
    let cast = |from: &str, to: &str, data_type: i32| NodeProto {
        op_type: "Cast".into(),
        name: format!("cast_{to}"),
        input: vec![from.into()],
        output: vec![to.into()],
        attribute: vec![models::int("to", i64::from(data_type))],
        ..Default::default()
    };
    let (input, output) = (graph.input[0].name.clone(), graph.output[0].name.clone());
    for node in &mut graph.node {
        node.input.iter_mut().filter(|name| **name == input).for_each(|name| *name = "wide_input".into());
        node.output.iter_mut().filter(|name| **name == output).for_each(|name| *name = "wide_output".into());
    }
    graph.node.insert(0, cast(&input, "wide_input", DataType::Float as i32));
    graph.node.push(cast("wide_output", &output, half));
    model
}

#[test]
fn half_precision_comes_in_and_goes_out() {
    let folder = tempfile::tempdir().unwrap();
    for kind in kinds() {
        for (name, model) in models() {
            let path = save(&in_halves(model.clone()), folder.path(), "model.onnx");
            let mut backend = open(&path, kind, &OpenOptions { threads: 1, ..Default::default() }).unwrap();
            for batch in [1, 3] {
                let input = noise(7, batch * backend.input().values());
                let mut output = vec![f32::NAN; batch * backend.output().values()];
                backend.run(batch, &input, &mut output).unwrap();
                let expected = reference::evaluate(&model, batch, &input);
                let worst = output.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // Input and output have 11 bits of precision.
                assert!(worst < 4e-3, "{name} in {kind}, batch {batch}: off by {worst}");
            }
        }
    }
}

#[test]
fn labels_go_in_and_several_outputs_come_out() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, label_type) in kinds()
        .into_iter()
        .flat_map(|kind| [DataType::Int64, DataType::Int32].map(|label_type| (kind, label_type)))
    {
        let model = models::conditional_generator(label_type);
        let table: Vec<f32> = model.graph.as_ref().unwrap().initializer[0]
            .raw_data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        let path = save(&model, folder.path(), "model.onnx");
        let about = |output: &str| OpenOptions {
            choice: Choice { output: Some(output.into()), ..Choice::default() },
            ..OpenOptions::default()
        };
        // Without a choice of the output there is none; the label is never taken for the input.
        let error = open(&path, kind, &OpenOptions::default()).err().unwrap().to_string();
        assert!(
            error.contains("it has 3 outputs, image (N, 1, 8, 8), sum (N, 12), as_it_came (N);"),
            "{error}"
        );
        let mut backend = open(&path, kind, &about("sum")).unwrap();
        assert_eq!(
            (backend.input().to_string(), backend.output().to_string()),
            ("z (N, 12)".into(), "sum (N, 12)".into())
        );
        let (z, mut sum) = (noise(1, 36), vec![f32::NAN; 36]);
        let error = backend.run(3, &z, &mut sum).unwrap_err().to_string();
        assert_eq!(error, "the model's input `label` was not given");
        let label = Label::of(backend.as_ref(), None, Some(10)).unwrap();
        backend.give("label", &[4.0, 0.0, 9.0]).unwrap();
        backend.run(3, &z, &mut sum).unwrap();
        let expected: Vec<f32> = [4, 0, 9]
            .iter()
            .flat_map(|class| &table[class * 12..][..12])
            .zip(&z)
            .map(|(row, z)| row + z)
            .collect();
        assert!(sum.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{kind}");
        // One for all.
        backend.give("label", &label.values(9).unwrap()).unwrap();
        backend.run(2, &z[..24], &mut sum[..24]).unwrap();
        assert!((sum[0] - table[9 * 12] - z[0]).abs() < 1e-6, "{kind}");
        // Whole numbers alone, and all at once.
        backend.give("label", &[1.5]).unwrap();
        let error = backend.run(1, &z[..12], &mut sum[..12]).unwrap_err().to_string();
        assert!(error.contains("`label` takes whole numbers"), "{error}");
        let (mut image, mut same) = (vec![f32::NAN; 128], vec![f32::NAN; 2]);
        let all: &mut [&mut [f32]] = &mut [&mut image, &mut sum[..24], &mut same];
        backend.run_all(2, &[&z[..24], &[7.0, 3.0]], all).unwrap();
        assert_eq!(same, [7.0, 3.0]);
        assert!(image.iter().all(|value| value.abs() <= 1.0));
    }
}

/// Exporters give names to sizes that they do not work out; ONNX Runtime is asked for them by running an example.
#[test]
fn sizes_that_have_only_names_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = models::dcgan_generator();
    let graph = model.graph.as_mut().unwrap();
    // An operator whose result our own inference of shapes does not know.
    let output = graph.output[0].name.clone();
    graph.node.last_mut().unwrap().output[0] = "inner".into();
    graph.node.push(latent_runtime::onnx::proto::NodeProto {
        op_type: "Softsign".into(),
        name: "last".into(),
        input: vec!["inner".into()],
        output: vec![output],
        ..Default::default()
    });
    use latent_runtime::onnx::proto::{tensor_shape_proto::dimension::Value, type_proto};
    let port = graph.output[0].r#type.as_mut().unwrap();
    let Some(type_proto::Value::TensorType(tensor)) = &mut port.value else { panic!() };
    for (axis, dimension) in tensor.shape.as_mut().unwrap().dim.iter_mut().enumerate() {
        dimension.value = Some(Value::DimParam(format!("dim_{axis}")));
    }
    let path = save(&model, folder.path(), "model.onnx");
    for kind in kinds().into_iter().filter(|kind| *kind == BackendKind::Ort) {
        let mut backend = open(&path, kind, &OpenOptions::default()).unwrap();
        assert_eq!(backend.output().to_string(), "image (N, 3, 12, 12)");
        for batch in [1, 2] {
            let mut output = vec![f32::NAN; batch * 432];
            backend.run(batch, &noise(1, batch * 12), &mut output).unwrap();
            assert!(output.iter().all(|value| value.abs() < 0.5), "{output:?}");
        }
    }
}

#[test]
fn models_that_cannot_be_run_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let edited = |edit: &dyn Fn(&mut ModelProto)| {
        let mut model = models::vanilla_generator();
        edit(&mut model);
        model
    };
    let cases = [
        (
            "two outputs, of which none is chosen",
            edited(&|model| {
                let graph = model.graph.as_mut().unwrap();
                graph.output.push(models::value("gemm_0", Some("N"), &[32]));
            }),
            "it has 2 outputs, image (N, 1, 8, 8), gemm_0 (N, 32); choose one by its name (--output NAME)",
        ),
        (
            "no such operator",
            edited(&|model| model.graph.as_mut().unwrap().node[1].op_type = "Frobnicate".into()),
            "Frobnicate",
        ),
        (
            "weights that do not fit",
            Builder::new(1, "z", &[12]).linear(13, 4).build("image", &[4], &ModelMetadata::default()),
            "cannot run",
        ),
        (
            "a free latent size",
            edited(&|model| model.graph.as_mut().unwrap().input = vec![models::value("z", Some("N"), &[-1])]),
            "only the batch axis may be free",
        ),
        (
            // ONNX Runtime takes it, and its binding panics.
            "a size below zero",
            edited(&|model| model.graph.as_mut().unwrap().input = vec![models::value("z", Some("N"), &[-5])]),
            "model.onnx",
        ),
    ];
    for kind in kinds() {
        for (name, model, expected) in &cases {
            let path = save(model, folder.path(), "model.onnx");
            let error = match open(&path, kind, &OpenOptions::default()) {
                Ok(_) => panic!("{name}: {kind} opened it"),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(expected), "{name} in {kind}: {error}");
            assert!(error.contains("model.onnx") && !error.contains('\n'), "{name} in {kind}: {error}");
        }
    }
}

#[test]
fn files_that_are_no_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = prost::Message::encode_to_vec(&models::dcgan_generator());
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "is empty"),
        ("html", b"<!DOCTYPE html><html>404</html>", "HTML page"),
        ("text", b"hello, this is no model", "is not an ONNX model, but looks like a text file"),
        ("truncated", &model[..model.len() / 2], "truncated or damaged"),
        ("zip", b"PK\x03\x04....", "ZIP archive"),
    ];
    for kind in kinds() {
        let refuse = |path: &std::path::Path| match open(path, kind, &OpenOptions::default()) {
            Err(OpenError::Onnx(error)) => error.to_string(),
            Err(error) => panic!("{kind}: {error:?}"),
            Ok(_) => panic!("{kind} opened {}", path.display()),
        };
        for (name, bytes, expected) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = refuse(&path);
            assert!(error.contains(expected), "{name} in {kind}: {error}");
        }
        assert!(refuse(folder.path()).contains("is not a file"));
        assert!(refuse(&folder.path().join("missing")).contains("No such file"));
    }
}

#[test]
fn a_packed_model_opens_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let model = models::vanilla_generator();
    let path = folder.path().join("model.lat");
    std::fs::write(&path, models::packed(&model)).unwrap();
    assert_eq!(BackendKind::for_file(&path), BackendKind::Native);
    for threads in [0, 1, 2] {
        let mut backend =
            open(&path, BackendKind::Native, &OpenOptions { threads, ..Default::default() }).unwrap();
        assert_eq!(backend.input().to_string(), "z (N, 12)");
        assert_eq!(backend.output().to_string(), "image (N, 1, 8, 8)");
        assert!(backend.describe().starts_with("native f32, "), "{}", backend.describe());
        for batch in [1, 3] {
            let (input, mut output) = (noise(1, batch * 12), vec![f32::NAN; batch * 64]);
            backend.run(batch, &input, &mut output).unwrap();
            let expected = reference::evaluate(&model, batch, &input);
            assert!(output.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}

#[test]
fn a_back_end_that_reads_other_files_says_which_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let onnx = save(&models::vanilla_generator(), folder.path(), "model.onnx");
    let packed = models::packed(&models::vanilla_generator());
    std::fs::write(at("model.lat"), &packed).unwrap();
    // By its content, but for the name of packed models.
    std::fs::write(at("misnamed.onnx"), &packed).unwrap();
    std::fs::copy(&onnx, at("misnamed.lat")).unwrap();
    std::fs::write(at("cut.lat"), &packed[..packed.len() / 2]).unwrap();
    std::fs::write(at("text.lat"), "this is something else".repeat(20)).unwrap();
    std::fs::write(at("empty.lat"), "").unwrap();
    let mut cases = vec![
        (BackendKind::Native, "model.onnx", "exporter pack"),
        (BackendKind::Native, "misnamed.lat", "is not a packed model"),
        (BackendKind::Native, "cut.lat", "it was cut"),
        (BackendKind::Native, "text.lat", "this is no packed model"),
        (BackendKind::Native, "empty.lat", "0 bytes"),
        (BackendKind::Native, "missing.lat", "No such file"),
        (BackendKind::Native, ".", "is not a file"),
    ];
    for kind in kinds() {
        assert!(open(&at("misnamed.lat"), kind, &OpenOptions::default()).is_ok(), "{kind}");
        cases.push((kind, "model.lat", "the back end native does"));
        cases.push((kind, "misnamed.onnx", "is a packed model"));
    }
    for (kind, name, expected) in cases {
        let error = open(&at(name), kind, &OpenOptions::default()).err().unwrap().to_string();
        assert!(error.contains(expected), "{name} in {kind}: {error}");
    }
    assert_eq!(BackendKind::for_file(&at("misnamed.onnx")), BackendKind::Native);
    assert_eq!(BackendKind::for_file(&at("missing.lat")), BackendKind::Native);
    assert_eq!(BackendKind::for_file(&onnx), BackendKind::Ort);
}
