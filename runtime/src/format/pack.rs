//! Plain weights into the layout that the kernels stream.

use alloc::vec::Vec;

use crate::bfloat16;
use crate::half;
use crate::ops::{Activation, Affine, BLOCK, CODES, GROUP, NARROW, WeightType};

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
    /// The same, of at most 16 different values, zero counted.
    Int4(Vec<i8>),
}

impl OwnedWeights {
    pub(super) fn weight_type(&self) -> WeightType {
        match self {
            Self::Float(_, kind) => *kind,
            Self::Int8(_) => WeightType::I8,
            Self::Int4(_) => WeightType::I4,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Float(weights, _) => weights.len(),
            Self::Int8(weights) | Self::Int4(weights) => weights.len(),
        }
    }

    /// Appends `rows` outputs of `depth` inputs each in blocks of 16 outputs: `[block][k][16]`, int8
    /// `[block][k / 4][16][4]`, a byte also for each of int4; at most four outputs one after the other. `index` gives the plain weight's place, or
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
                    Self::Int8(weights) | Self::Int4(weights) => {
                        out.push(at.map_or(0, |at| weights[at] as u8))
                    }
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
                Self::Int8(weights) | Self::Int4(weights) => {
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
            Self::Int8(weights) | Self::Int4(weights) => {
                (0..depth).filter_map(index).map(|at| i64::from(weights[at])).sum()
            }
        }
    }
}

/// The different values of weights of at most 16, zero counted, ascending; the largest fills up the rest.
pub(super) fn codebook(weights: impl IntoIterator<Item = i8>) -> Option<[i8; CODES]> {
    let mut found = [false; 256];
    found[128] = true;
    weights.into_iter().for_each(|weight| found[(i16::from(weight) + 128) as usize] = true);
    let values: Vec<i8> = (0..256).filter(|&at| found[at]).map(|at| (at as i16 - 128) as i8).collect();
    let last = *values.last()?;
    (values.len() <= CODES).then(|| core::array::from_fn(|at| values.get(at).copied().unwrap_or(last)))
}

/// Weights of a byte each as those of 4 bits: their indexes, two to a byte, then the codebook.
pub(super) fn to_codes(packed: &[u8]) -> Vec<u8> {
    let codebook = codebook(packed.iter().map(|&byte| byte as i8)).unwrap_or_default();
    let code = |&byte: &u8| codebook.iter().position(|&one| one == byte as i8).unwrap_or_default() as u8;
    let pairs = packed.chunks(2).map(|pair| code(&pair[0]) | pair.get(1).map_or(0, code) << 4);
    pairs.chain(codebook.map(|one| one as u8)).collect()
}

/// Appends a weight as f32 or rounded to binary16 or bfloat16.
pub(super) fn put_float(weight: f32, kind: WeightType, out: &mut Vec<u8>) {
    match kind {
        WeightType::F16 => out.extend(half::from_f32(weight).to_le_bytes()),
        WeightType::Bf16 => out.extend(bfloat16::from_f32(weight).to_le_bytes()),
        _ => out.extend(weight.to_le_bytes()),
    }
}
