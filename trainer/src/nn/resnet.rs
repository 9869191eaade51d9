//! Residual networks for small images, with the parameter names of torchvision's.
//!
//! The network is that of He et al. 2015 as torchvision has it, but for the stem, one convolution without the pooling, and
//! without the last linear layer: the output is the mean over all pixels. Names are those of
//! `nn.Sequential(conv1, bn1, relu, layer1, layer2, ..., avgpool)`: `0.weight`, `1.bias`, `3.0.conv1.weight`, ...

use latent_runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::init;
use super::layer::{BatchNorm, Pass, channels_last};
use super::state::Named;

/// The first convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stem {
    /// Output channels.
    pub width: i64,
    /// Side of the square kernel; the padding is half of it, rounded down.
    pub kernel: i64,
    /// Distance of the pixels it is computed at.
    pub stride: i64,
}

/// What a block adds to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions, the last four times as wide.
    Bottleneck,
}

impl BlockKind {
    /// Output channels per channel of the 3x3 convolutions.
    pub fn expansion(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }

    /// Kernel sides of the convolutions; the first 3x3 one has the stride.
    fn kernels(self) -> &'static [i64] {
        match self {
            Self::Basic => &[3, 3],
            Self::Bottleneck => &[1, 3, 1],
        }
    }
}

/// Blocks at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The kind of all its blocks.
    pub block: BlockKind,
    /// Channels of the 3x3 convolutions.
    pub width: i64,
    /// Number of blocks.
    pub blocks: usize,
    /// Stride of the first.
    pub stride: i64,
}

impl Stage {
    /// Channels that leave it.
    pub fn outputs(&self) -> i64 {
        self.width * self.block.expansion()
    }
}

/// The shape of a residual network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// The first convolution.
    pub stem: Stem,
    /// What follows.
    pub stages: Vec<Stage>,
}

impl Architecture {
    /// Number of output values.
    pub fn features(&self) -> i64 {
        self.stages.last().map_or(self.stem.width, Stage::outputs)
    }

    /// Multiplications of the convolutions for one image of this height and width.
    pub fn multiplications(&self, channels: i64, height: i64, width: i64) -> u64 {
        let mut total = 0;
        self.each_conv(channels, (height, width), |inputs, outputs, kernel, (h, w)| {
            total += (inputs * outputs * kernel * kernel * h * w) as u64;
        });
        total
    }

    /// Number of learned values: convolutions, and scale and shift of each normalization.
    pub fn parameter_count(&self, channels: i64) -> u64 {
        let mut total = 0;
        self.each_conv(channels, (1, 1), |inputs, outputs, kernel, _| {
            total += (inputs * outputs * kernel * kernel + 2 * outputs) as u64;
        });
        total
    }

    /// Visits each convolution: its input and output channels, kernel and output size.
    fn each_conv(&self, channels: i64, size: (i64, i64), mut visit: impl FnMut(i64, i64, i64, (i64, i64))) {
        let smaller = |(h, w): (i64, i64), stride: i64| ((h - 1) / stride + 1, (w - 1) / stride + 1);
        let mut size = smaller(size, self.stem.stride);
        visit(channels, self.stem.width, self.stem.kernel, size);
        let mut inputs = self.stem.width;
        for stage in &self.stages {
            for block in 0..stage.blocks {
                let stride = if block == 0 { stage.stride } else { 1 };
                let after = smaller(size, stride);
                for conv in convs(stage, inputs, stride) {
                    visit(conv.inputs, conv.outputs, conv.kernel, if conv.before { size } else { after });
                }
                if has_shortcut(stage, inputs, stride) {
                    visit(inputs, stage.outputs(), 1, after);
                }
                (size, inputs) = (after, stage.outputs());
            }
        }
    }
}

/// One convolution of a block's body.
struct ConvShape {
    inputs: i64,
    outputs: i64,
    kernel: i64,
    stride: i64,
    /// Whether it works at the resolution before the stride.
    before: bool,
}

/// The convolutions of a block's body.
fn convs(stage: &Stage, inputs: i64, stride: i64) -> Vec<ConvShape> {
    let kernels = stage.block.kernels();
    let strided = kernels.iter().position(|kernel| *kernel == 3).unwrap_or(0);
    let mut inputs = inputs;
    let mut found = Vec::new();
    for (index, kernel) in kernels.iter().enumerate() {
        let outputs = if index + 1 == kernels.len() { stage.outputs() } else { stage.width };
        found.push(ConvShape {
            inputs,
            outputs,
            kernel: *kernel,
            stride: if index == strided { stride } else { 1 },
            before: index < strided,
        });
        inputs = outputs;
    }
    found
}

/// Whether the input of a block has to be brought to the shape of its output.
fn has_shortcut(stage: &Stage, inputs: i64, stride: i64) -> bool {
    stride != 1 || inputs != stage.outputs()
}

/// A convolution without bias, and the normalization behind it.
#[derive(Debug)]
struct ConvNorm {
    /// (out, in, k, k), channels last in memory.
    weight: Tensor,
    stride: i64,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(
        (inputs, outputs): (i64, i64),
        kernel: i64,
        stride: i64,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
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
        channels: i64,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let Stem { width, kernel, stride } = architecture.stem;
        let stem = ConvNorm::new((channels, width), kernel, stride, rng, device)?;
        let mut inputs = width;
        let mut stages = Vec::new();
        for stage in &architecture.stages {
            let mut blocks = Vec::new();
            for index in 0..stage.blocks {
                let stride = if index == 0 { stage.stride } else { 1 };
                let body = convs(stage, inputs, stride)
                    .into_iter()
                    .map(|c| ConvNorm::new((c.inputs, c.outputs), c.kernel, c.stride, rng, device))
                    .collect::<Result<_, _>>()?;
                let shortcut = if has_shortcut(stage, inputs, stride) {
                    Some(ConvNorm::new((inputs, stage.outputs()), 1, stride, rng, device)?)
                } else {
                    None
                };
                blocks.push(Block { body, shortcut });
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
        assert_eq!(architecture.features(), 8);
        let counted: u64 = network.parameters().iter().map(|(_, t)| t.numel() as u64).sum();
        assert_eq!(architecture.parameter_count(3), counted);
        // Odd sizes: 9 -> 9 -> 5.
        let multiplications = 81 * (27 * 4 + 2 * 36 * 4)
            + 81 * 4 * 2
            + 25 * (2 * 18 + 2 * 8 + 4 * 8)
            + 25 * (8 * 2 + 2 * 18 + 2 * 8);
        assert_eq!(architecture.multiplications(3, 9, 9), multiplications);
        let x = Tensor::randn([2, 3, 9, 9], (Kind::Float, Device::Cpu));
        for pass in [Pass::TRAIN, Pass::EVAL, Pass { bf16: true, ..Pass::TRAIN }] {
            let y = network.forward(&x, pass).unwrap();
            assert_eq!((y.size(), y.kind()), (vec![2, 8], Kind::Float));
        }
        assert_eq!(network.stem.norm.batches.get(), 2);
    }
}
