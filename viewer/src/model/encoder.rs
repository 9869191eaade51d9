//! Encoders: what their files say, and running them.

use std::path::{Path, PathBuf};

use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::ImageShape;
use latent_runtime::open::{BackendKind, Choice};

use super::format::Description;
use super::open_model::OpenModel;
use super::{MAX_VALUES, ModelError, ModelOptions, product};
use crate::picture::Picture;

/// An encoder's file, read but not yet opened by an engine.
#[derive(Clone, Debug)]
pub struct EncoderFile {
    pub path: PathBuf,
    /// The file's name without its extension.
    pub name: String,
    /// The file's size.
    pub bytes: u64,
    /// The precision of its weights: `fp32`, `fp16` or `int8`.
    pub precision: &'static str,
    /// The shape of the images it takes.
    pub image: ImageShape,
    /// The values of one embedding.
    pub features: usize,
    pub encoding: ImageEncoding,
    /// Which of its inputs and outputs, if it has several.
    pub choice: Choice,
    /// The architecture, if the file says it.
    pub architecture: Option<String>,
    /// The data set it was trained on, if the file says it.
    pub dataset: Option<String>,
    /// The back ends of this build that read such files, the best first.
    pub engines: Vec<BackendKind>,
}

impl EncoderFile {
    /// Whether a model that does not say what it is takes images and gives vectors.
    pub(super) fn looks_like_one(description: &Description) -> bool {
        let image = ImageShape::of(&description.input_shape, description.metadata.image);
        image.is_some_and(|(image, _)| {
            matches!(image.channels, 1 | 3) && image.height >= 4 && image.width >= 4
        }) && description.output_shape.iter().filter(|&&size| size != 1).count() == 1
            && product(&description.output_shape) > 1
    }

    pub(super) fn new(
        path: &Path,
        bytes: u64,
        engines: Vec<BackendKind>,
        description: Description,
        asked: &ModelOptions,
    ) -> Result<Self, ModelError> {
        let encoding = description.encoding(path, asked.range)?;
        let said = description.metadata;
        let (input, output) = (description.input_shape, description.output_shape);
        let image = match ImageShape::of(&input, said.image) {
            Some((image, _))
                if matches!(image.channels, 1 | 3) && (1..=MAX_VALUES).contains(&product(&input)) =>
            {
                image
            }
            _ => return Err(ModelError::EncoderInput { path: path.to_owned(), shape: input }),
        };
        let features = product(&output);
        if !(2..=MAX_VALUES).contains(&features) {
            return Err(ModelError::EncoderOutput { path: path.to_owned(), shape: output });
        }
        Ok(Self {
            path: path.to_owned(),
            name: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
            bytes,
            precision: description.precision,
            image,
            features,
            encoding,
            choice: asked.choice.clone(),
            architecture: said.architecture,
            dataset: said.dataset,
            engines,
        })
    }

    pub fn image_values(&self) -> usize {
        self.image.channels * self.image.height * self.image.width
    }
}

/// An encoder that can be run.
pub struct Encoder {
    file: EncoderFile,
    model: OpenModel,
}

impl Encoder {
    /// Opens a file with one of its back ends. `threads` is what one run may use; 0 leaves it to the back end.
    ///
    /// # Errors
    /// If the back end cannot open it, or finds other shapes than the file says.
    pub fn open(file: &EncoderFile, engine: BackendKind, threads: usize) -> Result<Self, ModelError> {
        let model = OpenModel::open(
            &file.path,
            engine,
            (threads, &file.choice),
            (file.image_values(), file.features),
        )?;
        Ok(Self { file: file.clone(), model })
    }

    /// Opens a file with the first of its back ends that can, in the file's order.
    ///
    /// # Errors
    /// If none can; with what each of them said.
    pub fn open_with_any(file: &EncoderFile, threads: usize) -> Result<(Self, BackendKind), ModelError> {
        OpenModel::first(&file.engines, |engine| Self::open(file, engine, threads))
    }

    /// What runs it, e.g. `ONNX Runtime 1.32, 2 threads`.
    pub fn describe(&self) -> &str {
        self.model.describe()
    }

    /// The embeddings of pictures of the encoder's shape, one after the other, and the seconds that the back end took.
    ///
    /// # Errors
    /// If a picture has another shape, or the back end fails.
    pub fn run(&mut self, pictures: &[&Picture]) -> Result<(Vec<f32>, f64), ModelError> {
        let values = self.file.image_values();
        let mut input = vec![0.0; pictures.len() * values];
        for (picture, values) in pictures.iter().zip(input.chunks_exact_mut(values)) {
            let encoding = &self.file.encoding;
            encoding
                .values(&picture.pixels, picture.channels, values)
                .map_err(|error| ModelError::Open { message: error.to_string() })?;
        }
        let mut output = vec![0.0; pictures.len() * self.file.features];
        let seconds = self
            .model
            .run(&input, &mut output)
            .map_err(|cause| ModelError::Run { path: self.file.path.clone(), cause: Box::new(cause) })?;
        Ok((output, seconds))
    }
}

/// A file for tests of what does not open it: color images of 4 by 4, embeddings of 3 values.
#[cfg(test)]
pub(crate) fn test_encoder() -> EncoderFile {
    use latent_runtime::pixels::ValueRange;
    EncoderFile {
        path: "models/encoder.fp32.onnx".into(),
        name: "encoder.fp32".into(),
        bytes: 5_300_000,
        precision: "fp32",
        image: ImageShape { channels: 3, height: 4, width: 4 },
        features: 3,
        encoding: ImageEncoding::stated(ValueRange::UNIT),
        choice: Choice::default(),
        architecture: Some("resnet".into()),
        dataset: Some("cifar10".into()),
        engines: vec![BackendKind::Ort],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::description;
    use latent_runtime::image_encoding::Normalization;
    use latent_runtime::onnx::ModelKind;
    use latent_runtime::pixels::ValueRange;

    #[test]
    fn encoders_are_told_from_generators_by_their_shapes() {
        for (input, output, expected) in [
            (&[3, 32, 32][..], &[128][..], true),
            (&[1, 28, 28], &[64, 1, 1], true),
            (&[3, 32, 32], &[1], false),
            (&[96], &[1, 28, 28], false),
            (&[96, 1, 1], &[3, 64, 64], false),
            (&[3, 32, 32], &[3, 32, 32], false),
        ] {
            assert_eq!(EncoderFile::looks_like_one(&description(input, output)), expected, "{input:?}");
        }
    }

    #[test]
    fn what_is_no_encoder_is_refused_in_a_sentence() {
        let read = |input: &[usize], output: &[usize]| {
            EncoderFile::new(
                Path::new("e.onnx"),
                1,
                vec![],
                description(input, output),
                &ModelOptions::default(),
            )
        };
        let file = read(&[3, 24, 32], &[128, 1, 1]).unwrap();
        assert_eq!((file.image.to_string(), file.features), ("3x24x32".into(), 128));
        for (input, output, expected) in [
            (&[96][..], &[128][..], "e.onnx cannot be shown: its input (N, 96) is not an image"),
            (&[4, 32, 32], &[128], "(N, 4, 32, 32)"),
            (&[3, usize::MAX, 32], &[128], "is not an image"),
            (&[3, 32, 32], &[1], "its output (N, 1) is not an embedding"),
        ] {
            let error = read(input, output).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn pictures_are_scaled_and_normalized_as_the_file_says() {
        let mut said = description(&[1, 1, 4], &[2]);
        said.metadata.kind = Some(ModelKind::Encoder);
        let picture = Picture { width: 4, height: 1, channels: 1, pixels: vec![0, 51, 102, 255] };
        let mut values = [0.0; 4];
        let mut check = |said: &Description, range: Option<ValueRange>, expected: [f32; 4]| {
            let said = Description { metadata: said.metadata.clone(), ..description(&[1, 1, 4], &[2]) };
            let file = EncoderFile::new(
                Path::new("e.onnx"),
                1,
                vec![],
                said,
                &ModelOptions { range, ..Default::default() },
            )
            .unwrap();
            file.encoding.values(&picture.pixels, picture.channels, &mut values).unwrap();
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        };
        check(&said, None, [0.0, 0.2, 0.4, 1.0]);
        check(&said, Some(ValueRange::SIGNED), [-1.0, -0.6, -0.2, 1.0]);
        said.metadata.range = Some(ValueRange::SIGNED);
        check(&said, None, [-1.0, -0.6, -0.2, 1.0]);
        let [mean, std] = Normalization::KEYS;
        said.metadata.other = vec![(mean.into(), "0.2".into()), (std.into(), " 0.4".into())];
        check(&said, Some(ValueRange::UNIT), [-0.5, 0.0, 0.5, 2.0]);
        check(&said, None, [-3.0, -2.0, -1.0, 2.0]);
    }

    #[test]
    fn half_a_normalization_is_refused() {
        let [mean, std] = Normalization::KEYS;
        for (entries, expected) in [
            (&[(mean, "0.5")][..], "no latent.normalize.std"),
            (&[(mean, "0.5,0.5"), (std, "1")], "latent.normalize.mean is `0.5,0.5`"),
        ] {
            let mut said = description(&[1, 4, 4], &[2]);
            said.metadata.other = entries.iter().map(|&(key, text)| (key.into(), text.into())).collect();
            let error = EncoderFile::new(Path::new("e.onnx"), 1, vec![], said, &ModelOptions::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains("e.onnx") && error.contains(expected), "{error}");
        }
    }
}
