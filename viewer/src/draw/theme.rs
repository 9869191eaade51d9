//! Colors and measures.

/// A color: 0xAARRGGBB, not premultiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u32);

impl Color {
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
pub const BACKGROUND: Color = Color(0xff0d_0f13);
pub const PANEL: Color = Color(0xff14_171d);
/// The lines between them.
pub const LINE: Color = Color(0xff23_2833);
/// Buttons, the tracks of sliders.
pub const CONTROL: Color = Color(0xff1f_242e);
/// Buttons under the pointer.
pub const CONTROL_HOVER: Color = Color(0xff2b_3240);
pub const TEXT: Color = Color(0xffe8_ebf1);
/// Text of less weight.
pub const DIM: Color = Color(0xff9a_a3b4);
/// Text of the least weight.
pub const FAINT: Color = Color(0xff76_8093);
/// What is chosen, and what moves.
pub const ACCENT: Color = Color(0xff6c_b6ff);
pub const ON_ACCENT: Color = Color(0xff08_1624);
/// The 99th percentile.
pub const WARM: Color = Color(0xfff2_b266);
/// Recording, and errors.
pub const ALERT: Color = Color(0xffff_6b6b);
/// Colors that can be told from each other, for the folders of images.
const LABELS: [Color; 12] = [
    Color(0xff5a_a9f5),
    Color(0xfff2_8e5b),
    Color(0xff6f_cf8a),
    Color(0xffe8_6a8d),
    Color(0xffb0_8df0),
    Color(0xfff0_cf5f),
    Color(0xff4f_c9c4),
    Color(0xffd6_88d4),
    Color(0xffa8_c957),
    Color(0xffc7_9a73),
    Color(0xff8f_9fd8),
    Color(0xffe0_5f52),
];

/// The color of a folder of images; of more than twelve some have the same.
pub fn label_color(label: usize) -> Color {
    LABELS[label % LABELS.len()]
}
