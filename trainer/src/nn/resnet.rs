//! Residual networks for small images, with the parameter names of torchvision's; [`Architecture`] gives their shape.

use latent_files::run::{Architecture, ConvShape, Stem};
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::init;
use super::layer::{BatchNorm, Pass, channels_last};
use super::state::Named;

/// A convolution without bias, and the normalization behind it.
#[derive(Debug)]
struct ConvNorm {
    /// (out, in, k, k), channels last in memory.
    weight: Tensor,
    stride: i64,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(shape: ConvShape, rng: &mut Rng, device: Device) -> Result<Self, TchError> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let [inputs, outputs, kernel, stride] = [inputs, outputs, kernel, stride].map(|n| n as i64);
        let weight = channels_last(&init::kaiming_normal(rng, &[outputs, inputs, kernel, kernel], device)?)?;
        Ok(Self { weight, stride, norm: BatchNorm::new(outputs, device)? })
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let padding = self.weight.size()[2] / 2;
        let weight = self.weight.f_to_kind(pass.kind())?;
        let y = x.f_conv2d(&weight, None::<&Tensor>, self.stride, padding, 1, 1)?;
        self.norm.forward(&y, pass)
    }
}

#[derive(Debug)]
struct Block {
    body: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn forward(&self, x: Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut y = x.shallow_clone();
        for (index, conv) in self.body.iter().enumerate() {
            y = conv.forward(&y, pass)?;
            if index + 1 < self.body.len() {
                y = y.f_relu_()?;
            }
        }
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(&x, pass)?,
            None => x,
        };
        y.f_add_(&shortcut)?.f_relu_()
    }
}

/// A residual network that ends in the mean over all pixels.
#[derive(Debug)]
pub struct ResNet {
    architecture: Architecture,
    stem: ConvNorm,
    stages: Vec<Vec<Block>>,
}

impl ResNet {
    /// A network for images of this many channels. The convolutions' weights are drawn by [`init::kaiming_normal`], in the order
    /// of [`parameters`](Named::parameters).
    pub fn new(
        architecture: &Architecture,
        channels: usize,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let Stem { width, kernel, stride } = architecture.stem;
        let stem = ConvShape { inputs: channels, outputs: width, kernel, stride };
        let stem = ConvNorm::new(stem, rng, device)?;
        let mut inputs = width;
        let mut stages = Vec::new();
        for stage in &architecture.stages {
            let mut blocks = Vec::new();
            for index in 0..stage.blocks {
                let shape = stage.block(index, inputs);
                let mut new = |conv| ConvNorm::new(conv, rng, device);
                blocks.push(Block {
                    body: shape.body.into_iter().map(&mut new).collect::<Result<_, _>>()?,
                    shortcut: shape.shortcut.map(new).transpose()?,
                });
                inputs = stage.outputs();
            }
            stages.push(blocks);
        }
        let network = Self { architecture: architecture.clone(), stem, stages };
        for (_, parameter) in network.parameters() {
            let _ = parameter.f_set_requires_grad(true)?;
        }
        Ok(network)
    }

    /// Its shape.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Images (N, C, H, W) to features (N, F), not normalized.
    pub fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut x = self.stem.forward(&images.f_to_kind(pass.kind())?, pass)?.f_relu_()?;
        for block in self.stages.iter().flatten() {
            x = block.forward(x, pass)?;
        }
        x.f_mean_dim(&[2i64, 3][..], false, Kind::Float)
    }

    /// Each convolution with its own name and that of its normalization.
    fn convs(&self) -> Vec<(String, String, &ConvNorm)> {
        let mut found = vec![("0".to_owned(), "1".to_owned(), &self.stem)];
        for (stage, blocks) in self.stages.iter().enumerate() {
            for (index, block) in blocks.iter().enumerate() {
                let name = format!("{}.{index}", 3 + stage);
                for (number, conv) in block.body.iter().enumerate() {
                    let number = number + 1;
                    found.push((format!("{name}.conv{number}"), format!("{name}.bn{number}"), conv));
                }
                if let Some(conv) = &block.shortcut {
                    found.push((format!("{name}.downsample.0"), format!("{name}.downsample.1"), conv));
                }
            }
        }
        found
    }
}

impl Named for ResNet {
    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut found = Vec::new();
        for (conv, norm, layer) in self.convs() {
            found.push((format!("{conv}.weight"), layer.weight.shallow_clone()));
            found.push((format!("{norm}.weight"), layer.norm.weight.shallow_clone()));
            found.push((format!("{norm}.bias"), layer.norm.bias.shallow_clone()));
        }
        found
    }

    fn norms(&self) -> Vec<(String, &BatchNorm)> {
        self.convs().into_iter().map(|(_, norm, layer)| (norm, &layer.norm)).collect()
    }
}

#[cfg(test)]
mod tests {
    use latent_files::run::{BlockKind, Stage};

    use super::*;

    #[test]
    fn names_and_shapes_are_torchvisions() {
        let architecture = Architecture {
            stem: Stem { width: 4, kernel: 3, stride: 1 },
            stages: vec![
                Stage { block: BlockKind::Basic, width: 4, blocks: 1, stride: 1 },
                Stage { block: BlockKind::Bottleneck, width: 2, blocks: 2, stride: 2 },
            ],
        };
        let network = ResNet::new(&architecture, 3, &mut Rng::from_seed(1), Device::Cpu).unwrap();
        let found: Vec<String> = network
            .parameters()
            .into_iter()
            .filter(|(name, _)| !name.contains("bn"))
            .map(|(name, t)| format!("{name} {:?}", t.size()))
            .collect();
        assert_eq!(
            found,
            [
                "0.weight [4, 3, 3, 3]",
                "1.weight [4]",
                "1.bias [4]",
                "3.0.conv1.weight [4, 4, 3, 3]",
                "3.0.conv2.weight [4, 4, 3, 3]",
                "4.0.conv1.weight [2, 4, 1, 1]",
                "4.0.conv2.weight [2, 2, 3, 3]",
                "4.0.conv3.weight [8, 2, 1, 1]",
                "4.0.downsample.0.weight [8, 4, 1, 1]",
                "4.0.downsample.1.weight [8]",
                "4.0.downsample.1.bias [8]",
                "4.1.conv1.weight [2, 8, 1, 1]",
                "4.1.conv2.weight [2, 2, 3, 3]",
                "4.1.conv3.weight [8, 2, 1, 1]",
            ]
        );
        let counted: u64 = network.parameters().iter().map(|(_, t)| t.numel() as u64).sum();
        assert_eq!(architecture.parameter_count(3), counted);
        let x = Tensor::randn([2, 3, 9, 9], (Kind::Float, Device::Cpu));
        for pass in [Pass::TRAIN, Pass::EVAL, Pass { bf16: true, ..Pass::TRAIN }] {
            let y = network.forward(&x, pass).unwrap();
            assert_eq!((y.size(), y.kind()), (vec![2, 8], Kind::Float));
        }
        assert_eq!(network.stem.norm.batches.get(), 2);
    }
}
