//! Images at another resolution by cubic convolution.

use super::{Source, Target, get, put};
use crate::kernels::geometry::Pixel;
use crate::ops::{Interpolation, Resize};

/// The weights of the four neighbors of a place that lies `t` after the second (Keys, 1981, eq. 4).
fn weights(a: f32, t: f32) -> [f32; 4] {
    let near = |x: f32| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

pub(super) fn resize(
    batch: usize,
    Resize { step, coordinates, interpolation }: Resize,
    (from, input): Source<'_, '_>,
    (to, output): Target<'_, '_>,
) {
    let Interpolation::Cubic { a } = interpolation else { return };
    // The four neighbors along an axis, the border repeated, and their weights.
    let neighbors = |place: f32, extent: usize| {
        let second = libm::floorf(place);
        let at = |n: f32| (second + n).clamp(0.0, (extent - 1) as f32) as usize;
        ([at(-1.0), at(0.0), at(1.0), at(2.0)], weights(a, place - second))
    };
    to.pixels(batch, |pixel| {
        let y = coordinates.place(pixel.row, step[0], from.height, to.height);
        let x = coordinates.place(pixel.column, step[1], from.width, to.width);
        let ((rows, down), (columns, across)) = (neighbors(y, from.height), neighbors(x, from.width));
        let target = to.strides.at(pixel);
        for channel in 0..to.channels {
            let mut sum = 0.0;
            for (row, weight) in rows.into_iter().zip(down) {
                let mut of_row = 0.0;
                for (column, weight) in columns.into_iter().zip(across) {
                    let at = from.strides.at(Pixel { example: pixel.example, row, column });
                    of_row += get(from, input, at + channel) * weight;
                }
                sum += of_row * weight;
            }
            put(to, output, target + channel, sum);
        }
    });
}
