//! Pools: the greatest or the mean of a window, clipped to the image.

use core::ops::Range;

use crate::kernels::geometry::Pixel;
use crate::kernels::image::{Image, map};
use crate::kernels::math;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{BLOCK, Pool, PoolKind, WindowAxis};

impl WindowAxis {
    /// The taps of an output that lie in an input of `extent` elements, and the element under tap 0 plus the pad.
    #[inline(always)]
    fn taps(&self, output: usize, extent: usize) -> (Range<usize>, usize) {
        let start = output * self.stride;
        let first = self.pad.saturating_sub(start).div_ceil(self.dilation);
        let end = (extent + self.pad).saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        (first.min(end)..end, start)
    }
}

/// Pools; both images have the same channels and their bounds have been checked. A window outside the image gives 0.
#[inline(always)]
pub(crate) fn pool(
    batch: usize,
    Pool { window, kind }: &Pool,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    let size = (window[0].kernel * window[1].kernel) as f32;
    to.pixels(batch, |pixel| {
        let (rows, top) = window[0].taps(pixel.row, from.height);
        let (columns, left) = window[1].taps(pixel.column, from.width);
        let inside = || {
            let columns = columns.clone();
            rows.clone().flat_map(move |y| columns.clone().map(move |x| (y, x))).map(|(y, x)| {
                from.strides.at(Pixel {
                    example: pixel.example,
                    row: top + y * window[0].dilation - window[0].pad,
                    column: left + x * window[1].dilation - window[1].pad,
                })
            })
        };
        let count = rows.len() * columns.len();
        let at = to.strides.at(pixel);
        to.blocks(|channel, lanes| {
            let mut block = [0.0; BLOCK];
            match (kind, input) {
                (PoolKind::Max, Values::F32(_)) => {
                    let mut first = true;
                    for start in inside() {
                        let next = from.load(input, start + channel, lanes);
                        for (greatest, x) in block.iter_mut().zip(next) {
                            *greatest = if first { x } else { math::max(x, *greatest) };
                        }
                        first = false;
                    }
                }
                (PoolKind::Max, Values::U8(values)) => {
                    // Both sides have the same scale and zero point: compare the bytes themselves.
                    let mut greatest = [0u8; BLOCK];
                    for start in inside() {
                        let next = &values[start + channel..start + channel + lanes];
                        for (greatest, &x) in greatest.iter_mut().zip(next) {
                            *greatest = x.max(*greatest);
                        }
                    }
                    if count == 0 {
                        greatest = [to.zero_point; BLOCK];
                    }
                    if let ValuesMut::U8(output) = output {
                        output[at + channel..at + channel + lanes].copy_from_slice(&greatest[..lanes]);
                    }
                    return;
                }
                (_, Values::F32(_)) => {
                    for start in inside() {
                        let next = from.load(input, start + channel, lanes);
                        for (sum, x) in block.iter_mut().zip(next) {
                            *sum += x;
                        }
                    }
                    let divisor = if *kind == PoolKind::Average { count.max(1) as f32 } else { size };
                    map(&mut block, |sum| sum / divisor);
                }
                (_, Values::U8(values)) => {
                    let mut sums = [0i32; BLOCK];
                    for start in inside() {
                        let next = &values[start + channel..start + channel + lanes];
                        for (sum, &x) in sums.iter_mut().zip(next) {
                            *sum = sum.wrapping_add(i32::from(x) - i32::from(from.zero_point));
                        }
                    }
                    let divisor = if *kind == PoolKind::Average { count.max(1) as f32 } else { size };
                    let factor = from.scale / divisor;
                    for (real, sum) in block.iter_mut().zip(sums) {
                        *real = sum as f32 * factor;
                    }
                }
            }
            to.store(output, at + channel, lanes, &block);
        });
    });
}
