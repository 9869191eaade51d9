//! Animated GIFs.

use std::path::Path;

use gif::{Encoder, Frame, Repeat};
use latent_files::atomic::NewFile;

use super::output::FrameShape;
use super::{RecordError, encoding};
use crate::picture::Picture;

/// How well colors are chosen for pictures with more than 256 of them: from 1, the best, to 30, the fastest.
const QUANTIZER_SPEED: i32 = 4;

/// Writes a GIF that repeats for ever. Gray pictures have a palette of all 256 grays, so every pixel is exact; so are
/// color pictures of at most 256 colors.
pub(super) struct GifWriter {
    encoder: Encoder<NewFile>,
    shape: FrameShape,
    fps: f64,
    written: u32,
}

impl GifWriter {
    pub(super) fn begin(file: NewFile, path: &Path, first: &Picture, fps: f64) -> Result<Self, RecordError> {
        let (Ok(width), Ok(height)) = (u16::try_from(first.width), u16::try_from(first.height)) else {
            let (width, height) = (first.width, first.height);
            let problem = format!("a GIF is at most 65535 pixels wide and high, not {width}x{height}");
            return Err(RecordError::Encoding { path: path.to_owned(), problem });
        };
        let grays: Vec<u8> =
            if first.channels == 1 { (0..=255).flat_map(|gray| [gray; 3]).collect() } else { vec![] };
        let failed = encoding(path);
        let mut encoder = Encoder::new(file, width, height, &grays).map_err(|error| failed(&error))?;
        encoder.set_repeat(Repeat::Infinite).map_err(|error| failed(&error))?;
        Ok(Self { encoder, shape: FrameShape::of(first), fps, written: 0 })
    }

    pub(super) fn add(&mut self, path: &Path, picture: &Picture) -> Result<(), RecordError> {
        self.shape.check(path, picture)?;
        // The shape's size was checked when the file was begun.
        let (width, height) = (picture.width as u16, picture.height as u16);
        let mut frame = if picture.channels == 1 {
            Frame { width, height, buffer: picture.pixels.as_slice().into(), ..Frame::default() }
        } else {
            Frame::from_rgb_speed(width, height, &picture.pixels, QUANTIZER_SPEED)
        };
        // Delays are whole hundredths of a second; rounding the times rather than the delays keeps the rate.
        let time = |frame: u32| (f64::from(frame) * 100.0 / self.fps).round();
        frame.delay = (time(self.written + 1) - time(self.written)) as u16;
        self.written += 1;
        self.encoder.write_frame(&frame).map_err(|error| encoding(path)(&error))
    }

    pub(super) fn finish(self, path: &Path) -> Result<u64, RecordError> {
        let file = self.encoder.into_inner().map_err(|error| encoding(path)(&error))?;
        Ok(file.finish()?)
    }
}
