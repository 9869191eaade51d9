//! Operators: what a model does, one after the other.

use super::value::{Value, ValueType};
use super::window::Axis;

/// A function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// `x` limited to `low..=high`.
    Clip {
        /// The least value.
        low: f32,
        /// The greatest value.
        high: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x * clip(x / 6 + 1/2, 0, 1)`
    HardSwish,
}

impl Activation {
    /// The number and the two arguments that stand for it in a record.
    #[cfg(feature = "alloc")]
    pub(super) fn encode(self) -> (u32, f32, f32) {
        match self {
            Self::Identity => (0, 0.0, 0.0),
            Self::Relu => (1, 0.0, 0.0),
            Self::LeakyRelu { slope } => (2, slope, 0.0),
            Self::Clip { low, high } => (3, low, high),
            Self::Sigmoid => (4, 0.0, 0.0),
            Self::Tanh => (5, 0.0, 0.0),
            Self::HardSwish => (6, 0.0, 0.0),
        }
    }

    pub(super) fn decode(kind: u32, a: f32, b: f32) -> Option<Self> {
        // Infinite limits are as good as none; a slope must be finite, and nothing may be NaN.
        Some(match kind {
            0 => Self::Identity,
            1 => Self::Relu,
            2 if a.is_finite() => Self::LeakyRelu { slope: a },
            3 if a <= b => Self::Clip { low: a, high: b },
            4 => Self::Sigmoid,
            5 => Self::Tanh,
            6 => Self::HardSwish,
            _ => return None,
        })
    }
}

/// The type of a layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit float.
    F32,
    /// 16-bit float (IEEE binary16), multiplied in f32.
    F16,
    /// Signed 8-bit integer with a scale per output channel, multiplied in integers.
    I8,
}

impl WeightType {
    /// The size of a weight in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }

    /// The type of activations that weights of this type are multiplied with.
    pub const fn input(self) -> ValueType {
        match self {
            Self::F32 | Self::F16 => ValueType::F32,
            Self::I8 => ValueType::U8,
        }
    }
}

/// Packed weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights<'a> {
    /// `[block][k][16]`
    F32(&'a [f32]),
    /// `[block][k][16]`, the bits of binary16.
    F16(&'a [u16]),
    /// `[block][k / 4][16][4]`
    I8(&'a [i8]),
}

impl Weights<'_> {
    /// Their type.
    pub fn kind(&self) -> WeightType {
        match self {
            Self::F32(_) => WeightType::F32,
            Self::F16(_) => WeightType::F16,
            Self::I8(_) => WeightType::I8,
        }
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(weights) => weights.len() * 4,
            Self::F16(weights) => weights.len() * 2,
            Self::I8(weights) => weights.len(),
        }
    }
}

/// A per-channel `x * scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<'a> {
    /// Per channel.
    pub scale: &'a [f32],
    /// Per channel.
    pub shift: &'a [f32],
}

/// What a layer adds to the sum of products before anything else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias<'a> {
    /// Float layers.
    F32(&'a [f32]),
    /// Int8 layers: the bias in units of the product's step, less zero point times the sum of weights; then the factor
    /// from there to real (or output) units; then 128 times the sum of weights, for kernels that multiply signed inputs.
    I32 {
        /// Per channel.
        bias: &'a [i32],
        /// Per channel.
        scale: &'a [f32],
        /// Per channel.
        sum128: &'a [i32],
    },
}

/// The operand of a fused addition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual<'a> {
    /// What is added, of the output's shape and type.
    pub value: Value<'a>,
    /// The factor from a U8 value's steps to the layer's units; 1 for F32.
    pub scale: f32,
}

/// Weights and everything fused with them: `activation(sum + bias [+ residual])`, then the affine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer<'a> {
    /// The packed weights.
    pub weights: Weights<'a>,
    /// The bias.
    pub bias: Bias<'a>,
    /// A fused addition.
    pub residual: Option<Residual<'a>>,
    /// The activation.
    pub activation: Activation,
    /// A fused affine after the activation.
    pub after: Option<Affine<'a>>,
}

/// An operation on two values of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
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
    /// The greatest.
    Max,
    /// The mean of those inside the image.
    Average,
    /// The sum of those inside the image over the window's size.
    AverageWithPadding,
}

/// What a pad operator puts around its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadKind {
    /// A constant.
    Constant(f32),
    /// The nearest element of the border.
    Edge,
    /// The image mirrored at its border elements.
    Reflect,
}

/// How a resize finds an output pixel's place in the input; ONNX's `coordinate_transformation_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// `(x + 1/2) * scale - 1/2`
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one pixel.
    HalfPixelPytorch,
    /// `x * scale`
    Asymmetric,
    /// `x * (in - 1) / (out - 1)`; 0 where the output has one pixel.
    AlignCorners,
}

/// How a resize makes a value from the neighbors of that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest; halves go down.
    NearestPreferFloor,
    /// The nearest; halves go up.
    NearestPreferCeil,
    /// The one before.
    Floor,
    /// The one after.
    Ceil,
    /// Linear along both axes.
    Bilinear,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'a> {
    /// All inputs to all outputs, both in memory order.
    FullyConnected(Layer<'a>),
    /// A convolution.
    Convolution {
        /// The window along rows and columns.
        window: [Axis; 2],
        /// Groups of channels that see only each other.
        groups: usize,
        /// Whether the weights are transformed for Winograd's F(2x2, 3x3).
        winograd: bool,
        /// Weights and what is fused.
        layer: Layer<'a>,
    },
    /// A convolution whose every channel sees only itself; weights `[tap][channels rounded up to 16]`.
    Depthwise {
        /// The window along rows and columns.
        window: [Axis; 2],
        /// Weights and what is fused.
        layer: Layer<'a>,
    },
    /// A transposed convolution; weights and each array of parameters one phase after the other, row phases outermost.
    Transposed {
        /// The window along rows and columns.
        window: [Axis; 2],
        /// Groups of channels that see only each other.
        groups: usize,
        /// Weights and what is fused.
        layer: Layer<'a>,
    },
    /// A pool.
    Pool {
        /// The window along rows and columns.
        window: [Axis; 2],
        /// How the window is combined.
        kind: PoolKind,
    },
    /// `after(activation(before(x)))`; also the change from one element type to the other.
    Elementwise {
        /// An affine before the activation.
        before: Option<Affine<'a>>,
        /// The activation.
        activation: Activation,
        /// An affine after the activation.
        after: Option<Affine<'a>>,
    },
    /// `activation(a op b)`; `b` may be a single pixel for all.
    Binary {
        /// The operation.
        kind: BinaryKind,
        /// The activation.
        activation: Activation,
    },
    /// Writes the input into a part of the output, beginning at this channel, row and column.
    Copy {
        /// Channel, row, column.
        at: [usize; 3],
    },
    /// The input with a border.
    Pad {
        /// Rows above and columns to the left.
        before: [usize; 2],
        /// What is put there.
        kind: PadKind,
    },
    /// The input at another resolution.
    Resize {
        /// Input pixels per output pixel along rows and columns.
        scale: [f32; 2],
        /// Where an output pixel lies in the input.
        coordinates: Coordinates,
        /// How its value is made.
        interpolation: Interpolation,
    },
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

impl Kind<'_> {
    /// The kind's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FullyConnected(_) => "fully connected",
            Self::Convolution { .. } => "convolution",
            Self::Depthwise { .. } => "depthwise convolution",
            Self::Transposed { .. } => "transposed convolution",
            Self::Pool { .. } => "pool",
            Self::Elementwise { .. } => "elementwise",
            Self::Binary { .. } => "binary",
            Self::Copy { .. } => "copy",
            Self::Pad { .. } => "pad",
            Self::Resize { .. } => "resize",
            Self::Softmax => "softmax",
            Self::L2Normalize { .. } => "L2 normalize",
            Self::Reorder => "reorder",
        }
    }

    /// The layer, if it has one.
    pub fn layer(&self) -> Option<&Layer<'_>> {
        match self {
            Self::FullyConnected(layer)
            | Self::Convolution { layer, .. }
            | Self::Depthwise { layer, .. }
            | Self::Transposed { layer, .. } => Some(layer),
            _ => None,
        }
    }
}

/// One step of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operator<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it does.
    pub kind: Kind<'a>,
    /// What it reads.
    pub input: Value<'a>,
    /// What else it reads: the second operand or the residual.
    pub second: Option<Value<'a>>,
    /// What it writes.
    pub output: Value<'a>,
    /// Whether the output takes the input's place in memory.
    pub in_place: bool,
}

impl Operator<'_> {
    /// Multiply-accumulates for one example, taps on padding included, as if none were saved (as by Winograd).
    pub fn multiply_accumulates(&self) -> u64 {
        let taps = |window: &[Axis; 2]| window.iter().map(|axis| axis.kernel as u64).product::<u64>();
        let (inputs, outputs) = (self.input.logical() as u64, self.output.logical() as u64);
        match &self.kind {
            Kind::FullyConnected(_) => inputs * outputs,
            Kind::Convolution { window, groups, .. } => {
                outputs * (self.input.channels / groups.max(&1)) as u64 * taps(window)
            }
            Kind::Depthwise { window, .. } => outputs * taps(window),
            Kind::Transposed { window, groups, .. } => {
                inputs * (self.output.channels / groups.max(&1)) as u64 * taps(window)
            }
            _ => 0,
        }
    }
}
