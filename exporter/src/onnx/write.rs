//! Any [`Graph`] as an ONNX model.
//!
//! A node's epilogue becomes nodes of its own, in its order: Add, the activation, Mul and Add. Nodes keep their names,
//! and a value has the name of the node that makes it, or of the output that it is. Every value is declared with its
//! type and shape, the batch as the symbol `N`.
//!
//! With [`FloatType::F16`] constants and arithmetic are in half precision, but for what loses too much there (means and
//! norms, which add up many elements, and Resize) and for nodes with a constant beyond the range of half precision.
//! Inputs and outputs stay float32: Cast nodes stand where the types meet.

use std::collections::{HashMap, HashSet};

use latent_runtime::onnx::ModelMetadata;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{ModelProto, OperatorSetIdProto};

use super::graph_builder::{Attribute, Declaration, GraphBuilder};
use super::{IR_VERSION, OPSET};
use crate::graph::{
    Activation, Affine, Binary, Content, Coordinates, DepthOrder, DepthToSpace, Dim, Element, Elements, Gemm,
    Graph, Interleaved, Interpolation, Node, Op, Pad, PadFill, Pool, PoolKind, Reduce, ReduceKind, Resize,
    Slice, Tensor, ValueId, Window, infer, interpret, shape_text,
};

/// The type of a model's floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// 32 bits.
    F32,
    /// 16 bits inside, 32 bits where inputs come in and outputs go out.
    F16,
}

/// What a model says beside its graph.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// A sentence on the model.
    pub doc: String,
    /// Names of inputs and outputs, each with a sentence on its values.
    pub ports: Vec<(String, String)>,
    /// What our programs read.
    pub metadata: ModelMetadata,
}

impl About {
    /// What `model` says.
    pub fn of(model: &ModelProto) -> About {
        let graph = model.graph.as_ref();
        let ports = graph.into_iter().flat_map(|graph| graph.input.iter().chain(&graph.output));
        About {
            doc: model.doc_string.clone(),
            ports: ports.map(|port| (port.name.clone(), port.doc_string.clone())).collect(),
            metadata: ModelMetadata::from_model(model),
        }
    }

    fn port(&self, name: &str) -> &str {
        self.ports.iter().find(|(port, _)| port == name).map_or("", |(_, doc)| doc)
    }
}

/// A node that ONNX, in the version that is written, has no form for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node \"{node}\" ({operator}) cannot be written as ONNX of opset {OPSET}: {what}")]
pub struct WriteError {
    /// The node.
    pub node: String,
    /// Its operator.
    pub operator: &'static str,
    /// Why.
    pub what: String,
}

/// Writes `graph` as a model of opset 17.
///
/// # Errors
/// When ONNX has no form for a node.
pub fn write(graph: &Graph, about: &About, floats: FloatType) -> Result<ModelProto, WriteError> {
    let mut writer = Writer {
        graph,
        floats,
        builder: GraphBuilder::new(&graph.name, &about.doc),
        written: HashMap::new(),
        constants: HashMap::new(),
        value_names: HashSet::new(),
        node_names: HashSet::new(),
    };
    // The names that others know come first: nothing else may have them.
    for &input in &graph.inputs {
        let name = writer.graph.value(input).name.clone();
        writer.value_names.insert(name.clone());
        let (data_type, shape) = (data_type(graph.element(input)), graph.shape(input));
        let declaration = Declaration { name: &name, data_type, shape: &shape };
        writer.builder.declared_input(declaration, about.port(&name));
        writer.written.insert(input, vec![Written { name, data_type }]);
    }
    writer.value_names.extend(graph.outputs.iter().map(|output| output.name.clone()));
    writer.node_names.extend(graph.nodes.iter().map(|node| node.name.clone()));
    for node in &graph.nodes {
        writer.node(node)?;
    }
    for output in &graph.outputs {
        writer.output(&output.name, output.value, about.port(&output.name));
    }
    Ok(ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "latent-exporter".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        model_version: 1,
        doc_string: about.doc.clone(),
        graph: Some(writer.builder.finish()),
        metadata_props: about.metadata.to_entries(),
        ..ModelProto::default()
    })
}

/// A value under a name, in one of the float types when it is of floats.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    name: String,
    data_type: DataType,
}

struct Writer<'g> {
    graph: &'g Graph,
    floats: FloatType,
    builder: GraphBuilder,
    /// Under which names a value has been written.
    written: HashMap<ValueId, Vec<Written>>,
    /// The same for constants that belong to no value, such as shapes, by what they are.
    constants: HashMap<String, String>,
    value_names: HashSet<String>,
    node_names: HashSet<String>,
}

/// One node of the graph while it is written: the nodes that come of it share its float type.
struct Step<'n> {
    node: &'n Node,
    /// [`DataType::Float16`] or [`DataType::Float`].
    float: DataType,
    /// The name that the last value must have, when it is an output of the graph.
    last: Option<String>,
}

type Attributes<'a> = Vec<(&'a str, Attribute)>;

impl<'g> Writer<'g> {
    fn node(&mut self, node: &'g Node) -> Result<(), WriteError> {
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
    fn is_half(&self, node: &Node) -> bool {
        let sensitive = matches!(
            node.op,
            Op::Reduce(_)
                | Op::Normalise { .. }
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
            Op::Pad(Pad { fill: PadFill::Constant(value), .. }) => fits(&[*value]),
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

    fn result_type(&self, node: &Node, float: DataType) -> DataType {
        match self.graph.element(node.output) {
            Element::F32 => float,
            other => data_type(other),
        }
    }

    /// The name of a value in the given float type; what is not of floats has but one type.
    fn read(&mut self, id: ValueId, float: DataType) -> String {
        let wanted = match self.graph.element(id) {
            Element::F32 => float,
            other => data_type(other),
        };
        let written = self.written.get(&id).map(Vec::as_slice).unwrap_or_default();
        if let Some(written) = written.iter().find(|written| written.data_type == wanted) {
            return written.name.clone();
        }
        let graph = self.graph;
        let value = graph.value(id);
        let name = match &value.content {
            Content::Constant(tensor) => {
                let name = self.value_name(&value.name, None);
                match (tensor.floats(), wanted) {
                    (Some(values), DataType::Float16) => {
                        self.builder.halves(name.clone(), tensor.shape(), values)
                    }
                    _ => self.builder.tensor(name.clone(), tensor),
                }
                name
            }
            Content::Computed { .. } => {
                // Written before, by the order of the nodes, in the other float type.
                let from = written.first().map(|written| written.name.clone()).unwrap_or_default();
                let suffix = if wanted == DataType::Float16 { "half" } else { "float" };
                let name = self.node_name(&format!("{from}_{suffix}"));
                let output = self.value_name(&name, None);
                self.cast(&name, &from, &output, wanted, &graph.shape(id));
                output
            }
        };
        self.written.entry(id).or_default().push(Written { name: name.clone(), data_type: wanted });
        name
    }

    fn cast(&mut self, name: &str, from: &str, output: &str, to: DataType, shape: &[Dim]) {
        let attributes = vec![("to", Attribute::Int(to as i64))];
        self.emit("Cast", name, &[from], output, to, shape, attributes);
    }

    /// Declares an output. What has no node of its own under that name gets one.
    fn output(&mut self, name: &str, id: ValueId, doc: &str) {
        let (wanted, shape) = (data_type(self.graph.element(id)), self.graph.shape(id));
        let written = self.written.get(&id).map(Vec::as_slice).unwrap_or_default();
        if !written.iter().any(|written| written.name == name && written.data_type == wanted) {
            let half = written.iter().find(|written| written.data_type == DataType::Float16);
            match half.filter(|_| written.len() == 1).map(|written| written.name.clone()) {
                Some(half) => {
                    let node = self.node_name(&format!("{half}_float"));
                    self.cast(&node, &half, name, wanted, &shape);
                    let now = Written { name: name.into(), data_type: wanted };
                    self.written.entry(id).or_default().push(now);
                }
                None => {
                    let from = self.read(id, wanted);
                    let node = self.node_name(name);
                    self.emit("Identity", &node, &[&from], name, wanted, &shape, vec![]);
                }
            }
        }
        self.builder.declared_output(Declaration { name, data_type: wanted, shape: &shape }, doc);
    }

    #[allow(clippy::too_many_arguments)] // What a node consists of.
    fn emit(
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

    /// A name for a node that no other has.
    fn node_name(&mut self, wanted: &str) -> String {
        unique(&mut self.node_names, wanted)
    }

    /// A name for a value that no other has; `output` when it must have that.
    fn value_name(&mut self, wanted: &str, output: Option<String>) -> String {
        output.unwrap_or_else(|| unique(&mut self.value_names, wanted))
    }

    /// A constant of floats.
    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32], float: DataType) -> String {
        let name = self.value_name(name, None);
        match float {
            DataType::Float16 => self.builder.halves(name.clone(), shape, values),
            _ => drop(self.builder.floats(name.clone(), shape, values)),
        }
        name
    }

    /// A constant that several nodes may share, named after what it is.
    fn shared(&mut self, what: &str, write: impl FnOnce(&mut GraphBuilder, String)) -> String {
        if let Some(name) = self.constants.get(what) {
            return name.clone();
        }
        let name = self.value_name(what, None);
        write(&mut self.builder, name.clone());
        self.constants.insert(what.into(), name.clone());
        name
    }

    /// A constant vector of integers.
    fn integers(&mut self, what: &str, values: &[i64]) -> String {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        self.shared(&format!("{what}_{}", text.join("_")), |builder, name| {
            builder.ints(name, values);
        })
    }

    fn scalar(&mut self, what: &str, value: f32, float: DataType) -> String {
        let suffix = if float == DataType::Float16 { "_half" } else { "" };
        self.shared(&format!("{what}_{value}{suffix}"), |builder, name| match float {
            DataType::Float16 => builder.halves(name, &[], &[value]),
            _ => drop(builder.floats(name, &[], &[value])),
        })
    }

    /// A shape as a value: a constant, unless the batch is in it, which is then read off `from`.
    fn shape_value(&mut self, node: &Node, from: ValueId, target: &[Dim]) -> Result<String, WriteError> {
        let sizes: Vec<i64> = target
            .iter()
            .map(|dim| match dim {
                Dim::Size(length) => *length as i64,
                Dim::Batch => -1,
            })
            .collect();
        if !target.contains(&Dim::Batch) {
            return Ok(self.integers("shape", &sizes));
        }
        let inputs = self.graph.inputs.iter();
        let source = std::iter::once(&from).chain(inputs).find_map(|&id| {
            let axis = self.graph.shape(id).iter().position(|&dim| dim == Dim::Batch)?;
            Some((id, axis as i64))
        });
        let Some((id, axis)) = source else { return Err(error(node, "it makes a batch out of nothing")) };
        let written = self.written.get(&id).and_then(|written| written.first());
        let from = written.map(|written| written.name.clone()).unwrap_or_default();
        let name = self.node_name(&format!("{}_batch", node.name));
        let batch = self.value_name(&name, None);
        let bounds = vec![("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))];
        self.emit("Shape", &name, &[&from], &batch, DataType::Int64, &[Dim::Size(1)], bounds);
        let mut parts = Vec::new();
        for run in sizes.chunk_by(|a, b| (*a < 0) == (*b < 0)) {
            match run[0] < 0 {
                true => parts.extend(vec![batch.clone(); run.len()]),
                false => parts.push(self.integers("shape", run)),
            }
        }
        let name = self.node_name(&format!("{}_shape", node.name));
        let output = self.value_name(&name, None);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let attributes = vec![("axis", Attribute::Int(0))];
        self.emit("Concat", &name, &parts, &output, DataType::Int64, &[Dim::Size(sizes.len())], attributes);
        Ok(output)
    }

    /// Writes the operator alone. Returns the name of its result.
    fn operator(&mut self, step: &Step<'g>) -> Result<String, WriteError> {
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
            Op::Binary(Binary::Add) => ("Add", vec![]),
            Op::Binary(Binary::Subtract) => ("Sub", vec![]),
            Op::Binary(Binary::Multiply) => ("Mul", vec![]),
            Op::Binary(Binary::Divide) => ("Div", vec![]),
            Op::Pool(pool) => pool_operator(node, pool)?,
            Op::Reduce(reduce) => return Ok(self.reduce(step, reduce)),
            Op::Reshape(target) => return self.reshape(step, target),
            Op::Transpose(permutation) => ("Transpose", vec![("perm", ints(permutation))]),
            Op::Concat { axis } => ("Concat", vec![("axis", Attribute::Int(*axis as i64))]),
            Op::Pad(pad) => return Ok(self.pad(step, pad)),
            Op::Resize(resize) => return self.resize(step, resize),
            Op::Softmax { axis } => ("Softmax", vec![("axis", Attribute::Int(*axis as i64))]),
            Op::Normalise { axis, p, epsilon } => return self.normalise(step, *axis, *p, *epsilon),
            Op::Quantize { axis, .. } | Op::Dequantize { axis } => return self.quantisation(step, *axis),
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
        };
        let inputs: Vec<String> = node.inputs.iter().map(|&id| self.read(id, float)).collect();
        Ok(self.single(step, op, &inputs, attributes))
    }

    /// The whole operator as one node.
    fn single(&mut self, step: &Step, op: &str, inputs: &[String], attributes: Attributes) -> String {
        let data_type = self.result_type(step.node, step.float);
        let last = step.last.clone().filter(|_| is_plain(step.node));
        let output = self.value_name(&step.node.name, last);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let shape = self.graph.shape(step.node.output);
        self.emit(op, &step.node.name, &inputs, &output, data_type, &shape, attributes);
        output
    }

    /// A node before the one that has the operator's name.
    fn before(
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

    /// Conv, DepthToSpace and, if something is cut off, Slice.
    fn interleaved(&mut self, step: &Step, interleaved: &Interleaved) -> Result<String, WriteError> {
        let Interleaved { window: of_conv, depth, .. } = interleaved;
        let mut typed: Vec<_> =
            step.node.inputs.iter().map(|&id| (self.graph.element(id), self.graph.shape(id))).collect();
        let inputs: Vec<String> = step.node.inputs.iter().map(|&id| self.read(id, step.float)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut shape_after = |op: Op| {
            let result = infer(&op, &typed).map_err(|why| error(step.node, why.to_string()))?;
            typed = vec![result];
            Ok(typed[0].1.clone())
        };
        let shape = shape_after(Op::Conv(interleaved.convolution()))?;
        let small = self.before(step, "Conv", "phases", &inputs, &shape, window(of_conv));
        let shape = shape_after(Op::DepthToSpace(*depth))?;
        let lengths = [2, 3].map(|axis| if let Dim::Size(length) = shape[axis] { length } else { 0 });
        let slices = interleaved.slices(lengths);
        if slices.is_empty() {
            return Ok(self.single(step, "DepthToSpace", &[small], blocks(depth)));
        }
        let spread = self.before(step, "DepthToSpace", "spread", &[&small], &shape, blocks(depth));
        Ok(self.slice(step, spread, &slices))
    }

    fn slice(&mut self, step: &Step, whole: String, slices: &[Slice]) -> String {
        let part = |place: fn(&Slice) -> usize| -> Vec<i64> {
            slices.iter().map(|slice| place(slice) as i64).collect()
        };
        let (starts, ends, axes) = (part(|s| s.start), part(|s| s.end), part(|s| s.axis));
        let inputs = [
            whole,
            self.integers("starts", &starts),
            self.integers("ends", &ends),
            self.integers("axes", &axes),
        ];
        self.single(step, "Slice", &inputs, vec![])
    }

    /// MatMul and Add instead of Gemm: not every engine has a Gemm in half precision.
    fn product(&mut self, step: &Step, gemm: &Gemm) -> Result<String, WriteError> {
        let (node, float) = (step.node, step.float);
        let [a, b] = [
            self.factor(step, 0, gemm.transpose_a, 1.0)?,
            self.factor(step, 1, gemm.transpose_b, gemm.alpha)?,
        ];
        let Some(&bias) = node.inputs.get(2) else { return Ok(self.single(step, "MatMul", &[a, b], vec![])) };
        let shape = self.graph.shape(node.output);
        let product = self.before(step, "MatMul", "product", &[&a, &b], &shape, vec![]);
        let bias = match self.graph.constant(bias).and_then(Tensor::floats).filter(|_| gemm.beta != 1.0) {
            Some(values) => {
                let scaled: Vec<f32> = values.iter().map(|value| gemm.beta * value).collect();
                let lengths = self.graph.constant(bias).map(|bias| bias.shape().to_vec()).unwrap_or_default();
                self.floats(&self.graph.value(bias).name.clone(), &lengths, &scaled, float)
            }
            None if gemm.beta != 1.0 => return Err(error(node, "its c is computed and has a factor")),
            None => self.read(bias, float),
        };
        Ok(self.single(step, "Add", &[product, bias], vec![]))
    }

    /// A matrix that is multiplied: transposed and scaled before, if it is constant.
    fn factor(
        &mut self,
        step: &Step,
        input: usize,
        transpose: bool,
        scale: f32,
    ) -> Result<String, WriteError> {
        let id = step.node.inputs[input];
        if !transpose && scale == 1.0 {
            return Ok(self.read(id, step.float));
        }
        let swap = Op::Transpose(vec![1, 0]);
        if let Some(tensor) = self.graph.constant(id) {
            let turned = if transpose { interpret::fold(&swap, &[tensor]) } else { Some(tensor.clone()) };
            let name = self.graph.value(id).name.clone();
            if let Some((shape, values)) =
                turned.as_ref().and_then(|tensor| Some((tensor.shape(), tensor.floats()?)))
            {
                let values: Vec<f32> = values.iter().map(|value| scale * value).collect();
                return Ok(self.floats(&name, shape, &values, step.float));
            }
        }
        let mut value = self.read(id, step.float);
        let mut shape = self.graph.shape(id);
        if transpose {
            shape.reverse();
            let part = ["a", "b"][input];
            value = self.before(step, "Transpose", part, &[&value], &shape, vec![("perm", ints(&[1, 0]))]);
        }
        if scale != 1.0 {
            let factor = self.scalar("factor", scale, step.float);
            value = self.before(step, "Mul", "factor", &[&value, &factor], &shape, vec![]);
        }
        Ok(value)
    }

    /// The inputs after the first, and the attributes.
    fn activation(&mut self, activation: &Activation, float: DataType) -> (Vec<String>, Attributes<'static>) {
        match *activation {
            Activation::LeakyRelu { slope } => (vec![], vec![("alpha", Attribute::Float(slope))]),
            Activation::HardSigmoid { alpha, beta } => {
                (vec![], vec![("alpha", Attribute::Float(alpha)), ("beta", Attribute::Float(beta))])
            }
            Activation::Clip { low, high } => {
                let mut inputs = vec![];
                inputs.push(if low.is_finite() { self.scalar("limit", low, float) } else { String::new() });
                inputs.extend(high.is_finite().then(|| self.scalar("limit", high, float)));
                (inputs, vec![])
            }
            _ => (vec![], vec![]),
        }
    }

    /// A multiplication and an addition, with constants that have an axis for each of the input's after the batch.
    fn affine(&mut self, step: &Step) -> Result<String, WriteError> {
        let (node, float) = (step.node, step.float);
        let shape = self.graph.shape(node.output);
        let [scale, shift] =
            [1, 2].map(|input| self.graph.constant(node.inputs[input]).and_then(Tensor::floats));
        let (Some(scale), Some(shift)) = (scale, shift) else {
            return Err(error(node, "its scale or shift is computed"));
        };
        let mut lengths = vec![1; shape.len() - 1];
        lengths[0] = scale.len();
        let [scale, shift] = [(1, scale), (2, shift)].map(|(input, values)| {
            let name = self.graph.value(node.inputs[input]).name.clone();
            self.floats(&name, &lengths, values, float)
        });
        let input = self.read(node.inputs[0], float);
        let product = self.before(step, "Mul", "mul", &[&input, &scale], &shape, vec![]);
        Ok(self.single(step, "Add", &[product, shift], vec![]))
    }

    /// A mean over the whole image has an operator of its own, which quantised models need.
    fn reduce(&mut self, step: &Step, reduce: &Reduce) -> String {
        let input = self.read(step.node.inputs[0], step.float);
        let shape = self.graph.shape(step.node.inputs[0]);
        if reduce.kind == ReduceKind::Mean && shape.len() == 4 && reduce.axes == [2, 3] {
            if reduce.keep {
                return self.single(step, "GlobalAveragePool", &[input], vec![]);
            }
            let kept = [shape[0], shape[1], Dim::Size(1), Dim::Size(1)];
            let mean = self.before(step, "GlobalAveragePool", "mean", &[&input], &kept, vec![]);
            return self.single(step, "Flatten", &[mean], vec![("axis", Attribute::Int(1))]);
        }
        let op = if reduce.kind == ReduceKind::Mean { "ReduceMean" } else { "ReduceL2" };
        let keep = Attribute::Int(reduce.keep.into());
        self.single(step, op, &[input], vec![("axes", ints(&reduce.axes)), ("keepdims", keep)])
    }

    fn reshape(&mut self, step: &Step, target: &[Dim]) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let shape = self.graph.shape(node.inputs[0]);
        if let [first, Dim::Size(_)] = target
            && shape.len() > 2
            && shape[0] == *first
        {
            return Ok(self.single(step, "Flatten", &[input], vec![("axis", Attribute::Int(1))]));
        }
        let is_empty = target.contains(&Dim::Size(0));
        let mut sizes = Vec::with_capacity(target.len());
        for (axis, dim) in target.iter().enumerate() {
            sizes.push(match dim {
                Dim::Size(length) => *length as i64,
                Dim::Batch if is_empty => return Err(error(node, "its result is empty")),
                // 0 keeps an axis; one -1 is what is left.
                Dim::Batch if shape.get(axis) == Some(&Dim::Batch) => 0,
                Dim::Batch if !sizes.contains(&-1) => -1,
                Dim::Batch => {
                    let target = shape_text(target);
                    return Err(error(node, format!("the batch moves to several axes of {target}")));
                }
            });
        }
        let sizes = self.integers("shape", &sizes);
        let attributes = if is_empty { vec![("allowzero", Attribute::Int(1))] } else { vec![] };
        Ok(self.single(step, "Reshape", &[input, sizes], attributes))
    }

    fn pad(&mut self, step: &Step, pad: &Pad) -> String {
        let input = self.read(step.node.inputs[0], step.float);
        let sides: Vec<i64> = pad.before.iter().chain(&pad.after).map(|&side| side as i64).collect();
        let mut inputs = vec![input, self.integers("pads", &sides)];
        let mode = match pad.fill {
            PadFill::Constant(value) => {
                // Zero is what is put there when nothing is said.
                if value != 0.0 {
                    inputs.push(self.pad_value(step, value));
                }
                "constant"
            }
            PadFill::Edge => "edge",
            PadFill::Reflect => "reflect",
        };
        self.single(step, "Pad", &inputs, vec![("mode", Attribute::Text(mode))])
    }

    /// What is put around a tensor, in the tensor's type.
    fn pad_value(&mut self, step: &Step, value: f32) -> String {
        let elements = match self.graph.element(step.node.output) {
            Element::F32 => return self.scalar("pad", value, step.float),
            Element::U8 => Elements::U8(vec![value as u8]),
            Element::I8 => Elements::I8(vec![value as i8]),
            Element::I32 => Elements::I32(vec![value as i32]),
            Element::I64 => Elements::I64(vec![value as i64]),
            Element::Bool => Elements::Bool(vec![value != 0.0]),
        };
        let what = format!("pad_{value}_{}", self.graph.element(step.node.output));
        self.shared(&what, |builder, name| {
            if let Some(tensor) = Tensor::new(vec![], elements) {
                builder.tensor(name, &tensor);
            }
        })
    }

    /// By scales, when they give the result's size and are what the coordinates use; else by sizes.
    fn resize(&mut self, step: &Step, resize: &Resize) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let shape = self.graph.shape(node.inputs[0]);
        let (mode, nearest) = match resize.interpolation {
            Interpolation::RoundPreferFloor => ("nearest", Some("round_prefer_floor")),
            Interpolation::RoundPreferCeil => ("nearest", Some("round_prefer_ceil")),
            Interpolation::Floor => ("nearest", Some("floor")),
            Interpolation::Ceil => ("nearest", Some("ceil")),
            Interpolation::Linear => ("linear", None),
        };
        let coordinates = match resize.coordinates {
            Coordinates::HalfPixel => "half_pixel",
            Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
            Coordinates::Asymmetric => "asymmetric",
            Coordinates::AlignCorners => "align_corners",
        };
        let mut attributes = vec![
            ("mode", Attribute::Text(mode)),
            ("coordinate_transformation_mode", Attribute::Text(coordinates)),
        ];
        attributes.extend(nearest.map(|nearest| ("nearest_mode", Attribute::Text(nearest))));
        let lengths = [2, 3].map(|axis| match shape[axis] {
            Dim::Size(length) => length as f32,
            Dim::Batch => 0.0,
        });
        let by_scales =
            (0..2).all(|axis| (lengths[axis] * resize.scale[axis]).floor() == resize.output[axis] as f32);
        let by_sizes = (0..2).all(|axis| resize.output[axis] as f32 / lengths[axis] == resize.scale[axis]);
        let none = String::new();
        let inputs = if by_scales {
            let [rows, columns] = resize.scale;
            let scales = self.shared(&format!("scales_{rows}_{columns}"), |builder, name| {
                builder.floats(name, &[4], &[1.0, 1.0, rows, columns]);
            });
            vec![input, none, scales]
        } else if by_sizes {
            let sizes = self.shape_value(node, node.inputs[0], &self.graph.shape(node.output))?;
            vec![input, none.clone(), none, sizes]
        } else {
            let what = format!("scales of {:?} do not give {:?} pixels", resize.scale, resize.output);
            return Err(error(node, what));
        };
        Ok(self.single(step, "Resize", &inputs, attributes))
    }

    /// LpNormalization has no least norm: with one, the steps are nodes.
    fn normalise(&mut self, step: &Step, axis: usize, p: u8, epsilon: f32) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let axis_attribute = Attribute::Int(axis as i64);
        if epsilon <= 0.0 {
            let attributes = vec![("axis", axis_attribute), ("p", Attribute::Int(p.into()))];
            return Ok(self.single(step, "LpNormalization", &[input], attributes));
        }
        if p != 2 {
            return Err(error(node, "a least norm is written for the Euclidean norm only"));
        }
        let mut shape = self.graph.shape(node.output);
        shape[axis] = Dim::Size(1);
        let attributes = vec![("axes", ints(&[axis])), ("keepdims", Attribute::Int(1))];
        let norm = self.before(step, "ReduceL2", "norm", &[&input], &shape, attributes);
        let least = self.scalar("least_norm", epsilon, step.float);
        let norm = self.before(step, "Clip", "least", &[&norm, &least], &shape, vec![]);
        Ok(self.single(step, "Div", &[input, norm], vec![]))
    }

    /// Scale and zero point as scalars when there is one for all; the zero point always, for the engines that ask for it.
    fn quantisation(&mut self, step: &Step, axis: usize) -> Result<String, WriteError> {
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

    /// A constant under another shape of as many elements; written once.
    fn parameter(&mut self, id: ValueId, name: &str, shape: &[usize], elements: Elements) -> String {
        if let Some(written) = self.written.get(&id).and_then(|written| written.first()) {
            return written.name.clone();
        }
        let data_type = data_type(self.graph.element(id));
        let name = self.value_name(name, None);
        if let Some(tensor) = Tensor::new(shape.to_vec(), elements) {
            self.builder.tensor(name.clone(), &tensor);
        }
        self.written.insert(id, vec![Written { name: name.clone(), data_type }]);
        name
    }
}

/// The attributes of a DepthToSpace.
fn blocks(depth: &DepthToSpace) -> Attributes<'static> {
    let mode = match depth.order {
        DepthOrder::BlockFirst => "DCR",
        DepthOrder::ChannelFirst => "CRD",
    };
    vec![("blocksize", Attribute::Int(depth.block as i64)), ("mode", Attribute::Text(mode))]
}

/// Whether a node's operator gives its result, and no epilogue comes after it.
fn is_plain(node: &Node) -> bool {
    let epilogue = &node.epilogue;
    let activates = epilogue.activation.is_some_and(|activation| activation != Activation::Identity);
    epilogue.residual.is_none() && !activates && epilogue.affine.is_none()
}

fn error(node: &Node, what: impl Into<String>) -> WriteError {
    WriteError { node: node.name.clone(), operator: node.op.name(), what: what.into() }
}

fn unique(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_string();
    let mut count = 1;
    while taken.contains(&name) || name.is_empty() {
        count += 1;
        name = format!("{wanted}_{count}");
    }
    taken.insert(name.clone());
    name
}

fn data_type(element: Element) -> DataType {
    match element {
        Element::F32 => DataType::Float,
        Element::U8 => DataType::Uint8,
        Element::I8 => DataType::Int8,
        Element::I32 => DataType::Int32,
        Element::I64 => DataType::Int64,
        Element::Bool => DataType::Bool,
    }
}

fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(values.iter().map(|&value| value as i64).collect())
}

/// The attributes of a window; dilations only where there are any.
fn window(window: &Window) -> Attributes<'static> {
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

fn pool_operator(node: &Node, pool: &Pool) -> Result<(&'static str, Attributes<'static>), WriteError> {
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
