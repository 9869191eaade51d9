//! `run.json` of a GAN.

use std::fmt;

use latent_runtime::latent::Distribution;
use serde::{Deserialize, Serialize};

use super::describe::{Description, RunOptions, training, within};
use super::{Data, Finding, GanNetworks, Image, Progress, QualityCheck, RunKind};

/// Values in a latent vector at most.
pub const MAX_LATENT: usize = 1 << 16;
/// Classes of a conditional GAN at most.
pub const MAX_CLASSES: usize = 1 << 16;

/// Configuration and status of a GAN's run; `O` is the trainer's options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GanRun<O = serde_json::Value> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// [`RunKind::Gan`].
    pub kind: RunKind,
    /// The command that started the run: `vanilla`, `lsgan` or `dcgan`.
    pub command: String,
    /// Version of the trainer.
    pub latent_version: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The networks.
    pub net: NetKind,
    /// Their layers. Runs of before 2026-12 do not say them: then they are those of `net`.
    #[serde(default)]
    pub networks: GanNetworks,
    /// Name of the losses: `bce`, `ls`, `hinge`, `wgan-gp`.
    pub loss: String,
    /// The generator's input.
    pub latent: Latent,
    /// The classes that both networks are told, if the GAN is conditional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The generator's output.
    pub image: Image,
    /// What was trained on.
    pub data: Data,
    /// Every option.
    pub hyperparameters: O,
    /// How far the run is.
    pub progress: Progress,
    /// What came out.
    pub figures: GanFigures,
    /// What is wrong with it.
    pub diagnosis: Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: String,
}

/// Which pair of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetKind {
    /// Fully connected.
    Vanilla,
    /// Convolutional.
    Dcgan,
    /// The same with a generator of a twelfth of the weights.
    DcganSmall,
    /// The same with a generator of a fiftieth of the weights.
    DcganNano,
}

impl NetKind {
    /// All of them.
    pub const ALL: [NetKind; 4] = [NetKind::Vanilla, NetKind::Dcgan, NetKind::DcganSmall, NetKind::DcganNano];

    /// The name in `run.json` and in the metadata of a model.
    pub fn name(self) -> &'static str {
        match self {
            NetKind::Vanilla => "vanilla",
            NetKind::Dcgan => "dcgan",
            NetKind::DcganSmall => "dcgan-small",
            NetKind::DcganNano => "dcgan-nano",
        }
    }
}

impl fmt::Display for NetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The noise: how many values, from which distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latent {
    /// Number of values.
    pub size: usize,
    /// What each is drawn from.
    #[serde(flatten)]
    pub distribution: LatentDistribution,
}

/// What latent values are drawn from, each independently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "lowercase")]
pub enum LatentDistribution {
    /// U(low, high).
    Uniform {
        /// The smallest value.
        low: f32,
        /// The bound above.
        high: f32,
    },
    /// N(mean, std²).
    Normal {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        std: f32,
    },
}

impl From<LatentDistribution> for Distribution {
    fn from(distribution: LatentDistribution) -> Self {
        match distribution {
            LatentDistribution::Uniform { low, high } => Self::Uniform { low, high },
            LatentDistribution::Normal { mean, std } => Self::Normal { mean, std },
        }
    }
}

impl Latent {
    /// Checks size and distribution.
    fn check(&self) -> Result<(), String> {
        within("latent.size", self.size, MAX_LATENT)?;
        let (a, b) = match self.distribution {
            LatentDistribution::Uniform { low, high } => (low, high),
            LatentDistribution::Normal { mean, std } => (mean, std),
        };
        if !(a.is_finite() && b.is_finite()) {
            return Err("the latent distribution's parameters are not finite".into());
        }
        match self.distribution {
            LatentDistribution::Uniform { low, high } if low >= high => {
                Err(format!("latent.low is {low} and latent.high {high}, expected low < high"))
            }
            LatentDistribution::Normal { std, .. } if std <= 0.0 => {
                Err(format!("latent.std is {std}, expected more than 0"))
            }
            _ => Ok(()),
        }
    }
}

/// The classes of a conditional GAN (Mirza & Osindero 2014). Their labels are the numbers from 0.
///
/// The generator takes a latent vector with the one-hot label appended. The discriminator puts out a score of the image
/// followed by one number for each class; the score of an image with its label is the first plus that of the label
/// ([`GanNetworks`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    /// How many there are, at least 2.
    pub count: usize,
    /// Their names in the order of their labels; none if they have no names.
    #[serde(default)]
    pub names: Vec<String>,
    /// CRC-32C of the labels of the training images, each as 4 bytes, little-endian.
    pub crc32c: u32,
}

impl Classes {
    /// Checks the count, and that there are as many names.
    pub(super) fn check(&self) -> Result<(), String> {
        let &Classes { count, ref names, .. } = self;
        if count < 2 {
            return Err(format!("classes.count is {count}, expected at least 2"));
        }
        within("classes.count", count, MAX_CLASSES)?;
        if !names.is_empty() && names.len() != count {
            return Err(format!(
                "classes.names has {} names, expected {count}, one for each class",
                names.len()
            ));
        }
        Ok(())
    }

    /// The class as people call it: its label, with its name where that says more.
    pub fn text(&self, label: usize) -> String {
        match self.names.get(label).filter(|name| **name != label.to_string()) {
            Some(name) => format!("{label} ({name})"),
            None => label.to_string(),
        }
    }

    /// The label that `text` means: a number from 0, or a name.
    ///
    /// # Errors
    /// A sentence that says which there are.
    pub fn label(&self, text: &str) -> Result<usize, String> {
        let label = match text.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < self.count),
            Err(_) => self.names.iter().position(|name| name == text),
        };
        label.ok_or_else(|| {
            let last = self.count.saturating_sub(1);
            let names = match self.names.as_slice() {
                [] => String::new(),
                [a, b, c, ..] if self.names.len() > 20 => format!(", or a name such as {a}, {b}, {c}"),
                names => format!(", or a name: {}", names.join(", ")),
            };
            format!("there is no class {text:?}: expected a number from 0 to {last}{names}")
        })
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GanFigures {
    /// The discriminator's loss, mean over the last 100 iterations.
    pub d_loss: Option<f64>,
    /// The generator's loss, mean over the last 100 iterations.
    pub g_loss: Option<f64>,
    /// The diversity of samples, as last measured.
    pub diversity: Option<f32>,
    /// The diversity of as many real images.
    pub data_diversity: Option<f32>,
    /// How good the images were when they were last judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityCheck>,
    /// When they were best, by Fréchet distance; that checkpoint is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<QualityCheck>,
    /// Speed of the last session.
    pub iterations_per_second: Option<f64>,
}

impl<O> GanRun<O> {
    /// How many classes the networks are told, if the GAN is conditional.
    pub fn class_count(&self) -> Option<usize> {
        self.classes.as_ref().map(|classes| classes.count)
    }
}

impl<O: RunOptions> Description for GanRun<O> {
    const KIND: RunKind = RunKind::Gan;

    fn complete(&mut self) {
        if self.networks == GanNetworks::default() {
            let shape = [self.image.channels, self.image.height, self.image.width];
            self.networks = self.net.networks(shape, self.latent.size, self.class_count());
        }
    }

    fn check(&self) -> Result<(), String> {
        self.image.check()?;
        self.latent.check()?;
        if let Some(classes) = &self.classes {
            classes.check()?;
        }
        self.networks.check(&self.latent, &self.image, self.class_count())?;
        self.hyperparameters.check()
    }

    fn best(&self) -> Option<u64> {
        self.figures.best.map(|best| best.iteration)
    }

    training!();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::{RunError, read};
    use super::*;

    const GOOD: &str = r#"{"format":1,"kind":"gan","command":"dcgan","latent_version":"0.1.0","libtorch":"2.11.0","seed":7,
        "net":"dcgan","loss":"bce","latent":{"size":96,"distribution":"uniform","low":-1.0,"high":1.0},
        "image":{"channels":1,"height":28,"width":28,"low":-1.0,"high":1.0},
        "data":{"name":"mnist","source":"mnist:DIR","images":50000,"crc32c":3},"hyperparameters":{"batch":128},
        "progress":{"iteration":1950,"iterations":1950,"epoch":5.0,"seconds":1.0,"finished":true,"stopped_by":null},
        "figures":{"d_loss":1.1,"g_loss":null,"diversity":0.729},"diagnosis":[],"verdict":"healthy"}"#;

    fn parse(text: &str) -> Result<GanRun, RunError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json"), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn the_best_checkpoint_is_taken_if_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let best = r#""best":{"iteration":10,"samples":100,"frechet":9.5,"kernel":0.1,"score":8.0,"class_divergence":null,
            "classes_covered":10,"confident":0.9,"precision":0.5,"recall":0.5,"density":0.5,"coverage":0.5},"d_loss""#;
        fs::write(folder.path().join("run.json"), GOOD.replace(r#""d_loss""#, best)).unwrap();
        let taken = || super::super::SavedRun::<GanRun>::open(folder.path()).unwrap().checkpoint.iteration;
        fs::create_dir_all(folder.path().join("checkpoints/00000020")).unwrap();
        assert_eq!(taken(), 20);
        fs::create_dir(folder.path().join("checkpoints/00000010")).unwrap();
        assert_eq!(taken(), 10);
    }

    #[test]
    fn reads_what_the_trainer_writes() {
        let run = parse(GOOD).unwrap();
        assert_eq!(run.net, NetKind::Dcgan);
        assert_eq!(run.latent.size, 96);
        assert_eq!(run.latent.distribution, LatentDistribution::Uniform { low: -1.0, high: 1.0 });
        let training = run.training();
        assert_eq!(training.progress.iteration, 1950);
        assert_eq!(training.figures["d_loss"], 1.1);
        // A number of 32 bits keeps its digits.
        assert_eq!(training.figures["diversity"].to_string(), "0.729");
        assert!(training.figures["g_loss"].is_null());
        let normal = GOOD.replace(r#""uniform","low":-1.0,"high":1.0"#, r#""normal","mean":0.0,"std":1.0"#);
        let run = parse(&normal).unwrap();
        assert_eq!(run.latent.distribution, LatentDistribution::Normal { mean: 0.0, std: 1.0 });
        // The layers that an old run does not list are those of its networks.
        assert_eq!(run.networks, NetKind::Dcgan.networks([1, 28, 28], 96, None));
        // Writing and reading again changes nothing, and what is not conditional says nothing of classes.
        let written = serde_json::to_string_pretty(&run).unwrap();
        assert_eq!(parse(&written).unwrap(), run);
        assert!(!written.contains("classes"), "{written}");
    }

    #[test]
    fn a_conditional_run_says_its_classes() {
        let classes = r#""classes":{"count":3,"names":["0","cat","7"],"crc32c":5},"image""#;
        let run = parse(&GOOD.replace(r#""image""#, classes)).unwrap();
        assert_eq!(run.class_count(), Some(3));
        assert_eq!(run.networks, NetKind::Dcgan.networks([1, 28, 28], 96, Some(3)));
        assert_eq!(parse(&serde_json::to_string(&run).unwrap()).unwrap(), run);
        let classes = run.classes.unwrap();
        assert_eq!([0, 1, 2].map(|label| classes.text(label)), ["0", "1 (cat)", "2 (7)"]);
        let cases =
            [("0", Some(0)), ("2", Some(2)), ("cat", Some(1)), ("7", None), ("dog", None), ("-1", None)];
        for (text, expected) in cases {
            let found = classes.label(text);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{text}: {found:?}");
            if let Err(error) = found {
                assert!(error.contains("from 0 to 2, or a name: 0, cat, 7"), "{error}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("", "", "EOF"),
            (r#""format":1"#, r#""format":2"#, "written in format 2"),
            (r#""format":1,"#, "", "missing field `format`"),
            (r#""kind":"gan","#, "", "missing field `kind`"),
            (r#""kind":"gan""#, r#""kind":"simclr""#, "a run of kind \"simclr\", expected \"gan\""),
            (r#""net":"dcgan""#, r#""net":"biggan""#, "unknown variant `biggan`"),
            (r#""size":96"#, r#""size":0"#, "latent.size is 0"),
            (r#""size":96"#, r#""size":18446744073709551615"#, "latent.size is 18446744073709551615"),
            (r#""height":28"#, r#""height":100000"#, "image.height is 100000"),
            (r#""uniform","low":-1.0"#, r#""uniform","low":1.0"#, "expected low < high"),
            (r#""distribution":"uniform","#, "", "distribution"),
            (
                r#""height":28,"width":28"#,
                r#""height":4096,"width":4096"#,
                "networks.generator has more than",
            ),
            (
                r#""loss""#,
                r#""networks":{"generator":[{"type":"Tanh"}],"discriminator":[]},"loss""#,
                "networks.generator makes [96], expected images of [1, 28, 28]",
            ),
            (r#""loss""#, r#""networks":{"generator":[{"type":"GRU"}],"discriminator":[]},"loss""#, "`GRU`"),
            (
                r#""loss""#,
                r#""classes":{"count":1,"crc32c":5},"loss""#,
                "classes.count is 1, expected at least 2",
            ),
            (
                r#""loss""#,
                r#""classes":{"count":99999,"crc32c":5},"loss""#,
                "classes.count is 99999, expected 1 to",
            ),
            (
                r#""loss""#,
                r#""classes":{"count":3,"names":["a"],"crc32c":5},"loss""#,
                "classes.names has 1 names",
            ),
        ];
        for (find, replace, expected) in cases {
            let text = if find.is_empty() { String::new() } else { GOOD.replacen(find, replace, 1) };
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{replace}: {error} does not say {expected}");
            assert!(error.contains("run.json"), "{error}");
        }
        let error = read::<GanRun>(Path::new("/nowhere/at all")).unwrap_err();
        assert!(matches!(error, RunError::NoFolder(_)), "{error}");
    }
}
