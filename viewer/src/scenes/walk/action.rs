//! What one can do, and the keys for it.

use minifb::Key;

use super::{Mode, SliderSet};
use crate::explore::View;
use crate::record::RecordFormat;
use crate::walk::Interpolation;

/// Something that changes what is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Play or pause.
    TogglePlay,
    /// Pause, and move by steps.
    Step(i32),
    /// Pause, and go to the next key frame, or the one before.
    StepKey(bool),
    /// Turn round.
    Reverse,
    /// Change the speed by so many notches.
    Faster(i32),
    /// Take this interpolation.
    Interpolate(Interpolation),
    /// Take the next interpolation.
    NextInterpolation,
    /// Return to the first key frame at the end, or not.
    ToggleClosed,
    /// Make what is shown a key frame.
    AddKey,
    /// Add a random key frame.
    AddRandomKey,
    /// Delete the nearest key frame.
    DeleteKey,
    /// Move the nearest key frame later, or earlier.
    MoveKey(bool),
    /// A new random walk.
    NewWalk,
    /// Show in this mode.
    SetMode(Mode),
    /// Show in the next mode.
    NextMode,
    /// Open another model of the catalog, so many places on.
    NextModel(i32),
    /// Open this model of the catalog.
    OpenModel(usize),
    /// Run on the next back end.
    NextEngine,
    /// Run on this back end of the model's.
    SetEngine(usize),
    /// Open the next precision of the model.
    NextPrecision,
    /// Change the threads.
    Threads(i32),
    /// Show these sliders.
    Sliders(SliderSet),
    /// Show the next sliders.
    NextSliders,
    /// Show others of the sliders, so many pages on.
    Page(i32),
    /// Put all sliders back.
    ResetSliders,
    /// Change the truncation by so many notches.
    Truncate(i32),
    /// Show more and smaller, or fewer and larger; in the comparison, amplify more or less.
    Zoom(i32),
    /// Open this precision or format of the model: its place among the model's files.
    OpenVariant(usize),
    /// Show the list of models, or close it.
    ToggleList,
    /// Write a PNG of what is shown.
    SavePicture,
    /// Begin to record a file of this kind, or end and write.
    ToggleRecording(RecordFormat),
    /// Write the walk to a text file.
    SaveWalk,
    /// Read the walk last written or read.
    LoadWalk,
    /// Show the panels, or the images alone.
    TogglePanels,
    /// Show the keys.
    ToggleHelp,
    /// Of an encoder: show this.
    SetView(View),
    /// Of an encoder: show the other view.
    NextView,
    /// Of an encoder: ask for the neighbors of this image, and stay with it.
    Ask(usize),
    /// Of an encoder: ask for those of an image by chance.
    AskRandom,
    /// Of an encoder: stay with the image, or follow the pointer.
    TogglePin,
    /// Of an encoder: move the map by so many steps to the right and down.
    Pan(i32, i32),
    /// Of an encoder: show the whole map.
    ResetMap,
    /// Leave the help; then the images alone; then the program.
    Back,
    /// Leave the program.
    Quit,
}

/// A key or a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A key, without shift and control.
    Key(Key),
    /// A key with shift.
    Shift(Key),
    /// A key with control.
    Control(Key),
    /// A character, wherever the keyboard has it.
    Char(char),
}

/// What a key does.
#[derive(Debug)]
pub struct Binding {
    /// The key.
    pub trigger: Trigger,
    /// What it does.
    pub action: Action,
    /// Whether it does it again while it is held.
    pub repeats: bool,
}

const fn once(trigger: Trigger, action: Action) -> Binding {
    Binding { trigger, action, repeats: false }
}

const fn repeated(trigger: Trigger, action: Action) -> Binding {
    Binding { trigger, action, repeats: true }
}

/// All keys of a walk.
pub const BINDINGS: &[Binding] = &[
    once(Trigger::Key(Key::Space), Action::TogglePlay),
    repeated(Trigger::Key(Key::Right), Action::Step(1)),
    repeated(Trigger::Key(Key::Left), Action::Step(-1)),
    repeated(Trigger::Shift(Key::Right), Action::StepKey(true)),
    repeated(Trigger::Shift(Key::Left), Action::StepKey(false)),
    once(Trigger::Key(Key::R), Action::Reverse),
    repeated(Trigger::Key(Key::Up), Action::Faster(1)),
    repeated(Trigger::Key(Key::Down), Action::Faster(-1)),
    once(Trigger::Key(Key::I), Action::NextInterpolation),
    once(Trigger::Key(Key::L), Action::ToggleClosed),
    once(Trigger::Key(Key::A), Action::AddKey),
    once(Trigger::Key(Key::N), Action::AddRandomKey),
    once(Trigger::Key(Key::X), Action::DeleteKey),
    once(Trigger::Key(Key::Delete), Action::DeleteKey),
    once(Trigger::Char('['), Action::MoveKey(false)),
    once(Trigger::Char(']'), Action::MoveKey(true)),
    once(Trigger::Key(Key::W), Action::NewWalk),
    once(Trigger::Key(Key::Key1), Action::SetMode(Mode::Image)),
    once(Trigger::Key(Key::Key2), Action::SetMode(Mode::Grid)),
    once(Trigger::Key(Key::Key3), Action::SetMode(Mode::Strip)),
    once(Trigger::Key(Key::Key4), Action::SetMode(Mode::Map)),
    once(Trigger::Key(Key::Key5), Action::SetMode(Mode::Compare)),
    once(Trigger::Key(Key::Tab), Action::NextMode),
    once(Trigger::Key(Key::M), Action::NextModel(1)),
    once(Trigger::Shift(Key::M), Action::NextModel(-1)),
    once(Trigger::Key(Key::B), Action::NextEngine),
    once(Trigger::Key(Key::P), Action::NextPrecision),
    repeated(Trigger::Key(Key::T), Action::Threads(1)),
    repeated(Trigger::Shift(Key::T), Action::Threads(-1)),
    once(Trigger::Key(Key::D), Action::NextSliders),
    repeated(Trigger::Key(Key::PageDown), Action::Page(1)),
    repeated(Trigger::Key(Key::PageUp), Action::Page(-1)),
    once(Trigger::Key(Key::Key0), Action::ResetSliders),
    repeated(Trigger::Shift(Key::Up), Action::Truncate(1)),
    repeated(Trigger::Shift(Key::Down), Action::Truncate(-1)),
    repeated(Trigger::Char('+'), Action::Zoom(1)),
    repeated(Trigger::Char('='), Action::Zoom(1)),
    repeated(Trigger::Char('-'), Action::Zoom(-1)),
    once(Trigger::Control(Key::S), Action::SaveWalk),
    once(Trigger::Control(Key::O), Action::LoadWalk),
    once(Trigger::Key(Key::S), Action::SavePicture),
    once(Trigger::Key(Key::G), Action::ToggleRecording(RecordFormat::Gif)),
    once(Trigger::Shift(Key::G), Action::ToggleRecording(RecordFormat::Apng)),
    once(Trigger::Control(Key::G), Action::ToggleRecording(RecordFormat::Folder)),
    once(Trigger::Key(Key::O), Action::ToggleList),
    once(Trigger::Key(Key::F), Action::TogglePanels),
    once(Trigger::Key(Key::H), Action::ToggleHelp),
    once(Trigger::Key(Key::F1), Action::ToggleHelp),
    once(Trigger::Char('?'), Action::ToggleHelp),
    once(Trigger::Key(Key::Escape), Action::Back),
    once(Trigger::Key(Key::Q), Action::Quit),
];

/// All keys of an encoder's map.
pub const EXPLORE_BINDINGS: &[Binding] = &[
    once(Trigger::Key(Key::Key1), Action::SetView(View::Map)),
    once(Trigger::Key(Key::Key2), Action::SetView(View::Neighbors)),
    once(Trigger::Key(Key::Tab), Action::NextView),
    once(Trigger::Key(Key::Space), Action::TogglePin),
    repeated(Trigger::Key(Key::R), Action::AskRandom),
    repeated(Trigger::Key(Key::Right), Action::Pan(1, 0)),
    repeated(Trigger::Key(Key::Left), Action::Pan(-1, 0)),
    repeated(Trigger::Key(Key::Down), Action::Pan(0, 1)),
    repeated(Trigger::Key(Key::Up), Action::Pan(0, -1)),
    repeated(Trigger::Char('+'), Action::Zoom(1)),
    repeated(Trigger::Char('='), Action::Zoom(1)),
    repeated(Trigger::Char('-'), Action::Zoom(-1)),
    once(Trigger::Key(Key::Key0), Action::ResetMap),
    once(Trigger::Key(Key::M), Action::NextModel(1)),
    once(Trigger::Shift(Key::M), Action::NextModel(-1)),
    once(Trigger::Key(Key::O), Action::ToggleList),
    once(Trigger::Key(Key::B), Action::NextEngine),
    once(Trigger::Key(Key::P), Action::NextPrecision),
    repeated(Trigger::Key(Key::T), Action::Threads(1)),
    repeated(Trigger::Shift(Key::T), Action::Threads(-1)),
    once(Trigger::Key(Key::S), Action::SavePicture),
    once(Trigger::Key(Key::F), Action::TogglePanels),
    once(Trigger::Key(Key::H), Action::ToggleHelp),
    once(Trigger::Key(Key::F1), Action::ToggleHelp),
    once(Trigger::Char('?'), Action::ToggleHelp),
    once(Trigger::Key(Key::Escape), Action::Back),
    once(Trigger::Key(Key::Q), Action::Quit),
];

/// What a button with a sign does, and the key for it. `on`: whether what it does is being done.
pub fn hint(action: Action, on: bool) -> Option<(&'static str, &'static str)> {
    Some(match action {
        Action::TogglePlay => ("play or pause", "Space"),
        Action::StepKey(true) => ("next key frame", "Shift →"),
        Action::StepKey(false) => ("key frame before", "Shift ←"),
        Action::Reverse => ("turn round", "R"),
        Action::AddKey => ("make what is shown a key frame", "A"),
        Action::AddRandomKey => ("add a random key frame", "N"),
        Action::DeleteKey => ("delete the nearest key frame", "X"),
        Action::MoveKey(false) => ("move the nearest key frame to the left", "["),
        Action::MoveKey(true) => ("move the nearest key frame to the right", "]"),
        Action::NewWalk => ("new random walk", "W"),
        Action::SaveWalk => ("save the walk", "Ctrl S"),
        Action::LoadWalk => ("load the saved walk", "Ctrl O"),
        Action::SavePicture => ("save a PNG", "S"),
        Action::ToggleRecording(_) if on => ("end the recording and save it", "G"),
        Action::ToggleRecording(_) => ("record a GIF", "G"),
        Action::NextModel(places) if places > 0 => ("next model", "M"),
        Action::NextModel(_) => ("model before", "Shift M"),
        Action::Threads(more) if more > 0 => ("more threads", "T"),
        Action::Threads(_) => ("fewer threads", "Shift T"),
        Action::Page(pages) if pages > 0 => ("more sliders", "Page ↓"),
        Action::Page(_) => ("sliders before", "Page ↑"),
        _ => return None,
    })
}

/// Sections of keys and what they do.
pub type Help = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// The help of an encoder's map.
pub const EXPLORE_HELP: Help = &[
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
    (
        "Model",
        &[
            ("M", "next model; with Shift the one before"),
            ("O", "list of models"),
            ("B", "back end"),
            ("P", "precision"),
            ("T", "more threads; with Shift fewer"),
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
];

/// The help of a walk.
pub const HELP: Help = &[
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
            ("Ctrl S", "save the walk"),
            ("Ctrl O", "load it again"),
        ],
    ),
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
            ("Page ↑ ↓", "more sliders"),
            ("0", "reset sliders"),
            ("Shift ↑ ↓", "truncation"),
        ],
    ),
    ("Files", &[("S", "save a PNG"), ("G", "record a GIF; Shift: PNG, Ctrl: folder")]),
    (
        "Mouse",
        &[
            ("drag", "sliders, the timeline, the map"),
            ("wheel", "speed; zooms the grid and the map"),
            ("right click", "reset a slider; on the map, add a key frame"),
        ],
    ),
];

/// What the keyboard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// A key went down, or is said to be down again.
    Down(Key),
    /// A key went up.
    Up(Key),
    /// A character was typed.
    Char(char),
}

/// Seconds until a held key repeats, and from then on.
const REPEAT: (f64, f64) = (0.35, 0.06);

/// Turns keys into actions. It repeats held keys itself, the same on every system.
#[derive(Debug)]
pub struct Keyboard {
    bindings: &'static [Binding],
    held: Vec<Key>,
    /// What is repeated, while which key is held, and when next.
    repeat: Option<(Action, Key, f64)>,
}

impl Default for Keyboard {
    fn default() -> Self {
        Self { bindings: BINDINGS, held: Vec::new(), repeat: None }
    }
}

impl Keyboard {
    /// Gives the keys other meanings.
    pub fn bind(&mut self, bindings: &'static [Binding]) {
        self.bindings = bindings;
    }

    /// Takes what happened at `now`, in seconds.
    pub fn event(&mut self, event: KeyEvent, now: f64) -> Option<Action> {
        let trigger = match event {
            KeyEvent::Up(key) => {
                self.held.retain(|&held| held != key);
                self.repeat = self.repeat.filter(|&(_, repeated, _)| repeated != key);
                return None;
            }
            // The system's own repetition.
            KeyEvent::Down(key) if self.held.contains(&key) => return None,
            KeyEvent::Down(key) => {
                self.held.push(key);
                let any = |keys: [Key; 2]| keys.iter().any(|key| self.held.contains(key));
                if any([Key::LeftCtrl, Key::RightCtrl]) {
                    Trigger::Control(key)
                } else if any([Key::LeftShift, Key::RightShift]) {
                    Trigger::Shift(key)
                } else {
                    Trigger::Key(key)
                }
            }
            // Systems repeat characters themselves.
            KeyEvent::Char(character) => Trigger::Char(character),
        };
        let binding = self.bindings.iter().find(|binding| binding.trigger == trigger)?;
        if let (true, KeyEvent::Down(key)) = (binding.repeats, event) {
            self.repeat = Some((binding.action, key, now + REPEAT.0));
        }
        Some(binding.action)
    }

    /// The action of a held key that is due at `now`.
    pub fn repeated(&mut self, now: f64) -> Option<Action> {
        let (action, _, at) = self.repeat.as_mut()?;
        if now < *at {
            return None;
        }
        // After a pause of the program the missed repetitions are left out.
        *at = (*at + REPEAT.1).max(now);
        Some(*action)
    }

    /// Whether a held key will repeat.
    pub fn is_repeating(&self) -> bool {
        self.repeat.is_some()
    }

    /// Takes every key for released: the window lost the keyboard and will not hear of it.
    pub fn release_all(&mut self) {
        self.held.clear();
        self.repeat = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_trigger_is_bound_twice() {
        for bindings in [BINDINGS, EXPLORE_BINDINGS] {
            for (index, binding) in bindings.iter().enumerate() {
                let same = bindings[..index].iter().find(|other| other.trigger == binding.trigger);
                assert!(same.is_none(), "{:?} is bound twice", binding.trigger);
            }
        }
    }

    #[test]
    fn modifiers_choose_the_action() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.event(KeyEvent::Down(Key::S), 0.0), Some(Action::SavePicture));
        keyboard.event(KeyEvent::Up(Key::S), 0.0);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::RightCtrl), 0.0), None);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::S), 0.0), Some(Action::SaveWalk));
        keyboard.release_all();
        assert_eq!(keyboard.event(KeyEvent::Down(Key::LeftShift), 0.0), None);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::M), 0.0), Some(Action::NextModel(-1)));
        assert_eq!(keyboard.event(KeyEvent::Char('?'), 0.0), Some(Action::ToggleHelp));
        assert_eq!(keyboard.event(KeyEvent::Char('é'), 0.0), None);
        keyboard.release_all();
        keyboard.bind(EXPLORE_BINDINGS);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Space), 0.0), Some(Action::TogglePin));
    }

    #[test]
    fn held_keys_repeat_and_the_systems_repetition_is_ignored() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Right), 1.0), Some(Action::Step(1)));
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Right), 1.1), None);
        assert_eq!(keyboard.repeated(1.3), None);
        assert_eq!(keyboard.repeated(1.36), Some(Action::Step(1)));
        assert_eq!(keyboard.repeated(1.37), None);
        assert_eq!(keyboard.repeated(9.0), Some(Action::Step(1)));
        assert_eq!(keyboard.repeated(9.0), Some(Action::Step(1)));
        assert_eq!(keyboard.repeated(9.01), None, "missed repetitions are left out");
        keyboard.event(KeyEvent::Up(Key::Right), 9.1);
        assert_eq!(keyboard.repeated(20.0), None);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Space), 20.0), Some(Action::TogglePlay));
        assert!(!keyboard.is_repeating());
    }

    #[test]
    fn losing_the_keyboard_releases_keys() {
        let mut keyboard = Keyboard::default();
        keyboard.event(KeyEvent::Down(Key::LeftCtrl), 0.0);
        keyboard.event(KeyEvent::Down(Key::Up), 0.0);
        keyboard.release_all();
        assert_eq!(keyboard.repeated(5.0), None);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Up), 6.0), Some(Action::Faster(1)));
    }
}
