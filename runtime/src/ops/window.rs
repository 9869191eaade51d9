//! Windows that slide over an image: convolutions, transposed convolutions, pools.

/// A window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Taps.
    pub kernel: usize,
    /// Step from output to output (for a transposed convolution: from input to input).
    pub stride: usize,
    /// Step from tap to tap.
    pub dilation: usize,
    /// Padding before the first element; what is after follows from the output's extent.
    pub pad: usize,
}

impl WindowAxis {
    /// A window of one element.
    pub const ONE: Self = Self { kernel: 1, stride: 1, dilation: 1, pad: 0 };

    /// The elements that the window covers, dilation included.
    pub fn span(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// How far beyond the input, before and after, a convolution with this window reaches.
    pub fn reach(&self, input: usize, output: usize) -> (usize, usize) {
        let last = (output - 1) * self.stride + self.span();
        (self.pad, last.saturating_sub(self.pad + input))
    }

    /// The part of a transposed convolution (dilation 1) that writes outputs `phase`, `phase + stride`, ...; see [`Phase`].
    ///
    /// Output `o` sums over taps `k` and inputs `i` with `o + pad = i * stride + k`, so all taps of one output have the
    /// same remainder.
    pub fn phase(&self, output: usize, phase: usize) -> Phase {
        let first_tap = (phase + self.pad) % self.stride;
        let taps = self.kernel.saturating_sub(first_tap).div_ceil(self.stride);
        // The input under tap `first_tap` of output `phase`; later taps reach back from there.
        let latest = (phase + self.pad - first_tap) / self.stride;
        Phase {
            outputs: output.saturating_sub(phase).div_ceil(self.stride),
            first_tap,
            taps,
            first_input: latest as isize - (taps as isize - 1),
        }
    }

    /// How far beyond the input, before and after, a transposed convolution reaches.
    pub fn transposed_reach(&self, input: usize, output: usize) -> (usize, usize) {
        (0..self.stride.min(output)).fold((0, 0), |(before, after), phase| {
            let phase = self.phase(output, phase);
            if phase.taps == 0 || phase.outputs == 0 {
                return (before, after);
            }
            let end = phase.first_input + phase.taps as isize + phase.outputs as isize - 1;
            (
                before.max((-phase.first_input).max(0) as usize),
                after.max((end - input as isize).max(0) as usize),
            )
        })
    }
}

/// A window that slides over rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// ONNX's `kernel_shape`: rows, columns.
    pub kernel: [usize; 2],
    /// `strides`: the step along rows and columns, at least 1.
    pub stride: [usize; 2],
    /// `dilations`: the distance between the window's elements, at least 1.
    pub dilation: [usize; 2],
    /// `pads`: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// A square kernel with equal stride and pads.
    pub const fn square(kernel: usize, stride: usize, pad: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pads: [pad; 4] }
    }

    /// The window along rows and columns, without the pads at the ends.
    pub fn axes(&self) -> [WindowAxis; 2] {
        [0, 1].map(|n| WindowAxis {
            kernel: self.kernel[n],
            stride: self.stride[n],
            dilation: self.dilation[n],
            pad: self.pads[n],
        })
    }

    /// Rows (axis 0) or columns (axis 1) from the window's first element to its last, both included.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// How many windows fit along an axis of the given length; with `ceil` a last one that overhangs counts, unless it
    /// begins in the padding after the image. `None` when not even one fits.
    pub fn count(&self, axis: usize, length: usize, ceil: bool) -> Option<usize> {
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let room = (length + before + after).checked_sub(self.extent(axis))?;
        let stride = self.stride[axis];
        let mut count = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
        if ceil && (count - 1) * stride >= length + before {
            count -= 1;
        }
        Some(count)
    }
}

/// One output phase of a transposed convolution along one axis: an ordinary convolution of stride 1 whose outputs land
/// `stride` apart. Its tap `t` is the transposed convolution's tap `first_tap + (taps - 1 - t) * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Outputs of this phase.
    pub outputs: usize,
    /// The smallest tap that takes part.
    pub first_tap: usize,
    /// Taps that take part; may be none.
    pub taps: usize,
    /// The input under tap 0 of the first output; negative where it lies in the halo.
    pub first_input: isize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn phases_are_the_transposed_convolution() {
        for kernel in 1..6 {
            for stride in 1..5 {
                for pad in 0..kernel {
                    for extra in 0..stride {
                        for input in 1..5 {
                            let full = (input - 1) * stride + kernel + extra;
                            if full <= 2 * pad {
                                continue;
                            }
                            let output = full - 2 * pad;
                            let axis = WindowAxis { kernel, stride, dilation: 1, pad };
                            let mut expected = vec![vec![]; output];
                            for i in 0..input {
                                for k in 0..kernel {
                                    if let Some(o) = (i * stride + k).checked_sub(pad).filter(|&o| o < output)
                                    {
                                        expected[o].push((i, k));
                                    }
                                }
                            }
                            let (before, after) = axis.transposed_reach(input, output);
                            let mut found = vec![vec![]; output];
                            for phase in 0..stride.min(output) {
                                let part = axis.phase(output, phase);
                                for n in 0..part.outputs {
                                    for t in 0..part.taps {
                                        let i = part.first_input + (n + t) as isize;
                                        assert!(i >= -(before as isize) && i < (input + after) as isize);
                                        if (0..input as isize).contains(&i) {
                                            let k = part.first_tap + (part.taps - 1 - t) * stride;
                                            found[phase + n * stride].push((i as usize, k));
                                        }
                                    }
                                }
                            }
                            assert_eq!(found, expected, "{axis:?} input {input} output {output}");
                        }
                    }
                }
            }
        }
    }
}
