//! `runtime inspect`: what is in a model.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use clap::Args;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{GraphProto, ModelProto, NodeProto};
use latent_runtime::onnx::{
    self, Dimension, ModelMetadata, element_type, graph_inputs, graph_outputs, infer_shapes, multiplies,
    multiply_accumulates, tensor_bytes,
};
use latent_runtime::open::ModelFormat;
use serde::Serialize;
use serde_json::Value;

use super::metadata::range_text;
use super::{inspect_packed, print};
use latent_files::text::{Align, grouped, printable, size, table};

/// Show what is in a model: operators, shapes, sizes, metadata.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The model: a packed model (.lat) or an ONNX file
    model: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime inspect generator.int8.lat
  runtime inspect generator.onnx --json | jq .operators";

/// Everything that is shown.
#[derive(Serialize)]
struct Report {
    file: String,
    /// Of the file and of external data that it names.
    bytes: u64,
    ir_version: i64,
    producer: String,
    /// By domain; the default domain is `ai.onnx`.
    opsets: BTreeMap<String, i64>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// The values of all weights; shapes and other int64 tensors are not counted.
    parameters: u64,
    /// For a batch of one.
    multiply_accumulates: u64,
    /// Whether some could not be counted, because a shape is not known.
    multiply_accumulates_incomplete: bool,
    weights: BTreeMap<&'static str, Weights>,
    operators: BTreeMap<String, usize>,
    nodes: Vec<Node>,
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    data_type: &'static str,
    shape: Option<Vec<Value>>,
}

#[derive(Default, Serialize)]
struct Weights {
    tensors: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct Node {
    name: String,
    operator: String,
    /// Of the first output; null if it cannot be told.
    shape: Option<Vec<Value>>,
    parameters: u64,
    multiply_accumulates: Option<u64>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    if ModelFormat::of(&args.model) == ModelFormat::Packed {
        return print(&inspect_packed::report(&args.model, args.json)?);
    }
    let model = onnx::load(&args.model)?;
    let report = report(&model, args);
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    }
    print(&text(&report, &ModelMetadata::from_model(&model)))
}

fn report(model: &ModelProto, args: &InspectArgs) -> Report {
    let empty = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&empty);
    let shapes = infer_shapes(graph);
    let mut weights: BTreeMap<&'static str, Weights> = BTreeMap::new();
    let mut parameters: HashMap<&str, u64> = HashMap::new();
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let tensor = node.attribute.iter().find_map(|attribute| attribute.t.as_ref())?;
        Some((node.output.first()?.as_str(), tensor))
    });
    for (name, tensor) in
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).chain(constants)
    {
        let entry =
            weights.entry(element_type(tensor.data_type).map_or("other", |(name, _)| name)).or_default();
        entry.tensors += 1;
        entry.bytes = entry.bytes.saturating_add(tensor_bytes(tensor.data_type, &tensor.dims).unwrap_or(0));
        if tensor.data_type != DataType::Int64 as i32 {
            let count = tensor.dims.iter().try_fold(1u64, |n, &dim| n.checked_mul(u64::try_from(dim).ok()?));
            parameters.insert(name, count.unwrap_or(0));
        }
    }
    let mut operators = BTreeMap::new();
    for node in &graph.node {
        *operators.entry(operator(node)).or_default() += 1;
    }
    let nodes: Vec<Node> = graph
        .node
        .iter()
        .filter(|node| node.op_type != "Constant")
        .map(|node| Node {
            name: node.name.clone(),
            operator: operator(node),
            shape: node.output.first().and_then(|name| shapes.get(name)).map(|shape| json_shape(shape)),
            parameters: total(node.input.iter().filter_map(|name| parameters.get(name.as_str()).copied())),
            multiply_accumulates: multiply_accumulates(node, &shapes),
        })
        .collect();
    let tensors = |values: Vec<onnx::ValueInfo>| {
        let tensor = |value: onnx::ValueInfo| Tensor {
            data_type: element_type(value.data_type).map_or("?", |(name, _)| name),
            shape: value.shape.as_deref().map(json_shape),
            name: value.name,
        };
        values.into_iter().map(tensor).collect()
    };
    let domain = |domain: &str| if domain.is_empty() { "ai.onnx".into() } else { domain.to_string() };
    let inline = total(weights.values().map(|weights| weights.bytes));
    Report {
        file: args.model.display().to_string(),
        // With external data the weights are more than the file.
        bytes: args.model.metadata().map_or(0, |metadata| metadata.len()).max(inline),
        ir_version: model.ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_string(),
        opsets: model.opset_import.iter().map(|opset| (domain(&opset.domain), opset.version)).collect(),
        inputs: tensors(graph_inputs(graph)),
        outputs: tensors(graph_outputs(graph)),
        parameters: total(parameters.values().copied()),
        multiply_accumulates: total(nodes.iter().filter_map(|node| node.multiply_accumulates)),
        multiply_accumulates_incomplete: graph
            .node
            .iter()
            .any(|node| multiplies(node) && multiply_accumulates(node, &shapes).is_none()),
        weights,
        operators,
        nodes,
        metadata: model.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect(),
    }
}

/// A sum that stays at the largest number: a file may declare any size.
fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn operator(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

/// Numbers, names of free dimensions, null for unknown ones.
fn json_shape(shape: &[Dimension]) -> Vec<Value> {
    let dimension = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => Value::from(*size),
        Dimension::Symbol(name) => Value::from(name.as_str()),
        Dimension::Unknown => Value::Null,
    };
    shape.iter().map(dimension).collect()
}

fn shape_text(shape: Option<&[Value]>) -> String {
    let Some(shape) = shape else { return "?".into() };
    let size = |value: &Value| match value {
        Value::Null => "?".to_string(),
        Value::String(name) => name.clone(),
        size => size.to_string(),
    };
    format!("({})", shape.iter().map(size).collect::<Vec<_>>().join(", "))
}

fn text(report: &Report, metadata: &ModelMetadata) -> String {
    let row = |cells: &[&str]| cells.iter().map(|cell| cell.to_string()).collect::<Vec<_>>();
    let mut facts = Vec::new();
    if let Some(kind) = metadata.kind {
        let details = [
            metadata.architecture.clone(),
            metadata.weights.as_ref().map(|weights| format!("{weights} weights")),
            metadata.dataset.as_ref().map(|dataset| format!("trained on {dataset}")),
        ];
        let details: Vec<String> = details.into_iter().flatten().collect();
        facts.push(row(&["kind", &[vec![kind.to_string()], details].concat().join(", ")]));
    }
    for (role, tensors) in [("input", &report.inputs), ("output", &report.outputs)] {
        for tensor in tensors {
            let shape = shape_text(tensor.shape.as_deref());
            facts.push(row(&[role, &format!("{} {} {shape}", tensor.name, tensor.data_type)]));
        }
    }
    facts.push(row(&["value range", &range_text(metadata.range)]));
    facts.push(row(&["parameters", &grouped(report.parameters)]));
    let at_least = if report.multiply_accumulates_incomplete { "at least " } else { "" };
    let macs = format!("{at_least}{} for a batch of one", grouped(report.multiply_accumulates));
    facts.push(row(&["multiply-adds", &macs]));
    let opsets: Vec<String> =
        report.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    facts.push(row(&["operator set", &opsets.join(", ")]));
    facts.push(row(&["written by", &format!("{} (IR version {})", report.producer, report.ir_version)]));
    let mut out = format!("{}  {}\n", printable(&report.file), size(report.bytes));
    out.push_str(&table(&[Align::Left, Align::Left], &facts));

    let mut section = |title: &str, align: &[Align], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            out.push_str(&format!("\n{title}\n{}", table(align, &rows)));
        }
    };
    let weights = report.weights.iter().map(|(name, weights)| {
        let tensors = if weights.tensors == 1 { "tensor" } else { "tensors" };
        row(&[name, &weights.tensors.to_string(), tensors, &size(weights.bytes)])
    });
    section("Weights", &[Align::Left, Align::Right, Align::Left, Align::Right], weights.collect());
    // The most frequent first.
    let mut operators: Vec<(&String, &usize)> = report.operators.iter().collect();
    operators.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let operators = operators.into_iter().map(|(name, count)| row(&[name, &count.to_string()])).collect();
    section("Operators", &[Align::Left, Align::Right], operators);
    let mut nodes = vec![row(&["name", "operator", "output", "parameters", "multiply-adds"])];
    nodes.extend(report.nodes.iter().map(|node| {
        let number = |n: u64| if n == 0 { String::new() } else { grouped(n) };
        vec![
            if node.name.is_empty() { "-".into() } else { node.name.clone() },
            node.operator.clone(),
            shape_text(node.shape.as_deref()),
            number(node.parameters),
            number(node.multiply_accumulates.unwrap_or(0)),
        ]
    }));
    section("Nodes", &[Align::Left, Align::Left, Align::Left, Align::Right, Align::Right], nodes);
    section("Metadata", &[Align::Left, Align::Left], metadata_rows(&report.metadata));
    out
}

/// A line for each entry; an object, such as the training figures, has one for each of its own.
pub(crate) fn metadata_rows(entries: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (key, value) in entries {
        match serde_json::from_str(value) {
            Ok(Value::Object(entries)) => {
                rows.extend(
                    entries.iter().map(|(name, value)| vec![format!("{key}.{name}"), value.to_string()]),
                );
            }
            _ => rows.push(vec![key.clone(), value.clone()]),
        }
    }
    rows
}
