//! The operators of a graph, with their attributes checked and resolved: no defaults, no automatic padding, no
//! negative axes are left.

use latent_runtime::ops::{
    Activation, Binary, Coordinates, Function, Interpolation, PadMode, PoolKind, ReduceKind, Window,
};

use super::{Dim, Element, Interleaved};

/// What a node computes. The comment says what its inputs are; those in brackets may be absent.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// a, b: the matrix product over the last two axes, those before them broadcast.
    MatMul,
    /// a, b, \[c\]: alpha A B + beta C.
    Gemm(Gemm),
    /// x, weight (out, in / groups, height, width), \[bias (out)\].
    Conv(Convolution),
    /// x, weight (in, out / groups, height, width), \[bias (out)\].
    ConvTranspose(TransposedConvolution),
    /// x, weight (out, in, height, width), \[bias (out)\], as Conv. The passes make it, for packing.
    Interleaved(Interleaved),
    /// x, scale, shift, mean, variance: each per channel (axis 1).
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// x, scale, shift: x * scale + shift, per channel (axis 1). What BatchNorm and constant Mul and Add become.
    Affine,
    /// x.
    Activation(Activation),
    /// x: max(0, min(1, alpha x + beta)).
    HardSigmoid {
        /// Slope in the middle.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// x: a function of each element that is no [`Activation`].
    Function(Function),
    /// a, b, broadcast against each other.
    Binary(Binary),
    /// x (batch, channels, height, width).
    Pool(Pool),
    /// x.
    Reduce(Reduce),
    /// x: the same elements in the same order under this shape.
    Reshape(Vec<Dim>),
    /// x: output axis i is input axis `permutation[i]`.
    Transpose(Vec<usize>),
    /// One input or more, one after the other along the axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// x.
    Pad(Pad),
    /// x (batch, channels, height, width).
    Resize(Resize),
    /// x.
    Softmax {
        /// The axis that sums to 1.
        axis: usize,
    },
    /// x: divided by its norm along an axis.
    Normalize {
        /// The axis.
        axis: usize,
        /// 1: sum of absolute values; 2: Euclidean.
        p: u8,
        /// The norm counts as at least this.
        epsilon: f32,
    },
    /// x, scale, \[zero point\]: saturate(round half to even(x / scale) + zero point).
    Quantize {
        /// The axis along which scale and zero point vary, when they are not scalars.
        axis: usize,
        /// The result's type: U8 or I8.
        element: Element,
    },
    /// x (U8, I8 or I32), scale, \[zero point\]: (x - zero point) * scale.
    Dequantize {
        /// The axis along which scale and zero point vary, when they are not scalars.
        axis: usize,
    },
    /// x, broadcast to this shape.
    Expand(Vec<Dim>),
    /// x (batch, channels, height, width).
    DepthToSpace(DepthToSpace),
    /// x: a part of it along some axes, of which none is the batch.
    Slice(Vec<Slice>),
    /// x: (x - mean) / sqrt(variance + epsilon), both over these axes together. What layer, instance and group
    /// normalization do before they scale and shift.
    Standardize {
        /// The axes, ascending; none is the batch.
        axes: Vec<usize>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// x, of any numbers: a new last axis, of floats: 1 at the place that the element, rounded, counts from 0, else 0.
    OneHot {
        /// The length of the new axis.
        depth: usize,
    },
    /// x, of integers: the same numbers as floats.
    Cast,
}

impl Op {
    /// Whether each element of the result is an element of an input or 0, and grows with its inputs: then it makes no
    /// difference whether the inputs or the result are rounded to a [`Grid`](super::Grid), which has a 0.
    pub fn keeps_grids(&self) -> bool {
        match self {
            Op::Activation(activation) => *activation == Activation::Relu,
            Op::Reshape(_) | Op::Transpose(_) | Op::Concat { .. } | Op::Expand(_) => true,
            Op::DepthToSpace(_) | Op::Slice(_) => true,
            Op::Pool(pool) => pool.kind == PoolKind::Max,
            Op::Pad(pad) => match pad.mode {
                PadMode::Constant(value) => value == 0.0,
                PadMode::Edge | PadMode::Reflect => true,
            },
            Op::Resize(resize) => is_nearest(resize.interpolation),
            _ => false,
        }
    }

    /// A short name.
    pub fn name(&self) -> &'static str {
        match self {
            Op::MatMul => "MatMul",
            Op::Gemm(_) => "Gemm",
            Op::Conv(_) => "Conv",
            Op::ConvTranspose(_) => "ConvTranspose",
            Op::Interleaved(_) => "Conv and DepthToSpace",
            Op::BatchNorm { .. } => "BatchNormalization",
            Op::Affine => "Affine",
            Op::Activation(activation) => activation.name(),
            Op::HardSigmoid { .. } => "HardSigmoid",
            Op::Function(function) => function.name(),
            Op::Binary(binary) => binary.name(),
            Op::Pool(Pool { kind: PoolKind::Max, .. }) => "MaxPool",
            Op::Pool(_) => "AveragePool",
            Op::Reduce(reduce) => match reduce.kind {
                ReduceKind::Mean => "ReduceMean",
                ReduceKind::Sum => "ReduceSum",
                ReduceKind::Maximum => "ReduceMax",
                ReduceKind::Minimum => "ReduceMin",
                ReduceKind::Euclidean => "ReduceL2",
                ReduceKind::Absolute => "ReduceL1",
            },
            Op::Reshape(_) => "Reshape",
            Op::Transpose(_) => "Transpose",
            Op::Concat { .. } => "Concat",
            Op::Pad(_) => "Pad",
            Op::Resize(_) => "Resize",
            Op::Softmax { .. } => "Softmax",
            Op::Normalize { .. } => "LpNormalization",
            Op::Quantize { .. } => "QuantizeLinear",
            Op::Dequantize { .. } => "DequantizeLinear",
            Op::Expand(_) => "Expand",
            Op::DepthToSpace(_) => "DepthToSpace",
            Op::Slice(_) => "Slice",
            Op::Standardize { .. } => "Standardize",
            Op::OneHot { .. } => "OneHot",
            Op::Cast => "Cast",
        }
    }
}

/// Whether each element of what is resized is one of the image's.
pub(crate) fn is_nearest(interpolation: Interpolation) -> bool {
    match interpolation {
        Interpolation::Linear | Interpolation::Cubic { .. } => false,
        Interpolation::RoundPreferFloor | Interpolation::RoundPreferCeil => true,
        Interpolation::Floor | Interpolation::Ceil => true,
    }
}

/// Attributes of [`Op::Gemm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of c.
    pub beta: f32,
    /// Whether A is the transpose of a.
    pub transpose_a: bool,
    /// Whether B is the transpose of b.
    pub transpose_b: bool,
}

/// Attributes of [`Op::Conv`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// The window.
    pub window: Window,
    /// Groups of channels that see only each other.
    pub groups: usize,
}

/// Attributes of [`Op::ConvTranspose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransposedConvolution {
    /// The window. Its pads are cut from the result.
    pub window: Window,
    /// Groups of channels that see only each other.
    pub groups: usize,
    /// Rows and columns added at the end of the result.
    pub output_padding: [usize; 2],
}

/// Attributes of [`Op::Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How a window is combined.
    pub kind: PoolKind,
    /// The window.
    pub window: Window,
    /// Whether a last window may overhang.
    pub ceil: bool,
}

/// Attributes of [`Op::Reduce`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// How elements are combined.
    pub kind: ReduceKind,
    /// The axes that are combined, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay, with length 1.
    pub keep: bool,
}

/// Attributes of [`Op::Pad`].
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// What is added before each axis.
    pub before: Vec<usize>,
    /// What is added after each axis.
    pub after: Vec<usize>,
    /// What is put there.
    pub mode: PadMode,
}

/// Attributes of [`Op::Resize`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resize {
    /// Rows and columns of the result.
    pub output: [usize; 2],
    /// Output length over input length, as the coordinates use it.
    pub scale: [f32; 2],
    /// Where an output pixel lies in the input.
    pub coordinates: Coordinates,
    /// How its value is made from the pixels there.
    pub interpolation: Interpolation,
}

/// Attributes of [`Op::DepthToSpace`]: every `block * block` channels become one channel of an image that is `block`
/// times as high and as wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthToSpace {
    /// Rows and columns that each pixel becomes.
    pub block: usize,
    /// Which channels belong together.
    pub order: DepthOrder,
}

/// ONNX's `mode` of DepthToSpace: where the channel is that becomes row i and column j of the block of channel c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthOrder {
    /// `DCR`: at (i * block + j) * channels + c.
    BlockFirst,
    /// `CRD`: at (c * block + i) * block + j.
    ChannelFirst,
}

/// The elements from `start` to before `end` along an axis, or every n-th of them, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first element of the part.
    pub start: usize,
    /// The element after the part's last.
    pub end: usize,
    /// From one element that is taken to the next, not 0: a negative one begins at the part's last element.
    pub step: isize,
}

impl Slice {
    /// A whole part.
    pub fn new(axis: usize, start: usize, end: usize) -> Slice {
        Slice { axis, start, end, step: 1 }
    }

    /// How many elements are taken.
    pub fn count(&self) -> usize {
        self.end.saturating_sub(self.start).div_ceil(self.step.unsigned_abs().max(1))
    }

    /// The element that comes first.
    pub fn first(&self) -> usize {
        if self.step < 0 { self.end.saturating_sub(1) } else { self.start }
    }
}
