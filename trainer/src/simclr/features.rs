//! Features of many images, from a frozen encoder.

use tch::{Device, TchError, Tensor};

use super::augment::{AugmentError, Normalization, Plain};
use super::encoder::Encoder;
use crate::data::Dataset;
use crate::nn::Pass;

/// Images computed at a time.
const CHUNK: i64 = 500;

/// Images on a device, with their classes.
#[derive(Debug)]
pub struct Labeled {
    images: Plain,
    /// The class of each image (N).
    pub labels: Tensor,
    pub classes: i64,
}

impl Labeled {
    /// Puts the images on the device.
    pub fn new(data: &Dataset, normalization: Normalization, device: Device) -> Result<Self, AugmentError> {
        let labels: Vec<i64> = data.labels.iter().map(|label| i64::from(*label)).collect();
        Ok(Self {
            images: Plain::new(data, normalization, device)?,
            labels: Tensor::f_from_slice(&labels)?.f_to_device(device)?,
            classes: data.class_names.len() as i64,
        })
    }

    /// The features h (N, F) of all images, not normalized; the encoder is not changed. `mirrored` takes the images
    /// flipped from left to right.
    pub fn features(&self, encoder: &Encoder, pass: Pass, mirrored: bool) -> Result<Tensor, TchError> {
        let pass = Pass { train: false, ..pass };
        tch::no_grad(|| {
            let mut found = Vec::new();
            let mut start = 0;
            while start < self.images.len() {
                let mut images = self.images.get(start, CHUNK)?;
                if mirrored {
                    images = images.f_flip([3i64])?;
                }
                found.push(encoder.features(&images, pass)?);
                start += CHUNK;
            }
            Tensor::f_cat(&found, 0)
        })
    }
}

/// At most `count` images of a data set, spread evenly over it.
pub fn spread(data: &Dataset, count: usize) -> Dataset {
    let count = count.clamp(1, data.len().max(1)).min(data.len());
    let chosen: Vec<usize> = (0..count).map(|i| i * data.len() / count).collect();
    select(data, &chosen)
}

/// The images at these places.
///
/// # Panics
/// If a place is not less than the number of images.
pub fn select(data: &Dataset, places: &[usize]) -> Dataset {
    let mut pixels = Vec::with_capacity(places.len() * data.image_len());
    for place in places {
        pixels.extend_from_slice(data.image(*place));
    }
    Dataset {
        name: data.name.clone(),
        source: data.source.clone(),
        channels: data.channels,
        height: data.height,
        width: data.width,
        pixels,
        labels: places.iter().map(|place| data.labels[*place]).collect(),
        class_names: data.class_names.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};

    #[test]
    fn a_selection_is_spread_over_the_data() {
        let spec: DataSpec = "synth-objects:10".parse().unwrap();
        let data = spec.load(Split::Train, &LoadOptions::default()).unwrap();
        let some = spread(&data, 4);
        assert_eq!(some.len(), 4);
        for (i, place) in [0, 2, 5, 7].into_iter().enumerate() {
            assert_eq!((some.image(i), some.labels[i]), (data.image(place), data.labels[place]));
        }
        assert_eq!(spread(&data, 99), data);
    }
}
