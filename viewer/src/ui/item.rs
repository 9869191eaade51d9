//! What the screen is made of.

use super::Icon;
use crate::action::{Action, SliderTarget};
use crate::draw::theme::Color;
use crate::draw::{Rect, TextStyle};

#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    Fill(Color),
    /// A line of text, which starts, ends or is centered at the rectangle's left edge, its baseline at the lower edge.
    Text {
        text: String,
        /// How it looks.
        style: TextStyle,
    },
    Button {
        /// The word.
        label: String,
        /// Whether it is chosen.
        on: bool,
        action: Action,
    },
    Icon {
        icon: Icon,
        /// Whether it is chosen.
        on: bool,
        action: Action,
    },
    /// A name that opens a list.
    Name {
        /// The name.
        label: String,
        /// Whether the list is shown.
        open: bool,
        action: Action,
    },
    /// A line of a list.
    Row {
        /// The text.
        label: String,
        /// The text at the right.
        detail: String,
        /// Whether it is chosen.
        on: bool,
        action: Action,
    },
    Slider {
        /// What it changes.
        target: SliderTarget,
        /// The text on its left.
        label: String,
        /// The text on its right.
        value: String,
        /// Where its filled part begins, as a fraction.
        origin: f32,
        /// The width of the texts' columns.
        columns: (f32, f32),
    },
    /// The latencies of the last frames.
    Sparkline,
    /// How much is done, as a fraction.
    Progress(f32),
    /// An image of an encoder's folder, enlarged as it fits.
    Sample {
        index: usize,
        /// What is written below it.
        caption: String,
    },
    /// The walk with its key frames.
    Timeline,
    /// The images.
    View,
}

/// Something on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it is.
    pub rect: Rect,
    pub kind: ItemKind,
    /// The enlargement of the interface.
    pub scale: f32,
}

impl Item {
    /// The item at a place that the mouse does something with.
    pub fn at(items: &[Self], (x, y): (f32, f32)) -> Option<&Self> {
        items.iter().rev().find(|item| item.is_interactive() && item.hit_area().contains(x, y))
    }

    /// What a press on it does, if it is always the same.
    pub fn action(&self) -> Option<Action> {
        match &self.kind {
            ItemKind::Button { action, .. }
            | ItemKind::Icon { action, .. }
            | ItemKind::Row { action, .. }
            | ItemKind::Name { action, .. } => Some(*action),
            _ => None,
        }
    }

    /// Whether the mouse does something with it.
    pub fn is_interactive(&self) -> bool {
        !matches!(
            self.kind,
            ItemKind::Fill(_) | ItemKind::Text { .. } | ItemKind::Sparkline | ItemKind::Progress(_)
        )
    }

    /// Where the mouse finds it.
    pub fn hit_area(&self) -> Rect {
        match self.kind {
            ItemKind::Icon { .. } => self.rect.grown(2.0 * self.scale),
            _ => self.rect,
        }
    }

    /// The part of a slider or the timeline that the pointer moves along.
    pub fn track(&self) -> Rect {
        let s = self.scale;
        match &self.kind {
            ItemKind::Slider { columns: (left, right), .. } => {
                let Rect { x, y, w, h } = self.rect;
                Rect::new(x + left, y + h / 2.0 - 2.0 * s, (w - left - right).max(1.0), 4.0 * s)
            }
            ItemKind::Timeline => {
                let side = 32.0 * s;
                Rect::new(self.rect.x + side, self.rect.y, (self.rect.w - 2.0 * side).max(1.0), self.rect.h)
            }
            _ => self.rect,
        }
    }
}
