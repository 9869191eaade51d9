//! The mouse.

use super::{Action, App, Mode, SliderTarget};
use crate::ui::{Item, Kind};

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PointerEvent {
    /// It is here now.
    Move(f32, f32),
    /// It left the window.
    Leave,
    /// The left button went down.
    Press,
    /// The left button went up.
    Release,
    /// The right button went down.
    RightPress,
    /// The wheel was turned, upwards if positive.
    Wheel(f32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Drag {
    Slider(SliderTarget),
    Timeline,
    Map,
    Nothing,
}

/// Where the mouse is and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Pointer {
    /// Its place, if it is in the window.
    pub at: Option<(f32, f32)>,
    drag: Option<Drag>,
    /// Wheel turned, less than a notch.
    wheel: f32,
}

impl Pointer {
    /// Whether something is being dragged.
    pub fn is_dragging(&self) -> bool {
        self.drag.is_some()
    }

    /// Whether this slider is being dragged.
    pub fn holds(&self, target: SliderTarget) -> bool {
        self.drag == Some(Drag::Slider(target))
    }
}

impl App {
    /// Takes what the mouse did; `items` is what is on the screen.
    pub fn pointer_event(&mut self, event: PointerEvent, items: &[Item]) {
        let over = |(x, y): (f32, f32)| {
            items.iter().rev().find(|item| item.is_interactive() && item.hit_area().contains(x, y))
        };
        match event {
            PointerEvent::Move(x, y) => {
                let before = self.pointer.at.replace((x, y));
                let area = |at: Option<(f32, f32)>| at.and_then(over).map(|item| item.rect);
                if area(before) != area(Some((x, y))) {
                    self.changed();
                }
                self.drag_to(before.unwrap_or((x, y)), (x, y), items);
                self.hover(items);
            }
            PointerEvent::Leave => {
                self.pointer.at = None;
                self.map.hover = None;
                self.changed();
            }
            PointerEvent::Press => {
                let Some(at) = self.pointer.at else { return };
                // A click beside the help closes it.
                if self.help {
                    self.apply(Action::ToggleHelp);
                    self.pointer.drag = Some(Drag::Nothing);
                    return;
                }
                self.pointer.drag = Some(match over(at).map(|item| &item.kind) {
                    Some(
                        Kind::Button { action, .. }
                        | Kind::Icon { action, .. }
                        | Kind::Row { action, .. }
                        | Kind::Name { action, .. },
                    ) => {
                        self.apply(*action);
                        Drag::Nothing
                    }
                    Some(Kind::Slider { target, .. }) => Drag::Slider(*target),
                    Some(Kind::Timeline) => Drag::Timeline,
                    Some(Kind::View) if self.mode == Mode::Map => Drag::Map,
                    _ => Drag::Nothing,
                });
                self.drag_to(at, at, items);
            }
            PointerEvent::Release => {
                if self.pointer.drag.take().is_some() {
                    self.changed();
                }
                self.hover(items);
            }
            PointerEvent::RightPress => match self.pointer.at.and_then(over).map(|item| &item.kind) {
                Some(Kind::Slider { target, .. }) => self.reset_slider(*target),
                Some(Kind::View) if self.mode == Mode::Map => self.apply(Action::AddKey),
                _ => {}
            },
            PointerEvent::Wheel(turned) => {
                self.pointer.wheel += turned;
                let notches = self.pointer.wheel.trunc();
                self.pointer.wheel -= notches;
                // Beyond this nobody can tell.
                let notches = notches.clamp(-20.0, 20.0) as i32;
                if notches == 0 {
                    return;
                }
                match self.pointer.at.and_then(over).map(|item| &item.kind) {
                    Some(Kind::Slider {
                        target: SliderTarget::Direction(_) | SliderTarget::Latent(_),
                        ..
                    }) => {
                        self.apply(Action::Page(-notches.signum()));
                    }
                    Some(Kind::Slider { target: SliderTarget::Truncation, .. }) => {
                        self.apply(Action::Truncate(notches));
                    }
                    // Wheel up comes nearer.
                    Some(Kind::View) if matches!(self.mode, Mode::Grid) => self.apply(Action::Zoom(-notches)),
                    Some(Kind::View) if matches!(self.mode, Mode::Map | Mode::Compare) => {
                        self.apply(Action::Zoom(notches));
                    }
                    _ => self.apply(Action::Faster(notches)),
                }
            }
        }
    }

    /// The window lost the mouse with a button held.
    pub fn release_pointer(&mut self) {
        self.pointer.drag = None;
    }

    fn drag_to(&mut self, before: (f32, f32), now: (f32, f32), items: &[Item]) {
        match self.pointer.drag {
            Some(Drag::Slider(target)) => {
                let slider =
                    |item: &&Item| matches!(item.kind, Kind::Slider { target: own, .. } if own == target);
                if let Some(item) = items.iter().find(slider) {
                    let track = item.track();
                    self.set_slider(target, (now.0 - track.x) / track.w.max(1.0));
                }
            }
            Some(Drag::Timeline) => {
                if let Some(item) = items.iter().find(|item| matches!(item.kind, Kind::Timeline)) {
                    let track = item.track();
                    self.player.playing = false;
                    self.seek(f64::from((now.0 - track.x) / track.w.max(1.0)));
                }
            }
            Some(Drag::Map) if before != now => {
                self.map.pan(self.lane.file.image, now.0 - before.0, now.1 - before.1);
                self.changed();
            }
            _ => {}
        }
    }

    /// On the map, the point under the pointer is shown large.
    fn hover(&mut self, items: &[Item]) {
        if self.mode != Mode::Map {
            return;
        }
        let on_view = self.pointer.at.filter(|&(x, y)| {
            let top = items.iter().rev().find(|item| item.is_interactive() && item.hit_area().contains(x, y));
            top.is_some_and(|item| matches!(item.kind, Kind::View))
        });
        let hover = on_view.map(|(x, y)| self.map.point_at(self.viewport, self.lane.file.image, x, y));
        if hover != self.map.hover {
            self.map.hover = hover;
            self.changed();
        }
    }
}
