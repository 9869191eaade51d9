//! Packed weights: one layout for every instruction set.

use super::element::WeightType;

/// Output channels in one block of packed weights.
pub const BLOCK: usize = 16;
/// Layers with at most so many output channels (per group) have their weights row after row instead of in blocks.
pub const NARROW: usize = 4;
/// Inputs in one group of packed int8 weights.
pub const GROUP: usize = 4;

/// Different weights of a layer of 4 bits.
pub const CODES: usize = 16;
/// Bytes of expanded weights that are worth having at once: they stay in a core's first cache.
const EXPANDED: usize = 16 << 10;
/// The most blocks of rows that are expanded together.
const EXPANDED_BLOCKS: usize = 4;

/// Rows of 4-bit weights that are expanded together, of a matrix of `rows` rows as stored and so many products.
pub(crate) fn expanded_rows(rows: usize, products: usize) -> usize {
    let blocks = (EXPANDED / BLOCK).checked_div(products).unwrap_or(EXPANDED_BLOCKS);
    rows.min(BLOCK * blocks.clamp(1, EXPANDED_BLOCKS))
}

/// Rows of weights that are stored for so many output channels: whole blocks, unless there are few.
pub const fn weight_rows(channels: usize) -> usize {
    if channels <= NARROW { channels } else { channels.next_multiple_of(BLOCK) }
}

/// Packed weights: a matrix of a row for each output in blocks of [`BLOCK`] rows, or of at most [`NARROW`] rows
/// `[row][k]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PackedWeights<'a> {
    /// `[block][k][16]`
    F32(&'a [f32]),
    /// `[block][k][16]`, the bits of binary16.
    F16(&'a [u16]),
    /// `[block][k][16]`, the bits of bfloat16.
    Bf16(&'a [u16]),
    /// `[block][k / 4][16][4]`
    I8(&'a [i8]),
    /// As [`PackedWeights::I8`], each of 4 bits.
    I4 {
        /// The weights that there are, ascending.
        codebook: &'a [i8; CODES],
        /// Their indexes, two to a byte, the lower half first.
        indexes: &'a [u8],
    },
}

impl PackedWeights<'_> {
    /// Their type.
    pub const fn weight_type(&self) -> WeightType {
        match self {
            Self::F32(_) => WeightType::F32,
            Self::F16(_) => WeightType::F16,
            Self::Bf16(_) => WeightType::Bf16,
            Self::I8(_) => WeightType::I8,
            Self::I4 { .. } => WeightType::I4,
        }
    }

    /// How many there are, padding included.
    #[expect(clippy::len_without_is_empty, reason = "a layer has weights")]
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(weights) => weights.len(),
            Self::F16(weights) | Self::Bf16(weights) => weights.len(),
            Self::I8(weights) => weights.len(),
            Self::I4 { indexes, .. } => indexes.len() * 2,
        }
    }

    /// How many bytes they take.
    pub const fn bytes(&self) -> usize {
        match self {
            Self::I4 { indexes, .. } => indexes.len() + CODES,
            _ => self.len() * self.weight_type().size(),
        }
    }

    /// The weights from an element on; `None` beyond the end.
    pub fn from(&self, start: usize) -> Option<Self> {
        Some(match self {
            Self::F32(weights) => Self::F32(weights.get(start..)?),
            Self::F16(weights) => Self::F16(weights.get(start..)?),
            Self::Bf16(weights) => Self::Bf16(weights.get(start..)?),
            Self::I8(weights) => Self::I8(weights.get(start..)?),
            Self::I4 { codebook, indexes } => Self::I4 { codebook, indexes: indexes.get(start / 2..)? },
        })
    }

    /// The integer at a place; `None` beyond the end, and of floats.
    pub(crate) fn integer(&self, at: usize) -> Option<i8> {
        match self {
            Self::I8(weights) => weights.get(at).copied(),
            Self::I4 { codebook, indexes } => {
                Some(codebook[usize::from(indexes.get(at / 2)? >> (at % 2 * 4) & 15)])
            }
            _ => None,
        }
    }

    /// Where weight `k` of a row lies in a matrix of `rows` by `depth`.
    pub(crate) const fn place(&self, [rows, depth]: [usize; 2], row: usize, k: usize) -> usize {
        if rows <= NARROW {
            return row * depth + k;
        }
        match self {
            Self::F32(_) | Self::F16(_) | Self::Bf16(_) => (row / BLOCK * depth + k) * BLOCK + row % BLOCK,
            Self::I8(_) | Self::I4 { .. } => {
                ((row / BLOCK * (depth / GROUP) + k / GROUP) * BLOCK + row % BLOCK) * GROUP + k % GROUP
            }
        }
    }
}

/// What is added to the sums of products; one entry per row of weights, padding included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias<'a> {
    /// Float layers.
    F32(&'a [f32]),
    /// Int8 layers: `(sum + bias) * scale`.
    I32 {
        /// In units of the product's step, less zero point times the sum of weights.
        bias: &'a [i32],
        /// From there to real (or output) units.
        scale: &'a [f32],
        /// 128 times the sum of a row's weights, for kernels that can only multiply signed inputs: they take 128 off
        /// each input and add this.
        sum128: &'a [i32],
    },
}
