//! Choosing a back end at run time.

use std::boxed::Box;
use std::fmt;
use std::format;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::string::String;
use std::vec::Vec;

use crate::backend::Backend;
use crate::format::MAGIC;
use crate::native::{LoadError, NativeBackend, NativeOptions};
#[cfg(feature = "onnx")]
use crate::onnx::{InterfaceError, OnnxError};

/// The back ends there are, whether or not this build has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// This crate's own engine; reads packed models (`.lat`). Feature `std`.
    Native,
    /// tract, an engine in pure Rust; reads ONNX. Feature `tract`.
    Tract,
    /// ONNX Runtime, a shared library found at run time; reads ONNX. Feature `ort`.
    Ort,
}

impl BackendKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Native, Self::Tract, Self::Ort];

    /// The name that `--backend` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Tract => "tract",
            Self::Ort => "ort",
        }
    }

    /// The Cargo feature that builds it in.
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Native => "std",
            Self::Tract => "tract",
            Self::Ort => "ort",
        }
    }

    /// The files it reads.
    pub const fn reads(self) -> ModelFormat {
        match self {
            Self::Native => ModelFormat::Packed,
            Self::Tract | Self::Ort => ModelFormat::Onnx,
        }
    }

    /// The back end to take for a file when none is asked for: `native` for a packed model, else ONNX Runtime, or tract
    /// in a build that has only tract.
    pub fn for_file(path: &Path) -> Self {
        match ModelFormat::of(path) {
            ModelFormat::Packed => Self::Native,
            ModelFormat::Onnx if Self::Tract.is_built_in() && !Self::Ort.is_built_in() => Self::Tract,
            ModelFormat::Onnx => Self::Ort,
        }
    }

    /// Whether this build has it.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Native => true,
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

/// The kinds of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelFormat {
    /// A packed model, `.lat`: docs/FORMAT.md.
    Packed,
    /// ONNX.
    Onnx,
}

impl ModelFormat {
    /// What a file holds: a packed model if it is named `.lat`, else by its first bytes; a file that is neither, or that
    /// cannot be read, counts as ONNX.
    ///
    /// Of a file named `.lat` nothing is read: reading from a file that is not in memory yet puts its beginning there in
    /// small pages, and small they would stay when the whole is mapped.
    pub fn of(path: &Path) -> Self {
        if Self::is_named_packed(path) || Self::start(path) == Some(MAGIC) {
            Self::Packed
        } else {
            Self::Onnx
        }
    }

    fn start(path: &Path) -> Option<[u8; MAGIC.len()]> {
        let mut start = [0; MAGIC.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut start)).ok().map(|()| start)
    }

    fn is_named_packed(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lat"))
    }

    /// Whether a file is ONNX by its first bytes: it begins with the field `ir_version`, a small number.
    fn looks_like_onnx(path: &Path) -> bool {
        matches!(Self::start(path), Some([0x08, 1..=0x7F, ..]))
    }
}

/// What [`open`] passes on to the back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The threads that one run may use; 0 leaves it to the back end: native takes one for each core, at most
    /// [`OpenOptions::NATIVE_THREADS`], ONNX Runtime one for each physical core. tract uses one thread in any case.
    pub threads: usize,
}

impl OpenOptions {
    /// The most threads that the native back end takes unless it is told to: more do not help models of this size.
    pub const NATIVE_THREADS: usize = 8;

    fn native(&self) -> NativeOptions {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(Self::NATIVE_THREADS),
            threads => threads,
        };
        NativeOptions { threads, instruction_set: None }
    }
}

/// Opens a model file with a back end.
///
/// # Errors
/// See [`OpenError`].
pub fn open(path: &Path, kind: BackendKind, options: &OpenOptions) -> Result<Box<dyn Backend>, OpenError> {
    let mut format = ModelFormat::of(path);
    if format == ModelFormat::Packed && kind != BackendKind::Native && ModelFormat::looks_like_onnx(path) {
        // Whatever its name.
        format = ModelFormat::Onnx;
    }
    if kind.is_built_in() && format != kind.reads() && path.is_file() {
        return Err(OpenError::Format { path: path.to_path_buf(), kind, format });
    }
    match kind {
        BackendKind::Native => match NativeBackend::load(path, &options.native()) {
            Ok(backend) => Ok(Box::new(backend)),
            // Under a packed model's name.
            Err(LoadError::Format { .. }) if ModelFormat::looks_like_onnx(path) => {
                Err(OpenError::Format { path: path.to_path_buf(), kind, format: ModelFormat::Onnx })
            }
            Err(error) => Err(error.into()),
        },
        #[cfg(feature = "tract")]
        BackendKind::Tract => Ok(Box::new(crate::tract::TractBackend::load(path)?)),
        #[cfg(feature = "ort")]
        BackendKind::Ort => {
            let options = crate::ort::OrtOptions { threads: options.threads, ..Default::default() };
            Ok(Box::new(crate::ort::OrtBackend::load(path, options)?))
        }
        #[allow(unreachable_patterns)]
        kind => Err(OpenError::NotBuiltIn { kind }),
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
