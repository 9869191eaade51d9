//! Choosing a back end at run time.

use std::boxed::Box;
use std::fmt;
use std::format;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::string::String;
use std::vec::Vec;

use crate::backend::Backend;
#[cfg(feature = "onnx")]
use crate::onnx::{InterfaceError, OnnxError};

/// The back ends there are, whether or not this build has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// tract, an engine in pure Rust; reads ONNX. Feature `tract`.
    Tract,
    /// ONNX Runtime, a shared library found at run time; reads ONNX. Feature `ort`.
    Ort,
}

impl BackendKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Tract, Self::Ort];

    /// The name that `--backend` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
        }
    }

    /// The Cargo feature that builds it in.
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
        }
    }

    /// Whether this build has it.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Tract => cfg!(feature = "tract"),
            Self::Ort => cfg!(feature = "ort"),
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no back end \"{text}\"; the back ends are {}", names.join(", "))
        })
    }
}

/// What [`open`] passes on to the back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The threads that one run may use; 0 leaves it to the back end. tract uses one thread in any case.
    pub threads: usize,
}

/// Opens a model file with a back end.
///
/// # Errors
/// See [`OpenError`].
pub fn open(path: &Path, kind: BackendKind, options: &OpenOptions) -> Result<Box<dyn Backend>, OpenError> {
    match kind {
        #[cfg(feature = "tract")]
        BackendKind::Tract => Ok(Box::new(crate::tract::TractBackend::load(path)?)),
        #[cfg(feature = "ort")]
        BackendKind::Ort => {
            let options = crate::ort::OrtOptions { threads: options.threads, ..Default::default() };
            Ok(Box::new(crate::ort::OrtBackend::load(path, options)?))
        }
        #[allow(unreachable_patterns)]
        kind => {
            let _ = (path, options);
            Err(OpenError::NotBuiltIn { kind })
        }
    }
}

/// Why a model could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// This build does not have the back end.
    NotBuiltIn {
        /// The back end.
        kind: BackendKind,
    },
    /// The file is no ONNX model that can be read.
    #[cfg(feature = "onnx")]
    Onnx(OnnxError),
    /// The model has not one input and one output of the expected kind.
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
                "this build has no back end \"{kind}\"; build it in with `cargo build --release -p latent-runtime \
                 --features {}`",
                kind.feature()
            ),
            #[cfg(feature = "onnx")]
            Self::Onnx(error) => error.fmt(f),
            #[cfg(feature = "onnx")]
            Self::Interface { path, source } => write!(f, "{} cannot be run: {source}", path.display()),
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
