//! Names of new files, and what all pictures of an animation share.

use std::fs;
use std::path::{Path, PathBuf};

use super::RecordError;
use crate::picture::Picture;

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
    fn names_are_counted_up() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..3 {
            let path = free_name(folder.path(), "walk", "txt");
            assert_eq!(path, folder.path().join(format!("walk-{number:03}.txt")));
            fs::write(&path, b"one").unwrap();
            assert_eq!(free_name(folder.path(), "walk", ""), folder.path().join("walk-001"));
        }
    }
}
