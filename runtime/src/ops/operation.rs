//! Operators without weights, and their attributes.

use super::activation::Activation;
use super::blocks::{Normalize, NormalizeKind, Reduce};
use super::function::Function;
use super::resize::{Interpolation, Resize};
use super::view::View;
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
    /// `a / b`
    Divide,
    /// The greater of both.
    Maximum,
    /// The lesser of both.
    Minimum,
    /// `a^b`; NaN where that is no real number.
    Power,
    /// `a` where it is positive, else `a * b`.
    Prelu,
}

impl Binary {
    /// ONNX's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Subtract => "Sub",
            Self::Multiply => "Mul",
            Self::Divide => "Div",
            Self::Maximum => "Max",
            Self::Minimum => "Min",
            Self::Power => "Pow",
            Self::Prelu => "PRelu",
        }
    }

    /// Whether the operands may change places.
    pub const fn commutes(self) -> bool {
        matches!(self, Self::Add | Self::Multiply | Self::Maximum | Self::Minimum)
    }
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

/// An operator without weights; `C` holds the coefficients of affines (see [`Affine`]) and constants.
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
    /// `activation(a op b)`; along each axis `b` has the extent of `a`, or one element for all.
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
    /// Blocks brought to one scale: Softmax, norms.
    Normalize(Normalize),
    /// The same elements in channel-first order under another shape.
    Reorder,
    /// A function of each element.
    Function(Function),
    /// Numbers that are always the same: the output's elements in memory order, `[row][column][channel]`.
    Constant(C),
    /// Blocks that become one element each.
    Reduce(Reduce),
    /// The input's elements in another order.
    View(View),
    /// For each channel the product of two matrices (rows, columns); `b` may have one channel for all.
    Product,
    /// For each element of the input as many as make up the output: 1 at the place that its value, rounded, counts (from
    /// 0), and 0 elsewhere.
    OneHot,
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
            Self::Normalize(Normalize { kind, .. }) => kind.name(),
            Self::Reorder => "reorder",
            Self::Function(_) => "function",
            Self::Constant(_) => "constant",
            Self::Reduce(_) => "reduce",
            Self::View(_) => "view",
            Self::Product => "product",
            Self::OneHot => "one-hot",
        }
    }

    /// Whether its output may take its first input's place in memory; a constant, which has no input, lies there from the
    /// beginning.
    pub const fn works_in_place(&self) -> bool {
        matches!(self, Self::Elementwise { .. } | Self::Binary { .. } | Self::Function(_) | Self::Constant(_))
    }

    /// Whether it is one of those that the crate's feature `extended-operators` brings, given the channels, rows and columns of
    /// what it reads. Small generators and encoders as they are usually made do without.
    pub fn is_extended(&self, input: [usize; 3], second: Option<[usize; 3]>) -> bool {
        match self {
            Self::Pool(_) | Self::Elementwise { .. } | Self::Copy { .. } | Self::Pad(_) | Self::Reorder => {
                false
            }
            Self::Resize(resize) => matches!(resize.interpolation, Interpolation::Cubic { .. }),
            Self::Binary { binary, .. } => {
                let pixel = [input[0], 1, 1];
                !matches!(binary, Binary::Add | Binary::Subtract | Binary::Multiply)
                    || second.is_some_and(|second| second != input && second != pixel)
            }
            Self::Normalize(Normalize { kind, block, .. }) => {
                *block != [input[0], 1, 1]
                    || !matches!(kind, NormalizeKind::Softmax | NormalizeKind::Euclidean)
            }
            Self::Function(_) | Self::Constant(_) | Self::Reduce(_) | Self::View(_) => true,
            Self::Product | Self::OneHot => true,
        }
    }

    /// Whether it reads a first input.
    pub const fn takes_input(&self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    /// Whether it reads a second input.
    pub const fn takes_second(&self) -> bool {
        matches!(self, Self::Binary { .. } | Self::Product)
    }
}
