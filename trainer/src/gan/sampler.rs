//! A run's generator, read to draw images.

use std::path::Path;

use anyhow::Context;
use latent_runtime::rng::Rng;
use tch::{Device, Tensor};

use super::architecture;
use super::condition;
use super::noise::Noise;
use super::run::RunInfo;
use super::train::to_pixels;
use crate::checkpoint;
use crate::nn::{Named, Network, Pass};
use crate::run_folder;
use crate::training::TrainError;
use crate::which::Which;

pub use latent_files::run::WeightsChoice;

/// Images computed at a time.
const CHUNK: usize = 256;

/// A generator that is not trained any more.
#[derive(Debug)]
pub struct Sampler {
    pub info: RunInfo,
    pub iteration: u64,
    /// `raw` or `ema`.
    pub weights: &'static str,
    generator: Network,
    device: Device,
}

impl Sampler {
    /// Reads a generator from a run.
    ///
    /// # Errors
    /// If the run has no such checkpoint or weights, or they cannot be read.
    pub fn open(run: &Path, which: Which, choice: WeightsChoice, device: Device) -> anyhow::Result<Self> {
        let info = run_folder::read_info::<RunInfo>(run)?;
        let best = info.figures.best.map(|best| best.iteration);
        let (iteration, checkpoint) = which.of(run, best)?;
        let ema = checkpoint.join(checkpoint::GENERATOR_EMA);
        let (weights, file) = match choice {
            WeightsChoice::Auto if ema.is_file() => ("ema", ema),
            WeightsChoice::Ema if !ema.is_file() => {
                anyhow::bail!(
                    "{} has no moving average (the run was started without --ema)",
                    checkpoint.display()
                )
            }
            WeightsChoice::Ema => ("ema", ema),
            WeightsChoice::Auto | WeightsChoice::Raw => ("raw", checkpoint.join(checkpoint::GENERATOR)),
        };
        let shape = info.image.into();
        architecture::check(info.net, shape)
            .map_err(|reason| anyhow::anyhow!("{}: {reason}", run.display()))?;
        let latent = i64::try_from(info.latent.size)?;
        let classes = info.class_count();
        let mut rng = Rng::from_seed(0);
        let generator = architecture::generator(info.net, shape, latent, classes, &mut rng, device)?;
        let values = checkpoint::read_tensors(&file)?;
        generator
            .load_state(&values)
            .with_context(|| format!("{} does not fit its run.json", file.display()))?;
        Ok(Self { info, iteration, weights, generator, device })
    }

    /// Draws images from the latent vectors of this seed, planar bytes; those of a conditional run have `labels` in turn.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn draw(&self, count: usize, seed: u64, labels: &[i64]) -> Result<Vec<u8>, TrainError> {
        let latent = &self.info.latent;
        let mut noise =
            Noise::new(Rng::from_seed(seed), latent.distribution.into(), latent.size, self.device);
        let mut pixels = Vec::new();
        for start in (0..count).step_by(CHUNK) {
            let n = CHUNK.min(count - start);
            let z = noise.draw(n)?;
            let given = self.info.class_count().filter(|_| !labels.is_empty()).map(|classes| {
                let labels: Vec<i64> =
                    labels.iter().copied().cycle().skip(start % labels.len()).take(n).collect();
                condition::one_hot(&Tensor::f_from_slice(&labels)?.f_to_device(self.device)?, classes)
            });
            let given = given.transpose()?;
            let images =
                tch::no_grad(|| condition::generate(&self.generator, &z, given.as_ref(), Pass::EVAL))?;
            pixels.extend(to_pixels(&images, self.info.image.low, self.info.image.high)?);
        }
        Ok(pixels)
    }
}
