//! What a GAN's run keeps: its description, `run.json`, and the state of its checkpoints.

use latent_files::run::GanRun;
use latent_files::run::checkpoint::GanState;

use super::settings::GanSettings;
use crate::diagnosis::Monitor;
use crate::session::run_description;

pub use latent_files::run::{GanFigures as Figures, Latent};

/// Configuration and status of a GAN's run.
pub type RunInfo = GanRun<GanSettings>;

run_description!(RunInfo, GanSettings);

/// What a checkpoint holds besides tensors.
pub type State = GanState<Monitor>;
