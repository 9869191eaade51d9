//! The ONNX project's own tests of single operators, through the importer and the reference interpreter.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use latent_exporter::graph::interpret::{self, Array, Real};
use latent_exporter::graph::{Graph, Tensor};
use latent_exporter::import::{OPSETS, import};
use latent_exporter::onnx::{self, About, FloatType};
use latent_exporter::pack::{FloatPrecision, pack};
use latent_exporter::passes::optimize;
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::tensor_shape_proto::{Dimension, dimension};
use latent_runtime::onnx::proto::{
    ModelProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use latent_test_support::python;
use prost::Message;
use support::{read_tensor as read, run_python, tensor_file as tensor};

/// The operators whose tests are run: all that the importer knows and that ONNX tests one by one.
const OPERATORS: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "DepthToSpace",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "MatMulInteger",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "OneHot",
    "PRelu",
    "Pad",
    "Pow",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "RMSNormalization",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// Tests that are not expected to pass, by a part of their names (`$` is the end), each with the reason.
const EXCLUDED: &[(&[&str], &str)] = &[
    (
        &[
            "_add_int",
            "_add_uint",
            "_sub_int",
            "_sub_uint",
            "_mul_int",
            "_mul_uint",
            "_div_int",
            "_div_uint",
            "test_max_int",
            "test_max_uint",
            "test_min_int",
            "test_min_uint",
            "_pow_types_int",
            "_pow_types_float32_uint",
        ],
        "arithmetic with integers: networks compute with floats, and quantized ones through QuantizeLinear",
    ),
    (&["pool_3d", "convtranspose_3d"], "images of three dimensions are not supported"),
    (&["_matmulinteger"], "integer products of two activations are not supported"),
    (&["training"], "training mode"),
    (&["dropout_default_mask"], "the mask of Dropout is for training"),
    (&["with_argmax"], "the places of MaxPool's maxima are not supported"),
    (
        &[
            "_e4m3fn",
            "_e5m2",
            "float4",
            "linear_int16",
            "linear_uint16",
            "linear_int2",
            "linear_uint2",
            "linear_int4",
            "linear_uint4",
        ],
        "only 8-bit integers are supported for quantization",
    ),
    (&["_blocked"], "quantization in blocks is not supported"),
    (&["exclude_outside"], "weights that leave out what is beyond the border are not supported"),
    (&["onehot_negative_indices", "onehot_out_of_range"], "places that count from the end are not supported"),
    (&["_bool_inputs", "_empty_set_bool"], "reductions of flags are not supported"),
    (&["celu_float16", "celu_bfloat16"], "expects what 16 bits give; here it is computed in 32"),
    (&["antialias"], "antialiasing is not supported"),
    (&["tf_crop_and_resize", "half_pixel_symmetric"], "a coordinate mode that is not supported"),
    (
        &["resize_downsample_scales_linear_align_corners", "resize_downsample_scales_cubic_align_corners"],
        "expects corners of an output of 2.4 pixels; ONNX Runtime and PyTorch take those of 2",
    ),
];

/// The same numbers as floats, and the declaration of an input that takes them.
fn as_floats(integers: &TensorProto) -> (TensorProto, ValueInfoProto) {
    let values =
        integers.raw_data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes) as f32).collect();
    let floats = TensorProto {
        data_type: DataType::Float as i32,
        float_data: values,
        raw_data: Vec::new(),
        ..integers.clone()
    };
    let axis =
        |&length| Dimension { value: Some(dimension::Value::DimValue(length)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: integers.dims.iter().map(axis).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    (floats, ValueInfoProto { name: integers.name.clone(), r#type: Some(kind), ..ValueInfoProto::default() })
}

/// The model of a test. Operators that are the same since opset 10 are tested in that one.
fn read_model(folder: &Path) -> ModelProto {
    let bytes = fs::read(folder.join("model.onnx")).unwrap();
    let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
    model.opset_import.iter_mut().for_each(|import| import.version = import.version.max(*OPSETS.start()));
    model
}

/// Runs one test with all inputs given as constants but those at the places `free`. Returns what is wrong.
fn run_case(folder: &Path, free: &[usize]) -> Result<(), String> {
    let mut model = read_model(folder);
    let proto = model.graph.as_mut().unwrap();
    let mut inputs = Vec::new();
    for index in 0..proto.input.len() {
        let mut given = tensor(&folder.join(format!("input_{index}.pb")));
        if proto.node[0].op_type == "Pad" && index == 0 && given.data_type == DataType::Int32 as i32 {
            // Padding is tested with integers, but does not depend on the type.
            (given, proto.input[index]) = as_floats(&given);
        }
        if free.contains(&index) {
            inputs.push(read(given)?);
        } else {
            proto.initializer.push(given);
        }
    }
    let outputs = proto.output.len();
    let graph = import(&model).map_err(|error| error.to_string())?;
    for index in 0..outputs {
        let expected = read(tensor(&folder.join(format!("output_{index}.pb"))))?;
        compare::<f64>(&graph, &inputs, index, &expected)?;
        compare::<f32>(&graph, &inputs, index, &expected)?;
    }
    written_means_the_same(&model, &graph, &inputs)
}

/// Parts of the reasons why some graphs have no form in the opset that is written.
const NOT_WRITTEN: &[&str] = &[
    "which AveragePool has from opset 19 on",
    // Resize with keep_aspect_ratio_policy, since opset 18.
    "scales of [0.75, 0.75] do not give [2, 3] pixels",
];

/// Writes a graph, and what simplifying and fusing makes of it, as ONNX and takes that in again: it must give the same.
fn written_means_the_same(model: &ModelProto, graph: &Graph, inputs: &[Tensor]) -> Result<(), String> {
    let arrays = || inputs.iter().map(Array::<f64>::from_tensor).collect();
    let expected = interpret::run(graph, arrays()).map_err(|error| error.to_string())?;
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    // Gelu is younger than the opset that is written, and its steps have constants of 32 bits.
    let exact = if model.graph.iter().any(|graph| graph.node[0].op_type == "Gelu") { 1e-6 } else { 0.0 };
    for (graph, tolerance) in [(graph, exact), (&optimized, 1e-6)] {
        let proto = match onnx::write(graph, &About::of(model), FloatType::F32) {
            Ok(proto) => ModelProto::decode(proto.encode_to_vec().as_slice()).unwrap(),
            Err(error) if NOT_WRITTEN.iter().any(|why| error.what.contains(why)) => return Ok(()),
            Err(error) => return Err(format!("WRONG, not written: {error}")),
        };
        let again = import(&proto).map_err(|error| format!("WRONG, written: {error}"))?;
        let found = interpret::run(&again, arrays()).map_err(|error| format!("WRONG, written: {error}"))?;
        for (found, expected) in found.iter().zip(&expected) {
            let differs = |(found, expected): (&f64, &f64)| {
                found != expected && (found - expected).abs() > tolerance * (1.0 + expected.abs())
            };
            if found.shape != expected.shape || found.data.iter().zip(&expected.data).any(differs) {
                return Err("WRONG when it was written and taken in again".into());
            }
        }
    }
    Ok(())
}

/// Runs one test in the native engine, with the first input's first axis as the batch. Returns why it cannot be packed.
fn run_packed(folder: &Path) -> Result<Result<(), String>, String> {
    let mut model = read_model(folder);
    let proto = model.graph.as_mut().unwrap();
    let [first, others @ ..] = proto.input.as_mut_slice() else { return Err("it has no input".into()) };
    for (index, _) in others.iter().enumerate() {
        proto.initializer.push(tensor(&folder.join(format!("input_{}.pb", index + 1))));
    }
    let shape = match first.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_mut(),
        _ => None,
    };
    let Some(axis) = shape.and_then(|shape| shape.dim.first_mut()) else {
        return Err("its input is a scalar".into());
    };
    if axis.value != Some(dimension::Value::DimValue(1)) {
        axis.value = Some(dimension::Value::DimParam("N".into()));
    }
    let packed = pack(&model, FloatPrecision::F32).map_err(|error| error.to_string())?;
    let [input, expected] = ["input_0.pb", "output_0.pb"].map(|file| read(tensor(&folder.join(file))));
    let (input, expected) = (input?, expected?);
    let mut backend = NativeBackend::from_bytes(&packed, &NativeOptions::default()).unwrap();
    let mut output = vec![0.0; expected.len()];
    let values = input.floats().ok_or("its input is not of floats")?;
    backend.run(input.shape()[0], values, &mut output).map_err(|error| error.to_string())?;
    let name = &model.graph.as_ref().unwrap().name;
    Ok(check_values(name, output.iter().map(|&value| value.into()), &expected))
}

fn compare<T: Real>(
    graph: &Graph,
    inputs: &[Tensor],
    output: usize,
    expected: &Tensor,
) -> Result<(), String> {
    let arrays = inputs.iter().map(Array::<T>::from_tensor).collect();
    let found = interpret::run(graph, arrays).map_err(|error| error.to_string())?.swap_remove(output);
    if found.shape != expected.shape() {
        return Err(format!("WRONG shape {:?}, expected {:?}", found.shape, expected.shape()));
    }
    check_values(&graph.name, found.data.iter().map(|value| value.to_f64()), expected)
}

fn check_values(name: &str, found: impl Iterator<Item = f64>, expected: &Tensor) -> Result<(), String> {
    // Two orders stricter than ONNX's own tolerance, but for a test whose expectation is written with four digits.
    let tolerance = if name.contains("ceil_last_window_starts_on_pad") { 1e-3 } else { 1e-5 };
    for (at, (found, expected)) in found.zip(expected.doubles()).enumerate() {
        if found != expected && (found - expected).abs() > tolerance * expected.abs() + 1e-6 {
            return Err(format!("WRONG at {at}: {found}, expected {expected}"));
        }
    }
    Ok(())
}

#[test]
fn onnx_node_tests() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec![folder.path().as_os_str().to_owned()];
    args.extend(OPERATORS.iter().map(OsString::from));
    let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
    let total: usize = run_python(&python, "node_tests.py", &args).trim().parse().unwrap();

    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), total);
    let (mut passed, mut packed, mut not_packed, mut failures) = (0, 0, Vec::new(), Vec::new());
    let mut excluded: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &names {
        let case = folder.path().join(name);
        let is_excluded =
            |(parts, _): &&(&[&str], _)| parts.iter().any(|part| format!("{name}$").contains(part));
        let reason = EXCLUDED.iter().find(is_excluded).map(|(_, reason)| *reason);
        // As in a network: the first input is computed, the others are weights. Then with none, which folds the
        // constants; and with two, for the operators that take two.
        let result = run_case(&case, &[0]).and_then(|()| run_case(&case, &[]));
        let result = match ["_add", "_sub", "_mul", "_div", "_concat", "_matmul", "_gemm"]
            .iter()
            .any(|op| name.contains(op))
        {
            true => result.and_then(|()| run_case(&case, &[0, 1])),
            false => result,
        };
        match (result, reason) {
            (Ok(()), None) => {
                passed += 1;
                match run_packed(&case) {
                    Ok(Ok(())) => packed += 1,
                    Ok(Err(error)) => failures.push(format!("{name}, packed: {error}")),
                    Err(error) => not_packed.push(format!("{name}: {error}")),
                }
            }
            (Err(_), Some(reason)) => excluded.entry(reason).or_default().push(name),
            (Ok(()), Some(_)) => failures.push(format!("{name}: is excluded, but passes")),
            (Err(error), None) => failures.push(format!("{name}: {error}")),
        }
    }
    eprintln!("ONNX node tests: {passed} of {total} pass");
    eprintln!(
        "of these {packed} run in the native engine as well; {} have no packed form:",
        not_packed.len()
    );
    for line in &not_packed {
        eprintln!("  {line}");
    }
    for (reason, names) in &excluded {
        eprintln!("excluded, {reason} ({}): {}", names.len(), names.join(", "));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
