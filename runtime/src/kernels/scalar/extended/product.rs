//! Products of two computed matrices.

use super::{Source, Target, get, put};
use crate::kernels::geometry::Pixel;
use crate::kernels::values::ValuesMut;

/// For each channel the product of `a` and `b`, whose rows and columns are those of the images.
pub(super) fn product(
    batch: usize,
    (from, a): Source<'_, '_>,
    (other, b): Source<'_, '_>,
    (to, output): Target<'_, '_>,
) {
    for example in 0..batch {
        for channel in 0..to.channels {
            let beside = if other.channels == 1 { 0 } else { channel };
            let left = |row, column| get(from, a, from.strides.at(Pixel { example, row, column }) + channel);
            let right =
                |row, column| get(other, b, other.strides.at(Pixel { example, row, column }) + beside);
            for row in 0..to.height {
                let first = to.strides.at(Pixel { example, row, column: 0 }) + channel;
                match &mut *output {
                    // Row by row of b, which streams; each sum has its terms in the same order as below.
                    ValuesMut::F32(output) => {
                        for column in 0..to.width {
                            output[first + column * to.strides.column] = 0.0;
                        }
                        for k in 0..from.width {
                            let factor = left(row, k);
                            for column in 0..to.width {
                                output[first + column * to.strides.column] += factor * right(k, column);
                            }
                        }
                    }
                    output => {
                        for column in 0..to.width {
                            let sum =
                                (0..from.width).fold(0.0, |sum, k| sum + left(row, k) * right(k, column));
                            put(to, output, first + column * to.strides.column, sum);
                        }
                    }
                }
            }
        }
    }
}
