//! Matrix products with few outputs: an image's one or three channels, a discriminator's score. Blocks of 16 would be
//! mostly padding, so each output is a dot product along k, and what follows is done for 16 pixels at a time.

use crate::bfloat16;
use crate::half;
use crate::kernels::activation::activate;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Geometry, Pixel};
use crate::kernels::image::{Block, map};
use crate::kernels::values::Values;
use crate::ops::{Affine, BLOCK, Bias, NARROW, PackedWeights};

/// Where the first tap of each of 16 pixels lies.
pub(crate) type Starts = [usize; BLOCK];

/// Dot products of what lies under the taps of 16 pixels and a row of weights.
pub(crate) trait Dot {
    fn f32(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[f32]) -> Block;
    fn f16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block;
    fn bf16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block;
    fn i8(&self, geometry: &Geometry, input: &[u8], from: &Starts, row: &[i8]) -> [i32; BLOCK];
}

/// In plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

/// The inputs under each tap with the weights for them.
#[inline(always)]
pub(crate) fn runs<'a, T, W>(
    geometry: &'a Geometry,
    input: &'a [T],
    from: usize,
    row: &'a [W],
) -> impl Iterator<Item = (&'a [T], &'a [W])> {
    let columns = geometry.taps[1];
    row.chunks_exact(geometry.depth).take(geometry.taps[0] * columns).enumerate().map(
        move |(tap, weights)| {
            let start = from + tap / columns * geometry.tap[0] + tap % columns * geometry.tap[1];
            (&input[start..start + geometry.depth], weights)
        },
    )
}

/// Sums in 16 lanes, which the compiler can put into registers.
#[inline(always)]
fn lanes<T: Copy, W: Copy>(
    geometry: &Geometry,
    input: &[T],
    from: usize,
    row: &[W],
    product: impl Fn(T, W) -> f32,
) -> f32 {
    let mut sums: Block = [0.0; BLOCK];
    for (x, w) in runs(geometry, input, from, row) {
        let (xs, ws) = (x.chunks_exact(BLOCK), w.chunks_exact(BLOCK));
        let (x_rest, w_rest) = (xs.remainder(), ws.remainder());
        for (x, w) in xs.zip(ws) {
            for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                *sum += product(x, w);
            }
        }
        for ((sum, &x), &w) in sums.iter_mut().zip(x_rest).zip(w_rest) {
            *sum += product(x, w);
        }
    }
    sums.iter().sum()
}

impl Dot for Plain {
    #[inline(always)]
    fn f32(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[f32]) -> Block {
        from.map(|from| lanes(geometry, input, from, row, |x, w| x * w))
    }

    #[inline(always)]
    fn f16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        from.map(|from| lanes(geometry, input, from, row, |x, w| x * half::to_f32(w)))
    }

    #[inline(always)]
    fn bf16(&self, geometry: &Geometry, input: &[f32], from: &Starts, row: &[u16]) -> Block {
        from.map(|from| lanes(geometry, input, from, row, |x, w| x * bfloat16::to_f32(w)))
    }

    #[inline(always)]
    fn i8(&self, geometry: &Geometry, input: &[u8], from: &Starts, row: &[i8]) -> [i32; BLOCK] {
        from.map(|from| {
            let products = runs(geometry, input, from, row).flat_map(|(x, w)| x.iter().zip(w));
            products.fold(0i32, |sum, (&x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
        })
    }
}

/// The outputs of at most 16 pixels from `first` on: for each channel, a lane per pixel. Bounds have been checked.
#[inline(always)]
pub(crate) fn chunk(
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    (first, count): (Pixel, usize),
    dot: &impl Dot,
) -> [Block; NARROW] {
    let g = geometry;
    let products = g.products();
    let mut outputs = [[0.0; BLOCK]; NARROW];
    // Lanes beyond the last pixel repeat the first.
    let (mut from, mut residual) = ([g.input.at(first); BLOCK], [g.residual.at(first); BLOCK]);
    let has_residual = epilogue.residual.is_some();
    g.runs(first, count, |lane, pixel, run| {
        let start = g.input.at(pixel);
        for (n, from) in from[lane..lane + run].iter_mut().enumerate() {
            *from = start + n * g.input.column;
        }
        if has_residual {
            let start = g.residual.at(pixel);
            for (n, residual) in residual[lane..lane + run].iter_mut().enumerate() {
                *residual = start + n * g.residual.column;
            }
        }
    });
    for (channel, lanes) in outputs[..g.channels].iter_mut().enumerate() {
        let row = channel * products..(channel + 1) * products;
        match (input, weights, epilogue.bias) {
            (Values::F32(input), PackedWeights::F32(weights), Bias::F32(bias)) => {
                *lanes = dot.f32(g, input, &from, &weights[row]);
                let bias = bias[channel];
                map(lanes, |sum| sum + bias);
            }
            (Values::F32(input), PackedWeights::F16(weights), Bias::F32(bias)) => {
                *lanes = dot.f16(g, input, &from, &weights[row]);
                let bias = bias[channel];
                map(lanes, |sum| sum + bias);
            }
            (Values::F32(input), PackedWeights::Bf16(weights), Bias::F32(bias)) => {
                *lanes = dot.bf16(g, input, &from, &weights[row]);
                let bias = bias[channel];
                map(lanes, |sum| sum + bias);
            }
            (Values::U8(input), PackedWeights::I8(weights), Bias::I32 { bias, scale, .. }) => {
                let sums = dot.i8(g, input, &from, &weights[row]);
                let (bias, scale) = (bias[channel], scale[channel]);
                for (lane, sum) in lanes.iter_mut().zip(sums) {
                    *lane = sum.wrapping_add(bias) as f32 * scale;
                }
            }
            // Types that do not go together: the caller has checked.
            _ => {}
        }
        if has_residual {
            for (lane, at) in lanes.iter_mut().zip(residual) {
                *lane = epilogue.add_residual(*lane, at + channel);
            }
        }
        activate(lanes, epilogue.activation);
        if let Some(Affine { scale, shift }) = epilogue.after {
            let (scale, shift) = (scale[channel], shift[channel]);
            map(lanes, |x| x * scale + shift);
        }
    }
    outputs
}
