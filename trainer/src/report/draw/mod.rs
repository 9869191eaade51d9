//! A small drawing base for charts: an anti-aliased canvas, text in an embedded font, scales and ticks, panels.
//!
//! All lengths are in points of the finished picture; a canvas is drawn at two pixels a point, so that it is sharp on dense
//! screens and on paper. Nothing of the system is used (no fonts, no display).

mod axis;
mod canvas;
mod font;
mod panel;

pub use self::axis::{Axis, decimals_for, grouped};
pub use self::canvas::{Canvas, Color, Frame, Pen, Picture};
pub use self::font::{Anchor, Weight, text_width, wrap};
pub use self::panel::Panel;

/// The palette: text, lines of the frame, and series that are told apart also with weak color vision.
pub mod palette {
    use super::Color;

    /// Main text.
    pub const INK: Color = Color::rgb(0x1f, 0x29, 0x37);
    /// Secondary text.
    pub const SOFT: Color = Color::rgb(0x6b, 0x72, 0x80);
    pub const GRID: Color = Color::rgb(0xe9, 0xec, 0xf0);
    /// Axis lines.
    pub const FRAME: Color = Color::rgb(0xb8, 0xbf, 0xc9);
    /// First series.
    pub const BLUE: Color = Color::rgb(0x25, 0x63, 0xeb);
    /// Second series.
    pub const ORANGE: Color = Color::rgb(0xe8, 0x6a, 0x0c);
    /// Third series.
    pub const GREEN: Color = Color::rgb(0x0d, 0x94, 0x6e);
    /// Warnings.
    pub const RED: Color = Color::rgb(0xd0, 0x1f, 0x2f);
    /// Background.
    pub const PAPER: Color = Color::rgb(0xff, 0xff, 0xff);

    /// Ten classes.
    const CLASSES: [Color; 10] = [
        BLUE,
        ORANGE,
        Color::rgb(0x2c, 0xa0, 0x2c),
        Color::rgb(0xd6, 0x27, 0x28),
        Color::rgb(0x8b, 0x5c, 0xd6),
        Color::rgb(0x8c, 0x56, 0x4b),
        Color::rgb(0xe3, 0x6b, 0xc4),
        Color::rgb(0x64, 0x69, 0x70),
        Color::rgb(0xb5, 0xa6, 0x00),
        Color::rgb(0x12, 0xb5, 0xcb),
    ];

    /// The color of a class. From the eleventh on, the ten come again, lighter and lighter.
    pub fn class(index: usize) -> Color {
        let round = (index / CLASSES.len()).min(3);
        CLASSES[index % CLASSES.len()].mixed(PAPER, 0.2 * round as f32)
    }
}
