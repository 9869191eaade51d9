//! A part of an image, brought to the size of a view.

use super::CropBox;
use super::render::Scratch;

/// Which source values make up each value of a resized line, and how much of each.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// Where a line is not shrunk: the source before and the source after each value, and the share of the one after.
    pairs: Vec<(u32, u32, f32)>,
    /// Otherwise, of each value: the first source, and where its weights begin and end.
    places: Vec<(usize, usize, usize)>,
    /// The weights of all values, one after the other, each value's with the sum 1.
    weights: Vec<f32>,
}

impl Taps {
    /// Bilinear interpolation of a line of `from` values to one of `to`: value i lies at `(i + 1/2) from / to`, and sources
    /// count by a triangle around it that is one source wide to either side, or one result's distance where a line is shrunk.
    /// Outside of the line there is nothing. It is what torchvision's `resize` does with antialiasing.
    fn set(&mut self, from: usize, to: usize, reverse: bool) {
        self.pairs.clear();
        self.places.clear();
        self.weights.clear();
        let places = (0..to).map(|i| if reverse { to - 1 - i } else { i });
        if from <= to {
            // The triangle holds two sources, or at the ends one.
            let scale = from as f32 / to as f32;
            let last = from as u32 - 1;
            self.pairs.extend(places.map(|i| {
                let at = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
                let before = (at as u32).min(last);
                (before, (before + 1).min(last), at - before as f32)
            }));
            return;
        }
        let reach = from as f64 / to as f64;
        for i in places {
            let center = (i as f64 + 0.5) * reach;
            let weight = |source: usize| (1.0 - (source as f64 + 0.5 - center).abs() / reach).max(0.0);
            // The casts saturate at 0; sources at the very edge of the triangle have no weight.
            let first = ((center - reach + 0.5) as usize).min(from - 1);
            let end = ((center + reach + 0.5) as usize).clamp(first + 1, from);
            let total: f64 = (first..end).map(weight).sum();
            let start = self.weights.len();
            self.weights.extend((first..end).map(|source| (weight(source) / total) as f32));
            self.places.push((first, start, self.weights.len()));
        }
    }

    /// Of each value of a line that is shrunk: the first source and the weights.
    fn spans(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.places.iter().map(|(first, start, end)| (*first, &self.weights[*start..*end]))
    }
}

/// Resizes one line; exactly one of the lists of `taps` has as many entries as `out`.
fn across(line: &[f32], taps: &Taps, out: &mut [f32]) {
    for (out, (before, after, share)) in out.iter_mut().zip(&taps.pairs) {
        let before = line[*before as usize];
        *out = before + (line[*after as usize] - before) * share;
    }
    for (out, (first, weights)) in out.iter_mut().zip(taps.spans()) {
        *out = line[first..].iter().zip(weights).map(|(value, weight)| value * weight).sum();
    }
}

/// Resizes columns of as many rows as there are in `rows`, each of `size` values.
fn down(rows: &[f32], size: usize, taps: &Taps, view: &mut [f32]) {
    let row = |index: usize| &rows[index * size..][..size];
    for (out, (before, after, share)) in view.chunks_exact_mut(size).zip(&taps.pairs) {
        let sources = row(*before as usize).iter().zip(row(*after as usize));
        for (out, (before, after)) in out.iter_mut().zip(sources) {
            *out = before + (after - before) * share;
        }
    }
    for (out, (first, weights)) in view.chunks_exact_mut(size).zip(taps.spans()) {
        out.fill(0.0);
        for (index, weight) in weights.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(row(first + index)) {
                *out += value * weight;
            }
        }
    }
}

/// Shows the part `crop` of a planar image (3, `height`, `width`) of bytes as a view (3, `size`, `size`) of values 0 to 1, left
/// and right exchanged if `flip`.
///
/// # Panics
/// If the image or the view has not these lengths, or the part does not lie in the image.
#[expect(clippy::too_many_arguments, reason = "an image and a view, each with its size, and what is done")]
pub fn crop_and_resize(
    image: &[u8],
    height: usize,
    width: usize,
    crop: &CropBox,
    flip: bool,
    scratch: &mut Scratch,
    size: usize,
    view: &mut [f32],
) {
    assert_eq!(image.len(), 3 * height * width, "the image has another size");
    assert_eq!(view.len(), 3 * size * size, "the view has another size");
    assert!(
        crop.height > 0
            && crop.width > 0
            && crop.top + crop.height <= height
            && crop.left + crop.width <= width,
        "{crop:?} does not lie in an image of {height}x{width}"
    );
    let Scratch { columns, lines, line, rows } = scratch;
    columns.set(crop.width, size, flip);
    lines.set(crop.height, size, false);
    line.resize(crop.width, 0.0);
    rows.resize(crop.height * size, 0.0);
    for (plane, view) in image.chunks_exact(height * width).zip(view.chunks_exact_mut(size * size)) {
        // Across first: a part has mostly fewer rows than the view.
        let sources = plane.chunks_exact(width).skip(crop.top);
        for (source, row) in sources.zip(rows.chunks_exact_mut(size)) {
            for (value, byte) in line.iter_mut().zip(&source[crop.left..crop.left + crop.width]) {
                *value = f32::from(*byte) * (1.0 / 255.0);
            }
            across(line, columns, row);
        }
        down(rows, size, lines, view);
    }
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    fn random(height: usize, width: usize) -> Vec<u8> {
        let mut rng = Rng::from_seed(8);
        (0..3 * height * width).map(|_| rng.below(256) as u8).collect()
    }

    fn resized(
        image: &[u8],
        height: usize,
        width: usize,
        crop: CropBox,
        flip: bool,
        size: usize,
    ) -> Vec<f32> {
        let mut view = vec![f32::NAN; 3 * size * size];
        crop_and_resize(image, height, width, &crop, flip, &mut Scratch::default(), size, &mut view);
        view
    }

    #[test]
    fn a_part_of_the_views_size_is_copied() {
        let image = random(9, 12);
        let crop = CropBox { top: 2, left: 5, height: 6, width: 6 };
        for flip in [false, true] {
            let view = resized(&image, 9, 12, crop, flip, 6);
            for (i, found) in view.iter().enumerate() {
                let (c, y, x) = (i / 36, i / 6 % 6, i % 6);
                let x = if flip { 5 - x } else { x };
                let expected = f32::from(image[(c * 9 + 2 + y) * 12 + 5 + x]) / 255.0;
                assert!((found - expected).abs() < 1e-7, "{c} {y} {x}");
            }
        }
    }

    /// Interpolation between the two nearest, clamped at the part's borders, as textbooks have it.
    #[test]
    fn enlarging_is_bilinear_and_sees_nothing_outside_the_part() {
        let image = random(10, 11);
        let crop = CropBox { top: 3, left: 2, height: 5, width: 7 };
        let view = resized(&image, 10, 11, crop, false, 16);
        let nearest = |i: usize, from: usize| {
            let at = ((i as f64 + 0.5) * from as f64 / 16.0 - 0.5).max(0.0);
            let low = at.floor() as usize;
            (low, (low + 1).min(from - 1), at - at.floor())
        };
        for (i, found) in view.iter().enumerate() {
            let (c, y, x) = (i / 256, i / 16 % 16, i % 16);
            let ((y0, y1, fy), (x0, x1, fx)) = (nearest(y, 5), nearest(x, 7));
            let at = |y: usize, x: usize| f64::from(image[(c * 10 + 3 + y) * 11 + 2 + x]) / 255.0;
            let upper = at(y0, x0) * (1.0 - fx) + at(y0, x1) * fx;
            let lower = at(y1, x0) * (1.0 - fx) + at(y1, x1) * fx;
            let expected = upper * (1.0 - fy) + lower * fy;
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{c} {y} {x}: {found} {expected}");
        }
    }

    #[test]
    fn lines_of_every_length_keep_constants_and_ramps() {
        let mut taps = Taps::default();
        for from in 1..40 {
            for to in [1, 2, 7, 32] {
                let name = format!("{from} to {to}");
                taps.set(from, to, false);
                let mut out = vec![f32::NAN; to];
                across(&vec![0.7; from], &taps, &mut out);
                assert!(out.iter().all(|v| (v - 0.7).abs() < 1e-6), "{name}: {out:?}");
                // A ramp stays one, apart from the ends, where there is nothing outside; almost so where the triangle is no
                // whole number of sources wide.
                let ramp: Vec<f32> = (0..from).map(|i| (i as f32 + 0.5) / from as f32).collect();
                across(&ramp, &taps, &mut out);
                for (i, found) in out.iter().enumerate() {
                    let expected = (i as f32 + 0.5) / to as f32;
                    let reach = 1.0 / from.min(to) as f32;
                    let inner = expected > reach && expected < 1.0 - reach;
                    let off = (found - expected).abs();
                    let exact = from <= to || from.is_multiple_of(to);
                    let limit = if !inner {
                        reach
                    } else if exact {
                        1e-5
                    } else {
                        0.1 / to as f32
                    };
                    assert!(off < limit, "{name}: {out:?}");
                }
                // Reversed, it is the mirror image; and down is as across.
                let mut mirrored = vec![f32::NAN; to];
                let mut below = vec![f32::NAN; to];
                down(&ramp, 1, &taps, &mut below);
                assert!(out.iter().zip(&below).all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
                taps.set(from, to, true);
                across(&ramp, &taps, &mut mirrored);
                mirrored.reverse();
                assert_eq!(out, mirrored, "{name}");
            }
        }
    }
}
