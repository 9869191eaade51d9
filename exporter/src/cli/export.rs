//! `exporter export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use latent_exporter::export::{EncoderOptions, Exported, Options, export, export_encoder};
use latent_exporter::network::{Folding, Form};
use latent_exporter::run::{self, Checkpoint, GanRun, RunKind, SavedRun, SimclrRun, WeightsChoice};
use latent_files::atomic::Existing;
use latent_files::console;
use latent_files::text::{grouped, table_with_head};

const EXAMPLES: &str = "\
Examples:
  exporter export runs/dcgan --out models
      the best checkpoint's generator, as models/dcgan.fp32.onnx
  exporter export runs/dcgan --out models --discriminator --name mnist
      both networks, as models/mnist.fp32.onnx and
      models/mnist.discriminator.fp32.onnx
  exporter export runs/dcgan/checkpoints/00001000 --out models --weights raw \\
      --force
      an earlier checkpoint, without the moving average, replacing what is there
  exporter export runs/simclr --out models
      the encoder of a SimCLR run, as models/simclr.fp32.onnx: it takes images
      as they are, and gives features";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Run folder of the trainer (its best checkpoint is taken, or the newest if none was judged), or RUN/checkpoints/N
    run: PathBuf,
    /// Folder for the ONNX files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// GAN: which weights of the generator to take [default: auto]
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// GAN: write the discriminator too (its raw score tells how real an image looks)
    #[arg(long)]
    discriminator: bool,
    /// SimCLR: keep the projection head, so that the encoder gives g(h) instead of the features h
    #[arg(long)]
    head: bool,
    /// SimCLR: leave the normalization of the input to the caller, instead of taking images in the range [0, 1]
    #[arg(long, alias = "no-normalise-input")]
    no_normalize_input: bool,
    /// SimCLR: divide the output by its Euclidean norm
    #[arg(long)]
    l2: bool,
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
    let text = match run::kind(&args.run)? {
        RunKind::Gan => {
            only(
                "a GAN run",
                "SimCLR",
                &[
                    ("--head", args.head),
                    ("--l2", args.l2),
                    ("--no-normalize-input", args.no_normalize_input),
                ],
            )?;
            let run = SavedRun::<GanRun>::open(&args.run)?;
            report(&args, &run.path, &run.checkpoint, &export(&run, &args.gan_options())?)?
        }
        RunKind::Simclr => {
            only(
                "a SimCLR run",
                "GAN",
                &[("--discriminator", args.discriminator), ("--weights", args.weights.is_some())],
            )?;
            let run = SavedRun::<SimclrRun>::open(&args.run)?;
            report(&args, &run.path, &run.checkpoint, &[export_encoder(&run, &args.encoder_options())?])?
        }
        RunKind::Classifier => anyhow::bail!(
            "{} is a classifier's run, which is no model to export: `trainer scorer` makes of it what `trainer eval` judges by",
            args.run.display()
        ),
    };
    Ok(console::print(&text)?)
}

/// Refuses options of the other kind of run.
fn only(this: &str, other: &str, options: &[(&str, bool)]) -> anyhow::Result<()> {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => anyhow::bail!("{option} is for {other} runs, and this is {this}"),
        None => Ok(()),
    }
}

impl ExportArgs {
    fn existing(&self) -> Existing {
        Existing::forced(self.force)
    }

    fn folding(&self) -> Folding {
        if self.no_fold { Folding::Off } else { Folding::On }
    }

    fn gan_options(&self) -> Options {
        Options {
            out: self.out.clone(),
            name: self.name.clone(),
            weights: match self.weights {
                None | Some(Weights::Auto) => WeightsChoice::Auto,
                Some(Weights::Ema) => WeightsChoice::Ema,
                Some(Weights::Raw) => WeightsChoice::Raw,
            },
            discriminator: self.discriminator,
            folding: self.folding(),
            existing: self.existing(),
        }
    }

    fn encoder_options(&self) -> EncoderOptions {
        EncoderOptions {
            out: self.out.clone(),
            name: self.name.clone(),
            form: Form {
                head: self.head,
                normalize_input: !self.no_normalize_input,
                l2: self.l2,
                folding: self.folding(),
            },
            existing: self.existing(),
        }
    }
}

fn report(
    args: &ExportArgs,
    run: &Path,
    checkpoint: &Checkpoint,
    exported: &[Exported],
) -> anyhow::Result<String> {
    if args.json { json(run, checkpoint, exported) } else { Ok(summary(checkpoint, exported)) }
}

fn json(run: &Path, checkpoint: &Checkpoint, exported: &[Exported]) -> anyhow::Result<String> {
    let value = serde_json::json!({
        "run": run,
        "checkpoint": checkpoint.path,
        "iteration": checkpoint.iteration,
        "files": exported,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn summary(checkpoint: &Checkpoint, exported: &[Exported]) -> String {
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
    format!("from {}\n{}", checkpoint.path.display(), table_with_head(&rows))
}
