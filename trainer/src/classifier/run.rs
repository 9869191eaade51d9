//! The description of a classifier's run, its `run.json`.

use latent_files::run::ClassifierRun;

use super::settings::ClassifierSettings;
use crate::session::run_description;

pub use latent_files::run::ClassifierFigures as Figures;

/// Configuration and status of a classifier's run.
pub type RunInfo = ClassifierRun<ClassifierSettings>;

run_description!(RunInfo, ClassifierSettings);
