//! Tiles with 128-bit registers: four hold the 16 output channels of a block. What follows the sums is plain source, which
//! the compiler makes vector code of, since the instructions are there everywhere.

use core::arch::wasm32::*;

use crate::features;
use crate::kernels::activation::activate;
use crate::kernels::epilogue::quantize;
use crate::kernels::expand::plain;
use crate::kernels::geometry::Geometry;
use crate::kernels::image::Block;
use crate::kernels::scalar::narrow::{Dot, Plain, Starts, runs};
use crate::kernels::tile::{OutputPointer, ResidualPointer, Tile};
use crate::ops::{Affine, BLOCK, Bias, CODES};

/// The most pixels of a tile: processors have 16 registers, of which sums take four a pixel.
pub(super) const ROWS: usize = 3;

macro_rules! dispatch {
    ($tile:expr, $function:ident) => {
        match ($tile.rows, $tile.blocks) {
            (1, 1) => $function::<1>($tile),
            (2, 1) => $function::<2>($tile),
            (3, 1) => $function::<3>($tile),
            _ => {}
        }
    };
}

/// The block for each number below the count, of at most eight, whatever the compiler optimizes for: arrays whose every index
/// is known are registers.
macro_rules! unroll {
    ($index:ident < $count:expr, $block:block) => {
        unroll!($index < $count, $block, 0 1 2 3 4 5 6 7)
    };
    ($index:ident < $count:expr, $block:block, $($number:literal)+) => {
        $(if $number < $count {
            let $index: usize = $number;
            $block
        })+
    };
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[allow(unsafe_code)]
pub(super) unsafe fn int8(tile: &Tile<'_>) {
    if !features::INT8 {
        return;
    }
    // SAFETY: the caller's promise is handed on.
    unsafe {
        match (tile.rows, tile.blocks) {
            (1, 1) => int8_pixel(tile),
            (2, 1) => int8_tile::<2>(tile),
            (3, 1) => int8_tile::<3>(tile),
            _ => {}
        }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f32 weights and an F32 input.
#[allow(unsafe_code)]
pub(super) unsafe fn float32(tile: &Tile<'_>) {
    if features::F32 {
        // SAFETY: the caller's promise is handed on.
        unsafe { dispatch!(tile, float32_tile) }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f16 weights and an F32 input.
#[allow(unsafe_code)]
pub(super) unsafe fn float16(tile: &Tile<'_>) {
    if features::F16 {
        // SAFETY: the caller's promise is handed on.
        unsafe { dispatch!(tile, float16_tile) }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with bf16 weights and an F32 input.
#[allow(unsafe_code)]
pub(super) unsafe fn bfloat16(tile: &Tile<'_>) {
    if features::BF16 {
        // SAFETY: the caller's promise is handed on.
        unsafe { dispatch!(tile, bfloat16_tile) }
    }
}

/// Calls `step(tap + k, weights offset)` for every `size`-th input element, whose weights take `bytes`.
#[inline(always)]
fn walk(tile: &Tile<'_>, size: usize, bytes: usize, mut step: impl FnMut(usize, usize)) {
    let p = tile.pointers;
    let mut weight = tile.block * tile.block_bytes;
    for y in 0..p.taps[0] {
        for x in 0..p.taps[1] {
            let tap = y * p.tap[0] + x * p.tap[1];
            for k in (0..p.depth).step_by(size) {
                step(tap + k, weight);
                weight += bytes;
            }
        }
    }
}

/// One pixel: weights are widened as they are loaded, two channels a register, each of whose sums is in two halves.
///
/// # Safety
/// As [`int8`]; the tile has a pixel.
#[allow(unsafe_code)]
unsafe fn int8_pixel(tile: &Tile<'_>) {
    let p = tile.pointers;
    let mut halves = [i32x4_splat(0); 8];
    // SAFETY: the pixel's first tap and the block's first weight lie in their slices; `walk` stays within taps and depth,
    // for which the geometry has been checked.
    walk(tile, 4, 64, |at, weight| unsafe {
        let four = u16x8_extend_low_u8x16(v128_load32_splat(p.input.add(tile.input[0] + at).cast()));
        unroll!(pair < 8, {
            let weights = i16x8_load_extend_i8x8(p.weights.add(weight + 8 * pair).cast());
            halves[pair] = i32x4_add(halves[pair], i32x4_dot_i16x8(weights, four));
        });
    });
    let mut sums = [i32x4_splat(0); 4];
    unroll!(quarter < 4, {
        let (a, b) = (halves[2 * quarter], halves[2 * quarter + 1]);
        sums[quarter] = i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b));
    });
    // SAFETY: the caller's promise is handed on.
    unsafe { finish_int8(tile, 0, sums) };
}

/// Several pixels: of the four inputs of a step, and of the weights for them, the first and third make a register of 16-bit
/// numbers, the second and fourth another.
///
/// # Safety
/// As [`int8`]; the tile has `R` pixels.
#[allow(unsafe_code)]
unsafe fn int8_tile<const R: usize>(tile: &Tile<'_>) {
    let p = tile.pointers;
    let mut sums = [[i32x4_splat(0); 4]; R];
    // SAFETY: as in `int8_pixel`.
    walk(tile, 4, 64, |at, weight| unsafe {
        let mut inputs = [[i32x4_splat(0); 2]; R];
        unroll!(r < R, {
            let four = v128_load32_splat(p.input.add(tile.input[r] + at).cast());
            inputs[r] = [v128_and(four, u16x8_splat(0xFF)), u16x8_shr(four, 8)];
        });
        unroll!(quarter < 4, {
            let weights = v128_load(p.weights.add(weight + 16 * quarter).cast());
            let (even, odd) = (i16x8_shr(i16x8_shl(weights, 8), 8), i16x8_shr(weights, 8));
            unroll!(r < R, {
                let [x_even, x_odd] = inputs[r];
                let products = i32x4_add(i32x4_dot_i16x8(even, x_even), i32x4_dot_i16x8(odd, x_odd));
                sums[r][quarter] = i32x4_add(sums[r][quarter], products);
            });
        });
    });
    // SAFETY: the caller's promise is handed on.
    unroll!(r < R, { unsafe { finish_int8(tile, r, sums[r]) } });
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels.
#[allow(unsafe_code)]
unsafe fn float32_tile<const R: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four f32 weights are 16 bytes.
    unsafe { float_tile::<R, 16>(tile, |at| v128_load(at.cast())) }
}

/// # Safety
/// As [`float16`]; the tile has `R` pixels.
#[allow(unsafe_code)]
unsafe fn float16_tile<const R: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four f16 weights are 8 bytes.
    unsafe { float_tile::<R, 8>(tile, |at| widen(u32x4_load_extend_u16x4(at.cast()))) }
}

/// # Safety
/// As [`bfloat16`]; the tile has `R` pixels.
#[allow(unsafe_code)]
unsafe fn bfloat16_tile<const R: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four bf16 weights are 8 bytes.
    unsafe { float_tile::<R, 8>(tile, |at| u32x4_shl(u32x4_load_extend_u16x4(at.cast()), 16)) }
}

/// Half precision, in the low 16 bits of each lane, to single: `half::to_f32` in lanes.
#[inline(always)]
fn widen(halves: v128) -> v128 {
    // Exponent and mantissa in their places make the number times 2^-112, whatever the exponent, 0 included.
    let magnitude = v128_and(halves, u32x4_splat(0x7FFF));
    let scaled = f32x4_mul(u32x4_shl(magnitude, 13), f32x4_splat(f32::from_bits((127 + 112) << 23)));
    let special = v128_and(u32x4_gt(magnitude, u32x4_splat(0x7BFF)), u32x4_splat(0x7F80_0000));
    let sign = u32x4_shl(v128_and(halves, u32x4_splat(0x8000)), 16);
    v128_or(v128_or(scaled, special), sign)
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels, and `load` reads the four weights in `SIZE` bytes.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn float_tile<const R: usize, const SIZE: usize>(tile: &Tile<'_>, load: impl Fn(*const u8) -> v128) {
    let p = tile.pointers;
    let Bias::F32(bias) = p.bias else { return };
    let mut sums = [[f32x4_splat(0.0); 4]; R];
    // SAFETY: as in `int8_pixel`.
    walk(tile, 1, 4 * SIZE, |at, weight| unsafe {
        let mut inputs = [f32x4_splat(0.0); R];
        unroll!(r < R, {
            inputs[r] = v128_load32_splat(p.input.cast::<u32>().add(tile.input[r] + at));
        });
        unroll!(quarter < 4, {
            let weights = load(p.weights.add(weight + SIZE * quarter));
            unroll!(r < R, {
                sums[r][quarter] = f32x4_add(sums[r][quarter], f32x4_mul(weights, inputs[r]));
            });
        });
    });
    unroll!(r < R, {
        let mut y = floats(sums[r]);
        for (y, bias) in y.iter_mut().zip(&bias[tile.block * BLOCK..]) {
            *y += bias;
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { finish(tile, r, &mut y) };
    });
}

/// The lanes of four registers.
#[inline(always)]
#[allow(unsafe_code)]
fn floats(registers: [v128; 4]) -> Block {
    let mut block = [0.0; BLOCK];
    // SAFETY: the block has room for four registers.
    unroll!(quarter < 4, {
        unsafe { v128_store(block.as_mut_ptr().add(4 * quarter).cast(), registers[quarter]) }
    });
    block
}

/// Bias and scale of integer sums, then [`finish`].
///
/// # Safety
/// As [`finish`], with int8 weights.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn finish_int8(tile: &Tile<'_>, r: usize, sums: [v128; 4]) {
    let Bias::I32 { bias, scale, .. } = tile.pointers.bias else { return };
    let channel = tile.block * BLOCK;
    // SAFETY: the parameters have 16 entries for every block; the caller's promise is handed on.
    unsafe {
        let mut y = [f32x4_splat(0.0); 4];
        unroll!(quarter < 4, {
            let at = channel + 4 * quarter;
            let sum = i32x4_add(sums[quarter], v128_load(bias.as_ptr().add(at).cast()));
            y[quarter] = f32x4_mul(f32x4_convert_i32x4(sum), v128_load(scale.as_ptr().add(at).cast()));
        });
        finish(tile, r, &mut floats(y));
    }
}

/// What follows the sum, for the 16 channels of a block: the operations of `Epilogue::finish` and `quantize`, in their
/// order. A function of its own, since a program is small that has it once.
///
/// # Safety
/// Pixel `r` belongs to the tile.
#[inline(never)]
#[allow(unsafe_code)]
unsafe fn finish(tile: &Tile<'_>, r: usize, y: &mut Block) {
    let p = tile.pointers;
    let lanes = tile.lanes(0);
    let channel = tile.block * BLOCK;
    // SAFETY: only the `lanes` channels that exist are read or written, of a pixel that lies in the slices.
    unsafe {
        match p.residual {
            ResidualPointer::None => {}
            ResidualPointer::F32(values) => {
                let values = first(values.add(tile.residual[r] + channel), lanes);
                y.iter_mut().zip(values).for_each(|(y, x)| *y += x);
            }
            ResidualPointer::U8 { values, scale, zero_point } => {
                let values = first(values.add(tile.residual[r] + channel), lanes);
                for (y, x) in y.iter_mut().zip(values) {
                    *y += (i32::from(x) - i32::from(zero_point)) as f32 * scale;
                }
            }
        }
        activate(y, p.activation);
        if let Some(Affine { scale, shift }) = p.after {
            for ((y, scale), shift) in y.iter_mut().zip(&scale[channel..]).zip(&shift[channel..]) {
                *y = *y * scale + shift;
            }
        }
        match p.output {
            OutputPointer::F32(output) => put(y, output.add(tile.output[r] + channel), lanes),
            OutputPointer::U8(output) => {
                let bytes = y.map(|y| quantize(y, p.zero_point));
                put(&bytes, output.add(tile.output[r] + channel), lanes);
            }
        }
    }
}

/// The first of 16 elements, the others being zero.
///
/// # Safety
/// There are `lanes` elements, at most 16, to be read.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn first<T: Copy + Default>(from: *const T, lanes: usize) -> [T; BLOCK] {
    // SAFETY: the caller's promise; an array has the layout of its elements.
    unsafe {
        if lanes == BLOCK {
            return from.cast::<[T; BLOCK]>().read_unaligned();
        }
        let mut block = [T::default(); BLOCK];
        core::ptr::copy_nonoverlapping(from, block.as_mut_ptr(), lanes);
        block
    }
}

/// Writes the first of 16 elements.
///
/// # Safety
/// There are `lanes` elements, at most 16, to be written.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn put<T: Copy>(block: &[T; BLOCK], to: *mut T, lanes: usize) {
    // SAFETY: the caller's promise; an array has the layout of its elements.
    unsafe {
        if lanes == BLOCK {
            to.cast::<[T; BLOCK]>().write_unaligned(*block);
        } else {
            core::ptr::copy_nonoverlapping(block.as_ptr(), to, lanes);
        }
    }
}

/// Dot products of the few outputs of a narrow product: of integers in 16 bits; those of floats are plain source.
pub(super) struct Dots;

impl Dot for Dots {
    #[inline(always)]
    fn f32(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[f32]) -> Block {
        Plain.f32(geometry, input, from, row)
    }

    #[inline(always)]
    fn f16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        Plain.f16(geometry, input, from, row)
    }

    #[inline(always)]
    fn bf16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        Plain.bf16(geometry, input, from, row)
    }

    #[inline(always)]
    fn i8(&self, geometry: &Geometry, input: &[u8], from: &Starts, row: &[i8]) -> [i32; BLOCK] {
        from.map(|from| {
            let (mut sums, mut rest) = (i32x4_splat(0), 0i32);
            for (x, w) in runs(geometry, input, from, row) {
                let ((x, x_rest), (w, w_rest)) = (x.as_chunks::<16>(), w.as_chunks::<16>());
                for (x, w) in x.iter().zip(w) {
                    // SAFETY: both are arrays of 16 bytes.
                    #[allow(unsafe_code)]
                    let (x, w) = unsafe { (v128_load(x.as_ptr().cast()), v128_load(w.as_ptr().cast())) };
                    let low = i32x4_dot_i16x8(u16x8_extend_low_u8x16(x), i16x8_extend_low_i8x16(w));
                    let high = i32x4_dot_i16x8(u16x8_extend_high_u8x16(x), i16x8_extend_high_i8x16(w));
                    sums = i32x4_add(sums, i32x4_add(low, high));
                }
                for (&x, &w) in x_rest.iter().zip(w_rest) {
                    rest = rest.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
            let pairs = i32x4_add(sums, i32x4_shuffle::<2, 3, 2, 3>(sums, sums));
            let sum = i32x4_extract_lane::<0>(pairs).wrapping_add(i32x4_extract_lane::<1>(pairs));
            sum.wrapping_add(rest)
        })
    }
}

/// [`crate::kernels::expand::expand`] by a shuffle of bytes.
#[allow(unsafe_code)]
pub(super) fn expand(codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    let (mut bytes, mut pairs) = (indexes.chunks_exact(16), weights.chunks_exact_mut(32));
    // SAFETY: 16 bytes of a codebook; the chunks have the bytes that are read and written.
    unsafe {
        let table = v128_load(codebook.as_ptr().cast());
        for (pair, byte) in (&mut pairs).zip(&mut bytes) {
            let byte = v128_load(byte.as_ptr().cast());
            let low = i8x16_swizzle(table, v128_and(byte, u8x16_splat(15)));
            let high = i8x16_swizzle(table, u8x16_shr(byte, 4));
            let pairs = pair.as_mut_ptr().cast::<v128>();
            v128_store(
                pairs,
                i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(low, high),
            );
            v128_store(
                pairs.add(1),
                i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(low, high),
            );
        }
    }
    let whole = indexes.len().min(weights.len() / 2) / 16 * 16;
    plain(codebook, &indexes[whole..], &mut weights[2 * whole..]);
}
