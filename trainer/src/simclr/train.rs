//! Training of an encoder by SimCLR: what the loop in [`crate::session`] does not know.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use latent_runtime::rng::Rng;
use tch::Tensor;

use super::augment::{Normalization, ViewOptions, ViewSource};
use super::features::{Labeled, spread};
use super::knn::{self, Vote};
use super::learner::Learner;
use super::run::{Check, RunInfo};
use crate::checkpoint::{self, Tensors};
use crate::data::Dataset;
use crate::diagnosis::{Contrast, ContrastMonitor, FindingKind, Report};
use crate::optim::Schedule;
use crate::report::plot::{self, ContrastPlot, PlotError};
use crate::session::{self, Due, Job, Outcome, RECENT, Record, Task, every};
use crate::training::TrainError;

/// What a checkpoint holds besides tensors.
type State = latent_files::run::checkpoint::SimclrState<ContrastMonitor>;

/// Trains an encoder on `images`, no more than `info.data.images`; `test` is for the checks by nearest neighbors. See
/// [`session::train`]. A new run has a checkpoint of the untrained encoder, with which the trained one is compared.
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(
    job: Job<'_, RunInfo>,
    images: Arc<Dataset>,
    test: Option<&Dataset>,
) -> Result<Outcome<RunInfo>, TrainError> {
    session::train(job, |job, checkpoint| SimclrTask::new(job, images, test, checkpoint))
}

struct SimclrTask {
    learner: Learner,
    views: ViewSource,
    schedule: Schedule,
    /// Labeled images to look for neighbors among, and images to classify.
    check: Option<(Labeled, Labeled)>,
    knn_every: u64,
    state: State,
    /// How long training has waited for views.
    waited: Duration,
}

impl SimclrTask {
    fn new(
        job: &Job<'_, RunInfo>,
        images: Arc<Dataset>,
        test: Option<&Dataset>,
        checkpoint: Option<(&Path, State)>,
    ) -> Result<Self, TrainError> {
        let options = &job.info.hyperparameters;
        let (device, seed, batch) = (job.device, options.common.seed, options.common.batch);
        let mut weights = Rng::from_seed(seed).fork();
        let channels = job.info.image.channels;
        let mut learner = Learner::new(options, &job.info.architecture(), channels, &mut weights, device)?;
        let state = match checkpoint {
            Some((folder, state)) => {
                learner.load(folder, state.iteration)?;
                state
            }
            None => State {
                format: checkpoint::FORMAT,
                iteration: 0,
                seconds: 0.0,
                monitor: ContrastMonitor::new(batch),
                recent: VecDeque::new(),
                knn: None,
                best: None,
            },
        };
        let normalization = Normalization::of(&job.info.normalization)?;
        let views = ViewSource::new(
            Arc::clone(&images),
            ViewOptions {
                settings: options.augment,
                normalization,
                seed,
                batch,
                shuffle: true,
                start: state.iteration,
                device,
            },
        )?;
        let check = match test.filter(|_| options.knn_every > 0) {
            Some(test) => {
                let labeled =
                    |data: &Dataset, count| Labeled::new(&spread(data, count), normalization, device);
                Some((labeled(&images, options.knn_bank)?, labeled(test, options.knn_queries)?))
            }
            None => None,
        };
        Ok(Self {
            learner,
            views,
            schedule: options.schedule(),
            check,
            knn_every: options.knn_every,
            state,
            waited: Duration::ZERO,
        })
    }

    fn is_best(&self, check: Check) -> bool {
        self.state.best.is_none_or(|best| check.accuracy.top1 > best.accuracy.top1)
    }
}

impl Task for SimclrTask {
    type Info = RunInfo;
    type State = State;
    type Evaluation = Check;

    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("loss", "loss"),
        ("lr", "learning_rate"),
        ("positive", "similarity/views_of_an_image"),
        ("likeness", "similarity/all"),
        ("h_likeness", "similarity/all_features"),
        ("knn_top1", "knn/top1"),
        ("knn_top5", "knn/top5"),
    ];
    const LOWER: &'static str = "the learning rate (--lr)";
    const SAVES_UNTRAINED: bool = true;

    fn step(&mut self, index: u64) -> Result<Tensor, TrainError> {
        let before = Instant::now();
        let views = self.views.get(index)?;
        self.waited += before.elapsed();
        Ok(self.learner.step(&views.images, self.schedule.at(index))?)
    }

    /// A check by nearest neighbors.
    fn evaluate(&mut self, iteration: u64, last: bool) -> Result<Option<Check>, TrainError> {
        let Some((bank, queries)) = self.check.as_ref().filter(|_| last || every(iteration, self.knn_every))
        else {
            return Ok(None);
        };
        let pass = self.learner.evaluation();
        let of = |images: &Labeled| images.features(self.learner.encoder(), pass, false);
        let votes = knn::votes(&of(bank)?, &bank.labels, bank.classes, &of(queries)?, Vote::REFERENCE)?;
        let accuracy = knn::accuracy(&votes, &queries.labels)?;
        Ok(Some(Check { iteration, accuracy }))
    }

    fn due(&self, _iteration: u64, check: Option<Check>) -> Due {
        let best = check.is_some_and(|check| self.is_best(check));
        Due { read: check.is_some(), sample: false, save: best }
    }

    fn record(&mut self, iteration: u64, figures: &[f32], check: Option<Check>) -> Record {
        let [loss, positive, similarity, h_similarity] = [0, 1, 2, 3].map(|k| f64::from(figures[k]));
        let lr = self.schedule.at(iteration - 1);
        let accuracy = check.map(|check| check.accuracy);
        let (top1, top5) = (accuracy.map(|a| a.top1), accuracy.map(|a| a.top5));
        if let Some(check) = check {
            if self.is_best(check) {
                self.state.best = Some(check);
            }
            self.state.knn = Some(check);
        }
        let seen = Contrast { iteration, loss, positive, similarity };
        let finding = self.state.monitor.observe(seen);
        if finding.as_ref().is_none_or(|finding| finding.kind != FindingKind::NotFinite) {
            if self.state.recent.len() == RECENT {
                self.state.recent.pop_front();
            }
            self.state.recent.push_back([loss, positive, similarity]);
        }
        Record {
            row: vec![Some(loss), Some(lr), Some(positive), Some(similarity), Some(h_similarity), top1, top5],
            progress: [("loss", loss), ("lr", lr)],
            note: accuracy.map(|accuracy| {
                format!(
                    "iteration {iteration}: nearest neighbors {:.2} % (top-5 {:.2} %)",
                    100.0 * accuracy.top1,
                    100.0 * accuracy.top5
                )
            }),
            finding,
        }
    }

    fn all_finite(&self) -> Result<bool, TrainError> {
        Ok(self.learner.all_finite()?)
    }

    fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TrainError> {
        Ok(self.learner.tensors()?)
    }

    fn state(&self, iteration: u64, seconds: f64) -> State {
        State { iteration, seconds, ..self.state.clone() }
    }

    /// The untrained encoder's, and the best one's.
    fn keeps(&self) -> Vec<u64> {
        [Some(0), self.state.best.map(|best| best.iteration)].into_iter().flatten().collect()
    }

    fn describe(&self, info: &mut RunInfo) -> Result<(), TrainError> {
        let n = self.state.recent.len() as f64;
        let mean = |column: usize| {
            (n > 0.0)
                .then(|| self.state.recent.iter().map(|row| row[column]).sum::<f64>() / n)
                .filter(|v| v.is_finite())
        };
        info.figures.loss = mean(0);
        info.figures.positive = mean(1);
        info.figures.similarity = mean(2);
        info.figures.guessing = self.state.monitor.guessing();
        let (f, g) = self.learner.encoder().parameter_counts();
        (info.figures.encoder_parameters, info.figures.projection_parameters) = (f, g);
        let image = info.image;
        info.figures.multiplications =
            info.architecture().multiplications(image.channels, image.height, image.width);
        info.figures.knn = self.state.knn;
        info.figures.best = self.state.best;
        Ok(())
    }

    fn report(&self) -> Report {
        self.state.monitor.report()
    }

    fn waited(&self) -> Duration {
        self.waited
    }

    fn plot(run: &Path, info: &RunInfo) -> Result<(), PlotError> {
        let title = format!("{} on {}", info.encoder, info.data.name);
        let about = ContrastPlot {
            title: &title,
            guessing: info.figures.guessing,
            findings: &info.diagnosis,
            verdict: Some(&info.verdict),
        };
        plot::contrast(run.join("metrics.csv"), run.join("losses.png"), &about)
    }
}
