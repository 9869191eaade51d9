//! One node of the graph with its epilogue, and the float type that it computes in.

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::value::data_type;
use super::{Attributes, FloatType, Step, WriteError, Writer, Written};
use crate::graph::{Activation, Affine, Dim, Element, Node, Op, Pad, PadMode};
use crate::onnx::graph_builder::{Attribute, Declaration};

impl<'g> Writer<'g> {
    pub(super) fn node(&mut self, node: &'g Node) -> Result<(), WriteError> {
        let float = if self.is_half(node) { DataType::Float16 } else { DataType::Float };
        let output = self.graph.outputs.iter().find(|output| output.value == node.output);
        // A half-precision output still has to be cast.
        let last = output.filter(|_| self.result_type(node, float) != DataType::Float16);
        let step = Step { node, float, last: last.map(|output| output.name.clone()) };
        let mut value = self.operator(&step)?;
        let epilogue = &node.epilogue;
        let mut left = [
            epilogue.residual.is_some(),
            epilogue.activation.is_some_and(|activation| activation != Activation::Identity),
            epilogue.affine.is_some(),
        ]
        .into_iter()
        .filter(|&is| is)
        .count();
        let shape = self.graph.shape(node.output);
        let mut finish =
            |writer: &mut Self, op: &str, part: &str, inputs: &[&str], attributes: Attributes| {
                left -= 1;
                let name = writer.node_name(&format!("{}_{part}", node.name));
                let output =
                    writer.value_name(&name, (left == 0).then_some(&step).and_then(|step| step.last.clone()));
                writer.emit(op, &name, inputs, &output, float, &shape, attributes);
                output
            };
        if let Some(residual) = epilogue.residual {
            let residual = self.read(residual, float);
            value = finish(self, "Add", "add", &[&value, &residual], vec![]);
        }
        if let Some(activation) = epilogue.activation.filter(|activation| *activation != Activation::Identity)
        {
            let (mut inputs, attributes) = self.activation(&activation, float);
            inputs.insert(0, value);
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let part = activation.name().to_lowercase();
            value = finish(self, activation.name(), &part, &inputs, attributes);
        }
        if let Some(Affine { scale, shift }) = &epilogue.affine {
            let mut lengths = vec![1; shape.len().saturating_sub(1)];
            if let Some(first) = lengths.first_mut() {
                *first = scale.len();
            }
            let [scale, shift] = [("scale", scale), ("shift", shift)]
                .map(|(part, values)| self.floats(&format!("{}.{part}", node.name), &lengths, values, float));
            let name = self.node_name(&format!("{}_scale", node.name));
            let product = self.value_name(&name, None);
            self.emit("Mul", &name, &[&value, &scale], &product, float, &shape, vec![]);
            value = finish(self, "Add", "shift", &[&product, &shift], vec![]);
        }
        let data_type = self.result_type(node, float);
        self.written.insert(node.output, vec![Written { name: value, data_type }]);
        Ok(())
    }

    /// Whether a node computes in half precision.
    pub(super) fn is_half(&self, node: &Node) -> bool {
        let sensitive = matches!(
            node.op,
            Op::Reduce(_)
                | Op::Normalize { .. }
                | Op::Softmax { .. }
                | Op::Resize(_)
                | Op::BatchNorm { .. }
                | Op::Quantize { .. }
                | Op::Dequantize { .. }
        );
        let fits = |values: &[f32]| values.iter().all(|&value| half::f16::from_f32(value).is_finite());
        let constants = node.inputs.iter().chain(&node.epilogue.residual);
        let mut floats = constants.filter_map(|&id| self.graph.constant(id)?.floats());
        let limits = |activation: &Activation| match *activation {
            // Infinite limits are not written.
            Activation::Clip { low, high } => {
                [low, high].iter().all(|&limit| limit.is_infinite() || fits(&[limit]))
            }
            _ => true,
        };
        let operator = match &node.op {
            Op::Activation(activation) => limits(activation),
            Op::Pad(Pad { mode: PadMode::Constant(value), .. }) => fits(&[*value]),
            _ => true,
        };
        let affine = node.epilogue.affine.as_ref();
        self.floats == FloatType::F16
            && self.graph.element(node.output) == Element::F32
            && !sensitive
            && operator
            && floats.all(fits)
            && node.epilogue.activation.as_ref().is_none_or(limits)
            && affine.is_none_or(|affine| fits(&affine.scale) && fits(&affine.shift))
    }

    pub(super) fn result_type(&self, node: &Node, float: DataType) -> DataType {
        match self.graph.element(node.output) {
            Element::F32 => float,
            other => data_type(other),
        }
    }

    /// The whole operator as one node.
    pub(super) fn single(
        &mut self,
        step: &Step,
        op: &str,
        inputs: &[String],
        attributes: Attributes,
    ) -> String {
        let data_type = self.result_type(step.node, step.float);
        let last = step.last.clone().filter(|_| is_plain(step.node));
        let output = self.value_name(&step.node.name, last);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let shape = self.graph.shape(step.node.output);
        self.emit(op, &step.node.name, &inputs, &output, data_type, &shape, attributes);
        output
    }

    /// A node before the one that has the operator's name.
    pub(super) fn before(
        &mut self,
        step: &Step,
        op: &str,
        part: &str,
        inputs: &[&str],
        shape: &[Dim],
        attributes: Attributes,
    ) -> String {
        let name = self.node_name(&format!("{}_{part}", step.node.name));
        let output = self.value_name(&name, None);
        self.emit(op, &name, inputs, &output, step.float, shape, attributes);
        output
    }

    #[allow(clippy::too_many_arguments)] // What a node consists of.
    pub(super) fn emit(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        data_type: DataType,
        shape: &[Dim],
        attributes: Attributes,
    ) {
        let output = Declaration { name: output, data_type, shape };
        self.builder.declared_node(op, name, inputs, output, attributes);
    }

    pub(super) fn cast(&mut self, name: &str, from: &str, output: &str, to: DataType, shape: &[Dim]) {
        let attributes = vec![("to", Attribute::Int(to as i64))];
        self.emit("Cast", name, &[from], output, to, shape, attributes);
    }
}

/// Whether a node's operator gives its result, and no epilogue comes after it.
pub(super) fn is_plain(node: &Node) -> bool {
    let epilogue = &node.epilogue;
    let activates = epilogue.activation.is_some_and(|activation| activation != Activation::Identity);
    epilogue.residual.is_none() && !activates && epilogue.affine.is_none()
}
