//! The run folder of a training: made, locked, written. [`latent_files::run`] says what lies in it and reads it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use latent_files::atomic::{self, Existing};
use latent_files::run::{self, RUN_JSON, RunError, checkpoint::CHECKPOINTS};

pub use latent_files::run::{
    Data, Description, FORMAT, Image, LatentDistribution, Progress, read as read_info,
};

/// Why a run folder could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("there is a run in {path} already; continue it with --resume {path}, replace it with --force, or choose another folder with --out", path = .0.display())]
    RunExists(PathBuf),
    #[error("{} is there already and is no run folder; choose another with --out", .0.display())]
    Exists(PathBuf),
    #[error("{} is no run folder (it has no run.json), so --force does not delete it; choose another with --out", .0.display())]
    NotOurs(PathBuf),
    #[error("another trainer is at work in {}; wait for it or stop it first", .0.display())]
    Busy(PathBuf),
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
                return Err(RunFolderError::Exists(path.to_owned()));
            }
            Err(error) => return Err(io_error("read the folder", path, &error).into()),
            Ok(mut entries) => {
                let empty = entries.next().is_none() || never_began(path);
                let is_run = path.join(RUN_JSON).is_file();
                match (empty, is_run, force) {
                    (true, _, _) => {}
                    (false, true, false) => return Err(RunFolderError::RunExists(path.to_owned())),
                    (false, false, false) => return Err(RunFolderError::Exists(path.to_owned())),
                    (false, false, true) => return Err(RunFolderError::NotOurs(path.to_owned())),
                    (false, true, true) => {
                        let held = lock(path)?;
                        atomic::remove_folder(path)?;
                        drop(held);
                    }
                }
            }
        }
        for folder in [CHECKPOINTS, "samples"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| io_error("create the folder", &folder, &e))?;
        }
        let held = lock(path)?;
        atomic::clean(path)?;
        Ok(Self { path: path.to_owned(), _lock: held })
    }

    /// Opens the folder of a run that is to go on, and removes what an interrupted write left in it.
    pub fn open<I: Description>(path: &Path) -> Result<(Self, I), RunFolderError> {
        let info = run::read(path)?;
        let held = lock(path)?;
        for folder in [path.to_owned(), path.join(CHECKPOINTS), path.join("samples")] {
            atomic::clean(&folder)?;
        }
        Ok((Self { path: path.to_owned(), _lock: held }, info))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Replaces `run.json`.
    ///
    /// # Errors
    /// When the file cannot be written, or holds what could not be read again.
    pub fn write_info(&self, info: &impl Description) -> Result<(), RunFolderError> {
        let path = self.path.join(RUN_JSON);
        info.check().map_err(|what| RunError::Value { path: path.clone(), what })?;
        let mut text = serde_json::to_vec_pretty(info).map_err(io::Error::other)?;
        text.push(b'\n');
        Ok(atomic::write_file(&path, &text, Existing::Replace)?)
    }
}

/// Whether a folder holds no more than what [`RunFolder::create`] makes before there is a `run.json`: what a start leaves
/// that failed or was killed.
fn never_began(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| match entry.file_name().to_str() {
                Some(".lock") => true,
                Some(CHECKPOINTS | "samples") => {
                    fs::read_dir(entry.path()).is_ok_and(|mut e| e.next().is_none())
                }
                Some(name) => atomic::is_unfinished(name),
                None => false,
            })
        })
    })
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
        Err(TryLockError::WouldBlock) => Err(RunFolderError::Busy(run.to_owned())),
        // Some network file systems cannot lock; then the user has to take care.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gan::run::RunInfo;

    #[test]
    fn nothing_is_overwritten_without_being_asked() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("a/run");
        let first = RunFolder::create(&run, false).unwrap();
        fs::write(run.join("run.json"), "{}").unwrap();
        let message = RunFolder::create(&run, false).unwrap_err().to_string();
        assert!(message.contains("--resume") && message.contains("--force"), "{message}");
        assert!(matches!(RunFolder::create(&run, true), Err(RunFolderError::Busy(_))));
        drop(first);
        RunFolder::create(&run, true).unwrap();
        assert!(!run.join("run.json").exists());
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);

        let other = dir.path().join("thesis");
        fs::create_dir(&other).unwrap();
        RunFolder::create(&other, false).unwrap();
        // A start that got no further than that is begun again.
        fs::write(other.join(".tmp-run.json-0"), "{").unwrap();
        let again = RunFolder::create(&other, false).unwrap();
        assert!(!other.join(".tmp-run.json-0").exists());
        assert!(matches!(RunFolder::create(&other, false), Err(RunFolderError::Busy(_))));
        drop(again);
        fs::write(other.join("samples/mine.png"), "").unwrap();
        assert!(matches!(RunFolder::create(&other, false), Err(RunFolderError::Exists(_))));
        let other = dir.path().join("photos");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("me.jpg"), "").unwrap();
        assert!(matches!(RunFolder::create(&other, false), Err(RunFolderError::Exists(_))));
        assert!(matches!(RunFolder::create(&other, true), Err(RunFolderError::NotOurs(_))));
        assert!(other.join("me.jpg").exists());
        let file = other.join("me.jpg");
        assert!(matches!(RunFolder::create(&file, true), Err(RunFolderError::Exists(_))));
    }

    #[test]
    fn a_folder_that_is_no_run_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            (None, "not a run folder"),
            (Some("{"), "not a readable run.json"),
            (Some("{\"format\":1}"), "missing field `kind`"),
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
                .contains("not a run folder")
        );
    }
}
