//! The shape of a residual network for small images.
//!
//! The network is that of He et al. 2015 as torchvision has it, but for the stem, one convolution without the pooling, and
//! without the last linear layer: the output is the mean over all pixels. Names are those of
//! `nn.Sequential(conv1, bn1, relu, layer1, layer2, ..., avgpool)`: `0.weight`, `1.bias`, `3.0.conv1.weight`, ...

use serde::{Deserialize, Serialize};

use super::describe::within;

/// Channels and features at most.
pub(super) const MAX_WIDTH: usize = 1 << 14;
/// Stages at most.
const MAX_STAGES: usize = 16;
/// Blocks in a stage at most.
const MAX_BLOCKS: usize = 256;
/// Sides of kernels and strides at most.
const MAX_KERNEL: usize = 63;

/// The first convolution, with BatchNorm and ReLU behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stem {
    /// Output channels.
    pub width: usize,
    /// Side of the square kernel, odd; the padding is half of it, rounded down.
    pub kernel: usize,
    /// Distance of the pixels it is computed at.
    pub stride: usize,
}

/// Residual blocks at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The kind of all its blocks.
    pub block: BlockKind,
    /// Channels of the 3x3 convolutions.
    pub width: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Stride of the first; the others have 1.
    pub stride: usize,
}

impl Stage {
    /// Channels that leave it.
    pub fn outputs(&self) -> usize {
        self.width.saturating_mul(self.block.expansion())
    }

    /// Checks every size; messages begin with `name`.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        within(&format!("{name}.width"), self.width, MAX_WIDTH)?;
        within(&format!("{name}.blocks"), self.blocks, MAX_BLOCKS)?;
        within(&format!("{name}.stride"), self.stride, MAX_KERNEL)
    }

    /// Learned values for an input of this many channels.
    pub(super) fn parameters(&self, inputs: usize) -> u64 {
        let block = |index| {
            let Block { body, shortcut } =
                self.block(index, if index == 0 { inputs } else { self.outputs() });
            body.iter().chain(&shortcut).fold(0, |sum: u64, conv| sum.saturating_add(conv.parameters()))
        };
        // All blocks but the first are alike.
        block(0).saturating_add(block(1).saturating_mul(self.blocks.saturating_sub(1) as u64))
    }

    /// Its block number `index`, whose input has this many channels.
    pub fn block(&self, index: usize, inputs: usize) -> Block {
        let stride = if index == 0 { self.stride } else { 1 };
        let kernels = self.block.kernels();
        let strided = kernels.iter().position(|kernel| *kernel == 3);
        let mut before = inputs;
        let mut body = Vec::new();
        for (at, &kernel) in kernels.iter().enumerate() {
            let outputs = if at + 1 == kernels.len() { self.outputs() } else { self.width };
            let stride = if Some(at) == strided { stride } else { 1 };
            body.push(ConvShape { inputs: before, outputs, kernel, stride });
            before = outputs;
        }
        let outputs = self.outputs();
        let differs = stride != 1 || inputs != outputs;
        Block { body, shortcut: differs.then_some(ConvShape { inputs, outputs, kernel: 1, stride }) }
    }
}

/// A residual block: its convolutions, each with BatchNorm behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// One behind the other, with ReLU between them.
    pub body: Vec<ConvShape>,
    /// What brings the input to the shape of the output, where they differ.
    pub shortcut: Option<ConvShape>,
}

/// A square convolution without bias, padded by half its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Distance of the pixels it is computed at.
    pub stride: usize,
}

impl ConvShape {
    /// Learned values, with the scale and shift of the normalization behind it.
    fn parameters(&self) -> u64 {
        self.weights().saturating_add(2 * self.outputs as u64)
    }

    fn weights(&self) -> u64 {
        [self.outputs, self.kernel, self.kernel]
            .iter()
            .fold(self.inputs as u64, |product, &n| product.saturating_mul(n as u64))
    }
}

/// What a block adds to its input, as in torchvision's ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions, the last four times as wide.
    Bottleneck,
}

impl BlockKind {
    /// Output channels for each channel of the 3x3 convolutions.
    pub fn expansion(self) -> usize {
        match self {
            BlockKind::Basic => 1,
            BlockKind::Bottleneck => 4,
        }
    }

    /// Kernel sides of the convolutions; the first 3x3 one has the stride.
    fn kernels(self) -> &'static [usize] {
        match self {
            BlockKind::Basic => &[3, 3],
            BlockKind::Bottleneck => &[1, 3, 1],
        }
    }
}

/// The shape of a residual network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// The first convolution.
    pub stem: Stem,
    /// What follows.
    pub stages: Vec<Stage>,
}

impl Architecture {
    /// Number of output values.
    pub fn features(&self) -> usize {
        self.stages.last().map_or(self.stem.width, Stage::outputs)
    }

    /// Multiplications of the convolutions for one image of this height and width.
    pub fn multiplications(&self, channels: usize, height: usize, width: usize) -> u64 {
        let mut total: u64 = 0;
        self.each_conv(channels, (height, width), |conv, (height, width)| {
            let pixels = (height as u64).saturating_mul(width as u64);
            total = total.saturating_add(conv.weights().saturating_mul(pixels));
        });
        total
    }

    /// Number of learned values: convolutions, and scale and shift of each normalization.
    pub fn parameter_count(&self, channels: usize) -> u64 {
        let mut total: u64 = 0;
        self.each_conv(channels, (1, 1), |conv, _| {
            total = total.saturating_add(conv.parameters());
        });
        total
    }

    /// Visits each convolution with the size of its output.
    fn each_conv(
        &self,
        channels: usize,
        size: (usize, usize),
        mut visit: impl FnMut(&ConvShape, (usize, usize)),
    ) {
        let after = |(h, w): (usize, usize), conv: &ConvShape| {
            (h.saturating_sub(1) / conv.stride + 1, w.saturating_sub(1) / conv.stride + 1)
        };
        let Stem { width, kernel, stride } = self.stem;
        let stem = ConvShape { inputs: channels, outputs: width, kernel, stride };
        let (mut inputs, mut size) = (width, after(size, &stem));
        visit(&stem, size);
        for stage in &self.stages {
            for index in 0..stage.blocks {
                let block = stage.block(index, inputs);
                if let Some(shortcut) = &block.shortcut {
                    visit(shortcut, after(size, shortcut));
                }
                for conv in &block.body {
                    size = after(size, conv);
                    visit(conv, size);
                }
                inputs = stage.outputs();
            }
        }
    }

    /// Checks every size.
    pub(super) fn check(&self) -> Result<(), String> {
        let Stem { width, kernel, stride } = self.stem;
        within("stem.width", width, MAX_WIDTH)?;
        within("stem.kernel", kernel, MAX_KERNEL)?;
        within("stem.stride", stride, MAX_KERNEL)?;
        if kernel.is_multiple_of(2) {
            return Err(format!("stem.kernel is {kernel}, expected an odd number"));
        }
        within("the number of stages", self.stages.len(), MAX_STAGES)?;
        for (at, stage) in self.stages.iter().enumerate() {
            stage.check(&format!("stages[{at}]"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplications_and_parameters_are_counted() {
        let architecture = Architecture {
            stem: Stem { width: 4, kernel: 3, stride: 1 },
            stages: vec![
                Stage { block: BlockKind::Basic, width: 4, blocks: 1, stride: 1 },
                Stage { block: BlockKind::Bottleneck, width: 2, blocks: 2, stride: 2 },
            ],
        };
        assert_eq!(architecture.features(), 8);
        // Odd sizes: 9 -> 9 -> 5. A bottleneck's first convolution works before its stride.
        let multiplications = 81 * (27 * 4 + 2 * 36 * 4)
            + 81 * 4 * 2
            + 25 * (2 * 18 + 2 * 8 + 4 * 8)
            + 25 * (8 * 2 + 2 * 18 + 2 * 8);
        assert_eq!(architecture.multiplications(3, 9, 9), multiplications);
        let absurd = Stage { block: BlockKind::Bottleneck, width: 1 << 40, blocks: 3, stride: 1 };
        let absurd = Architecture { stages: vec![absurd], ..architecture };
        assert_eq!(absurd.parameter_count(3), u64::MAX, "no overflow");
    }
}
