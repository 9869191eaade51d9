//! How a model's images are numbers: what its file states of that, what a user says instead, and what is assumed where
//! nobody says it. This is the one place that decides.
//!
//! **The rule for a file that states no range.** Images that a generator makes, and those that a discriminator scores, are
//! taken to be in [-1, 1], as a generator's tanh gives them. Images that an encoder takes are taken to be in [0, 1], as
//! torchvision's `ToTensor` gives them. Of a model that does not say what it is, the shapes tell: one that takes images
//! (1 or 3 channels, more than one row and column) and gives more than one value for each is taken as an encoder, every
//! other as the others. Who applies the rule says so: [`ImageEncoding::note`].

use core::fmt;
use core::str::FromStr;

use crate::format::{Model, ModelKind, Name};
use crate::pixels::{PixelError, ValueRange, chw_to_hwc, hwc_to_chw};

/// The most channels whose normalization is read.
pub const MAX_CHANNELS: usize = 4;

/// The metadata's mean of each channel, numbers with commas between them; and as it was spelled once.
const MEAN_KEYS: [&str; 2] = ["latent.normalize.mean", "latent.normalise.mean"];
/// The metadata's standard deviation of each channel, the same way.
const STD_KEYS: [&str; 2] = ["latent.normalize.std", "latent.normalise.std"];

/// The size of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl fmt::Display for ImageShape {
    /// `CxHxW`, e.g. `1x28x28`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl FromStr for ImageShape {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut sizes = text.split('x').map(|part| part.parse().ok().filter(|&size: &usize| size > 0));
        match (sizes.next(), sizes.next(), sizes.next(), sizes.next()) {
            (Some(Some(channels)), Some(Some(height)), Some(Some(width)), None) => {
                Ok(Self { channels, height, width })
            }
            _ => Err(()),
        }
    }
}

impl ImageShape {
    /// The image that the values of a shape (without the batch axis) are, and whether the channels of each of its pixels lie
    /// side by side, (H, W, C), as TensorFlow has it, rather than in planes, (C, H, W). What a file states counts; else the
    /// channels are the axis of 1 or 3, the first where both are. `None` for what has not three axes.
    pub fn of(shape: &[usize], stated: Option<Self>) -> Option<(Self, bool)> {
        let &[a, b, c] = shape else { return None };
        let planes = Self { channels: a, height: b, width: c };
        let last = Self { channels: c, height: a, width: b };
        let is_last = match stated {
            Some(stated) if stated == planes => false,
            Some(stated) if stated == last => true,
            _ => !matches!(a, 1 | 3) && matches!(c, 1 | 3),
        };
        Some((if is_last { last } else { planes }, is_last))
    }
}

/// How the pixels of a model's images are values: a pixel p of 0 to 255 is `low + (high - low) * p / 255` and, where the
/// model leaves the normalization to its caller, of that `(value - mean) / std` of its channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageEncoding {
    /// The values of black and white, before the normalization.
    pub range: ValueRange,
    /// Where the range comes from.
    pub source: RangeSource,
    /// What the caller normalizes images with, of a model that takes them and wants it.
    pub normalization: Option<Normalization>,
    /// Whether the channels of a pixel lie side by side, (H, W, C), rather than in planes, (C, H, W).
    pub channels_last: bool,
}

/// Where a value range comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeSource {
    /// The model's file states it.
    Stated,
    /// The user gave it.
    Given {
        /// The other range that the file states.
        instead_of: Option<ValueRange>,
    },
    /// Nothing states it: by the module's rule.
    Assumed,
}

impl RangeSource {
    /// The name in reports: `stated`, `given` or `assumed`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Given { .. } => "given",
            Self::Assumed => "assumed",
        }
    }
}

/// What a file tells that bears on its images. Shapes are without the batch axis.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the model is; [`ModelKind::Other`] where the file does not say it.
    pub kind: ModelKind,
    /// The shape of its input.
    pub input: &'a [usize],
    /// The shape of its output.
    pub output: &'a [usize],
    /// The range that it states.
    pub range: Option<ValueRange>,
    /// The size of its images that it states.
    pub image: Option<ImageShape>,
}

impl<'a> Facts<'a> {
    /// What a packed model tells.
    pub fn of<'m: 'a>(model: &'a Model<'m>) -> Self {
        let size = model.metadata_text("latent.image");
        Self {
            kind: model.kind(),
            input: model.input_shape().as_slice(),
            output: model.output_shape().as_slice(),
            range: model.range(),
            image: size.and_then(|size| size.parse().ok()),
        }
    }
}

impl Facts<'_> {
    /// Whether images go into the model.
    pub fn takes_images(&self) -> bool {
        match self.kind {
            ModelKind::Generator => false,
            ModelKind::Discriminator | ModelKind::Encoder => self.input.len() == 3,
            ModelKind::Other => self.is_image(self.input),
        }
    }

    /// Whether images come out of the model.
    pub fn gives_images(&self) -> bool {
        match self.kind {
            ModelKind::Generator => true,
            ModelKind::Discriminator | ModelKind::Encoder => false,
            ModelKind::Other => self.is_image(self.output),
        }
    }

    /// The range to take where nothing states it: the module's rule.
    pub fn usual_range(&self) -> ValueRange {
        let gives_features = match self.kind {
            ModelKind::Generator | ModelKind::Discriminator => false,
            ModelKind::Encoder => true,
            ModelKind::Other => self.takes_images() && self.output.iter().any(|&size| size != 1),
        };
        if gives_features { ValueRange::UNIT } else { ValueRange::SIGNED }
    }

    /// Whether a shape is that of a picture rather than of a vector: 1 or 3 channels, rows and columns.
    fn is_image(&self, shape: &[usize]) -> bool {
        ImageShape::of(shape, self.image)
            .is_some_and(|(image, _)| matches!(image.channels, 1 | 3) && image.height > 1 && image.width > 1)
    }
}

impl ImageEncoding {
    /// Planes of values in a range, as a file states it.
    pub const fn stated(range: ValueRange) -> Self {
        Self { range, source: RangeSource::Stated, normalization: None, channels_last: false }
    }

    /// Decides: `given`, what the user says, counts more than what the file states, and that more than the module's rule.
    /// `metadata` are the file's entries, of which the normalization is read if the model takes images.
    ///
    /// # Errors
    /// If the metadata has half a normalization, or one that does not fit the input's channels.
    pub fn decide<'a>(
        facts: &Facts<'_>,
        metadata: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        given: Option<ValueRange>,
    ) -> Result<Self, NormalizationError> {
        let (range, source) = match (given, facts.range) {
            (None, None) => (facts.usual_range(), RangeSource::Assumed),
            (None, Some(stated)) => (stated, RangeSource::Stated),
            (Some(given), stated) if stated == Some(given) => (given, RangeSource::Stated),
            (Some(given), instead_of) => (given, RangeSource::Given { instead_of }),
        };
        let taken = ImageShape::of(facts.input, facts.image).filter(|_| facts.takes_images());
        let normalization = match taken {
            Some((image, _)) => Normalization::from_metadata(metadata, image.channels)?,
            None => None,
        };
        let image = taken.or_else(|| ImageShape::of(facts.output, facts.image));
        let channels_last = image.is_some_and(|(_, last)| last);
        Ok(Self { range, source, normalization, channels_last })
    }

    /// What a packed model's images are; see [`ImageEncoding::decide`].
    ///
    /// # Errors
    /// As [`ImageEncoding::decide`].
    pub fn of(model: &Model<'_>, given: Option<ValueRange>) -> Result<Self, NormalizationError> {
        Self::decide(&Facts::of(model), model.metadata(), given)
    }

    /// The values of interleaved pixels (H, W, C) as the model takes them.
    ///
    /// # Errors
    /// If `pixels` cannot be divided into `channels`, or `values` has another length.
    pub fn values(&self, pixels: &[u8], channels: usize, values: &mut [f32]) -> Result<(), PixelError> {
        match self.channels_last {
            // As one channel nothing changes its place.
            true => hwc_to_chw(pixels, 1, self.range, values)?,
            false => hwc_to_chw(pixels, channels, self.range, values)?,
        }
        self.normalize(values);
        Ok(())
    }

    /// The interleaved pixels (H, W, C) of values as the model gives them.
    ///
    /// # Errors
    /// If `values` cannot be divided into `channels`, or `pixels` has another length.
    pub fn pixels(&self, values: &[f32], channels: usize, pixels: &mut [u8]) -> Result<(), PixelError> {
        let channels = if self.channels_last { 1 } else { channels };
        chw_to_hwc(values, channels, self.range, pixels)
    }

    /// Normalizes one image of values in the range, in the model's order. Without a normalization it stays as it is.
    pub fn normalize(&self, values: &mut [f32]) {
        let Some(normalization) = self.normalization else { return };
        let channels = normalization.mean().len().max(1);
        let area = if self.channels_last { 1 } else { values.len().div_ceil(channels).max(1) };
        let each = normalization.mean().iter().zip(normalization.std()).cycle();
        for (plane, (mean, std)) in values.chunks_mut(area).zip(each) {
            plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
        }
    }

    /// What the user has to know of how the range was chosen, as a sentence without a full stop; `None` if the file states it
    /// and nobody says another, or the user gave it and the file states none.
    pub fn note(&self) -> Option<RangeNote> {
        match self.source {
            RangeSource::Stated | RangeSource::Given { instead_of: None } => None,
            RangeSource::Given { instead_of } => Some(RangeNote { taken: self.range, instead_of }),
            RangeSource::Assumed => Some(RangeNote { taken: self.range, instead_of: None }),
        }
    }
}

/// See [`ImageEncoding::note`]. The option that it names is that of all of this project's programs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeNote {
    taken: ValueRange,
    instead_of: Option<ValueRange>,
}

impl fmt::Display for RangeNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.taken.low(), self.taken.high());
        match self.instead_of {
            None => write!(
                f,
                "the model does not say which values are black and white; taking {low} and {high} (--range LOW,HIGH gives \
                 others)"
            ),
            Some(stated) => write!(
                f,
                "--range takes {low} and {high} for black and white, where the model says {} and {}",
                stated.low(),
                stated.high()
            ),
        }
    }
}

/// Mean and standard deviation of each channel, of values in the range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    channels: usize,
    mean: [f32; MAX_CHANNELS],
    std: [f32; MAX_CHANNELS],
}

impl Normalization {
    /// The keys of mean and standard deviation in a file's metadata, as they are written.
    pub const KEYS: [&str; 2] = [MEAN_KEYS[0], STD_KEYS[0]];

    /// The mean of each channel.
    pub fn mean(&self) -> &[f32] {
        self.mean.get(..self.channels).unwrap_or(&[])
    }

    /// The standard deviation of each channel, positive.
    pub fn std(&self) -> &[f32] {
        self.std.get(..self.channels).unwrap_or(&[])
    }

    /// Whether a packed model leaves a normalization to its caller.
    pub(crate) fn is_stated(model: &Model<'_>) -> bool {
        model.metadata().any(|(key, _)| MEAN_KEYS.contains(&key) || STD_KEYS.contains(&key))
    }

    /// Reads what the entries of a file's metadata say of images of so many channels; `None` if they say nothing.
    ///
    /// # Errors
    /// If there is the one without the other, or they are not as many finite numbers, the deviations positive.
    fn from_metadata<'a>(
        entries: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        channels: usize,
    ) -> Result<Option<Self>, NormalizationError> {
        let find = |keys: [&'static str; 2]| {
            keys.into_iter().find_map(|key| Some((key, entries.clone().find(|(found, _)| *found == key)?.1)))
        };
        let (mean, std) = match (find(MEAN_KEYS), find(STD_KEYS)) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(NormalizationError::Missing { key: STD_KEYS[0] }),
            (None, Some(_)) => return Err(NormalizationError::Missing { key: MEAN_KEYS[0] }),
            (Some(mean), Some(std)) => (mean, std),
        };
        let numbers = |(key, text): (&'static str, &str), fits: fn(f32) -> bool| {
            let mut numbers = [0.0; MAX_CHANNELS];
            let mut found = text.split(',').map(|number| number.trim().parse().ok().filter(|&x| fits(x)));
            let all = numbers.get_mut(..channels).is_some_and(|numbers| {
                numbers.iter_mut().all(|number| found.next().flatten().map(|x| *number = x).is_some())
            });
            match all && found.next().is_none() {
                true => Ok(numbers),
                false => Err(NormalizationError::Numbers { key, found: Name::new(text), channels }),
            }
        };
        let mean = numbers(mean, |x: f32| x.is_finite())?;
        let std = numbers(std, |x: f32| x.is_finite() && x > 0.0)?;
        Ok(Some(Self { channels, mean, std }))
    }
}

/// Why a model's normalization cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalizationError {
    /// There is only one of the two entries.
    Missing {
        /// The other's key.
        key: &'static str,
    },
    /// An entry is no list of numbers that fits.
    Numbers {
        /// Its key.
        key: &'static str,
        /// What it says, cut at 40 bytes.
        found: Name,
        /// The channels of the model's images.
        channels: usize,
    },
}

impl fmt::Display for NormalizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key } => {
                let [mean, std] = Normalization::KEYS;
                write!(f, "the metadata has no {key}, expected both {mean} and {std}, or neither")
            }
            Self::Numbers { key, found, channels } => {
                let positive = if STD_KEYS.contains(key) { "positive" } else { "finite" };
                write!(
                    f,
                    "the metadata's {key} is {found}, expected a {positive} number for each of {channels} channels (at most \
                     {MAX_CHANNELS}), with commas between them"
                )
            }
        }
    }
}

impl core::error::Error for NormalizationError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const SIGNED: ValueRange = ValueRange::SIGNED;
    const UNIT: ValueRange = ValueRange::UNIT;

    fn decide(
        facts: &Facts<'_>,
        entries: &[(&str, &str)],
        given: Option<ValueRange>,
    ) -> Result<ImageEncoding, NormalizationError> {
        ImageEncoding::decide(facts, entries.iter().copied(), given)
    }

    #[test]
    fn what_nothing_states_is_assumed_by_the_kind_or_the_shapes() {
        use ModelKind::{Discriminator, Encoder, Generator, Other};
        for (kind, input, output, expected, [takes, gives]) in [
            (Generator, &[96][..], &[1, 28, 28][..], SIGNED, [false, true]),
            (Discriminator, &[1, 28, 28], &[1], SIGNED, [true, false]),
            (Encoder, &[3, 32, 32], &[128], UNIT, [true, false]),
            (Encoder, &[1, 1, 4], &[2], UNIT, [true, false]),
            (Encoder, &[3, 32, 32], &[1], UNIT, [true, false]),
            (Other, &[96], &[1, 28, 28], SIGNED, [false, true]),
            (Other, &[96, 1, 1], &[3, 64, 64], SIGNED, [false, true]),
            (Other, &[1, 1, 96], &[3, 64, 64], SIGNED, [false, true]),
            (Other, &[1, 28, 28], &[1], SIGNED, [true, false]),
            (Other, &[1, 28, 28], &[1, 1, 1], SIGNED, [true, false]),
            (Other, &[3, 32, 32], &[128, 1, 1], UNIT, [true, false]),
            (Other, &[3, 16, 16], &[3, 32, 32], UNIT, [true, true]),
            (Other, &[8], &[2], SIGNED, [false, false]),
            (Other, &[96], &[28, 28, 1], SIGNED, [false, true]),
            (Other, &[32, 32, 3], &[128], UNIT, [true, false]),
        ] {
            let facts = Facts { kind, input, output, range: None, image: None };
            let found = decide(&facts, &[], None).unwrap();
            let what = std::format!("{kind:?} {input:?} {output:?}");
            assert_eq!((found.range, found.source), (expected, RangeSource::Assumed), "{what}");
            assert_eq!([facts.takes_images(), facts.gives_images()], [takes, gives], "{what}");
        }
    }

    #[test]
    fn the_channels_are_where_the_file_says_or_the_axis_of_1_or_3() {
        let stated = |channels, height, width| Some(ImageShape { channels, height, width });
        for (shape, said, expected) in [
            (&[1, 28, 28][..], None, Some(("1x28x28", false))),
            (&[28, 28, 1], None, Some(("1x28x28", true))),
            (&[16, 24, 3], None, Some(("3x16x24", true))),
            (&[3, 16, 3], None, Some(("3x16x3", false))),
            (&[3, 16, 3], stated(3, 3, 16), Some(("3x3x16", true))),
            (&[3, 16, 24], stated(1, 28, 28), Some(("3x16x24", false))),
            (&[4, 8, 8], None, Some(("4x8x8", false))),
            (&[8, 8, 2], stated(2, 8, 8), Some(("2x8x8", true))),
            (&[784], None, None),
        ] {
            let found = ImageShape::of(shape, said).map(|(image, last)| (image.to_string(), last));
            assert_eq!(found, expected.map(|(image, last)| (image.to_string(), last)), "{shape:?}");
        }
    }

    #[test]
    fn the_user_counts_more_than_the_file_and_the_file_more_than_the_rule() {
        let other = ValueRange::new(0.0, 255.0);
        let given = |instead_of| RangeSource::Given { instead_of };
        for (stated, option, range, source, note) in [
            (
                None,
                None,
                UNIT,
                RangeSource::Assumed,
                "the model does not say which values are black and white; taking 0 and 1 (--range LOW,HIGH gives others)",
            ),
            (Some(SIGNED), None, SIGNED, RangeSource::Stated, ""),
            (None, Some(SIGNED), SIGNED, given(None), ""),
            (Some(SIGNED), Some(SIGNED), SIGNED, RangeSource::Stated, ""),
            (
                Some(SIGNED),
                other,
                other.unwrap(),
                given(Some(SIGNED)),
                "--range takes 0 and 255 for black and white, where the model says -1 and 1",
            ),
        ] {
            let facts = Facts {
                kind: ModelKind::Encoder,
                input: &[3, 8, 8],
                output: &[4],
                range: stated,
                image: None,
            };
            let found = decide(&facts, &[], option).unwrap();
            assert_eq!((found.range, found.source), (range, source));
            assert_eq!(found.note().map(|note| note.to_string()).unwrap_or_default(), note);
        }
    }

    #[test]
    fn a_normalization_is_whole_or_refused() {
        let [mean, std] = Normalization::KEYS;
        let facts =
            Facts { kind: ModelKind::Encoder, input: &[2, 4, 4], output: &[4], range: None, image: None };
        let lists = |entries: &[(&str, &str)]| -> Option<[Vec<f32>; 2]> {
            let found = decide(&facts, entries, None).unwrap().normalization?;
            Some([found.mean().to_vec(), found.std().to_vec()])
        };
        assert_eq!(lists(&[("latent.output", "features")]), None);
        let expected = Some([[0.5, 0.0].to_vec(), [2.0, 1.0].to_vec()]);
        assert_eq!(lists(&[(std, "2,1"), (mean, "0.5, 0")]), expected);
        let [older_mean, older_std] = ["latent.normalise.mean", "latent.normalise.std"];
        assert_eq!(lists(&[(older_mean, "0.5,0"), (older_std, "2,1")]), expected);
        assert_eq!(lists(&[(older_mean, "9,9"), (mean, "0.5,0"), (older_std, "2,1")]), expected);
        for (entries, problem) in [
            (&[(mean, "0.5,0.5")][..], "no latent.normalize.std"),
            (&[(older_std, "1,1")], "no latent.normalize.mean"),
            (
                &[(mean, "0.5"), (std, "1,1")],
                "latent.normalize.mean is `0.5`, expected a finite number for each of 2",
            ),
            (&[(mean, "0,0,0"), (std, "1,1")], "latent.normalize.mean is `0,0,0`"),
            (&[(mean, "a,b"), (std, "1,1")], "latent.normalize.mean is `a,b`"),
            (&[(mean, "0,0"), (std, "1,0")], "latent.normalize.std is `1,0`, expected a positive number"),
            (&[(mean, "0,0"), (older_std, "1,inf")], "latent.normalise.std is `1,inf`, expected a positive"),
        ] {
            let error = decide(&facts, entries, None).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        // More channels than are read are refused, not cut off.
        let wide = Facts { input: &[5, 4, 4], ..facts };
        assert!(decide(&wide, &[(mean, "0,0,0,0,0"), (std, "1,1,1,1,1")], None).is_err());
        // A generator is given no images.
        let generator =
            Facts { kind: ModelKind::Generator, input: &[2], output: &[2, 4, 4], range: None, image: None };
        assert_eq!(decide(&generator, &[(mean, "0")], None).unwrap().normalization, None);
    }

    #[test]
    fn pixels_are_scaled_and_then_normalized() {
        let [mean, std] = Normalization::KEYS;
        let facts = Facts {
            kind: ModelKind::Encoder,
            input: &[2, 1, 2],
            output: &[4],
            range: Some(SIGNED),
            image: None,
        };
        let found = decide(&facts, &[(mean, "0.2,-1"), (std, "0.4,2")], None).unwrap();
        let mut values = [0.0; 4];
        found.values(&[0, 255, 255, 0], 2, &mut values).unwrap();
        let expected = [(-1.0 - 0.2) / 0.4, (1.0 - 0.2) / 0.4, 1.0, 0.0];
        assert!(values.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{values:?}");
        assert!(found.values(&[0; 3], 2, &mut values).is_err());
        let plain = decide(&facts, &[], Some(UNIT)).unwrap();
        plain.values(&[0, 255, 51, 0], 2, &mut values).unwrap();
        assert_eq!(values, [0.0, 0.2, 1.0, 0.0]);
        let mut pixels = [9; 4];
        plain.pixels(&values, 2, &mut pixels).unwrap();
        assert_eq!(pixels, [0, 255, 51, 0]);
        // Channels last: values lie as pixels do.
        let facts = Facts {
            input: &[1, 2, 2],
            image: Some(ImageShape { channels: 2, height: 1, width: 2 }),
            ..facts
        };
        let last = decide(&facts, &[(mean, "0,0.5"), (std, "1,0.5")], Some(UNIT)).unwrap();
        last.values(&[0, 255, 51, 0], 2, &mut values).unwrap();
        assert_eq!(values, [0.0, 1.0, 0.2, -1.0]);
        last.pixels(&[0.0, 1.0, 0.2, 0.0], 2, &mut pixels).unwrap();
        assert_eq!(pixels, [0, 255, 51, 0]);
    }
}
