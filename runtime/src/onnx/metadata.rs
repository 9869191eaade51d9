//! What our exporter writes into a model's `metadata_props`.

use std::fmt;
use std::str::FromStr;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::proto::{ModelProto, StringStringEntryProto};
use crate::format;
use crate::image_encoding::{Facts, ImageEncoding, NormalizationError};
use crate::latent::Distribution;
use crate::pixels::ValueRange;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Latent vectors in, images out.
    Generator,
    /// Images in, one raw realness score each out.
    Discriminator,
    /// Images in, features out.
    Encoder,
}

impl ModelKind {
    /// The name in the metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
            Self::Encoder => "encoder",
        }
    }
}

impl From<ModelKind> for format::ModelKind {
    fn from(kind: ModelKind) -> Self {
        match kind {
            ModelKind::Generator => Self::Generator,
            ModelKind::Discriminator => Self::Discriminator,
            ModelKind::Encoder => Self::Encoder,
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ModelKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Generator, Self::Discriminator, Self::Encoder]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or(())
    }
}

/// The shape of one image.
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

/// What our exporter says about a model in its `metadata_props`, under keys that begin with `latent.`.
///
/// Everything is optional: a model from elsewhere has none of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelMetadata {
    /// `latent.format`: the version of these keys; 1 at present.
    pub format: Option<u32>,
    /// `latent.kind`: what the model is for.
    pub kind: Option<ModelKind>,
    /// `latent.architecture`: `vanilla` or `dcgan`.
    pub architecture: Option<String>,
    /// `latent.weights`: `raw`, or `ema` for the moving average of the weights.
    pub weights: Option<String>,
    /// `latent.latent_size`: the values of one latent vector.
    pub latent_size: Option<usize>,
    /// `latent.distribution` with `.a` and `.b`: what latent values are drawn from.
    pub distribution: Option<Distribution>,
    /// `latent.range.low`, `latent.range.high`: the values of black and white on the model's image side.
    pub range: Option<ValueRange>,
    /// `latent.image`: the shape of one image.
    pub image: Option<ImageShape>,
    /// `latent.dataset`: the name of the data set it was trained on.
    pub dataset: Option<String>,
    /// `latent.label`: the name of the input that takes a class, of a model that has one.
    pub label: Option<String>,
    /// `latent.classes`: how many classes there are.
    pub classes: Option<usize>,
    /// `latent.training`: figures of the training, a JSON object, as it stands in the file.
    pub training: Option<String>,
    /// Every other entry, in the file's order: unknown keys, and values that could not be understood.
    pub other: Vec<(String, String)>,
}

impl ModelMetadata {
    /// Reads the metadata of a model. Never fails: what is missing or not understood is `None`.
    pub fn from_model(model: &ModelProto) -> Self {
        Self::from_entries(
            model.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())),
        )
    }

    /// Reads the metadata of a packed model. What its header says counts more than its entries.
    pub fn from_packed(model: &format::Model<'_>) -> Self {
        let said = Self::from_entries(model.metadata());
        let kind = match model.kind() {
            format::ModelKind::Generator => Some(ModelKind::Generator),
            format::ModelKind::Discriminator => Some(ModelKind::Discriminator),
            format::ModelKind::Encoder => Some(ModelKind::Encoder),
            format::ModelKind::Other => said.kind,
        };
        Self {
            kind,
            latent_size: Some(model.latent_size()).filter(|&size| size > 0),
            distribution: model.distribution(),
            range: model.range(),
            ..said
        }
    }

    /// Reads the metadata from key and value pairs. Of a repeated key the last counts.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut metadata = Self::default();
        let mut distribution: [Option<&str>; 3] = [None; 3];
        let mut range: [Option<&str>; 2] = [None; 2];
        for (key, value) in entries {
            let understood = match key {
                "latent.format" => set(&mut metadata.format, value),
                "latent.kind" => set(&mut metadata.kind, value),
                "latent.architecture" => set(&mut metadata.architecture, value),
                "latent.weights" => set(&mut metadata.weights, value),
                "latent.latent_size" => set(&mut metadata.latent_size, value),
                "latent.image" => set(&mut metadata.image, value),
                "latent.dataset" => set(&mut metadata.dataset, value),
                "latent.label" => set(&mut metadata.label, value),
                "latent.classes" => set(&mut metadata.classes, value),
                "latent.training" => set(&mut metadata.training, value),
                "latent.distribution" => remember(&mut distribution[0], value),
                "latent.distribution.a" => remember(&mut distribution[1], value),
                "latent.distribution.b" => remember(&mut distribution[2], value),
                "latent.range.low" => remember(&mut range[0], value),
                "latent.range.high" => remember(&mut range[1], value),
                _ => false,
            };
            if !understood {
                metadata.other.push((key.into(), value.into()));
            }
        }
        let number =
            |text: Option<&str>| text.and_then(|text| text.parse::<f32>().ok()).filter(|x| x.is_finite());
        metadata.distribution = match (distribution[0], number(distribution[1]), number(distribution[2])) {
            (Some(name), Some(a), Some(b)) => Distribution::from_parts(name, a, b),
            _ => None,
        };
        if metadata.distribution.is_none() {
            let keys = ["latent.distribution", "latent.distribution.a", "latent.distribution.b"];
            metadata.keep_other(&keys, &distribution);
        }
        metadata.range = match (number(range[0]), number(range[1])) {
            (Some(low), Some(high)) => ValueRange::new(low, high),
            _ => None,
        };
        if metadata.range.is_none() {
            metadata.keep_other(&["latent.range.low", "latent.range.high"], &range);
        }
        metadata
    }

    /// What the file tells that bears on its images; shapes are those of input and output, without the batch axis.
    pub fn facts<'a>(&self, input: &'a [usize], output: &'a [usize]) -> Facts<'a> {
        let kind = self.kind.map_or(format::ModelKind::Other, format::ModelKind::from);
        Facts { kind, input, output, range: self.range }
    }

    /// How the model's images are values, with the range that a user gave, if one did: see [`ImageEncoding::decide`].
    ///
    /// # Errors
    /// If the metadata has a normalization of the input's images that cannot be read.
    pub fn image_encoding(
        &self,
        input: &[usize],
        output: &[usize],
        given: Option<ValueRange>,
    ) -> Result<ImageEncoding, NormalizationError> {
        let entries = self.other.iter().map(|(key, text)| (key.as_str(), text.as_str()));
        ImageEncoding::decide(&self.facts(input, output), entries, given)
    }

    fn keep_other(&mut self, keys: &[&str], values: &[Option<&str>]) {
        for (key, value) in keys.iter().zip(values) {
            if let Some(value) = value {
                self.other.push(((*key).into(), (*value).into()));
            }
        }
    }

    /// The entries that [`ModelMetadata::from_model`] reads back, in a fixed order; for a writer of ONNX files.
    pub fn to_entries(&self) -> Vec<StringStringEntryProto> {
        let mut entries = vec![];
        let mut push = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                entries.push(StringStringEntryProto { key: key.into(), value });
            }
        };
        push("latent.format", self.format.map(|x| x.to_string()));
        push("latent.kind", self.kind.map(|x| x.to_string()));
        push("latent.architecture", self.architecture.clone());
        push("latent.weights", self.weights.clone());
        push("latent.latent_size", self.latent_size.map(|x| x.to_string()));
        let distribution = self.distribution.map(|distribution| distribution.parts());
        push("latent.distribution", distribution.map(|(name, ..)| name.into()));
        push("latent.distribution.a", distribution.map(|(_, a, _)| a.to_string()));
        push("latent.distribution.b", distribution.map(|(.., b)| b.to_string()));
        push("latent.range.low", self.range.map(|x| x.low().to_string()));
        push("latent.range.high", self.range.map(|x| x.high().to_string()));
        push("latent.image", self.image.map(|x| x.to_string()));
        push("latent.dataset", self.dataset.clone());
        push("latent.label", self.label.clone());
        push("latent.classes", self.classes.map(|x| x.to_string()));
        push("latent.training", self.training.clone());
        for (key, value) in &self.other {
            push(key, Some(value.clone()));
        }
        entries
    }
}

/// Keeps one of several values that are read together.
fn remember<'a>(part: &mut Option<&'a str>, value: &'a str) -> bool {
    *part = Some(value);
    true
}

/// Sets `field` if `value` can be read as its type.
fn set<T: FromStr>(field: &mut Option<T>, value: &str) -> bool {
    match value.parse() {
        Ok(parsed) => {
            *field = Some(parsed);
            true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> ModelMetadata {
        ModelMetadata {
            format: Some(1),
            kind: Some(ModelKind::Generator),
            architecture: Some("dcgan".into()),
            weights: Some("ema".into()),
            latent_size: Some(96),
            distribution: Some(Distribution::Normal { mean: 0.1, std: 1.0 }),
            range: Some(ValueRange::SIGNED),
            image: Some(ImageShape { channels: 1, height: 28, width: 28 }),
            dataset: Some("mnist".into()),
            label: Some("label".into()),
            classes: Some(10),
            training: Some("{\"iteration\":1950}".into()),
            other: vec![("author".into(), "somebody".into())],
        }
    }

    #[test]
    fn metadata_survives_the_round_trip() {
        for metadata in [full(), ModelMetadata::default()] {
            let model = ModelProto { metadata_props: metadata.to_entries(), ..Default::default() };
            assert_eq!(ModelMetadata::from_model(&model), metadata);
        }
        let entry = |key: &str| full().to_entries().into_iter().find(|e| e.key == key).map(|e| e.value);
        assert_eq!(entry("latent.range.low").as_deref(), Some("-1"));
        assert_eq!(entry("latent.distribution.a").as_deref(), Some("0.1"));
        assert_eq!(entry("latent.image").as_deref(), Some("1x28x28"));
    }

    #[test]
    fn what_cannot_be_understood_is_kept_apart() {
        let cases: [&[(&str, &str)]; 9] = [
            &[("latent.kind", "painter")],
            &[("latent.latent_size", "-3")],
            &[("latent.image", "1x28")],
            &[("latent.image", "1x28x0")],
            &[("latent.distribution", "uniform"), ("latent.distribution.a", "-1")],
            &[
                ("latent.distribution", "cauchy"),
                ("latent.distribution.a", "0"),
                ("latent.distribution.b", "1"),
            ],
            &[("latent.range.low", "1"), ("latent.range.high", "-1")],
            &[("latent.range.low", "nan"), ("latent.range.high", "1")],
            &[("unheard.of", "")],
        ];
        for entries in cases {
            let other = entries.iter().map(|&(key, value)| (key.to_string(), value.to_string())).collect();
            let expected = ModelMetadata { other, ..Default::default() };
            assert_eq!(ModelMetadata::from_entries(entries.iter().copied()), expected);
        }
    }
}
