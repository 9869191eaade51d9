//! Pictures of 16x16 gray pixels: as text, and drawn.

use core::fmt::{self, Write};

use latent_runtime::rng::Rng;

/// Rows and columns.
pub const SIDE: usize = 16;

/// Gray values as letters, black first.
const LETTERS: &[u8; 10] = b" .:-=+*#%@";

/// Writes a picture as text, each pixel twice, as letters are higher than wide.
///
/// # Errors
/// If the console takes no more.
pub fn print(pixels: &[u8], console: &mut impl Write) -> fmt::Result {
    for row in pixels.chunks(SIDE) {
        let mut line = [b' '; 2 * SIDE];
        for (letters, &pixel) in line.chunks_mut(2).zip(row) {
            letters.fill(LETTERS.get(usize::from(pixel) * LETTERS.len() / 256).copied().unwrap_or(b'?'));
        }
        let line = core::str::from_utf8(&line).unwrap_or("").trim_end();
        writeln!(console, "{line}")?;
    }
    Ok(())
}

/// What [`draw`] draws.
pub const CLASSES: [&str; 3] = ["ring", "cross", "disk"];

/// Draws a picture of a class: of another size, at another place, in another gray and with other noise each time.
pub fn draw(class: u32, rng: &mut Rng) -> [u8; SIDE * SIDE] {
    // In eighths of a pixel, so that every machine draws the same.
    let mut near = |least: i32, steps: u32| least + rng.below(steps) as i32;
    let (x, y, radius, width) = (near(52, 25), near(52, 25), near(32, 21), near(7, 5));
    let (ink, noise) = (near(150, 90), near(10, 30));
    let mut pixels = [0; SIDE * SIDE];
    for (at, pixel) in pixels.iter_mut().enumerate() {
        let (dx, dy) = ((at % SIDE) as i32 * 8 - x, (at / SIDE) as i32 * 8 - y);
        let (dx, dy) = (dx.abs(), dy.abs());
        let is_ink = match class {
            0 => (dx * dx + dy * dy).isqrt().abs_diff(radius) <= width as u32,
            1 => dx.min(dy) <= width && dx.max(dy) <= radius,
            _ => dx * dx + dy * dy <= radius * radius,
        };
        let gray = if is_ink { ink } else { 0 } + rng.below(noise as u32) as i32;
        *pixel = gray.clamp(0, 255) as u8;
    }
    pixels
}
