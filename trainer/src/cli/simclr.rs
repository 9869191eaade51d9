//! `trainer simclr`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::atomic::{self, Existing};
use latent_files::picture_file::{PictureFormat, is_stdout};
use latent_files::run::RunKind;

use super::common::{load, load_test, not_negative, number, positive};
use super::training::{self, Origin, TrainArgs, TrainCommand, image, set};
use crate::data::Dataset;
use crate::run_folder;
use crate::session::{Job, Outcome};
use crate::settings::{Amp, CommonSettings, Hyperparameters, Preset};
use crate::simclr::augment::{AugmentSettings, Normalization};
use crate::simclr::encoder::{EncoderKind, Projection};
use crate::simclr::features::spread;
use crate::simclr::run::{Figures, RunInfo};
use crate::simclr::settings::{OptimizerKind, SimclrSettings};
use crate::simclr::show;
use crate::simclr::train;
use crate::training::TrainError;

/// Training images among which neighbors are looked for, and test images that are classified, on a CPU.
const CPU_CHECK: (usize, usize) = (10_000, 2_000);

/// Images, and views of each, that `--show-augmentations` draws.
const SHOWN: (usize, usize) = (10, 12);

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer simclr --encoder resnet18 --data cifar10 --out runs/simclr
      the usual recipe for CIFAR-10, on a GPU if there is one
  trainer simclr --encoder small --data cifar10 --view-size 24 --epochs 40 \\
      --out runs/small
      a small encoder on a CPU; views of 24x24 pixels take about 0.6 of the time
  trainer simclr --preset reference --encoder resnet50 --data cifar10 \\
      --epochs 100 --out runs/reference
      the notebook's settings: Adam, batches of 64
  trainer simclr --encoder small --data synth-objects:2000 --epochs 2 \\
      --out runs/quick
      drawn objects, no files needed
  trainer simclr --data cifar10 --show-augmentations views.png
      a picture of some images and their views; nothing is trained
  trainer simclr --resume runs/simclr
      go on with an interrupted run

Ctrl-C finishes the iteration and saves; a second Ctrl-C stops at once.
Exit codes: 0 done, 1 failed (also: the loss became NaN), 2 wrong usage, 130
interrupted and saved.";

/// Options of a SimCLR training run.
#[derive(Debug, Clone, Default, Args)]
#[command(
    mut_arg("data", |a| a.help("Data set: a name in the data folder, cifar10:PATH, folder:PATH (also an archive), `synth-objects[:COUNT]` [default: cifar10]")),
    mut_arg("train_images", |a| a.help("Images of the train split to use, spread evenly over it [default: all]").value_parser(number::<usize>(2, u64::MAX))),
    mut_arg("epochs", |a| a.help("Passes over the data [default: 100]")),
    mut_arg("batch", |a| a.help("Images per step; there are twice as many views [default: 512; 256 on a CPU; 64 with --preset reference]").value_parser(number::<usize>(2, 1 << 16))),
    mut_arg("amp", |a| a.help("Precision of matrix products and convolutions [default: bf16 where the machine computes in it; off with --preset reference]")),
    mut_arg("out", |a| a.help("Folder for the run [default: runs/simclr]")),
    mut_arg("save_every", |a| a.help("Iterations between checkpoints, 0 for only the first and the last [default: one epoch]")),
    mut_arg("keep", |a| a.help("Newest checkpoints kept, besides the untrained one and the best [default: 1]"))
)]
pub struct SimclrArgs {
    /// Encoder [default: resnet18 on a GPU, small on a CPU]
    #[arg(long, value_enum, help_heading = "Model")]
    encoder: Option<EncoderKind>,
    /// Recipe that gives the defaults of all other options: warm-up, a cosine and crops from 0.2 of the area, or the notebook's Adam at
    /// 0.001, batches of 64 and crops from 0.08 [default: modern]
    #[arg(long, value_enum, help_heading = "Model")]
    preset: Option<Preset>,
    /// Temperature of the loss [default: 0.5]
    #[arg(long, value_name = "X", value_parser = positive, allow_negative_numbers = true, help_heading = "Model")]
    temperature: Option<f64>,

    #[command(flatten)]
    train: TrainArgs,

    /// Side of the views in pixels [default: that of the images]
    #[arg(long, value_name = "N", value_parser = number::<usize>(4, 1024), help_heading = "Views")]
    view_size: Option<usize>,
    /// Least part of an image's area that a view shows [default: 0.2; 0.08 with --preset reference]
    #[arg(long, value_name = "X", value_parser = positive, allow_negative_numbers = true, help_heading = "Views")]
    crop_scale: Option<f64>,
    /// Probability of a gray view [default: 0.1; 0.2 with --preset reference]
    #[arg(long, value_name = "P", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Views")]
    grayscale: Option<f64>,

    /// Optimizer [default: sgd; adam with --preset reference]
    #[arg(long, value_enum, help_heading = "Optimization")]
    optimizer: Option<OptimizerKind>,
    /// Greatest learning rate [default: 0.06 (lars: 0.3) x batch / 256; adam: 0.001]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    lr: Option<f64>,
    /// Weight decay [default: 0.0005; lars and adam: 0.000001]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    weight_decay: Option<f64>,
    /// Passes over the data in which the learning rate rises [default: a tenth of all, at most 10; 0 with --preset reference]
    #[arg(long, value_name = "N", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    warmup_epochs: Option<f64>,

    /// Epochs between checks by nearest neighbors, 0 for none [default: 5]
    #[arg(long, value_name = "N", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Output")]
    knn_every: Option<f64>,
    /// Training images that such a check looks for neighbors among [default: all; 10000 on a CPU]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, u64::MAX), help_heading = "Output")]
    knn_bank: Option<usize>,
    /// Test images that such a check classifies [default: all; 2000 on a CPU]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, u64::MAX), help_heading = "Output")]
    knn_queries: Option<usize>,
    /// Draw some images and a dozen views of each into this file, and train nothing
    #[arg(long, value_name = "PNG", conflicts_with_all = ["resume", "out"], help_heading = "Output")]
    show_augmentations: Option<PathBuf>,
}

/// Trains as asked.
pub fn run(args: SimclrArgs) -> anyhow::Result<ExitCode> {
    match &args.show_augmentations {
        Some(file) => show(&args, file),
        None => training::run(&args),
    }
}

/// Draws images and their views.
fn show(args: &SimclrArgs, file: &Path) -> anyhow::Result<ExitCode> {
    let existing = Existing::forced(args.train.force);
    atomic::check(file, existing)?;
    if is_stdout(file) || PictureFormat::of(file)? != PictureFormat::Png {
        bail!("--show-augmentations {}: give a file named .png", file.display());
    }
    let spec = args.train.data_spec(SimclrArgs::DATA)?;
    let data = load(&spec, args.train.image_size, false)?;
    let count = training::images(args, &data)?;
    let data = args.choose(data, count);
    let augment = args.augment(&data)?;
    let seed = args.train.seed.unwrap_or(0);
    let picture = show::augmentations_png(&data, &augment, seed, data.len().min(SHOWN.0), SHOWN.1)?;
    atomic::write_file(file, &picture, existing)?;
    latent_files::output!("{}", file.display())?;
    Ok(ExitCode::SUCCESS)
}

impl SimclrArgs {
    fn reference(&self) -> bool {
        self.preset == Some(Preset::Reference)
    }

    /// How strongly views differ from an image of `data`.
    fn augment(&self, data: &Dataset) -> anyhow::Result<AugmentSettings> {
        let defaults = if self.reference() { AugmentSettings::REFERENCE } else { AugmentSettings::MODERN };
        let mut augment = AugmentSettings { size: data.height.min(data.width), ..defaults };
        self.apply_augment(&mut augment);
        augment.validate()?;
        Ok(augment)
    }

    fn apply_augment(&self, augment: &mut AugmentSettings) {
        set(&mut augment.size, self.view_size);
        set(&mut augment.scale[0], self.crop_scale);
        set(&mut augment.grayscale, self.grayscale);
    }
}

impl TrainCommand for SimclrArgs {
    type Info = RunInfo;
    /// The test images for the checks, if there are any.
    type Extra = Option<Dataset>;

    const DATA: &'static str = "cifar10";
    const OPTIONS: &'static [(&'static str, &'static str)] = &[
        ("augment.grayscale", "--grayscale"),
        ("augment.scale.0", "--crop-scale"),
        ("augment.size", "--view-size"),
        ("knn_every", "--knn-every, in iterations,"),
    ];

    fn name(&self) -> &'static str {
        "simclr"
    }

    fn epochs(&self) -> f64 {
        100.0
    }

    fn args(&self) -> &TrainArgs {
        &self.train
    }

    fn defaults(&self, device: tch::Device) -> SimclrSettings {
        let (reference, gpu) = (self.reference(), device.is_cuda());
        let batch = match (reference, gpu) {
            (true, _) => 64,
            (false, true) => 512,
            (false, false) => 256,
        };
        let optimizer =
            self.optimizer.unwrap_or(if reference { OptimizerKind::Adam } else { OptimizerKind::Sgd });
        let scaled = |lr: f64| lr * self.train.batch.unwrap_or(batch) as f64 / 256.0;
        let (lr, weight_decay) = match optimizer {
            OptimizerKind::Sgd => (scaled(0.06), 5e-4),
            // The SimCLR paper's, appendix B.
            OptimizerKind::Lars => (scaled(0.3), 1e-6),
            OptimizerKind::Adam => (1e-3, 1e-6),
        };
        let (knn_bank, knn_queries) = if gpu { (usize::MAX, usize::MAX) } else { CPU_CHECK };
        SimclrSettings {
            common: CommonSettings {
                batch,
                amp: training::amp(self.preset.unwrap_or(Preset::Modern), device),
                ..CommonSettings::default()
            },
            preset: self.preset.unwrap_or(Preset::Modern),
            encoder: if gpu { EncoderKind::Resnet18 } else { EncoderKind::Small },
            optimizer,
            lr,
            weight_decay,
            warmup_epochs: 0.0,
            cosine: !reference,
            temperature: 0.5,
            augment: AugmentSettings::MODERN,
            knn_every: 0,
            knn_bank,
            knn_queries,
        }
    }

    fn apply(&self, settings: &mut SimclrSettings) {
        set(&mut settings.preset, self.preset);
        set(&mut settings.encoder, self.encoder);
        set(&mut settings.optimizer, self.optimizer);
        set(&mut settings.lr, self.lr);
        set(&mut settings.weight_decay, self.weight_decay);
        set(&mut settings.warmup_epochs, self.warmup_epochs);
        set(&mut settings.temperature, self.temperature);
        self.apply_augment(&mut settings.augment);
        if let Some(epochs) = self.knn_every {
            settings.knn_every = if epochs > 0.0 { settings.iterations_for(epochs) } else { 0 };
        }
        set(&mut settings.knn_bank, self.knn_bank);
        settings.knn_bank = settings.knn_bank.min(settings.common.train_images);
        set(&mut settings.knn_queries, self.knn_queries);
    }

    fn gray(&self, _settings: &SimclrSettings) -> bool {
        false
    }

    fn choose(&self, data: Dataset, count: usize) -> Dataset {
        if count < data.len() { spread(&data, count) } else { data }
    }

    fn describe(
        &self,
        mut settings: SimclrSettings,
        data: &Dataset,
        origin: Origin,
    ) -> anyhow::Result<RunInfo> {
        if data.channels != 3 {
            bail!(
                "{} has images of {} channel, SimCLR's augmentation needs color (3)",
                data.source,
                data.channels
            );
        }
        settings.augment = self.augment(data)?;
        if self.warmup_epochs.is_none() && !self.reference() {
            let epochs = settings.epochs_of(settings.common.iterations);
            settings.warmup_epochs = (epochs / 10.0).min(10.0);
        }
        if self.knn_every.is_none() {
            settings.knn_every = settings.iterations_for(5.0);
        }
        let architecture = settings.encoder.architecture();
        Ok(RunInfo {
            format: run_folder::FORMAT,
            kind: RunKind::Simclr,
            command: self.name().to_owned(),
            latent_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: super::LIBTORCH.to_owned(),
            seed: settings.common.seed,
            encoder: settings.encoder.to_string(),
            features: architecture.features(),
            stem: architecture.stem,
            stages: architecture.stages,
            projection: Projection::REFERENCE,
            image: image(data, 0.0),
            normalization: Normalization::CIFAR10.into(),
            loss: "nt-xent".to_owned(),
            temperature: settings.temperature,
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
        if settings.knn_every == 0 {
            return Ok(None);
        }
        let spec = self.train.data_spec(&settings.common.data)?;
        // A sized split of drawn images must be as large as it was.
        load_test(&spec, &info.image, settings.common.image_size, false)
            .context("--knn-every 0 does without test images")
    }

    fn announcement(&self, info: &RunInfo, images: &str, work: &str) -> String {
        let settings = &info.hyperparameters;
        format!(
            "{} on {images}, {:.1} epochs: {work}, {} at {}, {}",
            settings.encoder,
            settings.epochs_of(settings.common.iterations),
            settings.optimizer,
            settings.lr,
            if settings.common.amp == Amp::Bf16 { "bf16" } else { "f32" },
        )
    }

    fn note(&self, stored: &SimclrSettings, settings: &SimclrSettings) -> Option<String> {
        let other_rate = stored.cosine && stored.common.iterations != settings.common.iterations;
        other_rate.then(|| "the learning rate falls over another number of iterations".to_owned())
    }

    fn train(
        &self,
        job: Job<'_, RunInfo>,
        data: Dataset,
        test: Option<Dataset>,
    ) -> Result<Outcome<RunInfo>, TrainError> {
        if !job.quiet && job.info.hyperparameters.knn_every > 0 && test.is_none() {
            latent_files::say!(
                "note: {} has no test images, so there are no checks by nearest neighbors",
                job.info.data.source
            );
        }
        train::train(job, Arc::new(data), test.as_ref())
    }

    fn results(&self, info: &RunInfo) -> Vec<String> {
        let (figures, settings) = (&info.figures, &info.hyperparameters);
        let loss = figures.loss.map(|loss| {
            let guessing = figures.guessing;
            format!("loss:      {loss:.4} (mean of the last 100 iterations; guessing is {guessing:.4})")
        });
        let checks = [("last", figures.knn), ("best", figures.best)].into_iter().filter_map(|(name, check)| {
            check.map(|check| {
                format!(
                    "kNN {name}:  {:.2} % (top-5 {:.2} %) at iteration {}, {} test images among {} training images",
                    100.0 * check.accuracy.top1,
                    100.0 * check.accuracy.top5,
                    check.iteration,
                    settings.knn_queries,
                    settings.knn_bank
                )
            })
        });
        loss.into_iter().chain(checks).collect()
    }

    fn speed(&self, outcome: &Outcome<RunInfo>, speed: f64) -> String {
        let views = speed * 2.0 * outcome.info.hyperparameters.common.batch as f64;
        let waited = 100.0 * outcome.waited / outcome.seconds;
        format!(", {views:.0} views/s; waited for views {waited:.1} % of the time")
    }
}
