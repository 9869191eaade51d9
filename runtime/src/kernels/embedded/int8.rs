//! Sums of products of bytes.

use super::{ROWS, Unit, for_taps};
use crate::kernels::geometry::Geometry;
use crate::ops::{BLOCK, GROUP};

/// Multiplies four inputs by four weights.
trait Multiplier: Sized {
    /// Four inputs, ready to be multiplied.
    type Inputs: Copy;
    /// Four weights.
    type Weights: Copy;

    fn inputs(bytes: [u8; 4]) -> Self::Inputs;
    fn weights(bytes: [i8; 4]) -> Self::Weights;

    /// `sum` and the four products, modulo 2^32.
    fn add(sum: i32, inputs: Self::Inputs, weights: Self::Weights) -> i32;

    /// Adds the products of a run of `depth` inputs, a multiple of 4 and at least 4, with [`ROWS`] rows in a block.
    ///
    /// # Safety
    /// There must be as many inputs, and weights for them.
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn add_block(sums: &mut [i32; ROWS], input: *const u8, weights: *const i8, depth: usize) {
        let mut inner = *sums;
        for k in (0..depth).step_by(GROUP) {
            // SAFETY: as the caller promises; arrays of bytes may lie anywhere.
            unsafe {
                let inputs = Self::inputs(input.add(k).cast::<[u8; 4]>().read());
                for (n, sum) in inner.iter_mut().enumerate() {
                    let row = weights.add(k * BLOCK + n * GROUP).cast::<[i8; 4]>().read();
                    *sum = Self::add(*sum, inputs, Self::weights(row));
                }
            }
        }
        *sums = inner;
    }
}

/// One product after the other.
#[cfg(any(not(dsp), test))]
struct Plain;

#[cfg(any(not(dsp), test))]
impl Multiplier for Plain {
    type Inputs = [u8; 4];
    type Weights = [i8; 4];

    #[inline(always)]
    fn inputs(bytes: [u8; 4]) -> [u8; 4] {
        bytes
    }

    #[inline(always)]
    fn weights(bytes: [i8; 4]) -> [i8; 4] {
        bytes
    }

    #[inline(always)]
    fn add(sum: i32, inputs: [u8; 4], weights: [i8; 4]) -> i32 {
        inputs.iter().zip(weights).fold(sum, |sum, (&x, w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
    }
}

/// Two products in one instruction, of the first and third byte and of the second and fourth.
#[cfg(any(dsp, test))]
struct Dsp;

#[cfg(any(dsp, test))]
impl Multiplier for Dsp {
    type Inputs = [u32; 2];
    type Weights = [u32; 2];

    #[inline(always)]
    fn inputs(bytes: [u8; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(bytes);
        // UXTB16, as the compiler finds out; both halves are positive.
        [word & 0x00FF_00FF, word >> 8 & 0x00FF_00FF]
    }

    #[inline(always)]
    fn weights(bytes: [i8; 4]) -> [u32; 2] {
        let word = u32::from_le_bytes(bytes.map(i8::cast_unsigned));
        [instructions::sxtb16(word), instructions::sxtb16_of_odd(word)]
    }

    #[inline(always)]
    fn add(sum: i32, inputs: [u32; 2], weights: [u32; 2]) -> i32 {
        instructions::smlad(inputs[1], weights[1], instructions::smlad(inputs[0], weights[0], sum))
    }

    #[cfg(dsp)]
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn add_block(sums: &mut [i32; ROWS], input: *const u8, weights: *const i8, depth: usize) {
        // SAFETY: as the caller promises.
        unsafe { instructions::add_block(sums, input, weights, depth) }
    }
}

/// Arm's instructions.
#[cfg(dsp)]
mod instructions {
    use core::arch::asm;

    /// [`super::Multiplier::add_block`], as the compiler does not do it: with all eight sums in registers.
    #[allow(unsafe_code)]
    #[inline(never)]
    pub(super) unsafe fn add_block(
        sums: &mut [i32; super::ROWS],
        input: *const u8,
        weights: *const i8,
        depth: usize,
    ) {
        /// Adds to the sum in a register the products with the word of weights at an offset.
        macro_rules! row {
            ($sum:literal, $at:literal, $offset:literal) => {
                concat!(
                    "ldr lr, [r2, #",
                    $at,
                    " + ",
                    $offset,
                    "]\n",
                    "sxtb16 r0, lr\n",
                    "sxtb16 lr, lr, ror #8\n",
                    "smlad ",
                    $sum,
                    ", r3, r0, ",
                    $sum,
                    "\n",
                    "smlad ",
                    $sum,
                    ", r12, lr, ",
                    $sum,
                    "\n",
                )
            };
        }
        /// Adds to all sums the products with four inputs.
        macro_rules! group {
            ($at:literal) => {
                concat!(
                    "ldr r12, [r1], #4\n",
                    "uxtb16 r3, r12\n",
                    "uxtb16 r12, r12, ror #8\n",
                    row!("r4", $at, 0),
                    row!("r5", $at, 4),
                    row!("r6", $at, 8),
                    row!("r7", $at, 12),
                    row!("r8", $at, 16),
                    row!("r9", $at, 20),
                    row!("r10", $at, 24),
                    row!("r11", $at, 28),
                )
            };
        }
        // SAFETY: it reads what the caller promises, and reads and writes the sums; all registers but the operands are
        // restored. These processors load words from any address.
        unsafe {
            asm!(
                "push {{r0, r3-r11, lr}}",
                "ldm r0, {{r4-r11}}",
                // An odd group goes first.
                "sub lr, r3, r1",
                "tst lr, #4",
                "beq 2f",
                "sub r2, #64",
                "b 3f",
                "2:",
                group!(0),
                "3:",
                group!(64),
                "add r2, #128",
                "ldr lr, [sp, #4]",
                "cmp r1, lr",
                "bne 2b",
                "ldr r0, [sp]",
                "stm r0, {{r4-r11}}",
                "pop {{r0, r3-r11, lr}}",
                in("r0") sums,
                inout("r1") input => _,
                inout("r2") weights => _,
                in("r3") input.add(depth),
                out("r12") _,
            );
        }
    }

    /// The first and third byte as signed half words.
    #[inline(always)]
    pub(super) fn sxtb16(word: u32) -> u32 {
        let halves;
        // SAFETY: register to register; `dsp` says that the processor has the instruction.
        #[allow(unsafe_code)]
        unsafe {
            asm!("sxtb16 {}, {}", lateout(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        halves
    }

    /// The second and fourth byte as signed half words.
    #[inline(always)]
    pub(super) fn sxtb16_of_odd(word: u32) -> u32 {
        let halves;
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            asm!(
                "sxtb16 {}, {}, ror #8",
                lateout(reg) halves, in(reg) word,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        halves
    }

    /// `sum` and the products of both half words, modulo 2^32 (the flag Q, which nothing here reads, may be set).
    #[inline(always)]
    pub(super) fn smlad(a: u32, b: u32, mut sum: i32) -> i32 {
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            asm!(
                "smlad {0}, {1}, {2}, {0}",
                inlateout(reg) sum, in(reg) a, in(reg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

/// What they do, for tests on other machines.
#[cfg(all(test, not(dsp)))]
mod instructions {
    fn halves(word: u32) -> [i32; 2] {
        [word as u16, (word >> 16) as u16].map(|half| i32::from(half.cast_signed()))
    }

    pub(super) fn sxtb16(word: u32) -> u32 {
        let [low, high] = [word as u8, (word >> 16) as u8].map(|byte| byte.cast_signed() as u16);
        u32::from(low) | u32::from(high) << 16
    }

    pub(super) fn sxtb16_of_odd(word: u32) -> u32 {
        sxtb16(word.rotate_right(8))
    }

    pub(super) fn smlad(a: u32, b: u32, sum: i32) -> i32 {
        let ([a, b], [c, d]) = (halves(a), halves(b));
        sum.wrapping_add(a * c).wrapping_add(b * d)
    }
}

/// The sums of [`ROWS`] rows.
///
/// # Safety
/// Under every tap `geometry.depth` inputs, counted from `input`, and the weights of all rows must lie in their slices.
#[allow(unsafe_code)]
pub(super) unsafe fn in_blocks(
    unit: Unit,
    g: &Geometry,
    input: *const u8,
    weights: *const i8,
) -> [i32; ROWS] {
    let mut sums = [0; ROWS];
    for_taps(g, |at, k| {
        // SAFETY: as the caller promises; a checked geometry has depth, a multiple of 4.
        unsafe {
            let (input, weights) = (input.add(at), weights.add(k * BLOCK));
            match unit {
                #[cfg(any(not(dsp), test))]
                Unit::Plain => Plain::add_block(&mut sums, input, weights, g.depth),
                #[cfg(any(dsp, test))]
                Unit::Dsp => Dsp::add_block(&mut sums, input, weights, g.depth),
            }
        }
    });
    sums
}

/// The sums of one row for some pixels, whose first is at `input`.
///
/// # Safety
/// The same, for all pixels.
#[allow(unsafe_code)]
pub(super) unsafe fn row<const N: usize>(
    unit: Unit,
    g: &Geometry,
    input: *const u8,
    weights: *const i8,
) -> [i32; N] {
    let mut sums = [0; N];
    for_taps(g, |at, k| {
        // SAFETY: as the caller promises; a checked geometry has depth, a multiple of 4.
        unsafe {
            let (input, weights) = (input.add(at), weights.add(k));
            match unit {
                #[cfg(any(not(dsp), test))]
                Unit::Plain => add_row::<Plain, N>(&mut sums, input, g.input.column, weights, g.depth),
                #[cfg(any(dsp, test))]
                Unit::Dsp => add_row::<Dsp, N>(&mut sums, input, g.input.column, weights, g.depth),
            }
        }
    });
    sums
}

/// Adds the products of a run of inputs of each pixel with a row.
#[allow(unsafe_code)]
#[inline(never)]
unsafe fn add_row<M: Multiplier, const N: usize>(
    all: &mut [i32; N],
    mut input: *const u8,
    pixel: usize,
    mut weights: *const i8,
    depth: usize,
) {
    let mut sums = *all;
    // SAFETY: as the caller promises; arrays of bytes may lie anywhere.
    unsafe {
        let end = weights.add(depth);
        while weights < end {
            let row = M::weights(weights.cast::<[i8; 4]>().read());
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = M::add(*sum, M::inputs(input.add(n * pixel).cast::<[u8; 4]>().read()), row);
            }
            (input, weights) = (input.add(GROUP), weights.add(GROUP));
        }
    }
    *all = sums;
}
