//! What one can do: plain values, known to the items on the screen, to the shell and to the scenes.

mod explore;
mod shell;
mod walk;

pub use explore::{ExploreAction, View};
pub use shell::ShellAction;
pub use walk::{Mode, SliderSet, SliderTarget, WalkAction};

/// Something that changes what is shown. A scene is given its own alone; the shell's serve every scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Shell(ShellAction),
    Walk(WalkAction),
    Explore(ExploreAction),
}

impl Action {
    /// What an icon button does, and the key for it. `on`: whether what it does is being done.
    pub fn hint(self, on: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Shell(action) => action.hint(on),
            Self::Walk(action) => action.hint(),
            // Its buttons have words.
            Self::Explore(_) => None,
        }
    }
}

impl From<ShellAction> for Action {
    fn from(action: ShellAction) -> Self {
        Self::Shell(action)
    }
}

impl From<WalkAction> for Action {
    fn from(action: WalkAction) -> Self {
        Self::Walk(action)
    }
}

impl From<ExploreAction> for Action {
    fn from(action: ExploreAction) -> Self {
        Self::Explore(action)
    }
}
