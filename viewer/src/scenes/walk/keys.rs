//! The keys of a walk, and the help that tells them.

use minifb::Key;

use crate::action::{Action, Mode, ShellAction, WalkAction};
use crate::input::{Binding, Trigger};
use crate::record::RecordFormat;
use crate::shell::Help;

pub(super) const BINDINGS: &[Binding<Action>] = &[
    Binding::once(Trigger::Key(Key::Space), Action::Walk(WalkAction::TogglePlay)),
    Binding::repeated(Trigger::Key(Key::Right), Action::Walk(WalkAction::Step(1))),
    Binding::repeated(Trigger::Key(Key::Left), Action::Walk(WalkAction::Step(-1))),
    Binding::repeated(Trigger::Shift(Key::Right), Action::Walk(WalkAction::StepKey(true))),
    Binding::repeated(Trigger::Shift(Key::Left), Action::Walk(WalkAction::StepKey(false))),
    Binding::once(Trigger::Key(Key::R), Action::Walk(WalkAction::Reverse)),
    Binding::repeated(Trigger::Key(Key::Up), Action::Walk(WalkAction::Faster(1))),
    Binding::repeated(Trigger::Key(Key::Down), Action::Walk(WalkAction::Faster(-1))),
    Binding::once(Trigger::Key(Key::I), Action::Walk(WalkAction::NextInterpolation)),
    Binding::once(Trigger::Key(Key::L), Action::Walk(WalkAction::ToggleClosed)),
    Binding::once(Trigger::Key(Key::A), Action::Walk(WalkAction::AddKey)),
    Binding::once(Trigger::Key(Key::N), Action::Walk(WalkAction::AddRandomKey)),
    Binding::once(Trigger::Key(Key::X), Action::Walk(WalkAction::DeleteKey)),
    Binding::once(Trigger::Key(Key::Delete), Action::Walk(WalkAction::DeleteKey)),
    Binding::once(Trigger::Char('['), Action::Walk(WalkAction::MoveKey(false))),
    Binding::once(Trigger::Char(']'), Action::Walk(WalkAction::MoveKey(true))),
    Binding::once(Trigger::Key(Key::W), Action::Walk(WalkAction::NewWalk)),
    Binding::once(Trigger::Key(Key::Key1), Action::Walk(WalkAction::SetMode(Mode::Image))),
    Binding::once(Trigger::Key(Key::Key2), Action::Walk(WalkAction::SetMode(Mode::Grid))),
    Binding::once(Trigger::Key(Key::Key3), Action::Walk(WalkAction::SetMode(Mode::Strip))),
    Binding::once(Trigger::Key(Key::Key4), Action::Walk(WalkAction::SetMode(Mode::Map))),
    Binding::once(Trigger::Key(Key::Key5), Action::Walk(WalkAction::SetMode(Mode::Compare))),
    Binding::once(Trigger::Key(Key::Tab), Action::Walk(WalkAction::NextMode)),
    Binding::once(Trigger::Key(Key::D), Action::Walk(WalkAction::NextSliders)),
    Binding::once(Trigger::Key(Key::Key0), Action::Walk(WalkAction::ResetSliders)),
    Binding::repeated(Trigger::Shift(Key::Up), Action::Walk(WalkAction::Truncate(1))),
    Binding::repeated(Trigger::Shift(Key::Down), Action::Walk(WalkAction::Truncate(-1))),
    Binding::repeated(Trigger::Char('+'), Action::Walk(WalkAction::Zoom(1))),
    Binding::repeated(Trigger::Char('='), Action::Walk(WalkAction::Zoom(1))),
    Binding::repeated(Trigger::Char('-'), Action::Walk(WalkAction::Zoom(-1))),
    Binding::once(Trigger::Control(Key::Key0), Action::Walk(WalkAction::SetClass(0))),
    Binding::once(Trigger::Control(Key::Key1), Action::Walk(WalkAction::SetClass(1))),
    Binding::once(Trigger::Control(Key::Key2), Action::Walk(WalkAction::SetClass(2))),
    Binding::once(Trigger::Control(Key::Key3), Action::Walk(WalkAction::SetClass(3))),
    Binding::once(Trigger::Control(Key::Key4), Action::Walk(WalkAction::SetClass(4))),
    Binding::once(Trigger::Control(Key::Key5), Action::Walk(WalkAction::SetClass(5))),
    Binding::once(Trigger::Control(Key::Key6), Action::Walk(WalkAction::SetClass(6))),
    Binding::once(Trigger::Control(Key::Key7), Action::Walk(WalkAction::SetClass(7))),
    Binding::once(Trigger::Control(Key::Key8), Action::Walk(WalkAction::SetClass(8))),
    Binding::once(Trigger::Control(Key::Key9), Action::Walk(WalkAction::SetClass(9))),
    Binding::repeated(Trigger::Control(Key::Z), Action::Walk(WalkAction::Undo)),
    Binding::repeated(Trigger::ControlShift(Key::Z), Action::Walk(WalkAction::Redo)),
    Binding::repeated(Trigger::Control(Key::Y), Action::Walk(WalkAction::Redo)),
    Binding::once(Trigger::Control(Key::S), Action::Walk(WalkAction::SaveWalk)),
    Binding::once(Trigger::Control(Key::O), Action::Walk(WalkAction::LoadWalk)),
    Binding::once(Trigger::Key(Key::G), Action::Shell(ShellAction::ToggleRecording(RecordFormat::Gif))),
    Binding::once(Trigger::Shift(Key::G), Action::Shell(ShellAction::ToggleRecording(RecordFormat::Apng))),
    Binding::once(
        Trigger::Control(Key::G),
        Action::Shell(ShellAction::ToggleRecording(RecordFormat::Folder)),
    ),
];

pub(super) const HELP: Help = [
    &[
        (
            "Walk",
            &[
                ("Space", "play, pause"),
                ("← →", "step; with Shift to the next key frame"),
                ("↑ ↓", "speed"),
                ("R", "reverse"),
                ("I", "slerp, lerp, spline"),
                ("L", "loop, or there and back"),
                ("W", "new random walk"),
            ],
        ),
        (
            "Key frames",
            &[
                ("A", "add what is shown"),
                ("N", "add a random one"),
                ("X  Delete", "delete the nearest"),
                ("[  ]", "move the nearest"),
                ("Ctrl Z", "undo any edit; with Shift redo"),
                ("Ctrl S", "save the walk"),
                ("Ctrl O", "load it again"),
            ],
        ),
        ("Files", &[("S", "save a PNG"), ("G", "record a GIF; Shift: PNG, Ctrl: folder")]),
    ],
    &[
        (
            "View",
            &[
                ("1 – 5  Tab", "image, grid, strip, map, compare"),
                ("+  −", "more, fewer; amplify the difference"),
                ("F", "images alone"),
                ("H  ?", "this help"),
                ("Esc  Q", "back, quit"),
            ],
        ),
        (
            "Model",
            &[
                ("M  O", "next model; list of models"),
                ("B", "back end"),
                ("P", "precision"),
                ("T", "more threads; with Shift fewer"),
                ("D", "sliders: SeFa, PCA, latent"),
                ("E  Page ↑ ↓", "engine and latency; scroll the panel"),
                ("0", "reset sliders"),
                ("Ctrl 0 – 9", "class, of a model that takes one"),
                ("Shift ↑ ↓", "truncation"),
            ],
        ),
        (
            "Mouse",
            &[
                ("drag", "sliders, the timeline, the map"),
                ("wheel", "speed; zooms the grid and the map, scrolls"),
                ("right click", "reset a slider; on the map, add a key frame"),
            ],
        ),
    ],
];
