//! `trainer sample`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use latent_files::atomic::{self, Existing};
use latent_files::picture_file::{self, is_stdout};
use latent_files::pictures::Picture;
use latent_files::sheet::{self, Compression};
use latent_files::text::seed;

use crate::device;
use crate::gan::run::RunInfo;
use crate::gan::sampler::{Sampler, WeightsChoice};
use crate::gan::train::layout;
use crate::report::grid;
use crate::which::Which;

/// Images on a grid unless asked otherwise.
const IMAGES: usize = 64;

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer sample runs/dcgan --out digits.png
      a grid of 64 images
  trainer sample runs/dcgan --count 100 --columns 20 --scale 3 --seed 7 \\
      --out wide.png
  trainer sample runs/dcgan --count 1000 --single images/
      single PNGs images/00000.png, images/00001.png, ...
  trainer sample runs/digits --label 7 --out sevens.png
      of a run that was trained with --conditional: one class, or several as
      --label 3,7; else a column for each";

/// Which of the generator's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    /// The moving average if the run has one
    Auto,
    /// The moving average
    Ema,
    /// The weights as trained
    Raw,
}

/// Options of `trainer sample`.
#[derive(Debug, Args)]
pub struct SampleArgs {
    /// The run folder
    run: PathBuf,
    /// Number of images [default: 64; of a conditional run, whole rows of all its classes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
    /// Conditional runs: the classes, by number from 0 or by name, which images have in turn [default: all]
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    label: Vec<String>,
    /// Seed of the latent vectors
    #[arg(long, default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    /// Images in a row of the grid [default: about square, or one for each class]
    #[arg(long, conflicts_with = "single", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    columns: Option<u32>,
    /// Pixels per pixel [default: by size for a grid, 1 for single images]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: Option<u32>,
    /// File for the grid: .png or .jpg; - is a PNG to standard output
    #[arg(long, value_name = "FILE", default_value = "samples.png", conflicts_with = "single")]
    out: PathBuf,
    /// Write single images into this folder instead
    #[arg(long, value_name = "DIR")]
    single: Option<PathBuf>,
    /// Which weights
    #[arg(long, value_enum, default_value_t = Weights::Auto)]
    weights: Weights,
    /// Which checkpoint: best (by Fréchet distance, if it was measured), last, or an iteration
    #[arg(long, value_name = "WHICH", default_value_t = Which::Best)]
    checkpoint: Which,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// Draws as asked.
pub fn run(args: SampleArgs) -> anyhow::Result<()> {
    let choice = match args.weights {
        Weights::Auto => WeightsChoice::Auto,
        Weights::Ema => WeightsChoice::Ema,
        Weights::Raw => WeightsChoice::Raw,
    };
    // With more, sums of products are divided as the machine's load has it, and a seed's images differ in their last bits.
    tch::set_num_threads(1);
    let sampler = Sampler::open(&args.run, args.checkpoint, choice, device::choose(&args.device)?)?;
    let info = &sampler.info;
    let image = info.image;
    let labels = labels(&args, info)?;
    let count = match (args.count, labels.len()) {
        (Some(count), _) => count as usize,
        (None, 0) => IMAGES,
        (None, classes) => IMAGES.div_ceil(classes) * classes,
    };
    let targets = targets(&args, count)?;
    let existing = Existing::forced(args.force);

    let pixels = sampler.draw(count, args.seed, &labels)?;

    let (c, h, w) = (image.channels, image.height, image.width);
    let columns = (2..=IMAGES).contains(&labels.len()).then_some(labels.len().min(count));
    let (columns, scale) = layout(count, columns, h, w);
    if let Some(folder) = &args.single {
        let scale = args.scale.unwrap_or(1) as usize;
        for (target, image) in targets.iter().zip(pixels.chunks_exact(c * h * w)) {
            let picture = Picture::from_planes(image, (c, h, w)).enlarged(scale);
            atomic::write_file(target, &sheet::png(&picture, Compression::Balanced)?, existing)?;
        }
        latent_files::output!("{}: {count} images", folder.display())?;
    } else {
        let columns = args.columns.map_or(columns, |n| n as usize);
        let scale = args.scale.map_or(scale, |n| n as usize);
        let sheet = grid::draw(&pixels, count, c, h, w, columns, scale)?;
        picture_file::write(&args.out, &sheet, Compression::Smallest, existing)?;
        if !is_stdout(&args.out) {
            latent_files::output!("{}", args.out.display())?;
        }
    }
    Ok(())
}

/// The labels that images have in turn; none if the run is not conditional.
fn labels(args: &SampleArgs, info: &RunInfo) -> anyhow::Result<Vec<i64>> {
    let run = args.run.display();
    let Some(classes) = &info.classes else {
        if let Some(label) = args.label.first() {
            bail!("--label {label}: {run} knows no classes; train with --conditional to ask for one");
        }
        return Ok(Vec::new());
    };
    let chosen: Vec<usize> = match args.label.as_slice() {
        [] => (0..classes.count).collect(),
        chosen => chosen
            .iter()
            .map(|text| classes.label(text).map_err(|why| anyhow::anyhow!("--label: of {run} {why}")))
            .collect::<anyhow::Result<_>>()?,
    };
    chosen.into_iter().map(|label| Ok(i64::try_from(label)?)).collect()
}

/// The files to write; an error if one is there already and may not be replaced.
fn targets(args: &SampleArgs, count: usize) -> anyhow::Result<Vec<PathBuf>> {
    let targets: Vec<PathBuf> = match &args.single {
        Some(folder) => (0..count).map(|i| folder.join(format!("{i:05}.png"))).collect(),
        None => vec![args.out.clone()],
    };
    for target in &targets {
        picture_file::check(target, Existing::forced(args.force))?;
    }
    Ok(targets)
}
