//! What is on the screen: laid out as a list of items, which are drawn and which the mouse finds. Shell and scenes lay
//! out their own.

mod icon;
mod item;
mod layout;
mod painter;

pub use icon::Icon;
pub use item::{Item, ItemKind};
pub use layout::{Layout, style};
pub use painter::Painter;
