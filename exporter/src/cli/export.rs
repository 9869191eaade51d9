//! `exporter export`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use latent_exporter::atomic::Existing;
use latent_exporter::export::{Exported, Options, export};
use latent_exporter::onnx::Folding;
use latent_exporter::run::{RunFolder, WeightsChoice};

use super::table::{grouped, table};

const EXAMPLES: &str = "\
Examples:
  exporter export runs/dcgan --out models
      the newest checkpoint's generator, as models/dcgan.fp32.onnx
  exporter export runs/dcgan --out models --discriminator --name mnist
      both networks, as models/mnist.fp32.onnx and models/mnist.discriminator.fp32.onnx
  exporter export runs/dcgan/checkpoints/00001000 --out models --weights raw --force
      an earlier checkpoint, without the moving average, replacing what is there";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Run folder of the trainer (its newest checkpoint is taken), or RUN/checkpoints/N
    run: PathBuf,
    /// Folder for the ONNX files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which weights of the generator to take
    #[arg(long, value_enum, default_value_t = Weights::Auto)]
    weights: Weights,
    /// Write the discriminator too (its raw score tells how real an image looks)
    #[arg(long)]
    discriminator: bool,
    /// First part of the files' names [default: the run folder's name]
    #[arg(long)]
    name: Option<String>,
    /// Keep each BatchNorm as a BatchNormalization node
    #[arg(long)]
    no_fold: bool,
    /// Replace files that are there already
    #[arg(long)]
    force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Weights {
    /// The moving average when the run has one, else the raw weights
    Auto,
    /// The exponential moving average
    Ema,
    /// The weights as the optimizer left them
    Raw,
}

pub(crate) fn run(args: ExportArgs) -> anyhow::Result<()> {
    let run = RunFolder::open(&args.run)?;
    let options = Options {
        out: args.out,
        name: args.name,
        weights: match args.weights {
            Weights::Auto => WeightsChoice::Auto,
            Weights::Ema => WeightsChoice::Ema,
            Weights::Raw => WeightsChoice::Raw,
        },
        discriminator: args.discriminator,
        folding: if args.no_fold { Folding::Off } else { Folding::On },
        existing: if args.force { Existing::Replace } else { Existing::Keep },
    };
    let exported = export(&run, &options)?;
    let text = if args.json { json(&run, &exported)? } else { summary(&run, &exported) };
    // Not println: a reader that closes the pipe early is no reason to panic.
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn json(run: &RunFolder, exported: &[Exported]) -> anyhow::Result<String> {
    let value = serde_json::json!({
        "run": run.path,
        "checkpoint": run.checkpoint.path,
        "iteration": run.checkpoint.iteration,
        "files": exported,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn summary(run: &RunFolder, exported: &[Exported]) -> String {
    let head = ["file", "weights", "bytes", "parameters", "MACs", "sha256"].map(String::from).to_vec();
    let mut rows = vec![head];
    rows.extend(exported.iter().map(|file| {
        vec![
            file.path.display().to_string(),
            file.weights.to_string(),
            grouped(file.bytes),
            grouped(file.parameters),
            grouped(file.macs),
            file.sha256.clone(),
        ]
    }));
    format!("from {}\n{}", run.checkpoint.path.display(), table(&rows))
}
