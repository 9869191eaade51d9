//! The run folder and its `run.json`.
//!
//! ```text
//! RUN/run.json         configuration and status, rewritten atomically at each save
//! RUN/metrics.csv      one row per iteration
//! RUN/tensorboard/     event files
//! RUN/losses.png       plot of the losses
//! RUN/samples/         grids of images from fixed noise
//! RUN/checkpoints/     one folder per checkpoint, the highest number is the newest
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use latent_files::atomic::{self, Existing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::diagnosis::Finding;
use crate::gan::architecture::{ImageShape, NetKind};
use crate::gan::losses::LossKind;
use crate::gan::settings::GanSettings;
use crate::session::{Parts, RunDescription};

/// The version of the layout.
pub const FORMAT: u32 = 1;

/// The content of `run.json`; each kind of run has its own.
pub trait Description: Serialize + DeserializeOwned {
    /// The value of the field `kind`.
    const KIND: &'static str;
}

impl Description for RunInfo {
    const KIND: &'static str = "gan";
}

impl RunDescription for RunInfo {
    type Settings = GanSettings;

    fn command(&self) -> &str {
        &self.command
    }

    fn settings(&self) -> &GanSettings {
        &self.hyperparameters
    }

    fn parts(&mut self) -> Parts<'_, GanSettings> {
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

/// Configuration and status of a GAN's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`FORMAT`].
    pub format: u32,
    /// `gan`.
    pub kind: String,
    /// The command that started the run: `vanilla`, `lsgan` or `dcgan`.
    pub command: String,
    /// Version of this program.
    pub latent_version: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The networks.
    pub net: NetKind,
    pub loss: LossKind,
    /// The generator's input.
    pub latent: Latent,
    /// The generator's output.
    pub image: Image,
    /// What was trained on.
    pub data: Data,
    pub hyperparameters: GanSettings,
    /// How far the run is.
    pub progress: Progress,
    pub figures: Figures,
    /// What is wrong with it.
    pub diagnosis: Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: String,
}

/// The generator's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latent {
    /// Number of values.
    pub size: usize,
    /// What each is drawn from.
    #[serde(flatten)]
    pub distribution: LatentDistribution,
}

/// What latent values are drawn from, each independently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "lowercase")]
pub enum LatentDistribution {
    /// U(low, high).
    Uniform {
        /// The smallest value.
        low: f32,
        /// The bound above.
        high: f32,
    },
    /// N(mean, std²).
    Normal {
        mean: f32,
        /// The standard deviation.
        std: f32,
    },
}

impl From<LatentDistribution> for latent_runtime::latent::Distribution {
    fn from(d: LatentDistribution) -> Self {
        match d {
            LatentDistribution::Uniform { low, high } => Self::Uniform { low, high },
            LatentDistribution::Normal { mean, std } => Self::Normal { mean, std },
        }
    }
}

/// The generator's output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// 1 or 3.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// The value of black.
    pub low: f32,
    /// The value of white.
    pub high: f32,
}

impl Image {
    /// Its shape for the networks.
    pub fn shape(self) -> ImageShape {
        let side = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        ImageShape { channels: side(self.channels), height: side(self.height), width: side(self.width) }
    }
}

/// What was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Short name, such as `mnist`.
    pub name: String,
    /// Where it came from, as the option `--data` takes it.
    pub source: String,
    /// Number of images used.
    pub images: usize,
    /// CRC-32C of their pixels, so that a resumed run can tell whether they are the same.
    pub crc32c: u32,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Iterations done and saved.
    pub iteration: u64,
    /// Iterations asked for.
    pub iterations: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// Seconds trained, over all sessions.
    pub seconds: f64,
    /// Whether all iterations are done.
    pub finished: bool,
    /// `interrupted`, `not-finite`, or nothing.
    pub stopped_by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The discriminator's loss, mean over the last 100 iterations.
    pub d_loss: Option<f64>,
    /// The generator's loss, mean over the last 100 iterations.
    pub g_loss: Option<f64>,
    /// The diversity of samples, as last measured; see [`crate::diagnosis::diversity`].
    pub diversity: Option<f32>,
    /// The diversity of as many real images.
    pub data_diversity: Option<f32>,
    /// Speed of the last session.
    pub iterations_per_second: Option<f64>,
}

/// Why a run folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is something at this place already.
    #[error("{}", exists(path, *is_run))]
    Exists {
        path: PathBuf,
        /// Whether it is a run folder.
        is_run: bool,
    },
    /// Something is there that `--force` must not delete.
    #[error(
        "{path} is no run folder (it has no run.json), so --force does not delete it; choose another with --out"
    )]
    NotOurs { path: PathBuf },
    /// No `run.json` there.
    #[error(
        "{path} is no run folder: there is no run.json in it; give the folder that --out named when the run was started"
    )]
    NoRun { path: PathBuf },
    /// `run.json` is not what it should be.
    #[error("{path}: {reason}")]
    Content { path: PathBuf, reason: String },
    /// Another process is training in it.
    #[error("another trainer is at work in {path}; wait for it or stop it first")]
    Busy { path: PathBuf },
}

fn exists(path: &Path, is_run: bool) -> String {
    let path = path.display();
    if is_run {
        format!(
            "there is a run in {path} already; continue it with --resume {path}, replace it with --force, or choose another folder with --out"
        )
    } else {
        format!("{path} is there already and is no run folder; choose another with --out")
    }
}

/// A run folder that this process alone may write into, as long as this value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Makes a folder for a new run. With `force`, a run that is there is deleted first (nothing but a run folder or an
    /// empty folder is ever deleted).
    pub fn create(path: &Path, force: bool) -> Result<Self, RunFolderError> {
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) if path.exists() => {
                return Err(RunFolderError::Exists { path: path.to_owned(), is_run: false });
            }
            Err(error) => return Err(io_error("read the folder", path, &error).into()),
            Ok(mut entries) => {
                let empty = entries.next().is_none();
                let is_run = path.join("run.json").is_file();
                match (empty, is_run, force) {
                    (true, _, _) => {}
                    (false, _, false) => {
                        return Err(RunFolderError::Exists { path: path.to_owned(), is_run });
                    }
                    (false, false, true) => return Err(RunFolderError::NotOurs { path: path.to_owned() }),
                    (false, true, true) => {
                        let held = lock(path)?;
                        atomic::remove_folder(path)?;
                        drop(held);
                    }
                }
            }
        }
        for folder in ["checkpoints", "samples"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| io_error("create the folder", &folder, &e))?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock(path)? })
    }

    /// Opens the folder of a run that is to go on, and removes what an interrupted write left in it.
    pub fn open<I: Description>(path: &Path) -> Result<(Self, I), RunFolderError> {
        let info = read_info(path)?;
        let held = lock(path)?;
        for folder in [path.to_owned(), path.join("checkpoints"), path.join("samples")] {
            atomic::clean(&folder)?;
        }
        Ok((Self { path: path.to_owned(), _lock: held }, info))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Replaces `run.json`.
    pub fn write_info(&self, info: &impl Description) -> Result<(), RunFolderError> {
        let mut text = serde_json::to_vec_pretty(info).map_err(io::Error::other)?;
        text.push(b'\n');
        Ok(atomic::write_file(&self.path.join("run.json"), &text, Existing::Replace)?)
    }
}

/// Reads a run's `run.json`.
pub fn read_info<I: Description>(run: &Path) -> Result<I, RunFolderError> {
    let path = run.join("run.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(RunFolderError::NoRun { path: run.to_owned() });
        }
        Err(error) => return Err(io_error("read", &path, &error).into()),
    };
    let bad = |reason: String| RunFolderError::Content { path: path.clone(), reason };
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| bad(format!("is not valid JSON: {e}")))?;
    match (value["format"].as_u64(), value["kind"].as_str()) {
        (Some(format), _) if format != u64::from(FORMAT) => {
            Err(bad(format!("has format {format}, this program reads format {FORMAT}")))
        }
        (_, Some(kind)) if kind == I::KIND => {
            serde_json::from_value(value).map_err(|e| bad(format!("is not the description of a run: {e}")))
        }
        (_, Some(other)) => Err(bad(format!("describes a run of kind {other:?}, expected {:?}", I::KIND))),
        (_, None) => Err(bad("is not the description of a run: it has no \"kind\"".to_owned())),
    }
}

fn io_error(doing: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

/// Takes the lock of a run folder; the operating system releases it when the process ends, however it ends.
fn lock(run: &Path) -> Result<File, RunFolderError> {
    let path = run.join(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| io_error("create", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunFolderError::Busy { path: run.to_owned() }),
        // Some network file systems cannot lock; then the user has to take care.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_without_being_asked() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("a/run");
        let first = RunFolder::create(&run, false).unwrap();
        fs::write(run.join("run.json"), "{}").unwrap();
        let message = RunFolder::create(&run, false).unwrap_err().to_string();
        assert!(message.contains("--resume") && message.contains("--force"), "{message}");
        assert!(matches!(RunFolder::create(&run, true), Err(RunFolderError::Busy { .. })));
        drop(first);
        RunFolder::create(&run, true).unwrap();
        assert!(!run.join("run.json").exists());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);

        let other = dir.path().join("thesis");
        fs::create_dir(&other).unwrap();
        RunFolder::create(&other, false).unwrap();
        let other = dir.path().join("photos");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("me.jpg"), "").unwrap();
        assert!(matches!(
            RunFolder::create(&other, false),
            Err(RunFolderError::Exists { is_run: false, .. })
        ));
        assert!(matches!(RunFolder::create(&other, true), Err(RunFolderError::NotOurs { .. })));
        assert!(other.join("me.jpg").exists());
        let file = other.join("me.jpg");
        assert!(matches!(RunFolder::create(&file, true), Err(RunFolderError::Exists { is_run: false, .. })));
    }

    #[test]
    fn a_folder_that_is_no_run_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            (None, "no run folder"),
            (Some("{"), "not valid JSON"),
            (Some("{\"format\":1}"), "no \"kind\""),
            (Some("{\"format\":7,\"kind\":\"gan\"}"), "format 7"),
            (Some("{\"format\":1,\"kind\":\"simclr\"}"), "\"simclr\""),
            (Some("{\"format\":1,\"kind\":\"gan\"}"), "missing field"),
        ];
        for (text, expected) in cases {
            if let Some(text) = text {
                fs::write(dir.path().join("run.json"), text).unwrap();
            }
            let message = RunFolder::open::<RunInfo>(dir.path()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(
            read_info::<RunInfo>(&dir.path().join("run.json"))
                .unwrap_err()
                .to_string()
                .contains("no run folder")
        );
    }
}
