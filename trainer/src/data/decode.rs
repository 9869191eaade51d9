//! One PNG or JPEG file to pixels.
//!
//! The decoders fill in what is missing from a cut-off file where they can. For training data that is a silent fault, so
//! the structure of each file is walked first, which also tells at which byte it breaks off.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, Limits};

use super::DataError;

/// Largest side of an image file, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Most pixels of an image file.
const MAX_PIXELS: u64 = 64 << 20;
/// Largest image file, in bytes.
pub(super) const MAX_FILE: u64 = 256 << 20;

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// A decoded image.
pub(super) struct Picture {
    /// 8 bits per channel, gray (`Luma8`) or color (`Rgb8`).
    pub(super) image: DynamicImage,
}

/// Decodes a PNG or JPEG file. The content decides which of the two, not the name.
///
/// The orientation that a camera has noted is applied; 16-bit values keep their upper 8 bits; transparent parts are blended
/// over white.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Picture, DataError> {
    let image = if bytes.starts_with(&PNG_SIGNATURE) {
        let size = walk_png(bytes).map_err(|fault| fault.into_error(file))?;
        check_size(file, 16, size)?;
        let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits())
            .map_err(|e| undecodable(file, bytes, "a PNG image", &e))?;
        decoder.set_limits(limits()).map_err(|e| undecodable(file, bytes, "a PNG image", &e))?;
        orient(decoder).map_err(|e| undecodable(file, bytes, "a PNG image", &e))?
    } else if bytes.starts_with(&[0xff, 0xd8]) {
        let frame = walk_jpeg(bytes).map_err(|fault| fault.into_error(file))?;
        let mut decoder =
            JpegDecoder::new(Cursor::new(bytes)).map_err(|e| undecodable(file, bytes, "a JPEG image", &e))?;
        check_size(file, frame + 5, decoder.dimensions())?;
        decoder.set_limits(limits()).map_err(|e| undecodable(file, bytes, "a JPEG image", &e))?;
        orient(decoder).map_err(|e| undecodable(file, bytes, "a JPEG image", &e))?
    } else {
        let found = match bytes.len() {
            0 => "an empty file".to_owned(),
            _ => format!("the bytes {}", hex(&bytes[..bytes.len().min(4)])),
        };
        return Err(DataError::invalid(file, 0u64, found, "a PNG (89 50 4e 47) or JPEG (ff d8) image"));
    };
    Ok(Picture { image: to_8_bits(image) })
}

fn orient(mut decoder: impl ImageDecoder) -> Result<DynamicImage, image::ImageError> {
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn to_8_bits(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => image,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(image.to_luma8()),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => {
            let mut out = image::GrayImage::new(image.width(), image.height());
            for (to, from) in out.pixels_mut().zip(image.to_luma_alpha8().pixels()) {
                to.0[0] = over_white(from.0[0], from.0[1]);
            }
            DynamicImage::ImageLuma8(out)
        }
        _ if image.color().has_alpha() => {
            let mut out = image::RgbImage::new(image.width(), image.height());
            for (to, from) in out.pixels_mut().zip(image.to_rgba8().pixels()) {
                let [r, g, b, a] = from.0;
                to.0 = [over_white(r, a), over_white(g, a), over_white(b, a)];
            }
            DynamicImage::ImageRgb8(out)
        }
        _ => DynamicImage::ImageRgb8(image.to_rgb8()),
    }
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(8 * MAX_PIXELS);
    limits
}

fn check_size(file: &str, offset: usize, (width, height): (u32, u32)) -> Result<(), DataError> {
    let pixels = u64::from(width) * u64::from(height);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(DataError::invalid(
            file,
            offset,
            format!("an image of {width}x{height} pixels"),
            format!("sides of 1 to {MAX_SIDE} and at most {MAX_PIXELS} pixels"),
        ));
    }
    Ok(())
}

/// The decoder's complaint. It does not say where; the structure was whole, so the fault is in the compressed data.
fn undecodable(file: &str, bytes: &[u8], expected: &str, error: &image::ImageError) -> DataError {
    let offset = if expected.contains("PNG") { png_data(bytes) } else { jpeg_data(bytes) };
    DataError::invalid(file, offset, format!("data that cannot be decoded ({error})"), expected)
}

/// What is wrong with a file's structure, and where.
struct Fault {
    offset: usize,
    found: String,
    expected: &'static str,
}

impl Fault {
    fn new(offset: usize, found: impl Into<String>, expected: &'static str) -> Self {
        Fault { offset, found: found.into(), expected }
    }

    fn into_error(self, file: &str) -> DataError {
        DataError::invalid(file, self.offset, self.found, self.expected)
    }
}

/// Checks that the chunks of a PNG file follow one another up to IEND, and returns width and height. CRCs are the decoder's
/// business.
fn walk_png(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    const END: &str = "the end of the file";
    let mut at = PNG_SIGNATURE.len();
    let mut size = (0, 0);
    loop {
        let Some((head, rest)) = bytes[at..].split_first_chunk::<8>() else {
            return Err(Fault::new(bytes.len(), END, "another PNG chunk (the file is cut off)"));
        };
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = &head[4..];
        if at == PNG_SIGNATURE.len() && kind != b"IHDR" {
            return Err(Fault::new(at + 4, format!("the bytes {}", hex(kind)), "the PNG chunk IHDR"));
        }
        if kind == b"IHDR" {
            let Some(&[a, b, c, d, e, f, g, h]) = rest.first_chunk::<8>() else {
                return Err(Fault::new(bytes.len(), END, "the rest of the PNG header (the file is cut off)"));
            };
            size = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        }
        if rest.len() < 4 || rest.len() - 4 < len {
            return Err(Fault::new(bytes.len(), END, "the rest of a PNG chunk (the file is cut off)"));
        }
        if kind == b"IEND" {
            return Ok(size);
        }
        at += 12 + len;
    }
}

/// Where the first IDAT chunk is.
fn png_data(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|w| w == b"IDAT").unwrap_or(PNG_SIGNATURE.len())
}

/// Where the first scan is.
fn jpeg_data(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap_or(2)
}

/// Checks that the segments of a JPEG file follow one another up to the end-of-image marker (ITU-T T.81, annex B), and returns
/// the offset of the frame header's marker.
fn walk_jpeg(bytes: &[u8]) -> Result<usize, Fault> {
    const END: &str = "the end of the file";
    let mut at = 2;
    let mut frame = None;
    loop {
        // A marker: one or more ff, then a code.
        if bytes.get(at).is_some_and(|&b| b != 0xff) {
            return Err(Fault::new(at, format!("the byte {:02x}", bytes[at]), "a JPEG marker (ff)"));
        }
        while bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let Some(&code) = bytes.get(at + 1) else {
            return Err(Fault::new(bytes.len(), END, "a JPEG marker (the file is cut off)"));
        };
        match code {
            0xd9 => {
                return frame
                    .ok_or_else(|| Fault::new(at, "the end-of-image marker", "a JPEG frame before it"));
            }
            // Markers that stand alone.
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else {
                    return Err(Fault::new(bytes.len(), END, "a JPEG segment (the file is cut off)"));
                };
                let len = usize::from(u16::from_be_bytes([high, low]));
                if len < 2 {
                    return Err(Fault::new(
                        at + 2,
                        format!("segment length {len}"),
                        "a length of at least 2",
                    ));
                }
                // C0-CF start a frame, but for C4 (Huffman tables), C8 and CC.
                if matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc) && frame.is_none() {
                    frame = Some(at);
                }
                at += 2 + len;
                if at > bytes.len() {
                    return Err(Fault::new(
                        bytes.len(),
                        END,
                        "the rest of a JPEG segment (the file is cut off)",
                    ));
                }
                if code == 0xda {
                    // Entropy-coded data: up to the next marker that is neither a stuffed ff nor a restart.
                    loop {
                        match bytes[at..].iter().position(|&b| b == 0xff) {
                            None => {
                                return Err(Fault::new(
                                    bytes.len(),
                                    END,
                                    "the end-of-image marker ff d9 (the file is cut off)",
                                ));
                            }
                            Some(step) => at += step,
                        }
                        match bytes.get(at + 1) {
                            Some(0 | 0xd0..=0xd7) => at += 2,
                            Some(0xff) => at += 1,
                            _ => break,
                        }
                    }
                }
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}
