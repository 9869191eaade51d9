//! From a run folder to ONNX files.

use std::io;
use std::path::{Path, PathBuf};

use latent_files::atomic::{self, Existing};
use latent_runtime::onnx::ModelKind;
use prost::Message;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::metadata;
use crate::network::{self, Folding, Form, Network};
use crate::onnx::{self, About, FloatType};
use crate::run::{Description, GanRun, RunError, SavedRun, SimclrRun, WeightsChoice};

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the files; made when there is none.
    pub out: PathBuf,
    /// First part of the files' names; the run folder's name when none is given.
    pub name: Option<String>,
    /// Which weights of the generator to take.
    pub weights: WeightsChoice,
    /// Whether to export the discriminator too.
    pub discriminator: bool,
    /// What becomes of BatchNorm.
    pub folding: Folding,
    /// What to do with files that are there already.
    pub existing: Existing,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    pub path: PathBuf,
    /// What it holds: `generator`, `discriminator` or `encoder`.
    pub kind: &'static str,
    /// Which weights it holds: `raw` or `ema`.
    pub weights: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Trained parameters of the network, before any folding.
    pub parameters: u64,
    /// Multiply-accumulates for one example.
    pub macs: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The network has no form in ONNX.
    #[error(transparent)]
    Onnx(#[from] onnx::WriteError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
    #[error("--name {0:?}: expected the first part of a file name, without a folder")]
    Name(String),
}

/// Exports the generator of `run`, and the discriminator when asked, each as one fp32 ONNX file.
///
/// Every input is read and checked before the first file is written.
///
/// # Errors
/// When the run's files are missing or damaged, or a file cannot be written or would be overwritten.
pub fn export(run: &SavedRun<GanRun>, options: &Options) -> Result<Vec<Exported>, ExportError> {
    let name = file_name(options.name.as_ref(), run)?;
    let generator_path = options.out.join(format!("{name}.fp32.onnx"));
    let discriminator_path = options.out.join(format!("{name}.discriminator.fp32.onnx"));
    atomic::check(&generator_path, options.existing)?;
    if options.discriminator {
        atomic::check(&discriminator_path, options.existing)?;
    }

    let (weights, ema) = run.generator(options.weights)?;
    let generator = network::generator(&run.json, weights, options.folding)?;
    let mut models = vec![(generator_path, ModelKind::Generator, if ema { "ema" } else { "raw" }, generator)];
    if options.discriminator {
        let discriminator = network::discriminator(&run.json, run.discriminator()?, options.folding)?;
        models.push((discriminator_path, ModelKind::Discriminator, "raw", discriminator));
    }

    let mut files = Vec::new();
    for (path, kind, weights, mut network) in models {
        network.graph.name = name.clone();
        let about = about_gan(run, kind, weights);
        files.push(File::new(path, kind, weights, &network, &about)?);
    }
    files.into_iter().map(|file| file.write(options.existing)).collect()
}

/// What to export of a SimCLR run, and where to.
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Folder for the file; made when there is none.
    pub out: PathBuf,
    /// First part of the file's name; the run folder's name when none is given.
    pub name: Option<String>,
    /// What is made of the encoder.
    pub form: Form,
    /// What to do with a file that is there already.
    pub existing: Existing,
}

/// Exports the encoder of `run` as an fp32 ONNX file.
///
/// # Errors
/// When the run's files are missing or damaged, or the file cannot be written or would be overwritten.
pub fn export_encoder(run: &SavedRun<SimclrRun>, options: &EncoderOptions) -> Result<Exported, ExportError> {
    let name = file_name(options.name.as_ref(), run)?;
    let path = options.out.join(format!("{name}.fp32.onnx"));
    atomic::check(&path, options.existing)?;
    let form = &options.form;
    let mut encoder = network::encoder(&run.json, run.encoder()?, form)?;
    encoder.graph.name = name;
    let about = About {
        doc: metadata::encoder_sentence(&run.json, run.checkpoint.iteration),
        ports: vec![
            (network::INPUT.into(), metadata::encoder_input_sentence(&run.json, form)),
            (form.output().into(), metadata::embedding_sentence(form, encoder.values)),
        ],
        metadata: metadata::of_encoder(&run.json, run.checkpoint.iteration, form, &encoder),
    };
    File::new(path, ModelKind::Encoder, "raw", &encoder, &about)?.write(options.existing)
}

/// A file before it is written.
struct File {
    bytes: Vec<u8>,
    exported: Exported,
}

impl File {
    fn new(
        path: PathBuf,
        kind: ModelKind,
        weights: &'static str,
        network: &Network,
        about: &About,
    ) -> Result<File, ExportError> {
        let bytes = onnx::write(&network.graph, about, FloatType::F32)?.encode_to_vec();
        let exported = Exported {
            path,
            kind: kind.name(),
            weights,
            bytes: bytes.len() as u64,
            parameters: network.parameters,
            macs: network.macs,
            sha256: sha256(&bytes),
        };
        Ok(File { bytes, exported })
    }

    fn write(self, existing: Existing) -> Result<Exported, ExportError> {
        atomic::write_file(&self.exported.path, &self.bytes, existing)?;
        Ok(self.exported)
    }
}

/// The first part of the files' names.
fn file_name<D: Description>(asked: Option<&String>, run: &SavedRun<D>) -> Result<String, ExportError> {
    let name = asked.cloned().unwrap_or_else(|| run.name());
    if name.is_empty() || Path::new(&name).file_name() != Some(name.as_ref()) {
        return Err(ExportError::Name(name));
    }
    Ok(name)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn about_gan(run: &SavedRun<GanRun>, kind: ModelKind, weights: &str) -> About {
    let (json, iteration) = (&run.json, run.checkpoint.iteration);
    let mut ports = vec![("image".into(), metadata::image_sentence(&json.image))];
    ports.push(match kind {
        ModelKind::Generator => ("z".into(), metadata::latent_sentence(json)),
        _ => {
            let score = "Raw score, one value for each image: the higher, the more real it looks";
            ("score".into(), score.into())
        }
    });
    if let Some(classes) = &json.classes {
        ports.push((network::LABEL.into(), metadata::label_sentence(classes)));
    }
    About {
        doc: metadata::model_sentence(json, iteration, kind, weights),
        ports,
        metadata: metadata::of(json, iteration, kind, weights),
    }
}
