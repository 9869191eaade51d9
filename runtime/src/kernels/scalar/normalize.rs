//! Operators over all channels of a pixel.

use crate::kernels::image::{Image, map};
use crate::kernels::math;
use crate::kernels::values::{Values, ValuesMut};

/// `exp(x - max) / sum` over channels. Bounds have been checked.
#[inline(always)]
pub(crate) fn softmax(
    batch: usize,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    to.pixels(batch, |pixel| {
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        let mut greatest = f32::NEG_INFINITY;
        from.blocks(|channel, lanes| {
            let block = from.load(input, source + channel, lanes);
            greatest = block[..lanes].iter().fold(greatest, |greatest, &x| math::max(x, greatest));
        });
        let mut sum = 0.0;
        from.blocks(|channel, lanes| {
            let block = from.load(input, source + channel, lanes);
            sum += block[..lanes].iter().fold(0.0, |sum, &x| sum + math::exp(x - greatest));
        });
        to.blocks(|channel, lanes| {
            let mut block = from.load(input, source + channel, lanes);
            map(&mut block, |x| math::exp(x - greatest) / sum);
            to.store(output, target + channel, lanes, &block);
        });
    });
}

/// Division by the Euclidean norm over channels, which counts as at least `epsilon`. Bounds have been checked.
#[inline(always)]
pub(crate) fn l2_normalize(
    batch: usize,
    epsilon: f32,
    (from, input): (&Image, &Values<'_>),
    (to, output): (&Image, &mut ValuesMut<'_>),
) {
    to.pixels(batch, |pixel| {
        let (source, target) = (from.strides.at(pixel), to.strides.at(pixel));
        let mut sum = 0.0;
        from.blocks(|channel, lanes| {
            let block = from.load(input, source + channel, lanes);
            sum += block[..lanes].iter().fold(0.0, |sum, x| sum + x * x);
        });
        let norm = math::max(libm::sqrtf(sum), epsilon);
        to.blocks(|channel, lanes| {
            let mut block = from.load(input, source + channel, lanes);
            // A zero vector stays zero.
            map(&mut block, |x| if norm > 0.0 { x / norm } else { 0.0 });
            to.store(output, target + channel, lanes, &block);
        });
    });
}
