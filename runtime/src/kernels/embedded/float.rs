//! Sums of products of floats, with weights in f32, f16 or bf16: in the order of the scalar reference where weights lie in blocks, so
//! to the same bits.

use super::{ROWS, for_taps};
use crate::bfloat16;
use crate::half;
use crate::kernels::geometry::Geometry;
use crate::ops::BLOCK;

/// Adds products along a run of inputs. All weights and inputs that are named must lie in their slices.
#[allow(unsafe_code)]
pub(super) trait Weight: Copy {
    /// Of half a block: weight `16 k + n` for input k and row n.
    ///
    /// # Safety
    /// There must be `depth` inputs, at least one, and `16 (depth - 1) + 8` weights.
    unsafe fn add_block(sums: &mut [f32; ROWS], input: *const f32, weights: *const Self, depth: usize);

    /// Of one row: weight k for input k.
    ///
    /// # Safety
    /// There must be `depth` inputs, at least one, and as many weights.
    unsafe fn add_row(sum: f32, input: *const f32, weights: *const Self, depth: usize) -> f32;
}

#[allow(unsafe_code)]
#[inline(always)]
unsafe fn add_block<W: Copy>(
    sums: &mut [f32; ROWS],
    input: *const f32,
    weights: *const W,
    depth: usize,
    value: impl Fn(W) -> f32,
) {
    let mut inner = *sums;
    for k in 0..depth {
        // SAFETY: as the caller promises.
        unsafe {
            let x = input.add(k).read();
            for (n, sum) in inner.iter_mut().enumerate() {
                *sum += x * value(weights.add(k * BLOCK + n).read());
            }
        }
    }
    *sums = inner;
}

#[allow(unsafe_code)]
#[inline(always)]
unsafe fn add_row<W: Copy>(
    sum: f32,
    input: *const f32,
    weights: *const W,
    depth: usize,
    value: impl Fn(W) -> f32,
) -> f32 {
    // SAFETY: as the caller promises.
    (0..depth).fold(sum, |sum, k| unsafe { sum + input.add(k).read() * value(weights.add(k).read()) })
}

#[allow(unsafe_code)]
impl Weight for f32 {
    unsafe fn add_block(sums: &mut [f32; ROWS], input: *const f32, weights: *const f32, depth: usize) {
        // SAFETY: as the caller promises.
        unsafe { add_block(sums, input, weights, depth, |weight| weight) }
    }

    unsafe fn add_row(sum: f32, input: *const f32, weights: *const f32, depth: usize) -> f32 {
        // SAFETY: as the caller promises.
        unsafe { add_row(sum, input, weights, depth, |weight| weight) }
    }
}

/// The bits of bfloat16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bf16(u16);

#[allow(unsafe_code)]
impl Weight for Bf16 {
    unsafe fn add_block(sums: &mut [f32; ROWS], input: *const f32, weights: *const Bf16, depth: usize) {
        // SAFETY: as the caller promises.
        unsafe { add_block(sums, input, weights, depth, |weight| bfloat16::to_f32(weight.0)) }
    }

    unsafe fn add_row(sum: f32, input: *const f32, weights: *const Bf16, depth: usize) -> f32 {
        // SAFETY: as the caller promises.
        unsafe { add_row(sum, input, weights, depth, |weight| bfloat16::to_f32(weight.0)) }
    }
}

/// The bits of binary16.
#[cfg(not(vfp_half))]
#[allow(unsafe_code)]
impl Weight for u16 {
    unsafe fn add_block(sums: &mut [f32; ROWS], input: *const f32, weights: *const u16, depth: usize) {
        // SAFETY: as the caller promises.
        unsafe { add_block(sums, input, weights, depth, half::to_f32) }
    }

    unsafe fn add_row(sum: f32, input: *const f32, weights: *const u16, depth: usize) -> f32 {
        // SAFETY: as the caller promises.
        unsafe { add_row(sum, input, weights, depth, half::to_f32) }
    }
}

/// The bits of binary16, converted by the floating-point unit. The stable compiler knows of no such registers here, so each loop
/// is one piece of assembly that saves those it uses.
#[cfg(vfp_half)]
#[allow(unsafe_code)]
impl Weight for u16 {
    unsafe fn add_block(sums: &mut [f32; ROWS], input: *const f32, weights: *const u16, depth: usize) {
        if !weights.cast::<u32>().is_aligned() {
            // SAFETY: as the caller promises. Whole words can be loaded only from where words may lie; packed blocks do.
            return unsafe { add_block(sums, input, weights, depth, half::to_f32) };
        }
        // SAFETY: it reads as many inputs and weights as the caller promises, and reads and writes the sums. All registers but
        // the operands are restored; VMLA rounds product and sum, as plain Rust does.
        unsafe {
            core::arch::asm!(
                "vpush {{s0-s15}}",
                "vldmia {sums}, {{s0-s7}}",
                "2:",
                "vldmia {input}!, {{s8}}",
                "vldmia {weights}, {{s12-s15}}",
                "add {weights}, #32",
                "vcvtb.f32.f16 s9, s12",
                "vcvtt.f32.f16 s10, s12",
                "vmla.f32 s0, s8, s9",
                "vmla.f32 s1, s8, s10",
                "vcvtb.f32.f16 s9, s13",
                "vcvtt.f32.f16 s10, s13",
                "vmla.f32 s2, s8, s9",
                "vmla.f32 s3, s8, s10",
                "vcvtb.f32.f16 s9, s14",
                "vcvtt.f32.f16 s10, s14",
                "vmla.f32 s4, s8, s9",
                "vmla.f32 s5, s8, s10",
                "vcvtb.f32.f16 s9, s15",
                "vcvtt.f32.f16 s10, s15",
                "vmla.f32 s6, s8, s9",
                "vmla.f32 s7, s8, s10",
                "cmp {input}, {end}",
                "bne 2b",
                "vstmia {sums}, {{s0-s7}}",
                "vpop {{s0-s15}}",
                sums = in(reg) sums,
                input = inout(reg) input => _,
                weights = inout(reg) weights => _,
                end = in(reg) input.add(depth),
            );
        }
    }

    unsafe fn add_row(mut sum: f32, input: *const f32, weights: *const u16, depth: usize) -> f32 {
        // SAFETY: as above; half words may lie anywhere.
        unsafe {
            core::arch::asm!(
                "vpush {{s0-s2}}",
                "vldr s0, [{sum}]",
                "2:",
                "ldrh {half}, [{weights}], #2",
                "vldmia {input}!, {{s1}}",
                "vmov s2, {half}",
                "vcvtb.f32.f16 s2, s2",
                "vmla.f32 s0, s1, s2",
                "cmp {input}, {end}",
                "bne 2b",
                "vstr s0, [{sum}]",
                "vpop {{s0-s2}}",
                sum = in(reg) &raw mut sum,
                half = out(reg) _,
                input = inout(reg) input => _,
                weights = inout(reg) weights => _,
                end = in(reg) input.add(depth),
            );
        }
        sum
    }
}

/// The sums of [`ROWS`] rows.
///
/// # Safety
/// Under every tap `geometry.depth` inputs, counted from `input`, and the weights of all rows must lie in their slices.
#[allow(unsafe_code)]
pub(super) unsafe fn in_blocks<W: Weight>(g: &Geometry, input: *const f32, weights: *const W) -> [f32; ROWS] {
    let mut sums = [0.0; ROWS];
    // SAFETY: as the caller promises; a checked geometry has depth.
    for_taps(g, |at, k| unsafe { W::add_block(&mut sums, input.add(at), weights.add(k * BLOCK), g.depth) });
    sums
}

/// The sums of one row for some pixels, whose first is at `input`.
///
/// # Safety
/// The same, for all pixels.
#[allow(unsafe_code)]
pub(super) unsafe fn row<W: Weight, const N: usize>(
    g: &Geometry,
    input: *const f32,
    weights: *const W,
) -> [f32; N] {
    let mut sums = [0.0; N];
    for (pixel, sum) in sums.iter_mut().enumerate() {
        for_taps(g, |at, k| {
            // SAFETY: as the caller promises; a checked geometry has depth.
            *sum =
                unsafe { W::add_row(*sum, input.add(pixel * g.input.column + at), weights.add(k), g.depth) };
        });
    }
    sums
}
