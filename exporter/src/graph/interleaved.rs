//! A convolution whose channels are interleaved to rows and columns: Conv, DepthToSpace and Slice as one layer, with a
//! bias (and, of integers, a scale) for each channel before they are interleaved. It is a transposed convolution whose
//! phases have biases of their own.

use super::{Convolution, DepthOrder, DepthToSpace, Slice, Window};

/// Attributes of [`Op::Interleaved`](super::Op::Interleaved).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interleaved {
    /// The convolution's window, of stride 1 and without gaps. It reaches over at least as much as is padded.
    pub window: Window,
    /// How channels become rows and columns.
    pub depth: DepthToSpace,
    /// Rows and columns that are cut off after that: top, left, bottom, right.
    pub cut: [usize; 4],
}

impl DepthToSpace {
    /// The channel that becomes row i and column j of the blocks of channel c, of so many.
    pub fn source(&self, [c, channels]: [usize; 2], [i, j]: [usize; 2]) -> usize {
        match self.order {
            DepthOrder::BlockFirst => (i * self.block + j) * channels + c,
            DepthOrder::ChannelFirst => (c * self.block + i) * self.block + j,
        }
    }

    /// For each row i, column j and channel c of the blocks, one after the other, the channel that becomes it.
    pub fn sources(&self, channels: usize) -> Vec<usize> {
        let block = self.block;
        let places = (0..block * block).flat_map(|place| (0..channels).map(move |c| (place, c)));
        places.map(|(place, c)| self.source([c, channels], [place / block, place % block])).collect()
    }
}

impl Interleaved {
    /// What a convolution and DepthToSpace are; `None` when they are no transposed convolution.
    ///
    /// Input q and tap j of the convolution go to m = q - j + pad before of a whole result, and from there to rows
    /// s m + r, where r is the remainder that a channel stands for; input q and tap k of a transposed convolution go to
    /// s q + k. So k is s (taps - 1 - j) + r, and s (taps - 1 - pad) is cut off before and after.
    pub fn new(window: Window, depth: DepthToSpace) -> Option<Interleaved> {
        let Window { kernel, stride: [1, 1], dilation: [1, 1], pads } = window else { return None };
        let reaches = (0..4).all(|side| pads[side] < kernel[side % 2]);
        reaches.then_some(Interleaved { window, depth, cut: [0; 4] })
    }

    /// The convolution that comes first.
    pub fn convolution(&self) -> Convolution {
        Convolution { window: self.window, groups: 1 }
    }

    /// What is done last, of so many rows and columns: nothing, when there is no slice.
    pub fn slices(&self, lengths: [usize; 2]) -> Vec<Slice> {
        let of = |axis: usize| {
            let (start, end) = (self.cut[axis], lengths[axis].saturating_sub(self.cut[axis + 2]));
            Slice::new(axis + 2, start.min(lengths[axis]), end)
        };
        let axes = (0..2).filter(|&axis| [self.cut[axis], self.cut[axis + 2]] != [0, 0]);
        axes.map(of).collect()
    }

    /// The window of the transposed convolution.
    pub fn transposed(&self) -> Window {
        let Window { kernel, pads, .. } = self.window;
        let block = self.depth.block;
        let cut = |side: usize| block * (kernel[side % 2] - 1 - pads[side]) + self.cut[side];
        Window {
            kernel: kernel.map(|taps| taps * block),
            stride: [block; 2],
            dilation: [1, 1],
            pads: [cut(0), cut(1), cut(2), cut(3)],
        }
    }

    /// The weights (in, out, rows, columns) of the transposed convolution: their shape, and where each lies among the
    /// convolution's, whose shape begins with these two lengths.
    pub fn transposed_weights(&self, [all, inputs]: [usize; 2]) -> ([usize; 4], Vec<usize>) {
        let (block, taps) = (self.depth.block, self.window.kernel);
        let (channels, kernel) = (all / (block * block), taps.map(|taps| taps * block));
        let shape = [inputs, channels, kernel[0], kernel[1]];
        let places = (0..shape.iter().product()).map(|at| {
            let (k, rest) = ([at / kernel[1] % kernel[0], at % kernel[1]], at / (kernel[0] * kernel[1]));
            let (input, channel) = (rest / channels, rest % channels);
            let from = self.depth.source([channel, channels], k.map(|k| k % block));
            let [row, column] = [0, 1].map(|axis| taps[axis] - 1 - k[axis] / block);
            ((from * inputs + input) * taps[0] + row) * taps[1] + column
        });
        (shape, places.collect())
    }
}
