//! The keys of an encoder's images, and the help that tells them.

use minifb::Key;

use crate::action::{Action, ExploreAction, View};
use crate::input::{Binding, Trigger};
use crate::shell::Help;

pub(super) const BINDINGS: &[Binding<Action>] = &[
    Binding::once(Trigger::Key(Key::Key1), Action::Explore(ExploreAction::SetView(View::Map))),
    Binding::once(Trigger::Key(Key::Key2), Action::Explore(ExploreAction::SetView(View::Neighbors))),
    Binding::once(Trigger::Key(Key::Tab), Action::Explore(ExploreAction::NextView)),
    Binding::once(Trigger::Key(Key::Space), Action::Explore(ExploreAction::TogglePin)),
    Binding::repeated(Trigger::Key(Key::R), Action::Explore(ExploreAction::AskRandom)),
    Binding::repeated(Trigger::Key(Key::Right), Action::Explore(ExploreAction::Pan(1, 0))),
    Binding::repeated(Trigger::Key(Key::Left), Action::Explore(ExploreAction::Pan(-1, 0))),
    Binding::repeated(Trigger::Key(Key::Down), Action::Explore(ExploreAction::Pan(0, 1))),
    Binding::repeated(Trigger::Key(Key::Up), Action::Explore(ExploreAction::Pan(0, -1))),
    Binding::repeated(Trigger::Char('+'), Action::Explore(ExploreAction::Zoom(1))),
    Binding::repeated(Trigger::Char('='), Action::Explore(ExploreAction::Zoom(1))),
    Binding::repeated(Trigger::Char('-'), Action::Explore(ExploreAction::Zoom(-1))),
    Binding::once(Trigger::Key(Key::Key0), Action::Explore(ExploreAction::ResetMap)),
];

pub(super) const HELP: Help = [
    &[
        (
            "Images",
            &[
                ("Space", "stay with the image, or follow the pointer"),
                ("R", "an image by chance"),
                ("S", "save a PNG of it and its neighbors"),
            ],
        ),
        ("Map", &[("← → ↑ ↓", "move"), ("+  −", "nearer, farther"), ("0", "all of it")]),
        (
            "View",
            &[
                ("1  2  Tab", "map, neighbors"),
                ("F", "images alone"),
                ("H  ?", "this help"),
                ("Esc  Q", "back, quit"),
            ],
        ),
    ],
    &[
        (
            "Model",
            &[
                ("M", "next model; with Shift the one before"),
                ("O", "list of models"),
                ("B", "back end"),
                ("P", "precision"),
                ("T", "more threads; with Shift fewer"),
                ("E  Page ↑ ↓", "engine and latency; scroll the panel"),
            ],
        ),
        (
            "Mouse",
            &[
                ("move", "the neighbors of the image under the pointer"),
                ("click", "stay with it; on a neighbor, go there"),
                ("drag", "moves the map"),
                ("wheel", "nearer, farther"),
            ],
        ),
    ],
];
