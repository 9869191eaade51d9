//! How the networks of a conditional GAN are told the class of an image: see [`latent_files::run::GanNetworks`].
//!
//! Labels come as one-hot rows (N, classes); without labels both networks are computed as they are.

use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use crate::nn::{Network, Pass};

/// What `generator` makes of latent vectors (N, latent), each for its label.
pub fn generate(
    generator: &Network,
    z: &Tensor,
    labels: Option<&Tensor>,
    pass: Pass,
) -> Result<Tensor, TchError> {
    match labels {
        None => generator.forward(z, pass),
        Some(labels) => generator.forward(&Tensor::f_cat(&[z, labels], 1)?, pass),
    }
}

/// The raw scores (N, 1) of images (N, C, H, W), each under its label. Differentiable twice, as far as the network is.
pub fn score(
    discriminator: &Network,
    images: &Tensor,
    labels: Option<&Tensor>,
    pass: Pass,
) -> Result<Tensor, TchError> {
    let scores = discriminator.forward(images, pass)?;
    match labels {
        None => Ok(scores),
        Some(labels) => {
            let classes = scores.f_narrow(1, 1, labels.size2()?.1)?;
            let of_label = classes.f_mul(labels)?.f_sum_dim_intlist(1i64, true, Kind::Float)?;
            scores.f_narrow(1, 0, 1)?.f_add(&of_label)
        }
    }
}

/// The labels of the training images.
#[derive(Debug)]
pub struct Labels {
    /// On the device, (images).
    tensor: Tensor,
    values: Vec<u32>,
    classes: usize,
}

impl Labels {
    /// `values` has an image's label each, all of them below `classes`.
    ///
    /// # Errors
    /// When one is not, or libtorch fails.
    pub fn new(values: &[u32], classes: usize, device: Device) -> Result<Self, TchError> {
        if let Some(label) = values.iter().find(|label| **label as usize >= classes) {
            return Err(TchError::Shape(format!("there is a label {label} for {classes} classes")));
        }
        let labels: Vec<i64> = values.iter().map(|label| i64::from(*label)).collect();
        let tensor = Tensor::f_from_slice(&labels)?.f_to_device(device)?;
        Ok(Self { tensor, values: values.to_vec(), classes })
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// One number for each image, (images).
    pub(super) fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The places of images of the first `classes` classes, about `count` in all: equally many of each, spread evenly over
    /// its images; fewer where it has fewer. Each with its class.
    pub(super) fn spread(&self, classes: usize, count: usize) -> Vec<(usize, u32)> {
        let each = (count / classes.max(1)).max(1);
        let mut of_class = vec![Vec::new(); classes];
        for (place, label) in self.values.iter().enumerate() {
            if let Some(places) = of_class.get_mut(*label as usize) {
                places.push((place, *label));
            }
        }
        let of_class = of_class.iter();
        of_class
            .flat_map(|places| {
                let n = each.min(places.len());
                (0..n).filter_map(move |i| places.get(i * places.len() / n).copied())
            })
            .collect()
    }

    /// Labels of `count` images drawn from the data, as one-hot rows: so each class comes as often as it does there, and the
    /// label alone tells nothing of whether an image is real.
    pub fn draw(&self, rng: &mut Rng, count: usize) -> Result<Tensor, TchError> {
        let images = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        let drawn = (0..count).map(|_| self.values.get(rng.below(images) as usize).copied().unwrap_or(0));
        let drawn: Vec<i64> = drawn.map(i64::from).collect();
        one_hot(&Tensor::f_from_slice(&drawn)?.f_to_device(self.tensor.device())?, self.classes)
    }
}

/// `labels` (N) as one-hot rows (N, classes).
pub fn one_hot(labels: &Tensor, classes: usize) -> Result<Tensor, TchError> {
    labels.f_one_hot(i64::try_from(classes).unwrap_or(i64::MAX))?.f_to_kind(Kind::Float)
}
