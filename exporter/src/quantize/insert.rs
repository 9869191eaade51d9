//! Writes the quantized graph: Quantize and Dequantize after quantized values, integer weights before layers.

use std::collections::{BTreeMap, HashSet};

use super::plan::Plan;
use super::weights::{self, IntegerWeights};
use super::{Parameters, QuantizeError, WeightOptions};
use crate::graph::{Content, Element, Elements, Epilogue, Graph, Node, Op, Tensor, ValueId};

/// The quantized graph, and what it has in place of the float one's parts.
#[derive(Debug)]
pub(super) struct Inserted {
    pub(super) graph: Graph,
    /// For each quantized value the result of its Dequantize.
    pub(super) dequantized: BTreeMap<ValueId, ValueId>,
    /// Signal-to-noise ratio of each integer layer's weights, in dB, by its place in the float graph.
    pub(super) weights: BTreeMap<usize, f64>,
}

/// Rewrites `graph` by `plan`; `parameters` are by the value that stands for a group.
pub(super) fn insert(
    graph: &Graph,
    plan: &Plan,
    parameters: &BTreeMap<ValueId, Parameters>,
    options: WeightOptions,
) -> Result<Inserted, QuantizeError> {
    let mut writer = Writer {
        names: graph.nodes.iter().map(|node| node.name.clone()).collect(),
        graph: Graph { nodes: Vec::new(), ..graph.clone() },
        plan,
        parameters,
        constants: BTreeMap::new(),
        dequantized: BTreeMap::new(),
    };
    let mut sqnr = BTreeMap::new();
    for &input in &graph.inputs {
        writer.value(input)?;
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut node = node.clone();
        let input = node.inputs.first().copied();
        for id in node.inputs.iter_mut().chain(&mut node.epilogue.residual) {
            *id = writer.dequantized.get(id).copied().unwrap_or(*id);
        }
        if let (Some(input), true) = (input, plan.layers.contains(&index)) {
            sqnr.insert(index, writer.layer(&mut node, input, options)?);
        }
        let output = node.output;
        writer.graph.nodes.push(node);
        writer.value(output)?;
    }
    Ok(Inserted { graph: writer.graph, dequantized: writer.dequantized, weights: sqnr })
}

struct Writer<'a> {
    graph: Graph,
    /// The names of all nodes.
    names: HashSet<String>,
    plan: &'a Plan,
    parameters: &'a BTreeMap<ValueId, Parameters>,
    /// Scale and zero point of each group, by the value that stands for it.
    constants: BTreeMap<ValueId, [ValueId; 2]>,
    dequantized: BTreeMap<ValueId, ValueId>,
}

impl Writer<'_> {
    /// Adds a node; its result has its name.
    fn node(&mut self, name: String, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, QuantizeError> {
        let (element, shape) = self.graph.infer(&op, &inputs)?;
        let mut unique = name.clone();
        for number in 2.. {
            if self.names.insert(unique.clone()) {
                break;
            }
            unique = format!("{name}.{number}");
        }
        let output = self.graph.add_value(unique.clone(), Content::Computed { element, shape });
        self.graph.nodes.push(Node { name: unique, op, inputs, epilogue: Epilogue::default(), output });
        Ok(output)
    }

    fn constant(
        &mut self,
        name: String,
        shape: Vec<usize>,
        elements: Elements,
    ) -> Result<ValueId, QuantizeError> {
        let wrong =
            || crate::graph::InferError(format!("\"{name}\" has another number of values than its shape"));
        let tensor = Tensor::new(shape, elements).ok_or_else(wrong)?;
        Ok(self.graph.add_constant(name, tensor))
    }

    /// Puts Quantize and Dequantize after a value that is quantized.
    fn value(&mut self, value: ValueId) -> Result<(), QuantizeError> {
        let representative = self.plan.representative(value);
        let Some(&parameters) =
            self.plan.quantized.get(&value).and_then(|_| self.parameters.get(&representative))
        else {
            return Ok(());
        };
        let [scale, zero_point] = match self.constants.get(&representative) {
            Some(constants) => *constants,
            None => {
                let name = self.graph.value(representative).name.clone();
                let scale = Elements::F32(vec![parameters.scale]);
                let zero_point = Elements::U8(vec![parameters.zero_point]);
                let constants = [
                    self.constant(format!("{name}.scale"), vec![], scale)?,
                    self.constant(format!("{name}.zero_point"), vec![], zero_point)?,
                ];
                self.constants.insert(representative, constants);
                constants
            }
        };
        let name = self.graph.value(value).name.clone();
        let quantize = Op::Quantize { axis: 0, element: Element::U8 };
        let integers = self.node(format!("{name}.quantize"), quantize, vec![value, scale, zero_point])?;
        let dequantize = Op::Dequantize { axis: 0 };
        let back = self.node(format!("{name}.dequantize"), dequantize, vec![integers, scale, zero_point])?;
        self.dequantized.insert(value, back);
        Ok(())
    }

    /// Gives a layer integer weights and bias. Returns the weights' signal-to-noise ratio.
    fn layer(
        &mut self,
        node: &mut Node,
        input: ValueId,
        options: WeightOptions,
    ) -> Result<f64, QuantizeError> {
        let parameters = self.parameters.get(&self.plan.representative(input)).copied();
        // The plan made sure that there is all of this.
        let (Some(parameters), Some(weight)) = (parameters, self.graph.constant(node.inputs[1])) else {
            return Err(
                crate::graph::InferError(format!("layer \"{}\" has no integers to read", node.name)).into()
            );
        };
        let bias = node.inputs.get(2).and_then(|&bias| self.graph.constant(bias)?.floats());
        let IntegerWeights { weights, scales, bias, bias_scales, sqnr } =
            weights::quantize(&node.op, weight, bias, parameters, options);
        let shape = weight.shape().to_vec();
        let name = node.name.clone();
        let scale_shape = |scales: &[f32]| if scales.len() == 1 { vec![] } else { vec![scales.len()] };
        let integers = self.constant(format!("{name}.weight"), shape, Elements::I8(weights))?;
        let scale =
            self.constant(format!("{name}.weight.scale"), scale_shape(&scales), Elements::F32(scales))?;
        let axis = weights::output_axis(&node.op);
        node.inputs[1] =
            self.node(format!("{name}.weight.dequantize"), Op::Dequantize { axis }, vec![integers, scale])?;
        if let Some(bias) = bias {
            let integers = self.constant(format!("{name}.bias"), vec![bias.len()], Elements::I32(bias))?;
            let shape = scale_shape(&bias_scales);
            let scale = self.constant(format!("{name}.bias.scale"), shape, Elements::F32(bias_scales))?;
            let axis = Op::Dequantize { axis: 0 };
            node.inputs[2] = self.node(format!("{name}.bias.dequantize"), axis, vec![integers, scale])?;
        }
        Ok(sqnr)
    }
}
