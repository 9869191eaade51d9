//! `trainer simclr`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::atomic::{self, Existing};
use latent_files::run::RunKind;

use super::common::{
    INTERRUPTED, Resumed, data_spec, default_threads, device_name, fingerprint, load, not_negative, number,
    other_images, parse_size, positive, refuse_conflicts, size,
};
use super::stop;
use crate::checkpoint;
use crate::data::{DataSpec, Dataset, LoadOptions, Split};
use crate::device;
use crate::gan::options::Amp;
use crate::run_folder::{self, Data, Image, Progress, RunFolder};
use crate::simclr::augment::{AugmentSettings, Normalization};
use crate::simclr::encoder::{EncoderKind, Projection};
use crate::simclr::options::{Hyperparameters, OptimizerKind, Preset};
use crate::simclr::run::{Figures, RunInfo};
use crate::simclr::show;
use crate::simclr::train::{self, Job, Outcome};
use crate::training::{Ending, newest_checkpoint};

/// Training images among which neighbors are looked for, and test images that are classified, on a CPU.
const CPU_CHECK: (usize, usize) = (10_000, 2_000);

/// Images, and views of each, that `--show-augmentations` draws.
const SHOWN: (usize, usize) = (10, 12);

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer simclr --encoder resnet18 --data cifar10 --out runs/simclr
      the usual recipe for CIFAR-10, on a GPU if there is one
  trainer simclr --encoder small --data cifar10 --view-size 24 --epochs 40 --out runs/small
      a small encoder on a CPU; views of 24x24 pixels take about 0.6 of the time
  trainer simclr --preset reference --encoder resnet50 --data cifar10 --epochs 100 --out runs/reference
      the notebook's settings: Adam, batches of 64
  trainer simclr --encoder small --data synth-objects:2000 --epochs 2 --out runs/quick
      drawn objects, no files needed
  trainer simclr --data cifar10 --show-augmentations views.png
      a picture of some images and their views; nothing is trained
  trainer simclr --resume runs/simclr
      go on with an interrupted run

Ctrl-C finishes the iteration and saves; a second Ctrl-C stops at once.
Exit codes: 0 done, 1 failed (also: the loss became NaN), 2 wrong usage, 130 interrupted and saved.";

/// Options of a SimCLR training run.
#[derive(Debug, Clone, Default, Args)]
pub struct SimclrArgs {
    /// Encoder [default: resnet18 on a GPU, small on a CPU]
    #[arg(long, value_enum, help_heading = "Model")]
    encoder: Option<EncoderKind>,
    /// Recipe that gives the defaults of all other options [default: modern]
    #[arg(long, value_enum, help_heading = "Model")]
    preset: Option<Preset>,
    /// Temperature of the loss [default: 0.5]
    #[arg(long, value_name = "X", value_parser = positive, allow_negative_numbers = true, help_heading = "Model")]
    temperature: Option<f64>,

    /// Data set: a name in the data folder, cifar10:PATH, folder:PATH (also an archive), `synth-objects[:COUNT]`
    /// [default: cifar10]
    #[arg(long, value_name = "SPEC", help_heading = "Data")]
    data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Images of the train split to use, spread evenly over it [default: all]
    #[arg(long, value_name = "N", value_parser = number(2, u64::MAX), help_heading = "Data")]
    train_images: Option<u64>,
    /// Crop and resize images to HEIGHTxWIDTH, or to a square
    #[arg(long, value_name = "HxW", value_parser = parse_size, help_heading = "Data")]
    image_size: Option<(usize, usize)>,

    /// Side of the views in pixels [default: that of the images]
    #[arg(long, value_name = "N", value_parser = number(4, 1024), help_heading = "Views")]
    view_size: Option<u64>,
    /// Least part of an image's area that a view shows [default: 0.2; 0.08 with --preset reference]
    #[arg(long, value_name = "X", value_parser = positive, allow_negative_numbers = true, help_heading = "Views")]
    crop_scale: Option<f64>,
    /// Probability of a gray view [default: 0.1; 0.2 with --preset reference]
    #[arg(long, value_name = "P", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Views")]
    grayscale: Option<f64>,

    /// Passes over the data [default: 100]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true, conflicts_with = "iterations", help_heading = "Optimization")]
    epochs: Option<f64>,
    /// Steps, instead of --epochs
    #[arg(long, value_name = "N", value_parser = number(1, u64::MAX), help_heading = "Optimization")]
    iterations: Option<u64>,
    /// Images per step; there are twice as many views [default: 512; 256 on a CPU; 64 with --preset reference]
    #[arg(long, value_name = "N", value_parser = number(2, 1 << 16), help_heading = "Optimization")]
    batch: Option<u64>,
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
    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "N", help_heading = "Optimization")]
    seed: Option<u64>,

    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    device: Option<String>,
    /// Precision of matrix products and convolutions [default: bf16 where the machine computes in it; off with --preset
    /// reference]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Machine")]
    amp: Option<Amp>,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N", value_parser = number(1, 1024), help_heading = "Machine")]
    threads: Option<u64>,

    /// Folder for the run [default: runs/simclr]
    #[arg(long, value_name = "RUN", conflicts_with = "resume", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Replace a run that is in that folder
    #[arg(long, conflicts_with = "resume", help_heading = "Output")]
    force: bool,
    /// Go on with this run, exactly where its newest checkpoint is
    #[arg(long, value_name = "RUN", help_heading = "Output")]
    resume: Option<PathBuf>,
    /// Iterations between checkpoints, 0 for only the first and the last [default: one epoch]
    #[arg(long, value_name = "N", help_heading = "Output")]
    save_every: Option<u64>,
    /// Newest checkpoints kept, besides the untrained one and the best [default: 1]
    #[arg(long, value_name = "N", value_parser = number(1, 1 << 20), help_heading = "Output")]
    keep: Option<u64>,
    /// Iterations between readings of the loss; every iteration is logged all the same [default: 1; 20 on a GPU]
    #[arg(long, value_name = "N", value_parser = number(1, 1 << 20), help_heading = "Output")]
    log_every: Option<u64>,
    /// Epochs between checks by nearest neighbors, 0 for none [default: 5]
    #[arg(long, value_name = "N", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Output")]
    knn_every: Option<f64>,
    /// Training images that such a check looks for neighbors among [default: all; 10000 on a CPU]
    #[arg(long, value_name = "N", value_parser = number(1, u64::MAX), help_heading = "Output")]
    knn_bank: Option<u64>,
    /// Test images that such a check classifies [default: all; 2000 on a CPU]
    #[arg(long, value_name = "N", value_parser = number(1, u64::MAX), help_heading = "Output")]
    knn_queries: Option<u64>,
    /// Draw some images and a dozen views of each into this file, and train nothing
    #[arg(long, value_name = "PNG", conflicts_with_all = ["resume", "out"], help_heading = "Output")]
    show_augmentations: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Print the run's description (run.json) instead of a summary
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Trains as asked.
pub fn run(args: SimclrArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.show_augmentations {
        return show(&args, file);
    }
    let (folder, info, train) = match &args.resume {
        Some(run) => resume(&args, run)?,
        None => start(&args)?,
    };
    let options = &info.hyperparameters;
    let device = device::choose(&options.device)?;
    tch::set_num_threads(i32::try_from(options.threads).unwrap_or(1));
    let test = if options.knn_every > 0 { load_test(&args, &info)? } else { None };
    if !args.quiet {
        announce(&folder, &info, device);
        if options.knn_every > 0 && test.is_none() {
            eprintln!(
                "note: {} has no test images, so there are no checks by nearest neighbors",
                info.data.source
            );
        }
    }
    let stop = stop::on_signals().context("cannot listen for Ctrl-C")?;
    let job = Job {
        folder: &folder,
        info,
        train: Arc::new(train),
        test: test.as_ref(),
        device,
        stop: &stop,
        quiet: args.quiet,
    };
    let outcome = train::train(job).map_err(|error| {
        let hint = match newest_checkpoint(folder.path()) {
            Ok(checkpoint) => format!("; the last good checkpoint is {}", checkpoint.display()),
            Err(_) => String::new(),
        };
        anyhow::anyhow!("training stopped: {error}{hint}")
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome.info)?);
    }
    conclude(&folder, &outcome, args.json)
}

/// How strongly views differ from their image.
fn settings(args: &SimclrArgs, data: &Dataset) -> anyhow::Result<AugmentSettings> {
    let defaults = match args.preset.unwrap_or(Preset::Modern) {
        Preset::Modern => AugmentSettings::MODERN,
        Preset::Reference => AugmentSettings::REFERENCE,
    };
    let settings = AugmentSettings {
        size: args.view_size.map_or(data.height.min(data.width), size),
        scale: [args.crop_scale.unwrap_or(defaults.scale[0]), defaults.scale[1]],
        grayscale: args.grayscale.unwrap_or(defaults.grayscale),
        ..defaults
    };
    settings.validate()?;
    Ok(settings)
}

/// Draws images and their views.
fn show(args: &SimclrArgs, file: &Path) -> anyhow::Result<ExitCode> {
    let existing = Existing::forced(args.force);
    atomic::check(file, existing)?;
    let spec = args.data.clone().unwrap_or(DataSpec::Named("cifar10".to_owned()));
    let spec = spec.resolve(args.data_dir.as_deref())?;
    let data = load_train(&spec, args.image_size, args.train_images.map(size))?;
    let seed = args.seed.unwrap_or(0);
    let picture =
        show::augmentations_png(&data, &settings(args, &data)?, seed, data.len().min(SHOWN.0), SHOWN.1)?;
    atomic::write_file(file, &picture, existing)?;
    println!("{}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// The images of the train split that a run uses.
fn load_train(
    spec: &DataSpec,
    resize: Option<(usize, usize)>,
    count: Option<usize>,
) -> anyhow::Result<Dataset> {
    let data = load(spec, resize, false)?;
    match count {
        Some(n) if n > data.len() => {
            bail!("--train-images {n} is more than the {} images of {}", data.len(), data.source)
        }
        Some(n) if n < data.len() => Ok(crate::simclr::features::spread(&data, n)),
        _ => Ok(data),
    }
}

/// What a new run needs.
fn start(args: &SimclrArgs) -> anyhow::Result<(RunFolder, RunInfo, Dataset)> {
    let device = device::choose(args.device.as_deref().unwrap_or("auto"))?;
    let gpu = device.is_cuda();
    let preset = args.preset.unwrap_or(Preset::Modern);
    let reference = preset == Preset::Reference;
    let encoder = args.encoder.unwrap_or(if gpu { EncoderKind::Resnet18 } else { EncoderKind::Small });

    let spec = args.data.clone().unwrap_or(DataSpec::Named("cifar10".to_owned()));
    let spec = spec.resolve(args.data_dir.as_deref())?;
    let data = load_train(&spec, args.image_size, args.train_images.map(size))?;
    if data.channels != 3 {
        bail!(
            "{} has images of {} channel, SimCLR's augmentation needs color (3)",
            data.source,
            data.channels
        );
    }
    let batch = size(args.batch.unwrap_or(match (reference, gpu) {
        (true, _) => 64,
        (false, true) => 512,
        (false, false) => 256,
    }));
    if batch > data.len() {
        bail!("--batch {batch} is more than the {} training images of {}", data.len(), data.source);
    }
    let augment = settings(args, &data)?;
    let optimizer =
        args.optimizer.unwrap_or(if reference { OptimizerKind::Adam } else { OptimizerKind::Sgd });
    let scaled = |lr: f64| lr * batch as f64 / 256.0;
    let (lr, weight_decay) = match optimizer {
        OptimizerKind::Sgd => (scaled(0.06), 5e-4),
        // The SimCLR paper's, appendix B.
        OptimizerKind::Lars => (scaled(0.3), 1e-6),
        OptimizerKind::Adam => (1e-3, 1e-6),
    };
    let check = if gpu { (usize::MAX, usize::MAX) } else { CPU_CHECK };
    let mut options = Hyperparameters {
        preset,
        encoder,
        optimizer,
        lr: args.lr.unwrap_or(lr),
        weight_decay: args.weight_decay.unwrap_or(weight_decay),
        warmup_epochs: 0.0,
        cosine: !reference,
        temperature: args.temperature.unwrap_or(0.5),
        batch,
        iterations: 0,
        augment,
        seed: args.seed.unwrap_or(0),
        data: spec.to_string(),
        image_size: args.image_size,
        train_images: data.len(),
        amp: args.amp.unwrap_or(if !reference && (gpu || fast_bf16()) { Amp::Bf16 } else { Amp::Off }),
        threads: args.threads.map_or_else(default_threads, size),
        device: device_name(device),
        save_every: 0,
        keep: size(args.keep.unwrap_or(1)),
        log_every: args.log_every.unwrap_or(if gpu { 20 } else { 1 }),
        knn_every: 0,
        knn_bank: args.knn_bank.map_or(check.0, size).min(data.len()),
        knn_queries: args.knn_queries.map_or(check.1, size),
    };
    options.iterations =
        args.iterations.unwrap_or_else(|| options.iterations_for(args.epochs.unwrap_or(100.0)));
    let epochs = options.epochs_of(options.iterations);
    let warmup = if reference { 0.0 } else { (epochs / 10.0).min(10.0) };
    options.warmup_epochs = args.warmup_epochs.unwrap_or(warmup);
    options.save_every = args.save_every.unwrap_or_else(|| options.iterations_for(1.0));
    let knn_epochs = args.knn_every.unwrap_or(5.0);
    options.knn_every = if knn_epochs > 0.0 { options.iterations_for(knn_epochs) } else { 0 };

    let architecture = encoder.architecture();
    let info = RunInfo {
        format: run_folder::FORMAT,
        kind: RunKind::Simclr,
        command: "simclr".to_owned(),
        latent_version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: super::LIBTORCH.to_owned(),
        seed: options.seed,
        encoder: encoder.to_string(),
        features: architecture.features(),
        stem: architecture.stem,
        stages: architecture.stages,
        projection: Projection::REFERENCE,
        image: Image { channels: data.channels, height: data.height, width: data.width, low: 0.0, high: 1.0 },
        normalization: Normalization::CIFAR10.into(),
        loss: "nt-xent".to_owned(),
        temperature: options.temperature,
        data: Data {
            name: data.name.clone(),
            source: data.source.clone(),
            images: data.len(),
            crc32c: fingerprint(&data, data.len()),
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
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join("simclr"));
    let folder = RunFolder::create(&out, args.force)?;
    folder.write_info(&info)?;
    Ok((folder, info, data))
}

/// Whether this processor computes products in bfloat16.
fn fast_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// What a run that goes on needs.
fn resume(args: &SimclrArgs, run: &Path) -> anyhow::Result<(RunFolder, RunInfo, Dataset)> {
    let (folder, mut info) = RunFolder::open::<RunInfo>(run)?;
    // What counts is what was saved; a killed run may have got further.
    info.progress.iteration =
        checkpoint::list(&folder.checkpoints())?.pop().map_or(0, |(iteration, _)| iteration);
    refuse_conflicts(&conflicts(args, &info.hyperparameters))?;
    let options = &mut info.hyperparameters;
    let iterations = args.iterations.or(args.epochs.map(|epochs| options.iterations_for(epochs)));
    let other_rate = options.cosine && iterations.is_some_and(|asked| asked != options.iterations);
    let mut notes = Resumed {
        run,
        progress: &info.progress,
        iterations: &mut options.iterations,
        device: &mut options.device,
        threads: &mut options.threads,
    }
    .change(iterations, args.device.as_deref(), args.threads)?;
    if other_rate {
        notes.push("the learning rate falls over another number of iterations".to_owned());
    }
    if !notes.is_empty() && !args.quiet {
        eprintln!("note: {}, so the results are no longer the same bit for bit", notes.join(" and "));
    }
    options.save_every = args.save_every.unwrap_or(options.save_every);
    options.keep = args.keep.map_or(options.keep, size);
    options.log_every = args.log_every.unwrap_or(options.log_every);

    // The files may have moved; their content tells whether they are the same.
    let spec = data_spec(args.data.as_ref(), &options.data, args.data_dir.as_deref())?;
    let data = load_train(&spec, options.image_size, Some(options.train_images));
    let data = data.ok().filter(|data| {
        (data.len(), data.channels, data.height, data.width)
            == (info.data.images, info.image.channels, info.image.height, info.image.width)
            && fingerprint(data, data.len()) == info.data.crc32c
    });
    match data {
        Some(data) => Ok((folder, info, data)),
        None => Err(other_images(&spec, run, &info.data)),
    }
}

/// The test images for the checks, if there are any.
fn load_test(args: &SimclrArgs, info: &RunInfo) -> anyhow::Result<Option<Dataset>> {
    let spec = data_spec(args.data.as_ref(), &info.hyperparameters.data, args.data_dir.as_deref())?;
    // A sized split of drawn images must be as large as it was.
    let options = LoadOptions { resize: info.hyperparameters.image_size, gray: false, seed: 0 };
    match spec.load(Split::Test, &options) {
        Ok(data) => {
            let (found, expected) = (
                (data.channels, data.height, data.width),
                (info.image.channels, info.image.height, info.image.width),
            );
            if found != expected {
                bail!(
                    "the test images of {spec} are {}x{}x{}, the training images {}x{}x{}; bring both to one size with --image-size",
                    found.0,
                    found.1,
                    found.2,
                    expected.0,
                    expected.1,
                    expected.2
                );
            }
            Ok(Some(data))
        }
        Err(crate::data::DataError::Empty { .. }) => Ok(None),
        Err(error) => Err(error).context("cannot load the test images (--knn-every 0 does without)"),
    }
}

/// The options given that contradict those of a run.
fn conflicts(args: &SimclrArgs, run: &Hyperparameters) -> Vec<String> {
    let mut found = Vec::new();
    macro_rules! keeps {
        ($($flag:literal: $given:expr, $stored:expr;)*) => {$(
            if let Some(given) = $given.filter(|given| *given != $stored) {
                found.push(format!("{} {given} is given and the run has {}", $flag, $stored));
            }
        )*};
    }
    keeps! {
        "--encoder": args.encoder, run.encoder;
        "--preset": args.preset, run.preset;
        "--temperature": args.temperature, run.temperature;
        "--train-images": args.train_images.map(size), run.train_images;
        "--view-size": args.view_size.map(size), run.augment.size;
        "--crop-scale": args.crop_scale, run.augment.scale[0];
        "--grayscale": args.grayscale, run.augment.grayscale;
        "--batch": args.batch.map(size), run.batch;
        "--optimizer": args.optimizer, run.optimizer;
        "--lr": args.lr, run.lr;
        "--weight-decay": args.weight_decay, run.weight_decay;
        "--warmup-epochs": args.warmup_epochs, run.warmup_epochs;
        "--seed": args.seed, run.seed;
        "--amp": args.amp, run.amp;
        "--knn-bank": args.knn_bank.map(size), run.knn_bank;
        "--knn-queries": args.knn_queries.map(size), run.knn_queries;
    }
    let knn_every = args.knn_every.map(|e| if e > 0.0 { run.iterations_for(e) } else { 0 });
    if let Some(given) = knn_every.filter(|given| *given != run.knn_every) {
        found.push(format!("--knn-every gives {given} iterations and the run has {}", run.knn_every));
    }
    if args.image_size.is_some() && args.image_size != run.image_size {
        found.push("--image-size is given and is not the run's".to_owned());
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
        "{} on {} images of {}, {:.1} epochs: {} iterations{} of {} on {place}, {} at {}, {}, into {}",
        options.encoder,
        options.train_images,
        info.data.name,
        options.epochs_of(options.iterations),
        options.iterations,
        if done > 0 { format!(" ({done} done)") } else { String::new() },
        options.batch,
        options.optimizer,
        options.lr,
        if options.amp == Amp::Bf16 { "bf16" } else { "f32" },
        folder.path().display()
    );
}

/// Says how it ended, on stdout, and chooses the exit code.
fn conclude(folder: &RunFolder, outcome: &Outcome, json: bool) -> anyhow::Result<ExitCode> {
    let run = folder.path().display();
    let info = &outcome.info;
    match &outcome.ending {
        Ending::Finished => {
            if !json {
                println!("run:       {run}");
                if let Some(loss) = info.figures.loss {
                    println!(
                        "loss:      {loss:.4} (mean of the last 100 iterations; guessing is {:.4})",
                        info.figures.guessing
                    );
                }
                for (name, check) in [("last", info.figures.knn), ("best", info.figures.best)] {
                    if let Some(check) = check {
                        println!(
                            "kNN {name}:  {:.2} % (top-5 {:.2} %) at iteration {}, {} test images among {} training images",
                            100.0 * check.accuracy.top1,
                            100.0 * check.accuracy.top5,
                            check.iteration,
                            info.hyperparameters.knn_queries,
                            info.hyperparameters.knn_bank
                        );
                    }
                }
                if outcome.session_iterations > 0 {
                    let speed = outcome.session_iterations as f64 / outcome.session_seconds;
                    let views = speed * 2.0 * info.hyperparameters.batch as f64;
                    let waited = 100.0 * outcome.waited_seconds / outcome.session_seconds;
                    println!(
                        "speed:     {speed:.2} it/s, {views:.0} views/s; waited for views {waited:.1} % of the time"
                    );
                }
                for finding in &info.diagnosis {
                    println!("finding:   iteration {}: {}", finding.iteration, finding.message);
                }
                println!("diagnosis: {}", info.verdict);
            }
            Ok(ExitCode::SUCCESS)
        }
        Ending::Interrupted => {
            eprintln!(
                "interrupted after {} of {} iterations, and saved; go on with `trainer simclr --resume {run}`",
                info.progress.iteration, info.progress.iterations
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
