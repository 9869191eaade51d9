//! Images at another resolution.

/// ONNX's `coordinate_transformation_mode`: where an output pixel lies in the input, `step` input pixels from its
/// neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// `(x + 1/2) * step - 1/2`
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one pixel.
    PytorchHalfPixel,
    /// `x * step`
    Asymmetric,
    /// `x * (in - 1) / (out - 1)`; 0 where the output has one pixel.
    AlignCorners,
}

/// ONNX's `mode` and `nearest_mode`: how a value is made from the neighbors of that place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interpolation {
    /// The nearest pixel; of two the lower.
    RoundPreferFloor,
    /// The nearest pixel; of two the upper.
    RoundPreferCeil,
    /// The pixel at or below.
    Floor,
    /// The pixel at or above.
    Ceil,
    /// Linear along both axes.
    Linear,
    /// Cubic convolution along both axes (Keys, 1981), the border repeated.
    Cubic {
        /// Keys's `a`: -0.75 in PyTorch and ONNX, -0.5 in the paper.
        a: f32,
    },
}

/// How an image gets another resolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// Input pixels per output pixel along rows and columns: 1 / ONNX's `scales`.
    pub step: [f32; 2],
    /// Where an output pixel lies in the input.
    pub coordinates: Coordinates,
    /// How its value is made.
    pub interpolation: Interpolation,
}
