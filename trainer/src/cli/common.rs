//! What the training commands share: values of options, the data, the device, going on with a run.

use std::path::Path;

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::data::{DataSpec, Dataset, LoadOptions, Split};
use crate::device;
use crate::gan::architecture::NetKind;
use crate::run_folder::{Data, Progress};

/// Exit code of a run that was stopped by Ctrl-C (128 + SIGINT, as shells have it).
pub(super) const INTERRUPTED: u8 = 130;

/// A whole number in a range.
pub(super) fn number(low: u64, high: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(low..=high)
}

fn real(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err("not a finite number".to_owned()) }
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    real(text).and_then(|v| if v > 0.0 { Ok(v) } else { Err("must be greater than 0".to_owned()) })
}

/// A number of at least 0.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    real(text).and_then(|v| if v >= 0.0 { Ok(v) } else { Err("must not be negative".to_owned()) })
}

/// A number of at least 0 and less than 1.
pub(super) fn decay(text: &str) -> Result<f64, String> {
    let fits = |v: f64| (0.0..1.0).contains(&v);
    real(text)
        .and_then(|v| if fits(v) { Ok(v) } else { Err("must be at least 0 and less than 1".to_owned()) })
}

/// `HxW` or one side of a square.
pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| match text.parse::<usize>() {
        Ok(n) if (1..=4096).contains(&n) => Ok(n),
        _ => Err("expected HEIGHTxWIDTH or one number, each from 1 to 4096".to_owned()),
    };
    match text.split_once('x') {
        Some((h, w)) => Ok((side(h)?, side(w)?)),
        None => side(text).map(|n| (n, n)),
    }
}

/// A checked size as `usize`; the parsers above keep all of them small.
pub(super) fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A pair of networks by its name.
pub(super) fn net_kinds() -> impl TypedValueParser<Value = NetKind> {
    let about = |net| match net {
        NetKind::Vanilla => {
            "Fully connected: 267 009 and 1 952 528 parameters for 28x28x1 and 96 latent values"
        }
        NetKind::Dcgan => {
            "Convolutional: 1 102 721 and 6 675 009 parameters for 28x28x1 and 96 latent values"
        }
    };
    PossibleValuesParser::new(NetKind::ALL.map(|net| PossibleValue::new(net.name()).help(about(net))))
        .try_map(|name| NetKind::ALL.into_iter().find(|net| net.name() == name).ok_or("no such networks"))
}

/// Loads the training images.
pub(super) fn load(spec: &DataSpec, resize: Option<(usize, usize)>, gray: bool) -> anyhow::Result<Dataset> {
    // Drawn data sets are the same for every run; the run's own seed is for training.
    let options = LoadOptions { resize, gray, seed: 0 };
    spec.load(Split::Train, &options).context("cannot load the training images")
}

/// CRC-32C of the first images' pixels.
pub(super) fn fingerprint(data: &Dataset, images: usize) -> u32 {
    crc32c::crc32c(&data.pixels[..images * data.image_len()])
}

/// One thread a core.
pub(super) fn default_threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// The name by which `--device` chooses this device, wherever the run is resumed.
pub(super) fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// A resumed run keeps its options: an error that names those which were given another value.
pub(super) fn refuse_conflicts(conflicts: &[String]) -> anyhow::Result<()> {
    if conflicts.is_empty() {
        return Ok(());
    }
    bail!(
        "a resumed run keeps its options, but {}; leave them out, or start a new run with --out",
        conflicts.join(" and ")
    )
}

/// The options that a resumed run may change and that every kind of training has.
pub(super) struct Resumed<'a> {
    pub(super) run: &'a Path,
    pub(super) progress: &'a Progress,
    pub(super) iterations: &'a mut u64,
    pub(super) device: &'a mut String,
    pub(super) threads: &'a mut usize,
}

impl Resumed<'_> {
    /// Gives the options the values that were asked for. Returns what changes the results.
    ///
    /// # Errors
    /// If the run is longer already, or there is nothing left to do; if there is no such device.
    pub(super) fn change(
        self,
        iterations: Option<u64>,
        device: Option<&str>,
        threads: Option<u64>,
    ) -> anyhow::Result<Vec<String>> {
        let Progress { iteration: done, finished, .. } = *self.progress;
        match iterations {
            Some(asked) if asked < done => bail!(
                "{} has done {done} iterations already, more than the {asked} asked for",
                self.run.display()
            ),
            Some(asked) => *self.iterations = asked,
            None if finished => bail!(
                "{} is finished ({} iterations); make it longer with --epochs or --iterations",
                self.run.display(),
                self.iterations
            ),
            None => {}
        }
        let mut notes = Vec::new();
        if let Some(name) = device {
            let name = device_name(device::choose(name)?);
            if name != *self.device {
                notes.push(format!("the device changes from {} to {name}", self.device));
                *self.device = name;
            }
        }
        if let Some(threads) = threads.map(size).filter(|threads| threads != self.threads) {
            notes.push(format!("the number of threads changes from {} to {threads}", self.threads));
            *self.threads = threads;
        }
        Ok(notes)
    }
}

/// Where the data of a run is now: as `given`, else where it was.
pub(super) fn data_spec(
    given: Option<&DataSpec>,
    stored: &str,
    data_dir: Option<&Path>,
) -> anyhow::Result<DataSpec> {
    let spec = match given {
        Some(spec) => spec.clone(),
        None => stored.parse()?,
    };
    Ok(spec.resolve(data_dir)?)
}

/// That the data is not what a run was trained on.
pub(super) fn other_images(spec: &DataSpec, run: &Path, trained: &Data) -> anyhow::Error {
    anyhow::anyhow!(
        "{spec} does not hold the images that {} was trained on ({} of {}); give the right ones with --data",
        run.display(),
        trained.images,
        trained.source
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_values_are_checked() {
        assert_eq!(parse_size("32"), Ok((32, 32)));
        assert_eq!(parse_size("24x40"), Ok((24, 40)));
        for text in ["", "0", "x", "3x", "5000", "3x4x5", "-1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(decay("1").is_err() && decay("-0.1").is_err() && decay("nan").is_err() && decay("0").is_ok());
        assert!(positive("0").is_err() && not_negative("0").is_ok() && not_negative("inf").is_err());
    }
}
