//! What a model says of itself: the `metadata_props` of an ONNX file, and the sentences shown by viewers.

use latent_runtime::image_encoding::Normalization;
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::pixels::ValueRange;
use serde_json::{Map, Value, json};

use crate::network::{Form, LABEL, Network};
use crate::run::{self, Classes, Description, GanRun, Image, SimclrRun, Training};

/// Version of the set of keys.
const FORMAT: u32 = 1;

/// What a model says of itself. `iteration` is the checkpoint's; `weights` is `raw` or `ema`. A conditional one has, beside
/// the usual keys, `latent.label`, the name of the input for classes, `latent.classes`, how many there are, and
/// `latent.class_names`, their names as a JSON array.
pub fn of(run: &GanRun, iteration: u64, kind: ModelKind, weights: &str) -> ModelMetadata {
    let names = run.classes.iter().map(|classes| &classes.names).filter(|names| !names.is_empty());
    ModelMetadata {
        format: Some(FORMAT),
        kind: Some(kind),
        architecture: Some(run.net.name().into()),
        weights: Some(weights.into()),
        latent_size: Some(run.latent.size),
        distribution: Some(run.latent.distribution.into()),
        range: ValueRange::new(run.image.low, run.image.high),
        image: Some(image_shape(&run.image)),
        dataset: Some(run.data.name.clone()),
        training: Some(Value::Object(figures(&run.training(), iteration)).to_string()),
        label: run.classes.as_ref().map(|_| LABEL.into()),
        classes: run.class_count(),
        other: names.map(|names| ("latent.class_names".into(), json!(names).to_string())).collect(),
    }
}

/// What an encoder says of itself. Beside the usual keys: `latent.output`, which is `features` or `projection`, and
/// `latent.features`, how many values that has; where the caller has to normalize the input, `latent.normalize.mean` and
/// `latent.normalize.std`, a number for each channel between commas.
pub fn of_encoder(run: &SimclrRun, iteration: u64, form: &Form, encoder: &Network) -> ModelMetadata {
    let mut other = vec![
        ("latent.output".to_string(), form.output().to_string()),
        ("latent.features".to_string(), encoder.values.to_string()),
    ];
    if !form.normalize_input {
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        let [mean, std] = Normalization::KEYS;
        other.push((mean.into(), list(&run.normalization.mean)));
        other.push((std.into(), list(&run.normalization.std)));
    }
    let mut training = figures(&run.training(), iteration);
    training.insert("temperature".into(), json!(run.temperature));
    ModelMetadata {
        format: Some(FORMAT),
        kind: Some(ModelKind::Encoder),
        architecture: Some(run.encoder.clone()),
        weights: Some("raw".into()),
        range: ValueRange::new(run.image.low, run.image.high),
        image: Some(image_shape(&run.image)),
        dataset: Some(run.data.name.clone()),
        training: Some(Value::Object(training).to_string()),
        other,
        ..ModelMetadata::default()
    }
}

fn image_shape(image: &Image) -> ImageShape {
    ImageShape { channels: image.channels, height: image.height, width: image.width }
}

/// A training's figures as one JSON object. `run.json` describes the newest checkpoint: of an older one only what holds
/// for the whole run is said.
fn figures(training: &Training<'_>, iteration: u64) -> Map<String, Value> {
    let mut figures = Map::new();
    figures.insert("iteration".into(), json!(iteration));
    figures.insert("seed".into(), json!(training.seed));
    figures.insert("loss".into(), json!(training.loss));
    if !training.command.is_empty() {
        figures.insert("command".into(), json!(training.command));
    }
    if !training.latent_version.is_empty() {
        figures.insert("latent_version".into(), json!(training.latent_version));
    }
    if iteration == training.progress.iteration {
        figures.insert("epoch".into(), json!(training.progress.epoch));
        // A figure that was not measured is null.
        for (name, value) in training.figures.iter().filter(|(_, value)| !value.is_null()) {
            figures.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    figures
}

pub fn model_sentence(run: &GanRun, iteration: u64, kind: ModelKind, weights: &str) -> String {
    let weights = if weights == "ema" { ", moving average of the weights" } else { "" };
    let conditional = if run.classes.is_some() { "conditional " } else { "" };
    format!(
        "{conditional}{} {kind} ({} loss) trained on {}, iteration {iteration}{weights}",
        run.net.name(),
        run.loss,
        run.data.name
    )
}

pub fn encoder_sentence(run: &SimclrRun, iteration: u64) -> String {
    format!("{} encoder ({} loss) trained on {}, iteration {iteration}", run.encoder, run.loss, run.data.name)
}

/// One sentence on what an encoder puts out.
pub fn embedding_sentence(form: &Form, values: usize) -> String {
    let length = if form.l2 { " of length 1" } else { "" };
    match form.head {
        true => format!("Projections{length}, {values} values: g(h)"),
        false => format!("Features{length}, {values} values: h"),
    }
}

/// One sentence on the images that an encoder takes.
pub fn encoder_input_sentence(run: &SimclrRun, form: &Form) -> String {
    match form.normalize_input {
        true => image_sentence(&run.image),
        false => {
            let run::Normalization { mean, std } = &run.normalization;
            format!("{}, less {mean:?} and divided by {std:?} for each channel", image_sentence(&run.image))
        }
    }
}

/// One sentence on the noise.
pub fn latent_sentence(run: &GanRun) -> String {
    let distribution = Distribution::from(run.latent.distribution);
    format!("Latent vectors of {} values drawn from {distribution}", run.latent.size)
}

pub fn label_sentence(classes: &Classes) -> String {
    // More names than these are a list to look up, in `latent.class_names`.
    const NAMED: usize = 20;
    let last = classes.count.saturating_sub(1);
    let names: Vec<String> = (0..classes.count.min(NAMED)).map(|label| classes.text(label)).collect();
    let more = if classes.count > NAMED { ", ..." } else { "" };
    match classes.names.is_empty() {
        true => format!("Classes, numbers from 0 to {last}"),
        false => format!("Classes, numbers from 0 to {last}: {}{more}", names.join(", ")),
    }
}

pub fn image_sentence(image: &Image) -> String {
    let color = if image.channels == 1 { "Gray".to_string() } else { format!("{}-channel", image.channels) };
    format!(
        "{color} images, {} rows of {}, from {} (black) to {} (white)",
        image.height, image.width, image.low, image.high
    )
}
