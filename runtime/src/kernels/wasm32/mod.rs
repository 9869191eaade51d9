//! Vector code for WebAssembly, whose 128-bit instructions are there or not when a module is compiled: a browser refuses one
//! that has instructions it does not know.

mod simd128;

use super::epilogue::Epilogue;
use super::geometry::{Geometry, Pixel};
use super::image::Block;
use super::scalar::narrow;
use super::tile::{Tile, TileKernel};
use super::values::Values;
use crate::ops::{CODES, NARROW, PackedWeights, WeightType};

/// The 128-bit instructions, which everything that compiles this module has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Simd128;

impl Simd128 {
    /// Weights of 4 bits to bytes.
    pub(crate) fn expand(self, codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
        simd128::expand(codebook, indexes, weights);
    }

    /// A chunk of a product with few outputs, whose bounds have been checked.
    pub(crate) fn narrow(
        self,
        geometry: &Geometry,
        input: &Values<'_>,
        weights: &PackedWeights<'_>,
        epilogue: &Epilogue<'_>,
        at: (Pixel, usize),
    ) -> [Block; NARROW] {
        narrow::chunk(geometry, input, weights, epilogue, at, &simd128::Dots)
    }
}

impl TileKernel for Simd128 {
    fn tile(&self, _: &PackedWeights<'_>, _: usize) -> (usize, usize) {
        (simd128::ROWS, 1)
    }

    #[allow(unsafe_code)]
    unsafe fn run(&self, tile: &Tile<'_>) {
        // SAFETY: the tile is as the caller promises.
        unsafe {
            match tile.pointers.weight_type {
                // Expanded before.
                WeightType::I4 => {}
                WeightType::I8 => simd128::int8(tile),
                WeightType::F32 => simd128::float32(tile),
                WeightType::F16 => simd128::float16(tile),
                WeightType::Bf16 => simd128::bfloat16(tile),
            }
        }
    }
}
