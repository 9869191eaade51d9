//! The description of a SimCLR run, its `run.json`.

use latent_files::run::SimclrRun;

use super::settings::SimclrSettings;
use crate::diagnosis::Finding;
use crate::run_folder::{Data, Image, Progress};
use crate::session::{Parts, RunDescription};

pub use latent_files::run::{Check, SimclrFigures as Figures};

/// Configuration and status of a SimCLR run.
pub type RunInfo = SimclrRun<SimclrSettings>;

impl RunDescription for RunInfo {
    type Settings = SimclrSettings;

    fn command(&self) -> &str {
        &self.command
    }

    fn settings(&self) -> &SimclrSettings {
        &self.hyperparameters
    }

    fn parts(&mut self) -> Parts<'_, SimclrSettings> {
        Parts {
            settings: &mut self.hyperparameters,
            progress: &mut self.progress,
            iterations_per_second: &mut self.figures.iterations_per_second,
            diagnosis: &mut self.diagnosis,
            verdict: &mut self.verdict,
        }
    }

    fn data(&self) -> &Data {
        &self.data
    }

    fn image(&self) -> &Image {
        &self.image
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn diagnosis(&self) -> (&[Finding], &str) {
        (&self.diagnosis, &self.verdict)
    }
}
