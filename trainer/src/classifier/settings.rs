//! The settings of a classifier's run, as resolved from the command line's defaults and stored in `run.json`.

use latent_files::run::RunOptions;
use serde::{Deserialize, Serialize};

use super::augment::AugmentSettings;
use crate::optim::Schedule;
use crate::settings::{CommonSettings, Hyperparameters};

/// The settings of a classifier's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierSettings {
    /// What every kind of training has.
    #[serde(flatten)]
    pub common: CommonSettings,
    /// Adam's greatest step size. It rises during a tenth of the iterations and falls along a cosine.
    pub lr: f64,
    /// This times a weight is added to its gradient.
    pub weight_decay: f64,
    /// How images are moved.
    pub augment: AugmentSettings,
    /// Turn color into gray.
    pub gray: bool,
}

impl ClassifierSettings {
    /// The course of the learning rate.
    pub fn schedule(&self) -> Schedule {
        let total = self.common.iterations;
        Schedule { peak: self.lr, warmup: total / 10, total, cosine: true }
    }
}

impl RunOptions for ClassifierSettings {
    fn check(&self) -> Result<(), String> {
        self.common.check(1 << 16)
    }
}

impl Hyperparameters for ClassifierSettings {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn common_mut(&mut self) -> &mut CommonSettings {
        &mut self.common
    }
}
