//! Why a run folder cannot be read.

use std::io;
use std::path::PathBuf;

use super::FORMAT;

/// Why a run cannot be read. Every message names the file or folder, and says all: there is no source behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The path does not exist.
    #[error("{}: no such folder; give the run folder that the trainer wrote", .0.display())]
    NoFolder(PathBuf),
    /// A folder without `run.json`.
    #[error("{}: not a run folder: it has no run.json; give the folder that --out named when the run was started", .0.display())]
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
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// `run.json` or `state.json` is not the JSON that is expected.
    #[error("{}: not a readable {what}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be: `run.json` or `state.json`.
        what: &'static str,
        /// The parser's reason, with line and column.
        reason: serde_json::Error,
    },
    /// A file of another version of the trainer.
    #[error("{}: written in format {found}, but this program reads formats up to {FORMAT}; use the programs of one version", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// `run.json` of another kind of run than asked for.
    #[error("{}: describes a run of kind {found:?}, expected {expected:?}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Its kind.
        found: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// A value that no run can have.
    #[error("{}: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which value, and what was expected.
        what: String,
    },
    /// A safetensors file that cannot be parsed.
    #[error("{}: not a readable safetensors file ({reason}): it is damaged or was cut off; take another checkpoint of the run (RUN/checkpoints/N)", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        reason: safetensors::SafeTensorError,
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
