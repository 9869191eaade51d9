//! Finding the checkpoint of a run, and in it the files to export.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Description, RunError, RunJson, RunKind, SimclrJson, Weights};

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

/// An opened run folder, of networks that `J` describes.
#[derive(Debug)]
pub struct RunFolder<J = RunJson> {
    /// The run folder itself.
    pub path: PathBuf,
    /// Its `run.json`.
    pub json: J,
    /// The checkpoint to export.
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

impl<J: Description> RunFolder<J> {
    /// Opens `path`: a run folder, of which the newest checkpoint is taken, or one `RUN/checkpoints/N`.
    ///
    /// # Errors
    /// When it is no run of this kind, cannot be read, or has no checkpoint.
    pub fn open(path: &Path) -> Result<RunFolder<J>, RunError> {
        let (path, checkpoint) = locate(path)?;
        let json = J::read(&path.join("run.json"))?;
        let checkpoint = match checkpoint {
            Some(checkpoint) => checkpoint,
            None => newest(&path)?,
        };
        Ok(RunFolder { path, json, checkpoint })
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

impl RunFolder<SimclrJson> {
    /// Reads the weights of encoder and projection head.
    ///
    /// # Errors
    /// When the file is missing or damaged, or holds a value that is not finite.
    pub fn encoder(&self) -> Result<Weights, RunError> {
        self.weights("encoder.safetensors", "; export another checkpoint (RUN/checkpoints/N)")
    }
}

impl RunFolder {
    /// Reads the generator's weights. The flag is true when they are the moving average.
    ///
    /// # Errors
    /// When the file is missing or damaged, or holds a value that is not finite.
    pub fn generator(&self, choice: WeightsChoice) -> Result<(Weights, bool), RunError> {
        const EMA: &str = "generator_ema.safetensors";
        let has_ema = self.checkpoint.path.join(EMA).exists();
        let ema = match choice {
            WeightsChoice::Auto => has_ema,
            WeightsChoice::Ema => true,
            WeightsChoice::Raw => false,
        };
        let weights = if ema {
            self.weights(
                EMA,
                "; the run kept no moving average (train with --ema, or export with --weights raw)",
            )?
        } else {
            self.weights("generator.safetensors", "; export another checkpoint (RUN/checkpoints/N)")?
        };
        Ok((weights, ema))
    }

    /// Reads the discriminator's weights.
    ///
    /// # Errors
    /// As [`RunFolder::generator`].
    pub fn discriminator(&self) -> Result<Weights, RunError> {
        self.weights("discriminator.safetensors", "; export without --discriminator, or another checkpoint")
    }
}

/// What the run at `path` trained.
///
/// # Errors
/// When it is no run, cannot be read, or is of a newer format or a kind that is not known.
pub fn kind(path: &Path) -> Result<RunKind, RunError> {
    RunKind::read(&locate(path)?.0.join("run.json"))
}

/// The run folder that `path` is or lies in, and the checkpoint that it is.
fn locate(path: &Path) -> Result<(PathBuf, Option<Checkpoint>), RunError> {
    if !path.exists() {
        return Err(RunError::NoFolder(path.to_path_buf()));
    }
    // Absolute, so that `.` and `checkpoints/N` inside the run folder have names and parents.
    let path = path.canonicalize().map_err(|source| RunError::Read { path: path.to_path_buf(), source })?;
    let in_checkpoints =
        path.parent().is_some_and(|parent| parent.file_name() == Some(OsStr::new("checkpoints")));
    if let (true, Some(iteration), false) = (in_checkpoints, iteration(&path), path.join("run.json").exists())
    {
        let run = path.ancestors().nth(2).unwrap_or(&path).to_path_buf();
        return Ok((run, Some(Checkpoint { path, iteration })));
    }
    Ok((path, None))
}

/// The iteration in the name of a checkpoint folder. Names that are not all digits are the trainer's unfinished
/// temporary folders, or someone else's.
fn iteration(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// The checkpoint with the highest number.
fn newest(run: &Path) -> Result<Checkpoint, RunError> {
    let folder = run.join("checkpoints");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(RunError::NoCheckpoint(run.to_path_buf()));
        }
        Err(source) => return Err(RunError::Read { path: folder, source }),
    };
    let mut newest: Option<Checkpoint> = None;
    for entry in entries {
        let path = entry.map_err(|source| RunError::Read { path: folder.clone(), source })?.path();
        let Some(iteration) = iteration(&path).filter(|_| path.is_dir()) else { continue };
        if newest.as_ref().is_none_or(|best| iteration > best.iteration) {
            newest = Some(Checkpoint { path, iteration });
        }
    }
    newest.ok_or_else(|| RunError::NoCheckpoint(run.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_highest_number() {
        let run = tempfile::tempdir().unwrap();
        assert!(matches!(newest(run.path()), Err(RunError::NoCheckpoint(_))));
        for name in ["00000250", "00001000", "00000999", ".tmp-00002000", "1e9", "notes"] {
            fs::create_dir_all(run.path().join("checkpoints").join(name)).unwrap();
        }
        fs::write(run.path().join("checkpoints/00009999"), "a file, not a checkpoint").unwrap();
        assert_eq!(newest(run.path()).unwrap().iteration, 1000);
    }

    #[test]
    fn opens_neither_a_missing_folder_nor_one_that_is_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| RunFolder::<RunJson>::open(path);
        assert!(matches!(open(&folder.path().join("absent")), Err(RunError::NoFolder(_))));
        assert!(matches!(open(folder.path()), Err(RunError::NotARun(_))));
        // A folder that merely looks like a checkpoint.
        let lone = folder.path().join("checkpoints/00000001");
        fs::create_dir_all(&lone).unwrap();
        assert!(matches!(open(&lone), Err(RunError::NotARun(_))));
    }
}
