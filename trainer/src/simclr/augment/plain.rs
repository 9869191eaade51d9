//! Images as they are, for evaluation.

use tch::{Device, Kind, TchError, Tensor};

use super::{AugmentError, Normalization};
use crate::data::Dataset;

/// A data set on a device, whose images are scaled and normalized only: what SimCLR's augmentation is at test time.
#[derive(Debug)]
pub struct Plain {
    /// Bytes (count, 3, H, W).
    pixels: Tensor,
    mean: Tensor,
    inverse: Tensor,
}

impl Plain {
    /// Puts the images on the device, as bytes.
    ///
    /// # Errors
    /// [`AugmentError`] if the images have no three channels, the normalization is unusable, or libtorch fails.
    pub fn new(data: &Dataset, by: Normalization, device: Device) -> Result<Self, AugmentError> {
        by.validate()?;
        if data.channels != 3 {
            return Err(AugmentError::Channels { name: data.name.clone(), found: data.channels });
        }
        let [mean, inverse] = scales(&by, device)?;
        Ok(Self { pixels: upload_pixels(data, device)?, mean, inverse })
    }

    /// How many images there are.
    pub fn len(&self) -> i64 {
        self.pixels.size()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Images `start..start + count`, as far as they exist: (N, 3, H, W), normalized.
    pub fn get(&self, start: i64, count: i64) -> Result<Tensor, TchError> {
        let start = start.clamp(0, self.len());
        let bytes = self.pixels.f_narrow(0, start, count.clamp(0, self.len() - start))?;
        let values = bytes.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 / 255.0)?;
        values.f_sub(&self.mean)?.f_mul(&self.inverse)
    }
}

/// All images of a data set of three channels as bytes (count, 3, H, W).
pub(super) fn upload_pixels(data: &Dataset, device: Device) -> Result<Tensor, TchError> {
    let shape = [data.len() as i64, 3, data.height as i64, data.width as i64];
    Tensor::f_from_slice(&data.pixels)?.f_view(shape)?.f_to_device(device)
}

/// The means and one divided by the deviations, each (1, 3, 1, 1).
pub(super) fn scales(by: &Normalization, device: Device) -> Result<[Tensor; 2], TchError> {
    let tensor =
        |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1i64, 3, 1, 1])?.f_to_device(device);
    Ok([tensor(by.mean)?, tensor(by.std.map(|std| 1.0 / std))?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};

    #[test]
    fn values_are_scaled_and_normalized() {
        let spec: DataSpec = "synth-objects:5".parse().unwrap();
        let data = spec.load(Split::Train, &LoadOptions::default()).unwrap();
        let by = Normalization::CIFAR10;
        let plain = Plain::new(&data, by, Device::Cpu).unwrap();
        assert_eq!(plain.len(), 5);
        let batch = plain.get(3, 9).unwrap();
        assert_eq!(batch.size(), [2, 3, 32, 32]);
        let values = Vec::<f32>::try_from(batch.reshape(-1)).unwrap();
        for (i, found) in values.iter().enumerate() {
            let c = i / 1024 % 3;
            let pixel = f32::from(data.pixels[3 * 3072 + i]);
            assert!((found - (pixel / 255.0 - by.mean[c]) / by.std[c]).abs() < 1e-5, "{i}");
        }
        assert_eq!(plain.get(7, 2).unwrap().size()[0], 0);
    }
}
