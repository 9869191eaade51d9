//! Models that ONNX Runtime's quantizer wrote (QDQ): packed to integers, they give what ONNX Runtime gives for them.

mod support;

use std::fs;
use std::path::Path;

use latent_exporter::graph::Tensor;
use latent_exporter::graph::interpret::{self, Array};
use latent_exporter::import::import;
use latent_exporter::pack::{FloatPrecision, pack};
use latent_exporter::plan::Plan;
use latent_runtime::AlignedBytes;
use latent_runtime::backend::Backend;
use latent_runtime::format::{Model, Precision};
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx;
use latent_test_support::python;
use support::{exporter, read_tensor, run_python, tensor_file};

/// The operators of each packed model and, where they have some, the type of their weights, by the beginning of its
/// name; the first that fits.
#[rustfmt::skip] // A line or two for each.
const OPERATORS: &[(&str, &str)] = &[
    // Activations that are rounded symmetrically are rounded before each Relu too.
    ("vanilla-s8-tensor-symmetric", "int8 fully connected, elementwise, int8 fully connected, elementwise, \
        int8 fully connected, elementwise"),
    ("vanilla", "int8 fully connected, int8 fully connected, int8 fully connected, elementwise"),
    ("dcgan-s8-tensor-symmetric", "int8 fully connected, elementwise, int8 fully connected, elementwise, reorder, \
        int8 transposed convolution, elementwise, int8 transposed convolution, elementwise"),
    // ONNX Runtime has no quantized ConvTranspose.
    ("dcgan-u8-qoperator", DCGAN_QOPERATOR),
    ("dcgan-s8-channel-qoperator", DCGAN_QOPERATOR),
    ("dcgan-unsigned-weights-qoperator", DCGAN_QOPERATOR),
    // Layers whose weights reach too far beyond 8 bits with a sign stay exact, in floats.
    ("dcgan-unsigned", "int8 fully connected, elementwise, int8 fully connected, copy, int8 transposed convolution, \
        elementwise, dequantize, f32 transposed convolution, quantize, elementwise"),
    ("residual-unsigned", "int8 convolution, int8 convolution, dequantize, f32 convolution, quantize, add, int8 convolution, \
        dequantize, f32 convolution, quantize, int8 convolution, add, average pool, dequantize, f32 fully connected, \
        quantize"),
    ("mobile-unsigned", "int8 convolution, elementwise, dequantize, f32 depthwise convolution, quantize, int8 convolution, \
        average pool, dequantize, f32 convolution, quantize, int8 convolution, elementwise, multiply, average pool, \
        dequantize, f32 fully connected, quantize, softmax"),
    // The quantizer rounds before and after each BatchNormalization, and before Tanh. The copy gives a border.
    ("dcgan", "int8 fully connected, elementwise, int8 fully connected, copy, int8 transposed convolution, elementwise, \
        int8 transposed convolution, elementwise"),
    ("residual-s8-tensor-symmetric", "int8 convolution, elementwise, int8 convolution, elementwise, int8 convolution, add, \
        elementwise, int8 convolution, int8 convolution, elementwise, int8 convolution, add, elementwise, average pool, \
        int8 fully connected"),
    // It rounds both operands of a sum, so that the sum is an operator of its own.
    ("residual", "int8 convolution, int8 convolution, int8 convolution, add, int8 convolution, int8 convolution, \
        int8 convolution, add, average pool, int8 fully connected"),
    ("mobile", "int8 convolution, elementwise, int8 depthwise convolution, int8 convolution, average pool, int8 convolution, \
        int8 convolution, elementwise, multiply, average pool, int8 fully connected, softmax"),
    ("mixed", "int8 convolution, elementwise, max pool, average pool, copy, copy, resize, int8 convolution, \
        int8 convolution, elementwise, int8 fully connected"),
];

const DCGAN_QOPERATOR: &str = "int8 fully connected, elementwise, int8 fully connected, dequantize, f32 transposed convolution, \
    f32 transposed convolution";

/// What is said of models that cannot be packed, by the end of their names.
const REFUSED: &[(&str, &str)] = &[("u16-channel-21", "only 8-bit")];

/// The greatest and the root of the mean squared difference, over the expected range.
fn differences(found: impl Iterator<Item = f64>, expected: &Tensor) -> (f64, f64) {
    let expected = expected.doubles();
    let range = expected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
        - expected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    assert!(range > 1e-3, "the output is almost constant");
    let errors: Vec<f64> =
        found.zip(&expected).map(|(found, expected)| (found - expected).abs() / range).collect();
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    (errors.iter().fold(0.0, |a, &b| a.max(b)), (squares / errors.len() as f64).sqrt())
}

fn check(folder: &Path, operators: &str) -> Result<(), String> {
    let model = onnx::load(folder.join("model.onnx")).map_err(|error| error.to_string())?;
    let packed = pack(&model, FloatPrecision::F32).map_err(|error| error.to_string())?;
    let read = |file: &str| read_tensor(tensor_file(&folder.join(file)));
    let (input, definition, default) = (read("input_0.pb")?, read("output_0.pb")?, read("output_1.pb")?);

    let graph = import(&model).map_err(|error| error.to_string())?;
    let interpreted = interpret::run(&graph, vec![Array::<f64>::from_tensor(&input)]).unwrap().swap_remove(0);
    let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
    assert_eq!(backend.model().precision(), Precision::Int8);
    let mut output = vec![0.0; definition.len()];
    backend.run(input.shape()[0], input.floats().unwrap(), &mut output).unwrap();
    let native = || output.iter().map(|&value| f64::from(value));
    let by_definition = differences(interpreted.data.iter().copied(), &definition);
    let packed_by_definition = differences(native(), &definition);
    let packed_by_default = differences(native(), &default);
    // ONNX Runtime's own integer operators are as far from the definition, the more so for Softmax.
    let own = differences(default.doubles().into_iter(), &definition);
    for (what, (largest, rms), allowed) in [
        ("interpreted, by definition", by_definition, 0.0),
        ("packed, by definition", packed_by_definition, 0.0),
        ("packed, by default", packed_by_default, own.0),
    ] {
        eprintln!("{} {what}: {largest:.1e} {rms:.1e}", folder.file_name().unwrap().display());
        // Unsigned weights are rounded once more.
        let unsigned = folder.to_string_lossy().contains("unsigned") && what.starts_with("packed");
        let allowed = if unsigned { allowed + 0.01 } else { allowed };
        // A number that is rounded to its other side here and there, and what the following layers make of it.
        if largest > 0.0105 + allowed || rms > 0.0055 + allowed {
            return Err(format!("{what} it differs by {largest:e} of the range, {rms:e} on average"));
        }
    }
    let bytes = AlignedBytes::copy_of(&packed);
    let plan = Plan::of(&Model::from_bytes(bytes.as_slice()).unwrap());
    let text = plan.operators.iter().map(|operator| {
        let kind: String = operator.kind.chars().take_while(|letter| !letter.is_ascii_digit()).collect();
        match operator.weight_type {
            Some(weights) => format!("{weights} {}", kind.trim()),
            None => kind.trim().to_string(),
        }
    });
    let found = text.collect::<Vec<_>>().join(", ");
    if found == operators { Ok(()) } else { Err(format!("became\n  {found}, expected\n  {operators}")) }
}

#[test]
fn quantized_models_are_packed() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run_python(&python, "quantized_models.py", &[folder.path().as_os_str()]);
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let mut failures = Vec::new();
    for name in &names {
        let Some((_, operators)) = OPERATORS.iter().find(|(model, _)| name.starts_with(model)) else {
            panic!("nothing is known of {name}");
        };
        let result = check(&folder.path().join(name), operators);
        match (result, REFUSED.iter().find(|(way, _)| name.ends_with(way))) {
            (Ok(()), None) => {}
            (Err(error), None) => failures.push(format!("{name}: {error}")),
            (Ok(()), Some(_)) => failures.push(format!("{name} is packed")),
            (Err(error), Some((_, expected))) => {
                if !error.contains(expected) {
                    failures.push(format!("{name}: {error}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_program_packs_a_quantized_model_as_it_is() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run_python(
        &python,
        "quantized_models.py",
        &[folder.path().as_os_str(), "residual-u8-channel-17".as_ref()],
    );
    let model = folder.path().join("residual-u8-channel-17/model.onnx");
    let out = folder.path().join("model.lat");
    let [model, out_text] = [&model, &out].map(|path| path.to_str().unwrap());
    let refused = exporter(["pack", model, "--precision", "f16", "--out", out_text]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && error.contains("the model is quantized; leave --precision out"),
        "{error}"
    );
    assert!(!out.exists());

    let packed = exporter(["pack", model, "--out", out_text, "--json"]);
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let report: serde_json::Value = serde_json::from_slice(&packed.stdout).unwrap();
    let of = |key: &str| report["difference"][key].as_f64().unwrap();
    assert!(of("largest") < 0.02 * of("range"), "{report}");
    let plans = [model, out_text].map(|file| {
        let output = exporter(["inspect", file]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(plans[0], plans[1]);
    assert!(
        plans[0].contains("int8") && plans[0].contains("u8 ") && !plans[0].contains("f16"),
        "{}",
        plans[0]
    );
}

/// Dynamic quantization: the packed model computes with the floats that ONNX Runtime rounds to a range found at run time.
#[test]
fn dynamically_quantized_models_are_packed() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run_python(&python, "quantized_models.py", &[folder.path().as_os_str(), "dynamic".as_ref()]);
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let [model, out] = ["model.onnx", "model.lat"].map(|file| folder.join(file));
        let [input, expected] =
            ["input_0.pb", "output_0.pb"].map(|file| read_tensor(tensor_file(&folder.join(file))).unwrap());
        for (precision, allowed) in [("f32", 0.03), ("f16", 0.03), ("bf16", 0.04), ("int8", 0.08)] {
            let args = ["pack", model.to_str().unwrap(), "--precision", precision, "--force"];
            let few: &[&str] = if precision == "int8" { &["--samples", "16"] } else { &[] };
            let args = args.iter().chain(few);
            // The values that the models are compared on.
            let output = exporter(args.chain(&["--range", "-1,1", "--out", out.to_str().unwrap()]));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name} {precision}: {said}");
            assert!(said.contains("note: the model quantizes activations while it runs"), "{name}: {said}");
            let packed = fs::read(&out).unwrap();
            let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
            let mut output = vec![0.0; expected.len()];
            backend.run(input.shape()[0], input.floats().unwrap(), &mut output).unwrap();
            let (largest, rms) = differences(output.iter().map(|&value| f64::from(value)), &expected);
            eprintln!("{name} {precision}: {largest:.1e} {rms:.1e}");
            assert!(largest < allowed && rms < allowed / 3.0, "{name} {precision}: {largest:e}, {rms:e}");
        }
        count += 1;
    }
    assert_eq!(count, 6);
}
