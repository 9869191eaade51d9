//! The mouse on an encoder's map.

use super::ExploreScene;
use crate::action::{ExploreAction, View};
use crate::input::PointerEvent;
use crate::shell::Shell;
use crate::ui::{Item, ItemKind};

/// The map, held by the mouse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drag {
    /// Where it was pressed.
    from: (f32, f32),
    moved: bool,
}

/// Less is a click.
const CLICK: f32 = 4.0;

impl ExploreScene {
    pub(super) fn handle_pointer(&mut self, shell: &mut Shell, event: PointerEvent, items: &[Item]) {
        let over = shell.pointer.over(items).map(|item| &item.kind);
        let is_map = self.view == View::Map && matches!(over, Some(ItemKind::View));
        match event {
            PointerEvent::Move(x, y) => {
                if let Some(Drag { from, moved }) = &mut self.drag {
                    *moved |= (x - from.0).abs().max((y - from.1).abs()) >= CLICK;
                    if *moved {
                        let (px, py) = shell.pointer.before.unwrap_or((x, y));
                        self.plot.pan(shell.viewport, x - px, y - py);
                        shell.changed();
                    }
                }
            }
            PointerEvent::Press => {
                self.drag = shell.pointer.at.filter(|_| is_map).map(|from| Drag { from, moved: false });
                if let Some(ItemKind::Sample { index, .. }) = over {
                    shell.changed();
                    self.do_action(shell, ExploreAction::Ask(*index));
                }
            }
            PointerEvent::Release => {
                if let Some(Drag { moved: false, .. }) = self.drag.take() {
                    let clicked = self.under_pointer(shell);
                    self.query = clicked.or(self.query);
                    self.pinned = clicked.is_some();
                }
            }
            PointerEvent::Lost => self.drag = None,
            PointerEvent::RightPress if self.pinned => {
                shell.changed();
                self.do_action(shell, ExploreAction::TogglePin);
            }
            PointerEvent::Wheel(notches) => {
                if let Some(at) = shell.pointer.at.filter(|_| is_map) {
                    self.plot.zoom(shell.viewport, notches as i32, at);
                    shell.changed();
                }
            }
            PointerEvent::Leave | PointerEvent::RightPress => {}
        }
        let is_view = matches!(over, Some(ItemKind::View));
        if is_view && matches!(event, PointerEvent::Move(..) | PointerEvent::Release) {
            self.hover(shell);
        }
    }

    fn under_pointer(&self, shell: &Shell) -> Option<usize> {
        let (_, width, height) = self.tile();
        self.plot.at(shell.viewport, shell.pointer.at?, (width, height))
    }

    /// The image under the pointer is asked about, unless one stays with another.
    pub(super) fn hover(&mut self, shell: &mut Shell) {
        let drags = self.drag.is_some_and(|drag| drag.moved);
        let on_view = shell.pointer.at.is_some_and(|(x, y)| shell.viewport.contains(x, y));
        if self.pinned || drags || !on_view || self.view != View::Map || shell.help {
            return;
        }
        if let Some(index) = self.under_pointer(shell)
            && self.query != Some(index)
        {
            self.query = Some(index);
            shell.changed();
        }
    }
}
