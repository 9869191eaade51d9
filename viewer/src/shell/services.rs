//! Does what scenes ask for: models are run and images embedded on threads of their own; what else takes time or
//! touches files, on threads that end by themselves.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use latent_files::atomic::{Existing, write_file};

use super::inference::Inference;
use super::window::{WindowError, WindowOptions};
use super::{DIRECTIONS, Effect, Outcome, Shell, Viewer};
use crate::directions::{Method, first_layer, pca, sefa};
use crate::embedding::Embedder;
use crate::error::BackgroundError;
use crate::model::{GeneratorFile, ModelFile, ModelOptions};
use crate::picture::Picture;
use crate::record::{RecordError, RecordOptions, Recording, encoding, enlargement, free_name};
use crate::walk::WalkFile;

pub type OpenScene = fn(Shell, ModelFile) -> Viewer;

/// What came of work in the background.
enum Done {
    Model(PathBuf, Result<Box<ModelFile>, BackgroundError>),
    Saved(Result<PathBuf, BackgroundError>),
    /// For the scene.
    Outcome(Outcome),
    Failed(BackgroundError),
}

pub(super) struct Services {
    inference: Inference,
    embedder: Option<Embedder>,
    sender: Sender<Done>,
    done: Receiver<Done>,
    out_dir: PathBuf,
    /// The walk last written or read.
    walk: Option<PathBuf>,
    /// What the user says of every model.
    models: ModelOptions,
    open: OpenScene,
    /// Threads that write files.
    writers: Vec<JoinHandle<()>>,
}

impl Services {
    pub(super) fn start(options: &WindowOptions, open: OpenScene) -> Result<Self, WindowError> {
        let inference = Inference::start().map_err(WindowError::Thread)?;
        let (sender, done) = channel();
        let (out_dir, walk, models) = (options.out_dir.clone(), options.walk.clone(), options.models.clone());
        Ok(Self { inference, embedder: None, sender, done, out_dir, walk, models, open, writers: Vec::new() })
    }

    /// Whether images are being made.
    pub(super) fn is_busy(&self) -> bool {
        self.inference.is_busy()
    }

    /// Brings what came since the last call to the viewer, which may get another scene; returns whether work in the
    /// background was done.
    pub(super) fn deliver(&mut self, mut viewer: Viewer) -> (Viewer, bool) {
        let done: Vec<Done> = self.done.try_iter().collect();
        let came = !done.is_empty();
        for done in done {
            viewer = self.finish(viewer, done);
        }
        self.inference.take_frame().into_iter().for_each(|frame| viewer.receive(Outcome::Frame(frame)));
        for (id, images) in self.inference.take_done() {
            viewer.receive(Outcome::Job(id, images));
        }
        if let Some(embedder) = &self.embedder {
            embedder.take().into_iter().for_each(|progress| viewer.receive(Outcome::Embedding(progress)));
        }
        (viewer, came)
    }

    fn finish(&mut self, mut viewer: Viewer, done: Done) -> Viewer {
        match done {
            Done::Model(_, Ok(file)) => {
                let note = file.range_note();
                if let Some(file) = viewer.set_model(*file) {
                    // What is embedded for the scene before is of no use.
                    self.embedder = None;
                    viewer = viewer.change_scene(file, self.open);
                }
                if let Some(note) = note {
                    viewer.shell.say(note, false);
                }
            }
            Done::Model(path, Err(error)) => {
                viewer.shell.catalog.add_unreadable(&path);
                viewer.shell.say(error, true);
            }
            Done::Saved(Ok(path)) => {
                let name = path.strip_prefix(".").unwrap_or(&path);
                viewer.shell.say(format!("saved {}", name.display()), false);
            }
            Done::Outcome(outcome) => viewer.receive(outcome),
            Done::Saved(Err(error)) | Done::Failed(error) => viewer.shell.say(error, true),
        }
        viewer
    }

    /// Begins to do something.
    ///
    /// # Errors
    /// If the system gives no thread to embed images on.
    pub(super) fn begin(&mut self, shell: &mut Shell, effect: Effect) -> Result<(), WindowError> {
        let (out_dir, models) = (self.out_dir.clone(), self.models.clone());
        match effect {
            Effect::Submit(request) => self.inference.submit(request),
            Effect::Enqueue(job) => self.inference.enqueue(job),
            Effect::ForgetJobs(ids) => self.inference.retain_jobs(|job| !ids.contains(&job.id)),
            Effect::Embed(task) => {
                // The one before ends first: two would compete for the processor.
                drop(self.embedder.take());
                self.embedder = Some(Embedder::start(task).map_err(WindowError::Thread)?);
            }
            Effect::Open(path) => self.do_aside(shell, move || {
                let file = ModelFile::read(&path, &models).map(Box::new).map_err(BackgroundError::from);
                Done::Model(path, file)
            }),
            Effect::ReadVariants(paths) => self.do_aside(shell, move || {
                // What cannot be read is no variant.
                let files = paths.iter().filter_map(|path| GeneratorFile::read(path, &models).ok()).collect();
                Done::Outcome(Outcome::Variants(files))
            }),
            Effect::Sefa(file) => self.do_aside(shell, move || {
                let weight = first_layer(&file.path, file.space.size);
                let found = weight.map(|weight| sefa(&weight, file.space.size, DIRECTIONS));
                let found = found.map_err(BackgroundError::from);
                Done::Outcome(Outcome::Directions { method: Method::Sefa, path: file.path.clone(), found })
            }),
            Effect::Pca { file, latents, images } => self.do_aside(shell, move || {
                let found = Ok(pca(&latents, file.space.size, &images, file.image_values(), DIRECTIONS));
                Done::Outcome(Outcome::Directions { method: Method::Pca, path: file.path.clone(), found })
            }),
            Effect::SavePicture(picture) => self.write(shell, move || {
                let path = free_name(&out_dir, "latent", "png");
                save_picture(&path, &picture).map(|()| path)
            }),
            Effect::SaveClip(clip, fps, format) => {
                shell.say(format!("writing {} pictures …", clip.len()), false);
                self.write(shell, move || {
                    let path = free_name(&out_dir, "latent", format.extension());
                    save_clip(&path, &clip, fps).map(|()| path)
                });
            }
            Effect::SaveWalk(walk) => {
                let path = free_name(&out_dir, "walk", "txt");
                let result = write_file(&path, walk.to_text().as_bytes(), Existing::Keep);
                let result = result.map_err(|error| RecordError::from(error).into());
                if result.is_ok() {
                    self.walk = Some(path.clone());
                }
                // The receiver is this struct's own.
                let _ = self.sender.send(Done::Saved(result.map(|()| path)));
            }
            Effect::LoadWalk => match self.walk.clone() {
                Some(path) => self.do_aside(shell, move || match WalkFile::load(&path) {
                    Ok(walk) => Done::Outcome(Outcome::Walk(path, walk)),
                    Err(error) => Done::Failed(error.into()),
                }),
                None => shell.say("no walk was saved yet; Ctrl+S saves this one", false),
            },
            // The window's own.
            Effect::Quit => {}
        }
        Ok(())
    }

    /// Does something that nobody waits for when the window is closed.
    fn do_aside(&self, shell: &mut Shell, work: impl FnOnce() -> Done + Send + 'static) {
        let _ = self.spawn(shell, work);
    }

    /// Writes a file, which [`Services::end`] waits for.
    fn write(
        &mut self,
        shell: &mut Shell,
        work: impl FnOnce() -> Result<PathBuf, RecordError> + Send + 'static,
    ) {
        self.writers.retain(|writer| !writer.is_finished());
        let writer = self.spawn(shell, || Done::Saved(work().map_err(BackgroundError::from)));
        self.writers.extend(writer);
    }

    /// Waits until everything is written; which files were since the window last said so.
    ///
    /// # Errors
    /// The first that could not be.
    pub(super) fn end(self) -> Result<Vec<PathBuf>, BackgroundError> {
        // A writer that panicked has said so.
        self.writers.into_iter().for_each(|writer| drop(writer.join()));
        let saved = self.done.try_iter().filter_map(|done| match done {
            Done::Saved(saved) => Some(saved),
            _ => None,
        });
        saved.collect()
    }

    fn spawn(
        &self,
        shell: &mut Shell,
        work: impl FnOnce() -> Done + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let sender = self.sender.clone();
        let spawned = std::thread::Builder::new().name("helper".into()).spawn(move || {
            // Nobody listens when the window was closed meanwhile.
            let _ = sender.send(work());
        });
        spawned.map_err(|error| shell.say(format!("cannot start a thread: {error}"), true)).ok()
    }
}

fn save_picture(path: &Path, picture: &Picture) -> Result<(), RecordError> {
    let png = picture.enlarged(enlargement(picture.width)).to_png();
    Ok(write_file(path, &png.map_err(|error| encoding(path)(&error))?, Existing::Keep)?)
}

fn save_clip(path: &Path, clip: &[Picture], fps: f64) -> Result<(), RecordError> {
    let Some(first) = clip.first() else { return Err(encoding(path)(&"nothing was recorded")) };
    let scale = enlargement(first.width);
    let options = RecordOptions { fps, force: false };
    let mut recording = Recording::begin(path, &first.enlarged(scale), clip.len(), &options)?;
    for picture in clip {
        recording.add(&picture.enlarged(scale))?;
    }
    recording.finish().map(|_| ())
}
