//! Choosing a back end at run time.

use std::boxed::Box;
use std::path::Path;

use crate::backend::Backend;
pub use crate::backend_kind::{BackendKind, ModelFormat};
use crate::native::{LoadError, NativeBackend, NativeOptions};
pub use crate::open_error::OpenError;

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
