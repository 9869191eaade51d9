//! Matrix products on small processors without vector registers (Cortex-M, 32-bit RISC-V): some rows of weights at a time, so
//! that an input is loaded once for all of them, with the sums in registers. What follows the sums is done for all rows together.

mod float;
mod int8;

use core::ops::Range;

use super::epilogue::Epilogue;
use super::geometry::Geometry;
use super::matmul::Target;
use super::values::Values;
use crate::features;
use crate::ops::{BLOCK, Bias, GROUP, PackedWeights};

/// The most rows that are computed together: half a block.
pub(super) const ROWS: usize = 8;
/// The most pixels of a narrow layer that are computed together.
const PIXELS: usize = 4;

/// What multiplies: one kind on a device, both in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The usual instructions.
    #[cfg(any(not(dsp), test))]
    Plain,
    /// Arm's DSP extension: two products in one instruction.
    #[cfg(any(dsp, test))]
    Dsp,
}

impl Unit {
    /// That of the device that this is compiled for.
    #[cfg(embedded)]
    pub(crate) const BEST: Self = {
        #[cfg(dsp)]
        let best = Self::Dsp;
        #[cfg(not(dsp))]
        let best = Self::Plain;
        best
    };

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(any(not(dsp), test))]
            Self::Plain => "scalar",
            #[cfg(any(dsp, test))]
            Self::Dsp => "DSP",
        }
    }
}

/// Computes some pixels of a product whose bounds have been checked. Not inlined, nor is anything below that loops: each needs
/// all registers.
#[inline(never)]
pub(crate) fn product(
    unit: Unit,
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &PackedWeights<'_>,
    epilogue: &Epilogue<'_>,
    pixels: Range<usize>,
    target: &Target<'_>,
) {
    let product = Product { unit, geometry, input, weights, epilogue, target };
    geometry.runs(geometry.pixel(pixels.start), pixels.len(), |_, pixel, run| {
        let first_at = Place {
            input: geometry.input.at(pixel),
            output: geometry.output.at(pixel),
            residual: geometry.residual.at(pixel),
        };
        // Of a narrow layer some pixels together, the last ones perhaps twice.
        let together = if !geometry.is_narrow() || run < PIXELS { 1 } else { PIXELS };
        let mut done = 0;
        while done < run {
            let first = done.min(run - together);
            let at = Place {
                input: first_at.input + first * geometry.input.column,
                output: first_at.output + first * geometry.output.column,
                residual: first_at.residual + first * geometry.residual.column,
            };
            // SAFETY: the caller has checked the geometry, and with it every element under the taps of every pixel, the weights
            // of whole blocks, or of all rows of a narrow layer, and the parameters of whole blocks.
            #[allow(unsafe_code)]
            unsafe {
                if !geometry.is_narrow() {
                    product.blocks(at);
                } else if together == PIXELS {
                    product.narrow::<PIXELS>(at);
                } else {
                    product.narrow::<1>(at);
                }
            }
            done += together;
        }
    });
}

/// Where the elements of a pixel begin.
#[derive(Clone, Copy)]
struct Place {
    /// Of the first tap.
    input: usize,
    output: usize,
    residual: usize,
}

struct Product<'a> {
    unit: Unit,
    geometry: &'a Geometry,
    input: &'a Values<'a>,
    weights: &'a PackedWeights<'a>,
    epilogue: &'a Epilogue<'a>,
    target: &'a Target<'a>,
}

#[allow(unsafe_code)]
impl Product<'_> {
    /// One pixel of a layer whose weights lie in blocks.
    ///
    /// # Safety
    /// What its taps reach, and all weights and parameters, must lie in their slices.
    #[inline(never)]
    unsafe fn blocks(&self, at: Place) {
        let (g, epilogue) = (self.geometry, self.epilogue);
        for channel in (0..g.channels).step_by(ROWS) {
            let lanes = (g.channels - channel).min(ROWS);
            let (block, row) = (channel / BLOCK * BLOCK * g.products(), channel % BLOCK);
            let to = at.output + channel;
            // SAFETY: as the caller promises.
            let sums = unsafe {
                match (self.input, self.weights, epilogue.bias) {
                    (Values::F32(input), PackedWeights::F32(weights), Bias::F32(bias)) if features::F32 => {
                        let weights = weights.as_ptr().add(block + row);
                        biased(float::in_blocks(g, input.as_ptr().add(at.input), weights), bias, channel)
                    }
                    (Values::F32(input), PackedWeights::F16(weights), Bias::F32(bias)) if features::F16 => {
                        let weights = weights.as_ptr().add(block + row);
                        biased(float::in_blocks(g, input.as_ptr().add(at.input), weights), bias, channel)
                    }
                    (Values::F32(input), PackedWeights::Bf16(weights), Bias::F32(bias)) if features::BF16 => {
                        let weights = weights.as_ptr().add(block + row).cast::<float::Bf16>();
                        biased(float::in_blocks(g, input.as_ptr().add(at.input), weights), bias, channel)
                    }
                    (Values::U8(input), PackedWeights::I8(weights), Bias::I32 { bias, scale, .. })
                        if features::INT8 =>
                    {
                        let weights = weights.as_ptr().add(block + row * GROUP);
                        let sums = int8::in_blocks(self.unit, g, input.as_ptr().add(at.input), weights);
                        let sums = scaled(&sums, bias, scale, channel);
                        if let Some(least) = epilogue.least() {
                            self.target.write_at_least(least, to, lanes, &sums, epilogue.zero_point);
                            continue;
                        }
                        sums
                    }
                    // Types that do not go together, which the caller has checked; or left out of this build.
                    _ => return,
                }
            };
            let sums = sums.get(..lanes).unwrap_or(&[]);
            self.finish(sums, [to, at.residual + channel, channel], [1; 3]);
        }
    }

    /// Everything after the bias, of some elements that lie `steps` apart: their places in the output and in the residual, and
    /// their rows. Not inlined: it would take registers from what is usual.
    #[inline(never)]
    fn finish(&self, sums: &[f32], mut at: [usize; 3], steps: [usize; 3]) {
        for &sum in sums {
            let y = self.epilogue.finish(sum, at[2], at[1]);
            self.target.write(at[0], y, self.epilogue.zero_point);
            at.iter_mut().zip(steps).for_each(|(at, step)| *at += step);
        }
    }

    /// As many pixels, side by side, of a layer whose weights lie row after row.
    ///
    /// # Safety
    /// What their taps reach, and all weights, must lie in their slices.
    #[inline(never)]
    unsafe fn narrow<const N: usize>(&self, at: Place) {
        let (g, epilogue) = (self.geometry, self.epilogue);
        for channel in 0..g.channels {
            let row = channel * g.products();
            // SAFETY: as the caller promises.
            let sums: [f32; N] = unsafe {
                match (self.input, self.weights, epilogue.bias) {
                    (Values::F32(input), PackedWeights::F32(weights), Bias::F32(bias)) if features::F32 => {
                        let weights = weights.as_ptr().add(row);
                        let bias = bias.get(channel).copied().unwrap_or(0.0);
                        float::row(g, input.as_ptr().add(at.input), weights).map(|sum| sum + bias)
                    }
                    (Values::F32(input), PackedWeights::F16(weights), Bias::F32(bias)) if features::F16 => {
                        let weights = weights.as_ptr().add(row);
                        let bias = bias.get(channel).copied().unwrap_or(0.0);
                        float::row(g, input.as_ptr().add(at.input), weights).map(|sum| sum + bias)
                    }
                    (Values::F32(input), PackedWeights::Bf16(weights), Bias::F32(bias)) if features::BF16 => {
                        let weights = weights.as_ptr().add(row).cast::<float::Bf16>();
                        let bias = bias.get(channel).copied().unwrap_or(0.0);
                        float::row(g, input.as_ptr().add(at.input), weights).map(|sum| sum + bias)
                    }
                    (Values::U8(input), PackedWeights::I8(weights), Bias::I32 { bias, scale, .. })
                        if features::INT8 =>
                    {
                        let weights = weights.as_ptr().add(row);
                        let bias = bias.get(channel).copied().unwrap_or(0);
                        let scale = scale.get(channel).copied().unwrap_or(0.0);
                        int8::row(self.unit, g, input.as_ptr().add(at.input), weights)
                            .map(|sum| sum.wrapping_add(bias) as f32 * scale)
                    }
                    // Types that do not go together, which the caller has checked; or left out of this build.
                    _ => return,
                }
            };
            let mut to = at.output + channel;
            let Some(least) = epilogue.least() else {
                let steps = [g.output.column, g.residual.column, 0];
                self.finish(&sums, [to, at.residual + channel, channel], steps);
                continue;
            };
            for sum in sums {
                self.target.write_at_least(least, to, 1, &[sum], epilogue.zero_point);
                to += g.output.column;
            }
        }
    }
}

/// Calls `each(first element, first product)` for every tap.
#[inline(always)]
fn for_taps(g: &Geometry, mut each: impl FnMut(usize, usize)) {
    let (mut above, mut k) = (0, 0);
    for _ in 0..g.taps[0] {
        let mut at = above;
        for _ in 0..g.taps[1] {
            each(at, k);
            at += g.tap[1];
            k += g.depth;
        }
        above += g.tap[0];
    }
}

/// `sum + bias` of each row from `channel` on.
///
/// # Safety
/// There must be parameters for whole blocks of rows.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn biased(mut sums: [f32; ROWS], bias: &[f32], channel: usize) -> [f32; ROWS] {
    // SAFETY: as the caller promises: `channel` begins half a block.
    let bias = unsafe { &*bias.as_ptr().add(channel).cast::<[f32; ROWS]>() };
    sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
    sums
}

/// `(sum + bias) * scale` of each row from `channel` on.
///
/// # Safety
/// As [`biased`].
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn scaled(sums: &[i32; ROWS], bias: &[i32], scale: &[f32], channel: usize) -> [f32; ROWS] {
    // SAFETY: as the caller promises: `channel` begins half a block.
    let (bias, scale) = unsafe {
        (
            &*bias.as_ptr().add(channel).cast::<[i32; ROWS]>(),
            &*scale.as_ptr().add(channel).cast::<[f32; ROWS]>(),
        )
    };
    core::array::from_fn(|n| sums[n].wrapping_add(bias[n]) as f32 * scale[n])
}
