//! What is drawn over everything: messages, tooltips, the help.

use super::Message;
use crate::draw::theme::{ACCENT, ALERT, CONTROL, Color, DIM, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Align, Rect, Weight};
use crate::ui::{Item, ItemKind, Painter};

/// A title, and keys with what they do.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// Two columns.
pub type Help = [&'static [Section]; 2];

impl Painter<'_> {
    /// What the button with an icon under the pointer does, beside it.
    pub(super) fn tooltip(&mut self, item: &Item) {
        let (s, rect) = (self.scale, item.rect);
        let ItemKind::Icon { action, on, .. } = &item.kind else { return };
        let Some((what, key)) = action.hint(*on) else { return };
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

    /// A line of text over the lower edge of the images.
    pub(super) fn message(&mut self, message: Option<&Message>, view: Rect) {
        let s = self.scale;
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

    /// Keys and mouse.
    pub(super) fn help(&mut self, help: &Help) {
        let (w, h) = (self.canvas.width() as f32, self.canvas.height() as f32);
        self.canvas.fill(Rect::new(0.0, 0.0, w, h), Color(0xd00a_0c10));
        // Smaller if the window is.
        let shrink = (w / 900.0).min(h / 560.0).min(self.scale);
        let before = std::mem::replace(&mut self.scale, shrink);
        let s = self.scale;
        let card =
            Rect::new(((w - 860.0 * s) / 2.0).floor(), ((h - 520.0 * s) / 2.0).floor(), 860.0 * s, 520.0 * s);
        self.canvas.round(card.grown(1.0), 15.0 * s, LINE);
        self.canvas.round(card, 14.0 * s, PANEL);
        let (left, top) = (card.x + 36.0 * s, card.y + 46.0 * s);
        self.text("Keys and mouse", (left, top), 20.0, Weight::SemiBold, TEXT, Align::Left);
        for (column, sections) in help.iter().enumerate() {
            let x = left + 410.0 * s * column as f32;
            let mut y = top + 38.0 * s;
            for &(title, lines) in sections.iter() {
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
        self.scale = before;
    }
}
