//! The back ends and the model files that they read.

use std::fmt;
use std::format;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::string::String;
use std::vec::Vec;

use crate::format::MAGIC;

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
        // A pipe would wait for a writer, and be emptied for whoever reads it next.
        path.is_file()
            .then(|| File::open(path))?
            .and_then(|mut file| file.read_exact(&mut start))
            .ok()
            .map(|()| start)
    }

    fn is_named_packed(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lat"))
    }

    /// Whether a file is ONNX by its first bytes: it begins with the field `ir_version`, a small number.
    pub(crate) fn looks_like_onnx(path: &Path) -> bool {
        matches!(Self::start(path), Some([0x08, 1..=0x7F, ..]))
    }
}
