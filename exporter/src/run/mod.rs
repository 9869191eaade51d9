//! Reading a run folder of the trainer: `run.json` and the weights of one checkpoint.

mod folder;
mod run_json;
mod simclr_json;
mod weights;

use std::io;
use std::path::PathBuf;

pub use folder::{Checkpoint, RunFolder, WeightsChoice, kind};
pub use run_json::{
    Architecture, Data, Description, Distribution, FORMAT, Image, Latent, Progress, RunJson, RunKind,
    Training,
};
pub use simclr_json::{Block, Normalization, Projection, SimclrJson, Stage, Stem};
pub use weights::{Tensor, Weights};

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The path does not exist.
    #[error("{}: no such folder; give the run folder that the trainer wrote", .0.display())]
    NoFolder(PathBuf),
    /// A folder without `run.json`.
    #[error("{}: not a run: it has no run.json; give the folder that the trainer wrote", .0.display())]
    NotARun(PathBuf),
    /// A run that has not saved anything yet.
    #[error("{}: the run has no checkpoint yet; wait for its first save, or train with a smaller save interval", .0.display())]
    NoCheckpoint(PathBuf),
    /// A checkpoint without one of its files.
    #[error("{}: the checkpoint has no {file}{hint}", checkpoint.display())]
    NoWeights {
        /// The checkpoint's folder.
        checkpoint: PathBuf,
        /// The file that is missing.
        file: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `run.json` is not the JSON that we expect.
    #[error("{}: not a readable run.json: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        source: serde_json::Error,
    },
    /// `run.json` of a later version of the trainer.
    #[error("{}: written in format {found}, but this exporter reads formats up to {FORMAT}; use the exporter of the same version as the trainer", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// `run.json` with a value that no run can have.
    #[error("{}: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which value, and what was expected.
        what: String,
    },
    /// A safetensors file that cannot be parsed.
    #[error("{}: not a readable safetensors file ({source}): it is damaged or was cut off; export another checkpoint of the run (RUN/checkpoints/N)", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that is missing, of the wrong shape or type, or not finite; or one too many.
    #[error("{}: {what}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Which tensor, what was found and what was expected.
        what: String,
    },
}
