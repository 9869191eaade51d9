//! What the builder is told of a model: its metadata, its layers and element types.

use alloc::string::String;
use alloc::vec::Vec;

use super::ValueId;
use crate::format::model::{ModelKind, Precision};
use crate::latent::Distribution;
use crate::ops::{Activation, ValueType};
use crate::pixels::ValueRange;

/// The element type of an activation and, if quantized, its step and zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// `scale * (q - zero_point)`. (An int8 tensor becomes U8 by adding 128 to its zero point.)
    U8 {
        /// The step.
        scale: f32,
        /// What stands for zero.
        zero_point: u8,
    },
}

impl Element {
    pub(super) fn kind(self) -> ValueType {
        match self {
            Self::F32 => ValueType::F32,
            Self::U8 { .. } => ValueType::U8,
        }
    }
}

/// What is known about the model beside its operators.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// What it is.
    pub kind: ModelKind,
    /// What it was packed with.
    pub precision: Precision,
    /// The length of the latent vector; 0 if it takes none.
    pub latent_size: usize,
    /// What latent vectors are drawn from.
    pub distribution: Option<Distribution>,
    /// The value range of the image side, if it is known.
    pub range: Option<ValueRange>,
    /// Pairs of key and text, e.g. those of the ONNX file.
    pub metadata: Vec<(String, String)>,
}

impl Default for ModelInfo {
    fn default() -> Self {
        Self {
            kind: ModelKind::Other,
            precision: Precision::F32,
            latent_size: 0,
            distribution: None,
            range: None,
            metadata: Vec::new(),
        }
    }
}

/// A layer's weights in the usual order (each operator says which).
#[derive(Clone, Copy, Debug)]
pub enum PlainWeights<'a> {
    /// Kept in f32.
    F32(&'a [f32]),
    /// Rounded to binary16.
    F16(&'a [f32]),
    /// Rounded to bfloat16.
    Bf16(&'a [f32]),
    /// Symmetric int8 with one scale per output channel, or a single one for all.
    I8 {
        /// The weights.
        values: &'a [i8],
        /// Their scales. Those of a transposed convolution may differ between its phases; see [`PlainBias`].
        scales: &'a [f32],
    },
    /// The same, of at most 16 different values, zero counted, stored in 4 bits each. A depthwise convolution stores
    /// them in 8.
    I4 {
        /// The weights.
        values: &'a [i8],
        /// Their scales.
        scales: &'a [f32],
    },
}

impl PlainWeights<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            PlainWeights::F32(values) | PlainWeights::F16(values) | PlainWeights::Bf16(values) => {
                values.len()
            }
            PlainWeights::I8 { values, .. } | PlainWeights::I4 { values, .. } => values.len(),
        }
    }
}

/// A layer's bias, one per output channel. A transposed convolution may have one for each of its phases instead:
/// `[row][column][output]`, where row and column are what is left of a tap's place divided by the stride.
#[derive(Clone, Copy, Debug, Default)]
pub enum PlainBias<'a> {
    /// No bias.
    #[default]
    None,
    /// In real units.
    F32(&'a [f32]),
    /// In units of input scale times weight scale (int8 layers only).
    I32(&'a [i32]),
}

/// A layer's weights, bias and what is fused with it: `after(activation(sum + bias [+ residual]))`, all in real units.
#[derive(Clone, Copy, Debug)]
pub struct LayerSpec<'a> {
    /// The weights.
    pub weights: PlainWeights<'a>,
    /// The bias.
    pub bias: PlainBias<'a>,
    /// Added before the activation; of the output's shape and element kind.
    pub residual: Option<ValueId>,
    /// The activation.
    pub activation: Activation,
    /// Scale and shift per output channel, after the activation.
    pub after: Option<(&'a [f32], &'a [f32])>,
    /// The output's element type. U8 only with int8 weights.
    pub output: Element,
}

impl<'a> LayerSpec<'a> {
    /// A layer with nothing fused and a float output.
    pub fn new(weights: PlainWeights<'a>, bias: PlainBias<'a>) -> Self {
        Self {
            weights,
            bias,
            residual: None,
            activation: Activation::Identity,
            after: None,
            output: Element::F32,
        }
    }
}
