//! Why an ONNX file cannot be read.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::string::String;

use super::parts::MAX_PARTS;

/// The largest ONNX file that is read: protobuf messages cannot be larger.
pub const MAX_FILE_BYTES: u64 = (1 << 31) - 1;

/// The most that is read from a model's external data files, all together.
pub const MAX_EXTERNAL_BYTES: u64 = 16 << 30;

/// Why an ONNX file could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file could not be opened or read.
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path is a folder or something else that is no file.
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file has no bytes.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than any ONNX file can be.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit: [`MAX_FILE_BYTES`] or [`MAX_EXTERNAL_BYTES`].
        limit: u64,
    },
    /// It has more parts than any model of a use, for which memory would not do.
    TooManyParts {
        /// The file.
        path: PathBuf,
    },
    /// The bytes are of something else.
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What it looks like, as the end of "is not an ONNX model, but looks like".
        looks_like: &'static str,
    },
    /// It begins like an ONNX file, but the protobuf message does not decode.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how decoding failed.
        detail: String,
    },
    /// It decodes, but what every model must have is not there.
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// A tensor's data in another file could not be read.
    External {
        /// The model file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with its data.
        detail: String,
    },
}

impl fmt::Display for OnnxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::NotAFile { path } => {
                write!(f, "{} is not a file; give the path of an .onnx file", path.display())
            }
            Self::Empty { path } => write!(f, "{} is empty (0 bytes), not an ONNX model", path.display()),
            Self::TooLarge { path, bytes, limit } => {
                write!(f, "{} has {bytes} bytes; at most {limit} are read", path.display())
            }
            Self::TooManyParts { path } => write!(
                f,
                "{} has more than {MAX_PARTS} nodes, attributes, names and sizes, more than are read",
                path.display()
            ),
            Self::NotOnnx { path, looks_like } => {
                write!(f, "{} is not an ONNX model, but looks like {looks_like}", path.display())
            }
            Self::Damaged { path, detail } => {
                write!(f, "{} is truncated or damaged: {detail}", path.display())
            }
            Self::Incomplete { path, missing } => {
                write!(f, "{} is not an ONNX model: it has no {missing}", path.display())
            }
            Self::External { path, tensor, detail } => {
                write!(f, "{}: the data of tensor \"{tensor}\" cannot be read: {detail}", path.display())
            }
        }
    }
}

impl std::error::Error for OnnxError {
    // `Display` has the cause already.
}
