//! The options of the task's own figure, for every command that quantizes, and what is said of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use latent_exporter::graph::{Dim, Graph};
use latent_exporter::quantize::{DataError, Pictures, Samples, is_array};
use latent_exporter::task::{
    Features, Reference, Runner, TaskReport, encoded_pictures, frechet, generated_images, knn,
};
use latent_files::text::grouped;
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::{ModelKind, ModelMetadata};
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;

use super::inspect;

/// Options of the figure.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for the figure of the task, with --precision int8 or int4")]
pub(crate) struct TaskArgs {
    /// How many images a generator's Fréchet distance is from, or pictures in folders by class an encoder's kNN; 0 leaves it out
    /// [default: 2048]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    task_samples: Option<u32>,
    /// Real pictures to tell a generator's Fréchet distance from too: a folder, or an array (.npy) in the model's range
    #[arg(long, value_name = "PATH")]
    reference_data: Option<PathBuf>,
    /// Compare a generator's images by the features of this encoder (.lat or .onnx), which takes such images
    /// [default: their means over at most 8x8 cells]
    #[arg(long, value_name = "ENCODER")]
    features: Option<PathBuf>,
}

/// What a model was calibrated with.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// The file or folder, if one was given.
    pub(super) path: Option<&'a Path>,
    /// How many of it ranges were observed on.
    pub(super) used: usize,
    /// The seed that picked them.
    pub(super) seed: u64,
}

/// Most real pictures that are looked at.
const MAX_REFERENCE: usize = 10_000;

/// Most samples of a model that the engine does not take.
const MAX_BY_DEFINITION: usize = 256;

/// What the random numbers for the figure differ in from those for calibration.
const OTHER_NUMBERS: u64 = 0x7A5C;

impl TaskArgs {
    /// Its options, and whether each was given.
    pub(super) fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--task-samples", self.task_samples.is_some()),
            ("--reference-data", self.reference_data.is_some()),
            ("--features", self.features.is_some()),
        ]
    }

    /// The figure of a quantized model against the float model; `None` when it has none that can be told from the `given`
    /// inputs, which are those that it was calibrated with.
    pub(crate) fn figure(
        &self,
        float: &Graph,
        quantized: &Graph,
        (metadata, encoding): (&ModelMetadata, &ImageEncoding),
        given: &Given<'_>,
    ) -> anyhow::Result<Option<TaskReport>> {
        let asked = self.reference_data.is_some() || self.features.is_some();
        let refuse = |why: &str| {
            bail!("--reference-data and --features are for the Fréchet distance of a generator, but {why}")
        };
        let count = self.task_samples.unwrap_or(2048) as usize;
        if count < 2 {
            return if asked { refuse("--task-samples leaves it out") } else { Ok(None) };
        }
        let runners = || -> anyhow::Result<_> {
            let runners = [Runner::of(float, metadata)?, Runner::of(quantized, metadata)?];
            let count =
                if runners.iter().all(Runner::is_engine) { count } else { count.min(MAX_BY_DEFINITION) };
            Ok((runners, count))
        };
        if let Some(images) = generated_images(float) {
            let shape = float.inputs.first().map(|&input| float.shape(input)).unwrap_or_default();
            let ([mut float, mut quantized], count) = runners()?;
            let Some([latents, others]) = latents(&shape, metadata, given, count)? else {
                return if asked {
                    refuse("the model does not say how its latents are drawn")
                } else {
                    Ok(None)
                };
            };
            let reference = self.reference(&images, encoding, given.seed).context("--reference-data")?;
            let mut features = match &self.features {
                None => Features::means(&images, encoding.range),
                Some(file) => encoder(file, &images, encoding.range).context("--features")?,
            };
            let others = (others.count >= 2).then_some(&others);
            let both = [&mut float, &mut quantized];
            let report = frechet(both, &latents, others, reference.as_ref(), &mut features)?;
            return Ok(Some(TaskReport::Frechet(report)));
        }
        if asked {
            return refuse("the model does not make pictures of vectors");
        }
        let (Some(shape), Some(path)) = (encoded_pictures(float), given.path) else { return Ok(None) };
        if is_array(path) {
            return Ok(None);
        }
        let mut pictures =
            Pictures::find(path, &shape, encoding, given.seed).context("--calibration-data")?;
        let ([mut float, mut quantized], count) = runners()?;
        // Those that ranges were not observed on, as far as there are enough.
        pictures.keep(given.used..given.used.saturating_add(count));
        Ok(knn([&mut float, &mut quantized], &pictures)?.map(TaskReport::Knn))
    }

    fn reference(
        &self,
        images: &[Dim],
        encoding: &ImageEncoding,
        seed: u64,
    ) -> Result<Option<Reference>, DataError> {
        Ok(match &self.reference_data {
            None => None,
            Some(path) if is_array(path) => {
                Some(Reference::Array(Samples::from_array(path, "output", images, MAX_REFERENCE)?))
            }
            Some(path) => {
                let mut pictures = Pictures::find(path, images, encoding, seed)?;
                pictures.keep(0..MAX_REFERENCE);
                Some(Reference::Pictures(pictures))
            }
        })
    }
}

/// The latents that the figure is from, and others; of a file's, first those that ranges were not observed on.
fn latents(
    shape: &[Dim],
    metadata: &ModelMetadata,
    given: &Given<'_>,
    count: usize,
) -> anyhow::Result<Option<[Samples; 2]>> {
    if let Some(path) = given.path {
        let mut all = Samples::from_array(path, "input", shape, usize::MAX).context("--calibration-data")?;
        let used = all.values.len() / all.count.max(1) * given.used.min(all.count);
        all.values.rotate_left(used);
        return Ok(Some([all.part(0..count), all.part(count..count.saturating_mul(2))]));
    }
    let (Some(ModelKind::Generator), Some(distribution)) = (metadata.kind, metadata.distribution) else {
        return Ok(None);
    };
    let mut rng = Rng::from_seed(given.seed ^ OTHER_NUMBERS);
    Ok(Some([0, 1].map(|_| Samples::drawn(shape, distribution, count, &mut rng))))
}

fn encoder(file: &Path, images: &[Dim], range: ValueRange) -> anyhow::Result<Features> {
    let context = || file.display().to_string();
    let packed = inspect::packed(file).with_context(context)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let features = Features::encoder(images, range, &packed, name).with_context(context)?;
    if let Some(taken) = features.assumed_range() {
        latent_files::say!(
            "note: {} does not say which values are black and white; taking {} and {} (`exporter pack --range LOW,HIGH` makes a \
             file of it that does)",
            file.display(),
            taken.low(),
            taken.high()
        );
    }
    Ok(features)
}

/// The figure in a sentence or two.
pub(super) fn summary(report: &TaskReport) -> String {
    match report {
        TaskReport::Frechet(report) => {
            let mut text = format!(
                "Fréchet distance of {} images ({}; black 0, white 1): {} between float32 and the quantized model",
                grouped(report.samples as u64),
                report.features,
                significant(report.quantized)
            );
            if let Some(other) = report.other_latents {
                text += &format!(", {} between float32 and float32 with other latents", significant(other));
            }
            if let Some(reference) = &report.reference {
                text += &format!(
                    "; from {} real pictures: float32 {}, quantized {}",
                    grouped(reference.samples as u64),
                    significant(reference.float),
                    significant(reference.quantized)
                );
            }
            text + "\n"
        }
        TaskReport::Knn(report) => {
            let percent = |part: f64| format!("{:.2} %", 100.0 * part);
            format!(
                "kNN of {} pictures of {} classes, each among the others ({} neighbors, temperature {}): float32 {}, quantized {}; the \
                 same class for {}\n",
                grouped(report.samples as u64),
                report.classes,
                report.neighbors,
                report.temperature,
                percent(report.float),
                percent(report.quantized),
                percent(report.same)
            )
        }
    }
}

/// Four significant digits.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits() {
        let cases = [
            (0.0, "0"),
            (1.0, "1.000"),
            (0.000_123_456, "0.0001235"),
            (98_765.4, "98765"),
            (12.3456, "12.35"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value), text);
        }
    }
}
