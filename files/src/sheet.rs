//! Pictures as PNG files: single ones, and contact sheets of many.

use std::io::Write;

use png::{BitDepth, ColorType, EncodingError, Filter};

use crate::pictures::Picture;

/// Most pixels of a sheet.
const MAX_PIXELS: usize = 1 << 28;

/// How small a PNG file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is usual.
    Balanced,
    /// Smaller, in more time.
    High,
    /// The smallest of three tries with different row filters: enlarged pixels compress better without.
    Smallest,
}

/// What lies between the pictures of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Its width in pixels of the file.
    pub width: usize,
    /// Its gray level; places without a picture in the last row are filled alike.
    pub level: u8,
    /// Whether it goes around the sheet, too.
    pub around: bool,
}

impl Gap {
    /// Two pixels, black, between pictures.
    pub const BLACK: Self = Self { width: 2, level: 0, around: false };
    /// Two pixels, also around the sheet, in a gray that stands out a little from black and from white pictures.
    pub const FRAME: Self = Self { width: 2, level: 96, around: true };
}

/// How pictures of one size are laid out on a sheet: row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet {
    /// How many.
    pub count: usize,
    /// How many in a row.
    pub columns: usize,
    /// Each pixel of a picture becomes a square of so many by so many.
    pub scale: usize,
    /// Channels (1 or 3), height and width of each picture.
    pub shape: (usize, usize, usize),
    /// What lies between them.
    pub gap: Gap,
}

/// Why a sheet could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// Neither gray nor RGB.
    #[error("images of {0} channels cannot be written as PNG; 1 (gray) and 3 (RGB) can")]
    Channels(usize),
    /// There is nothing to draw, or nothing to draw it with.
    #[error("a sheet needs at least one image of at least one pixel, one column and a scale of 1")]
    Empty,
    /// There are more or fewer pictures than the sheet has, or some of another size.
    #[error("the sheet is laid out for {expected} images, but {found} of its size are given")]
    Pictures {
        /// Pictures given that have the shape.
        found: usize,
        /// The count.
        expected: usize,
    },
    /// The sheet would have more than 2^28 pixels.
    #[error(
        "a sheet of {count} images would have {width} x {height} pixels; at most {MAX_PIXELS} are written: use fewer images or a \
         smaller scale"
    )]
    TooLarge {
        /// Images.
        count: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The encoder failed.
    #[error("cannot encode the PNG: {0}")]
    Encoding(#[from] EncodingError),
}

impl Sheet {
    /// Width and height in pixels.
    ///
    /// # Errors
    /// [`SheetError::Empty`], [`SheetError::TooLarge`].
    pub fn size(&self) -> Result<(usize, usize), SheetError> {
        let Self { count, columns, scale, shape: (_, h, w), gap } = *self;
        if [count, columns, scale, h, w].contains(&0) {
            return Err(SheetError::Empty);
        }
        let side = |images: usize, pixels: usize| {
            let gaps = if gap.around { images.saturating_add(1) } else { images - 1 };
            pixels.saturating_mul(scale).saturating_mul(images).saturating_add(gap.width.saturating_mul(gaps))
        };
        let (width, height) = (side(columns.min(count), w), side(count.div_ceil(columns), h));
        if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
            return Err(SheetError::TooLarge { count, width, height });
        }
        Ok((width, height))
    }

    /// The sheet as a picture.
    ///
    /// # Errors
    /// Every variant of [`SheetError`] but the last.
    pub fn draw(&self, pictures: &[Picture]) -> Result<Picture, SheetError> {
        let Self { count, columns, scale, shape: (channels, h, w), gap } = *self;
        if channels != 1 && channels != 3 {
            return Err(SheetError::Channels(channels));
        }
        let (width, height) = self.size()?;
        let fits = |p: &&Picture| {
            (p.channels, p.height, p.width, p.pixels.len()) == (channels, h, w, channels * h * w)
        };
        let found = pictures.iter().filter(fits).count();
        if (found, pictures.len()) != (count, count) {
            return Err(SheetError::Pictures { found, expected: count });
        }
        let mut sheet =
            Picture { width, height, channels, pixels: vec![gap.level; width * height * channels] };
        let margin = if gap.around { gap.width } else { 0 };
        let row_bytes = w * scale * channels;
        for (index, picture) in pictures.iter().enumerate() {
            let left = margin + index % columns * (w * scale + gap.width);
            let top = margin + index / columns * (h * scale + gap.width);
            let enlarged = picture.enlarged(scale);
            for (y, row) in enlarged.pixels.chunks_exact(row_bytes).enumerate() {
                let at = ((top + y) * width + left) * channels;
                sheet.pixels[at..at + row_bytes].copy_from_slice(row);
            }
        }
        Ok(sheet)
    }

    /// The bytes of the sheet as a PNG file (8-bit gray or RGB).
    ///
    /// # Errors
    /// Every variant of [`SheetError`].
    pub fn png(&self, pictures: &[Picture], compression: Compression) -> Result<Vec<u8>, SheetError> {
        Ok(png(&self.draw(pictures)?, compression)?)
    }
}

impl Picture {
    /// One picture of several of the same size, in rows of `columns`, `gap` black pixels between them; `None` if they are none,
    /// of several sizes, or too many.
    pub fn tiled(pictures: &[Self], columns: usize, gap: usize) -> Option<Self> {
        let first = pictures.first()?;
        let shape = (first.channels, first.height, first.width);
        let gap = Gap { width: gap, ..Gap::BLACK };
        Sheet { count: pictures.len(), columns: columns.max(1), scale: 1, shape, gap }.draw(pictures).ok()
    }

    /// The bytes of a PNG file, well compressed.
    ///
    /// # Errors
    /// If the picture is empty or too large for PNG.
    pub fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        png(self, Compression::High)
    }
}

/// The bytes of a PNG file of one picture.
///
/// # Errors
/// If it is empty or too large for PNG.
pub fn png(picture: &Picture, compression: Compression) -> Result<Vec<u8>, EncodingError> {
    let (level, filters): (_, &[Option<Filter>]) = match compression {
        Compression::Balanced => (None, &[None]),
        Compression::High => (Some(png::Compression::High), &[None]),
        Compression::Smallest => {
            (Some(png::Compression::High), &[Filter::NoFilter, Filter::Up, Filter::Adaptive].map(Some))
        }
    };
    let mut best: Option<Vec<u8>> = None;
    for filter in filters {
        let mut bytes = Vec::new();
        let mut encoder = encoder(&mut bytes, picture);
        if let Some(level) = level {
            encoder.set_compression(level);
        }
        if let Some(filter) = *filter {
            encoder.set_filter(filter);
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&picture.pixels)?;
        writer.finish()?;
        if best.as_ref().is_none_or(|best| bytes.len() < best.len()) {
            best = Some(bytes);
        }
    }
    Ok(best.unwrap_or_default())
}

/// A PNG encoder for pictures like this one.
pub fn encoder<W: Write>(writer: W, picture: &Picture) -> png::Encoder<'static, W> {
    // A size beyond u32 cannot be held in memory as pixels.
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(writer, size(picture.width), size(picture.height));
    encoder.set_color(if picture.channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_depth(BitDepth::Eight);
    encoder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::decode;

    /// Pictures of a shape, no two pixels near each other alike.
    fn pictures(count: usize, (channels, height, width): (usize, usize, usize)) -> Vec<Picture> {
        let values = |from: usize| (0..channels * height * width).map(move |i| ((from + i) * 37 % 251) as u8);
        let picture = |at: usize| Picture { width, height, channels, pixels: values(at * 11).collect() };
        (0..count).map(picture).collect()
    }

    #[test]
    fn every_pixel_is_where_it_belongs() {
        // (count, columns, scale, shape): full rows, a last row with holes, one column, more columns than pictures.
        let cases = [
            (4, 2, 1, (1, 3, 2)),
            (5, 3, 4, (1, 3, 2)),
            (3, 1, 3, (3, 2, 5)),
            (2, 8, 2, (3, 4, 4)),
            (1, 1, 1, (1, 1, 1)),
        ];
        let gaps = [Gap::FRAME, Gap::BLACK, Gap { width: 0, ..Gap::BLACK }];
        for ((count, columns, scale, shape), gap) in
            cases.into_iter().flat_map(|case| gaps.map(|gap| (case, gap)))
        {
            let sheet = Sheet { count, columns, scale, shape, gap };
            let (channels, h, w) = shape;
            let pictures = pictures(count, shape);
            let drawn = sheet.draw(&pictures).unwrap();
            for compression in [Compression::Balanced, Compression::High, Compression::Smallest] {
                assert_eq!(decode("sheet", &sheet.png(&pictures, compression).unwrap()).unwrap(), drawn);
            }
            assert_eq!((drawn.width, drawn.height, drawn.channels), {
                let (width, height) = sheet.size().unwrap();
                (width, height, channels)
            });
            let columns = columns.min(count);
            let margin = if gap.around { gap.width } else { 0 };
            assert_eq!(drawn.width, columns * (w * scale + gap.width) - gap.width + 2 * margin);
            for y in 0..drawn.height {
                for x in 0..drawn.width {
                    let place = |at: usize, pixels: usize| {
                        let (cell, within) = (
                            (at.checked_sub(margin)?) / (pixels * scale + gap.width),
                            (at - margin) % (pixels * scale + gap.width),
                        );
                        (within < pixels * scale).then_some((cell, within / scale))
                    };
                    let expected =
                        place(x, w).zip(place(y, h)).filter(|((cx, _), (cy, _))| cy * columns + cx < count);
                    for channel in 0..channels {
                        let expected = expected.map_or(gap.level, |((cx, px), (cy, py))| {
                            pictures[cy * columns + cx].pixels[(py * w + px) * channels + channel]
                        });
                        let found = drawn.pixels[(y * drawn.width + x) * channels + channel];
                        assert_eq!(found, expected, "({x},{y}) of {sheet:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let good = Sheet { count: 1, columns: 1, scale: 1, shape: (1, 2, 2), gap: Gap::FRAME };
        let one = pictures(1, good.shape);
        assert!(good.draw(&one).is_ok());
        let cases = [
            (Sheet { shape: (2, 2, 2), ..good }, "images of 2 channels"),
            (Sheet { count: 0, ..good }, "at least one image"),
            (Sheet { columns: 0, ..good }, "one column"),
            (Sheet { scale: 0, ..good }, "a scale of 1"),
            (Sheet { count: 2, ..good }, "laid out for 2 images, but 1 of its size"),
            (Sheet { shape: (1, 2, 3), ..good }, "laid out for 1 images, but 0 of its size"),
            (Sheet { scale: usize::MAX, ..good }, "smaller scale"),
            (Sheet { count: usize::MAX, shape: (1, usize::MAX, 1), ..good }, "fewer images"),
            (Sheet { count: 1 << 30, columns: 1 << 15, ..good }, "at most 268435456 are written"),
        ];
        for (sheet, expected) in cases {
            let error = sheet.draw(&one).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
