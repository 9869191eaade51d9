//! Batches of views for training, ready before they are asked for.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use tch::{Device, Tensor};

use super::{AugmentError, AugmentSettings, BatchOrder, DeviceRenderer, Normalization, Renderer};
use crate::data::Dataset;

#[derive(Debug, Clone, Copy)]
pub struct ViewOptions {
    /// How strongly views differ from their image.
    pub settings: AugmentSettings,
    /// What views are normalized by.
    pub normalization: Normalization,
    /// Seed of the order of images and of their views.
    pub seed: u64,
    /// Images in a batch; there are twice as many views.
    pub batch: usize,
    /// Whether every epoch has an order of its own.
    pub shuffle: bool,
    /// The batch that will be asked for first, counted over all epochs.
    pub start: u64,
    /// Where the views are wanted.
    pub device: Device,
}

/// Two views of each image of a batch.
#[derive(Debug)]
pub struct Views {
    /// (2N, 3, size, size), normalized, f32: rows 0..N are first views, rows N..2N the second views of the same images.
    pub images: Tensor,
    /// Which images of the data set: N.
    pub indices: Vec<u32>,
}

/// Gives batches of views.
///
/// For the CPU a thread of its own makes them, two batches ahead, so that they are ready when a training step ends; on any
/// other device they are made there, batch by batch. Batch `index` is the same whenever, and on whatever device, it is made (up
/// to rounding from device to device), so that training resumes exactly.
#[derive(Debug)]
pub struct ViewSource {
    data: Arc<Dataset>,
    options: ViewOptions,
    order: BatchOrder,
    maker: Maker,
}

#[derive(Debug)]
enum Maker {
    Ahead(Producer),
    Device(DeviceRenderer),
}

impl ViewSource {
    /// Prepares batches of these images.
    ///
    /// # Errors
    /// [`AugmentError`] if the images have no three channels, are fewer than a batch, a setting is out of range, or libtorch
    /// fails.
    pub fn new(data: Arc<Dataset>, options: ViewOptions) -> Result<Self, AugmentError> {
        let order = BatchOrder::new(data.len(), options.batch, options.shuffle.then_some(options.seed))?;
        let ViewOptions { settings, normalization, device, start, .. } = options;
        // Says at once what is wrong.
        Renderer::new(&data, settings, normalization)?;
        let maker = if device == Device::Cpu {
            Maker::Ahead(Producer::start(&data, options, order.clone(), start)?)
        } else {
            Maker::Device(DeviceRenderer::new(&data, &settings, normalization, device)?)
        };
        Ok(Self { data, options, order, maker })
    }

    /// Whole batches in an epoch; the last, partial batch is skipped.
    pub fn per_epoch(&self) -> u64 {
        self.order.per_epoch()
    }

    /// Batch `index`, counted over all epochs. One after the other is fast.
    ///
    /// # Errors
    /// [`AugmentError`] if libtorch fails or a thread cannot be started.
    pub fn get(&mut self, index: u64) -> Result<Views, AugmentError> {
        match &mut self.maker {
            Maker::Ahead(producer) => {
                if producer.next != index {
                    *producer = Producer::start(&self.data, self.options, self.order.clone(), index)?;
                }
                producer.take()
            }
            Maker::Device(device) => {
                let indices = self.order.images(index).to_vec();
                let ViewOptions { settings, normalization, seed, .. } = self.options;
                let parameters =
                    Renderer::new(&self.data, settings, normalization)?.draw(seed, index, &indices);
                let images = device.render(&[&indices[..], &indices[..]].concat(), &parameters)?;
                Ok(Views { images, indices })
            }
        }
    }
}

/// A thread that makes one batch after the other until nobody takes them any more.
#[derive(Debug)]
struct Producer {
    /// The batch that [`Producer::take`] gives next.
    next: u64,
    /// `None` once it is being dropped.
    ready: Option<Receiver<Result<Views, AugmentError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    fn start(
        data: &Arc<Dataset>,
        options: ViewOptions,
        mut order: BatchOrder,
        start: u64,
    ) -> Result<Self, AugmentError> {
        // One batch waits here and the next is held by the thread, which waits to put it here.
        let (sender, ready) = sync_channel(1);
        let data = Arc::clone(data);
        let work = move || {
            let mut buffer = Vec::new();
            for index in start.. {
                let views = views(&data, &options, order.images(index), index, &mut buffer);
                let failed = views.is_err();
                if sender.send(views).is_err() || failed {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("views".to_owned()).spawn(work);
        let thread = thread.map_err(|error| AugmentError::Thread(error.to_string()))?;
        Ok(Self { next: start, ready: Some(ready), thread: Some(thread) })
    }

    fn take(&mut self) -> Result<Views, AugmentError> {
        let ended = || AugmentError::Thread("it ended after an error".to_owned());
        let views = self.ready.as_ref().ok_or_else(ended)?.recv().map_err(|_| ended())??;
        self.next += 1;
        Ok(views)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The thread sees that its channel is closed when it next puts a batch there.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            // It only ever panics for a defect of this program, and then has said so.
            let _ = thread.join();
        }
    }
}

fn views(
    data: &Dataset,
    options: &ViewOptions,
    images: &[u32],
    index: u64,
    buffer: &mut Vec<f32>,
) -> Result<Views, AugmentError> {
    let renderer = Renderer::new(data, options.settings, options.normalization)?;
    buffer.resize(2 * images.len() * renderer.view_len(), 0.0);
    renderer.pairs(options.seed, index, images, buffer)?;
    let size = options.settings.size as i64;
    let tensor = Tensor::f_from_slice(buffer)?.f_view([2 * images.len() as i64, 3, size, size])?;
    Ok(Views { images: tensor, indices: images.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};

    fn options() -> ViewOptions {
        ViewOptions {
            settings: AugmentSettings { size: 16, ..AugmentSettings::REFERENCE },
            normalization: Normalization::CIFAR10,
            seed: 6,
            batch: 4,
            shuffle: true,
            start: 0,
            device: Device::Cpu,
        }
    }

    fn objects() -> Arc<Dataset> {
        let spec: DataSpec = "synth-objects:11".parse().unwrap();
        Arc::new(spec.load(Split::Train, &LoadOptions::default()).unwrap())
    }

    fn values(views: &Views) -> Vec<f32> {
        Vec::try_from(views.images.reshape(-1)).unwrap()
    }

    #[test]
    fn a_batch_depends_on_its_number_only() {
        let data = objects();
        let mut source = ViewSource::new(Arc::clone(&data), options()).unwrap();
        assert_eq!(source.per_epoch(), 2);
        let batches: Vec<Views> = (0..6).map(|index| source.get(index).unwrap()).collect();
        assert_eq!(batches[0].images.size(), [8, 3, 16, 16]);
        for (a, b) in [(0, 1), (0, 2), (2, 4)] {
            assert_ne!(values(&batches[a]), values(&batches[b]));
        }
        // Resumed at batch 4, and out of order.
        let mut resumed = ViewSource::new(Arc::clone(&data), ViewOptions { start: 4, ..options() }).unwrap();
        for index in [4, 5, 1, 2, 0] {
            let views = resumed.get(index).unwrap();
            assert_eq!(views.indices, batches[index as usize].indices, "{index}");
            assert_eq!(values(&views), values(&batches[index as usize]), "{index}");
        }
        // They are the renderer's, and on a device they are the same.
        let renderer = Renderer::new(&data, options().settings, options().normalization).unwrap();
        let mut expected = vec![0.0; 8 * renderer.view_len()];
        renderer.pairs(6, 5, &batches[5].indices, &mut expected).unwrap();
        assert_eq!(values(&batches[5]), expected);
        let by_device = ViewSource {
            maker: Maker::Device(
                DeviceRenderer::new(&data, &options().settings, options().normalization, Device::Cpu)
                    .unwrap(),
            ),
            ..ViewSource::new(data, options()).unwrap()
        };
        let mut by_device = by_device;
        let views = by_device.get(5).unwrap();
        assert_eq!(views.indices, batches[5].indices);
        for (found, expected) in values(&views).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn without_shuffling_images_come_in_their_order() {
        let mut source = ViewSource::new(objects(), ViewOptions { shuffle: false, ..options() }).unwrap();
        for (index, expected) in [(0, [0, 1, 2, 3]), (1, [4, 5, 6, 7]), (2, [0, 1, 2, 3])] {
            assert_eq!(source.get(index).unwrap().indices, expected);
        }
    }

    #[test]
    fn what_cannot_be_made_is_said_at_once() {
        let data = objects();
        let error = |options| ViewSource::new(Arc::clone(&data), options).unwrap_err().to_string();
        assert!(
            error(ViewOptions { batch: 12, ..options() }).contains("11 images, which makes no batch of 12")
        );
        let settings = AugmentSettings { hue: 3.0, ..AugmentSettings::REFERENCE };
        assert!(error(ViewOptions { settings, ..options() }).contains("hue is 3.0"));
    }
}
