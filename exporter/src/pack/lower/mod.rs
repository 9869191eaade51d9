//! The nodes of an optimized graph as operators of a packed model.

mod blocks;
mod elements;
mod layer;
mod operands;
mod views;

use std::collections::HashMap;

use latent_runtime::format::{self, Builder, Element, ModelInfo};
use latent_runtime::ops::{self, NormalizeKind};

use super::{FloatPrecision, PackError, PackOptions};
use crate::graph::{
    self, Activation, Dim, Graph, Grid, Node, Op, Pad, PadMode, Pool, PoolKind, ValueId, shape_text,
};

/// Packs `graph`.
pub(super) fn lower(graph: &Graph, info: ModelInfo, options: PackOptions) -> Result<Vec<u8>, PackError> {
    let mut lowering = Lowering {
        graph,
        builder: Builder::new(info),
        values: HashMap::new(),
        strided: HashMap::new(),
        constants: Vec::new(),
        dequantized: HashMap::new(),
        wanted: elements::wanted(graph),
        converted: Vec::new(),
        precision: options.precision,
        int4: options.int4,
    };
    lowering.builder.winograd(options.winograd);
    let port = |role, id: ValueId| {
        let name = graph.value(id).name.clone();
        let error = |what| PackError::Ends { role, name: name.clone(), what };
        let shape = per_example(&graph.shape(id)).map_err(error)?;
        match graph.element(id) {
            graph::Element::F32 => Ok(shape),
            // Labels: whole numbers.
            graph::Element::I32 | graph::Element::I64 => Ok(shape),
            other => Err(error(format!("is of type {other}, expected float32"))),
        }
    };
    for &input in &graph.inputs {
        let shape = port("input", input)?;
        let element = lowering.wanted(input).map_or(Element::F32, elements::on);
        let value = lowering.builder.input(&graph.value(input).name, &shape, element)?;
        if graph.element(input) != graph::Element::F32 {
            lowering.builder.integers(value);
        }
        lowering.values.insert(input, value);
    }
    for node in &graph.nodes {
        if matches!(node.op, Op::Dequantize { .. }) && graph.constant(node.inputs[0]).is_some() {
            lowering.dequantized.insert(node.output, node);
            continue;
        }
        if lowering.moves(node) {
            lowering.check_integers(node)?;
            lowering.mover(node)?;
            continue;
        }
        let value = lowering.node(node)?;
        lowering.values.insert(node.output, value);
    }
    for output in &graph.outputs {
        let shape = port("output", output.value)?;
        let Some(value) = lowering.value(output.value)? else {
            let (role, name) = ("output", output.name.clone());
            return Err(PackError::Ends { role, name, what: "does not depend on an input".into() });
        };
        lowering.builder.output(value, &output.name, &shape)?;
    }
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
                Dim::Batch => Err(format!("has the batch on another axis than the first: {}", text())),
            })
            .collect(),
        Some((Dim::Size(batch), _)) => Err(format!(
            "has a fixed batch of {batch} (shape {}); export the model with a free batch, or one of 1",
            text()
        )),
        None => Err("has no batch axis".into()),
    }
}

/// Channels, rows and columns of a value whose axes have these lengths, the batch not counted: its elements in their order.
fn extents_of(lengths: &[usize]) -> [usize; 3] {
    match *lengths {
        [] => [1, 1, 1],
        [channels] => [channels, 1, 1],
        [channels, columns] => [channels, 1, columns],
        [ref channels @ .., rows, columns] => [channels.iter().product(), rows, columns],
    }
}

struct Lowering<'g> {
    graph: &'g Graph,
    builder: Builder,
    /// What each computed value is in the packed model.
    values: HashMap<ValueId, format::ValueId>,
    /// What each value is that was only moved, until it is read.
    strided: HashMap<ValueId, views::Strided>,
    /// Constants that are values, with their extents.
    constants: Vec<(ValueId, [usize; 3], format::ValueId)>,
    /// What dequantizes constants: weights and biases.
    dequantized: HashMap<ValueId, &'g Node>,
    /// The grid that all readers of each value round it to.
    wanted: Vec<Option<Grid>>,
    /// Values that were converted, to what, and the results.
    converted: Vec<(format::ValueId, Element, format::ValueId)>,
    /// Of weights that are floats.
    precision: FloatPrecision,
    int4: bool,
}

impl<'g> Lowering<'g> {
    fn error(&self, node: &Node, what: impl Into<String>) -> PackError {
        PackError::Node { node: node.name.clone(), operator: node.op.name(), what: what.into() }
    }

    /// A node's input; a constant becomes a value.
    fn input(&mut self, node: &Node, index: usize) -> Result<format::ValueId, PackError> {
        let id = node.inputs[index];
        if let Some(value) = self.value(id)? {
            return Ok(value);
        }
        if self.graph.constant(id).is_some() || self.dequantized.contains_key(&id) {
            return self.operand(node, index, 0);
        }
        Err(self.error(
            node,
            format!("its input \"{}\" mixes the examples of the batch", self.graph.value(id).name),
        ))
    }

    /// Channels, rows and columns of the node's result.
    fn result(&self, node: &Node) -> Result<[usize; 3], PackError> {
        Ok(extents_of(&self.lengths(node, node.output)?))
    }

    /// The lengths of a value's axes without the batch.
    fn lengths(&self, node: &Node, id: ValueId) -> Result<Vec<usize>, PackError> {
        per_example(&self.graph.shape(id)).map_err(|what| self.error(node, format!("its value {what}")))
    }

    /// One of the constant parameters of an affine map.
    fn parameter(&self, node: &Node, index: usize) -> Result<&'g [f32], PackError> {
        let tensor = self.graph.constant(node.inputs[index]);
        tensor.and_then(|tensor| tensor.floats()).ok_or_else(|| {
            self.error(node, format!("its input {index} is computed; only a constant is supported"))
        })
    }

    /// Whether a node only moves elements. A Reshape of what is there is an operator of its own.
    fn moves(&self, node: &Node) -> bool {
        match &node.op {
            Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::DepthToSpace(_) => true,
            Op::Reshape(_) => {
                let id = node.inputs[0];
                let is_strided = self.strided.contains_key(&id) && !self.values.contains_key(&id);
                is_strided || per_example(&self.graph.shape(node.output)).is_err()
            }
            _ => false,
        }
    }

    /// Integers are read by what turns them to floats alone, and moved before.
    fn check_integers(&self, node: &Node) -> Result<(), PackError> {
        let takes = match node.inputs.first().map(|&id| self.graph.element(id)) {
            None | Some(graph::Element::F32) => true,
            Some(graph::Element::I32 | graph::Element::I64) => {
                matches!(node.op, Op::OneHot { .. } | Op::Cast | Op::Reshape(_) | Op::Concat { .. })
                    || self.moves(node)
            }
            Some(_) => matches!(node.op, Op::Dequantize { .. }),
        };
        match takes {
            true => Ok(()),
            false => Err(self.error(node, "it computes with integers; only DequantizeLinear takes them")),
        }
    }

    fn node(&mut self, node: &'g Node) -> Result<format::ValueId, PackError> {
        let name = node.name.as_str();
        self.check_integers(node)?;
        match &node.op {
            Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::Interleaved(_) => self.layer(node),
            Op::Affine => {
                let [scale, shift] = [1, 2].map(|index| self.parameter(node, index).map(<[f32]>::to_vec));
                self.elementwise(node, Some((scale?, shift?)), node.epilogue.activation)
            }
            Op::Activation(activation) => self.elementwise(node, None, Some(*activation)),
            Op::Function(function) => {
                let input = self.input(node, 0)?;
                let element = self.element(node);
                Ok(self.builder.function(name, input, *function, element)?)
            }
            Op::Binary(binary) => self.binary(node, *binary),
            Op::Pool(pool) => self.pool(node, pool),
            Op::Reduce(reduce) => self.reduce(node, reduce),
            Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::DepthToSpace(_) | Op::Slice(_) => {
                let (input, extents) = (self.input(node, 0)?, self.result(node)?);
                Ok(self.builder.reshape(name, input, extents)?)
            }
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Pad(pad) => self.pad(node, pad),
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
            Op::Softmax { axis } => self.normalize(node, NormalizeKind::Softmax, &[*axis], 0.0),
            Op::Normalize { axis, p, epsilon } => {
                let kind = if *p == 1 { NormalizeKind::Absolute } else { NormalizeKind::Euclidean };
                self.normalize(node, kind, &[*axis], *epsilon)
            }
            Op::Standardize { axes, epsilon } => {
                self.normalize(node, NormalizeKind::Standardize, axes, *epsilon)
            }
            Op::Quantize { .. } => self.quantize(node),
            Op::Dequantize { .. } => self.dequantize(node),
            Op::MatMul => self.product(node),
            Op::OneHot { depth } => {
                let input = self.input(node, 0)?;
                let element = self.element(node);
                let value = self.builder.one_hot(name, input, *depth, element)?;
                let extents = self.result(node)?;
                Ok(self.builder.reshape(&format!("{name}.reshape"), value, extents)?)
            }
            Op::Cast => self.input(node, 0),
            Op::HardSigmoid { .. } => {
                Err(self.error(node, "HardSigmoid of a value without channels is not supported"))
            }
            Op::BatchNorm { .. } => Err(self.error(node, "only constant parameters are supported")),
        }
    }

    /// Rows and columns at once, other axes one after the other.
    fn pad(&mut self, node: &Node, pad: &Pad) -> Result<format::ValueId, PackError> {
        let name = node.name.as_str();
        let input = self.input(node, 0)?;
        let element = self.element(node);
        if let ([0, 0, top, left], [0, 0, bottom, right]) = (&*pad.before, &*pad.after) {
            return Ok(self.builder.pad(name, input, [*top, *left, *bottom, *right], pad.mode, element)?);
        }
        let mut lengths = self.lengths(node, node.inputs[0])?;
        let mut value = input;
        for axis in 0..lengths.len() {
            let (before, after) = (pad.before[axis + 1], pad.after[axis + 1]);
            if (before, after) == (0, 0) {
                continue;
            }
            let extents = operands::around(&lengths, axis);
            let image = self.builder.reshape(&format!("{name}.axis{axis}"), value, extents)?;
            value = self.builder.pad(name, image, [before, 0, after, 0], pad.mode, element)?;
            lengths[axis] += before + after;
        }
        let extents = self.result(node)?;
        Ok(self.builder.reshape(&format!("{name}.reshape"), value, extents)?)
    }

    fn elementwise(
        &mut self,
        node: &Node,
        before: Option<(Vec<f32>, Vec<f32>)>,
        activation: Option<Activation>,
    ) -> Result<format::ValueId, PackError> {
        let input = self.input(node, 0)?;
        let activation = packed(activation);
        // Of more than four axes the first ones are the channels together.
        let channels = self.builder.extents(input)[0];
        let spread = |values: &[f32]| -> Vec<f32> {
            let times = channels / values.len().max(1);
            values.iter().flat_map(|&value| vec![value; times]).collect()
        };
        let before = before.map(|(scale, shift)| (spread(&scale), spread(&shift)));
        let after =
            node.epilogue.affine.as_ref().map(|affine| (spread(&affine.scale), spread(&affine.shift)));
        let before = before.as_ref().map(|(scale, shift)| (&**scale, &**shift));
        let after = after.as_ref().map(|(scale, shift)| (&**scale, &**shift));
        let element = self.element(node);
        Ok(self.builder.elementwise(&node.name, input, before, activation, after, element)?)
    }

    fn pool(&mut self, node: &Node, pool: &Pool) -> Result<format::ValueId, PackError> {
        let [_, rows, columns] = self.result(node)?;
        let [_, height, width] = extents_of(&self.lengths(node, node.inputs[0])?);
        let overhangs = |axis: usize, count: usize, length: usize| {
            let window = &pool.window;
            (count - 1) * window.stride[axis] + window.extent(axis)
                > length + window.pads[axis] + window.pads[axis + 2]
        };
        let mut input = self.input(node, 0)?;
        let (mut kind, mut window) = (pool.kind, pool.window);
        if pool.kind == PoolKind::AverageWithPadding
            && (overhangs(0, rows, height) || overhangs(1, columns, width))
        {
            // What is padded counts, what overhangs that does not: the average of an image with a border.
            let [top, left, bottom, right] = window.pads;
            let (name, zero) = (format!("{}.padded", node.name), PadMode::Constant(0.0));
            let element = self.builder.element(input);
            input = self.builder.pad(&name, input, [top, left, bottom, right], zero, element)?;
            (kind, window.pads) = (PoolKind::Average, [0; 4]);
        }
        let element = match (pool.kind, self.builder.element(input)) {
            // The greatest integer stands for the greatest number; and floats are not rounded while they are pooled.
            (PoolKind::Max, element) | (_, element @ Element::F32) => element,
            _ => self.element(node),
        };
        Ok(self.builder.pool(&node.name, input, kind, window, [rows, columns], element)?)
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
