//! Size and color of images.

use std::borrow::Cow;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma};
use rayon::prelude::*;

use super::{DataError, Dataset, LoadOptions, MAX_BYTES};

/// Largest side to resize to, in pixels.
const MAX_SIDE: usize = 4096;

/// Luma of ITU-R BT.601 in 16-bit fixed point, the same integers as Pillow's mode "L" (REFERENCE: gray = .299R+.587G+.114B).
pub(super) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// Checks a size to resize to.
pub(super) fn check_size(size: Option<(usize, usize)>) -> Result<(), DataError> {
    match size {
        Some((height, width)) if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) => {
            Err(DataError::Resize { height, width, limit: MAX_SIDE })
        }
        _ => Ok(()),
    }
}

/// Brings an image to height x width: the largest centered part with the new proportions, resized by a Catmull-Rom filter that
/// widens when it shrinks, so that nothing aliases.
pub(super) fn fit(image: &DynamicImage, (height, width): (usize, usize)) -> DynamicImage {
    let (w, h) = (u64::from(image.width()), u64::from(image.height()));
    let (to_w, to_h) = (width as u64, height as u64);
    if (w, h) == (to_w, to_h) {
        return image.clone();
    }
    let crop_w = (h * to_w / to_h).clamp(1, w);
    let crop_h = (w * to_h / to_w).clamp(1, h);
    let cropped: Cow<'_, DynamicImage> = if (crop_w, crop_h) == (w, h) {
        Cow::Borrowed(image)
    } else {
        let (x, y) = ((w - crop_w) / 2, (h - crop_h) / 2);
        Cow::Owned(image.crop_imm(x as u32, y as u32, crop_w as u32, crop_h as u32))
    };
    cropped.resize_exact(width as u32, height as u32, FilterType::CatmullRom)
}

/// Applies `resize` and `gray` to a data set that was loaded as it is.
pub(super) fn apply(mut data: Dataset, options: &LoadOptions) -> Result<Dataset, DataError> {
    check_size(options.resize)?;
    if options.gray && data.channels == 3 {
        let plane = data.height * data.width;
        let mut gray = vec![0; data.len() * plane];
        gray.par_chunks_exact_mut(plane).zip(data.pixels.par_chunks_exact(3 * plane)).for_each(
            |(out, image)| {
                let (r, rest) = image.split_at(plane);
                let (g, b) = rest.split_at(plane);
                for (i, value) in out.iter_mut().enumerate() {
                    *value = luma(r[i], g[i], b[i]);
                }
            },
        );
        data.pixels = gray;
        data.channels = 1;
    }
    if let Some((height, width)) = options.resize
        && (height, width) != (data.height, data.width)
    {
        let bytes = (data.len() * data.channels) as u64 * (height * width) as u64;
        if bytes > MAX_BYTES {
            return Err(DataError::TooLarge { file: data.source, bytes, limit: MAX_BYTES });
        }
        let from = data.height * data.width;
        let to = height * width;
        let mut resized = vec![0; data.len() * data.channels * to];
        // Planes are independent: each one is a gray image.
        resized.par_chunks_exact_mut(to).zip(data.pixels.par_chunks_exact(from)).for_each(|(out, plane)| {
            resize_plane(plane, (data.height, data.width), out, (height, width));
        });
        data.pixels = resized;
        (data.height, data.width) = (height, width);
    }
    Ok(data)
}

fn resize_plane(plane: &[u8], (from_h, from_w): (usize, usize), out: &mut [u8], to: (usize, usize)) {
    let image: Option<GrayImage> =
        ImageBuffer::<Luma<u8>, _>::from_raw(from_w as u32, from_h as u32, plane.to_vec());
    if let Some(image) = image {
        out.copy_from_slice(fit(&DynamicImage::ImageLuma8(image), to).as_bytes());
    }
}

/// Writes an 8-bit gray or color image as red, green and blue planes.
pub(super) fn write_planes(image: &DynamicImage, out: &mut [u8]) {
    let plane = out.len() / 3;
    match image {
        DynamicImage::ImageLuma8(gray) => {
            for channel in out.chunks_exact_mut(plane) {
                channel.copy_from_slice(gray.as_raw());
            }
        }
        DynamicImage::ImageRgb8(rgb) => {
            for (i, pixel) in rgb.as_raw().as_chunks::<3>().0.iter().enumerate() {
                for c in 0..3 {
                    out[c * plane + i] = pixel[c];
                }
            }
        }
        other => write_planes(&DynamicImage::ImageRgb8(other.to_rgb8()), out),
    }
}

/// Turns an image into gray with [`luma`].
pub(super) fn to_gray(image: &DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb8(rgb) => {
            let mut gray = GrayImage::new(rgb.width(), rgb.height());
            for (to, from) in gray.iter_mut().zip(rgb.as_raw().as_chunks::<3>().0) {
                *to = luma(from[0], from[1], from[2]);
            }
            DynamicImage::ImageLuma8(gray)
        }
        _ => DynamicImage::ImageLuma8(imageops::grayscale(image)),
    }
}
