//! Operators without weights.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use super::error::{BuildError, length_error, shape_error};
use super::node::{Extents, Node, owned_affine};
use super::spec::Element;
use super::{Builder, ValueId};
use crate::format::ops::OperatorKind;
use crate::ops::{
    Activation, Binary, Function, Normalize, NormalizeKind, Operation, Pad, PadMode, Pool, PoolKind, Reduce,
    Resize, View, Window,
};

impl Builder {
    /// A pool with an output of `output` rows and columns (so that both of ONNX's rounding modes can be had). Max pools
    /// keep the element type; average pools may go from U8 to F32 or to another U8.
    ///
    /// # Errors
    /// If shapes or types do not fit.
    pub fn pool(
        &mut self,
        name: &str,
        input: ValueId,
        kind: PoolKind,
        window: Window,
        output: [usize; 2],
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        self.per_output(name, channels, 1, &window)?;
        let axes = window.axes();
        for (axis, (input, output)) in axes.iter().zip([(height, output[0]), (width, output[1])]) {
            if output == 0 || (output - 1) * axis.stride >= axis.pad + input {
                return Err(shape_error(name, "the last window of the pool lies outside the input"));
            }
        }
        let pool = Operation::Pool(Pool { window: axes, kind });
        self.unweighted(name, pool, input, [channels, output[0], output[1]], element)
    }

    /// The mean over each channel's whole image.
    ///
    /// # Errors
    /// If types do not fit.
    pub fn global_average_pool(
        &mut self,
        name: &str,
        input: ValueId,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [_, height, width] = self.extents(input);
        let window = Window { kernel: [height, width], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
        self.pool(name, input, PoolKind::Average, window, [1, 1], element)
    }

    /// `after(activation(before(x)))` with per-channel affines, and the change from one element type to another:
    /// QuantizeLinear and DequantizeLinear are elementwise operators with nothing but another output element.
    ///
    /// # Errors
    /// If the affines' lengths do not fit.
    pub fn elementwise(
        &mut self,
        name: &str,
        input: ValueId,
        before: Option<(&[f32], &[f32])>,
        activation: Activation,
        after: Option<(&[f32], &[f32])>,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let extents = self.extents(input);
        let before = owned_affine(name, before, extents[0])?;
        let after = owned_affine(name, after, extents[0])?;
        self.unweighted(name, Operation::Elementwise { before, activation, after }, input, extents, element)
    }

    /// `activation(a op b)`; along each axis `b` has the extent of `a` or one element.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn binary(
        &mut self,
        name: &str,
        binary: Binary,
        a: ValueId,
        b: ValueId,
        activation: Activation,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let (shape, other) = (self.extents(a), self.extents(b));
        if !other.iter().zip(shape).all(|(&b, a)| b == a || b == 1) {
            return Err(shape_error(name, "the operands' shapes do not fit"));
        }
        let kind = OperatorKind::Unweighted(Operation::Binary { binary, activation });
        self.add(name, kind, a, Some(b), shape, element)
    }

    /// The inputs one after the other along an axis: 0 channels, 1 rows, 2 columns.
    ///
    /// # Errors
    /// If there are no inputs or shapes do not fit.
    pub fn concat(
        &mut self,
        name: &str,
        inputs: &[ValueId],
        axis: usize,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let Some(&first) = inputs.first() else { return Err(shape_error(name, "nothing to concatenate")) };
        let mut extents = self.extents(first);
        if axis > 2 {
            return Err(shape_error(name, "the axis is 0, 1 or 2"));
        }
        extents[axis] = 0;
        for &input in inputs {
            let shape = self.extents(input);
            if (0..3).any(|n| n != axis && shape[n] != extents[n]) {
                return Err(shape_error(
                    name,
                    "the inputs differ along another axis than the concatenated one",
                ));
            }
            extents[axis] += shape[axis];
        }
        let output = self.add_value(name, extents, element)?;
        let mut at = [0; 3];
        for &input in inputs {
            self.nodes.push(Node {
                name: name.to_owned(),
                kind: OperatorKind::Unweighted(Operation::Copy { at }),
                input: input.0,
                second: None,
                output,
            });
            at[axis] += self.extents(input)[axis];
        }
        Ok(ValueId(output))
    }

    /// Adds a border: pads top, left, bottom, right.
    ///
    /// # Errors
    /// If the pads do not fit.
    pub fn pad(
        &mut self,
        name: &str,
        input: ValueId,
        pads: [usize; 4],
        mode: PadMode,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        let extents = [channels, height + pads[0] + pads[2], width + pads[1] + pads[3]];
        let pad = Pad { before: [pads[0], pads[1]], mode };
        self.unweighted(name, Operation::Pad(pad), input, extents, element)
    }

    /// The image at `output` rows and columns.
    ///
    /// # Errors
    /// If the output is empty.
    pub fn resize(
        &mut self,
        name: &str,
        input: ValueId,
        output: [usize; 2],
        resize: Resize,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, ..] = self.extents(input);
        let extents = [channels, output[0], output[1]];
        self.unweighted(name, Operation::Resize(resize), input, extents, element)
    }

    /// Softmax over channels.
    ///
    /// # Errors
    /// None today.
    pub fn softmax(&mut self, name: &str, input: ValueId, element: Element) -> Result<ValueId, BuildError> {
        let block = [self.extents(input)[0], 1, 1];
        self.normalize(name, input, Normalize { kind: NormalizeKind::Softmax, block, epsilon: 0.0 }, element)
    }

    /// Division by the norm over channels, which counts as at least `epsilon`.
    ///
    /// # Errors
    /// None today.
    pub fn l2_normalize(
        &mut self,
        name: &str,
        input: ValueId,
        epsilon: f32,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let block = [self.extents(input)[0], 1, 1];
        self.normalize(name, input, Normalize { kind: NormalizeKind::Euclidean, block, epsilon }, element)
    }

    /// The elements of each block brought to one scale.
    ///
    /// # Errors
    /// If the image is no whole number of blocks.
    pub fn normalize(
        &mut self,
        name: &str,
        input: ValueId,
        normalize: Normalize,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let extents = self.extents(input);
        blocks(name, extents, normalize.block)?;
        self.unweighted(name, Operation::Normalize(normalize), input, extents, element)
    }

    /// One element for each block.
    ///
    /// # Errors
    /// If the image is no whole number of blocks.
    pub fn reduce(
        &mut self,
        name: &str,
        input: ValueId,
        reduce: Reduce,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let extents = blocks(name, self.extents(input), reduce.block)?;
        self.unweighted(name, Operation::Reduce(reduce), input, extents, element)
    }

    /// A function of each element.
    ///
    /// # Errors
    /// None today.
    pub fn function(
        &mut self,
        name: &str,
        input: ValueId,
        function: Function,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        self.unweighted(name, Operation::Function(function), input, self.extents(input), element)
    }

    /// Numbers that are always the same, in channel-first order.
    ///
    /// # Errors
    /// If there are not as many as elements.
    pub fn constant(
        &mut self,
        name: &str,
        values: &[f32],
        extents: [usize; 3],
    ) -> Result<ValueId, BuildError> {
        let output = self.add_value(name, extents, Element::F32)?;
        let [channels, height, width] = extents;
        let plane = height * width;
        if values.len() != channels * plane {
            return Err(length_error(name, "values", values.len(), channels * plane));
        }
        let values = (0..values.len()).map(|at| values[at % channels * plane + at / channels]).collect();
        let kind = OperatorKind::Unweighted(Operation::Constant(values));
        self.nodes.push(Node { name: name.to_owned(), kind, input: output, second: None, output });
        Ok(ValueId(output))
    }

    /// The input's elements in another order, under another shape.
    ///
    /// # Errors
    /// If the view reaches beyond the input, or has another number of elements than the shape.
    pub fn view(
        &mut self,
        name: &str,
        input: ValueId,
        view: View,
        extents: [usize; 3],
    ) -> Result<ValueId, BuildError> {
        let output = self.unweighted(name, Operation::View(view), input, extents, self.element(input))?;
        if view.elements() != Some(extents.iter().product()) {
            return Err(shape_error(name, "a view has as many elements as its shape"));
        }
        if !view.fits(self.extents(input).iter().product()) {
            return Err(shape_error(name, "the view reaches beyond its input"));
        }
        Ok(output)
    }

    /// For each channel the product of two matrices of rows and columns; `b` may have one channel for all.
    ///
    /// # Errors
    /// If the matrices do not fit.
    pub fn product(
        &mut self,
        name: &str,
        a: ValueId,
        b: ValueId,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let ([channels, rows, inner], [others, inner_b, columns]) = (self.extents(a), self.extents(b));
        if inner != inner_b || (others != channels && others != 1) {
            return Err(shape_error(name, "the matrices do not fit"));
        }
        let kind = OperatorKind::Unweighted(Operation::Product);
        self.add(name, kind, a, Some(b), [channels, rows, columns], element)
    }

    /// For each element of the input, in channel-first order, `depth` elements: 1 at the place that its value, rounded,
    /// counts from 0, else 0. Of one element they are channels, of several columns.
    ///
    /// # Errors
    /// If the result would be empty or too large.
    pub fn one_hot(
        &mut self,
        name: &str,
        input: ValueId,
        depth: usize,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let extents = match self.extents(input).iter().product() {
            1 => [depth, 1, 1],
            count => [count, 1, depth],
        };
        self.unweighted(name, Operation::OneHot, input, extents, element)
    }

    /// The same elements, in channel-first order, under another shape.
    ///
    /// # Errors
    /// If the numbers of elements differ.
    pub fn reshape(
        &mut self,
        name: &str,
        input: ValueId,
        extents: [usize; 3],
    ) -> Result<ValueId, BuildError> {
        if extents == self.extents(input) {
            return Ok(input);
        }
        if extents.iter().product::<usize>() != self.extents(input).iter().product::<usize>() {
            return Err(shape_error(name, "a reshape keeps the number of elements"));
        }
        self.unweighted(name, Operation::Reorder, input, extents, self.element(input))
    }

    fn unweighted(
        &mut self,
        name: &str,
        operation: Operation<Vec<f32>>,
        input: ValueId,
        extents: Extents,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        self.add(name, OperatorKind::Unweighted(operation), input, None, extents, element)
    }
}

/// How many blocks an image is, along each axis.
fn blocks(name: &str, extents: Extents, block: [usize; 3]) -> Result<Extents, BuildError> {
    let divides = |n: usize| block[n] > 0 && extents[n].is_multiple_of(block[n]);
    match (0..3).all(divides) {
        true => Ok([0, 1, 2].map(|n| extents[n] / block[n])),
        false => Err(shape_error(name, "the image is no whole number of blocks")),
    }
}
