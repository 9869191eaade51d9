//! What an encoder learned, measured with labels that it never saw.

use std::fmt;
use std::path::{Path, PathBuf};

use latent_files::run::{Accuracy, RunError};
use latent_runtime::rng::Rng;
use serde::Serialize;
use tch::{Device, Kind, TchError, Tensor};

use super::augment::{AugmentError, Normalization};
use super::encoder::Encoder;
use super::features::Labeled;
use super::knn::{self, Vote};
use super::probe::{self, Examples, Protocol};
use super::run::RunInfo;
use crate::checkpoint::{self, CheckpointError};
use crate::data::Dataset;
use crate::nn::{Named, Pass};
use crate::run_folder;
use crate::which::{Which, WhichError};

/// Why an encoder could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The images do not suit.
    #[error(transparent)]
    Images(#[from] AugmentError),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    #[error(transparent)]
    Which(#[from] WhichError),
    /// The images are not those the encoder was made for.
    #[error(
        "the images of {source_name} have the shape {found}, the encoder of {run} was trained on {expected}; bring them to that size with --image-size"
    )]
    Shape {
        /// The data set.
        source_name: String,
        run: String,
        /// Their shape.
        found: String,
        /// The encoder's input.
        expected: String,
    },
}

/// An encoder that is not trained any more.
#[derive(Debug)]
pub struct Frozen {
    pub info: RunInfo,
    pub iteration: u64,
    run: PathBuf,
    encoder: Encoder,
    device: Device,
}

impl Frozen {
    /// Reads an encoder from a run.
    ///
    /// # Errors
    /// [`EvaluateError`]; the message names the file.
    pub fn open(run: &Path, which: Which, device: Device) -> Result<Self, EvaluateError> {
        let info: RunInfo = run_folder::read_info(run)?;
        let best = info.figures.best.map(|best| best.iteration);
        let (iteration, folder) = which.of(run, best)?;
        let encoder = new_encoder(&info, device)?;
        let path = folder.join(checkpoint::ENCODER);
        encoder
            .load_state(&checkpoint::read_tensors(&path)?)
            .map_err(|error| CheckpointError::State { path, error })?;
        Ok(Self { info, iteration, run: run.to_owned(), encoder, device })
    }

    /// The same encoder as it was before training: that of the run's first checkpoint, or drawn anew from the run's seed.
    pub fn untrained(&self) -> Result<Self, EvaluateError> {
        match Self::open(&self.run, Which::Iteration(0), self.device) {
            Err(EvaluateError::Which(WhichError::None { .. })) => Ok(Self {
                info: self.info.clone(),
                iteration: 0,
                run: self.run.clone(),
                encoder: new_encoder(&self.info, self.device)?,
                device: self.device,
            }),
            other => other,
        }
    }

    /// Puts images on the encoder's device.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`] if they are not of the size that the encoder was trained on.
    pub fn images(&self, data: &Dataset) -> Result<Labeled, EvaluateError> {
        let image = self.info.image;
        let (found, expected) = (
            format!("{}x{}x{}", data.channels, data.height, data.width),
            format!("{}x{}x{}", image.channels, image.height, image.width),
        );
        if found != expected {
            return Err(EvaluateError::Shape {
                source_name: data.source.clone(),
                run: self.run.display().to_string(),
                found,
                expected,
            });
        }
        Ok(Labeled::new(data, Normalization::of(&self.info.normalization)?, self.device)?)
    }

    /// The features of images, in f32, with all statistics as they are in the checkpoint. With `mirrored` each feature is the
    /// mean of those of the image and of its mirror image.
    pub fn features(&self, images: &Labeled, mirrored: bool) -> Result<Examples, EvaluateError> {
        let mut features = images.features(&self.encoder, Pass::EVAL, false)?;
        if mirrored {
            let other = images.features(&self.encoder, Pass::EVAL, true)?;
            features = features.f_add(&other)?.f_mul_scalar(0.5)?;
        }
        Ok(Examples { features, labels: images.labels.shallow_clone() })
    }
}

fn new_encoder(info: &RunInfo, device: Device) -> Result<Encoder, TchError> {
    let mut weights = Rng::from_seed(info.seed).fork();
    Encoder::new(&info.architecture(), info.projection, info.image.channels, &mut weights, device)
}

/// The pixels of images as features: values 0 to 1, (N, C·H·W).
pub fn raw_pixels(data: &Dataset, device: Device) -> Result<Examples, TchError> {
    let labels: Vec<i64> = data.labels.iter().map(|label| i64::from(*label)).collect();
    let pixels = Tensor::f_from_slice(&data.pixels)?.f_view([data.len() as i64, -1])?.f_to_device(device)?;
    Ok(Examples {
        features: pixels.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?,
        labels: Tensor::f_from_slice(&labels)?.f_to_device(device)?,
    })
}

/// Classifies `test` by its neighbors in `train`.
pub fn neighbors(
    train: &Examples,
    test: &Examples,
    classes: i64,
    vote: Vote,
) -> Result<(Accuracy, Tensor), TchError> {
    let votes = knn::votes(&train.features, &train.labels, classes, &test.features, vote)?;
    Ok((knn::accuracy(&votes, &test.labels)?, votes))
}

/// Mean and spread over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// The mean of top-1.
    pub top1: f64,
    /// Its standard deviation over seeds (n - 1); 0 for one seed.
    pub top1_deviation: f64,
    /// The mean of top-5.
    pub top5: f64,
    /// The standard deviation of top-5.
    pub top5_deviation: f64,
    /// Each seed's.
    pub runs: Vec<Accuracy>,
}

impl Spread {
    /// Of at least one run.
    pub fn of(runs: Vec<Accuracy>) -> Self {
        let n = runs.len().max(1) as f64;
        let of = |value: fn(&Accuracy) -> f64| {
            let mean = runs.iter().map(value).sum::<f64>() / n;
            let squares: f64 = runs.iter().map(|run| (value(run) - mean).powi(2)).sum();
            (mean, if runs.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
        };
        let ((top1, top1_deviation), (top5, top5_deviation)) = (of(|a| a.top1), of(|a| a.top5));
        Self { top1, top1_deviation, top5, top5_deviation, runs }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { top1, top1_deviation, top5, top5_deviation, runs } = self;
        if runs.len() > 1 {
            write!(
                f,
                "{:.2} ± {:.2} % (top-5 {:.2} ± {:.2} %)",
                100.0 * top1,
                100.0 * top1_deviation,
                100.0 * top5,
                100.0 * top5_deviation
            )
        } else {
            write!(f, "{:.2} % (top-5 {:.2} %)", 100.0 * top1, 100.0 * top5)
        }
    }
}

/// Probes with each of `seeds`: `places` gives the labeled images of a seed. Returns the spread and the last outcome.
pub fn probe_seeds(
    train: &Examples,
    test: &Examples,
    classes: i64,
    protocol: Protocol,
    seeds: std::ops::Range<u64>,
    places: impl Fn(u64) -> Vec<usize>,
) -> Result<(Spread, Option<probe::Outcome>), TchError> {
    let (mut runs, mut last) = (Vec::new(), None);
    for seed in seeds {
        let places: Vec<i64> = places(seed).into_iter().map(|place| place as i64).collect();
        let outcome = probe::probe(&train.select(&places)?, test, classes, protocol, seed)?;
        runs.push(outcome.accuracy);
        last = Some(outcome);
    }
    Ok((Spread::of(runs), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_mean_and_deviation() {
        let runs = [0.5, 0.7, 0.6].map(|top1| Accuracy { top1, top5: 0.9 });
        let spread = Spread::of(runs.to_vec());
        assert!((spread.top1 - 0.6).abs() < 1e-12 && (spread.top1_deviation - 0.1).abs() < 1e-12);
        assert_eq!(spread.to_string(), "60.00 ± 10.00 % (top-5 90.00 ± 0.00 %)");
        assert_eq!(Spread::of(runs[..1].to_vec()).to_string(), "50.00 % (top-5 90.00 %)");
        assert_eq!(("best".parse(), "7".parse()), (Ok(Which::Best), Ok(Which::Iteration(7))));
        assert!("newest".parse::<Which>().is_err());
    }
}
