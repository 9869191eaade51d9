//! `exporter pack`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use latent_exporter::cost;
use latent_exporter::emit::{self, File};
use latent_exporter::finite::check_finite;
use latent_exporter::graph::{Content, Graph};
use latent_exporter::import::import;
use latent_exporter::pack::{
    Difference, FloatPrecision, PackOptions, difference, difference_on, is_quantized, pack_graph,
};
use latent_exporter::passes::optimize;
use latent_exporter::quantize::{Int4Layer, Report, quantize, to_int4};
use latent_exporter::task::TaskReport;
use latent_files::atomic::{self, Existing};
use latent_files::console;
use latent_files::text::{grouped, list, size};
use latent_runtime::format::Model;
use latent_runtime::onnx::{self, ModelMetadata};
use sha2::{Digest, Sha256};

use super::calibration::{self, CalibrationArgs, RangeArgs};

const EXAMPLES: &str = "\
Examples:
  exporter pack models/dcgan.fp32.onnx --out models/dcgan.f32.lat
      the same network, fused and laid out for the native engine
  exporter pack models/dcgan.fp32.onnx --precision f16 \\
      --out models/dcgan.f16.lat
      with weights of half the size
  exporter pack models/dcgan.fp32.onnx --precision bf16 \\
      --out models/dcgan.bf16.lat
      the same size with fewer digits, and f32's range
  exporter pack encoder.fp32.onnx --precision f16 --no-winograd \\
      --out encoder.f16.lat
      as small as f16 can be in file and working memory, for a device that has
      time but no room
  exporter pack models/dcgan.fp32.onnx --precision int8 \\
      --out models/dcgan.int8.lat
      in 8-bit integers, with ranges observed on latents that the generator is
      given
  exporter pack models/dcgan.fp32.onnx --precision int4 \\
      --out models/dcgan.int4.lat
      about half of that: weights of 4 bits, activations of 8
  exporter pack encoder.onnx --precision int8 --calibration-data photos \\
      --samples 256 --out encoder.int8.lat
      the same for an encoder, with ranges observed on 256 pictures of a folder;
      if it has a folder for each class, the report
      tells how many pictures fewer their neighbors classify
  exporter pack models/dcgan.fp32.onnx --precision int8 \\
      --reference-data mnist.npy --out models/dcgan.int8.lat
      the report tells the Fréchet distance of the images to real ones, before
      and after
  exporter pack models/dcgan.int8.onnx --out models/dcgan.int8.lat
      a quantized model (QuantizeLinear and DequantizeLinear): its integers as
      they are
  exporter pack models/dcgan.fp32.onnx --precision int8 --out digits.lat \\
      --emit rust
      also a crate, digits/, that holds the model for a device, and what it will
      cost there; --emit c writes digits.c and digits.h";

/// Inputs that the packed model is compared with the ONNX model on.
const COMPARED: usize = 2;

/// The same for one that was quantized here: of the inputs that were held out from calibration.
const COMPARED_QUANTIZED: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PackArgs {
    /// ONNX model: ours, PyTorch's, or another's in the supported operators
    model: PathBuf,
    /// The packed model to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How weights are stored [default: f32, or int8 if the model is quantized]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Compute every 3x3 convolution directly, none by Winograd's algorithm: almost twice the time, but 9/16 of the weights'
    /// bytes and half a megabyte less of working memory for each thread
    #[arg(long)]
    no_winograd: bool,
    /// Also write, beside the file, what a program for a device holds, and tell what it will cost there: `rust`, a crate;
    /// `c`, a pair of .c and .h
    #[arg(long, value_enum)]
    emit: Option<Language>,
    /// Replace files that are there already
    #[arg(long)]
    force: bool,
    /// Print the tables of layers, activations and outputs, too
    #[arg(long, short, conflicts_with = "json")]
    verbose: bool,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Precision {
    /// 32-bit floats
    #[value(alias = "fp32")]
    F32,
    /// 16-bit floats; arithmetic stays in 32 bits
    #[value(alias = "fp16")]
    F16,
    /// bfloat16, the upper half of a 32-bit float: f32's range, 8 binary digits; arithmetic stays in 32 bits
    Bf16,
    /// 8-bit integers: those of a quantized model, or a float model is quantized
    Int8,
    /// As int8, but weights of 4 bits, each an index of its layer's 16; small layers stay int8
    Int4,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// A crate for `no_std` programs
    Rust,
    /// C11
    C,
}

pub(crate) fn run(args: PackArgs) -> anyhow::Result<()> {
    let existing = Existing::forced(args.force);
    atomic::check(&args.out, existing)?;
    atomic::check_apart(&args.out, [&args.model])?;
    // What is wrong with the file names it already; what is wrong with its contents does not.
    let model = onnx::load(&args.model)?;
    let context = || args.model.display().to_string();
    let mut metadata = ModelMetadata::from_model(&model);
    let graph = import(&model).with_context(context)?;
    graph.notes.iter().for_each(|note| latent_files::say!("note: {note}"));
    check_finite(&graph, &metadata, COMPARED).with_context(context)?;
    let images = args.range.decide(&graph, &mut metadata).with_context(context)?;
    let precision = precision(args.precision, is_quantized(&graph)).with_context(context)?;
    let mut optimized = graph.clone();
    optimize(&mut optimized);
    let mut quantized = None;
    let int4 = matches!(args.precision, Some(Precision::Int4));
    let quantizes =
        matches!(args.precision, Some(Precision::Int8 | Precision::Int4)) && !is_quantized(&graph);
    images.note(quantizes.then_some(&args.calibration));
    args.calibration.refuse_useless(quantizes, false)?;
    if quantizes {
        let inputs = args.calibration.inputs(&optimized, &images).with_context(context)?;
        if !args.json {
            calibration::announce(&inputs);
        }
        let options = args.calibration.options(&images);
        let (mut integers, report) = quantize(&optimized, &inputs, &options).with_context(context)?;
        let layers = match int4 {
            true => to_int4(&mut integers, &inputs.calibration).with_context(context)?,
            false => Vec::new(),
        };
        let task = args.calibration.task(&optimized, &integers, &images, &report).with_context(context)?;
        optimized = integers;
        let quantization = Quantization { report, task, int4: layers };
        quantized = Some((quantization, inputs.held_out.first(&graph, COMPARED_QUANTIZED)));
    }
    let options = PackOptions { precision, winograd: !args.no_winograd, int4 };
    let packed = pack_graph(&optimized, images.metadata, options).with_context(context)?;
    let difference = match &quantized {
        Some((_, samples)) if graph.inputs.len() == 1 && graph.outputs.len() == 1 => {
            difference_on(&graph, &packed, samples)
        }
        Some((_, samples)) => difference(&graph, images.metadata, &packed, samples.count, 0),
        None => difference(&graph, images.metadata, &packed, COMPARED, 0),
    };
    let difference = difference.with_context(context)?;
    let emitted = args.emit.map(|language| Emitted::new(language, &args.out, &packed)).transpose()?;
    emitted
        .iter()
        .flat_map(|emitted| &emitted.files)
        .try_for_each(|file| atomic::check(&file.path, existing))?;
    atomic::write_file(&args.out, &packed, existing)?;
    if let Some(emitted) = &emitted {
        emitted.write(existing)?;
    }
    let quantization = quantized.as_ref().map(|(quantization, _)| quantization);
    let text = match args.json {
        true => json(&args, &packed, &difference, quantization)?,
        false => {
            let emitted = emitted.map(|emitted| emitted.summary()).unwrap_or_default();
            let whose = if images.gives() { "images" } else { "outputs" };
            let float_bytes = 4 * float_values(&graph);
            let from = if is_quantized(&graph) { "the quantized model's" } else { "fp32's" };
            let result = result(&args.out, (packed.len(), float_bytes), [whose, from], &difference);
            result + &summary(&args, &packed, &difference, quantization)? + &emitted
        }
    };
    Ok(console::print(&text)?)
}

/// The values of a model's weights.
fn float_values(graph: &Graph) -> usize {
    let constants = graph.values.iter().filter_map(|value| match &value.content {
        Content::Constant(tensor) => Some(tensor.shape().iter().product::<usize>()),
        Content::Computed { .. } => None,
    });
    constants.sum()
}

/// What came out, in a line.
fn result(
    out: &Path,
    (bytes, float): (usize, usize),
    [whose, from]: [&str; 2],
    difference: &Difference,
) -> String {
    let part = bytes as f64 / float.max(1) as f64;
    let part = match part {
        0.2..0.3 => ", a quarter of fp32".to_string(),
        0.45..0.6 => ", half of fp32".to_string(),
        // The rest of a small file is more than its weights.
        _ if part > 0.9 => String::new(),
        _ => format!(", {:.0} % of fp32", 100.0 * part),
    };
    let distance = match difference.psnr() {
        psnr if psnr.is_finite() => format!("{psnr:.0} dB from {from}"),
        _ => format!("the same as {from}"),
    };
    format!("wrote {}: {}{part}; {whose} {distance}\n", out.display(), size(bytes as u64))
}

/// How the weights that are floats are stored. A quantized model has its precision: its integers stay what they are.
fn precision(wanted: Option<Precision>, quantized: bool) -> anyhow::Result<FloatPrecision> {
    match (wanted, quantized) {
        (None | Some(Precision::F32 | Precision::Int8 | Precision::Int4), false)
        | (None | Some(Precision::Int8), true) => Ok(FloatPrecision::F32),
        (Some(Precision::F16), false) => Ok(FloatPrecision::F16),
        (Some(Precision::Bf16), false) => Ok(FloatPrecision::Bf16),
        (Some(Precision::Int4), true) => {
            bail!("the model is quantized; --precision int4 is for the float model that it was made from")
        }
        (Some(Precision::F32 | Precision::F16 | Precision::Bf16), true) => bail!(
            "the model is quantized; leave --precision out to pack its integers, or pack the float model that it was made from"
        ),
    }
}

/// The sources that hold the model, and what it will cost.
struct Emitted {
    files: Vec<File>,
    costs: String,
}

impl Emitted {
    /// To go beside `out`, named after it.
    fn new(language: Language, out: &Path, packed: &[u8]) -> anyhow::Result<Self> {
        let aligned = latent_runtime::AlignedBytes::copy_of(packed);
        let model = Model::from_bytes(aligned.as_slice())?;
        let costs = cost::table(&model, &cost::estimates(&model)?);
        let name = out.file_stem().unwrap_or_default().to_string_lossy();
        let mut files = match language {
            Language::Rust => emit::rust(&name, &model, &costs),
            Language::C => emit::c(&name, &model, &costs),
        };
        for file in &mut files {
            file.path = out.with_file_name(&file.path);
        }
        Ok(Self { files, costs })
    }

    fn write(&self, existing: Existing) -> anyhow::Result<()> {
        for File { path, content } in &self.files {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            }
            atomic::write_file(path, content, existing)?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let files = self.files.iter().map(|file| ("emitted", file.path.display().to_string()));
        format!(
            "\n{}\nOn a device, by docs/benchmarks/devices.md; operators without weights are not counted:\n{}",
            list(&files.collect::<Vec<_>>()),
            self.costs
        )
    }
}

/// What is said of quantizing.
struct Quantization {
    report: Report,
    /// The figure of the model's own task.
    task: Option<TaskReport>,
    /// What became of each layer, if weights are of 4 bits.
    int4: Vec<Int4Layer>,
}

/// The table of layers whose weights were to be of 4 bits.
fn int4_table(layers: &[Int4Layer]) -> String {
    let line = |layer: &Int4Layer| {
        let what = match layer.sqnr {
            Some(sqnr) => format!("int4, {sqnr:.1} dB from its int8 weights"),
            None => "int8: it has few of the model's weights".to_string(),
        };
        format!("  {}: {} weights, {what}\n", layer.name, grouped(layer.weights as u64))
    };
    let lines: String = layers.iter().map(line).collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nLayers in 4 bits (the figures of layers below are of 8):\n{lines}")
    }
}

/// What is said of the packed bytes. They must lie aligned to be read.
struct Facts {
    operators: usize,
    data: usize,
    arena: usize,
    sha256: String,
}

fn facts(packed: &[u8]) -> anyhow::Result<Facts> {
    let aligned = latent_runtime::AlignedBytes::copy_of(packed);
    let model = Model::from_bytes(aligned.as_slice())?;
    Ok(Facts {
        operators: model.operators_len(),
        data: model.data_len(),
        arena: model.arena_len(1).unwrap_or(usize::MAX),
        sha256: Sha256::digest(packed).iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

fn json(
    args: &PackArgs,
    packed: &[u8],
    difference: &Difference,
    quantization: Option<&Quantization>,
) -> anyhow::Result<String> {
    let facts = facts(packed)?;
    let value = serde_json::json!({
        "model": args.model,
        "path": args.out,
        "bytes": packed.len(),
        "operators": facts.operators,
        "parameter_bytes": facts.data,
        "arena_bytes": facts.arena,
        "sha256": facts.sha256,
        "difference": difference,
        "quantization": quantization.map(|quantization| &quantization.report),
        "task": quantization.and_then(|quantization| quantization.task.as_ref()),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn summary(
    args: &PackArgs,
    packed: &[u8],
    difference: &Difference,
    quantization: Option<&Quantization>,
) -> anyhow::Result<String> {
    let facts = facts(packed)?;
    let lines = [
        ("file", args.out.display().to_string()),
        ("bytes", grouped(packed.len() as u64)),
        ("operators", grouped(facts.operators as u64)),
        ("parameter bytes", grouped(facts.data as u64)),
        ("arena bytes", grouped(facts.arena as u64)),
        ("sha256", facts.sha256),
        (
            "against the ONNX model",
            format!(
                "largest difference {:.1e} in a range of {:.3}, {:.0} dB ({} {} inputs)",
                difference.largest,
                difference.range,
                difference.psnr(),
                difference.examples,
                if quantization.is_some() { "held-out" } else { "random" }
            ),
        ),
    ];
    let figures = quantization.map(|Quantization { report, task, int4 }| match args.verbose {
        true => format!("{}\n{}", int4_table(int4), calibration::summary(report, task.as_ref())),
        false => format!(
            "\n{}--verbose shows each layer and activation\n",
            calibration::brief(report, task.as_ref())
        ),
    });
    Ok(list(&lines) + &figures.unwrap_or_default())
}
