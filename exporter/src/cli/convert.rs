//! `exporter convert`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use latent_exporter::convert::{TransposedConvForm, difference, for_floats, for_quantization, overflows};
use latent_exporter::finite::check_finite;
use latent_exporter::graph::Graph;
use latent_exporter::import::import;
use latent_exporter::onnx::{About, FloatType, write_keeping};
use latent_exporter::pack::Difference;
use latent_exporter::quantize::{Options, Report, quantize};
use latent_exporter::task::TaskReport;
use latent_files::atomic::{self, Existing};
use latent_files::console;
use latent_files::text::{grouped, list};
use latent_runtime::onnx;
use latent_runtime::onnx::proto::ModelProto;
use latent_runtime::open::OpenError;
use prost::Message;
use sha2::{Digest, Sha256};

use super::calibration::{self, CalibrationArgs, RangeArgs};

const EXAMPLES: &str = "\
Examples:
  exporter convert models/dcgan.fp32.onnx --precision f16 \\
      --out models/dcgan.fp16.onnx
      weights and arithmetic in half precision; inputs and outputs stay float32
  exporter convert models/dcgan.fp32.onnx --precision int8 \\
      --form depth-to-space --per-tensor --out models/dcgan.int8.onnx
      8-bit integers in the form that ONNX Runtime runs fastest, and a report on
      what that costs
  exporter convert encoder.onnx --precision int8 --calibration-data pictures \\
      --out encoder.int8.onnx
      8-bit integers, with ranges of activations observed on pictures
  exporter convert encoder.onnx --precision f32 --out models/encoder.fp32.onnx
      the same network, simplified: constants folded, BatchNorm in the layers,
      one opset";

/// Refuses values that half precision cannot hold, and names that are no node's.
fn check_halves(graph: &Graph, about: &About, float32: &[String]) -> anyhow::Result<()> {
    if let Some(name) = float32.iter().find(|name| !graph.nodes.iter().any(|node| node.name == **name)) {
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        bail!("no node is named \"{name}\" (--keep-float); the nodes are {}", names.join(", "));
    }
    let overflows = overflows(graph, &about.metadata, float32, PROBED, 0)?;
    let Some(first) = overflows.first() else { return Ok(()) };
    let mut nodes: Vec<&String> = float32.iter().collect();
    for name in overflows.iter().flat_map(|overflow| &overflow.nodes) {
        if !nodes.contains(&name) {
            nodes.push(name);
        }
    }
    let options: Vec<String> = nodes.into_iter().map(|name| format!("--keep-float {name}")).collect();
    bail!(
        "the result of node \"{}\" reaches {:.0} on {PROBED} random inputs, beyond half precision's 65504: the model \
         would give infinities. Keep what makes or reads such values in 32 bits with {}, or convert to \
         --precision f32, or `exporter pack --precision f16` (weights in half precision, arithmetic in 32 bits)",
        first.node,
        first.largest,
        options.join(" ")
    )
}

/// Whether ONNX Runtime took the model, where it is installed.
///
/// # Errors
/// When it is there and refuses the model.
fn opened_by_onnx_runtime(model: &[u8], path: &Path) -> anyhow::Result<bool> {
    match latent_runtime::ort::check(model, path) {
        Ok(()) => Ok(true),
        Err(OpenError::Library { .. }) => Ok(false),
        Err(error) => {
            Err(anyhow::Error::new(error).context("the written model is not valid; please report this"))
        }
    }
}

/// Inputs that the written model is compared with the given one on.
const COMPARED: usize = 2;
/// Inputs that values too large for half precision are looked for on.
const PROBED: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// ONNX model: ours, PyTorch's, or another's in the supported operators
    model: PathBuf,
    /// The ONNX model to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The numbers that it computes with
    #[arg(long, value_enum)]
    precision: Precision,
    /// How transposed convolutions are written
    #[arg(long, value_enum, default_value_t = FormName::Exported)]
    form: FormName,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// 32-bit floats: the model is simplified, no more
    #[value(alias = "fp32")]
    F32,
    /// 16-bit floats
    #[value(alias = "fp16")]
    F16,
    /// 8-bit integers, as QuantizeLinear and DequantizeLinear around float operators (QDQ)
    Int8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormName {
    /// As ConvTranspose
    Exported,
    /// As Conv, DepthToSpace and Slice where possible: the same sums, which ONNX Runtime can compute in integers
    DepthToSpace,
}

pub(crate) fn run(args: ConvertArgs) -> anyhow::Result<()> {
    let existing = Existing::forced(args.force);
    atomic::check(&args.out, existing)?;
    atomic::check_apart(&args.out, [&args.model])?;
    // What is wrong with the file names it already; what is wrong with its contents does not.
    let model = onnx::load(&args.model)?;
    let context = || args.model.display().to_string();
    let mut about = About::of(&model);
    let graph = import(&model).with_context(context)?;
    graph.notes.iter().for_each(|note| latent_files::say!("note: {note}"));
    check_finite(&graph, &about.metadata, COMPARED).with_context(context)?;
    let images = args.range.decide(&graph, &mut about.metadata).with_context(context)?;
    images.note((args.precision == Precision::Int8).then_some(&args.calibration));
    let quantizes = args.precision == Precision::Int8;
    args.calibration.refuse_useless(quantizes, args.precision == Precision::F16)?;
    let form = match args.form {
        FormName::Exported => TransposedConvForm::Exported,
        FormName::DepthToSpace => TransposedConvForm::DepthToSpace,
    };
    let floats = if args.precision == Precision::F16 { FloatType::F16 } else { FloatType::F32 };
    let (prepared, report) = match args.precision {
        Precision::F32 | Precision::F16 => (for_floats(&graph, form), None),
        Precision::Int8 => {
            let float = for_quantization(&graph, form);
            let inputs = args.calibration.inputs(&float, &images)?;
            if !args.json {
                calibration::announce(&inputs);
            }
            // ONNX Runtime computes a layer in integers only when its result is quantized too.
            let options = Options { every_layer: true, ..args.calibration.options(&images) };
            let (quantized, report) = quantize(&float, &inputs, &options).with_context(context)?;
            let task = args.calibration.task(&float, &quantized, &images, &report);
            let task = task.with_context(context)?;
            (quantized, Some((report, task)))
        }
    };
    // In a quantized model these nodes are float32 anyway.
    let float32 = args.calibration.keep_float();
    if args.precision == Precision::F16 {
        check_halves(&prepared, &about, float32).with_context(context)?;
    }
    let written = write_keeping(&prepared, &about, floats, float32).with_context(context)?;
    // What is compared is what others will read.
    let again = import(&written).context("the written model cannot be read again; please report this")?;
    let difference =
        difference(&graph, &again, &about.metadata, (floats, float32), COMPARED, 0).with_context(context)?;
    let bytes = written.encode_to_vec();
    let opened = opened_by_onnx_runtime(&bytes, &args.out)?;
    atomic::write_file(&args.out, &bytes, existing)?;
    let text = if args.json {
        json(&args, &written, &bytes, (&difference, opened), &report)?
    } else {
        let tables = report.map(|(report, task)| calibration::summary(&report, task.as_ref()) + "\n");
        tables.unwrap_or_default() + &summary(&args, &written, &bytes, (&difference, opened))
    };
    Ok(console::print(&text)?)
}

fn nodes(model: &ModelProto) -> usize {
    model.graph.as_ref().map_or(0, |graph| graph.node.len())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json(
    args: &ConvertArgs,
    model: &ModelProto,
    bytes: &[u8],
    (difference, opened): (&Difference, bool),
    report: &Option<(Report, Option<TaskReport>)>,
) -> anyhow::Result<String> {
    let mut value = serde_json::json!({
        "model": args.model,
        "path": args.out,
        "bytes": bytes.len(),
        "nodes": nodes(model),
        "sha256": sha256(bytes),
        "difference": difference,
        "opened_by_onnx_runtime": opened,
    });
    if let Some((report, task)) = report {
        value["report"] = serde_json::to_value(report)?;
        value["task"] = serde_json::to_value(task)?;
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn summary(
    args: &ConvertArgs,
    model: &ModelProto,
    bytes: &[u8],
    (difference, opened): (&Difference, bool),
) -> String {
    let lines = [
        ("file", args.out.display().to_string()),
        ("bytes", grouped(bytes.len() as u64)),
        ("nodes", grouped(nodes(model) as u64)),
        ("sha256", sha256(bytes)),
        (
            "against the given model",
            format!(
                "largest difference {:.1e} in a range of {:.3}, {:.0} dB ({} random inputs)",
                difference.largest,
                difference.range,
                difference.psnr(),
                difference.examples
            ),
        ),
        (
            "ONNX Runtime",
            match opened {
                true => "opens it".into(),
                false => "is not installed, so whether it opens the file was not tried".to_string(),
            },
        ),
    ];
    list(&lines)
}
