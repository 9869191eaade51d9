//! The training loop: steps, logs, samples, checkpoints, diagnosis; new or resumed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use latent_files::atomic::{self, Existing};
use latent_files::run::RunError;
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::architecture::ImageShape;
use super::batches::Batches;
use super::noise::Noise;
use super::players::Players;
use crate::checkpoint::{self, CheckpointError, State};
use crate::diagnosis::{self, Finding, FindingKind, Monitor, Observation};
use crate::report::grid;
use crate::report::plot::{self, LossPlot, PlotError};
use crate::report::progress::Progress;
use crate::run_folder::{RunFolder, RunInfo};
use crate::training::{Ending, Logs, TrainError};

/// The columns of `metrics.csv` after `iteration`.
pub const COLUMNS: [&str; 5] = ["d_loss", "g_loss", "score_real", "score_fake", "diversity"];
/// Images over which diversity is measured.
const DIVERSITY_IMAGES: usize = 64;
/// Iterations over which the losses in `run.json` are means.
const RECENT: usize = 100;

/// What to train, where, and on what.
#[derive(Debug)]
pub struct Job<'a> {
    /// The run folder, new or opened to go on.
    pub folder: &'a RunFolder,
    /// Its description.
    pub info: RunInfo,
    /// All images of the train split, planar bytes; only the first `info.data.images` are used.
    pub pixels: &'a [u8],
    /// Where to compute.
    pub device: Device,
    /// Set from outside to finish the iteration, save and return.
    pub stop: &'a AtomicBool,
    /// Show no progress.
    pub quiet: bool,
}

/// What training returns.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The final content of `run.json`.
    pub info: RunInfo,
    /// Iterations done in this session.
    pub session_iterations: u64,
    /// Seconds this session's iterations took.
    pub session_seconds: f64,
}

/// One iteration's figures that have not been read from the device.
struct Pending {
    iteration: u64,
    values: Tensor,
    diversity: Option<f32>,
}

struct Session<'a> {
    job: Job<'a>,
    players: Players,
    batches: Batches,
    noise: Noise,
    /// Latent vectors of all sample grids, and of the measurement of diversity.
    fixed: Tensor,
    fixed_diversity: Tensor,
    logs: Logs,
    monitor: Monitor,
    recent: VecDeque<(f64, f64)>,
    diversity: Option<f32>,
    pending: Vec<Pending>,
    progress: Progress,
    iteration: u64,
    started: Instant,
    seconds_before: f64,
    iteration_at_start: u64,
}

/// Trains until all iterations are done, `job.stop` is set, or the losses are no longer finite.
///
/// A folder with a checkpoint is continued from the newest, exactly: on a CPU with the same number of threads all later
/// losses and weights are those of a run that was never interrupted, bit for bit. A folder without one is started anew.
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(job: Job<'_>) -> Result<Outcome, TrainError> {
    let mut session = Session::new(job)?;
    session.save_info(false, None)?;
    let ending = session.run()?;
    session.finish(ending)
}

impl<'a> Session<'a> {
    fn new(job: Job<'a>) -> Result<Self, TrainError> {
        let options = &job.info.hyperparameters;
        let (image, device) = (ImageShape::from(job.info.image), job.device);
        let count = job.info.data.images;
        if options.batch == 0 || count < options.batch || job.pixels.len() < count * image.values() as usize {
            return Err(TrainError::Data(format!("{count} images make no batch of {}", options.batch)));
        }
        let mut root = Rng::from_seed(options.seed);
        let mut weights = root.fork();
        let (training, fixed, order) = (root.fork(), root.fork(), root.fork());
        let distribution = job.info.latent.distribution.into();
        let noise = |rng| Noise::new(rng, distribution, options.latent_size, device);

        let mut players = Players::new(options, image, &mut weights, device)?;
        let shuffle = options.shuffle.then_some(order);
        let batches = Batches::new(job.pixels, count, image, options.batch, shuffle, device)?;
        let mut training = noise(training);
        // One sequence for both, so that the diversity is that of the images on the grids.
        let fixed = noise(fixed).draw(options.sample_count.max(DIVERSITY_IMAGES))?;

        let mut monitor = Monitor::new(options.loss);
        if let Some(diversity) = image_diversity(&batches.spread(DIVERSITY_IMAGES)?)? {
            monitor = monitor.with_data_diversity(diversity);
        }
        let (mut iteration, mut seconds_before) = (0, 0.0);
        let (mut recent, mut diversity) = (VecDeque::new(), None);
        let newest = checkpoint::list(&job.folder.checkpoints())?.pop();
        if let Some((_, folder)) = &newest {
            let state = checkpoint::read_state::<State>(folder)?;
            players.load(folder, &state)?;
            if !training.restore(state.noise) {
                let what = "the state of the random generator is all zero".to_owned();
                let path = folder.join(checkpoint::STATE);
                return Err(CheckpointError::from(RunError::Value { path, what }).into());
            }
            (iteration, seconds_before) = (state.iteration, state.seconds);
            (monitor, recent, diversity) = (state.monitor, state.recent, state.diversity);
        }

        let logs = Logs::open(job.folder.path(), &COLUMNS, newest.map(|_| iteration))?;
        let total = options.iterations;
        let progress =
            if job.quiet { Progress::hidden(total, iteration) } else { Progress::new(total, iteration) };
        Ok(Self {
            players,
            batches,
            noise: training,
            fixed_diversity: fixed.f_narrow(0, 0, DIVERSITY_IMAGES as i64)?,
            fixed: fixed.f_narrow(0, 0, options.sample_count as i64)?,
            logs,
            monitor,
            recent,
            diversity,
            pending: Vec::new(),
            progress,
            iteration,
            started: Instant::now(),
            seconds_before,
            iteration_at_start: iteration,
            job,
        })
    }

    fn run(&mut self) -> Result<Ending, TrainError> {
        let options = self.job.info.hyperparameters.clone();
        let every = |iteration: u64, period: u64| period > 0 && iteration.is_multiple_of(period);
        while self.iteration < options.iterations {
            let figures = self.players.step(self.iteration, &mut self.batches, &mut self.noise)?;
            self.iteration += 1;
            let i = self.iteration;
            let diversity = if every(i, options.diversity_every) { self.measure_diversity()? } else { None };
            self.pending.push(Pending { iteration: i, values: figures.values, diversity });

            let last = i == options.iterations;
            let stop = self.job.stop.load(Ordering::Relaxed);
            let (sample, save) =
                (every(i, options.sample_every), last || stop || every(i, options.save_every));
            let read = sample || save || self.pending.len() as u64 >= options.log_every.max(1);
            if read && let Some(finding) = self.read_pending()? {
                return self.not_finite(finding);
            }
            if sample {
                self.draw(&format!("{i:08}.png"))?;
            }
            if save {
                if stop && !last {
                    self.progress.println(&format!("interrupted: saving iteration {i}"));
                }
                if let Some(finding) = self.save(last)? {
                    return self.not_finite(finding);
                }
            }
            if stop && !last {
                return Ok(Ending::Interrupted);
            }
        }
        Ok(Ending::Finished)
    }

    /// Reads the figures of the iterations since the last reading, in one transfer; writes them down and judges them.
    /// Returns the finding if they are no longer finite.
    fn read_pending(&mut self) -> Result<Option<Finding>, TrainError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let pending = std::mem::take(&mut self.pending);
        let values: Vec<&Tensor> = pending.iter().map(|p| &p.values).collect();
        let values = Vec::<f32>::try_from(Tensor::f_stack(&values, 0)?.f_view(-1)?)?;
        for (Pending { iteration, diversity, .. }, row) in pending.iter().zip(values.chunks_exact(4)) {
            let [d_loss, g_loss, real, fake] = [0, 1, 2, 3].map(|k| f64::from(row[k]));
            let row = [Some(d_loss), Some(g_loss), Some(real), Some(fake), diversity.map(f64::from)];
            self.logs.metrics.append_sparse(*iteration, &row)?;
            let tags = ["loss/discriminator", "loss/generator", "score/real", "score/fake", "diversity"];
            for (tag, value) in tags.iter().zip(row) {
                if let Some(value) = value {
                    self.logs.events.scalar(tag, *iteration, value)?;
                }
            }
            self.progress.tick(*iteration, &[("D", d_loss), ("G", g_loss)]);
            let observation = Observation { iteration: *iteration, d_loss, g_loss, diversity: *diversity };
            if let Some(finding) = self.monitor.observe(observation) {
                let place = finding.iteration;
                self.progress.println(&format!("warning: iteration {place}: {}", finding.message));
                if finding.kind == FindingKind::NotFinite {
                    return Ok(Some(finding));
                }
            }
            self.diversity = diversity.or(self.diversity);
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((d_loss, g_loss));
        }
        let speed = self.progress.iterations_per_second();
        self.logs.events.scalar("speed/iterations_per_second", self.iteration, speed)?;
        Ok(None)
    }

    fn measure_diversity(&self) -> Result<Option<f32>, TrainError> {
        Ok(image_diversity(&self.players.sample(&self.fixed_diversity)?)?)
    }

    /// Draws the fixed latent vectors into `samples`.
    fn draw(&mut self, name: &str) -> Result<(), TrainError> {
        let image = self.job.info.image;
        let pixels = to_pixels(&self.players.sample(&self.fixed)?, image.low, image.high)?;
        let n = self.fixed.size()[0] as usize;
        let (c, h, w) = (image.channels, image.height, image.width);
        let (columns, scale) = layout(n, h, w);
        let png = grid::png(&pixels, n, c, h, w, columns, scale)?;
        let (width, height) = grid::size(n, h, w, columns, scale)?;
        let file = self.job.folder.path().join("samples").join(name);
        atomic::write_file(&file, &png, Existing::Replace)?;
        self.logs.events.image_png("samples", self.iteration, &png, height, width, c)?;
        Ok(())
    }

    /// Writes a checkpoint and `run.json`. Returns a finding instead if a weight is not finite.
    fn save(&mut self, finished: bool) -> Result<Option<Finding>, TrainError> {
        if !self.players.all_finite()? {
            let message = format!(
                "a weight became NaN or infinite by iteration {}: lower the learning rates (--d-lr, --g-lr)",
                self.iteration
            );
            return Ok(Some(Finding { iteration: self.iteration, kind: FindingKind::NotFinite, message }));
        }
        self.logs.metrics.sync()?;
        let (discriminator_steps, generator_steps, ema_updates) = self.players.counts();
        let state = State {
            format: checkpoint::FORMAT,
            iteration: self.iteration,
            noise: self.noise.state(),
            discriminator_steps,
            generator_steps,
            ema_updates,
            seconds: self.seconds(),
            monitor: self.monitor.clone(),
            recent: self.recent.clone(),
            diversity: self.diversity,
        };
        let checkpoints = self.job.folder.checkpoints();
        checkpoint::save(&checkpoints, &self.players.tensors()?, &state)?;
        let stopped = self.job.stop.load(Ordering::Relaxed) && !finished;
        self.save_info(finished, stopped.then_some("interrupted"))?;
        checkpoint::prune(&checkpoints, self.job.info.hyperparameters.keep, &[])?;
        Ok(None)
    }

    fn save_info(&mut self, finished: bool, stopped_by: Option<&str>) -> Result<(), TrainError> {
        let (iteration, seconds) = (self.iteration, self.seconds());
        let session = (iteration - self.iteration_at_start) as f64 / self.session_seconds();
        let info = &mut self.job.info;
        info.progress.iteration = iteration;
        info.progress.iterations = info.hyperparameters.iterations;
        info.progress.epoch = info.hyperparameters.epochs_of(iteration);
        info.progress.seconds = seconds;
        info.progress.finished = finished;
        info.progress.stopped_by = stopped_by.map(str::to_owned);
        let n = self.recent.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| {
            (n > 0.0).then(|| self.recent.iter().map(value).sum::<f64>() / n).filter(|v| v.is_finite())
        };
        info.figures.d_loss = mean(|r| r.0);
        info.figures.g_loss = mean(|r| r.1);
        info.figures.diversity = self.diversity;
        info.figures.data_diversity = image_diversity(&self.batches.spread(DIVERSITY_IMAGES)?)?;
        if session > 0.0 && session.is_finite() {
            info.figures.iterations_per_second = Some(session);
        }
        let report = self.monitor.report();
        info.diagnosis = report.findings;
        info.verdict = report.verdict;
        self.job.folder.write_info(info)?;
        Ok(())
    }

    fn not_finite(&mut self, finding: Finding) -> Result<Ending, TrainError> {
        self.logs.metrics.sync()?;
        let checkpoint = checkpoint::list(&self.job.folder.checkpoints())?.pop();
        self.iteration = finding.iteration;
        self.save_info(false, Some("not-finite"))?;
        // Weights can be the first to go; the monitor sees losses only.
        if !self.job.info.diagnosis.iter().any(|f| f.kind == FindingKind::NotFinite) {
            self.job.info.diagnosis.push(finding.clone());
            self.job.folder.write_info(&self.job.info)?;
        }
        Ok(Ending::NotFinite { finding, checkpoint: checkpoint.map(|(_, path)| path) })
    }

    fn finish(mut self, ending: Ending) -> Result<Outcome, TrainError> {
        let (session_seconds, session_iterations) =
            (self.session_seconds(), self.iteration - self.iteration_at_start);
        if !matches!(ending, Ending::NotFinite { .. }) {
            if ending == Ending::Finished {
                self.draw("final.png")?;
                self.save_info(true, None)?;
            }
            self.logs.metrics.sync()?;
        }
        self.logs.events.flush()?;
        let path = self.job.folder.path();
        let (csv, png) = (path.join("metrics.csv"), path.join("losses.png"));
        let title = format!("{} on {}", self.job.info.command, self.job.info.data.name);
        let about = LossPlot {
            title: &title,
            loss: Some(self.job.info.hyperparameters.loss),
            findings: &self.job.info.diagnosis,
            verdict: Some(&self.job.info.verdict),
            data_diversity: self.job.info.figures.data_diversity,
        };
        match plot::losses(&csv, &png, &about) {
            // Not even the first loss was finite.
            Ok(()) | Err(PlotError::NoValues { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.progress.finish();
        Ok(Outcome { ending, info: self.job.info, session_iterations, session_seconds })
    }

    fn session_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.session_seconds()
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
