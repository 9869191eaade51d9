//! An encoder at work on a folder of images: a map of their embeddings, and the nearest neighbors of the image under
//! the pointer. It knows no window, as [`crate::app`].

#[path = "scatter_plot.rs"]
mod atlas;
mod pointer;

pub use atlas::Atlas;

use std::path::PathBuf;
use std::sync::Arc;

use latent_runtime::open::BackendKind;

use crate::app::{Action, Effect, Figures, Message};
use crate::draw::Rect;
use crate::embedding::{Progress, Sample, Task, nearest};
use crate::model::{Catalog, EncoderFile};
use crate::picture::Picture;
use crate::stats::Durations;

/// How images are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Their embeddings in the plane.
    #[default]
    Map,
    /// One, and those that are nearest to it.
    Neighbors,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Map, Self::Neighbors];

    /// The name on its tab.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "Map",
            Self::Neighbors => "Neighbors",
        }
    }
}

/// How far the work is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// There is no folder of images.
    NoImages,
    /// The encoder is being opened, the folder read.
    Opening,
    /// Of so many images.
    Embedding(usize),
    /// In so many seconds.
    Finished(f64),
    /// It went wrong.
    Failed(String),
}

/// The images and what is to be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Their folder.
    pub folder: PathBuf,
    /// The most that are taken.
    pub most: usize,
}

/// Neighbors that are found: as many as can be shown at once.
const MOST_NEIGHBORS: usize = 240;
/// Seconds between two searches for neighbors while images come.
const SEARCH_SECONDS: f64 = 0.2;
/// Neighbors of the picture that is saved, beside the image itself.
const SAVED: usize = 24;
/// The nearest neighbors that are joined with the image on the map, and counted by their folders.
pub const NEAREST: usize = 12;
/// Pixels that the map moves by one press of a key.
const STEP: f32 = 60.0;
/// Seconds between two readings of the figures.
const FIGURES_SECONDS: f64 = 0.25;

/// Everything there is to see.
pub struct Explorer {
    /// The models to switch between.
    pub catalog: Catalog,
    /// The encoder.
    pub file: Arc<EncoderFile>,
    /// What runs it.
    pub engine: BackendKind,
    /// The threads that one run may use; 0 leaves it to the back end.
    pub threads: usize,
    /// The images, if there are any.
    pub images: Option<Images>,
    /// How images are shown.
    pub view: View,
    /// The images that were embedded so far.
    pub samples: Vec<Sample>,
    /// The names of the folders below the images' folder.
    pub labels: Vec<String>,
    /// How far the work is.
    pub state: State,
    /// What runs the encoder, in words.
    pub described: String,
    /// The images that were left out.
    pub left_out: usize,
    /// The share of the variance that the map shows.
    pub share: f32,
    /// The map.
    pub map: Atlas,
    /// The image whose neighbors are shown.
    pub query: Option<usize>,
    /// Whether it stays when the pointer moves.
    pub pinned: bool,
    /// Its neighbors with their similarity, the nearest first.
    pub neighbors: Vec<(usize, f32)>,
    /// Seconds for one image.
    pub latency: Durations,
    /// The times from picture to picture on the screen.
    pub frames: Durations,
    /// The figures that are shown.
    pub figures: Figures,
    /// The line of text over the images.
    pub message: Option<Message>,
    /// Whether there is more than images.
    pub panels: bool,
    /// Whether the help is shown.
    pub help: bool,
    /// Whether the list of models is shown.
    pub list: bool,
    /// Where the pointer is, if it is in the window.
    pub pointer: Option<(f32, f32)>,
    drag: Option<pointer::Drag>,
    wheel: f32,
    /// Where the images are.
    pub viewport: Rect,
    /// The enlargement of the interface.
    pub scale: f32,
    /// Grows with every change that can be seen.
    pub version: u64,
    /// Seconds.
    pub now: f64,
    /// The image to return to when it has been embedded anew.
    wanted: Option<PathBuf>,
    /// What the neighbors were searched among: the image and the number of samples.
    searched: Option<(usize, usize)>,
    searched_at: f64,
    figures_at: f64,
    draws: u64,
    effects: Vec<Effect>,
}

impl Explorer {
    /// Begins with an encoder and a folder of images.
    pub fn new(
        catalog: Catalog,
        file: EncoderFile,
        engine: BackendKind,
        threads: usize,
        images: Option<Images>,
    ) -> Self {
        let mut explorer = Self {
            catalog,
            file: Arc::new(file),
            engine,
            threads,
            images,
            view: View::default(),
            samples: Vec::new(),
            labels: Vec::new(),
            state: State::NoImages,
            described: String::new(),
            left_out: 0,
            share: 0.0,
            map: Atlas::default(),
            query: None,
            pinned: false,
            neighbors: Vec::new(),
            latency: Durations::default(),
            frames: Durations::default(),
            figures: Figures::default(),
            message: None,
            panels: true,
            help: false,
            list: false,
            pointer: None,
            drag: None,
            wheel: 0.0,
            viewport: Rect::default(),
            scale: 1.0,
            version: 0,
            now: 0.0,
            wanted: None,
            searched: None,
            searched_at: f64::NEG_INFINITY,
            figures_at: f64::NEG_INFINITY,
            draws: 0,
            // Those of a generator that was shown before.
            effects: Vec::new(),
        };
        explorer.restart();
        explorer
    }

    /// What is to be done outside since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn changed(&mut self) {
        self.version += 1;
    }

    /// Shows a line of text for a while.
    pub fn say(&mut self, text: impl Into<String>, is_error: bool) {
        self.message = Some(Message::new(text, is_error, self.now));
        self.changed();
    }

    /// Embeds all images, from the beginning.
    fn restart(&mut self) {
        self.wanted = self.query.and_then(|query| self.samples.get(query)).map(|sample| sample.path.clone());
        self.samples.clear();
        self.neighbors.clear();
        (self.query, self.searched) = (None, None);
        self.map.restart();
        self.latency.clear();
        self.described.clear();
        self.state = match &self.images {
            None => State::NoImages,
            Some(Images { folder, most }) => {
                self.effects.push(Effect::Embed(Task {
                    file: Arc::clone(&self.file),
                    engine: self.engine,
                    threads: self.threads,
                    folder: folder.clone(),
                    most: *most,
                }));
                State::Opening
            }
        };
        self.changed();
    }

    /// Whether images are still coming.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Opening | State::Embedding(_))
    }

    /// Whether the mouse holds something.
    pub fn is_dragging(&self) -> bool {
        self.drag.is_some()
    }

    /// Whether something moves by itself, so that pictures must come regularly.
    pub fn is_moving(&self) -> bool {
        self.map.is_moving() && self.view == View::Map || self.drag.is_some()
    }

    /// Lets time pass up to `now`, in seconds.
    pub fn tick(&mut self, now: f64) {
        let passed = (now - self.now).clamp(0.0, 0.1);
        self.now = now;
        if self.map.advance(passed) && self.view == View::Map {
            self.changed();
            self.hover();
        }
        if self.message.as_ref().is_some_and(|message| message.is_over(now)) {
            self.message = None;
            self.changed();
        }
        if now - self.figures_at >= FIGURES_SECONDS {
            self.figures_at = now;
            let figures = Figures {
                latencies: vec![self.latency.percentiles(now)],
                fps: self.frames.rate(now),
                frame_p99: self.frames.percentiles(now).map(|(_, p99)| p99),
            };
            if figures != self.figures {
                self.figures = figures;
                self.changed();
            }
        }
        self.search();
    }

    /// Finds the neighbors, if the image or the samples are others than at the last search.
    fn search(&mut self) {
        let Some(query) = self.query else { return };
        let wanted = (query, self.samples.len());
        let waits = self.searched.is_some_and(|(searched, _)| searched == query)
            && self.now - self.searched_at < SEARCH_SECONDS;
        if self.searched == Some(wanted) || waits {
            return;
        }
        self.neighbors = nearest(&self.samples, query, MOST_NEIGHBORS);
        self.searched = Some(wanted);
        self.searched_at = self.now;
        self.changed();
    }

    /// Takes what was done.
    pub fn receive(&mut self, progress: Progress) {
        match progress {
            Progress::Listed { labels, total, left_out, engine } => {
                (self.labels, self.left_out, self.described) = (labels, left_out, engine);
                self.state = State::Embedding(total);
            }
            Progress::Embedded { samples, places, seconds } => {
                self.latency.push(self.now, seconds);
                let first = self.samples.len();
                let wanted = samples.iter().position(|sample| Some(&sample.path) == self.wanted.as_ref());
                self.samples.extend(samples);
                self.map.add(&places);
                if let Some(place) = wanted {
                    (self.query, self.wanted) = (Some(first + place), None);
                }
                // There is something to look at from the beginning.
                self.query = self.query.or(Some(0));
            }
            Progress::Mapped { places, share } => {
                self.map.rearrange(places);
                self.share = share;
            }
            Progress::Finished { seconds, unreadable } => {
                self.state = State::Finished(seconds);
                if let Some((count, error)) = unreadable {
                    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
                    self.say(format!("{error}{more}"), true);
                }
            }
            Progress::Failed(error) => self.state = State::Failed(error),
        }
        self.changed();
    }

    /// Shows another encoder. The engine stays if it can run it.
    pub fn set_model(&mut self, file: EncoderFile) {
        self.engine = match file.engines.iter().find(|&&engine| engine == self.engine) {
            Some(&engine) => engine,
            None => file.engines.first().copied().unwrap_or(self.engine),
        };
        self.catalog.add(&file.path);
        self.file = Arc::new(file);
        self.restart();
    }

    /// The picture that is saved: the image and its nearest neighbors.
    pub fn picture(&self) -> Option<Picture> {
        let first = self.query?;
        let shown = std::iter::once(first).chain(self.neighbors.iter().map(|&(index, _)| index));
        let pictures: Vec<Picture> = shown
            .take(SAVED + 1)
            .filter_map(|index| Some(self.samples.get(index)?.picture.clone()))
            .collect();
        Picture::tiled(&pictures, (SAVED + 1).isqrt(), 1)
    }

    /// How many of the nearest neighbors lie in the image's own folder, and how many there are; `None` if the image
    /// lies in none.
    pub fn agreement(&self) -> Option<(usize, usize)> {
        let own = self.samples.get(self.query?)?.label?;
        let near = &self.neighbors[..self.neighbors.len().min(NEAREST)];
        let same = near
            .iter()
            .filter(|&&(index, _)| self.samples.get(index).is_some_and(|sample| sample.label == Some(own)));
        Some((same.count(), near.len()))
    }

    /// The size of images on the map.
    pub fn tile(&self) -> (usize, f32, f32) {
        let (width, height) = self.samples.first().map_or((1, 1), |s| (s.picture.width, s.picture.height));
        let enlargement = self.map.enlargement(width, self.scale);
        (enlargement, (width * enlargement) as f32, (height * enlargement) as f32)
    }

    /// Asks for the neighbors of an image, and stays with it.
    fn ask(&mut self, index: usize) {
        if index < self.samples.len() {
            self.query = Some(index);
            self.pinned = true;
            self.map.go_to(self.viewport, index);
        }
    }

    /// Does it.
    pub fn apply(&mut self, action: Action) {
        self.changed();
        match action {
            Action::SetView(view) => self.view = view,
            Action::NextView => {
                self.view = if self.view == View::Map { View::Neighbors } else { View::Map };
            }
            Action::Ask(index) => self.ask(index),
            Action::AskRandom => {
                if let Ok(count @ 1..) = u32::try_from(self.samples.len()) {
                    self.draws += 1;
                    let mut rng = latent_runtime::rng::Rng::from_seed(self.draws);
                    self.ask(rng.below(count) as usize);
                }
            }
            Action::TogglePin => {
                self.pinned = !self.pinned && self.query.is_some();
                self.hover();
            }
            Action::Pan(right, down) => {
                let step = STEP * self.scale;
                self.map.pan(self.viewport, -step * right as f32, -step * down as f32);
            }
            Action::Zoom(steps) => {
                let view = self.viewport;
                self.map.zoom(view, steps, (view.x + view.w / 2.0, view.y + view.h / 2.0));
            }
            Action::ResetMap => self.map.reset(),
            Action::NextModel(places) => match self.catalog.next(&self.file.path, places) {
                Some(path) => self.effects.push(Effect::Open(path.clone())),
                None => self.say("there is one model in this folder", false),
            },
            Action::OpenModel(index) => {
                self.list = false;
                let path = self.catalog.paths.get(index).filter(|path| **path != self.file.path);
                self.effects.extend(path.cloned().map(Effect::Open));
            }
            Action::OpenVariant(index) => {
                let path = self.catalog.variants(&self.file.path).nth(index);
                self.effects.extend(path.filter(|path| **path != self.file.path).cloned().map(Effect::Open));
            }
            Action::NextPrecision => match self.catalog.next_variant(&self.file.path) {
                Some(path) => self.effects.push(Effect::Open(path.clone())),
                None => self.say("this model is there in one precision", false),
            },
            Action::NextEngine => {
                let engines = &self.file.engines;
                let index = engines.iter().position(|&engine| engine == self.engine).unwrap_or(0);
                let next = (index + 1) % engines.len().max(1);
                if next == index {
                    self.say("this build has one back end for this file", false);
                }
                self.set_engine(next);
            }
            Action::SetEngine(index) => self.set_engine(index),
            Action::Threads(more) => {
                let threads = (self.threads as i64 + i64::from(more)).clamp(0, 64) as usize;
                if threads != self.threads {
                    self.threads = threads;
                    self.restart();
                }
            }
            Action::SavePicture => match self.picture() {
                Some(picture) => self.effects.push(Effect::SavePicture(picture)),
                None => self.say("there is no image to save yet", true),
            },
            Action::ToggleList => self.list = !self.list,
            Action::TogglePanels => self.panels = !self.panels,
            Action::ToggleHelp => self.help = !self.help,
            Action::Back if self.help => self.help = false,
            Action::Back if self.list => self.list = false,
            Action::Back if self.pinned => self.pinned = false,
            Action::Back if !self.panels => self.panels = true,
            Action::Back | Action::Quit => self.effects.push(Effect::Quit),
            // Those of a walk.
            _ => {}
        }
    }

    fn set_engine(&mut self, index: usize) {
        if let Some(&engine) = self.file.engines.get(index).filter(|&&engine| engine != self.engine) {
            self.engine = engine;
            self.restart();
        }
    }
}

#[cfg(test)]
mod tests;
