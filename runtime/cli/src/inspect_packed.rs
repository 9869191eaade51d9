//! `runtime inspect` of a packed model.

use std::collections::BTreeMap;
use std::path::Path;

use latent_runtime::format::{Model, Operator, Port, PortType, Ports};
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use serde::Serialize;

use super::inspect::metadata_rows;
use super::metadata::range_text;
use latent_files::text::{Align, grouped, printable, size, table};

/// Everything that is shown.
#[derive(Serialize)]
struct Report {
    file: String,
    bytes: usize,
    format: &'static str,
    precision: &'static str,
    kind: Option<&'static str>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// Weights, biases and scales.
    parameter_bytes: usize,
    /// For a batch of one.
    multiply_accumulates: u64,
    /// Working memory for a batch of one.
    arena_bytes: usize,
    /// What each further example of a batch adds to it.
    activation_bytes: usize,
    operators: Vec<PackedOperator>,
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    /// `f32`, or `integer` for whole numbers that are given as f32.
    data_type: &'static str,
    /// Without the batch axis.
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct PackedOperator {
    name: String,
    kind: &'static str,
    /// Channels, rows and columns of the output.
    output: [usize; 3],
    weights: Option<&'static str>,
    weight_bytes: usize,
    multiply_accumulates: u64,
}

/// The report on a file as text or JSON.
pub(crate) fn report(path: &Path, json: bool) -> anyhow::Result<String> {
    let backend = NativeBackend::load(path, &NativeOptions::default())?;
    let model = backend.model();
    let report = describe(path, &model);
    Ok(match json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => text(&report, &ModelMetadata::from_packed(&model)),
    })
}

fn describe(path: &Path, model: &Model<'_>) -> Report {
    let tensors = |ports: Ports<'_>| {
        let tensor = |port: Port<'_>| Tensor {
            name: port.name.into(),
            data_type: match port.kind {
                PortType::Float => "f32",
                PortType::Integer => "integer",
            },
            shape: port.shape.as_slice().to_vec(),
        };
        ports.map(tensor).collect()
    };
    let operators: Vec<PackedOperator> =
        (0..model.operators_len()).filter_map(|index| model.operator(index)).map(operator).collect();
    Report {
        file: path.display().to_string(),
        bytes: model.bytes().len(),
        format: "lat",
        precision: model.precision().name(),
        kind: ModelMetadata::from_packed(model).kind.map(|kind| kind.name()),
        inputs: tensors(model.inputs()),
        outputs: tensors(model.outputs()),
        parameter_bytes: model.data_len(),
        multiply_accumulates: operators.iter().map(|operator| operator.multiply_accumulates).sum(),
        arena_bytes: model.arena_len(1).unwrap_or(usize::MAX),
        activation_bytes: model.activations_len(),
        operators,
        metadata: model.metadata().map(|(key, text)| (key.to_string(), text.to_string())).collect(),
    }
}

fn operator(operator: Operator<'_>) -> PackedOperator {
    let layer = operator.kind.layer();
    PackedOperator {
        name: operator.name.into(),
        kind: operator.kind.name(),
        output: [operator.output.channels, operator.output.height, operator.output.width],
        weights: layer.map(|layer| layer.weights.weight_type().name()),
        weight_bytes: layer.map_or(0, |layer| layer.weights.bytes()),
        multiply_accumulates: operator.multiply_accumulates(),
    }
}

fn text(report: &Report, metadata: &ModelMetadata) -> String {
    let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    let shape = |sizes: &[usize]| sizes.iter().map(|size| format!(", {size}")).collect::<String>();
    let details = [
        Some(report.kind.unwrap_or("model").to_string()),
        metadata.architecture.clone(),
        metadata.weights.as_ref().map(|weights| format!("{weights} weights")),
        metadata.dataset.as_ref().map(|dataset| format!("trained on {dataset}")),
    ];
    let ends = |role: &str, tensors: &[Tensor]| {
        let end = |tensor: &Tensor| {
            let whole = if tensor.data_type == "integer" { ", whole numbers" } else { "" };
            row(&[role, &format!("{} (N{}){whole}", tensor.name, shape(&tensor.shape))])
        };
        tensors.iter().map(end).collect::<Vec<_>>()
    };
    let mut facts = vec![
        row(&["kind", &details.into_iter().flatten().collect::<Vec<_>>().join(", ")]),
        row(&["precision", report.precision]),
    ];
    facts.extend(ends("input", &report.inputs));
    facts.extend(ends("output", &report.outputs));
    facts.extend([
        row(&["value range", &range_text(metadata.range)]),
        row(&["parameters", &format!("{} bytes", grouped(report.parameter_bytes as u64))]),
        row(&["multiply-adds", &format!("{} for a batch of one", grouped(report.multiply_accumulates))]),
        row(&[
            "memory",
            &format!(
                "{} bytes for a batch of one, {} for each further example",
                grouped(report.arena_bytes as u64),
                grouped(report.activation_bytes as u64)
            ),
        ]),
    ]);
    let mut out = format!("{}  {}\n", printable(&report.file), size(report.bytes as u64));
    out.push_str(&table(&[Align::Left, Align::Left], &facts));
    let number = |n: u64| if n == 0 { String::new() } else { grouped(n) };
    let mut operators =
        vec![row(&["name", "operator", "output", "weights", "weight bytes", "multiply-adds"])];
    operators.extend(report.operators.iter().map(|operator| {
        row(&[
            &operator.name,
            operator.kind,
            &format!("(N{})", shape(&operator.output)),
            operator.weights.unwrap_or_default(),
            &number(operator.weight_bytes as u64),
            &number(operator.multiply_accumulates),
        ])
    }));
    let columns = [Align::Left, Align::Left, Align::Left, Align::Left, Align::Right, Align::Right];
    out.push_str(&format!("\nOperators\n{}", table(&columns, &operators)));
    let metadata = metadata_rows(&report.metadata);
    if !metadata.is_empty() {
        out.push_str(&format!("\nMetadata\n{}", table(&[Align::Left, Align::Left], &metadata)));
    }
    out
}
