//! `trainer data`: fetch, inspect, draw and export data sets.

mod export;

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use latent_files::atomic::Existing;
use latent_files::console;
use latent_files::picture_file::{self, is_stdout};
use latent_files::sheet::Compression;
use latent_files::text::seed;
use latent_runtime::rng::Rng;

use crate::data::fetch::{Event, FetchOptions, SOURCES, fetch, source};
use crate::data::stats::{Stats, stats};
use crate::data::{DataError, DataSpec, Dataset, LoadOptions, Split, data_folders};
use crate::report;

/// Options of `trainer data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Download a data set into the data folder, or take it from another folder
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Count the images of a data set and describe their values
    #[command(after_help = INFO_EXAMPLES)]
    Info(InfoArgs),
    /// Draw images of a data set as one PNG
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Write images as a folder of PNGs or as an array, for calibration, reference data and embedding
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
}

const FETCH_EXAMPLES: &str = "\
Examples:
  trainer data fetch mnist
  trainer data fetch cifar10 --data-dir /srv/data
  trainer data fetch mnist --from /media/usb/mnist      (no network needed)

An interrupted download is continued by the same command. Files are checked
against their published SHA-256.";

const INFO_EXAMPLES: &str = "\
Examples:
  trainer data info mnist
  trainer data info cifar10:/srv/cifar-10-binary.tar.gz --json
  trainer data info folder:photos --resize 64x64

A data set is mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH,
synth-digits[:COUNT], synth-objects[:COUNT], or a name
in the data folder: --data-dir, else $LATENT_DATA, else data/ here or in the
workspace.";

const SHOW_EXAMPLES: &str = "\
Examples:
  trainer data show synth-digits --out digits.png
  trainer data show mnist --split test --count 64 --out mnist.png
  trainer data show synth-objects:2000 --by-class --count 200 --columns 20 \\
      --out objects.png";

#[derive(Debug, Args)]
struct FetchArgs {
    /// The data set
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SOURCES.iter().map(|s| s.name)))]
    name: String,
    /// Folder that holds data sets [default: $LATENT_DATA, else data/ here or in the workspace]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Take the files from this folder instead of the network
    #[arg(long, value_name = "DIR", conflicts_with = "mirror")]
    from: Option<PathBuf>,
    /// Download from this address instead of the usual mirrors; may be given several times
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Replace a file that is there with other content
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct SourceArgs {
    /// The data set
    #[arg(value_name = "DATA")]
    spec: DataSpec,
    /// Folder in which a bare name is looked up
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Crop and resize every image to this size
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size)]
    resize: Option<(usize, usize)>,
    /// Turn color into gray
    #[arg(long)]
    gray: bool,
    /// Seed of drawn data sets, and of the choice of images to show
    #[arg(long, default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
}

impl SourceArgs {
    fn resolve(&self) -> Result<DataSpec, DataError> {
        self.spec.resolve(self.data_dir.as_deref())
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { resize: self.resize, gray: self.gray, seed: self.seed }
    }
}

#[derive(Debug, Args)]
struct InfoArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Only this split [default: all that there are]
    #[arg(long)]
    split: Option<Split>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The picture to write: .png or .jpg; - is a PNG to standard output
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Which split
    #[arg(long, default_value = "train")]
    split: Split,
    /// Number of images, drawn at random without repetition
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Images in a row [default: about as many as there are rows]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    columns: Option<u32>,
    /// Pixels of the PNG for each pixel of an image
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    scale: u32,
    /// Sort the images by class
    #[arg(long)]
    by_class: bool,
    /// Overwrite the file if it is there
    #[arg(long)]
    force: bool,
}

/// Reads `28x28`, or `28` for a square.
fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let parse = |t: &str| t.trim().parse::<usize>().ok().filter(|&n| n > 0);
    let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
    match (parse(height), parse(width)) {
        (Some(height), Some(width)) => Ok((height, width)),
        _ => Err("expected HEIGHTxWIDTH in pixels, such as 32x32".to_owned()),
    }
}

/// Runs `trainer data`.
///
/// # Errors
/// Whatever keeps the command from being done, as a chain of sentences.
pub fn run(args: DataArgs) -> anyhow::Result<()> {
    match args.command {
        DataCommand::Fetch(args) => run_fetch(&args),
        DataCommand::Info(args) => run_info(&args),
        DataCommand::Show(args) => run_show(&args),
        DataCommand::Export(args) => export::run(&args),
    }
}

fn run_fetch(args: &FetchArgs) -> anyhow::Result<()> {
    let source =
        source(&args.name).with_context(|| format!("there is no data set {:?} to fetch", args.name))?;
    let root =
        data_folders(args.data_dir.as_deref()).into_iter().next().unwrap_or_else(|| PathBuf::from("data"));
    let folder = root.join(source.name);
    let options = FetchOptions {
        from: args.from.clone(),
        mirrors: args.mirror.clone(),
        force: args.force,
        ..FetchOptions::default()
    };
    let mut progress = FetchProgress::new();
    let outcome = fetch(source, &folder, &options, &mut |event| progress.show(event));
    progress.clear();
    if let Err(error) = outcome {
        let error = anyhow::Error::new(error).context(format!("{} could not be fetched", source.name));
        // Without a network there is another way; say so where it helps.
        return Err(if args.from.is_none() && error_is_remote(&error) {
            anyhow::anyhow!(
                "{error:#}\nwith the files at hand: trainer data fetch {} --from DIR; without them, synth-digits and \
                 synth-objects need no files",
                source.name
            )
        } else {
            error
        });
    }
    latent_files::output!("{}", folder.display())?;
    Ok(())
}

fn error_is_remote(error: &anyhow::Error) -> bool {
    use crate::data::fetch::FetchError;
    matches!(error.downcast_ref::<FetchError>(), Some(FetchError::Mirrors { .. }))
        || error.chain().any(|e| matches!(e.downcast_ref::<FetchError>(), Some(FetchError::Mirrors { .. })))
}

/// Shows a fetch on stderr: a bar on a terminal, a line now and then elsewhere.
struct FetchProgress {
    bar: Option<ProgressBar>,
    terminal: bool,
    file: String,
    bytes: u64,
    last_line: Instant,
}

impl FetchProgress {
    fn new() -> Self {
        FetchProgress {
            bar: None,
            terminal: io::stderr().is_terminal(),
            file: String::new(),
            bytes: 0,
            last_line: Instant::now(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| latent_files::say!("{text}")),
            None => latent_files::say!("{text}"),
        }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Begin { file, bytes } => {
                self.clear();
                if self.terminal {
                    let bar = ProgressBar::new(bytes);
                    let style = "{msg}  {bytes}/{total_bytes} {bar:30} {bytes_per_sec}, {eta} left";
                    if let Ok(style) = ProgressStyle::with_template(style) {
                        bar.set_style(style);
                    }
                    bar.set_message(file.clone());
                    self.bar = Some(bar);
                }
                (self.file, self.bytes, self.last_line) = (file, bytes, Instant::now());
            }
            Event::Bytes(bytes) => match &self.bar {
                Some(bar) => bar.set_position(bytes),
                None if self.last_line.elapsed() >= Duration::from_secs(10) => {
                    self.last_line = Instant::now();
                    let percent = 100.0 * bytes as f64 / self.bytes.max(1) as f64;
                    latent_files::say!("{}: {bytes} of {} bytes ({percent:.0} %)", self.file, self.bytes);
                }
                None => {}
            },
            Event::Note(note) => self.line(&note),
            Event::Done { file, present } => {
                self.clear();
                latent_files::say!("{file}: {}", if present { "already there" } else { "done" });
            }
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[derive(serde::Serialize)]
struct Info {
    name: String,
    source: String,
    splits: serde_json::Map<String, serde_json::Value>,
}

fn run_info(args: &InfoArgs) -> anyhow::Result<()> {
    let spec = args.source.resolve()?;
    let mut loaded: Vec<(Split, String, Stats)> = Vec::new();
    for split in [Split::Train, Split::Test] {
        if args.split.is_some_and(|s| s != split) {
            continue;
        }
        match spec.load(split, &args.source.options()) {
            Ok(data) => loaded.push((split, data.name.clone(), stats(&data))),
            // A folder need not have test images; asked for explicitly, it is an error.
            Err(DataError::Empty { .. }) if args.split.is_none() && split == Split::Test => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut out = String::new();
    if args.json {
        let mut splits = serde_json::Map::new();
        let name = loaded.first().map(|(_, name, _)| name.clone()).unwrap_or_default();
        for (split, _, stats) in &loaded {
            splits.insert(split.to_string(), serde_json::to_value(stats)?);
        }
        out = serde_json::to_string_pretty(&Info { name, source: spec.to_string(), splits })?;
        out.push('\n');
    } else {
        writeln!(out, "{spec}")?;
        for (split, _, stats) in &loaded {
            let [c, h, w] = stats.shape;
            writeln!(out, "{split}: {} images of {c}x{h}x{w}", stats.images)?;
            let values = |v: &[f64]| v.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(" ");
            writeln!(out, "  mean    {}", values(&stats.mean))?;
            writeln!(out, "  std     {}", values(&stats.std))?;
            let classes: Vec<String> =
                stats.classes.iter().map(|c| format!("{} {}", c.name, c.images)).collect();
            writeln!(out, "  classes {}", classes.join(", "))?;
            writeln!(out, "  sha256  {}", stats.sha256)?;
        }
    }
    Ok(console::print(&out)?)
}

fn run_show(args: &ShowArgs) -> anyhow::Result<()> {
    let existing = Existing::forced(args.force);
    picture_file::check(&args.out, existing)?;
    let data = args.source.resolve()?.load(args.split, &args.source.options())?;
    let chosen = choose(&data, args.count as usize, args.source.seed, args.by_class);
    let pixels: Vec<u8> = chosen.iter().flat_map(|&i| data.image(i)).copied().collect();
    let columns = args.columns.map_or_else(|| square_side(chosen.len()), |c| c as usize);
    let sheet = report::grid::draw(
        &pixels,
        chosen.len(),
        data.channels,
        data.height,
        data.width,
        columns,
        args.scale as usize,
    )?;
    picture_file::write(&args.out, &sheet, Compression::Smallest, existing)?;
    if !is_stdout(&args.out) {
        latent_files::output!("{}", args.out.display())?;
    }
    Ok(())
}

/// Picks `count` images without repetition; with `by_class`, equally many of each class, in order of class.
fn choose(data: &Dataset, count: usize, seed: u64, by_class: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..data.len()).collect();
    Rng::from_seed(seed).shuffle(&mut order);
    if !by_class {
        order.truncate(count);
        return order;
    }
    let each = (count / data.class_names.len().max(1)).max(1);
    let mut taken = vec![0; data.class_names.len()];
    order.retain(|&i| {
        let n = &mut taken[data.labels[i] as usize];
        *n += 1;
        *n <= each
    });
    order.sort_by_key(|&i| data.labels[i]);
    order.truncate(count);
    order
}

/// The side of a square that holds `n`.
fn square_side(n: usize) -> usize {
    (1..=n).find(|s| s * s >= n).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        for (text, expected) in [("28x30", Some((28, 30))), ("64", Some((64, 64))), ("8X9", Some((8, 9)))] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
        for text in ["", "x", "0x5", "5x", "-3x3", "1x2x3", "3.5"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn images_are_chosen_once_each_and_evenly() {
        let spec: DataSpec = "synth-digits:200".parse().unwrap();
        let data = spec.load(Split::Train, &LoadOptions::default()).unwrap();
        let mut chosen = choose(&data, 50, 1, false);
        assert_eq!(chosen, choose(&data, 50, 1, false));
        assert_ne!(chosen, choose(&data, 50, 2, false));
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len(), 50);
        assert_eq!(choose(&data, 1000, 1, false).len(), 200);
        let labels: Vec<u32> = choose(&data, 30, 1, true).iter().map(|&i| data.labels[i]).collect();
        let expected: Vec<u32> = (0..10).flat_map(|c| [c; 3]).collect();
        assert_eq!(labels, expected);
    }
}
