//! `trainer vanilla | lsgan | dcgan`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use latent_files::run::{Classes, GanNetworks, MAX_CLASSES, RunKind, TrainingBytes};
use latent_files::text::size;

use super::common::{decay, not_negative, number};
use super::training::{self, Origin, TrainArgs, TrainCommand, image, set};
use crate::data::Dataset;
use crate::gan::architecture::{self, NetKind};
use crate::gan::losses::LossKind;
use crate::gan::run::{Figures, Latent, RunInfo};
use crate::gan::settings::{DistributionKind, GanSettings};
use crate::gan::train::{self, quality_text};
use crate::run_folder;
use crate::scoring::evaluator::Evaluator;
use crate::scoring::scorer::Scorer;
use crate::session::{Job, Outcome, RECENT};
use crate::settings::{CommonSettings, Preset};
use crate::training::TrainError;

/// Which of the three GANs of the reference gives the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GanKind {
    /// Fully connected networks, cross-entropy loss, 10 epochs.
    Vanilla,
    /// Fully connected networks, least-squares loss, 10 epochs.
    Lsgan,
    /// Convolutional networks, cross-entropy loss, 5 epochs.
    Dcgan,
}

impl GanKind {
    fn command(self) -> &'static str {
        match self {
            Self::Vanilla => "vanilla",
            Self::Lsgan => "lsgan",
            Self::Dcgan => "dcgan",
        }
    }

    /// Networks, losses and the reference's number of passes over the data.
    fn defaults(self) -> (NetKind, LossKind, f64) {
        match self {
            Self::Vanilla => (NetKind::Vanilla, LossKind::Bce, 10.0),
            Self::Lsgan => (NetKind::Vanilla, LossKind::Ls, 10.0),
            Self::Dcgan => (NetKind::Dcgan, LossKind::Bce, 5.0),
        }
    }
}

/// Sizes of the convolutional generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Size {
    /// 128 385 parameters for 28x28x1 and 96 latent values
    Nano,
    /// 515 425
    Small,
    /// 6 675 009, the reference's
    Full,
}

impl Size {
    fn net(self) -> NetKind {
        match self {
            Self::Nano => NetKind::DcganNano,
            Self::Small => NetKind::DcganSmall,
            Self::Full => NetKind::Dcgan,
        }
    }
}

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer dcgan --data mnist --out runs/dcgan
      the recipe that measures best, on MNIST, into a new folder
  trainer dcgan --preset reference
      the assignment's networks, losses and settings
  trainer dcgan --data synth-digits --epochs 1 --out runs/quick
      drawn digits, no files needed
  trainer dcgan --conditional --data mnist --out runs/digits
      a generator that is told which digit to draw, from the labels of the data
  trainer vanilla --loss wgan-gp --data fashion-mnist --out runs/wgan
      any networks with any loss
  trainer dcgan --data folder:photos --image-size 32 --batch 64 \\
      --out runs/photos
      pictures of one's own, in class folders, cropped and resized
  trainer dcgan --resume runs/dcgan --epochs 10
      go on with an interrupted run, or make a finished one longer

Ctrl-C finishes the iteration and saves; a second Ctrl-C stops at once.
Exit codes: 0 done, 1 failed (also: the losses became NaN), 2 wrong usage, 130
interrupted and saved.";

/// Options of a GAN training run.
#[derive(Debug, Clone, Default, Args)]
#[command(
    mut_arg("data", |a| a.help("Data set: a name in the data folder, mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH, `synth-digits[:COUNT]` or `synth-objects[:COUNT]` [default: mnist]")),
    mut_arg("train_images", |a| a.help("Images of the train split to use, from the first [default: all; at most 50000 with --preset reference]")),
    mut_arg("epochs", |a| a.help("Passes over the data [default: 16; with --preset reference 10, and 5 for `trainer dcgan`]")),
    mut_arg("iterations", |a| a.help("Generator steps, instead of --epochs")),
    mut_arg("batch", |a| a.help("Images per step [default: 128]")),
    mut_arg("amp", |a| a.help("Precision of matrix products and convolutions [default: bf16 where the machine computes in it; off with --preset reference]")),
    mut_arg("keep", |a| a.help("Checkpoints kept [default: 2]")),
    mut_arg("log_every", |a| a.help("Iterations between readings of the losses; every iteration is logged all the same [default: 1; 20 on a GPU]"))
)]
pub struct GanArgs {
    /// Networks [default: vanilla; dcgan for `trainer dcgan`]
    #[arg(long, value_parser = super::common::net_kinds(), help_heading = "Model")]
    net: Option<NetKind>,
    /// Size of the convolutional generator: nano and small are for microcontrollers, and the same as --net dcgan-nano and dcgan-small
    #[arg(long, value_enum, conflicts_with = "net", help_heading = "Model")]
    size: Option<Size>,
    /// Networks whose discriminator is taken [default: those of --net; dcgan for vanilla with --preset modern, if it fits the images]
    #[arg(long, value_name = "NET", value_parser = super::common::net_kinds(), hide_possible_values = true, help_heading = "Model")]
    discriminator: Option<NetKind>,
    /// Recipe that gives the defaults of all other options [default: modern; reference for `trainer lsgan`]
    #[arg(long, value_enum, help_heading = "Model")]
    preset: Option<Preset>,
    /// Losses [default: bce; ls for `trainer lsgan`]
    #[arg(long, value_enum, help_heading = "Model")]
    loss: Option<LossKind>,
    /// Number of latent values [default: 96]
    #[arg(long, alias = "nz", value_name = "N", value_parser = number::<usize>(1, 65_536), help_heading = "Model")]
    latent_size: Option<usize>,
    /// What latent values are drawn from: U(-1, 1) or N(0, 1) [default: uniform]
    #[arg(long, value_enum, help_heading = "Model")]
    distribution: Option<DistributionKind>,

    /// Tell both networks the class of each image, so that classes can be asked for; each epoch has a new order, as with --shuffle
    #[arg(long, help_heading = "Model")]
    conditional: bool,

    #[command(flatten)]
    train: TrainArgs,

    /// Draw a new order for each epoch, instead of the file's [default: true; false with --preset reference]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data")]
    shuffle: Option<bool>,
    /// Turn color into gray
    #[arg(long, help_heading = "Data")]
    gray: bool,

    /// Adam's step size for both networks [default: 0.001; 0.0001 with --loss wgan-gp]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    lr: Option<f64>,
    /// Step size for the discriminator alone
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    d_lr: Option<f64>,
    /// Step size for the generator alone
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    g_lr: Option<f64>,
    /// Adam's decay of the mean of gradients [default: 0.5; 0 with --loss wgan-gp]
    #[arg(long, value_name = "X", value_parser = decay, allow_negative_numbers = true, help_heading = "Optimization")]
    beta1: Option<f64>,
    /// Adam's decay of the mean of squared gradients [default: 0.999; 0.9 with --loss wgan-gp]
    #[arg(long, value_name = "X", value_parser = decay, allow_negative_numbers = true, help_heading = "Optimization")]
    beta2: Option<f64>,
    /// Discriminator steps per generator step [default: 1; 5 with --loss wgan-gp]
    #[arg(long, value_name = "N", value_parser = number::<u32>(1, 1000), help_heading = "Optimization")]
    d_steps: Option<u32>,
    /// Weight of the gradient penalty, with --loss wgan-gp [default: 10]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    gp_weight: Option<f64>,
    /// Keep a moving average of the generator with this decay; 0 is the generator itself [default: 0.9995; none with --preset reference]
    #[arg(long, value_name = "DECAY", value_parser = decay, allow_negative_numbers = true, help_heading = "Optimization")]
    ema: Option<f64>,
    /// Weight of a penalty on the discriminator's gradient at real images (R1), 0 for none [default: 1; 0 with --preset reference or --loss wgan-gp]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    r1: Option<f64>,
    /// Let both step sizes fall along half a cosine, to 0 at the run's end [default: true; false with --preset reference]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Optimization")]
    cosine: Option<bool>,

    /// Iterations between sample grids, 0 for only the last [default: 250]
    #[arg(long, value_name = "N", help_heading = "Output")]
    sample_every: Option<u64>,
    /// Images on a grid [default: 64]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 1024), help_heading = "Output")]
    sample_count: Option<usize>,
    /// Iterations between measurements of the samples' diversity, 0 for none [default: 50]
    #[arg(long, value_name = "N", help_heading = "Output")]
    diversity_every: Option<u64>,
    /// Iterations between judgments of samples as `trainer eval` has them, 0 for none; the best checkpoint is kept
    /// [default: 500 where there is a models/scorer-DATA.safetensors, else 0]
    #[arg(long, value_name = "N", help_heading = "Output")]
    eval_every: Option<u64>,
    /// Samples that are judged; fewer give a larger distance [default: 2000]
    #[arg(long, value_name = "N", value_parser = number::<usize>(100, 1_000_000), help_heading = "Output")]
    eval_samples: Option<usize>,
}

/// Trains as asked.
pub fn run(kind: GanKind, args: GanArgs) -> anyhow::Result<ExitCode> {
    let command = GanCommand { kind, args };
    let loss = command.loss();
    if command.args.train.resume.is_none()
        && command.args.gp_weight.is_some()
        && loss.definition().penalty.is_none()
    {
        bail!("--gp-weight has a meaning only with --loss wgan-gp, the loss is {loss}");
    }
    if command.args.size.is_some() && kind != GanKind::Dcgan {
        bail!(
            "--size is one of `trainer dcgan`; `trainer {}` takes --net dcgan-nano or dcgan-small",
            command.name()
        );
    }
    training::run(&command)
}

/// Says what a training step takes in memory, if that is much; an error if the weights alone do not fit this machine.
fn check_memory(
    [channels, height, width]: [usize; 3],
    settings: &GanSettings,
    need: TrainingBytes,
) -> anyhow::Result<()> {
    let TrainingBytes { weights, activations } = need;
    let of = format!("{} networks for images of {channels}x{height}x{width}", settings.net);
    let takes =
        |bytes| format!("the weights of the {of} take {} with their gradients and moments", size(bytes));
    // A GPU says by itself that it is full; the system ends a program without a word.
    if let Some(free) = available_memory().filter(|free| settings.common.device == "cpu" && *free < weights) {
        bail!("{}, and {} are free: take smaller images (--image-size)", takes(weights), size(free));
    }
    if weights.saturating_add(activations) > MUCH_MEMORY {
        latent_files::say!(
            "note: {}, a step of {} images about {} more",
            takes(weights),
            settings.common.batch,
            size(activations)
        );
    }
    Ok(())
}

/// What a training step may take without a word, in bytes.
const MUCH_MEMORY: u64 = 2_000_000_000;

/// The memory that is free, in bytes, where the system tells.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The classes of a data set, for `what`: the option or command that needs them.
pub(super) fn classes(what: &str, data: &Dataset) -> anyhow::Result<Classes> {
    let (names, count) = (&data.class_names, data.class_names.len());
    if count < 2 {
        let without = if what.starts_with("--") { format!(", or leave out {what}") } else { String::new() };
        bail!(
            "{what} needs images of two classes or more, and {} has no labels: put the pictures of each class into a folder of \
             its own{without}",
            data.source
        );
    }
    if count > MAX_CLASSES {
        bail!("{} has {count} classes, {what} takes {MAX_CLASSES} at most", data.source);
    }
    let mut images = vec![0usize; count];
    for label in &data.labels {
        if let Some(images) = images.get_mut(*label as usize) {
            *images += 1;
        }
    }
    if let Some((name, _)) = names.iter().zip(&images).find(|(_, images)| **images == 0) {
        bail!(
            "{what} needs images of each class, and the first {} training images of {} have none of {name:?}: raise \
             --train-images, or leave that class out of the data",
            data.len(),
            data.source
        );
    }
    Ok(Classes { count, names: names.clone(), crc32c: labels_crc32c(&data.labels) })
}

fn labels_crc32c(labels: &[u32]) -> u32 {
    let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    crc32c::crc32c(&bytes)
}

/// Passes over the data that the modern recipe makes.
const MODERN_EPOCHS: f64 = 16.0;

/// Real images that samples are judged beside, at most.
const JUDGED_BESIDE: usize = 10_000;

/// The scorer that comes with the project for these images.
fn scorer(data: &Dataset, device: tch::Device) -> Result<Option<Scorer>, TrainError> {
    Scorer::shipped(&data.name, [data.channels, data.height, data.width], device)
}

struct GanCommand {
    kind: GanKind,
    args: GanArgs,
}

impl GanCommand {
    /// Nothing was found yet that is better than the reference's least squares.
    fn preset(&self) -> Preset {
        let otherwise = if self.kind == GanKind::Lsgan { Preset::Reference } else { Preset::Modern };
        self.args.preset.unwrap_or(otherwise)
    }

    fn reference(&self) -> bool {
        self.preset() == Preset::Reference
    }

    fn loss(&self) -> LossKind {
        self.args.loss.unwrap_or(self.kind.defaults().1)
    }
}

impl TrainCommand for GanCommand {
    type Info = RunInfo;
    type Extra = ();

    const DATA: &'static str = "mnist";
    const OPTIONS: &'static [(&'static str, &'static str)] =
        &[("d_lr", "--d-lr or --lr"), ("g_lr", "--g-lr or --lr")];

    fn name(&self) -> &'static str {
        self.kind.command()
    }

    fn most_images(&self) -> usize {
        // The reference keeps the others for validation.
        if self.reference() { 50_000 } else { usize::MAX }
    }

    fn epochs(&self) -> f64 {
        if self.reference() { self.kind.defaults().2 } else { MODERN_EPOCHS }
    }

    fn args(&self) -> &TrainArgs {
        &self.args.train
    }

    fn defaults(&self, device: tch::Device) -> GanSettings {
        let conditional = self.args.conditional;
        let reference = GanSettings::new(self.loss());
        let settings = if self.reference() { reference } else { reference.modern() };
        GanSettings {
            common: CommonSettings { amp: training::amp(self.preset(), device), ..settings.common },
            net: self.kind.defaults().0,
            conditional,
            // Folders come class by class, and a batch of one class says nothing of the others.
            shuffle: settings.shuffle || conditional,
            ..settings
        }
    }

    fn apply(&self, settings: &mut GanSettings) {
        let args = &self.args;
        set(&mut settings.preset, args.preset);
        set(&mut settings.net, args.net.or(args.size.map(Size::net)));
        set(&mut settings.discriminator, args.discriminator.map(Some));
        set(&mut settings.loss, args.loss);
        set(&mut settings.gp_weight, args.gp_weight);
        set(&mut settings.d_steps, args.d_steps);
        set(&mut settings.d_lr, args.d_lr.or(args.lr));
        set(&mut settings.g_lr, args.g_lr.or(args.lr));
        set(&mut settings.beta1, args.beta1);
        set(&mut settings.beta2, args.beta2);
        set(&mut settings.latent_size, args.latent_size);
        set(&mut settings.distribution, args.distribution);
        settings.conditional |= args.conditional;
        settings.gray |= args.gray;
        set(&mut settings.shuffle, args.shuffle);
        set(&mut settings.ema, args.ema.map(Some));
        set(&mut settings.r1, args.r1);
        set(&mut settings.cosine, args.cosine);
        set(&mut settings.sample_every, args.sample_every);
        set(&mut settings.sample_count, args.sample_count);
        set(&mut settings.diversity_every, args.diversity_every);
        set(&mut settings.eval_every, args.eval_every);
        set(&mut settings.eval_samples, args.eval_samples);
    }

    fn gray(&self, settings: &GanSettings) -> bool {
        settings.gray || self.args.gray
    }

    fn choose(&self, mut data: Dataset, count: usize) -> Dataset {
        data.truncate(count);
        data
    }

    fn fits(&self, info: &RunInfo, data: &Dataset) -> bool {
        info.classes.as_ref().is_none_or(|trained| {
            (trained.count, trained.crc32c) == (data.class_names.len(), labels_crc32c(&data.labels))
        })
    }

    fn describe(&self, mut settings: GanSettings, data: &Dataset, origin: Origin) -> anyhow::Result<RunInfo> {
        let net = settings.net;
        if settings.common.batch < 2 && net != NetKind::Vanilla {
            bail!(
                "--batch 1 is too small for the {net} networks: batch normalization needs at least 2 images"
            );
        }
        let image = image(data, -1.0);
        let is_modern = settings.preset == Preset::Modern && settings.discriminator.is_none();
        if is_modern && net == NetKind::Vanilla && architecture::check(NetKind::Dcgan, image.into()).is_ok() {
            settings.discriminator = Some(NetKind::Dcgan);
        }
        for net in [net, settings.discriminator_net()] {
            architecture::check(net, image.into())
                .map_err(|reason| anyhow::anyhow!("{}: {reason}", data.source))?;
        }
        if self.args.eval_every.is_none() && scorer(data, tch::Device::Cpu)?.is_some() {
            settings.eval_every = 500;
        }
        let classes = settings.conditional.then(|| classes("--conditional", data)).transpose()?;
        let class_count = classes.as_ref().map(|classes| classes.count);
        let shape = [image.channels, image.height, image.width];
        let networks = GanNetworks {
            generator: net.generator(shape, settings.latent_size, class_count),
            discriminator: settings.discriminator_net().discriminator(shape, class_count),
        };
        let need = networks.training_bytes(shape, settings.common.batch);
        check_memory(shape, &settings, need)?;
        Ok(RunInfo {
            format: run_folder::FORMAT,
            kind: RunKind::Gan,
            command: self.name().to_owned(),
            latent_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: super::LIBTORCH.to_owned(),
            seed: settings.common.seed,
            networks,
            net,
            loss: settings.loss.to_string(),
            latent: Latent { size: settings.latent_size, distribution: settings.distribution.into() },
            classes,
            image,
            data: origin.data,
            progress: origin.progress,
            hyperparameters: settings,
            figures: Figures::default(),
            diagnosis: Vec::new(),
            verdict: String::new(),
        })
    }

    fn prepare(&self, _info: &RunInfo) -> anyhow::Result<()> {
        Ok(())
    }

    fn announcement(&self, info: &RunInfo, images: &str, work: &str) -> String {
        let conditional = info.class_count().map(|count| format!(" for {count} classes")).unwrap_or_default();
        format!("{}{conditional} with {} loss on {images}, {work}", info.net, info.loss)
    }

    fn train(&self, job: Job<'_, RunInfo>, data: Dataset, (): ()) -> Result<Outcome<RunInfo>, TrainError> {
        let settings = &job.info.hyperparameters;
        let evaluator = match settings.eval_every {
            0 => None,
            _ => Some(scorer(&data, job.device)?.ok_or_else(|| {
                TrainError::Data(format!(
                    "--eval-every needs a scorer, and there is no models/scorer-{}.safetensors for these images (`trainer classifier` and \
                     `trainer scorer` make one)",
                    data.name,
                ))
            })?),
        };
        let evaluator = evaluator.map(|scorer| Evaluator::new(scorer, &data, JUDGED_BESIDE)).transpose()?;
        train::train(job, &data.pixels, &data.labels, evaluator)
    }

    fn results(&self, info: &RunInfo) -> Vec<String> {
        let figures = &info.figures;
        let losses = figures.d_loss.zip(figures.g_loss);
        let over = info.progress.iteration.min(RECENT as u64);
        let losses = losses
            .map(|(d, g)| format!("losses:    D {d:.3}, G {g:.3} (mean of the last {over} iterations)"));
        let diversity = figures.diversity.zip(figures.data_diversity);
        let within = if info.classes.is_some() { " within classes" } else { "" };
        let diversity =
            diversity.map(|(own, data)| format!("diversity: {own:.3}{within} (the data's is {data:.3})"));
        let mut lines: Vec<String> = losses.into_iter().chain(diversity).collect();
        let checks = [("last", figures.quality), ("best", figures.best)];
        lines.extend(checks.into_iter().filter_map(|(name, check)| Some((name, check?))).map(
            |(name, check)| {
                let samples = check.quality.samples;
                format!(
                    "{name}:      {} (of {samples} samples, iteration {})",
                    quality_text(&check.quality),
                    check.iteration
                )
            },
        ));
        lines
    }

    fn pictures(&self, run: &Path) -> Vec<String> {
        vec![format!("samples:   {}/samples/final.png", run.display())]
    }
}
