//! The matrix product, written to be read: the reference for every vector kernel.

use core::ops::Range;

use crate::bfloat16;
use crate::half;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::Geometry;
use crate::kernels::values::Values;
use crate::ops::{BLOCK, Bias, PackedWeights};

/// Computes some pixels of a product whose bounds have been checked, and hands each element to `write`.
pub(crate) fn matmul(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    pixels: Range<usize>,
    write: &mut dyn FnMut(usize, f32),
) {
    let g = geometry;
    let products = g.products();
    let mut pixel = g.pixel(pixels.start);
    for _ in pixels {
        let (from, to, residual) = (g.input.at(pixel), g.output.at(pixel), g.residual.at(pixel));
        for block in 0..g.blocks() {
            let base = block * products * BLOCK;
            let mut floats = [0.0f32; BLOCK];
            match (input, weights) {
                (Values::F32(input), PackedWeights::F32(weights)) => {
                    float_sums(g, from, input, &weights[base..], |weight| weight, &mut floats);
                }
                (Values::F32(input), PackedWeights::F16(weights)) => {
                    float_sums(g, from, input, &weights[base..], half::to_f32, &mut floats);
                }
                (Values::F32(input), PackedWeights::Bf16(weights)) => {
                    float_sums(g, from, input, &weights[base..], bfloat16::to_f32, &mut floats);
                }
                (Values::U8(input), PackedWeights::I8(weights)) => {
                    let mut sums = [0i32; BLOCK];
                    if let Bias::I32 { bias, .. } = epilogue.bias {
                        sums.copy_from_slice(&bias[block * BLOCK..][..BLOCK]);
                    }
                    sum(g, from, 4, |at, k| {
                        let group = &weights[base + k * BLOCK..][..4 * BLOCK];
                        for (sum, row) in sums.iter_mut().zip(group.chunks_exact(4)) {
                            for (&x, &weight) in input[at..at + 4].iter().zip(row) {
                                *sum = sum.wrapping_add(i32::from(x) * i32::from(weight));
                            }
                        }
                    });
                    if let Bias::I32 { scale, .. } = epilogue.bias {
                        let scale = &scale[block * BLOCK..][..BLOCK];
                        for ((float, sum), scale) in floats.iter_mut().zip(sums).zip(scale) {
                            *float = sum as f32 * scale;
                        }
                    }
                }
                // Types that do not go together: the caller has checked.
                _ => return,
            }
            let lanes = (g.channels - block * BLOCK).min(BLOCK);
            for (lane, &float) in floats[..lanes].iter().enumerate() {
                let channel = block * BLOCK + lane;
                let biased = match epilogue.bias {
                    Bias::F32(bias) => float + bias[channel],
                    Bias::I32 { .. } => float,
                };
                write(to + channel, epilogue.finish(biased, channel, residual + channel));
            }
        }
        pixel = g.next(pixel);
    }
}

/// Adds the products of a pixel's inputs with a block of weights `[k][16]`.
fn float_sums<W: Copy>(
    geometry: &Geometry,
    from: usize,
    input: &[f32],
    weights: &[W],
    value: impl Fn(W) -> f32,
    sums: &mut [f32; BLOCK],
) {
    sum(geometry, from, 1, |at, k| {
        for (sum, &weight) in sums.iter_mut().zip(&weights[k * BLOCK..][..BLOCK]) {
            *sum += input[at] * value(weight);
        }
    });
}

/// Calls `add(element, k)` for every `step`-th input element under the taps.
fn sum(geometry: &Geometry, from: usize, step: usize, mut add: impl FnMut(usize, usize)) {
    let mut k = 0;
    for row in 0..geometry.taps[0] {
        for column in 0..geometry.taps[1] {
            let start = from + row * geometry.tap[0] + column * geometry.tap[1];
            for at in (start..start + geometry.depth).step_by(step) {
                add(at, k);
                k += step;
            }
        }
    }
}
