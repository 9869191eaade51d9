//! An encoder at work on a folder of images: a map of their embeddings, and the nearest neighbors of the image under
//! the pointer.

mod keys;
mod layout;
mod paint;
mod pointer;
mod scatter_plot;

use std::path::PathBuf;
use std::sync::Arc;

use crate::action::{Action, ExploreAction, ShellAction, View};
use crate::draw::Rect;
use crate::embedding::{Progress, Sample, Task, nearest};
use crate::input::{Binding, PointerEvent};
use crate::model::{EncoderFile, ModelFile};
use crate::picture::Picture;
use crate::shell::{Effect, Help, ModelSummary, Outcome, Scene, Shell, Viewer};
use crate::stats::Durations;
use crate::ui::{Icon, Item, Layout, Painter};
use pointer::Drag;
use scatter_plot::ScatterPlot;

/// How far the work is.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingState {
    NoImages,
    /// The encoder is being opened, the folder read.
    Opening,
    /// Of so many images.
    Embedding(usize),
    /// In so many seconds.
    Finished(f64),
    /// It went wrong: what is shown of it.
    Failed(String),
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

/// Everything there is to see.
pub struct ExploreScene {
    pub file: Arc<EncoderFile>,
    /// How images are shown.
    pub view: View,
    /// The images that were embedded so far.
    pub samples: Vec<Sample>,
    /// The names of the folders below the images' folder.
    pub labels: Vec<String>,
    /// How far the work is.
    pub state: EmbeddingState,
    /// What runs the encoder, in words.
    pub described: String,
    /// The images that were left out.
    pub left_out: usize,
    /// The share of the variance that the map shows.
    pub share: f32,
    /// The map.
    pub plot: ScatterPlot,
    /// The image whose neighbors are shown.
    pub query: Option<usize>,
    /// Whether it stays when the pointer moves.
    pub pinned: bool,
    /// Its neighbors with their similarity, the nearest first.
    pub neighbors: Vec<(usize, f32)>,
    drag: Option<Drag>,
    /// The enlargement of the interface.
    pub scale: f32,
    /// The image to return to when it has been embedded anew.
    wanted: Option<PathBuf>,
    /// What the neighbors were searched among: the image and the number of samples.
    searched: Option<(usize, usize)>,
    searched_at: f64,
    draws: u64,
}

/// Shows an encoder that another scene gave back.
pub(super) fn open(shell: Shell, file: EncoderFile) -> Viewer<ExploreScene> {
    let mut shell = shell.for_scene(&file.engines);
    shell.catalog.add(&file.path);
    let scene = ExploreScene::new(&mut shell, file);
    Viewer::new(shell, scene)
}

impl ExploreScene {
    /// Begins with an encoder and the shell's images.
    pub fn new(shell: &mut Shell, file: EncoderFile) -> Self {
        let mut scene = Self {
            file: Arc::new(file),
            view: View::default(),
            samples: Vec::new(),
            labels: Vec::new(),
            state: EmbeddingState::NoImages,
            described: String::new(),
            left_out: 0,
            share: 0.0,
            plot: ScatterPlot::default(),
            query: None,
            pinned: false,
            neighbors: Vec::new(),
            drag: None,
            scale: 1.0,
            wanted: None,
            searched: None,
            searched_at: f64::NEG_INFINITY,
            draws: 0,
        };
        scene.restart(shell);
        scene
    }

    /// Embeds all images, from the beginning.
    fn restart(&mut self, shell: &mut Shell) {
        self.wanted = self.query.and_then(|query| self.samples.get(query)).map(|sample| sample.path.clone());
        self.samples.clear();
        self.neighbors.clear();
        (self.query, self.searched) = (None, None);
        self.plot.restart();
        self.described.clear();
        shell.latencies = vec![Durations::default()];
        self.state = match shell.images.clone() {
            None => EmbeddingState::NoImages,
            Some(source) => {
                let file = Arc::clone(&self.file);
                shell.effect(Effect::Embed(Task {
                    file,
                    engine: shell.engine,
                    threads: shell.threads,
                    source,
                }));
                EmbeddingState::Opening
            }
        };
        shell.changed();
    }

    /// Finds the neighbors, if the image or the samples are others than at the last search.
    fn search(&mut self, shell: &mut Shell) {
        let Some(query) = self.query else { return };
        let wanted = (query, self.samples.len());
        let waits = self.searched.is_some_and(|(searched, _)| searched == query)
            && shell.now - self.searched_at < SEARCH_SECONDS;
        if self.searched == Some(wanted) || waits {
            return;
        }
        self.neighbors = nearest(&self.samples, query, MOST_NEIGHBORS);
        self.searched = Some(wanted);
        self.searched_at = shell.now;
        shell.changed();
    }

    /// Takes what was done.
    fn progress(&mut self, shell: &mut Shell, progress: Progress) {
        match progress {
            Progress::Listed { labels, total, left_out, engine } => {
                (self.labels, self.left_out, self.described) = (labels, left_out, engine);
                self.state = EmbeddingState::Embedding(total);
            }
            Progress::Embedded { samples, places, seconds } => {
                shell.latencies[0].push(shell.now, seconds);
                let first = self.samples.len();
                let wanted = samples.iter().position(|sample| Some(&sample.path) == self.wanted.as_ref());
                self.samples.extend(samples);
                self.plot.add(&places);
                if let Some(place) = wanted {
                    (self.query, self.wanted) = (Some(first + place), None);
                }
                // There is something to look at from the beginning.
                self.query = self.query.or(Some(0));
            }
            Progress::Mapped { places, share } => {
                self.plot.rearrange(places);
                self.share = share;
            }
            Progress::Finished { seconds, unreadable } => {
                self.state = EmbeddingState::Finished(seconds);
                if let Some((count, error)) = unreadable {
                    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
                    shell.say(format!("{error}{more}"), true);
                }
            }
            Progress::Failed(error) => self.state = EmbeddingState::Failed(error.to_string()),
        }
        shell.changed();
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
        let enlargement = self.plot.enlargement(width, self.scale);
        (enlargement, (width * enlargement) as f32, (height * enlargement) as f32)
    }

    /// Asks for the neighbors of an image, and stays with it.
    fn ask(&mut self, shell: &mut Shell, index: usize) {
        if index < self.samples.len() {
            self.query = Some(index);
            self.pinned = true;
            self.plot.go_to(shell.viewport, index);
        }
    }

    fn do_action(&mut self, shell: &mut Shell, action: ExploreAction) {
        match action {
            ExploreAction::SetView(view) => self.view = view,
            ExploreAction::NextView => {
                self.view = if self.view == View::Map { View::Neighbors } else { View::Map };
            }
            ExploreAction::Ask(index) => self.ask(shell, index),
            ExploreAction::AskRandom => {
                if let Ok(count @ 1..) = u32::try_from(self.samples.len()) {
                    self.draws += 1;
                    let mut rng = latent_runtime::rng::Rng::from_seed(self.draws);
                    self.ask(shell, rng.below(count) as usize);
                }
            }
            ExploreAction::TogglePin => {
                self.pinned = !self.pinned && self.query.is_some();
                self.hover(shell);
            }
            ExploreAction::Pan(right, down) => {
                let step = STEP * self.scale;
                self.plot.pan(shell.viewport, -step * right as f32, -step * down as f32);
            }
            ExploreAction::Zoom(steps) => {
                let view = shell.viewport;
                self.plot.zoom(view, steps, (view.x + view.w / 2.0, view.y + view.h / 2.0));
            }
            ExploreAction::ResetMap => self.plot.reset(),
        }
    }
}

impl Scene for ExploreScene {
    fn model(&self) -> ModelSummary<'_> {
        let file = &self.file;
        let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
            .into_iter()
            .flatten()
            .chain([format!("{} → {}", file.image.to_string().replace('x', "×"), file.features)])
            .collect();
        ModelSummary {
            path: &file.path,
            name: &file.name,
            about: about.join("  ·  "),
            precision: file.precision,
            bytes: file.bytes,
            engines: &file.engines,
            described: &self.described,
            per: "per image, last second",
            latency: 0,
        }
    }

    fn bindings(&self) -> &'static [Binding<Action>] {
        keys::BINDINGS
    }

    fn help(&self) -> &'static Help {
        &keys::HELP
    }

    fn apply(&mut self, shell: &mut Shell, action: Action) {
        if let Action::Explore(action) = action {
            self.do_action(shell, action);
        }
    }

    fn back(&mut self) -> bool {
        std::mem::take(&mut self.pinned)
    }

    fn set_model(&mut self, shell: &mut Shell, file: ModelFile) -> Option<ModelFile> {
        let ModelFile::Encoder(file) = file else { return Some(file) };
        shell.keep_engine(&file.engines);
        shell.catalog.add(&file.path);
        self.file = Arc::new(file);
        self.restart(shell);
        None
    }

    fn engine_changed(&mut self, shell: &mut Shell) {
        self.restart(shell);
    }

    fn tick(&mut self, shell: &mut Shell, seconds: f64) {
        if self.plot.advance(seconds) && self.view == View::Map {
            shell.changed();
            self.hover(shell);
        }
        self.search(shell);
    }

    fn receive(&mut self, shell: &mut Shell, outcome: Outcome) {
        if let Outcome::Embedding(progress) = outcome {
            self.progress(shell, progress);
        }
    }

    fn pointer_event(&mut self, shell: &mut Shell, event: PointerEvent, items: &[Item]) {
        self.handle_pointer(shell, event, items);
    }

    fn is_playing(&self, shell: &Shell) -> bool {
        self.plot.is_moving() && self.view == View::Map && !shell.pointer.is_pressed
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, EmbeddingState::Opening | EmbeddingState::Embedding(_))
    }

    /// The picture that is saved: the image and its nearest neighbors.
    fn picture(&self) -> Option<Picture> {
        let first = self.query?;
        let shown = std::iter::once(first).chain(self.neighbors.iter().map(|&(index, _)| index));
        let pictures: Vec<Picture> = shown
            .take(SAVED + 1)
            .filter_map(|index| Some(self.samples.get(index)?.picture.clone()))
            .collect();
        Picture::tiled(&pictures, (SAVED + 1).isqrt(), 1)
    }

    fn tabs(&self) -> Vec<(&'static str, bool, Action)> {
        let tab = |view: View| (view.name(), self.view == view, ExploreAction::SetView(view).into());
        View::ALL.map(tab).into()
    }

    fn icons(&self, _: &Shell) -> Vec<(Icon, bool, Action)> {
        vec![(Icon::Camera, false, ShellAction::SavePicture.into())]
    }

    fn bottom_height(&self, w: f32, h: f32, scale: f32) -> f32 {
        let has_room = self.view == View::Map && h >= 420.0 * scale && w >= 420.0 * scale;
        if has_room { layout::STRIP * scale } else { 0.0 }
    }

    fn lay_out_view(&mut self, shell: &mut Shell, layout: &mut Layout<'_>, view: Rect) {
        shell.viewport = view;
        self.scale = layout.scale;
        match self.view {
            View::Map => {
                let (_, width, height) = self.tile();
                self.plot.arrange(view, width, height);
            }
            View::Neighbors => self.lay_out_neighbors(layout, view),
        }
    }

    fn lay_out_side(&self, shell: &Shell, layout: &mut Layout<'_>, rect: Rect, top: f32) -> f32 {
        self.lay_out_images(shell, layout, rect, top)
    }

    fn lay_out_bottom(&self, _: &Shell, layout: &mut Layout<'_>, rect: Rect) {
        self.lay_out_strip(layout, rect);
    }

    fn paint(&self, _: &Shell, painter: &mut Painter<'_>, item: &Item, hover: bool) {
        paint::ExplorePainter { scene: self, painter }.item(item, hover);
    }
}

#[cfg(test)]
mod tests;
