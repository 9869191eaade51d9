//! The encoder f with the projection head g.

use std::fmt;

use latent_files::run::{Architecture, BlockKind, Stage, Stem};
use latent_runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};

use crate::nn::init::WeightInit::TorchDefault;
use crate::nn::{BatchNorm, Named, Network, Pass, ResNet};

pub use latent_files::run::Projection;

/// Which encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    /// ResNet-50: 23 500 352 parameters, 2048 features, 1.30 GMAC for 32x32 pixels.
    Resnet50,
    /// ResNet-18: 11 168 832 parameters, 512 features, 0.56 GMAC.
    Resnet18,
    /// Three stages of one block: 1 207 840 parameters, 256 features, 45 MMAC; for training on a CPU and for small devices.
    Small,
}

impl fmt::Display for EncoderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resnet50 => "resnet50",
            Self::Resnet18 => "resnet18",
            Self::Small => "small",
        })
    }
}

impl EncoderKind {
    /// The shape of f. The residual networks are torchvision's with a 3x3 stem of stride 1 and no pooling behind it.
    pub fn architecture(self) -> Architecture {
        use BlockKind::{Basic, Bottleneck};
        let (stem, block, stages): (usize, BlockKind, &[(usize, usize, usize)]) = match self {
            Self::Resnet50 => (64, Bottleneck, &[(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]),
            Self::Resnet18 => (64, Basic, &[(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]),
            // Full resolution costs most and is memory-bound on a CPU, so only the stem works at it.
            Self::Small => (32, Basic, &[(64, 1, 2), (128, 1, 2), (256, 1, 2)]),
        };
        let stage = |&(width, blocks, stride): &(usize, usize, usize)| Stage { block, width, blocks, stride };
        Architecture {
            stem: Stem { width: stem, kernel: 3, stride: 1 },
            stages: stages.iter().map(stage).collect(),
        }
    }
}

/// f and g: images to features h, and features to the projections on which the loss is computed.
#[derive(Debug)]
pub struct Encoder {
    f: ResNet,
    g: Network,
}

impl Encoder {
    /// New networks for images of this many channels; the weights of f are drawn first.
    pub fn new(
        architecture: &Architecture,
        projection: Projection,
        channels: usize,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let f = ResNet::new(architecture, channels, rng, device)?;
        let g = Network::build(&projection.layers(architecture.features()), |_| TorchDefault, rng, device)?;
        Ok(Self { f, g })
    }

    /// Features h of images (N, C, H, W): (N, F), not normalized, f32.
    pub fn features(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        self.f.forward(images, pass)
    }

    /// Projections g(h) of features (N, F): (N, P), not normalized, f32.
    pub fn project(&self, features: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        self.g.forward(features, pass)
    }

    /// Number of learned values of f and of g.
    pub fn parameter_counts(&self) -> (u64, u64) {
        (self.f.parameter_count(), self.g.parameter_count())
    }
}

/// Names with `f.` or `g.` before them.
fn both<T>(f: Vec<(String, T)>, g: Vec<(String, T)>) -> Vec<(String, T)> {
    let prefixed = |prefix: char, named: Vec<(String, T)>| {
        named.into_iter().map(move |(name, value)| (format!("{prefix}.{name}"), value))
    };
    prefixed('f', f).chain(prefixed('g', g)).collect()
}

impl Named for Encoder {
    fn parameters(&self) -> Vec<(String, Tensor)> {
        both(self.f.parameters(), self.g.parameters())
    }

    fn norms(&self) -> Vec<(String, &BatchNorm)> {
        both(self.f.norms(), self.g.norms())
    }
}
