//! Text as coverage masks.

use std::collections::HashMap;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

/// The weights of the typeface Inter; its digits all have one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    /// For reading.
    Regular,
    /// For names and numbers.
    SemiBold,
}

static REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular-subset.otf");
static SEMI_BOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold-subset.otf");

/// Glyphs are placed to a quarter of a pixel.
const STEPS: f32 = 4.0;

/// One glyph's coverage, 0 to 255 for each pixel.
pub(super) struct Glyph {
    /// From the origin to the mask's first column.
    pub(super) left: i32,
    /// From the baseline to the mask's first row.
    pub(super) top: i32,
    pub(super) width: usize,
    pub(super) mask: Vec<u8>,
}

type Key = (Weight, u32, char, u8);

/// The two fonts, and the glyphs that were drawn.
pub struct Fonts {
    regular: FontRef<'static>,
    semi_bold: FontRef<'static>,
    glyphs: HashMap<Key, Option<Glyph>>,
}

impl Default for Fonts {
    fn default() -> Self {
        Self::new()
    }
}

impl Fonts {
    /// The fonts, which are part of the program.
    #[allow(clippy::expect_used)]
    pub fn new() -> Self {
        let font = |bytes| FontRef::try_from_slice(bytes).expect("a font that is part of the program");
        Self { regular: font(REGULAR), semi_bold: font(SEMI_BOLD), glyphs: HashMap::new() }
    }

    fn font(&self, weight: Weight) -> &FontRef<'static> {
        match weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semi_bold,
        }
    }

    /// The em of `size` pixels in the units of ab_glyph, which scales by the height from descender to ascender.
    fn scale(font: &FontRef<'static>, size: f32) -> PxScale {
        let em = font.units_per_em().unwrap_or(1000.0);
        PxScale::from(size * font.height_unscaled() / em)
    }

    /// The width of a line of text in pixels, with an em of `size` pixels.
    pub fn width(&self, text: &str, size: f32, weight: Weight) -> f32 {
        let font = self.font(weight);
        let scaled = font.as_scaled(Self::scale(font, size));
        text.chars().map(|c| scaled.h_advance(scaled.glyph_id(c))).sum()
    }

    /// Calls `draw` with each glyph's mask and the place of its first pixel, for text that starts at `x` on the
    /// baseline `y`.
    pub(super) fn lay_out(
        &mut self,
        text: &str,
        (x, y): (f32, f32),
        size: f32,
        weight: Weight,
        mut draw: impl FnMut(&Glyph, i32, i32),
    ) {
        let font = match weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semi_bold,
        };
        let scale = Self::scale(font, size);
        let scaled = font.as_scaled(scale);
        let (mut pen, baseline) = (x, y.round() as i32);
        for character in text.chars() {
            let id = scaled.glyph_id(character);
            let steps = (pen * STEPS).round();
            let (whole, part) = ((steps / STEPS).floor(), steps.rem_euclid(STEPS));
            let key = (weight, size.to_bits(), character, part as u8);
            let glyph = self.glyphs.entry(key).or_insert_with(|| {
                let glyph = id.with_scale_and_position(scale, point(part / STEPS, 0.0));
                let outlined = font.outline_glyph(glyph)?;
                let bounds = outlined.px_bounds();
                let (width, height) = (bounds.width() as usize, bounds.height() as usize);
                let mut mask = vec![0; width * height];
                outlined.draw(|x, y, coverage| {
                    if let Some(pixel) = mask.get_mut(y as usize * width + x as usize) {
                        // Light text on dark looks thin when blended in sRGB; this gives back some weight.
                        *pixel = (coverage.clamp(0.0, 1.0).powf(0.84) * 255.0).round() as u8;
                    }
                });
                Some(Glyph { left: bounds.min.x as i32, top: bounds.min.y as i32, width, mask })
            });
            if let Some(glyph) = glyph {
                draw(glyph, whole as i32 + glyph.left, baseline + glyph.top);
            }
            pen += scaled.h_advance(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_width_and_sizes_are_ems() {
        let fonts = Fonts::new();
        let widths: Vec<f32> =
            ('0'..='9').map(|c| fonts.width(&c.to_string(), 100.0, Weight::Regular)).collect();
        assert!(widths.iter().all(|width| (width - widths[0]).abs() < 0.2), "{widths:?}");
        // Inter's tabular digits are 1824 of 2816 units wide.
        assert!((widths[0] - 64.8).abs() < 0.1, "{}", widths[0]);
    }

    #[test]
    fn every_character_of_the_interface_has_a_glyph() {
        let fonts = Fonts::new();
        for weight in [Weight::Regular, Weight::SemiBold] {
            for character in (' '..='~').chain("·×–—…µ±←→↑↓▲▼◀▶●ψσ²−".chars())
            {
                assert_ne!(fonts.font(weight).glyph_id(character).0, 0, "{character:?}");
            }
        }
    }
}
