//! The networks of the reference GANs, for any image size they extend to naturally.

use std::fmt;

use latent_files::run::Image;
use latent_runtime::rng::Rng;
use tch::{Device, TchError};

use crate::nn::init::WeightInit::{TorchDefault, XavierUniform};
use crate::nn::{BatchNorm, Conv2d, ConvTranspose2d, Layer, Linear, Network};

pub use latent_files::run::NetKind;

/// Channels, height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// 1 for gray, 3 for color.
    pub channels: i64,
    /// Pixels from top to bottom.
    pub height: i64,
    /// Pixels from left to right.
    pub width: i64,
}

impl From<Image> for ImageShape {
    fn from(image: Image) -> Self {
        let side = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Self { channels: side(image.channels), height: side(image.height), width: side(image.width) }
    }
}

impl ImageShape {
    /// Values in one image.
    pub fn values(self) -> i64 {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Whether these networks can be built for images of this shape; the error is a sentence that says what would do.
pub fn check(net: NetKind, image: ImageShape) -> Result<(), String> {
    let sides = [image.height, image.width];
    match net {
        NetKind::Dcgan if sides.iter().any(|side| side % 4 != 0 || *side < 16) => Err(format!(
            "the dcgan networks need images whose height and width are multiples of 4 and at least 16, these are \
             {}x{}; resize them with --image-size, or use --net vanilla",
            image.height, image.width
        )),
        _ => Ok(()),
    }
}

/// The discriminator: images (N, C, H, W) in [-1, 1] to raw scores (N, 1).
pub fn discriminator(
    net: NetKind,
    image: ImageShape,
    rng: &mut Rng,
    device: Device,
) -> Result<Network, TchError> {
    let ImageShape { channels, height, width } = image;
    let mut linear = |i, o, init| Linear::new(i, o, init, rng, device).map(Layer::Linear);
    let layers = match net {
        NetKind::Vanilla => vec![
            Layer::Flatten,
            linear(image.values(), 256, TorchDefault)?,
            Layer::LeakyRelu,
            linear(256, 256, TorchDefault)?,
            Layer::LeakyRelu,
            linear(256, 1, TorchDefault)?,
        ],
        NetKind::Dcgan => {
            // A 5x5 convolution without padding takes 4 pixels, the pooling halves.
            let after = |side: i64| ((side - 4) / 2 - 4) / 2;
            let features = 64 * after(height) * after(width);
            let conv =
                |i, o, rng: &mut Rng| Conv2d::new(i, o, 5, TorchDefault, rng, device).map(Layer::Conv2d);
            vec![
                Layer::Unflatten([channels, height, width]),
                conv(channels, 32, rng)?,
                Layer::LeakyRelu,
                Layer::MaxPool2,
                conv(32, 64, rng)?,
                Layer::LeakyRelu,
                Layer::MaxPool2,
                Layer::Flatten,
                Layer::Linear(Linear::new(features, 1024, XavierUniform, rng, device)?),
                Layer::LeakyRelu,
                Layer::Linear(Linear::new(1024, 1, XavierUniform, rng, device)?),
            ]
        }
    };
    Network::new(layers)
}

/// The generator: latent vectors (N, `latent`) to flat images (N, C·H·W) in [-1, 1].
pub fn generator(
    net: NetKind,
    image: ImageShape,
    latent: i64,
    rng: &mut Rng,
    device: Device,
) -> Result<Network, TchError> {
    let linear = |i, o, init, rng: &mut Rng| Linear::new(i, o, init, rng, device).map(Layer::Linear);
    let layers = match net {
        NetKind::Vanilla => vec![
            linear(latent, 1024, TorchDefault, rng)?,
            Layer::Relu,
            linear(1024, 1024, TorchDefault, rng)?,
            Layer::Relu,
            linear(1024, image.values(), TorchDefault, rng)?,
            Layer::Tanh,
        ],
        NetKind::Dcgan => {
            let (h, w) = (image.height / 4, image.width / 4);
            let norm = |features| BatchNorm::new(features, device).map(Layer::BatchNorm);
            let up = |i, o, rng: &mut Rng| {
                ConvTranspose2d::new(i, o, XavierUniform, rng, device).map(Layer::ConvTranspose2d)
            };
            vec![
                linear(latent, 1024, XavierUniform, rng)?,
                Layer::Relu,
                norm(1024)?,
                linear(1024, 128 * h * w, XavierUniform, rng)?,
                Layer::Relu,
                norm(128 * h * w)?,
                Layer::Unflatten([128, h, w]),
                up(128, 64, rng)?,
                Layer::Relu,
                norm(64)?,
                up(64, image.channels, rng)?,
                Layer::Tanh,
                Layer::Flatten,
            ]
        }
    };
    Network::new(layers)
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;
    use crate::nn::Named;
    use crate::nn::Pass;

    const MNIST: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

    #[test]
    fn parameter_counts_are_those_of_the_reference() {
        let mut rng = Rng::from_seed(0);
        for (net, d, g) in [(NetKind::Vanilla, 267_009, 1_952_528), (NetKind::Dcgan, 1_102_721, 6_675_009)] {
            let d_net = discriminator(net, MNIST, &mut rng, Device::Cpu).unwrap();
            let g_net = generator(net, MNIST, 96, &mut rng, Device::Cpu).unwrap();
            assert_eq!(d_net.parameter_count(), d, "{net} D");
            assert_eq!(g_net.parameter_count(), g, "{net} G");
        }
    }

    #[test]
    fn names_are_those_of_the_notebook() {
        let mut rng = Rng::from_seed(0);
        let names = |network: &Network| network.state().unwrap().into_keys().collect::<Vec<_>>().join(" ");
        let d = discriminator(NetKind::Dcgan, MNIST, &mut rng, Device::Cpu).unwrap();
        assert_eq!(names(&d), "1.bias 1.weight 10.bias 10.weight 4.bias 4.weight 8.bias 8.weight");
        let g = generator(NetKind::Dcgan, MNIST, 96, &mut rng, Device::Cpu).unwrap();
        let norm =
            |i| format!("{i}.bias {i}.num_batches_tracked {i}.running_mean {i}.running_var {i}.weight");
        let expected = format!(
            "0.bias 0.weight 10.bias 10.weight {} 3.bias 3.weight {} 7.bias 7.weight {}",
            norm(2),
            norm(5),
            norm(9)
        );
        assert_eq!(names(&g), expected);
    }

    #[test]
    fn other_image_shapes_work_or_are_refused() {
        let mut rng = Rng::from_seed(0);
        for (c, h, w) in [(3, 32, 32), (1, 16, 64), (3, 28, 20)] {
            let image = ImageShape { channels: c, height: h, width: w };
            for net in [NetKind::Vanilla, NetKind::Dcgan] {
                check(net, image).unwrap();
                let g = generator(net, image, 7, &mut rng, Device::Cpu).unwrap();
                let d = discriminator(net, image, &mut rng, Device::Cpu).unwrap();
                let z = Tensor::zeros([2, 7], (Kind::Float, Device::Cpu));
                let x = g.forward(&z, Pass::TRAIN).unwrap();
                assert_eq!(x.size(), [2, c * h * w]);
                assert_eq!(d.forward(&x.view([2, c, h, w]), Pass::TRAIN).unwrap().size(), [2, 1]);
            }
        }
        for (h, w) in [(30, 28), (28, 12), (0, 0)] {
            let message = check(NetKind::Dcgan, ImageShape { channels: 1, height: h, width: w }).unwrap_err();
            assert!(message.contains("multiples of 4") && message.contains("--net vanilla"), "{message}");
        }
    }
}
