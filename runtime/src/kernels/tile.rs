//! What a vector kernel is given: some output pixels times some blocks of output channels, as raw pointers.

use super::epilogue::Epilogue;
use super::geometry::Geometry;
use super::values::Values;
use crate::ops::{Activation, Affine, BLOCK, Bias, PackedWeights, WeightType};

/// The most pixels in a tile.
pub(crate) const MAX_ROWS: usize = 8;

/// Where an output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OutputPointer {
    F32(*mut f32),
    U8(*mut u8),
}

/// Where a residual comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResidualPointer {
    None,
    F32(*const f32),
    U8 { values: *const u8, scale: f32, zero_point: u8 },
}

/// A product's slices and loop bounds, shared by all its tiles.
#[derive(Debug)]
pub(crate) struct Pointers<'a> {
    pub(crate) input: *const u8,
    pub(crate) weights: *const u8,
    pub(crate) weight_type: WeightType,
    pub(crate) bias: Bias<'a>,
    pub(crate) activation: Activation,
    pub(crate) after: Option<Affine<&'a [f32]>>,
    pub(crate) zero_point: u8,
    pub(crate) output: OutputPointer,
    pub(crate) residual: ResidualPointer,
    pub(crate) channels: usize,
    pub(crate) taps: [usize; 2],
    pub(crate) tap: [usize; 2],
    pub(crate) depth: usize,
}

impl<'a> Pointers<'a> {
    pub(crate) fn new(
        geometry: &Geometry,
        input: &Values<'a>,
        weights: &PackedWeights<'a>,
        epilogue: &Epilogue<'a>,
        output: OutputPointer,
    ) -> Self {
        let pointer = match weights {
            PackedWeights::F32(weights) => weights.as_ptr().cast(),
            PackedWeights::F16(weights) | PackedWeights::Bf16(weights) => weights.as_ptr().cast(),
            PackedWeights::I8(weights) => weights.as_ptr().cast(),
            PackedWeights::I4 { indexes, .. } => indexes.as_ptr(),
        };
        Self {
            input: match input {
                Values::F32(values) => values.as_ptr().cast(),
                Values::U8(values) => values.as_ptr(),
            },
            weights: pointer,
            weight_type: weights.weight_type(),
            bias: epilogue.bias,
            activation: epilogue.activation,
            after: epilogue.after,
            zero_point: epilogue.zero_point,
            output,
            residual: match &epilogue.residual {
                None => ResidualPointer::None,
                Some(residual) => match residual.values {
                    Values::F32(values) => ResidualPointer::F32(values.as_ptr()),
                    Values::U8(values) => ResidualPointer::U8 {
                        values: values.as_ptr(),
                        scale: residual.scale,
                        zero_point: residual.zero_point,
                    },
                },
            },
            channels: geometry.channels,
            taps: geometry.taps,
            tap: geometry.tap,
            depth: geometry.depth,
        }
    }
}

/// Some pixels times some blocks.
#[derive(Debug)]
pub(crate) struct Tile<'a> {
    pub(crate) pointers: &'a Pointers<'a>,
    /// Pixels.
    pub(crate) rows: usize,
    /// The first block of output channels.
    pub(crate) block: usize,
    /// Blocks.
    pub(crate) blocks: usize,
    /// Bytes of weights in a block.
    pub(crate) block_bytes: usize,
    /// Elements where each pixel's first tap, output and residual lie.
    pub(crate) input: [usize; MAX_ROWS],
    pub(crate) output: [usize; MAX_ROWS],
    pub(crate) residual: [usize; MAX_ROWS],
}

impl<'a> Tile<'a> {
    /// Four pixels of which only the results are to be finished, by blocks from `first` on; [`Tile::place_square`] says
    /// where they lie.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn square(pointers: &'a Pointers<'a>, first: usize, blocks: usize) -> Self {
        let nowhere = [0; MAX_ROWS];
        let (input, output, residual) = (nowhere, nowhere, nowhere);
        Self { pointers, rows: 4, block: first, blocks, block_bytes: 0, input, output, residual }
    }

    /// Makes its pixels the square of 2x2 from `pixel` on, row after row.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn place_square(&mut self, geometry: &Geometry, pixel: super::geometry::Pixel) {
        let (to, with) = (&geometry.output, &geometry.residual);
        let (output, residual) = (to.at(pixel), with.at(pixel));
        for y in 0..2 {
            for x in 0..2 {
                self.output[2 * y + x] = output + y * to.row + x * to.column;
                self.residual[2 * y + x] = residual + y * with.row + x * with.column;
            }
        }
    }

    /// Channels of block `index` (of this tile) that exist: 16, fewer in the last.
    #[inline(always)]
    pub(crate) fn lanes(&self, index: usize) -> usize {
        (self.pointers.channels - (self.block + index) * BLOCK).min(BLOCK)
    }
}

/// Vector code for tiles. The implementing type is a token that only detection of the instruction set can build.
pub(crate) trait TileKernel: Copy + Sync {
    /// The most pixels (at most [`MAX_ROWS`]) and blocks that a tile may have for these weights and so many pixels.
    fn tile(&self, weights: &PackedWeights<'_>, pixels: usize) -> (usize, usize);

    /// Computes a tile.
    ///
    /// # Safety
    /// All elements that the tile's geometry names must lie in the slices behind its pointers, `rows` and `blocks` must
    /// be at least 1 and at most what [`TileKernel::tile`] gave, and nothing else may touch the elements it writes.
    #[allow(unsafe_code)]
    unsafe fn run(&self, tile: &Tile<'_>);
}
