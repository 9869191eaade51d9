//! Layers: packed weights and what is fused with them.

use super::value::Value;
use crate::bfloat16;
use crate::half;
use crate::ops::{Activation, Affine, BLOCK, Bias, PackedWeights, weight_rows};

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
    pub weights: PackedWeights<'a>,
    /// The bias.
    pub bias: Bias<'a>,
    /// A fused addition.
    pub residual: Option<Residual<'a>>,
    /// The activation.
    pub activation: Activation,
    /// A fused affine after the activation.
    pub after: Option<Affine<&'a [f32]>>,
    /// Rows and depth of each group's matrix, where the weights are plain matrices.
    pub(super) matrix: Option<[usize; 2]>,
}

impl Layer<'_> {
    /// The weight that output `row` has for its product `k`, wherever it is packed; of an int8 layer in the units that
    /// the row's scale gives. Rows count through the groups; products go in the order in which the inputs lie in memory,
    /// padding included.
    ///
    /// `None` beyond the last, and where the weights are no matrix of the original ones: those of depthwise and
    /// transposed convolutions, and of convolutions by Winograd's transform.
    pub fn weight(&self, row: usize, k: usize) -> Option<f32> {
        let [rows, depth] = self.matrix?;
        let (group, row) = (row / rows, row % rows);
        if k >= depth {
            return None;
        }
        let weights = self.weights.from(group.checked_mul(weight_rows(rows))?.checked_mul(depth)?)?;
        let at = weights.place([rows, depth], row, k);
        match (weights, self.bias) {
            (PackedWeights::F32(weights), _) => weights.get(at).copied(),
            (PackedWeights::F16(weights), _) => weights.get(at).map(|&bits| half::to_f32(bits)),
            (PackedWeights::Bf16(weights), _) => weights.get(at).map(|&bits| bfloat16::to_f32(bits)),
            (PackedWeights::I8(_) | PackedWeights::I4 { .. }, Bias::I32 { scale, .. }) => {
                let scale = scale.get(group * rows.next_multiple_of(BLOCK) + row)?;
                Some(f32::from(weights.integer(at)?) * scale)
            }
            (PackedWeights::I8(_) | PackedWeights::I4 { .. }, Bias::F32(_)) => None,
        }
    }
}
