//! Operators that treat every element by itself.

use super::bytes;
use crate::kernels::activation::activate;
use crate::kernels::image::{Block, Image};
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{Activation, Affine, Binary};

#[inline(always)]
fn affine(block: &mut Block, affine: Option<Affine<&[f32]>>, channel: usize) {
    if let Some(Affine { scale, shift }) = affine {
        for ((lane, scale), shift) in block.iter_mut().zip(&scale[channel..]).zip(&shift[channel..]) {
            *lane = *lane * scale + shift;
        }
    }
}

/// The elements of what an operator that may work in place reads: `values`, or where that is `None` the output itself.
#[inline(always)]
fn load(
    image: &Image,
    values: Option<&Values<'_>>,
    output: &ValuesMut<'_>,
    at: usize,
    lanes: usize,
) -> Block {
    match (values, output) {
        (Some(values), _) => image.load(values, at, lanes),
        (None, ValuesMut::F32(values)) => image.load(&Values::F32(values), at, lanes),
        (None, ValuesMut::U8(values)) => image.load(&Values::U8(values), at, lanes),
    }
}

/// `after(activation(before(x)))`; in place without an input. Bounds have been checked.
#[inline(always)]
pub(crate) fn elementwise(
    batch: usize,
    before: Option<Affine<&[f32]>>,
    activation: Activation,
    after: Option<Affine<&[f32]>>,
    (from, input): (&Image, Option<&Values<'_>>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    if bytes::elementwise(batch, before, activation, after, (from, input), (to, output)) {
        return;
    }
    to.pixels(batch, |pixel| {
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        to.blocks(|channel, lanes| {
            let mut block = load(from, input, output, source + channel, lanes);
            affine(&mut block, before, channel);
            activate(&mut block, activation);
            affine(&mut block, after, channel);
            to.store(output, target + channel, lanes, &block);
        });
    });
}

/// `activation(a op b)`; in place without `a`; `b` may be one pixel for all. Bounds have been checked.
#[inline(always)]
pub(crate) fn binary(
    batch: usize,
    binary: Binary,
    activation: Activation,
    (from, input): (&Image, Option<&Values<'_>>),
    (other, second): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    if bytes::binary(batch, binary, activation, (from, input), (other, second), (to, output)) {
        return;
    }
    let single = other.height == 1 && other.width == 1;
    to.pixels(batch, |pixel| {
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        let mut from_second = pixel;
        if single {
            (from_second.row, from_second.column) = (0, 0);
        }
        let beside = other.strides.at(from_second);
        to.blocks(|channel, lanes| {
            let mut block = load(from, input, output, source + channel, lanes);
            let b = other.load(second, beside + channel, lanes);
            for (a, b) in block.iter_mut().zip(b) {
                *a = match binary {
                    Binary::Add => *a + b,
                    Binary::Subtract => *a - b,
                    // The others are `extended`'s.
                    _ => *a * b,
                };
            }
            activate(&mut block, activation);
            to.store(output, target + channel, lanes, &block);
        });
    });
}
