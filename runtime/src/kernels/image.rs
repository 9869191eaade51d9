//! Images in memory, channels last: where pixels lie and what their elements mean.

use super::epilogue::quantize;
use super::geometry::{OutOfBounds, Pixel, Strides};
use super::values::{Values, ValuesMut};
use crate::ops::BLOCK;

/// 16 channels of a pixel.
pub(crate) type Block = [f32; BLOCK];

/// A batch of images in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) strides: Strides,
    /// Of U8 elements; 1 and 0 for floats.
    pub(crate) scale: f32,
    pub(crate) zero_point: u8,
}

impl Image {
    /// Whether all pixels of the batch lie in a slice of so many elements.
    pub(crate) fn check(&self, batch: usize, length: usize) -> Result<(), OutOfBounds> {
        let end = self
            .strides
            .last(batch, self.height, self.width)
            .and_then(|last| last.checked_add(self.channels));
        if end.is_some_and(|end| end <= length) { Ok(()) } else { Err(OutOfBounds) }
    }

    /// Channels, rows, columns.
    #[cfg(feature = "extended-operators")]
    pub(crate) fn extents(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The elements of one example.
    pub(crate) fn elements(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Calls `each` for every pixel of the batch.
    #[inline(always)]
    pub(crate) fn pixels(&self, batch: usize, mut each: impl FnMut(Pixel)) {
        for example in 0..batch {
            for row in 0..self.height {
                for column in 0..self.width {
                    each(Pixel { example, row, column });
                }
            }
        }
    }

    /// Calls `each(first channel, number of channels)` for every block of channels.
    #[inline(always)]
    pub(crate) fn blocks(&self, mut each: impl FnMut(usize, usize)) {
        let mut channel = 0;
        while channel < self.channels {
            let lanes = (self.channels - channel).min(BLOCK);
            each(channel, lanes);
            channel += lanes;
        }
    }

    /// The real value of a U8 element.
    #[inline(always)]
    pub(crate) fn real(&self, byte: u8) -> f32 {
        (i32::from(byte) - i32::from(self.zero_point)) as f32 * self.scale
    }

    /// The real values of `lanes` elements; the other lanes are 0.
    #[inline(always)]
    pub(crate) fn load(&self, values: &Values<'_>, at: usize, lanes: usize) -> Block {
        let mut block = [0.0; BLOCK];
        match values {
            Values::F32(values) => match values[at..].first_chunk::<BLOCK>() {
                Some(whole) if lanes == BLOCK => block = *whole,
                _ => block[..lanes].copy_from_slice(&values[at..at + lanes]),
            },
            Values::U8(values) => {
                let mut bytes = [self.zero_point; BLOCK];
                match values[at..].first_chunk::<BLOCK>() {
                    Some(whole) if lanes == BLOCK => bytes = *whole,
                    _ => bytes[..lanes].copy_from_slice(&values[at..at + lanes]),
                }
                for (real, byte) in block.iter_mut().zip(bytes) {
                    *real = self.real(byte);
                }
            }
        }
        block
    }

    /// Writes `lanes` real values.
    #[inline(always)]
    pub(crate) fn store(&self, values: &mut ValuesMut<'_>, at: usize, lanes: usize, block: &Block) {
        match values {
            ValuesMut::F32(values) => values[at..at + lanes].copy_from_slice(&block[..lanes]),
            ValuesMut::U8(values) => {
                let inverse = 1.0 / self.scale;
                let mut bytes = [0; BLOCK];
                for (byte, real) in bytes.iter_mut().zip(block) {
                    *byte = quantize(real * inverse, self.zero_point);
                }
                values[at..at + lanes].copy_from_slice(&bytes[..lanes]);
            }
        }
    }
}

/// Applies a function to every lane.
#[inline(always)]
pub(crate) fn map(block: &mut Block, function: impl Fn(f32) -> f32) {
    for lane in block {
        *lane = function(*lane);
    }
}
