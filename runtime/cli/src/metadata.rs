//! What a model file says about itself, and what is decided where it does not.

use std::path::Path;

use anyhow::Context;
use latent_runtime::backend::Backend;
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::pixels::ValueRange;
use serde_json::{Value, json};

/// How the images of a model are values, `given` being what the user says. What nobody says is noted on stderr.
pub(crate) fn decide(
    path: &Path,
    metadata: &ModelMetadata,
    backend: &dyn Backend,
    given: Option<ValueRange>,
) -> anyhow::Result<ImageEncoding> {
    let encoding = metadata
        .image_encoding(backend.input().shape, backend.output().shape, given)
        .with_context(|| path.display().to_string())?;
    if let Some(note) = encoding.note() {
        latent_files::say!("note: {}: {note}", latent_files::text::printable(&path.display().to_string()));
    }
    Ok(encoding)
}

/// The range in reports.
pub(crate) fn range_json(encoding: &ImageEncoding) -> Value {
    let ImageEncoding { range, source, .. } = encoding;
    json!({ "low": range.low(), "high": range.high(), "source": source.name() })
}

/// The range that a file states, in words.
pub(crate) fn range_text(range: Option<ValueRange>) -> String {
    match range {
        Some(range) => format!("{} (black) to {} (white)", range.low(), range.high()),
        None => "not stated".into(),
    }
}
