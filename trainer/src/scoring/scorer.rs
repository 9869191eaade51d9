//! The classifier by whose features images are judged: one file, with all that is needed to run it.
//!
//! The file is safetensors in half precision, named as PyTorch's `state_dict`; its metadata `latent.scorer` is a [`ScorerInfo`].

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use latent_files::run::{Classes, FORMAT, Image, Layer, RunError};
use latent_runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::checkpoint::{self, CheckpointError};
use crate::classifier::run::RunInfo;
use crate::data::is_workspace;
use crate::gan::batches::Batches;
use crate::nn::init::WeightInit;
use crate::nn::{Named, Network, Pass};
use crate::run_folder;
use crate::training::{TrainError, newest_checkpoint};

/// The metadata's key.
const KEY: &str = "latent.scorer";
/// Images computed at a time.
const CHUNK: usize = 500;

/// The file of the scorer that comes with the project for a data set: `models/scorer-NAME.safetensors` in the workspace that the
/// current folder or the program lies in.
fn shipped_file(data: &str) -> Option<PathBuf> {
    // A folder's name may be anything.
    let plain = data.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let file = format!("models/scorer-{data}.safetensors");
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    let roots = starts.iter().flatten().filter_map(|start| start.ancestors().find(|f| is_workspace(f)));
    roots.map(|root| root.join(&file)).find(|path| plain && path.is_file())
}

/// What a scorer's file says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorerInfo {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the data set it was trained on.
    pub data: String,
    /// How many training images.
    pub images: usize,
    /// Seed of the training.
    pub seed: u64,
    /// Iterations of the training.
    pub iterations: u64,
    /// Images of each iteration.
    pub batch: usize,
    /// Seconds that it took.
    pub seconds: f64,
    /// From images to a raw score for each class; the last one is linear, and what enters it are the features.
    pub layers: Vec<Layer>,
    pub classes: Classes,
    pub image: Image,
    /// Part of the test images whose class is told rightly, 0 to 1.
    pub test_accuracy: Option<f64>,
    pub test_images: usize,
}

/// A classifier whose features are compared.
#[derive(Debug)]
pub struct Scorer {
    pub info: ScorerInfo,
    network: Network,
    device: Device,
}

/// What a scorer makes of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Values of one image's features.
    pub dimension: usize,
    /// Features, image by image.
    pub features: Vec<f32>,
    /// The probability of each class, image by image.
    pub probabilities: Vec<f32>,
}

impl Scorer {
    /// The one that comes with the project for this data set, if there is one for images of this shape.
    ///
    /// # Errors
    /// If its file is damaged, or libtorch fails.
    pub fn shipped(data: &str, image: [usize; 3], device: Device) -> Result<Option<Self>, TrainError> {
        let Some(path) = shipped_file(data) else { return Ok(None) };
        Ok(Some(Self::open(&path, device)?).filter(|scorer| scorer.image() == image))
    }

    /// Reads a scorer's file, or takes the newest checkpoint of a classifier's run folder.
    ///
    /// # Errors
    /// If it is neither, or damaged; the message names the file.
    pub fn open(path: &Path, device: Device) -> Result<Self, TrainError> {
        if path.is_dir() {
            return Self::of_run(path, device);
        }
        let bytes = fs::read(path).map_err(|reason| RunError::Read { path: path.to_owned(), reason })?;
        Self::parse(path, &bytes, device)
    }

    fn of_run(run: &Path, device: Device) -> Result<Self, TrainError> {
        let info: RunInfo = run_folder::read_info(run)?;
        let path = newest_checkpoint(run)?.join(checkpoint::CLASSIFIER);
        let about = ScorerInfo {
            format: FORMAT,
            data: info.data.name,
            images: info.data.images,
            seed: info.seed,
            iterations: info.progress.iteration,
            batch: info.hyperparameters.common.batch,
            seconds: info.progress.seconds,
            layers: info.layers,
            classes: info.classes,
            image: info.image,
            test_accuracy: info.figures.test_accuracy,
            test_images: info.figures.test_images,
        };
        let tensors = checkpoint::read_tensors(&path)?;
        Self::new(path, about, &tensors, device)
    }

    /// A scorer from the bytes of its file; `path` is for messages.
    ///
    /// # Errors
    /// If they are no scorer's.
    pub fn parse(path: &Path, bytes: &[u8], device: Device) -> Result<Self, TrainError> {
        let wrong = |what: String| TrainError::from(RunError::Value { path: path.to_owned(), what });
        let (tensors, metadata) = checkpoint::parse_tensors(path, bytes)?;
        let text = metadata
            .get(KEY)
            .ok_or_else(|| wrong("it is no scorer; `trainer scorer RUN --out FILE` makes one".to_owned()))?;
        let info: ScorerInfo = serde_json::from_str(text)
            .map_err(|why| wrong(format!("its metadata {KEY} cannot be read: {why}")))?;
        if info.format != FORMAT {
            return Err(wrong(format!("it is of format {}, expected {FORMAT}", info.format)));
        }
        latent_files::run::check_classifier(&info.layers, &info.classes, &info.image).map_err(wrong)?;
        Self::new(path.to_owned(), info, &tensors, device)
    }

    fn new(
        path: PathBuf,
        info: ScorerInfo,
        tensors: &checkpoint::Tensors,
        device: Device,
    ) -> Result<Self, TrainError> {
        let init = |_: &Layer| WeightInit::TorchDefault;
        let network = Network::build(&info.layers, init, &mut Rng::from_seed(0), device)?;
        network.load_state(tensors).map_err(|error| CheckpointError::State { path, error })?;
        Ok(Self { info, network, device })
    }

    /// The scorer's file: weights in half precision.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainError> {
        let mut tensors = self.network.state()?;
        for tensor in tensors.values_mut().filter(|tensor| tensor.kind() == Kind::Float) {
            *tensor = tensor.f_detach()?.f_to_kind(Kind::Half)?;
        }
        let text = serde_json::to_string(&self.info).map_err(std::io::Error::other)?;
        Ok(checkpoint::to_bytes(&tensors, Some(HashMap::from([(KEY.to_owned(), text)])))?)
    }

    /// Channels, height and width of its images.
    pub fn image(&self) -> [usize; 3] {
        [self.info.image.channels, self.info.image.height, self.info.image.width]
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> usize {
        self.info.classes.count
    }

    /// Learned values.
    pub fn parameters(&self) -> u64 {
        self.network.parameter_count()
    }

    /// What it makes of `pixels`, planar bytes of whole images.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn measure(&self, pixels: &[u8]) -> Result<Scores, TrainError> {
        let size = self.image().iter().product::<usize>().max(1);
        let count = pixels.len() / size;
        let mut scores = Scores { dimension: 0, features: Vec::new(), probabilities: Vec::new() };
        for start in (0..count).step_by(CHUNK) {
            let n = CHUNK.min(count - start);
            let part = &pixels[start * size..(start + n) * size];
            let images = Batches::new(part, n, self.info.image.into(), n, None, self.device)?.get(0)?;
            let (features, output) = tch::no_grad(|| self.network.features_and_output(&images, Pass::EVAL))?;
            scores.dimension = features.size2()?.1 as usize;
            let values = |tensor: &Tensor| {
                Ok::<_, TrainError>(Vec::<f32>::try_from(tensor.f_contiguous()?.f_view(-1)?)?)
            };
            scores.features.extend(values(&features)?);
            scores.probabilities.extend(values(&output.f_softmax(1, Kind::Float)?)?);
        }
        Ok(scores)
    }

    /// The part of these images whose class is told rightly; `None` without images.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn accuracy(&self, pixels: &[u8], labels: &[u32]) -> Result<Option<f64>, TrainError> {
        let found = self.measure(pixels)?.probabilities;
        let told = found.chunks_exact(self.classes()).map(|p| {
            let most =
                p.iter().enumerate().fold(0, |most, (at, value)| if *value > p[most] { at } else { most });
            most as u32
        });
        let right = told.zip(labels).filter(|(told, label)| told == *label).count();
        Ok((!labels.is_empty()).then(|| right as f64 / labels.len() as f64))
    }
}
