//! Batches of training images, from a data set that stays on the device as bytes.

use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::architecture::ImageShape;
use super::condition::{self, Labels};

/// The images of a data set in training order.
#[derive(Debug)]
pub struct Batches {
    pixels: Tensor,
    shape: [i64; 4],
    count: i64,
    shuffle: Option<Shuffle>,
    labels: Option<Labels>,
}

#[derive(Debug)]
struct Shuffle {
    seed: Rng,
    epoch: Option<u64>,
    order: Tensor,
}

impl Batches {
    /// Batches of `batch` images each from `pixels`, which holds `count` planar images of this shape as bytes. With a
    /// `shuffle` generator every epoch has an order of its own, which depends on the epoch's number only.
    pub fn new(
        pixels: &[u8],
        count: usize,
        image: ImageShape,
        batch: usize,
        shuffle: Option<Rng>,
        device: Device,
    ) -> Result<Self, TchError> {
        let ImageShape { channels, height, width } = image;
        let pixels =
            Tensor::f_from_slice(&pixels[..count * image.values() as usize])?.f_view([-1, image.values()])?;
        let order = Tensor::f_empty([0], (Kind::Int64, device))?;
        Ok(Self {
            pixels: pixels.f_to_device(device)?,
            shape: [batch as i64, channels, height, width],
            count: count as i64,
            shuffle: shuffle.map(|seed| Shuffle { seed, epoch: None, order }),
            labels: None,
        })
    }

    /// The same with the label of each image.
    ///
    /// # Errors
    /// When there are not as many labels as images.
    pub fn with_labels(mut self, labels: Labels) -> Result<Self, TchError> {
        let found = labels.tensor().numel() as i64;
        if found != self.count {
            return Err(TchError::Shape(format!("there are {found} labels for {} images", self.count)));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The labels of all images, if they have labels.
    pub fn all_labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Batches in one epoch; the last, partial one is skipped.
    fn per_epoch(&self) -> i64 {
        self.count / self.shape[0]
    }

    /// Batch `index`, counted over all epochs: (N, C, H, W), values 2 (pixel / 255) - 1.
    pub fn get(&mut self, index: u64) -> Result<Tensor, TchError> {
        let places = self.places(index)?;
        scale(&places.of(&self.pixels)?)?.f_view(self.shape)
    }

    /// The labels of that batch as one-hot rows (N, classes), if there are labels.
    pub fn labels(&mut self, index: u64) -> Result<Option<Tensor>, TchError> {
        let places = self.places(index)?;
        let one_hot = |labels: &Labels| condition::one_hot(&places.of(labels.tensor())?, labels.classes());
        self.labels.as_ref().map(one_hot).transpose()
    }

    /// Where the images of batch `index` are.
    fn places(&mut self, index: u64) -> Result<Places, TchError> {
        let [batch, ..] = self.shape;
        let per_epoch = self.per_epoch() as u64;
        let (epoch, start) = (index / per_epoch, (index % per_epoch) as i64 * batch);
        match &mut self.shuffle {
            None => Ok(Places::Range { start, length: batch }),
            Some(shuffle) => {
                shuffle.enter(epoch, self.count)?;
                Ok(Places::List(shuffle.order.f_narrow(0, start, batch)?))
            }
        }
    }

    /// `n` images spread evenly over the data set, values as in [`Batches::get`].
    pub fn spread(&self, n: usize) -> Result<Tensor, TchError> {
        let n = (n as i64).clamp(1, self.count);
        let places: Vec<i64> = (0..n).map(|i| i * self.count / n).collect();
        self.at(&places)
    }

    /// The images at these places, values as in [`Batches::get`].
    pub fn at(&self, places: &[i64]) -> Result<Tensor, TchError> {
        let index = Tensor::f_from_slice(places)?.f_to_device(self.pixels.device())?;
        let [_, c, h, w] = self.shape;
        scale(&self.pixels.f_index_select(0, &index)?)?.f_view([-1, c, h, w])
    }
}

/// Places of images.
enum Places {
    Range { start: i64, length: i64 },
    List(Tensor),
}

impl Places {
    /// The rows of `values` there.
    fn of(&self, values: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Range { start, length } => values.f_narrow(0, *start, *length),
            Self::List(places) => values.f_index_select(0, places),
        }
    }
}

/// Bytes to [-1, 1].
fn scale(bytes: &Tensor) -> Result<Tensor, TchError> {
    let mut values = bytes.f_to_kind(Kind::Float)?;
    let _ = values.f_div_scalar_(255.0)?;
    let _ = values.f_mul_scalar_(2.0)?;
    values.f_sub_scalar_(1.0)
}

impl Shuffle {
    fn enter(&mut self, epoch: u64, count: i64) -> Result<(), TchError> {
        if self.epoch == Some(epoch) {
            return Ok(());
        }
        let mut order: Vec<i64> = (0..count).collect();
        let key = self.seed.clone().next_u64() ^ epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::from_seed(key).shuffle(&mut order);
        self.order = Tensor::f_from_slice(&order)?.f_to_device(self.order.device())?;
        self.epoch = Some(epoch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 1, width: 2 };

    /// Seven images (0, 0), (1, 1), ...; the batch's first values as bytes.
    fn bytes(batches: &mut Batches, index: u64) -> Vec<i64> {
        let batch = batches.get(index).unwrap();
        assert_eq!(batch.size(), [3, 1, 1, 2]);
        let first = (batch.select(3, 0).view(-1) + 1.0) * 127.5;
        Vec::<i64>::try_from(first.round().to_kind(Kind::Int64)).unwrap()
    }

    fn images() -> Vec<u8> {
        (0..7).flat_map(|i| [i, i]).collect()
    }

    #[test]
    fn file_order_without_the_partial_batch() {
        let mut batches = Batches::new(&images(), 7, SHAPE, 3, None, Device::Cpu).unwrap();
        for (index, expected) in [(0, [0, 1, 2]), (1, [3, 4, 5]), (2, [0, 1, 2]), (101, [3, 4, 5])] {
            assert_eq!(bytes(&mut batches, index), expected);
        }
        let mut fewer = Batches::new(&images(), 5, SHAPE, 3, None, Device::Cpu).unwrap();
        assert_eq!(bytes(&mut fewer, 1), [0, 1, 2]);
    }

    #[test]
    fn a_shuffled_epoch_has_each_image_once_and_depends_on_its_number_only() {
        let new = || Batches::new(&images(), 7, SHAPE, 3, Some(Rng::from_seed(1)), Device::Cpu).unwrap();
        let mut batches = new();
        let epochs: Vec<Vec<i64>> =
            (0..4).map(|e| [bytes(&mut batches, 2 * e), bytes(&mut batches, 2 * e + 1)].concat()).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 6, "{epochs:?}");
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(bytes(&mut new(), 5), epochs[2][3..], "without the epochs before");
    }

    #[test]
    fn labels_are_those_of_the_batchs_images() {
        for shuffle in [None, Some(Rng::from_seed(1))] {
            let labels = Labels::new(&[0, 1, 2, 3, 0, 1, 2], 4, Device::Cpu).unwrap();
            let batches = Batches::new(&images(), 7, SHAPE, 3, shuffle, Device::Cpu).unwrap();
            let mut batches = batches.with_labels(labels).unwrap();
            for index in [0, 1, 5, 2] {
                let expected: Vec<i64> = bytes(&mut batches, index).iter().map(|image| image % 4).collect();
                let labels = batches.labels(index).unwrap().unwrap();
                assert_eq!(labels.size(), [3, 4]);
                assert_eq!(Vec::<i64>::try_from(labels.argmax(1, false)).unwrap(), expected);
                assert_eq!(labels.sum(Kind::Float).double_value(&[]), 3.0);
            }
        }
        let fewer = Labels::new(&[0, 1], 4, Device::Cpu).unwrap();
        let batches = Batches::new(&images(), 7, SHAPE, 3, None, Device::Cpu).unwrap();
        assert!(batches.with_labels(fewer).unwrap_err().to_string().contains("2 labels for 7 images"));
    }

    #[test]
    fn values_are_those_of_the_reference() {
        let mut batches = Batches::new(&[0, 51, 255, 128], 2, SHAPE, 2, None, Device::Cpu).unwrap();
        let found = Vec::<f32>::try_from(batches.get(0).unwrap().view(-1)).unwrap();
        for (found, pixel) in found.iter().zip([0f32, 51.0, 255.0, 128.0]) {
            assert_eq!(*found, 2.0 * (pixel / 255.0) - 1.0);
        }
        assert_eq!(batches.spread(5).unwrap().size(), [2, 1, 1, 2]);
    }
}
