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
    #[error("cannot read {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is not named like a model; models end in {}", path.display(), format::extensions().join(" or "))]
    UnknownExtension { path: PathBuf },
    /// The file is no ONNX model.
    #[error("{0}")]
    Onnx(#[from] OnnxError),
    #[error("{} cannot be read: {cause}", path.display())]
    Packed { path: PathBuf, cause: FormatError },
    /// Which of several inputs and outputs are meant cannot be told.
    #[error("{} cannot be shown: {cause}", path.display())]
    Choice { path: PathBuf, cause: ChoiceError },
    #[error("{} is not a generator: {cause}", path.display())]
    Interface {
        path: PathBuf,
        /// What was found.
        cause: InterfaceError,
    },
    #[error("{} is {} {kind}; the viewer shows generators and encoders", path.display(), article(kind))]
    NotShown { path: PathBuf, kind: &'static str },
    #[error("{} is {} {kind}, and only a generator has a latent space to walk through", path.display(), article(kind))]
    NotAGenerator { path: PathBuf, kind: &'static str },
    #[error(
        "{} is not a generator: its input {} is not a latent vector{}",
        path.display(),
        batch_shape(shape),
        latent_size.map_or(String::new(), |size| format!(" of the {size} values that its metadata names"))
    )]
    Input {
        path: PathBuf,
        /// The input's shape without the batch axis.
        shape: Vec<usize>,
        /// The latent size that the metadata names.
        latent_size: Option<usize>,
    },
    #[error(
        "{} is not a generator of images: its output {} is not an image{} (1 or 3 channels, height, width)",
        path.display(),
        batch_shape(shape),
        image.map_or(String::new(), |image| format!(" of {image}, which its metadata names"))
    )]
    Output {
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
        path: PathBuf,
        /// The output's shape without the batch axis.
        shape: Vec<usize>,
    },
    #[error("{} cannot be shown: {problem}", path.display())]
    Normalization { path: PathBuf, problem: latent_runtime::image_encoding::NormalizationError },
    #[error("{} needs one of the back ends {engines}, and this build of the viewer has none of them", path.display())]
    NoEngine {
        path: PathBuf,
        /// The names of those that do.
        engines: String,
    },
    /// The latent vector meets something else than a weight.
    #[error("SeFa needs a first layer with weights, but in {} {problem}", path.display())]
    NoFirstLayer { path: PathBuf, problem: String },
    /// A back end could not open the model.
    #[error("{message}")]
    Open {
        /// What it said.
        message: String,
    },
    #[error("{} draws the classes 0 to {}, not {class}", path.display(), classes.saturating_sub(1))]
    Class { path: PathBuf, class: usize, classes: usize },
    #[error("running {}: {cause}", path.display())]
    Run { path: PathBuf, cause: Box<RunError> },
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
