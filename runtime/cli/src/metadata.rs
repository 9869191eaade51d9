//! What a model file says about itself.

use std::path::Path;

use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::{self, ModelMetadata};
use latent_runtime::open::ModelFormat;

/// The metadata of a packed model or an ONNX file.
pub(crate) fn metadata(path: &Path) -> anyhow::Result<ModelMetadata> {
    Ok(match ModelFormat::of(path) {
        ModelFormat::Packed => {
            let packed = NativeBackend::load(path, &NativeOptions::default())?;
            ModelMetadata::from_packed(&packed.model())
        }
        ModelFormat::Onnx => ModelMetadata::from_model(&onnx::load(path)?),
    })
}
