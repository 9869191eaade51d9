//! What can go wrong between a path and pixels.

use std::io;
use std::path::Path;

/// Why pictures cannot be read. Every message names the file or folder and, where bytes are at fault, the offset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The system refused to read a file or folder.
    #[error("{file}: cannot be read: {source}")]
    Io {
        /// The file or folder.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// What has the name of a picture is a folder, a pipe or a device.
    #[error("{file}: is {found}, not a file; give a PNG or JPEG file")]
    NotAFile {
        /// Its name.
        file: String,
        /// What it is.
        found: &'static str,
    },
    /// A file is larger than [`MAX_FILE`](super::MAX_FILE).
    #[error("{file}: has {bytes} bytes, more than the {limit} of the largest picture that is read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes, or the part of it that was seen.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes of a file are no picture, or not all of one.
    #[error("{file}: at byte {offset}: found {found}, expected {expected}")]
    Invalid {
        /// The file.
        file: String,
        /// Offset of the first byte at fault.
        offset: u64,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A size to bring pictures to is zero or absurd.
    #[error("cannot resize to {height}x{width}: each side must be 1 to {limit} pixels")]
    Resize {
        /// Height asked for, in pixels.
        height: usize,
        /// Width asked for, in pixels.
        width: usize,
        /// Largest side.
        limit: usize,
    },
    /// Pictures have one channel (gray) or three (RGB).
    #[error("pictures have 1 channel (gray) or 3 (RGB), not the {channels} that the model takes")]
    Channels {
        /// The channels asked for.
        channels: usize,
    },
    /// There is no picture in a folder.
    #[error(
        "{folder}: no pictures: no PNG or JPEG file (.png, .jpg, .jpeg) lies in it or below it{left_out}"
    )]
    Empty {
        /// The folder.
        folder: String,
        /// What does lie there, in words: empty if there is nothing.
        left_out: String,
    },
    /// A folder that cannot be gone through.
    #[error("{path}: {problem}")]
    Folder {
        /// The file or folder.
        path: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

impl PictureError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { file: path.display().to_string(), source }
    }

    pub(super) fn invalid(
        file: &str,
        offset: impl TryInto<u64>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            file: file.to_owned(),
            offset: offset.try_into().unwrap_or(u64::MAX),
            found: found.into(),
            expected: expected.into(),
        }
    }
}
