//! Convolutions, by definition.

use std::ops::Range;

use super::{Array, Real};
use crate::graph::{Convolution, TransposedConvolution, Window};

/// Every output is the sum over a window of the input.
pub(super) fn convolution<T: Real>(
    conv: &Convolution,
    x: &Array<T>,
    weight: &Array<T>,
    bias: Option<&Array<T>>,
) -> Array<T> {
    let [batch, channels, height, width] = four(&x.shape);
    let [outputs, per_group, kernel_rows, kernel_columns] = four(&weight.shape);
    let window = &conv.window;
    let rows = window.count(0, height, false).unwrap_or(0);
    let columns = window.count(1, width, false).unwrap_or(0);
    let outputs_per_group = outputs / conv.groups;
    let mut result = Array::zeros(vec![batch, outputs, rows, columns]);
    for n in 0..batch {
        for output in 0..outputs {
            let first = output / outputs_per_group * per_group;
            let plane = &mut result.data[(n * outputs + output) * rows * columns..][..rows * columns];
            plane.fill(bias.map_or(T::default(), |bias| bias.data[output]));
            for input in 0..per_group {
                let image = &x.data[(n * channels + first + input) * height * width..][..height * width];
                for i in 0..kernel_rows {
                    for j in 0..kernel_columns {
                        let factor = weight.data
                            [((output * per_group + input) * kernel_rows + i) * kernel_columns + j];
                        for row in 0..rows {
                            // Row of the input, still shifted by the padding.
                            let from_row = row * window.stride[0] + i * window.dilation[0];
                            let Some(from_row) = inside(from_row, window.pads[0], height) else { continue };
                            let image = &image[from_row * width..][..width];
                            let plane = &mut plane[row * columns..][..columns];
                            if let Some((from, places)) = places(window, j, width, columns) {
                                add_products(
                                    (&mut plane[places], 1),
                                    factor,
                                    (&image[from..], window.stride[1]),
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    result
}

/// Every input is spread over a window of the output.
pub(super) fn transposed<T: Real>(
    conv: &TransposedConvolution,
    x: &Array<T>,
    weight: &Array<T>,
    bias: Option<&Array<T>>,
) -> Array<T> {
    let [batch, channels, height, width] = four(&x.shape);
    let [_, per_group, kernel_rows, kernel_columns] = four(&weight.shape);
    let window = &conv.window;
    let length = |axis: usize, input: usize| {
        ((input - 1) * window.stride[axis] + window.extent(axis) + conv.output_padding[axis])
            .saturating_sub(window.pads[axis] + window.pads[axis + 2])
    };
    let (rows, columns) = (length(0, height), length(1, width));
    let outputs = per_group * conv.groups;
    let inputs_per_group = channels / conv.groups;
    let mut result = Array::zeros(vec![batch, outputs, rows, columns]);
    for n in 0..batch {
        for output in 0..outputs {
            let (group, within) = (output / per_group, output % per_group);
            let plane = &mut result.data[(n * outputs + output) * rows * columns..][..rows * columns];
            plane.fill(bias.map_or(T::default(), |bias| bias.data[output]));
            for input in group * inputs_per_group..(group + 1) * inputs_per_group {
                let image = &x.data[(n * channels + input) * height * width..][..height * width];
                for i in 0..kernel_rows {
                    for j in 0..kernel_columns {
                        let factor = weight.data
                            [((input * per_group + within) * kernel_rows + i) * kernel_columns + j];
                        for row in 0..height {
                            let to_row = row * window.stride[0] + i * window.dilation[0];
                            let Some(to_row) = inside(to_row, window.pads[0], rows) else { continue };
                            let image = &image[row * width..][..width];
                            let plane = &mut plane[to_row * columns..][..columns];
                            if let Some((to, places)) = places(window, j, columns, width) {
                                add_products(
                                    (&mut plane[to..], window.stride[1]),
                                    factor,
                                    (&image[places], 1),
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    result
}

/// Of `count` windows along the columns those whose element `j` lies inside an image of the given width, and where it
/// does for the first of them.
fn places(window: &Window, j: usize, width: usize, count: usize) -> Option<(usize, Range<usize>)> {
    let (stride, ahead) = (window.stride[1], j * window.dilation[1]);
    let first = window.pads[1].saturating_sub(ahead).div_ceil(stride);
    let end = (window.pads[1] + width).saturating_sub(ahead).div_ceil(stride).min(count);
    (first < end).then(|| (first * stride + ahead - window.pads[1], first..end))
}

/// Adds to each `every`th sum the product of the factor and each `nth` value, until either is at its end.
fn add_products<T: Real>((sums, every): (&mut [T], usize), factor: T, (values, nth): (&[T], usize)) {
    if (every, nth) == (1, 1) {
        // The same, but the compiler sees that neighbours are next to each other.
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += factor * value;
        }
        return;
    }
    for (sum, &value) in sums.iter_mut().step_by(every).zip(values.iter().step_by(nth)) {
        *sum += factor * value;
    }
}

/// The place in an axis of `length`, given its place in the padded axis; `None` in the padding.
pub(super) fn inside(at: usize, pad: usize, length: usize) -> Option<usize> {
    at.checked_sub(pad).filter(|&at| at < length)
}

/// The four axes of an image or a kernel, which inference has checked.
pub(super) fn four(shape: &[usize]) -> [usize; 4] {
    [shape[0], shape[1], shape[2], shape[3]]
}
