//! Plain weights into the layout that the kernels stream.

use alloc::vec::Vec;

use crate::bfloat16;
use crate::half;
use crate::ops::{Activation, Affine, BLOCK, GROUP, NARROW, WeightType};

/// A bias as it was given.
#[derive(Clone, Debug)]
pub(super) enum OwnedBias {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// A layer before it is packed: plain weights and what is fused with them, in real units.
#[derive(Clone, Debug)]
pub(super) struct PlainLayer {
    pub(super) weights: OwnedWeights,
    /// Per output channel, or per remainder and output channel; empty for float weights.
    pub(super) scales: Vec<f32>,
    /// The same; each array has its own length.
    pub(super) bias: OwnedBias,
    pub(super) activation: Activation,
    pub(super) after: Option<Affine<Vec<f32>>>,
}

/// Weights as the world writes them, owned until they are packed.
#[derive(Clone, Debug)]
pub(super) enum OwnedWeights {
    /// Stored as they are or rounded to binary16.
    Float(Vec<f32>, WeightType),
    /// With one scale per output channel.
    Int8(Vec<i8>),
}

impl OwnedWeights {
    pub(super) fn weight_type(&self) -> WeightType {
        match self {
            Self::Float(_, kind) => *kind,
            Self::Int8(_) => WeightType::I8,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Float(weights, _) => weights.len(),
            Self::Int8(weights) => weights.len(),
        }
    }

    /// Appends `rows` outputs of `depth` inputs each in blocks of 16 outputs: `[block][k][16]`, int8
    /// `[block][k / 4][16][4]`; at most four outputs one after the other. `index` gives the plain weight's place, or
    /// `None` for padding.
    pub(super) fn pack(
        &self,
        rows: usize,
        depth: usize,
        index: impl Fn(usize, usize) -> Option<usize>,
        out: &mut Vec<u8>,
    ) {
        let place = |row: usize, k: usize| if row < rows { index(row, k) } else { None };
        if rows <= NARROW {
            for at in
                (0..rows).flat_map(|row| (0..depth).map(move |k| (row, k))).map(|(row, k)| index(row, k))
            {
                match self {
                    Self::Float(weights, kind) => put_float(at.map_or(0.0, |at| weights[at]), *kind, out),
                    Self::Int8(weights) => out.push(at.map_or(0, |at| weights[at] as u8)),
                }
            }
            return;
        }
        let blocks = rows.div_ceil(BLOCK);
        out.reserve(blocks * BLOCK * depth * self.weight_type().size());
        for block in 0..blocks {
            match self {
                Self::Float(weights, kind) => {
                    for k in 0..depth {
                        for lane in 0..BLOCK {
                            let weight = place(block * BLOCK + lane, k).map_or(0.0, |at| weights[at]);
                            put_float(weight, *kind, out);
                        }
                    }
                }
                Self::Int8(weights) => {
                    for group in 0..depth / GROUP {
                        for lane in 0..BLOCK {
                            for k in group * GROUP..(group + 1) * GROUP {
                                out.push(place(block * BLOCK + lane, k).map_or(0, |at| weights[at] as u8));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The sum of an int8 output's weights.
    pub(super) fn sum(&self, depth: usize, index: impl Fn(usize) -> Option<usize>) -> i64 {
        match self {
            Self::Float(..) => 0,
            Self::Int8(weights) => (0..depth).filter_map(index).map(|at| i64::from(weights[at])).sum(),
        }
    }
}

/// Appends a weight as f32 or rounded to binary16 or bfloat16.
pub(super) fn put_float(weight: f32, kind: WeightType, out: &mut Vec<u8>) {
    match kind {
        WeightType::F16 => out.extend(half::from_f32(weight).to_le_bytes()),
        WeightType::Bf16 => out.extend(bfloat16::from_f32(weight).to_le_bytes()),
        _ => out.extend(weight.to_le_bytes()),
    }
}
