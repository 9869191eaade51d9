//! Depthwise convolution: every channel sees only itself.

use crate::bfloat16;
use crate::features;
use crate::half;
use crate::kernels::epilogue::{Epilogue, quantize};
use crate::kernels::geometry::{Geometry, OutOfBounds};
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{BLOCK, Bias, PackedWeights};

/// Checks the bounds of a depthwise convolution: a product of depth 1 whose every channel reads its own input.
pub(crate) fn check(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    output: &ValuesMut<'_>,
) -> Result<(), OutOfBounds> {
    let mut whole = *geometry;
    whole.depth = geometry.channels;
    if let Bias::I32 { .. } = epilogue.bias {
        // The check of products wants groups of four, which this operator does not read.
        whole.depth = whole.depth.next_multiple_of(4);
    }
    // The elements read at a tap, and the weights of all taps, are those of a product of this depth and one block less.
    let last = geometry.input.last(geometry.batch, geometry.height, geometry.width).ok_or(OutOfBounds)?;
    let reach = (geometry.taps[0].saturating_sub(1)).checked_mul(geometry.tap[0]).ok_or(OutOfBounds)?;
    let across = (geometry.taps[1].saturating_sub(1)).checked_mul(geometry.tap[1]).ok_or(OutOfBounds)?;
    let end = last.checked_add(reach).and_then(|end| end.checked_add(across)).ok_or(OutOfBounds)?;
    let read = end.checked_add(geometry.channels).ok_or(OutOfBounds)?;
    let rows = geometry.channels.checked_next_multiple_of(BLOCK).ok_or(OutOfBounds)?;
    let needed = geometry.taps[0].checked_mul(geometry.taps[1]).and_then(|taps| taps.checked_mul(rows));
    if read > input.len() || needed.is_none_or(|needed| needed > weights.len()) {
        return Err(OutOfBounds);
    }
    // Output, residual and parameters are checked as for a product without taps.
    whole.taps = [0, 0];
    whole.check(input, weights, epilogue, output)
}

/// Computes a depthwise convolution whose bounds have been checked; weights `[tap][channels rounded up to 16]`.
#[inline(always)]
pub(crate) fn depthwise(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    output: &mut ValuesMut<'_>,
) {
    let g = geometry;
    let rows = g.blocks() * BLOCK;
    let mut pixel = g.pixel(0);
    for _ in 0..g.pixels() {
        let (from, to, residual) = (g.input.at(pixel), g.output.at(pixel), g.residual.at(pixel));
        for block in 0..g.blocks() {
            let channel = block * BLOCK;
            let lanes = (g.channels - channel).min(BLOCK);
            let taps = || {
                (0..g.taps[0] * g.taps[1]).map(|tap| {
                    let (y, x) = (tap / g.taps[1], tap % g.taps[1]);
                    (from + y * g.tap[0] + x * g.tap[1] + channel, tap * rows + channel)
                })
            };
            let mut sums = [0.0f32; BLOCK];
            match (input, weights) {
                (Values::F32(input), PackedWeights::F32(weights)) if features::F32 => {
                    for (at, weight) in taps() {
                        let row = &weights[weight..weight + BLOCK];
                        for ((sum, x), w) in sums.iter_mut().zip(&input[at..at + lanes]).zip(row) {
                            *sum += x * w;
                        }
                    }
                }
                (Values::F32(input), PackedWeights::F16(weights)) if features::F16 => {
                    for (at, weight) in taps() {
                        let row = &weights[weight..weight + BLOCK];
                        for ((sum, x), &w) in sums.iter_mut().zip(&input[at..at + lanes]).zip(row) {
                            *sum += x * half::to_f32(w);
                        }
                    }
                }
                (Values::F32(input), PackedWeights::Bf16(weights)) if features::BF16 => {
                    for (at, weight) in taps() {
                        let row = &weights[weight..weight + BLOCK];
                        for ((sum, x), &w) in sums.iter_mut().zip(&input[at..at + lanes]).zip(row) {
                            *sum += x * bfloat16::to_f32(w);
                        }
                    }
                }
                (Values::U8(input), PackedWeights::I8(weights)) if features::INT8 => {
                    let Bias::I32 { bias, scale, .. } = epilogue.bias else { return };
                    let mut integers = [0i32; BLOCK];
                    integers.copy_from_slice(&bias[channel..channel + BLOCK]);
                    for (at, weight) in taps() {
                        let row = &weights[weight..weight + BLOCK];
                        for ((sum, &x), &w) in integers.iter_mut().zip(&input[at..at + lanes]).zip(row) {
                            *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                        }
                    }
                    for ((sum, integer), scale) in sums.iter_mut().zip(integers).zip(&scale[channel..]) {
                        *sum = integer as f32 * scale;
                    }
                }
                // Types that do not go together, which the caller has checked; or left out of this build.
                _ => return,
            }
            if let Bias::F32(bias) = epilogue.bias {
                for (sum, bias) in sums.iter_mut().zip(&bias[channel..]) {
                    *sum += bias;
                }
            }
            for (lane, &sum) in sums[..lanes].iter().enumerate() {
                let y = epilogue.finish(sum, channel + lane, residual + channel + lane);
                match output {
                    ValuesMut::F32(output) => output[to + channel + lane] = y,
                    ValuesMut::U8(output) => output[to + channel + lane] = quantize(y, epilogue.zero_point),
                }
            }
        }
        pixel = g.next(pixel);
    }
}
