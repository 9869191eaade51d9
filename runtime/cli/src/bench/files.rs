//! The model files that are compared, and what goes into them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use latent_runtime::backend::Backend;
use latent_runtime::format::Precision;
use latent_runtime::latent::Distribution;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::{self, Interface, ModelKind, ModelMetadata, tensor_bytes};
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
    /// The shape of an input and the values of an output, as far as the file says: files of one network agree.
    pub(crate) network: Option<(Vec<usize>, usize)>,
}

impl ModelFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let format = ModelFormat::of(path);
        let (precision, metadata, data, network) = match format {
            ModelFormat::Packed => {
                let packed = NativeBackend::load(path, &NativeOptions::default())?;
                let model = packed.model();
                let network = Some((packed.input().shape.to_vec(), packed.output().values()));
                (model.precision(), ModelMetadata::from_packed(&model), 0, network)
            }
            ModelFormat::Onnx => {
                let model = onnx::load(path)?;
                let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
                let data = tensors.filter_map(|tensor| tensor_bytes(tensor.data_type, &tensor.dims)).sum();
                let network = Interface::of(&model)
                    .ok()
                    .map(|ports| (ports.input_info().shape.to_vec(), ports.output_info().values()));
                (onnx::weight_precision(&model), ModelMetadata::from_model(&model), data, network)
            }
        };
        let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        // With external data the weights are more than the file.
        Ok(Self { path: path.to_owned(), format, precision, bytes: length.max(data), metadata, network })
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The files that the arguments stand for, and whether each was named itself: an argument is a file, the beginning of
/// several (`models/mnist` stands for `models/mnist.onnx`, `models/mnist.int8.lat` and so on), or a folder of models.
pub(crate) fn expand(models: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let mut files: Vec<(PathBuf, bool)> = Vec::new();
    for model in models {
        let named = model.exists() && !model.is_dir();
        let found = if named { vec![model.clone()] } else { beginning_with(model) };
        if found.is_empty() {
            let shown = model.display();
            if model.is_dir() {
                bail!("there is no model (.lat or .onnx) in the folder {shown}");
            }
            bail!("there is no file {shown}, and none that is named {shown}.*.lat or {shown}.*.onnx");
        }
        for file in found {
            match files.iter_mut().find(|(path, _)| *path == file) {
                Some((_, before)) => *before |= named,
                None => files.push((file, named)),
            }
        }
    }
    Ok(files)
}

/// Leaves out files that were only found and are of another network than the others: that of the first file that was
/// named or, if none was, that of the most, generators first. Returns the names of those left out.
pub(crate) fn leave_others_out(files: &mut Vec<(ModelFile, bool)>) -> Vec<PathBuf> {
    let alike = |file: &ModelFile| files.iter().filter(|(other, _)| other.network == file.network).count();
    let rank = |(file, named): &&(ModelFile, bool)| {
        (*named, alike(file), file.metadata.kind == Some(ModelKind::Generator))
    };
    let known = files.iter().filter(|(file, _)| file.network.is_some());
    // Of equals the first, where `max_by_key` takes the last.
    let Some((chosen, _)) = known.rev().max_by_key(rank) else { return Vec::new() };
    let network = chosen.network.clone();
    let is_other =
        |(file, named): &(ModelFile, bool)| !named && file.network.is_some() && file.network != network;
    files.extract_if(.., |file| is_other(file)).map(|(file, _)| file.path).collect()
}

/// The models whose names begin with this, or that lie in this folder.
fn beginning_with(stem: &Path) -> Vec<PathBuf> {
    let is_folder = stem.is_dir();
    let folder = match stem.parent() {
        _ if is_folder => stem,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let start = stem.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    let belongs = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let rest = is_folder || name.strip_prefix(start).is_some_and(|rest| rest.starts_with(b"."));
        let model = path.extension().is_some_and(|extension| extension == "lat" || extension == "onnx");
        rest && model && path.is_file()
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| if is_folder { entry.path() } else { stem.with_file_name(entry.file_name()) })
        .filter(belongs)
        .collect();
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
            let found = expand(&at(given)).unwrap();
            assert_eq!(found.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), at(expected));
        }
        let all = ["a.f16.lat", "a.int8.lat", "a.onnx", "ab.onnx"]
            .map(|name| (folder.path().join(name), name == "a.onnx"));
        let found = expand(&[folder.path().into(), folder.path().join("a.onnx")]).unwrap();
        assert_eq!(found, all);
        let error = expand(&at(&["c"])).unwrap_err().to_string();
        assert!(error.contains("there is no file") && error.contains("c.*.lat"), "{error}");
    }

    #[test]
    fn files_of_another_network_are_left_out() {
        let file = |name: &str, size: usize, kind| {
            let metadata = ModelMetadata { kind: Some(kind), ..ModelMetadata::default() };
            let network = (size > 0).then(|| (vec![size], 1));
            let (format, precision) = (ModelFormat::Onnx, Precision::F32);
            ModelFile { path: name.into(), format, precision, bytes: 0, metadata, network }
        };
        let (d, g) = (ModelKind::Discriminator, ModelKind::Generator);
        type Case<'a> = (&'a [(&'a str, usize, ModelKind, bool)], &'a [&'a str]);
        let cases: [Case<'_>; 5] = [
            (&[("d", 2, d, false), ("g", 1, g, false)], &["d"]),
            (&[("d", 2, d, false), ("d2", 2, d, false), ("g", 1, g, false)], &["g"]),
            (&[("d", 2, d, true), ("g", 1, g, false), ("g2", 1, g, false)], &["g", "g2"]),
            (&[("d", 2, d, true), ("g", 1, g, true)], &[]),
            (&[("x", 0, d, false), ("g", 1, g, false)], &[]),
        ];
        for (files, expected) in cases {
            let mut files: Vec<_> =
                files.iter().map(|&(name, size, kind, named)| (file(name, size, kind), named)).collect();
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(leave_others_out(&mut files), expected);
        }
    }
}
