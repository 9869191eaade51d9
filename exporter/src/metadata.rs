//! What a model says of itself: the `metadata_props` of an ONNX file, and the sentences shown by viewers.

use latent_runtime::latent;
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::pixels::ValueRange;
use serde_json::{Map, Value, json};

use crate::run::{Distribution, RunJson};

/// Version of the set of keys.
const FORMAT: u32 = 1;

/// What a model says of itself. `iteration` is the checkpoint's; `weights` is `raw` or `ema`.
pub fn of(run: &RunJson, iteration: u64, kind: ModelKind, weights: &str) -> ModelMetadata {
    let image = &run.image;
    ModelMetadata {
        format: Some(FORMAT),
        kind: Some(kind),
        architecture: Some(run.net.name().into()),
        weights: Some(weights.into()),
        latent_size: Some(run.latent.size),
        distribution: Some(match run.latent.distribution {
            Distribution::Uniform { low, high } => latent::Distribution::Uniform { low, high },
            Distribution::Normal { mean, std } => latent::Distribution::Normal { mean, std },
        }),
        range: ValueRange::new(image.low, image.high),
        image: Some(ImageShape { channels: image.channels, height: image.height, width: image.width }),
        dataset: Some(run.data.name.clone()),
        training: Some(training(run, iteration).to_string()),
        other: Vec::new(),
    }
}

/// The training's figures as one JSON object. `run.json` describes the newest checkpoint: of an older one only what
/// holds for the whole run is said.
fn training(run: &RunJson, iteration: u64) -> Value {
    let mut figures = Map::new();
    figures.insert("iteration".into(), json!(iteration));
    figures.insert("seed".into(), json!(run.seed));
    figures.insert("loss".into(), json!(run.loss));
    if !run.command.is_empty() {
        figures.insert("command".into(), json!(run.command));
    }
    if !run.latent_version.is_empty() {
        figures.insert("latent_version".into(), json!(run.latent_version));
    }
    if iteration == run.progress.iteration {
        figures.insert("epoch".into(), json!(run.progress.epoch));
        // A figure that was not measured is null.
        for (name, value) in run.figures.iter().filter(|(_, value)| !value.is_null()) {
            figures.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Value::Object(figures)
}

/// One sentence on the model.
pub fn model_sentence(run: &RunJson, iteration: u64, kind: ModelKind, weights: &str) -> String {
    let weights = if weights == "ema" { ", moving average of the weights" } else { "" };
    format!(
        "{} {kind} ({} loss) trained on {}, iteration {iteration}{weights}",
        run.net.name(),
        run.loss,
        run.data.name
    )
}

/// One sentence on the noise.
pub fn latent_sentence(run: &RunJson) -> String {
    let distribution = match run.latent.distribution {
        Distribution::Uniform { low, high } => format!("U({low}, {high})"),
        Distribution::Normal { mean, std } => format!("N({mean}, {std}^2)"),
    };
    format!("Latent vectors of {} values drawn from {distribution}", run.latent.size)
}

/// One sentence on the images.
pub fn image_sentence(run: &RunJson) -> String {
    let image = &run.image;
    let colour = if image.channels == 1 { "Grey".to_string() } else { format!("{}-channel", image.channels) };
    format!(
        "{colour} images, {} rows of {}, from {} (black) to {} (white)",
        image.height, image.width, image.low, image.high
    )
}
