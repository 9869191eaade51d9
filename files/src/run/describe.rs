//! What `run.json` says of runs of every kind, and how it is read and checked.

use std::fmt;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{FORMAT, RUN_JSON, RunError};
use crate::regular;

/// The largest `run.json` or `state.json` that is read, in bytes.
pub(super) const MAX_JSON: u64 = 64 << 20;

/// Channels of an image at most. The bounds of sizes are far above what the trainer makes: they keep their products in
/// 64 bits, and memory in reach.
pub const MAX_CHANNELS: usize = 64;
/// Rows and columns of an image at most.
pub const MAX_SIDE: usize = 1 << 12;

/// What a run trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A generator and a discriminator.
    Gan,
    /// An encoder with a projection head, by contrast of views.
    Simclr,
    /// A classifier, by whose features generated images are judged.
    Classifier,
}

impl RunKind {
    /// The name in `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gan => "gan",
            Self::Simclr => "simclr",
            Self::Classifier => "classifier",
        }
    }
}

/// A form of `run.json`, for one kind of run.
pub trait Description: Serialize + DeserializeOwned {
    /// The value of the field `kind`.
    const KIND: RunKind;

    /// Fills in what older runs do not say and what follows from the rest.
    fn complete(&mut self) {}

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// Which value no run can have, and what was expected.
    fn check(&self) -> Result<(), String>;

    /// The iteration of the best checkpoint, if it was judged: that one is kept, and taken where none is asked for.
    fn best(&self) -> Option<u64> {
        None
    }

    /// What was said of the training.
    fn training(&self) -> Training<'_>;
}

/// The options of a run, which only the trainer knows; [`serde_json::Value`] takes them as they are.
pub trait RunOptions: Serialize + DeserializeOwned {
    /// Checks what the types do not say: at least that no size is so large that training could not begin.
    ///
    /// # Errors
    /// Which value no run can have, and what was expected.
    fn check(&self) -> Result<(), String>;
}

impl RunOptions for serde_json::Value {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Figures by name, as JSON has them.
pub type Figures = serde_json::Map<String, serde_json::Value>;

/// What runs of every kind say of their training.
#[derive(Debug, Clone, PartialEq)]
pub struct Training<'a> {
    /// The trainer's subcommand: `vanilla`, `lsgan`, `dcgan`, `simclr`, `classifier`.
    pub command: &'a str,
    /// Version of the trainer that wrote the run.
    pub latent_version: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the loss: `bce`, `ls`, `hinge`, `wgan-gp`, `nt-xent`, `cross-entropy`.
    pub loss: &'a str,
    /// How far the run got.
    pub progress: &'a Progress,
    /// Last figures of the training; one that was not measured is null.
    pub figures: Figures,
}

/// [`Description::training`] for a form whose fields have the names that all of them have.
macro_rules! training {
    () => {
        fn training(&self) -> $crate::run::Training<'_> {
            $crate::run::Training {
                command: &self.command,
                latent_version: &self.latent_version,
                seed: self.seed,
                loss: &self.loss,
                progress: &self.progress,
                figures: $crate::run::describe::figures(&self.figures),
            }
        }
    };
}
pub(super) use training;

/// Figures under the names and with the digits that `run.json` has.
pub(super) fn figures(of: &impl Serialize) -> Figures {
    // Through text, so that a number of 32 bits keeps its few digits instead of becoming a long one of 64.
    let text = serde_json::to_string(of).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Size and value range of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// 1 for gray, 3 for color.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// The network's value for black.
    pub low: f32,
    /// The network's value for white.
    pub high: f32,
}

impl Image {
    /// Checks size and value range.
    pub(super) fn check(&self) -> Result<(), String> {
        let &Image { channels, height, width, low, high } = self;
        within("image.channels", channels, MAX_CHANNELS)?;
        within("image.height", height, MAX_SIDE)?;
        within("image.width", width, MAX_SIDE)?;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!(
                "image.low is {low} and image.high {high}, expected two finite values, low < high"
            ));
        }
        Ok(())
    }
}

/// Checks that a size is at least 1 and at most `most`.
///
/// # Errors
/// Its name, its value, and what was expected.
pub fn within(name: &str, value: usize, most: usize) -> Result<(), String> {
    if value == 0 || value > most {
        return Err(format!("{name} is {value}, expected 1 to {most}"));
    }
    Ok(())
}

/// What was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Short name, such as `mnist`.
    pub name: String,
    /// Where it came from, as the option `--data` takes it.
    pub source: String,
    /// Number of images used.
    pub images: usize,
    /// CRC-32C of their pixels, so that a resumed run can tell whether they are the same.
    pub crc32c: u32,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Iterations done and saved.
    pub iteration: u64,
    /// Iterations asked for.
    pub iterations: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// Seconds trained, over all sessions.
    pub seconds: f64,
    /// Whether all iterations are done.
    pub finished: bool,
    /// `interrupted`, `not-finite`, or nothing.
    pub stopped_by: Option<String>,
}

/// What can be wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The discriminator's loss was never below the level of guessing, while the generator's fell.
    DiscriminatorNeverLearned,
    /// The discriminator's loss is near zero, the generator's high and not falling.
    DiscriminatorWins,
    /// Samples are much less diverse than the data, or than they were.
    ModeCollapse,
    /// All embeddings are alike.
    EmbeddingCollapse,
    /// The loss stays at that of guessing.
    NotLearning,
    /// A loss is NaN or infinite.
    NotFinite,
}

impl FindingKind {
    /// The name in `run.json`: `discriminator-never-learned`, `discriminator-wins`, `mode-collapse`, `embedding-collapse`,
    /// `not-learning`, `not-finite`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiscriminatorNeverLearned => "discriminator-never-learned",
            Self::DiscriminatorWins => "discriminator-wins",
            Self::ModeCollapse => "mode-collapse",
            Self::EmbeddingCollapse => "embedding-collapse",
            Self::NotLearning => "not-learning",
            Self::NotFinite => "not-finite",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The iteration in which it was found.
    pub iteration: u64,
    /// What is wrong.
    pub kind: FindingKind,
    /// What was seen, since when, what it means and what to try.
    pub message: String,
}

/// Reads and checks a run's `run.json`.
///
/// # Errors
/// When `run` is no run folder, its description is not JSON, of another format or kind, or holds values that no run can
/// have.
pub fn read<D: Description>(run: &Path) -> Result<D, RunError> {
    let path = run.join(RUN_JSON);
    let text = text(run)?;
    let kind = kind_in(&path, &text)?;
    if kind != D::KIND.name() {
        return Err(RunError::Kind { path, found: kind, expected: D::KIND.name() });
    }
    let mut description: D = parse(&path, RUN_JSON, &text)?;
    description.complete();
    description.check().map_err(|what| RunError::Value { path, what })?;
    Ok(description)
}

/// What the run folder `run` trained.
///
/// # Errors
/// When it is no run folder, cannot be read, or is of another format or a kind that is not known.
pub fn kind_of(run: &Path) -> Result<RunKind, RunError> {
    let path = run.join(RUN_JSON);
    let found = kind_in(&path, &text(run)?)?;
    let kinds = [RunKind::Gan, RunKind::Simclr, RunKind::Classifier];
    kinds.into_iter().find(|kind| kind.name() == found).ok_or(RunError::Kind {
        path,
        found,
        expected: "gan, simclr or classifier",
    })
}

fn text(run: &Path) -> Result<Vec<u8>, RunError> {
    let path = run.join(RUN_JSON);
    regular::read(&path, MAX_JSON).map_err(io::Error::from).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if run.exists() => {
            RunError::NotARun(run.to_path_buf())
        }
        io::ErrorKind::NotFound => RunError::NoFolder(run.to_path_buf()),
        _ => RunError::Read { path, reason },
    })
}

/// The kind that a `run.json` says it is of.
fn kind_in(path: &Path, text: &[u8]) -> Result<String, RunError> {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    check_format(path, RUN_JSON, text)?;
    Ok(parse::<Kind>(path, RUN_JSON, text)?.kind)
}

/// Checks the version first: a file of another may lack or rename any other field.
pub(super) fn check_format(path: &Path, what: &'static str, text: &[u8]) -> Result<(), RunError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    match parse::<Version>(path, what, text)?.format {
        FORMAT => Ok(()),
        found => Err(RunError::Format { path: path.to_path_buf(), found }),
    }
}

pub(super) fn parse<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    text: &[u8],
) -> Result<T, RunError> {
    serde_json::from_slice(text).map_err(|reason| RunError::Json { path: path.to_path_buf(), what, reason })
}
