//! What is compared of images.

use std::fmt;

use latent_runtime::backend::Backend;
use latent_runtime::image_encoding::{ImageEncoding, RangeSource};
use latent_runtime::native::NativeBackend;
use latent_runtime::pixels::ValueRange;

use super::TaskError;
use super::runner::options;
use crate::graph::{Dim, shape_text};

/// The most means along rows or columns.
const CELLS: usize = 8;

/// The most features of an encoder.
const MAX_FEATURES: usize = 1024;

/// Turns images into numbers.
#[derive(Debug)]
pub struct Features {
    /// Channels, rows, columns.
    shape: [usize; 3],
    /// What the images' black and white are.
    range: ValueRange,
    source: FeatureSource,
}

#[derive(Debug)]
enum FeatureSource {
    /// Means of this many rows and columns.
    Means([usize; 2]),
    Encoder {
        backend: Box<NativeBackend>,
        encoding: ImageEncoding,
        name: String,
    },
}

impl Features {
    /// Means over cells of an image, black being 0 and white 1: each channel is divided into the smallest cells of which there
    /// are at most 8 along rows and columns, the last ones being smaller where it does not come out even. An image of 28x28
    /// has 7x7 of 4x4 pixels. They need no other network and are the same everywhere; they see brightness, shapes and
    /// their variety, but no fine texture.
    ///
    /// `shape` is that of images: batch, channels, rows, columns.
    pub fn means(shape: &[Dim], range: ValueRange) -> Features {
        let shape = sizes(shape);
        let cell = |length: usize| length.div_ceil(CELLS).max(1);
        Features { shape, range, source: FeatureSource::Means([cell(shape[1]), cell(shape[2])]) }
    }

    /// What a packed encoder, which is called `name` in reports, gives for an image. Values are given to it as
    /// its file says that it takes them, or as [`ImageEncoding`] assumes: see [`Features::assumed_range`].
    ///
    /// # Errors
    /// When the bytes are no packed model, its normalization cannot be read, it takes other images, or it gives too many features.
    pub fn encoder(
        shape: &[Dim],
        range: ValueRange,
        packed: &[u8],
        name: String,
    ) -> Result<Features, TaskError> {
        let backend = NativeBackend::from_bytes(packed, &options())?;
        let found = backend.output().values();
        if found > MAX_FEATURES {
            return Err(TaskError::TooManyFeatures { found, limit: MAX_FEATURES });
        }
        let wanted = sizes(shape);
        if backend.input().shape != wanted {
            let what = format!("takes inputs of shape {:?}", backend.input().shape);
            return Err(TaskError::Encoder { what, images: shape_text(shape) });
        }
        let encoding = ImageEncoding::of(&backend.model(), None)
            .map_err(|error| TaskError::Normalization { encoder: name.clone(), problem: error })?;
        Ok(Features {
            shape: wanted,
            range,
            source: FeatureSource::Encoder { backend: Box::new(backend), encoding, name },
        })
    }

    /// The range that an encoder is given images in for want of a better one: its file does not state it.
    pub fn assumed_range(&self) -> Option<ValueRange> {
        match &self.source {
            FeatureSource::Encoder { encoding, .. } if encoding.source == RangeSource::Assumed => {
                Some(encoding.range)
            }
            _ => None,
        }
    }

    /// How many there are for an image.
    pub fn dimension(&self) -> usize {
        let [channels, rows, columns] = self.shape;
        match &self.source {
            FeatureSource::Means([tall, wide]) => channels * rows.div_ceil(*tall) * columns.div_ceil(*wide),
            FeatureSource::Encoder { backend, .. } => backend.output().values(),
        }
    }

    /// Those of images that lie one after the other.
    pub(super) fn of(&mut self, images: &[f32]) -> Result<Vec<f64>, TaskError> {
        let unit = |value: f32| (value - self.range.low()) / (self.range.high() - self.range.low());
        let [channels, rows, columns] = self.shape;
        match &mut self.source {
            FeatureSource::Means(cell) => {
                let planes = images.chunks_exact((rows * columns).max(1));
                Ok(planes.flat_map(|plane| means(plane, columns, *cell, unit)).collect())
            }
            FeatureSource::Encoder { backend, encoding, .. } => {
                let to = encoding.range;
                let mut images: Vec<f32> =
                    images.iter().map(|&value| to.low() + unit(value) * (to.high() - to.low())).collect();
                let values = (channels * rows * columns).max(1);
                images.chunks_exact_mut(values).for_each(|image| encoding.normalize(image));
                let count = images.len() / values;
                let mut features = vec![0.0; count * backend.output().values()];
                if count > 0 {
                    backend.run(count, &images, &mut features)?;
                }
                Ok(features.into_iter().map(f64::from).collect())
            }
        }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, rows, columns] = self.shape;
        match &self.source {
            FeatureSource::Means([tall, wide]) => write!(
                f,
                "means of {tall}x{wide} pixels, {channels}x{}x{} of an image",
                rows.div_ceil(*tall),
                columns.div_ceil(*wide)
            ),
            FeatureSource::Encoder { name, .. } => write!(f, "features of {name}"),
        }
    }
}

/// Channels, rows and columns of images.
fn sizes(shape: &[Dim]) -> [usize; 3] {
    let size = |axis: usize| match shape.get(axis) {
        Some(Dim::Size(length)) => *length,
        _ => 1,
    };
    [size(1), size(2), size(3)]
}

fn means(plane: &[f32], columns: usize, [tall, wide]: [usize; 2], unit: impl Fn(f32) -> f32) -> Vec<f64> {
    let mut all = Vec::new();
    for band in plane.chunks(tall * columns) {
        for from in (0..columns).step_by(wide) {
            let cell = band.chunks(columns).flat_map(|row| &row[from..columns.min(from + wide)]);
            let (sum, count) =
                cell.fold((0.0, 0.0), |(sum, count), &value| (sum + f64::from(unit(value)), count + 1.0));
            all.push(sum / count);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: usize, rows: usize, columns: usize) -> [Dim; 4] {
        [Dim::Batch, Dim::Size(channels), Dim::Size(rows), Dim::Size(columns)]
    }

    #[test]
    fn means_of_cells() {
        for (rows, columns, dimension, text) in [
            (28, 28, 49, "means of 4x4 pixels, 1x7x7 of an image"),
            (32, 32, 64, "means of 4x4 pixels, 1x8x8 of an image"),
            (64, 100, 64, "means of 8x13 pixels, 1x8x8 of an image"),
            (3, 17, 18, "means of 1x3 pixels, 1x3x6 of an image"),
        ] {
            let features = Features::means(&image(1, rows, columns), ValueRange::SIGNED);
            assert_eq!((features.dimension(), features.to_string().as_str()), (dimension, text));
        }
        // Two images of two channels, 1x17: cells of three, the last of two.
        let mut features = Features::means(&image(2, 1, 17), ValueRange::new(0.0, 100.0).unwrap());
        let values: Vec<f32> = (0..68).map(|at| at as f32).collect();
        let expected: Vec<f64> = (0..4)
            .flat_map(|plane| {
                [1.0, 4.0, 7.0, 10.0, 13.0, 15.5].map(|at| (f64::from(17 * plane) + at) / 100.0)
            })
            .collect();
        let found = features.of(&values).unwrap();
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        assert_eq!(found.len(), expected.len());
    }
}
