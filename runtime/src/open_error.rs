//! Why a model could not be opened, whatever the back end.

use std::boxed::Box;
use std::fmt;
use std::path::PathBuf;
use std::string::String;

use crate::backend_kind::{BackendKind, ModelFormat};
use crate::choice::ChoiceError;
use crate::native::LoadError;
#[cfg(feature = "onnx")]
use crate::onnx::{InterfaceError, OnnxError};

/// Why a model could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// This build does not have the back end.
    NotBuiltIn {
        /// The back end.
        kind: BackendKind,
    },
    /// The back end reads files of another kind.
    Format {
        /// The model file.
        path: PathBuf,
        /// The back end.
        kind: BackendKind,
        /// What the file is.
        format: ModelFormat,
    },
    /// The file is no packed model that can be read.
    Packed(LoadError),
    /// The file is no ONNX model that can be read.
    #[cfg(feature = "onnx")]
    Onnx(OnnxError),
    /// The model has several inputs or outputs, and the choice among them fails.
    Choice {
        /// The model file.
        path: PathBuf,
        /// Why.
        source: Box<ChoiceError>,
    },
    /// The model's inputs or outputs are none that can be run.
    #[cfg(feature = "onnx")]
    Interface {
        /// The model file.
        path: PathBuf,
        /// What was found.
        source: InterfaceError,
    },
    /// The back end's shared library was not found, could not be loaded, or is too old.
    Library {
        /// What went wrong and where it was looked for.
        detail: String,
    },
    /// The engine refused the model.
    Engine {
        /// The engine's name.
        engine: &'static str,
        /// The model file.
        path: PathBuf,
        /// What the engine said.
        message: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn { kind } => write!(
                f,
                "this build has no back end \"{kind}\"; build it in with `cargo build --release -p latent-runtime-cli \
                 --features {}`",
                kind.feature()
            ),
            Self::Format { path, format: ModelFormat::Packed, kind } => write!(
                f,
                "{} is a packed model, which {kind} does not read; the back end native does",
                path.display()
            ),
            Self::Format { path, format: ModelFormat::Onnx, kind } => write!(
                f,
                "{file} is not a packed model, which is all that {kind} reads; `exporter pack {file} --out {}` packs an \
                 ONNX model, or the back ends ort and tract run it as it is",
                path.with_extension("lat").display(),
                file = path.display(),
            ),
            Self::Packed(error) => error.fmt(f),
            #[cfg(feature = "onnx")]
            Self::Onnx(error) => error.fmt(f),
            #[cfg(feature = "onnx")]
            Self::Interface { path, source } => write!(f, "{} cannot be run: {source}", path.display()),
            Self::Choice { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Library { detail } => write!(
                f,
                "{detail}; `cargo xtask setup` installs ONNX Runtime for this project, or set ORT_DYLIB_PATH to the \
                 path of libonnxruntime"
            ),
            Self::Engine { engine, path, message } => {
                write!(f, "{engine} cannot run {}: {message}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {
    // `Display` has the cause already.
}

#[cfg(feature = "onnx")]
impl From<OnnxError> for OpenError {
    fn from(error: OnnxError) -> Self {
        Self::Onnx(error)
    }
}

impl From<LoadError> for OpenError {
    fn from(error: LoadError) -> Self {
        Self::Packed(error)
    }
}
