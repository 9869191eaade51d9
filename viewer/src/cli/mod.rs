//! The command line of `viewer`.

mod args;
mod record;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

use crate::action::WalkAction;
use crate::embedding::ImageSource;
use crate::model::{
    Catalog, Encoder, EncoderFile, Generator, GeneratorFile, ModelFile, ModelOptions, extensions,
    models_folder, plain,
};
use crate::scenes;
use crate::scenes::explore::ExploreScene;
use crate::scenes::walk::WalkScene;
use crate::shell::{Shell, Viewer, WindowOptions};
use crate::walk::{Edits, Walk, WalkFile};
use args::Args;

/// Runs the program. The exit code is 0, 1 for what went wrong, or 2 for a wrong command line.
pub fn main() -> ExitCode {
    latent_runtime::report_engine_panics_as_errors_only();
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => latent_files::console::fail(error.as_ref(), 1),
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match &args.record {
        Some(path) => record::record(args, path),
        None => show(args),
    }
}

fn show(args: &Args) -> anyhow::Result<()> {
    let models = args.models()?;
    let (file, catalog) = choose_model(args, &models)?;
    note_range(args, &file);
    if !args.out_dir.is_dir() {
        bail!("there is no folder {} for what the window saves", args.out_dir.display());
    }
    let images = args.images.clone().map(|folder| ImageSource { folder, most: args.limit as usize });
    let viewer = match file {
        ModelFile::Generator(file) => walk(args, file, catalog, images)?,
        ModelFile::Encoder(file) => explore(args, file, catalog, images)?,
    };
    let options = WindowOptions {
        size: args.size,
        scale: args.ui_scale,
        out_dir: args.out_dir.clone(),
        walk: args.walk.clone(),
        models,
    };
    let closed = crate::shell::run(viewer, scenes::open, &options)?;
    for path in closed.saved.iter().filter(|_| !args.quiet) {
        latent_files::say!("saved {}", path.display());
    }
    if args.frame_times {
        match closed.times.summary() {
            Some(summary) => latent_files::output!("{summary}")?,
            None => bail!("nothing moved, so there are no frame times"),
        }
    }
    Ok(())
}

/// A generator's walk.
fn walk(
    args: &Args,
    file: GeneratorFile,
    catalog: Catalog,
    images: Option<ImageSource>,
) -> anyhow::Result<Viewer> {
    let Chosen { walk, speed, edits, class } = choose_walk(args, &file)?;
    let threads = usize::from(args.threads);
    // Opened again by the thread that runs it; here, so that what cannot be opened is said before a window comes.
    let engine = match args.backend {
        Some(engine) => Generator::open(&file, engine, threads).map(|_| engine)?,
        None => Generator::open_with_any(&file, threads)?.1,
    };
    let distribution = (!file.distribution_is_known).then(|| {
        "the model does not say what its latents are drawn from; uniform in [−1, 1] is taken".to_string()
    });
    let range = file.encoding.note().map(|note| note.to_string());
    let notes: Vec<String> = distribution.into_iter().chain(range).collect();
    let mut shell = Shell::new(catalog, engine, threads, images);
    shell.class = class;
    let mut scene = WalkScene::new(&mut shell, file, walk, args.seed);
    scene.set_edits(&mut shell, &edits);
    scene.player.playing = !args.paused;
    if let Some(speed) = speed {
        scene.player.set_speed(speed);
    }
    let mut viewer = Viewer::new(shell, scene);
    viewer.apply(WalkAction::SetMode(args.mode));
    if !notes.is_empty() {
        viewer.shell.say(notes.join("; "), false);
    }
    Ok(viewer.of_any_scene())
}

/// An encoder's map of a folder of images.
fn explore(
    args: &Args,
    file: EncoderFile,
    catalog: Catalog,
    images: Option<ImageSource>,
) -> anyhow::Result<Viewer> {
    let path = file.path.display();
    match &images {
        None => {
            bail!("{path} is an encoder; say which images it should look at: `viewer {path} --images FOLDER`")
        }
        Some(images) if !images.folder.is_dir() => bail!("there is no folder {}", images.folder.display()),
        Some(_) => {}
    }
    let threads = usize::from(args.threads);
    let engine = match args.backend {
        Some(engine) => Encoder::open(&file, engine, threads).map(|_| engine)?,
        None => Encoder::open_with_any(&file, threads)?.1,
    };
    let note = file.encoding.note();
    let mut shell = Shell::new(catalog, engine, threads, images);
    let scene = ExploreScene::new(&mut shell, file);
    if let Some(note) = note {
        shell.say(note.to_string(), false);
    }
    Ok(Viewer::new(shell, scene).of_any_scene())
}

/// The generator to walk through.
fn choose_generator(args: &Args) -> anyhow::Result<GeneratorFile> {
    let file = choose_model(args, &args.models()?)?.0;
    note_range(args, &file);
    match file {
        ModelFile::Generator(file) => Ok(file),
        ModelFile::Encoder(EncoderFile { path, .. }) => {
            bail!("{} is an encoder; only a generator has a latent space to walk through", path.display())
        }
    }
}

/// The model to open, and the models to switch between.
fn choose_model(args: &Args, models: &ModelOptions) -> anyhow::Result<(ModelFile, Catalog)> {
    if let Some(path) = args.model.as_deref().filter(|path| !path.is_dir()) {
        let path = plain(path);
        let file = ModelFile::read(path, models)?;
        let mut catalog = path.parent().map_or_else(Catalog::default, |folder| {
            Catalog::of_folder(if folder.as_os_str().is_empty() { ".".as_ref() } else { folder })
        });
        catalog.add(path);
        return Ok((file, catalog));
    }
    let (kind, make) = match args.images {
        Some(_) => ("encoder", "trainer simclr"),
        None => ("generator", "trainer dcgan"),
    };
    let how = format!(
        "Give a file ({}) of a {kind}: `viewer MODEL.onnx`. To make one: `{make}`, then `exporter export` on the folder \
         of that run; what they put into the folder models/ opens by itself",
        extensions().join(" or ")
    );
    let folder = match args.model.clone().or_else(models_folder) {
        Some(folder) => folder,
        None => bail!("no model was given, and there is no folder models/ here or above. {how}"),
    };
    let catalog = Catalog::of_folder(&folder);
    let wanted = |file: &ModelFile| matches!(file, ModelFile::Encoder(_)) == args.images.is_some();
    match catalog.best(models, wanted) {
        (Some(file), _) => Ok((file, catalog)),
        (None, errors) if errors.is_empty() => bail!("the folder {} has no {kind}. {how}", folder.display()),
        (None, errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            bail!("no {kind} in {} can be shown: {}. {how}", folder.display(), errors.join("; "))
        }
    }
}

/// The class that the options ask for, else the one that a walk was saved with.
fn choose_class(args: &Args, file: &GeneratorFile, saved: Option<usize>) -> anyhow::Result<usize> {
    let path = file.path.display();
    match (args.label, file.classes()) {
        (None, classes) => match saved {
            Some(class) if class >= classes => {
                bail!(
                    "the walk is of class {class}, and {path} takes {classes} classes: choose another with --label, or take the \
                     line \"class\" out of the walk's file"
                )
            }
            saved => Ok(saved.unwrap_or(0)),
        },
        (Some(_), 0) => bail!("--label is for generators that take a class; {path} takes none"),
        (Some(class), classes) if class >= classes => {
            bail!("--label {class}: {path} draws the classes 0 to {}", classes - 1)
        }
        (Some(class), _) => Ok(class),
    }
}

/// What the options ask for, and the walk file says where they do not.
struct Chosen {
    walk: Walk,
    /// Key frames per second, if a file gives it.
    speed: Option<f64>,
    edits: Edits,
    class: usize,
}

fn choose_walk(args: &Args, file: &GeneratorFile) -> anyhow::Result<Chosen> {
    let truncated = |edits: Edits| Edits { truncation: args.truncation.unwrap_or(edits.truncation), ..edits };
    let Some(path) = &args.walk else {
        let interpolation = args.interpolation.unwrap_or(crate::walk::Interpolation::Slerp);
        let mut walk = Walk::random(file.space, args.seed, usize::from(args.key_frames), interpolation);
        walk.closed = !args.open;
        let class = choose_class(args, file, None)?;
        return Ok(Chosen { walk, speed: None, edits: truncated(Edits::default()), class });
    };
    let saved = WalkFile::load(path)?;
    let interpolation = args.interpolation.unwrap_or(saved.interpolation);
    let class = choose_class(args, file, saved.class)?;
    let walk = Walk::new(file.space, saved.keys, interpolation, saved.closed && !args.open);
    match walk.filter(|_| saved.edits.fit(&file.space)) {
        Some(walk) => Ok(Chosen { walk, speed: saved.speed, edits: truncated(saved.edits), class }),
        None => bail!(
            "{} has a latent vector of another size than the {} values that {} takes",
            path.display(),
            file.space.size,
            file.path.display()
        ),
    }
}

/// Says on stderr which range was assumed, or given against what the file states, whoever reads it.
fn note_range(args: &Args, file: &ModelFile) {
    if let Some(note) = file.range_note().filter(|_| !args.quiet) {
        latent_files::say!("note: {note}");
    }
}

/// A note on stderr, for people.
fn note(args: &Args, text: &str) {
    if !args.quiet && std::io::stderr().is_terminal() {
        latent_files::say!("note: {text}");
    }
}
