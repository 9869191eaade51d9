//! The keys of every scene.

use minifb::Key;

use crate::action::{Action, ShellAction};
use crate::input::{Binding, Trigger};

pub(super) const BINDINGS: &[Binding<Action>] = &[
    Binding::once(Trigger::Key(Key::M), Action::Shell(ShellAction::NextModel(1))),
    Binding::once(Trigger::Shift(Key::M), Action::Shell(ShellAction::NextModel(-1))),
    Binding::once(Trigger::Key(Key::B), Action::Shell(ShellAction::NextEngine)),
    Binding::once(Trigger::Key(Key::P), Action::Shell(ShellAction::NextPrecision)),
    Binding::repeated(Trigger::Key(Key::T), Action::Shell(ShellAction::Threads(1))),
    Binding::repeated(Trigger::Shift(Key::T), Action::Shell(ShellAction::Threads(-1))),
    Binding::once(Trigger::Key(Key::S), Action::Shell(ShellAction::SavePicture)),
    Binding::once(Trigger::Key(Key::O), Action::Shell(ShellAction::ToggleList)),
    Binding::repeated(Trigger::Key(Key::PageDown), Action::Shell(ShellAction::Page(1))),
    Binding::repeated(Trigger::Key(Key::PageUp), Action::Shell(ShellAction::Page(-1))),
    Binding::once(Trigger::Key(Key::E), Action::Shell(ShellAction::ToggleEngine)),
    Binding::once(Trigger::Key(Key::F), Action::Shell(ShellAction::TogglePanels)),
    Binding::once(Trigger::Key(Key::H), Action::Shell(ShellAction::ToggleHelp)),
    Binding::once(Trigger::Key(Key::F1), Action::Shell(ShellAction::ToggleHelp)),
    Binding::once(Trigger::Char('?'), Action::Shell(ShellAction::ToggleHelp)),
    Binding::once(Trigger::Key(Key::Escape), Action::Shell(ShellAction::Back)),
    Binding::once(Trigger::Key(Key::Q), Action::Shell(ShellAction::Quit)),
];
