//! Between what the caller holds (f32, channels first) and values in the arena (channels last, perhaps quantised).

use crate::kernels::epilogue::{Values, ValuesMut, quantise};
use crate::kernels::geometry::{OutOfBounds, Pixel};
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
    if plane == 1 {
        // A vector: channels lie side by side on both sides.
        for (example, from) in outside.chunks(to.channels.max(1)).enumerate() {
            let inside = to.strides.at(Pixel { example, row: 0, column: 0 });
            let inside = inside..inside + to.channels;
            match output {
                ValuesMut::F32(values) => values[inside].copy_from_slice(from),
                ValuesMut::U8(values) => {
                    let (inverse, zero_point) = (1.0 / to.scale, to.zero_point);
                    for (x, to) in from.iter().zip(&mut values[inside]) {
                        *to = quantise(x * inverse, zero_point);
                    }
                }
            }
        }
        return Ok(());
    }
    rows(batch, to, |inside, at| {
        let from = &outside[at..at + to.width];
        match output {
            ValuesMut::F32(values) if to.strides.column == 1 => {
                values[inside..inside + to.width].copy_from_slice(from);
            }
            ValuesMut::F32(values) => {
                for (x, to) in from.iter().zip(values[inside..].iter_mut().step_by(to.strides.column)) {
                    *to = *x;
                }
            }
            ValuesMut::U8(values) => {
                let (inverse, zero_point) = (1.0 / to.scale, to.zero_point);
                for (x, to) in from.iter().zip(values[inside..].iter_mut().step_by(to.strides.column)) {
                    *to = quantise(x * inverse, zero_point);
                }
            }
        }
    });
    Ok(())
}

/// Calls `each(element inside, element outside)` for the beginning of every row of every channel.
#[inline(always)]
fn rows(batch: usize, image: &Image, mut each: impl FnMut(usize, usize)) {
    let mut outside = 0;
    for example in 0..batch {
        for channel in 0..image.channels {
            for row in 0..image.height {
                each(image.strides.at(Pixel { example, row, column: 0 }) + channel, outside);
                outside += image.width;
            }
        }
    }
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
    if plane == 1 {
        for (example, to) in outside.chunks_mut(from.channels.max(1)).enumerate() {
            let inside = from.strides.at(Pixel { example, row: 0, column: 0 });
            let inside = inside..inside + from.channels;
            match input {
                Values::F32(values) => to.copy_from_slice(&values[inside]),
                Values::U8(values) => {
                    let zero = i32::from(from.zero_point);
                    for (to, q) in to.iter_mut().zip(&values[inside]) {
                        *to = (i32::from(*q) - zero) as f32 * from.scale;
                    }
                }
            }
        }
        return Ok(());
    }
    rows(batch, from, |inside, at| {
        let to = &mut outside[at..at + from.width];
        match input {
            Values::F32(values) if from.strides.column == 1 => {
                to.copy_from_slice(&values[inside..inside + from.width]);
            }
            Values::F32(values) => {
                for (to, x) in to.iter_mut().zip(values[inside..].iter().step_by(from.strides.column)) {
                    *to = *x;
                }
            }
            Values::U8(values) => {
                let zero = i32::from(from.zero_point);
                for (to, q) in to.iter_mut().zip(values[inside..].iter().step_by(from.strides.column)) {
                    *to = (i32::from(*q) - zero) as f32 * from.scale;
                }
            }
        }
    });
    Ok(())
}
