//! The options of int8 quantization, for every command that quantizes, and the report.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use latent_exporter::graph::{Dim, Graph};
use latent_exporter::quantize::{
    Calibrator, Inputs, Options, QuantizeError, Report, Source, WeightOptions, WeightRange,
};
use latent_exporter::task::TaskReport;
use latent_files::text::{seed, table_with_head};
use latent_runtime::image_encoding::{Facts, ImageEncoding, RangeSource};
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::{ModelKind, ModelMetadata};
use latent_runtime::pixels::ValueRange;

use super::task::{self, Given, TaskArgs};

/// The value range, which what is written states too. Not only for quantizing.
#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    /// The values of black and white in the model's images, such as 0,1 or -1,1; the written file states them [default: what
    /// the model states; else nothing is stated, and int8 takes 0,1 for an encoder and -1,1 for others]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
}

/// A model's metadata and how its images are values.
pub(crate) struct Images<'a> {
    pub(crate) metadata: &'a ModelMetadata,
    pub(crate) encoding: ImageEncoding,
    takes: bool,
    gives: bool,
}

impl RangeArgs {
    /// Decides how the images of a model are values. A range that the user gives is the metadata's from then on.
    pub(crate) fn decide<'a>(
        &self,
        graph: &Graph,
        metadata: &'a mut ModelMetadata,
    ) -> anyhow::Result<Images<'a>> {
        let sizes = |shape: Vec<Dim>| -> Vec<usize> {
            shape.iter().skip(1).map(|dim| if let Dim::Size(length) = dim { *length } else { 1 }).collect()
        };
        let input = graph.inputs.first().map(|&id| sizes(graph.shape(id))).unwrap_or_default();
        let output = graph.outputs.first().map(|output| sizes(graph.shape(output.value))).unwrap_or_default();
        let encoding = metadata.image_encoding(&input, &output, self.range)?;
        let facts: Facts<'_> = metadata.facts(&input, &output);
        let (takes, gives) = (facts.takes_images(), facts.gives_images());
        metadata.range = self.range.or(metadata.range);
        Ok(Images { metadata, encoding, takes, gives })
    }
}

impl Images<'_> {
    /// Whether the model's output is images.
    pub(crate) fn gives(&self) -> bool {
        self.gives
    }

    /// Says on stderr what was given against what the model states or, where that is taken to quantize it by `calibration`,
    /// what was assumed.
    pub(crate) fn note(&self, calibration: Option<&CalibrationArgs>) {
        let is_told = match self.encoding.source {
            RangeSource::Assumed => calibration.is_some_and(|calibration| {
                self.gives || self.takes && calibration.calibration_data.is_some()
            }),
            _ => true,
        };
        if let Some(note) = self.encoding.note().filter(|_| is_told) {
            latent_files::say!("note: {note}");
        }
    }
}

/// Options of `--precision int8`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for --precision int8")]
pub(crate) struct CalibrationArgs {
    /// Inputs to observe activations on: a folder of PNG or JPEG pictures, or an array (.npy) of shape (N, ...)
    /// [default: latents of the model's distribution, for a generator]
    #[arg(long, value_name = "PATH")]
    calibration_data: Option<PathBuf>,
    /// How many inputs to observe; a quarter as many others are for the report
    /// [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: Option<u32>,
    /// How the range of an activation is chosen [default: mse]
    #[arg(long, value_enum)]
    calibrator: Option<CalibratorName>,
    /// How much of an activation --calibrator percentile keeps, in percent [default: 99.99]
    #[arg(long, value_name = "PERCENT")]
    percentile: Option<f64>,
    /// How the scales of weights are chosen [default: min-max]
    #[arg(long, value_enum)]
    weight_range: Option<WeightRangeName>,
    /// One scale for all weights of a layer, not one for each output channel
    #[arg(long)]
    per_tensor: bool,
    /// A node that stays float (with --precision f16: float32), by its name in `exporter inspect`; may be given several times
    #[arg(long, value_name = "NODE")]
    keep_float: Vec<String>,
    /// Seed for drawing latents and picking pictures [default: 0]
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    task: TaskArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CalibratorName {
    /// Everything that was observed
    MinMax,
    /// All but the rarest values (see --percentile)
    Percentile,
    /// What makes the mean squared error least
    Mse,
    /// What keeps most of the information: the least Kullback-Leibler divergence, as TensorRT does; rather for encoders
    Entropy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WeightRangeName {
    /// The largest weight is just representable
    MinMax,
    /// What makes the mean squared error least
    Mse,
}

impl CalibrationArgs {
    /// The names given by `--keep-float`.
    pub(super) fn keep_float(&self) -> &[String] {
        &self.keep_float
    }

    /// Refuses options that have no meaning: all where nothing is quantized, but for `--keep-float` if that is `kept_apart`.
    pub(crate) fn refuse_useless(&self, quantizes: bool, kept_apart: bool) -> anyhow::Result<()> {
        let all = [
            ("--calibration-data", self.calibration_data.is_some()),
            ("--samples", self.samples.is_some()),
            ("--calibrator", self.calibrator.is_some()),
            ("--percentile", self.percentile.is_some()),
            ("--weight-range", self.weight_range.is_some()),
            ("--per-tensor", self.per_tensor),
            ("--keep-float", !self.keep_float.is_empty() && !kept_apart),
            ("--seed", self.seed.is_some()),
        ];
        let given = all.into_iter().chain(self.task.given()).find(|(_, is_given)| *is_given);
        if let (false, Some((name, _))) = (quantizes, given) {
            bail!("{name} is for quantizing a float model: give --precision int8, too, or leave {name} out");
        }
        if self.percentile.is_some() && !matches!(self.calibrator, Some(CalibratorName::Percentile)) {
            bail!("--percentile is for --calibrator percentile, which is not given");
        }
        Ok(())
    }

    /// How to quantize.
    pub(crate) fn options(&self, images: &Images<'_>) -> Options {
        let range = images.gives.then_some(images.encoding.range);
        Options {
            calibrator: match self.calibrator.unwrap_or(CalibratorName::Mse) {
                CalibratorName::MinMax => Calibrator::MinMax,
                CalibratorName::Percentile => Calibrator::Percentile(self.percentile.unwrap_or(99.99)),
                CalibratorName::Mse => Calibrator::Mse,
                CalibratorName::Entropy => Calibrator::Entropy,
            },
            weights: WeightOptions {
                per_channel: !self.per_tensor,
                range: match self.weight_range.unwrap_or(WeightRangeName::MinMax) {
                    WeightRangeName::MinMax => WeightRange::MinMax,
                    WeightRangeName::Mse => WeightRange::Mse,
                },
            },
            keep_float: self.keep_float.clone(),
            every_layer: false,
            peak: range.map(|range| f64::from(range.high()) - f64::from(range.low())),
        }
    }

    /// The figure of the task of a model that was quantized with [`CalibrationArgs::inputs`].
    pub(crate) fn task(
        &self,
        float: &Graph,
        quantized: &Graph,
        images: &Images<'_>,
        report: &Report,
    ) -> anyhow::Result<Option<TaskReport>> {
        let path = self.calibration_data.as_deref();
        let given = Given { path, used: report.calibration_samples, seed: self.seed.unwrap_or(0) };
        self.task.figure(float, quantized, (images.metadata, &images.encoding), &given)
    }

    /// The inputs that were asked for, or those that fit the model best. Says so on stderr when they had to be made up.
    pub(crate) fn inputs(&self, graph: &Graph, images: &Images<'_>) -> anyhow::Result<Inputs> {
        let Some(&input) = graph.inputs.first() else {
            return Err(QuantizeError::Inputs { found: 0 }.into());
        };
        let (shape, count, seed) =
            (graph.shape(input), self.samples.unwrap_or(128) as usize, self.seed.unwrap_or(0));
        if let Some(path) = &self.calibration_data {
            let inputs =
                Inputs::read(path, &shape, &images.encoding, count, seed).context("--calibration-data")?;
            if let Some(oddity) = inputs.calibration.oddity() {
                latent_files::say!("warning: --calibration-data {}: {oddity}", path.display());
            }
            return Ok(inputs);
        }
        let metadata = images.metadata;
        if let (Some(ModelKind::Generator), Some(distribution)) = (metadata.kind, metadata.distribution) {
            return Ok(Inputs::drawn(&shape, distribution, count, seed, Source::Latents));
        }
        // Random values stand for images only in a range that is known: [-1, 1] holds both that are usual.
        let is_known = images.encoding.source != RangeSource::Assumed;
        let range = if images.takes && is_known { images.encoding.range } else { ValueRange::SIGNED };
        let (low, high) = (range.low(), range.high());
        latent_files::say!(
            "warning: calibrating on random values from {low} to {high}, since the model does not say what it is given; ranges \
             of activations may be far from those of real inputs: give some with --calibration-data"
        );
        let uniform = Distribution::Uniform { low, high };
        let mut inputs = Inputs::drawn(&shape, uniform, count, seed, Source::Random);
        for samples in [&mut inputs.calibration, &mut inputs.held_out] {
            let values = (samples.values.len() / samples.count.max(1)).max(1);
            samples.values.chunks_exact_mut(values).for_each(|image| images.encoding.normalize(image));
        }
        Ok(inputs)
    }
}

fn kind(source: Source) -> &'static str {
    match source {
        Source::Latents => "latents",
        Source::Pictures => "pictures",
        Source::Array => "arrays",
        Source::Random => "random inputs",
    }
}

/// Says that ranges are about to be observed, which takes a while.
pub(crate) fn announce(inputs: &Inputs) {
    let (count, held_out) = (inputs.calibration.count, inputs.held_out.count);
    let from = kind(inputs.source);
    latent_files::say!("observing ranges on {count} {from}, then comparing on {held_out} ...");
}

/// The report as tables, and the figure of the task.
pub(crate) fn summary(report: &Report, task: Option<&TaskReport>) -> String {
    let decibels = |ratio: Option<f64>| ratio.map_or("exact".into(), |ratio| format!("{ratio:.1}"));
    let mut rows = vec![["layer", "operator", "computes in", "weights SQNR dB"].map(String::from).to_vec()];
    rows.extend(report.layers.iter().map(|layer| {
        let kind = match &layer.why_float {
            _ if layer.int8 => "int8".to_string(),
            Some(why) => format!("float: {why}"),
            None => "float".to_string(),
        };
        let ratio = if layer.int8 { decibels(layer.weight_sqnr) } else { String::new() };
        vec![layer.name.clone(), layer.operator.to_string(), kind, ratio]
    }));
    let mut text = table_with_head(&rows) + "\n";
    let head = ["activation", "least", "greatest", "from", "to", "zero point", "SQNR dB"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(report.tensors.iter().map(|tensor| {
        let [least, greatest] = tensor.observed.map(|value| format!("{value:.4}"));
        let [from, to] = tensor.range.map(|value| format!("{value:.4}"));
        let zero_point = tensor.zero_point.to_string();
        vec![tensor.name.clone(), least, greatest, from, to, zero_point, decibels(tensor.sqnr)]
    }));
    text += &(table_with_head(&rows) + "\n");
    let head = ["output", "PSNR dB", "SQNR dB", "largest difference", "peak", "cosine", "same nearest"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(report.outputs.iter().map(|output| {
        vec![
            output.name.clone(),
            decibels(output.psnr),
            decibels(output.sqnr),
            format!("{:.5}", output.largest),
            format!("{:.4}", output.peak),
            output.cosine.map_or("-".into(), |cosine| format!("{cosine:.6}")),
            output.same_nearest.map_or("-".into(), |same| format!("{:.1} %", 100.0 * same)),
        ]
    }));
    text += &table_with_head(&rows);
    text + "\n" + &brief(report, task)
}

/// What was done, and the figure of the task.
pub(crate) fn brief(report: &Report, task: Option<&TaskReport>) -> String {
    let from = kind(report.source);
    let calibrator = match report.percentile {
        Some(percentile) => format!("{} {percentile}", report.calibrator),
        None => report.calibrator.to_string(),
    };
    let text = format!(
        "ranges: {calibrator} on {} {from}; weights: {}, one scale for each {}; figures: on {} other {from}\n",
        report.calibration_samples,
        report.weight_range,
        if report.per_channel { "output channel" } else { "layer" },
        report.held_out_samples,
    );
    text + &task.map(task::summary).unwrap_or_default()
}
