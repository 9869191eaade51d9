//! Elements in another order.

use super::{Source, Target};
use crate::kernels::image::Image;
use crate::kernels::scalar::arrange;
use crate::kernels::values::{Values, ValuesMut};
use crate::ops::{View, ViewAxis};

/// How far apart in memory the elements `index`, `index + stride`, ... of an image are, counted in channel-first order;
/// `None` where `count` of them are not equally far apart.
fn step(image: &Image, index: usize, stride: isize, count: usize) -> Option<isize> {
    let [plane, width, height] = [image.height * image.width, image.width, image.height].map(|n| n as isize);
    let steps = count as isize - 1;
    let stays = |at: isize, step: isize, extent: isize| (0..extent).contains(&(at + step * steps));
    let (column, row) = (index as isize % width, index as isize / width % height);
    match stride {
        _ if steps == 0 || stride == 0 => Some(0),
        _ if stride % plane == 0 => Some(stride / plane),
        _ if stride % width == 0 && stays(row, stride / width, height) => {
            Some(stride / width * image.strides.row as isize)
        }
        _ if stays(column, stride, width) => Some(stride * image.strides.column as isize),
        _ => None,
    }
}

/// Elements of the output that follow each other, and those of the input that they are.
struct Run {
    input: usize,
    stride: isize,
    output: usize,
    count: usize,
}

/// Moves a run, piece by piece where its elements are not equally far apart in memory.
fn copy<T: Copy>(
    mut run: Run,
    example: usize,
    (from, input): (&Image, &[T]),
    (to, output): (&Image, &mut [T]),
) {
    let steps = |run: &Run, count: usize| {
        step(from, run.input, run.stride, count).zip(step(to, run.output, 1, count))
    };
    while run.count > 0 {
        let mut count = run.count;
        let (step_in, step_out) = loop {
            match steps(&run, count) {
                Some(steps) => break steps,
                None => count = count.div_ceil(2),
            }
        };
        let mut source = arrange::place(from, example, run.input);
        let mut target = arrange::place(to, example, run.output);
        for _ in 0..count {
            output[target] = input[source];
            source = source.wrapping_add_signed(step_in);
            target = target.wrapping_add_signed(step_out);
        }
        run.input = run.input.wrapping_add_signed(run.stride.wrapping_mul(count as isize));
        run.output += count;
        run.count -= count;
    }
}

pub(super) fn view(batch: usize, view: &View, (from, input): Source<'_, '_>, (to, output): Target<'_, '_>) {
    let [outer @ .., ViewAxis { extent, stride }] = view.axes;
    for example in 0..batch {
        let mut place = [0usize; 5];
        let mut first = view.start;
        for run in 0..to.elements() / extent {
            let run = Run { input: first, stride, output: run * extent, count: extent };
            match (input, &mut *output) {
                (Values::F32(input), ValuesMut::F32(output)) => {
                    copy(run, example, (from, input), (to, output));
                }
                (Values::U8(input), ValuesMut::U8(output)) => copy(run, example, (from, input), (to, output)),
                // Types are the same: that has been checked.
                _ => return,
            }
            for (place, axis) in place.iter_mut().zip(&outer).rev() {
                *place += 1;
                first = first.wrapping_add_signed(axis.stride);
                if *place < axis.extent {
                    break;
                }
                first =
                    first.wrapping_add_signed(axis.stride.wrapping_mul(axis.extent as isize).wrapping_neg());
                *place = 0;
            }
        }
    }
}
