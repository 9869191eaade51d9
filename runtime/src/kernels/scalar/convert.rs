//! Between what the caller holds (f32, channels first) and values in the arena (channels last, perhaps quantised).

use crate::kernels::epilogue::{Values, ValuesMut};
use crate::kernels::geometry::OutOfBounds;
use crate::kernels::image::Image;

/// Takes in a batch.
#[inline(always)]
pub(crate) fn import(
    batch: usize,
    outside: &[f32],
    to: &Image,
    output: &mut ValuesMut<'_>,
) -> Result<(), OutOfBounds> {
    let plane = to.height * to.width;
    if outside.len() != batch * plane * to.channels {
        return Err(OutOfBounds);
    }
    to.check(batch, output.len())?;
    to.pixels(batch, |pixel| {
        let target = to.strides.at(pixel);
        let first = pixel.example * plane * to.channels + pixel.row * to.width + pixel.column;
        to.blocks(|channel, lanes| {
            let mut block = [0.0; 16];
            for (lane, x) in block[..lanes].iter_mut().enumerate() {
                *x = outside[first + (channel + lane) * plane];
            }
            to.store(output, target + channel, lanes, &block);
        });
    });
    Ok(())
}

/// Gives out a batch.
#[inline(always)]
pub(crate) fn export(
    batch: usize,
    from: &Image,
    input: &Values<'_>,
    outside: &mut [f32],
) -> Result<(), OutOfBounds> {
    let plane = from.height * from.width;
    if outside.len() != batch * plane * from.channels {
        return Err(OutOfBounds);
    }
    from.check(batch, input.len())?;
    from.pixels(batch, |pixel| {
        let source = from.strides.at(pixel);
        let first = pixel.example * plane * from.channels + pixel.row * from.width + pixel.column;
        from.blocks(|channel, lanes| {
            let block = from.load(input, source + channel, lanes);
            for (lane, &x) in block[..lanes].iter().enumerate() {
                outside[first + (channel + lane) * plane] = x;
            }
        });
    });
    Ok(())
}
