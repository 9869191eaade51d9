//! One PNG or JPEG file to pixels.
//!
//! The decoders fill in what is missing from a cut-off file where they can. For training data that is a silent fault, so
//! the structure of each file is walked first, which also tells at which byte it breaks off.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, Limits};

use super::{MAX_SIDE, Picture, PictureError};

/// Most pixels of an image file.
const MAX_PIXELS: u64 = 64 << 20;

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const JPEG_START: [u8; 2] = [0xff, 0xd8];

/// Whether these are the first bytes of a PNG or JPEG file.
pub fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(&PNG_SIGNATURE) || bytes.starts_with(&JPEG_START)
}

/// Decodes the bytes of a PNG or JPEG file, as the table of [this module](super) says. `file` is its name in messages.
///
/// # Errors
/// [`PictureError::Invalid`]: no picture, a damaged or a cut-off one, or one with a side of more than [`MAX_SIDE`] or more
/// than 2^26 pixels, before memory is taken for it.
pub fn decode(file: &str, bytes: &[u8]) -> Result<Picture, PictureError> {
    let image = if bytes.starts_with(&PNG_SIGNATURE) {
        let png = walk_png(bytes).map_err(|fault| fault.into_error(file))?;
        check_dimensions(file, 16, png.size)?;
        let orientation = png.exif.and_then(Orientation::from_exif_chunk);
        PngDecoder::with_limits(Cursor::new(bytes), limits())
            .and_then(|decoder| pixels(decoder, orientation))
            .map_err(|error| undecodable(file, png.data, "a PNG image", &error))?
    } else if bytes.starts_with(&JPEG_START) {
        let jpeg = walk_jpeg(bytes).map_err(|fault| fault.into_error(file))?;
        let damaged = |error| undecodable(file, jpeg.data, "a JPEG image", &error);
        let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
        check_dimensions(file, jpeg.frame + 5, decoder.dimensions())?;
        let orientation = decoder.orientation().map_err(damaged)?;
        pixels(decoder, Some(orientation)).map_err(damaged)?
    } else {
        let found = match bytes.len() {
            0 => "an empty file".to_owned(),
            _ => format!("the bytes {}", hex(&bytes[..bytes.len().min(4)])),
        };
        let expected = "a PNG (89 50 4e 47) or JPEG (ff d8) image";
        return Err(PictureError::invalid(file, 0u64, found, expected));
    };
    Ok(to_8_bits(image))
}

fn pixels(
    mut decoder: impl ImageDecoder,
    orientation: Option<Orientation>,
) -> Result<DynamicImage, ImageError> {
    decoder.set_limits(limits())?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

fn to_8_bits(image: DynamicImage) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples = usize::from(image.color().channel_count());
    let bytes = match image {
        // Not rounded, as the decoders of libpng and Pillow have it.
        DynamicImage::ImageLuma16(image) => upper_bytes(&image),
        DynamicImage::ImageLumaA16(image) => upper_bytes(&image),
        DynamicImage::ImageRgb16(image) => upper_bytes(&image),
        DynamicImage::ImageRgba16(image) => upper_bytes(&image),
        image => image.into_bytes(),
    };
    let pixels = match samples {
        2 => bytes.as_chunks().0.iter().map(|&[gray, a]| over_white(gray, a)).collect(),
        4 => {
            bytes.as_chunks().0.iter().flat_map(|&[r, g, b, a]| [r, g, b].map(|x| over_white(x, a))).collect()
        }
        _ => bytes,
    };
    Picture { width, height, channels: if samples < 3 { 1 } else { 3 }, pixels }
}

fn upper_bytes(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|sample| (sample >> 8) as u8).collect()
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(8 * MAX_PIXELS);
    limits
}

fn check_dimensions(file: &str, offset: usize, (width, height): (u32, u32)) -> Result<(), PictureError> {
    let pixels = u64::from(width) * u64::from(height);
    if super::check_size(height as usize, width as usize).is_err() || pixels > MAX_PIXELS {
        let found = format!("an image of {width}x{height} pixels");
        let expected = format!("sides of 1 to {MAX_SIDE} and at most {MAX_PIXELS} pixels");
        return Err(PictureError::invalid(file, offset, found, expected));
    }
    Ok(())
}

/// The decoder's complaint. It does not say where; the structure was whole, so the fault is in the compressed data.
fn undecodable(file: &str, data: usize, expected: &str, error: &ImageError) -> PictureError {
    PictureError::invalid(file, data, format!("data that cannot be decoded ({error})"), expected)
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

    fn into_error(self, file: &str) -> PictureError {
        PictureError::invalid(file, self.offset, self.found, self.expected)
    }
}

/// What the chunks of a PNG file say.
struct Png<'a> {
    /// Width and height in pixels.
    size: (u32, u32),
    /// What a camera has noted. It may stand behind the image, where the decoder does not look for it in time.
    exif: Option<&'a [u8]>,
    /// Offset of the first data chunk.
    data: usize,
}

/// Checks that the chunks of a PNG file follow one another up to IEND. CRCs are the decoder's business.
fn walk_png(bytes: &[u8]) -> Result<Png<'_>, Fault> {
    const END: &str = "the end of the file";
    let mut at = PNG_SIGNATURE.len();
    let mut png = Png { size: (0, 0), exif: None, data: 0 };
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
            png.size = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        }
        if rest.len() < 4 || rest.len() - 4 < len {
            return Err(Fault::new(bytes.len(), END, "the rest of a PNG chunk (the file is cut off)"));
        }
        match kind {
            b"IEND" => return Ok(png),
            b"eXIf" => png.exif = Some(&rest[..len]),
            b"IDAT" if png.data == 0 => png.data = at + 4,
            _ => {}
        }
        at += 12 + len;
    }
}

/// Where things are in a JPEG file.
struct Jpeg {
    /// Offset of the frame header's marker.
    frame: usize,
    /// Offset of the first scan's.
    data: usize,
}

/// Checks that the segments of a JPEG file follow one another up to the end-of-image marker (ITU-T T.81, annex B).
fn walk_jpeg(bytes: &[u8]) -> Result<Jpeg, Fault> {
    const END: &str = "the end of the file";
    let mut at = 2;
    let (mut frame, mut data) = (None, None);
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
                    .map(|frame| Jpeg { frame, data: data.unwrap_or(frame) })
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
                if code == 0xda {
                    data.get_or_insert(at);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::open;
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
    }

    /// Every odd picture has the pixels that Pillow reads; `tests/pictures.py` wrote them down.
    #[test]
    fn odd_pictures_are_read_as_by_pillow() {
        let table = fs::read_to_string(folder().join("expected.txt")).unwrap();
        let (mut rows, mut failures) = (0, Vec::new());
        for row in table.lines().filter(|row| !row.starts_with('#')) {
            rows += 1;
            let [name, width, height, channels, tolerance, pixels] = *row.split(' ').collect::<Vec<_>>()
            else {
                panic!("{row}")
            };
            let [width, height, channels] = [width, height, channels].map(|n| n.parse().unwrap());
            let expected: Vec<u8> = (0..pixels.len() / 2)
                .map(|i| u8::from_str_radix(&pixels[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            let picture = open(&folder().join(name)).unwrap();
            if name != "large.png" {
                assert_eq!((picture.width, picture.height), (width, height), "{name}");
            }
            let stored = picture.channels;
            let picture = picture.into_shape((channels, height, width)).unwrap();
            let far = picture.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            let same_shape = picture.pixels.len() == expected.len() && stored >= channels;
            if !same_shape || far > Some(tolerance.parse().unwrap()) {
                failures.push(format!("{name}: {far:?} off: {:?} instead of {expected:?}", picture.pixels));
            }
        }
        assert!(failures.is_empty() && rows > 40, "{rows} rows\n{}", failures.join("\n"));
    }

    /// Wherever a file ends before its end, it is refused; also when another kind of file has its name.
    #[test]
    fn what_is_no_whole_picture_is_refused() {
        for name in ["rgba.png", "animated.png", "exif_6.jpg", "progressive.jpg", "cmyk.jpg"] {
            let bytes = fs::read(folder().join(name)).unwrap();
            assert!(is_picture(&bytes) && decode(name, &bytes).is_ok());
            for end in 0..bytes.len() {
                let error = decode(name, &bytes[..end]).unwrap_err().to_string();
                assert!(error.starts_with(&format!("{name}: at byte ")), "{end}: {error}");
            }
        }
        for (bytes, expected) in [
            (&b""[..], "an empty file"),
            (b"GIF89a", "the bytes 47 49 46 38, expected a PNG (89 50 4e 47) or JPEG (ff d8) image"),
            (b"\xff\xd8\xff\xd9", "a JPEG frame"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\0IEND", "IHDR"),
        ] {
            let error = decode("x.png", bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        // A side of 60000 pixels in 84 bytes is refused for what the header says, whatever its checksum.
        let mut huge = fs::read(folder().join("rgb.png")).unwrap();
        huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        let error = decode("huge.png", &huge).unwrap_err().to_string();
        assert!(error.contains("at byte 16: found an image of 60000x4 pixels"), "{error}");
    }
}
