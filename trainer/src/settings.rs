//! The settings that every kind of training stores, and how those of a stored run are compared with what is asked for.

use std::fmt;

use latent_files::run::{MAX_SIDE, within};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Precision of matrix products and convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Amp {
    /// f32 throughout.
    Off,
    /// bfloat16 products; weights, losses, statistics and optimizer in f32.
    Bf16,
}

/// Which recipe gives the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What measured best here.
    Modern,
    /// The notebook's: that of CS231n's Assignment 3.
    Reference,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modern => "modern",
            Self::Reference => "reference",
        })
    }
}

/// Settings that every kind of training has, part of its [`Hyperparameters`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommonSettings {
    /// Images per step.
    pub batch: usize,
    /// Steps (of the generator, for a GAN).
    pub iterations: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// The data set, as `--data` takes it.
    pub data: String,
    /// Height and width to which images are brought; `None` leaves them.
    pub image_size: Option<(usize, usize)>,
    /// Images of the train split used.
    pub train_images: usize,
    /// Precision of products.
    pub amp: Amp,
    /// Threads of libtorch.
    pub threads: usize,
    /// The device, as `--device` takes it.
    pub device: String,
    /// Iterations between checkpoints; 0 for none but those that are always made.
    pub save_every: u64,
    /// Newest checkpoints kept.
    pub keep: usize,
    /// Iterations between readings of the figures from the device.
    pub log_every: u64,
    /// Minutes after which training saves and stops, in each session. Runs of before 2026-12 have none.
    #[serde(default)]
    pub time_limit: Option<f64>,
}

impl Default for CommonSettings {
    /// On one thread of the CPU, without data: what does not depend on the machine, the data or the kind of training.
    fn default() -> Self {
        Self {
            batch: 128,
            iterations: 0,
            seed: 0,
            data: String::new(),
            image_size: None,
            train_images: 0,
            amp: Amp::Off,
            threads: 1,
            device: "cpu".to_owned(),
            save_every: 0,
            keep: 1,
            log_every: 1,
            time_limit: None,
        }
    }
}

impl CommonSettings {
    /// Checks sizes before anything is allocated for them; a batch has at most `most_images`.
    pub fn check(&self, most_images: usize) -> Result<(), String> {
        let (height, width) = self.image_size.unwrap_or((1, 1));
        for (name, value, most) in [
            ("batch", self.batch, most_images),
            ("threads", self.threads, 1024),
            ("image_size[0]", height, MAX_SIDE),
            ("image_size[1]", width, MAX_SIDE),
        ] {
            within(&format!("hyperparameters.{name}"), value, most)?;
        }
        Ok(())
    }
}

/// All settings of one kind of training, as `run.json` stores them.
pub trait Hyperparameters: Clone + Serialize + DeserializeOwned {
    /// Those that every kind has.
    fn common(&self) -> &CommonSettings;

    /// The same, to change.
    fn common_mut(&mut self) -> &mut CommonSettings;

    /// Batches of images that one iteration takes.
    fn batches_per_iteration(&self) -> u32 {
        1
    }

    /// Batches in one pass over the data; the last, partial one is skipped.
    fn batches_per_epoch(&self) -> u64 {
        (self.common().train_images / self.common().batch.max(1)) as u64
    }

    /// Iterations that make this many passes over the data, at least one.
    fn iterations_for(&self, epochs: f64) -> u64 {
        let batches =
            epochs * self.batches_per_epoch() as f64 / f64::from(self.batches_per_iteration().max(1));
        (batches.round() as u64).max(1)
    }

    /// Passes over the data that `iterations` make.
    fn epochs_of(&self, iterations: u64) -> f64 {
        let batches = iterations as f64 * f64::from(self.batches_per_iteration());
        batches / self.batches_per_epoch().max(1) as f64
    }
}

/// Settings of which a resumed run may have other values than it was started with.
const MAY_CHANGE: [&str; 9] = [
    "device",
    "eval_every",
    "iterations",
    "keep",
    "log_every",
    "sample_every",
    "save_every",
    "threads",
    "time_limit",
];

/// A setting that is asked for and that a stored run has another value of.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The field in `run.json`, with dots where it is nested, such as `augment.scale.0`.
    pub field: String,
    /// The run's value.
    pub stored: Value,
    /// The value asked for.
    pub given: Value,
}

/// Every setting in which a run that was `stored` and what is `given` for going on with it differ, but those that may.
///
/// # Errors
/// If settings cannot be written as JSON.
pub fn conflicts<H: Hyperparameters>(stored: &H, given: &H) -> Result<Vec<Conflict>, serde_json::Error> {
    let mut found = Vec::new();
    compare(String::new(), serde_json::to_value(stored)?, serde_json::to_value(given)?, &mut found);
    found.retain(|conflict| !MAY_CHANGE.contains(&conflict.field.as_str()));
    Ok(found)
}

fn compare(field: String, stored: Value, given: Value, found: &mut Vec<Conflict>) {
    let within = |key: &str| if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
    match (stored, given) {
        (Value::Object(stored), Value::Object(mut given)) => {
            for (key, stored) in stored {
                let given = given.remove(&key).unwrap_or_default();
                compare(within(&key), stored, given, found);
            }
        }
        (Value::Array(stored), Value::Array(given)) if stored.len() == given.len() => {
            for (index, (stored, given)) in stored.into_iter().zip(given).enumerate() {
                compare(within(&index.to_string()), stored, given, found);
            }
        }
        (stored, given) if stored != given => found.push(Conflict { field, stored, given }),
        _ => {}
    }
}

impl Conflict {
    /// The conflict in terms of the command line. `names` holds options that are not named after their field: field, option.
    pub fn describe(&self, names: &[(&str, &str)]) -> String {
        let named = names.iter().find(|(field, _)| *field == self.field);
        let option = match named {
            Some((_, option)) => (*option).to_owned(),
            None => {
                let field = self.field.split('.').next().unwrap_or_default();
                format!("--{}", field.replace('_', "-"))
            }
        };
        match self.given {
            Value::Bool(_) => format!("{option} is given and the run does without"),
            _ => format!("{option} {} is given and the run has {}", Plain(&self.given), Plain(&self.stored)),
        }
    }
}

/// A value as the command line takes it.
struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("none"),
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| Plain(item).to_string()).collect();
                f.write_str(&items.join("x"))
            }
            // As a number is typed: 3 and not 3.0.
            Value::Number(number) if number.is_f64() => write!(f, "{}", number.as_f64().unwrap_or(f64::NAN)),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Settings {
        #[serde(flatten)]
        common: CommonSettings,
        shuffle: bool,
        ema: Option<f64>,
        scale: [f64; 2],
    }

    impl Hyperparameters for Settings {
        fn common(&self) -> &CommonSettings {
            &self.common
        }

        fn common_mut(&mut self) -> &mut CommonSettings {
            &mut self.common
        }
    }

    #[test]
    fn every_difference_is_a_conflict_but_those_that_may_be() {
        let stored =
            Settings { common: CommonSettings::default(), shuffle: false, ema: None, scale: [0.5, 1.0] };
        type Change = fn(&mut Settings);
        let cases: [(Change, &str); 10] = [
            (|_| {}, ""),
            (|s| s.common.keep = 7, ""),
            (|s| s.common.iterations = 7, ""),
            (|s| s.common.threads = 7, ""),
            (|s| s.common.time_limit = Some(7.0), ""),
            (|s| s.common.amp = Amp::Bf16, "--amp bf16 is given and the run has off"),
            (|s| s.common.image_size = Some((32, 48)), "--image-size 32x48 is given and the run has none"),
            (|s| s.shuffle = true, "--shuffle is given and the run does without"),
            (|s| s.ema = Some(3.0), "--ema 3 is given and the run has none"),
            (|s| s.scale[0] = 0.25, "--crop-scale 0.25 is given and the run has 0.5"),
        ];
        for (change, expected) in cases {
            let mut given = stored.clone();
            change(&mut given);
            let found: Vec<String> = conflicts(&stored, &given)
                .unwrap()
                .iter()
                .map(|conflict| conflict.describe(&[("scale.0", "--crop-scale")]))
                .collect();
            assert_eq!(found.join(" and "), expected);
        }
    }
}
