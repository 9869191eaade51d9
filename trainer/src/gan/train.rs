//! Training of a GAN: what the loop in [`crate::session`] does not know.

use std::collections::VecDeque;
use std::path::Path;

use latent_files::run::RunError;
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;
use tch::{Kind, TchError, Tensor};

use super::architecture::ImageShape;
use super::batches::Batches;
use super::model::Gan;
use super::noise::Noise;
use super::run::{RunInfo, State};
use crate::checkpoint::{self, CheckpointError, Tensors};
use crate::diagnosis::{self, FindingKind, Monitor, Observation, Report};
use crate::report::grid;
use crate::report::plot::{self, LossPlot, PlotError};
use crate::session::{self, Due, Job, Outcome, Picture, RECENT, Record, Task, every};
use crate::training::TrainError;

/// Images over which diversity is measured.
const DIVERSITY_IMAGES: usize = 64;

/// Trains a GAN on `pixels`, planar bytes; only the first `info.data.images` images are used. See [`session::train`].
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(job: Job<'_, RunInfo>, pixels: &[u8]) -> Result<Outcome<RunInfo>, TrainError> {
    session::train(job, |job, checkpoint| GanTask::new(job, pixels, checkpoint))
}

struct GanTask {
    gan: Gan,
    batches: Batches,
    noise: Noise,
    /// Latent vectors of all sample grids, and of the measurement of diversity.
    fixed: Tensor,
    fixed_diversity: Tensor,
    image: crate::run_folder::Image,
    sample_every: u64,
    diversity_every: u64,
    monitor: Monitor,
    recent: VecDeque<(f64, f64)>,
    diversity: Option<f32>,
}

impl GanTask {
    fn new(
        job: &Job<'_, RunInfo>,
        pixels: &[u8],
        checkpoint: Option<(&Path, State)>,
    ) -> Result<Self, TrainError> {
        let options = &job.info.hyperparameters;
        let (image, device) = (ImageShape::from(job.info.image), job.device);
        let (count, batch) = (job.info.data.images, options.common.batch);
        if batch == 0 || count < batch || pixels.len() < count * image.values() as usize {
            return Err(TrainError::Data(format!("{count} images make no batch of {batch}")));
        }
        let mut root = Rng::from_seed(options.common.seed);
        let mut weights = root.fork();
        let (training, fixed, order) = (root.fork(), root.fork(), root.fork());
        let distribution = job.info.latent.distribution.into();
        let noise = |rng| Noise::new(rng, distribution, options.latent_size, device);

        let gan = Gan::new(options, image, &mut weights, device)?;
        let shuffle = options.shuffle.then_some(order);
        let batches = Batches::new(pixels, count, image, batch, shuffle, device)?;
        // One sequence for both, so that the diversity is that of the images on the grids.
        let fixed = noise(fixed).draw(options.sample_count.max(DIVERSITY_IMAGES))?;
        let mut monitor = Monitor::new(options.loss);
        if let Some(diversity) = image_diversity(&batches.spread(DIVERSITY_IMAGES)?)? {
            monitor = monitor.with_data_diversity(diversity);
        }
        let mut task = Self {
            gan,
            batches,
            noise: noise(training),
            fixed_diversity: fixed.f_narrow(0, 0, DIVERSITY_IMAGES as i64)?,
            fixed: fixed.f_narrow(0, 0, options.sample_count as i64)?,
            image: job.info.image,
            sample_every: options.sample_every,
            diversity_every: options.diversity_every,
            monitor,
            recent: VecDeque::new(),
            diversity: None,
        };
        if let Some((folder, state)) = checkpoint {
            task.gan.load(folder, &state)?;
            if !task.noise.restore(state.noise) {
                let what = "the state of the random generator is all zero".to_owned();
                let path = folder.join(checkpoint::STATE);
                return Err(CheckpointError::from(RunError::Value { path, what }).into());
            }
            (task.monitor, task.recent, task.diversity) = (state.monitor, state.recent, state.diversity);
        }
        Ok(task)
    }
}

impl Task for GanTask {
    type Info = RunInfo;
    type State = State;
    /// The diversity of samples.
    type Evaluation = f32;

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("d_loss", "loss/discriminator"),
        ("g_loss", "loss/generator"),
        ("score_real", "score/real"),
        ("score_fake", "score/fake"),
        ("diversity", "diversity"),
    ];
    const LOWER: &'static str = "the learning rates (--d-lr, --g-lr)";
    const SAVES_UNTRAINED: bool = false;

    fn step(&mut self, index: u64) -> Result<Tensor, TrainError> {
        Ok(self.gan.step(index, &mut self.batches, &mut self.noise)?)
    }

    fn evaluate(&mut self, iteration: u64, _last: bool) -> Result<Option<f32>, TrainError> {
        if !every(iteration, self.diversity_every) {
            return Ok(None);
        }
        Ok(image_diversity(&self.gan.sample(&self.fixed_diversity)?)?)
    }

    fn due(&self, iteration: u64, _diversity: Option<f32>) -> Due {
        Due { sample: every(iteration, self.sample_every), ..Due::default() }
    }

    fn record(&mut self, iteration: u64, figures: &[f32], diversity: Option<f32>) -> Record {
        let [d_loss, g_loss, real, fake] = [0, 1, 2, 3].map(|k| f64::from(figures[k]));
        let finding = self.monitor.observe(Observation { iteration, d_loss, g_loss, diversity });
        if finding.as_ref().is_none_or(|finding| finding.kind != FindingKind::NotFinite) {
            self.diversity = diversity.or(self.diversity);
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((d_loss, g_loss));
        }
        Record {
            row: vec![Some(d_loss), Some(g_loss), Some(real), Some(fake), diversity.map(f64::from)],
            progress: [("D", d_loss), ("G", g_loss)],
            note: None,
            finding,
        }
    }

    /// A grid from the fixed latent vectors.
    fn samples(&self) -> Result<Option<Picture>, TrainError> {
        let image = self.image;
        let pixels = to_pixels(&self.gan.sample(&self.fixed)?, image.low, image.high)?;
        let n = self.fixed.size()[0] as usize;
        let (channels, h, w) = (image.channels, image.height, image.width);
        let (columns, scale) = layout(n, h, w);
        let png = grid::png(&pixels, n, channels, h, w, columns, scale)?;
        let (width, height) = grid::size(n, h, w, columns, scale)?;
        Ok(Some(Picture { png, width, height, channels }))
    }

    fn all_finite(&self) -> Result<bool, TrainError> {
        Ok(self.gan.all_finite()?)
    }

    fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TrainError> {
        Ok(self.gan.tensors()?)
    }

    fn state(&self, iteration: u64, seconds: f64) -> State {
        let (discriminator_steps, generator_steps, ema_updates) = self.gan.counts();
        State {
            format: checkpoint::FORMAT,
            iteration,
            noise: self.noise.state(),
            discriminator_steps,
            generator_steps,
            ema_updates,
            seconds,
            monitor: self.monitor.clone(),
            recent: self.recent.clone(),
            diversity: self.diversity,
        }
    }

    fn describe(&self, info: &mut RunInfo) -> Result<(), TrainError> {
        let n = self.recent.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| {
            (n > 0.0).then(|| self.recent.iter().map(value).sum::<f64>() / n).filter(|v| v.is_finite())
        };
        info.figures.d_loss = mean(|r| r.0);
        info.figures.g_loss = mean(|r| r.1);
        info.figures.diversity = self.diversity;
        info.figures.data_diversity = image_diversity(&self.batches.spread(DIVERSITY_IMAGES)?)?;
        Ok(())
    }

    fn report(&self) -> Report {
        self.monitor.report()
    }

    fn plot(run: &Path, info: &RunInfo) -> Result<(), PlotError> {
        let title = format!("{} on {}", info.command, info.data.name);
        let about = LossPlot {
            title: &title,
            loss: Some(info.hyperparameters.loss),
            findings: &info.diagnosis,
            verdict: Some(&info.verdict),
            data_diversity: info.figures.data_diversity,
        };
        plot::losses(run.join("metrics.csv"), run.join("losses.png"), &about)
    }
}

/// Columns and enlargement for a grid of `n` images: about square, about 600 pixels wide at most.
pub fn layout(n: usize, h: usize, w: usize) -> (usize, usize) {
    let columns = (n as f64).sqrt().ceil().max(1.0) as usize;
    (columns, (600 / (columns * h.max(w)).max(1)).clamp(1, 4))
}

/// Values to planar bytes.
pub fn to_pixels(images: &Tensor, low: f32, high: f32) -> Result<Vec<u8>, TrainError> {
    let values = Vec::<f32>::try_from(images.f_to_kind(Kind::Float)?.f_contiguous()?.f_view(-1)?)?;
    let range = ValueRange::new(low, high)
        .ok_or_else(|| TrainError::Data(format!("the value range {low}..{high} of the images is empty")))?;
    Ok(values.into_iter().map(|v| range.to_u8(v)).collect())
}

fn image_diversity(images: &Tensor) -> Result<Option<f32>, TchError> {
    let values = Vec::<f32>::try_from(images.f_contiguous()?.f_view(-1)?)?;
    Ok(diagnosis::diversity(&values, images.size()[0] as usize))
}
