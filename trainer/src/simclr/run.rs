//! The description of a SimCLR run, its `run.json`, and why a run fails.

use latent_files::run::SimclrRun;

use super::augment::AugmentError;
use super::loss::LossError;
use super::settings::SimclrSettings;
use crate::session::run_description;
use crate::training::TrainError;

pub use latent_files::run::{Check, SimclrFigures as Figures};

/// Configuration and status of a SimCLR run.
pub type RunInfo = SimclrRun<SimclrSettings>;

run_description!(RunInfo, SimclrSettings);

impl From<AugmentError> for TrainError {
    fn from(error: AugmentError) -> Self {
        Self::Task(error.into())
    }
}

impl From<LossError> for TrainError {
    fn from(error: LossError) -> Self {
        Self::Task(error.into())
    }
}
