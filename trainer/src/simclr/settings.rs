//! The settings of a SimCLR run, as resolved from the command line's defaults and stored in `run.json`.

use std::fmt;

use latent_files::run::RunOptions;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::augment::AugmentSettings;
use super::encoder::EncoderKind;
use crate::optim::Schedule;
use crate::optim::{Adam, AdamOptions, Momentum, MomentumOptions, Optimizer, Rule};
use crate::settings::{CommonSettings, Hyperparameters, Preset};

/// Which optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Gradient descent with momentum 0.9.
    Sgd,
    /// The same, layer by layer, for large batches.
    Lars,
    /// Adam.
    Adam,
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sgd => "sgd",
            Self::Lars => "lars",
            Self::Adam => "adam",
        })
    }
}

impl OptimizerKind {
    /// The optimizer for these parameters.
    pub fn build(self, parameters: Vec<(String, Tensor)>, weight_decay: f64) -> Result<Optimizer, TchError> {
        let momentum = |rule| MomentumOptions { rule, momentum: 0.9, weight_decay };
        Ok(match self {
            Self::Sgd => Optimizer::Momentum(Momentum::new(parameters, momentum(Rule::Plain))?),
            Self::Lars => {
                let rule = Rule::Layerwise { trust: 0.001 };
                Optimizer::Momentum(Momentum::new(parameters, momentum(rule))?)
            }
            Self::Adam => {
                // The learning rate is given step by step.
                let options = AdamOptions { lr: 0.0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay };
                Optimizer::Adam(Adam::new(parameters, options)?)
            }
        })
    }
}

/// The settings of a SimCLR run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimclrSettings {
    /// What every kind of training has.
    #[serde(flatten)]
    pub common: CommonSettings,
    /// The recipe that gave the defaults.
    pub preset: Preset,
    pub encoder: EncoderKind,
    pub optimizer: OptimizerKind,
    /// The greatest learning rate.
    pub lr: f64,
    pub weight_decay: f64,
    /// Passes over the data in which the learning rate rises from 0.
    pub warmup_epochs: f64,
    /// Whether it then falls to 0 along a cosine; otherwise it stays.
    pub cosine: bool,
    /// The temperature τ of the loss.
    pub temperature: f64,
    /// How strongly views differ from their image.
    pub augment: AugmentSettings,
    /// Iterations between checks by nearest neighbors; 0 for none.
    pub knn_every: u64,
    /// Training images that these look for neighbors among, spread evenly over the data set.
    pub knn_bank: usize,
    /// Test images that are classified, spread evenly over the data set.
    pub knn_queries: usize,
}

impl RunOptions for SimclrSettings {
    fn check(&self) -> Result<(), String> {
        self.common.check(1 << 16)?;
        self.augment.validate().map_err(|error| format!("hyperparameters.augment: {error}"))
    }
}

impl Hyperparameters for SimclrSettings {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn common_mut(&mut self) -> &mut CommonSettings {
        &mut self.common
    }
}

impl SimclrSettings {
    /// The course of the learning rate.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.lr,
            warmup: (self.warmup_epochs * self.batches_per_epoch() as f64).round() as u64,
            total: self.common.iterations,
            cosine: self.cosine,
        }
    }
}
