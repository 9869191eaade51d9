//! Tiles with NEON: four registers of 4 hold the 16 output channels of a block.
//!
//! Integer inputs are made signed by taking 128 off (one exclusive or), since dot products of mixed signs are rare on
//! Arm; `sum128` puts back what that took from the sum.

use core::arch::aarch64::*;

use crate::kernels::expand::plain;
use crate::kernels::math::{TANH_DENOMINATOR, TANH_LIMIT, TANH_NUMERATOR};
use crate::kernels::tile::{OutputPointer, ResidualPointer, Tile};
use crate::ops::{Activation, Affine, Bias, CODES};

/// Pixels and blocks of a tile: 16 of 32 registers hold sums.
pub(super) fn tile(pixels: usize) -> (usize, usize) {
    if pixels == 1 { (1, 2) } else { (4, 1) }
}

macro_rules! dispatch {
    ($tile:expr, $function:ident) => {
        match ($tile.rows, $tile.blocks) {
            (1, 1) => $function::<1, 1>($tile),
            (1, 2) => $function::<1, 2>($tile),
            (2, 1) => $function::<2, 1>($tile),
            (3, 1) => $function::<3, 1>($tile),
            (4, 1) => $function::<4, 1>($tile),
            _ => {}
        }
    };
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[target_feature(enable = "neon,dotprod")]
#[allow(unsafe_code)]
pub(super) unsafe fn int8_dot(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, int8_dot_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
pub(super) unsafe fn int8(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, int8_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f32 weights and an F32 input.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
pub(super) unsafe fn float32(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, float32_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f16 weights and an F32 input.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
pub(super) unsafe fn float16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, float16_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with bf16 weights and an F32 input.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
pub(super) unsafe fn bfloat16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, bfloat16_tile) }
}

/// `sum + a . b` for each of four groups of four signed bytes. (Its intrinsic is not stable yet.)
#[inline]
#[target_feature(enable = "neon,dotprod")]
#[allow(unsafe_code)]
fn dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction only touches the registers it is given; `dotprod` is enabled.
    unsafe {
        core::arch::asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Four half-precision numbers. (The type that the intrinsic takes is not stable yet.)
#[inline]
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
fn widen(halves: uint16x4_t) -> float32x4_t {
    let floats: float32x4_t;
    // SAFETY: the instruction only touches the registers it is given and is part of NEON.
    unsafe {
        core::arch::asm!(
            "fcvtl {floats:v}.4s, {halves:v}.4h",
            floats = lateout(vreg) floats,
            halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    floats
}

/// Calls `step(tap + k, weights offset)` for every `size`-th input element, whose weights take `bytes`.
#[inline(always)]
fn walk(tile: &Tile<'_>, size: usize, bytes: usize, mut step: impl FnMut(usize, usize)) {
    let p = tile.pointers;
    let mut weight = 0;
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

/// # Safety
/// As [`int8_dot`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "neon,dotprod")]
#[allow(unsafe_code)]
unsafe fn int8_dot_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    let p = tile.pointers;
    let mut sums = [[[vdupq_n_s32(0); 4]; B]; R];
    let weights = p.weights.wrapping_add(tile.block * tile.block_bytes);
    // SAFETY: first tap of each pixel and first weight of each block lie in their slices; `walk` stays within taps and
    // depth, for which the geometry has been checked.
    walk(tile, 4, 64, |at, weight| unsafe {
        let inputs: [int8x16_t; R] = core::array::from_fn(|r| {
            let four = p.input.add(tile.input[r] + at).cast::<u32>().read_unaligned();
            vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x8080_8080))
        });
        for b in 0..B {
            for quarter in 0..4 {
                let w = vld1q_s8(weights.add(b * tile.block_bytes + weight + 16 * quarter).cast());
                for r in 0..R {
                    sums[r][b][quarter] = dot(sums[r][b][quarter], w, inputs[r]);
                }
            }
        }
    });
    for r in 0..R {
        for b in 0..B {
            // SAFETY: the caller's promise is handed on.
            unsafe { finish_int8(tile, r, b, sums[r][b]) };
        }
    }
}

/// Without dot products: 16-bit products of two channels at a time, added in pairs to 32 bits.
///
/// # Safety
/// As [`int8`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn int8_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    let p = tile.pointers;
    for r in 0..R {
        for b in 0..B {
            // Each register: the sums of inputs 0, 1 and of inputs 2, 3 for two channels.
            let mut sums = [vdupq_n_s32(0); 8];
            let weights = p.weights.wrapping_add((tile.block + b) * tile.block_bytes);
            // SAFETY: as in `int8_dot_tile`.
            walk(tile, 4, 64, |at, weight| unsafe {
                let four = p.input.add(tile.input[r] + at).cast::<u32>().read_unaligned();
                let a = vreinterpret_s8_u32(vdup_n_u32(four ^ 0x8080_8080));
                for (pair, sum) in sums.iter_mut().enumerate() {
                    let w = vld1_s8(weights.add(weight + 8 * pair).cast());
                    *sum = vpadalq_s16(*sum, vmull_s8(a, w));
                }
            });
            let sums = [0, 1, 2, 3].map(|quarter| vpaddq_s32(sums[2 * quarter], sums[2 * quarter + 1]));
            // SAFETY: the caller's promise is handed on.
            unsafe { finish_int8(tile, r, b, sums) };
        }
    }
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn float32_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four f32 weights are 16 bytes.
    unsafe { float_tile::<R, B, 16>(tile, |at| vld1q_f32(at.cast())) }
}

/// # Safety
/// As [`float16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn float16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four f16 weights are 8 bytes.
    unsafe { float_tile::<R, B, 8>(tile, |at| widen(vld1_u16(at.cast()))) }
}

/// # Safety
/// As [`bfloat16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn bfloat16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; four bf16 weights are 8 bytes.
    unsafe { float_tile::<R, B, 8>(tile, |at| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(at.cast())))) }
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks, and `load` reads the four weights in `SIZE` bytes.
#[inline]
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn float_tile<const R: usize, const B: usize, const SIZE: usize>(
    tile: &Tile<'_>,
    load: impl Fn(*const u8) -> float32x4_t,
) {
    let p = tile.pointers;
    let Bias::F32(bias) = p.bias else { return };
    let mut sums = [[[vdupq_n_f32(0.0); 4]; B]; R];
    let input = p.input.cast::<f32>();
    let weights = p.weights.wrapping_add(tile.block * tile.block_bytes);
    // SAFETY: as in `int8_dot_tile`.
    walk(tile, 1, 4 * SIZE, |at, weight| unsafe {
        let inputs: [float32x4_t; R] = core::array::from_fn(|r| vld1q_dup_f32(input.add(tile.input[r] + at)));
        for b in 0..B {
            for quarter in 0..4 {
                let w = load(weights.add(b * tile.block_bytes + weight + SIZE * quarter));
                for r in 0..R {
                    sums[r][b][quarter] = vfmaq_f32(sums[r][b][quarter], w, inputs[r]);
                }
            }
        }
    });
    for r in 0..R {
        for b in 0..B {
            // SAFETY: the bias has 16 entries for every block; the caller's promise is handed on.
            unsafe {
                let bias = bias.as_ptr().add((tile.block + b) * 16);
                let y = [0, 1, 2, 3]
                    .map(|quarter| vaddq_f32(sums[r][b][quarter], vld1q_f32(bias.add(4 * quarter))));
                finish(tile, r, b, y);
            }
        }
    }
}

/// Bias, what the signed inputs took, and scale of integer sums, then [`finish`].
///
/// # Safety
/// As [`finish`], with int8 weights.
#[inline]
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn finish_int8(tile: &Tile<'_>, r: usize, b: usize, sums: [int32x4_t; 4]) {
    let Bias::I32 { bias, scale, sum128 } = tile.pointers.bias else { return };
    let channel = (tile.block + b) * 16;
    // SAFETY: the parameters have 16 entries for every block; the caller's promise is handed on.
    unsafe {
        let y = [0, 1, 2, 3].map(|quarter| {
            let at = channel + 4 * quarter;
            let bias = vaddq_s32(vld1q_s32(bias.as_ptr().add(at)), vld1q_s32(sum128.as_ptr().add(at)));
            let sum = vaddq_s32(sums[quarter], bias);
            vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(scale.as_ptr().add(at)))
        });
        finish(tile, r, b, y);
    }
}

/// `a` where it is greater, else `b`; as `math::max`.
#[inline]
#[target_feature(enable = "neon")]
fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

/// `a` where it is less, else `b`; as `math::min`.
#[inline]
#[target_feature(enable = "neon")]
fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcltq_f32(a, b), a, b)
}

/// What follows the sum, for the 16 channels of a block: the operations of `Epilogue::finish` and `quantize`, in their
/// order.
///
/// # Safety
/// Pixel `r` and block `b` belong to the tile.
#[inline]
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
unsafe fn finish(tile: &Tile<'_>, r: usize, b: usize, sums: [float32x4_t; 4]) {
    let p = tile.pointers;
    let lanes = tile.lanes(b);
    let channel = (tile.block + b) * 16;
    let mut y = sums;
    // SAFETY: only the `lanes` channels that exist are read or written, of a pixel that lies in the slices; the
    // parameters have 16 entries for every block; `floats` and `bytes` have 16.
    unsafe {
        match p.residual {
            ResidualPointer::None => {}
            ResidualPointer::F32(values) => {
                let mut floats = [0.0f32; 16];
                let values = values.add(tile.residual[r] + channel);
                core::ptr::copy_nonoverlapping(values, floats.as_mut_ptr(), lanes);
                for (quarter, y) in y.iter_mut().enumerate() {
                    *y = vaddq_f32(*y, vld1q_f32(floats.as_ptr().add(4 * quarter)));
                }
            }
            ResidualPointer::U8 { values, scale, zero_point } => {
                let mut bytes = [0u8; 16];
                let values = values.add(tile.residual[r] + channel);
                core::ptr::copy_nonoverlapping(values, bytes.as_mut_ptr(), lanes);
                let mut steps = [0i32; 16];
                for (step, byte) in steps.iter_mut().zip(bytes) {
                    *step = i32::from(byte) - i32::from(zero_point);
                }
                for (quarter, y) in y.iter_mut().enumerate() {
                    let steps = vcvtq_f32_s32(vld1q_s32(steps.as_ptr().add(4 * quarter)));
                    *y = vaddq_f32(*y, vmulq_f32(steps, vdupq_n_f32(scale)));
                }
            }
        }
        for (quarter, y) in y.iter_mut().enumerate() {
            *y = activate(p.activation, *y);
            if let Some(Affine { scale, shift }) = p.after {
                let scale = vld1q_f32(scale.as_ptr().add(channel + 4 * quarter));
                let shift = vld1q_f32(shift.as_ptr().add(channel + 4 * quarter));
                *y = vaddq_f32(vmulq_f32(*y, scale), shift);
            }
        }
        match p.output {
            OutputPointer::F32(output) => {
                let mut floats = [0.0f32; 16];
                for (quarter, y) in y.into_iter().enumerate() {
                    vst1q_f32(floats.as_mut_ptr().add(4 * quarter), y);
                }
                let output = output.add(tile.output[r] + channel);
                core::ptr::copy_nonoverlapping(floats.as_ptr(), output, lanes);
            }
            OutputPointer::U8(output) => {
                let zero = f32::from(p.zero_point);
                let q = y.map(|y| {
                    let y = min(max(y, vdupq_n_f32(-zero)), vdupq_n_f32(255.0 - zero));
                    vmovn_s32(vaddq_s32(vcvtnq_s32_f32(y), vdupq_n_s32(p.zero_point.into())))
                });
                let low = vqmovun_s16(vcombine_s16(q[0], q[1]));
                let high = vqmovun_s16(vcombine_s16(q[2], q[3]));
                let mut bytes = [0u8; 16];
                vst1q_u8(bytes.as_mut_ptr(), vcombine_u8(low, high));
                let output = output.add(tile.output[r] + channel);
                core::ptr::copy_nonoverlapping(bytes.as_ptr(), output, lanes);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn activate(activation: Activation, x: float32x4_t) -> float32x4_t {
    let constant = |value| vdupq_n_f32(value);
    match activation {
        Activation::Identity => x,
        Activation::Relu => max(x, constant(0.0)),
        Activation::LeakyRelu { slope } => {
            vbslq_f32(vcgtq_f32(x, constant(0.0)), x, vmulq_f32(x, constant(slope)))
        }
        Activation::Clip { low, high } => min(max(x, constant(low)), constant(high)),
        Activation::Sigmoid => {
            let half = constant(0.5);
            vaddq_f32(vmulq_f32(tanh(vmulq_f32(x, half)), half), half)
        }
        Activation::Tanh => tanh(x),
        Activation::HardSwish => {
            let gate = vaddq_f32(vmulq_f32(x, constant(1.0 / 6.0)), constant(0.5));
            vmulq_f32(x, min(max(gate, constant(0.0)), constant(1.0)))
        }
    }
}

/// `math::tanh`, operation by operation.
#[inline]
#[target_feature(enable = "neon")]
fn tanh(x: float32x4_t) -> float32x4_t {
    let constant = |value| vdupq_n_f32(value);
    let limit = |x, low, high| min(max(x, constant(low)), constant(high));
    let x = limit(x, -TANH_LIMIT, TANH_LIMIT);
    let square = vmulq_f32(x, x);
    let horner = |coefficients: &[f32]| {
        let mut sum = constant(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = vaddq_f32(vmulq_f32(sum, square), constant(c));
        }
        sum
    };
    let ratio = vdivq_f32(vmulq_f32(x, horner(&TANH_NUMERATOR)), horner(&TANH_DENOMINATOR));
    limit(ratio, -1.0, 1.0)
}

/// [`crate::kernels::expand::expand`] by a shuffle of bytes.
#[target_feature(enable = "neon")]
#[allow(unsafe_code)]
pub(super) fn expand(codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    let (mut bytes, mut pairs) = (indexes.chunks_exact(16), weights.chunks_exact_mut(32));
    // SAFETY: 16 bytes of a codebook; the chunks have the bytes that are read and written.
    unsafe {
        let table = vld1q_s8(codebook.as_ptr());
        for (pair, byte) in (&mut pairs).zip(&mut bytes) {
            let byte = vld1q_u8(byte.as_ptr());
            let low = vqtbl1q_s8(table, vandq_u8(byte, vdupq_n_u8(15)));
            let high = vqtbl1q_s8(table, vshrq_n_u8::<4>(byte));
            vst2q_s8(pair.as_mut_ptr(), int8x16x2_t(low, high));
        }
    }
    let whole = indexes.len().min(weights.len() / 2) / 16 * 16;
    plain(codebook, &indexes[whole..], &mut weights[2 * whole..]);
}
