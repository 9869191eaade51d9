//! The training loop of all kinds of training: steps, logs, samples, evaluations, checkpoints, diagnosis; new or resumed.
//!
//! What is trained is a [`Task`].

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latent_files::atomic::{self, Existing};
use tch::{Device, Tensor};

use crate::checkpoint::{self, SavedState, Tensors};
use crate::diagnosis::{Finding, FindingKind, Report};
use crate::report::plot::PlotError;
use crate::report::progress::Progress;
use crate::run_folder::{self, Description, RunFolder};
use crate::settings::{CommonSettings, Hyperparameters};
use crate::training::{Ending, Logs, TrainError};

/// Iterations over which the figures in `run.json` are means.
pub const RECENT: usize = 100;

/// What the loop reads and writes in a run's description.
pub trait RunDescription: Description {
    type Settings: Hyperparameters;

    /// The command that started the run.
    fn command(&self) -> &str;

    /// The settings it was started with.
    fn settings(&self) -> &Self::Settings;

    /// The parts that change while it is trained.
    fn parts(&mut self) -> Parts<'_, Self::Settings>;

    /// What it was trained on.
    fn data(&self) -> &run_folder::Data;

    /// The images it was trained on.
    fn image(&self) -> &run_folder::Image;

    /// How far it is.
    fn progress(&self) -> &run_folder::Progress;

    /// What is wrong with it, and one line that sums that up.
    fn diagnosis(&self) -> (&[Finding], &str);
}

/// [`RunDescription`] for a description whose fields have the names that all of them have.
macro_rules! run_description {
    ($info:ty, $settings:ty) => {
        impl $crate::session::RunDescription for $info {
            type Settings = $settings;

            fn command(&self) -> &str {
                &self.command
            }

            fn settings(&self) -> &$settings {
                &self.hyperparameters
            }

            fn parts(&mut self) -> $crate::session::Parts<'_, $settings> {
                $crate::session::Parts {
                    settings: &mut self.hyperparameters,
                    progress: &mut self.progress,
                    iterations_per_second: &mut self.figures.iterations_per_second,
                    diagnosis: &mut self.diagnosis,
                    verdict: &mut self.verdict,
                }
            }

            fn data(&self) -> &$crate::run_folder::Data {
                &self.data
            }

            fn image(&self) -> &$crate::run_folder::Image {
                &self.image
            }

            fn progress(&self) -> &$crate::run_folder::Progress {
                &self.progress
            }

            fn diagnosis(&self) -> (&[$crate::diagnosis::Finding], &str) {
                (&self.diagnosis, &self.verdict)
            }
        }
    };
}
pub(crate) use run_description;

/// The parts of a description that all kinds of training change.
#[derive(Debug)]
pub struct Parts<'a, S> {
    pub settings: &'a mut S,
    pub progress: &'a mut run_folder::Progress,
    /// Speed of the last session.
    pub iterations_per_second: &'a mut Option<f64>,
    /// What is wrong with it.
    pub diagnosis: &'a mut Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: &'a mut String,
}

/// One kind of training: everything that [`train`] does not know.
pub trait Task {
    /// The content of `run.json`.
    type Info: RunDescription;
    /// What a checkpoint holds besides tensors.
    type State: SavedState;
    /// What an evaluation gives.
    type Evaluation: Copy;

    /// The columns of `metrics.csv` after `iteration`, each with its tag in TensorBoard.
    const COLUMNS: &'static [(&'static str, &'static str)];
    /// What to lower when a weight is no longer finite.
    const LOWER: &'static str;
    /// Whether there is a checkpoint of iteration 0, of the untrained networks.
    const SAVES_UNTRAINED: bool;

    /// Iteration number `index`, from 0. Its figures, of shape (figures), stay on the device.
    fn step(&mut self, index: u64) -> Result<Tensor, TrainError>;

    /// Evaluates after `iteration`, if that is due.
    fn evaluate(&mut self, iteration: u64, last: bool) -> Result<Option<Self::Evaluation>, TrainError>;

    /// What is to be done at once after `iteration`, besides what the common settings say.
    fn due(&self, iteration: u64, evaluation: Option<Self::Evaluation>) -> Due;

    /// Takes in the figures of an iteration, which come in order.
    fn record(&mut self, iteration: u64, figures: &[f32], evaluation: Option<Self::Evaluation>) -> Record;

    /// A picture of samples, if this kind of training has any.
    fn samples(&self) -> Result<Option<Picture>, TrainError> {
        Ok(None)
    }

    /// Whether all weights and statistics are finite.
    fn all_finite(&self) -> Result<bool, TrainError>;

    /// The tensors of a checkpoint, by file.
    fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TrainError>;

    /// The rest of a checkpoint, `seconds` being those trained so far.
    fn state(&self, iteration: u64, seconds: f64) -> Self::State;

    /// Iterations whose checkpoints are kept besides the newest.
    fn keeps(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Writes what came out so far into the run's description.
    fn describe(&self, info: &mut Self::Info) -> Result<(), TrainError>;

    /// The diagnosis so far.
    fn report(&self) -> Report;

    /// How long steps have waited for data.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    /// Draws the metrics of a run into its `losses.png`.
    fn plot(run: &Path, info: &Self::Info) -> Result<(), PlotError>;
}

/// What is to be done after an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    /// Read the figures from the device.
    pub read: bool,
    pub sample: bool,
    pub save: bool,
}

/// The figures of an iteration, as they are logged and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// A value for each of [`Task::COLUMNS`]; `None` where it was not measured.
    pub row: Vec<Option<f64>>,
    /// What the line of progress shows.
    pub progress: [(&'static str, f64); 2],
    /// A line about an evaluation.
    pub note: Option<String>,
    /// What the diagnosis found.
    pub finding: Option<Finding>,
}

/// A PNG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its bytes.
    pub png: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
}

/// What to train, and where.
#[derive(Debug)]
pub struct Job<'a, I> {
    /// The run folder, new or opened to go on.
    pub folder: &'a RunFolder,
    /// Its description.
    pub info: I,
    /// Where to compute.
    pub device: Device,
    /// Set from outside, or when the time is up, to finish the iteration, save and return.
    pub stop: &'a AtomicBool,
    /// Show no progress.
    pub quiet: bool,
}

/// What training returns.
#[derive(Debug)]
pub struct Outcome<I> {
    pub ending: Ending,
    /// The final content of `run.json`.
    pub info: I,
    /// Iterations done in this session.
    pub iterations: u64,
    /// Seconds these took.
    pub seconds: f64,
    /// Seconds of these in which steps waited for data.
    pub waited: f64,
}

/// Whether something that is done every `period` iterations, never for 0, is due after `iteration`.
pub(crate) fn every(iteration: u64, period: u64) -> bool {
    period > 0 && iteration.is_multiple_of(period)
}

/// Trains until all iterations are done, `job.stop` is set, or a loss or weight is no longer finite.
///
/// A folder with a checkpoint is continued from the newest, exactly: on a CPU with the same number of threads all later
/// losses and weights are those of a run that was never interrupted, bit for bit. A folder without one is started anew.
/// `new` makes the task; it is given the job, and the newest checkpoint with its state, if there is one.
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train<T: Task>(
    job: Job<'_, T::Info>,
    new: impl FnOnce(&Job<'_, T::Info>, Option<(&Path, T::State)>) -> Result<T, TrainError>,
) -> Result<Outcome<T::Info>, TrainError> {
    let newest = checkpoint::list(&job.folder.checkpoints())?.pop();
    let state = newest.as_ref().map(|(_, folder)| checkpoint::read_state::<T::State>(folder)).transpose()?;
    let resumed = state.as_ref().map(|state| (state.iteration(), state.seconds()));
    let task = new(&job, newest.as_ref().map(|(_, folder)| folder.as_path()).zip(state))?;

    let columns: Vec<&str> = T::COLUMNS.iter().map(|(column, _)| *column).collect();
    let logs = Logs::open(job.folder.path(), &columns, resumed.map(|(iteration, _)| iteration))?;
    let (iteration, seconds_before) = resumed.unwrap_or((0, 0.0));
    let total = job.info.settings().common().iterations;
    let progress =
        if job.quiet { Progress::hidden(total, iteration) } else { Progress::new(total, iteration) };
    let mut session = Session {
        task,
        logs,
        pending: Vec::new(),
        progress,
        iteration,
        started: Instant::now(),
        seconds_before,
        iteration_at_start: iteration,
        job,
    };
    session.save_info(false, None)?;
    let ending = session.run()?;
    session.finish(ending)
}

/// One iteration's figures that have not been read from the device.
struct Pending<E> {
    iteration: u64,
    figures: Tensor,
    evaluation: Option<E>,
}

struct Session<'a, T: Task> {
    job: Job<'a, T::Info>,
    task: T,
    logs: Logs,
    pending: Vec<Pending<T::Evaluation>>,
    progress: Progress,
    iteration: u64,
    started: Instant,
    seconds_before: f64,
    iteration_at_start: u64,
}

impl<T: Task> Session<'_, T> {
    fn run(&mut self) -> Result<Ending, TrainError> {
        let &CommonSettings { iterations, save_every, log_every, time_limit, .. } =
            self.job.info.settings().common();
        if T::SAVES_UNTRAINED
            && self.iteration == 0
            && let Some(finding) = self.save(false)?
        {
            return self.not_finite(finding);
        }
        while self.iteration < iterations {
            let figures = self.task.step(self.iteration)?;
            self.iteration += 1;
            let i = self.iteration;
            let last = i == iterations;
            let evaluation = self.task.evaluate(i, last)?;
            self.pending.push(Pending { iteration: i, figures, evaluation });

            if time_limit.is_some_and(|minutes| self.session_seconds() >= 60.0 * minutes) {
                self.job.stop.store(true, Ordering::Relaxed);
            }
            let stop = self.job.stop.load(Ordering::Relaxed);
            let due = self.task.due(i, evaluation);
            let save = due.save || last || stop || every(i, save_every);
            let read = due.read || due.sample || save || self.pending.len() as u64 >= log_every.max(1);
            if read && let Some(finding) = self.read_pending()? {
                return self.not_finite(finding);
            }
            if due.sample {
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
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.first() else { return Ok(None) };
        let width = first.figures.numel();
        let values: Vec<&Tensor> = pending.iter().map(|p| &p.figures).collect();
        let values = Vec::<f32>::try_from(Tensor::f_stack(&values, 0)?.f_view(-1)?)?;
        for (Pending { iteration, evaluation, .. }, figures) in pending.iter().zip(values.chunks_exact(width))
        {
            let record = self.task.record(*iteration, figures, *evaluation);
            self.logs.metrics.append_sparse(*iteration, &record.row)?;
            for ((_, tag), value) in T::COLUMNS.iter().zip(&record.row) {
                if let Some(value) = value {
                    self.logs.events.scalar(tag, *iteration, *value)?;
                }
            }
            self.progress.tick(*iteration, &record.progress);
            if let Some(note) = &record.note {
                self.progress.println(note);
            }
            if let Some(finding) = record.finding {
                let place = finding.iteration;
                self.progress.println(&format!("warning: iteration {place}: {}", finding.message));
                if finding.kind == FindingKind::NotFinite {
                    return Ok(Some(finding));
                }
            }
        }
        let speed = self.progress.iterations_per_second();
        self.logs.events.scalar("speed/iterations_per_second", self.iteration, speed)?;
        Ok(None)
    }

    /// Draws samples into `samples`.
    fn draw(&mut self, name: &str) -> Result<(), TrainError> {
        let Some(Picture { png, width, height, channels }) = self.task.samples()? else { return Ok(()) };
        let file = self.job.folder.path().join("samples").join(name);
        atomic::write_file(&file, &png, Existing::Replace)?;
        self.logs.events.image_png("samples", self.iteration, &png, height, width, channels)?;
        Ok(())
    }

    /// Writes a checkpoint and `run.json`. Returns a finding instead if a weight is not finite.
    fn save(&mut self, last: bool) -> Result<Option<Finding>, TrainError> {
        let iteration = self.iteration;
        if !self.task.all_finite()? {
            let lower = T::LOWER;
            let message = format!("a weight became NaN or infinite by iteration {iteration}: lower {lower}");
            return Ok(Some(Finding { iteration, kind: FindingKind::NotFinite, message }));
        }
        self.logs.metrics.sync()?;
        let state = self.task.state(iteration, self.seconds());
        let checkpoints = self.job.folder.checkpoints();
        checkpoint::save(&checkpoints, &self.task.tensors()?, &state)?;
        let stopped = self.job.stop.load(Ordering::Relaxed) && !last;
        self.save_info(false, stopped.then_some("interrupted"))?;
        checkpoint::prune(&checkpoints, self.job.info.settings().common().keep, &self.task.keeps())?;
        Ok(None)
    }

    fn save_info(&mut self, finished: bool, stopped_by: Option<&str>) -> Result<(), TrainError> {
        let (iteration, seconds) = (self.iteration, self.seconds());
        let speed = (iteration - self.iteration_at_start) as f64 / self.session_seconds();
        let info = &mut self.job.info;
        self.task.describe(info)?;
        let parts = info.parts();
        parts.progress.iteration = iteration;
        parts.progress.iterations = parts.settings.common().iterations;
        parts.progress.epoch = parts.settings.epochs_of(iteration);
        parts.progress.seconds = seconds;
        parts.progress.finished = finished;
        parts.progress.stopped_by = stopped_by.map(str::to_owned);
        if speed > 0.0 && speed.is_finite() {
            *parts.iterations_per_second = Some(speed);
        }
        let report = self.task.report();
        *parts.diagnosis = report.findings;
        *parts.verdict = report.verdict;
        Ok(self.job.folder.write_info(info)?)
    }

    fn not_finite(&mut self, finding: Finding) -> Result<Ending, TrainError> {
        self.logs.metrics.sync()?;
        let checkpoint = checkpoint::list(&self.job.folder.checkpoints())?.pop();
        self.iteration = finding.iteration;
        self.save_info(false, Some("not-finite"))?;
        // Weights can be the first to go; the diagnosis sees losses only.
        let findings = self.job.info.parts().diagnosis;
        if !findings.iter().any(|f| f.kind == FindingKind::NotFinite) {
            findings.push(finding.clone());
            self.job.folder.write_info(&self.job.info)?;
        }
        Ok(Ending::NotFinite { finding, checkpoint: checkpoint.map(|(_, path)| path) })
    }

    fn finish(mut self, ending: Ending) -> Result<Outcome<T::Info>, TrainError> {
        let (seconds, iterations) = (self.session_seconds(), self.iteration - self.iteration_at_start);
        if ending == Ending::Finished {
            self.draw("final.png")?;
        }
        self.logs.metrics.sync()?;
        self.logs.events.flush()?;
        match T::plot(self.job.folder.path(), &self.job.info) {
            // Not even the first loss was finite.
            Ok(()) | Err(PlotError::NoValues { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // Last of all: a run that is killed before goes on here when it is resumed.
        if ending == Ending::Finished {
            self.save_info(true, None)?;
        }
        self.progress.finish();
        let waited = self.task.waited().as_secs_f64();
        Ok(Outcome { ending, info: self.job.info, iterations, seconds, waited })
    }

    fn session_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.session_seconds()
    }
}
