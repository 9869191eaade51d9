//! What all training loops share: how they end, why they fail, and the logs they write.

use std::io;
use std::path::{Path, PathBuf};

use latent_files::run::{Finding, RunError};
use tch::TchError;

use crate::checkpoint::{self, CheckpointError};
use crate::report::grid::GridError;
use crate::report::metrics::{MetricsError, MetricsLog};
use crate::report::plot::PlotError;
use crate::report::tensorboard::EventWriter;
use crate::run_folder::RunFolderError;

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// All iterations are done.
    Finished,
    /// Stopped from outside, and saved.
    Interrupted,
    /// A loss or a weight became NaN or infinite.
    NotFinite {
        /// What was seen.
        finding: Finding,
        /// The newest checkpoint that is left, from before.
        checkpoint: Option<PathBuf>,
    },
}

/// Why training could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// What lies in it.
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error("cannot draw samples: {0}")]
    Grid(#[from] GridError),
    /// Another file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// libtorch, for instance out of memory.
    #[error("{}", torch(_0))]
    Torch(#[from] TchError),
    /// What only one kind of training does.
    #[error(transparent)]
    Task(Box<dyn std::error::Error + Send + Sync>),
    /// Images of the data set and the options do not go together.
    #[error("{0}")]
    Data(String),
}

fn torch(error: &TchError) -> String {
    // libtorch appends a stack trace.
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let memory = text.contains("out of memory") || text.contains("can't allocate memory");
    let advice = if memory { "; use a smaller --batch or smaller images" } else { "" };
    format!("libtorch: {first}{advice}")
}

/// The logs of a run, open for the next iteration.
#[derive(Debug)]
pub(crate) struct Logs {
    /// `metrics.csv`.
    pub(crate) metrics: MetricsLog,
    /// Event files in `tensorboard`.
    pub(crate) events: EventWriter,
}

impl Logs {
    /// Opens the logs of a run: new ones with these columns, or those that are there, cut behind iteration `after`.
    pub(crate) fn open(run: &Path, columns: &[&str], after: Option<u64>) -> Result<Self, TrainError> {
        let csv = run.join("metrics.csv");
        let metrics = match after {
            Some(iteration) => MetricsLog::resume(&csv, iteration)?.with_columns(columns)?,
            None => {
                if csv.exists() {
                    std::fs::remove_file(&csv)?;
                }
                MetricsLog::create(&csv, columns)?
            }
        };
        let events = run.join("tensorboard");
        let events = if events.is_dir() {
            EventWriter::resume(&events, after.unwrap_or(0))?
        } else {
            EventWriter::create(&events)?
        };
        Ok(Self { metrics, events })
    }
}

/// The newest checkpoint of a run.
///
/// # Errors
/// [`TrainError::Data`] if there is none.
pub fn newest_checkpoint(run: &Path) -> Result<PathBuf, TrainError> {
    let checkpoints = run.join("checkpoints");
    match checkpoint::list(&checkpoints)?.pop() {
        Some((_, path)) => Ok(path),
        None => Err(TrainError::Data(format!(
            "{} holds no checkpoint yet; train on with --resume {}",
            checkpoints.display(),
            run.display()
        ))),
    }
}
