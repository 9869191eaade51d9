//! Operators without their epilogues: those that ONNX has as they are, with their attributes.

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::graph_builder::Attribute;
use super::{Attributes, Step, WriteError, Writer, error};
use crate::graph::{
    Activation, DepthOrder, DepthToSpace, Element, Elements, Node, Op, Pool, PoolKind, Tensor, Window,
};

impl<'g> Writer<'g> {
    /// Writes the operator alone. Returns the name of its result.
    pub(super) fn operator(&mut self, step: &Step<'g>) -> Result<String, WriteError> {
        let (node, float) = (step.node, step.float);
        let (op, attributes): (&str, Attributes) = match &node.op {
            Op::MatMul => ("MatMul", vec![]),
            Op::Gemm(gemm) if float == DataType::Float16 => return self.product(step, gemm),
            Op::Gemm(gemm) => {
                let mut attributes = vec![];
                for (name, value) in [("alpha", gemm.alpha), ("beta", gemm.beta)] {
                    attributes.extend((value != 1.0).then_some((name, Attribute::Float(value))));
                }
                for (name, value) in [("transA", gemm.transpose_a), ("transB", gemm.transpose_b)] {
                    attributes.extend(value.then_some((name, Attribute::Int(1))));
                }
                ("Gemm", attributes)
            }
            Op::Conv(conv) => {
                let mut attributes = window(&conv.window);
                attributes.extend((conv.groups > 1).then_some(("group", Attribute::Int(conv.groups as i64))));
                ("Conv", attributes)
            }
            Op::ConvTranspose(conv) => {
                let mut attributes = window(&conv.window);
                attributes.extend((conv.groups > 1).then_some(("group", Attribute::Int(conv.groups as i64))));
                if conv.output_padding != [0, 0] {
                    attributes.push(("output_padding", ints(&conv.output_padding)));
                }
                ("ConvTranspose", attributes)
            }
            Op::BatchNorm { epsilon } => {
                ("BatchNormalization", vec![("epsilon", Attribute::Float(*epsilon))])
            }
            Op::Affine => return self.affine(step),
            Op::Activation(activation) => {
                let (constants, attributes) = self.activation(activation, float);
                let mut inputs = vec![self.read(node.inputs[0], float)];
                inputs.extend(constants);
                return Ok(self.single(step, activation.name(), &inputs, attributes));
            }
            Op::HardSigmoid { alpha, beta } => {
                ("HardSigmoid", vec![("alpha", Attribute::Float(*alpha)), ("beta", Attribute::Float(*beta))])
            }
            Op::Function(function) => return Ok(self.function(step, function)),
            Op::Binary(binary) => (binary.name(), vec![]),
            Op::Pool(pool) => pool_operator(node, pool)?,
            Op::Reduce(reduce) => return Ok(self.reduce(step, reduce)),
            Op::Reshape(target) => return self.reshape(step, target),
            Op::Transpose(permutation) => ("Transpose", vec![("perm", ints(permutation))]),
            Op::Concat { axis } => ("Concat", vec![("axis", Attribute::Int(*axis as i64))]),
            Op::Pad(pad) => return Ok(self.pad(step, pad)),
            Op::Resize(resize) => return self.resize(step, resize),
            Op::Softmax { axis } => ("Softmax", vec![("axis", Attribute::Int(*axis as i64))]),
            Op::Normalize { axis, p, epsilon } => return self.normalize(step, *axis, *p, *epsilon),
            Op::Quantize { axis, .. } | Op::Dequantize { axis } => return self.quantization(step, *axis),
            Op::Expand(target) => {
                let shape = self.shape_value(node, node.inputs[0], target)?;
                let inputs = [self.read(node.inputs[0], float), shape];
                return Ok(self.single(step, "Expand", &inputs, vec![]));
            }
            Op::Interleaved(interleaved) => return self.interleaved(step, interleaved),
            Op::DepthToSpace(depth) => ("DepthToSpace", blocks(depth)),
            Op::Slice(slices) => {
                let whole = self.read(node.inputs[0], float);
                return Ok(self.slice(step, whole, slices));
            }
            Op::Standardize { axes, epsilon } => return Ok(self.standardize(step, axes, *epsilon)),
            Op::OneHot { depth } => return Ok(self.one_hot(step, *depth)),
            Op::Cast => ("Cast", vec![("to", Attribute::Int(float as i64))]),
        };
        let inputs: Vec<String> = node.inputs.iter().map(|&id| self.read(id, float)).collect();
        Ok(self.single(step, op, &inputs, attributes))
    }

    /// The inputs after the first, and the attributes.
    pub(super) fn activation(
        &mut self,
        activation: &Activation,
        float: DataType,
    ) -> (Vec<String>, Attributes<'static>) {
        match *activation {
            Activation::LeakyRelu { slope } => (vec![], vec![("alpha", Attribute::Float(slope))]),
            Activation::Clip { low, high } => {
                let mut inputs = vec![];
                inputs.push(if low.is_finite() { self.scalar("limit", low, float) } else { String::new() });
                inputs.extend(high.is_finite().then(|| self.scalar("limit", high, float)));
                (inputs, vec![])
            }
            _ => (vec![], vec![]),
        }
    }

    /// Scale and zero point as scalars when there is one for all; the zero point always, for the engines that ask for it.
    pub(super) fn quantization(&mut self, step: &Step, axis: usize) -> Result<String, WriteError> {
        let node = step.node;
        let element = match node.op {
            Op::Quantize { element, .. } => element,
            _ => self.graph.element(node.inputs[0]),
        };
        let mut inputs = vec![self.read(node.inputs[0], DataType::Float)];
        let Some(scale) = self.graph.constant(node.inputs[1]) else {
            return Err(error(node, "its scale is computed"));
        };
        let count = scale.len();
        let shape = if count == 1 { vec![] } else { vec![count] };
        let name = self.graph.value(node.inputs[1]).name.clone();
        inputs.push(self.parameter(node.inputs[1], &name, &shape, scale.elements().clone()));
        let (name, elements) = match node.inputs.get(2) {
            Some(&id) => match self.graph.constant(id) {
                Some(tensor) => (self.graph.value(id).name.clone(), tensor.elements().clone()),
                None => return Err(error(node, "its zero point is computed")),
            },
            None => {
                let zeros = match element {
                    Element::U8 => Elements::U8(vec![0; count]),
                    Element::I8 => Elements::I8(vec![0; count]),
                    _ => Elements::I32(vec![0; count]),
                };
                (format!("{}.zero_point", node.name), zeros)
            }
        };
        inputs.push(match node.inputs.get(2) {
            Some(&id) => self.parameter(id, &name, &shape, elements),
            None => {
                let name = self.value_name(&name, None);
                if let Some(tensor) = Tensor::new(shape, elements) {
                    self.builder.tensor(name.clone(), &tensor);
                }
                name
            }
        });
        let attributes = if count == 1 { vec![] } else { vec![("axis", Attribute::Int(axis as i64))] };
        let op = node.op.name();
        Ok(self.single(step, op, &inputs, attributes))
    }
}

pub(super) fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(values.iter().map(|&value| value as i64).collect())
}

/// The attributes of a window; dilations only where there are any.
pub(super) fn window(window: &Window) -> Attributes<'static> {
    let mut attributes = vec![
        ("kernel_shape", ints(&window.kernel)),
        ("pads", ints(&window.pads)),
        ("strides", ints(&window.stride)),
    ];
    if window.dilation != [1, 1] {
        attributes.push(("dilations", ints(&window.dilation)));
    }
    attributes
}

pub(super) fn pool_operator(
    node: &Node,
    pool: &Pool,
) -> Result<(&'static str, Attributes<'static>), WriteError> {
    let mut attributes = window(&pool.window);
    if pool.ceil {
        attributes.push(("ceil_mode", Attribute::Int(1)));
    }
    if pool.kind == PoolKind::Max {
        return Ok(("MaxPool", attributes));
    }
    if pool.window.dilation != [1, 1] {
        return Err(error(node, "its window has gaps (dilations), which AveragePool has from opset 19 on"));
    }
    if pool.kind == PoolKind::AverageWithPadding {
        attributes.push(("count_include_pad", Attribute::Int(1)));
    }
    Ok(("AveragePool", attributes))
}

/// The attributes of a DepthToSpace.
pub(super) fn blocks(depth: &DepthToSpace) -> Attributes<'static> {
    let mode = match depth.order {
        DepthOrder::BlockFirst => "DCR",
        DepthOrder::ChannelFirst => "CRD",
    };
    vec![("blocksize", Attribute::Int(depth.block as i64)), ("mode", Attribute::Text(mode))]
}
