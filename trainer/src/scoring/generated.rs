//! Images from a generator, wherever it is: in a run folder, through libtorch, or in a model file, through any back end.

use std::path::Path;

use anyhow::{Context, bail};
use latent_files::run::RunKind;
use latent_runtime::backend::Backend;
use latent_runtime::image_encoding::{ImageEncoding, ImageShape};
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ModelKind;
use latent_runtime::open::{BackendKind, Label, OpenOptions, open, read_metadata};
use latent_runtime::rng::Rng;
use tch::Device;

use crate::gan::sampler::{Sampler, WeightsChoice};
use crate::which::Which;

/// Images computed at a time.
const CHUNK: usize = 250;

/// A generator.
pub enum Generator {
    /// Of a run.
    Run(Box<Sampler>),
    /// A model file.
    Model(Box<ModelGenerator>),
}

/// A generator in a model file.
pub struct ModelGenerator {
    backend: Box<dyn Backend>,
    distribution: Distribution,
    encoding: ImageEncoding,
    shape: ImageShape,
    label: Option<Label>,
    dataset: Option<String>,
}

impl Generator {
    /// Opens a run folder or a model file. `backend` is for the latter.
    ///
    /// # Errors
    /// If it is no generator, or cannot be opened.
    pub fn open(
        path: &Path,
        backend: Option<BackendKind>,
        which: Which,
        device: Device,
    ) -> anyhow::Result<Self> {
        if path.is_dir() {
            if let Some(backend) = backend {
                bail!(
                    "--backend {} is for model files, and {} is a run folder",
                    backend.name(),
                    path.display()
                );
            }
            if latent_files::run::kind(path)? != RunKind::Gan {
                bail!("{} is no run of a GAN", path.display());
            }
            return Ok(Self::Run(Box::new(Sampler::open(path, which, WeightsChoice::Auto, device)?)));
        }
        ModelGenerator::open(path, backend.unwrap_or_else(|| BackendKind::for_file(path)))
            .map(|model| Self::Model(Box::new(model)))
            .with_context(|| format!("cannot judge {}", path.display()))
    }

    /// What computes, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Run(sampler) => {
                format!("libtorch, iteration {}, {} weights", sampler.iteration, sampler.weights)
            }
            Self::Model(model) => model.backend.describe().to_owned(),
        }
    }

    /// Channels, height and width of its images.
    pub fn image(&self) -> [usize; 3] {
        match self {
            Self::Run(sampler) => {
                [sampler.info.image.channels, sampler.info.image.height, sampler.info.image.width]
            }
            Self::Model(model) => [model.shape.channels, model.shape.height, model.shape.width],
        }
    }

    /// What it was trained on, as `--data` takes it; a model tells a name alone.
    pub fn data(&self) -> Option<&str> {
        match self {
            Self::Run(sampler) => Some(&sampler.info.data.source),
            Self::Model(model) => model.dataset.as_deref(),
        }
    }

    /// Draws images from the latent vectors of this seed: planar bytes. Classes of a conditional generator come in turn.
    ///
    /// # Errors
    /// If the network does not run.
    pub fn draw(&mut self, count: usize, seed: u64) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Run(sampler) => {
                let classes = sampler.info.class_count().unwrap_or(0);
                let labels: Vec<i64> = (0..classes).map(|label| label as i64).collect();
                Ok(sampler.draw(count, seed, &labels)?)
            }
            Self::Model(model) => model.draw(count, seed),
        }
    }
}

impl ModelGenerator {
    fn open(path: &Path, kind: BackendKind) -> anyhow::Result<Self> {
        let metadata = read_metadata(path)?;
        let backend = open(path, kind, &OpenOptions::default())?;
        if metadata.kind.is_some_and(|kind| kind != ModelKind::Generator) {
            bail!("it is no generator");
        }
        let output = backend.output();
        let Some((shape, false)) = ImageShape::of(output.shape, metadata.image) else {
            bail!("its output is {output}, expected images as planes (N, channels, height, width)");
        };
        let encoding = metadata.image_encoding(backend.input().shape, output.shape, None)?;
        if let Some(note) = encoding.note() {
            latent_files::say!("note: {}: {note}", path.display());
        }
        let label = Label::of(backend.as_ref(), metadata.label.as_deref(), metadata.classes);
        Ok(Self {
            distribution: metadata.distribution.unwrap_or(Distribution::REFERENCE),
            encoding,
            shape,
            label,
            dataset: metadata.dataset,
            backend,
        })
    }

    fn draw(&mut self, count: usize, seed: u64) -> anyhow::Result<Vec<u8>> {
        let (latent, values) = (self.backend.input().values(), self.backend.output().values());
        let classes = self.label.as_ref().and_then(|label| label.classes);
        if self.label.is_some() && classes.is_none() {
            bail!("it takes a class and does not say how many there are");
        }
        let mut rng = Rng::from_seed(seed);
        let mut pixels = Vec::with_capacity(count * values);
        for start in (0..count).step_by(CHUNK) {
            let n = CHUNK.min(count - start);
            let (mut z, mut images) = (vec![0.0; n * latent], vec![0.0; n * values]);
            self.distribution.fill(&mut rng, &mut z);
            if let (Some(label), Some(classes)) = (&self.label, classes) {
                let given: Vec<f32> =
                    (start..start + n).filter_map(|at| label.values(at % classes)).flatten().collect();
                self.backend.give(&label.name, &given)?;
            }
            self.backend.run(n, &z, &mut images)?;
            pixels.extend(images.iter().map(|&value| self.encoding.range.to_u8(value)));
        }
        Ok(pixels)
    }
}
