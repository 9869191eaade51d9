//! Pictures as bytes.

use latent_runtime::onnx::ImageShape;
use latent_runtime::pixels::{PixelError, ValueRange, chw_to_hwc};

/// A picture of 8-bit pixels, rows from the top, gray (one channel) or RGB (three, interleaved).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    /// `width * height * channels` values.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// A picture in black.
    pub fn black(width: usize, height: usize, channels: usize) -> Self {
        Self { width, height, channels, pixels: vec![0; width * height * channels] }
    }

    /// The picture of one image of a model, planar values in `range`.
    ///
    /// # Errors
    /// If `values` has not as many values as the shape.
    pub fn from_values(values: &[f32], shape: ImageShape, range: ValueRange) -> Result<Self, PixelError> {
        let mut picture = Self::black(shape.width, shape.height, shape.channels);
        chw_to_hwc(values, shape.channels, range, &mut picture.pixels)?;
        Ok(picture)
    }

    /// The pixel as red, green and blue; black outside.
    pub fn rgb(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * self.channels;
        match self.pixels.get(at..at + self.channels) {
            Some(&[gray]) if x < self.width => [gray; 3],
            Some(&[r, g, b]) if x < self.width => [r, g, b],
            _ => [0; 3],
        }
    }

    /// The picture with every pixel a square of `scale` by `scale`.
    pub fn enlarged(&self, scale: usize) -> Self {
        if scale == 1 {
            return self.clone();
        }
        let mut pixels = Vec::with_capacity(self.pixels.len() * scale * scale);
        for row in self.pixels.chunks_exact((self.width * self.channels).max(1)) {
            let start = pixels.len();
            for pixel in row.chunks_exact(self.channels) {
                for _ in 0..scale {
                    pixels.extend_from_slice(pixel);
                }
            }
            let end = pixels.len();
            for _ in 1..scale {
                pixels.extend_from_within(start..end);
            }
        }
        Self { width: self.width * scale, height: self.height * scale, channels: self.channels, pixels }
    }

    /// The picture at the largest size that fits, by the mean of the pixels that fall on one; as it is if it fits.
    pub fn reduced(&self, width: usize, height: usize) -> Self {
        if (self.width <= width && self.height <= height) || self.pixels.is_empty() {
            return self.clone();
        }
        let factor = (width as f64 / self.width as f64).min(height as f64 / self.height as f64);
        let size = |n: usize| ((n as f64 * factor) as usize).clamp(1, n.max(1));
        let mut out = Self::black(size(self.width), size(self.height), self.channels);
        for y in 0..out.height {
            let rows = y * self.height / out.height..((y + 1) * self.height).div_ceil(out.height);
            for x in 0..out.width {
                let columns = x * self.width / out.width..((x + 1) * self.width).div_ceil(out.width);
                for channel in 0..self.channels {
                    let at = |x: usize, y: usize| (y * self.width + x) * self.channels + channel;
                    let sum: u32 = rows
                        .clone()
                        .flat_map(|y| columns.clone().map(move |x| (x, y)))
                        .map(|(x, y)| u32::from(self.pixels[at(x, y)]))
                        .sum();
                    let count = (rows.len() * columns.len()).max(1) as u32;
                    out.pixels[(y * out.width + x) * self.channels + channel] = (sum / count) as u8;
                }
            }
        }
        out
    }

    /// One picture of several of the same size, in rows of `columns`, `gap` black pixels between them.
    pub fn tiled(pictures: &[Self], columns: usize, gap: usize) -> Option<Self> {
        let first = pictures.first()?;
        let columns = columns.clamp(1, pictures.len());
        let rows = pictures.len().div_ceil(columns);
        let mut sheet = Self::black(
            columns * (first.width + gap) - gap,
            rows * (first.height + gap) - gap,
            first.channels,
        );
        for (index, picture) in pictures.iter().enumerate() {
            let (left, top) = (index % columns * (first.width + gap), index / columns * (first.height + gap));
            let row_bytes = first.width * first.channels;
            for (y, row) in picture.pixels.chunks_exact(row_bytes.max(1)).take(first.height).enumerate() {
                let at = ((top + y) * sheet.width + left) * first.channels;
                sheet.pixels.get_mut(at..at + row_bytes)?.copy_from_slice(row);
            }
        }
        Some(sheet)
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// If the picture is empty or too large for PNG.
    pub fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png_encoder(&mut bytes, self);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&self.pixels)?;
        Ok(bytes)
    }
}

/// A PNG encoder for pictures like this one.
pub(crate) fn png_encoder<W: std::io::Write>(writer: W, picture: &Picture) -> png::Encoder<'static, W> {
    // A size beyond u32 cannot be held in memory as pixels.
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(writer, size(picture.width), size(picture.height));
    encoder.set_color(if picture.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, pixels: &[u8]) -> Picture {
        Picture { width, height: pixels.len() / width, channels: 1, pixels: pixels.to_vec() }
    }

    #[test]
    fn enlarging_repeats_pixels() {
        assert_eq!(gray(2, &[1, 2]).enlarged(2), gray(4, &[1, 1, 2, 2, 1, 1, 2, 2]));
        let color = Picture { width: 1, height: 1, channels: 3, pixels: vec![1, 2, 3] };
        assert_eq!(color.enlarged(2).pixels, [1, 2, 3].repeat(4));
        assert_eq!(color.enlarged(1), color);
    }

    #[test]
    fn reducing_takes_means() {
        let picture = gray(4, &[0, 10, 20, 30, 10, 20, 30, 40]);
        assert_eq!(picture.reduced(2, 9), gray(2, &[10, 30]));
        assert_eq!(picture.reduced(4, 2), picture);
        assert_eq!(picture.reduced(1, 1), gray(1, &[20]));
        assert_eq!(gray(1, &[]).reduced(0, 0), gray(1, &[]));
    }

    #[test]
    fn tiles_are_set_side_by_side() {
        let tiles = [gray(1, &[1, 2]), gray(1, &[3, 4]), gray(1, &[5, 6])];
        let sheet = Picture::tiled(&tiles, 2, 1).unwrap();
        assert_eq!(sheet, gray(3, &[1, 0, 3, 2, 0, 4, 0, 0, 0, 5, 0, 0, 6, 0, 0]));
        assert_eq!(Picture::tiled(&tiles[..1], 9, 4), Some(tiles[0].clone()));
        assert_eq!(Picture::tiled(&[], 2, 0), None);
    }

    #[test]
    fn values_become_pixels_and_pixels_colors() {
        let shape = ImageShape { channels: 3, height: 1, width: 2 };
        let values = [-1.0, 1.0, 0.0, 0.0, 1.0, -1.0];
        let picture = Picture::from_values(&values, shape, ValueRange::SIGNED).unwrap();
        assert_eq!((picture.rgb(0, 0), picture.rgb(1, 0)), ([0, 128, 255], [255, 128, 0]));
        assert_eq!((picture.rgb(2, 0), picture.rgb(0, 1)), ([0; 3], [0; 3]));
        assert!(Picture::from_values(&values[..4], shape, ValueRange::SIGNED).is_err());
    }

    #[test]
    fn a_png_reads_back() {
        for channels in [1, 3] {
            let picture =
                Picture { width: 2, height: 2, channels, pixels: (0..4 * channels as u8).collect() };
            let bytes = picture.to_png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width, info.height, pixels), (2, 2, picture.pixels));
        }
    }
}
