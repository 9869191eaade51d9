//! What is shown and what one can do with it. It knows no window: input comes in as [`Action`]s and pointer events,
//! what is to be done outside comes out as [`Effect`]s.

mod action;
#[path = "sliders.rs"]
mod edit;
#[path = "tile_map.rs"]
mod map;
mod pointer;

pub use action::{
    Action, BINDINGS, Binding, EXPLORE_BINDINGS, EXPLORE_HELP, HELP, Help, KeyEvent, Keyboard, Trigger, hint,
};
pub use edit::{SliderSet, SliderTarget, Sliders};
pub use map::{Map, Tile};
pub use pointer::{Pointer, PointerEvent};

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use latent_runtime::open::BackendKind;

use crate::directions::Directions;
use crate::draw::Rect;
use crate::embedding::Task;
use crate::inference::{Frame, Job, Lane, LaneResult, Request};
use crate::model::{Catalog, GeneratorFile, Images};
use crate::picture::Picture;
use crate::record::RecordFormat;
use crate::stats::Durations;
use crate::walk::{KeyFrame, Player, STEPS_PER_SEGMENT, Walk, WalkFile};

/// How images are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One large image.
    Image,
    /// Many walks at once.
    Grid,
    /// The walk so far.
    Strip,
    /// The plane of seeds.
    Map,
    /// The same latent vector through several precisions and back ends.
    Compare,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Image, Self::Grid, Self::Strip, Self::Map, Self::Compare];

    /// The name on its tab.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Grid => "Grid",
            Self::Strip => "Strip",
            Self::Map => "Map",
            Self::Compare => "Compare",
        }
    }
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Make the images of this request.
    Submit(Request),
    /// Make these images when there is time.
    Enqueue(Job),
    /// Forget these jobs, if they have not been begun.
    ForgetJobs(Vec<u64>),
    /// Read this model and show it, by [`App::set_model`] if it is a generator.
    Open(PathBuf),
    /// Embed a folder of images.
    Embed(Task),
    /// Read the variants of the model for the comparison, and call [`App::set_variants`].
    ReadVariants(Vec<PathBuf>),
    /// Find SeFa's directions, and call [`App::set_directions`].
    Sefa(Arc<GeneratorFile>),
    /// Find the principal components of samples, and call [`App::set_directions`].
    Pca {
        /// The model.
        file: Arc<GeneratorFile>,
        /// One latent vector after the other.
        latents: Vec<f32>,
        /// One image after the other.
        images: Vec<f32>,
    },
    /// Write a PNG.
    SavePicture(Picture),
    /// Write these pictures, so many a second, as a file of this kind.
    SaveClip(Vec<Picture>, f64, RecordFormat),
    /// Write the walk.
    SaveWalk(WalkFile),
    /// Read the walk last written or read, and call [`App::set_walk`].
    LoadWalk,
    /// Leave.
    Quit,
}

/// What a job is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// Key frames from this one on.
    Thumbnails(usize),
    Tiles(Vec<Tile>),
    /// For PCA.
    Samples(Vec<f32>),
}

/// What the last frame showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request.
    pub request: Request,
    /// The results, one for each lane.
    pub results: Vec<LaneResult>,
}

/// How fast things are, over the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The median and the 99th percentile of each lane's seconds per image, where there were any.
    pub latencies: Vec<Option<(f64, f64)>>,
    /// The pictures on the screen in the last second.
    pub fps: usize,
    /// The 99th percentile of the seconds from picture to picture.
    pub frame_p99: Option<f64>,
}

/// A line of text that goes away.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The text.
    pub text: String,
    /// Whether it tells of an error.
    pub is_error: bool,
    until: f64,
}

impl Message {
    /// Begins to show a text at `now`.
    pub fn new(text: impl Into<String>, is_error: bool, now: f64) -> Self {
        let seconds = if is_error { MESSAGE_SECONDS.1 } else { MESSAGE_SECONDS.0 };
        Self { text: text.into(), is_error, until: now + seconds }
    }

    /// Whether it was there long enough.
    pub fn is_over(&self, now: f64) -> bool {
        self.until < now
    }
}

/// Seconds that a message stays, and an error.
const MESSAGE_SECONDS: (f64, f64) = (3.0, 8.0);
/// Seconds between two readings of the figures.
const FIGURES_SECONDS: f64 = 0.25;
/// Pictures per second of a recording.
pub const RECORDING_FPS: f64 = 30.0;
/// The most pictures of a recording.
const MAX_RECORDING: usize = 3000;
/// The images of one job: few enough that requests do not wait.
const JOB_IMAGES: usize = 8;
/// The samples for PCA.
const SAMPLES: usize = 384;
/// The directions that are looked for.
pub const DIRECTIONS: usize = 24;
/// The most walks of a grid.
const MAX_GRID: usize = 1024;
/// The pictures of the strip from one key frame to the next.
const STRIP_PER_SEGMENT: f64 = 8.0;
/// The most pictures of the strip.
const MAX_STRIP: usize = 4096;
/// Key frames beyond these have no thumbnail.
const MAX_THUMBNAILS: usize = 256;
/// The most lanes of the comparison: three precisions in three back ends.
const MAX_COMPARED: usize = 9;
/// The factor between two speeds.
const NOTCH: f64 = 1.25;

/// Everything there is to see.
pub struct App {
    /// The models to switch between.
    pub catalog: Catalog,
    /// The model and what runs it.
    pub lane: Lane,
    /// How images are shown.
    pub mode: Mode,
    /// The walk.
    pub walk: Walk,
    /// Where it is.
    pub player: Player,
    /// The seed of the first walk of the grid, and of the next random things.
    pub seed: u64,
    /// The columns of the grid.
    pub columns: usize,
    /// The plane of seeds.
    pub map: Map,
    /// How far latents stay from their mean, 0 to 1.
    pub truncation: f32,
    /// The sliders.
    pub sliders: Sliders,
    /// What is compared, the reference first.
    pub compared: Vec<Lane>,
    /// How much differences are amplified.
    pub amplification: f32,
    /// What was made last.
    pub shown: Option<Shown>,
    /// How long each lane takes for one image.
    pub latencies: Vec<Durations>,
    /// The times from picture to picture on the screen.
    pub frames: Durations,
    /// The figures that are shown; they change a few times a second, so that they can be read.
    pub figures: Figures,
    /// The pictures of the key frames, as far as they are there.
    pub thumbnails: Vec<Option<Picture>>,
    /// The walk so far, the newest last.
    pub strip: VecDeque<Picture>,
    /// What is being recorded, and the kind of file it becomes.
    pub recording: Option<(Vec<Picture>, RecordFormat)>,
    /// The line of text over the images.
    pub message: Option<Message>,
    /// Whether there is more than images.
    pub panels: bool,
    /// Whether the help is shown.
    pub help: bool,
    /// Whether the list of models is shown.
    pub list: bool,
    /// The mouse.
    pub pointer: Pointer,
    /// Where the images are.
    pub viewport: Rect,
    /// Grows with every change that can be seen.
    pub version: u64,
    /// Seconds.
    pub now: f64,
    grid: Vec<Walk>,
    strip_position: f64,
    recorded_at: f64,
    figures_at: f64,
    submitted: Option<Request>,
    jobs: HashMap<u64, Purpose>,
    next_job: u64,
    samples: Option<(Vec<f32>, Vec<f32>)>,
    effects: Vec<Effect>,
}

impl App {
    /// Begins with a model and a walk in its space.
    pub fn new(catalog: Catalog, file: GeneratorFile, engine: BackendKind, walk: Walk, seed: u64) -> Self {
        let mut app = Self {
            catalog,
            lane: Lane { file: Arc::new(file), engine, threads: 0 },
            mode: Mode::Image,
            walk,
            player: Player::default(),
            seed,
            columns: 8,
            map: Map::default(),
            truncation: 1.0,
            sliders: Sliders::default(),
            compared: Vec::new(),
            amplification: 8.0,
            shown: None,
            latencies: Vec::new(),
            frames: Durations::default(),
            figures: Figures::default(),
            thumbnails: Vec::new(),
            strip: VecDeque::new(),
            recording: None,
            message: None,
            panels: true,
            help: false,
            list: false,
            pointer: Pointer::default(),
            viewport: Rect::default(),
            version: 0,
            now: 0.0,
            grid: Vec::new(),
            strip_position: 0.0,
            recorded_at: 0.0,
            figures_at: f64::NEG_INFINITY,
            submitted: None,
            jobs: HashMap::new(),
            next_job: 0,
            samples: None,
            effects: Vec::new(),
        };
        app.walk_changed();
        app
    }

    /// What is to be done outside since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Something that can be seen has changed.
    fn changed(&mut self) {
        self.version += 1;
    }

    /// Shows a line of text for a while.
    pub fn say(&mut self, text: impl Into<String>, is_error: bool) {
        self.message = Some(Message::new(text, is_error, self.now));
        self.changed();
    }

    /// Whether the walk goes on by itself, so that every picture differs from the one before.
    pub fn is_playing(&self) -> bool {
        self.player.playing
            && self.walk.segments() > 0
            && self.mode != Mode::Map
            && self.shown_error().is_none()
    }

    /// Whether something moves, so that pictures must come regularly.
    pub fn is_moving(&self) -> bool {
        self.is_playing() || self.pointer.is_dragging()
    }

    /// Lets time pass up to `now`, in seconds, and asks for what is to be shown then.
    pub fn tick(&mut self, now: f64) {
        // After a halt of the program the walk goes on where it was.
        let passed = (now - self.now).clamp(0.0, 0.1);
        self.now = now;
        if self.mode != Mode::Map {
            self.player.advance(&self.walk, passed);
        }
        if self.message.as_ref().is_some_and(|message| message.is_over(now)) {
            self.message = None;
            self.changed();
        }
        if now - self.figures_at >= FIGURES_SECONDS {
            self.figures_at = now;
            let figures = Figures {
                latencies: self.latencies.iter().map(|latency| latency.percentiles(now)).collect(),
                fps: self.frames.rate(now),
                frame_p99: self.frames.percentiles(now).map(|(_, p99)| p99),
            };
            if figures != self.figures {
                self.figures = figures;
                self.changed();
            }
        }
        if self.mode == Mode::Map {
            self.request_tiles();
        }
        let request = self.request();
        if self.submitted.as_ref() != Some(&request) {
            self.effects.push(Effect::Submit(request.clone()));
            self.submitted = Some(request);
        }
    }

    /// The latent vector under the walk's position or the map's point, as it is shown.
    pub fn current_latent(&self) -> Vec<f32> {
        let mut latent = match self.mode {
            Mode::Map => self.map.latent(self.walk.space(), self.walk.interpolation),
            _ => {
                let mut latent = vec![0.0; self.walk.space().size];
                self.walk.latent_at(self.player.position(), &mut latent);
                latent
            }
        };
        self.edit(&mut latent);
        latent
    }

    fn edit(&self, latent: &mut [f32]) {
        self.walk.space().truncate(latent, self.truncation);
        self.sliders.apply(self.walk.space(), latent);
    }

    fn request(&mut self) -> Request {
        let latents = match self.mode {
            Mode::Grid => {
                self.make_grid();
                let size = self.walk.space().size;
                let mut latents = vec![0.0; self.grid.len() * size];
                for (walk, latent) in self.grid.iter().zip(latents.chunks_exact_mut(size)) {
                    walk.latent_at(self.player.position(), latent);
                    self.edit(latent);
                }
                latents
            }
            _ => self.current_latent(),
        };
        let lanes = match self.mode {
            Mode::Compare if !self.compared.is_empty() => self.compared.clone(),
            _ => vec![self.lane.clone()],
        };
        Request { lanes, latents }
    }

    /// Rows and columns of the grid that fills the viewport.
    pub fn grid_shape(&self) -> (usize, usize) {
        let (image, gap) = (self.lane.file.image, Self::GRID_GAP);
        let cell = ((self.viewport.w - gap) / self.columns as f32 - gap).max(1.0);
        let scale = (cell as usize / image.width).max(1);
        let height = (image.height * scale) as f32 + gap;
        let rows = ((self.viewport.h - gap) / height).max(1.0) as usize;
        (rows.clamp(1, (MAX_GRID / self.columns).max(1)), self.columns)
    }

    /// The pixels between the images of a grid.
    pub const GRID_GAP: f32 = 4.0;

    fn make_grid(&mut self) {
        let (rows, columns) = self.grid_shape();
        self.grid.truncate(rows * columns);
        while self.grid.len() < rows * columns {
            let walk = match self.grid.len() as u64 {
                0 => self.walk.clone(),
                index => {
                    let seed = self.seed.wrapping_add(index);
                    let mut walk =
                        Walk::random(*self.walk.space(), seed, self.walk.len(), self.walk.interpolation);
                    walk.closed = self.walk.closed;
                    walk
                }
            };
            self.grid.push(walk);
        }
    }

    /// Takes what was made.
    pub fn receive(&mut self, frame: Frame) {
        // What was asked for before another model or mode was chosen is of no use.
        let Some(asked) = &self.submitted else { return };
        if frame.request.lanes != asked.lanes || frame.request.latents.len() != asked.latents.len() {
            return;
        }
        let images = frame.request.latents.len() / self.walk.space().size.max(1);
        self.latencies.resize_with(frame.results.len(), Durations::default);
        for (latency, result) in self.latencies.iter_mut().zip(&frame.results) {
            if let Ok(made) = &result.images {
                latency.push(self.now, made.seconds / images.max(1) as f64);
            }
        }
        let first = frame.results.first().and_then(|result| result.images.as_ref().ok());
        if let Some(picture) = first.and_then(|images| images.pictures.first()) {
            let step = (self.player.position() * STRIP_PER_SEGMENT).floor();
            if self.mode != Mode::Map && (self.strip.is_empty() || step != self.strip_position) {
                self.strip_position = step;
                self.strip.push_back(picture.clone());
                if self.strip.len() > MAX_STRIP {
                    self.strip.pop_front();
                }
            }
        }
        self.shown = Some(Shown { request: frame.request, results: frame.results });
        self.record_frame();
        self.changed();
    }

    /// Takes the images of a job.
    pub fn receive_job(&mut self, id: u64, images: Result<Images, String>) {
        let Some(purpose) = self.jobs.remove(&id) else { return };
        // A model that fails says so in the frame; jobs need not repeat it.
        let Ok(images) = images else { return };
        match purpose {
            Purpose::Thumbnails(first) => {
                for (thumbnail, picture) in self.thumbnails.iter_mut().skip(first).zip(images.pictures) {
                    *thumbnail = Some(picture);
                }
            }
            Purpose::Tiles(tiles) => self.map.receive(tiles.into_iter().zip(images.pictures)),
            Purpose::Samples(latents) => {
                let Some((all_latents, all_images)) = &mut self.samples else { return };
                all_latents.extend(latents);
                all_images.extend(images.values);
                if all_latents.len() >= SAMPLES * self.lane.file.space.size
                    && let Some((latents, images)) = self.samples.take()
                {
                    let file = Arc::clone(&self.lane.file);
                    self.effects.push(Effect::Pca { file, latents, images });
                }
            }
        }
        self.changed();
    }

    fn enqueue(&mut self, latents: Vec<f32>, purpose: Purpose) {
        self.next_job += 1;
        self.jobs.insert(self.next_job, purpose);
        self.effects.push(Effect::Enqueue(Job { id: self.next_job, lane: self.lane.clone(), latents }));
    }

    /// Thumbnails and grid are of another walk now.
    fn walk_changed(&mut self) {
        self.thumbnails.clear();
        self.renew_walk();
    }

    /// The images of the key frames are made anew; the old thumbnails stay until then.
    fn renew_walk(&mut self) {
        self.player.seek(&self.walk, self.player.position());
        self.grid.clear();
        self.thumbnails.resize(self.walk.len(), None);
        self.forget_jobs(|purpose| matches!(purpose, Purpose::Thumbnails(_)));
        let count = self.walk.len().min(MAX_THUMBNAILS);
        for first in (0..count).step_by(JOB_IMAGES) {
            let keys = first..(first + JOB_IMAGES).min(count);
            let latents = keys.filter_map(|index| self.walk.key_latent(index)).flatten().copied().collect();
            self.enqueue(latents, Purpose::Thumbnails(first));
        }
        self.changed();
    }

    fn request_tiles(&mut self) {
        let area = self.lane.file.image;
        // Few at a time, so that what comes into view first is made first.
        let pending = self.jobs.values().filter(|purpose| matches!(purpose, Purpose::Tiles(_))).count();
        for _ in pending..4 {
            let tiles = self.map.missing(self.viewport, area, JOB_IMAGES);
            if tiles.is_empty() {
                return;
            }
            let mut latents = Vec::new();
            for tile in &tiles {
                let mut latent =
                    crate::seed_map::latent(self.walk.space(), tile.point(), self.walk.interpolation);
                self.edit(&mut latent);
                latents.extend(latent);
            }
            self.enqueue(latents, Purpose::Tiles(tiles));
        }
    }

    /// Truncation, sliders, interpolation or model are others: the map's pictures are to be made anew.
    fn images_changed(&mut self) {
        self.map.renew();
        self.forget_jobs(|purpose| matches!(purpose, Purpose::Tiles(_)));
        self.changed();
    }

    /// The picture that is saved and recorded: the images alone, without enlargement.
    pub fn picture(&self) -> Option<Picture> {
        let images = self.shown.as_ref()?.results.first()?.images.as_ref().ok()?;
        match self.mode {
            Mode::Grid => Picture::tiled(&images.pictures, self.columns, 0),
            _ => images.pictures.first().cloned(),
        }
    }

    fn record_frame(&mut self) {
        // Half a frame early is on time.
        let due = self.now - self.recorded_at >= 1.0 / RECORDING_FPS - 0.008;
        if self.recording.is_none() || !due {
            return;
        }
        if let (Some(picture), Some((clip, _))) = (self.picture(), &mut self.recording) {
            let same_size = clip
                .first()
                .is_none_or(|first| (first.width, first.height) == (picture.width, picture.height));
            if same_size {
                clip.push(picture);
                self.recorded_at += 1.0 / RECORDING_FPS;
                self.recorded_at = self.recorded_at.max(self.now - 1.0 / RECORDING_FPS);
            }
            if !same_size || clip.len() >= MAX_RECORDING {
                self.end_recording();
            }
        }
    }

    fn end_recording(&mut self) {
        match self.recording.take() {
            Some((clip, format)) if !clip.is_empty() => {
                self.effects.push(Effect::SaveClip(clip, RECORDING_FPS, format));
            }
            _ => self.say("nothing was recorded", true),
        }
        self.changed();
    }

    /// The lane of the shown frame that is the chosen model: the first, but in the comparison.
    pub fn own_lane(&self) -> usize {
        let lanes = self.shown.as_ref().map_or(&[][..], |shown| &shown.request.lanes);
        lanes.iter().position(|lane| *lane == self.lane).unwrap_or(0)
    }

    /// What runs the chosen model, in words; empty before it has.
    pub fn described(&self) -> &str {
        let result = self.shown.as_ref().and_then(|shown| shown.results.get(self.own_lane()));
        result.map_or("", |result| result.engine.as_str())
    }

    /// What went wrong with the last frame.
    pub fn shown_error(&self) -> Option<&str> {
        self.shown.as_ref()?.results.first()?.images.as_ref().err().map(String::as_str)
    }

    /// Shows another model. The engine stays if it can run it.
    pub fn set_model(&mut self, file: GeneratorFile) {
        let engine = match file.engines.iter().find(|&&engine| engine == self.lane.engine) {
            Some(&engine) => engine,
            None => file.engines.first().copied().unwrap_or(self.lane.engine),
        };
        let space = file.space;
        self.catalog.add(&file.path);
        let own = &self.lane.file;
        let is_variant = self.catalog.variants(&file.path).any(|path| *path == own.path)
            && (file.space, file.image) == (own.space, own.image);
        self.lane = Lane { file: Arc::new(file), engine, threads: self.lane.threads };
        if space != *self.walk.space() {
            self.walk = self.walk.in_space(space);
        }
        if !is_variant {
            let rows = self.sliders.rows;
            self.sliders = Sliders::new(self.sliders.set);
            self.sliders.rows = rows;
            self.compared.clear();
        }
        self.lane_changed(is_variant);
        if self.mode == Mode::Compare && self.compared.is_empty() {
            self.read_variants();
        }
    }

    /// Another model, back end or number of threads makes the images. What there is of the same model stays on the
    /// screen until there is better.
    fn lane_changed(&mut self, is_variant: bool) {
        if !is_variant || self.shown_error().is_some() {
            self.shown = None;
        }
        if !is_variant {
            self.strip.clear();
            self.thumbnails.clear();
            self.map.forget();
        }
        self.samples = None;
        self.latencies.clear();
        self.forget_jobs(|_| true);
        self.renew_walk();
        self.images_changed();
        self.find_directions();
    }

    /// What these jobs make is of no use any more. Those that wait would only be in the way.
    fn forget_jobs(&mut self, useless: impl Fn(&Purpose) -> bool) {
        let ids: Vec<u64> =
            self.jobs.iter().filter(|(_, purpose)| useless(purpose)).map(|(&id, _)| id).collect();
        ids.iter().for_each(|id| drop(self.jobs.remove(id)));
        if !ids.is_empty() {
            self.effects.push(Effect::ForgetJobs(ids));
        }
    }

    fn read_variants(&mut self) {
        let path = &self.lane.file.path;
        let paths: Vec<PathBuf> =
            self.catalog.variants(path).filter(|other| *other != path).cloned().collect();
        self.effects.push(Effect::ReadVariants(paths));
    }

    /// Takes the variants of the model in other precisions: all of them, on all their back ends, are compared with
    /// fp32, or what comes next to it.
    pub fn set_variants(&mut self, variants: Vec<GeneratorFile>) {
        let own = &self.lane.file;
        let same = |file: &GeneratorFile| file.space.size == own.space.size && file.image == own.image;
        let mut files: Vec<Arc<GeneratorFile>> = variants.into_iter().filter(same).map(Arc::new).collect();
        files.push(Arc::clone(own));
        let rank =
            |file: &GeneratorFile| ["fp32", "fp16", "int8"].iter().position(|name| *name == file.precision);
        files.sort_by_key(|file| (rank(file), file.path.clone()));
        self.compared = files
            .iter()
            .flat_map(|file| file.engines.iter().map(|&engine| (Arc::clone(file), engine)))
            .map(|(file, engine)| Lane { file, engine, threads: self.lane.threads })
            .take(MAX_COMPARED)
            .collect();
        self.latencies.clear();
        self.changed();
    }

    /// Takes the directions that were looked for, or why there are none.
    pub fn set_directions(
        &mut self,
        set: SliderSet,
        file: &GeneratorFile,
        found: Result<Directions, String>,
    ) {
        if file.path != self.lane.file.path {
            return;
        }
        match found {
            Ok(directions) if !directions.is_empty() => self.sliders.set_directions(set, directions),
            Ok(_) => self.say("no directions were found in this model", true),
            Err(error) => self.say(error, true),
        }
        self.changed();
    }

    fn find_directions(&mut self) {
        if !self.sliders.lacks_directions() {
            return;
        }
        match self.sliders.set {
            SliderSet::Sefa => self.effects.push(Effect::Sefa(Arc::clone(&self.lane.file))),
            SliderSet::Pca if self.samples.is_none() => {
                self.samples = Some((Vec::new(), Vec::new()));
                let space = self.lane.file.space;
                for first in (0..SAMPLES).step_by(JOB_IMAGES) {
                    let seeds = first..first + JOB_IMAGES;
                    let latents: Vec<f32> = seeds.flat_map(|seed| space.draw(seed as u64)).collect();
                    self.enqueue(latents.clone(), Purpose::Samples(latents));
                }
            }
            _ => {}
        }
    }

    /// Takes another walk.
    pub fn set_walk(&mut self, file: &WalkFile) {
        let keys = file.keys.clone();
        match Walk::new(*self.walk.space(), keys, file.interpolation, file.closed) {
            Some(walk) => {
                self.walk = walk;
                if let Some(speed) = file.speed {
                    self.player.set_speed(speed);
                }
                self.walk_changed();
                self.images_changed();
            }
            None => self.say("the walk has key frames of another latent size than this model", true),
        }
    }

    /// A walk that is moved is to be seen, which on the map it is not.
    fn leave_map(&mut self) {
        if self.mode == Mode::Map {
            self.set_mode(Mode::Image);
        }
    }

    /// Another seed, for the next random thing.
    fn next_seed(&mut self) -> u64 {
        let mut rng = latent_runtime::rng::Rng::from_seed(self.seed);
        self.seed = u64::from(rng.below(1_000_000));
        self.seed
    }

    /// Does it.
    pub fn apply(&mut self, action: Action) {
        self.changed();
        match action {
            Action::TogglePlay => {
                // On the map nothing plays.
                self.player.playing = self.mode == Mode::Map || !self.player.playing;
                self.leave_map();
            }
            Action::Step(steps) => {
                self.leave_map();
                self.player.step(&self.walk, steps);
            }
            Action::StepKey(forward) => {
                self.leave_map();
                self.player.step_key(&self.walk, forward);
            }
            Action::Reverse => self.player.reverse(),
            Action::Faster(notches) => self.player.set_speed(self.player.speed() * NOTCH.powi(notches)),
            Action::Interpolate(interpolation) => self.interpolate(interpolation),
            Action::NextInterpolation => self.interpolate(self.walk.interpolation.next()),
            Action::ToggleClosed => {
                self.walk.closed = !self.walk.closed;
                self.grid.clear();
                self.player.seek(&self.walk, self.player.position());
            }
            Action::AddKey => self.add_key(),
            Action::AddRandomKey => {
                let seed = self.next_seed();
                self.insert_key(KeyFrame::Seed(seed));
            }
            Action::DeleteKey => {
                let index = self.walk.nearest_key(self.player.position());
                if self.walk.remove(index) {
                    self.walk_changed();
                } else {
                    self.say("a walk keeps at least one key frame", false);
                }
            }
            Action::MoveKey(later) => self.move_key(later),
            Action::NewWalk => {
                let seed = self.next_seed();
                let closed = self.walk.closed;
                self.walk = Walk::random(*self.walk.space(), seed, self.walk.len(), self.walk.interpolation);
                self.walk.closed = closed;
                self.strip.clear();
                self.player.seek(&self.walk, 0.0);
                self.walk_changed();
            }
            Action::SetMode(mode) => self.set_mode(mode),
            Action::NextMode => {
                let index = Mode::ALL.iter().position(|&mode| mode == self.mode).unwrap_or(0);
                self.set_mode(Mode::ALL[(index + 1) % Mode::ALL.len()]);
            }
            Action::NextModel(places) => match self.catalog.next(&self.lane.file.path, places) {
                Some(path) => self.effects.push(Effect::Open(path.clone())),
                None => self.say("there is one model in this folder", false),
            },
            Action::OpenModel(index) => {
                self.list = false;
                let path = self.catalog.paths.get(index).filter(|path| **path != self.lane.file.path);
                self.effects.extend(path.cloned().map(Effect::Open));
            }
            Action::OpenVariant(index) => {
                let own = &self.lane.file.path;
                let path = self.catalog.variants(own).nth(index).filter(|path| *path != own);
                self.effects.extend(path.cloned().map(Effect::Open));
            }
            Action::ToggleList => self.list = !self.list,
            Action::NextEngine => {
                let engines = &self.lane.file.engines;
                let index = engines.iter().position(|&engine| engine == self.lane.engine).unwrap_or(0);
                let next = (index + 1) % engines.len().max(1);
                if next == index {
                    self.say("this build has one back end for this file", false);
                }
                self.set_engine(next);
            }
            Action::SetEngine(index) => self.set_engine(index),
            Action::NextPrecision => match self.catalog.next_variant(&self.lane.file.path) {
                Some(path) => self.effects.push(Effect::Open(path.clone())),
                None => self.say("this model is there in one precision", false),
            },
            Action::Threads(more) => {
                let threads = (self.lane.threads as i64 + i64::from(more)).clamp(0, 64) as usize;
                if threads != self.lane.threads {
                    self.lane.threads = threads;
                    self.compared.iter_mut().for_each(|lane| lane.threads = threads);
                    self.lane_changed(true);
                }
            }
            Action::Sliders(set) => {
                self.sliders.set = set;
                self.sliders.page = 0;
                self.find_directions();
            }
            Action::NextSliders => self.apply(Action::Sliders(self.sliders.set.next())),
            Action::Page(pages) => self.sliders.turn(pages, self.walk.space().size),
            Action::ResetSliders => {
                self.sliders.reset();
                self.truncation = 1.0;
                self.images_changed();
            }
            Action::Truncate(notches) => {
                // In twentieths, without the error of adding them up.
                let twentieths = (self.truncation * 20.0).round() as i32 + notches;
                self.truncation = twentieths.clamp(0, 20) as f32 / 20.0;
                self.images_changed();
            }
            Action::Zoom(steps) => self.zoom(steps),
            Action::SavePicture => match self.picture() {
                Some(picture) => self.effects.push(Effect::SavePicture(picture)),
                None => self.say("there is no image to save yet", true),
            },
            Action::ToggleRecording(format) => match self.recording {
                Some(_) => self.end_recording(),
                None => {
                    self.recording = Some((Vec::new(), format));
                    self.recorded_at = self.now - 1.0 / RECORDING_FPS;
                }
            },
            Action::SaveWalk => {
                let keys = self.walk.keys().cloned().collect();
                let (interpolation, closed) = (self.walk.interpolation, self.walk.closed);
                let speed = Some(self.player.speed());
                self.effects.push(Effect::SaveWalk(WalkFile { interpolation, closed, speed, keys }));
            }
            Action::LoadWalk => self.effects.push(Effect::LoadWalk),
            Action::TogglePanels => self.panels = !self.panels,
            Action::ToggleHelp => self.help = !self.help,
            Action::Back if self.help => self.help = false,
            Action::Back if self.list => self.list = false,
            Action::Back if !self.panels => self.panels = true,
            Action::Back | Action::Quit => self.effects.push(Effect::Quit),
            Action::SetView(_)
            | Action::NextView
            | Action::Ask(_)
            | Action::AskRandom
            | Action::TogglePin
            | Action::Pan(..)
            | Action::ResetMap => {}
        }
    }

    fn interpolate(&mut self, interpolation: crate::walk::Interpolation) {
        self.walk.interpolation = interpolation;
        self.grid.clear();
        self.images_changed();
    }

    fn add_key(&mut self) {
        let key = match self.mode {
            Mode::Map if self.truncation == 1.0 && self.sliders.are_at_rest() => {
                self.map.key_frame(self.walk.space(), self.walk.interpolation)
            }
            _ => KeyFrame::Values(self.current_latent()),
        };
        self.insert_key(key);
    }

    /// Inserts a key frame after the position, and goes there.
    fn insert_key(&mut self, key: KeyFrame) {
        let index = (self.player.position().floor() as usize + 1).min(self.walk.len());
        if self.walk.insert(index, key) {
            self.player.seek(&self.walk, index as f64);
            self.walk_changed();
            self.say(format!("key frame {} of {}", index + 1, self.walk.len()), false);
        } else {
            self.say("the walk has as many key frames as it can", true);
        }
    }

    fn move_key(&mut self, later: bool) {
        let from = self.walk.nearest_key(self.player.position());
        let to = if later { from + 1 } else { from.wrapping_sub(1) };
        if self.walk.reorder(from, to) {
            self.player.seek(&self.walk, to as f64);
            self.walk_changed();
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.latencies.clear();
        if mode == Mode::Compare && self.compared.is_empty() {
            self.read_variants();
        }
    }

    fn set_engine(&mut self, index: usize) {
        if let Some(&engine) = self.lane.file.engines.get(index).filter(|&&engine| engine != self.lane.engine)
        {
            self.lane.engine = engine;
            self.lane_changed(true);
        }
    }

    fn zoom(&mut self, steps: i32) {
        match self.mode {
            Mode::Grid => {
                self.columns = (self.columns as i64 + i64::from(steps)).clamp(1, 32) as usize;
                self.grid.clear();
            }
            Mode::Map => {
                self.map.zoom(steps);
                self.forget_jobs(|purpose| matches!(purpose, Purpose::Tiles(_)));
            }
            Mode::Compare => {
                self.amplification = (self.amplification * 2f32.powi(steps)).clamp(1.0, 256.0);
            }
            Mode::Image | Mode::Strip => {}
        }
    }

    /// Puts a slider to a fraction of its range.
    pub fn set_slider(&mut self, target: SliderTarget, fraction: f32) {
        let fraction = fraction.clamp(0.0, 1.0);
        match target {
            SliderTarget::Truncation => self.truncation = fraction,
            SliderTarget::Speed => self.player.set_speed(2f64.powf(f64::from(fraction) * 10.0 - 6.0)),
            SliderTarget::Direction(_) | SliderTarget::Latent(_) => {
                self.sliders.set(target, fraction, self.walk.space());
            }
        }
        if target == SliderTarget::Speed { self.changed() } else { self.images_changed() }
    }

    /// Puts a slider back.
    pub fn reset_slider(&mut self, target: SliderTarget) {
        match target {
            SliderTarget::Truncation => self.truncation = 1.0,
            SliderTarget::Speed => self.player.set_speed(Player::default().speed()),
            SliderTarget::Direction(_) | SliderTarget::Latent(_) => self.sliders.release(target),
        }
        self.images_changed();
    }

    /// Where a slider is, as a fraction of its range; and whether it was moved.
    pub fn slider(&self, target: SliderTarget) -> (f32, bool) {
        match target {
            SliderTarget::Truncation => (self.truncation, self.truncation != 1.0),
            SliderTarget::Speed => (((self.player.speed().log2() + 6.0) / 10.0) as f32, false),
            _ => {
                let latent = self.shown.as_ref().map_or(&[][..], |shown| &shown.request.latents);
                self.sliders.fraction(target, self.walk.space(), latent)
            }
        }
    }

    /// Goes to a fraction of the walk.
    pub fn seek(&mut self, fraction: f64) {
        self.leave_map();
        let length = self.walk.segments() as f64;
        // The end of a closed walk is its beginning, but a pointer at the right edge should not jump to the left.
        let end = length - if self.walk.closed { 1.0 / f64::from(STEPS_PER_SEGMENT) / 64.0 } else { 0.0 };
        self.player.seek(&self.walk, (fraction.clamp(0.0, 1.0) * length).min(end.max(0.0)));
        self.changed();
    }
}

#[cfg(test)]
mod tests;
