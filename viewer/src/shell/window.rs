//! The window: brings input to the viewer and its pictures to the screen.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use minifb::{InputCallback, Key, MouseButton, MouseMode, ScaleMode, Window};
use raw_window_handle::{HasWindowHandle, RawWindowHandle};

use super::services::{OpenScene, Services};
use super::{Effect, FrameTimes, Viewer};
use crate::draw::{Canvas, Fonts};
use crate::error::BackgroundError;
use crate::input::{KeyEvent, PointerEvent};
use crate::model::ModelOptions;

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
    /// What the user says of every model.
    pub models: ModelOptions,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The system gives none.
    #[error(
        "cannot open a window: {problem}{}{instead}", if .instead.is_empty() { "" } else { ". Without a display, " }
    )]
    NoWindow {
        problem: String,
        /// What could be done instead, if anything.
        instead: &'static str,
    },
    #[error("cannot draw in the window: {problem}")]
    Draw { problem: String },
    #[error("cannot start the inference thread: {0}")]
    Thread(#[source] std::io::Error),
    /// What was to be saved when the window was closed.
    #[error(transparent)]
    Save(#[from] BackgroundError),
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

/// What a window leaves.
#[derive(Debug)]
pub struct Closed {
    /// The times from picture to picture.
    pub times: FrameTimes,
    /// Files that were written when it was closed.
    pub saved: Vec<PathBuf>,
}

/// Opens a window and shows the viewer until it is closed; `open` makes the scene for a model of another kind.
///
/// # Errors
/// If there is no window, or something cannot be saved that was to be saved when it was closed.
pub fn run(mut viewer: Viewer, open: OpenScene, options: &WindowOptions) -> Result<Closed, WindowError> {
    let mut screen = Screen::open(&viewer, options)?;
    let mut services = Services::start(options, open)?;
    let start = Instant::now();
    let mut deadline = start;
    let mut attention = 0.0;
    loop {
        let now = start.elapsed().as_secs_f64();
        if screen.input(&mut viewer, now) {
            attention = now;
        }
        let came;
        (viewer, came) = services.deliver(viewer);
        if came {
            attention = now;
        }
        viewer.tick(now);
        if !screen.window.is_open() {
            viewer.close();
            viewer.shell.effect(Effect::Quit);
        }
        for effect in viewer.shell.take_effects() {
            if matches!(effect, Effect::Quit) {
                let Screen { times, window, .. } = screen;
                drop(window);
                return Ok(Closed { times, saved: services.end()? });
            }
            services.begin(&mut viewer.shell, effect)?;
        }
        screen.show(&mut viewer, start)?;
        let moves = viewer.is_moving()
            || viewer.scene.is_busy()
            || services.is_busy()
            || viewer.shell.keyboard.is_repeating();
        let period = if moves || now - attention < ATTENTION {
            1.0 / RATE
        } else if screen.was_active || viewer.shell.pointer.at.is_some() {
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
    canvas: Canvas,
    fonts: Fonts,
    scale: f32,
    /// What is on the screen: the viewer's version and the window's size.
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
    fn open(viewer: &Viewer, options: &WindowOptions) -> Result<Self, WindowError> {
        let instead = viewer.scene.without_display();
        #[cfg(all(unix, not(target_os = "macos")))]
        if ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"]
            .iter()
            .all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
        {
            let problem = "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)".into();
            return Err(WindowError::NoWindow { problem, instead });
        }
        let title = title(viewer);
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
            WindowError::NoWindow { problem, instead }
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
            canvas: Canvas::default(),
            fonts: Fonts::new(),
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

    /// Brings what happened to the viewer. Returns whether anything did.
    fn input(&mut self, viewer: &mut Viewer, now: f64) -> bool {
        let active = self.window.is_active();
        if self.was_active && !active {
            viewer.shell.keyboard.release_all();
            viewer.pointer_event(PointerEvent::Lost);
        }
        self.was_active = active;
        let mut any = false;
        let events: Vec<KeyEvent> = self.keys.try_iter().collect();
        for event in events {
            any = true;
            viewer.key_event(event, now);
        }
        viewer.repeat_keys(now);
        // What is dragged follows the pointer out of the window.
        let mode = if viewer.shell.pointer.is_pressed { MouseMode::Pass } else { MouseMode::Discard };
        let mut pointer = |viewer: &mut Viewer, event: PointerEvent| {
            any = true;
            viewer.pointer_event(event);
        };
        let at = self.window.get_unscaled_mouse_pos(mode);
        if at != self.at {
            // Without a window manager the keyboard belongs to the window under the pointer, and minifb is not told
            // when it goes.
            if at.is_none() && !active {
                viewer.shell.keyboard.release_all();
            }
            self.at = at;
            pointer(&mut *viewer, at.map_or(PointerEvent::Leave, |(x, y)| PointerEvent::Move(x, y)));
        }
        let buttons =
            (self.window.get_mouse_down(MouseButton::Left), self.window.get_mouse_down(MouseButton::Right));
        match (self.buttons.0, buttons.0) {
            (false, true) => pointer(&mut *viewer, PointerEvent::Press),
            (true, false) => pointer(&mut *viewer, PointerEvent::Release),
            _ => {}
        }
        if !self.buttons.1 && buttons.1 {
            pointer(&mut *viewer, PointerEvent::RightPress);
        }
        self.buttons = buttons;
        if let Some((_, y)) = self.window.get_scroll_wheel() {
            pointer(&mut *viewer, PointerEvent::Wheel(y / self.notch));
        }
        any
    }

    /// Draws what has changed, and lets the window take its events.
    fn show(&mut self, viewer: &mut Viewer, start: Instant) -> Result<(), WindowError> {
        let now = start.elapsed().as_secs_f64();
        let size = self.window.get_size();
        let state = (viewer.shell.version, size);
        if size.0 == 0 || size.1 == 0 || (self.drawn == Some(state) && now - self.drawn_at < REFRESH) {
            self.window.update();
            return Ok(());
        }
        if self.drawn != Some(state) {
            if (self.canvas.width(), self.canvas.height()) != size {
                self.canvas.resize(size.0, size.1);
            }
            viewer.lay_out(&self.fonts, size.0, size.1, self.scale);
            viewer.paint(&mut self.canvas, &mut self.fonts, self.scale);
            let title = title(viewer);
            if title != self.title {
                self.window.set_title(&title);
                self.title = title;
            }
            self.drawn = Some((viewer.shell.version, size));
            let passed = now - self.drawn_at;
            // Between pictures that come when something is done there is any time.
            let plays = viewer.is_playing();
            if plays && self.played && passed < 0.25 {
                viewer.shell.frames.push(now, passed);
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

fn title(viewer: &Viewer) -> String {
    // A NUL would end the title early, or not at all, and minifb hands other letters on in no encoding that X11 knows.
    let plain = |letter: char| letter == ' ' || letter.is_ascii_graphic();
    format!("{} - latent", viewer.scene.model().name.replace(|letter| !plain(letter), "?"))
}
