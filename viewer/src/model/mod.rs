//! Model files: what they say about themselves, and what runs them.

mod catalog;
mod encoder;
mod error;
mod format;
mod generator;
mod open_model;

pub use catalog::{Catalog, models_folder, plain};
#[cfg(test)]
pub(crate) use encoder::test_encoder;
pub use encoder::{Encoder, EncoderFile};
pub use error::ModelError;
pub use format::{extensions, is_model};
pub use generator::{Generator, Images};

use std::path::{Path, PathBuf};

use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::{ImageShape, ModelKind};
use latent_runtime::open::{BackendKind, Choice, Label};
use latent_runtime::pixels::ValueRange;

use crate::walk::LatentSpace;
use format::Description;

/// The most values of one image, one latent vector or one embedding.
const MAX_VALUES: usize = 1 << 26;

/// What the user says of models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOptions {
    /// The values of black and white, whatever the files say.
    pub range: Option<ValueRange>,
    /// Of models with several inputs or outputs, which ones, and what goes into the others.
    pub choice: Choice,
}

/// A model's file, read but not yet opened by an engine.
#[derive(Clone, Debug)]
pub enum ModelFile {
    /// Latent vectors in, images out.
    Generator(GeneratorFile),
    /// Images in, embeddings out.
    Encoder(EncoderFile),
}

impl ModelFile {
    /// Reads what a file says about itself, and checks that it is something that can be shown.
    pub fn read(path: &Path, asked: &ModelOptions) -> Result<Self, ModelError> {
        let format = format::of(path)?;
        let bytes = path.metadata().map_err(|cause| ModelError::Io { path: path.to_owned(), cause })?.len();
        let description = (format.describe)(path, &asked.choice)?;
        let engines = format.engines();
        if engines.is_empty() {
            return Err(ModelError::NoEngine {
                path: path.to_owned(),
                engines: format.engine_names.join(", "),
            });
        }
        let is_encoder = match description.metadata.kind {
            Some(kind) => kind == ModelKind::Encoder,
            None => EncoderFile::looks_like_one(&description),
        };
        if is_encoder {
            EncoderFile::new(path, bytes, engines, description, asked).map(Self::Encoder)
        } else {
            GeneratorFile::new(path, bytes, engines, description, asked).map(Self::Generator)
        }
    }

    /// The back ends of this build that read it, the best first.
    pub fn engines(&self) -> &[BackendKind] {
        match self {
            Self::Generator(file) => &file.engines,
            Self::Encoder(file) => &file.engines,
        }
    }

    /// What the user has to know of the range of its images.
    pub fn range_note(&self) -> Option<String> {
        let encoding = match self {
            Self::Generator(file) => &file.encoding,
            Self::Encoder(file) => &file.encoding,
        };
        encoding.note().map(|note| note.to_string())
    }
}

/// A generator's file, read but not yet opened by an engine.
#[derive(Clone, Debug)]
pub struct GeneratorFile {
    pub path: PathBuf,
    /// The file's name without its extension.
    pub name: String,
    /// The file's size.
    pub bytes: u64,
    /// The precision of its weights: `fp32`, `fp16` or `int8`.
    pub precision: &'static str,
    /// What its latent vectors are drawn from.
    pub space: LatentSpace,
    /// Whether the file says what latent values are drawn from; if not, uniform in [-1, 1] is taken.
    pub distribution_is_known: bool,
    pub image: ImageShape,
    pub encoding: ImageEncoding,
    /// The input that takes the class of what is drawn, if it has one.
    pub label: Option<Label>,
    /// Which of its inputs and outputs, if it has several.
    pub choice: Choice,
    /// The architecture, if the file says it.
    pub architecture: Option<String>,
    /// The data set it was trained on, if the file says it.
    pub dataset: Option<String>,
    /// The back ends of this build that read such files, the best first.
    pub engines: Vec<BackendKind>,
}

impl GeneratorFile {
    /// Reads what a file says about itself, and checks that it is a generator of images; as [`ModelFile::read`].
    pub fn read(path: &Path, asked: &ModelOptions) -> Result<Self, ModelError> {
        match ModelFile::read(path, asked)? {
            ModelFile::Generator(file) => Ok(file),
            ModelFile::Encoder(_) => {
                Err(ModelError::NotAGenerator { path: path.to_owned(), kind: ModelKind::Encoder.name() })
            }
        }
    }

    fn new(
        path: &Path,
        bytes: u64,
        engines: Vec<BackendKind>,
        description: Description,
        asked: &ModelOptions,
    ) -> Result<Self, ModelError> {
        let encoding = description.encoding(path, asked.range)?;
        let image = image_shape(path, &description)?;
        let space = LatentSpace {
            size: latent_size(path, &description)?,
            distribution: description.metadata.distribution.unwrap_or(Distribution::REFERENCE),
        };
        Ok(Self {
            path: path.to_owned(),
            name: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
            bytes,
            precision: description.precision,
            space,
            distribution_is_known: description.metadata.distribution.is_some(),
            image,
            encoding,
            label: description.label,
            choice: asked.choice.clone(),
            architecture: description.metadata.architecture,
            dataset: description.metadata.dataset,
            engines,
        })
    }

    /// The number of classes that it can draw; 0 if it takes none.
    pub fn classes(&self) -> usize {
        // Of a label of any number some are shown.
        self.label.as_ref().map_or(0, |label| label.classes.unwrap_or(10))
    }

    pub fn image_values(&self) -> usize {
        self.image.channels * self.image.height * self.image.width
    }
}

fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
}

/// A generator's input has one axis that counts, e.g. (96) or (96, 1, 1).
fn latent_size(path: &Path, description: &Description) -> Result<usize, ModelError> {
    let shape = &description.input_shape;
    let size = product(shape);
    let is_vector = shape.iter().filter(|&&size| size != 1).count() <= 1;
    let is_as_said = description.metadata.latent_size.is_none_or(|said| said == size);
    if !is_vector || !is_as_said || size == 0 || size > MAX_VALUES {
        let latent_size = description.metadata.latent_size;
        return Err(ModelError::Input { path: path.to_owned(), shape: shape.clone(), latent_size });
    }
    Ok(size)
}

/// What the metadata says, if it fits; else the output's shape; else the square that a flat output must be.
fn image_shape(path: &Path, description: &Description) -> Result<ImageShape, ModelError> {
    if let Some(kind) = description.metadata.kind.filter(|kind| kind.name() != "generator") {
        return Err(ModelError::NotShown { path: path.to_owned(), kind: kind.name() });
    }
    let values = product(&description.output_shape);
    let square = |channels: usize| {
        let side = (values / channels).isqrt();
        (side * side * channels == values && side >= 4).then_some((channels, side, side))
    };
    let shape = match (description.metadata.image, description.output_shape.as_slice()) {
        (Some(image), _) => Some((image.channels, image.height, image.width)),
        (None, shape @ &[_, _, _]) => {
            ImageShape::of(shape, None).map(|(image, _)| (image.channels, image.height, image.width))
        }
        (None, &[height, width]) => Some((1, height, width)),
        (None, &[_]) => square(1).or_else(|| square(3)),
        _ => None,
    };
    match shape {
        Some((channels @ (1 | 3), height, width))
            if values <= MAX_VALUES && values > 0 && product(&[channels, height, width]) == values =>
        {
            Ok(ImageShape { channels, height, width })
        }
        _ => Err(ModelError::Output {
            path: path.to_owned(),
            shape: description.output_shape.clone(),
            image: description.metadata.image,
        }),
    }
}

/// A file for tests of what does not open it: 4 latent values, a gray image of 4 by 4.
#[cfg(test)]
pub(crate) fn test_file() -> GeneratorFile {
    GeneratorFile {
        path: "models/test.fp32.onnx".into(),
        name: "test.fp32".into(),
        bytes: 26_762_800,
        precision: "fp32",
        space: LatentSpace { size: 4, distribution: Distribution::REFERENCE },
        distribution_is_known: true,
        image: ImageShape { channels: 1, height: 4, width: 4 },
        encoding: ImageEncoding::stated(ValueRange::SIGNED),
        choice: Choice::default(),
        label: None,
        architecture: Some("dcgan".into()),
        dataset: Some("mnist".into()),
        engines: vec![BackendKind::Ort],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::onnx::{ModelKind, ModelMetadata};

    /// A model of these shapes of which nothing else is known.
    pub(super) fn description(input: &[usize], output: &[usize]) -> Description {
        Description {
            input_shape: input.to_vec(),
            output_shape: output.to_vec(),
            precision: "fp32",
            label: None,
            metadata: ModelMetadata::default(),
        }
    }

    #[test]
    fn shapes_of_generators_are_understood() {
        let path = Path::new("g.onnx");
        for (input, output, latent, image) in [
            (&[96][..], &[1, 28, 28][..], 96, "1x28x28"),
            (&[100, 1, 1], &[3, 64, 32], 100, "3x64x32"),
            (&[96], &[784], 96, "1x28x28"),
            (&[96], &[3072], 96, "3x32x32"),
            (&[1], &[28, 30], 1, "1x28x30"),
        ] {
            let description = description(input, output);
            assert_eq!(latent_size(path, &description).unwrap(), latent);
            assert_eq!(image_shape(path, &description).unwrap().to_string(), image);
        }
        let mut described = description(&[96], &[1568]);
        described.metadata.image = Some(ImageShape { channels: 1, height: 28, width: 56 });
        assert_eq!(image_shape(path, &described).unwrap().to_string(), "1x28x56");
    }

    #[test]
    fn what_is_no_generator_is_refused_in_a_sentence() {
        let path = Path::new("g.onnx");
        let mut discriminator = description(&[1, 28, 28], &[1]);
        discriminator.metadata.kind = Some(ModelKind::Discriminator);
        let error = image_shape(path, &discriminator).unwrap_err().to_string();
        assert!(error.contains("g.onnx is a discriminator"), "{error}");
        let error = latent_size(path, &discriminator).unwrap_err().to_string();
        assert!(error.contains("(N, 1, 28, 28)"), "{error}");
        for output in [&[10][..], &[2, 28, 28], &[1, 28, 28, 3], &[1, usize::MAX, 2], &[0]] {
            let error = image_shape(path, &description(&[96], output)).unwrap_err().to_string();
            assert!(error.contains("not an image"), "{error}");
        }
        let mut contradiction = description(&[96], &[1, 28, 28]);
        contradiction.metadata.latent_size = Some(64);
        let error = latent_size(path, &contradiction).unwrap_err().to_string();
        assert!(error.contains("64"), "{error}");
    }
}
