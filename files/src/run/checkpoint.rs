//! Checkpoints: where they lie, what their files are called, and their state that is no tensor.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::describe::{MAX_JSON, check_format, parse};
use super::{Check, QualityCheck, RunError};
use crate::regular;

/// The generator's weights.
pub const GENERATOR: &str = "generator.safetensors";
/// The moving average of the generator's weights.
pub const GENERATOR_EMA: &str = "generator_ema.safetensors";
/// The discriminator's weights.
pub const DISCRIMINATOR: &str = "discriminator.safetensors";
/// The weights of an encoder (`f.`) and its projection head (`g.`).
pub const ENCODER: &str = "encoder.safetensors";
/// The weights of a classifier.
pub const CLASSIFIER: &str = "classifier.safetensors";
/// What the optimizers remember, such as moments.
pub const OPTIMIZER: &str = "optimizer.safetensors";
/// Everything that is no tensor.
pub const STATE: &str = "state.json";
/// The folder of the checkpoints within a run folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// What a checkpoint holds besides tensors; each kind of run has its own.
pub trait SavedState: Serialize + DeserializeOwned {
    /// Iterations done.
    fn iteration(&self) -> u64;

    /// Seconds trained so far, over all sessions.
    fn seconds(&self) -> f64;
}

/// What the checkpoint of a GAN holds besides tensors; `M` is the diagnosis, which only the trainer knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GanState<M> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Iterations done.
    pub iteration: u64,
    /// State of the generator of training noise.
    pub noise: [u64; 4],
    /// Optimizer steps of the discriminator.
    pub discriminator_steps: u64,
    /// Optimizer steps of the generator.
    pub generator_steps: u64,
    /// Updates of the moving average.
    pub ema_updates: u64,
    /// Seconds trained so far, over all sessions.
    pub seconds: f64,
    /// The diagnosis.
    pub monitor: M,
    /// The last losses (discriminator, generator), for the figures of `run.json`.
    pub recent: VecDeque<(f64, f64)>,
    /// The last measured diversity.
    pub diversity: Option<f32>,
    /// How good samples were when they were last judged.
    #[serde(default)]
    pub quality: Option<QualityCheck>,
    /// When they were best.
    #[serde(default)]
    pub best: Option<QualityCheck>,
}

impl<M: Serialize + DeserializeOwned> SavedState for GanState<M> {
    fn iteration(&self) -> u64 {
        self.iteration
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// What the checkpoint of a SimCLR run holds besides tensors; `M` is the diagnosis, which only the trainer knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimclrState<M> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Iterations done, which is also the number of the optimizer's steps; views depend on nothing else.
    pub iteration: u64,
    /// Seconds trained so far, over all sessions.
    pub seconds: f64,
    /// The diagnosis.
    pub monitor: M,
    /// The last figures: loss, similarity of the two views of an image, similarity of all.
    pub recent: VecDeque<[f64; 3]>,
    /// The last check by nearest neighbors.
    pub knn: Option<Check>,
    /// The best one.
    pub best: Option<Check>,
}

impl<M: Serialize + DeserializeOwned> SavedState for SimclrState<M> {
    fn iteration(&self) -> u64 {
        self.iteration
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// What the checkpoint of a classifier holds besides tensors; `M` is the diagnosis, which only the trainer knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierState<M> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Iterations done, which is also the number of the optimizer's steps.
    pub iteration: u64,
    /// State of the generator of augmentations.
    pub augment: [u64; 4],
    /// Seconds trained so far, over all sessions.
    pub seconds: f64,
    /// The diagnosis.
    pub monitor: M,
    /// The last losses.
    pub recent: VecDeque<f64>,
    /// The accuracy on test images, as last measured.
    pub test_accuracy: Option<f64>,
}

impl<M: Serialize + DeserializeOwned> SavedState for ClassifierState<M> {
    fn iteration(&self) -> u64 {
        self.iteration
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// The folder of a checkpoint within `checkpoints`.
pub fn folder(checkpoints: &Path, iteration: u64) -> PathBuf {
    checkpoints.join(format!("{iteration:08}"))
}

/// The iteration in the name of a checkpoint's folder. Names that are not all digits are unfinished temporary folders, or
/// someone else's.
pub fn iteration(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// The checkpoints in a folder, oldest first. A folder that is not there has none.
///
/// # Errors
/// When the folder cannot be read; the message names it.
pub fn list(checkpoints: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let unreadable = |reason| RunError::Read { path: checkpoints.to_path_buf(), reason };
    let entries = match fs::read_dir(checkpoints) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(reason) => return Err(unreadable(reason)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if let Some(iteration) = iteration(&path).filter(|_| path.is_dir()) {
            found.push((iteration, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the state of a checkpoint.
///
/// # Errors
/// When the file is missing, is not JSON, or is of another format.
pub fn read_state<S: SavedState>(checkpoint: &Path) -> Result<S, RunError> {
    let path = checkpoint.join(STATE);
    let read = regular::read(&path, MAX_JSON);
    let text = read.map_err(|reason| RunError::Read { path: path.clone(), reason: reason.into() })?;
    check_format(&path, STATE, &text)?;
    parse(&path, STATE, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(format: u32) -> SimclrState<String> {
        SimclrState {
            format,
            iteration: 12,
            seconds: 0.1 + 0.2,
            monitor: "calm".into(),
            recent: [[0.1, 0.2, 0.3]].into(),
            knn: None,
            best: None,
        }
    }

    #[test]
    fn only_whole_folders_named_by_digits_are_checkpoints() {
        let run = tempfile::tempdir().unwrap();
        assert!(list(&run.path().join("absent")).unwrap().is_empty());
        for name in ["00000250", "00001000", "00000999", ".tmp-00002000", "1e9", "notes"] {
            fs::create_dir_all(run.path().join(name)).unwrap();
        }
        fs::write(run.path().join("00009999"), "a file, not a checkpoint").unwrap();
        let found: Vec<u64> = list(run.path()).unwrap().into_iter().map(|(iteration, _)| iteration).collect();
        assert_eq!(found, [250, 999, 1000]);
        assert_eq!(folder(run.path(), 999), list(run.path()).unwrap()[1].1);
    }

    #[test]
    fn what_was_saved_is_read_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(STATE), text).unwrap();
        let read = || read_state::<SimclrState<String>>(folder.path());
        assert!(read().unwrap_err().to_string().starts_with("cannot read "));
        write(&serde_json::to_string_pretty(&state(1)).unwrap());
        assert_eq!(read().unwrap(), state(1));
        write(&serde_json::to_string_pretty(&state(7)).unwrap());
        assert!(read().unwrap_err().to_string().contains("state.json: written in format 7"));
        for (text, expected) in
            [("{}", "missing field `format`"), (r#"{"format":1}"#, "missing field"), ("{", "EOF")]
        {
            write(text);
            let error = read().unwrap_err().to_string();
            assert!(error.contains("not a readable state.json") && error.contains(expected), "{error}");
        }
    }
}
