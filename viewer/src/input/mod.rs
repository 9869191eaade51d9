//! What keyboard and mouse did, whatever window says so and whatever is made of it.

mod keyboard;
mod pointer;

pub use keyboard::{Binding, KeyEvent, Keyboard, Trigger};
pub use pointer::PointerEvent;
