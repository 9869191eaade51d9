//! One node while it is taken in: its inputs, its attributes, and where its result goes.

use latent_runtime::onnx::proto::NodeProto;

use super::attributes::Attributes;
use super::shape_values::{Entry, ShapeValue};
use super::{Bound, ImportError, Importer, operators};
use crate::graph::{Binary, Content, Dim, Element, InferError, Op, Tensor, ValueId, interpret};

/// What the integers of a value stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuantizedBy {
    /// (x - zero point) * scale, one of each for all elements.
    Values { scale: ValueId, zero_point: Option<ValueId> },
    /// The numbers that they are.
    Itself,
}

/// One node while it is taken in.
#[derive(Debug)]
pub(super) struct NodeContext<'a, 'b> {
    importer: &'b mut Importer,
    proto: &'a NodeProto,
    name: String,
    pub(super) attributes: Attributes<'a>,
}

impl<'a, 'b> NodeContext<'a, 'b> {
    pub(super) fn new(importer: &'b mut Importer, index: usize, proto: &'a NodeProto) -> NodeContext<'a, 'b> {
        let mut name = match (proto.name.as_str(), proto.output.first()) {
            ("", Some(output)) if !output.is_empty() => format!("{}_{output}", proto.op_type),
            ("", _) => format!("{}_{index}", proto.op_type),
            (name, _) => name.to_string(),
        };
        // Names need not be unique in ONNX.
        while importer.node_names.contains(&name) {
            name = format!("{name}_{index}");
        }
        importer.node_names.insert(name.clone());
        let attributes = Attributes::new(name.clone(), proto);
        NodeContext { importer, proto, name, attributes }
    }

    pub(super) fn opset(&self) -> i64 {
        self.importer.opset
    }

    pub(super) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    pub(super) fn domain(&self) -> &'a str {
        &self.proto.domain
    }

    /// An error about this node.
    pub(super) fn error(&self, what: impl Into<String>) -> ImportError {
        ImportError::Node { node: self.name.clone(), operator: self.proto.op_type.clone(), what: what.into() }
    }

    /// The error for an operator that is not supported.
    pub(super) fn unsupported(&self) -> ImportError {
        let operator = match self.proto.domain.as_str() {
            "" => self.proto.op_type.clone(),
            domain => format!("{domain}.{}", self.proto.op_type),
        };
        ImportError::Operator { node: self.name.clone(), operator }
    }

    /// The error for an operator that behaves as it does in training.
    pub(super) fn in_training(&self) -> ImportError {
        self.error("it is in training mode; export the model in evaluation mode (model.eval())")
    }

    /// How many outputs are used.
    pub(super) fn output_count(&self) -> usize {
        self.proto.output.iter().filter(|output| !output.is_empty()).count()
    }

    /// Checks that no more than `inputs` inputs are given, and that only the first output is used.
    pub(super) fn check_counts(&self, inputs: usize) -> Result<(), ImportError> {
        if self.proto.input.len() > inputs {
            return Err(
                self.error(format!("it has {} inputs, expected at most {inputs}", self.proto.input.len()))
            );
        }
        if let Some(extra) = self.proto.output.iter().skip(1).find(|output| !output.is_empty()) {
            return Err(self.error(format!("its further output \"{extra}\" is not supported")));
        }
        Ok(())
    }

    pub(super) fn input_count(&self) -> usize {
        self.proto.input.len()
    }

    /// Whether input `index` is given.
    pub(super) fn has(&self, index: usize) -> bool {
        self.proto.input.get(index).is_some_and(|name| !name.is_empty())
    }

    fn bound(&self, index: usize) -> Result<&Bound, ImportError> {
        let Some(name) = self.proto.input.get(index).filter(|name| !name.is_empty()) else {
            return Err(self.error(format!("input {index} is missing")));
        };
        self.importer
            .bound
            .get(name)
            .ok_or_else(|| self.error(format!("its input \"{name}\" is computed by no node before it")))
    }

    /// Input `index` as a value. A shape becomes a constant, if the batch is not in it.
    pub(super) fn input(&mut self, index: usize) -> Result<ValueId, ImportError> {
        let shape = match self.bound(index)? {
            Bound::Value(id) => return Ok(*id),
            Bound::Shape(shape) => shape.clone(),
            Bound::Joined { .. } => {
                let name = &self.proto.input[index];
                let what = format!("its input \"{name}\" has the batch joined with other axes");
                return Err(self.error(format!("{what}, which is supported only for Transpose and Reshape")));
            }
        };
        let Some(tensor) = shape.tensor() else {
            return Err(self.error("it computes with the batch size, which is not supported"));
        };
        Ok(self.importer.graph.add_constant(&self.proto.input[index], tensor))
    }

    /// Inputs from `first` on; absent ones at the end are left out.
    pub(super) fn inputs(&mut self, most: usize) -> Result<Vec<ValueId>, ImportError> {
        let count = (0..most).rev().find(|&index| self.has(index)).map_or(0, |last| last + 1);
        (0..count).map(|index| self.input(index)).collect()
    }

    /// The shape of input `index`.
    pub(super) fn shape(&mut self, index: usize) -> Result<Vec<Dim>, ImportError> {
        let id = self.input(index)?;
        Ok(self.importer.graph.shape(id))
    }

    /// Input `index`, which must be a constant; `what` says what it is.
    pub(super) fn constant(&mut self, index: usize, what: &str) -> Result<&Tensor, ImportError> {
        let id = self.input(index)?;
        if self.importer.graph.constant(id).is_none() {
            return Err(self.error(format!("its {what} is computed; only a constant is supported")));
        }
        match &self.importer.graph.value(id).content {
            Content::Constant(tensor) => Ok(tensor),
            Content::Computed { .. } => Err(self.error(format!("its {what} is no constant"))),
        }
    }

    /// Checks that input `index`, a layer's weights or bias, holds numbers, as far as it is a constant.
    pub(super) fn check_finite(&mut self, index: usize) -> Result<(), ImportError> {
        if !self.has(index) {
            return Ok(());
        }
        let id = self.input(index)?;
        let floats = self.constant_of(id).and_then(Tensor::floats).unwrap_or_default();
        match floats.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let what =
                    format!("its input \"{}\" is {} at place {at}", self.proto.input[index], floats[at]);
                Err(self.error(format!("{what}; weights must be finite")))
            }
            None => Ok(()),
        }
    }

    /// Input `index` as one float.
    pub(super) fn scalar(&mut self, index: usize, what: &str) -> Result<f32, ImportError> {
        let tensor = self.constant(index, what)?;
        match tensor.doubles().as_slice() {
            &[value] => Ok(value as f32),
            values => {
                let count = values.len();
                Err(self.error(format!("its {what} has {count} elements, expected one")))
            }
        }
    }

    /// Input `index` as integers, some of which may be the batch; `None` when it is not of integers or not known.
    pub(super) fn shape_value(&self, index: usize) -> Result<Option<ShapeValue>, ImportError> {
        Ok(match self.bound(index)? {
            Bound::Shape(shape) => Some(shape.clone()),
            Bound::Value(id) => self.importer.graph.constant(*id).and_then(ShapeValue::of),
            Bound::Joined { .. } => None,
        })
    }

    /// The value that input `index` is, with this many of its first axes as one, the batch among them.
    pub(super) fn joined(&self, index: usize) -> Option<(ValueId, usize)> {
        match self.bound(index) {
            Ok(&Bound::Joined { value, axes }) => Some((value, axes)),
            _ => None,
        }
    }

    /// The node's result is a value with this many of its first axes as one, the batch among them.
    pub(super) fn bind_joined(&mut self, value: ValueId, axes: usize) {
        self.bind(Bound::Joined { value, axes });
    }

    /// The node's result is floats of 0 and 1 that stand for false and true.
    pub(super) fn bind_flags(&mut self, value: ValueId) {
        self.importer.flags.insert(value);
        self.alias(value);
    }

    /// Whether a value is floats of 0 and 1 that stand for false and true.
    pub(super) fn is_flags(&self, value: ValueId) -> bool {
        self.importer.flags.contains(&value)
    }

    /// Input `index` as integers, some of which may be the batch.
    pub(super) fn entries(&self, index: usize, what: &str) -> Result<Vec<Entry>, ImportError> {
        match self.shape_value(index)? {
            Some(value) => Ok(value.entries),
            None => Err(self.error(format!("its {what} is no constant vector of integers"))),
        }
    }

    /// Input `index` as integers.
    pub(super) fn integers(&self, index: usize, what: &str) -> Result<Vec<i64>, ImportError> {
        match self.shape_value(index)?.and_then(|value| value.known()) {
            Some(values) => Ok(values),
            None => Err(self.error(format!("its {what} is no constant vector of integers"))),
        }
    }

    /// Axes given by an attribute up to some opset and by an input from then on, as places in `rank` axes.
    pub(super) fn axes(
        &mut self,
        input_since: i64,
        index: usize,
        rank: usize,
    ) -> Result<Option<Vec<usize>>, ImportError> {
        let axes = if self.opset() < input_since {
            self.attributes.ints("axes")?.map(<[i64]>::to_vec)
        } else if self.has(index) {
            Some(self.integers(index, "axes")?)
        } else {
            None
        };
        axes.map(|axes| axes.into_iter().map(|axis| self.axis(axis, rank)).collect()).transpose()
    }

    /// The place of an axis, which counts from the end when negative.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, ImportError> {
        let place = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(place)
            .ok()
            .filter(|&place| place < rank)
            .ok_or_else(|| self.error(format!("axis {axis} is beyond {rank} axes")))
    }

    /// The node's result is what `op` computes from `inputs`.
    pub(super) fn emit(&mut self, op: Op, inputs: Vec<ValueId>) -> Result<(), ImportError> {
        let output = self.output();
        let value = self.compute(op, inputs, &output)?;
        self.bind(Bound::Value(value));
        Ok(())
    }

    /// The node's output `index` is a value that is there already.
    pub(super) fn bind_output(&mut self, index: usize, value: ValueId) {
        if let Some(name) = self.proto.output.get(index).filter(|name| !name.is_empty()) {
            self.importer.bound.insert(name.clone(), Bound::Value(value));
        }
    }

    /// The node's output `index` is a computation on shapes.
    pub(super) fn bind_shape_output(&mut self, index: usize, value: ShapeValue) {
        if let Some(name) = self.proto.output.get(index).filter(|name| !name.is_empty()) {
            self.importer.bound.insert(name.clone(), Bound::Shape(value));
        }
    }

    /// How many outputs the node has, used or not.
    pub(super) fn all_outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// A constant of one float that comes of taking the node apart.
    pub(super) fn number(&mut self, part: &str, value: f32) -> ValueId {
        self.new_constant(part, Tensor::scalar(value))
    }

    /// A step that is a function of two values.
    pub(super) fn binary_step(
        &mut self,
        binary: Binary,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId, ImportError> {
        self.step(Op::Binary(binary), vec![a, b])
    }

    /// A step on the way to the node's result.
    pub(super) fn step(&mut self, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, ImportError> {
        let count = self.importer.graph.values.len();
        let name = format!("{}_{count}", self.output());
        self.compute(op, inputs, &name)
    }

    fn compute(&mut self, op: Op, inputs: Vec<ValueId>, output: &str) -> Result<ValueId, ImportError> {
        // Only the node's last step carries its name.
        let last = output == self.output();
        let name = if last { self.name.clone() } else { format!("{}/{output}", self.name) };
        let graph = &mut self.importer.graph;
        let quantized = match op {
            Op::Quantize { .. } if graph.constant(inputs[1]).is_some_and(|scale| scale.len() == 1) => {
                Some(QuantizedBy::Values { scale: inputs[1], zero_point: inputs.get(2).copied() })
            }
            Op::Reshape(_) | Op::Transpose(_) | Op::Pool(_) => {
                self.importer.quantized.get(&inputs[0]).copied()
            }
            _ => None,
        };
        // Dequantized weights stay as they are: the integers are what a packed model wants.
        if !matches!(op, Op::Dequantize { .. }) {
            let constants: Option<Vec<&Tensor>> = inputs.iter().map(|&id| graph.constant(id)).collect();
            if let Some(tensor) = constants.and_then(|constants| interpret::fold(&op, &constants)) {
                return Ok(graph.add_constant(output, tensor));
            }
        }
        let value = graph.add_node(name, op, inputs, output).map_err(|InferError(what)| self.error(what))?;
        if let Some(by) = quantized {
            self.importer.quantized.insert(value, by);
        }
        Ok(value)
    }

    /// What the integers of a value stand for, if they were quantized before, with one scale for all.
    pub(super) fn quantized_by(&self, value: ValueId) -> Option<QuantizedBy> {
        self.importer.quantized.get(&value).copied()
    }

    /// The name of input `index`, if it is given.
    pub(super) fn input_name(&self, index: usize) -> Option<String> {
        self.proto.input.get(index).filter(|name| !name.is_empty()).cloned()
    }

    /// A name by which [`on_floats`](Self::on_floats) reads a value.
    pub(super) fn temporary(&mut self, value: ValueId) -> String {
        let name = format!("{}/floats/{}", self.output(), value.0);
        self.importer.bound.insert(name.clone(), Bound::Value(value));
        name
    }

    /// The result of `operator`, with this node's attributes, on inputs of these names.
    pub(super) fn on_floats(
        &mut self,
        operator: &str,
        inputs: Vec<Option<String>>,
    ) -> Result<ValueId, ImportError> {
        let output = format!("{}/floats", self.output());
        let proto = NodeProto {
            name: format!("{}/floats", self.name),
            op_type: operator.into(),
            input: inputs.into_iter().map(Option::unwrap_or_default).collect(),
            output: vec![output.clone()],
            attribute: self.proto.attribute.clone(),
            ..NodeProto::default()
        };
        operators::import(&mut NodeContext::new(self.importer, 0, &proto))?;
        match self.importer.bound.get(&output) {
            Some(Bound::Value(value)) => Ok(*value),
            _ => Err(self.error("it gives a shape, not values")),
        }
    }

    /// A constant that comes of taking the node apart.
    pub(super) fn new_constant(&mut self, part: &str, tensor: Tensor) -> ValueId {
        let name = format!("{}/{part}", self.output());
        self.importer.graph.add_constant(name, tensor)
    }

    /// The constant that a value is.
    pub(super) fn constant_of(&self, value: ValueId) -> Option<&Tensor> {
        self.importer.graph.constant(value)
    }

    /// The number that a constant of one element is.
    pub(super) fn number_of(&self, value: ValueId) -> Option<f64> {
        match self.constant_of(value)?.doubles().as_slice() {
            &[number] => Some(number),
            _ => None,
        }
    }

    /// The element type of a value.
    pub(super) fn element(&self, value: ValueId) -> Element {
        self.importer.graph.element(value)
    }

    /// The shape of a value.
    pub(super) fn dims(&self, value: ValueId) -> Vec<Dim> {
        self.importer.graph.shape(value)
    }

    /// Whether a value is a constant.
    pub(super) fn is_constant(&self, value: ValueId) -> bool {
        self.importer.graph.constant(value).is_some()
    }

    /// Checks that every attribute was read.
    pub(super) fn finish(&self) -> Result<(), ImportError> {
        self.attributes.finish()
    }

    /// The error for an attribute that was not read; `otherwise` when there is none.
    pub(super) fn finish_with_error(&self, otherwise: &str) -> Result<(), ImportError> {
        self.attributes.finish().and(Err(self.error(otherwise)))
    }

    fn output(&self) -> String {
        self.proto.output.first().cloned().unwrap_or_default()
    }

    /// The node's result is a value that is there already.
    pub(super) fn alias(&mut self, value: ValueId) {
        self.bind(Bound::Value(value));
    }

    /// The node's result is a constant.
    pub(super) fn bind_constant(&mut self, tensor: Tensor) {
        let name = self.output();
        self.importer.bind_constant(&name, tensor);
    }

    /// The node's result is a computation on shapes.
    pub(super) fn bind_shape(&mut self, value: ShapeValue) {
        self.bind(Bound::Shape(value));
    }

    fn bind(&mut self, bound: Bound) {
        self.importer.bound.insert(self.output(), bound);
    }
}
