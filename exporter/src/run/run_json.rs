//! `run.json`: what the trainer says of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RunError;

/// The newest `run.json` format this crate reads.
pub const FORMAT: u32 = 1;

// Sizes far above what the trainer makes: they only keep products of them inside usize.
const MAX_LATENT: usize = 1 << 16;
const MAX_CHANNELS: usize = 64;
const MAX_SIDE: usize = 1 << 12;

/// A form of `run.json`, for one kind of run.
pub trait Description: DeserializeOwned {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// Which value no run can have, and what was expected.
    fn check(&self) -> Result<(), String>;

    /// Reads and checks `path`.
    ///
    /// # Errors
    /// When the file is missing, is not JSON, was written in a newer format, or holds values that no run can have.
    fn read(path: &Path) -> Result<Self, RunError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(path).to_path_buf();
                return Err(if folder.exists() {
                    RunError::NotARun(folder)
                } else {
                    RunError::NoFolder(folder)
                });
            }
            Err(source) => return Err(RunError::Read { path: path.to_path_buf(), source }),
        };
        parse(&text).map_err(|reason| match reason {
            Reason::Json(source) => RunError::Json { path: path.to_path_buf(), source },
            Reason::NewerFormat(found) => RunError::NewerFormat { path: path.to_path_buf(), found },
            Reason::Value(what) => RunError::Value { path: path.to_path_buf(), what },
        })
    }
}

/// Reads a `run.json`.
pub(super) fn parse<J: Description>(text: &[u8]) -> Result<J, Reason> {
    // The version first: a newer file may lack or rename any other field.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(text).map_err(Reason::Json)?;
    if version.format > FORMAT {
        return Err(Reason::NewerFormat(version.format));
    }
    let run: J = serde_json::from_slice(text).map_err(Reason::Json)?;
    run.check().map_err(Reason::Value)?;
    Ok(run)
}

/// The fields of a GAN's `run.json` that an export needs. Fields not listed here are ignored, so that the trainer may
/// write more than we read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RunJson {
    /// Version of the file; at most [`FORMAT`].
    pub format: u32,
    /// What was trained: `gan`.
    pub kind: RunKind,
    /// How it was trained.
    #[serde(flatten)]
    pub training: Training,
    /// Which pair of networks was trained.
    pub net: Architecture,
    /// The noise that the generator was trained with.
    pub latent: Latent,
    /// The images that it makes.
    pub image: Image,
    /// The data it was trained on.
    pub data: Data,
}

/// What runs of every kind say of their training.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Training {
    /// The trainer's subcommand: `vanilla`, `lsgan`, `dcgan`, `simclr`.
    #[serde(default)]
    pub command: String,
    /// Version of the trainer that wrote the run.
    #[serde(default)]
    pub latent_version: String,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the loss: `bce`, `ls`, `hinge`, `wgan-gp`, `nt-xent`.
    pub loss: String,
    /// How far the run got.
    pub progress: Progress,
    /// Last figures of the training, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, serde_json::Value>,
}

/// What a run trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A generator and a discriminator.
    Gan,
    /// An encoder with a projection head, by contrast of views.
    Simclr,
}

impl RunKind {
    /// Reads what a `run.json` is of, and no more.
    pub(super) fn read(path: &Path) -> Result<RunKind, RunError> {
        #[derive(Deserialize)]
        struct Kind {
            kind: RunKind,
        }
        impl Description for Kind {
            fn check(&self) -> Result<(), String> {
                Ok(())
            }
        }
        Ok(Kind::read(path)?.kind)
    }
}

/// The network pairs of the reference (REFERENCE.md, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Fully connected generator and discriminator.
    Vanilla,
    /// Convolutional generator and discriminator.
    Dcgan,
}

impl Architecture {
    /// The name in `run.json` and in the metadata of a model.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Vanilla => "vanilla",
            Architecture::Dcgan => "dcgan",
        }
    }
}

/// The noise: how many values, from which distribution.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Latent {
    /// Values in one latent vector.
    pub size: usize,
    /// Where they are drawn from.
    #[serde(flatten)]
    pub distribution: Distribution,
}

/// A distribution with its two parameters.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "distribution", rename_all = "lowercase")]
pub enum Distribution {
    /// U(low, high).
    Uniform {
        /// Smallest value.
        low: f32,
        /// Largest value.
        high: f32,
    },
    /// N(mean, std^2).
    Normal {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        std: f32,
    },
}

/// Size and value range of the images.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Image {
    /// 1 for gray, 3 for color.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The network's value for black.
    pub low: f32,
    /// The network's value for white.
    pub high: f32,
}

/// The training data.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Data {
    /// Short name, such as `mnist`.
    pub name: String,
}

/// How far the training got.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Progress {
    /// Iterations done.
    pub iteration: u64,
    /// Epochs done, fractions included.
    #[serde(default)]
    pub epoch: f64,
}

impl From<Distribution> for latent_runtime::latent::Distribution {
    fn from(distribution: Distribution) -> Self {
        match distribution {
            Distribution::Uniform { low, high } => Self::Uniform { low, high },
            Distribution::Normal { mean, std } => Self::Normal { mean, std },
        }
    }
}

impl Description for RunJson {
    fn check(&self) -> Result<(), String> {
        check_image(&self.image)?;
        let size = self.latent.size;
        if size == 0 || size > MAX_LATENT {
            return Err(format!("latent.size is {size}, expected 1 to {MAX_LATENT}"));
        }
        let (a, b) = match self.latent.distribution {
            Distribution::Uniform { low, high } => (low, high),
            Distribution::Normal { mean, std } => (mean, std),
        };
        if !(a.is_finite() && b.is_finite()) {
            return Err("the latent distribution's parameters are not finite".into());
        }
        match self.latent.distribution {
            Distribution::Uniform { low, high } if low >= high => {
                return Err(format!("latent.low is {low} and latent.high {high}, expected low < high"));
            }
            Distribution::Normal { std, .. } if std <= 0.0 => {
                return Err(format!("latent.std is {std}, expected more than 0"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Checks size and value range of images.
pub(super) fn check_image(image: &Image) -> Result<(), String> {
    let &Image { channels, height, width, low, high } = image;
    for (name, value, most) in [
        ("image.channels", channels, MAX_CHANNELS),
        ("image.height", height, MAX_SIDE),
        ("image.width", width, MAX_SIDE),
    ] {
        if value == 0 || value > most {
            return Err(format!("{name} is {value}, expected 1 to {most}"));
        }
    }
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(format!(
            "image.low is {low} and image.high {high}, expected two finite values, low < high"
        ));
    }
    Ok(())
}

/// Why a text is no `run.json`, before the path is known.
#[derive(Debug)]
pub(super) enum Reason {
    Json(serde_json::Error),
    NewerFormat(u32),
    Value(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"format":1,"kind":"gan","command":"dcgan","latent_version":"0.1.0","libtorch":"2.11.0","seed":7,
        "net":"dcgan","loss":"bce","latent":{"size":96,"distribution":"uniform","low":-1.0,"high":1.0},
        "image":{"channels":1,"height":28,"width":28,"low":-1.0,"high":1.0},
        "data":{"name":"mnist","source":"mnist:DIR","images":50000},"hyperparameters":{"batch":128},
        "progress":{"iteration":1950,"iterations":1950,"epoch":5.0,"seconds":1.0,"finished":true,"stopped_by":null},
        "figures":{"d_loss":1.1,"g_loss":0.9},"diagnosis":[]}"#;

    #[test]
    fn reads_what_the_trainer_writes() {
        let run = parse::<RunJson>(GOOD.as_bytes()).unwrap();
        assert_eq!(run.net, Architecture::Dcgan);
        assert_eq!(run.latent.size, 96);
        assert_eq!(run.latent.distribution, Distribution::Uniform { low: -1.0, high: 1.0 });
        assert_eq!(run.training.progress.iteration, 1950);
        assert_eq!(run.training.figures["d_loss"], 1.1);
        let normal = GOOD.replace(r#""uniform","low":-1.0,"high":1.0"#, r#""normal","mean":0.0,"std":1.0"#);
        let run = parse::<RunJson>(normal.as_bytes()).unwrap();
        assert_eq!(run.latent.distribution, Distribution::Normal { mean: 0.0, std: 1.0 });
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("", "", "EOF"),
            (r#""format":1"#, r#""format":2"#, "NewerFormat(2)"),
            (r#""format":1,"#, "", "missing field `format`"),
            (r#""kind":"gan""#, r#""kind":"vae""#, "unknown variant `vae`, expected `gan` or `simclr`"),
            (r#""net":"dcgan""#, r#""net":"biggan""#, "unknown variant `biggan`"),
            (r#""size":96"#, r#""size":0"#, "latent.size is 0"),
            (r#""size":96"#, r#""size":18446744073709551615"#, "latent.size is 18446744073709551615"),
            (r#""height":28"#, r#""height":100000"#, "image.height is 100000"),
            (r#""uniform","low":-1.0"#, r#""uniform","low":1.0"#, "expected low < high"),
            (r#""distribution":"uniform","#, "", "distribution"),
        ];
        for (find, replace, expected) in cases {
            let text = if find.is_empty() { String::new() } else { GOOD.replacen(find, replace, 1) };
            let error = format!("{:?}", parse::<RunJson>(text.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{replace}: {error} does not say {expected}");
        }
    }
}
