//! The description of a SimCLR run, its `run.json`.

use latent_files::run::SimclrRun;

use super::options::Hyperparameters;

pub use latent_files::run::{Check, SimclrFigures as Figures};

/// Configuration and status of a SimCLR run.
pub type RunInfo = SimclrRun<Hyperparameters>;
