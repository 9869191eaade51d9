//! Operators without weights, and their attributes.

use super::activation::Activation;
use super::resize::Resize;
use super::window::WindowAxis;

/// A per-channel `x * scale + shift`, its coefficients borrowed (`&[f32]`) or owned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<C> {
    /// One per channel.
    pub scale: C,
    /// One per channel.
    pub shift: C,
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
}

/// How a pool combines its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest of those inside the image.
    Max,
    /// The mean of those inside the image.
    Average,
    /// The sum of those inside the image over the window's size.
    AverageWithPadding,
}

/// A window that slides over rows and columns, and what is made of what lies under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The window along rows and columns.
    pub window: [WindowAxis; 2],
    /// How it is combined.
    pub kind: PoolKind,
}

/// What is put around an image; ONNX's `mode` of Pad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A constant.
    Constant(f32),
    /// The nearest element of the border.
    Edge,
    /// The image mirrored at its border elements.
    Reflect,
}

/// A border around an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad {
    /// Rows above and columns to the left.
    pub before: [usize; 2],
    /// What is put there.
    pub mode: PadMode,
}

/// An operator without weights; `C` holds the coefficients of affines (see [`Affine`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation<C> {
    /// A pool.
    Pool(Pool),
    /// `after(activation(before(x)))`; also the change from one element type to the other.
    Elementwise {
        /// An affine before the activation.
        before: Option<Affine<C>>,
        /// The activation.
        activation: Activation,
        /// An affine after the activation.
        after: Option<Affine<C>>,
    },
    /// `activation(a op b)`; `b` may be a single pixel for all.
    Binary {
        /// The function of both.
        binary: Binary,
        /// The activation.
        activation: Activation,
    },
    /// Writes the input into a part of the output, beginning at this channel, row and column.
    Copy {
        /// Channel, row, column.
        at: [usize; 3],
    },
    /// The input with a border.
    Pad(Pad),
    /// The input at another resolution.
    Resize(Resize),
    /// Softmax over channels at each pixel.
    Softmax,
    /// Division by the Euclidean norm over channels (at least `epsilon`) at each pixel.
    L2Normalize {
        /// The least divisor.
        epsilon: f32,
    },
    /// The same elements in channel-first order under another shape.
    Reorder,
}

impl<C> Operation<C> {
    /// What it is called in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pool(_) => "pool",
            Self::Elementwise { .. } => "elementwise",
            Self::Binary { .. } => "binary",
            Self::Copy { .. } => "copy",
            Self::Pad(_) => "pad",
            Self::Resize(_) => "resize",
            Self::Softmax => "softmax",
            Self::L2Normalize { .. } => "L2 normalize",
            Self::Reorder => "reorder",
        }
    }

    /// Whether its output may take its first input's place in memory.
    pub const fn works_in_place(&self) -> bool {
        matches!(self, Self::Elementwise { .. } | Self::Binary { .. })
    }
}
