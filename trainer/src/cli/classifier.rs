//! `trainer classifier`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use latent_files::run::{RunKind, classifier_layers};

use super::common::{load_test, not_negative};
use super::gan::classes;
use super::training::{self, Origin, TrainArgs, TrainCommand, image, set};
use crate::classifier::augment::AugmentSettings;
use crate::classifier::run::{Figures, RunInfo};
use crate::classifier::settings::ClassifierSettings;
use crate::classifier::train;
use crate::data::Dataset;
use crate::run_folder;
use crate::session::{Job, Outcome};
use crate::settings::CommonSettings;
use crate::training::TrainError;

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer classifier --data mnist --out runs/classifier
      a classifier of digits, by which `trainer eval` judges generated ones
  trainer classifier --data folder:photos --gray --image-size 32 --epochs 20 \\
      --out runs/photos
      of pictures of one's own, in class folders
  trainer scorer runs/classifier --out digits.safetensors
      what `trainer eval --scorer` takes, in half precision, with a card";

/// Options of `trainer classifier`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    mut_arg("data", |a| a.help("Data set with labels: a name in the data folder, mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH, `synth-digits[:COUNT]` or `synth-objects[:COUNT]` [default: mnist]")),
    mut_arg("train_images", |a| a.help("Images of the train split to use, from the first [default: all]")),
    mut_arg("epochs", |a| a.help("Passes over the data [default: 12]")),
    mut_arg("iterations", |a| a.help("Steps, instead of --epochs")),
    mut_arg("batch", |a| a.help("Images per step [default: 128]")),
    mut_arg("amp", |a| a.hide(true)),
    mut_arg("out", |a| a.help("Folder for the run [default: runs/classifier]")),
    mut_arg("keep", |a| a.help("Checkpoints kept [default: 1]"))
)]
pub struct ClassifierArgs {
    #[command(flatten)]
    train: TrainArgs,

    /// Turn color into gray
    #[arg(long, help_heading = "Data")]
    gray: bool,
    /// Pixels by which images are shifted at most, each way [default: 2]
    #[arg(long, value_name = "PIXELS", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Data")]
    shift: Option<f64>,
    /// Degrees by which they are turned at most [default: 10]
    #[arg(long, value_name = "DEGREES", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Data")]
    rotation: Option<f64>,

    /// Adam's greatest step size; it rises during a tenth of the run, and falls along a cosine [default: 0.003]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    lr: Option<f64>,
    /// Weight decay [default: 0.00001]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    weight_decay: Option<f64>,
}

/// Trains as asked.
pub fn run(args: ClassifierArgs) -> anyhow::Result<ExitCode> {
    if args.train.amp.is_some() {
        bail!("--amp has no meaning here: a classifier is trained in f32");
    }
    training::run(&args)
}

impl TrainCommand for ClassifierArgs {
    type Info = RunInfo;
    /// The test images, if there are any.
    type Extra = Option<Dataset>;

    const DATA: &'static str = "mnist";
    const OPTIONS: &'static [(&'static str, &'static str)] =
        &[("augment.shift", "--shift"), ("augment.rotation", "--rotation")];

    fn name(&self) -> &'static str {
        "classifier"
    }

    fn epochs(&self) -> f64 {
        12.0
    }

    fn args(&self) -> &TrainArgs {
        &self.train
    }

    fn defaults(&self, _device: tch::Device) -> ClassifierSettings {
        ClassifierSettings {
            common: CommonSettings::default(),
            lr: 3e-3,
            weight_decay: 1e-5,
            augment: AugmentSettings::SMALL,
            gray: false,
        }
    }

    fn apply(&self, settings: &mut ClassifierSettings) {
        set(&mut settings.lr, self.lr);
        set(&mut settings.weight_decay, self.weight_decay);
        set(&mut settings.augment.shift, self.shift);
        set(&mut settings.augment.rotation, self.rotation);
        settings.gray |= self.gray;
    }

    fn gray(&self, settings: &ClassifierSettings) -> bool {
        settings.gray || self.gray
    }

    fn choose(&self, mut data: Dataset, count: usize) -> Dataset {
        data.truncate(count);
        data
    }

    fn describe(
        &self,
        settings: ClassifierSettings,
        data: &Dataset,
        origin: Origin,
    ) -> anyhow::Result<RunInfo> {
        if settings.common.batch < 2 {
            bail!("--batch 1 is too small: batch normalization needs at least 2 images");
        }
        let classes = classes("a classifier", data)?;
        let layers = classifier_layers([data.channels, data.height, data.width], classes.count);
        Ok(RunInfo {
            format: run_folder::FORMAT,
            kind: RunKind::Classifier,
            command: self.name().to_owned(),
            latent_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: super::LIBTORCH.to_owned(),
            seed: settings.common.seed,
            layers: layers.map_err(|why| anyhow::anyhow!("{}: {why}", data.source))?,
            classes,
            image: image(data, -1.0),
            loss: "cross-entropy".to_owned(),
            data: origin.data,
            progress: origin.progress,
            hyperparameters: settings,
            figures: Figures::default(),
            diagnosis: Vec::new(),
            verdict: String::new(),
        })
    }

    fn prepare(&self, info: &RunInfo) -> anyhow::Result<Option<Dataset>> {
        let settings = &info.hyperparameters;
        let spec = self.train.data_spec(&settings.common.data)?;
        load_test(&spec, &info.image, settings.common.image_size, settings.gray)
    }

    fn announcement(&self, info: &RunInfo, images: &str, work: &str) -> String {
        format!("classifier for {} classes on {images}, {work}", info.classes.count)
    }

    fn train(
        &self,
        job: Job<'_, RunInfo>,
        data: Dataset,
        test: Option<Dataset>,
    ) -> Result<Outcome<RunInfo>, TrainError> {
        train::train(job, &data, test.as_ref())
    }

    fn results(&self, info: &RunInfo) -> Vec<String> {
        let Figures { loss, guessing, test_accuracy, test_images, parameters, .. } = info.figures;
        let loss = loss.map(|loss| format!("loss:      {loss:.4} (guessing is {guessing:.4})"));
        let test =
            test_accuracy.map(|part| format!("test:      {:.2} % of {test_images} images", 100.0 * part));
        let size = format!("size:      {parameters} parameters");
        loss.into_iter().chain(test).chain([size]).collect()
    }
}
