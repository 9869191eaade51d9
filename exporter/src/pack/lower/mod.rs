//! The nodes of an optimized graph as operators of a packed model.

mod elements;
mod layer;
mod transpose;

use std::collections::HashMap;

use latent_runtime::format::{self, Builder, Element, ModelInfo};
use latent_runtime::ops;

use super::{FloatPrecision, PackError, PackOptions};
use crate::graph::{
    self, Activation, Binary, Dim, Graph, Grid, Node, Op, Pool, PoolKind, Reduce, ReduceKind, ValueId,
    Window, shape_text,
};

/// Packs `graph`.
pub(super) fn lower(graph: &Graph, info: ModelInfo, options: PackOptions) -> Result<Vec<u8>, PackError> {
    let (&[input], [output]) = (&*graph.inputs, &*graph.outputs) else {
        let (role, count) = match graph.inputs.len() {
            1 => ("output", graph.outputs.len()),
            count => ("input", count),
        };
        return Err(PackError::Ends { role, what: format!("is not one but {count}") });
    };
    let mut lowering = Lowering {
        graph,
        builder: Builder::new(info),
        values: HashMap::new(),
        dequantized: HashMap::new(),
        wanted: elements::wanted(graph),
        converted: Vec::new(),
        precision: options.precision,
    };
    lowering.builder.winograd(options.winograd);
    let port = |role, id| {
        per_example(&graph.shape(id)).map_err(|what| PackError::Ends { role, what }).and_then(|shape| {
            match graph.element(id) {
                graph::Element::F32 => Ok(shape),
                other => Err(PackError::Ends { role, what: format!("is of type {other}, expected float32") }),
            }
        })
    };
    let shape = port("input", input)?;
    let element = lowering.wanted(input).map_or(Element::F32, elements::on);
    let name = &graph.value(input).name;
    let value = match transpose::input_extents(graph, input) {
        Some(extents) => lowering.builder.input_as(name, &shape, extents, element)?,
        None => lowering.builder.input(name, &shape, element)?,
    };
    lowering.values.insert(input, value);
    for node in &graph.nodes {
        if matches!(node.op, Op::Dequantize { .. }) && graph.constant(node.inputs[0]).is_some() {
            lowering.dequantized.insert(node.output, node);
            continue;
        }
        let value = lowering.node(node)?;
        lowering.values.insert(node.output, value);
    }
    let shape = port("output", output.value)?;
    let Some(&value) = lowering.values.get(&output.value) else {
        return Err(PackError::Ends { role: "output", what: "does not depend on its input".into() });
    };
    lowering.builder.output(value, &output.name, &shape)?;
    Ok(lowering.builder.finish()?)
}

/// The shape without the batch, which is the first axis: the symbol, or a fixed batch of 1.
fn per_example(shape: &[Dim]) -> Result<Vec<usize>, String> {
    let text = || shape_text(shape);
    match shape.split_first() {
        Some((Dim::Batch | Dim::Size(1), rest)) => rest
            .iter()
            .map(|dim| match dim {
                Dim::Size(length) => Ok(*length),
                Dim::Batch => Err(format!("has the batch on two axes: {}", text())),
            })
            .collect(),
        Some((Dim::Size(batch), _)) => Err(format!(
            "has a fixed batch of {batch} (shape {}); export the model with a free batch, or one of 1",
            text()
        )),
        None => Err("has no batch axis".into()),
    }
}

struct Lowering<'g> {
    graph: &'g Graph,
    builder: Builder,
    /// What each computed value is in the packed model.
    values: HashMap<ValueId, format::ValueId>,
    /// What dequantizes constants: weights and biases.
    dequantized: HashMap<ValueId, &'g Node>,
    /// The grid that all readers of each value round it to.
    wanted: Vec<Option<Grid>>,
    /// Values that were converted, to what, and the results.
    converted: Vec<(format::ValueId, Element, format::ValueId)>,
    /// Of weights that are floats.
    precision: FloatPrecision,
}

impl<'g> Lowering<'g> {
    fn error(&self, node: &Node, what: impl Into<String>) -> PackError {
        PackError::Node { node: node.name.clone(), operator: node.op.name(), what: what.into() }
    }

    fn input(&self, node: &Node, index: usize) -> Result<format::ValueId, PackError> {
        let id = node.inputs[index];
        self.values.get(&id).copied().ok_or_else(|| {
            self.error(
                node,
                format!(
                    "its input \"{}\" is a constant of shape {}; only one number, or one for each channel, is supported",
                    self.graph.value(id).name,
                    shape_text(&self.graph.shape(id))
                ),
            )
        })
    }

    /// Channels, rows and columns of the node's result.
    fn result(&self, node: &Node) -> Result<[usize; 3], PackError> {
        self.extents(node, node.output)
    }

    fn extents(&self, node: &Node, id: ValueId) -> Result<[usize; 3], PackError> {
        let shape = self.graph.shape(id);
        let per_example =
            per_example(&shape).map_err(|what| self.error(node, format!("its value {what}")))?;
        match *per_example {
            [] => Ok([1, 1, 1]),
            [channels] => Ok([channels, 1, 1]),
            [channels, columns] => Ok([channels, 1, columns]),
            [channels, rows, columns] => Ok([channels, rows, columns]),
            _ => {
                Err(self
                    .error(node, format!("its value has the shape {}, beyond four axes", shape_text(&shape))))
            }
        }
    }

    /// One of the constant parameters of an affine map.
    fn parameter(&self, node: &Node, index: usize) -> Result<&'g [f32], PackError> {
        let tensor = self.graph.constant(node.inputs[index]);
        tensor.and_then(|tensor| tensor.floats()).ok_or_else(|| {
            self.error(node, format!("its input {index} is computed; only a constant is supported"))
        })
    }

    fn node(&mut self, node: &'g Node) -> Result<format::ValueId, PackError> {
        let name = node.name.as_str();
        let computes_integers = |id: &ValueId| self.graph.element(*id) != graph::Element::F32;
        if !matches!(node.op, Op::Dequantize { .. }) && node.inputs.first().is_some_and(computes_integers) {
            return Err(self.error(node, "it computes with integers; only DequantizeLinear takes them"));
        }
        match &node.op {
            Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_) => self.layer(node),
            Op::Affine => {
                let [scale, shift] = [1, 2].map(|index| self.parameter(node, index).map(<[f32]>::to_vec));
                self.elementwise(node, Some((scale?, shift?)), node.epilogue.activation)
            }
            Op::Activation(activation) => self.elementwise(node, None, Some(*activation)),
            Op::Binary(binary) => self.binary(node, *binary),
            Op::Pool(pool) => self.pool(node, pool),
            Op::Reduce(reduce) => self.reduce(node, reduce),
            Op::Reshape(_) => {
                let (input, extents) = (self.input(node, 0)?, self.result(node)?);
                Ok(self.builder.reshape(name, input, extents)?)
            }
            Op::Concat { axis } => {
                let inputs = (0..node.inputs.len()).map(|index| self.input(node, index));
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                // A tensor of three axes has one row, so its last axis is the columns.
                let axis = match (axis, self.graph.shape(node.output).len()) {
                    (0, _) => return Err(self.error(node, "it joins along the batch")),
                    (2, 3) => 2,
                    (axis, _) => axis - 1,
                };
                let element = self.element(node);
                Ok(self.builder.concat(name, &inputs, axis, element)?)
            }
            Op::Pad(pad) => {
                let ([0, 0, top, left], [0, 0, bottom, right]) = (&*pad.before, &*pad.after) else {
                    return Err(self.error(node, "only the rows and columns of images can be padded"));
                };
                let input = self.input(node, 0)?;
                let element = self.element(node);
                Ok(self.builder.pad(name, input, [*top, *left, *bottom, *right], pad.mode, element)?)
            }
            Op::Resize(resize) => {
                let input = self.input(node, 0)?;
                let element = self.element(node);
                let how = ops::Resize {
                    step: resize.scale.map(|scale| 1.0 / scale),
                    coordinates: resize.coordinates,
                    interpolation: resize.interpolation,
                };
                Ok(self.builder.resize(name, input, resize.output, how, element)?)
            }
            Op::Softmax { axis: 1 } => {
                let input = self.input(node, 0)?;
                let element = self.element(node);
                Ok(self.builder.softmax(name, input, element)?)
            }
            Op::Normalize { axis: 1, p: 2, epsilon } => {
                let input = self.input(node, 0)?;
                let element = self.element(node);
                Ok(self.builder.l2_normalize(name, input, *epsilon, element)?)
            }
            Op::Softmax { .. } | Op::Normalize { .. } => Err(self
                .error(node, "only the Euclidean norm, and only along the channels (axis 1), is supported")),
            Op::Quantize { .. } => self.quantize(node),
            Op::Dequantize { .. } => self.dequantize(node),
            Op::Transpose(permutation) => self.transpose(node, permutation),
            Op::MatMul => Err(self.error(
                node,
                "only a product of vectors, or of each pixel, with constant weights is supported",
            )),
            Op::HardSigmoid { .. } => {
                Err(self.error(node, "HardSigmoid of a value without channels is not supported"))
            }
            Op::Divide => Err(self.error(node, "only a division by a constant is supported")),
            Op::BatchNorm { .. } => Err(self.error(node, "only constant parameters are supported")),
            Op::Expand(_) => Err(self.error(node, "it is supported only as an operand of Add, Sub and Mul")),
            Op::DepthToSpace(_) => Err(self.error(
                node,
                "it is supported only after a Conv of stride 1 without groups or dilation, with less padding than its kernel is long, as a transposed convolution; what lies between must treat all channels that become one alike",
            )),
            Op::Slice(_) => Err(self.error(
                node,
                "it is supported only for rows and columns of what a transposed convolution, or Conv and DepthToSpace, give",
            )),
        }
    }

    fn elementwise(
        &mut self,
        node: &Node,
        before: Option<(Vec<f32>, Vec<f32>)>,
        activation: Option<Activation>,
    ) -> Result<format::ValueId, PackError> {
        let input = self.input(node, 0)?;
        let activation = packed(activation);
        let before = before.as_ref().map(|(scale, shift)| (&**scale, &**shift));
        let after = node.epilogue.affine.as_ref().map(|affine| (&*affine.scale, &*affine.shift));
        let element = self.element(node);
        Ok(self.builder.elementwise(&node.name, input, before, activation, after, element)?)
    }

    /// The second operand may be one pixel for the whole image; the first one may not.
    fn binary(&mut self, node: &Node, mut binary: Binary) -> Result<format::ValueId, PackError> {
        let activation = packed(node.epilogue.activation);
        let (mut a, mut b) = (self.input(node, 0)?, self.input(node, 1)?);
        let whole = self.result(node)?;
        if self.extents(node, node.inputs[0])? != whole {
            if binary == Binary::Subtract {
                // a - b = -b + a.
                let channels = self.builder.extents(b)[0];
                let (minus, zero) = (vec![-1.0; channels], vec![0.0; channels]);
                let (identity, name) = (Activation::Identity, format!("{}.negative", node.name));
                b = self.builder.elementwise(
                    &name,
                    b,
                    Some((&minus, &zero)),
                    identity,
                    None,
                    Element::F32,
                )?;
                binary = Binary::Add;
            }
            (a, b) = (b, a);
        }
        let (first, second) = (self.builder.extents(a), self.builder.extents(b));
        if first != whole || (second != whole && second != [whole[0], 1, 1]) {
            let shapes = [0, 1].map(|index| shape_text(&self.graph.shape(node.inputs[index])));
            return Err(self.error(
                node,
                format!(
                    "operands of shape {} and {} cannot be combined in a packed model",
                    shapes[0], shapes[1]
                ),
            ));
        }
        let element = self.element(node);
        Ok(self.builder.binary(&node.name, binary, a, b, activation, element)?)
    }

    fn pool(&mut self, node: &Node, pool: &Pool) -> Result<format::ValueId, PackError> {
        let [_, rows, columns] = self.result(node)?;
        let [_, height, width] = self.extents(node, node.inputs[0])?;
        let overhangs = |axis: usize, count: usize, length: usize| {
            let window = &pool.window;
            (count - 1) * window.stride[axis] + window.extent(axis)
                > length + window.pads[axis] + window.pads[axis + 2]
        };
        if pool.kind == PoolKind::AverageWithPadding
            && (overhangs(0, rows, height) || overhangs(1, columns, width))
        {
            return Err(self.error(
                node,
                "an average that counts padding, with windows that overhang it (ceil_mode), is not supported",
            ));
        }
        let input = self.input(node, 0)?;
        let element = match (pool.kind, self.builder.element(input)) {
            // The greatest integer stands for the greatest number; and floats are not rounded while they are pooled.
            (PoolKind::Max, element) | (_, element @ Element::F32) => element,
            _ => self.element(node),
        };
        Ok(self.builder.pool(&node.name, input, pool.kind, pool.window, [rows, columns], element)?)
    }

    /// A mean over rows, columns or both.
    fn reduce(&mut self, node: &Node, reduce: &Reduce) -> Result<format::ValueId, PackError> {
        let rank = self.graph.shape(node.inputs[0]).len();
        let spatial = rank == 4 && reduce.axes.iter().all(|axis| matches!(axis, 2 | 3));
        if reduce.kind != ReduceKind::Mean || !spatial {
            return Err(self.error(
                node,
                "only a mean over the rows and columns of images, and a norm that divides what it is of, are supported",
            ));
        }
        let input = self.input(node, 0)?;
        let [_, height, width] = self.builder.extents(input);
        let over = |axis: usize, length: usize| if reduce.axes.contains(&axis) { length } else { 1 };
        let (rows, columns) = (over(2, height), over(3, width));
        let window =
            Window { kernel: [rows, columns], stride: [rows, columns], dilation: [1, 1], pads: [0; 4] };
        let size = [height / rows, width / columns];
        let element = match self.builder.element(input) {
            Element::F32 => Element::F32,
            Element::U8 { .. } => self.element(node),
        };
        let mean = self.builder.pool(&node.name, input, PoolKind::Average, window, size, element)?;
        let result = self.result(node)?;
        Ok(self.builder.reshape(&format!("{}.reshape", node.name), mean, result)?)
    }
}

/// The function in a packed model, where limits are in order. ONNX: where they are not, everything becomes the greatest
/// value.
fn packed(activation: Option<Activation>) -> Activation {
    match activation {
        None => Activation::Identity,
        Some(Activation::Clip { low, high }) if low > high => Activation::Clip { low: high, high },
        Some(activation) => activation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_is_the_first_axis() {
        use Dim::{Batch, Size};
        assert_eq!(per_example(&[Batch, Size(3)]), Ok(vec![3]));
        assert_eq!(per_example(&[Size(1), Size(3)]), Ok(vec![3]));
        assert!(per_example(&[Size(8), Size(3)]).unwrap_err().contains("fixed batch of 8"));
        assert!(per_example(&[Batch, Batch]).is_err());
        assert!(per_example(&[]).is_err());
    }
}
