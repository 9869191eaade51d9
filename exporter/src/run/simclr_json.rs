//! `run.json` of a SimCLR run.

use serde::Deserialize;

use super::run_json::check_image;
use super::{Data, Description, Image, RunKind, Training};

/// The fields of a SimCLR run's `run.json` that an export needs. Fields not listed here are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SimclrJson {
    /// Version of the file; at most [`super::FORMAT`].
    pub format: u32,
    /// What was trained: `simclr`.
    pub kind: RunKind,
    /// How it was trained.
    #[serde(flatten)]
    pub training: Training,
    /// The encoder's name: `small`, `resnet18`, `resnet50`.
    pub encoder: String,
    /// Values of a feature vector.
    pub features: usize,
    /// The encoder's first convolution.
    pub stem: Stem,
    /// The groups of residual blocks behind it.
    pub stages: Vec<Stage>,
    /// The projection head.
    pub projection: Projection,
    /// The images, before they are normalized.
    pub image: Image,
    /// What the encoder's input is normalized with.
    #[serde(alias = "normalisation")]
    pub normalization: Normalization,
    /// The loss's temperature.
    pub temperature: f64,
    /// The data it was trained on.
    pub data: Data,
}

/// The first convolution, with BatchNorm and ReLU behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Stem {
    /// Output channels.
    pub width: usize,
    /// Side of the kernel, odd; half of it is padding.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
}

/// Residual blocks one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Stage {
    /// What the blocks are made of.
    pub block: Block,
    /// Channels of the 3x3 convolutions.
    pub width: usize,
    /// How many blocks.
    pub blocks: usize,
    /// Step of the first block; the others have 1.
    pub stride: usize,
}

/// A kind of residual block, as in torchvision's ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1; the last has four times the channels.
    Bottleneck,
}

impl Block {
    /// Output channels for each channel of the 3x3 convolution.
    pub fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

/// The projection head: linear, BatchNorm, ReLU, linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Projection {
    /// Values between the two layers.
    pub hidden: usize,
    /// Values that come out.
    pub out: usize,
}

/// (x - mean) / std for each channel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Normalization {
    /// The means.
    pub mean: Vec<f32>,
    /// The standard deviations.
    pub std: Vec<f32>,
}

impl SimclrJson {
    /// Channels that the last stage puts out.
    fn outputs(&self) -> usize {
        self.stages.last().map_or(self.stem.width, |stage| stage.width * stage.block.expansion())
    }
}

impl Description for SimclrJson {
    fn check(&self) -> Result<(), String> {
        check_image(&self.image)?;
        // Far above what the trainer makes: only to keep products inside usize.
        const WIDTH: usize = 1 << 14;
        let mut sizes = vec![
            ("stem.width".to_string(), self.stem.width, WIDTH),
            ("stem.kernel".into(), self.stem.kernel, 63),
            ("stem.stride".into(), self.stem.stride, 63),
            ("projection.hidden".into(), self.projection.hidden, WIDTH),
            ("projection.out".into(), self.projection.out, WIDTH),
            ("the number of stages".into(), self.stages.len(), 16),
        ];
        for (at, stage) in self.stages.iter().enumerate() {
            sizes.push((format!("stages[{at}].width"), stage.width, WIDTH));
            sizes.push((format!("stages[{at}].blocks"), stage.blocks, 256));
            sizes.push((format!("stages[{at}].stride"), stage.stride, 63));
        }
        for (name, value, most) in sizes {
            if value == 0 || value > most {
                return Err(format!("{name} is {value}, expected 1 to {most}"));
            }
        }
        if self.stem.kernel.is_multiple_of(2) {
            return Err(format!("stem.kernel is {}, expected an odd number", self.stem.kernel));
        }
        if self.features != self.outputs() {
            return Err(format!(
                "features is {}, but the last stage has {} output channels",
                self.features,
                self.outputs()
            ));
        }
        let Normalization { mean, std } = &self.normalization;
        let channels = self.image.channels;
        if mean.len() != channels || std.len() != channels {
            return Err(format!(
                "normalization has {} means and {} deviations, expected one of each for {channels} channels",
                mean.len(),
                std.len()
            ));
        }
        if !mean.iter().all(|mean| mean.is_finite()) {
            return Err("normalization.mean holds a value that is not finite".into());
        }
        if let Some(std) = std.iter().find(|std| !(std.is_normal() && **std > 0.0)) {
            return Err(format!("normalization.std holds {std}, expected positive numbers"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_json::parse;
    use super::*;

    const GOOD: &str = r#"{"format":1,"kind":"simclr","command":"simclr","latent_version":"0.1.0","seed":3,
        "encoder":"small","features":128,"stem":{"width":32,"kernel":3,"stride":1},
        "stages":[{"block":"basic","width":64,"blocks":2,"stride":2},{"block":"bottleneck","width":32,"blocks":1,"stride":1}],
        "projection":{"hidden":512,"out":128},"image":{"channels":3,"height":32,"width":32,"low":0.0,"high":1.0},
        "normalization":{"mean":[0.4914,0.4822,0.4465],"std":[0.2023,0.1994,0.2010]},"loss":"nt-xent","temperature":0.5,
        "data":{"name":"cifar10"},"progress":{"iteration":10,"epoch":1.0},"figures":{"knn":0.5}}"#;

    #[test]
    fn reads_what_the_trainer_writes() {
        let run: SimclrJson = parse(GOOD.as_bytes()).unwrap();
        assert_eq!((run.kind, run.stages[1].block), (RunKind::Simclr, Block::Bottleneck));
        assert_eq!((run.outputs(), run.normalization.mean[2]), (128, 0.4465));
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            (r#""format":1"#, r#""format":2"#, "NewerFormat(2)"),
            (r#""block":"basic""#, r#""block":"dense""#, "unknown variant `dense`"),
            (r#""kernel":3"#, r#""kernel":4"#, "stem.kernel is 4, expected an odd number"),
            (r#""width":64"#, r#""width":0"#, "stages[0].width is 0"),
            (r#""blocks":1"#, r#""blocks":1000"#, "stages[1].blocks is 1000"),
            (r#""features":128"#, r#""features":512"#, "features is 512, but the last stage has 128"),
            (r#"0.4914,"#, "", "2 means and 3 deviations, expected one of each for 3 channels"),
            ("0.2023", "0.0", "normalization.std holds 0"),
            (r#""height":32"#, r#""height":0"#, "image.height is 0"),
            (r#""out":128"#, r#""out":0"#, "projection.out is 0"),
        ];
        for (find, replace, expected) in cases {
            let error =
                format!("{:?}", parse::<SimclrJson>(GOOD.replacen(find, replace, 1).as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{replace}: {error} does not say {expected}");
        }
    }
}
