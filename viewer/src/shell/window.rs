//! The window: brings input to the app, its requests to the inference thread, and its pictures to the screen.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use minifb::{InputCallback, Key, MouseButton, MouseMode, ScaleMode, Window};
use raw_window_handle::{HasWindowHandle, RawWindowHandle};

use crate::app::{DIRECTIONS, Effect, KeyEvent, Keyboard, PointerEvent, SliderSet};
use crate::directions::{Directions, first_layer, pca, sefa};
use crate::draw::{Canvas, Fonts};
use crate::embedding::Embedder;
use crate::explore::Images;
use crate::inference::Inference;
use crate::model::{GeneratorFile, ModelFile};
use crate::picture::Picture;
use crate::record::{RecordOptions, Recording, enlargement, free_name, write_file};
use crate::stage::Stage;
use crate::ui;
use crate::walk::WalkFile;

/// Pictures per second while something moves.
const RATE: f64 = 60.0;
/// Seconds between two looks at the input when nothing has happened for a while, and when the window has not the
/// keyboard besides.
const IDLE: (f64, f64) = (0.025, 0.1);
/// Seconds after the last input until it counts as a while.
const ATTENTION: f64 = 1.0;
/// Seconds after which an unchanged picture is brought to the screen again: where no compositor keeps what a window
/// shows, what lay under another window is empty, and minifb does not tell.
const REFRESH: f64 = 0.5;

/// How the window is opened.
#[derive(Clone, Debug)]
pub struct WindowOptions {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// The enlargement of text and buttons.
    pub scale: f32,
    /// Where pictures, GIFs and walks are saved.
    pub out_dir: PathBuf,
    /// The file that the walk came from.
    pub walk: Option<PathBuf>,
    /// What an encoder is given that is switched to.
    pub images: Option<Images>,
}

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The system gives none.
    #[error(
        "cannot open a window: {problem}{}",
        if *.is_walk { ". Without a display, `viewer MODEL --record walk.gif` writes the walk to a file" } else { "" }
    )]
    NoWindow {
        /// What it said.
        problem: String,
        /// Whether a generator's walk was to be shown, which can be recorded instead.
        is_walk: bool,
    },
    /// A picture could not be brought to the screen.
    #[error("cannot draw in the window: {problem}")]
    Draw {
        /// What went wrong.
        problem: String,
    },
    /// The system gives no thread.
    #[error("cannot start the inference thread: {0}")]
    Thread(std::io::Error),
}

/// The times from picture to picture while something moved, in seconds.
#[derive(Clone, Debug, Default)]
pub struct FrameTimes {
    seconds: Vec<f64>,
    /// What drawing took, without waiting for the next picture's time.
    work: Vec<f64>,
}

impl FrameTimes {
    /// Their distribution in a line, if there are any.
    pub fn summary(&self) -> Option<impl fmt::Display + use<>> {
        let percentiles = |seconds: &[f64]| {
            let mut sorted = seconds.to_vec();
            sorted.sort_by(f64::total_cmp);
            let at = |p: f64| sorted.get(((sorted.len() as f64 * p).ceil() as usize).max(1) - 1).copied();
            Some((at(0.5)?, at(0.99)?, at(1.0)?))
        };
        let (p50, p99, longest) = percentiles(&self.seconds)?;
        let (work50, work99, _) = percentiles(&self.work)?;
        Some(format!(
            "{} pictures; from one to the next p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; drawing p50 {:.2} ms, \
             p99 {:.2} ms",
            self.seconds.len(),
            p50 * 1e3,
            p99 * 1e3,
            longest * 1e3,
            work50 * 1e3,
            work99 * 1e3
        ))
    }
}

/// What came of work in the background.
enum Outcome {
    Model(PathBuf, Result<Box<ModelFile>, String>),
    Variants(Vec<GeneratorFile>),
    Directions(SliderSet, Box<GeneratorFile>, Result<Directions, String>),
    Saved(Result<PathBuf, String>),
    Walk(PathBuf, Result<WalkFile, String>),
}

struct Keys(Sender<KeyEvent>);

impl InputCallback for Keys {
    fn add_char(&mut self, character: u32) {
        if let Some(character) = char::from_u32(character).filter(|character| !character.is_control()) {
            // The receiver lives as long as the window.
            let _ = self.0.send(KeyEvent::Char(character));
        }
    }

    fn set_key_state(&mut self, key: Key, down: bool) {
        let _ = self.0.send(if down { KeyEvent::Down(key) } else { KeyEvent::Up(key) });
    }
}

/// Opens a window and shows the stage until it is closed. Returns the times from picture to picture.
///
/// # Errors
/// See [`WindowError`].
pub fn run(mut stage: Stage, options: &WindowOptions) -> Result<FrameTimes, WindowError> {
    let mut screen = Screen::open(&stage, options)?;
    let inference = Inference::start().map_err(WindowError::Thread)?;
    let (outcome_sender, outcomes) = channel();
    let mut helper = Helper {
        outcomes: outcome_sender,
        out_dir: options.out_dir.clone(),
        walk: options.walk.clone(),
        images: options.images.clone(),
    };
    let mut embedder: Option<Embedder> = None;
    let start = Instant::now();
    let mut deadline = start;
    let mut attention = 0.0;
    loop {
        let now = start.elapsed().as_secs_f64();
        if screen.input(&mut stage, now) {
            attention = now;
        }
        for outcome in outcomes.try_iter() {
            helper.outcome(&mut stage, outcome);
            attention = now;
        }
        // What was made for a model that is not shown any more is lost.
        let (frame, done) = (inference.take_frame(), inference.take_done());
        if let Stage::Walk(app) = &mut stage {
            frame.into_iter().for_each(|frame| app.receive(frame));
            done.into_iter().for_each(|(id, images)| app.receive_job(id, images));
        }
        match (&mut stage, &embedder) {
            (Stage::Explore(explorer), Some(embedder)) => {
                embedder.take().into_iter().for_each(|progress| explorer.receive(progress));
            }
            _ => embedder = None,
        }
        stage.tick(now);
        for effect in stage.take_effects() {
            match effect {
                Effect::Submit(request) => inference.submit(request),
                Effect::Enqueue(job) => inference.enqueue(job),
                Effect::ForgetJobs(ids) => inference.retain_jobs(|job| !ids.contains(&job.id)),
                Effect::Embed(task) => {
                    // The one before ends first: two would compete for the processor.
                    drop(embedder.take());
                    embedder = Some(Embedder::start(task).map_err(WindowError::Thread)?);
                }
                Effect::Quit => return Ok(screen.times),
                effect => helper.begin(&mut stage, effect),
            }
        }
        screen.show(&mut stage, start)?;
        if !screen.window.is_open() {
            return Ok(screen.times);
        }
        let moves =
            stage.is_moving() || stage.is_busy() || inference.is_busy() || screen.keyboard.is_repeating();
        let period = if moves || now - attention < ATTENTION {
            1.0 / RATE
        } else if screen.was_active || stage.has_pointer() {
            IDLE.0
        } else {
            IDLE.1
        };
        // Deadlines that follow one another do not drift; after a late one the rhythm starts anew.
        deadline += Duration::from_secs_f64(period);
        match deadline.checked_duration_since(Instant::now()) {
            Some(rest) => std::thread::sleep(rest),
            None => deadline = Instant::now(),
        }
    }
}

/// The window with what is drawn in it.
struct Screen {
    window: Window,
    keys: Receiver<KeyEvent>,
    keyboard: Keyboard,
    canvas: Canvas,
    fonts: Fonts,
    items: Vec<ui::Item>,
    scale: f32,
    /// What is on the screen: the stage's version and the window's size.
    drawn: Option<(u64, (usize, usize))>,
    drawn_at: f64,
    /// Whether something moved by itself when that was drawn.
    played: bool,
    title: String,
    was_active: bool,
    at: Option<(f32, f32)>,
    buttons: (bool, bool),
    /// What minifb says when the wheel is turned up by one notch.
    notch: f32,
    times: FrameTimes,
}

impl Screen {
    fn open(stage: &Stage, options: &WindowOptions) -> Result<Self, WindowError> {
        let is_walk = matches!(stage, Stage::Walk(_));
        #[cfg(all(unix, not(target_os = "macos")))]
        if ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"]
            .iter()
            .all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
        {
            let problem = "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)".into();
            return Err(WindowError::NoWindow { problem, is_walk });
        }
        let title = title(stage);
        let settings = minifb::WindowOptions {
            resize: true,
            // The canvas has the window's size; this is for the moment after a change.
            scale_mode: ScaleMode::UpperLeft,
            ..minifb::WindowOptions::default()
        };
        let (width, height) = options.size;
        let mut window = Window::new(&title, width, height, settings).map_err(|error| {
            let text = error.to_string();
            let problem = text.strip_prefix("Failed to create window: ").unwrap_or(&text).to_owned();
            WindowError::NoWindow { problem, is_walk }
        })?;
        // The rhythm is kept here.
        window.set_target_fps(0);
        window.set_background_color(13, 15, 19);
        let notch = notch(&window);
        let (sender, keys) = channel();
        window.set_input_callback(Box::new(Keys(sender)));
        Ok(Self {
            window,
            keys,
            keyboard: Keyboard::default(),
            canvas: Canvas::default(),
            fonts: Fonts::new(),
            items: Vec::new(),
            scale: options.scale,
            drawn: None,
            drawn_at: 0.0,
            played: false,
            title,
            was_active: false,
            at: None,
            buttons: (false, false),
            notch,
            times: FrameTimes::default(),
        })
    }

    /// Brings what happened to the stage. Returns whether anything did.
    fn input(&mut self, stage: &mut Stage, now: f64) -> bool {
        self.keyboard.bind(stage.bindings());
        let active = self.window.is_active();
        if self.was_active && !active {
            self.keyboard.release_all();
            stage.release_pointer();
        }
        self.was_active = active;
        let mut any = false;
        let events: Vec<KeyEvent> = self.keys.try_iter().collect();
        for event in events {
            any = true;
            if let Some(action) = self.keyboard.event(event, now) {
                stage.apply(action);
            }
        }
        if let Some(action) = self.keyboard.repeated(now) {
            stage.apply(action);
        }
        // What is dragged follows the pointer out of the window.
        let mode = if stage.is_dragging() { MouseMode::Pass } else { MouseMode::Discard };
        let mut pointer = |event: PointerEvent| {
            any = true;
            stage.pointer_event(event, &self.items);
        };
        let at = self.window.get_unscaled_mouse_pos(mode);
        if at != self.at {
            // Without a window manager the keyboard belongs to the window under the pointer, and minifb is not told when
            // it goes.
            if at.is_none() && !active {
                self.keyboard.release_all();
            }
            self.at = at;
            pointer(at.map_or(PointerEvent::Leave, |(x, y)| PointerEvent::Move(x, y)));
        }
        let buttons =
            (self.window.get_mouse_down(MouseButton::Left), self.window.get_mouse_down(MouseButton::Right));
        match (self.buttons.0, buttons.0) {
            (false, true) => pointer(PointerEvent::Press),
            (true, false) => pointer(PointerEvent::Release),
            _ => {}
        }
        if !self.buttons.1 && buttons.1 {
            pointer(PointerEvent::RightPress);
        }
        self.buttons = buttons;
        if let Some((_, y)) = self.window.get_scroll_wheel() {
            pointer(PointerEvent::Wheel(y / self.notch));
        }
        any
    }

    /// Draws what has changed, and lets the window take its events.
    fn show(&mut self, stage: &mut Stage, start: Instant) -> Result<(), WindowError> {
        let now = start.elapsed().as_secs_f64();
        let size = self.window.get_size();
        let state = (stage.version(), size);
        if size.0 == 0 || size.1 == 0 || (self.drawn == Some(state) && now - self.drawn_at < REFRESH) {
            self.window.update();
            return Ok(());
        }
        if self.drawn != Some(state) {
            if (self.canvas.width(), self.canvas.height()) != size {
                self.canvas.resize(size.0, size.1);
            }
            self.items = stage.lay_out(&self.fonts, size.0, size.1, self.scale);
            stage.paint(&self.items, &mut self.canvas, &mut self.fonts, self.scale);
            let title = title(stage);
            if title != self.title {
                self.window.set_title(&title);
                self.title = title;
            }
            self.drawn = Some((stage.version(), size));
            let passed = now - self.drawn_at;
            // Between pictures that come when something is done there is any time.
            let plays = stage.is_playing();
            if plays && self.played && passed < 0.25 {
                stage.frames().push(now, passed);
                self.times.seconds.push(passed);
            }
            self.played = plays;
        }
        self.drawn_at = now;
        let shown = self.window.update_with_buffer(self.canvas.pixels(), size.0, size.1);
        self.times.work.push(start.elapsed().as_secs_f64() - now);
        shown.map_err(|error| WindowError::Draw { problem: error.to_string() })
    }
}

/// What minifb 0.29 says when the wheel is turned up by one notch: on X11 it counts the press and the release of the
/// wheel's button, on Wayland it hands on the compositor's value, which is positive downwards.
fn notch(window: &Window) -> f32 {
    match window.window_handle().map(|handle| handle.as_raw()) {
        Ok(RawWindowHandle::Xlib(_)) => 2.0,
        Ok(RawWindowHandle::Wayland(_)) => -10.0,
        Ok(RawWindowHandle::Win32(_)) => 12.0,
        _ => 1.0,
    }
}

fn title(stage: &Stage) -> String {
    // A NUL would end the title early, or not at all.
    format!("{} – latent", stage.name().replace(char::is_control, " "))
}

/// Does what takes time or touches files, on threads that end by themselves.
struct Helper {
    outcomes: Sender<Outcome>,
    out_dir: PathBuf,
    /// The walk last written or read.
    walk: Option<PathBuf>,
    /// What an encoder is given that is switched to.
    images: Option<Images>,
}

impl Helper {
    fn begin(&mut self, stage: &mut Stage, effect: Effect) {
        let out_dir = self.out_dir.clone();
        match effect {
            Effect::Open(path) => self.spawn(stage, move || {
                let file = ModelFile::read(&path).map(Box::new).map_err(|error| error.to_string());
                Outcome::Model(path, file)
            }),
            Effect::ReadVariants(paths) => self.spawn(stage, move || {
                // What cannot be read is no variant.
                Outcome::Variants(paths.iter().filter_map(|path| GeneratorFile::read(path).ok()).collect())
            }),
            Effect::Sefa(file) => self.spawn(stage, move || {
                let weight = first_layer(&file.path, file.space.size).map_err(|error| error.to_string());
                let found = weight.map(|weight| sefa(&weight, file.space.size, DIRECTIONS));
                Outcome::Directions(SliderSet::Sefa, Box::new((*file).clone()), found)
            }),
            Effect::Pca { file, latents, images } => self.spawn(stage, move || {
                let found = pca(&latents, file.space.size, &images, file.image_values(), DIRECTIONS);
                Outcome::Directions(SliderSet::Pca, Box::new((*file).clone()), Ok(found))
            }),
            Effect::SavePicture(picture) => self.spawn(stage, move || {
                let path = free_name(&out_dir, "latent", "png");
                Outcome::Saved(save_picture(&path, &picture).map(|()| path))
            }),
            Effect::SaveClip(clip, fps, format) => {
                stage.say(format!("writing {} pictures …", clip.len()), false);
                self.spawn(stage, move || {
                    let path = free_name(&out_dir, "latent", format.extension());
                    Outcome::Saved(save_clip(&path, &clip, fps).map(|()| path))
                });
            }
            Effect::SaveWalk(walk) => {
                let path = free_name(&out_dir, "walk", "txt");
                let result = write_file(&path, walk.to_text().as_bytes()).map_err(|error| error.to_string());
                if result.is_ok() {
                    self.walk = Some(path.clone());
                }
                self.outcome(stage, Outcome::Saved(result.map(|()| path)));
            }
            Effect::LoadWalk => match self.walk.clone() {
                Some(path) => self.spawn(stage, move || {
                    let walk = WalkFile::load(&path).map_err(|error| error.to_string());
                    Outcome::Walk(path, walk)
                }),
                None => stage.say("no walk was saved yet; Ctrl+S saves this one", false),
            },
            // The loop's own.
            Effect::Submit(_)
            | Effect::Enqueue(_)
            | Effect::Embed(_)
            | Effect::ForgetJobs(_)
            | Effect::Quit => {}
        }
    }

    fn spawn(&self, stage: &mut Stage, work: impl FnOnce() -> Outcome + Send + 'static) {
        let outcomes = self.outcomes.clone();
        let spawned = std::thread::Builder::new().name("helper".into()).spawn(move || {
            // Nobody listens when the window was closed meanwhile.
            let _ = outcomes.send(work());
        });
        if let Err(error) = spawned {
            stage.say(format!("cannot start a thread: {error}"), true);
        }
    }

    fn outcome(&mut self, stage: &mut Stage, outcome: Outcome) {
        match outcome {
            Outcome::Model(_, Ok(file)) => stage.set_model(*file, self.images.as_ref()),
            Outcome::Model(path, Err(error)) => {
                stage.catalog().add_unreadable(&path);
                stage.say(error, true);
            }
            Outcome::Saved(Ok(path)) => {
                let name = path.strip_prefix(".").unwrap_or(&path);
                stage.say(format!("saved {}", name.display()), false);
            }
            Outcome::Saved(Err(error)) | Outcome::Walk(_, Err(error)) => {
                stage.say(error, true);
            }
            // What follows is a generator's; it may have left the stage meanwhile.
            outcome => {
                let Stage::Walk(app) = stage else { return };
                match outcome {
                    Outcome::Variants(files) => app.set_variants(files),
                    Outcome::Directions(set, file, found) => app.set_directions(set, &file, found),
                    Outcome::Walk(path, Ok(walk)) => {
                        app.set_walk(&walk);
                        app.say(format!("walking along {}", path.display()), false);
                    }
                    Outcome::Model(..) | Outcome::Saved(_) | Outcome::Walk(_, Err(_)) => {}
                }
            }
        }
    }
}

fn save_picture(path: &Path, picture: &Picture) -> Result<(), String> {
    let png = picture.enlarged(enlargement(picture.width)).to_png().map_err(|error| error.to_string())?;
    write_file(path, &png).map_err(|error| error.to_string())
}

fn save_clip(path: &Path, clip: &[Picture], fps: f64) -> Result<(), String> {
    let Some(first) = clip.first() else { return Err("nothing was recorded".into()) };
    let scale = enlargement(first.width);
    let options = RecordOptions { fps, force: false };
    let write = || {
        let mut recording = Recording::begin(path, &first.enlarged(scale), clip.len(), &options)?;
        for picture in clip {
            recording.add(&picture.enlarged(scale))?;
        }
        recording.finish()
    };
    write().map(|_| ()).map_err(|error| error.to_string())
}
