//! The mouse on an encoder's map.

use super::{Explorer, View};
use crate::app::{Action, PointerEvent};
use crate::ui::{Item, Kind};

/// What the mouse holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drag {
    /// The map, pressed there; whether it was moved since.
    Map { from: (f32, f32), moved: bool },
    /// Nothing that moves.
    Nothing,
}

/// Less is a click.
const CLICK: f32 = 4.0;

impl Explorer {
    /// Takes what the mouse did; `items` is what is on the screen.
    pub fn pointer_event(&mut self, event: PointerEvent, items: &[Item]) {
        let over = |(x, y): (f32, f32)| {
            items.iter().rev().find(|item| item.is_interactive() && item.hit_area().contains(x, y))
        };
        match event {
            PointerEvent::Move(x, y) => {
                let before = self.pointer.replace((x, y));
                let area = |at: Option<(f32, f32)>| at.and_then(over).map(|item| item.rect);
                if area(before) != area(Some((x, y))) {
                    self.changed();
                }
                if let Some(Drag::Map { from, moved }) = &mut self.drag {
                    *moved |= (x - from.0).abs().max((y - from.1).abs()) >= CLICK;
                    if *moved {
                        let (px, py) = before.unwrap_or((x, y));
                        self.map.pan(self.viewport, x - px, y - py);
                        self.changed();
                    }
                }
                self.hover_over(items);
            }
            PointerEvent::Leave => {
                self.pointer = None;
                self.changed();
            }
            PointerEvent::Press => {
                let Some(at) = self.pointer else { return };
                self.drag = Some(Drag::Nothing);
                // A click beside the help closes it.
                if self.help {
                    return self.apply(Action::ToggleHelp);
                }
                match over(at).map(|item| &item.kind) {
                    Some(
                        Kind::Button { action, .. }
                        | Kind::Icon { action, .. }
                        | Kind::Row { action, .. }
                        | Kind::Name { action, .. },
                    ) => self.apply(*action),
                    Some(Kind::Sample { index, .. }) => self.apply(Action::Ask(*index)),
                    Some(Kind::View) if self.view == View::Map => {
                        self.drag = Some(Drag::Map { from: at, moved: false });
                    }
                    _ => {}
                }
            }
            PointerEvent::Release => {
                let was_click = matches!(self.drag, Some(Drag::Map { moved: false, .. }));
                if self.drag.take().is_some() {
                    self.changed();
                }
                if was_click {
                    match self.under_pointer() {
                        Some(index) => {
                            self.query = Some(index);
                            self.pinned = true;
                        }
                        None => self.pinned = false,
                    }
                }
                self.hover_over(items);
            }
            PointerEvent::RightPress => {
                if self.pinned {
                    self.apply(Action::TogglePin);
                }
            }
            PointerEvent::Wheel(turned) => {
                self.wheel += turned;
                let notches = self.wheel.trunc();
                self.wheel -= notches;
                let Some(at) = self.pointer else { return };
                let is_map =
                    matches!(over(at).map(|item| &item.kind), Some(Kind::View)) && self.view == View::Map;
                if notches != 0.0 && is_map {
                    self.map.zoom(self.viewport, notches.clamp(-20.0, 20.0) as i32, at);
                    self.changed();
                }
            }
        }
    }

    /// The window lost the mouse with a button held.
    pub fn release_pointer(&mut self) {
        self.drag = None;
    }

    fn under_pointer(&self) -> Option<usize> {
        let (_, width, height) = self.tile();
        self.map.at(self.viewport, self.pointer?, (width, height))
    }

    fn hover_over(&mut self, items: &[Item]) {
        let Some((x, y)) = self.pointer else { return };
        let top = items.iter().rev().find(|item| item.is_interactive() && item.hit_area().contains(x, y));
        if top.is_some_and(|item| matches!(item.kind, Kind::View)) {
            self.hover();
        }
    }

    /// The image under the pointer is asked about, unless one stays with another.
    pub(super) fn hover(&mut self) {
        let drags = matches!(self.drag, Some(Drag::Map { moved: true, .. }));
        let on_view = self.pointer.is_some_and(|(x, y)| self.viewport.contains(x, y));
        if self.pinned || drags || !on_view || self.view != View::Map || self.help {
            return;
        }
        if let Some(index) = self.under_pointer()
            && self.query != Some(index)
        {
            self.query = Some(index);
            self.changed();
        }
    }
}
