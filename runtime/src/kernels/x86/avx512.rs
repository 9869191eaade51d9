//! Tiles with AVX-512: one register holds the 16 output channels of a block.
//!
//! A tile of `R` pixels and `B` blocks keeps `R * B` sums in registers. Each step loads `B` registers of weights and
//! broadcasts one input (f32) or four (int8) of each pixel: `R + B` loads for `R * B` multiplications of 16 or 64, so
//! that 6 x 4 is bound by arithmetic and fits 32 registers. A single pixel (a matrix-vector product, what a generator is
//! at batch 1) is bound by the weights' way from memory: it goes through one block after the other, so that weights are one
//! stream, which the processor fetches ahead by itself, and through many in one call, since what lies between two calls holds
//! the stream up (a tenth of the time with calls of four blocks). On Zen 4 that reads 99 GB/s from the third cache; four
//! streams read 86, and 75 with prefetch instructions.

use core::arch::x86_64::*;

use crate::kernels::epilogue::Epilogue;
use crate::kernels::expand::plain;
use crate::kernels::geometry::{Geometry, Pixel};
use crate::kernels::image::Block;
use crate::kernels::math::{TANH_DENOMINATOR, TANH_LIMIT, TANH_NUMERATOR};
use crate::kernels::scalar::narrow::{self, Dot, Starts};
use crate::kernels::scalar::winograd::Chunk;
use crate::kernels::tile::{OutputPointer, Pointers, ResidualPointer, Tile};
use crate::kernels::values::Values;
use crate::ops::{Activation, Affine, Bias, CODES, NARROW, PackedWeights};

/// Pixels and blocks of a tile.
pub(super) fn tile(pixels: usize) -> (usize, usize) {
    if pixels == 1 { (1, 64) } else { (6, 4) }
}

macro_rules! dispatch {
    ($tile:expr, $function:ident, $($rows:literal)+) => {
        match ($tile.rows, $tile.blocks) {
            $(
                ($rows, 1) => $function::<$rows, 1>($tile),
                ($rows, 2) => $function::<$rows, 2>($tile),
                ($rows, 3) => $function::<$rows, 3>($tile),
                ($rows, 4) => $function::<$rows, 4>($tile),
            )+
            _ => {}
        }
    };
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn int8(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe {
        if tile.rows == 1 {
            int8_pixel(tile);
        } else {
            dispatch!(tile, int8_tile, 2 3 4 5 6)
        }
    }
}

/// # Safety
/// As [`int8`]; the tile has one pixel, and may have any number of blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn int8_pixel(tile: &Tile<'_>) {
    let p = tile.pointers;
    let Bias::I32 { bias, scale, .. } = p.bias else { return };
    for b in 0..tile.blocks {
        let channel = (tile.block + b) * 16;
        // SAFETY: bias and scale have 16 entries for every block of the tile; the block's weights and the pixel's first tap
        // lie in their slices.
        unsafe {
            let sum = _mm512_loadu_si512(bias.as_ptr().add(channel).cast());
            let input = p.input.add(tile.input[0]);
            let sum = int8_vector(p, input, p.weights.add((tile.block + b) * tile.block_bytes), sum);
            let scale = _mm512_loadu_ps(scale.as_ptr().add(channel));
            finish(tile, 0, b, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale));
        }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f32 weights and an F32 input.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn float32(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 weights is 64 bytes.
    unsafe {
        if tile.rows == 1 {
            float_pixel::<64>(tile, |at| _mm512_loadu_ps(at.cast()));
        } else {
            dispatch!(tile, float32_tile, 2 3 4 5 6)
        }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f16 weights and an F32 input.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn float16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 weights is 32 bytes.
    unsafe {
        if tile.rows == 1 {
            float_pixel::<32>(tile, |at| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())));
        } else {
            dispatch!(tile, float16_tile, 2 3 4 5 6)
        }
    }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with bf16 weights and an F32 input.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn bfloat16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 weights is 32 bytes.
    unsafe {
        if tile.rows == 1 {
            float_pixel::<32>(tile, |at| widen_bf16(_mm256_loadu_si256(at.cast())));
        } else {
            dispatch!(tile, bfloat16_tile, 2 3 4 5 6)
        }
    }
}

/// # Safety
/// As [`int8`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn int8_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    let p = tile.pointers;
    let Bias::I32 { bias, scale, .. } = p.bias else { return };
    // SAFETY: bias and scale have 16 entries for every block of the tile (the tile's promise).
    let mut sums = [[_mm512_setzero_si512(); B]; R];
    for b in 0..B {
        let bias = unsafe { _mm512_loadu_si512(bias.as_ptr().add((tile.block + b) * 16).cast()) };
        for row in &mut sums {
            row[b] = bias;
        }
    }
    // SAFETY: first tap of each pixel and first weight of each block lie in their slices; the loops below stay within
    // taps and depth, for which the geometry has been checked.
    unsafe {
        let inputs: [*const u8; R] = core::array::from_fn(|r| p.input.add(tile.input[r]));
        let weights = p.weights.add(tile.block * tile.block_bytes);
        let mut weight = 0;
        for y in 0..p.taps[0] {
            for x in 0..p.taps[1] {
                let tap = y * p.tap[0] + x * p.tap[1];
                let mut k = 0;
                while k < p.depth {
                    let w: [__m512i; B] = core::array::from_fn(|b| {
                        _mm512_loadu_si512(weights.add(b * tile.block_bytes + weight).cast())
                    });
                    for r in 0..R {
                        let a = _mm512_set1_epi32(inputs[r].add(tap + k).cast::<i32>().read_unaligned());
                        for b in 0..B {
                            sums[r][b] = _mm512_dpbusd_epi32(sums[r][b], a, w[b]);
                        }
                    }
                    k += 4;
                    weight += 64;
                }
            }
        }
    }
    for b in 0..B {
        // SAFETY: as for the bias above.
        let scale = unsafe { _mm512_loadu_ps(scale.as_ptr().add((tile.block + b) * 16)) };
        for r in 0..R {
            let y = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][b]), scale);
            // SAFETY: the caller's promise is handed on.
            unsafe { finish(tile, r, b, y) };
        }
    }
}

/// The sums of one block at one pixel, added to `sum`. Four sets of sums hide the dot product's latency.
///
/// # Safety
/// All taps of the pixel lie behind `input`, and the block's weights for them behind `weights`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn int8_vector(p: &Pointers<'_>, input: *const u8, weights: *const u8, sum: __m512i) -> __m512i {
    let mut parts = [sum, _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()];
    let mut weights = weights;
    for y in 0..p.taps[0] {
        for x in 0..p.taps[1] {
            let tap = y * p.tap[0] + x * p.tap[1];
            // SAFETY: `k` stays below the depth, a multiple of 4, and each four elements have 64 weights.
            unsafe {
                let step = |part: &mut __m512i, k: usize, at: *const u8| {
                    let four = _mm512_set1_epi32(input.add(tap + k).cast::<i32>().read_unaligned());
                    *part = _mm512_dpbusd_epi32(*part, four, _mm512_loadu_si512(at.cast()));
                };
                let mut k = 0;
                while k + 16 <= p.depth {
                    for (index, part) in parts.iter_mut().enumerate() {
                        step(part, k + 4 * index, weights.add(64 * index));
                    }
                    k += 16;
                    weights = weights.add(256);
                }
                while k < p.depth {
                    step(&mut parts[0], k, weights);
                    k += 4;
                    weights = weights.add(64);
                }
            }
        }
    }
    let [a, b, c, d] = parts;
    _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d))
}

/// As [`int8_vector`], of weights of which `load` reads 16 in `SIZE` bytes.
///
/// # Safety
/// As [`int8_vector`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float_vector<const SIZE: usize>(
    p: &Pointers<'_>,
    input: *const f32,
    weights: *const u8,
    sum: __m512,
    load: &impl Fn(*const u8) -> __m512,
) -> __m512 {
    let mut parts = [sum, _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()];
    let mut weights = weights;
    for y in 0..p.taps[0] {
        for x in 0..p.taps[1] {
            let tap = y * p.tap[0] + x * p.tap[1];
            // SAFETY: `k` stays below the depth, and each element has 16 weights.
            unsafe {
                let step = |part: &mut __m512, k: usize, at: *const u8| {
                    *part = _mm512_fmadd_ps(_mm512_set1_ps(*input.add(tap + k)), load(at), *part);
                };
                let mut k = 0;
                while k + 4 <= p.depth {
                    for (index, part) in parts.iter_mut().enumerate() {
                        step(part, k + index, weights.add(SIZE * index));
                    }
                    k += 4;
                    weights = weights.add(4 * SIZE);
                }
                while k < p.depth {
                    step(&mut parts[0], k, weights);
                    k += 1;
                    weights = weights.add(SIZE);
                }
            }
        }
    }
    let [a, b, c, d] = parts;
    _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d))
}

/// # Safety
/// As [`float32`]; the tile has one pixel, and may have any number of blocks; `load` reads the 16 weights in `SIZE` bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float_pixel<const SIZE: usize>(tile: &Tile<'_>, load: impl Fn(*const u8) -> __m512) {
    let p = tile.pointers;
    let Bias::F32(bias) = p.bias else { return };
    for b in 0..tile.blocks {
        let block = tile.block + b;
        // SAFETY: as in `int8_pixel`.
        unsafe {
            let input = p.input.cast::<f32>().add(tile.input[0]);
            let bias = _mm512_loadu_ps(bias.as_ptr().add(block * 16));
            let sum = float_vector::<SIZE>(p, input, p.weights.add(block * tile.block_bytes), bias, &load);
            finish(tile, 0, b, sum);
        }
    }
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float32_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 f32 weights is 64 bytes.
    unsafe { float_tile::<R, B, 64>(tile, |at| _mm512_loadu_ps(at.cast())) }
}

/// # Safety
/// As [`float16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 f16 weights is 32 bytes.
    unsafe { float_tile::<R, B, 32>(tile, |at| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))) }
}

/// # Safety
/// As [`bfloat16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn bfloat16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; a register of 16 bf16 weights is 32 bytes.
    unsafe { float_tile::<R, B, 32>(tile, |at| widen_bf16(_mm256_loadu_si256(at.cast()))) }
}

/// 16 bfloat16 numbers to single precision.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen_bf16(bits: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks, and `load` reads the 16 weights in `SIZE` bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float_tile<const R: usize, const B: usize, const SIZE: usize>(
    tile: &Tile<'_>,
    load: impl Fn(*const u8) -> __m512,
) {
    let p = tile.pointers;
    let Bias::F32(bias) = p.bias else { return };
    let mut sums = [[_mm512_setzero_ps(); B]; R];
    for b in 0..B {
        // SAFETY: the bias has 16 entries for every block of the tile.
        let bias = unsafe { _mm512_loadu_ps(bias.as_ptr().add((tile.block + b) * 16)) };
        for row in &mut sums {
            row[b] = bias;
        }
    }
    // SAFETY: as in `int8_tile`.
    unsafe {
        let input = p.input.cast::<f32>();
        let inputs: [*const f32; R] = core::array::from_fn(|r| input.add(tile.input[r]));
        let weights = p.weights.add(tile.block * tile.block_bytes);
        let mut weight = 0;
        for y in 0..p.taps[0] {
            for x in 0..p.taps[1] {
                let tap = y * p.tap[0] + x * p.tap[1];
                let mut k = 0;
                while k < p.depth {
                    let w: [__m512; B] =
                        core::array::from_fn(|b| load(weights.add(b * tile.block_bytes + weight)));
                    for r in 0..R {
                        let a = _mm512_set1_ps(*inputs[r].add(tap + k));
                        for b in 0..B {
                            sums[r][b] = _mm512_fmadd_ps(a, w[b], sums[r][b]);
                        }
                    }
                    k += 1;
                    weight += SIZE;
                }
            }
        }
    }
    for b in 0..B {
        for r in 0..R {
            // SAFETY: the caller's promise is handed on.
            unsafe { finish(tile, r, b, sums[r][b]) };
        }
    }
}

/// Dot products along k for products with few outputs. Only [`narrow()`], which has the features, makes one.
struct Dots;

impl Dot for Dots {
    #[inline(always)]
    fn f32(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[f32]) -> Block {
        // SAFETY: `narrow` has the features and its bounds have been checked.
        #[allow(unsafe_code)]
        unsafe {
            dot_f32(geometry, input, from, row)
        }
    }

    #[inline(always)]
    fn f16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        // SAFETY: `narrow` has the features and its bounds have been checked.
        #[allow(unsafe_code)]
        unsafe {
            dot_half::<false>(geometry, input, from, row)
        }
    }

    #[inline(always)]
    fn bf16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        // SAFETY: `narrow` has the features and its bounds have been checked.
        #[allow(unsafe_code)]
        unsafe {
            dot_half::<true>(geometry, input, from, row)
        }
    }

    #[inline(always)]
    fn i8(&self, geometry: &Geometry, input: &[u8], from: &Starts, row: &[i8]) -> [i32; 16] {
        // SAFETY: `narrow` has the features and its bounds have been checked.
        #[allow(unsafe_code)]
        unsafe {
            dot_i8(geometry, input, from, row)
        }
    }
}

/// A chunk of a product with few outputs.
///
/// # Safety
/// The product's bounds have been checked.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn narrow(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    at: (Pixel, usize),
) -> [Block; NARROW] {
    narrow::chunk(geometry, input, weights, epilogue, at, &Dots)
}

/// Calls `step(tap + k, weights' k, count)` for runs of at most `N` elements.
#[inline(always)]
fn walk<const N: usize>(geometry: &Geometry, mut step: impl FnMut(usize, usize, usize)) {
    let mut weight = 0;
    for y in 0..geometry.taps[0] {
        for x in 0..geometry.taps[1] {
            let tap = y * geometry.tap[0] + x * geometry.tap[1];
            let mut k = 0;
            while k < geometry.depth {
                let count = (geometry.depth - k).min(N);
                step(tap + k, weight + k, count);
                k += count;
            }
            weight += geometry.depth;
        }
    }
}

/// # Safety
/// All taps of the pixels at `from` lie in `input`, and `row` has a weight for each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn dot_f32(geometry: &Geometry, input: &[f32], from: &Starts, row: &[f32]) -> Block {
    let mut sums = [_mm512_setzero_ps(); 16];
    // SAFETY: the masked loads touch the `count` elements of a run, which lie in the slices as the caller promises.
    walk::<16>(geometry, |at, k, count| unsafe {
        let mask = !0u16 >> (16 - count);
        let w = _mm512_maskz_loadu_ps(mask, row.as_ptr().add(k));
        for (sum, from) in sums.iter_mut().zip(from) {
            let x = _mm512_maskz_loadu_ps(mask, input.as_ptr().add(from + at));
            *sum = _mm512_fmadd_ps(x, w, *sum);
        }
    });
    store(reduce_floats(&sums))
}

/// With weights in bf16 if `BF16`, else in f16.
///
/// # Safety
/// As [`dot_f32`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn dot_half<const BF16: bool>(
    geometry: &Geometry,
    input: &[f32],
    from: &Starts,
    row: &[u16],
) -> Block {
    let mut sums = [_mm512_setzero_ps(); 16];
    // SAFETY: as in `dot_f32`.
    walk::<16>(geometry, |at, k, count| unsafe {
        let mask = !0u16 >> (16 - count);
        let w = _mm256_maskz_loadu_epi16(mask, row.as_ptr().add(k).cast());
        let w = if BF16 { widen_bf16(w) } else { _mm512_cvtph_ps(w) };
        for (sum, from) in sums.iter_mut().zip(from) {
            let x = _mm512_maskz_loadu_ps(mask, input.as_ptr().add(from + at));
            *sum = _mm512_fmadd_ps(x, w, *sum);
        }
    });
    store(reduce_floats(&sums))
}

/// # Safety
/// As [`dot_f32`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn dot_i8(geometry: &Geometry, input: &[u8], from: &Starts, row: &[i8]) -> [i32; 16] {
    let mut sums = [_mm512_setzero_si512(); 16];
    // SAFETY: as in `dot_f32`.
    walk::<64>(geometry, |at, k, count| unsafe {
        let mask = !0u64 >> (64 - count);
        let w = _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(k));
        for (sum, from) in sums.iter_mut().zip(from) {
            let x = _mm512_maskz_loadu_epi8(mask, input.as_ptr().add(from + at).cast());
            *sum = _mm512_dpbusd_epi32(*sum, x, w);
        }
    });
    let mut lanes = [0; 16];
    // SAFETY: the array has 16 elements.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), reduce_integers(sums)) };
    lanes
}

#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
fn store(register: __m512) -> Block {
    let mut lanes = [0.0; 16];
    // SAFETY: the array has 16 elements.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), register) };
    lanes
}

/// The sum of each of 16 registers, in their order: pairs within 128 bits, then across. Plain loops over arrays stay in
/// registers, which closures handed to array methods do not.
macro_rules! reduce {
    ($sums:ident, $add:ident) => {{
        let mut count = 16;
        while count > 4 {
            count /= 2;
            for n in 0..count {
                let (a, b) = ($sums[2 * n], $sums[2 * n + 1]);
                $sums[n] = if count == 8 {
                    $add(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
                } else {
                    $add(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
                };
            }
        }
        let [a, b, c, d, ..] = $sums;
        let low = $add(_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xEE>(a, b));
        let high = $add(_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xEE>(c, d));
        $add(_mm512_shuffle_i32x4::<0x88>(low, high), _mm512_shuffle_i32x4::<0xDD>(low, high))
    }};
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_floats(a: __m512i, b: __m512i) -> __m512i {
    _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn reduce_floats(floats: &[__m512; 16]) -> __m512 {
    let mut sums = [_mm512_setzero_si512(); 16];
    for n in 0..16 {
        sums[n] = _mm512_castps_si512(floats[n]);
    }
    _mm512_castsi512_ps(reduce!(sums, add_floats))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn reduce_integers(mut sums: [__m512i; 16]) -> __m512i {
    reduce!(sums, _mm512_add_epi32)
}

/// B^T applied to four registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn forward(d: [__m512; 4]) -> [__m512; 4] {
    [
        _mm512_sub_ps(d[0], d[2]),
        _mm512_add_ps(d[1], d[2]),
        _mm512_sub_ps(d[2], d[1]),
        _mm512_sub_ps(d[1], d[3]),
    ]
}

/// A^T applied to four registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn back(m: [__m512; 4]) -> [__m512; 2] {
    [_mm512_add_ps(_mm512_add_ps(m[0], m[1]), m[2]), _mm512_sub_ps(_mm512_sub_ps(m[1], m[2]), m[3])]
}

/// `winograd::into`.
///
/// # Safety
/// The tiles of `chunk` lie in `input`, and `transformed` has room for them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn winograd_into(chunk: &Chunk<'_>, input: &[f32], transformed: &mut [f32]) {
    let g = chunk.geometry;
    let matrix = chunk.matrix(g.depth);
    for tile in 0..chunk.count {
        let from = g.input.at(chunk.pixel(tile));
        for channel in (0..g.depth).step_by(16) {
            let mask = !0u16 >> (16 - (g.depth - channel).min(16));
            let mut d = [[_mm512_setzero_ps(); 4]; 4];
            for y in 0..4 {
                for x in 0..4 {
                    let at = from + y * g.tap[0] + x * g.tap[1] + channel;
                    // SAFETY: the masked load touches the channels that exist of a pixel under the tile.
                    d[y][x] = unsafe { _mm512_maskz_loadu_ps(mask, input.as_ptr().add(at)) };
                }
                d[y] = forward(d[y]);
            }
            for x in 0..4 {
                let column = forward([d[0][x], d[1][x], d[2][x], d[3][x]]);
                for y in 0..4 {
                    let at = (4 * y + x) * matrix + tile * g.depth + channel;
                    // SAFETY: `transformed` has room for these channels of each of the 16 matrices.
                    unsafe { _mm512_mask_storeu_ps(transformed.as_mut_ptr().add(at), mask, column[y]) };
                }
            }
        }
    }
}

/// `winograd::out_of`.
///
/// # Safety
/// The tiles of `chunk` lie in the slices behind `pointers`, whose weights are floats, and `products` holds them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn winograd_out_of(
    chunk: &Chunk<'_>,
    products: &[f32],
    (first, blocks): (usize, usize),
    pointers: &Pointers<'_>,
) {
    let Bias::F32(bias) = pointers.bias else { return };
    let g = chunk.geometry;
    let matrix = chunk.matrix(blocks * 16);
    let mut tile = Tile::square(pointers, first, blocks);
    for index in 0..chunk.count {
        tile.place_square(g, chunk.pixel(index));
        for b in 0..blocks {
            let mut rows = [[_mm512_setzero_ps(); 2]; 4];
            for y in 0..4 {
                let mut m = [_mm512_setzero_ps(); 4];
                for x in 0..4 {
                    let at = (4 * y + x) * matrix + (index * blocks + b) * 16;
                    // SAFETY: `products` holds 16 channels of every block and tile in each of the 16 matrices.
                    m[x] = unsafe { _mm512_loadu_ps(products.as_ptr().add(at)) };
                }
                rows[y] = back(m);
            }
            // SAFETY: the bias has 16 entries for every block.
            let bias = unsafe { _mm512_loadu_ps(bias.as_ptr().add((first + b) * 16)) };
            for x in 0..2 {
                let column = back([rows[0][x], rows[1][x], rows[2][x], rows[3][x]]);
                for y in 0..2 {
                    // SAFETY: pixel and block belong to the tile, which lies in the slices.
                    unsafe { finish(&tile, 2 * y + x, b, _mm512_add_ps(column[y], bias)) };
                }
            }
        }
    }
}

/// What follows the sum, for the 16 channels of a block: the operations of `Epilogue::finish` and `quantize`, in their
/// order.
///
/// # Safety
/// Block `b` and pixel `r` belong to the tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn finish(tile: &Tile<'_>, r: usize, b: usize, sum: __m512) {
    let p = tile.pointers;
    let lanes = tile.lanes(b);
    let mask = if lanes == 16 { !0 } else { (1u16 << lanes) - 1 };
    let channel = (tile.block + b) * 16;
    let mut y = sum;
    // SAFETY: the masked loads and stores touch the `lanes` channels that exist of a pixel that lies in the slices; the
    // parameters have 16 entries for every block.
    unsafe {
        match p.residual {
            ResidualPointer::None => {}
            ResidualPointer::F32(values) => {
                let residual = _mm512_maskz_loadu_ps(mask, values.add(tile.residual[r] + channel));
                y = _mm512_add_ps(y, residual);
            }
            ResidualPointer::U8 { values, scale, zero_point } => {
                let values = values.add(tile.residual[r] + channel);
                let steps = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, values.cast()));
                let steps = _mm512_sub_epi32(steps, _mm512_set1_epi32(zero_point.into()));
                let residual = _mm512_mul_ps(_mm512_cvtepi32_ps(steps), _mm512_set1_ps(scale));
                y = _mm512_add_ps(y, residual);
            }
        }
        y = activate(p.activation, y);
        if let Some(Affine { scale, shift }) = p.after {
            let scale = _mm512_loadu_ps(scale.as_ptr().add(channel));
            let shift = _mm512_loadu_ps(shift.as_ptr().add(channel));
            y = _mm512_add_ps(_mm512_mul_ps(y, scale), shift);
        }
        match p.output {
            OutputPointer::F32(output) => {
                _mm512_mask_storeu_ps(output.add(tile.output[r] + channel), mask, y);
            }
            OutputPointer::U8(output) => {
                let zero = f32::from(p.zero_point);
                y = _mm512_max_ps(y, _mm512_set1_ps(-zero));
                y = _mm512_min_ps(y, _mm512_set1_ps(255.0 - zero));
                let q = _mm512_add_epi32(_mm512_cvtps_epi32(y), _mm512_set1_epi32(p.zero_point.into()));
                _mm512_mask_cvtepi32_storeu_epi8(output.add(tile.output[r] + channel).cast(), mask, q);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn activate(activation: Activation, x: __m512) -> __m512 {
    let constant = |value| _mm512_set1_ps(value);
    match activation {
        Activation::Identity => x,
        Activation::Relu => _mm512_max_ps(x, constant(0.0)),
        Activation::LeakyRelu { slope } => {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, constant(0.0));
            _mm512_mask_blend_ps(positive, _mm512_mul_ps(x, constant(slope)), x)
        }
        Activation::Clip { low, high } => _mm512_min_ps(_mm512_max_ps(x, constant(low)), constant(high)),
        Activation::Sigmoid => {
            let half = constant(0.5);
            _mm512_add_ps(_mm512_mul_ps(tanh(_mm512_mul_ps(x, half)), half), half)
        }
        Activation::Tanh => tanh(x),
        Activation::HardSwish => {
            let gate = _mm512_add_ps(_mm512_mul_ps(x, constant(1.0 / 6.0)), constant(0.5));
            _mm512_mul_ps(x, _mm512_min_ps(_mm512_max_ps(gate, constant(0.0)), constant(1.0)))
        }
    }
}

/// `math::tanh`, operation by operation.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn tanh(x: __m512) -> __m512 {
    let constant = |value| _mm512_set1_ps(value);
    let limit = |x, low, high| _mm512_min_ps(_mm512_max_ps(x, constant(low)), constant(high));
    let x = limit(x, -TANH_LIMIT, TANH_LIMIT);
    let square = _mm512_mul_ps(x, x);
    let horner = |coefficients: &[f32]| {
        let mut sum = constant(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = _mm512_add_ps(_mm512_mul_ps(sum, square), constant(c));
        }
        sum
    };
    let ratio = _mm512_div_ps(_mm512_mul_ps(x, horner(&TANH_NUMERATOR)), horner(&TANH_DENOMINATOR));
    limit(ratio, -1.0, 1.0)
}

/// [`crate::kernels::expand::expand`] by a shuffle of bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) fn expand(codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    let (mut bytes, mut pairs) = (indexes.chunks_exact(32), weights.chunks_exact_mut(64));
    // SAFETY: 16 bytes of a codebook; the chunks have the bytes that are read and written.
    unsafe {
        let table = _mm512_broadcast_i32x4(_mm_loadu_si128(codebook.as_ptr().cast()));
        let half = _mm512_set1_epi8(15);
        for (pair, byte) in (&mut pairs).zip(&mut bytes) {
            let wide = _mm512_cvtepu8_epi16(_mm256_loadu_si256(byte.as_ptr().cast()));
            let codes = _mm512_and_si512(_mm512_or_si512(wide, _mm512_slli_epi16::<4>(wide)), half);
            _mm512_storeu_si512(pair.as_mut_ptr().cast(), _mm512_shuffle_epi8(table, codes));
        }
    }
    let whole = indexes.len().min(weights.len() / 2) / 32 * 32;
    plain(codebook, &indexes[whole..], &mut weights[2 * whole..]);
}
