//! Training of a GAN: what the loop in [`crate::session`] does not know.

use std::collections::VecDeque;
use std::path::Path;

use latent_files::run::{Quality, QualityCheck, RunError};
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
use crate::scoring::evaluator::Evaluator;
use crate::session::{self, Due, Job, Outcome, Picture, RECENT, Record, Task, every};
use crate::training::TrainError;

/// Images over which diversity is measured.
const DIVERSITY_IMAGES: usize = 64;

/// Samples that are drawn at once to be judged.
const JUDGED_AT_ONCE: usize = 250;

/// Classes at most within which the diversity of a conditional GAN is measured: so there are four images of each.
const DIVERSITY_CLASSES: usize = 16;

/// What an evaluation measures, each where it is due.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    /// The diversity of samples.
    diversity: Option<f32>,
    /// What a scorer says of samples.
    quality: Option<Quality>,
}

/// The figures that tell most, in one line.
pub fn quality_text(quality: &Quality) -> String {
    format!(
        "Fréchet distance {:.1}, score {:.2}, {} classes, {:.0} % confident, coverage {:.0} %",
        quality.frechet,
        quality.score,
        quality.classes_covered,
        100.0 * quality.confident,
        100.0 * quality.coverage
    )
}

/// Trains a GAN on `pixels`, planar bytes, and, if it is conditional, their `labels`; only the first `info.data.images`
/// images are used. `evaluator` judges samples. See [`session::train`].
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(
    job: Job<'_, RunInfo>,
    pixels: &[u8],
    labels: &[u32],
    evaluator: Option<Evaluator>,
) -> Result<Outcome<RunInfo>, TrainError> {
    session::train(job, |job, checkpoint| GanTask::new(job, pixels, labels, evaluator, checkpoint))
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
    /// Judges samples of the same latent vectors each time.
    evaluator: Option<Evaluator>,
    judged: Noise,
    eval_every: u64,
    eval_samples: usize,
    quality: Option<QualityCheck>,
    best: Option<QualityCheck>,
}

impl GanTask {
    fn new(
        job: &Job<'_, RunInfo>,
        pixels: &[u8],
        labels: &[u32],
        evaluator: Option<Evaluator>,
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
        let (training, fixed, order, judged) = (root.fork(), root.fork(), root.fork(), root.fork());
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
            evaluator,
            judged: noise(judged),
            eval_every: options.eval_every,
            eval_samples: options.eval_samples,
            quality: None,
            best: None,
        };
        if let Some((folder, state)) = checkpoint {
            task.gan.load(folder, &state)?;
            if !task.noise.restore(state.noise) {
                let what = "the state of the random generator is all zero".to_owned();
                let path = folder.join(checkpoint::STATE);
                return Err(CheckpointError::from(RunError::Value { path, what }).into());
            }
            (task.monitor, task.recent, task.diversity) = (state.monitor, state.recent, state.diversity);
            (task.quality, task.best) = (state.quality, state.best);
        }
        Ok(task)
    }

    fn diversity_now(&self) -> Result<Option<f32>, TrainError> {
        let Fixed { z, labels, groups } = &self.fixed_diversity;
        Ok(image_diversity(&self.gan.sample(z, labels.as_ref())?, groups)?)
    }

    /// What the scorer says of samples; classes come in turn if the GAN is conditional.
    fn quality_now(&self, evaluator: &Evaluator) -> Result<Quality, TrainError> {
        let mut noise = self.judged.clone();
        let classes = self.batches.all_labels().map(Labels::classes);
        let mut pixels = Vec::new();
        let mut drawn = 0;
        while drawn < self.eval_samples {
            let n = JUDGED_AT_ONCE.min(self.eval_samples - drawn);
            let Fixed { z, labels, .. } =
                Fixed::new(noise.draw(n)?, classes.map(|classes| (classes, classes)))?;
            let images = self.gan.sample(&z, labels.as_ref())?;
            pixels.extend(to_pixels(&images, self.image.low, self.image.high)?);
            drawn += n;
        }
        Ok(evaluator.judge(&pixels)?.0)
    }

    fn is_best(&self, quality: Quality) -> bool {
        self.best.is_none_or(|best| quality.frechet < best.quality.frechet)
    }

    /// The means of the last losses, D and G.
    fn losses(&self) -> Option<(f64, f64)> {
        let n = self.recent.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| self.recent.iter().map(value).sum::<f64>() / n;
        (n > 0.0).then(|| (mean(|r| r.0), mean(|r| r.1)))
    }
}

impl Task for GanTask {
    type Info = RunInfo;
    type State = State;
    type Evaluation = Measured;

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("d_loss", "loss/discriminator"),
        ("g_loss", "loss/generator"),
        ("score_real", "score/real"),
        ("score_fake", "score/fake"),
        ("diversity", "diversity"),
        ("frechet", "quality/frechet_distance"),
        ("kernel", "quality/kernel_distance"),
        ("score", "quality/score"),
        ("class_divergence", "quality/class_divergence"),
        ("classes_covered", "quality/classes_covered"),
        ("confident", "quality/confident"),
        ("precision", "quality/precision"),
        ("recall", "quality/recall"),
        ("density", "quality/density"),
        ("coverage", "quality/coverage"),
    ];
    const LOWER: &'static str = "the learning rates (--d-lr, --g-lr)";
    const SAVES_UNTRAINED: bool = false;

    fn step(&mut self, index: u64) -> Result<Tensor, TrainError> {
        Ok(self.gan.step(index, &mut self.batches, &mut self.noise)?)
    }

    /// Samples are judged at the end too, but for runs that are shorter than the time between judgments.
    fn evaluate(&mut self, iteration: u64, last: bool) -> Result<Option<Measured>, TrainError> {
        let due = every(iteration, self.eval_every) || last && iteration >= self.eval_every;
        let quality = match self.evaluator.as_ref().filter(|_| self.eval_every > 0 && due) {
            Some(evaluator) => Some(self.quality_now(evaluator)?),
            None => None,
        };
        let diversity = if every(iteration, self.diversity_every) { self.diversity_now()? } else { None };
        Ok((diversity.is_some() || quality.is_some()).then_some(Measured { diversity, quality }))
    }

    fn due(&self, iteration: u64, measured: Option<Measured>) -> Due {
        let quality = measured.and_then(|measured| measured.quality);
        Due {
            read: quality.is_some(),
            sample: every(iteration, self.sample_every),
            save: quality.is_some_and(|quality| self.is_best(quality)),
        }
    }

    fn record(&mut self, iteration: u64, figures: &[f32], measured: Option<Measured>) -> Record {
        let diversity = measured.and_then(|measured| measured.diversity);
        let quality = measured.and_then(|measured| measured.quality);
        if let Some(quality) = quality {
            let check = QualityCheck { iteration, quality };
            if self.is_best(quality) {
                self.best = Some(check);
            }
            self.quality = Some(check);
        }
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
            row: [Some(d_loss), Some(g_loss), Some(real), Some(fake), diversity.map(f64::from)]
                .into_iter()
                .chain(quality.map_or([None; 10], |q| {
                    [
                        Some(q.frechet),
                        Some(q.kernel),
                        Some(q.score),
                        q.class_divergence,
                        Some(q.classes_covered as f64),
                        Some(q.confident),
                        Some(q.precision),
                        Some(q.recall),
                        Some(q.density),
                        Some(q.coverage),
                    ]
                }))
                .collect(),
            progress: [("D", d_loss), ("G", g_loss)],
            note: quality.map(|quality| format!("iteration {iteration}: {}", quality_text(&quality))),
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
            quality: self.quality,
            best: self.best,
        }
    }

    /// The best one.
    fn keeps(&self) -> Vec<u64> {
        self.best.map(|best| best.iteration).into_iter().collect()
    }

    fn describe(&self, info: &mut RunInfo) -> Result<(), TrainError> {
        let losses = self.losses();
        info.figures.d_loss = losses.map(|losses| losses.0).filter(|d| d.is_finite());
        info.figures.g_loss = losses.map(|losses| losses.1).filter(|g| g.is_finite());
        info.figures.quality = self.quality;
        info.figures.best = self.best;
        info.figures.diversity = self.diversity;
        info.figures.data_diversity = data_diversity(&self.batches)?;
        Ok(())
    }

    fn report(&self) -> Report {
        let quality = self.quality.zip(self.evaluator.as_ref());
        let classes =
            quality.map(|(check, evaluator)| (check.quality.classes_covered, evaluator.scorer().classes()));
        self.monitor.report(self.losses(), classes)
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
