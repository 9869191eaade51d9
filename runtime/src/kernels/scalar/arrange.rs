//! Operators that move elements: copies, pads, resizes, changes of shape.

use crate::kernels::geometry::Pixel;
use crate::kernels::image::Image;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{Coordinates, Interpolation, Pad, PadMode, Resize};

/// Writes the input into the output, beginning at a channel, row and column. Bounds have been checked.
#[inline(always)]
pub(crate) fn copy(
    batch: usize,
    at: [usize; 3],
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    let same = from.scale == to.scale && from.zero_point == to.zero_point;
    from.pixels(batch, |pixel| {
        let source = from.strides.at(pixel);
        let target = at[0]
            + to.strides.at(Pixel {
                example: pixel.example,
                row: pixel.row + at[1],
                column: pixel.column + at[2],
            });
        match (input, &mut *output) {
            (Values::F32(input), ValuesMut::F32(output)) => {
                output[target..target + from.channels]
                    .copy_from_slice(&input[source..source + from.channels]);
            }
            (Values::U8(input), ValuesMut::U8(output)) if same => {
                output[target..target + from.channels]
                    .copy_from_slice(&input[source..source + from.channels]);
            }
            (input, output) => from.blocks(|channel, lanes| {
                let block = from.load(input, source + channel, lanes);
                to.store(output, target + channel, lanes, &block);
            }),
        }
    });
}

/// The input with a border. Bounds have been checked.
#[inline(always)]
pub(crate) fn pad(
    batch: usize,
    Pad { before, mode }: Pad,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    // The input's index along an axis, or `None` in a constant border.
    let place = |at: usize, before: usize, extent: usize| match at.checked_sub(before) {
        Some(inside) if inside < extent => Some(inside),
        _ => match mode {
            PadMode::Constant(_) => None,
            PadMode::Edge => Some(at.saturating_sub(before).min(extent - 1)),
            PadMode::Reflect if at < before => Some(before - at),
            PadMode::Reflect => Some((2 * (extent - 1)).saturating_sub(at - before)),
        },
    };
    to.pixels(batch, |pixel| {
        let target = to.strides.at(pixel);
        let row = place(pixel.row, before[0], from.height);
        let column = place(pixel.column, before[1], from.width);
        to.blocks(|channel, lanes| {
            let block = match (row, column, mode) {
                (Some(row), Some(column), _) => {
                    let source = from.strides.at(Pixel { example: pixel.example, row, column });
                    from.load(input, source + channel, lanes)
                }
                (_, _, PadMode::Constant(value)) => [value; 16],
                _ => [0.0; 16],
            };
            to.store(output, target + channel, lanes, &block);
        });
    });
}

impl Coordinates {
    /// The place in the input, in pixels, of output pixel `at`.
    pub(super) fn place(self, at: usize, step: f32, input: usize, output: usize) -> f32 {
        let x = at as f32;
        match self {
            Self::PytorchHalfPixel if output == 1 => 0.0,
            Self::HalfPixel | Self::PytorchHalfPixel => (x + 0.5) * step - 0.5,
            Self::Asymmetric => x * step,
            Self::AlignCorners if output == 1 => 0.0,
            Self::AlignCorners => x * (input - 1) as f32 / (output - 1) as f32,
        }
    }
}

impl Interpolation {
    /// The two neighbors along an axis and the second one's weight.
    fn neighbors(self, place: f32, extent: usize) -> (usize, usize, f32) {
        let last = (extent - 1) as f32;
        let nearest = match self {
            Self::RoundPreferFloor => libm::ceilf(place - 0.5),
            Self::RoundPreferCeil => libm::floorf(place + 0.5),
            Self::Floor => libm::floorf(place),
            Self::Ceil => libm::ceilf(place),
            Self::Linear | Self::Cubic { .. } => {
                let place = place.clamp(0.0, last);
                let low = libm::floorf(place);
                let first = low as usize;
                return (first, (first + 1).min(extent - 1), place - low);
            }
        };
        let nearest = nearest.clamp(0.0, last) as usize;
        (nearest, nearest, 0.0)
    }
}

/// The image at another resolution. Bounds have been checked.
#[inline(always)]
pub(crate) fn resize(
    batch: usize,
    Resize { step, coordinates, interpolation }: Resize,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    to.pixels(batch, |pixel| {
        let target = to.strides.at(pixel);
        let y = coordinates.place(pixel.row, step[0], from.height, to.height);
        let x = coordinates.place(pixel.column, step[1], from.width, to.width);
        let (top, bottom, down) = interpolation.neighbors(y, from.height);
        let (left, right, across) = interpolation.neighbors(x, from.width);
        let at = |row, column| from.strides.at(Pixel { example: pixel.example, row, column });
        let corners = [at(top, left), at(top, right), at(bottom, left), at(bottom, right)];
        to.blocks(|channel, lanes| {
            let mut block = from.load(input, corners[0] + channel, lanes);
            if interpolation == Interpolation::Linear {
                let [b, c, d] = [1, 2, 3].map(|n| from.load(input, corners[n] + channel, lanes));
                for (n, a) in block.iter_mut().enumerate() {
                    let above = *a * (1.0 - across) + b[n] * across;
                    let below = c[n] * (1.0 - across) + d[n] * across;
                    *a = above * (1.0 - down) + below * down;
                }
            }
            to.store(output, target + channel, lanes, &block);
        });
    });
}

/// Where an element lies, counted in channel-first order.
#[inline(always)]
pub(super) fn place(image: &Image, example: usize, index: usize) -> usize {
    let (channel, pixel) = (index / (image.height * image.width), index % (image.height * image.width));
    channel + image.strides.at(Pixel { example, row: pixel / image.width, column: pixel % image.width })
}

/// The same elements in channel-first order under another shape. Bounds have been checked.
#[inline(always)]
pub(crate) fn reorder(
    batch: usize,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    for example in 0..batch {
        for index in 0..to.channels * to.height * to.width {
            let block = from.load(input, place(from, example, index), 1);
            to.store(output, place(to, example, index), 1, &block);
        }
    }
}
