//! The mouse.

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PointerEvent {
    /// To pixels from the upper left corner.
    Move(f32, f32),
    /// Out of the window.
    Leave,
    /// The left button went down.
    Press,
    /// The left button went up.
    Release,
    /// The right button went down.
    RightPress,
    /// Notches, upwards if positive; may be fractions of one.
    Wheel(f32),
    /// The window lost the mouse with a button held.
    Lost,
}
