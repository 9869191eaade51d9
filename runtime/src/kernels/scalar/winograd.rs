//! The transforms of F(2x2, 3x3): B^T d B of inputs, A^T m A of products; and the products, written to be read.

use crate::bfloat16;
use crate::features;
use crate::half;
use crate::kernels::activation::activate;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Geometry, Pixel};
use crate::kernels::image::Block;
use crate::kernels::values::Values;
use crate::ops::{Affine, BLOCK, Bias, PackedWeights};

/// Some tiles of 2x2 output pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) geometry: &'a Geometry,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Chunk<'_> {
    /// Elements from one of the 16 matrices to the next, for rows of so many. A little more than they have: powers of two
    /// would all fall on the same places in the cache.
    #[inline(always)]
    pub(crate) fn matrix(&self, row: usize) -> usize {
        self.count * row + BLOCK
    }

    /// The first output pixel of a tile.
    #[inline(always)]
    pub(crate) fn pixel(&self, tile: usize) -> Pixel {
        let (rows, columns) = (self.geometry.height / 2, self.geometry.width / 2);
        let tile = self.first + tile;
        let (line, column) = (tile / columns, tile % columns);
        Pixel { example: line / rows, row: line % rows * 2, column: column * 2 }
    }
}

#[inline(always)]
fn combine(a: &Block, b: &Block, operation: impl Fn(f32, f32) -> f32) -> Block {
    let mut result = [0.0; BLOCK];
    for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
        *result = operation(*a, *b);
    }
    result
}

#[inline(always)]
fn add(a: &Block, b: &Block) -> Block {
    combine(a, b, |a, b| a + b)
}

#[inline(always)]
fn subtract(a: &Block, b: &Block) -> Block {
    combine(a, b, |a, b| a - b)
}

/// B^T applied to four elements.
#[inline(always)]
fn forward(d: [&Block; 4]) -> [Block; 4] {
    [subtract(d[0], d[2]), add(d[1], d[2]), subtract(d[2], d[1]), subtract(d[1], d[3])]
}

/// A^T applied to four elements.
#[inline(always)]
fn back(m: [&Block; 4]) -> [Block; 2] {
    [add(&add(m[0], m[1]), m[2]), subtract(&subtract(m[1], m[2]), m[3])]
}

/// Transformed inputs `[16][tile][depth]` (see [`Chunk::matrix`]).
#[inline(always)]
pub(crate) fn into(chunk: &Chunk<'_>, input: &[f32], transformed: &mut [f32]) {
    let g = chunk.geometry;
    for tile in 0..chunk.count {
        let from = g.input.at(chunk.pixel(tile));
        let mut channel = 0;
        while channel < g.depth {
            let lanes = (g.depth - channel).min(BLOCK);
            let mut d = [[[0.0; BLOCK]; 4]; 4];
            for (y, row) in d.iter_mut().enumerate() {
                for (x, block) in row.iter_mut().enumerate() {
                    let at = from + y * g.tap[0] + x * g.tap[1] + channel;
                    match input[at..].first_chunk::<BLOCK>() {
                        Some(whole) if lanes == BLOCK => *block = *whole,
                        _ => block[..lanes].copy_from_slice(&input[at..at + lanes]),
                    }
                }
            }
            for row in &mut d {
                *row = forward([&row[0], &row[1], &row[2], &row[3]]);
            }
            for x in 0..4 {
                let column = forward([&d[0][x], &d[1][x], &d[2][x], &d[3][x]]);
                for (y, block) in column.iter().enumerate() {
                    let at = (4 * y + x) * chunk.matrix(g.depth) + tile * g.depth + channel;
                    transformed[at..at + lanes].copy_from_slice(&block[..lanes]);
                }
            }
            channel += lanes;
        }
    }
}

/// `[tile][depth]` times float weights `[block][depth][16]` into `[tile][16 * blocks]`.
#[cfg_attr(target_feature = "simd128", allow(dead_code))]
pub(crate) fn multiply(
    depth: usize,
    input: &[f32],
    weights: &PackedWeights<'_>,
    output: &mut [f32],
    blocks: usize,
) {
    match weights {
        PackedWeights::F32(weights) if features::F32 => {
            product(depth, input, weights, |&weight| weight, output, blocks)
        }
        PackedWeights::F16(weights) if features::F16 => {
            product(depth, input, weights, |&weight| half::to_f32(weight), output, blocks)
        }
        PackedWeights::Bf16(weights) if features::BF16 => {
            product(depth, input, weights, |&weight| bfloat16::to_f32(weight), output, blocks)
        }
        // Of int8, which the caller has checked; or left out of this build.
        _ => {}
    }
}

#[cfg_attr(target_feature = "simd128", allow(dead_code))]
fn product<T>(
    depth: usize,
    input: &[f32],
    weights: &[T],
    value: impl Fn(&T) -> f32,
    output: &mut [f32],
    blocks: usize,
) {
    for (input, output) in input.chunks_exact(depth).zip(output.chunks_exact_mut(blocks * BLOCK)) {
        for (block, output) in output.chunks_exact_mut(BLOCK).enumerate() {
            output.fill(0.0);
            for (x, row) in input.iter().zip(weights[block * depth * BLOCK..].chunks_exact(BLOCK)) {
                for (sum, weight) in output.iter_mut().zip(row) {
                    *sum += x * value(weight);
                }
            }
        }
    }
}

/// Output pixels of some blocks of channels from products `[16][tile][16 * blocks]`; calls `write(element, channels,
/// how many)`.
#[inline(always)]
pub(crate) fn out_of(
    chunk: &Chunk<'_>,
    products: &[f32],
    (first, blocks): (usize, usize),
    epilogue: &Epilogue<'_>,
    write: &mut impl FnMut(usize, &Block, usize),
) {
    let g = chunk.geometry;
    let Bias::F32(bias) = epilogue.bias else { return };
    for tile in 0..chunk.count {
        let pixel = chunk.pixel(tile);
        for block in 0..blocks {
            let channel = (first + block) * BLOCK;
            let lanes = (g.channels - channel).min(BLOCK);
            let mut rows = [[[0.0; BLOCK]; 2]; 4];
            for (y, row) in rows.iter_mut().enumerate() {
                let mut m = [[0.0; BLOCK]; 4];
                for (x, m) in m.iter_mut().enumerate() {
                    let at = (4 * y + x) * chunk.matrix(blocks * BLOCK) + (tile * blocks + block) * BLOCK;
                    m.copy_from_slice(&products[at..at + BLOCK]);
                }
                *row = back([&m[0], &m[1], &m[2], &m[3]]);
            }
            for x in 0..2 {
                let column = back([&rows[0][x], &rows[1][x], &rows[2][x], &rows[3][x]]);
                for (y, sums) in column.iter().enumerate() {
                    let at = Pixel { row: pixel.row + y, column: pixel.column + x, ..pixel };
                    let mut sums = *sums;
                    for (sum, bias) in sums.iter_mut().zip(&bias[channel..]) {
                        *sum += bias;
                    }
                    if let Some(residual) = &epilogue.residual
                        && let Values::F32(values) = residual.values
                    {
                        let from = g.residual.at(at) + channel;
                        for (sum, x) in sums.iter_mut().zip(&values[from..from + lanes]) {
                            *sum += x;
                        }
                    }
                    activate(&mut sums, epilogue.activation);
                    if let Some(Affine { scale, shift }) = epilogue.after {
                        for ((sum, scale), shift) in
                            sums.iter_mut().zip(&scale[channel..]).zip(&shift[channel..])
                        {
                            *sum = *sum * scale + shift;
                        }
                    }
                    write(g.output.at(at) + channel, &sums, lanes);
                }
            }
        }
    }
}
