//! Colours and measures.

/// A colour: 0xAARRGGBB, not premultiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u32);

impl Colour {
    /// Red, green, blue and opacity.
    pub const fn channels(self) -> [u8; 4] {
        let [a, r, g, b] = self.0.to_be_bytes();
        [r, g, b, a]
    }

    /// The same with another opacity, 0 to 255.
    pub const fn with_alpha(self, alpha: u8) -> Self {
        Self((self.0 & 0x00ff_ffff) | (alpha as u32) << 24)
    }
}

/// Behind everything.
pub const BACKGROUND: Colour = Colour(0xff0d_0f13);
/// Bars and panels.
pub const PANEL: Colour = Colour(0xff14_171d);
/// The lines between them.
pub const LINE: Colour = Colour(0xff23_2833);
/// Buttons, the tracks of sliders.
pub const CONTROL: Colour = Colour(0xff1f_242e);
/// Buttons under the pointer.
pub const CONTROL_HOVER: Colour = Colour(0xff2b_3240);
/// Text.
pub const TEXT: Colour = Colour(0xffe8_ebf1);
/// Text of less weight.
pub const DIM: Colour = Colour(0xff9a_a3b4);
/// Text of the least weight.
pub const FAINT: Colour = Colour(0xff76_8093);
/// What is chosen, and what moves.
pub const ACCENT: Colour = Colour(0xff6c_b6ff);
/// Text on the accent.
pub const ON_ACCENT: Colour = Colour(0xff08_1624);
/// The 99th percentile.
pub const WARM: Colour = Colour(0xfff2_b266);
/// Recording, and errors.
pub const ALERT: Colour = Colour(0xffff_6b6b);
/// Colours that can be told from each other, for the folders of images.
const LABELS: [Colour; 12] = [
    Colour(0xff5a_a9f5),
    Colour(0xfff2_8e5b),
    Colour(0xff6f_cf8a),
    Colour(0xffe8_6a8d),
    Colour(0xffb0_8df0),
    Colour(0xfff0_cf5f),
    Colour(0xff4f_c9c4),
    Colour(0xffd6_88d4),
    Colour(0xffa8_c957),
    Colour(0xffc7_9a73),
    Colour(0xff8f_9fd8),
    Colour(0xffe0_5f52),
];

/// The colour of a folder of images; of more than twelve some have the same.
pub fn label_colour(label: usize) -> Colour {
    LABELS[label % LABELS.len()]
}
