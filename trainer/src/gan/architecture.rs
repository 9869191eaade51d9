//! The networks of the reference GANs, for any image size they extend to naturally.

use std::fmt;

use latent_files::run::{self, Image};
use latent_runtime::rng::Rng;
use tch::{Device, TchError};

use crate::nn::Network;
use crate::nn::init::WeightInit;

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

impl ImageShape {
    fn lengths(self) -> [usize; 3] {
        [self.channels, self.height, self.width].map(|n| usize::try_from(n).unwrap_or(0))
    }
}

/// Whether these networks can be built for images of this shape; the error is a sentence that says what would do.
pub fn check(net: NetKind, image: ImageShape) -> Result<(), String> {
    let [_, height, width] = image.lengths();
    net.fits(height, width)
        .map_err(|why| format!("{why}; resize them with --image-size, or use --net vanilla"))
}

/// The discriminator: images (N, C, H, W) in [-1, 1] to raw scores (N, 1); (N, 1 + `classes`) if it is conditional, see
/// [`condition::score`](super::condition::score).
pub fn discriminator(
    net: NetKind,
    image: ImageShape,
    classes: Option<usize>,
    rng: &mut Rng,
    device: Device,
) -> Result<Network, TchError> {
    Network::build(&net.discriminator(image.lengths(), classes), |layer| initial(net, layer), rng, device)
}

/// The generator: latent vectors (N, `latent`), with one-hot labels behind if it is conditional, to flat images (N, C·H·W) in
/// [-1, 1].
pub fn generator(
    net: NetKind,
    image: ImageShape,
    latent: i64,
    classes: Option<usize>,
    rng: &mut Rng,
    device: Device,
) -> Result<Network, TchError> {
    let latent = usize::try_from(latent).unwrap_or(0);
    Network::build(&net.generator(image.lengths(), latent, classes), |layer| initial(net, layer), rng, device)
}

/// How the notebook's weights start.
fn initial(net: NetKind, layer: &run::Layer) -> WeightInit {
    match (net, layer) {
        (NetKind::Vanilla, _) => WeightInit::TorchDefault,
        (_, run::Layer::Linear { .. } | run::Layer::ConvTranspose2d(_)) => WeightInit::XavierUniform,
        _ => WeightInit::TorchDefault,
    }
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
        for (net, d, g, hidden) in [
            (NetKind::Vanilla, 267_009, 1_952_528, 1024),
            (NetKind::Dcgan, 1_102_721, 6_675_009, 1024),
            (NetKind::DcganSmall, 1_102_721, 515_425, 192),
            (NetKind::DcganNano, 1_102_721, 128_385, 64),
        ] {
            let d_net = discriminator(net, MNIST, None, &mut rng, Device::Cpu).unwrap();
            let g_net = generator(net, MNIST, 96, None, &mut rng, Device::Cpu).unwrap();
            assert_eq!(d_net.parameter_count(), d, "{net} D");
            assert_eq!(g_net.parameter_count(), g, "{net} G");
            // A class adds a row of the last layer and a column of the first.
            let d_net = discriminator(net, MNIST, Some(10), &mut rng, Device::Cpu).unwrap();
            let g_net = generator(net, MNIST, 96, Some(10), &mut rng, Device::Cpu).unwrap();
            let width = if net == NetKind::Vanilla { 256 } else { 1024 };
            assert_eq!(d_net.parameter_count(), d + 10 * (width + 1), "{net} D of ten classes");
            assert_eq!(g_net.parameter_count(), g + 10 * hidden, "{net} G of ten classes");
        }
    }

    #[test]
    fn names_are_those_of_the_notebook() {
        let mut rng = Rng::from_seed(0);
        let names = |network: &Network| network.state().unwrap().into_keys().collect::<Vec<_>>().join(" ");
        let d = discriminator(NetKind::Dcgan, MNIST, None, &mut rng, Device::Cpu).unwrap();
        assert_eq!(names(&d), "1.bias 1.weight 10.bias 10.weight 4.bias 4.weight 8.bias 8.weight");
        let g = generator(NetKind::Dcgan, MNIST, 96, None, &mut rng, Device::Cpu).unwrap();
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
            for net in NetKind::ALL {
                check(net, image).unwrap();
                let g = generator(net, image, 7, None, &mut rng, Device::Cpu).unwrap();
                let d = discriminator(net, image, None, &mut rng, Device::Cpu).unwrap();
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
