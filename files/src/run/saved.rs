//! A run as it lies on the disk: its description and one of its checkpoints.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::checkpoint::{self, CHECKPOINTS, DISCRIMINATOR, ENCODER, GENERATOR, GENERATOR_EMA};
use super::describe::RunOptions;
use super::{Description, GanRun, RUN_JSON, RunError, RunKind, SimclrRun, Weights, kind_of, read};

const ANOTHER: &str = "; take another checkpoint (RUN/checkpoints/N)";

/// Which weights of the generator to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightsChoice {
    /// The exponential moving average when the run has one, else the raw weights.
    #[default]
    Auto,
    /// The exponential moving average; an error when the run has none.
    Ema,
    /// The weights as the optimizer left them.
    Raw,
}

/// A run, of networks that `D` describes, and one of its checkpoints.
#[derive(Debug)]
pub struct SavedRun<D = GanRun> {
    /// The run folder itself.
    pub path: PathBuf,
    /// Its `run.json`.
    pub json: D,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// One folder `checkpoints/N`.
#[derive(Debug)]
pub struct Checkpoint {
    /// The folder.
    pub path: PathBuf,
    /// The iteration it was saved after: its name.
    pub iteration: u64,
}

impl<D: Description> SavedRun<D> {
    /// Opens `path`: a run folder, of which the best checkpoint is taken, or the newest if none was judged; or one `RUN/checkpoints/N`.
    ///
    /// # Errors
    /// When it is no run of this kind, cannot be read, or has no checkpoint.
    pub fn open(path: &Path) -> Result<SavedRun<D>, RunError> {
        let (path, checkpoint) = locate(path)?;
        let json: D = read(&path)?;
        let best = |iteration| {
            let folder = checkpoint::folder(&path.join(CHECKPOINTS), iteration);
            folder.is_dir().then_some(Checkpoint { path: folder, iteration })
        };
        let checkpoint = match checkpoint.or_else(|| json.best().and_then(best)) {
            Some(checkpoint) => checkpoint,
            None => newest(&path)?,
        };
        Ok(SavedRun { path, json, checkpoint })
    }

    /// The run folder's own name, such as `dcgan-mnist`.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(OsStr::new("model")).to_string_lossy().into_owned()
    }

    fn weights(&self, file: &'static str, hint: &'static str) -> Result<Weights, RunError> {
        let path = self.checkpoint.path.join(file);
        if !path.exists() {
            return Err(RunError::NoWeights { checkpoint: self.checkpoint.path.clone(), file, hint });
        }
        Weights::read(&path)
    }
}

impl<O: RunOptions> SavedRun<SimclrRun<O>> {
    /// Reads the weights of encoder and projection head.
    ///
    /// # Errors
    /// When the file is missing or damaged, or holds a value that is not finite.
    pub fn encoder(&self) -> Result<Weights, RunError> {
        self.weights(ENCODER, ANOTHER)
    }
}

impl<O: RunOptions> SavedRun<GanRun<O>> {
    /// Reads the generator's weights. The flag is true when they are the moving average.
    ///
    /// # Errors
    /// When the file is missing or damaged, or holds a value that is not finite.
    pub fn generator(&self, choice: WeightsChoice) -> Result<(Weights, bool), RunError> {
        let has_ema = self.checkpoint.path.join(GENERATOR_EMA).exists();
        let ema = match choice {
            WeightsChoice::Auto => has_ema,
            WeightsChoice::Ema => true,
            WeightsChoice::Raw => false,
        };
        let weights = if ema {
            self.weights(
                GENERATOR_EMA,
                "; the run kept no moving average (train with --ema, or export with --weights raw)",
            )?
        } else {
            self.weights(GENERATOR, ANOTHER)?
        };
        Ok((weights, ema))
    }

    /// Reads the discriminator's weights.
    ///
    /// # Errors
    /// As [`SavedRun::generator`].
    pub fn discriminator(&self) -> Result<Weights, RunError> {
        self.weights(DISCRIMINATOR, "; export without --discriminator, or another checkpoint")
    }
}

/// What the run at `path` trained.
///
/// # Errors
/// When it is no run, cannot be read, or is of a newer format or a kind that is not known.
pub fn kind(path: &Path) -> Result<RunKind, RunError> {
    kind_of(&locate(path)?.0)
}

/// The run folder that `path` is or lies in, and the checkpoint that it is.
fn locate(path: &Path) -> Result<(PathBuf, Option<Checkpoint>), RunError> {
    if !path.exists() {
        return Err(RunError::NoFolder(path.to_path_buf()));
    }
    // Absolute, so that `.` and `checkpoints/N` inside the run folder have names and parents.
    let path = path.canonicalize().map_err(|reason| RunError::Read { path: path.to_path_buf(), reason })?;
    let in_checkpoints =
        path.parent().is_some_and(|parent| parent.file_name() == Some(OsStr::new(CHECKPOINTS)));
    if let (true, Some(iteration), false) =
        (in_checkpoints, checkpoint::iteration(&path), path.join(RUN_JSON).exists())
    {
        let run = path.ancestors().nth(2).unwrap_or(&path).to_path_buf();
        return Ok((run, Some(Checkpoint { path, iteration })));
    }
    Ok((path, None))
}

/// The checkpoint with the highest number.
fn newest(run: &Path) -> Result<Checkpoint, RunError> {
    let newest = checkpoint::list(&run.join(CHECKPOINTS))?
        .into_iter()
        .next_back()
        .map(|(iteration, path)| Checkpoint { path, iteration });
    newest.ok_or_else(|| RunError::NoCheckpoint(run.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn takes_the_highest_number() {
        let run = tempfile::tempdir().unwrap();
        assert!(matches!(newest(run.path()), Err(RunError::NoCheckpoint(_))));
        for name in ["00000250", "00001000", "00000999", ".tmp-00002000"] {
            fs::create_dir_all(run.path().join(CHECKPOINTS).join(name)).unwrap();
        }
        assert_eq!(newest(run.path()).unwrap().iteration, 1000);
    }

    #[test]
    fn opens_neither_a_missing_folder_nor_one_that_is_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| SavedRun::<GanRun>::open(path);
        assert!(matches!(open(&folder.path().join("absent")), Err(RunError::NoFolder(_))));
        assert!(matches!(open(folder.path()), Err(RunError::NotARun(_))));
        // A folder that merely looks like a checkpoint.
        let lone = folder.path().join("checkpoints/00000001");
        fs::create_dir_all(&lone).unwrap();
        assert!(matches!(open(&lone), Err(RunError::NotARun(_))));
    }
}
