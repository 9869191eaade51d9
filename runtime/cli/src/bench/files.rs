//! The model files that are compared, and what goes into them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use latent_runtime::backend::Backend;
use latent_runtime::format::Precision;
use latent_runtime::latent::Distribution;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::{self, ModelMetadata, tensor_bytes};
use latent_runtime::open::ModelFormat;
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;

/// A model file.
pub(crate) struct ModelFile {
    pub(crate) path: PathBuf,
    pub(crate) format: ModelFormat,
    pub(crate) precision: Precision,
    /// On the disk, external data included.
    pub(crate) bytes: u64,
    pub(crate) metadata: ModelMetadata,
}

impl ModelFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let format = ModelFormat::of(path);
        let (precision, metadata, data) = match format {
            ModelFormat::Packed => {
                let packed = NativeBackend::load(path, &NativeOptions::default())?;
                let model = packed.model();
                (model.precision(), ModelMetadata::from_packed(&model), 0)
            }
            ModelFormat::Onnx => {
                let model = onnx::load(path)?;
                let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
                let data = tensors.filter_map(|tensor| tensor_bytes(tensor.data_type, &tensor.dims)).sum();
                (onnx::weight_precision(&model), ModelMetadata::from_model(&model), data)
            }
        };
        let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        // With external data the weights are more than the file.
        Ok(Self { path: path.to_owned(), format, precision, bytes: length.max(data), metadata })
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The files that the arguments stand for: each is a file, or the beginning of several: `models/mnist` stands for
/// `models/mnist.onnx`, `models/mnist.int8.lat` and so on.
pub(crate) fn expand(models: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for model in models {
        let found = if model.exists() { vec![model.clone()] } else { beginning_with(model) };
        if found.is_empty() {
            let model = model.display();
            bail!("there is no file {model}, and none that is named {model}.*.lat or {model}.*.onnx");
        }
        files.extend(found);
    }
    let mut seen = Vec::new();
    files.retain(|file| {
        let new = !seen.contains(file);
        seen.push(file.clone());
        new
    });
    Ok(files)
}

fn beginning_with(stem: &Path) -> Vec<PathBuf> {
    let folder = match stem.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(start) = stem.file_name().map(OsStr::as_encoded_bytes) else { return Vec::new() };
    let belongs = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let rest = name.strip_prefix(start).is_some_and(|rest| rest.starts_with(b"."));
        let model = path.extension().is_some_and(|extension| extension == "lat" || extension == "onnx");
        rest && model && path.is_file()
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| stem.with_file_name(entry.file_name())).filter(belongs).collect();
    found.sort();
    found
}

/// Inputs for so many examples: latent vectors as the model wants them, or images of noise as it takes them, with the range
/// that the user gave.
pub(crate) fn inputs(
    file: &ModelFile,
    backend: &dyn Backend,
    examples: usize,
    (seed, given): (u64, Option<ValueRange>),
) -> anyhow::Result<Vec<f32>> {
    let (input, output) = (backend.input(), backend.output());
    let mut inputs = vec![0.0; input.values() * examples];
    let mut rng = Rng::from_seed(seed);
    if !file.metadata.facts(input.shape, output.shape).takes_images() {
        file.metadata.distribution.unwrap_or(Distribution::REFERENCE).fill(&mut rng, &mut inputs);
        return Ok(inputs);
    }
    let encoding = file.metadata.image_encoding(input.shape, output.shape, given);
    let encoding = encoding.with_context(|| file.path.display().to_string())?;
    let (low, high) = (encoding.range.low(), encoding.range.high());
    Distribution::Uniform { low, high }.fill(&mut rng, &mut inputs);
    inputs.chunks_exact_mut(input.values().max(1)).for_each(|image| encoding.normalize(image));
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_stands_for_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.onnx", "a.int8.lat", "a.txt", "ab.onnx", "a.f16.lat"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let at = |names: &[&str]| names.iter().map(|name| folder.path().join(name)).collect::<Vec<_>>();
        let cases: [(&[&str], &[&str]); 3] = [
            (&["a"], &["a.f16.lat", "a.int8.lat", "a.onnx"]),
            (&["ab.onnx", "a.int8", "a"], &["ab.onnx", "a.int8.lat", "a.f16.lat", "a.onnx"]),
            (&["a.txt"], &["a.txt"]),
        ];
        for (given, expected) in cases {
            assert_eq!(expand(&at(given)).unwrap(), at(expected));
        }
        let error = expand(&at(&["c"])).unwrap_err().to_string();
        assert!(error.contains("there is no file") && error.contains("c.*.lat"), "{error}");
    }
}
