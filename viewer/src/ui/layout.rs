//! Where everything is.

use super::{Item, Kind, Sign};
use crate::app::{Action, App, Mode, SliderSet, SliderTarget};
use crate::draw::theme::{ALERT, Colour, DIM, FAINT, LINE, PANEL, TEXT, WARM};
use crate::draw::{Align, Fonts, Rect, TextStyle, Weight};
use crate::text;
use crate::walk::Interpolation;

/// The bar at the top.
const BAR: f32 = 48.0;
/// The panel at the right.
const SIDE: f32 = 304.0;
/// The timeline at the bottom.
const TIMELINE: f32 = 92.0;
/// The distance from the edges.
const MARGIN: f32 = 20.0;

struct Layout<'a> {
    items: Vec<Item>,
    fonts: &'a Fonts,
    scale: f32,
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

fn style(size: f32, weight: Weight, colour: Colour) -> TextStyle {
    TextStyle { size, weight, colour, align: Align::Left }
}

impl Layout<'_> {
    fn push(&mut self, rect: Rect, kind: Kind) {
        self.items.push(Item { rect, kind, scale: self.scale });
    }

    /// A line of text at a place, its size given without the enlargement.
    fn text(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        let style = TextStyle { size: style.size * self.scale, ..style };
        self.push(Rect::new(x, baseline, 0.0, 0.0), Kind::Text { text: text.into(), style });
    }

    fn right(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        self.text(text, x, baseline, TextStyle { align: Align::Right, ..style });
    }

    /// A button as wide as its word; returns where the next one begins.
    fn button(&mut self, label: &str, x: f32, y: f32, on: bool, action: Action) -> f32 {
        let s = self.scale;
        // Bold words are wider; the button does not change its size when chosen.
        let width = self.fonts.width(label, 13.0 * s, Weight::SemiBold).ceil() + 22.0 * s;
        self.push(Rect::new(x, y, width, 26.0 * s), Kind::Button { label: label.into(), on, action });
        x + width + 6.0 * s
    }

    fn bar(&mut self, app: &App, w: f32, wide: bool) {
        let s = self.scale;
        self.push(Rect::new(0.0, 0.0, w, BAR * s), Kind::Fill(PANEL));
        self.push(Rect::new(0.0, BAR * s - 1.0, w, 1.0), Kind::Fill(LINE));
        let mut x = MARGIN * s;
        if w >= 560.0 * s {
            self.text("latent", x, 31.0 * s, style(19.0, Weight::SemiBold, TEXT));
            x += self.fonts.width("latent", 19.0 * s, Weight::SemiBold) + 24.0 * s;
        }
        for mode in Mode::ALL {
            x = self.button(mode.name(), x, 11.0 * s, app.mode == mode, Action::SetMode(mode));
        }
        let right = w - MARGIN * s;
        if !wide && w < 640.0 * s {
            return;
        }
        let hint = "H  help";
        self.right(hint, right, 30.0 * s, style(13.0, Weight::Regular, FAINT));
        let left = right - self.fonts.width(hint, 13.0 * s, Weight::Regular) - 20.0 * s;
        let recording = app.recording.as_ref().map(Vec::len);
        let sign = if recording.is_some() { Sign::Stop } else { Sign::Record };
        let on = recording.is_some();
        self.push(
            Rect::new(left - 26.0 * s, 11.0 * s, 26.0 * s, 26.0 * s),
            Kind::Icon { sign, on, action: Action::ToggleRecording },
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

    fn heading(&mut self, text: &str, x: f32, y: f32) {
        self.text(text, x, y, style(11.0, Weight::SemiBold, FAINT));
    }

    fn side(&mut self, app: &mut App, rect: Rect) {
        let s = self.scale;
        self.push(rect, Kind::Fill(PANEL));
        self.push(Rect::new(rect.x, rect.y, 1.0, rect.h), Kind::Fill(LINE));
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let width = right - x;
        let bottom = rect.y + rect.h;
        let file = std::sync::Arc::clone(&app.lane.file);

        // The model.
        let mut y = rect.y + 28.0 * s;
        self.heading("MODEL", x, y);
        if app.catalogue.paths.len() > 1 {
            let index = app.catalogue.paths.iter().position(|path| *path == file.path).unwrap_or(0) + 1;
            let place = format!("{index} of {}", app.catalogue.paths.len());
            self.right(place, right - 56.0 * s, y, style(12.0, Weight::Regular, FAINT));
            for (offset, sign, places) in [(46.0, Sign::Previous, -1), (20.0, Sign::Next, 1)] {
                let area = Rect::new(right - offset * s, y - 14.0 * s, 20.0 * s, 20.0 * s);
                self.push(area, Kind::Icon { sign, on: false, action: Action::NextModel(places) });
            }
        }
        y += 25.0 * s;
        self.text(
            self.cut(&file.name, 17.0, Weight::SemiBold, width),
            x,
            y,
            style(17.0, Weight::SemiBold, TEXT),
        );
        y += 20.0 * s;
        let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
            .into_iter()
            .flatten()
            .chain([file.image.to_string().replace('x', "×"), format!("z {}", file.space.size)])
            .collect();
        self.text(
            self.cut(&about.join("  ·  "), 13.0, Weight::Regular, width),
            x,
            y,
            style(13.0, Weight::Regular, DIM),
        );
        y += 19.0 * s;
        let made_of = format!("{}  ·  {}", file.precision, text::size(file.bytes));
        self.text(made_of, x, y, style(13.0, Weight::Regular, DIM));

        // What runs it.
        y += 34.0 * s;
        self.heading("ENGINE", x, y);
        y += 12.0 * s;
        let mut left = x;
        for (index, engine) in file.engines.iter().enumerate() {
            left = self.button(engine.name(), left, y, *engine == app.lane.engine, Action::SetEngine(index));
        }
        let threads = match app.lane.threads {
            0 => "auto threads".into(),
            1 => "1 thread".into(),
            n => format!("{n} threads"),
        };
        let icon = |offset: f32| Rect::new(right - offset * s, y + 2.0 * s, 22.0 * s, 22.0 * s);
        self.push(icon(22.0), Kind::Icon { sign: Sign::Plus, on: false, action: Action::Threads(1) });
        self.right(threads, right - 29.0 * s, y + 17.5 * s, style(13.0, Weight::Regular, DIM));
        let minus = 29.0 + self.fonts.width("auto threads", 13.0 * s, Weight::Regular) / s + 28.0;
        self.push(icon(minus), Kind::Icon { sign: Sign::Minus, on: false, action: Action::Threads(-1) });

        // How fast.
        y += 60.0 * s;
        self.heading("LATENCY", x, y);
        let per = if app.mode == Mode::Grid { "per image, last second" } else { "last second" };
        self.right(per, right, y, style(12.0, Weight::Regular, FAINT));
        y += 30.0 * s;
        let figures = app.figures.latencies.get(app.own_lane()).copied().flatten();
        let (p50, p99) = match figures {
            Some((p50, p99)) => (text::duration(p50), text::duration(p99)),
            None => ("idle".into(), String::new()),
        };
        let large = style(24.0, Weight::SemiBold, if figures.is_some() { TEXT } else { FAINT });
        self.text(p50.clone(), x, y, large);
        if figures.is_some() {
            let after = x + self.fonts.width(&p50, 24.0 * s, Weight::SemiBold) + 8.0 * s;
            self.text("p50", after, y, style(12.0, Weight::Regular, DIM));
            self.right(format!("p99  {p99}"), right, y, style(14.0, Weight::SemiBold, WARM));
        }
        y += 12.0 * s;
        self.push(Rect::new(x, y, width, 46.0 * s), Kind::Sparkline);
        y += 66.0 * s;
        let fps = match app.figures.fps {
            0 => "still".into(),
            fps => format!("{fps} fps"),
        };
        self.text(fps, x, y, style(13.0, Weight::Regular, DIM));
        if let Some(p99) = app.figures.frame_p99 {
            self.right(
                format!("frame p99  {}", text::duration(p99)),
                right,
                y,
                style(13.0, Weight::Regular, DIM),
            );
        }

        // The walk.
        y += 34.0 * s;
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

    fn cut(&self, text: &str, size: f32, weight: Weight, width: f32) -> String {
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
        let playing = app.player.playing;
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
