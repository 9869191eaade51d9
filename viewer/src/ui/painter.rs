//! What is drawn alike everywhere.

use super::{Item, ItemKind};
use crate::draw::theme::{
    ACCENT, ALERT, BACKGROUND, CONTROL, CONTROL_HOVER, Color, DIM, FAINT, LINE, ON_ACCENT, TEXT,
};
use crate::draw::{Align, Canvas, Fonts, Rect, TextStyle, Weight};
use crate::picture::Picture;
use crate::stats::Durations;

/// Draws text, buttons and frames.
pub struct Painter<'a> {
    pub canvas: &'a mut Canvas,
    pub fonts: &'a mut Fonts,
    /// The enlargement of the interface.
    pub scale: f32,
}

impl Painter<'_> {
    /// A line of text; the size is given without the enlargement.
    pub fn text(
        &mut self,
        text: &str,
        (x, y): (f32, f32),
        size: f32,
        weight: Weight,
        color: Color,
        align: Align,
    ) {
        let style = TextStyle { size: size * self.scale, weight, color, align };
        self.canvas.text(self.fonts, text, x, y, style);
    }

    /// Draws what needs no more than itself; returns whether the item is of that kind.
    pub fn plain(&mut self, item: &Item, hover: bool) -> bool {
        let (rect, s) = (item.rect, self.scale);
        match &item.kind {
            ItemKind::Fill(color) => self.canvas.fill(rect, *color),
            ItemKind::Text { text, style } => self.canvas.text(self.fonts, text, rect.x, rect.y, *style),
            ItemKind::Button { label, on, .. } => {
                let (back, front, weight) = colors(*on, hover);
                self.canvas.round(rect, 7.0 * s, back);
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                self.text(label, (rect.x + rect.w / 2.0, baseline), 13.0, weight, front, Align::Center);
            }
            ItemKind::Row { label, detail, on, .. } => {
                let (back, front, weight) = colors(*on, hover);
                self.canvas.round(rect, 7.0 * s, back);
                let (left, right) = (rect.x + 11.0 * s, rect.x + rect.w - 11.0 * s);
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                self.text(label, (left, baseline), 13.0, weight, front, Align::Left);
                let faint = if *on { front } else { FAINT };
                self.text(detail, (right, baseline), 12.0, Weight::Regular, faint, Align::Right);
            }
            ItemKind::Name { label, open, .. } => {
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
            ItemKind::Icon { icon, on, .. } => self.icon(rect, *icon, *on, hover),
            ItemKind::Progress(fraction) => {
                self.canvas.round(rect, rect.h / 2.0, CONTROL_HOVER);
                let done = Rect::new(rect.x, rect.y, rect.w * fraction.clamp(0.0, 1.0), rect.h);
                self.canvas.round(done, rect.h / 2.0, ACCENT);
            }
            _ => return false,
        }
        true
    }

    /// The last durations as a curve.
    pub fn sparkline(&mut self, rect: Rect, durations: Option<&Durations>) {
        let s = self.scale;
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
    pub fn filled(&mut self, picture: &Picture, rect: Rect) {
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
    pub fn framed(&mut self, picture: &Picture, area: Rect) -> Rect {
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
    pub fn error(&mut self, area: Rect, error: &str) {
        let s = self.scale;
        let width = (area.w - 24.0 * s).clamp(80.0 * s, 640.0 * s);
        let lines = self.wrapped(error, 14.0, width);
        let mut y = area.y + area.h / 2.0 - 10.0 * s * lines.len() as f32;
        for line in lines {
            self.text(&line, (area.x + area.w / 2.0, y), 14.0, Weight::Regular, ALERT, Align::Center);
            y += 21.0 * s;
        }
    }

    pub fn wrapped(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let joined = lines.last().map(|line| format!("{line} {word}"));
            match (joined, lines.last_mut()) {
                (Some(joined), Some(last))
                    if self.fonts.width(&joined, size * self.scale, Weight::Regular) <= width =>
                {
                    *last = joined;
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines.truncate(12);
        lines
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
