//! Where everything is.

use super::panel::ModelPanel;
use super::{Item, Kind, Sign};
use crate::app::{Action, App, Mode, SliderSet, SliderTarget};
use crate::draw::theme::{ALERT, Colour, DIM, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Align, Fonts, Rect, TextStyle, Weight};
use crate::record::RecordFormat;
use crate::text;
use crate::walk::Interpolation;

/// The bar at the top.
pub(super) const BAR: f32 = 48.0;
/// The panel at the right.
pub(super) const SIDE: f32 = 304.0;
/// The timeline at the bottom.
pub(super) const TIMELINE: f32 = 92.0;
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
    let view = Rect::new(0.0, bar, (w - side).max(1.0), (h - bar - timeline).max(1.0));
    let inset = if app.panels { (12.0 * s).min(view.w / 8.0).min(view.h / 8.0).floor() } else { 0.0 };
    app.viewport = match app.mode {
        Mode::Map => view,
        _ => view.grown(-inset),
    };
    layout.push(view, Kind::View);
    if side > 0.0 {
        layout.side(app, Rect::new(w - side, bar, side, h - bar - timeline));
    }
    if timeline > 0.0 {
        layout.timeline(app, Rect::new(0.0, h - timeline, w, timeline));
    }
    if bar > 0.0 {
        layout.bar(app, w, side > 0.0);
    }
    layout.items
}

pub(super) fn style(size: f32, weight: Weight, colour: Colour) -> TextStyle {
    TextStyle { size, weight, colour, align: Align::Left }
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

    /// The bar at the top with the name and tabs. Returns where the hint at its right begins, if there is one.
    pub(super) fn tabs<'t>(
        &mut self,
        w: f32,
        wide: bool,
        tabs: impl Iterator<Item = (&'t str, bool, Action)>,
    ) -> Option<f32> {
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
        if !wide && w < 640.0 * s {
            return None;
        }
        let (hint, right) = ("H  help", w - MARGIN * s);
        self.right(hint, right, 30.0 * s, style(13.0, Weight::Regular, FAINT));
        Some(right - self.fonts.width(hint, 13.0 * s, Weight::Regular) - 20.0 * s)
    }

    fn bar(&mut self, app: &App, w: f32, wide: bool) {
        let s = self.scale;
        let tabs = Mode::ALL.into_iter().map(|mode| (mode.name(), app.mode == mode, Action::SetMode(mode)));
        let Some(left) = self.tabs(w, wide, tabs) else { return };
        let recording = app.recording.as_ref().map(|(clip, _)| clip.len());
        let on = recording.is_some();
        let sign = if on { Sign::Stop } else { Sign::Record };
        self.push(
            Rect::new(left - 26.0 * s, 11.0 * s, 26.0 * s, 26.0 * s),
            Kind::Icon { sign, on, action: Action::ToggleRecording(RecordFormat::Gif) },
        );
        if let Some(frames) = recording {
            self.right(
                format!("recording · {frames}"),
                left - 36.0 * s,
                30.0 * s,
                style(13.0, Weight::SemiBold, ALERT),
            );
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
        let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
            .into_iter()
            .flatten()
            .chain([file.image.to_string().replace('x', "×"), format!("z {}", file.space.size)])
            .collect();
        let panel = ModelPanel {
            catalogue: &app.catalogue,
            path: &file.path,
            name: &file.name,
            about: about.join("  ·  "),
            made_of: format!("{}  ·  {}", file.precision, text::size(file.bytes)),
            engines: &file.engines,
            engine: app.lane.engine,
            threads: app.lane.threads,
            described: app.described(),
            per: if app.mode == Mode::Grid { "per image, last second" } else { "last second" },
            latency: app.figures.latencies.get(app.own_lane()).copied().flatten(),
            figures: &app.figures,
            list: app.list,
        };
        let Some(mut y) = panel.lay_out(self, rect) else {
            app.sliders.rows = 0;
            return;
        };

        // The walk.
        if y + 76.0 * s > bottom {
            return;
        }
        self.heading("WALK", x, y);
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
        y += 52.0 * s;
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
        for (sign, action) in [(Sign::Cross, Action::DeleteKey), (Sign::Plus, Action::AddRandomKey)] {
            end -= 26.0 * s;
            self.push(icon(end, 26.0 * s), Kind::Icon { sign, on: false, action });
            end -= 6.0 * s;
        }
        self.push(Rect::new(x, rect.y, (end - x).max(1.0), rect.h), Kind::Timeline);
    }
}
