//! The embedded font: Inter (SIL Open Font License 1.1, `assets/fonts/OFL.txt`), Latin letters, digits and a few signs.

use ab_glyph::{Font, FontRef, OutlineCurve, Point};
use tiny_skia::{Path, PathBuilder};

const REGULAR: &[u8] = include_bytes!("../../../../assets/fonts/Inter-Regular-subset.otf");
const SEMI_BOLD: &[u8] = include_bytes!("../../../../assets/fonts/Inter-SemiBold-subset.otf");

/// How strong text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Running text.
    #[default]
    Regular,
    /// Titles.
    SemiBold,
}

/// Which point of a text its position gives; vertically it is always the base line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// The left end.
    #[default]
    Start,
    Middle,
    End,
}

fn font(weight: Weight) -> Option<FontRef<'static>> {
    let bytes = match weight {
        Weight::Regular => REGULAR,
        Weight::SemiBold => SEMI_BOLD,
    };
    // The bytes are constants that a test parses; text is left out should they ever be unreadable.
    FontRef::try_from_slice(bytes).ok()
}

/// Points for each unit of the font.
fn scale(font: &FontRef<'_>, size: f32) -> f32 {
    size / font.units_per_em().unwrap_or(1000.0)
}

/// Width of a line of text in points.
pub fn text_width(text: &str, size: f32, weight: Weight) -> f32 {
    let Some(font) = font(weight) else { return 0.0 };
    let units: f32 = text.chars().map(|c| font.h_advance_unscaled(font.glyph_id(c))).sum();
    units * scale(&font, size)
}

/// Breaks text at spaces (not at no-break spaces) into lines of at most `width` points; a word that is longer stands alone.
pub fn wrap(text: &str, width: f32, size: f32, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size, weight) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The outline of a line of text with its base line's left end at the origin, y downwards, in points.
pub(super) fn outline(text: &str, size: f32, weight: Weight) -> Option<Path> {
    let font = font(weight)?;
    let scale = scale(&font, size);
    let mut path = PathBuilder::new();
    let mut x = 0.0;
    for character in text.chars() {
        let glyph = font.glyph_id(character);
        let at = |p: Point| (x + p.x * scale, -p.y * scale);
        let mut end = None;
        for curve in font.outline(glyph).map(|outline| outline.curves).unwrap_or_default() {
            let (OutlineCurve::Line(from, to)
            | OutlineCurve::Quad(from, _, to)
            | OutlineCurve::Cubic(from, _, _, to)) = curve;
            if end != Some(from) {
                // Another contour; filling closes the one before.
                let (x, y) = at(from);
                path.move_to(x, y);
            }
            let (x, y) = at(to);
            match curve {
                OutlineCurve::Line(..) => path.line_to(x, y),
                OutlineCurve::Quad(_, a, _) => path.quad_to(at(a).0, at(a).1, x, y),
                OutlineCurve::Cubic(_, a, b, _) => {
                    path.cubic_to(at(a).0, at(a).1, at(b).0, at(b).1, x, y);
                }
            }
            end = Some(to);
        }
        x += font.h_advance_unscaled(glyph) * scale;
    }
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_fonts_have_every_character_that_charts_use() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let font = font(weight).expect("the font parses");
            for character in (' '..='~').chain("·×–—−≈≤≥±→…’“”°".chars()) {
                assert_ne!(font.glyph_id(character).0, 0, "{weight:?} has no {character:?}");
            }
            assert!(outline("Losses 0.693", 12.0, weight).is_some());
        }
    }

    #[test]
    fn widths_add_up_and_lines_fit() {
        let width = |text| text_width(text, 10.0, Weight::Regular);
        assert!((width("ab") - width("a") - width("b")).abs() < 1e-4);
        assert_eq!(width(""), 0.0);
        assert!(text_width("a", 10.0, Weight::SemiBold) > width("a"));
        let text = "the discriminator never learned, so that fooling it means nothing";
        let lines = wrap(text, 90.0, 10.0, Weight::Regular);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line) <= 90.0), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(
            wrap("incomprehensibilities a", 5.0, 10.0, Weight::Regular),
            ["incomprehensibilities", "a"]
        );
    }
}
