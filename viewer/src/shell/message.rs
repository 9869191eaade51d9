//! A line of text that goes away.

/// Seconds that a message stays, and an error.
const SECONDS: (f64, f64) = (3.0, 8.0);

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub text: String,
    pub is_error: bool,
    until: f64,
}

impl Message {
    /// Begins to show a text at `now`, in seconds.
    pub fn new(text: impl Into<String>, is_error: bool, now: f64) -> Self {
        let seconds = if is_error { SECONDS.1 } else { SECONDS.0 };
        Self { text: text.into(), is_error, until: now + seconds }
    }

    /// Whether it was there long enough.
    pub fn is_over(&self, now: f64) -> bool {
        self.until < now
    }
}
