//! How a matrix product walks over memory: one description for fully connected layers, convolutions and the phases of
//! transposed convolutions, and the check that it stays inside the slices.

use core::ops::Range;

use super::epilogue::Epilogue;
use super::values::{Values, ValuesMut};
use crate::ops::{Affine, BLOCK, Bias, NARROW, PackedWeights};

/// A slice is too short for what a kernel was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

/// The type and the length of an output.
pub(crate) trait OutputShape {
    fn is_u8(&self) -> bool;
    fn length(&self) -> usize;
}

impl OutputShape for ValuesMut<'_> {
    fn is_u8(&self) -> bool {
        ValuesMut::is_u8(self)
    }

    fn length(&self) -> usize {
        self.len()
    }
}

impl OutputShape for (bool, usize) {
    fn is_u8(&self) -> bool {
        self.0
    }

    fn length(&self) -> usize {
        self.1
    }
}

/// Where pixels lie, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strides {
    /// Of the first pixel of the first example.
    pub(crate) offset: usize,
    pub(crate) example: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Strides {
    /// The element where a pixel begins.
    #[inline(always)]
    pub(crate) fn at(&self, pixel: Pixel) -> usize {
        self.offset + pixel.example * self.example + pixel.row * self.row + pixel.column * self.column
    }

    /// The largest [`Strides::at`], or `None` if it overflows.
    pub(crate) fn last(&self, batch: usize, height: usize, width: usize) -> Option<usize> {
        let [batch, height, width] = [batch.checked_sub(1)?, height.checked_sub(1)?, width.checked_sub(1)?];
        self.offset
            .checked_add(batch.checked_mul(self.example)?)?
            .checked_add(height.checked_mul(self.row)?)?
            .checked_add(width.checked_mul(self.column)?)
    }
}

/// An output pixel of the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pixel {
    pub(crate) example: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// `output[pixel][row] = sum over taps and depth of input[pixel + tap][k] * weights[row][k]`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    /// Output rows.
    pub(crate) height: usize,
    /// Output columns.
    pub(crate) width: usize,
    /// Taps along rows and columns; either may be 0, then there is only the bias.
    pub(crate) taps: [usize; 2],
    /// Elements from tap to tap along rows and columns.
    pub(crate) tap: [usize; 2],
    /// Elements read at each tap; for int8 a multiple of 4.
    pub(crate) depth: usize,
    /// Where the first tap of each output pixel lies.
    pub(crate) input: Strides,
    /// Where each output pixel lies.
    pub(crate) output: Strides,
    /// Where the residual of each output pixel lies.
    pub(crate) residual: Strides,
    /// Output channels: rows of weights that are written.
    pub(crate) channels: usize,
    /// Whether the weights are blocks even of few channels: the last of more.
    pub(crate) blocked: bool,
}

impl Geometry {
    /// Output pixels of the whole batch.
    pub(crate) fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Blocks of output channels.
    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Rows that the weights have: the channels, filled up to whole blocks unless they are few.
    pub(crate) fn weight_rows(&self) -> usize {
        if self.is_narrow() { self.channels } else { self.blocks() * BLOCK }
    }

    /// Whether there are so few channels that weights lie row after row.
    pub(crate) fn is_narrow(&self) -> bool {
        self.channels <= NARROW && !self.blocked
    }

    /// Products per output element.
    pub(crate) fn products(&self) -> usize {
        self.taps[0] * self.taps[1] * self.depth
    }

    /// The `index`-th output pixel.
    #[inline(always)]
    pub(crate) fn pixel(&self, index: usize) -> Pixel {
        let (rows, column) = (index / self.width, index % self.width);
        Pixel { example: rows / self.height, row: rows % self.height, column }
    }

    /// The pixel after this one.
    #[inline(always)]
    pub(crate) fn next(&self, mut pixel: Pixel) -> Pixel {
        pixel.column += 1;
        if pixel.column == self.width {
            pixel.column = 0;
            pixel.row += 1;
            if pixel.row == self.height {
                pixel.row = 0;
                pixel.example += 1;
            }
        }
        pixel
    }

    /// Calls `each(lane, pixel, number)` for the runs of pixels within a row that `count` pixels from `first` on consist of.
    #[inline(always)]
    pub(crate) fn runs(&self, first: Pixel, count: usize, mut each: impl FnMut(usize, Pixel, usize)) {
        let (mut pixel, mut lane) = (first, 0);
        while lane < count {
            let run = self.width.saturating_sub(pixel.column).clamp(1, count - lane);
            each(lane, pixel, run);
            lane += run;
            pixel.column += run - 1;
            pixel = self.next(pixel);
        }
    }

    /// Some blocks of output channels by themselves.
    pub(crate) fn part(&self, blocks: Range<usize>) -> Self {
        let first = blocks.start * BLOCK;
        let from = |strides: Strides| Strides { offset: strides.offset + first, ..strides };
        let channels = (self.channels - first).min(blocks.len() * BLOCK);
        let (output, residual) = (from(self.output), from(self.residual));
        Self { output, residual, channels, blocked: !self.is_narrow(), ..*self }
    }

    /// Joins taps that follow each other in memory, so that the innermost loop is as long as can be.
    pub(crate) fn simplified(mut self) -> Self {
        if self.taps[1] > 1 && self.tap[1] == self.depth {
            self.depth *= self.taps[1];
            self.taps[1] = 1;
        }
        if self.taps[0] > 1 && self.taps[1] == 1 && self.tap[0] == self.depth {
            self.depth *= self.taps[0];
            self.taps[0] = 1;
        }
        self
    }

    /// Whether everything that a kernel will touch lies in the slices. Constant time: every index is a sum of
    /// non-negative multiples, so the largest of each decides.
    pub(crate) fn check(
        &self,
        input: &Values<'_>,
        weights: &PackedWeights<'_>,
        epilogue: &Epilogue<'_>,
        output: &impl OutputShape,
    ) -> Result<(), OutOfBounds> {
        self.fits(input, weights, epilogue, (output.is_u8(), output.length()))
            .filter(|&fits| fits)
            .map(|_| ())
            .ok_or(OutOfBounds)
    }

    fn fits(
        &self,
        input: &Values<'_>,
        weights: &PackedWeights<'_>,
        epilogue: &Epilogue<'_>,
        (is_u8, length): (bool, usize),
    ) -> Option<bool> {
        let last = |strides: &Strides| strides.last(self.batch, self.height, self.width);
        let products = self.taps[0].checked_mul(self.taps[1])?.checked_mul(self.depth)?;
        let mut read = 0;
        if products > 0 {
            read = last(&self.input)?
                .checked_add((self.taps[0] - 1).checked_mul(self.tap[0])?)?
                .checked_add((self.taps[1] - 1).checked_mul(self.tap[1])?)?
                .checked_add(self.depth)?;
        }
        let rows = self.channels.checked_next_multiple_of(BLOCK)?;
        let weight_rows = if self.is_narrow() { self.channels } else { rows };
        let parameters = match epilogue.bias {
            Bias::F32(bias) => bias.len() >= rows,
            Bias::I32 { bias, scale, sum128 } => {
                bias.len() >= rows
                    && scale.len() >= rows
                    && sum128.len() >= rows
                    && self.depth.is_multiple_of(4)
            }
        };
        let after =
            epilogue.after.is_none_or(|Affine { scale, shift }| scale.len() >= rows && shift.len() >= rows);
        let residual = match &epilogue.residual {
            None => true,
            Some(residual) => {
                last(&self.residual)?.checked_add(self.channels)? <= residual.values.len()
                    && matches!(residual.values, Values::U8(_)) == is_u8
            }
        };
        Some(
            self.channels > 0
                && self.depth > 0
                && read <= input.len()
                && weight_rows.checked_mul(products)? <= weights.len()
                && last(&self.output)?.checked_add(self.channels)? <= length
                && parameters
                && after
                && residual,
        )
    }
}
