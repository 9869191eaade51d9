//! Grids of images, as a run shows its samples.

use latent_files::pictures::Picture;
use latent_files::sheet::{self, Compression, Gap, Sheet};

pub use latent_files::sheet::SheetError as GridError;

/// Width and height in pixels of the sheet that [`png()`] makes.
pub fn size(n: usize, h: usize, w: usize, columns: usize, scale: usize) -> Result<(usize, usize), GridError> {
    Sheet { count: n, columns, scale, shape: (1, h, w), gap: Gap::FRAME }.size()
}

/// As [`png()`], but not encoded.
pub fn draw(
    images: &[u8],
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    columns: usize,
    scale: usize,
) -> Result<Picture, GridError> {
    let sheet = Sheet { count: n, columns, scale, shape: (c, h, w), gap: Gap::FRAME };
    // Before anything is made of the images.
    sheet.size()?;
    let pictures: Vec<Picture> =
        images.chunks(c * h * w).map(|planes| Picture::from_planes(planes, (c, h, w))).collect();
    sheet.draw(&pictures)
}

/// Draws `n` images, row by row with `columns` in a row, each pixel as a square of `scale` x `scale`, framed, and encodes the
/// sheet as a PNG (8-bit gray or RGB).
///
/// `images` are planar, (N, C, H, W) with C = 1 (gray) or 3 (RGB), values 0..=255.
pub fn png(
    images: &[u8],
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    columns: usize,
    scale: usize,
) -> Result<Vec<u8>, GridError> {
    Ok(sheet::png(&draw(images, n, c, h, w, columns, scale)?, Compression::Smallest)?)
}
