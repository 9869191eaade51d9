//! Convolutions, as matrix products.

use std::ops::Range;

use super::matrix::{Matrix, add_product};
use super::{Array, Real};
use crate::graph::{Convolution, TransposedConvolution, Window};

/// About how many elements the matrix of a convolution's windows has at once.
const WINDOWS_AT_ONCE: usize = 1 << 20;

/// Every output is the sum over a window of the input: the weights' matrix times that of all windows.
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
    let outputs_per_group = outputs / conv.groups.max(1);
    let products = per_group * kernel_rows * kernel_columns;
    let mut result = Array::zeros(vec![batch, outputs, rows, columns]);
    if result.data.is_empty() {
        return result;
    }
    let at_once = (WINDOWS_AT_ONCE / (products * columns).max(1)).clamp(1, rows);
    let mut windows = vec![T::default(); products * at_once * columns];
    for n in 0..batch {
        for group in 0..conv.groups {
            let first = n * outputs + group * outputs_per_group;
            let planes = &mut result.data[first * rows * columns..][..outputs_per_group * rows * columns];
            for (output, plane) in planes.chunks_exact_mut(rows * columns).enumerate() {
                let bias = bias.map_or(T::default(), |bias| bias.data[group * outputs_per_group + output]);
                plane.fill(bias);
            }
            let weight = &weight.data[group * outputs_per_group * products..][..outputs_per_group * products];
            for top in (0..rows).step_by(at_once) {
                let some = at_once.min(rows - top);
                let windows = &mut windows[..products * some * columns];
                windows.fill(T::default());
                let mut lines = windows.chunks_exact_mut(columns);
                for input in 0..per_group {
                    let image = (n * channels + group * per_group + input) * height * width;
                    let image = &x.data[image..][..height * width];
                    for (i, j) in (0..kernel_rows).flat_map(|i| (0..kernel_columns).map(move |j| (i, j))) {
                        let places = places(window, j, width, columns);
                        for (row, line) in (top..top + some).zip(lines.by_ref()) {
                            // Row of the input, still shifted by the padding.
                            let from_row = row * window.stride[0] + i * window.dilation[0];
                            let Some(from_row) = inside(from_row, window.pads[0], height) else { continue };
                            let Some((from, places)) = places.clone() else { continue };
                            let image = image[from_row * width..][..width][from..].iter();
                            for (place, &value) in
                                line[places].iter_mut().zip(image.step_by(window.stride[1]))
                            {
                                *place = value;
                            }
                        }
                    }
                }
                add_product(
                    Matrix::new(weight, products),
                    Matrix::new(windows, some * columns),
                    planes,
                    (rows * columns, top * columns),
                );
            }
        }
    }
    result
}

/// Every input is spread over a window of the output: the weights' matrix times the inputs gives what is added at each place.
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
    let inputs_per_group = channels / conv.groups.max(1);
    let products = per_group * kernel_rows * kernel_columns;
    let mut result = Array::zeros(vec![batch, outputs, rows, columns]);
    if result.data.is_empty() {
        return result;
    }
    let mut spread = vec![T::default(); products * height * width];
    for n in 0..batch {
        for group in 0..conv.groups {
            let first = group * inputs_per_group;
            let weight = &weight.data[first * products..][..inputs_per_group * products];
            let images =
                &x.data[(n * channels + first) * height * width..][..inputs_per_group * height * width];
            spread.fill(T::default());
            add_product(
                Matrix::new(weight, products).transposed(),
                Matrix::new(images, height * width),
                &mut spread,
                (height * width, 0),
            );
            let mut lines = spread.chunks_exact(width);
            for output in group * per_group..(group + 1) * per_group {
                let plane = &mut result.data[(n * outputs + output) * rows * columns..][..rows * columns];
                plane.fill(bias.map_or(T::default(), |bias| bias.data[output]));
                for (i, j) in (0..kernel_rows).flat_map(|i| (0..kernel_columns).map(move |j| (i, j))) {
                    let places = places(window, j, columns, width);
                    for (row, line) in (0..height).zip(lines.by_ref()) {
                        let to_row = row * window.stride[0] + i * window.dilation[0];
                        let Some(to_row) = inside(to_row, window.pads[0], rows) else { continue };
                        let Some((to, places)) = places.clone() else { continue };
                        let plane = plane[to_row * columns..][..columns][to..].iter_mut();
                        for (sum, &value) in plane.step_by(window.stride[1]).zip(&line[places]) {
                            *sum += value;
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

/// The place in an axis of `length`, given its place in the padded axis; `None` in the padding.
pub(super) fn inside(at: usize, pad: usize, length: usize) -> Option<usize> {
    at.checked_sub(pad).filter(|&at| at < length)
}

/// The four axes of an image or a kernel, which inference has checked.
pub(super) fn four(shape: &[usize]) -> [usize; 4] {
    [shape[0], shape[1], shape[2], shape[3]]
}
