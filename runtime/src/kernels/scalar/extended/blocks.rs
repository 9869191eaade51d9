//! Reductions and norms over blocks of channels, rows and columns.

use super::{Source, Target, get, put};
use crate::kernels::geometry::Pixel;
use crate::kernels::image::Image;
use crate::kernels::math;
use crate::kernels::values::Values;
use crate::ops::{NormalizeKind, Reduce, ReduceKind};

/// The elements of one block.
struct Block<'a, 'v> {
    image: &'a Image,
    values: &'a Values<'v>,
    example: usize,
    /// Its first channel, row and column.
    first: [usize; 3],
    extents: [usize; 3],
}

impl Block<'_, '_> {
    /// The element of the block at a channel, row and column of it.
    fn at(&self, [channel, row, column]: [usize; 3]) -> f32 {
        let [c, y, x] = self.first;
        let pixel = Pixel { example: self.example, row: y + row, column: x + column };
        get(self.image, self.values, self.image.strides.at(pixel) + c + channel)
    }

    /// `combine` over all elements, row by row and then over the rows: sums of many elements lose less that way.
    fn fold(&self, start: f32, of: impl Fn(f32) -> f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
        let [channels, rows, columns] = self.extents;
        // Where pixels are single, channels lie side by side and are the row.
        if rows * columns == 1 {
            return (0..channels).fold(start, |sum, channel| combine(sum, of(self.at([channel, 0, 0]))));
        }
        let mut total = start;
        for channel in 0..channels {
            for row in 0..rows {
                let of_row =
                    (0..columns).fold(start, |sum, column| combine(sum, of(self.at([channel, row, column]))));
                total = combine(total, of_row);
            }
        }
        total
    }

    fn sum(&self, of: impl Fn(f32) -> f32) -> f32 {
        self.fold(0.0, of, |a, b| a + b)
    }

    fn greatest(&self) -> f32 {
        self.fold(f32::NEG_INFINITY, |x| x, |a, b| math::max(b, a))
    }

    fn count(&self) -> f32 {
        self.extents.iter().product::<usize>() as f32
    }
}

/// Calls `each(its place among the blocks, block)` for every block of the batch.
fn blocks(
    batch: usize,
    extents: [usize; 3],
    (image, values): Source<'_, '_>,
    mut each: impl FnMut([usize; 3], &Block<'_, '_>),
) {
    let count = [0, 1, 2].map(|n| image.extents()[n] / extents[n]);
    for example in 0..batch {
        for c in 0..count[0] {
            for y in 0..count[1] {
                for x in 0..count[2] {
                    let first = [c * extents[0], y * extents[1], x * extents[2]];
                    each([c, y, x], &Block { image, values, example, first, extents });
                }
            }
        }
    }
}

pub(super) fn reduce(
    batch: usize,
    Reduce { kind, block }: Reduce,
    source: Source<'_, '_>,
    (to, output): Target<'_, '_>,
) {
    blocks(batch, block, source, |[channel, row, column], block| {
        let result = match kind {
            ReduceKind::Mean => block.sum(|x| x) / block.count(),
            ReduceKind::Sum => block.sum(|x| x),
            ReduceKind::Maximum => block.greatest(),
            ReduceKind::Minimum => block.fold(f32::INFINITY, |x| x, |a, b| math::min(b, a)),
            ReduceKind::Euclidean => libm::sqrtf(block.sum(|x| x * x)),
            ReduceKind::Absolute => block.sum(libm::fabsf),
        };
        let at = to.strides.at(Pixel { example: block.example, row, column }) + channel;
        put(to, output, at, result);
    });
}

pub(super) fn normalize(
    batch: usize,
    kind: NormalizeKind,
    block: [usize; 3],
    epsilon: f32,
    source: Source<'_, '_>,
    (to, output): Target<'_, '_>,
) {
    blocks(batch, block, source, |_, block| {
        // A zero vector stays zero.
        let inverse = |norm: f32| if norm > 0.0 { 1.0 / norm } else { 0.0 };
        // y = (x - center) * factor
        let (center, factor) = match kind {
            NormalizeKind::Softmax => {
                let greatest = block.greatest();
                (greatest, inverse(block.sum(|x| math::exp(x - greatest))))
            }
            NormalizeKind::Euclidean => (0.0, inverse(math::max(libm::sqrtf(block.sum(|x| x * x)), epsilon))),
            NormalizeKind::Absolute => (0.0, inverse(math::max(block.sum(libm::fabsf), epsilon))),
            NormalizeKind::Standardize => {
                let mean = block.sum(|x| x) / block.count();
                let variance = block.sum(|x| (x - mean) * (x - mean)) / block.count();
                (mean, inverse(libm::sqrtf(variance + epsilon)))
            }
            NormalizeKind::RootMeanSquare => {
                (0.0, inverse(libm::sqrtf(block.sum(|x| x * x) / block.count() + epsilon)))
            }
        };
        let [channels, rows, columns] = block.extents;
        for row in 0..rows {
            for column in 0..columns {
                let [c, y, x] = block.first;
                let pixel = Pixel { example: block.example, row: y + row, column: x + column };
                let target = to.strides.at(pixel) + c;
                for channel in 0..channels {
                    let away = block.at([channel, row, column]) - center;
                    let away = if kind == NormalizeKind::Softmax { math::exp(away) } else { away };
                    put(to, output, target + channel, away * factor);
                }
            }
        }
    });
}
