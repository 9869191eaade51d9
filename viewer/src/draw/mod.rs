//! Drawing into a buffer of pixels; no window is needed.

mod canvas;
mod font;
pub mod theme;

pub use canvas::{Align, Canvas, Rect, TextStyle};
pub use font::{Fonts, Weight};
