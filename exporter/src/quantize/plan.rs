//! Which layers compute with integers, and which values become integers for that.

use std::collections::{BTreeMap, BTreeSet};

use super::histogram::Histogram;
use super::{Calibrator, Options, Parameters, QuantizeError};
use crate::graph::{
    Binary, Content, Element, Gemm, Graph, Interpolation, Node, Op, PadMode, PoolKind, ReduceKind, ValueId,
};

/// What a node is to quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Computes with int8 weights.
    Layer,
    /// A sum of two values, or a mean: better on integers when its inputs or its result are integers anyway.
    Joint,
    /// Moves or selects elements: inputs and result have one scale.
    Mover,
    /// Computes with floats.
    Float,
}

/// What becomes integers.
#[derive(Debug)]
pub(super) struct Plan {
    /// The values that are quantized.
    pub(super) quantized: BTreeSet<ValueId>,
    /// For each layer that stays float, by its place among the nodes, why it does.
    pub(super) float_layers: BTreeMap<usize, String>,
    /// The places of the layers that compute with integers.
    pub(super) layers: BTreeSet<usize>,
    /// For each quantized value the one that stands for all with its scale.
    group: BTreeMap<ValueId, ValueId>,
    /// The quantized values that are not moved from others of their group.
    roots: BTreeSet<ValueId>,
}

impl Plan {
    pub(super) fn of(graph: &Graph, options: &Options) -> Result<Plan, QuantizeError> {
        for name in &options.keep_float {
            if !graph.nodes.iter().any(|node| node.name == *name) {
                let nodes: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
                return Err(QuantizeError::UnknownNode { name: name.clone(), nodes: nodes.join(", ") });
            }
        }
        let kept = |node: &Node| options.keep_float.contains(&node.name);
        let mut float_layers = BTreeMap::new();
        let mut roles = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let is_layer = matches!(node.op, Op::Gemm(_) | Op::Conv(_) | Op::ConvTranspose(_) | Op::MatMul);
            let role = match why_float(graph, node) {
                _ if is_layer && kept(node) => {
                    float_layers.insert(index, "as asked for".to_string());
                    Role::Float
                }
                _ if kept(node) => Role::Float,
                None if is_layer => Role::Layer,
                Some(why) if is_layer => {
                    float_layers.insert(index, why);
                    Role::Float
                }
                _ => role(graph, node),
            };
            roles.push(role);
        }
        let layers: BTreeSet<usize> = (0..roles.len()).filter(|&at| roles[at] == Role::Layer).collect();
        if layers.is_empty() {
            let why = float_layers
                .iter()
                .map(|(&at, why)| format!("\"{}\" stays float: {why}", graph.nodes[at].name));
            let why: Vec<String> = why.collect();
            let why = if why.is_empty() { "the model has none".to_string() } else { why.join("; ") };
            return Err(QuantizeError::Nothing { why });
        }
        let quantized = quantized(graph, &roles, options.every_layer);
        let (group, roots) = groups(graph, &roles, &quantized);
        Ok(Plan { quantized, float_layers, layers, group, roots })
    }

    /// The values whose distribution decides on the scales.
    pub(super) fn sources(&self) -> BTreeSet<ValueId> {
        self.roots.clone()
    }

    /// The value that stands for all values with the scale of this one.
    pub(super) fn representative(&self, value: ValueId) -> ValueId {
        self.group.get(&value).copied().unwrap_or(value)
    }

    /// Scale and zero point of each group, by the value that stands for it.
    pub(super) fn parameters(
        &self,
        graph: &Graph,
        observed: &BTreeMap<ValueId, Histogram>,
        calibrator: Calibrator,
    ) -> Result<BTreeMap<ValueId, Parameters>, QuantizeError> {
        let mut histograms: BTreeMap<ValueId, Histogram> = BTreeMap::new();
        for (&value, histogram) in observed {
            histograms.entry(self.representative(value)).or_insert_with(Histogram::new).merge(histogram);
        }
        self.quantized
            .iter()
            .map(|&value| {
                let representative = self.representative(value);
                match histograms.get(&representative) {
                    Some(histogram) if histogram.count() > 0 => {
                        Ok((representative, calibrator.parameters(histogram)))
                    }
                    _ => Err(QuantizeError::Samples {
                        what: format!("gave no values of \"{}\"", graph.value(value).name),
                    }),
                }
            })
            .collect()
    }
}

/// The most products in a sum: with 8 bits each they and the bias fit in 32 bits, whatever they are.
const MAX_PRODUCTS: usize = 1 << 15;

/// The Gemm that the passes make: weights (out, in).
const CANONICAL: Gemm = Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true };

/// Why a layer must compute with floats, if it must.
fn why_float(graph: &Graph, node: &Node) -> Option<String> {
    let because = |why: &str| Some(why.to_string());
    let Some(weight) = node.inputs.get(1).and_then(|&id| graph.constant(id)) else {
        return because("its weights are computed");
    };
    let Some(weights) = weight.floats() else { return because("its weights are no floats") };
    if weights.iter().any(|weight| !weight.is_finite()) {
        return because("it has weights that are not finite");
    }
    let products = match &node.op {
        Op::Gemm(gemm) if *gemm == CANONICAL => weight.shape()[1],
        Op::Conv(_) => weight.shape()[1..].iter().product(),
        Op::ConvTranspose(conv) => weight.len() / (weight.shape()[1] * conv.groups).max(1),
        _ => return because("it is no product of vectors with constant weights"),
    };
    if products > MAX_PRODUCTS {
        return Some(format!("it sums {products} products, more than {MAX_PRODUCTS}"));
    }
    if let Some(&bias) = node.inputs.get(2) {
        match graph.constant(bias) {
            Some(bias) if bias.shape().len() != 1 => return because("its bias is no vector"),
            Some(bias) if bias.floats().is_some_and(|bias| bias.iter().all(|value| value.is_finite())) => {}
            _ => return because("its bias is not constant and finite"),
        }
    }
    let input = node.inputs[0];
    if !is_float(graph, input) {
        return Some(format!("its input \"{}\" cannot be quantized", graph.value(input).name));
    }
    None
}

/// Whether a value is computed, of floats.
fn is_float(graph: &Graph, value: ValueId) -> bool {
    matches!(graph.value(value).content, Content::Computed { element: Element::F32, .. })
}

fn role(graph: &Graph, node: &Node) -> Role {
    if !node.inputs.iter().all(|&input| is_float(graph, input)) {
        return Role::Float;
    }
    let bare = node.epilogue.is_empty();
    match &node.op {
        Op::Binary(Binary::Add) if graph.shape(node.inputs[0]) == graph.shape(node.inputs[1]) => Role::Joint,
        Op::Pool(pool) if pool.kind != PoolKind::Max => Role::Joint,
        Op::Reduce(reduce) if reduce.kind == ReduceKind::Mean && !reduce.axes.contains(&1) => Role::Joint,
        Op::Resize(resize) if resize.interpolation == Interpolation::Linear => Role::Joint,
        Op::Pool(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::DepthToSpace(_)
        | Op::Slice(_)
        | Op::Concat { .. }
        | Op::Resize(_)
            if bare =>
        {
            Role::Mover
        }
        // Zero is always among the integers.
        Op::Pad(pad) if bare && matches!(pad.mode, PadMode::Edge | PadMode::Reflect) => Role::Mover,
        Op::Pad(pad) if bare && pad.mode == PadMode::Constant(0.0) => Role::Mover,
        _ => Role::Float,
    }
}

/// The values that are quantized: what layers read; what sums and means read that are fed by integers or feed them; what
/// is moved to become one of these.
fn quantized(graph: &Graph, roles: &[Role], every_layer: bool) -> BTreeSet<ValueId> {
    let mut quantized = BTreeSet::new();
    // Values that integers were computed to, or moved to: quantizing them means no step from floats of another kind.
    let mut from_integers = BTreeSet::new();
    loop {
        let before = (quantized.len(), from_integers.len());
        for (node, role) in graph.nodes.iter().zip(roles) {
            let fed = node.inputs.iter().any(|input| from_integers.contains(input));
            match role {
                Role::Layer => {
                    quantized.insert(node.inputs[0]);
                    quantized.extend(node.epilogue.residual.filter(|&id| is_float(graph, id)));
                    from_integers.insert(node.output);
                }
                Role::Joint if fed || quantized.contains(&node.output) => {
                    quantized.extend(&node.inputs);
                    from_integers.insert(node.output);
                }
                Role::Mover => {
                    if quantized.contains(&node.output) {
                        quantized.extend(&node.inputs);
                    }
                    if fed {
                        from_integers.insert(node.output);
                    }
                }
                _ => {}
            }
        }
        if before == (quantized.len(), from_integers.len()) {
            break;
        }
    }
    if every_layer {
        let outputs: BTreeSet<ValueId> = graph.outputs.iter().map(|output| output.value).collect();
        for (node, role) in graph.nodes.iter().zip(roles) {
            let needs_integers = match node.op {
                Op::Conv(_) => true,
                // Alone it may give floats, but not with a function after it.
                Op::Gemm(_) => !node.epilogue.is_empty(),
                _ => false,
            };
            if *role == Role::Layer && needs_integers && !outputs.contains(&node.output) {
                quantized.insert(node.output);
            }
        }
    }
    quantized
}

/// For each quantized value the one that stands for its group, and the values that are not moved from others.
fn groups(
    graph: &Graph,
    roles: &[Role],
    quantized: &BTreeSet<ValueId>,
) -> (BTreeMap<ValueId, ValueId>, BTreeSet<ValueId>) {
    let mut group: BTreeMap<ValueId, ValueId> = quantized.iter().map(|&value| (value, value)).collect();
    let mut roots = quantized.clone();
    for (node, role) in graph.nodes.iter().zip(roles) {
        if *role != Role::Mover || !quantized.contains(&node.output) {
            continue;
        }
        roots.remove(&node.output);
        // The node's output was in no group yet: its readers come later. Its inputs may be in several.
        let to = group[&node.inputs[0]];
        for value in node.inputs.iter().chain([&node.output]) {
            let from = group[value];
            group.values_mut().filter(|representative| **representative == from).for_each(|it| *it = to);
        }
    }
    (group, roots)
}
