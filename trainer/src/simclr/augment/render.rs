//! Views on the CPU, by all its threads.

use rayon::prelude::*;

use super::resize::{Taps, crop_and_resize};
use super::{AugmentError, AugmentSettings, JitterStep, Normalization, ViewParameters, steps, view_rng};
use crate::data::Dataset;

/// Memory that one thread uses again for each view.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) columns: Taps,
    pub(super) lines: Taps,
    pub(super) line: Vec<f32>,
    pub(super) rows: Vec<f32>,
}

/// Makes views of a data set's images.
#[derive(Debug, Clone, Copy)]
pub struct Renderer<'a> {
    data: &'a Dataset,
    settings: AugmentSettings,
    normalization: Normalization,
}

impl<'a> Renderer<'a> {
    /// A renderer for these images.
    ///
    /// # Errors
    /// [`AugmentError`] if the images have no three channels, or a setting is out of range.
    pub fn new(
        data: &'a Dataset,
        settings: AugmentSettings,
        normalization: Normalization,
    ) -> Result<Self, AugmentError> {
        settings.validate()?;
        normalization.validate()?;
        if data.channels != 3 {
            return Err(AugmentError::Channels { name: data.name.clone(), found: data.channels });
        }
        Ok(Self { data, settings, normalization })
    }

    /// Values of a view: 3 x size x size.
    pub fn view_len(&self) -> usize {
        3 * self.settings.size * self.settings.size
    }

    /// Draws what the two views of each image in the batch `batch` look like: first all first views, then all second ones.
    pub fn draw(&self, seed: u64, batch: u64, images: &[u32]) -> Vec<ViewParameters> {
        let (height, width) = (self.data.height, self.data.width);
        let draw = |view: u32, image: &u32| {
            self.settings.draw(&mut view_rng(seed, batch, *image, view), height, width)
        };
        [0, 1].into_iter().flat_map(|view| images.iter().map(move |image| draw(view, image))).collect()
    }

    /// Makes a view of one image, which exists.
    fn view(&self, image: u32, parameters: &ViewParameters, scratch: &mut Scratch, view: &mut [f32]) {
        let Dataset { height, width, .. } = *self.data;
        let pixels = self.data.image(image as usize);
        let ViewParameters { crop, flip, jitter, grayscale } = parameters;
        crop_and_resize(pixels, height, width, crop, *flip, scratch, self.settings.size, view);
        if let Some(jitter) = jitter {
            for step in jitter.order {
                match step {
                    JitterStep::Brightness => steps::brightness(view, jitter.brightness),
                    JitterStep::Contrast => steps::contrast(view, jitter.contrast),
                    JitterStep::Saturation => steps::saturation(view, jitter.saturation),
                    JitterStep::Hue => steps::hue(view, jitter.hue),
                }
            }
        }
        if *grayscale {
            steps::normalized_grayscale(view, &self.normalization);
        } else {
            steps::normalize(view, &self.normalization);
        }
    }

    /// Makes one view of each of these images, with the parameters beside it, and writes them one after the other, normalized,
    /// (N, 3, size, size). The work is spread over rayon's threads; the values do not depend on how.
    ///
    /// # Errors
    /// [`AugmentError::Buffer`] if `out` has another length, or the lists have different ones; [`AugmentError::Index`] if there
    /// is no such image.
    pub fn render(
        &self,
        images: &[u32],
        parameters: &[ViewParameters],
        out: &mut [f32],
    ) -> Result<(), AugmentError> {
        let count = self.data.len();
        if let Some(index) = images.iter().find(|image| **image as usize >= count) {
            return Err(AugmentError::Index { index: *index, count });
        }
        let len = self.view_len();
        if out.len() != images.len() * len || parameters.len() != images.len() {
            let expected = images.len().max(parameters.len()) * len;
            return Err(AugmentError::Buffer { found: out.len(), expected });
        }
        let views = out.par_chunks_exact_mut(len).zip(images).zip(parameters);
        // A view takes microseconds; fewer at a time would not be worth a thread's while.
        views.with_min_len(8).for_each_init(Scratch::default, |scratch, ((view, image), parameters)| {
            self.view(*image, parameters, scratch, view);
        });
        Ok(())
    }

    /// Draws and makes both views of each image of the batch `batch`: (2N, 3, size, size), first all first views.
    pub fn pairs(&self, seed: u64, batch: u64, images: &[u32], out: &mut [f32]) -> Result<(), AugmentError> {
        let twice = [images, images].concat();
        self.render(&twice, &self.draw(seed, batch, images), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};
    use crate::simclr::augment::{CropBox, Jitter};

    fn objects(count: usize) -> Dataset {
        let spec: DataSpec = format!("synth-objects:{count}").parse().unwrap();
        spec.load(Split::Train, &LoadOptions::default()).unwrap()
    }

    #[test]
    fn views_do_not_depend_on_the_number_of_threads() {
        let data = objects(40);
        let renderer = Renderer::new(&data, AugmentSettings::REFERENCE, Normalization::CIFAR10).unwrap();
        let images: Vec<u32> = (0..40).rev().collect();
        let views = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![f32::NAN; 80 * renderer.view_len()];
            pool.install(|| renderer.pairs(5, 9, &images, &mut out)).unwrap();
            out
        };
        let one = views(1);
        assert!(one.iter().all(|value| value.is_finite()));
        assert_eq!(one, views(3));
        // Neither on the order of the batch, nor on what else is in it.
        let mut alone = vec![0.0; 2 * renderer.view_len()];
        renderer.pairs(5, 9, &[30], &mut alone).unwrap();
        let at = |view: usize| &one[(40 * view + 9) * renderer.view_len()..][..renderer.view_len()];
        assert_eq!(alone, [at(0), at(1)].concat());
        assert_ne!(at(0), at(1), "the two views of an image differ");
    }

    #[test]
    fn steps_are_taken_in_the_order_given() {
        let data = objects(1);
        let renderer = Renderer::new(&data, AugmentSettings::REFERENCE, Normalization::CIFAR10).unwrap();
        let crop = CropBox { top: 3, left: 1, height: 20, width: 17 };
        use JitterStep::{Brightness, Contrast, Hue, Saturation};
        for order in [[Brightness, Contrast, Saturation, Hue], [Hue, Saturation, Brightness, Contrast]] {
            for (flip, grayscale) in [(false, false), (true, true)] {
                let jitter = Jitter { brightness: 1.3, contrast: 0.7, saturation: 1.4, hue: -0.08, order };
                let parameters = ViewParameters { crop, flip, jitter: Some(jitter), grayscale };
                let mut found = vec![0.0; renderer.view_len()];
                renderer.render(&[0], &[parameters], &mut found).unwrap();

                let mut expected = vec![0.0; renderer.view_len()];
                crop_and_resize(
                    data.image(0),
                    32,
                    32,
                    &crop,
                    false,
                    &mut Scratch::default(),
                    32,
                    &mut expected,
                );
                if flip {
                    steps::flip(&mut expected, 32);
                }
                for step in order {
                    match step {
                        Brightness => steps::brightness(&mut expected, 1.3),
                        Contrast => steps::contrast(&mut expected, 0.7),
                        Saturation => steps::saturation(&mut expected, 1.4),
                        Hue => steps::hue(&mut expected, -0.08),
                    }
                }
                if grayscale {
                    steps::grayscale(&mut expected);
                }
                steps::normalize(&mut expected, &Normalization::CIFAR10);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{order:?}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_viewed_is_refused() {
        let data = objects(3);
        let renderer = Renderer::new(&data, AugmentSettings::REFERENCE, Normalization::CIFAR10).unwrap();
        let mut out = vec![0.0; 4 * renderer.view_len()];
        let error =
            |images: &[u32], out: &mut [f32]| renderer.pairs(0, 0, images, out).unwrap_err().to_string();
        assert!(error(&[0, 3], &mut out).contains("image 3 is asked for, but the data set has 3"));
        assert!(error(&[0], &mut out).contains("the views need 6144"));
        let gray = Dataset { channels: 1, ..data.clone() };
        let error = Renderer::new(&gray, AugmentSettings::REFERENCE, Normalization::CIFAR10).unwrap_err();
        assert!(matches!(error, AugmentError::Channels { found: 1, .. }), "{error}");
    }
}
