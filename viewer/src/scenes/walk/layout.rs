//! Where everything is.

use super::panel::ModelPanel;
use super::{Item, Kind, Sign};
use crate::app::{Action, App, Mode, SliderSet, SliderTarget};
use crate::draw::theme::{ALERT, Color, DIM, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Align, Fonts, Rect, TextStyle, Weight};
use crate::model::GeneratorFile;
use crate::record::RecordFormat;
use crate::walk::Interpolation;

/// The bar at the top.
pub(super) const BAR: f32 = 48.0;
/// The panel at the right.
pub(super) const SIDE: f32 = 304.0;
/// The timeline at the bottom.
pub(super) const TIMELINE: f32 = 92.0;
/// The line of figures where the panel at the right has no room.
pub(super) const STATUS: f32 = 26.0;
/// The distance from the edges.
pub(super) const MARGIN: f32 = 20.0;

pub(super) struct Layout<'a> {
    pub(super) items: Vec<Item>,
    pub(super) fonts: &'a Fonts,
    pub(super) scale: f32,
}

/// Lays out a window of `width` by `height` pixels, everything but the images enlarged by `scale`. Sets the app's
/// viewport.
pub fn lay_out(app: &mut App, fonts: &Fonts, width: usize, height: usize, scale: f32) -> Vec<Item> {
    let (w, h, s) = (width as f32, height as f32, scale);
    let mut layout = Layout { items: Vec::new(), fonts, scale };
    // What does not fit is left out, the images never.
    let bar = if app.panels && h >= 240.0 * s { BAR * s } else { 0.0 };
    let timeline = if app.panels && h >= 400.0 * s && w >= 420.0 * s { TIMELINE * s } else { 0.0 };
    let side = if app.panels && w >= 760.0 * s && h >= 480.0 * s { SIDE * s } else { 0.0 };
    let status = status_height(app.panels, side, w, h, s);
    let view = Rect::new(0.0, bar, (w - side).max(1.0), (h - bar - timeline - status).max(1.0));
    let inset = if app.panels { (12.0 * s).min(view.w / 8.0).min(view.h / 8.0).floor() } else { 0.0 };
    app.viewport = match app.mode {
        Mode::Map => view,
        _ => view.grown(-inset),
    };
    layout.push(view, Kind::View);
    if side > 0.0 {
        layout.side(app, Rect::new(w - side, bar, side, h - bar - timeline));
    }
    if status > 0.0 {
        let file = std::sync::Arc::clone(&app.lane.file);
        model_panel(app, &file).lay_out_line(&mut layout, Rect::new(0.0, view.y + view.h, w, status));
    }
    if timeline > 0.0 {
        layout.timeline(app, Rect::new(0.0, h - timeline, w, timeline));
    }
    if bar > 0.0 {
        layout.bar(app, w);
    }
    layout.items
}

/// The height of the line of figures, which is there instead of the panel at the right.
pub(super) fn status_height(panels: bool, side: f32, w: f32, h: f32, s: f32) -> f32 {
    if panels && side == 0.0 && h >= 240.0 * s && w >= 240.0 * s { STATUS * s } else { 0.0 }
}

fn model_panel<'a>(app: &'a App, file: &'a GeneratorFile) -> ModelPanel<'a> {
    let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
        .into_iter()
        .flatten()
        .chain([file.image.to_string().replace('x', "×"), format!("z {}", file.space.size)])
        .collect();
    ModelPanel {
        catalog: &app.catalog,
        path: &file.path,
        name: &file.name,
        about: about.join("  ·  "),
        precision: file.precision,
        bytes: file.bytes,
        engines: &file.engines,
        engine: app.lane.engine,
        threads: app.lane.threads,
        described: app.described(),
        per: if app.mode == Mode::Grid { "per image, last second" } else { "last second" },
        latency: app.figures.latencies.get(app.own_lane()).copied().flatten(),
        figures: &app.figures,
        list: app.list,
        is_short: app.sliders.set != SliderSet::Off,
    }
}

pub(super) fn style(size: f32, weight: Weight, color: Color) -> TextStyle {
    TextStyle { size, weight, color, align: Align::Left }
}

impl Layout<'_> {
    pub(super) fn push(&mut self, rect: Rect, kind: Kind) {
        self.items.push(Item { rect, kind, scale: self.scale });
    }

    /// A line of text at a place, its size given without the enlargement.
    pub(super) fn text(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        let style = TextStyle { size: style.size * self.scale, ..style };
        self.push(Rect::new(x, baseline, 0.0, 0.0), Kind::Text { text: text.into(), style });
    }

    pub(super) fn right(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        self.text(text, x, baseline, TextStyle { align: Align::Right, ..style });
    }

    /// A button as wide as its word; returns where the next one begins.
    pub(super) fn button(&mut self, label: &str, x: f32, y: f32, on: bool, action: Action) -> f32 {
        let s = self.scale;
        let width = self.button_width(label);
        self.push(Rect::new(x, y, width, 26.0 * s), Kind::Button { label: label.into(), on, action });
        x + width + 6.0 * s
    }

    /// Bold words are wider; a button does not change its size when chosen.
    pub(super) fn button_width(&self, label: &str) -> f32 {
        self.fonts.width(label, 13.0 * self.scale, Weight::SemiBold).ceil() + 22.0 * self.scale
    }

    /// The bar at the top with the name, tabs and, if there is room, a button for the help and icons to its left. Returns
    /// the free space between them.
    pub(super) fn tabs<'t>(
        &mut self,
        w: f32,
        tabs: impl Iterator<Item = (&'t str, bool, Action)>,
        help: bool,
        icons: &[(Sign, bool, Action)],
    ) -> (f32, f32) {
        let s = self.scale;
        self.push(Rect::new(0.0, 0.0, w, BAR * s), Kind::Fill(PANEL));
        self.push(Rect::new(0.0, BAR * s - 1.0, w, 1.0), Kind::Fill(LINE));
        let mut x = MARGIN * s;
        if w >= 560.0 * s {
            self.text("latent", x, 31.0 * s, style(19.0, Weight::SemiBold, TEXT));
            x += self.fonts.width("latent", 19.0 * s, Weight::SemiBold) + 24.0 * s;
        }
        for (name, on, action) in tabs {
            x = self.button(name, x, 11.0 * s, on, action);
        }
        let mut right = w - MARGIN * s;
        let width = self.button_width("Help");
        if right - width < x {
            return (x, right);
        }
        right -= width;
        self.button("Help", right, 11.0 * s, help, Action::ToggleHelp);
        right -= 8.0 * s;
        for &(sign, on, action) in icons {
            if right - 26.0 * s < x {
                break;
            }
            right -= 26.0 * s;
            self.push(Rect::new(right, 11.0 * s, 26.0 * s, 26.0 * s), Kind::Icon { sign, on, action });
            right -= 6.0 * s;
        }
        (x, right)
    }

    fn bar(&mut self, app: &App, w: f32) {
        let s = self.scale;
        let tabs = Mode::ALL.into_iter().map(|mode| (mode.name(), app.mode == mode, Action::SetMode(mode)));
        let recording = app.recording.as_ref().map(|(clip, _)| clip.len());
        let on = recording.is_some();
        let sign = if on { Sign::Stop } else { Sign::Record };
        let record = Action::ToggleRecording(RecordFormat::Gif);
        let icons = [(sign, on, record), (Sign::Camera, false, Action::SavePicture)];
        let (left, right) = self.tabs(w, tabs, app.help, &icons);
        let Some(frames) = recording else { return };
        // As much of it as fits.
        let words = [format!("recording · {frames}"), frames.to_string()];
        let fits =
            |text: &&String| self.fonts.width(text, 13.0 * s, Weight::SemiBold) <= right - 8.0 * s - left;
        if let Some(text) = words.iter().find(fits).cloned() {
            self.right(text, right - 6.0 * s, 29.0 * s, style(13.0, Weight::SemiBold, ALERT));
        }
    }

    pub(super) fn heading(&mut self, text: &str, x: f32, y: f32) {
        self.text(text, x, y, style(11.0, Weight::SemiBold, FAINT));
    }

    fn side(&mut self, app: &mut App, rect: Rect) {
        let s = self.scale;
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let width = right - x;
        let bottom = rect.y + rect.h;
        let file = std::sync::Arc::clone(&app.lane.file);
        let Some(mut y) = model_panel(app, &file).lay_out(self, rect) else {
            app.sliders.rows = 0;
            return;
        };

        // The walk.
        if y + 76.0 * s > bottom {
            return;
        }
        self.heading("WALK", x, y);
        let files =
            [(Sign::Load, Action::LoadWalk), (Sign::Save, Action::SaveWalk), (Sign::Die, Action::NewWalk)];
        for (place, (sign, action)) in files.into_iter().enumerate() {
            let left = right - (20.0 + 26.0 * place as f32) * s;
            self.push(
                Rect::new(left, y - 14.0 * s, 20.0 * s, 20.0 * s),
                Kind::Icon { sign, on: false, action },
            );
        }
        y += 12.0 * s;
        let mut left = x;
        for interpolation in Interpolation::ALL {
            let on = app.walk.interpolation == interpolation;
            left = self.button(interpolation.name(), left, y, on, Action::Interpolate(interpolation));
        }
        self.button("loop", left + 10.0 * s, y, app.walk.closed, Action::ToggleClosed);
        y += 38.0 * s;
        let columns = (84.0 * s, 62.0 * s);
        let slider = |layout: &mut Self, y: f32, target, label: &str, value: String, origin| {
            let area = Rect::new(x, y, width, 24.0 * s);
            layout.push(area, Kind::Slider { target, label: label.into(), value, origin, columns });
        };
        let speed = format!("{:.2} /s", app.player.speed());
        slider(self, y, SliderTarget::Speed, "Speed", speed, 0.0);
        y += 26.0 * s;
        if y + 26.0 * s > bottom {
            return;
        }
        let psi = format!("ψ {:.2}", app.truncation);
        slider(self, y, SliderTarget::Truncation, "Truncation", psi, 0.0);

        // Directions.
        y += (18.0 + super::panel::gap(rect.h, s)) * s;
        app.sliders.rows = 0;
        if y + 40.0 * s > bottom {
            return;
        }
        self.heading("SLIDERS", x, y);
        // Below the heading and the buttons.
        app.sliders.rows = ((bottom - y - 56.0 * s) / (24.0 * s)).max(0.0) as usize;
        app.sliders.turn(0, file.space.size);
        let pages = app.sliders.pages(file.space.size);
        if pages > 1 {
            let place = format!("{} of {pages}", app.sliders.page + 1);
            self.right(place, right - 56.0 * s, y, style(12.0, Weight::Regular, FAINT));
            for (offset, sign, turn) in [(46.0, Sign::Previous, -1), (20.0, Sign::Next, 1)] {
                let area = Rect::new(right - offset * s, y - 14.0 * s, 20.0 * s, 20.0 * s);
                self.push(area, Kind::Icon { sign, on: false, action: Action::Page(turn) });
            }
        }
        y += 12.0 * s;
        let mut left = x;
        for set in SliderSet::ALL {
            left = self.button(set.name(), left, y, app.sliders.set == set, Action::Sliders(set));
        }
        y += 36.0 * s;
        if app.sliders.lacks_directions() && app.sliders.rows > 0 {
            self.text("looking for directions …", x, y + 16.0 * s, style(13.0, Weight::Regular, DIM));
        }
        let latent = app.shown.as_ref().map_or(&[][..], |shown| &shown.request.latents);
        for target in app.sliders.targets(file.space.size) {
            let (SliderTarget::Direction(index) | SliderTarget::Latent(index)) = target else { continue };
            let label = match target {
                SliderTarget::Latent(_) => format!("z {index}"),
                _ => format!("{} {}", app.sliders.set.name(), index + 1),
            };
            let value = app.sliders.value(target, &file.space, latent);
            let value = if value == 0.0 { "0.00".into() } else { format!("{value:+.2}").replace('-', "−") };
            slider(self, y, target, &label, value, 0.5);
            y += 24.0 * s;
        }
    }

    pub(super) fn cut(&self, text: &str, size: f32, weight: Weight, width: f32) -> String {
        let fits = |text: &str| self.fonts.width(text, size * self.scale, weight) <= width;
        let mut characters = text.chars().count();
        let mut cut = text.to_owned();
        while characters > 4 && !fits(&cut) {
            characters -= 1;
            cut = crate::text::shortened(text, characters);
        }
        cut
    }

    fn timeline(&mut self, app: &App, rect: Rect) {
        let s = self.scale;
        self.push(rect, Kind::Fill(PANEL));
        self.push(Rect::new(rect.x, rect.y, rect.w, 1.0), Kind::Fill(LINE));
        let middle = rect.y + rect.h / 2.0;
        let icon = |x: f32, side: f32| Rect::new(x, middle - side / 2.0, side, side);
        let playing = app.player.playing && app.mode != Mode::Map;
        let mut x = MARGIN * s;
        let play = if playing { Sign::Pause } else { Sign::Play };
        self.push(icon(x, 40.0 * s), Kind::Icon { sign: play, on: true, action: Action::TogglePlay });
        x += 50.0 * s;
        let forward = app.player.is_forward();
        for (sign, action) in [
            (Sign::Previous, Action::StepKey(false)),
            (Sign::Next, Action::StepKey(true)),
            (Sign::Direction { forward }, Action::Reverse),
        ] {
            self.push(icon(x, 26.0 * s), Kind::Icon { sign, on: false, action });
            x += 32.0 * s;
        }
        let mut end = rect.w - MARGIN * s;
        // From the right; in narrow windows those that matter less are left out.
        for (sign, action, least) in [
            (Sign::Cross, Action::DeleteKey, 0.0),
            (Sign::Later, Action::MoveKey(true), 760.0),
            (Sign::Earlier, Action::MoveKey(false), 760.0),
            (Sign::Die, Action::AddRandomKey, 560.0),
            (Sign::Plus, Action::AddKey, 0.0),
        ] {
            if rect.w < least * s {
                continue;
            }
            end -= 26.0 * s;
            self.push(icon(end, 26.0 * s), Kind::Icon { sign, on: false, action });
            end -= 6.0 * s;
        }
        self.push(Rect::new(x, rect.y, (end - x).max(1.0), rect.h), Kind::Timeline);
    }
}
