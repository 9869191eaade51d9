//! What the training commands share: their options, starting a run or going on with one, and saying how it ended.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::text::seed;

use super::common::{load, number, parse_size, positive};
use super::stop;
use crate::checkpoint;
use crate::data::{DataSpec, Dataset};
use crate::device;
use crate::run_folder::{Data, Image, Progress, RunFolder};
use crate::session::{Job, Outcome, RunDescription};
use crate::settings::{Amp, CommonSettings, Hyperparameters, Preset, conflicts};
use crate::training::{Ending, TrainError, newest_checkpoint};

/// Exit code of a run that was stopped by Ctrl-C (128 + SIGINT, as shells have it).
const INTERRUPTED: u8 = 130;

/// Options of all training commands.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct TrainArgs {
    /// Data set: a name in the data folder, mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH (also an archive),
    /// `synth-digits[:COUNT]` or `synth-objects[:COUNT]`
    #[arg(long, value_name = "SPEC", help_heading = "Data")]
    pub(super) data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(super) data_dir: Option<PathBuf>,
    /// Images of the train split to use
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, u64::MAX), help_heading = "Data")]
    pub(super) train_images: Option<usize>,
    /// Crop and resize images to HEIGHTxWIDTH, or to a square
    #[arg(long, value_name = "HxW", value_parser = parse_size, help_heading = "Data")]
    pub(super) image_size: Option<(usize, usize)>,

    /// Passes over the data
    #[arg(long, alias = "niter", value_name = "N", value_parser = positive, allow_negative_numbers = true, conflicts_with = "iterations", help_heading = "Optimization")]
    pub(super) epochs: Option<f64>,
    /// Steps, instead of --epochs
    #[arg(long, value_name = "N", value_parser = number::<u64>(1, u64::MAX), help_heading = "Optimization")]
    pub(super) iterations: Option<u64>,
    /// Images per step
    #[arg(long, alias = "batch-size", value_name = "N", value_parser = number::<usize>(1, 1 << 20), help_heading = "Optimization")]
    pub(super) batch: Option<usize>,
    /// Seed of everything random [default: 0]
    #[arg(long, alias = "manualSeed", value_name = "N", value_parser = seed, allow_negative_numbers = true, help_heading = "Optimization")]
    pub(super) seed: Option<u64>,

    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(super) device: Option<String>,
    /// Precision of matrix products and convolutions
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Machine")]
    pub(super) amp: Option<Amp>,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 1024), help_heading = "Machine")]
    pub(super) threads: Option<usize>,

    /// Folder for the run [default: runs/ and the command's name]
    #[arg(long, value_name = "RUN", conflicts_with = "resume", help_heading = "Output")]
    pub(super) out: Option<PathBuf>,
    /// Replace a run that is in that folder
    #[arg(long, conflicts_with = "resume", help_heading = "Output")]
    pub(super) force: bool,
    /// Go on with this run, exactly where its newest checkpoint is
    #[arg(long, value_name = "RUN", help_heading = "Output")]
    pub(super) resume: Option<PathBuf>,
    /// Iterations between checkpoints, 0 for only the last [default: one epoch]
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub(super) save_every: Option<u64>,
    /// Newest checkpoints kept
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 1 << 20), help_heading = "Output")]
    pub(super) keep: Option<usize>,
    /// Iterations between readings of the loss; every iteration is logged all the same [default: 1; 20 on a GPU]
    #[arg(long, value_name = "N", value_parser = number::<u64>(1, 1 << 20), help_heading = "Output")]
    pub(super) log_every: Option<u64>,
    /// Minutes after which the run is saved and stops, as by Ctrl-C; --resume goes on, for as long again [default: no limit]
    #[arg(long, value_name = "MINUTES", value_parser = positive, allow_negative_numbers = true, help_heading = "Output")]
    pub(super) time_limit: Option<f64>,
    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Print the run's description (run.json) instead of a summary
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
}

/// Gives a setting the value of an option, if that was given.
pub(super) fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

/// The precision of products that a recipe takes on this device unless asked otherwise.
pub(super) fn amp(preset: Preset, device: tch::Device) -> Amp {
    let fast = device.is_cuda() || fast_bf16();
    if preset == Preset::Modern && fast { Amp::Bf16 } else { Amp::Off }
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

impl TrainArgs {
    /// Gives settings the values of the options that were given. How many iterations `--epochs` makes is left to
    /// [`TrainArgs::set_iterations`], as the data may have to be read first.
    fn apply(&self, settings: &mut CommonSettings) -> anyhow::Result<()> {
        if let Some(name) = &self.device {
            settings.device = device_name(device::choose(name)?);
        }
        set(&mut settings.train_images, self.train_images);
        set(&mut settings.image_size, self.image_size.map(Some));
        set(&mut settings.batch, self.batch);
        set(&mut settings.seed, self.seed);
        set(&mut settings.amp, self.amp);
        set(&mut settings.threads, self.threads);
        set(&mut settings.save_every, self.save_every);
        set(&mut settings.keep, self.keep);
        set(&mut settings.log_every, self.log_every);
        set(&mut settings.time_limit, self.time_limit.map(Some));
        Ok(())
    }

    fn set_iterations(&self, settings: &mut impl Hyperparameters) {
        let iterations = self.iterations.or(self.epochs.map(|epochs| settings.iterations_for(epochs)));
        set(&mut settings.common_mut().iterations, iterations);
    }

    /// Where the data is: as given, else at the place `otherwise`.
    pub(super) fn data_spec(&self, otherwise: &str) -> anyhow::Result<DataSpec> {
        let spec = match &self.data {
            Some(spec) => spec.clone(),
            None => otherwise.parse()?,
        };
        Ok(spec.resolve(self.data_dir.as_deref())?)
    }
}

/// The name by which `--device` chooses this device, wherever the run is resumed.
fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// The settings of a command's runs.
pub(super) type SettingsOf<C> = <<C as TrainCommand>::Info as RunDescription>::Settings;

/// One training command.
pub(super) trait TrainCommand {
    /// The content of `run.json`.
    type Info: RunDescription;
    /// More that training needs, such as test images.
    type Extra;

    /// Its data set unless asked otherwise.
    const DATA: &'static str;
    /// Options that are not named after the field that stores them: field, option.
    const OPTIONS: &'static [(&'static str, &'static str)];

    /// Its name.
    fn name(&self) -> &'static str;

    /// How many images of its data are used, at most, unless asked otherwise.
    fn most_images(&self) -> usize {
        usize::MAX
    }

    /// Passes over the data unless asked otherwise.
    fn epochs(&self) -> f64;

    /// The options that all commands have.
    fn args(&self) -> &TrainArgs;

    /// The settings of a new run as they are without options, but for what depends on the data.
    fn defaults(&self, device: tch::Device) -> SettingsOf<Self>;

    /// Gives settings the values of the options that were given, besides the common ones.
    fn apply(&self, settings: &mut SettingsOf<Self>);

    /// Whether images are turned into gray.
    fn gray(&self, settings: &SettingsOf<Self>) -> bool;

    /// Whether the images that a run goes on with are those it was trained on, as far as their pixels do not say.
    fn fits(&self, _info: &Self::Info, _data: &Dataset) -> bool {
        true
    }

    /// The images that a run uses, `count` of all of them.
    fn choose(&self, data: Dataset, count: usize) -> Dataset;

    /// The description of a new run.
    fn describe(
        &self,
        settings: SettingsOf<Self>,
        data: &Dataset,
        origin: Origin,
    ) -> anyhow::Result<Self::Info>;

    /// Whatever else is needed, before training.
    fn prepare(&self, info: &Self::Info) -> anyhow::Result<Self::Extra>;

    /// One line: what is about to happen.
    fn announcement(&self, info: &Self::Info, images: &str, work: &str) -> String;

    /// A line about what makes the results of a resumed run differ, besides the machine.
    fn note(&self, _stored: &SettingsOf<Self>, _settings: &SettingsOf<Self>) -> Option<String> {
        None
    }

    /// Trains.
    fn train(
        &self,
        job: Job<'_, Self::Info>,
        data: Dataset,
        extra: Self::Extra,
    ) -> Result<Outcome<Self::Info>, TrainError>;

    /// The lines of the summary about what came out.
    fn results(&self, info: &Self::Info) -> Vec<String>;

    /// What the summary says about the speed besides `it/s`, the number of these.
    fn speed(&self, _outcome: &Outcome<Self::Info>, _speed: f64) -> String {
        String::new()
    }

    /// The last lines of the summary: pictures in this run folder.
    fn pictures(&self, _run: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// The parts of a new run's description that are the same for all commands.
pub(super) struct Origin {
    pub(super) data: Data,
    pub(super) progress: Progress,
}

/// The images of a run, whose values go from `low` to 1.
pub(super) fn image(data: &Dataset, low: f32) -> Image {
    Image { channels: data.channels, height: data.height, width: data.width, low, high: 1.0 }
}

/// Trains as asked.
pub(super) fn run<C: TrainCommand>(command: &C) -> anyhow::Result<ExitCode> {
    let args = command.args();
    let signals = stop::listen().context("cannot listen for Ctrl-C")?;
    let (folder, info, data) = match &args.resume {
        Some(run) => resume(command, run)?,
        None => start(command)?,
    };
    let common = info.settings().common();
    let device = device::choose(&common.device)?;
    tch::set_num_threads(i32::try_from(common.threads).unwrap_or(1));
    let extra = command.prepare(&info)?;
    if !args.quiet {
        announce(command, &folder, &info, device);
    }
    let stop = signals.training_begins();
    let job = Job { folder: &folder, info, device, stop, quiet: args.quiet };
    let outcome = command.train(job, data, extra).map_err(|error| {
        let hint = match newest_checkpoint(folder.path()) {
            Ok(checkpoint) => format!("; the last good checkpoint is {}", checkpoint.display()),
            Err(_) => String::new(),
        };
        anyhow::anyhow!("training stopped: {error}{hint}")
    })?;
    if args.json {
        latent_files::output!("{}", serde_json::to_string_pretty(&outcome.info)?)?;
    }
    conclude(command, &folder, &outcome)
}

/// How many of these images a new run uses.
pub(super) fn images<C: TrainCommand>(command: &C, data: &Dataset) -> anyhow::Result<usize> {
    match command.args().train_images {
        Some(n) if n > data.len() => {
            bail!("--train-images {n} is more than the {} images of {}", data.len(), data.source)
        }
        Some(n) => Ok(n),
        None => Ok(command.most_images().min(data.len())),
    }
}

/// What a new run needs.
fn start<C: TrainCommand>(command: &C) -> anyhow::Result<(RunFolder, C::Info, Dataset)> {
    let args = command.args();
    let device = device::choose(args.device.as_deref().unwrap_or("auto"))?;
    let mut settings = command.defaults(device);
    let common = settings.common_mut();
    common.device = device_name(device);
    common.threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
    common.log_every = if device.is_cuda() { 20 } else { 1 };
    args.apply(common)?;

    let spec = args.data_spec(C::DATA)?;
    common.data = spec.to_string();
    let image_size = common.image_size;
    let data = load(&spec, image_size, command.gray(&settings))?;
    let images = images(command, &data)?;
    let data = command.choose(data, images);
    settings.common_mut().train_images = images;
    command.apply(&mut settings);
    args.set_iterations(&mut settings);
    if args.iterations.is_none() && args.epochs.is_none() {
        settings.common_mut().iterations = settings.iterations_for(command.epochs());
    }
    if args.save_every.is_none() {
        settings.common_mut().save_every = settings.iterations_for(1.0);
    }
    let CommonSettings { batch, iterations, .. } = *settings.common();
    if batch > images {
        bail!("--batch {batch} is more than the {images} training images of {}", data.source);
    }
    let origin = Origin {
        data: Data {
            name: data.name.clone(),
            source: data.source.clone(),
            images,
            crc32c: crc32c::crc32c(&data.pixels),
        },
        progress: Progress {
            iteration: 0,
            iterations,
            epoch: 0.0,
            seconds: 0.0,
            finished: false,
            stopped_by: None,
        },
    };
    let info = command.describe(settings, &data, origin)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(command.name()));
    let folder = RunFolder::create(&out, args.force)?;
    folder.write_info(&info)?;
    Ok((folder, info, data))
}

/// What a run that goes on needs.
fn resume<C: TrainCommand>(command: &C, run: &Path) -> anyhow::Result<(RunFolder, C::Info, Dataset)> {
    let args = command.args();
    let (folder, mut info) = RunFolder::open::<C::Info>(run)?;
    if info.command() != command.name() {
        bail!(
            "{0} was started with `trainer {1}`; resume it with `trainer {1} --resume {0}`",
            run.display(),
            info.command()
        );
    }
    // What counts is what was saved; a killed run may have got further.
    let done = checkpoint::list(&folder.checkpoints())?.pop().map_or(0, |(iteration, _)| iteration);
    info.parts().progress.iteration = done;

    let stored = info.settings().clone();
    let mut settings = stored.clone();
    args.apply(settings.common_mut())?;
    command.apply(&mut settings);
    args.set_iterations(&mut settings);
    let refused: Vec<String> =
        conflicts(&stored, &settings)?.iter().map(|conflict| conflict.describe(C::OPTIONS)).collect();
    if !refused.is_empty() {
        bail!(
            "a resumed run keeps its options, but {}; leave them out, or start a new run with --out",
            refused.join(" and ")
        );
    }
    let longer = args.iterations.is_some() || args.epochs.is_some();
    let iterations = settings.common().iterations;
    if longer && iterations < done {
        bail!("{} has done {done} iterations already, more than the {iterations} asked for", run.display());
    }
    if !longer && info.progress().finished {
        bail!(
            "{} is finished ({iterations} iterations); make it longer with --epochs or --iterations",
            run.display()
        );
    }
    let mut notes = Vec::new();
    let (old, new) = (stored.common(), settings.common());
    if old.device != new.device {
        notes.push(format!("the device changes from {} to {}", old.device, new.device));
    }
    if old.threads != new.threads {
        notes.push(format!("the number of threads changes from {} to {}", old.threads, new.threads));
    }
    notes.extend(command.note(&stored, &settings));
    if !notes.is_empty() && !args.quiet {
        latent_files::say!(
            "note: {}, so the results are no longer the same bit for bit",
            notes.join(" and ")
        );
    }

    // The files may have moved; their content tells whether they are the same.
    let spec = args.data_spec(&stored.common().data)?;
    let (trained, image) = (info.data(), info.image());
    let data = load(&spec, stored.common().image_size, command.gray(&stored))?;
    let fits = data.len() >= trained.images
        && (data.channels, data.height, data.width) == (image.channels, image.height, image.width);
    let data = fits.then(|| command.choose(data, trained.images));
    match data.filter(|data| crc32c::crc32c(&data.pixels) == trained.crc32c && command.fits(&info, data)) {
        Some(data) => {
            *info.parts().settings = settings;
            Ok((folder, info, data))
        }
        None => bail!(
            "{spec} does not hold the images that {} was trained on ({} of {}); give the right ones with --data",
            run.display(),
            trained.images,
            trained.source
        ),
    }
}

/// One line on stderr: what is about to happen.
fn announce<C: TrainCommand>(command: &C, folder: &RunFolder, info: &C::Info, device: tch::Device) {
    let common = info.settings().common();
    let place = match device {
        tch::Device::Cpu => format!("the CPU with {} threads", common.threads),
        other => format!("{other:?}"),
    };
    let done = match info.progress().iteration {
        0 => String::new(),
        done => format!(" ({done} done)"),
    };
    let images = format!("{} images of {}", common.train_images, info.data().name);
    let work = format!("{} iterations{done} of {} on {place}", common.iterations, common.batch);
    latent_files::say!("{}, into {}", command.announcement(info, &images, &work), folder.path().display());
}

/// Says how it ended, on stdout, and chooses the exit code.
fn conclude<C: TrainCommand>(
    command: &C,
    folder: &RunFolder,
    outcome: &Outcome<C::Info>,
) -> anyhow::Result<ExitCode> {
    let run = folder.path().display();
    let info = &outcome.info;
    match &outcome.ending {
        Ending::Finished => {
            if command.args().json {
                return Ok(ExitCode::SUCCESS);
            }
            latent_files::output!("run:       {run}")?;
            for line in command.results(info) {
                latent_files::output!("{line}")?;
            }
            if outcome.iterations > 0 {
                let speed = outcome.iterations as f64 / outcome.seconds;
                latent_files::output!("speed:     {speed:.2} it/s{}", command.speed(outcome, speed))?;
            }
            let (findings, verdict) = info.diagnosis();
            for finding in findings {
                latent_files::output!("finding:   iteration {}: {}", finding.iteration, finding.message)?;
            }
            latent_files::output!("diagnosis: {verdict}")?;
            for line in command.pictures(folder.path()) {
                latent_files::output!("{line}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Ending::Interrupted => {
            latent_files::say!(
                "interrupted after {} of {} iterations, and saved; go on with `trainer {} --resume {run}`",
                info.progress().iteration,
                info.progress().iterations,
                command.name()
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
