//! Choosing a back end at run time.

use std::boxed::Box;
use std::path::Path;
use std::string::String;

use crate::backend::Backend;
pub use crate::backend_kind::{BackendKind, ModelFormat};
pub use crate::choice::{Choice, ChoiceError, Chosen, Label};
use crate::native::{LoadError, NativeBackend, NativeOptions};
#[cfg(feature = "onnx")]
use crate::onnx::{self, ModelMetadata};
pub use crate::open_error::OpenError;

/// What [`open`] passes on to the back end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// The threads that one run may use; 0 leaves it to the back end: native takes one for each core, at most
    /// [`OpenOptions::NATIVE_THREADS`], ONNX Runtime one for each physical core. tract uses one thread in any case.
    pub threads: usize,
    /// Of a model with several inputs or outputs, which one the back end is to be about.
    pub choice: Choice,
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

/// What a file says about itself, whether it is a packed model or an ONNX file.
///
/// # Errors
/// If it is no model that can be read.
#[cfg(feature = "onnx")]
pub fn read_metadata(path: &Path) -> Result<ModelMetadata, OpenError> {
    Ok(match ModelFormat::of(path) {
        ModelFormat::Packed => {
            ModelMetadata::from_packed(&NativeBackend::load(path, &NativeOptions::default())?.model())
        }
        ModelFormat::Onnx => ModelMetadata::from_model(&onnx::load(path)?),
    })
}

/// Opens a model file with a back end. Of a model with several inputs or outputs, input and output are the chosen ones.
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
            Ok(backend) => {
                let label = backend.model().metadata_text(LABEL).map(Into::into);
                choose(path, backend, options, || label)
            }
            // Under a packed model's name.
            Err(LoadError::Format { .. }) if ModelFormat::looks_like_onnx(path) => {
                Err(OpenError::Format { path: path.to_path_buf(), kind, format: ModelFormat::Onnx })
            }
            Err(error) => Err(error.into()),
        },
        #[cfg(feature = "tract")]
        BackendKind::Tract => {
            choose(path, crate::tract::TractBackend::load(path)?, options, || onnx_label(path))
        }
        #[cfg(feature = "ort")]
        BackendKind::Ort => {
            let ort = crate::ort::OrtOptions { threads: options.threads, ..Default::default() };
            choose(path, crate::ort::OrtBackend::load(path, ort)?, options, || onnx_label(path))
        }
        #[allow(unreachable_patterns)]
        kind => Err(OpenError::NotBuiltIn { kind }),
    }
}

/// The metadata's name of the input that is a label.
const LABEL: &str = "latent.label";

/// What an ONNX file has for it. The file is read once more, which only matters where its inputs are not told apart otherwise.
#[cfg(any(feature = "ort", feature = "tract"))]
fn onnx_label(path: &Path) -> Option<String> {
    let model = crate::onnx::load(path).ok()?;
    model.metadata_props.into_iter().find(|entry| entry.key == LABEL).map(|entry| entry.value)
}

fn choose(
    path: &Path,
    backend: impl Backend + 'static,
    options: &OpenOptions,
    label: impl FnOnce() -> Option<String>,
) -> Result<Box<dyn Backend>, OpenError> {
    let single = backend.input_at(1).is_none() && backend.output_at(1).is_none();
    if single && options.choice == Choice::default() {
        return Ok(Box::new(backend));
    }
    match Chosen::new(backend, &options.choice, label) {
        Ok(chosen) => Ok(Box::new(chosen)),
        Err(source) => Err(OpenError::Choice { path: path.to_path_buf(), source: Box::new(source) }),
    }
}
