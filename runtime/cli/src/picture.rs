//! PNG and JPEG files of any size, for models that take images of one size.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, Limits};
use latent_runtime::onnx::ImageShape;
use latent_runtime::pixels::{ValueRange, hwc_to_chw};

use super::image::gray;

/// The largest file that is read.
const MAX_FILE: u64 = 256 << 20;
/// The largest side of an image.
const MAX_SIDE: u32 = 16_384;
/// The most memory that decoding may take.
const MAX_MEMORY: u64 = 1 << 29;
/// How the last chunk of a PNG file ends.
const PNG_END: &[u8] = b"IEND\xAE\x42\x60\x82";
/// The most folders inside one another that are looked into: links may lead round in circles.
const MAX_DEPTH: usize = 32;

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageFile {
    pub(crate) path: PathBuf,
    /// The name of the folder that it lies in.
    pub(crate) label: String,
}

/// The image files that are named: files as they are, folders for every `.png`, `.jpg` and `.jpeg` file in them and in the
/// folders inside, sorted by path.
pub(crate) fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<ImageFile>> {
    let mut found = Vec::new();
    for path in paths {
        let kind = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if !kind.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        walk(path, MAX_DEPTH, &mut found)?;
        if found.len() == before {
            bail!("{} has no PNG or JPEG files (.png, .jpg, .jpeg)", path.display());
        }
    }
    Ok(found.into_iter().map(|path| ImageFile { label: label(&path), path }).collect())
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("cannot read the folder {}", folder.display());
    if depth == 0 {
        bail!("{} lies more than {MAX_DEPTH} folders deep; does a link lead back?", folder.display());
    }
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .with_context(context)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, depth - 1, found)?;
        } else if path.extension().is_some_and(|extension| {
            ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        }) {
            found.push(path);
        }
    }
    Ok(())
}

/// The name of the folder of a file.
fn label(path: &Path) -> String {
    let name = |path: &Path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned());
    name(path).or_else(|| name(&path.canonicalize().ok()?)).unwrap_or_default()
}

/// Reads a PNG or JPEG file; the content decides which, not the name. The orientation that a camera has noted is applied;
/// transparent parts are blended over white; 16-bit values keep their upper 8 bits.
pub(crate) fn read(path: &Path) -> anyhow::Result<DynamicImage> {
    decode_file(path).with_context(|| format!("cannot use {} as an image", path.display()))
}

fn decode_file(path: &Path) -> anyhow::Result<DynamicImage> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        bail!("it is not a file");
    }
    if file.len() > MAX_FILE {
        bail!("it has {} bytes; at most {MAX_FILE} are read", file.len());
    }
    let bytes = fs::read(path)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let image = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        // The last chunk, with its checksum.
        if !bytes.ends_with(PNG_END) && !bytes.windows(PNG_END.len()).any(|part| part == PNG_END) {
            bail!("the PNG file has no end: it was cut off");
        }
        oriented(PngDecoder::with_limits(std::io::Cursor::new(&bytes), limits.clone())?, limits)?
    } else if bytes.starts_with(&[0xFF, 0xD8]) {
        // The decoder fills in what is missing from a file that was cut off. The end-of-image marker cannot be within the
        // data of the last scan, so it tells.
        let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
        if last(0xD9) <= last(0xDA) {
            bail!("the JPEG file has no end: it was cut off");
        }
        oriented(JpegDecoder::new(std::io::Cursor::new(&bytes))?, limits)?
    } else if bytes.is_empty() {
        bail!("it is empty");
    } else {
        bail!("it is neither a PNG nor a JPEG file");
    };
    Ok(eight_bits(image))
}

fn oriented(mut decoder: impl ImageDecoder, limits: Limits) -> Result<DynamicImage, image::ImageError> {
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Gray or RGB of 8 bits, without transparency.
fn eight_bits(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return match image.color().channel_count() {
            1 => DynamicImage::ImageLuma8(image.into_luma8()),
            _ => DynamicImage::ImageRgb8(image.into_rgb8()),
        };
    }
    let mut out = image::RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.to_rgba8().pixels()) {
        let [red, green, blue, alpha] = from.0.map(u32::from);
        to.0 = [red, green, blue].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    DynamicImage::ImageRgb8(out)
}

/// An image as a model takes it, planar values in `range`: the largest centered part of the model's proportions, resized by a
/// Catmull-Rom filter that widens when it shrinks; color becomes gray (ITU-R BT.601 weights) and gray becomes RGB where the
/// model wants it.
pub(crate) fn values(image: &DynamicImage, shape: ImageShape, range: ValueRange) -> anyhow::Result<Vec<f32>> {
    let ImageShape { channels, height, width } = shape;
    let fitted;
    let image = if (image.width() as usize, image.height() as usize) == (width, height) {
        image
    } else {
        fitted = fit(image, height, width)?;
        &fitted
    };
    let interleaved: Vec<u8> = match (channels, image) {
        (1, DynamicImage::ImageLuma8(gray)) => gray.as_raw().clone(),
        (1, image) => image.to_rgb8().pixels().map(|pixel| gray(pixel[0], pixel[1], pixel[2])).collect(),
        (3, image) => image.to_rgb8().into_raw(),
        (n, _) => bail!("the model takes images of {n} channels, but a PNG or JPEG file has 1 or 3"),
    };
    let mut values = vec![0.0; channels * height * width];
    hwc_to_chw(&interleaved, channels, range, &mut values)?;
    Ok(values)
}

fn fit(image: &DynamicImage, height: usize, width: usize) -> anyhow::Result<DynamicImage> {
    let (to_width, to_height) = (u32::try_from(width)?, u32::try_from(height)?);
    if to_width == 0 || to_height == 0 || to_width > MAX_SIDE || to_height > MAX_SIDE {
        bail!("images cannot be resized to the model's {width} x {height} pixels");
    }
    let (from_width, from_height) = (u64::from(image.width()), u64::from(image.height()));
    let crop_width = (from_height * u64::from(to_width) / u64::from(to_height)).clamp(1, from_width);
    let crop_height = (from_width * u64::from(to_height) / u64::from(to_width)).clamp(1, from_height);
    let (left, top) = ((from_width - crop_width) / 2, (from_height - crop_height) / 2);
    let part = image.crop_imm(left as u32, top as u32, crop_width as u32, crop_height as u32);
    Ok(part.resize_exact(to_width, to_height, FilterType::CatmullRom))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};

    fn gradient(width: u32, height: u32) -> DynamicImage {
        let pixel = |x: u32, y: u32| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 128]);
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
    }

    #[test]
    fn files_are_found_and_labeled_by_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/2.PNG", "b/1.jpg", "a/x/3.jpeg", "a/notes.txt", "c.png"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found =
            find(&[folder.path().join("b"), folder.path().join("a"), folder.path().join("a/notes.txt")])
                .unwrap();
        let said: Vec<(String, &str)> = found
            .iter()
            .map(|file| (file.path.file_name().unwrap().to_string_lossy().into_owned(), file.label.as_str()))
            .collect();
        let expected = [("1.jpg", "b"), ("2.PNG", "b"), ("3.jpeg", "x"), ("notes.txt", "a")];
        assert_eq!(said, expected.map(|(name, label)| (name.to_string(), label)));
        fs::create_dir(folder.path().join("empty")).unwrap();
        let error = find(&[folder.path().join("empty")]).unwrap_err().to_string();
        assert!(error.contains("empty has no PNG or JPEG files"), "{error}");
        assert!(find(&[folder.path().join("none")]).is_err());
    }

    #[test]
    fn png_and_jpeg_files_become_values() {
        let folder = tempfile::tempdir().unwrap();
        let shape = ImageShape { channels: 3, height: 8, width: 16 };
        for (format, bound) in [(ImageFormat::Png, 0.0), (ImageFormat::Jpeg, 0.1)] {
            // The extension says nothing.
            let path = folder.path().join("picture.dat");
            gradient(16, 8).save_with_format(&path, format).unwrap();
            let found = values(&read(&path).unwrap(), shape, ValueRange::UNIT).unwrap();
            let expected = values(&gradient(16, 8), shape, ValueRange::UNIT).unwrap();
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= bound), "{format:?}");
            assert_eq!(expected[..3], [0.0, 15.0 / 255.0, 31.0 / 255.0]);

            let bytes = fs::read(&path).unwrap();
            for length in [0, 1, 8, bytes.len() / 2, bytes.len() - 2] {
                fs::write(&path, &bytes[..length]).unwrap();
                let error = format!("{:#}", read(&path).unwrap_err());
                assert!(error.contains("picture.dat"), "{format:?} {length}: {error}");
            }
        }
    }

    #[test]
    fn other_sizes_are_cropped_and_resized_and_colors_converted() {
        let shape = ImageShape { channels: 3, height: 4, width: 4 };
        // Of a wide image the middle: red goes from a quarter to three quarters.
        let found = values(&gradient(64, 32), shape, ValueRange::UNIT).unwrap();
        let row = &found[4..8];
        assert!(row.windows(2).all(|pair| pair[0] < pair[1]), "{row:?}");
        assert!((0.25..0.4).contains(&row[0]) && (0.6..0.75).contains(&row[3]), "{row:?}");
        let gray = values(&gradient(4, 4), ImageShape { channels: 1, ..shape }, ValueRange::UNIT).unwrap();
        assert!((gray[0] - 0.114 * 128.0 / 255.0).abs() < 0.5 / 255.0);
        let rgb = values(&DynamicImage::new_luma8(4, 4), shape, ValueRange::SIGNED).unwrap();
        assert_eq!(rgb, [-1.0; 48]);
        let clear = eight_bits(DynamicImage::new_rgba8(1, 1));
        assert_eq!(clear.to_rgb8().as_raw(), &[255; 3]);
        assert!(values(&clear, ImageShape { channels: 2, ..shape }, ValueRange::UNIT).is_err());
    }
}
