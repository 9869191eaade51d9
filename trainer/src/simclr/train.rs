//! The training loop: steps, logs, checks by nearest neighbors, checkpoints, diagnosis; new or resumed.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latent_runtime::rng::Rng;
use tch::{Device, Tensor};

use super::augment::{Normalization, ViewOptions, ViewSource};
use super::features::{Labeled, spread};
use super::knn::{self, Vote};
use super::learner::Learner;
use super::run::{Check, RunInfo};
use crate::checkpoint;
use crate::data::Dataset;
use crate::diagnosis::{Contrast, ContrastMonitor, Finding, FindingKind};
use crate::report::plot::{self, ContrastPlot, PlotError};
use crate::report::progress::Progress;
use crate::run_folder::RunFolder;
use crate::training::{Ending, Logs, TrainError};

/// The columns of `metrics.csv` after `iteration`.
pub const COLUMNS: [&str; 7] = ["loss", "lr", "positive", "likeness", "h_likeness", "knn_top1", "knn_top5"];
/// Iterations over which the figures in `run.json` are means.
const RECENT: usize = 100;

/// What to train, where, and on what.
#[derive(Debug)]
pub struct Job<'a> {
    /// The run folder, new or opened to go on.
    pub folder: &'a RunFolder,
    /// Its description.
    pub info: RunInfo,
    /// The train split; no more images than `info.data.images`.
    pub train: Arc<Dataset>,
    /// The test split, for the checks by nearest neighbors.
    pub test: Option<&'a Dataset>,
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
    /// How long of that it waited for views of images.
    pub waited_seconds: f64,
}

/// What a checkpoint holds besides tensors.
type State = latent_files::run::checkpoint::SimclrState<ContrastMonitor>;

/// One iteration's figures that have not been read from the device.
struct Pending {
    iteration: u64,
    lr: f64,
    values: Tensor,
    check: Option<Check>,
}

struct Session<'a> {
    job: Job<'a>,
    learner: Learner,
    views: ViewSource,
    /// Labeled images to look for neighbors among, and images to classify.
    check: Option<(Labeled, Labeled)>,
    logs: Logs,
    state: State,
    pending: Vec<Pending>,
    progress: Progress,
    started: Instant,
    /// How long training has waited for views.
    waited: Duration,
    seconds_before: f64,
    iteration_at_start: u64,
}

/// Trains until all iterations are done, `job.stop` is set, or the loss is no longer finite.
///
/// A folder with a checkpoint is continued from the newest, exactly: on a CPU with the same number of threads all later
/// losses and weights are those of a run that was never interrupted, bit for bit. A folder without one is started anew, with
/// a checkpoint of the untrained encoder first.
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
        let device = job.device;
        let mut weights = Rng::from_seed(options.seed).fork();
        let channels = job.info.image.channels;
        let mut learner = Learner::new(options, &job.info.architecture(), channels, &mut weights, device)?;
        let newest = checkpoint::list(&job.folder.checkpoints())?.pop();
        let state = match &newest {
            Some((_, folder)) => {
                let state: State = checkpoint::read_state(folder)?;
                learner.load(folder, state.iteration)?;
                state
            }
            None => State {
                format: checkpoint::FORMAT,
                iteration: 0,
                seconds: 0.0,
                monitor: ContrastMonitor::new(options.batch),
                recent: VecDeque::new(),
                knn: None,
                best: None,
            },
        };
        let normalization = Normalization::of(&job.info.normalization)?;
        let views = ViewSource::new(
            Arc::clone(&job.train),
            ViewOptions {
                settings: options.augment,
                normalization,
                seed: options.seed,
                batch: options.batch,
                shuffle: true,
                start: state.iteration,
                device,
            },
        )?;
        let check = match job.test.filter(|_| options.knn_every > 0) {
            Some(test) => {
                let labeled =
                    |data: &Dataset, count| Labeled::new(&spread(data, count), normalization, device);
                Some((labeled(&job.train, options.knn_bank)?, labeled(test, options.knn_queries)?))
            }
            None => None,
        };
        let logs = Logs::open(job.folder.path(), &COLUMNS, newest.map(|_| state.iteration))?;
        let total = options.iterations;
        let start = state.iteration;
        let progress = if job.quiet { Progress::hidden(total, start) } else { Progress::new(total, start) };
        Ok(Self {
            learner,
            views,
            check,
            logs,
            pending: Vec::new(),
            progress,
            started: Instant::now(),
            waited: Duration::ZERO,
            seconds_before: state.seconds,
            iteration_at_start: start,
            state,
            job,
        })
    }

    fn run(&mut self) -> Result<Ending, TrainError> {
        let options = self.job.info.hyperparameters.clone();
        let schedule = options.schedule();
        let every = |iteration: u64, period: u64| period > 0 && iteration.is_multiple_of(period);
        if self.state.iteration == 0 {
            // The untrained encoder, with which the trained one is compared.
            self.save(false)?;
        }
        while self.state.iteration < options.iterations {
            let index = self.state.iteration;
            let lr = schedule.at(index);
            let before = Instant::now();
            let views = self.views.get(index)?;
            self.waited += before.elapsed();
            let values = self.learner.step(&views.images, lr)?;
            self.state.iteration += 1;
            let i = self.state.iteration;
            let last = i == options.iterations;
            let check = if last || every(i, options.knn_every) { self.check_neighbors()? } else { None };
            self.pending.push(Pending { iteration: i, lr, values, check });

            let stop = self.job.stop.load(Ordering::Relaxed);
            let best = check.is_some_and(|check| self.is_best(check));
            let save = last || stop || best || every(i, options.save_every);
            let read = save || check.is_some() || self.pending.len() as u64 >= options.log_every.max(1);
            if read && let Some(finding) = self.read_pending()? {
                return self.not_finite(finding);
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

    fn is_best(&self, check: Check) -> bool {
        self.state.best.is_none_or(|best| check.accuracy.top1 > best.accuracy.top1)
    }

    fn check_neighbors(&mut self) -> Result<Option<Check>, TrainError> {
        let Some((bank, queries)) = &self.check else { return Ok(None) };
        let pass = self.learner.evaluation();
        let of = |images: &Labeled| images.features(self.learner.encoder(), pass, false);
        let votes = knn::votes(&of(bank)?, &bank.labels, bank.classes, &of(queries)?, Vote::REFERENCE)?;
        let accuracy = knn::accuracy(&votes, &queries.labels)?;
        Ok(Some(Check { iteration: self.state.iteration, accuracy }))
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
        for (Pending { iteration, lr, check, .. }, row) in pending.iter().zip(values.chunks_exact(4)) {
            let [loss, positive, likeness, h_likeness] = [0, 1, 2, 3].map(|k| f64::from(row[k]));
            let accuracy = check.map(|check| check.accuracy);
            let (top1, top5) = (accuracy.map(|a| a.top1), accuracy.map(|a| a.top5));
            let row = [Some(loss), Some(*lr), Some(positive), Some(likeness), Some(h_likeness), top1, top5];
            self.logs.metrics.append_sparse(*iteration, &row)?;
            let tags = [
                "loss",
                "learning_rate",
                "similarity/views_of_an_image",
                "similarity/all",
                "similarity/all_features",
                "knn/top1",
                "knn/top5",
            ];
            for (tag, value) in tags.iter().zip(row) {
                if let Some(value) = value {
                    self.logs.events.scalar(tag, *iteration, value)?;
                }
            }
            self.progress.tick(*iteration, &[("loss", loss), ("lr", *lr)]);
            if let Some(check) = check {
                self.progress.println(&format!(
                    "iteration {iteration}: nearest neighbors {:.2} % (top-5 {:.2} %)",
                    100.0 * check.accuracy.top1,
                    100.0 * check.accuracy.top5
                ));
                if self.is_best(*check) {
                    self.state.best = Some(*check);
                }
                self.state.knn = Some(*check);
            }
            let seen = Contrast { iteration: *iteration, loss, positive, likeness };
            if let Some(finding) = self.state.monitor.observe(seen) {
                let place = finding.iteration;
                self.progress.println(&format!("warning: iteration {place}: {}", finding.message));
                if finding.kind == FindingKind::NotFinite {
                    return Ok(Some(finding));
                }
            }
            if self.state.recent.len() == RECENT {
                self.state.recent.pop_front();
            }
            self.state.recent.push_back([loss, positive, likeness]);
        }
        let speed = self.progress.iterations_per_second();
        self.logs.events.scalar("speed/iterations_per_second", self.state.iteration, speed)?;
        Ok(None)
    }

    /// Writes a checkpoint and `run.json`. Returns a finding instead if a weight is not finite.
    fn save(&mut self, finished: bool) -> Result<Option<Finding>, TrainError> {
        if !self.learner.all_finite()? {
            let message = format!(
                "a weight became NaN or infinite by iteration {}: lower the learning rate (--lr)",
                self.state.iteration
            );
            let iteration = self.state.iteration;
            return Ok(Some(Finding { iteration, kind: FindingKind::NotFinite, message }));
        }
        self.logs.metrics.sync()?;
        self.state.seconds = self.seconds();
        let checkpoints = self.job.folder.checkpoints();
        checkpoint::save(&checkpoints, &self.learner.tensors()?, &self.state)?;
        let stopped = self.job.stop.load(Ordering::Relaxed) && !finished;
        self.save_info(finished, stopped.then_some("interrupted"))?;
        let apart: Vec<u64> =
            [Some(0), self.state.best.map(|best| best.iteration)].into_iter().flatten().collect();
        checkpoint::prune(&checkpoints, self.job.info.hyperparameters.keep, &apart)?;
        Ok(None)
    }

    fn save_info(&mut self, finished: bool, stopped_by: Option<&str>) -> Result<(), TrainError> {
        let (iteration, seconds) = (self.state.iteration, self.seconds());
        let session = (iteration - self.iteration_at_start) as f64 / self.session_seconds();
        let info = &mut self.job.info;
        info.progress.iteration = iteration;
        info.progress.iterations = info.hyperparameters.iterations;
        info.progress.epoch = info.hyperparameters.epochs_of(iteration);
        info.progress.seconds = seconds;
        info.progress.finished = finished;
        info.progress.stopped_by = stopped_by.map(str::to_owned);
        let n = self.state.recent.len() as f64;
        let mean = |column: usize| {
            (n > 0.0)
                .then(|| self.state.recent.iter().map(|row| row[column]).sum::<f64>() / n)
                .filter(|v| v.is_finite())
        };
        info.figures.loss = mean(0);
        info.figures.positive = mean(1);
        info.figures.likeness = mean(2);
        info.figures.guessing = self.state.monitor.guessing();
        let (f, g) = self.learner.encoder().parameter_counts();
        (info.figures.encoder_parameters, info.figures.projection_parameters) = (f, g);
        let image = info.image;
        info.figures.multiplications =
            info.architecture().multiplications(image.channels, image.height, image.width);
        info.figures.knn = self.state.knn;
        info.figures.best = self.state.best;
        if session > 0.0 && session.is_finite() {
            info.figures.iterations_per_second = Some(session);
        }
        let report = self.state.monitor.report();
        info.diagnosis = report.findings;
        info.verdict = report.verdict;
        self.job.folder.write_info(info)?;
        Ok(())
    }

    fn not_finite(&mut self, finding: Finding) -> Result<Ending, TrainError> {
        self.logs.metrics.sync()?;
        let checkpoint = checkpoint::list(&self.job.folder.checkpoints())?.pop();
        self.state.iteration = finding.iteration;
        self.save_info(false, Some("not-finite"))?;
        // Weights can be the first to go; the monitor sees the loss only.
        if !self.job.info.diagnosis.iter().any(|f| f.kind == FindingKind::NotFinite) {
            self.job.info.diagnosis.push(finding.clone());
            self.job.folder.write_info(&self.job.info)?;
        }
        Ok(Ending::NotFinite { finding, checkpoint: checkpoint.map(|(_, path)| path) })
    }

    fn finish(mut self, ending: Ending) -> Result<Outcome, TrainError> {
        let (session_seconds, session_iterations) =
            (self.session_seconds(), self.state.iteration - self.iteration_at_start);
        if ending == Ending::Finished {
            self.save_info(true, None)?;
        }
        self.logs.metrics.sync()?;
        self.logs.events.flush()?;
        draw_plot(self.job.folder.path(), &self.job.info)?;
        self.progress.finish();
        Ok(Outcome {
            ending,
            info: self.job.info,
            session_iterations,
            session_seconds,
            waited_seconds: self.waited.as_secs_f64(),
        })
    }

    fn session_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.session_seconds()
    }
}

/// Draws the loss and the checks of a run into its `losses.png`.
///
/// # Errors
/// [`TrainError::Plot`]; a run without a finite loss gets no picture.
pub fn draw_plot(run: &Path, info: &RunInfo) -> Result<(), TrainError> {
    let title = format!("{} on {}", info.encoder, info.data.name);
    let about = ContrastPlot {
        title: &title,
        guessing: info.figures.guessing,
        findings: &info.diagnosis,
        verdict: Some(&info.verdict),
    };
    match plot::contrast(run.join("metrics.csv"), run.join("losses.png"), &about) {
        Ok(()) | Err(PlotError::NoValues { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
