//! The mouse on a walk.

use super::WalkScene;
use crate::action::{Mode, SliderTarget, WalkAction};
use crate::input::PointerEvent;
use crate::shell::Shell;
use crate::ui::{Item, ItemKind};

/// What the mouse holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drag {
    Slider(SliderTarget),
    Timeline,
    Map,
}

impl WalkScene {
    /// Whether this slider is being dragged.
    pub(super) fn holds(&self, target: SliderTarget) -> bool {
        self.drag == Some(Drag::Slider(target))
    }

    pub(super) fn handle_pointer(&mut self, shell: &mut Shell, event: PointerEvent, items: &[Item]) {
        let over = shell.pointer.over(items).map(|item| &item.kind);
        match event {
            PointerEvent::Move(x, y) => {
                self.drag_to(shell, shell.pointer.before.unwrap_or((x, y)), (x, y), items);
                self.hover(shell, items);
            }
            PointerEvent::Leave => self.map.hover = None,
            PointerEvent::Press => {
                self.drag = match over {
                    Some(ItemKind::Slider { target, .. }) => Some(Drag::Slider(*target)),
                    Some(ItemKind::Timeline) => Some(Drag::Timeline),
                    Some(ItemKind::View) if self.mode == Mode::Map => Some(Drag::Map),
                    _ => None,
                };
                self.dragged_from = Some(self.moment(shell));
                if let Some(at) = shell.pointer.at {
                    self.drag_to(shell, at, at, items);
                }
            }
            PointerEvent::Release => {
                self.let_go(shell);
                self.hover(shell, items);
            }
            PointerEvent::Lost => self.let_go(shell),
            PointerEvent::RightPress => match over {
                Some(ItemKind::Slider { target, .. }) => {
                    let (before, target) = (self.moment(shell), *target);
                    self.reset_slider(shell, target);
                    self.remember(shell, "a slider that was put back", before, false);
                }
                Some(ItemKind::View) if self.mode == Mode::Map => {
                    shell.changed();
                    self.do_action(shell, WalkAction::AddKey);
                }
                _ => {}
            },
            PointerEvent::Wheel(notches) => {
                let notches = notches as i32;
                let action = match over {
                    Some(ItemKind::Slider {
                        target: SliderTarget::Direction(_) | SliderTarget::Latent(_),
                        ..
                    }) => return,
                    Some(ItemKind::Slider { target: SliderTarget::Truncation, .. }) => {
                        WalkAction::Truncate(notches)
                    }
                    // Wheel up comes nearer.
                    Some(ItemKind::View) if self.mode == Mode::Grid => WalkAction::Zoom(-notches),
                    Some(ItemKind::View) if matches!(self.mode, Mode::Map | Mode::Compare) => {
                        WalkAction::Zoom(notches)
                    }
                    _ => WalkAction::Faster(notches),
                };
                shell.changed();
                self.do_action(shell, action);
            }
        }
    }

    /// What was dragged at once is one edit.
    fn let_go(&mut self, shell: &Shell) {
        self.drag = None;
        if let Some(before) = self.dragged_from.take() {
            self.remember(shell, "a slider", before, false);
        }
    }

    fn drag_to(&mut self, shell: &mut Shell, before: (f32, f32), now: (f32, f32), items: &[Item]) {
        match self.drag {
            Some(Drag::Slider(target)) => {
                let slider =
                    |item: &&Item| matches!(item.kind, ItemKind::Slider { target: own, .. } if own == target);
                if let Some(item) = items.iter().find(slider) {
                    let track = item.track();
                    self.set_slider(shell, target, (now.0 - track.x) / track.w.max(1.0));
                }
            }
            Some(Drag::Timeline) => {
                if let Some(item) = items.iter().find(|item| item.kind == ItemKind::Timeline) {
                    let track = item.track();
                    self.player.playing = false;
                    self.seek(shell, f64::from((now.0 - track.x) / track.w.max(1.0)));
                }
            }
            Some(Drag::Map) if before != now => {
                self.map.pan(self.config.file.image, now.0 - before.0, now.1 - before.1);
                shell.changed();
            }
            _ => {}
        }
    }

    /// On the map, the point under the pointer is shown large.
    fn hover(&mut self, shell: &mut Shell, items: &[Item]) {
        if self.mode != Mode::Map {
            return;
        }
        let is_on_view = shell.pointer.over(items).is_some_and(|item| item.kind == ItemKind::View);
        let at = shell.pointer.at.filter(|_| is_on_view);
        let hover = at.map(|(x, y)| self.map.point_at(shell.viewport, self.config.file.image, x, y));
        if hover != self.map.hover {
            self.map.hover = hover;
            shell.changed();
        }
    }
}
