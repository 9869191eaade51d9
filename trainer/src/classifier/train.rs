//! Training of a classifier: what the loop in [`crate::session`] does not know.

use std::collections::VecDeque;
use std::path::Path;

use latent_files::run::RunError;
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::augment::{self, AugmentSettings};
use super::run::RunInfo;
use crate::checkpoint::{self, CheckpointError, Tensors};
use crate::data::Dataset;
use crate::diagnosis::{FindingKind, Fit, FitMonitor, Report};
use crate::gan::architecture::ImageShape;
use crate::gan::batches::Batches;
use crate::gan::condition::Labels;
use crate::nn::init::WeightInit;
use crate::nn::{self, Named, Network, Pass};
use crate::optim::{Adam, AdamOptions, Schedule};
use crate::report::plot::{self, ContrastPlot, PlotError};
use crate::session::{self, Due, Job, Outcome, RECENT, Record, Task, every};
use crate::settings::Hyperparameters;
use crate::training::TrainError;

/// What a checkpoint holds besides tensors.
type State = latent_files::run::checkpoint::ClassifierState<FitMonitor>;

/// Images classified at a time.
const CHUNK: usize = 500;

/// Trains a classifier on `images`; `test` images are classified after each epoch. See [`session::train`].
///
/// # Errors
/// [`TrainError`]. Checkpoints that were saved before stay.
pub fn train(
    job: Job<'_, RunInfo>,
    images: &Dataset,
    test: Option<&Dataset>,
) -> Result<Outcome<RunInfo>, TrainError> {
    session::train(job, |job, checkpoint| ClassifierTask::new(job, images, test, checkpoint))
}

/// The part of these images whose class is told rightly, 0 to 1.
pub fn accuracy(network: &Network, images: &Batches, truth: &[u32]) -> Result<f64, TchError> {
    let mut right = 0;
    for start in (0..truth.len()).step_by(CHUNK) {
        let places: Vec<i64> = (start..truth.len().min(start + CHUNK)).map(|at| at as i64).collect();
        let labels: Vec<i64> = truth[start..start + places.len()].iter().map(|l| i64::from(*l)).collect();
        let scores = tch::no_grad(|| network.forward(&images.at(&places)?, Pass::EVAL))?;
        let labels = Tensor::f_from_slice(&labels)?.f_to_device(scores.device())?;
        right += scores.f_argmax(1, false)?.f_eq_tensor(&labels)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
    }
    Ok(right as f64 / truth.len().max(1) as f64)
}

/// All images of a data set on a device.
pub fn batches(
    data: &Dataset,
    batch: usize,
    order: Option<Rng>,
    device: Device,
) -> Result<Batches, TchError> {
    let side = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let shape =
        ImageShape { channels: side(data.channels), height: side(data.height), width: side(data.width) };
    Batches::new(&data.pixels, data.len(), shape, batch, order, device)
}

struct ClassifierTask {
    network: Network,
    adam: Adam,
    schedule: Schedule,
    batches: Batches,
    augment: AugmentSettings,
    rng: Rng,
    test: Option<(Batches, Vec<u32>)>,
    per_epoch: u64,
    state: State,
}

impl ClassifierTask {
    fn new(
        job: &Job<'_, RunInfo>,
        images: &Dataset,
        test: Option<&Dataset>,
        checkpoint: Option<(&Path, State)>,
    ) -> Result<Self, TrainError> {
        let (options, device) = (&job.info.hyperparameters, job.device);
        let mut root = Rng::from_seed(options.common.seed);
        let (mut weights, order, mut rng) = (root.fork(), root.fork(), root.fork());
        let init = |_: &latent_files::run::Layer| WeightInit::TorchDefault;
        let network = Network::build(&job.info.layers, init, &mut weights, device)?;
        let adam = AdamOptions {
            lr: options.lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: options.weight_decay,
        };
        let mut adam = Adam::new(network.parameters(), adam)?;
        let classes = job.info.classes.count;
        let batches = batches(images, options.common.batch, Some(order), device)?
            .with_labels(Labels::new(&images.labels, classes, device)?)?;
        let test = match test {
            Some(test) => Some((self::batches(test, CHUNK, None, device)?, test.labels.clone())),
            None => None,
        };
        let state = match checkpoint {
            Some((folder, state)) => {
                load(folder, &state, &network, &mut adam, &mut rng)?;
                state
            }
            None => State {
                format: checkpoint::FORMAT,
                iteration: 0,
                augment: rng.state(),
                seconds: 0.0,
                monitor: FitMonitor::new(classes),
                recent: VecDeque::new(),
                test_accuracy: None,
            },
        };
        Ok(Self {
            network,
            adam,
            schedule: options.schedule(),
            batches,
            augment: options.augment,
            rng,
            test,
            per_epoch: options.batches_per_epoch(),
            state,
        })
    }
}

/// Takes everything from a checkpoint.
fn load(
    folder: &Path,
    state: &State,
    network: &Network,
    adam: &mut Adam,
    rng: &mut Rng,
) -> Result<(), CheckpointError> {
    let read = |file: &str| checkpoint::read_tensors(&folder.join(file));
    let fit = |file: &str| {
        let path = folder.join(file);
        move |error| CheckpointError::State { path, error }
    };
    network.load_state(&read(checkpoint::CLASSIFIER)?).map_err(fit(checkpoint::CLASSIFIER))?;
    adam.load_state("", &read(checkpoint::OPTIMIZER)?, state.iteration)
        .map_err(fit(checkpoint::OPTIMIZER))?;
    *rng = Rng::from_state(state.augment).ok_or_else(|| RunError::Value {
        path: folder.join(checkpoint::STATE),
        what: "the state of the random generator is all zero".to_owned(),
    })?;
    Ok(())
}

impl Task for ClassifierTask {
    type Info = RunInfo;
    type State = State;
    /// The accuracy on test images.
    type Evaluation = f64;

    const COLUMNS: &'static [(&'static str, &'static str)] =
        &[("loss", "loss"), ("lr", "learning_rate"), ("test_accuracy", "accuracy/test")];
    const LOWER: &'static str = "the learning rate (--lr)";
    const SAVES_UNTRAINED: bool = false;

    fn step(&mut self, index: u64) -> Result<Tensor, TrainError> {
        let images = augment::moved(&self.batches.get(index)?, self.augment, &mut self.rng)?;
        let labels =
            self.batches.labels(index)?.ok_or_else(|| TrainError::Data("images have no labels".into()))?;
        let scores = self.network.forward(&images, Pass::TRAIN)?;
        // The mean over the batch.
        let loss = scores.f_cross_entropy_loss(&labels, None::<Tensor>, tch::Reduction::Mean, -100, 0.0)?;
        let gradients = Tensor::f_run_backward(&[&loss], &self.adam.parameters(), false, false)?;
        self.adam.step_at(&gradients, self.schedule.at(index))?;
        Ok(loss.f_detach()?.f_view([1])?)
    }

    fn evaluate(&mut self, iteration: u64, last: bool) -> Result<Option<f64>, TrainError> {
        match &self.test {
            Some((images, labels)) if last || every(iteration, self.per_epoch) => {
                Ok(Some(accuracy(&self.network, images, labels)?))
            }
            _ => Ok(None),
        }
    }

    fn due(&self, _iteration: u64, accuracy: Option<f64>) -> Due {
        Due { read: accuracy.is_some(), ..Due::default() }
    }

    fn record(&mut self, iteration: u64, figures: &[f32], accuracy: Option<f64>) -> Record {
        let (loss, lr) = (f64::from(figures[0]), self.schedule.at(iteration - 1));
        let finding = self.state.monitor.observe(Fit { iteration, loss });
        self.state.test_accuracy = accuracy.or(self.state.test_accuracy);
        if finding.as_ref().is_none_or(|finding| finding.kind != FindingKind::NotFinite) {
            if self.state.recent.len() == RECENT {
                self.state.recent.pop_front();
            }
            self.state.recent.push_back(loss);
        }
        Record {
            row: vec![Some(loss), Some(lr), accuracy],
            progress: [("loss", loss), ("lr", lr)],
            note: accuracy.map(|part| {
                format!("iteration {iteration}: {:.2} % of the test images are right", 100.0 * part)
            }),
            finding,
        }
    }

    fn all_finite(&self) -> Result<bool, TrainError> {
        Ok(nn::all_finite(&self.network)?)
    }

    fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TrainError> {
        Ok(vec![
            (checkpoint::CLASSIFIER, self.network.state()?),
            (checkpoint::OPTIMIZER, self.adam.state("")),
        ])
    }

    fn state(&self, iteration: u64, seconds: f64) -> State {
        State { iteration, seconds, augment: self.rng.state(), ..self.state.clone() }
    }

    fn describe(&self, info: &mut RunInfo) -> Result<(), TrainError> {
        let recent = &self.state.recent;
        let mean = recent.iter().sum::<f64>() / recent.len() as f64;
        info.figures.loss = Some(mean).filter(|mean| mean.is_finite());
        info.figures.guessing = self.state.monitor.guessing();
        info.figures.test_accuracy = self.state.test_accuracy;
        info.figures.test_images = self.test.as_ref().map_or(0, |(_, labels)| labels.len());
        info.figures.parameters = self.network.parameter_count();
        Ok(())
    }

    fn report(&self) -> Report {
        self.state.monitor.report(self.state.test_accuracy)
    }

    fn plot(run: &Path, info: &RunInfo) -> Result<(), PlotError> {
        let title = format!("classifier of {}", info.data.name);
        let about = ContrastPlot {
            title: &title,
            guessing: info.figures.guessing,
            findings: &info.diagnosis,
            verdict: Some(&info.verdict),
        };
        plot::classifier(run.join("metrics.csv"), run.join("losses.png"), &about)
    }
}
