//! What is on the screen: laid out as a list of items, which are drawn and which the mouse finds.

#[path = "painter.rs"]
mod brush;
#[path = "../scenes/explore/paint.rs"]
mod explore;
#[path = "../scenes/walk/layout.rs"]
mod layout;
#[path = "../scenes/walk/paint.rs"]
mod paint;
#[path = "../shell/model_panel.rs"]
mod panel;

pub use explore::{lay_out as lay_out_explorer, paint as paint_explorer};
pub use layout::lay_out;
pub use paint::paint;

use crate::app::{Action, SliderTarget};
use crate::draw::theme::Color;
use crate::draw::{Rect, TextStyle};

/// A sign on a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A triangle to the right.
    Play,
    /// Two bars.
    Pause,
    /// A triangle to the right with a bar.
    Next,
    /// A triangle to the left with a bar.
    Previous,
    /// Arrows that say which way the walk goes.
    Direction {
        /// From the first key frame to the last.
        forward: bool,
    },
    /// A cross upright.
    Plus,
    /// A line.
    Minus,
    /// A cross.
    Cross,
    /// A disc.
    Record,
    /// A square.
    Stop,
    /// A die.
    Die,
    /// An arrow to the left.
    Earlier,
    /// An arrow to the right.
    Later,
    /// A camera.
    Camera,
    /// An arrow down to a line.
    Save,
    /// An arrow up from a line.
    Load,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A filled area.
    Fill(Color),
    /// A line of text, which starts, ends or is centered at the rectangle's left edge, its baseline at the lower edge.
    Text {
        /// The text.
        text: String,
        /// How it looks.
        style: TextStyle,
    },
    /// A button with a word.
    Button {
        /// The word.
        label: String,
        /// Whether it is chosen.
        on: bool,
        /// What it does.
        action: Action,
    },
    /// A button with a sign.
    Icon {
        /// The sign.
        sign: Sign,
        /// Whether it is chosen.
        on: bool,
        /// What it does.
        action: Action,
    },
    /// A name that opens a list.
    Name {
        /// The name.
        label: String,
        /// Whether the list is shown.
        open: bool,
        /// What it does.
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
        /// What it does.
        action: Action,
    },
    /// A slider.
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
        /// Its index.
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
    /// What it is.
    pub kind: Kind,
    /// The enlargement of the interface.
    pub scale: f32,
}

impl Item {
    /// Whether the mouse does something with it.
    pub fn is_interactive(&self) -> bool {
        !matches!(self.kind, Kind::Fill(_) | Kind::Text { .. } | Kind::Sparkline | Kind::Progress(_))
    }

    /// Where the mouse finds it.
    pub fn hit_area(&self) -> Rect {
        match self.kind {
            Kind::Icon { .. } => self.rect.grown(2.0 * self.scale),
            _ => self.rect,
        }
    }

    /// The part of a slider or the timeline that the pointer moves along.
    pub fn track(&self) -> Rect {
        let s = self.scale;
        match &self.kind {
            Kind::Slider { columns: (left, right), .. } => {
                let Rect { x, y, w, h } = self.rect;
                Rect::new(x + left, y + h / 2.0 - 2.0 * s, (w - left - right).max(1.0), 4.0 * s)
            }
            Kind::Timeline => {
                let side = 32.0 * s;
                Rect::new(self.rect.x + side, self.rect.y, (self.rect.w - 2.0 * side).max(1.0), self.rect.h)
            }
            _ => self.rect,
        }
    }
}
