//! Vector code for 64-bit Arm.

#[expect(clippy::needless_range_loop, reason = "the indices name registers of a tile")]
mod neon;

use super::epilogue::Epilogue;
use super::geometry::{Geometry, Pixel};
use super::image::Block;
use super::scalar::narrow;
use super::tile::{Tile, TileKernel};
use super::values::Values;
use crate::ops::{CODES, NARROW, PackedWeights, WeightType};

/// An Arm instruction set that this machine has: only [`Arm::available`] gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arm(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// What every 64-bit Arm has, conversion from half precision included.
    Neon,
    /// And int8 dot products.
    DotProduct,
}

impl Arm {
    /// Weights of 4 bits to bytes.
    pub(crate) fn expand(self, codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
        // SAFETY: the token proves the instructions.
        #[allow(unsafe_code)]
        unsafe {
            neon::expand(codebook, indexes, weights)
        }
    }

    /// What this machine has, the best first; without `std`, what the compiler may assume.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(feature = "std")]
        let found = [
            std::arch::is_aarch64_feature_detected!("dotprod"),
            std::arch::is_aarch64_feature_detected!("neon"),
        ];
        #[cfg(not(feature = "std"))]
        let found = [cfg!(target_feature = "dotprod"), cfg!(target_feature = "neon")];
        found
            .into_iter()
            .zip([Level::DotProduct, Level::Neon])
            .filter(|(found, _)| *found)
            .map(|(_, level)| Self(level))
    }

    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Level::Neon => "NEON",
            Level::DotProduct => "NEON dotprod",
        }
    }
}

impl Arm {
    /// A chunk of a product with few outputs, whose bounds have been checked. The compiler's own vector code is NEON.
    pub(crate) fn narrow(
        self,
        geometry: &Geometry,
        input: &Values<'_>,
        weights: &PackedWeights<'_>,
        epilogue: &Epilogue<'_>,
        at: (Pixel, usize),
    ) -> [Block; NARROW] {
        narrow::chunk(geometry, input, weights, epilogue, at, &narrow::Plain)
    }
}

impl TileKernel for Arm {
    fn tile(&self, _: &PackedWeights<'_>, pixels: usize) -> (usize, usize) {
        neon::tile(pixels)
    }

    #[allow(unsafe_code)]
    unsafe fn run(&self, tile: &Tile<'_>) {
        // SAFETY: the token proves the features that each function needs; the tile is as the caller promises.
        unsafe {
            match (self.0, tile.pointers.weight_type) {
                // Expanded before.
                (_, WeightType::I4) => {}
                (Level::DotProduct, WeightType::I8) => neon::int8_dot(tile),
                (Level::Neon, WeightType::I8) => neon::int8(tile),
                (_, WeightType::F32) => neon::float32(tile),
                (_, WeightType::F16) => neon::float16(tile),
                (_, WeightType::Bf16) => neon::bfloat16(tile),
            }
        }
    }
}
