//! A scene in its shell.

use super::keys::BINDINGS;
use super::model_panel::{self, BAR, MARGIN, ROW, SIDE, STATUS};
use super::{Effect, OpenScene, Outcome, Recorder, Scene, Shell};
use crate::action::{Action, ShellAction};
use crate::draw::theme::{ALERT, BACKGROUND, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Canvas, Fonts, Rect, Weight};
use crate::input::{Binding, KeyEvent, PointerEvent, Trigger};
use crate::model::ModelFile;
use crate::ui::{Item, ItemKind, Layout, Painter, style};

/// How far the panel at the right is scrolled by a notch of the wheel, and by a page.
const NOTCH: f32 = 48.0;
const PAGE: f32 = 240.0;

pub struct Viewer<S: ?Sized = dyn Scene> {
    pub shell: Shell,
    /// What is on the screen.
    pub items: Vec<Item>,
    pub scene: Box<S>,
    /// The scenes of other kinds of models, as they were left.
    left: Vec<Box<dyn Scene>>,
}

impl<S: Scene + 'static> Viewer<S> {
    pub fn new(shell: Shell, scene: S) -> Self {
        Self { shell, items: Vec::new(), scene: Box::new(scene), left: Vec::new() }
    }

    /// The same, whatever its scene is.
    pub fn of_any_scene(self) -> Viewer {
        Viewer { shell: self.shell, items: self.items, scene: self.scene, left: self.left }
    }
}

impl Viewer {
    /// Shows a model that this scene gave back: in the scene of its kind as it was left, else in a new one.
    pub fn change_scene(mut self, file: ModelFile, open: OpenScene) -> Self {
        self.close();
        let mut shell = self.shell.for_scene(file.engines());
        let mut left = self.left;
        let mut file = file;
        for place in 0..left.len() {
            match left[place].set_model(&mut shell, file) {
                Some(other) => file = other,
                None => {
                    let scene = std::mem::replace(&mut left[place], self.scene);
                    return Viewer { shell, items: Vec::new(), scene, left };
                }
            }
        }
        let mut viewer = open(shell, file);
        left.push(self.scene);
        viewer.left = left;
        viewer
    }
}

impl<S: Scene + ?Sized> Viewer<S> {
    pub fn key_event(&mut self, event: KeyEvent, now: f64) {
        let Some(trigger) = self.shell.keyboard.event(event) else { return };
        if let Some((action, repeats)) = self.bound(trigger) {
            if repeats {
                self.shell.keyboard.repeat(trigger, now);
            }
            self.apply(action);
        }
    }

    /// Does what a held key is due to do at `now`.
    pub fn repeat_keys(&mut self, now: f64) {
        let trigger = self.shell.keyboard.repeated(now);
        if let Some((action, true)) = trigger.and_then(|trigger| self.bound(trigger)) {
            self.apply(action);
        }
    }

    /// The keys of every scene, and of this one.
    pub fn bindings(&self) -> impl Iterator<Item = &'static Binding<Action>> {
        BINDINGS.iter().chain(self.scene.bindings())
    }

    /// What a key does, and whether it repeats.
    pub fn bound(&self, trigger: Trigger) -> Option<(Action, bool)> {
        let found = self.bindings().find(|binding| binding.trigger == trigger);
        found.map(|binding| (binding.action, binding.repeats))
    }

    pub fn pointer_event(&mut self, event: PointerEvent) {
        let shell = &mut self.shell;
        match event {
            PointerEvent::Move(x, y) => {
                let area = |item: Option<&Item>| item.map(|item| item.rect);
                let left = area(shell.pointer.over(&self.items));
                shell.pointer.before = shell.pointer.at.replace((x, y));
                if left != area(shell.pointer.over(&self.items)) {
                    shell.changed();
                }
            }
            PointerEvent::Leave => {
                shell.pointer.at = None;
                shell.changed();
            }
            PointerEvent::Press => {
                if shell.pointer.at.is_none() {
                    return;
                }
                shell.pointer.is_pressed = true;
                // A click beside the help closes it.
                if shell.help {
                    return self.apply(ShellAction::ToggleHelp);
                }
                if let Some(action) = shell.pointer.over(&self.items).and_then(Item::action) {
                    return self.apply(action);
                }
            }
            PointerEvent::Release => {
                if std::mem::take(&mut shell.pointer.is_pressed) {
                    shell.changed();
                }
            }
            PointerEvent::Lost => shell.pointer.is_pressed = false,
            PointerEvent::RightPress => {}
            PointerEvent::Wheel(turned) => {
                shell.pointer.wheel += turned;
                let notches = shell.pointer.wheel.trunc();
                shell.pointer.wheel -= notches;
                let over = |rect: Rect| shell.pointer.at.is_some_and(|(x, y)| rect.contains(x, y));
                if shell.scrolled.is_some_and(over) {
                    shell.scroll = (shell.scroll - NOTCH * turned).max(0.0);
                    shell.changed();
                } else if notches != 0.0 {
                    // Beyond this nobody can tell.
                    let event = PointerEvent::Wheel(notches.clamp(-20.0, 20.0));
                    self.scene.pointer_event(shell, event, &self.items);
                }
                return;
            }
        }
        self.scene.pointer_event(&mut self.shell, event, &self.items);
    }

    /// Lets time pass up to `now`, in seconds.
    pub fn tick(&mut self, now: f64) {
        let passed = self.shell.tick(now);
        self.scene.tick(&mut self.shell, passed);
    }

    pub fn receive(&mut self, outcome: Outcome) {
        self.scene.receive(&mut self.shell, outcome);
    }

    /// Shows another model; gives back one that is another scene's.
    pub fn set_model(&mut self, file: ModelFile) -> Option<ModelFile> {
        self.scene.set_model(&mut self.shell, file)
    }

    pub fn is_playing(&self) -> bool {
        self.scene.is_playing(&self.shell)
    }

    /// Whether something moves, so that pictures must come regularly.
    pub fn is_moving(&self) -> bool {
        self.is_playing() || self.shell.pointer.is_pressed
    }

    pub fn apply(&mut self, action: impl Into<Action>) {
        self.shell.changed();
        match action.into() {
            Action::Shell(action) => self.apply_shell(action),
            action => self.scene.apply(&mut self.shell, action),
        }
    }

    fn apply_shell(&mut self, action: ShellAction) {
        let shell = &mut self.shell;
        let model = self.scene.model();
        let own = model.path;
        match action {
            ShellAction::NextModel(places) => match shell.catalog.next(own, places).cloned() {
                Some(path) => shell.effect(Effect::Open(path)),
                None => shell.say("there is one model in this folder", false),
            },
            ShellAction::OpenModel(index) => {
                (shell.list, shell.scroll) = (false, 0.0);
                if let Some(path) = shell.catalog.paths.get(index).filter(|path| *path != own).cloned() {
                    shell.effect(Effect::Open(path));
                }
            }
            ShellAction::OpenVariant(index) => {
                let path = shell.catalog.variants(own).nth(index).filter(|path| *path != own).cloned();
                if let Some(path) = path {
                    shell.effect(Effect::Open(path));
                }
            }
            ShellAction::NextPrecision => match shell.catalog.next_variant(own).cloned() {
                Some(path) => shell.effect(Effect::Open(path)),
                None => shell.say("this model is there in one precision", false),
            },
            ShellAction::NextEngine => {
                let index = model.engines.iter().position(|&engine| engine == shell.engine).unwrap_or(0);
                let next = (index + 1) % model.engines.len().max(1);
                if next == index {
                    shell.say("this build has one back end for this file", false);
                }
                self.set_engine(next);
            }
            ShellAction::SetEngine(index) => self.set_engine(index),
            ShellAction::Threads(more) => {
                let threads = (shell.threads as i64 + i64::from(more)).clamp(0, 64) as usize;
                if threads != shell.threads {
                    shell.threads = threads;
                    self.scene.engine_changed(shell);
                }
            }
            ShellAction::SavePicture => match self.scene.picture() {
                Some(picture) => shell.effect(Effect::SavePicture(picture)),
                None => shell.say("there is no image to save yet", true),
            },
            ShellAction::ToggleRecording(format) => match shell.recorder {
                Some(_) => shell.end_recording(),
                None => shell.recorder = Some(Recorder::new(format, shell.now)),
            },
            ShellAction::ToggleList => {
                shell.list = !shell.list;
                let own = shell.catalog.paths.iter().position(|path| path == own).unwrap_or(0);
                // With some of those before it.
                shell.scroll = if shell.list { own.saturating_sub(3) as f32 * ROW } else { 0.0 };
            }
            ShellAction::ToggleEngine => shell.engine_open = !shell.engine_open,
            ShellAction::Page(pages) => shell.scroll = (shell.scroll + PAGE * pages as f32).max(0.0),
            ShellAction::TogglePanels => shell.panels = !shell.panels,
            ShellAction::ToggleHelp => shell.help = !shell.help,
            ShellAction::Back if shell.help => shell.help = false,
            ShellAction::Back if shell.list => (shell.list, shell.scroll) = (false, 0.0),
            ShellAction::Back if shell.recorder.is_some() => shell.end_recording(),
            ShellAction::Back if self.scene.back() => {}
            ShellAction::Back if !shell.panels => shell.panels = true,
            ShellAction::Back | ShellAction::Quit => {
                self.close();
                self.shell.effect(Effect::Quit);
            }
        }
    }

    /// What was recorded is saved before the window goes.
    pub fn close(&mut self) {
        if self.shell.recorder.is_some() {
            self.shell.end_recording();
        }
    }

    fn set_engine(&mut self, index: usize) {
        let engines = self.scene.model().engines;
        if let Some(&engine) = engines.get(index).filter(|&&engine| engine != self.shell.engine) {
            self.shell.engine = engine;
            self.scene.engine_changed(&mut self.shell);
        }
    }

    /// Lays out a window of `width` by `height` pixels, everything but the images enlarged by `scale`.
    pub fn lay_out(&mut self, fonts: &Fonts, width: usize, height: usize, scale: f32) {
        let (w, h, s) = (width as f32, height as f32, scale);
        let mut layout = Layout { items: Vec::new(), fonts, scale };
        let (shell, scene) = (&mut self.shell, &mut *self.scene);
        // What does not fit is left out, the images never.
        let panels = shell.panels;
        let bar = if panels && h >= 240.0 * s { BAR * s } else { 0.0 };
        let bottom = if panels { scene.bottom_height(w, h, s) } else { 0.0 };
        let roomy = w >= 760.0 * s && h >= 480.0 * s;
        // Where it has no room, the panel comes over the images while a model is chosen.
        let side = if panels && (roomy || shell.list) { (SIDE * s).min(w) } else { 0.0 };
        // The line of figures is there instead of the panel at the right.
        let has_status = panels && !roomy && h >= 240.0 * s && w >= 240.0 * s;
        let status = if has_status { STATUS * s } else { 0.0 };
        let view = Rect::new(
            0.0,
            bar,
            (if roomy { w - side } else { w }).max(1.0),
            (h - bar - bottom - status).max(1.0),
        );
        layout.push(view, ItemKind::View);
        scene.lay_out_view(shell, &mut layout, view);
        if side > 0.0 {
            lay_out_panel(
                shell,
                scene,
                &mut layout,
                Rect::new(w - side, bar, side, view.h.max(h - bar - bottom - status)),
            );
        } else {
            shell.scrolled = None;
        }
        if status > 0.0 {
            let rect = Rect::new(0.0, view.y + view.h, w, status);
            model_panel::lay_out_line(shell, &scene.model(), &mut layout, rect);
        }
        if bottom > 0.0 {
            scene.lay_out_bottom(shell, &mut layout, Rect::new(0.0, h - bottom, w, bottom));
        }
        if bar > 0.0 {
            lay_out_bar(shell, scene, &mut layout, w);
        }
        self.items = layout.items;
    }

    /// Draws what was laid out.
    pub fn paint(&self, canvas: &mut Canvas, fonts: &mut Fonts, scale: f32) {
        let shell = &self.shell;
        canvas.clear(BACKGROUND);
        let mut painter = Painter { canvas, fonts, scale };
        // Nothing is under the pointer while the help is over it.
        let over = shell.pointer.over(&self.items).filter(|_| !shell.help);
        for item in &self.items {
            let hover = over.is_some_and(|over| std::ptr::eq(over, item));
            if item.kind == ItemKind::Sparkline {
                painter.sparkline(item.rect, shell.latencies.get(self.scene.model().latency));
            } else if !painter.plain(item, hover) {
                self.scene.paint(shell, &mut painter, item, hover);
            }
        }
        painter.message(shell.message.as_ref(), shell.viewport);
        if let Some(item) = over {
            painter.tooltip(item);
        }
        if shell.help {
            painter.help(self.scene.help());
        }
    }
}

/// The panel at the right: what is in view of the model and of what the scene has there.
fn lay_out_panel<S: Scene + ?Sized>(shell: &mut Shell, scene: &S, layout: &mut Layout<'_>, rect: Rect) {
    let s = layout.scale;
    model_panel::lay_out_back(layout, rect);
    let first = layout.items.len();
    // Once more if it was scrolled beyond its end.
    let longest = loop {
        layout.items.truncate(first);
        let content = Rect { y: rect.y - shell.scroll * s, ..rect };
        let end = match model_panel::lay_out(shell, &scene.model(), layout, content) {
            Ok(top) => scene.lay_out_side(shell, layout, content, top),
            Err(end) => end,
        };
        let longest = ((end + 12.0 * s - content.y - rect.h) / s).max(0.0).floor();
        if shell.scroll <= longest {
            break longest;
        }
        shell.scroll = longest;
    };
    shell.scrolled = (longest > 0.0).then_some(rect);
    let mut place = 0;
    layout.items.retain(|item| {
        place += 1;
        // A text's rectangle is its baseline.
        let above = if matches!(item.kind, ItemKind::Text { .. }) { 10.0 * s } else { 0.0 };
        place <= first || (item.rect.y - above >= rect.y && item.rect.y + item.rect.h <= rect.y + rect.h)
    });
    if longest > 0.0 {
        let whole = rect.h + longest * s;
        let (top, height) = (rect.h * shell.scroll * s / whole, rect.h * rect.h / whole);
        let bar = Rect::new(rect.x + rect.w - 4.0 * s, (rect.y + top).floor(), 3.0 * s, height.floor());
        layout.push(bar, ItemKind::Fill(FAINT.with_alpha(140)));
    }
}

/// The bar at the top with the name, tabs and, as far as there is room, a button for the help, icons to its left, and
/// how long a recording is.
fn lay_out_bar<S: Scene + ?Sized>(shell: &Shell, scene: &S, layout: &mut Layout<'_>, w: f32) {
    let s = layout.scale;
    layout.push(Rect::new(0.0, 0.0, w, BAR * s), ItemKind::Fill(PANEL));
    layout.push(Rect::new(0.0, BAR * s - 1.0, w, 1.0), ItemKind::Fill(LINE));
    let mut x = MARGIN * s;
    if w >= 560.0 * s {
        layout.text("latent", x, 31.0 * s, style(19.0, Weight::SemiBold, TEXT));
        x += layout.fonts.width("latent", 19.0 * s, Weight::SemiBold) + 24.0 * s;
    }
    for (name, on, action) in scene.tabs() {
        x = layout.button(name, x, 11.0 * s, on, action);
    }
    let mut right = w - MARGIN * s;
    let width = layout.button_width("Help");
    if right - width >= x {
        right -= width;
        layout.button("Help", right, 11.0 * s, shell.help, ShellAction::ToggleHelp.into());
        right -= 8.0 * s;
        for (icon, on, action) in scene.icons(shell) {
            if right - 26.0 * s < x {
                break;
            }
            right -= 26.0 * s;
            layout.icon(Rect::new(right, 11.0 * s, 26.0 * s, 26.0 * s), icon, on, action);
            right -= 6.0 * s;
        }
    }
    let Some(frames) = shell.recorder.as_ref().map(|recorder| recorder.clip.len()) else { return };
    // As much of it as fits.
    let words = [format!("recording · {frames}"), frames.to_string()];
    let fits = |text: &&String| layout.fonts.width(text, 13.0 * s, Weight::SemiBold) <= right - 8.0 * s - x;
    if let Some(text) = words.iter().find(fits).cloned() {
        layout.right(text, right - 6.0 * s, 29.0 * s, style(13.0, Weight::SemiBold, ALERT));
    }
}
