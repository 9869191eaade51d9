//! The embedded font: Inter (SIL Open Font License 1.1, `fonts/OFL.txt`), Latin letters, digits and a few signs.

use tiny_skia::{Path, PathBuilder, Transform};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

const REGULAR: &[u8] = include_bytes!("fonts/Inter-Regular-subset.otf");
const SEMI_BOLD: &[u8] = include_bytes!("fonts/Inter-SemiBold-subset.otf");

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
    /// The right end.
    End,
}

fn face(weight: Weight) -> Option<Face<'static>> {
    // The bytes are constants that a test parses; text is left out should they ever be unreadable.
    Face::parse(
        match weight {
            Weight::Regular => REGULAR,
            Weight::SemiBold => SEMI_BOLD,
        },
        0,
    )
    .ok()
}

/// A character's glyph; U+FFFD's for one that the font does not have.
fn glyph(face: &Face<'_>, character: char) -> GlyphId {
    face.glyph_index(character).or_else(|| face.glyph_index('\u{fffd}')).unwrap_or(GlyphId(0))
}

/// Width of a line of text in points.
pub fn text_width(text: &str, size: f32, weight: Weight) -> f32 {
    let Some(face) = face(weight) else { return 0.0 };
    let units: u32 =
        text.chars().map(|c| u32::from(face.glyph_hor_advance(glyph(&face, c)).unwrap_or(0))).sum();
    units as f32 * size / f32::from(face.units_per_em())
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
    let face = face(weight)?;
    let scale = size / f32::from(face.units_per_em());
    let mut pen = OutlinePen { builder: PathBuilder::new(), x: 0.0, scale };
    for character in text.chars() {
        let glyph = glyph(&face, character);
        face.outline_glyph(glyph, &mut pen);
        pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
    }
    pen.builder.finish()?.transform(Transform::identity())
}

/// Turns font units, y upwards, into points, y downwards.
struct OutlinePen {
    builder: PathBuilder,
    x: f32,
    scale: f32,
}

impl OutlinePen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for OutlinePen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.builder.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_fonts_have_every_character_that_charts_use() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let face = face(weight).expect("the font parses");
            for character in (' '..='~').chain("·×–—−≈≤≥±→…’“”°".chars()) {
                assert!(face.glyph_index(character).is_some(), "{weight:?} has no {character:?}");
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
