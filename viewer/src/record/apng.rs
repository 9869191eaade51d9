//! Animated PNGs.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use latent_files::atomic::NewFile;
use png::Writer;

use super::output::FrameShape;
use super::{RecordError, encoding};
use crate::picture::{Picture, png_encoder};

/// Writes an animated PNG that repeats for ever.
pub(super) struct ApngWriter {
    /// Writes to the same file as `file`.
    writer: Writer<BufWriter<File>>,
    file: NewFile,
    shape: FrameShape,
}

impl ApngWriter {
    pub(super) fn begin(
        file: NewFile,
        path: &Path,
        first: &Picture,
        frames: usize,
        fps: f64,
    ) -> Result<Self, RecordError> {
        let failed = encoding(path);
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let mut encoder = png_encoder(BufWriter::new(file.handle()?), first);
        encoder.set_animated(frames, 0).map_err(|error| failed(&error))?;
        let (numerator, denominator) = delay(fps);
        encoder.set_frame_delay(numerator, denominator).map_err(|error| failed(&error))?;
        let writer = encoder.write_header().map_err(|error| failed(&error))?;
        Ok(Self { writer, file, shape: FrameShape::of(first) })
    }

    pub(super) fn add(&mut self, path: &Path, picture: &Picture) -> Result<(), RecordError> {
        self.shape.check(path, picture)?;
        self.writer.write_image_data(&picture.pixels).map_err(|error| encoding(path)(&error))
    }

    pub(super) fn finish(self, path: &Path) -> Result<u64, RecordError> {
        self.writer.finish().map_err(|error| encoding(path)(&error))?;
        Ok(self.file.finish()?)
    }
}

/// The time of one picture in seconds, as a fraction of 16-bit numbers.
fn delay(fps: f64) -> (u16, u16) {
    let whole = fps.round();
    if (fps - whole).abs() < 1e-9 && (1.0..=65535.0).contains(&whole) {
        (1, whole as u16)
    } else {
        // `as` saturates.
        ((1000.0 / fps).round() as u16, 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::delay;

    #[test]
    fn delays_are_exact_for_whole_rates() {
        for (fps, expected) in [(25.0, (1, 25)), (30.0, (1, 30)), (29.97, (33, 1000)), (0.5, (2000, 1000))] {
            assert_eq!(delay(fps), expected);
        }
    }
}
