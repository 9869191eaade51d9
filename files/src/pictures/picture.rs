//! A picture in memory: its color and its size.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Pixel, RgbImage};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::pixels::PixelError;

use super::PictureError;

/// Largest side of a picture, in pixels: of a file's, and of one to resize to.
pub const MAX_SIDE: usize = 16_384;

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

/// Luma of ITU-R BT.601 in 16-bit fixed point, the same integers as Pillow's mode "L": .299 R + .587 G + .114 B.
pub fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// Checks a size to resize to: each side from 1 to [`MAX_SIDE`] pixels.
///
/// # Errors
/// [`PictureError::Resize`].
pub fn check_size(height: usize, width: usize) -> Result<(), PictureError> {
    if (1..=MAX_SIDE).contains(&height) && (1..=MAX_SIDE).contains(&width) {
        return Ok(());
    }
    Err(PictureError::Resize { height, width, limit: MAX_SIDE })
}

impl Picture {
    /// A picture in black.
    pub fn black(width: usize, height: usize, channels: usize) -> Self {
        Self { width, height, channels, pixels: vec![0; width * height * channels] }
    }

    /// The picture of one image as a model gives it, of so many channels, rows and columns.
    ///
    /// # Errors
    /// If `values` has not as many values as the shape.
    pub fn from_values(
        values: &[f32],
        (channels, height, width): (usize, usize, usize),
        encoding: &ImageEncoding,
    ) -> Result<Self, PixelError> {
        let mut picture = Self::black(width, height, channels);
        encoding.pixels(values, channels, &mut picture.pixels)?;
        Ok(picture)
    }

    /// The picture of red, green and blue planes, or a gray one: (C, H, W).
    pub fn from_planes(planes: &[u8], (channels, height, width): (usize, usize, usize)) -> Self {
        let area = (height * width).max(1);
        let pixels = (0..area).flat_map(|at| planes.iter().skip(at).step_by(area).copied()).collect();
        Self { width, height, channels, pixels }
    }

    /// The picture as a model takes it: with so many channels (1 or 3), height and width. Color becomes gray by [`luma`] and
    /// gray becomes RGB first, then comes [`fit`](Self::fit).
    ///
    /// # Errors
    /// [`PictureError::Channels`], [`PictureError::Resize`].
    pub fn into_shape(self, (channels, height, width): (usize, usize, usize)) -> Result<Self, PictureError> {
        match channels {
            1 => self.into_gray().fit(height, width),
            // Three equal channels are resized as one, in a third of the time.
            3 => Ok(self.fit(height, width)?.into_rgb()),
            channels => Err(PictureError::Channels { channels }),
        }
    }

    /// In gray, by [`luma`].
    pub fn into_gray(self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let pixels = self.pixels.as_chunks().0.iter().map(|&[r, g, b]| luma(r, g, b)).collect();
        Self { channels: 1, pixels, ..self }
    }

    fn into_rgb(self) -> Self {
        if self.channels == 3 {
            return self;
        }
        let pixels = self.pixels.iter().flat_map(|&gray| [gray; 3]).collect();
        Self { channels: 3, pixels, ..self }
    }

    /// Brings it to height x width: the largest centered part with the new proportions, resized by a Catmull-Rom filter that
    /// widens when it shrinks, so that nothing aliases (Pillow's `BICUBIC`).
    ///
    /// # Errors
    /// [`PictureError::Resize`] if a side is 0 or more than [`MAX_SIDE`].
    pub fn fit(self, height: usize, width: usize) -> Result<Self, PictureError> {
        check_size(height, width)?;
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        let Self { width: w, height: h, channels, pixels } = self;
        let to = [width as u32, height as u32];
        // Sides of at most 2^14 fit, and the pixels are as many as the sides say.
        let pixels = match channels {
            1 => GrayImage::from_raw(w as u32, h as u32, pixels).map(|image| resized(&image, to)),
            _ => RgbImage::from_raw(w as u32, h as u32, pixels).map(|image| resized(&image, to)),
        };
        Ok(Self { width, height, channels, pixels: pixels.unwrap_or_default() })
    }

    /// Writes red, green and blue planes, (3, H, W); three equal ones if it is gray.
    ///
    /// # Panics
    /// If `out` does not hold three times as many values as the picture has pixels.
    pub fn write_planes(&self, out: &mut [u8]) {
        let planes = out.chunks_exact_mut(self.width * self.height);
        for (channel, plane) in planes.enumerate().take(3) {
            if self.channels == 1 {
                plane.copy_from_slice(&self.pixels);
            } else {
                for (to, pixel) in plane.iter_mut().zip(self.pixels.as_chunks::<3>().0) {
                    *to = pixel[channel];
                }
            }
        }
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

    /// Its values as a model takes them.
    pub fn values(&self, encoding: &ImageEncoding) -> Vec<f32> {
        let mut values = vec![0.0; self.pixels.len()];
        let taken = encoding.values(&self.pixels, self.channels, &mut values);
        debug_assert!(taken.is_ok(), "both have as many values");
        values
    }
}

fn resized<P: Pixel<Subpixel = u8> + 'static>(
    image: &ImageBuffer<P, Vec<u8>>,
    [to_width, to_height]: [u32; 2],
) -> Vec<u8> {
    let (w, h) = (u64::from(image.width()), u64::from(image.height()));
    let (to_w, to_h) = (u64::from(to_width), u64::from(to_height));
    let crop_w = (h * to_w / to_h).clamp(1, w.max(1));
    let crop_h = (w * to_h / to_w).clamp(1, h.max(1));
    let (x, y) = ((w - crop_w.min(w)) / 2, (h - crop_h.min(h)) / 2);
    let cropped = imageops::crop_imm(image, x as u32, y as u32, crop_w as u32, crop_h as u32);
    imageops::resize(&*cropped, to_width, to_height, FilterType::CatmullRom).into_raw()
}

#[cfg(test)]
mod tests {
    use latent_runtime::pixels::ValueRange;

    use super::*;

    fn gray(width: usize, pixels: &[u8]) -> Picture {
        Picture { width, height: pixels.len() / width, channels: 1, pixels: pixels.to_vec() }
    }

    #[test]
    fn color_and_size_are_brought_to_a_models() {
        let color = Picture { width: 2, height: 1, channels: 3, pixels: vec![9, 0, 0, 255, 255, 255] };
        // 0.299 * 9 = 2.69
        assert_eq!(color.clone().into_shape((1, 1, 2)).unwrap().pixels, [3, 255]);
        let gray = Picture { width: 6, height: 2, channels: 1, pixels: [0, 0, 100, 100, 255, 255].repeat(2) };
        // Of a wide picture the middle: the outer columns are cut off.
        let fitted = gray.clone().into_shape((3, 2, 2)).unwrap();
        assert_eq!(fitted, Picture { width: 2, height: 2, channels: 3, pixels: vec![100; 12] });
        assert_eq!(gray.clone().fit(300, 1).unwrap().pixels.len(), 300);
        assert!(gray.clone().into_shape((2, 2, 2)).unwrap_err().to_string().contains("not the 2 that"));
        for (height, width) in [(0, 5), (5, 0), (MAX_SIDE + 1, 5)] {
            let error = gray.clone().fit(height, width).unwrap_err().to_string();
            assert!(error.contains(&format!("{height}x{width}")) && error.contains("1 to 16384"), "{error}");
        }
    }

    #[test]
    fn values_are_planar() {
        let range = ImageEncoding::stated(ValueRange::new(0.0, 255.0).unwrap());
        let color = Picture { width: 2, height: 1, channels: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
        let values = color.values(&range);
        assert_eq!(values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(Picture::from_values(&values, (3, 1, 2), &range).unwrap(), color);
        let mut planes = [0; 6];
        color.write_planes(&mut planes);
        assert_eq!(planes, [1, 4, 2, 5, 3, 6]);
        Picture { width: 2, height: 1, channels: 1, pixels: vec![7, 8] }.write_planes(&mut planes);
        assert_eq!(planes, [7, 8, 7, 8, 7, 8]);
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
        let shape = (3, 1, 2);
        let values = [-1.0, 1.0, 0.0, 0.0, 1.0, -1.0];
        let picture =
            Picture::from_values(&values, shape, &ImageEncoding::stated(ValueRange::SIGNED)).unwrap();
        assert_eq!((picture.rgb(0, 0), picture.rgb(1, 0)), ([0, 128, 255], [255, 128, 0]));
        assert_eq!((picture.rgb(2, 0), picture.rgb(0, 1)), ([0; 3], [0; 3]));
        assert!(
            Picture::from_values(&values[..4], shape, &ImageEncoding::stated(ValueRange::SIGNED)).is_err()
        );
    }
}
