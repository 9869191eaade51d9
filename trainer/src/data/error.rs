//! What can go wrong between a data set's name and its pixels.

use std::io;
use std::path::{Path, PathBuf};

use latent_files::pictures::PictureError;

/// An error of the data loaders. Every message names the file and, where bytes are at fault, the offset.
///
/// A file inside an archive is named `archive.tar.gz: path/in/archive`; offsets are then counted within that file. Offsets
/// in a gzipped file count its decompressed bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    #[error("{file}: cannot be read: {source}")]
    Io { file: String, source: io::Error },
    #[error("{file}: at byte {offset}: found {found}, expected {expected}")]
    Invalid {
        file: String,
        /// Offset of the first byte at fault.
        offset: u64,
        found: String,
        /// What should be there.
        expected: String,
    },
    #[error("{file}: not found; expected {expected}")]
    Missing {
        file: String,
        /// What it should have been.
        expected: String,
    },
    #[error("{file}: no images: expected {expected}")]
    Empty {
        /// The folder or archive.
        file: String,
        /// What it should hold.
        expected: String,
    },
    #[error("{file}: {problem}; expected {expected}")]
    Layout {
        /// The folder or archive.
        file: String,
        problem: String,
        /// What it should look like.
        expected: String,
    },
    /// Two images of one data set have different sizes and no common size was asked for.
    #[error(
        "{file}: is {width}x{height} pixels, but {first_file} is {first_width}x{first_height}; give one size for all \
         (--resize HEIGHTxWIDTH)"
    )]
    Sizes {
        /// The first image that differs.
        file: String,
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// The data set's first image.
        first_file: String,
        /// Its width in pixels.
        first_width: usize,
        /// Its height in pixels.
        first_height: usize,
    },
    /// The data set is larger than [`MAX_BYTES`](super::MAX_BYTES), or than the memory there is.
    #[error(
        "{file}: needs {bytes} bytes of memory for its pixels, more than the {limit} this program takes on"
    )]
    TooLarge {
        file: String,
        /// Bytes of pixels it states.
        bytes: u64,
        limit: u64,
    },
    /// A picture cannot be read, or not be resized as asked for.
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("{text:?} is not a data set: {reason}; known are {}", super::spec::KNOWN)]
    Spec {
        /// The text given.
        text: String,
        /// Why it is refused.
        reason: String,
    },
    #[error("the data set {name:?} is not there (looked for {}); {advice}", list(.looked_for))]
    NotThere {
        name: String,
        /// Every path that was tried.
        looked_for: Vec<PathBuf>,
        /// What to do about it.
        advice: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl DataError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::io_named(&path.display().to_string(), source)
    }

    pub(super) fn io_named(file: &str, source: io::Error) -> Self {
        DataError::Io { file: file.to_owned(), source }
    }

    pub(super) fn invalid(
        file: &str,
        offset: impl TryInto<u64>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        DataError::Invalid {
            file: file.to_owned(),
            offset: offset.try_into().unwrap_or(u64::MAX),
            found: found.into(),
            expected: expected.into(),
        }
    }
}
