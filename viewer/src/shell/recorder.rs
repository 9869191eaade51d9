//! A recording of what is shown while it is shown.

use crate::picture::Picture;
use crate::record::RecordFormat;

/// Pictures per second of a recording.
pub const RECORDING_FPS: f64 = 30.0;
/// The most pictures of a recording.
const MAX_PICTURES: usize = 3000;

#[derive(Debug)]
pub struct Recorder {
    pub clip: Vec<Picture>,
    /// The kind of file it becomes.
    pub format: RecordFormat,
    /// When the last picture was due.
    recorded_at: f64,
}

impl Recorder {
    /// Begins at `now`, in seconds.
    pub fn new(format: RecordFormat, now: f64) -> Self {
        Self { clip: Vec::new(), format, recorded_at: now - 1.0 / RECORDING_FPS }
    }

    /// Takes the picture shown at `now`, if one is due. Returns whether the recording is at its end: the picture has
    /// another size, or there are as many as there can be.
    pub fn add(&mut self, now: f64, picture: impl FnOnce() -> Option<Picture>) -> bool {
        // Half a frame early is on time.
        if now - self.recorded_at < 1.0 / RECORDING_FPS - 0.008 {
            return false;
        }
        let Some(picture) = picture() else { return false };
        let first = self.clip.first().unwrap_or(&picture);
        let same_size = (first.width, first.height) == (picture.width, picture.height);
        if same_size {
            self.clip.push(picture);
            self.recorded_at += 1.0 / RECORDING_FPS;
            self.recorded_at = self.recorded_at.max(now - 1.0 / RECORDING_FPS);
        }
        !same_size || self.clip.len() >= MAX_PICTURES
    }
}
