//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::RecordError;
use crate::picture::Picture;

/// The folder that a path is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file beside `path`, which goes away if it is not put in place.
pub(super) fn begin(path: &Path) -> Result<BufWriter<NamedTempFile>, RecordError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".viewer-").suffix(".tmp");
    // What other programs create: readable by everybody as far as the umask allows. The default is private.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path)).map(BufWriter::new).map_err(io_error(path))
}

/// Flushes a temporary file to the disk and gives it its name. Returns its size.
pub(super) fn finish(writer: BufWriter<NamedTempFile>, path: &Path, force: bool) -> Result<u64, RecordError> {
    let file = writer.into_inner().map_err(|error| io_error(path)(error.into_error()))?;
    file.as_file().sync_all().map_err(io_error(path))?;
    let bytes = file.as_file().metadata().map_err(io_error(path))?.len();
    let persisted = if force { file.persist(path) } else { file.persist_noclobber(path) };
    persisted.map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => RecordError::Exists { path: path.to_owned() },
        _ => io_error(path)(error.error),
    })?;
    sync(folder(path));
    Ok(bytes)
}

/// A new name is on the disk once its folder is. Not all file systems can do this.
pub(super) fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Writes a file, whole or not at all, unless one of that name is there.
///
/// # Errors
/// If it is, or the system refuses.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let mut writer = begin(path)?;
    writer.write_all(bytes).map_err(io_error(path))?;
    finish(writer, path, false).map(|_| ())
}

/// The first name of `prefix-001.extension`, `prefix-002.extension`, ... that is free in a folder; of a folder's name,
/// which has no extension, if that is empty.
pub fn free_name(folder: &Path, prefix: &str, extension: &str) -> PathBuf {
    let mut number = 1u32;
    loop {
        let dot = if extension.is_empty() { "" } else { "." };
        let path = folder.join(format!("{prefix}-{number:03}{dot}{extension}"));
        if number == u32::MAX || fs::symlink_metadata(&path).is_err() {
            return path;
        }
        number += 1;
    }
}

pub(super) fn io_error(path: &Path) -> impl Fn(std::io::Error) -> RecordError + use<'_> {
    move |cause| RecordError::Io { path: path.to_owned(), cause }
}

/// Every picture of an animation has the size and the channels of the first.
#[derive(Clone, Copy)]
pub(super) struct FrameShape {
    width: usize,
    height: usize,
    channels: usize,
    checked: usize,
}

impl FrameShape {
    pub(super) fn of(first: &Picture) -> Self {
        Self { width: first.width, height: first.height, channels: first.channels, checked: 0 }
    }

    pub(super) fn check(&mut self, path: &Path, picture: &Picture) -> Result<(), RecordError> {
        self.checked += 1;
        if (picture.width, picture.height, picture.channels) == (self.width, self.height, self.channels) {
            return Ok(());
        }
        let problem = format!(
            "picture {} is {}x{}, but the first is {}x{}",
            self.checked, picture.width, picture.height, self.width, self.height
        );
        Err(RecordError::Encoding { path: path.to_owned(), problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_up_and_files_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..3 {
            let path = free_name(folder.path(), "walk", "txt");
            assert_eq!(path, folder.path().join(format!("walk-{number:03}.txt")));
            write_file(&path, b"one").unwrap();
            assert_eq!(free_name(folder.path(), "walk", ""), folder.path().join("walk-001"));
            let error = write_file(&path, b"two").unwrap_err();
            assert!(matches!(error, RecordError::Exists { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"one");
        }
        assert!(
            write_file(&folder.path().join("a/b"), b"").unwrap_err().to_string().contains("cannot write")
        );
    }
}
