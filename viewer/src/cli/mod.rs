//! The command line of `viewer`.

mod args;
mod record;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

use crate::app::{Action, App};
use crate::model::{Catalogue, Generator, GeneratorFile, extensions, models_folder};
use crate::walk::{Walk, WalkFile};
use crate::window::{self, WindowOptions};
use args::Args;

/// Runs the program. The exit code is 0, 1 for what went wrong, or 2 for a wrong command line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("viewer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match &args.record {
        Some(path) => record::record(args, path),
        None => show(args),
    }
}

fn show(args: &Args) -> anyhow::Result<()> {
    let (file, catalogue) = choose_model(args)?;
    let (walk, speed) = choose_walk(args, &file)?;
    let threads = usize::from(args.threads);
    // Opened again by the thread that runs it; here, so that what cannot be opened is said before a window comes.
    let engine = match args.backend {
        Some(engine) => Generator::open(&file, engine, threads).map(|_| engine)?,
        None => Generator::open_with_any(&file, threads)?.1,
    };
    if !args.out_dir.is_dir() {
        bail!("there is no folder {} for what the window saves", args.out_dir.display());
    }
    let is_known = file.distribution_is_known;
    let mut app = App::new(catalogue, file, engine, walk, args.seed);
    app.lane.threads = threads;
    app.truncation = args.truncation;
    app.player.playing = !args.paused;
    if let Some(speed) = speed {
        app.player.set_speed(speed);
    }
    app.apply(Action::SetMode(args.mode));
    if !is_known {
        app.say("the model does not say what its latents are drawn from; uniform in [−1, 1] is taken", false);
    }
    let options = WindowOptions {
        size: args.size,
        scale: args.ui_scale,
        out_dir: args.out_dir.clone(),
        walk: args.walk.clone(),
    };
    let times = window::run(app, &options)?;
    if args.frame_times {
        match times.summary() {
            Some(summary) => writeln!(std::io::stdout(), "{summary}")?,
            None => bail!("nothing moved, so there are no frame times"),
        }
    }
    Ok(())
}

/// The model to open, and the models to switch between.
fn choose_model(args: &Args) -> anyhow::Result<(GeneratorFile, Catalogue)> {
    if let Some(path) = args.model.as_deref().filter(|path| !path.is_dir()) {
        let file = GeneratorFile::read(path)?;
        let mut catalogue = path.parent().map_or_else(Catalogue::default, |folder| {
            Catalogue::of_folder(if folder.as_os_str().is_empty() { ".".as_ref() } else { folder })
        });
        catalogue.add(path);
        return Ok((file, catalogue));
    }
    let how = format!(
        "Give a generator's file ({}): `viewer MODEL.onnx`. To make one: `trainer dcgan`, then `exporter export` on \
         the folder of that run; what they put into the folder models/ opens by itself",
        extensions().join(" or ")
    );
    let folder = match args.model.clone().or_else(models_folder) {
        Some(folder) => folder,
        None => bail!("no model was given, and there is no folder models/ here or above. {how}"),
    };
    let catalogue = Catalogue::of_folder(&folder);
    match catalogue.best() {
        (Some(file), _) => Ok((file, catalogue)),
        (None, errors) if errors.is_empty() => bail!("the folder {} has no model. {how}", folder.display()),
        (None, errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            bail!("no model in {} can be shown: {}. {how}", folder.display(), errors.join("; "))
        }
    }
}

/// The walk that the options ask for, and its speed if a file gives it.
fn choose_walk(args: &Args, file: &GeneratorFile) -> anyhow::Result<(Walk, Option<f64>)> {
    let Some(path) = &args.walk else {
        let interpolation = args.interpolation.unwrap_or(crate::walk::Interpolation::Slerp);
        let mut walk = Walk::random(file.space, args.seed, usize::from(args.key_frames), interpolation);
        walk.closed = !args.open;
        return Ok((walk, None));
    };
    let saved = WalkFile::load(path)?;
    let interpolation = args.interpolation.unwrap_or(saved.interpolation);
    match Walk::new(file.space, saved.keys, interpolation, saved.closed && !args.open) {
        Some(walk) => Ok((walk, saved.speed)),
        None => bail!(
            "{} has a key frame of another size than the {} values that {} takes",
            path.display(),
            file.space.size,
            file.path.display()
        ),
    }
}

/// A note on stderr, for people.
fn note(args: &Args, text: &str) {
    if !args.quiet && std::io::stderr().is_terminal() {
        eprintln!("viewer: note: {text}");
    }
}
