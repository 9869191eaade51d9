//! The operators of a graph, with their attributes checked and resolved: no defaults, no automatic padding, no
//! negative axes are left.

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
            Op::Pad(pad) => match pad.fill {
                PadFill::Constant(value) => value == 0.0,
                PadFill::Edge | PadFill::Reflect => true,
            },
            Op::Resize(resize) => resize.interpolation != Interpolation::Linear,
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
            Op::Binary(Binary::Add) => "Add",
            Op::Binary(Binary::Subtract) => "Sub",
            Op::Binary(Binary::Multiply) => "Mul",
            Op::Binary(Binary::Divide) => "Div",
            Op::Pool(Pool { kind: PoolKind::Max, .. }) => "MaxPool",
            Op::Pool(_) => "AveragePool",
            Op::Reduce(Reduce { kind: ReduceKind::Mean, .. }) => "ReduceMean",
            Op::Reduce(Reduce { kind: ReduceKind::L2, .. }) => "ReduceL2",
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
        }
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

/// A window that slides over rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Step along rows and columns, at least 1.
    pub stride: [usize; 2],
    /// Distance between the window's elements, at least 1.
    pub dilation: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// Rows (axis 0) or columns (axis 1) from the window's first element to its last, both included.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// How many windows fit along an axis of the given length; with `ceil` a last one that overhangs counts, unless it
    /// begins in the padding after the image. `None` when not even one fits.
    pub fn count(&self, axis: usize, length: usize, ceil: bool) -> Option<usize> {
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let room = (length + before + after).checked_sub(self.extent(axis))?;
        let stride = self.stride[axis];
        let mut count = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
        if ceil && (count - 1) * stride >= length + before {
            count -= 1;
        }
        Some(count)
    }
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

/// A function of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// x where positive, else slope x
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// min(max(x, low), high)
    Clip {
        /// The least value; may be -infinity.
        low: f32,
        /// The greatest value; may be infinity.
        high: f32,
    },
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x max(0, min(1, x / 6 + 1/2))
    HardSwish,
    /// max(0, min(1, alpha x + beta))
    HardSigmoid {
        /// Slope in the middle.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
}

impl Activation {
    /// ONNX's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Identity => "Identity",
            Activation::Relu => "Relu",
            Activation::LeakyRelu { .. } => "LeakyRelu",
            Activation::Clip { .. } => "Clip",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::HardSwish => "HardSwish",
            Activation::HardSigmoid { .. } => "HardSigmoid",
        }
    }
}

/// A function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Subtract,
    /// a b
    Multiply,
    /// a / b
    Divide,
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

/// How a pool combines the elements of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest element inside the image.
    Max,
    /// The mean of the elements inside the image.
    Average,
    /// The sum of the elements inside the image, divided by how many lie inside the image or its padding.
    AverageWithPadding,
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

/// How a reduction combines elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReduceKind {
    /// Their mean.
    Mean,
    /// The square root of the sum of their squares.
    L2,
}

/// Attributes of [`Op::Pad`].
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// What is added before each axis.
    pub before: Vec<usize>,
    /// What is added after each axis.
    pub after: Vec<usize>,
    /// What is put there.
    pub fill: PadFill,
}

/// What padding consists of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadFill {
    /// A constant.
    Constant(f32),
    /// The nearest element.
    Edge,
    /// The tensor mirrored at its outermost elements.
    Reflect,
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

/// ONNX's `coordinate_transformation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// (x + 1/2) / scale - 1/2
    HalfPixel,
    /// The same, but 0 where the output has one pixel.
    PytorchHalfPixel,
    /// x / scale
    Asymmetric,
    /// x (in - 1) / (out - 1); 0 where the output has one pixel
    AlignCorners,
}

/// ONNX's `mode` and `nearest_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The elements from `start` to before `end` along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first element.
    pub start: usize,
    /// The element after the last.
    pub end: usize,
}
