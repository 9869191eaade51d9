//! Tiles with AVX2 and FMA: two registers of 8 hold the 16 output channels of a block.

use core::arch::x86_64::*;

use crate::kernels::expand::plain;
use crate::kernels::math::{TANH_DENOMINATOR, TANH_LIMIT, TANH_NUMERATOR};
use crate::kernels::scalar::winograd::Chunk;
use crate::kernels::tile::{OutputPointer, Pointers, ResidualPointer, Tile};
use crate::ops::{Activation, Affine, Bias, CODES};

/// Pixels and blocks of a tile: 16 registers hold the sums of 6 x 1 or 1 x 4 and what is multiplied.
pub(super) fn tile(pixels: usize) -> (usize, usize) {
    if pixels == 1 { (1, 2) } else { (5, 1) }
}

macro_rules! dispatch {
    ($tile:expr, $function:ident) => {
        match ($tile.rows, $tile.blocks) {
            (1, 1) => $function::<1, 1>($tile),
            (1, 2) => $function::<1, 2>($tile),
            (2, 1) => $function::<2, 1>($tile),
            (3, 1) => $function::<3, 1>($tile),
            (4, 1) => $function::<4, 1>($tile),
            (5, 1) => $function::<5, 1>($tile),
            _ => {}
        }
    };
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn int8(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, int8_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with int8 weights and a U8 input.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
#[allow(unsafe_code)]
pub(super) unsafe fn int8_vnni(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, int8_vnni_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f32 weights and an F32 input.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn float32(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, float32_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with f16 weights and an F32 input.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn float16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, float16_tile) }
}

/// # Safety
/// As [`crate::kernels::tile::TileKernel::run`], with bf16 weights and an F32 input.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn bfloat16(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on.
    unsafe { dispatch!(tile, bfloat16_tile) }
}

/// Exact without a dot-product instruction: `maddubs` would saturate, so inputs and weights are widened to 16 bits.
/// Each register of sums then holds, for four channels, the sums of the even and of the odd pairs of inputs.
///
/// # Safety
/// As [`int8`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn int8_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // Four registers of sums a block are too many for the whole tile at once: one pixel and block after the other.
    for r in 0..R {
        for b in 0..B {
            let mut sums = [_mm256_setzero_si256(); 4];
            // SAFETY: taps and depth stay within the slices (the tile's promise).
            unsafe {
                walk(tile, r, b, |input, weights| {
                    let a = _mm256_cvtepu8_epi16(_mm_set1_epi32(input.cast::<i32>().read_unaligned()));
                    for (quarter, sum) in sums.iter_mut().enumerate() {
                        let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16 * quarter).cast()));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(a, w));
                    }
                });
            }
            // hadd pairs within 128-bit halves: channels 0 1 4 5 | 2 3 6 7, put in order by the permutation.
            let pair = |low, high| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high));
            let halves = [pair(sums[0], sums[1]), pair(sums[2], sums[3])];
            // SAFETY: the caller's promise is handed on.
            unsafe { finish_int8(tile, r, b, halves) };
        }
    }
}

/// # Safety
/// As [`int8_vnni`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
#[allow(unsafe_code)]
unsafe fn int8_vnni_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    let p = tile.pointers;
    let mut sums = [[[_mm256_setzero_si256(); 2]; B]; R];
    // SAFETY: first tap of each pixel and first weight of each block lie in their slices; the loops stay within taps and
    // depth, for which the geometry has been checked.
    unsafe {
        let inputs: [*const u8; R] = core::array::from_fn(|r| p.input.add(tile.input[r]));
        let weights = p.weights.add(tile.block * tile.block_bytes);
        let mut weight = 0;
        for y in 0..p.taps[0] {
            for x in 0..p.taps[1] {
                let tap = y * p.tap[0] + x * p.tap[1];
                for k in (0..p.depth).step_by(4) {
                    for b in 0..B {
                        let at = weights.add(b * tile.block_bytes + weight);
                        let w = [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())];
                        for r in 0..R {
                            let a = _mm256_set1_epi32(inputs[r].add(tap + k).cast::<i32>().read_unaligned());
                            for half in 0..2 {
                                sums[r][b][half] = _mm256_dpbusd_avx_epi32(sums[r][b][half], a, w[half]);
                            }
                        }
                    }
                    weight += 64;
                }
            }
        }
    }
    for r in 0..R {
        for b in 0..B {
            // SAFETY: the caller's promise is handed on.
            unsafe { finish_int8(tile, r, b, sums[r][b]) };
        }
    }
}

/// Calls `step(input, weights)` for every group of four inputs.
///
/// # Safety
/// Pixel `r` and block `b` belong to the tile, whose weights are int8.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn walk(tile: &Tile<'_>, r: usize, b: usize, mut step: impl FnMut(*const u8, *const u8)) {
    let p = tile.pointers;
    // SAFETY: as in `int8_vnni_tile`.
    unsafe {
        let input = p.input.add(tile.input[r]);
        let mut weights = p.weights.add((tile.block + b) * tile.block_bytes);
        for y in 0..p.taps[0] {
            for x in 0..p.taps[1] {
                let tap = y * p.tap[0] + x * p.tap[1];
                for k in (0..p.depth).step_by(4) {
                    step(input.add(tap + k), weights);
                    weights = weights.add(64);
                }
            }
        }
    }
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float32_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; 8 f32 weights are 32 bytes.
    unsafe { float_tile::<R, B, 32>(tile, |at| _mm256_loadu_ps(at.cast())) }
}

/// # Safety
/// As [`float16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; 8 f16 weights are 16 bytes.
    unsafe { float_tile::<R, B, 16>(tile, |at| _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))) }
}

/// # Safety
/// As [`bfloat16`]; the tile has `R` pixels and `B` blocks.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn bfloat16_tile<const R: usize, const B: usize>(tile: &Tile<'_>) {
    // SAFETY: the caller's promise is handed on; 8 bf16 weights are 16 bytes.
    unsafe {
        float_tile::<R, B, 16>(tile, |at| {
            let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words))
        })
    }
}

/// # Safety
/// As [`float32`]; the tile has `R` pixels and `B` blocks, and `load` reads the 8 weights in `SIZE` bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn float_tile<const R: usize, const B: usize, const SIZE: usize>(
    tile: &Tile<'_>,
    load: impl Fn(*const u8) -> __m256,
) {
    let p = tile.pointers;
    let Bias::F32(bias) = p.bias else { return };
    let mut sums = [[[_mm256_setzero_ps(); 2]; B]; R];
    // SAFETY: as in `int8_vnni_tile`.
    unsafe {
        let input = p.input.cast::<f32>();
        let inputs: [*const f32; R] = core::array::from_fn(|r| input.add(tile.input[r]));
        let weights = p.weights.add(tile.block * tile.block_bytes);
        let mut weight = 0;
        for y in 0..p.taps[0] {
            for x in 0..p.taps[1] {
                let tap = y * p.tap[0] + x * p.tap[1];
                for k in 0..p.depth {
                    for b in 0..B {
                        let at = weights.add(b * tile.block_bytes + weight);
                        let w = [load(at), load(at.add(SIZE))];
                        for r in 0..R {
                            let a = _mm256_set1_ps(*inputs[r].add(tap + k));
                            for half in 0..2 {
                                sums[r][b][half] = _mm256_fmadd_ps(a, w[half], sums[r][b][half]);
                            }
                        }
                    }
                    weight += 2 * SIZE;
                }
            }
        }
    }
    for r in 0..R {
        for b in 0..B {
            // SAFETY: the bias has 16 entries for every block; the caller's promise is handed on.
            unsafe {
                let bias = bias.as_ptr().add((tile.block + b) * 16);
                let y =
                    [0, 1].map(|half| _mm256_add_ps(sums[r][b][half], _mm256_loadu_ps(bias.add(8 * half))));
                finish(tile, r, b, y);
            }
        }
    }
}

/// B^T applied to four registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn forward(d: [__m256; 4]) -> [__m256; 4] {
    [
        _mm256_sub_ps(d[0], d[2]),
        _mm256_add_ps(d[1], d[2]),
        _mm256_sub_ps(d[2], d[1]),
        _mm256_sub_ps(d[1], d[3]),
    ]
}

/// A^T applied to four registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn back(m: [__m256; 4]) -> [__m256; 2] {
    [_mm256_add_ps(_mm256_add_ps(m[0], m[1]), m[2]), _mm256_sub_ps(_mm256_sub_ps(m[1], m[2]), m[3])]
}

/// `winograd::into`, 8 channels at a time.
///
/// # Safety
/// The tiles of `chunk` lie in `input`, and `transformed` has room for them.
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
pub(super) unsafe fn winograd_into(chunk: &Chunk<'_>, input: &[f32], transformed: &mut [f32]) {
    let g = chunk.geometry;
    let matrix = chunk.matrix(g.depth);
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for tile in 0..chunk.count {
        let from = g.input.at(chunk.pixel(tile));
        for channel in (0..g.depth).step_by(8) {
            let left = (g.depth - channel).min(8);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left as i32), lanes);
            let mut d = [[_mm256_setzero_ps(); 4]; 4];
            for y in 0..4 {
                for x in 0..4 {
                    let at = from + y * g.tap[0] + x * g.tap[1] + channel;
                    // SAFETY: the masked load touches the channels that exist of a pixel under the tile.
                    d[y][x] = unsafe { _mm256_maskload_ps(input.as_ptr().add(at), mask) };
                }
                d[y] = forward(d[y]);
            }
            for x in 0..4 {
                let column = forward([d[0][x], d[1][x], d[2][x], d[3][x]]);
                for y in 0..4 {
                    let at = (4 * y + x) * matrix + tile * g.depth + channel;
                    let to = transformed.as_mut_ptr().wrapping_add(at);
                    // SAFETY: `transformed` has room for these channels of each of the 16 matrices. Where there are 8 the
                    // store is whole: a masked one takes AMD's processors many times as long.
                    unsafe {
                        if left == 8 {
                            _mm256_storeu_ps(to, column[y]);
                        } else {
                            _mm256_maskstore_ps(to, mask, column[y]);
                        }
                    }
                }
            }
        }
    }
}

/// `winograd::out_of`.
///
/// # Safety
/// The tiles of `chunk` lie in the slices behind `pointers`, whose weights are floats, and `products` holds them.
#[target_feature(enable = "avx2,fma,f16c")]
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
            let mut sums = [[_mm256_setzero_ps(); 2]; 4];
            for half in 0..2 {
                let mut rows = [[_mm256_setzero_ps(); 2]; 4];
                for y in 0..4 {
                    let mut m = [_mm256_setzero_ps(); 4];
                    for x in 0..4 {
                        let at = (4 * y + x) * matrix + (index * blocks + b) * 16 + 8 * half;
                        // SAFETY: `products` holds 16 channels of every block and tile in each of the 16 matrices.
                        m[x] = unsafe { _mm256_loadu_ps(products.as_ptr().add(at)) };
                    }
                    rows[y] = back(m);
                }
                // SAFETY: the bias has 16 entries for every block.
                let bias = unsafe { _mm256_loadu_ps(bias.as_ptr().add((first + b) * 16 + 8 * half)) };
                for x in 0..2 {
                    let column = back([rows[0][x], rows[1][x], rows[2][x], rows[3][x]]);
                    for y in 0..2 {
                        sums[2 * y + x][half] = _mm256_add_ps(column[y], bias);
                    }
                }
            }
            for r in 0..4 {
                // SAFETY: pixel and block belong to the tile, which lies in the slices.
                unsafe { finish(&tile, r, b, sums[r]) };
            }
        }
    }
}

/// Bias and scale of integer sums, then [`finish`].
///
/// # Safety
/// As [`finish`], with int8 weights.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn finish_int8(tile: &Tile<'_>, r: usize, b: usize, sums: [__m256i; 2]) {
    let Bias::I32 { bias, scale, .. } = tile.pointers.bias else { return };
    let channel = (tile.block + b) * 16;
    // SAFETY: bias and scale have 16 entries for every block; the caller's promise is handed on.
    unsafe {
        let y = [0, 1].map(|half| {
            let bias = _mm256_loadu_si256(bias.as_ptr().add(channel + 8 * half).cast());
            let scale = _mm256_loadu_ps(scale.as_ptr().add(channel + 8 * half));
            _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(sums[half], bias)), scale)
        });
        finish(tile, r, b, y);
    }
}

/// What follows the sum, for the 16 channels of a block: the operations of `Epilogue::finish` and `quantize`, in their
/// order.
///
/// # Safety
/// Pixel `r` and block `b` belong to the tile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
#[allow(unsafe_code)]
unsafe fn finish(tile: &Tile<'_>, r: usize, b: usize, sums: [__m256; 2]) {
    let p = tile.pointers;
    let lanes = tile.lanes(b);
    let channel = (tile.block + b) * 16;
    // SAFETY: only the `lanes` channels that exist are read or written, of a pixel that lies in the slices; the
    // parameters have 16 entries for every block; `floats` and `bytes` have 16.
    unsafe {
        let mut y = sums;
        match p.residual {
            ResidualPointer::None => {}
            ResidualPointer::F32(values) => {
                let mut floats = [0.0f32; 16];
                let mut values = values.add(tile.residual[r] + channel);
                if lanes < 16 {
                    core::ptr::copy_nonoverlapping(values, floats.as_mut_ptr(), lanes);
                    values = floats.as_ptr();
                }
                for half in 0..2 {
                    y[half] = _mm256_add_ps(y[half], _mm256_loadu_ps(values.add(8 * half)));
                }
            }
            ResidualPointer::U8 { values, scale, zero_point } => {
                let mut bytes = [0u8; 16];
                let values = values.add(tile.residual[r] + channel);
                core::ptr::copy_nonoverlapping(values, bytes.as_mut_ptr(), lanes);
                for half in 0..2 {
                    let steps = _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().add(8 * half).cast()));
                    let steps = _mm256_sub_epi32(steps, _mm256_set1_epi32(zero_point.into()));
                    let residual = _mm256_mul_ps(_mm256_cvtepi32_ps(steps), _mm256_set1_ps(scale));
                    y[half] = _mm256_add_ps(y[half], residual);
                }
            }
        }
        for half in 0..2 {
            y[half] = activate(p.activation, y[half]);
            if let Some(Affine { scale, shift }) = p.after {
                let scale = _mm256_loadu_ps(scale.as_ptr().add(channel + 8 * half));
                let shift = _mm256_loadu_ps(shift.as_ptr().add(channel + 8 * half));
                y[half] = _mm256_add_ps(_mm256_mul_ps(y[half], scale), shift);
            }
        }
        match p.output {
            OutputPointer::F32(output) => {
                let output = output.add(tile.output[r] + channel);
                let mut floats = [0.0f32; 16];
                let whole = if lanes == 16 { output } else { floats.as_mut_ptr() };
                for half in 0..2 {
                    _mm256_storeu_ps(whole.add(8 * half), y[half]);
                }
                if lanes < 16 {
                    core::ptr::copy_nonoverlapping(floats.as_ptr(), output, lanes);
                }
            }
            OutputPointer::U8(output) => {
                let zero = f32::from(p.zero_point);
                let q = y.map(|y| {
                    let y = _mm256_max_ps(y, _mm256_set1_ps(-zero));
                    let y = _mm256_min_ps(y, _mm256_set1_ps(255.0 - zero));
                    _mm256_add_epi32(_mm256_cvtps_epi32(y), _mm256_set1_epi32(p.zero_point.into()))
                });
                // Packing works within 128-bit halves; the permutation puts the four channels groups in order.
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(q[0], q[1]));
                let packed =
                    _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                let mut bytes = [0u8; 16];
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), packed);
                let output = output.add(tile.output[r] + channel);
                core::ptr::copy_nonoverlapping(bytes.as_ptr(), output, lanes);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn activate(activation: Activation, x: __m256) -> __m256 {
    let constant = |value| _mm256_set1_ps(value);
    match activation {
        Activation::Identity => x,
        Activation::Relu => _mm256_max_ps(x, constant(0.0)),
        Activation::LeakyRelu { slope } => {
            let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(x, constant(0.0));
            _mm256_blendv_ps(_mm256_mul_ps(x, constant(slope)), x, positive)
        }
        Activation::Clip { low, high } => _mm256_min_ps(_mm256_max_ps(x, constant(low)), constant(high)),
        Activation::Sigmoid => {
            let half = constant(0.5);
            _mm256_add_ps(_mm256_mul_ps(tanh(_mm256_mul_ps(x, half)), half), half)
        }
        Activation::Tanh => tanh(x),
        Activation::HardSwish => {
            let gate = _mm256_add_ps(_mm256_mul_ps(x, constant(1.0 / 6.0)), constant(0.5));
            _mm256_mul_ps(x, _mm256_min_ps(_mm256_max_ps(gate, constant(0.0)), constant(1.0)))
        }
    }
}

/// `math::tanh`, operation by operation.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tanh(x: __m256) -> __m256 {
    let constant = |value| _mm256_set1_ps(value);
    let limit = |x, low, high| _mm256_min_ps(_mm256_max_ps(x, constant(low)), constant(high));
    let x = limit(x, -TANH_LIMIT, TANH_LIMIT);
    let square = _mm256_mul_ps(x, x);
    let horner = |coefficients: &[f32]| {
        let mut sum = constant(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = _mm256_add_ps(_mm256_mul_ps(sum, square), constant(c));
        }
        sum
    };
    let ratio = _mm256_div_ps(_mm256_mul_ps(x, horner(&TANH_NUMERATOR)), horner(&TANH_DENOMINATOR));
    limit(ratio, -1.0, 1.0)
}

/// [`crate::kernels::expand::expand`] by a shuffle of bytes.
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
pub(super) fn expand(codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    let (mut bytes, mut pairs) = (indexes.chunks_exact(16), weights.chunks_exact_mut(32));
    // SAFETY: 16 bytes of a codebook; the chunks have the bytes that are read and written.
    unsafe {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(codebook.as_ptr().cast()));
        let half = _mm256_set1_epi8(15);
        for (pair, byte) in (&mut pairs).zip(&mut bytes) {
            let wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(byte.as_ptr().cast()));
            let codes = _mm256_and_si256(_mm256_or_si256(wide, _mm256_slli_epi16::<4>(wide)), half);
            _mm256_storeu_si256(pair.as_mut_ptr().cast(), _mm256_shuffle_epi8(table, codes));
        }
    }
    let whole = indexes.len().min(weights.len() / 2) / 16 * 16;
    plain(codebook, &indexes[whole..], &mut weights[2 * whole..]);
}
