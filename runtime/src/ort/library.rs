//! Finding and loading ONNX Runtime's shared library.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::{Mutex, PoisonError};
use std::{format, vec::Vec};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::open_error::OpenError;

/// Where a library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Library {
    /// `ORT_DYLIB_PATH` says so; as given.
    Variable(PathBuf),
    /// In the project's `.latent` folder, where `cargo xtask setup` puts it.
    Project(PathBuf),
    /// Nowhere of these: left to the system's loader, under this name.
    System(PathBuf),
}

impl Library {
    /// The file, or the name for the system's loader.
    pub fn path(&self) -> &Path {
        match self {
            Self::Variable(path) | Self::Project(path) | Self::System(path) => path,
        }
    }
}

fn file_name() -> String {
    format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")
}

/// The library that [`OrtBackend`](super::OrtBackend) will load: the one `ORT_DYLIB_PATH` names; else
/// `.latent/onnxruntime/libonnxruntime.so` in the executable's folder, the current folder, or any above them; else
/// the system's.
pub fn find_library() -> Library {
    let executable = env::current_exe().ok();
    let current = env::current_dir().ok();
    let starts: Vec<&Path> =
        [executable.as_deref().and_then(Path::parent), current.as_deref()].into_iter().flatten().collect();
    choose(env::var_os("ORT_DYLIB_PATH"), &starts)
}

fn choose(variable: Option<OsString>, starts: &[&Path]) -> Library {
    if let Some(path) = variable.filter(|path| !path.is_empty()) {
        return Library::Variable(path.into());
    }
    let relative = Path::new(".latent/onnxruntime").join(file_name());
    let mut candidates =
        starts.iter().flat_map(|start| start.ancestors()).map(|folder| folder.join(&relative));
    match candidates.find(|path| path.is_file()) {
        Some(path) => Library::Project(path),
        None => Library::System(file_name().into()),
    }
}

/// A loaded library.
#[derive(Clone)]
pub(super) struct Runtime {
    pub(super) environment: Environment,
    /// ONNX Runtime's version is 1.`minor`.
    pub(super) minor: Option<u32>,
}

/// The process's only one: ONNX Runtime allows one environment, so it is kept until the process ends.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The library and its environment, made with the library of [`find_library`] at the first call. A call after a failed one tries again.
pub(super) fn load() -> Result<Runtime, OpenError> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.clone());
    }
    let library = find_library();
    let failed = |what: &str| OpenError::Library {
        detail: match &library {
            Library::Variable(path) => {
                format!("ONNX Runtime's library at ORT_DYLIB_PATH={} {what}", path.display())
            }
            Library::Project(path) => format!("ONNX Runtime's library at {} {what}", path.display()),
            Library::System(name) => format!(
                "ONNX Runtime's library is not in a .latent folder above the program or the current folder, and the \
                 system's {} {what}",
                name.display()
            ),
        },
    };
    let path = match &library {
        // A path, not a bare name for the system's loader: say so plainly if it is not there, and take it relative
        // to the current folder (ort would take it relative to the executable).
        Library::Variable(path) if path.components().count() > 1 => {
            path.canonicalize().map_err(|error| failed(&format!("cannot be opened: {error}")))?
        }
        library => library.path().to_path_buf(),
    };
    // With an explicit path: what `ort` does on its own panics if it finds nothing.
    let builder = ort::init_from(&path).map_err(|error| {
        failed(&match error {
            ort::LoadDynamicError::Dlopen { error, .. } => match error.source() {
                Some(source) => format!("cannot be loaded: {source}"),
                None => format!("cannot be loaded: {error}"),
            },
            ort::LoadDynamicError::MissingApi { .. } => "is another library: it has no OrtGetApiBase".into(),
            ort::LoadDynamicError::InvalidVersionString => "does not say its version".into(),
            ort::LoadDynamicError::BadVersion { version_str, .. } => {
                format!("is version {version_str}, but 1.{} or later is needed", ort::MINOR_VERSION)
            }
        })
    })?;
    let environment = builder
        .with_name("latent")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    // What goes wrong comes back as an error; it need not be on stderr as well.
    environment.set_log_level(LogLevel::Fatal);
    let made = Runtime { environment, minor: ort::util::probe(&path) };
    *runtime = Some(made.clone());
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_search_goes_upward_and_the_variable_wins() {
        let folder = tempfile::tempdir().unwrap();
        let (near, far) = (folder.path().join("a/b"), folder.path().join("x/y/z"));
        for path in [&near, &far] {
            fs::create_dir_all(path).unwrap();
        }
        let install = |root: &str| {
            let at = folder.path().join(root).join(".latent/onnxruntime");
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join(file_name()), "").unwrap();
            Library::Project(at.join(file_name()))
        };
        let starts = [near.as_path(), far.as_path()];
        assert_eq!(choose(None, &starts), Library::System(file_name().into()));
        let second = install("x/y");
        assert_eq!(choose(None, &starts), second);
        let first = install("a");
        assert_eq!(choose(None, &starts), first);
        assert_eq!(choose(Some("".into()), &starts), first);
        assert_eq!(choose(Some("/no/such.so".into()), &starts), Library::Variable("/no/such.so".into()));
    }
}
