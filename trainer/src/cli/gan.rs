//! `trainer vanilla | lsgan | dcgan`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::run::RunKind;

use super::common::{
    INTERRUPTED, Resumed, data_spec, decay, default_threads, device_name, fingerprint, load, not_negative,
    number, other_images, parse_size, positive, refuse_conflicts, size,
};
use super::stop;
use crate::checkpoint;
use crate::data::{DataSpec, Dataset};
use crate::device;
use crate::gan::architecture::{self, NetKind};
use crate::gan::losses::LossKind;
use crate::gan::options::{Amp, DistributionKind, Hyperparameters};
use crate::gan::train::{self, Job, Outcome};
use crate::run_folder::{self, Data, Figures, Image, Latent, Progress, RunFolder, RunInfo};
use crate::training::{Ending, newest_checkpoint};

/// Images of the train split used unless asked otherwise: the reference keeps the others for validation.
const REFERENCE_IMAGES: usize = 50_000;

/// Which of the three reference recipes gives the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Fully connected networks, cross-entropy loss, 10 epochs.
    Vanilla,
    /// Fully connected networks, least-squares loss, 10 epochs.
    Lsgan,
    /// Convolutional networks, cross-entropy loss, 5 epochs.
    Dcgan,
}

impl Preset {
    fn command(self) -> &'static str {
        match self {
            Self::Vanilla => "vanilla",
            Self::Lsgan => "lsgan",
            Self::Dcgan => "dcgan",
        }
    }

    fn defaults(self) -> (NetKind, LossKind, f64) {
        match self {
            Self::Vanilla => (NetKind::Vanilla, LossKind::Bce, 10.0),
            Self::Lsgan => (NetKind::Vanilla, LossKind::Ls, 10.0),
            Self::Dcgan => (NetKind::Dcgan, LossKind::Bce, 5.0),
        }
    }
}

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer dcgan --data mnist --out runs/dcgan
      the reference recipe on MNIST, into a new folder
  trainer dcgan --data synth-digits --epochs 1 --ema 0.999 --out runs/quick
      drawn digits, no files needed, with a moving average of the generator
  trainer vanilla --loss wgan-gp --data fashion-mnist --out runs/wgan
      any networks with any loss
  trainer dcgan --data folder:photos --image-size 32 --batch 64 --out runs/photos
      pictures of one's own, in class folders, cropped and resized
  trainer dcgan --resume runs/dcgan --epochs 10
      go on with an interrupted run, or make a finished one longer

Ctrl-C finishes the iteration and saves; a second Ctrl-C stops at once.
Exit codes: 0 done, 1 failed (also: the losses became NaN), 2 wrong usage, 130 interrupted and saved.";

/// Options of a GAN training run.
#[derive(Debug, Clone, Default, Args)]
pub struct GanArgs {
    /// Networks [default: vanilla; dcgan for `trainer dcgan`]
    #[arg(long, value_parser = super::common::net_kinds(), help_heading = "Model")]
    net: Option<NetKind>,
    /// Losses [default: bce; ls for `trainer lsgan`]
    #[arg(long, value_enum, help_heading = "Model")]
    loss: Option<LossKind>,
    /// Number of latent values [default: 96]
    #[arg(long, value_name = "N", value_parser = number(1, 65_536), help_heading = "Model")]
    latent_size: Option<u64>,
    /// What latent values are drawn from: U(-1, 1) or N(0, 1) [default: uniform]
    #[arg(long, value_enum, help_heading = "Model")]
    distribution: Option<DistributionKind>,

    /// Data set: a name in the data folder, mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH, `synth-digits[:COUNT]` or
    /// `synth-objects[:COUNT]` [default: mnist]
    #[arg(long, value_name = "SPEC", help_heading = "Data")]
    data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Images of the train split to use, from the first [default: 50000, or all if there are fewer]
    #[arg(long, value_name = "N", value_parser = number(1, u64::MAX), help_heading = "Data")]
    train_images: Option<u64>,
    /// Draw a new order for each epoch, instead of the file's
    #[arg(long, help_heading = "Data")]
    shuffle: bool,
    /// Crop and resize images to HEIGHTxWIDTH, or to a square
    #[arg(long, value_name = "HxW", value_parser = parse_size, help_heading = "Data")]
    image_size: Option<(usize, usize)>,
    /// Turn color into gray
    #[arg(long, help_heading = "Data")]
    gray: bool,

    /// Passes over the data [default: 10; 5 for `trainer dcgan`]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true, conflicts_with = "iterations", help_heading = "Optimization")]
    epochs: Option<f64>,
    /// Generator steps, instead of --epochs
    #[arg(long, value_name = "N", value_parser = number(1, u64::MAX), help_heading = "Optimization")]
    iterations: Option<u64>,
    /// Images per step [default: 128]
    #[arg(long, value_name = "N", value_parser = number(1, 1 << 20), help_heading = "Optimization")]
    batch: Option<u64>,
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
    #[arg(long, value_name = "N", value_parser = number(1, 1000), help_heading = "Optimization")]
    d_steps: Option<u64>,
    /// Weight of the gradient penalty, with --loss wgan-gp [default: 10]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Optimization")]
    gp_weight: Option<f64>,
    /// Keep a moving average of the generator with this decay, such as 0.999
    #[arg(long, value_name = "DECAY", value_parser = decay, allow_negative_numbers = true, help_heading = "Optimization")]
    ema: Option<f64>,
    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "N", help_heading = "Optimization")]
    seed: Option<u64>,

    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    device: Option<String>,
    /// Precision of matrix products and convolutions [default: off]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Machine")]
    amp: Option<Amp>,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N", value_parser = number(1, 1024), help_heading = "Machine")]
    threads: Option<u64>,

    /// Folder for the run [default: runs/ and the command's name]
    #[arg(long, value_name = "RUN", conflicts_with = "resume", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Replace a run that is in that folder
    #[arg(long, conflicts_with = "resume", help_heading = "Output")]
    force: bool,
    /// Go on with this run, exactly where its newest checkpoint is
    #[arg(long, value_name = "RUN", help_heading = "Output")]
    resume: Option<PathBuf>,
    /// Iterations between sample grids, 0 for only the last [default: 250]
    #[arg(long, value_name = "N", help_heading = "Output")]
    sample_every: Option<u64>,
    /// Images on a grid [default: 64]
    #[arg(long, value_name = "N", value_parser = number(1, 1024), help_heading = "Output")]
    sample_count: Option<u64>,
    /// Iterations between checkpoints, 0 for only the last [default: one epoch]
    #[arg(long, value_name = "N", help_heading = "Output")]
    save_every: Option<u64>,
    /// Checkpoints kept [default: 2]
    #[arg(long, value_name = "N", value_parser = number(1, 1 << 20), help_heading = "Output")]
    keep: Option<u64>,
    /// Iterations between readings of the losses; every iteration is logged all the same [default: 1; 20 on a GPU]
    #[arg(long, value_name = "N", value_parser = number(1, 1 << 20), help_heading = "Output")]
    log_every: Option<u64>,
    /// Iterations between measurements of the samples' diversity, 0 for none [default: 50]
    #[arg(long, value_name = "N", help_heading = "Output")]
    diversity_every: Option<u64>,
    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Print the run's description (run.json) instead of a summary
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Trains as asked.
pub fn run(preset: Preset, args: GanArgs) -> anyhow::Result<ExitCode> {
    let quiet = args.quiet;
    let json = args.json;
    let (folder, info, data) = match &args.resume {
        Some(run) => resume(preset, &args, run)?,
        None => start(preset, &args)?,
    };
    let options = &info.hyperparameters;
    let device = device::choose(&options.device)?;
    let threads = i32::try_from(options.threads).unwrap_or(1);
    tch::set_num_threads(threads);
    if !quiet {
        announce(&folder, &info, device);
    }
    let stop = stop::on_signals().context("cannot listen for Ctrl-C")?;
    let job = Job { folder: &folder, info, pixels: &data.pixels, device, stop: &stop, quiet };
    let outcome = train::train(job).map_err(|error| {
        let hint = match newest_checkpoint(folder.path()) {
            Ok(checkpoint) => format!("; the last good checkpoint is {}", checkpoint.display()),
            Err(_) => String::new(),
        };
        anyhow::anyhow!("training stopped: {error}{hint}")
    })?;
    if json {
        println!("{}", serde_json::to_string_pretty(&outcome.info)?);
    }
    conclude(preset, &folder, &outcome, json)
}

/// What a new run needs.
fn start(preset: Preset, args: &GanArgs) -> anyhow::Result<(RunFolder, RunInfo, Dataset)> {
    let (net, loss, epochs) = preset.defaults();
    let (net, loss) = (args.net.unwrap_or(net), args.loss.unwrap_or(loss));
    let wgan = loss == LossKind::WganGp;
    // The values of Gulrajani et al. 2017, algorithm 1, where that loss is asked for.
    let lr = args.lr.unwrap_or(if wgan { 1e-4 } else { 1e-3 });
    if args.gp_weight.is_some() && !wgan {
        bail!("--gp-weight has a meaning only with --loss wgan-gp, the loss is {loss}");
    }
    let device = device::choose(args.device.as_deref().unwrap_or("auto"))?;

    let spec = args.data.clone().unwrap_or(DataSpec::Named("mnist".to_owned()));
    let spec = spec.resolve(args.data_dir.as_deref())?;
    let data = load(&spec, args.image_size, args.gray)?;
    let train_images = match args.train_images.map(size) {
        Some(n) if n > data.len() => {
            bail!("--train-images {n} is more than the {} images of {}", data.len(), data.source)
        }
        Some(n) => n,
        None => REFERENCE_IMAGES.min(data.len()),
    };
    let batch = size(args.batch.unwrap_or(128));
    if batch > train_images {
        bail!("--batch {batch} is more than the {train_images} training images of {}", data.source);
    }
    if batch < 2 && net == NetKind::Dcgan {
        bail!("--batch 1 is too small for the dcgan networks: batch normalization needs at least 2 images");
    }
    let image =
        Image { channels: data.channels, height: data.height, width: data.width, low: -1.0, high: 1.0 };
    architecture::check(net, image.into()).map_err(|reason| anyhow::anyhow!("{}: {reason}", data.source))?;

    let mut options = Hyperparameters {
        net,
        loss,
        gp_weight: args.gp_weight.unwrap_or(10.0),
        d_steps: args.d_steps.unwrap_or(if wgan { 5 } else { 1 }) as u32,
        batch,
        iterations: 0,
        d_lr: args.d_lr.unwrap_or(lr),
        g_lr: args.g_lr.unwrap_or(lr),
        beta1: args.beta1.unwrap_or(if wgan { 0.0 } else { 0.5 }),
        beta2: args.beta2.unwrap_or(if wgan { 0.9 } else { 0.999 }),
        adam_eps: 1e-8,
        latent_size: size(args.latent_size.unwrap_or(96)),
        distribution: args.distribution.unwrap_or(DistributionKind::Uniform),
        seed: args.seed.unwrap_or(0),
        data: spec.to_string(),
        image_size: args.image_size,
        gray: args.gray,
        train_images,
        shuffle: args.shuffle,
        ema: args.ema,
        amp: args.amp.unwrap_or(Amp::Off),
        threads: args.threads.map_or_else(default_threads, size),
        device: device_name(device),
        sample_every: args.sample_every.unwrap_or(250),
        sample_count: size(args.sample_count.unwrap_or(64)),
        save_every: 0,
        keep: size(args.keep.unwrap_or(2)),
        log_every: args.log_every.unwrap_or(if device.is_cuda() { 20 } else { 1 }),
        diversity_every: args.diversity_every.unwrap_or(50),
    };
    options.iterations =
        args.iterations.unwrap_or_else(|| options.iterations_for(args.epochs.unwrap_or(epochs)));
    options.save_every = args.save_every.unwrap_or_else(|| options.iterations_for(1.0));

    let info = RunInfo {
        format: run_folder::FORMAT,
        kind: RunKind::Gan,
        command: preset.command().to_owned(),
        latent_version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: super::LIBTORCH.to_owned(),
        seed: options.seed,
        networks: net.networks([image.channels, image.height, image.width], options.latent_size),
        net,
        loss: loss.to_string(),
        latent: Latent { size: options.latent_size, distribution: options.distribution.into() },
        image,
        data: Data {
            name: data.name.clone(),
            source: data.source.clone(),
            images: train_images,
            crc32c: fingerprint(&data, train_images),
        },
        progress: Progress {
            iteration: 0,
            iterations: options.iterations,
            epoch: 0.0,
            seconds: 0.0,
            finished: false,
            stopped_by: None,
        },
        hyperparameters: options,
        figures: Figures::default(),
        diagnosis: Vec::new(),
        verdict: String::new(),
    };
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(preset.command()));
    let folder = RunFolder::create(&out, args.force)?;
    folder.write_info(&info)?;
    Ok((folder, info, data))
}

/// What a run that goes on needs.
fn resume(preset: Preset, args: &GanArgs, run: &Path) -> anyhow::Result<(RunFolder, RunInfo, Dataset)> {
    let (folder, mut info) = RunFolder::open::<RunInfo>(run)?;
    if info.command != preset.command() {
        bail!(
            "{0} was started with `trainer {1}`; resume it with `trainer {1} --resume {0}`",
            run.display(),
            info.command
        );
    }
    // What counts is what was saved; a killed run may have got further.
    info.progress.iteration =
        checkpoint::list(&folder.checkpoints())?.pop().map_or(0, |(iteration, _)| iteration);
    refuse_conflicts(&conflicts(args, &info.hyperparameters))?;
    let options = &mut info.hyperparameters;
    let iterations = args.iterations.or(args.epochs.map(|epochs| options.iterations_for(epochs)));
    let notes = Resumed {
        run,
        progress: &info.progress,
        iterations: &mut options.iterations,
        device: &mut options.device,
        threads: &mut options.threads,
    }
    .change(iterations, args.device.as_deref(), args.threads)?;
    if !notes.is_empty() && !args.quiet {
        eprintln!("note: {}, so the results are no longer the same bit for bit", notes.join(" and "));
    }
    options.sample_every = args.sample_every.unwrap_or(options.sample_every);
    options.save_every = args.save_every.unwrap_or(options.save_every);
    options.keep = args.keep.map_or(options.keep, size);
    options.log_every = args.log_every.unwrap_or(options.log_every);

    // The files may have moved; their content tells whether they are the same.
    let spec = data_spec(args.data.as_ref(), &options.data, args.data_dir.as_deref())?;
    let data = load(&spec, options.image_size, options.gray)?;
    let same = data.len() >= info.data.images
        && (data.channels, data.height, data.width)
            == (info.image.channels, info.image.height, info.image.width)
        && fingerprint(&data, info.data.images) == info.data.crc32c;
    if !same {
        return Err(other_images(&spec, run, &info.data));
    }
    Ok((folder, info, data))
}

/// The options given that contradict those of a run.
fn conflicts(args: &GanArgs, run: &Hyperparameters) -> Vec<String> {
    let mut found = Vec::new();
    macro_rules! keeps {
        ($($flag:literal: $given:expr, $stored:expr;)*) => {$(
            if let Some(given) = $given.filter(|given| *given != $stored) {
                found.push(format!("{} {given} is given and the run has {}", $flag, $stored));
            }
        )*};
    }
    let both = args.lr.filter(|lr| *lr != run.d_lr || *lr != run.g_lr);
    keeps! {
        "--net": args.net, run.net;
        "--loss": args.loss, run.loss;
        "--latent-size": args.latent_size.map(size), run.latent_size;
        "--distribution": args.distribution, run.distribution;
        "--train-images": args.train_images.map(size), run.train_images;
        "--batch": args.batch.map(size), run.batch;
        "--lr": both.filter(|_| args.d_lr.is_none() && args.g_lr.is_none()), run.d_lr;
        "--d-lr": args.d_lr, run.d_lr;
        "--g-lr": args.g_lr, run.g_lr;
        "--beta1": args.beta1, run.beta1;
        "--beta2": args.beta2, run.beta2;
        "--d-steps": args.d_steps, u64::from(run.d_steps);
        "--gp-weight": args.gp_weight, run.gp_weight;
        "--seed": args.seed, run.seed;
        "--amp": args.amp, run.amp;
        "--sample-count": args.sample_count.map(size), run.sample_count;
        "--diversity-every": args.diversity_every, run.diversity_every;
    }
    if args.ema.is_some() && args.ema != run.ema {
        let stored = run.ema.map_or("none".to_owned(), |decay| decay.to_string());
        found.push(format!("--ema {} is given and the run has {stored}", args.ema.unwrap_or_default()));
    }
    if args.image_size.is_some() && args.image_size != run.image_size {
        found.push("--image-size is given and is not the run's".to_owned());
    }
    for (flag, given, stored) in [("--shuffle", args.shuffle, run.shuffle), ("--gray", args.gray, run.gray)] {
        if given && !stored {
            found.push(format!("{flag} is given and the run does without"));
        }
    }
    found
}

/// One line on stderr: what is about to happen.
fn announce(folder: &RunFolder, info: &RunInfo, device: tch::Device) {
    let options = &info.hyperparameters;
    let place = match device {
        tch::Device::Cpu => format!("the CPU with {} threads", options.threads),
        other => format!("{other:?}"),
    };
    let done = info.progress.iteration;
    eprintln!(
        "{} with {} loss on {} images of {}, {} iterations{} of {} on {place}, into {}",
        options.net,
        options.loss,
        options.train_images,
        info.data.name,
        options.iterations,
        if done > 0 { format!(" ({done} done)") } else { String::new() },
        options.batch,
        folder.path().display()
    );
}

/// Says how it ended, on stdout, and chooses the exit code.
fn conclude(preset: Preset, folder: &RunFolder, outcome: &Outcome, json: bool) -> anyhow::Result<ExitCode> {
    let run = folder.path().display();
    let info = &outcome.info;
    match &outcome.ending {
        Ending::Finished => {
            if !json {
                println!("run:       {run}");
                if let (Some(d), Some(g)) = (info.figures.d_loss, info.figures.g_loss) {
                    println!("losses:    D {d:.4}, G {g:.4} (mean of the last 100 iterations)");
                }
                if let (Some(own), Some(data)) = (info.figures.diversity, info.figures.data_diversity) {
                    println!("diversity: {own:.3} (the data's is {data:.3})");
                }
                if outcome.session_iterations > 0 {
                    let speed = outcome.session_iterations as f64 / outcome.session_seconds;
                    println!("speed:     {speed:.2} it/s");
                }
                for finding in &info.diagnosis {
                    println!("finding:   iteration {}: {}", finding.iteration, finding.message);
                }
                println!("diagnosis: {}", info.verdict);
                println!("samples:   {run}/samples/final.png");
            }
            Ok(ExitCode::SUCCESS)
        }
        Ending::Interrupted => {
            eprintln!(
                "interrupted after {} of {} iterations, and saved; go on with `trainer {} --resume {run}`",
                info.progress.iteration,
                info.progress.iterations,
                preset.command()
            );
            Ok(ExitCode::from(INTERRUPTED))
        }
        Ending::NotFinite { finding, checkpoint } => {
            let kept = match checkpoint {
                Some(path) => format!("the last good checkpoint is {}", path.display()),
                None => "no checkpoint had been saved before".to_owned(),
            };
            bail!("training stopped: {}; {kept}", finding.message)
        }
    }
}
