//! What `exporter convert` makes sure of before it says that it wrote a model.

#[path = "../../runtime/tests/support/models.rs"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod models;
mod support;

use std::path::Path;

use latent_runtime::onnx;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use latent_runtime::ort::{Library, find_library};
use models::{int, value};
use prost::Message;
use serde_json::Value;
use support::exporter;

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let (name, dims, data_type) = (name.into(), dims.to_vec(), DataType::Float as i32);
    TensorProto { name, dims, data_type, float_data: values.to_vec(), ..Default::default() }
}

fn integers(name: &str, dims: &[i64], data_type: DataType, values: &[i32]) -> TensorProto {
    let (name, dims, data_type) = (name.into(), dims.to_vec(), data_type as i32);
    TensorProto { name, dims, data_type, int32_data: values.to_vec(), ..Default::default() }
}

fn longs(name: &str, values: &[i64]) -> TensorProto {
    let (name, dims, data_type) = (name.into(), vec![values.len() as i64], DataType::Int64 as i32);
    TensorProto { name, dims, data_type, int64_data: values.to_vec(), ..Default::default() }
}

fn node(operator: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: input.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        attribute,
        ..Default::default()
    }
}

/// Writes a model of `x` (N, 4) to `y` (N, `width`) and returns what `exporter convert` says to it.
fn convert(
    folder: &Path,
    (nodes, constants, width): (Vec<NodeProto>, Vec<TensorProto>, i64),
    options: &[&str],
) -> (Option<i32>, String, String) {
    let graph = GraphProto {
        name: "model".into(),
        node: nodes,
        initializer: constants,
        input: vec![value("x", Some("N"), &[4])],
        output: vec![value("y", Some("N"), &[width])],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { version: 17, ..Default::default() }];
    let model = ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() };
    let (given, out) = (folder.join("given.onnx"), folder.join("out.onnx"));
    std::fs::write(&given, model.encode_to_vec()).unwrap();
    let args = ["convert", given.to_str().unwrap(), "--out", out.to_str().unwrap(), "--force", "--json"];
    let output = exporter(args.iter().chain(options));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Integers that pass through operators on shapes keep their type: a zero point of int32 must not become one of int64.
#[test]
fn integer_constants_keep_their_type() {
    let zero =
        |dims: &[i64]| integers("z", dims, DataType::Int32, &vec![0; dims.iter().product::<i64>() as usize]);
    let to_int32 = || vec![int("to", DataType::Int32 as i64)];
    type Way = (&'static str, Vec<NodeProto>, Vec<TensorProto>);
    let ways: Vec<Way> = vec![
        ("a scalar as it is", vec![], vec![integers("zero", &[], DataType::Int32, &[0])]),
        ("a vector as it is", vec![], vec![integers("zero", &[4], DataType::Int32, &[0; 4])]),
        ("Identity", vec![node("Identity", &["z"], "zero", vec![])], vec![zero(&[4])]),
        ("Identity of a scalar", vec![node("Identity", &["z"], "zero", vec![])], vec![zero(&[])]),
        ("Cast of int64", vec![node("Cast", &["z"], "zero", to_int32())], vec![longs("z", &[0; 4])]),
        (
            "Cast of floats",
            vec![node("Cast", &["z"], "zero", to_int32())],
            vec![floats("z", &[4], &[0.0; 4])],
        ),
        (
            "Slice",
            vec![node("Slice", &["z", "from", "to"], "zero", vec![])],
            vec![zero(&[6]), longs("from", &[1]), longs("to", &[5])],
        ),
        ("Concat", vec![node("Concat", &["z", "z"], "zero", vec![int("axis", 0)])], vec![zero(&[2])]),
        ("Add", vec![node("Add", &["z", "z"], "zero", vec![])], vec![zero(&[4])]),
        (
            "Squeeze",
            vec![node("Squeeze", &["z", "axes"], "zero", vec![])],
            vec![zero(&[1]), longs("axes", &[0])],
        ),
        (
            "Unsqueeze",
            vec![
                node("Unsqueeze", &["z", "axes"], "s", vec![]),
                node("Squeeze", &["s", "axes"], "zero", vec![]),
            ],
            vec![zero(&[]), longs("axes", &[0])],
        ),
    ];
    let there = !matches!(find_library(), Library::System(_));
    let folder = tempfile::tempdir().unwrap();
    for (way, mut nodes, mut constants) in ways {
        // The bias of a quantized layer: int32 with a zero point, as PyTorch's exporters write it.
        nodes.extend([
            node("DequantizeLinear", &["q", "scale", "zero"], "bias", vec![int("axis", 0)]),
            node("Gemm", &["x", "w", "bias"], "y", vec![]),
        ]);
        constants.push(integers("q", &[4], DataType::Int32, &[1, -2, 3, -4]));
        let is_scalar = way.contains("scalar") || matches!(way, "Squeeze" | "Unsqueeze");
        let (dims, scales): (&[i64], &[f32]) = if is_scalar { (&[], &[0.5]) } else { (&[4], &[0.5; 4]) };
        constants.push(floats("scale", dims, scales));
        constants.push(floats("w", &[4, 4], &[0.25; 16]));
        let (code, report, error) = convert(folder.path(), (nodes, constants, 4), &["--precision", "fp32"]);
        assert_eq!(code, Some(0), "{way}: {error}");
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["opened_by_onnx_runtime"], there, "{way}");
        let written = onnx::load(folder.path().join("out.onnx")).unwrap();
        let tensors = &written.graph.unwrap().initializer;
        let longs = tensors.iter().filter(|tensor| tensor.data_type == DataType::Int64 as i32).count();
        assert_eq!(longs, 0, "{way}: a constant became int64");
    }
}

/// Values that half precision cannot hold are refused with the way out, and the way out works.
#[test]
fn overflow_of_half_precision_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = |weight: f32, factor: f32| {
        let nodes = vec![
            node("MatMul", &["x", "w"], "large", vec![]),
            node("Relu", &["large"], "positive", vec![]),
            node("Mul", &["positive", "small"], "scaled", vec![]),
            node("Tanh", &["scaled"], "y", vec![]),
        ];
        (nodes, vec![floats("w", &[4, 4], &[weight; 16]), floats("small", &[], &[factor])], 4)
    };
    let fp16 = ["--precision", "fp16"];
    for weight in [6e4, 2e5] {
        let (code, out, error) = convert(folder.path(), model(weight, 1e-5), &fp16);
        assert_eq!(code, Some(1), "{weight}: {error}");
        assert!(out.is_empty() && !folder.path().join("out.onnx").exists(), "{weight}");
        let names = ["node \"large\" reaches", "65504", "--keep-float positive"];
        assert!(names.iter().all(|name| error.contains(name)), "{weight}: {error}");
        // As the message says.
        let advice: Vec<&str> = error.split_whitespace().skip_while(|word| *word != "--keep-float").collect();
        let options: Vec<&str> = advice
            .chunks(2)
            .take_while(|pair| pair[0] == "--keep-float")
            .flat_map(|pair| [pair[0], pair[1].trim_end_matches(',')])
            .collect();
        let (code, out, error) = convert(folder.path(), model(weight, 1e-5), &[&fp16[..], &options].concat());
        assert_eq!(code, Some(0), "{weight} {options:?}: {error}");
        let report: Value = serde_json::from_str(&out).unwrap();
        let largest = report["difference"]["largest"].as_f64().unwrap();
        assert!(largest < 2e-3, "{weight}: {largest}");
        std::fs::remove_file(folder.path().join("out.onnx")).unwrap();
    }
    let (code, _, error) = convert(folder.path(), model(1.0, 1.0), &fp16);
    assert_eq!(code, Some(0), "{error}");
    let (code, _, error) =
        convert(folder.path(), model(1.0, 1.0), &[&fp16[..], &["--keep-float", "no"]].concat());
    assert!(
        code == Some(1) && error.contains("no node is named \"no\"") && error.contains("large"),
        "{error}"
    );
}

/// Models that give no numbers, define a name twice, or ask for absurd memory are refused by both commands.
#[test]
fn models_of_no_use_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scaled = |weight: f32| {
        let nodes = vec![
            node("MatMul", &["x", "w"], "large", vec![]),
            node("MatMul", &["large", "w"], "larger", vec![]),
            node("Sub", &["larger", "larger"], "y", vec![]),
        ];
        (nodes, vec![floats("w", &[4, 4], &[weight; 16])], 4)
    };
    let relu = |output: &str, input: &str| node("Relu", &[input], output, vec![]);
    type Model = (Vec<NodeProto>, Vec<TensorProto>, i64);
    let cases: Vec<(&str, Model, &[&str])> = vec![
        ("infinite weights", scaled(f32::INFINITY), &["\"large\" (MatMul)", "\"w\" is inf at place 0"]),
        ("overflow", scaled(1e30), &["every output is infinite", "\"larger\"", "overflow"]),
        (
            "two results",
            (vec![relu("a", "x"), relu("a", "x"), relu("y", "a")], vec![], 4),
            &["\"a\"", "twice"],
        ),
        ("an input again", (vec![relu("x", "x"), relu("y", "x")], vec![], 4), &["\"x\"", "twice"]),
        (
            "a constant again",
            (vec![relu("a", "x"), relu("y", "a")], vec![floats("a", &[1], &[1.0])], 4),
            &["\"a\"", "twice"],
        ),
        (
            "a giant value",
            (
                vec![node("Expand", &["x", "to"], "y", vec![])],
                vec![longs("to", &[1 << 20, 1 << 20, 1, 4])],
                4,
            ),
            &["\"y\" (Expand)", "1048576", "elements that are supported"],
        ),
        (
            "a chain without end",
            (
                (0..20_000)
                    .map(|at| {
                        relu(
                            &if at == 19_999 { "y".into() } else { format!("a{}", at + 1) },
                            &if at == 0 { "x".into() } else { format!("a{at}") },
                        )
                    })
                    .collect(),
                vec![],
                4,
            ),
            &["has 20000 nodes; at most 16384"],
        ),
        (
            "control characters",
            (vec![node("Fo\u{1b}[2Jo", &["x"], "y", vec![])], vec![], 4),
            &["the operator Fo\\u{1b}[2Jo is not supported"],
        ),
    ];
    for (case, model, expected) in cases {
        let (code, _, error) = convert(folder.path(), model, &["--precision", "fp32"]);
        assert!(code == Some(1) && expected.iter().all(|part| error.contains(part)), "{case}: {error}");
        let given = folder.path().join("given.onnx");
        let out = folder.path().join("out.lat");
        let output = exporter(["pack", given.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        let error = String::from_utf8(output.stderr).unwrap();
        let refused = output.status.code() == Some(1) && !out.exists();
        assert!(refused && expected.iter().all(|part| error.contains(part)), "{case}: {error}");
    }
}
