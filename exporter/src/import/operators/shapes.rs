//! Constants, and what computes with shapes.

use super::{NodeContext, Result};
use crate::graph::{
    Activation, Binary, Dim, Element, Elements, Function, InferError, Op, Slice, Tensor, ValueId, broadcast,
    interpret,
};
use crate::import::shape_values::{Entry, ShapeValue};
use crate::import::tensors;

pub(super) fn constant(node: &mut NodeContext) -> Result {
    node.check_counts(0)?;
    let floats = |shape: Vec<usize>, values: Vec<f32>| Tensor::new(shape, Elements::F32(values));
    let ints = |shape: Vec<usize>, values: Vec<i64>| Tensor::new(shape, Elements::I64(values));
    let tensor = if let Some(proto) = node.attributes.tensor("value")? {
        let name = format!("{}, the value of a Constant", proto.name);
        Some(tensors::tensor(proto, &name)?)
    } else if let Some(value) = node.attributes.float("value_float")? {
        floats(vec![], vec![value])
    } else if let Some(values) = node.attributes.floats("value_floats")? {
        floats(vec![values.len()], values.to_vec())
    } else if let Some(value) = node.attributes.int("value_int")? {
        ints(vec![], vec![value])
    } else if let Some(values) = node.attributes.ints("value_ints")? {
        ints(vec![values.len()], values.to_vec())
    } else {
        // What is left is named by the check that every attribute was read.
        return node.finish_with_error("it has no value that is supported");
    };
    match tensor {
        Some(tensor) => {
            node.bind_constant(tensor);
            Ok(())
        }
        None => Err(node.error("its value is not valid")),
    }
}

pub(super) fn shape(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    // The shape of a shape, whatever its entries are.
    let dims = match node.shape_value(0)? {
        Some(value) if value.scalar => vec![],
        Some(value) => vec![Dim::Size(value.entries.len())],
        None => node.shape(0)?,
    };
    let (start, end) =
        (node.attributes.int("start")?.unwrap_or(0), node.attributes.int("end")?.unwrap_or(i64::MAX));
    let all = ShapeValue::vector(dims.into_iter().map(Entry::from).collect());
    node.bind_shape(all.slice(start, end));
    Ok(())
}

/// The most numbers that Range makes.
const MAX_RANGE: f64 = 65536.0;

/// Inputs: start, limit, step: constants or of shapes.
pub(super) fn range(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    let element = node.constant(0, "start")?.element();
    let mut numbers = [0.0; 3];
    for (index, what) in ["start", "limit", "step"].into_iter().enumerate() {
        numbers[index] = match *node.constant(index, what)?.doubles() {
            [number] => number,
            ref others => {
                return Err(node.error(format!("its {what} has {} elements, expected one", others.len())));
            }
        };
    }
    let [start, limit, step] = numbers;
    let count = ((limit - start) / step).ceil().max(0.0);
    if step == 0.0 || count.is_nan() || count > MAX_RANGE {
        return Err(node.error(format!("from {start} to {limit} in steps of {step} is not supported")));
    }
    let values: Vec<f32> = (0..count as usize).map(|at| (start + at as f64 * step) as f32).collect();
    node.bind_constant(Tensor::vector(values).cast(element));
    Ok(())
}

/// Two numbers of shapes; `None` when it depends on the batch.
fn holds(operator: &str, a: Entry, b: Entry) -> Option<bool> {
    match (operator, a, b) {
        ("Equal", Entry::Known(a), Entry::Known(b)) => Some(a == b),
        ("Less", Entry::Known(a), Entry::Known(b)) => Some(a < b),
        (_, Entry::Known(a), Entry::Known(b)) => Some(a > b),
        // A batch has at least one example.
        ("Equal", Entry::Known(..=0), Entry::Batch) | ("Equal", Entry::Batch, Entry::Known(..=0)) => {
            Some(false)
        }
        ("Equal", Entry::Batch, Entry::Batch) => Some(true),
        _ => None,
    }
}

/// Equal, Less and Greater of shapes and constants.
pub(super) fn compare(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let operator = node.operator();
    if let (Some(a), Some(b)) = (node.shape_value(0)?, node.shape_value(1)?) {
        let count = a.entries.len().max(b.entries.len());
        let at = |value: &ShapeValue, index: usize| {
            value.entries.get(if value.entries.len() == 1 { 0 } else { index }).copied()
        };
        let flags = (0..count)
            .map(|index| holds(operator, at(&a, index)?, at(&b, index)?))
            .collect::<Option<Vec<_>>>();
        let shape = if a.scalar && b.scalar { vec![] } else { vec![count] };
        return match flags.and_then(|flags| Tensor::new(shape, Elements::Bool(flags))) {
            Some(tensor) => {
                node.bind_constant(tensor);
                Ok(())
            }
            None => Err(node.error("it depends on the batch size, which is not supported")),
        };
    }
    let operands = [node.input(0)?, node.input(1)?];
    if !operands.iter().all(|&operand| node.is_constant(operand)) {
        return compare_values(node, operands);
    }
    let [a, b] = [
        node.constant(0, "first operand")?.cast(Element::F32),
        node.constant(1, "second operand")?.cast(Element::F32),
    ];
    let Some(difference) = interpret::fold(&Op::Binary(Binary::Subtract), &[&a, &b]) else {
        return Err(node.error("its operands do not fit"));
    };
    let flag = |difference: f64| match operator {
        "Equal" => difference == 0.0,
        "Less" => difference < 0.0,
        _ => difference > 0.0,
    };
    let flags = difference.doubles().into_iter().map(flag).collect();
    match Tensor::new(difference.shape().to_vec(), Elements::Bool(flags)) {
        Some(tensor) => {
            node.bind_constant(tensor);
            Ok(())
        }
        None => Err(node.error("its operands are not valid")),
    }
}

/// A value as floats, for what computes with its numbers.
fn floats(node: &mut NodeContext, part: &str, value: ValueId) -> Result<ValueId> {
    if node.element(value) == Element::F32 {
        return Ok(value);
    }
    match node.constant_of(value).map(|tensor| tensor.cast(Element::F32)) {
        Some(tensor) => Ok(node.new_constant(part, tensor)),
        None => node.step(Op::Cast, vec![value]),
    }
}

/// Equal, Less and Greater of values that are known when the model runs: by the sign of their difference.
fn compare_values(node: &mut NodeContext, operands: [ValueId; 2]) -> Result {
    let (a, b) = (floats(node, "first", operands[0])?, floats(node, "second", operands[1])?);
    let (a, b) = if node.operator() == "Less" { (b, a) } else { (a, b) };
    let difference = node.binary_step(Binary::Subtract, a, b)?;
    let sign = node.step(Op::Function(Function::Sign), vec![difference])?;
    let flags = if node.operator() == "Equal" {
        let differs = node.step(Op::Function(Function::Absolute), vec![sign])?;
        let one = node.number("one", 1.0);
        node.binary_step(Binary::Subtract, one, differs)?
    } else {
        node.step(Op::Activation(Activation::Relu), vec![sign])?
    };
    node.bind_flags(flags);
    Ok(())
}

/// Where of choices that are known when the model runs.
fn choose_values(node: &mut NodeContext) -> Result {
    let condition = node.input(0)?;
    let [x, y] = [node.input(1)?, node.input(2)?];
    let known = node.constant_of(condition).and_then(Tensor::integers);
    if let Some(flags) = &known
        && flags.windows(2).all(|pair| pair[0] == pair[1])
    {
        let chosen = if flags.first() == Some(&0) { y } else { x };
        let dims = broadcast(&node.dims(x), &node.dims(y))
            .and_then(|dims| broadcast(&dims, &node.dims(condition)))
            .map_err(|InferError(what)| node.error(what))?;
        if dims == node.dims(chosen) {
            node.alias(chosen);
            return Ok(());
        }
        return node.emit(Op::Expand(dims), vec![chosen]);
    }
    if known.is_none() && !node.is_flags(condition) {
        return Err(node.error("its condition is computed by an operator that is not supported for that"));
    }
    // What is not chosen is multiplied by 0, and must be finite for that.
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let (x, y) = (floats(node, "first", x)?, floats(node, "second", y)?);
    let condition = floats(node, "condition", condition)?;
    let one = node.number("one", 1.0);
    let otherwise = node.binary_step(Binary::Subtract, one, condition)?;
    let (x, y) = (
        node.binary_step(Binary::Multiply, x, condition)?,
        node.binary_step(Binary::Multiply, y, otherwise)?,
    );
    node.emit(Op::Binary(Binary::Add), vec![x, y])
}

/// Inputs: condition, x, y: where the condition holds x, else y.
pub(super) fn choose(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    let of_shapes = node.shape_value(1)?.is_some() && node.shape_value(2)?.is_some();
    if !of_shapes {
        let inputs = node.inputs(3)?;
        if !inputs.iter().all(|&input| node.is_constant(input)) {
            return choose_values(node);
        }
    }
    let condition = node.constant(0, "condition")?.clone();
    let flags = condition.integers().unwrap_or_default();
    if let (Some(x), Some(y)) = (node.shape_value(1)?, node.shape_value(2)?)
        && condition.shape().len() <= 1
    {
        let count = flags.len().max(x.entries.len()).max(y.entries.len());
        let at = |length: usize, index: usize| if length == 1 { 0 } else { index };
        let entry = |index: usize| {
            let from = if *flags.get(at(flags.len(), index))? != 0 { &x } else { &y };
            from.entries.get(at(from.entries.len(), index)).copied()
        };
        let Some(entries) = (0..count).map(entry).collect::<Option<Vec<_>>>() else {
            return Err(node.error("its operands do not fit"));
        };
        let scalar = x.scalar && y.scalar && condition.shape().is_empty();
        node.bind_shape(ShapeValue { entries, scalar, element: x.element });
        return Ok(());
    }
    let [x, y] = [node.constant(1, "first choice")?.clone(), node.constant(2, "second choice")?.clone()];
    let element = x.element();
    let ([x, y], one) = ([x, y].map(|tensor| tensor.cast(Element::F32)), condition.cast(Element::F32));
    let fold = |binary, a: &Tensor, b: &Tensor| interpret::fold(&Op::Binary(binary), &[a, b]);
    let other = fold(Binary::Subtract, &Tensor::scalar(1.0), &one);
    let [x, y] =
        [fold(Binary::Multiply, &x, &one), other.and_then(|other| fold(Binary::Multiply, &y, &other))];
    match x.zip(y).and_then(|(x, y)| fold(Binary::Add, &x, &y)) {
        Some(tensor) if tensor.doubles().iter().all(|value| value.is_finite()) => {
            node.bind_constant(tensor.cast(element));
            Ok(())
        }
        _ => Err(node.error("its operands do not fit, or are not finite")),
    }
}

/// Inputs: shape. A constant of that shape, all of one value.
pub(super) fn constant_of_shape(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    let value = match node.attributes.tensor("value")? {
        Some(proto) => tensors::tensor(proto, "the value of a ConstantOfShape")?,
        None => Tensor::vector(vec![0.0]),
    };
    let lengths = node.integers(0, "shape")?;
    let shape: Option<Vec<usize>> = lengths.iter().map(|&length| usize::try_from(length).ok()).collect();
    let count =
        shape.as_ref().and_then(|shape| shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n)));
    match (shape, count) {
        // Exporters make short vectors this way; a large tensor of one value is a mistake or an attack.
        (Some(shape), Some(count @ 0..=0xff_ffff)) if value.len() == 1 => {
            if let Some(tensor) = value.gather(shape, &vec![0; count]) {
                node.bind_constant(tensor);
                return Ok(());
            }
        }
        _ => {}
    }
    Err(node.error(format!("a constant of shape {lengths:?} is not supported")))
}

/// Inputs: data, starts, ends, [axes], [steps].
pub(super) fn slice(node: &mut NodeContext) -> Result {
    node.check_counts(5)?;
    let starts = node.integers(1, "starts")?;
    let ends = node.integers(2, "ends")?;
    let axes = match node.has(3) {
        true => node.integers(3, "axes")?,
        false => (0..starts.len() as i64).collect(),
    };
    let steps = if node.has(4) { node.integers(4, "steps")? } else { vec![1; starts.len()] };
    if let (Some(data), &[start], &[end], &[0 | -1], &[1]) =
        (node.shape_value(0)?, &*starts, &*ends, &*axes, &*steps)
    {
        node.bind_shape(data.slice(start, end));
        return Ok(());
    }
    let id = node.input(0)?;
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.error("its starts, ends, axes and steps differ in number"));
    }
    if !node.is_constant(id) {
        return part(node, &starts, &ends, &axes, &steps);
    }
    let shape = node.constant(0, "data")?.shape().to_vec();
    // The places along each axis that are taken.
    let mut taken: Vec<Vec<usize>> = shape.iter().map(|&length| (0..length).collect()).collect();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = node.axis(axis, shape.len())?;
        taken[axis] =
            places(start, end, step, shape[axis]).ok_or_else(|| node.error(format!("its step is {step}")))?;
    }
    let lengths: Vec<usize> = taken.iter().map(Vec::len).collect();
    let all = taken.iter().zip(&shape).fold(vec![0], |before, (taken, &length)| {
        before.iter().flat_map(|&place| taken.iter().map(move |&at| place * length + at)).collect()
    });
    match node.constant(0, "data")?.gather(lengths, &all) {
        Some(tensor) => {
            node.bind_constant(tensor);
            Ok(())
        }
        None => Err(node.error("it reaches beyond its data")),
    }
}

/// A part of a result.
fn part(node: &mut NodeContext, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]) -> Result {
    let shape = node.shape(0)?;
    let mut slices = Vec::new();
    for (((&start, &end), &axis), &step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let axis = node.axis(axis, shape.len())?;
        let length = match shape[axis] {
            Dim::Size(length) => length,
            // All of it is no part.
            Dim::Batch if start == 0 && end >= i64::from(i32::MAX) && step == 1 => continue,
            Dim::Batch => return Err(node.error("it takes a part of the batch, which is not supported")),
        };
        let places = places(start, end, step, length).ok_or_else(|| node.error("its step is 0"))?;
        let (start, end) = match (places.first(), places.last()) {
            (Some(&first), Some(&last)) => (first.min(last), first.max(last) + 1),
            _ => (0, 0),
        };
        let step = if places.len() > 1 { step as isize } else { 1 };
        if (start, end, step) != (0, length, 1) {
            slices.push(Slice { axis, start, end, step });
        }
    }
    let input = node.input(0)?;
    if slices.is_empty() {
        node.alias(input);
        return Ok(());
    }
    node.emit(Op::Slice(slices), vec![input])
}

/// The places from `start` to before `end`, of which negative ones count from the end of `length` and those too far are
/// cut off, as in NumPy. `None` for a step of 0.
fn places(start: i64, end: i64, step: i64, length: usize) -> Option<Vec<usize>> {
    let length = length as i64;
    let bound =
        |at: i64, low: i64, high: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high);
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let (mut at, end) = (bound(start, low, high), bound(end, low, high));
    let mut places = Vec::new();
    while step != 0 && (end - at) * step.signum() > 0 {
        places.push(usize::try_from(at).ok()?);
        at = at.saturating_add(step);
    }
    (step != 0).then_some(places)
}

pub(super) fn cast(node: &mut NodeContext) -> Result {
    node.check_counts(1)?;
    node.attributes.ignore("saturate");
    node.attributes.ignore("round_mode");
    let to = node.attributes.int("to")?.unwrap_or(0);
    let target = i32::try_from(to).ok().and_then(tensors::element);
    if let (Some(shape), Some(element @ (Element::I32 | Element::I64))) = (node.shape_value(0)?, target) {
        node.bind_shape(ShapeValue { element, ..shape });
        return Ok(());
    }
    let input = node.input(0)?;
    let from = node.element(input);
    if node.is_flags(input)
        && matches!(target, Some(Element::F32 | Element::I32 | Element::I64 | Element::Bool))
    {
        node.alias(input);
        return Ok(());
    }
    match (from, target) {
        (from, Some(to)) if from == to => {
            node.alias(input);
            Ok(())
        }
        // Integers keep their type: only their numbers are read.
        (Element::I32 | Element::I64, Some(Element::I32 | Element::I64)) if !node.is_constant(input) => {
            node.alias(input);
            Ok(())
        }
        (Element::I32 | Element::I64, Some(Element::F32)) if !node.is_constant(input) => {
            node.emit(Op::Cast, vec![input])
        }
        (_, Some(to)) if node.is_constant(input) => {
            let tensor = node.constant(0, "input")?.cast(to);
            node.bind_constant(tensor);
            Ok(())
        }
        _ => {
            let what =
                format!("asks for {} from {from}, which is not supported", tensors::type_name(to as i32));
            Err(node.attributes.error("to", what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn slices_are_those_of_numpy() {
        let cases = [
            ((0, 3, 1), vec![0, 1, 2]),
            ((1, i64::MAX, 2), vec![1, 3]),
            ((-2, i64::MAX, 1), vec![3, 4]),
            ((-1, i64::MIN, -1), vec![4, 3, 2, 1, 0]),
            ((i64::MAX, 1, -2), vec![4, 2]),
            ((3, 1, 1), vec![]),
        ];
        for ((start, end, step), expected) in cases {
            assert_eq!(places(start, end, step, 5), Some(expected), "{start}:{end}:{step}");
        }
        assert_eq!(places(0, 1, 0, 5), None);
        assert_eq!(places(0, 1, 1, 0), Some(vec![]));
    }
}
