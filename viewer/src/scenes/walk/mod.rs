//! A generator's walk.

mod compare;
mod edit;
mod frames;
mod history;
mod keys;
mod layout;
mod model;
mod paint;
mod pointer;
mod seed_plane;
mod sliders;
mod tile_map;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::action::{Action, Mode, ShellAction, WalkAction};
use crate::draw::Rect;
use crate::input::{Binding, PointerEvent};
use crate::model::{GeneratorFile, ModelFile};
use crate::picture::Picture;
use crate::record::RecordFormat;
use crate::shell::inference::{Request, RunConfig, RunResult};
use crate::shell::{Effect, Help, ModelSummary, Outcome, Scene, Shell, Viewer};
use crate::ui::{Icon, Item, Layout, Painter};
use crate::walk::{Interpolation, Player, Walk};
use history::{History, Moment};
use pointer::Drag;
use sliders::Sliders;
use tile_map::{Tile, TileMap};

/// Key frames of the walk that begins when one comes from another scene.
const KEY_FRAMES: usize = 8;

#[derive(Clone, Debug)]
enum JobPurpose {
    /// Key frames from this one on.
    Thumbnails(usize),
    Tiles(Vec<Tile>),
    /// For PCA.
    Samples(Vec<f32>),
}

/// What the last frame showed.
#[derive(Clone, Debug)]
pub struct ShownFrame {
    pub request: Request,
    /// The results, one for each configuration.
    pub results: Vec<RunResult>,
}

/// Everything there is to see.
pub struct WalkScene {
    /// The model, with the back end and the threads of the shell.
    pub config: RunConfig,
    /// How images are shown.
    pub mode: Mode,
    pub walk: Walk,
    /// Where it is.
    pub player: Player,
    /// The seed of the first walk of the grid.
    pub seed: u64,
    /// That of the last random thing.
    drawn: u64,
    pub columns: usize,
    /// The plane of seeds.
    pub map: TileMap,
    /// How far latents stay from their mean, 0 to 1.
    pub truncation: f32,
    pub sliders: Sliders,
    /// What is compared, the reference first.
    pub compared: Vec<RunConfig>,
    /// How much differences are amplified.
    pub amplification: f32,
    /// What was made last.
    pub shown: Option<ShownFrame>,
    /// The pictures of the key frames, as far as they are there.
    pub thumbnails: Vec<Option<Picture>>,
    /// Whether truncation and sliders were moved since they were asked for.
    has_stale_thumbnails: bool,
    /// The walk so far, the newest last.
    pub strip: VecDeque<Picture>,
    /// What the mouse holds.
    drag: Option<Drag>,
    /// What was when it took it.
    dragged_from: Option<Moment>,
    history: History,
    grid: Vec<Walk>,
    strip_position: f64,
    submitted: Option<Request>,
    jobs: HashMap<u64, JobPurpose>,
    next_job: u64,
    samples: Option<(Vec<f32>, Vec<f32>)>,
}

/// Begins a walk through a model that another scene gave back.
pub(super) fn open(shell: Shell, file: GeneratorFile) -> Viewer<WalkScene> {
    let mut shell = shell.for_scene(&file.engines);
    shell.catalog.add(&file.path);
    let walk = Walk::random(file.space, 0, KEY_FRAMES, Interpolation::Slerp);
    let scene = WalkScene::new(&mut shell, file, walk, 0);
    Viewer::new(shell, scene)
}

impl WalkScene {
    /// Begins with a model and a walk in its space.
    pub fn new(shell: &mut Shell, file: GeneratorFile, walk: Walk, seed: u64) -> Self {
        let mut scene = Self {
            config: RunConfig { file: Arc::new(file), engine: shell.engine, threads: shell.threads },
            mode: Mode::Image,
            walk,
            player: Player::default(),
            seed,
            drawn: seed,
            columns: 8,
            map: TileMap::default(),
            truncation: 1.0,
            sliders: Sliders::default(),
            compared: Vec::new(),
            amplification: 8.0,
            shown: None,
            thumbnails: Vec::new(),
            has_stale_thumbnails: false,
            strip: VecDeque::new(),
            drag: None,
            dragged_from: None,
            history: History::default(),
            grid: Vec::new(),
            strip_position: 0.0,
            submitted: None,
            jobs: HashMap::new(),
            next_job: 0,
            samples: None,
        };
        scene.walk_changed(shell);
        scene
    }
}

impl Scene for WalkScene {
    fn model(&self) -> ModelSummary<'_> {
        let file = &self.config.file;
        let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
            .into_iter()
            .flatten()
            .chain([file.image.to_string().replace('x', "×"), format!("z {}", file.space.size)])
            .collect();
        ModelSummary {
            path: &file.path,
            name: &file.name,
            about: about.join("  ·  "),
            precision: file.precision,
            bytes: file.bytes,
            engines: &file.engines,
            described: self.described(),
            per: if self.mode == Mode::Grid { "per image, last second" } else { "last second" },
            latency: self.own_config(),
        }
    }

    fn bindings(&self) -> &'static [Binding<Action>] {
        keys::BINDINGS
    }

    fn help(&self) -> &'static Help {
        &keys::HELP
    }

    fn without_display(&self) -> &'static str {
        "`viewer MODEL --record walk.gif` writes the walk to a file"
    }

    fn apply(&mut self, shell: &mut Shell, action: Action) {
        if let Action::Walk(action) = action {
            self.do_action(shell, action);
        }
    }

    fn set_model(&mut self, shell: &mut Shell, file: ModelFile) -> Option<ModelFile> {
        let ModelFile::Generator(file) = file else { return Some(file) };
        let before = self.moment(shell);
        self.show_model(shell, file);
        self.remember(shell, "another model", before, false);
        None
    }

    fn engine_changed(&mut self, shell: &mut Shell) {
        (self.config.engine, self.config.threads) = (shell.engine, shell.threads);
        self.compared.iter_mut().for_each(|config| config.threads = shell.threads);
        self.config_changed(shell, true);
    }

    fn tick(&mut self, shell: &mut Shell, seconds: f64) {
        if self.mode != Mode::Map {
            self.player.advance(&self.walk, seconds);
        }
        if self.mode == Mode::Map {
            self.request_tiles(shell);
        }
        // Not while a slider is dragged: what is shown comes first.
        if self.has_stale_thumbnails && !shell.pointer.is_pressed {
            self.request_thumbnails(shell);
        }
        let request = self.request(shell);
        if self.submitted.as_ref() != Some(&request) {
            shell.effect(Effect::Submit(request.clone()));
            self.submitted = Some(request);
        }
    }

    fn receive(&mut self, shell: &mut Shell, outcome: Outcome) {
        match outcome {
            Outcome::Frame(frame) => self.receive_frame(shell, frame),
            Outcome::Job(id, images) => self.receive_job(shell, id, images),
            Outcome::Variants(files) => self.set_variants(shell, files),
            Outcome::Directions { method, path, found } => self.set_directions(shell, method, &path, found),
            Outcome::Walk(path, walk) => {
                let before = self.moment(shell);
                self.set_walk(shell, &walk);
                self.remember(shell, "a walk that was loaded", before, false);
                shell.say(format!("walking along {}", path.display()), false);
            }
            Outcome::Embedding(_) => {}
        }
    }

    fn pointer_event(&mut self, shell: &mut Shell, event: PointerEvent, items: &[Item]) {
        self.handle_pointer(shell, event, items);
    }

    fn is_playing(&self, _: &Shell) -> bool {
        self.player.playing
            && self.walk.segments() > 0
            && self.mode != Mode::Map
            && self.shown_error().is_none()
    }

    fn picture(&self) -> Option<Picture> {
        self.shown_picture()
    }

    fn tabs(&self) -> Vec<(&'static str, bool, Action)> {
        let tab = |mode: Mode| (mode.name(), self.mode == mode, WalkAction::SetMode(mode).into());
        Mode::ALL.map(tab).into()
    }

    fn icons(&self, shell: &Shell) -> Vec<(Icon, bool, Action)> {
        let on = shell.recorder.is_some();
        let icon = if on { Icon::Stop } else { Icon::Record };
        let record = ShellAction::ToggleRecording(RecordFormat::Gif);
        vec![(icon, on, record.into()), (Icon::Camera, false, ShellAction::SavePicture.into())]
    }

    fn bottom_height(&self, w: f32, h: f32, scale: f32) -> f32 {
        if h >= 400.0 * scale && w >= 420.0 * scale { layout::TIMELINE * scale } else { 0.0 }
    }

    fn lay_out_view(&mut self, shell: &mut Shell, layout: &mut Layout<'_>, view: Rect) {
        let s = layout.scale;
        let inset = if shell.panels { (12.0 * s).min(view.w / 8.0).min(view.h / 8.0).floor() } else { 0.0 };
        shell.viewport = match self.mode {
            Mode::Map => view,
            _ => view.grown(-inset),
        };
    }

    fn lay_out_side(&self, shell: &Shell, layout: &mut Layout<'_>, rect: Rect, top: f32) -> f32 {
        self.lay_out_controls(shell, layout, rect, top)
    }

    fn lay_out_bottom(&self, _: &Shell, layout: &mut Layout<'_>, rect: Rect) {
        self.lay_out_timeline(layout, rect);
    }

    fn paint(&self, shell: &Shell, painter: &mut Painter<'_>, item: &Item, hover: bool) {
        paint::WalkPainter { scene: self, shell, painter }.item(item, hover);
    }
}

#[cfg(test)]
mod tests;
