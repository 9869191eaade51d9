//! Folders of numbered PNG files.

use std::path::Path;

use latent_files::atomic::{Existing, NewFolder, write_synced};

use super::RecordError;
use crate::picture::Picture;

/// Writes `0001.png`, `0002.png`, ... into a new folder, which appears with all of them.
pub(super) struct FolderWriter {
    folder: NewFolder,
    digits: usize,
    written: usize,
    bytes: u64,
}

impl FolderWriter {
    pub(super) fn begin(path: &Path, frames: usize) -> Result<Self, RecordError> {
        let folder = NewFolder::begin(path)?;
        Ok(Self { folder, digits: frames.to_string().len().max(4), written: 0, bytes: 0 })
    }

    pub(super) fn add(&mut self, path: &Path, picture: &Picture) -> Result<(), RecordError> {
        self.written += 1;
        let png = picture.to_png().map_err(|error| super::encoding(path)(&error))?;
        let name = format!("{:0digits$}.png", self.written, digits = self.digits);
        write_synced(&self.folder.temporary().join(name), &png)?;
        self.bytes += png.len() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<u64, RecordError> {
        self.folder.finish(Existing::Keep)?;
        Ok(self.bytes)
    }
}
