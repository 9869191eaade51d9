//! What is drawn alike everywhere.

use super::{Item, Kind, Sign};
use crate::app::{Help, Message, hint};
use crate::draw::theme::{
    ACCENT, ALERT, BACKGROUND, CONTROL, CONTROL_HOVER, Color, DIM, FAINT, LINE, ON_ACCENT, PANEL, TEXT,
};
use crate::draw::{Align, Canvas, Fonts, Rect, TextStyle, Weight};
use crate::picture::Picture;
use crate::stats::Durations;

/// Draws text, buttons and frames.
pub(super) struct Brush<'a> {
    pub(super) canvas: &'a mut Canvas,
    pub(super) fonts: &'a mut Fonts,
    /// The enlargement of the interface.
    pub(super) s: f32,
}

impl Brush<'_> {
    /// A line of text; the size is given without the enlargement.
    pub(super) fn text(
        &mut self,
        text: &str,
        (x, y): (f32, f32),
        size: f32,
        weight: Weight,
        color: Color,
        align: Align,
    ) {
        let style = TextStyle { size: size * self.s, weight, color, align };
        self.canvas.text(self.fonts, text, x, y, style);
    }

    /// Draws what needs no more than itself; returns whether the item is of that kind.
    pub(super) fn plain(&mut self, item: &Item, hover: bool) -> bool {
        let (rect, s) = (item.rect, self.s);
        match &item.kind {
            Kind::Fill(color) => self.canvas.fill(rect, *color),
            Kind::Text { text, style } => self.canvas.text(self.fonts, text, rect.x, rect.y, *style),
            Kind::Button { label, on, .. } => {
                let (back, front, weight) = colors(*on, hover);
                self.canvas.round(rect, 7.0 * s, back);
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                self.text(label, (rect.x + rect.w / 2.0, baseline), 13.0, weight, front, Align::Center);
            }
            Kind::Row { label, detail, on, .. } => {
                let (back, front, weight) = colors(*on, hover);
                self.canvas.round(rect, 7.0 * s, back);
                let (left, right) = (rect.x + 11.0 * s, rect.x + rect.w - 11.0 * s);
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                self.text(label, (left, baseline), 13.0, weight, front, Align::Left);
                let faint = if *on { front } else { FAINT };
                self.text(detail, (right, baseline), 12.0, Weight::Regular, faint, Align::Right);
            }
            Kind::Name { label, open, .. } => {
                if hover {
                    self.canvas.round(rect.grown(4.0 * s), 7.0 * s, CONTROL);
                }
                let baseline = rect.y + 19.0 * s;
                self.text(label, (rect.x, baseline), 17.0, Weight::SemiBold, TEXT, Align::Left);
                let (x, y) = (rect.x + rect.w - 10.0 * s, rect.y + rect.h / 2.0);
                let d = if *open { -2.5 * s } else { 2.5 * s };
                let points = [(x - 5.0 * s, y - d), (x, y + d), (x + 5.0 * s, y - d)];
                self.canvas.line(&points, 1.8 * s, if hover { TEXT } else { DIM });
            }
            Kind::Icon { sign, on, .. } => self.icon(rect, *sign, *on, hover),
            Kind::Progress(fraction) => {
                self.canvas.round(rect, rect.h / 2.0, CONTROL_HOVER);
                let done = Rect::new(rect.x, rect.y, rect.w * fraction.clamp(0.0, 1.0), rect.h);
                self.canvas.round(done, rect.h / 2.0, ACCENT);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn icon(&mut self, rect: Rect, sign: Sign, on: bool, hover: bool) {
        let s = self.s;
        let (cx, cy) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
        let is_record = matches!(sign, Sign::Record | Sign::Stop);
        let (back, front) = match (on, hover) {
            (true, _) if is_record => (ALERT.with_alpha(60), ALERT),
            (true, false) => (ACCENT, ON_ACCENT),
            (true, true) => (Color(0xff8a_c6ff), ON_ACCENT),
            (false, true) => (CONTROL_HOVER, if is_record { ALERT } else { TEXT }),
            (false, false) => (CONTROL, if is_record { ALERT } else { DIM }),
        };
        let radius = if rect.w > 30.0 * s { rect.w / 2.0 } else { 7.0 * s };
        self.canvas.round(rect, radius, back);
        // A unit suits a button of 26 pixels.
        let u = rect.w.min(34.0 * s) / 26.0;
        let bar = |x: f32, y: f32, w: f32, h: f32| Rect::new(cx + x * u, cy + y * u, w * u, h * u);
        let triangle = |x: f32, way: f32| {
            [
                (cx + (x - 3.5 * way) * u, cy - 5.0 * u),
                (cx + (x + 4.5 * way) * u, cy),
                (cx + (x - 3.5 * way) * u, cy + 5.0 * u),
            ]
        };
        match sign {
            Sign::Play => self.canvas.polygon(&triangle(0.5, 1.0), front),
            Sign::Pause => {
                self.canvas.round(bar(-4.5, -5.0, 3.2, 10.0), 1.0 * u, front);
                self.canvas.round(bar(1.3, -5.0, 3.2, 10.0), 1.0 * u, front);
            }
            Sign::Next => {
                self.canvas.polygon(&triangle(-1.0, 0.9), front);
                self.canvas.round(bar(3.4, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Sign::Previous => {
                self.canvas.polygon(&triangle(1.0, -0.9), front);
                self.canvas.round(bar(-5.2, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Sign::Direction { forward } => {
                let way = if forward { 1.0 } else { -1.0 };
                for x in [-3.2, 3.2] {
                    let points = [
                        (cx + (x - 2.2 * way) * u, cy - 4.2 * u),
                        (cx + (x + 2.2 * way) * u, cy),
                        (cx + (x - 2.2 * way) * u, cy + 4.2 * u),
                    ];
                    self.canvas.line(&points, 1.8 * u, front);
                }
            }
            Sign::Plus | Sign::Minus => {
                self.canvas.round(bar(-5.0, -0.9, 10.0, 1.8), 0.9 * u, front);
                if sign == Sign::Plus {
                    self.canvas.round(bar(-0.9, -5.0, 1.8, 10.0), 0.9 * u, front);
                }
            }
            Sign::Cross => {
                let d = 3.8 * u;
                self.canvas.line(&[(cx - d, cy - d), (cx + d, cy + d)], 1.8 * u, front);
                self.canvas.line(&[(cx - d, cy + d), (cx + d, cy - d)], 1.8 * u, front);
            }
            Sign::Record => self.canvas.disc(cx, cy, 5.0 * u, front),
            Sign::Die => {
                self.canvas.round(bar(-5.5, -5.5, 11.0, 11.0), 2.6 * u, front);
                for at in [-2.6, 0.0, 2.6] {
                    self.canvas.disc(cx + at * u, cy + at * u, 1.15 * u, back);
                }
            }
            Sign::Earlier | Sign::Later => {
                let way = if sign == Sign::Later { u } else { -u };
                self.canvas.line(&[(cx - 4.8 * way, cy), (cx + 4.2 * way, cy)], 1.8 * u, front);
                let head =
                    [(cx + 0.8 * way, cy - 4.0 * u), (cx + 4.8 * way, cy), (cx + 0.8 * way, cy + 4.0 * u)];
                self.canvas.line(&head, 1.8 * u, front);
            }
            Sign::Camera => {
                self.canvas.round(bar(-2.8, -5.4, 5.6, 4.0), 1.2 * u, front);
                self.canvas.round(bar(-6.2, -3.7, 12.4, 9.0), 2.0 * u, front);
                self.canvas.disc(cx, cy + 0.8 * u, 2.9 * u, back);
                self.canvas.disc(cx, cy + 0.8 * u, 1.5 * u, front);
            }
            Sign::Save | Sign::Load => {
                let (tail, tip, way) = if sign == Sign::Save { (-5.4, 2.0, -u) } else { (2.4, -5.0, u) };
                let tip = cy + tip * u;
                self.canvas.line(&[(cx, cy + tail * u), (cx, tip)], 1.8 * u, front);
                let head = [(cx - 3.4 * u, tip + 3.4 * way), (cx, tip), (cx + 3.4 * u, tip + 3.4 * way)];
                self.canvas.line(&head, 1.8 * u, front);
                self.canvas.round(bar(-5.4, 4.4, 10.8, 1.8), 0.9 * u, front);
            }
            Sign::Stop => self.canvas.round(bar(-4.0, -4.0, 8.0, 8.0), 1.5 * u, front),
        }
    }

    /// What the button with a sign under the pointer does, beside it.
    pub(super) fn tooltip(&mut self, item: &Item) {
        let (s, rect) = (self.s, item.rect);
        let Kind::Icon { action, on, .. } = &item.kind else { return };
        let Some((what, key)) = hint(*action, *on) else { return };
        let (words, keys) = (
            self.fonts.width(what, 13.0 * s, Weight::Regular),
            self.fonts.width(key, 12.0 * s, Weight::SemiBold),
        );
        let (w, h) = (words + keys + 34.0 * s, 28.0 * s);
        let (width, height) = (self.canvas.width() as f32, self.canvas.height() as f32);
        let x = (rect.x + rect.w / 2.0 - w / 2.0).min(width - w - 6.0 * s).max(6.0 * s).floor();
        let below = rect.y + rect.h / 2.0 < height / 2.0;
        let y = if below { rect.y + rect.h + 8.0 * s } else { rect.y - 8.0 * s - h }.floor();
        let card = Rect::new(x, y, w, h);
        self.canvas.round(card.grown(1.0), 8.0 * s, FAINT.with_alpha(120));
        self.canvas.round(card, 7.0 * s, CONTROL);
        let baseline = y + h / 2.0 + 4.6 * s;
        self.text(what, (x + 12.0 * s, baseline), 13.0, Weight::Regular, TEXT, Align::Left);
        self.text(key, (x + w - 12.0 * s, baseline), 12.0, Weight::SemiBold, ACCENT, Align::Right);
    }

    /// The last durations as a curve.
    pub(super) fn sparkline(&mut self, rect: Rect, durations: Option<&Durations>) {
        let s = self.s;
        self.canvas.round(rect, 6.0 * s, BACKGROUND);
        let samples: Vec<f64> = durations.iter().flat_map(|durations| durations.curve()).collect();
        if samples.len() < 2 {
            return;
        }
        // One slow run must not press all others to the floor: the scale is that of the 95th percentile.
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let top = 1.35 * sorted[(sorted.len() * 95 / 100).min(sorted.len() - 1)].max(1e-9);
        let inner = rect.grown(-(5.0 * s).min(rect.h / 7.0));
        let step = inner.w / (crate::stats::CURVE - 1) as f32;
        let first = inner.x + inner.w - step * (samples.len() - 1) as f32;
        let points: Vec<(f32, f32)> = samples
            .iter()
            .enumerate()
            .map(|(index, &value)| {
                let height = (value / top).min(1.0) as f32;
                (first + step * index as f32, inner.y + inner.h * (1.0 - height))
            })
            .collect();
        let mut area = points.clone();
        area.extend([(inner.x + inner.w, inner.y + inner.h), (first, inner.y + inner.h)]);
        self.canvas.polygon(&area, ACCENT.with_alpha(36));
        self.canvas.line(&points, 1.5 * s, ACCENT);
        let (x, y) = points[points.len() - 1];
        self.canvas.disc(x, y, 2.5 * s, TEXT);
    }

    /// A picture that fills a square, by the nearest pixels; small pictures need no more.
    pub(super) fn filled(&mut self, picture: &Picture, rect: Rect) {
        let (w, h) = (rect.w as usize, rect.h as usize);
        let mut out = Picture::black(w, h, picture.channels);
        for y in 0..h {
            for x in 0..w {
                let source = ((y * picture.height / h.max(1)) * picture.width + x * picture.width / w.max(1))
                    * picture.channels;
                let target = (y * w + x) * picture.channels;
                let pixels = picture.pixels.get(source..source + picture.channels);
                if let (Some(pixels), Some(to)) =
                    (pixels, out.pixels.get_mut(target..target + picture.channels))
                {
                    to.copy_from_slice(pixels);
                }
            }
        }
        self.canvas.picture(&out, rect.x as i32, rect.y as i32, 1, rect);
    }

    /// A picture as large as it gets by a whole number, with a line around it.
    pub(super) fn framed(&mut self, picture: &Picture, area: Rect) -> Rect {
        let (w, h) = (picture.width.max(1), picture.height.max(1));
        let scale = (area.w as usize / w).min(area.h as usize / h);
        let size = |n: usize| if scale >= 1 { (n * scale) as f32 } else { 0.0 };
        let (pw, ph) = (size(w), size(h));
        let place =
            Rect::new((area.x + (area.w - pw) / 2.0).floor(), (area.y + (area.h - ph) / 2.0).floor(), pw, ph);
        if scale >= 1 {
            self.canvas.frame(place.grown(1.0), LINE);
            self.canvas.picture(picture, place.x as i32, place.y as i32, scale, area.grown(1.0));
            place
        } else {
            self.canvas.fitted(picture, area);
            area
        }
    }

    /// What went wrong, in the middle of an area.
    pub(super) fn error(&mut self, area: Rect, error: &str) {
        let s = self.s;
        let width = (area.w - 24.0 * s).clamp(80.0 * s, 640.0 * s);
        let lines = self.wrapped(error, 14.0, width);
        let mut y = area.y + area.h / 2.0 - 10.0 * s * lines.len() as f32;
        for line in lines {
            self.text(&line, (area.x + area.w / 2.0, y), 14.0, Weight::Regular, ALERT, Align::Center);
            y += 21.0 * s;
        }
    }

    pub(super) fn wrapped(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let joined = lines.last().map(|line| format!("{line} {word}"));
            match (joined, lines.last_mut()) {
                (Some(joined), Some(last))
                    if self.fonts.width(&joined, size * self.s, Weight::Regular) <= width =>
                {
                    *last = joined;
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines.truncate(12);
        lines
    }

    /// A line of text over the lower edge of the images.
    pub(super) fn message(&mut self, message: Option<&Message>, view: Rect) {
        let s = self.s;
        let Some(message) = message else { return };
        let lines = self.wrapped(&message.text, 14.0, (view.w - 80.0 * s).max(120.0 * s));
        let widest =
            lines.iter().map(|line| self.fonts.width(line, 14.0 * s, Weight::Regular)).fold(0.0, f32::max);
        let (w, h) = (widest + 36.0 * s, 20.0 * s * lines.len() as f32 + 18.0 * s);
        let rect = Rect::new(view.x + (view.w - w) / 2.0, view.y + view.h - h - 16.0 * s, w, h);
        self.canvas.round(rect.grown(1.0), h.min(40.0 * s) / 2.0, LINE);
        self.canvas.round(rect, h.min(40.0 * s) / 2.0, PANEL);
        let color = if message.is_error { ALERT } else { TEXT };
        for (index, line) in lines.iter().enumerate() {
            let y = rect.y + 23.5 * s + 20.0 * s * index as f32;
            self.text(line, (rect.x + w / 2.0, y), 14.0, Weight::Regular, color, Align::Center);
        }
    }

    /// Keys and mouse in two columns of so many sections.
    pub(super) fn help(&mut self, help: Help, columns: [&[usize]; 2]) {
        let (w, h) = (self.canvas.width() as f32, self.canvas.height() as f32);
        self.canvas.fill(Rect::new(0.0, 0.0, w, h), Color(0xd00a_0c10));
        // Smaller if the window is.
        let shrink = (w / 900.0).min(h / 560.0).min(self.s);
        let before = std::mem::replace(&mut self.s, shrink);
        let s = self.s;
        let card =
            Rect::new(((w - 860.0 * s) / 2.0).floor(), ((h - 520.0 * s) / 2.0).floor(), 860.0 * s, 520.0 * s);
        self.canvas.round(card.grown(1.0), 15.0 * s, LINE);
        self.canvas.round(card, 14.0 * s, PANEL);
        let (left, top) = (card.x + 36.0 * s, card.y + 46.0 * s);
        self.text("Keys and mouse", (left, top), 20.0, Weight::SemiBold, TEXT, Align::Left);
        for (column, sections) in columns.iter().enumerate() {
            let x = left + 410.0 * s * column as f32;
            let mut y = top + 38.0 * s;
            for &(title, lines) in sections.iter().filter_map(|&index| help.get(index)) {
                self.text(title, (x, y), 12.0, Weight::SemiBold, ACCENT, Align::Left);
                y += 21.0 * s;
                for &(keys, what) in lines {
                    self.text(keys, (x, y), 13.0, Weight::SemiBold, TEXT, Align::Left);
                    self.text(what, (x + 104.0 * s, y), 13.0, Weight::Regular, DIM, Align::Left);
                    y += 19.5 * s;
                }
                y += 13.0 * s;
            }
        }
        self.s = before;
    }
}

/// Back, front and weight of a button.
fn colors(on: bool, hover: bool) -> (Color, Color, Weight) {
    match (on, hover) {
        (true, _) => (ACCENT, ON_ACCENT, Weight::SemiBold),
        (false, true) => (CONTROL_HOVER, TEXT, Weight::Regular),
        (false, false) => (CONTROL, DIM, Weight::Regular),
    }
}
