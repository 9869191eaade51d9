//! The options of `viewer`.

use std::path::PathBuf;

use clap::Parser;
use latent_files::given::{Given, GivenError};
use latent_runtime::open::{BackendKind, Choice};
use latent_runtime::pixels::ValueRange;

use crate::action::Mode;
use crate::model::ModelOptions;
use crate::walk::Interpolation;

const EXAMPLES: &str = "\
Examples:
  viewer                                        the best model in models/
  viewer runs/mnist/generator.onnx              a window; H shows the keys
  viewer model.onnx --seed 7 --interpolation spline
  viewer model.onnx --walk walk-001.txt         a walk saved in the window
  viewer model.onnx --record walk.gif --frames 120 --seed 7 \\
      --interpolation slerp
  viewer model.onnx --record walk.png --grid 4x6 --fps 30
  viewer model.onnx --record frames             a folder of PNG files
  viewer digits.lat --label 7 --record 7.gif    a generator that takes a class
  viewer encoder.onnx --images pictures
      which images an encoder finds alike, as a map

--record needs no display. Files end in .gif, .png (animated) or nothing (a
folder).";

/// Walk through a generator's latent space, in a window or into a file; see which images an encoder finds alike.
#[derive(Parser, Debug)]
#[command(name = "viewer", version, after_help = EXAMPLES)]
pub(super) struct Args {
    /// A model's file, or a folder of them [default: the folder models/ here or above]
    pub(super) model: Option<PathBuf>,
    /// What runs it [default: the best of this build that can]
    #[arg(long, value_name = "NAME")]
    pub(super) backend: Option<BackendKind>,
    /// The threads one run may use; 0 leaves it to the back end
    #[arg(long, default_value_t = 0, value_name = "T", value_parser = clap::value_parser!(u16).range(..=256))]
    pub(super) threads: u16,
    /// The values of black and white in the models' images, such as 0,1 or -1,1 [default: what their files state, else -1,1 for
    /// a generator and 0,1 for an encoder]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    pub(super) range: Option<ValueRange>,
    /// The output that is shown or embedded, of a model with several
    #[arg(long, value_name = "NAME")]
    pub(super) output: Option<String>,
    /// What goes into another input than that of latent vectors, images or the class, of a model with several: numbers, or a
    /// file of them (.npy, .f32, .bin, .raw)
    #[arg(long = "input", value_name = "NAME=NUMBERS|NAME=FILE")]
    pub(super) inputs: Vec<String>,
    /// The seed of the walk's first key frame; the others are drawn from it
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// The number of random key frames
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) key_frames: u16,
    /// How the walk goes from one key frame to the next [default: slerp, or what the walk file says]
    #[arg(long, value_enum, value_name = "CURVE")]
    pub(super) interpolation: Option<Interpolation>,
    /// End at the last key frame instead of returning to the first
    #[arg(long)]
    pub(super) open: bool,
    /// Walk along the key frames of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "key_frames"])]
    pub(super) walk: Option<PathBuf>,
    /// Move latents towards their mean: 1 not at all, 0 wholly [default: 1, or what the walk file says]
    #[arg(long, value_name = "PSI", value_parser = fraction)]
    pub(super) truncation: Option<f32>,
    /// The class of what is drawn, for a generator that takes one [default: 0, or what the walk file says]
    #[arg(long, value_name = "CLASS")]
    pub(super) label: Option<usize>,
    /// What the window shows first
    #[arg(long, value_name = "MODE", value_parser = mode, default_value = "image", conflicts_with = "record",
        help_heading = "Window")]
    pub(super) mode: Mode,
    /// For an encoder: the folder of images (PNG, JPEG), in which folders count as classes
    #[arg(long, value_name = "FOLDER", conflicts_with = "record", help_heading = "Encoder")]
    pub(super) images: Option<PathBuf>,
    /// The most images that are taken, chosen by chance
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "images", help_heading = "Encoder",
        value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    pub(super) limit: u32,
    /// Do not play yet
    #[arg(long, conflicts_with = "record", help_heading = "Window")]
    pub(super) paused: bool,
    /// The window's size
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, default_value = "1280x800",
        conflicts_with = "record", help_heading = "Window")]
    pub(super) size: (usize, usize),
    /// The enlargement of text and buttons
    #[arg(long, value_name = "FACTOR", value_parser = ui_scale, default_value_t = 1.0, conflicts_with = "record",
        help_heading = "Window")]
    pub(super) ui_scale: f32,
    /// The folder for what the window saves: pictures, GIFs, walks
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        conflicts_with = "record",
        help_heading = "Window"
    )]
    pub(super) out_dir: PathBuf,
    /// Print the times from picture to picture when the window is closed
    #[arg(long, conflicts_with = "record", help_heading = "Window")]
    pub(super) frame_times: bool,
    /// Record the walk to this file or folder instead of opening a window
    #[arg(long, value_name = "PATH", help_heading = "Recording")]
    pub(super) record: Option<PathBuf>,
    /// The pictures of the recording
    #[arg(long, default_value_t = 120, requires = "record", help_heading = "Recording",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) frames: u32,
    /// Pictures per second, in a GIF at most 50
    #[arg(long, default_value_t = 25.0, requires = "record", value_parser = rate, help_heading = "Recording")]
    pub(super) fps: f64,
    /// The size of one image pixel [default: so that pictures are at least 224 wide]
    #[arg(long, requires = "record", help_heading = "Recording",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) scale: Option<u16>,
    /// Record this many walks side by side, with the seeds that follow the first
    #[arg(long, requires = "record", conflicts_with = "walk", value_name = "ROWSxCOLUMNS", value_parser = grid,
        help_heading = "Recording")]
    pub(super) grid: Option<(usize, usize)>,
    /// Overwrite a file of that name
    #[arg(long, requires = "record", help_heading = "Recording")]
    pub(super) force: bool,
    /// Print the result as JSON
    #[arg(long, requires = "record", help_heading = "Recording")]
    pub(super) json: bool,
    /// Print no progress and no notes
    #[arg(long, short)]
    pub(super) quiet: bool,
}

fn fraction(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is expected".into()),
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    let names = Mode::ALL.map(|mode| mode.name().to_lowercase());
    let found = Mode::ALL.into_iter().zip(&names).find(|(_, name)| *name == text).map(|(mode, _)| mode);
    found.ok_or_else(|| format!("one of {} is expected", names.join(", ")))
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w @ 64..=16384, h @ 64..=16384)) => Ok((w, h)),
        _ => Err("width and height from 64 to 16384 are expected, such as 1280x800".into()),
    }
}

fn ui_scale(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.5..=4.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.5 to 4 is expected".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.1..=100.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.1 to 100 is expected".into()),
    }
}

fn grid(text: &str) -> Result<(usize, usize), String> {
    let sides =
        text.split_once('x').and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
    match sides {
        Some((rows @ 1..=32, columns @ 1..=32)) => Ok((rows, columns)),
        _ => Err("rows and columns from 1 to 32 are expected, such as 4x6".into()),
    }
}

impl Args {
    /// What is said of all models.
    pub(super) fn models(&self) -> Result<ModelOptions, GivenError> {
        let given = Given::read_all(&self.inputs)?;
        let choice = Choice { input: None, output: self.output.clone(), given };
        Ok(ModelOptions { range: self.range, choice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn values_are_checked() {
        let good =
            ["viewer", "m.onnx", "--record", "a.gif", "--grid", "4x6", "--truncation", "0.7", "--fps", "30"];
        let args = Args::try_parse_from(good).unwrap();
        assert_eq!((args.grid, args.truncation, args.fps), (Some((4, 6)), Some(0.7), 30.0));
        for bad in [
            &["--record", "a.gif", "--grid", "0x6"][..],
            &["--record", "a.gif", "--grid", "4"],
            &["--record", "a.gif", "--fps", "0"],
            &["--record", "a.gif", "--frames", "0"],
            &["--truncation", "1.5"],
            &["--range", "1,0"],
            &["--range", "a,b"],
            &["--backend", "cuda"],
            &["--frames", "5"],
            &["--walk", "w.txt", "--seed", "5"],
            &["--images", "pictures", "--limit", "1"],
            &["--limit", "10"],
            &["--images", "pictures", "--record", "a.gif"],
        ] {
            let error = Args::try_parse_from([&["viewer"], bad].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
    }
}
