//! Contact sheets: many small images as one PNG.

use std::fmt;

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

/// Gap between images and around the sheet, in pixels of the file.
pub const GAP: usize = 2;
/// Gray level of the gap: stands out a little from black and from white images.
const GAP_LEVEL: u8 = 96;
/// Largest side of a sheet, in pixels.
const MAX_SIDE: usize = 32_768;

/// Why a sheet could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GridError {
    /// Neither gray nor RGB.
    Channels(usize),
    /// There is nothing to draw, or nothing to draw it with.
    Empty,
    /// The number of pixel values does not fit the shape.
    Length {
        /// Values given.
        found: usize,
        /// N x C x H x W.
        expected: usize,
    },
    /// The sheet would be larger than 32768 pixels on a side.
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The encoder failed.
    Encoding(String),
}

impl fmt::Display for GridError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channels(found) => {
                write!(f, "images have {found} channels, expected 1 (gray) or 3 (RGB)")
            }
            Self::Empty => {
                write!(
                    f,
                    "a grid needs at least one image of at least one pixel, one column and a scale of 1"
                )
            }
            Self::Length { found, expected } => {
                write!(f, "the images have {found} pixel values, their shape asks for {expected}")
            }
            Self::TooLarge { width, height } => write!(
                f,
                "the grid would have {width} x {height} pixels, at most {MAX_SIDE} a side are allowed: use fewer images or a smaller scale"
            ),
            Self::Encoding(message) => write!(f, "cannot encode the PNG: {message}"),
        }
    }
}

impl std::error::Error for GridError {}

/// Width and height in pixels of the sheet that [`png()`] makes.
///
/// # Errors
/// [`GridError::Empty`], [`GridError::TooLarge`].
pub fn size(n: usize, h: usize, w: usize, columns: usize, scale: usize) -> Result<(usize, usize), GridError> {
    if [n, h, w, columns, scale].contains(&0) {
        return Err(GridError::Empty);
    }
    let columns = columns.min(n);
    let side = |count: usize, pixels: usize| {
        pixels.saturating_mul(scale).saturating_add(GAP).saturating_mul(count).saturating_add(GAP)
    };
    let (width, height) = (side(columns, w), side(n.div_ceil(columns), h));
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(GridError::TooLarge { width, height });
    }
    Ok((width, height))
}

/// Draws `n` images, row by row with `columns` in a row, each pixel as a square of `scale` x `scale`, with a gap of
/// [`GAP`] pixels, and encodes the sheet as a PNG (8-bit gray or RGB).
///
/// `images` are planar, (N, C, H, W) with C = 1 (gray) or 3 (RGB), values 0..=255. Places without an image in the last
/// row are filled like the gap.
///
/// # Errors
/// Every variant of [`GridError`].
pub fn png(
    images: &[u8],
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    columns: usize,
    scale: usize,
) -> Result<Vec<u8>, GridError> {
    if c != 1 && c != 3 {
        return Err(GridError::Channels(c));
    }
    let (width, height) = size(n, h, w, columns, scale)?;
    let columns = columns.min(n);
    // No overflow: n x h x w is at most the sheet's area.
    let expected = n * c * h * w;
    if images.len() != expected {
        return Err(GridError::Length { found: images.len(), expected });
    }

    let mut sheet = vec![GAP_LEVEL; width * height * c];
    for (index, image) in images.chunks_exact(c * h * w).enumerate() {
        let left = GAP + (index % columns) * (w * scale + GAP);
        let top = GAP + (index / columns) * (h * scale + GAP);
        for y in 0..h {
            let start = ((top + y * scale) * width + left) * c;
            let line = start..start + w * scale * c;
            for (x, square) in sheet[line.clone()].chunks_exact_mut(scale * c).enumerate() {
                for pixel in square.chunks_exact_mut(c) {
                    for (channel, value) in pixel.iter_mut().enumerate() {
                        *value = image[(channel * h + y) * w + x];
                    }
                }
            }
            for repeat in 1..scale {
                sheet.copy_within(line.clone(), start + repeat * width * c);
            }
        }
    }
    let color = if c == 1 { ColorType::Grayscale } else { ColorType::Rgb };
    encode(&sheet, width, height, color)
}

/// Encodes with and without row filters and keeps the smaller file: enlarged pixels compress better without.
fn encode(sheet: &[u8], width: usize, height: usize, color: ColorType) -> Result<Vec<u8>, GridError> {
    let mut best: Option<Vec<u8>> = None;
    for filter in [Filter::NoFilter, Filter::Up, Filter::Adaptive] {
        let mut out = Vec::new();
        let failed = |error: png::EncodingError| GridError::Encoding(error.to_string());
        // `size` keeps both sides far below u32's range.
        let mut encoder = Encoder::new(&mut out, width as u32, height as u32);
        encoder.set_color(color);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::High);
        encoder.set_filter(filter);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(sheet).map_err(failed)?;
        writer.finish().map_err(failed)?;
        if best.as_ref().is_none_or(|best| out.len() < best.len()) {
            best = Some(out);
        }
    }
    Ok(best.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> (usize, usize, ColorType, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        pixels.truncate(info.buffer_size());
        (info.width as usize, info.height as usize, info.color_type, pixels)
    }

    #[test]
    fn every_pixel_is_where_it_belongs() {
        // (images, channels, height, width, columns, scale): full rows, a last row with holes, one column, more columns than images.
        let cases = [
            (4, 1, 3, 2, 2, 1),
            (5, 1, 3, 2, 3, 4),
            (3, 3, 2, 5, 1, 3),
            (2, 3, 4, 4, 8, 2),
            (1, 1, 1, 1, 1, 1),
        ];
        for (n, c, h, w, columns, scale) in cases {
            let images: Vec<u8> = (0..n * c * h * w).map(|i| (i * 37 % 251) as u8).collect();
            let (width, height, color, pixels) = decode(&png(&images, n, c, h, w, columns, scale).unwrap());
            assert_eq!((width, height), size(n, h, w, columns, scale).unwrap());
            assert_eq!(color, if c == 1 { ColorType::Grayscale } else { ColorType::Rgb });
            let columns = columns.min(n);
            assert_eq!(width, columns * (w * scale + GAP) + GAP);
            for y in 0..height {
                for x in 0..width {
                    let place = |at: usize, pixels: usize| {
                        let (cell, within) = (at / (pixels * scale + GAP), at % (pixels * scale + GAP));
                        within.checked_sub(GAP).map(|within| (cell, within / scale))
                    };
                    let expected =
                        place(x, w).zip(place(y, h)).filter(|((cx, _), (cy, _))| cy * columns + cx < n);
                    for channel in 0..c {
                        let expected = expected.map_or(GAP_LEVEL, |((cx, px), (cy, py))| {
                            images[(((cy * columns + cx) * c + channel) * h + py) * w + px]
                        });
                        assert_eq!(
                            pixels[(y * width + x) * c + channel],
                            expected,
                            "({x},{y}) of {n}x{c}x{h}x{w}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert_eq!(png(&[0; 8], 1, 2, 2, 2, 1, 1), Err(GridError::Channels(2)));
        assert_eq!(png(&[], 0, 1, 2, 2, 1, 1), Err(GridError::Empty));
        assert_eq!(png(&[0; 4], 1, 1, 2, 2, 0, 1), Err(GridError::Empty));
        assert_eq!(png(&[0; 4], 1, 1, 2, 2, 1, 0), Err(GridError::Empty));
        assert_eq!(png(&[0; 5], 1, 1, 2, 2, 1, 1), Err(GridError::Length { found: 5, expected: 4 }));
        assert!(matches!(png(&[0; 4], 1, 1, 2, 2, 1, usize::MAX), Err(GridError::TooLarge { .. })));
        assert!(matches!(size(usize::MAX, usize::MAX, 1, 1, 1), Err(GridError::TooLarge { .. })));
    }
}
