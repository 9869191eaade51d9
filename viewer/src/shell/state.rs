//! The state that every scene has.

use latent_runtime::open::BackendKind;

use super::{Effect, Message, Pointer, Recorder};
use crate::draw::Rect;
use crate::embedding::ImageSource;
use crate::input::Keyboard;
use crate::model::Catalog;
use crate::picture::Picture;
use crate::stats::Durations;

/// Seconds between two readings of the figures.
const FIGURES_SECONDS: f64 = 0.25;

/// How fast things are, over the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The median and the 99th percentile of seconds per image for each model that runs, where there were any.
    pub latencies: Vec<Option<(f64, f64)>>,
    /// The pictures on the screen in the last second.
    pub fps: usize,
    /// The 99th percentile of the seconds from picture to picture.
    pub frame_p99: Option<f64>,
}

pub struct Shell {
    /// The models to switch between.
    pub catalog: Catalog,
    /// What runs the model.
    pub engine: BackendKind,
    /// The threads that one run may use; 0 leaves it to the back end.
    pub threads: usize,
    /// What an encoder is given.
    pub images: Option<ImageSource>,
    /// How long one image takes each model that runs.
    pub latencies: Vec<Durations>,
    /// The times from picture to picture on the screen.
    pub frames: Durations,
    /// The figures that are shown; they change a few times a second, so that they can be read.
    pub figures: Figures,
    /// The class of what is drawn, for generators that take one.
    pub class: usize,
    /// What is being recorded.
    pub recorder: Option<Recorder>,
    /// The line of text over the images.
    pub message: Option<Message>,
    /// Whether there is more than images.
    pub panels: bool,
    pub help: bool,
    /// Whether the list of models is shown.
    pub list: bool,
    /// Whether all of the back end and the latency is shown, not a line of it.
    pub engine_open: bool,
    /// How far the panel at the right is scrolled, without the enlargement.
    pub scroll: f32,
    /// The panel at the right, if it can be scrolled.
    pub(super) scrolled: Option<Rect>,
    pub pointer: Pointer,
    pub keyboard: Keyboard,
    /// Where the images are.
    pub viewport: Rect,
    /// Grows with every change that can be seen.
    pub version: u64,
    /// Seconds.
    pub now: f64,
    figures_at: f64,
    effects: Vec<Effect>,
}

impl Shell {
    pub fn new(catalog: Catalog, engine: BackendKind, threads: usize, images: Option<ImageSource>) -> Self {
        Self {
            catalog,
            engine,
            threads,
            images,
            latencies: Vec::new(),
            frames: Durations::default(),
            figures: Figures::default(),
            class: 0,
            recorder: None,
            message: None,
            panels: true,
            help: false,
            list: false,
            engine_open: false,
            scroll: 0.0,
            scrolled: None,
            pointer: Pointer::default(),
            keyboard: Keyboard::default(),
            viewport: Rect::default(),
            version: 0,
            now: 0.0,
            figures_at: f64::NEG_INFINITY,
            effects: Vec::new(),
        }
    }

    /// The shell for another scene, which begins with a model on the first of these engines.
    pub fn for_scene(self, engines: &[BackendKind]) -> Self {
        let engine = engines.first().copied().unwrap_or(self.engine);
        let pointer = Pointer { at: self.pointer.at, ..Pointer::default() };
        Self {
            panels: self.panels,
            class: self.class,
            engine_open: self.engine_open,
            keyboard: self.keyboard,
            now: self.now,
            version: self.version + 1,
            pointer,
            effects: self.effects,
            ..Self::new(self.catalog, engine, self.threads, self.images)
        }
    }

    /// Something that can be seen has changed.
    pub fn changed(&mut self) {
        self.version += 1;
    }

    /// Shows a line of text for a while.
    pub fn say(&mut self, text: impl std::fmt::Display, is_error: bool) {
        self.message = Some(Message::new(text.to_string(), is_error, self.now));
        self.changed();
    }

    /// Has something done outside.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// What is to be done outside since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The engine stays if it is one of these.
    pub fn keep_engine(&mut self, engines: &[BackendKind]) {
        if !engines.contains(&self.engine) {
            self.engine = engines.first().copied().unwrap_or(self.engine);
        }
    }

    /// Lets time pass up to `now`; returns the seconds that passed. After a halt of the program things go on where they
    /// were.
    pub(super) fn tick(&mut self, now: f64) -> f64 {
        let passed = (now - self.now).clamp(0.0, 0.1);
        self.now = now;
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
        passed
    }

    /// Records what is shown now, if a recording runs and a picture is due.
    pub fn record(&mut self, picture: impl FnOnce() -> Option<Picture>) {
        let now = self.now;
        if self.recorder.as_mut().is_some_and(|recorder| recorder.add(now, picture)) {
            self.end_recording();
        }
    }

    pub(super) fn end_recording(&mut self) {
        match self.recorder.take() {
            Some(Recorder { clip, format, .. }) if !clip.is_empty() => {
                self.effect(Effect::SaveClip(clip, super::RECORDING_FPS, format));
            }
            _ => self.say("nothing was recorded", true),
        }
        self.changed();
    }
}
