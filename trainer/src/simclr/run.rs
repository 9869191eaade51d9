//! The description of a SimCLR run, its `run.json`.

use serde::{Deserialize, Serialize};

use super::augment::Normalization;
use super::encoder::{EncoderKind, Projection};
use super::knn::Accuracy;
use super::settings::SimclrSettings;
use crate::diagnosis::Finding;
use crate::nn::{Architecture, Stage, Stem};
use crate::run_folder::{Data, Description, Image, Progress};
use crate::session::{Parts, RunDescription};

impl Description for RunInfo {
    const KIND: &'static str = "simclr";
}

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

/// Configuration and status of a SimCLR run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`crate::run_folder::FORMAT`].
    pub format: u32,
    /// `simclr`.
    pub kind: String,
    /// `simclr`.
    pub command: String,
    /// Version of this program.
    pub latent_version: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The seed of everything random.
    pub seed: u64,
    pub encoder: EncoderKind,
    /// Values that it gives for an image.
    pub features: i64,
    /// Its first convolution.
    pub stem: Stem,
    pub stages: Vec<Stage>,
    /// The projection head.
    pub projection: Projection,
    /// Its input, before the normalization.
    pub image: Image,
    /// What the encoder's input is normalized by.
    #[serde(alias = "normalisation")]
    pub normalization: Normalization,
    /// `nt-xent`.
    pub loss: String,
    /// The temperature of the loss.
    pub temperature: f64,
    /// What was trained on.
    pub data: Data,
    pub hyperparameters: SimclrSettings,
    /// How far the run is.
    pub progress: Progress,
    pub figures: Figures,
    /// What is wrong with it.
    pub diagnosis: Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: String,
}

impl RunInfo {
    /// The shape of the encoder.
    pub fn architecture(&self) -> Architecture {
        Architecture { stem: self.stem, stages: self.stages.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The loss, mean over the last 100 iterations.
    pub loss: Option<f64>,
    /// ln(2N-1), the loss of guessing.
    pub guessing: f64,
    /// The mean similarity of the two views of an image, over the last 100 iterations.
    pub positive: Option<f64>,
    /// The mean similarity of all embeddings, likewise.
    #[serde(rename = "likeness")]
    pub similarity: Option<f64>,
    /// Learned values of f.
    pub encoder_parameters: u64,
    /// Learned values of g.
    pub projection_parameters: u64,
    /// Multiplications of f for one image.
    pub multiplications: u64,
    /// The last check by nearest neighbors.
    pub knn: Option<Check>,
    /// The best one; its checkpoint is kept.
    pub best: Option<Check>,
    /// Speed of the last session.
    pub iterations_per_second: Option<f64>,
}

/// A check by nearest neighbors during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The iteration after which it was made.
    pub iteration: u64,
    /// What it gave.
    #[serde(flatten)]
    pub accuracy: Accuracy,
}
