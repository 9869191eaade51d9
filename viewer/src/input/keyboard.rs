//! The keyboard.

use minifb::Key;

/// What the keyboard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// A key went down, or is said to be down again.
    Down(Key),
    Up(Key),
    /// A character was typed.
    Char(char),
}

/// A key or a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A key, without shift and control.
    Key(Key),
    Shift(Key),
    Control(Key),
    ControlShift(Key),
    /// A character, wherever the keyboard has it.
    Char(char),
}

/// What a key does.
#[derive(Debug)]
pub struct Binding<A> {
    pub trigger: Trigger,
    pub action: A,
    /// Whether it does it again while it is held.
    pub repeats: bool,
}

impl<A> Binding<A> {
    pub const fn once(trigger: Trigger, action: A) -> Self {
        Self { trigger, action, repeats: false }
    }

    pub const fn repeated(trigger: Trigger, action: A) -> Self {
        Self { trigger, action, repeats: true }
    }
}

/// Seconds until a held key repeats, and from then on.
const REPEAT: (f64, f64) = (0.35, 0.06);

/// Turns what happens to keys into triggers. It repeats held keys itself, the same on every system.
#[derive(Debug, Default)]
pub struct Keyboard {
    held: Vec<Key>,
    /// What is repeated, while which key is held, and when next.
    repeat: Option<(Trigger, Key, f64)>,
}

impl Keyboard {
    /// Takes what happened.
    pub fn event(&mut self, event: KeyEvent) -> Option<Trigger> {
        match event {
            KeyEvent::Up(key) => {
                self.held.retain(|&held| held != key);
                self.repeat = self.repeat.filter(|&(_, repeated, _)| repeated != key);
                None
            }
            // The system's own repetition.
            KeyEvent::Down(key) if self.held.contains(&key) => None,
            KeyEvent::Down(key) => {
                self.held.push(key);
                let any = |keys: [Key; 2]| keys.iter().any(|key| self.held.contains(key));
                let control = any([Key::LeftCtrl, Key::RightCtrl]);
                Some(match (control, any([Key::LeftShift, Key::RightShift])) {
                    (true, true) => Trigger::ControlShift(key),
                    (true, false) => Trigger::Control(key),
                    (false, true) => Trigger::Shift(key),
                    (false, false) => Trigger::Key(key),
                })
            }
            // Systems repeat characters themselves.
            KeyEvent::Char(character) => Some(Trigger::Char(character)),
        }
    }

    /// Lets a key that went down at `now`, in seconds, repeat until it goes up.
    pub fn repeat(&mut self, trigger: Trigger, now: f64) {
        use Trigger::{Control, ControlShift, Key, Shift};
        if let Key(key) | Shift(key) | Control(key) | ControlShift(key) = trigger {
            self.repeat = Some((trigger, key, now + REPEAT.0));
        }
    }

    /// The trigger of a held key that is due at `now`.
    pub fn repeated(&mut self, now: f64) -> Option<Trigger> {
        let (trigger, _, at) = self.repeat.as_mut()?;
        if now < *at {
            return None;
        }
        // After a pause of the program the missed repetitions are left out.
        *at = (*at + REPEAT.1).max(now);
        Some(*trigger)
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
    fn modifiers_choose_the_trigger() {
        let mut keyboard = Keyboard::default();
        let mut down = |key| keyboard.event(KeyEvent::Down(key));
        assert_eq!(down(Key::S), Some(Trigger::Key(Key::S)));
        assert_eq!(down(Key::S), None, "the system's own repetition");
        assert_eq!(down(Key::RightCtrl), Some(Trigger::Control(Key::RightCtrl)));
        assert_eq!(down(Key::T), Some(Trigger::Control(Key::T)));
        keyboard.event(KeyEvent::Up(Key::S));
        assert_eq!(keyboard.event(KeyEvent::Down(Key::S)), Some(Trigger::Control(Key::S)));
        keyboard.release_all();
        keyboard.event(KeyEvent::Down(Key::LeftShift));
        assert_eq!(keyboard.event(KeyEvent::Down(Key::M)), Some(Trigger::Shift(Key::M)));
        assert_eq!(keyboard.event(KeyEvent::Char('?')), Some(Trigger::Char('?')));
        keyboard.event(KeyEvent::Down(Key::LeftCtrl));
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Z)), Some(Trigger::ControlShift(Key::Z)));
    }

    #[test]
    fn held_keys_repeat() {
        let mut keyboard = Keyboard::default();
        let right = keyboard.event(KeyEvent::Down(Key::Right)).unwrap();
        keyboard.repeat(right, 1.0);
        assert_eq!(keyboard.repeated(1.3), None);
        assert_eq!(keyboard.repeated(1.36), Some(right));
        assert_eq!(keyboard.repeated(1.37), None);
        assert_eq!(keyboard.repeated(9.0), Some(right));
        assert_eq!(keyboard.repeated(9.0), Some(right));
        assert_eq!(keyboard.repeated(9.01), None, "missed repetitions are left out");
        keyboard.event(KeyEvent::Up(Key::Right));
        assert_eq!(keyboard.repeated(20.0), None);
        // A character has no key that goes up.
        keyboard.repeat(Trigger::Char('+'), 20.0);
        assert!(!keyboard.is_repeating());
    }

    #[test]
    fn losing_the_keyboard_releases_keys() {
        let mut keyboard = Keyboard::default();
        keyboard.event(KeyEvent::Down(Key::LeftCtrl));
        keyboard.event(KeyEvent::Down(Key::Up));
        keyboard.repeat(Trigger::Control(Key::Up), 0.0);
        keyboard.release_all();
        assert_eq!(keyboard.repeated(5.0), None);
        assert_eq!(keyboard.event(KeyEvent::Down(Key::Up)), Some(Trigger::Key(Key::Up)));
    }
}
