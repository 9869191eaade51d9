//! Pools.

use super::convolution::{four, inside};
use super::{Array, Real};
use crate::graph::{Pool, PoolKind};

pub(super) fn pool<T: Real>(pool: &Pool, x: &Array<T>) -> Array<T> {
    let [batch, channels, height, width] = four(&x.shape);
    let window = &pool.window;
    let rows = window.count(0, height, pool.ceil).unwrap_or(0);
    let columns = window.count(1, width, pool.ceil).unwrap_or(0);
    let mut result = Array::zeros(vec![batch, channels, rows, columns]);
    // The padded image: a window that overhangs it because of rounding up counts only what is in it.
    let padded = [height + window.pads[0] + window.pads[2], width + window.pads[1] + window.pads[3]];
    for plane in 0..batch * channels {
        let image = &x.data[plane * height * width..][..height * width];
        for row in 0..rows {
            for column in 0..columns {
                let mut greatest: Option<T> = None;
                let (mut sum, mut in_image, mut in_padded) = (T::default(), 0u32, 0u32);
                for i in 0..window.kernel[0] {
                    for j in 0..window.kernel[1] {
                        let at = [
                            row * window.stride[0] + i * window.dilation[0],
                            column * window.stride[1] + j * window.dilation[1],
                        ];
                        in_padded += u32::from(at[0] < padded[0] && at[1] < padded[1]);
                        let (Some(y), Some(x)) =
                            (inside(at[0], window.pads[0], height), inside(at[1], window.pads[1], width))
                        else {
                            continue;
                        };
                        let value = image[y * width + x];
                        greatest = Some(greatest.map_or(value, |greatest| greatest.greater(value)));
                        sum += value;
                        in_image += 1;
                    }
                }
                let mean = |count: u32| sum / T::from_f64(count.max(1).into());
                result.data[(plane * rows + row) * columns + column] = match pool.kind {
                    PoolKind::Max => greatest.unwrap_or(T::from_f64(f64::NEG_INFINITY)),
                    PoolKind::Average => mean(in_image),
                    PoolKind::AverageWithPadding => mean(in_padded),
                };
            }
        }
    }
    result
}
