//! What the window shows: a generator's walk, or an encoder's map.

use crate::app::{Action, App, BINDINGS, Binding, EXPLORE_BINDINGS, Effect, PointerEvent};
use crate::draw::{Canvas, Fonts};
use crate::explore::{Explorer, Images};
use crate::model::{Catalog, ModelFile};
use crate::stats::Durations;
use crate::ui::{self, Item};
use crate::walk::{Interpolation, Walk};

/// One or the other.
pub enum Stage {
    /// A generator's walk.
    Walk(Box<App>),
    /// An encoder's map.
    Explore(Box<Explorer>),
}

/// Key frames of the walk that begins when one comes from an encoder to a generator.
const KEY_FRAMES: usize = 8;

impl Stage {
    /// What is to be done outside since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        match self {
            Self::Walk(app) => app.take_effects(),
            Self::Explore(explorer) => explorer.take_effects(),
        }
    }

    /// Lets time pass up to `now`, in seconds.
    pub fn tick(&mut self, now: f64) {
        match self {
            Self::Walk(app) => app.tick(now),
            Self::Explore(explorer) => explorer.tick(now),
        }
    }

    /// Does it.
    pub fn apply(&mut self, action: Action) {
        match self {
            Self::Walk(app) => app.apply(action),
            Self::Explore(explorer) => explorer.apply(action),
        }
    }

    /// Takes what the mouse did; `items` is what is on the screen.
    pub fn pointer_event(&mut self, event: PointerEvent, items: &[Item]) {
        match self {
            Self::Walk(app) => app.pointer_event(event, items),
            Self::Explore(explorer) => explorer.pointer_event(event, items),
        }
    }

    /// The window lost the mouse with a button held.
    pub fn release_pointer(&mut self) {
        match self {
            Self::Walk(app) => app.release_pointer(),
            Self::Explore(explorer) => explorer.release_pointer(),
        }
    }

    /// Whether the mouse holds something.
    pub fn is_dragging(&self) -> bool {
        match self {
            Self::Walk(app) => app.pointer.is_dragging(),
            Self::Explore(explorer) => explorer.is_dragging(),
        }
    }

    /// Whether the mouse is in the window.
    pub fn has_pointer(&self) -> bool {
        match self {
            Self::Walk(app) => app.pointer.at.is_some(),
            Self::Explore(explorer) => explorer.pointer.is_some(),
        }
    }

    /// Whether something moves by itself, so that every picture differs from the one before.
    pub fn is_playing(&self) -> bool {
        match self {
            Self::Walk(app) => app.is_playing(),
            Self::Explore(explorer) => explorer.is_moving() && !explorer.is_dragging(),
        }
    }

    /// Whether something moves, so that pictures must come regularly.
    pub fn is_moving(&self) -> bool {
        match self {
            Self::Walk(app) => app.is_moving(),
            Self::Explore(explorer) => explorer.is_moving(),
        }
    }

    /// Whether something is awaited from another thread than the one that makes images.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Explore(explorer) if explorer.is_busy())
    }

    /// Grows with every change that can be seen.
    pub fn version(&self) -> u64 {
        match self {
            Self::Walk(app) => app.version,
            Self::Explore(explorer) => explorer.version,
        }
    }

    /// The times from picture to picture on the screen.
    pub fn frames(&mut self) -> &mut Durations {
        match self {
            Self::Walk(app) => &mut app.frames,
            Self::Explore(explorer) => &mut explorer.frames,
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Walk(app) => &app.lane.file.name,
            Self::Explore(explorer) => &explorer.file.name,
        }
    }

    /// The models to switch between.
    pub fn catalog(&mut self) -> &mut Catalog {
        match self {
            Self::Walk(app) => &mut app.catalog,
            Self::Explore(explorer) => &mut explorer.catalog,
        }
    }

    /// The keys.
    pub fn bindings(&self) -> &'static [Binding] {
        match self {
            Self::Walk(_) => BINDINGS,
            Self::Explore(_) => EXPLORE_BINDINGS,
        }
    }

    /// Shows a line of text for a while.
    pub fn say(&mut self, text: impl Into<String>, is_error: bool) {
        match self {
            Self::Walk(app) => app.say(text, is_error),
            Self::Explore(explorer) => explorer.say(text, is_error),
        }
    }

    /// Shows another model, which may be of the other kind; `images` is what an encoder is given then.
    pub fn set_model(&mut self, file: ModelFile, images: Option<&Images>) {
        match (&mut *self, file) {
            (Self::Walk(app), ModelFile::Generator(file)) => app.set_model(file),
            (Self::Explore(explorer), ModelFile::Encoder(file)) => explorer.set_model(file),
            (Self::Walk(app), ModelFile::Encoder(file)) => {
                let mut catalog = std::mem::take(&mut app.catalog);
                catalog.add(&file.path);
                let engine = file.engines.first().copied().unwrap_or(app.lane.engine);
                let mut explorer = Explorer::new(catalog, file, engine, app.lane.threads, images.cloned());
                (explorer.panels, explorer.now, explorer.pointer) = (app.panels, app.now, app.pointer.at);
                explorer.version = app.version + 1;
                *self = Self::Explore(Box::new(explorer));
            }
            (Self::Explore(explorer), ModelFile::Generator(file)) => {
                let mut catalog = std::mem::take(&mut explorer.catalog);
                catalog.add(&file.path);
                let engine = file.engines.first().copied().unwrap_or(explorer.engine);
                let walk = Walk::random(file.space, 0, KEY_FRAMES, Interpolation::Slerp);
                let mut app = App::new(catalog, file, engine, walk, 0);
                app.lane.threads = explorer.threads;
                (app.panels, app.now, app.pointer.at) = (explorer.panels, explorer.now, explorer.pointer);
                app.version = explorer.version + 1;
                *self = Self::Walk(Box::new(app));
            }
        }
    }

    /// Lays out a window.
    pub fn lay_out(&mut self, fonts: &Fonts, width: usize, height: usize, scale: f32) -> Vec<Item> {
        match self {
            Self::Walk(app) => ui::lay_out(app, fonts, width, height, scale),
            Self::Explore(explorer) => ui::lay_out_explorer(explorer, fonts, width, height, scale),
        }
    }

    /// Draws what was laid out.
    pub fn paint(&self, items: &[Item], canvas: &mut Canvas, fonts: &mut Fonts, scale: f32) {
        match self {
            Self::Walk(app) => ui::paint(app, items, canvas, fonts, scale),
            Self::Explore(explorer) => ui::paint_explorer(explorer, items, canvas, fonts, scale),
        }
    }
}
