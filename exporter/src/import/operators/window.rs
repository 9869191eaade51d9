//! Operators with a window: convolutions and pools. And Resize, which also works on images alone.

use super::{NodeContext, Result};
use crate::graph::is_nearest;
use crate::graph::{
    Convolution, Coordinates, Dim, Interpolation, Op, Pool, PoolKind, Resize, TransposedConvolution, ValueId,
    Window,
};
use crate::import::shape_values::Entry;

/// Rows and columns of input `index`; one row, where there is only one axis.
fn size(node: &mut NodeContext, index: usize) -> Result<[usize; 2]> {
    let shape = node.shape(index)?;
    match shape.as_slice() {
        [_, _, Dim::Size(height), Dim::Size(width)] => Ok([*height, *width]),
        [_, _, Dim::Size(width)] => Ok([1, *width]),
        _ => {
            let shape = crate::graph::shape_text(&shape);
            Err(node.error(format!(
                "its input {index} has the shape {shape}; only images and sequences of fixed size are supported"
            )))
        }
    }
}

/// Of a sequence, which has one axis, the other one's value is the neutral one.
fn both(node: &mut NodeContext, values: &[i64], neutral: i64) -> Result<Option<[i64; 2]>> {
    let one_axis = node.shape(0)?.len() == 3;
    Ok(match *values {
        [value] if one_axis => Some([neutral, value]),
        [a, b] if !one_axis => Some([a, b]),
        _ => None,
    })
}

/// The inputs of a window: sequences, and their weights, as images of one row.
fn images(node: &mut NodeContext, most: usize) -> Result<Vec<ValueId>> {
    let mut inputs = node.inputs(most)?;
    if node.dims(inputs[0]).len() == 3 {
        for index in 0..inputs.len().min(2) {
            if let [a, b, length] = *node.dims(inputs[index]) {
                let image = vec![a, b, Dim::Size(1), length];
                inputs[index] = node.step(Op::Reshape(image), vec![inputs[index]])?;
            }
        }
    }
    Ok(inputs)
}

/// The node's result: of a sequence, a sequence again.
fn emit(node: &mut NodeContext, op: Op, inputs: Vec<ValueId>) -> Result {
    if node.shape(0)?.len() != 3 {
        return node.emit(op, inputs);
    }
    let image = node.step(op, inputs)?;
    let shape = node.dims(image);
    node.emit(Op::Reshape(vec![shape[0], shape[1], shape[3]]), vec![image])
}

/// An attribute of two integers, each at least 1.
fn pair(node: &mut NodeContext, name: &str) -> Result<Option<[usize; 2]>> {
    let Some(values) = node.attributes.ints(name)? else { return Ok(None) };
    match both(node, values, 1)? {
        Some([a, b]) if (1..=1 << 16).contains(&a) && (1..=1 << 16).contains(&b) => {
            Ok(Some([a as usize, b as usize]))
        }
        _ => Err(node
            .attributes
            .error(name, format!("is {values:?}, expected a positive integer for each of rows and columns"))),
    }
}

/// Where padding comes from.
enum Padding {
    Given([usize; 4]),
    /// As much as makes the output's size the input's over the stride; an odd one at the end, or at the beginning.
    Same {
        at_end: bool,
    },
}

fn padding(node: &mut NodeContext) -> Result<Padding> {
    let auto_pad = node.attributes.text("auto_pad")?.unwrap_or("NOTSET");
    let pads = node.attributes.ints("pads")?;
    match (auto_pad, pads) {
        ("NOTSET", None) | ("VALID", _) => Ok(Padding::Given([0; 4])),
        ("SAME_UPPER", _) => Ok(Padding::Same { at_end: true }),
        ("SAME_LOWER", _) => Ok(Padding::Same { at_end: false }),
        ("NOTSET", Some(pads)) => match sides(node, pads)? {
            Some(sides) if sides.iter().all(|side| (0..=1 << 16).contains(side)) => {
                Ok(Padding::Given(sides.map(|side| side as usize)))
            }
            _ => Err(node.attributes.error(
                "pads",
                format!("is {pads:?}, expected as many integers of at least 0 as there are sides"),
            )),
        },
        (other, _) => {
            Err(node.attributes.error("auto_pad", format!("is \"{other}\", which is not supported")))
        }
    }
}

/// Top, left, bottom, right.
fn sides(node: &mut NodeContext, pads: &[i64]) -> Result<Option<[i64; 4]>> {
    let half = pads.len() / 2;
    let (before, after) = (both(node, &pads[..half], 0)?, both(node, &pads[half..], 0)?);
    Ok(before.zip(after).map(|([top, left], [bottom, right])| [top, left, bottom, right]))
}

/// Splits padding along each axis between both ends.
fn split(total: [usize; 2], at_end: bool) -> [usize; 4] {
    let less = total.map(|total| total / 2);
    let more = total.map(|total| total - total / 2);
    let (before, after) = if at_end { (less, more) } else { (more, less) };
    [before[0], before[1], after[0], after[1]]
}

/// The window of a convolution or pool over input 0, with `kernel` when the attribute is absent.
fn window(node: &mut NodeContext, kernel: Option<[usize; 2]>) -> Result<Window> {
    let kernel = match (pair(node, "kernel_shape")?, kernel) {
        (Some(kernel), _) | (None, Some(kernel)) => kernel,
        (None, None) => return Err(node.attributes.error("kernel_shape", "is missing".into())),
    };
    let stride = pair(node, "strides")?.unwrap_or([1, 1]);
    let dilation = pair(node, "dilations")?.unwrap_or([1, 1]);
    let mut window = Window { kernel, stride, dilation, pads: [0; 4] };
    let size = size(node, 0)?;
    window.pads = match padding(node)? {
        Padding::Given(pads) => pads,
        Padding::Same { at_end } => {
            let total = [0, 1].map(|axis| {
                let outputs = size[axis].div_ceil(stride[axis]);
                ((outputs.max(1) - 1) * stride[axis] + window.extent(axis)).saturating_sub(size[axis])
            });
            split(total, at_end)
        }
    };
    Ok(window)
}

fn groups(node: &mut NodeContext) -> Result<usize> {
    match node.attributes.int("group")?.unwrap_or(1) {
        groups @ 1..=0xffff_ffff => Ok(groups as usize),
        other => Err(node.attributes.error("group", format!("is {other}, expected at least 1"))),
    }
}

pub(super) fn conv(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let kernel = size(node, 1)?;
    let conv = Convolution { window: window(node, Some(kernel))?, groups: groups(node)? };
    let inputs = images(node, 3)?;
    emit(node, Op::Conv(conv), inputs)
}

pub(super) fn conv_transpose(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let kernel = match pair(node, "kernel_shape")? {
        Some(kernel) => kernel,
        None => size(node, 1)?,
    };
    let stride = pair(node, "strides")?.unwrap_or([1, 1]);
    let dilation = pair(node, "dilations")?.unwrap_or([1, 1]);
    let mut window = Window { kernel, stride, dilation, pads: [0; 4] };
    let given = node.attributes.ints("output_padding")?.unwrap_or_default();
    let mut output_padding = match both(node, given, 0)? {
        None if given.is_empty() => [0, 0],
        Some([a, b]) if (0..=1 << 16).contains(&a) && (0..=1 << 16).contains(&b) => [a as usize, b as usize],
        _ => {
            let what = format!("is {given:?}, expected as many integers of at least 0 as there are axes");
            return Err(node.attributes.error("output_padding", what));
        }
    };
    let size = size(node, 0)?;
    // What comes out before pads are cut off.
    let full = [0, 1]
        .map(|axis| (size[axis].max(1) - 1) * stride[axis] + window.extent(axis) + output_padding[axis]);
    let output_shape = pair(node, "output_shape")?;
    let padding = padding(node)?;
    window.pads = match (output_shape, padding) {
        (None, Padding::Given(pads)) => pads,
        (wanted, padding) => {
            let wanted = wanted.unwrap_or([size[0] * stride[0], size[1] * stride[1]]);
            let at_end = matches!(padding, Padding::Same { at_end: true });
            // What is missing to the wanted size is added at the end, as output padding is.
            for axis in [0, 1] {
                output_padding[axis] += wanted[axis].saturating_sub(full[axis]);
            }
            split([0, 1].map(|axis| full[axis].saturating_sub(wanted[axis])), at_end)
        }
    };
    let conv = TransposedConvolution { window, groups: groups(node)?, output_padding };
    let inputs = images(node, 3)?;
    emit(node, Op::ConvTranspose(conv), inputs)
}

pub(super) fn max_pool(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    node.attributes.only_int("storage_order", 0)?;
    pool(node, PoolKind::Max)
}

pub(super) fn average_pool(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let kind = match node.attributes.flag("count_include_pad")? {
        true => PoolKind::AverageWithPadding,
        false => PoolKind::Average,
    };
    pool(node, kind)
}

fn pool(node: &mut NodeContext, kind: PoolKind) -> Result {
    let ceil = node.attributes.flag("ceil_mode")?;
    let pool = Pool { kind, window: window(node, None)?, ceil };
    let inputs = images(node, 1)?;
    emit(node, Op::Pool(pool), inputs)
}

/// Inputs: X, [roi], [scales], [sizes]. Only images are resized, along rows and columns.
pub(super) fn resize(node: &mut NodeContext) -> Result {
    node.check_counts(4)?;
    let mode = node.attributes.text("mode")?.unwrap_or("nearest");
    let coordinates = match node.attributes.text("coordinate_transformation_mode")?.unwrap_or("half_pixel") {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "asymmetric" => Coordinates::Asymmetric,
        "align_corners" => Coordinates::AlignCorners,
        other => {
            let what = format!("is \"{other}\", which is not supported");
            return Err(node.attributes.error("coordinate_transformation_mode", what));
        }
    };
    let nearest = node.attributes.text("nearest_mode")?.unwrap_or("round_prefer_floor");
    let interpolation = match (mode, nearest) {
        ("linear", _) => Interpolation::Linear,
        ("cubic", _) => {
            let a = node.attributes.float("cubic_coeff_a")?.unwrap_or(-0.75);
            if !a.is_finite() {
                return Err(node.attributes.error("cubic_coeff_a", format!("is {a}")));
            }
            Interpolation::Cubic { a }
        }
        ("nearest", "round_prefer_floor") => Interpolation::RoundPreferFloor,
        ("nearest", "round_prefer_ceil") => Interpolation::RoundPreferCeil,
        ("nearest", "floor") => Interpolation::Floor,
        ("nearest", "ceil") => Interpolation::Ceil,
        ("nearest", other) => {
            return Err(node
                .attributes
                .error("nearest_mode", format!("is \"{other}\", which is not supported")));
        }
        (other, _) => {
            return Err(node.attributes.error("mode", format!("is \"{other}\", which is not supported")));
        }
    };
    node.attributes.only_int("antialias", 0)?;
    // These concern cubic interpolation, which has been read, and tf_crop_and_resize, which is refused.
    for unused in ["cubic_coeff_a", "extrapolation_value"] {
        node.attributes.ignore(unused);
    }
    if is_nearest(interpolation) {
        node.attributes.ignore("exclude_outside");
    }
    node.attributes.only_int("exclude_outside", 0)?;

    let shape = node.shape(0)?;
    let [_, _, Dim::Size(height), Dim::Size(width)] = *shape else {
        let shape = crate::graph::shape_text(&shape);
        return Err(
            node.error(format!("its input has the shape {shape}; only images of fixed size are resized"))
        );
    };
    let input = [height, width];
    let axes = match node.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| node.axis(axis, 4)).collect::<Result<Vec<_>>>()?,
        None => vec![0, 1, 2, 3],
    };
    let policy = node.attributes.text("keep_aspect_ratio_policy")?.unwrap_or("stretch");
    let mut output = input;
    let mut scale = [1.0; 2];
    if node.has(3) {
        let sizes = node.entries(3, "sizes")?;
        let mut wanted = input;
        for (&axis, &length) in axes.iter().zip(checked(node, &axes, &sizes)?) {
            match (axis, length) {
                (2 | 3, Entry::Known(length @ 1..=0x10000)) => wanted[axis - 2] = length as usize,
                (0 | 1, length) if node.shape(0)?.get(axis).map(|&dim| Entry::from(dim)) == Some(length) => {}
                (_, length) => return Err(node.error(format!("it resizes axis {axis} to {length:?}"))),
            }
        }
        scale = [0, 1].map(|axis| wanted[axis] as f32 / input[axis] as f32);
        // Of the axes that are named, the one that changes least (or most) gives the scale of all.
        let named = |axis: usize| axes.contains(&(axis + 2));
        let scales = [0, 1].into_iter().filter(|&axis| named(axis)).map(|axis| scale[axis]);
        let common = match policy {
            "stretch" => None,
            "not_larger" => Some(scales.fold(f32::INFINITY, f32::min)),
            "not_smaller" => Some(scales.fold(0.0, f32::max)),
            other => {
                let what = format!("is \"{other}\", which is not supported");
                return Err(node.attributes.error("keep_aspect_ratio_policy", what));
            }
        };
        output = wanted;
        if let Some(common) = common {
            for axis in [0, 1].into_iter().filter(|&axis| named(axis)) {
                scale[axis] = common;
                output[axis] = (common * input[axis] as f32).round() as usize;
            }
        }
    } else if node.has(2) {
        let scales = node.constant(2, "scales")?.doubles();
        for (&axis, &factor) in axes.iter().zip(checked(node, &axes, &scales)?) {
            match axis {
                2 | 3 if factor > 0.0 && factor <= 65536.0 => {
                    scale[axis - 2] = factor as f32;
                    // In f32, as the scales are: 0.6 of 5 pixels is 3.
                    output[axis - 2] = (input[axis - 2] as f32 * factor as f32).floor() as usize;
                }
                0 | 1 if factor == 1.0 => {}
                _ => {
                    return Err(
                        node.error(format!("it scales axis {axis} by {factor}, which is not supported"))
                    );
                }
            }
        }
    } else {
        return Err(node.error("neither its scales nor its sizes are given"));
    }
    let id = node.input(0)?;
    node.emit(Op::Resize(Resize { output, scale, coordinates, interpolation }), vec![id])
}

/// As many values as axes.
fn checked<'a, T>(node: &NodeContext, axes: &[usize], values: &'a [T]) -> Result<&'a [T]> {
    if axes.len() != values.len() {
        return Err(node.error(format!("it has {} scales or sizes for {} axes", values.len(), axes.len())));
    }
    Ok(values)
}
