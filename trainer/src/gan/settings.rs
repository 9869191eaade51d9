//! The settings of a GAN run, as resolved from the command line's defaults and stored in `run.json`.

use std::fmt;

use latent_files::run::{MAX_LATENT, RunOptions, within};
use serde::{Deserialize, Serialize};

use super::architecture::NetKind;
use super::losses::{LossKind, Recipe};
use crate::run_folder::LatentDistribution;
use crate::settings::{CommonSettings, Hyperparameters, Preset};

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

/// The settings of a GAN run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GanSettings {
    /// What every kind of training has.
    #[serde(flatten)]
    pub common: CommonSettings,
    /// The recipe that gave the defaults. Runs of before 2026-12 have none, and the reference's.
    #[serde(default = "reference")]
    pub preset: Preset,
    /// The networks.
    pub net: NetKind,
    /// Whose discriminator there is instead, if that is another one.
    #[serde(default)]
    pub discriminator: Option<NetKind>,
    pub loss: LossKind,
    /// λ of the gradient penalty; used by [`LossKind::WganGp`] only.
    pub gp_weight: f64,
    /// Discriminator steps per generator step.
    pub d_steps: u32,
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
    /// Tell both networks the class of each image.
    #[serde(default)]
    pub conditional: bool,
    /// Turn color into gray.
    pub gray: bool,
    /// Draw a new order for each pass instead of the file's.
    pub shuffle: bool,
    /// Decay of the moving average of the generator, if there is one.
    pub ema: Option<f64>,
    /// Weight of the penalty on the discriminator's gradient at real images; 0 for none.
    #[serde(default)]
    pub r1: f64,
    /// Let both step sizes fall along half a cosine, to 0 at the end.
    #[serde(default)]
    pub cosine: bool,
    /// Iterations between sample grids; 0 for none but the last.
    pub sample_every: u64,
    /// Images on a grid.
    pub sample_count: usize,
    /// Iterations between measurements of diversity; 0 for none.
    pub diversity_every: u64,
    /// Iterations between judgments of samples by a scorer; 0 for none. Runs of before 2026-12 have none.
    #[serde(default)]
    pub eval_every: u64,
    /// Samples that are judged.
    #[serde(default = "eval_samples")]
    pub eval_samples: usize,
}

fn reference() -> Preset {
    Preset::Reference
}

fn eval_samples() -> usize {
    2000
}

impl GanSettings {
    /// The recipe that measured best (docs of `models/`): a new order for each pass, an average of the generator, R1 unless the
    /// loss has a penalty of its own, step sizes that fall. Passes over the data and precision are the command line's.
    pub fn modern(self) -> Self {
        let r1 = if self.loss.definition().penalty.is_some() { 0.0 } else { 1.0 };
        Self { preset: Preset::Modern, shuffle: true, ema: Some(0.9995), r1, cosine: true, ..self }
    }

    /// The networks whose discriminator it is.
    pub fn discriminator_net(&self) -> NetKind {
        self.discriminator.unwrap_or(self.net)
    }

    /// The settings of fully connected networks that are trained with this loss, as its authors or the reference have them.
    pub fn new(loss: LossKind) -> Self {
        let Recipe { lr, beta1, beta2, d_steps } = loss.definition().recipe;
        Self {
            common: CommonSettings { keep: 2, ..CommonSettings::default() },
            preset: Preset::Reference,
            net: NetKind::Vanilla,
            discriminator: None,
            loss,
            gp_weight: 10.0,
            d_steps,
            d_lr: lr,
            g_lr: lr,
            beta1,
            beta2,
            adam_eps: 1e-8,
            latent_size: 96,
            distribution: DistributionKind::Uniform,
            conditional: false,
            gray: false,
            shuffle: false,
            ema: None,
            r1: 0.0,
            cosine: false,
            sample_every: 250,
            sample_count: 64,
            diversity_every: 50,
            eval_every: 0,
            eval_samples: eval_samples(),
        }
    }
}

impl RunOptions for GanSettings {
    fn check(&self) -> Result<(), String> {
        self.common.check(1 << 20)?;
        for (name, value, most) in [
            ("latent_size", self.latent_size, MAX_LATENT),
            ("d_steps", self.d_steps as usize, 1000),
            ("sample_count", self.sample_count, 1024),
            ("eval_samples", self.eval_samples, 1_000_000),
        ] {
            within(&format!("hyperparameters.{name}"), value, most)?;
        }
        Ok(())
    }
}

impl Hyperparameters for GanSettings {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn common_mut(&mut self) -> &mut CommonSettings {
        &mut self.common
    }

    fn batches_per_iteration(&self) -> u32 {
        self.d_steps
    }
}
