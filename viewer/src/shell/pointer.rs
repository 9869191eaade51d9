//! Where the mouse is.

use crate::ui::Item;

#[derive(Clone, Debug, Default)]
pub struct Pointer {
    /// Its place, if it is in the window.
    pub at: Option<(f32, f32)>,
    /// Where it was before it moved there.
    pub before: Option<(f32, f32)>,
    /// Whether the left button is down.
    pub is_pressed: bool,
    /// Wheel turned, less than a notch.
    pub(super) wheel: f32,
}

impl Pointer {
    /// The item under it that it does something with.
    pub fn over<'i>(&self, items: &'i [Item]) -> Option<&'i Item> {
        Item::at(items, self.at?)
    }
}
