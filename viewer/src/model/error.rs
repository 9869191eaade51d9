//! What can be wrong with a model file.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use latent_runtime::backend::RunError;
use latent_runtime::format::FormatError;
use latent_runtime::onnx::{ImageShape, InterfaceError, OnnxError};
use latent_runtime::open::ChoiceError;

use super::format;

/// Why a model cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file's name has no extension of a model.
    #[error("{} is not named like a model; models end in {}", path.display(), format::extensions().join(" or "))]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The file is no ONNX model.
    #[error("{0}")]
    Onnx(OnnxError),
    /// The file is no packed model.
    #[error("{} cannot be read: {cause}", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: FormatError,
    },
    /// Which of several inputs and outputs are meant cannot be told.
    #[error("{} cannot be shown: {cause}", path.display())]
    Choice {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: ChoiceError,
    },
    /// The model's inputs or outputs are none that can be run.
    #[error("{} is not a generator: {cause}", path.display())]
    Interface {
        /// The file.
        path: PathBuf,
        /// What was found.
        cause: InterfaceError,
    },
    /// The model is for something else.
    #[error("{} is {} {kind}; the viewer shows generators and encoders", path.display(), article(kind))]
    NotShown {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The model is for something else than making images.
    #[error("{} is {} {kind}, and only a generator has a latent space to walk through", path.display(), article(kind))]
    NotAGenerator {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The input is no latent vector.
    #[error(
        "{} is not a generator: its input {} is not a latent vector{}",
        path.display(),
        batch_shape(shape),
        latent_size.map_or(String::new(), |size| format!(" of the {size} values that its metadata names"))
    )]
    Input {
        /// The file.
        path: PathBuf,
        /// The input's shape without the batch axis.
        shape: Vec<usize>,
        /// The latent size that the metadata names.
        latent_size: Option<usize>,
    },
    /// The output is no image.
    #[error(
        "{} is not a generator of images: its output {} is not an image{} (1 or 3 channels, height, width)",
        path.display(),
        batch_shape(shape),
        image.map_or(String::new(), |image| format!(" of {image}, which its metadata names"))
    )]
    Output {
        /// The file.
        path: PathBuf,
        /// The output's shape without the batch axis.
        shape: Vec<usize>,
        /// The shape of an image that the metadata names.
        image: Option<ImageShape>,
    },
    /// An encoder's input is no image.
    #[error(
        "{} cannot be shown: its input {} is not an image (1 or 3 channels, height, width)",
        path.display(),
        batch_shape(shape)
    )]
    EncoderInput {
        /// The file.
        path: PathBuf,
        /// The input's shape without the batch axis.
        shape: Vec<usize>,
    },
    /// An encoder's output is no vector.
    #[error(
        "{} cannot be shown: its output {} is not an embedding of two values or more",
        path.display(),
        batch_shape(shape)
    )]
    EncoderOutput {
        /// The file.
        path: PathBuf,
        /// The output's shape without the batch axis.
        shape: Vec<usize>,
    },
    /// The metadata does not say how images are to be normalized.
    #[error("{} cannot be shown: {problem}", path.display())]
    Normalization {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: latent_runtime::image_encoding::NormalizationError,
    },
    /// No back end of this build reads such files.
    #[error("{} needs one of the back ends {engines}, and this build of the viewer has none of them", path.display())]
    NoEngine {
        /// The file.
        path: PathBuf,
        /// The names of those that do.
        engines: String,
    },
    /// A back end could not open the model.
    #[error("{message}")]
    Open {
        /// What it said.
        message: String,
    },
    /// The model has no such class.
    #[error("{} draws the classes 0 to {}, not {class}", path.display(), classes.saturating_sub(1))]
    Class {
        /// The file.
        path: PathBuf,
        /// The class.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// A back end failed while running.
    #[error("running {}: {cause}", path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: RunError,
    },
}

impl From<OnnxError> for ModelError {
    fn from(error: OnnxError) -> Self {
        Self::Onnx(error)
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn batch_shape(shape: &[usize]) -> String {
    let mut text = String::from("(N");
    for size in shape {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {size}");
    }
    text.push(')');
    text
}
