//! `trainer data export`: images of a data set as files that other programs read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use latent_files::atomic::{self, Existing, NewFolder};
use latent_files::npy;
use latent_files::pictures::Picture;
use latent_files::sheet::{Compression, png};
use latent_runtime::pixels::ValueRange;

use super::{SourceArgs, choose};
use crate::data::{Dataset, Split};

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer data export mnist --out digits
      PNGs in a folder for each class: digits/7/00042.png, ...
  trainer data export mnist --split test --count 500 --out digits.npy
      an array of 500x1x28x28 values in [-1, 1], as generators have them

Such folders and arrays are what `exporter pack --calibration-data` and
`--reference-data` take; `runtime embed` takes the folders.";

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// A folder for PNGs, or a file named .npy for an array of (N, C, H, W)
    #[arg(long, short, value_name = "DIR|FILE.npy")]
    out: PathBuf,
    /// Which split
    #[arg(long, default_value = "train")]
    split: Split,
    /// Number of images, drawn at random without repetition [default: all, in order]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// The values of black and white in an array [default: -1,1]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
    /// Overwrite the array if it is there; a folder is never replaced
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let out = &args.out;
    let is_array = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let existing = Existing::forced(args.force);
    match is_array {
        true => atomic::check(out, existing)?,
        false if args.range.is_some() => bail!("--range is for arrays (--out FILE.npy); PNGs have bytes"),
        false if out.extension().is_some() && !out.is_dir() => {
            bail!("--out {}: give a folder, or a file named .npy", out.display())
        }
        false if out.symlink_metadata().is_ok() => {
            bail!("{} is there already; choose another name", out.display())
        }
        false => {}
    }
    let data = args.source.resolve()?.load(args.split, &args.source.options())?;
    let chosen = match args.count {
        Some(count) => choose(&data, count as usize, args.source.seed, false),
        None => (0..data.len()).collect(),
    };
    match is_array {
        true => {
            let range = args.range.unwrap_or(ValueRange::SIGNED);
            let step = (range.high() - range.low()) / 255.0;
            let pixels = chosen.iter().flat_map(|&index| data.image(index));
            let values: Vec<f32> = pixels.map(|&pixel| range.low() + step * f32::from(pixel)).collect();
            let shape = [chosen.len(), data.channels, data.height, data.width];
            atomic::write_file(out, &npy::encode(out, &shape, &values), existing)?;
            let (low, high) = (range.low(), range.high());
            latent_files::output!("{}: {} images, from {low} to {high}", out.display(), chosen.len())?;
        }
        false => {
            write_folder(out, &data, &chosen)?;
            latent_files::output!("{}: {} images", out.display(), chosen.len())?;
        }
    }
    Ok(())
}

fn write_folder(out: &Path, data: &Dataset, chosen: &[usize]) -> anyhow::Result<()> {
    let folder = NewFolder::begin(out)?;
    // Names such as "T-shirt/top".
    let names: Vec<String> = data.class_names.iter().map(|name| name.replace(['/', '\\'], "-")).collect();
    let shape = (data.channels, data.height, data.width);
    for &index in chosen {
        let class = names.get(data.labels[index] as usize).map_or("", String::as_str);
        let place = folder.temporary().join(class);
        fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
        let picture = Picture::from_planes(data.image(index), shape);
        let file = place.join(format!("{index:05}.png"));
        fs::write(&file, png(&picture, Compression::Balanced)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(folder.finish(Existing::Keep)?)
}
