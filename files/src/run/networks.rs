//! The networks of the reference GANs, for any image size they extend to naturally: the one table of their layers.

use serde::{Deserialize, Serialize};

use super::layers::{Conv, Layer, check_layers, network_size};
use super::{Image, Latent, NetKind};

/// LeakyReLU's slope below zero, PyTorch's default.
const SLOPE: f32 = 0.01;

/// The layers of a GAN.
///
/// A conditional GAN of `classes` classes is told its images' labels in this way, which leaves both networks plain
/// sequences. The generator takes the one-hot label behind the latent values (Mirza & Osindero 2014). The discriminator
/// puts out 1 + `classes` numbers, and an image with the label y has the score `s[0] + s[1 + y]`: the projection
/// discriminator of Miyato & Koyama 2018 (eq. 3, ψ linear, with a bias for each class), whose inner product of features and
/// embedded label is number 1 + y of a linear layer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GanNetworks {
    /// Latent vectors, with one-hot labels behind them if the GAN is conditional, to images in the range of [`Image`], flat
    /// or not.
    pub generator: Vec<Layer>,
    /// Images to raw scores: one number, and one for each class if the GAN is conditional.
    pub discriminator: Vec<Layer>,
}

/// The memory that training takes, in bytes: an estimate, for 32-bit floats and Adam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingBytes {
    /// Weights, gradients and two moments of each: no less.
    pub weights: u64,
    /// What the layers make of a batch, and its gradients: the discriminator sees real and generated images.
    pub activations: u64,
}

impl GanNetworks {
    /// What training takes with batches of `batch` such images (channels, height, width).
    pub fn training_bytes(&self, image: [usize; 3], batch: usize) -> TrainingBytes {
        let latent = self.generator.iter().find_map(|layer| match layer {
            Layer::Linear { inputs, .. } => Some(*inputs),
            _ => None,
        });
        let generator = network_size(&self.generator, &[latent.unwrap_or(1)]);
        let discriminator = network_size(&self.discriminator, &image);
        let values = generator.1.saturating_add(discriminator.1.saturating_mul(2));
        TrainingBytes {
            weights: generator.0.saturating_add(discriminator.0).saturating_mul(4 * 4),
            activations: values.saturating_mul(batch as u64).saturating_mul(2 * 4),
        }
    }

    /// Checks that the networks go together with the noise and the images.
    pub(super) fn check(&self, latent: &Latent, image: &Image, classes: Option<usize>) -> Result<(), String> {
        let shape = [image.channels, image.height, image.width];
        let output = check_layers("networks.generator", &self.generator, &[inputs(latent.size, classes)])?;
        if output != shape && output != [shape.iter().product::<usize>()] {
            return Err(format!("networks.generator makes {output:?}, expected images of {shape:?}"));
        }
        let output = check_layers("networks.discriminator", &self.discriminator, &shape)?;
        if output != [scores(classes)] {
            let expected = match classes {
                None => "one score".to_owned(),
                Some(classes) => format!("1 + {classes}, a score and one for each class"),
            };
            return Err(format!("networks.discriminator makes {output:?}, expected {expected}"));
        }
        Ok(())
    }
}

impl NetKind {
    /// Whether these networks can be built for images of this height and width.
    ///
    /// # Errors
    /// A sentence that says what would do.
    pub fn fits(self, height: usize, width: usize) -> Result<(), String> {
        match self {
            NetKind::Vanilla => Ok(()),
            _ if [height, width].iter().all(|side| side % 4 == 0 && *side >= 16) => Ok(()),
            _ => Err(format!(
                "the {self} networks need images whose height and width are multiples of 4 and at least 16, these are \
                 {height}x{width}"
            )),
        }
    }

    /// Both networks for these images (channels, height, width) and latent vectors; conditional for a number of `classes`.
    pub fn networks(self, image: [usize; 3], latent: usize, classes: Option<usize>) -> GanNetworks {
        GanNetworks {
            generator: self.generator(image, latent, classes),
            discriminator: self.discriminator(image, classes),
        }
    }

    /// The generator: latent vectors (`latent`, with `classes` a one-hot label behind) to flat images (C·H·W) in [-1, 1].
    pub fn generator(self, image: [usize; 3], latent: usize, classes: Option<usize>) -> Vec<Layer> {
        let [channels, height, width] = image;
        let latent = inputs(latent, classes);
        // Outputs of the first layer, channels before and after the first transposed convolution. The smaller ones are for
        // microcontrollers: 508 KB and 123 KB of weights in 8-bit integers, for 28x28 images.
        let widths = match self {
            NetKind::Vanilla => None,
            NetKind::Dcgan => Some([1024, 128, 64]),
            NetKind::DcganSmall => Some([192, 48, 48]),
            NetKind::DcganNano => Some([64, 32, 32]),
        };
        match widths {
            None => vec![
                linear(latent, 1024),
                Layer::Relu,
                linear(1024, 1024),
                Layer::Relu,
                linear(1024, values(image)),
                Layer::Tanh,
            ],
            Some([hidden, first, second]) => {
                let small = [first, height / 4, width / 4];
                let norm = |features| Layer::BatchNorm { features };
                let up = |inputs, outputs| {
                    let (kernel, stride, padding) = (4, 2, 1);
                    Layer::ConvTranspose2d(Conv { inputs, outputs, kernel, stride, padding, bias: true })
                };
                vec![
                    linear(latent, hidden),
                    Layer::Relu,
                    norm(hidden),
                    linear(hidden, values(small)),
                    Layer::Relu,
                    norm(values(small)),
                    Layer::Unflatten { shape: small },
                    up(first, second),
                    Layer::Relu,
                    norm(second),
                    up(second, channels),
                    Layer::Tanh,
                    Layer::Flatten,
                ]
            }
        }
    }

    /// The discriminator: images (C, H, W) in [-1, 1] to raw scores (1, and one for each of `classes`).
    pub fn discriminator(self, image: [usize; 3], classes: Option<usize>) -> Vec<Layer> {
        let [channels, height, width] = image;
        let leaky = Layer::LeakyRelu { slope: SLOPE };
        match self {
            NetKind::Vanilla => vec![
                Layer::Flatten,
                linear(values(image), 256),
                leaky.clone(),
                linear(256, 256),
                leaky,
                linear(256, scores(classes)),
            ],
            _ => {
                // A 5x5 convolution without padding takes 4 pixels, the pooling halves.
                let after = |side: usize| (side.saturating_sub(4) / 2).saturating_sub(4) / 2;
                let conv = |inputs, outputs| {
                    let (kernel, stride, padding) = (5, 1, 0);
                    Layer::Conv2d(Conv { inputs, outputs, kernel, stride, padding, bias: true })
                };
                vec![
                    Layer::Unflatten { shape: image },
                    conv(channels, 32),
                    leaky.clone(),
                    Layer::MaxPool2d { kernel: 2 },
                    conv(32, 64),
                    leaky.clone(),
                    Layer::MaxPool2d { kernel: 2 },
                    Layer::Flatten,
                    linear(values([64, after(height), after(width)]), 1024),
                    leaky,
                    linear(1024, scores(classes)),
                ]
            }
        }
    }
}

/// What a generator takes.
fn inputs(latent: usize, classes: Option<usize>) -> usize {
    latent.saturating_add(classes.unwrap_or(0))
}

/// What a discriminator puts out.
fn scores(classes: Option<usize>) -> usize {
    classes.map_or(1, |classes| classes.saturating_add(1))
}

fn linear(inputs: usize, outputs: usize) -> Layer {
    Layer::Linear { inputs, outputs, bias: true }
}

/// Values in an image. An absurd one has no more than can be counted; the check of the layers refuses it.
fn values(image: [usize; 3]) -> usize {
    image.iter().fold(1, |product: usize, &length| product.saturating_mul(length))
}

#[cfg(test)]
mod tests {
    use super::super::LatentDistribution;
    use super::*;

    #[test]
    fn the_memory_of_training_is_that_of_its_parts() {
        // 1 102 721 and 6 675 009 weights, as `trainer dcgan --help` has it.
        let networks = NetKind::Dcgan.networks([1, 28, 28], 96, None);
        let TrainingBytes { weights, activations } = networks.training_bytes([1, 28, 28], 128);
        assert_eq!(weights, 16 * (1_102_721 + 6_675_009));
        let of_one = networks.training_bytes([1, 28, 28], 1).activations;
        assert!(activations == 128 * of_one && of_one > 8 * 3 * 28 * 28, "{of_one}");
        // What cannot be counted is as much as there is.
        let absurd = NetKind::Vanilla.networks([3, usize::MAX, 2], 96, None);
        assert_eq!(absurd.training_bytes([3, usize::MAX, 2], 2).weights, u64::MAX);
    }

    #[test]
    fn every_pair_fits_its_images_or_is_refused() {
        let latent = Latent { size: 7, distribution: LatentDistribution::Uniform { low: -1.0, high: 1.0 } };
        let image =
            |[channels, height, width]: [usize; 3]| Image { channels, height, width, low: -1.0, high: 1.0 };
        for shape in [[1, 28, 28], [3, 32, 32], [1, 16, 64], [3, 28, 20]] {
            for net in NetKind::ALL {
                net.fits(shape[1], shape[2]).unwrap();
                for classes in [None, Some(2), Some(10)] {
                    net.networks(shape, latent.size, classes).check(&latent, &image(shape), classes).unwrap();
                }
            }
        }
        for shape in [[1, 30, 28], [1, 28, 12], [1, 0, 0], [3, usize::MAX, usize::MAX]] {
            assert!(NetKind::Dcgan.fits(shape[1], shape[2]).unwrap_err().contains("multiples of 4"));
            assert!(
                NetKind::Dcgan
                    .networks(shape, latent.size, None)
                    .check(&latent, &image(shape), None)
                    .is_err()
            );
        }
        let cases = [
            ([1, 8, 8], None, None, "networks.generator makes [64], expected images of [1, 8, 9]"),
            ([1, 8, 9], None, Some(3), "networks.generator[0], Linear, is given [10], expected [7]"),
            ([1, 8, 9], Some(3), None, "networks.generator[0], Linear, is given [7], expected [10]"),
        ];
        for (shape, has, told, expected) in cases {
            let networks = NetKind::Vanilla.networks(shape, 7, has);
            let error = networks.check(&latent, &image([1, 8, 9]), told).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
        let networks = GanNetworks {
            discriminator: NetKind::Vanilla.discriminator([1, 8, 9], None),
            ..NetKind::Vanilla.networks([1, 8, 9], 7, Some(3))
        };
        let error = networks.check(&latent, &image([1, 8, 9]), Some(3)).unwrap_err();
        assert!(error.contains("networks.discriminator makes [1], expected 1 + 3"), "{error}");
    }
}
