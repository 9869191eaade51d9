//! Vector code for x86-64.

#[expect(clippy::needless_range_loop, reason = "the indices name registers of a tile")]
mod avx2;
#[expect(clippy::needless_range_loop, reason = "the indices name registers of a tile")]
mod avx512;
#[cfg(any(not(feature = "std"), test))]
mod detect;

use super::checksum;
use super::epilogue::Epilogue;
use super::geometry::{Geometry, Pixel};
use super::image::{Block, Image};
use super::operation::{self, Work};
use super::scalar::narrow;
use super::scalar::winograd::Chunk;
use super::tile::{Pointers, Tile, TileKernel};
use super::values::{Values, ValuesMut};
use crate::ops::{CODES, NARROW, PackedWeights, WeightType};

/// An x86 instruction set that this machine has: only [`X86::available`] gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct X86(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// AVX2, FMA, F16C.
    Avx2,
    /// And AVX-VNNI: int8 dot products of 256 bits.
    AvxVnni,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
    /// And AVX-512 VNNI: int8 dot products of 512 bits.
    Avx512Vnni,
}

/// Whether this machine has all of these features: the standard library remembers what it once asked.
#[cfg(feature = "std")]
macro_rules! has {
    ($($feature:tt),+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
}

impl X86 {
    /// What this machine has, the best first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(not(feature = "std"))]
        let processor = detect::Processor::ask();
        #[cfg(not(feature = "std"))]
        macro_rules! has {
            ($($feature:tt),+) => { $(processor.has($feature))&&+ };
        }
        let avx2 = has!("avx2", "fma", "f16c");
        let vnni = avx2 && has!("avxvnni");
        let avx512 = avx2 && has!("avx512f", "avx512bw", "avx512dq", "avx512vl");
        let avx512_vnni = avx512 && has!("avx512vnni");
        [
            (avx512_vnni, Level::Avx512Vnni),
            (avx512, Level::Avx512),
            (vnni, Level::AvxVnni),
            (avx2, Level::Avx2),
        ]
        .into_iter()
        .filter(|(found, _)| *found)
        .map(|(_, level)| Self(level))
    }

    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Level::Avx2 => "AVX2",
            Level::AvxVnni => "AVX-VNNI",
            Level::Avx512 => "AVX-512",
            Level::Avx512Vnni => "AVX-512 VNNI",
        }
    }
}

/// The scalar source, compiled for AVX2 and for AVX-512. The compiler never fuses a multiplication and an addition of its
/// own accord, so the results are the same to the bit.
macro_rules! compile {
    ($name:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name(
            batch: usize,
            work: &Work<'_>,
            from: (&Image, Option<&Values<'_>>),
            to: (&Image, &mut ValuesMut<'_>),
        ) {
            operation::compute(batch, work, from, to);
        }
    };
}
compile!(compute_avx2, "avx2,fma,f16c");
compile!(compute_avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");

/// A checksum in plain source, compiled for AVX2.
#[target_feature(enable = "avx2")]
fn checksum_avx2(bytes: &[u8]) -> u32 {
    checksum::piece(bytes)
}

/// A checksum in plain source, compiled for AVX-512.
#[target_feature(enable = "avx512f,avx512vl")]
fn checksum_avx512(bytes: &[u8]) -> u32 {
    checksum::piece(bytes)
}

/// Products with few outputs in plain source, compiled for AVX2.
#[target_feature(enable = "avx2,fma,f16c")]
fn narrow_avx2(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    at: (Pixel, usize),
) -> [Block; NARROW] {
    narrow::chunk(geometry, input, weights, epilogue, at, &narrow::Plain)
}

impl X86 {
    /// Weights of 4 bits to bytes.
    pub(crate) fn expand(self, codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
        // SAFETY: the token proves the features that each function needs.
        #[allow(unsafe_code)]
        unsafe {
            if self.0 >= Level::Avx512 {
                avx512::expand(codebook, indexes, weights);
            } else {
                avx2::expand(codebook, indexes, weights);
            }
        }
    }

    /// Transforms inputs.
    ///
    /// # Safety
    /// The tiles of `chunk` lie in `input`, and `transformed` has room for them.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn winograd_into(self, chunk: &Chunk<'_>, input: &[f32], transformed: &mut [f32]) {
        // SAFETY: the token proves the features that each function needs; the caller's promise is handed on.
        unsafe {
            if self.0 >= Level::Avx512 {
                avx512::winograd_into(chunk, input, transformed);
            } else {
                avx2::winograd_into(chunk, input, transformed);
            }
        }
    }

    /// Transforms products back, finishes them, and writes them where `pointers` say.
    ///
    /// # Safety
    /// The tiles of `chunk` lie in the slices behind `pointers`, and `products` holds them.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn winograd_out_of(
        self,
        chunk: &Chunk<'_>,
        products: &[f32],
        blocks: (usize, usize),
        pointers: &Pointers<'_>,
    ) {
        // SAFETY: the token proves the features that each function needs; the caller's promise is handed on.
        unsafe {
            if self.0 >= Level::Avx512 {
                avx512::winograd_out_of(chunk, products, blocks, pointers);
            } else {
                avx2::winograd_out_of(chunk, products, blocks, pointers);
            }
        }
    }

    /// A chunk of a product with few outputs.
    ///
    /// # Safety
    /// The product's bounds have been checked.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn narrow(
        self,
        geometry: &Geometry,
        input: &Values<'_>,
        weights: &PackedWeights<'_>,
        epilogue: &Epilogue<'_>,
        at: (Pixel, usize),
    ) -> [Block; NARROW] {
        // SAFETY: the token proves the features that each function needs; the caller has checked the bounds.
        unsafe {
            match self.0 {
                Level::Avx512Vnni => avx512::narrow(geometry, input, weights, epilogue, at),
                _ => narrow_avx2(geometry, input, weights, epilogue, at),
            }
        }
    }

    /// The checksum of a piece of a packed model.
    pub(super) fn checksum(self, bytes: &[u8]) -> u32 {
        // SAFETY: the token proves the features that each function needs; nothing else about them is unsafe.
        #[allow(unsafe_code)]
        unsafe {
            if self.0 >= Level::Avx512 { checksum_avx512(bytes) } else { checksum_avx2(bytes) }
        }
    }

    /// Runs an operator whose bounds have been checked.
    pub(crate) fn compute(
        self,
        batch: usize,
        work: &Work<'_>,
        from: (&Image, Option<&Values<'_>>),
        to: (&Image, &mut ValuesMut<'_>),
    ) {
        // SAFETY: the token proves the features that each function needs; nothing else about them is unsafe.
        #[allow(unsafe_code)]
        unsafe {
            if self.0 >= Level::Avx512 {
                compute_avx512(batch, work, from, to);
            } else {
                compute_avx2(batch, work, from, to);
            }
        }
    }
}

impl TileKernel for X86 {
    fn tile(&self, weights: &PackedWeights<'_>, pixels: usize) -> (usize, usize) {
        match (self.0, weights) {
            (Level::Avx512, PackedWeights::I8(_)) => avx2::tile(pixels),
            (Level::Avx512Vnni | Level::Avx512, _) => avx512::tile(pixels),
            _ => avx2::tile(pixels),
        }
    }

    #[allow(unsafe_code)]
    unsafe fn run(&self, tile: &Tile<'_>) {
        // SAFETY: the token proves the features that each function needs; the tile is as the caller promises.
        unsafe {
            match (self.0, tile.pointers.weight_type) {
                // Expanded before.
                (_, WeightType::I4) => {}
                (Level::Avx512Vnni, WeightType::I8) => avx512::int8(tile),
                (Level::Avx512Vnni | Level::Avx512, WeightType::F32) => avx512::float32(tile),
                (Level::Avx512Vnni | Level::Avx512, WeightType::F16) => avx512::float16(tile),
                (Level::Avx512Vnni | Level::Avx512, WeightType::Bf16) => avx512::bfloat16(tile),
                (Level::AvxVnni, WeightType::I8) => avx2::int8_vnni(tile),
                (_, WeightType::I8) => avx2::int8(tile),
                (_, WeightType::F32) => avx2::float32(tile),
                (_, WeightType::F16) => avx2::float16(tile),
                (_, WeightType::Bf16) => avx2::bfloat16(tile),
            }
        }
    }
}
