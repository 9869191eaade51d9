//! Every option of a GAN run, as resolved from the command line's defaults and stored in `run.json`.

use std::fmt;

use latent_files::run::{MAX_LATENT, MAX_SIDE, RunOptions, within};
use serde::{Deserialize, Serialize};

use super::architecture::NetKind;
use super::losses::LossKind;
use crate::run_folder::LatentDistribution;

/// What latent values are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DistributionKind {
    /// U(-1, 1).
    Uniform,
    /// N(0, 1).
    Normal,
}

impl From<DistributionKind> for LatentDistribution {
    fn from(kind: DistributionKind) -> Self {
        match kind {
            DistributionKind::Uniform => Self::Uniform { low: -1.0, high: 1.0 },
            DistributionKind::Normal => Self::Normal { mean: 0.0, std: 1.0 },
        }
    }
}

impl fmt::Display for DistributionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Normal => "normal",
        })
    }
}

/// Precision of matrix products and convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Amp {
    /// f32 throughout.
    Off,
    /// bfloat16 products; weights, losses, statistics and optimizer in f32.
    Bf16,
}

impl fmt::Display for Amp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Bf16 => "bf16",
        })
    }
}

/// Every option of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// The networks.
    pub net: NetKind,
    /// The losses.
    pub loss: LossKind,
    /// λ of the gradient penalty; used by [`LossKind::WganGp`] only.
    pub gp_weight: f64,
    /// Discriminator steps per generator step.
    pub d_steps: u32,
    /// Images per step.
    pub batch: usize,
    /// Generator steps.
    pub iterations: u64,
    /// Adam's step size for the discriminator.
    pub d_lr: f64,
    /// Adam's step size for the generator.
    pub g_lr: f64,
    /// Adam's decay of the mean of gradients.
    pub beta1: f64,
    /// Adam's decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root in Adam.
    pub adam_eps: f64,
    /// Number of latent values.
    pub latent_size: usize,
    /// What they are drawn from.
    pub distribution: DistributionKind,
    /// Seed of everything random.
    pub seed: u64,
    /// The data set, as `--data` takes it.
    pub data: String,
    /// Height and width to which images are brought; `None` leaves them.
    pub image_size: Option<(usize, usize)>,
    /// Turn color into gray.
    pub gray: bool,
    /// Images of the train split used, from the first.
    pub train_images: usize,
    /// Draw a new order for each pass instead of the file's.
    pub shuffle: bool,
    /// Decay of the moving average of the generator, if there is one.
    pub ema: Option<f64>,
    /// Precision of products.
    pub amp: Amp,
    /// Threads of libtorch.
    pub threads: usize,
    /// The device, as `--device` takes it.
    pub device: String,
    /// Iterations between sample grids; 0 for none but the last.
    pub sample_every: u64,
    /// Images on a grid.
    pub sample_count: usize,
    /// Iterations between checkpoints; 0 for none but the last.
    pub save_every: u64,
    /// Checkpoints kept.
    pub keep: usize,
    /// Iterations between readings of the losses.
    pub log_every: u64,
    /// Iterations between measurements of diversity; 0 for none.
    pub diversity_every: u64,
}

impl RunOptions for Hyperparameters {
    fn check(&self) -> Result<(), String> {
        let (height, width) = self.image_size.unwrap_or((1, 1));
        for (name, value, most) in [
            ("batch", self.batch, 1 << 20),
            ("latent_size", self.latent_size, MAX_LATENT),
            ("d_steps", self.d_steps as usize, 1000),
            ("sample_count", self.sample_count, 1024),
            ("threads", self.threads, 1024),
            ("image_size[0]", height, MAX_SIDE),
            ("image_size[1]", width, MAX_SIDE),
        ] {
            within(&format!("hyperparameters.{name}"), value, most)?;
        }
        Ok(())
    }
}

impl Hyperparameters {
    /// Batches in one pass over the data; the last, partial one is skipped.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.train_images / self.batch.max(1)) as u64
    }

    /// Iterations that make this many passes over the data, at least one.
    pub fn iterations_for(&self, epochs: f64) -> u64 {
        let batches = epochs * self.batches_per_epoch() as f64 / f64::from(self.d_steps.max(1));
        (batches.round() as u64).max(1)
    }

    /// Passes over the data that `iterations` make.
    pub fn epochs_of(&self, iterations: u64) -> f64 {
        let batches = iterations as f64 * f64::from(self.d_steps);
        batches / self.batches_per_epoch().max(1) as f64
    }
}
