//! Laying out.

use super::{Icon, Item, ItemKind};
use crate::action::Action;
use crate::draw::theme::{Color, FAINT};
use crate::draw::{Align, Fonts, Rect, TextStyle, Weight};

/// The items so far.
pub struct Layout<'a> {
    pub items: Vec<Item>,
    pub fonts: &'a Fonts,
    /// The enlargement of the interface.
    pub scale: f32,
}

/// Text that begins at its place; the size is given without the enlargement.
pub fn style(size: f32, weight: Weight, color: Color) -> TextStyle {
    TextStyle { size, weight, color, align: Align::Left }
}

impl Layout<'_> {
    pub fn push(&mut self, rect: Rect, kind: ItemKind) {
        self.items.push(Item { rect, kind, scale: self.scale });
    }

    /// A line of text at a place, its size given without the enlargement.
    pub fn text(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        let style = TextStyle { size: style.size * self.scale, ..style };
        self.push(Rect::new(x, baseline, 0.0, 0.0), ItemKind::Text { text: text.into(), style });
    }

    pub fn right(&mut self, text: impl Into<String>, x: f32, baseline: f32, style: TextStyle) {
        self.text(text, x, baseline, TextStyle { align: Align::Right, ..style });
    }

    /// A button as wide as its word; returns where the next one begins.
    pub fn button(&mut self, label: &str, x: f32, y: f32, on: bool, action: Action) -> f32 {
        let s = self.scale;
        let width = self.button_width(label);
        self.push(Rect::new(x, y, width, 26.0 * s), ItemKind::Button { label: label.into(), on, action });
        x + width + 6.0 * s
    }

    /// Bold words are wider; a button does not change its size when chosen.
    pub fn button_width(&self, label: &str) -> f32 {
        self.fonts.width(label, 13.0 * self.scale, Weight::SemiBold).ceil() + 22.0 * self.scale
    }

    pub fn heading(&mut self, text: &str, x: f32, y: f32) {
        self.text(text, x, y, style(11.0, Weight::SemiBold, FAINT));
    }

    pub fn cut(&self, text: &str, size: f32, weight: Weight, width: f32) -> String {
        let fits = |text: &str| self.fonts.width(text, size * self.scale, weight) <= width;
        let mut characters = text.chars().count();
        let mut cut = text.to_owned();
        while characters > 4 && !fits(&cut) {
            characters -= 1;
            cut = crate::text::shortened(text, characters);
        }
        cut
    }

    pub fn icon(&mut self, rect: Rect, icon: Icon, on: bool, action: Action) {
        self.push(rect, ItemKind::Icon { icon, on, action });
    }
}
