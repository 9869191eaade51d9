//! Pictures: contact sheets out, PNG files in.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail};
use latent_runtime::onnx::ImageShape;
use latent_runtime::pixels::{ValueRange, chw_to_hwc, hwc_to_chw};

/// The pixels between two images of a sheet.
const GAP: usize = 2;

/// The most pixels of a sheet.
const MAX_PIXELS: usize = 1 << 28;

/// How images are laid out on a sheet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    pub(crate) count: usize,
    pub(crate) columns: usize,
    pub(crate) scale: usize,
    pub(crate) image: ImageShape,
}

impl Sheet {
    /// Width and height in pixels, unless it would be too large.
    pub(crate) fn size(&self) -> anyhow::Result<(usize, usize)> {
        let side = |images: usize, size: usize| {
            let scaled = size.checked_mul(self.scale)?;
            images.checked_mul(scaled)?.checked_add(GAP.checked_mul(images.saturating_sub(1))?)
        };
        let columns = self.columns.min(self.count);
        let (width, height) =
            (side(columns, self.image.width), side(self.count.div_ceil(self.columns), self.image.height));
        let (Some(width), Some(height)) = (width, height) else {
            bail!("a sheet of {} images is too large", self.count);
        };
        if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
            bail!(
                "a sheet of {} images would have {width} x {height} pixels; at most {MAX_PIXELS} are written",
                self.count
            );
        }
        Ok((width, height))
    }

    /// The sheet as a PNG file: the images row by row, each pixel `scale` pixels wide, black between them.
    pub(crate) fn png(&self, values: &[f32], range: ValueRange) -> anyhow::Result<Vec<u8>> {
        let (width, height) = self.size()?;
        let ImageShape { channels, height: rows, width: columns } = self.image;
        let color = match channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            n => bail!("an image of {n} channels cannot be written as PNG; 1 (gray) and 3 (RGB) can"),
        };
        let mut sheet = vec![0; width * height * channels];
        let mut pixels = vec![0; channels * rows * columns];
        for (index, image) in values.chunks_exact(pixels.len()).enumerate() {
            chw_to_hwc(image, channels, range, &mut pixels)?;
            let left = index % self.columns * (columns * self.scale + GAP);
            let top = index / self.columns * (rows * self.scale + GAP);
            for y in 0..rows * self.scale {
                for x in 0..columns * self.scale {
                    let from = (y / self.scale * columns + x / self.scale) * channels;
                    let to = ((top + y) * width + left + x) * channels;
                    sheet[to..to + channels].copy_from_slice(&pixels[from..from + channels]);
                }
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width.try_into()?, height.try_into()?);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&sheet)?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// Reads a PNG file as one image of this shape, planar values in `range`. Color becomes gray (ITU-R BT.601 weights)
/// and gray becomes RGB where the model wants it; transparency is dropped.
pub(crate) fn read_png(path: &Path, shape: ImageShape, range: ValueRange) -> anyhow::Result<Vec<f32>> {
    decode_png(path, shape, range).with_context(|| format!("cannot use {} as input", path.display()))
}

fn decode_png(path: &Path, shape: ImageShape, range: ValueRange) -> anyhow::Result<Vec<f32>> {
    if path.is_dir() {
        bail!("it is a folder");
    }
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path)?));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let (width, height) = reader.info().size();
    // Asked before decoding: the file may say anything about its size.
    if (width as usize, height as usize) != (shape.width, shape.height) {
        bail!("it has {width} x {height} pixels, but the model takes {} x {}", shape.width, shape.height);
    }
    let mut buffer = vec![0; reader.output_buffer_size().context("it is too large")?];
    let info = reader.next_frame(&mut buffer)?;
    let samples = info.color_type.samples();
    let pixels = buffer.chunks_exact(samples).take(shape.width * shape.height).map(|pixel| match samples {
        1 | 2 => [pixel[0]; 3],
        _ => [pixel[0], pixel[1], pixel[2]],
    });
    let interleaved: Vec<u8> = match shape.channels {
        1 => pixels.map(|[r, g, b]| gray(r, g, b)).collect(),
        3 => pixels.flatten().collect(),
        n => bail!("the model takes images of {n} channels, but a PNG file has 1 or 3"),
    };
    let mut values = vec![0.0; shape.channels * shape.height * shape.width];
    hwc_to_chw(&interleaved, shape.channels, range, &mut values)?;
    Ok(values)
}

/// 0.299 R + 0.587 G + 0.114 B, rounded; equal parts stay what they are.
pub(crate) fn gray(r: u8, g: u8, b: u8) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 2, width: 3 };

    #[test]
    fn a_sheet_has_its_images_in_place() {
        let sheet = Sheet { count: 3, columns: 2, scale: 2, image: SHAPE };
        assert_eq!(sheet.size().unwrap(), (14, 10));
        let values: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let bytes = sheet.png(&values, ValueRange::new(0.0, 255.0).unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; 140];
        reader.next_frame(&mut pixels).unwrap();
        let row = |y: usize| pixels[y * 14..(y + 1) * 14].to_vec();
        assert_eq!(row(0), [0, 0, 1, 1, 2, 2, 0, 0, 6, 6, 7, 7, 8, 8]);
        assert_eq!(row(3), [3, 3, 4, 4, 5, 5, 0, 0, 9, 9, 10, 10, 11, 11]);
        assert_eq!(row(4), [0; 14]);
        assert_eq!(row(9), [15, 15, 16, 16, 17, 17, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn sheets_too_large_are_refused() {
        for (count, columns, scale) in [(1 << 30, 1 << 15, 1), (usize::MAX, 1, 1), (1, 1, usize::MAX)] {
            assert!(Sheet { count, columns, scale, image: SHAPE }.size().is_err());
        }
    }

    #[test]
    fn a_png_comes_back_as_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for channels in [1, 3] {
            let shape = ImageShape { channels, ..SHAPE };
            let range = ValueRange::UNIT;
            let values: Vec<f32> = (0..6 * channels).map(|i| range.from_u8(i as u8 * 10)).collect();
            let sheet = Sheet { count: 1, columns: 8, scale: 1, image: shape };
            std::fs::write(&path, sheet.png(&values, range).unwrap()).unwrap();
            assert_eq!(read_png(&path, shape, range).unwrap(), values);
        }
        // The file is RGB now: gray is its weighted mean.
        let gray = read_png(&path, SHAPE, ValueRange::UNIT).unwrap();
        assert_eq!(ValueRange::UNIT.to_u8(gray[0]), ((0.587 * 60.0f32) + 0.114 * 120.0).round() as u8);
        let error = read_png(&path, ImageShape { height: 3, ..SHAPE }, ValueRange::UNIT).unwrap_err();
        assert!(format!("{error:#}").contains("3 x 2 pixels, but the model takes 3 x 3"), "{error:#}");
        std::fs::write(&path, "no image").unwrap();
        assert!(read_png(&path, SHAPE, ValueRange::UNIT).is_err());
    }
}
