//! Training of a GAN: what the loop in [`crate::session`] does not know.

use std::collections::VecDeque;
use std::path::Path;

use latent_files::run::RunError;
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;
use tch::{Kind, TchError, Tensor};

use super::architecture::ImageShape;
use super::batches::Batches;
use super::condition::{self, Labels};
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

/// Classes at most within which the diversity of a conditional GAN is measured: so there are four images of each.
const DIVERSITY_CLASSES: usize = 16;

/// Trains a GAN on `pixels`, planar bytes, and, if it is conditional, their `labels`; only the first `info.data.images`
/// images are used. See [`session::train`].
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(job: Job<'_, RunInfo>, pixels: &[u8], labels: &[u32]) -> Result<Outcome<RunInfo>, TrainError> {
    session::train(job, |job, checkpoint| GanTask::new(job, pixels, labels, checkpoint))
}

struct GanTask {
    gan: Gan,
    batches: Batches,
    noise: Noise,
    /// What all sample grids are made of, and the measurement of diversity.
    fixed: Fixed,
    fixed_diversity: Fixed,
    /// Images side by side on a grid, if each column is a class.
    columns: Option<usize>,
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
        labels: &[u32],
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

        let classes = job.info.class_count();
        let gan = Gan::new(options, image, classes, &mut weights, device)?;
        let shuffle = options.shuffle.then_some(order);
        let mut batches = Batches::new(pixels, count, image, batch, shuffle, device)?;
        if let Some(classes) = classes {
            batches =
                batches.with_labels(Labels::new(labels.get(..count).unwrap_or(labels), classes, device)?)?;
        }
        // One sequence for both, so that the diversity is that of the images on the grids.
        let fixed = noise(fixed).draw(options.sample_count.max(DIVERSITY_IMAGES))?;
        // As many whole rows as fit, a column for each class.
        let columns = classes.map(|classes| classes.min(options.sample_count));
        let samples =
            columns.map_or(options.sample_count, |columns| options.sample_count / columns * columns);
        let mut monitor = Monitor::new(options.loss);
        if let Some(diversity) = data_diversity(&batches)? {
            monitor = monitor.with_data_diversity(diversity);
        }
        let mut task = Self {
            gan,
            batches,
            noise: noise(training),
            fixed_diversity: Fixed::new(
                fixed.f_narrow(0, 0, DIVERSITY_IMAGES as i64)?,
                classes.map(|classes| (classes, classes.min(DIVERSITY_CLASSES))),
            )?,
            fixed: Fixed::new(fixed.f_narrow(0, 0, samples as i64)?, classes.zip(columns))?,
            columns,
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
        let Fixed { z, labels, groups } = &self.fixed_diversity;
        Ok(image_diversity(&self.gan.sample(z, labels.as_ref())?, groups)?)
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
        let Fixed { z, labels, groups } = &self.fixed;
        let pixels = to_pixels(&self.gan.sample(z, labels.as_ref())?, image.low, image.high)?;
        let n = groups.len();
        let (channels, h, w) = (image.channels, image.height, image.width);
        let (columns, scale) = layout(n, self.columns, h, w);
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
        info.figures.data_diversity = data_diversity(&self.batches)?;
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

/// Latent vectors that stay the same.
struct Fixed {
    z: Tensor,
    /// One-hot, if the GAN is conditional.
    labels: Option<Tensor>,
    /// The class of each image, all 0 if it is not.
    groups: Vec<u32>,
}

impl Fixed {
    /// With `(classes, used)`, the labels are 0, 1, ... below `used` in turn.
    fn new(z: Tensor, classes: Option<(usize, usize)>) -> Result<Self, TchError> {
        let n = z.size2()?.0;
        let (classes, used) = classes.unwrap_or((1, 1));
        let labels: Vec<i64> = (0..n).map(|i| i % used as i64).collect();
        let one_hot =
            || condition::one_hot(&Tensor::f_from_slice(&labels)?.f_to_device(z.device())?, classes);
        let one_hot = (classes > 1).then(one_hot).transpose()?;
        Ok(Self { z, labels: one_hot, groups: labels.into_iter().map(|label| label as u32).collect() })
    }
}

/// Columns and enlargement for a grid of `n` images: about square unless the columns are given, about 600 pixels wide at
/// most.
pub fn layout(n: usize, columns: Option<usize>, h: usize, w: usize) -> (usize, usize) {
    let columns = columns.unwrap_or_else(|| (n as f64).sqrt().ceil().max(1.0) as usize);
    (columns, (600 / (columns * h.max(w)).max(1)).clamp(1, 4))
}

/// Values to planar bytes.
pub fn to_pixels(images: &Tensor, low: f32, high: f32) -> Result<Vec<u8>, TrainError> {
    let values = Vec::<f32>::try_from(images.f_to_kind(Kind::Float)?.f_contiguous()?.f_view(-1)?)?;
    let range = ValueRange::new(low, high)
        .ok_or_else(|| TrainError::Data(format!("the value range {low}..{high} of the images is empty")))?;
    Ok(values.into_iter().map(|v| range.to_u8(v)).collect())
}

/// The diversity of images, within their classes.
fn image_diversity(images: &Tensor, classes: &[u32]) -> Result<Option<f32>, TchError> {
    let values = Vec::<f32>::try_from(images.f_contiguous()?.f_view(-1)?)?;
    Ok(diagnosis::within_groups(&values, classes))
}

/// The diversity of real images, within their classes if these are told.
fn data_diversity(batches: &Batches) -> Result<Option<f32>, TchError> {
    match batches.all_labels() {
        None => {
            let images = batches.spread(DIVERSITY_IMAGES)?;
            image_diversity(&images, &vec![0; images.size()[0] as usize])
        }
        Some(labels) => {
            let (places, classes): (Vec<i64>, Vec<u32>) = labels
                .spread(labels.classes().min(DIVERSITY_CLASSES), DIVERSITY_IMAGES)
                .into_iter()
                .map(|(place, class)| (place as i64, class))
                .unzip();
            if places.is_empty() {
                return Ok(None);
            }
            image_diversity(&batches.at(&places)?, &classes)
        }
    }
}
