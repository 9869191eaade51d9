//! Short ways for operators with a U8 result, with the bits of the long ones in `elementwise`: there a block of channels is
//! a vector, which is slow for the few channels of an image, and for a sum, which has more to decide than to compute.

use crate::kernels::epilogue::quantize;
use crate::kernels::geometry::Pixel;
use crate::kernels::image::Image;
use crate::kernels::math::max;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{Activation, Affine, Binary};

/// So many pixels make up for a table of what becomes of each of the 256 bytes.
const WORTH_A_TABLE: usize = 512;

/// Up to so many channels are treated one after the other.
const FEW_CHANNELS: usize = 4;

/// What becomes of one element.
#[inline(always)]
fn element(
    mut x: f32,
    before: Option<(f32, f32)>,
    activation: Activation,
    after: Option<(f32, f32)>,
    (inverse, zero_point): (f32, u8),
) -> u8 {
    if let Some((scale, shift)) = before {
        x = x * scale + shift;
    }
    x = activation.apply(x);
    if let Some((scale, shift)) = after {
        x = x * scale + shift;
    }
    quantize(x * inverse, zero_point)
}

/// `elementwise` for images of few channels, one channel after the other, from U8 by a table; whether it was one. Bounds
/// have been checked.
#[inline(always)]
pub(super) fn elementwise(
    batch: usize,
    before: Option<Affine<&[f32]>>,
    activation: Activation,
    after: Option<Affine<&[f32]>>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) -> bool {
    let ValuesMut::U8(output) = output else { return false };
    let from_bytes = !matches!(input, Some(Values::F32(_)));
    let pixels = batch * to.height * to.width;
    if to.channels > FEW_CHANNELS
        || from_bytes && pixels < WORTH_A_TABLE
        || input.is_none() && from.strides != to.strides
    {
        return false;
    }
    let units = (1.0 / to.scale, to.zero_point);
    for channel in 0..to.channels {
        let pair = |affine: Option<Affine<&[f32]>>| {
            affine.map(|Affine { scale, shift }| (scale[channel], shift[channel]))
        };
        let (before, after) = (pair(before), pair(after));
        let mut table = [0; 256];
        if from_bytes {
            for (byte, result) in (0..=u8::MAX).zip(&mut table) {
                *result = element(from.real(byte), before, activation, after, units);
            }
        }
        for example in 0..batch {
            for row in 0..to.height {
                let first = Pixel { example, row, column: 0 };
                let mut source = from.strides.at(first) + channel;
                let mut target = to.strides.at(first) + channel;
                for _ in 0..to.width {
                    output[target] = match input {
                        Some(Values::F32(input)) => element(input[source], before, activation, after, units),
                        Some(Values::U8(input)) => table[usize::from(input[source])],
                        None => table[usize::from(output[source])],
                    };
                    source += from.strides.column;
                    target += to.strides.column;
                }
            }
        }
    }
    true
}

/// `binary` for sums and products of images of one size; whether it was one. Bounds have been checked.
#[inline(always)]
pub(super) fn binary(
    batch: usize,
    binary: Binary,
    activation: Activation,
    (from, input): (&Image, Option<&Values<'_>>),
    (other, second): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) -> bool {
    let (Values::U8(second), ValuesMut::U8(output)) = (second, output) else { return false };
    let input = match input {
        Some(Values::U8(input)) => Some(*input),
        Some(Values::F32(_)) => return false,
        None if from.strides == to.strides => None,
        None => return false,
    };
    if (other.height, other.width) != (to.height, to.width) {
        return false;
    }
    let all = (batch, (from, input), (other, *second), (to, &mut **output));
    match (binary, activation) {
        (Binary::Add, Activation::Identity) => rows(all, |a, b| a + b),
        (Binary::Add, Activation::Relu) => rows(all, |a, b| max(a + b, 0.0)),
        (Binary::Multiply, Activation::Identity) => rows(all, |a, b| a * b),
        _ => return false,
    }
    true
}

/// The batch, both operands and the result.
type Operands<'a> = (usize, (&'a Image, Option<&'a [u8]>), (&'a Image, &'a [u8]), (&'a Image, &'a mut [u8]));

/// A function of two elements: row by row, where all three have no gaps between pixels, else pixel by pixel.
#[inline(always)]
fn rows((batch, (from, input), (other, second), (to, output)): Operands<'_>, f: impl Fn(f32, f32) -> f32) {
    let dense = [from, other, to].iter().all(|image| image.strides.column == to.channels);
    let (columns, length) = if dense { (1, to.width * to.channels) } else { (to.width, to.channels) };
    let inverse = 1.0 / to.scale;
    for example in 0..batch {
        for row in 0..to.height {
            for column in 0..columns {
                let pixel = Pixel { example, row, column };
                let target = to.strides.at(pixel);
                let target = &mut output[target..target + length];
                let beside = other.strides.at(pixel);
                let beside = &second[beside..beside + length];
                match input {
                    Some(input) => {
                        let source = from.strides.at(pixel);
                        let source = &input[source..source + length];
                        for ((y, &a), &b) in target.iter_mut().zip(source).zip(beside) {
                            *y = quantize(f(from.real(a), other.real(b)) * inverse, to.zero_point);
                        }
                    }
                    None => {
                        for (y, &b) in target.iter_mut().zip(beside) {
                            *y = quantize(f(from.real(*y), other.real(b)) * inverse, to.zero_point);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::geometry::Strides;
    use crate::rng::Rng;
    use std::vec::Vec;

    /// An image whose pixels and rows have gaps of so many elements between them, and the length of two of them.
    fn image([channels, height, width]: [usize; 3], gaps: [usize; 2], scale: f32) -> (Image, usize) {
        let column = channels + gaps[0];
        let row = width * column + gaps[1];
        let strides = Strides { offset: 3, example: height * row, row, column };
        (Image { channels, height, width, strides, scale, zero_point: 100 }, 3 + 2 * height * row)
    }

    #[test]
    fn short_ways_have_the_bits_of_the_long_ones() {
        let mut rng = Rng::from_seed(8);
        let (scale, shift) = ([0.5, -1.5, 1.0, 0.75], [0.25, 0.0, -1.0, 0.5]);
        let affine = Some(Affine { scale: &scale[..], shift: &shift[..] });
        // Channels, rows and columns; gaps after pixels and rows.
        let shapes = [
            ([3, 32, 32], [1, 4]),
            ([1, 20, 30], [0, 0]),
            ([4, 2, 2], [0, 0]),
            ([48, 3, 5], [0, 0]),
            ([20, 4, 3], [4, 2]),
        ];
        let activations = [
            Activation::Identity,
            Activation::Relu,
            Activation::Tanh,
            Activation::Clip { low: -0.5, high: 0.5 },
        ];
        let mut short = [0, 0];
        for (shape, gaps) in shapes {
            for in_place in [false, true] {
                for activation in activations {
                    let (from, length) = image(shape, gaps, 1.0 / 64.0);
                    let (other, to) = (image(shape, gaps, 1.0 / 80.0).0, image(shape, gaps, 1.0 / 50.0).0);
                    let random =
                        |rng: &mut Rng| -> Vec<u8> { (0..length).map(|_| rng.below(256) as u8).collect() };
                    let (a, b, mut y) = (random(&mut rng), random(&mut rng), random(&mut rng));
                    if in_place {
                        y.clone_from(&a);
                    }
                    let input = Values::U8(&a);
                    let input = (&from, (!in_place).then_some(&input));
                    let steps = |bytes: &[u8], image: &Image, at: usize| {
                        (i32::from(bytes[at]) - 100) as f32 * image.scale
                    };
                    // By definition, one element after the other; gaps keep what they hold.
                    let expected = |f: &dyn Fn(usize, usize) -> f32| {
                        let mut expected = y.clone();
                        for at in 0..2 * shape[1] * shape[2] {
                            let (pixel, example) = (at % (shape[1] * shape[2]), at / (shape[1] * shape[2]));
                            let (row, column) = (pixel / shape[2], pixel % shape[2]);
                            for channel in 0..shape[0] {
                                let at = to.strides.at(Pixel { example, row, column }) + channel;
                                expected[at] = quantize(f(channel, at) * (1.0 / to.scale), 100);
                            }
                        }
                        expected
                    };
                    let affine = affine.filter(|_| shape[0] <= 4);
                    let mapped = |channel: usize, x: f32| match affine {
                        Some(Affine { scale, shift }) => x * scale[channel] + shift[channel],
                        None => x,
                    };
                    let wanted = expected(&|channel, at| {
                        mapped(channel, activation.apply(mapped(channel, steps(&a, &from, at))))
                    });
                    let mut found = y.clone();
                    let mut target = ValuesMut::U8(&mut found);
                    if elementwise(2, affine, activation, affine, input, (&to, &mut target)) {
                        short[0] += 1;
                        assert_eq!(found, wanted, "{shape:?} {activation:?} in place: {in_place}");
                    }
                    if !in_place {
                        let reals: Vec<f32> = (0..length).map(|at| steps(&a, &from, at)).collect();
                        let mut found = y.clone();
                        let mut target = ValuesMut::U8(&mut found);
                        let input = (&from, Some(&Values::F32(&reals)));
                        if elementwise(2, affine, activation, affine, input, (&to, &mut target)) {
                            short[0] += 1;
                            assert_eq!(found, wanted, "{shape:?} {activation:?} from floats");
                        }
                    }
                    for kind in [Binary::Add, Binary::Subtract, Binary::Multiply] {
                        let wanted = expected(&|_, at| {
                            let (a, b) = (steps(&a, &from, at), steps(&b, &other, at));
                            activation.apply(match kind {
                                Binary::Add => a + b,
                                Binary::Subtract => a - b,
                                _ => a * b,
                            })
                        });
                        let mut found = y.clone();
                        let mut target = ValuesMut::U8(&mut found);
                        let second = (&other, &Values::U8(&b));
                        if binary(2, kind, activation, input, second, (&to, &mut target)) {
                            short[1] += 1;
                            assert_eq!(
                                found, wanted,
                                "{shape:?} {kind:?} {activation:?} in place: {in_place}"
                            );
                        }
                    }
                }
            }
        }
        // Two shapes are worth a table with every function, three have few channels; three operations have a short way.
        assert_eq!(short, [2 * 2 * 4 + 3 * 4, 5 * 2 * 3]);
    }
}
