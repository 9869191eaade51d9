//! The description of a SimCLR run, its `run.json`.

use latent_files::run::SimclrRun;

use super::settings::SimclrSettings;
use crate::session::run_description;

pub use latent_files::run::{Check, SimclrFigures as Figures};

/// Configuration and status of a SimCLR run.
pub type RunInfo = SimclrRun<SimclrSettings>;

run_description!(RunInfo, SimclrSettings);
