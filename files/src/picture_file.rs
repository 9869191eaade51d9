//! A picture to a file of the format that its name says, or to stdout.

use std::io;
use std::path::Path;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use crate::atomic::{self, Existing};
use crate::console::{self, OutputError};
use crate::pictures::Picture;
use crate::sheet::{Compression, png};

/// The quality of JPEG files, of 100.
const QUALITY: u8 = 95;

/// The formats that pictures are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// Every pixel as it is.
    Png,
    /// Smaller, and not quite the pixels.
    Jpeg,
}

/// Why a picture is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The name says no format that is written.
    #[error(
        "cannot write a picture to {0}: give a name that ends in .png, .jpg or .jpeg, or - for a PNG to standard output"
    )]
    Name(String),
    /// The encoder refuses: JPEG has at most 65 535 pixels a side.
    #[error("cannot encode {0}: {1}")]
    Encoding(String, String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nor can stdout.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Whether a name stands for standard output.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl PictureFormat {
    /// The format that a file's name says: by `.png`, `.jpg` or `.jpeg`; PNG for `-`.
    ///
    /// # Errors
    /// [`WriteError::Name`].
    pub fn of(path: &Path) -> Result<Self, WriteError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("png") => Ok(Self::Png),
            Some("jpg" | "jpeg") => Ok(Self::Jpeg),
            _ if is_stdout(path) => Ok(Self::Png),
            _ => Err(WriteError::Name(path.display().to_string())),
        }
    }
}

/// Checks early that a picture can be written here; as [`atomic::check`].
///
/// # Errors
/// Those of [`PictureFormat::of`] and of [`atomic::check`].
pub fn check(path: &Path, existing: Existing) -> Result<(), WriteError> {
    if !is_stdout(path) {
        atomic::check(path, existing)?;
    }
    PictureFormat::of(path).map(|_| ())
}

/// Writes a picture as its name says; `compression` is that of a PNG.
///
/// # Errors
/// If the name says no format, the picture is too large for it, or the place cannot be written.
pub fn write(
    path: &Path,
    picture: &Picture,
    compression: Compression,
    existing: Existing,
) -> Result<(), WriteError> {
    let fault =
        |error: &dyn std::fmt::Display| WriteError::Encoding(path.display().to_string(), error.to_string());
    let bytes = match PictureFormat::of(path)? {
        PictureFormat::Png => png(picture, compression).map_err(|error| fault(&error))?,
        PictureFormat::Jpeg => {
            let mut bytes = Vec::new();
            let size = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            let color = if picture.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
            JpegEncoder::new_with_quality(&mut bytes, QUALITY)
                .encode(&picture.pixels, size(picture.width), size(picture.height), color)
                .map_err(|error| fault(&error))?;
            bytes
        }
    };
    if is_stdout(path) {
        return Ok(console::print_bytes(&bytes)?);
    }
    Ok(atomic::write_file(path, &bytes, existing)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures;

    #[test]
    fn a_name_says_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let pixels = (0..16 * 8 * channels).map(|at| (at / channels * 2) as u8).collect();
            let picture = Picture { width: 16, height: 8, channels, pixels };
            for (name, start) in [("a.png", &b"\x89PNG"[..]), ("a.jpg", b"\xff\xd8"), ("a.JPEG", b"\xff\xd8")]
            {
                let path = folder.path().join(name);
                write(&path, &picture, Compression::Balanced, Existing::Replace).unwrap();
                assert!(std::fs::read(&path).unwrap().starts_with(start), "{name}");
                let found = pictures::open(&path).unwrap();
                assert_eq!((found.width, found.height, found.channels), (16, 8, channels));
                let largest = found.pixels.iter().zip(&picture.pixels).map(|(a, b)| a.abs_diff(*b)).max();
                // Gray, as a JPEG halves the resolution of hues.
                assert!(largest <= Some(if start == b"\x89PNG" { 0 } else { 12 }), "{name}: {largest:?}");
            }
        }
        assert_eq!(PictureFormat::of(Path::new("-")).unwrap(), PictureFormat::Png);
        for name in ["a", "a.bmp", "png", "-.gif"] {
            let error = check(&folder.path().join(name), Existing::Keep).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("ends in .png, .jpg or .jpeg"), "{error}");
        }
    }

    #[test]
    fn what_jpeg_cannot_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wide = Picture { width: 70_000, height: 1, channels: 1, pixels: vec![0; 70_000] };
        let path = folder.path().join("wide.jpg");
        let error = write(&path, &wide, Compression::Balanced, Existing::Keep).unwrap_err().to_string();
        assert!(error.contains("cannot encode") && error.contains("wide.jpg"), "{error}");
        assert!(!path.exists());
    }
}
