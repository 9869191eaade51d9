//! Between what the caller holds (f32, channels first) and values in the arena (channels last, perhaps quantized).

use crate::kernels::epilogue::quantize;
use crate::kernels::geometry::{OutOfBounds, Pixel};
use crate::kernels::image::Image;
use crate::kernels::values::{Values, ValuesMut};

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
    runs(batch, to, |inside, at, Run { length, step }| {
        let from = &outside[at..at + length];
        match output {
            ValuesMut::F32(values) if step == 1 => values[inside..inside + length].copy_from_slice(from),
            ValuesMut::F32(values) => {
                for (x, to) in from.iter().zip(values[inside..].iter_mut().step_by(step)) {
                    *to = *x;
                }
            }
            ValuesMut::U8(values) => {
                let (inverse, zero_point) = (1.0 / to.scale, to.zero_point);
                let put = |(x, to): (&f32, &mut u8)| *to = quantize(x * inverse, zero_point);
                // Apart, so that the compiler can make vector code of the first.
                match step {
                    1 => from.iter().zip(&mut values[inside..]).for_each(put),
                    _ => from.iter().zip(values[inside..].iter_mut().step_by(step)).for_each(put),
                }
            }
        }
    });
    Ok(())
}

/// Elements that follow each other outside, and inside at equal steps.
#[derive(Clone, Copy)]
struct Run {
    length: usize,
    step: usize,
}

/// Calls `each(first element inside, first element outside, run)` for every row of every channel; a vector, whose channels lie
/// side by side on both sides, is one run.
#[inline(always)]
fn runs(batch: usize, image: &Image, mut each: impl FnMut(usize, usize, Run)) {
    let is_vector = image.height * image.width == 1;
    let (times, run) = if is_vector {
        (1, Run { length: image.channels, step: 1 })
    } else {
        (image.channels, Run { length: image.width, step: image.strides.column })
    };
    let mut outside = 0;
    for example in 0..batch {
        for channel in 0..times {
            for row in 0..image.height {
                each(image.strides.at(Pixel { example, row, column: 0 }) + channel, outside, run);
                outside += run.length;
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
    runs(batch, from, |inside, at, Run { length, step }| {
        let to = &mut outside[at..at + length];
        match input {
            Values::F32(values) if step == 1 => to.copy_from_slice(&values[inside..inside + length]),
            Values::F32(values) => {
                for (to, x) in to.iter_mut().zip(values[inside..].iter().step_by(step)) {
                    *to = *x;
                }
            }
            Values::U8(values) => {
                let zero = i32::from(from.zero_point);
                let put = |(to, q): (&mut f32, &u8)| *to = (i32::from(*q) - zero) as f32 * from.scale;
                match step {
                    1 => to.iter_mut().zip(&values[inside..]).for_each(put),
                    _ => to.iter_mut().zip(values[inside..].iter().step_by(step)).for_each(put),
                }
            }
        }
    });
    Ok(())
}
