//! `run.json` of a SimCLR run.

use serde::{Deserialize, Serialize};

use super::describe::{Description, RunOptions, training, within};
use super::layers::check_layers;
use super::resnet::{Architecture, MAX_WIDTH, Stage, Stem};
use super::{Data, Finding, Image, Progress, RunKind};

/// Configuration and status of a SimCLR run; `O` is the trainer's options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimclrRun<O = serde_json::Value> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// [`RunKind::Simclr`].
    pub kind: RunKind,
    /// `simclr`.
    pub command: String,
    /// Version of the trainer.
    pub latent_version: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The encoder's name: `small`, `resnet18`, `resnet50`.
    pub encoder: String,
    /// Values that it gives for an image.
    pub features: usize,
    /// Its first convolution.
    pub stem: Stem,
    /// The groups of residual blocks behind it.
    pub stages: Vec<Stage>,
    /// The projection head.
    pub projection: Projection,
    /// Its input, before the normalization.
    pub image: Image,
    /// What the encoder's input is normalized by.
    #[serde(alias = "normalisation")]
    pub normalization: Normalization,
    /// `nt-xent`.
    pub loss: String,
    /// The temperature of the loss.
    pub temperature: f64,
    /// What was trained on.
    pub data: Data,
    /// Every option.
    pub hyperparameters: O,
    /// How far the run is.
    pub progress: Progress,
    /// What came out.
    pub figures: SimclrFigures,
    /// What is wrong with it.
    pub diagnosis: Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: String,
}

/// The projection head: linear, BatchNorm, ReLU, linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// Values between its two layers.
    pub hidden: usize,
    /// Values that leave it.
    pub out: usize,
}

impl Projection {
    /// That of the reference.
    pub const REFERENCE: Projection = Projection { hidden: 512, out: 128 };
}

/// (x - mean) / std for each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// The means.
    pub mean: Vec<f32>,
    /// The standard deviations.
    pub std: Vec<f32>,
}

impl Normalization {
    fn check(&self, channels: usize) -> Result<(), String> {
        let Normalization { mean, std } = self;
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
        match std.iter().find(|std| !(std.is_normal() && **std > 0.0)) {
            Some(std) => Err(format!("normalization.std holds {std}, expected positive numbers")),
            None => Ok(()),
        }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SimclrFigures {
    /// The loss, mean over the last 100 iterations.
    pub loss: Option<f64>,
    /// ln(2N-1), the loss of guessing.
    pub guessing: f64,
    /// The mean similarity of the two views of an image, over the last 100 iterations.
    pub positive: Option<f64>,
    /// The mean similarity of all embeddings, likewise.
    #[serde(rename = "likeness")]
    pub similarity: Option<f64>,
    /// Learned values of f.
    pub encoder_parameters: u64,
    /// Learned values of g.
    pub projection_parameters: u64,
    /// Multiplications of f for one image.
    pub multiplications: u64,
    /// The last check by nearest neighbors.
    pub knn: Option<Check>,
    /// The best one; its checkpoint is kept.
    pub best: Option<Check>,
    /// Speed of the last session.
    pub iterations_per_second: Option<f64>,
}

/// A check by nearest neighbors during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The iteration after which it was made.
    pub iteration: u64,
    /// What it gave.
    #[serde(flatten)]
    pub accuracy: Accuracy,
}

/// Part of the queries whose class is the first, or among the first five, of those predicted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The first is right.
    pub top1: f64,
    /// One of the first five is right.
    pub top5: f64,
}

impl<O> SimclrRun<O> {
    /// The shape of the encoder.
    pub fn architecture(&self) -> Architecture {
        Architecture { stem: self.stem, stages: self.stages.clone() }
    }
}

impl<O: RunOptions> Description for SimclrRun<O> {
    const KIND: RunKind = RunKind::Simclr;

    fn check(&self) -> Result<(), String> {
        self.image.check()?;
        let architecture = self.architecture();
        architecture.check()?;
        within("projection.hidden", self.projection.hidden, MAX_WIDTH)?;
        within("projection.out", self.projection.out, MAX_WIDTH)?;
        let Image { channels, height, width, .. } = self.image;
        check_layers("the encoder", &architecture.layers(channels), &[channels, height, width])?;
        if self.features != architecture.features() {
            return Err(format!(
                "features is {}, but the last stage has {} output channels",
                self.features,
                architecture.features()
            ));
        }
        self.normalization.check(self.image.channels)?;
        self.hyperparameters.check()
    }

    training!();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{BlockKind, RunError, read};
    use super::*;

    const GOOD: &str = r#"{"format":1,"kind":"simclr","command":"simclr","latent_version":"0.1.0","libtorch":"2.11.0","seed":3,
        "encoder":"small","features":128,"stem":{"width":32,"kernel":3,"stride":1},
        "stages":[{"block":"basic","width":64,"blocks":2,"stride":2},{"block":"bottleneck","width":32,"blocks":1,"stride":1}],
        "projection":{"hidden":512,"out":128},"image":{"channels":3,"height":32,"width":32,"low":0.0,"high":1.0},
        "normalization":{"mean":[0.4914,0.4822,0.4465],"std":[0.2023,0.1994,0.2010]},"loss":"nt-xent","temperature":0.5,
        "data":{"name":"cifar10","source":"cifar10:DIR","images":50000,"crc32c":3},"hyperparameters":{"batch":256},
        "progress":{"iteration":10,"iterations":20,"epoch":1.0,"seconds":9.5,"finished":false,"stopped_by":"interrupted"},
        "figures":{"loss":null,"guessing":6.2,"encoder_parameters":9,"projection_parameters":5,"multiplications":7,"knn":{"iteration":10,"top1":0.5,"top5":0.9}},"diagnosis":[],"verdict":""}"#;

    fn parse(text: &str) -> Result<SimclrRun, RunError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json"), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn reads_what_the_trainer_writes() {
        let run = parse(GOOD).unwrap();
        assert_eq!(run.training().figures["knn"]["top1"], 0.5);
        assert_eq!(
            parse(&GOOD.replace("normalization", "normalisation")).unwrap(),
            run,
            "as it was once called"
        );
        assert_eq!(parse(&serde_json::to_string_pretty(&run).unwrap()).unwrap(), run);
        assert_eq!((run.kind, run.stages[1].block), (RunKind::Simclr, BlockKind::Bottleneck));
        assert_eq!((run.architecture().features(), run.normalization.mean[2]), (128, 0.4465));
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            (r#""format":1"#, r#""format":2"#, "written in format 2"),
            (r#""block":"basic""#, r#""block":"dense""#, "unknown variant `dense`"),
            (r#""kernel":3"#, r#""kernel":4"#, "stem.kernel is 4, expected an odd number"),
            (r#""width":64"#, r#""width":0"#, "stages[0].width is 0"),
            (r#""blocks":1"#, r#""blocks":1000"#, "stages[1].blocks is 1000"),
            (r#""features":128"#, r#""features":512"#, "features is 512, but the last stage has 128"),
            (r#"0.4914,"#, "", "2 means and 3 deviations, expected one of each for 3 channels"),
            ("0.2023", "0.0", "normalization.std holds 0"),
            (r#""height":32"#, r#""height":0"#, "image.height is 0"),
            (
                r#""width":64,"blocks":2"#,
                r#""width":16384,"blocks":2"#,
                "the encoder has more than 1073741824 weights",
            ),
            (r#""out":128"#, r#""out":0"#, "projection.out is 0"),
        ];
        for (find, replace, expected) in cases {
            let error = parse(&GOOD.replacen(find, replace, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{replace}: {error} does not say {expected}");
        }
    }
}
