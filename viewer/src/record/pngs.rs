//! Folders of numbered PNG files.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::RecordError;
use super::output;
use crate::picture::Picture;

/// Writes `0001.png`, `0002.png`, ... into a new folder, which appears with all of them.
pub(super) struct FolderWriter {
    folder: TempDir,
    digits: usize,
    written: usize,
    bytes: u64,
}

impl FolderWriter {
    pub(super) fn begin(path: &Path, frames: usize) -> Result<Self, RecordError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".viewer-").suffix(".tmp");
        // What other programs create; the default is private.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder.tempdir_in(output::folder(path)).map_err(output::io_error(path))?;
        Ok(Self { folder, digits: frames.to_string().len().max(4), written: 0, bytes: 0 })
    }

    pub(super) fn add(&mut self, path: &Path, picture: &Picture) -> Result<(), RecordError> {
        self.written += 1;
        let png = picture.to_png().map_err(|error| super::encoding(path)(&error))?;
        let name = format!("{:0digits$}.png", self.written, digits = self.digits);
        fs::write(self.folder.path().join(name), &png).map_err(output::io_error(path))?;
        self.bytes += png.len() as u64;
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> Result<u64, RecordError> {
        // A rename would replace an empty folder in silence.
        if fs::symlink_metadata(path).is_ok() {
            return Err(RecordError::Exists { path: path.to_owned() });
        }
        for entry in fs::read_dir(self.folder.path()).map_err(output::io_error(path))?.flatten() {
            let synced = fs::File::open(entry.path()).and_then(|file| file.sync_all());
            synced.map_err(output::io_error(path))?;
        }
        fs::rename(self.folder.path(), path).map_err(output::io_error(path))?;
        // Its name is another now; there is nothing to remove.
        let _ = self.folder.keep();
        output::sync(output::folder(path));
        Ok(self.bytes)
    }
}
