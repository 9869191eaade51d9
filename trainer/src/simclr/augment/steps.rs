//! The steps of the augmentation, each a function of its parameters only.
//!
//! An image is planar: red, green, blue, each of the same number of values, 0 to 1, and each step leaves it so. They follow
//! torchvision's `adjust_brightness`, `adjust_contrast`, `adjust_saturation`, `adjust_hue` and `rgb_to_grayscale` on float
//! tensors, except that gray is .299 R + .587 G + .114 B (torchvision cuts the first to .2989).

use super::Normalization;

/// Shares of red, green and blue in gray (ITU-R BT.601).
pub const GRAY: [f32; 3] = [0.299, 0.587, 0.114];

/// The red, green and blue values.
///
/// # Panics
/// If their number is no multiple of three.
fn planes(image: &mut [f32]) -> (&mut [f32], &mut [f32], &mut [f32]) {
    assert!(image.len().is_multiple_of(3), "{} values are no planes of red, green and blue", image.len());
    let len = image.len() / 3;
    let (red, rest) = image.split_at_mut(len);
    let (green, blue) = rest.split_at_mut(len);
    (red, green, blue)
}

/// Pixels that are changed at a time.
const BLOCK: usize = 32;

/// Changes every pixel, independently of the others.
#[inline(always)]
fn each_pixel(image: &mut [f32], change: impl Fn([f32; 3]) -> [f32; 3]) {
    let (red, green, blue) = planes(image);
    let (red, red_rest) = red.as_chunks_mut();
    let (green, green_rest) = green.as_chunks_mut();
    let (blue, blue_rest) = blue.as_chunks_mut();
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        each_of_block(r, g, b, &change);
    }
    for ((r, g), b) in red_rest.iter_mut().zip(green_rest).zip(blue_rest) {
        [*r, *g, *b] = change([*r, *g, *b]);
    }
}

/// Apart and never inlined, so that the compiler knows that the planes do not overlap: only then does it use vectors.
#[inline(never)]
fn each_of_block(
    red: &mut [f32; BLOCK],
    green: &mut [f32; BLOCK],
    blue: &mut [f32; BLOCK],
    change: &impl Fn([f32; 3]) -> [f32; 3],
) {
    for i in 0..BLOCK {
        [red[i], green[i], blue[i]] = change([red[i], green[i], blue[i]]);
    }
}

/// The luma of a pixel.
#[inline(always)]
fn gray([r, g, b]: [f32; 3]) -> f32 {
    GRAY[0] * r + GRAY[1] * g + GRAY[2] * b
}

/// Clamps to 0..=1.
#[inline(always)]
fn unit(value: f32) -> f32 {
    value.clamp(0.0, 1.0)
}

/// Left and right change places in rows of `width` values.
///
/// # Panics
/// If `width` is 0 or the image has no whole number of rows.
pub fn flip(image: &mut [f32], width: usize) {
    assert!(image.len().is_multiple_of(width), "{} values are no rows of {width}", image.len());
    image.chunks_exact_mut(width).for_each(<[f32]>::reverse);
}

/// Multiplies by the factor.
pub fn brightness(image: &mut [f32], factor: f32) {
    for value in image {
        *value = unit(factor * *value);
    }
}

/// Blends with the mean of the gray image: `factor * x + (1 - factor) * mean`.
pub fn contrast(image: &mut [f32], factor: f32) {
    let mean = (1.0 - factor) * mean_gray(image);
    for value in image {
        *value = unit(factor * *value + mean);
    }
}

/// Blends with the gray image: `factor * x + (1 - factor) * gray`.
pub fn saturation(image: &mut [f32], factor: f32) {
    each_pixel(image, |pixel| {
        let rest = (1.0 - factor) * gray(pixel);
        pixel.map(|value| unit(factor * value + rest))
    });
}

/// Shifts the hue by a part of the circle (-1/2 to 1/2): to HSV, H + shift, and back.
pub fn hue(image: &mut [f32], shift: f32) {
    // In sixths of the circle, as the formulas have them.
    let shift = 6.0 * shift;
    each_pixel(image, |[r, g, b]| {
        let largest = largest(largest(r, g), b);
        let chroma = largest - smallest(smallest(r, g), b);
        // Gray has no hue; any will do.
        let inverse = 1.0 / if chroma == 0.0 { 1.0 } else { chroma };
        let (is_red, is_green) = (largest == r, largest == g);
        let ahead = if is_red {
            g
        } else if is_green {
            b
        } else {
            r
        };
        let behind = if is_red {
            b
        } else if is_green {
            r
        } else {
            g
        };
        let corner = if is_red {
            0.0
        } else if is_green {
            2.0
        } else {
            4.0
        };
        let h = (ahead - behind) * inverse + corner + shift;
        let h = if h < 0.0 { h + 6.0 } else { h };
        let h = if h >= 6.0 { h - 6.0 } else { h };
        // The share of each color at hue h: 1 within a sixth of its corner, 0 from two sixths on. Red's corner is 0 and 6.
        let red = unit((h - 3.0).abs() - 1.0);
        let green = unit(2.0 - (h - 2.0).abs());
        let blue = unit(2.0 - (h - 4.0).abs());
        [red, green, blue].map(|share| largest - chroma * (1.0 - share))
    });
}

#[inline(always)]
fn largest(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smallest(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Makes all three channels gray.
pub fn grayscale(image: &mut [f32]) {
    each_pixel(image, |pixel| [gray(pixel); 3]);
}

/// Subtracts the means and divides by the deviations.
pub fn normalize(image: &mut [f32], by: &Normalization) {
    let (red, green, blue) = planes(image);
    for ((plane, mean), std) in [red, green, blue].into_iter().zip(by.mean).zip(by.std) {
        let inverse = 1.0 / std;
        for value in plane {
            *value = (*value - mean) * inverse;
        }
    }
}

/// [`grayscale`] and [`normalize`] at once.
pub fn normalized_grayscale(image: &mut [f32], by: &Normalization) {
    let inverse = by.std.map(|std| 1.0 / std);
    each_pixel(image, |pixel| {
        let gray = gray(pixel);
        std::array::from_fn(|channel| (gray - by.mean[channel]) * inverse[channel])
    });
}

fn mean_gray(image: &mut [f32]) -> f32 {
    let (red, green, blue) = planes(image);
    let total = GRAY[0] * sum(red) + GRAY[1] * sum(green) + GRAY[2] * sum(blue);
    total / red.len().max(1) as f32
}

/// A sum in sixteen parts, which fit the processor's registers; always in the same order.
fn sum(values: &[f32]) -> f32 {
    let mut parts = [0f32; 16];
    let mut chunks = values.chunks_exact(16);
    for chunk in &mut chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value;
        }
    }
    parts.iter().sum::<f32>() + chunks.remainder().iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    fn random(pixels: usize) -> Vec<f32> {
        let mut rng = Rng::from_seed(12);
        (0..3 * pixels).map(|_| rng.next_f32()).collect()
    }

    fn pixel(image: &[f32], i: usize) -> [f64; 3] {
        let len = image.len() / 3;
        [image[i], image[len + i], image[2 * len + i]].map(f64::from)
    }

    /// Applies a step and compares every pixel with what a formula in f64 says.
    fn check(name: &str, step: impl Fn(&mut [f32]), formula: impl Fn([f64; 3], f64) -> [f64; 3]) {
        let mut image = random(35);
        // Corners, grays and ties of the largest channel.
        for (i, corner) in
            [[0.0, 0.0, 0.0], [1.0; 3], [0.5; 3], [1.0, 1.0, 0.0], [0.0, 0.3, 0.3], [0.2, 0.1, 0.2]]
                .into_iter()
                .enumerate()
        {
            for (channel, value) in corner.into_iter().enumerate() {
                image[channel * 35 + i] = value;
            }
        }
        let luma = |[r, g, b]: [f64; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
        let mean = (0..35).map(|i| luma(pixel(&image, i))).sum::<f64>() / 35.0;
        let before = image.clone();
        step(&mut image);
        for i in 0..35 {
            let expected = formula(pixel(&before, i), mean);
            for (found, expected) in pixel(&image, i).into_iter().zip(expected) {
                assert!((found - expected).abs() < 2e-6, "{name}, pixel {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn colors_change_by_their_formulas() {
        let luma = |[r, g, b]: [f64; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
        for factor in [0.0f32, 0.6, 1.0, 1.4, 3.0] {
            let f = f64::from(factor);
            let blend = move |x: [f64; 3], with: f64| x.map(|x| (f * x + (1.0 - f) * with).clamp(0.0, 1.0));
            check("brightness", |i| brightness(i, factor), |x, _| blend(x, 0.0));
            check("contrast", |i| contrast(i, factor), blend);
            check("saturation", |i| saturation(i, factor), |x, _| blend(x, luma(x)));
        }
        check("gray", grayscale, |x, _| [luma(x); 3]);
        let by = Normalization::CIFAR10;
        let scaled =
            |x: [f64; 3]| std::array::from_fn(|c| (x[c] - f64::from(by.mean[c])) / f64::from(by.std[c]));
        check("normalize", |i| normalize(i, &by), |x, _| scaled(x));
        check("normalized gray", |i| normalized_grayscale(i, &by), |x, _| scaled([luma(x); 3]));
    }

    /// Against the conversion by cases, hexant by hexant (A. R. Smith, "Color Gamut Transform Pairs", 1978).
    #[test]
    fn hue_turns_in_hsv() {
        for shift in [-0.5f32, -0.1, -0.03, 0.0, 0.07, 0.1, 0.5] {
            check(
                "hue",
                |i| hue(i, shift),
                |[r, g, b], _| {
                    let (v, low) = (r.max(g).max(b), r.min(g).min(b));
                    let c = v - low;
                    let h = if c == 0.0 {
                        0.0
                    } else if v == r {
                        (g - b) / c
                    } else if v == g {
                        2.0 + (b - r) / c
                    } else {
                        4.0 + (r - g) / c
                    };
                    let h = (h + 6.0 * f64::from(shift)).rem_euclid(6.0);
                    let s = if v == 0.0 { 0.0 } else { c / v };
                    let f = h - h.floor();
                    let (p, q, t) = (v * (1.0 - s), v * (1.0 - s * f), v * (1.0 - s * (1.0 - f)));
                    match h as u32 {
                        0 => [v, t, p],
                        1 => [q, v, p],
                        2 => [p, v, t],
                        3 => [p, q, v],
                        4 => [t, p, v],
                        _ => [v, p, q],
                    }
                },
            );
        }
    }

    #[test]
    fn flipping_twice_changes_nothing() {
        let before = random(12);
        let mut image = before.clone();
        flip(&mut image, 4);
        assert_eq!(image[..4], [before[3], before[2], before[1], before[0]]);
        flip(&mut image, 4);
        assert_eq!(image, before);
    }
}
