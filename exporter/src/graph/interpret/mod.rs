//! Evaluates a graph, one operator after the other, in the plainest way: the reference that the passes, the packed
//! format and the engine are held against. In f64 it gives what the network means; in f32, what a naive program gets.

mod array;
mod convolution;
mod elementwise;
mod layout;
mod matrix;
mod pool;
mod quantize;
mod real;
mod reduce;
mod resize;

pub use array::Array;
pub use real::Real;

use super::{Affine, Content, Dim, Element, Elements, Graph, Node, Op, Tensor, ValueId, shape_text};

/// Why a graph cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Too few or too many inputs.
    #[error("the graph has {expected} inputs, {found} are given")]
    Inputs {
        /// How many are given.
        found: usize,
        /// How many there are.
        expected: usize,
    },
    /// An input of another shape than the graph's.
    #[error("input \"{name}\" has shape {found:?}, expected {expected}")]
    Shape {
        /// The input.
        name: String,
        /// The given shape.
        found: Vec<usize>,
        /// The shape in the graph.
        expected: String,
    },
    /// A node that gave another shape than was inferred: a fault of this crate.
    #[error("node \"{node}\" gave shape {found:?}, but {expected} was inferred; please report this")]
    Inferred {
        /// The node.
        node: String,
        /// The shape of the result.
        found: Vec<usize>,
        /// The inferred shape.
        expected: String,
    },
}

/// Evaluates `graph` and returns its outputs. Elements that are integers in the graph are whole numbers here.
///
/// # Errors
/// When the inputs do not have the graph's shapes.
pub fn run<T: Real>(graph: &Graph, inputs: Vec<Array<T>>) -> Result<Vec<Array<T>>, RunError> {
    run_with(graph, inputs, |_, _| {})
}

/// Evaluates `graph` and returns every computed value, in the order of [`Graph::values`]; `None` for the others.
///
/// # Errors
/// As [`run`].
pub fn run_all<T: Real>(graph: &Graph, inputs: Vec<Array<T>>) -> Result<Vec<Option<Array<T>>>, RunError> {
    evaluate_all(graph, inputs, |_, _| {})
}

/// Evaluates `graph` as [`run`] does, and lets `change` change what each node gives before others read it.
///
/// # Errors
/// As [`run`].
pub fn run_with<T: Real>(
    graph: &Graph,
    inputs: Vec<Array<T>>,
    change: impl FnMut(&Node, &mut Array<T>),
) -> Result<Vec<Array<T>>, RunError> {
    let values = evaluate_all(graph, inputs, change)?;
    let output = |id: ValueId| values[id.0].clone().unwrap_or_else(|| constant(graph, id));
    Ok(graph.outputs.iter().map(|output_| output(output_.value)).collect())
}

fn evaluate_all<T: Real>(
    graph: &Graph,
    inputs: Vec<Array<T>>,
    mut change: impl FnMut(&Node, &mut Array<T>),
) -> Result<Vec<Option<Array<T>>>, RunError> {
    if inputs.len() != graph.inputs.len() {
        return Err(RunError::Inputs { found: inputs.len(), expected: graph.inputs.len() });
    }
    let mut batch = None;
    let mut values: Vec<Option<Array<T>>> = vec![None; graph.values.len()];
    for (&id, input) in graph.inputs.iter().zip(inputs) {
        let shape = graph.shape(id);
        if !matches(&shape, &input.shape, &mut batch) {
            let name = graph.value(id).name.clone();
            return Err(RunError::Shape { name, found: input.shape, expected: shape_text(&shape) });
        }
        values[id.0] = Some(input);
    }
    for node in &graph.nodes {
        let inputs: Vec<Array<T>> = node
            .inputs
            .iter()
            .map(|&id| values[id.0].clone().unwrap_or_else(|| constant(graph, id)))
            .collect();
        let mut result = evaluate(&node.op, &inputs, batch);
        if !node.epilogue.is_empty() {
            let residual =
                node.epilogue.residual.map(|id| values[id.0].clone().unwrap_or_else(|| constant(graph, id)));
            result = epilogue(node, result, residual);
        }
        let inferred = graph.shape(node.output);
        if !matches(&inferred, &result.shape, &mut batch) {
            let (node, expected) = (node.name.clone(), shape_text(&inferred));
            return Err(RunError::Inferred { node, found: result.shape, expected });
        }
        change(node, &mut result);
        values[node.output.0] = Some(result);
    }
    Ok(values)
}

/// Whether an array's shape is that of the graph, where every batch axis has the same length.
fn matches(shape: &[Dim], found: &[usize], batch: &mut Option<usize>) -> bool {
    shape.len() == found.len()
        && shape.iter().zip(found).all(|(dim, &length)| match dim {
            Dim::Size(size) => *size == length,
            Dim::Batch => *batch.get_or_insert(length) == length,
        })
}

fn constant<T: Real>(graph: &Graph, id: ValueId) -> Array<T> {
    match &graph.value(id).content {
        Content::Constant(tensor) => Array::from_tensor(tensor),
        // Unreachable in a graph whose nodes read only what comes before them.
        Content::Computed { .. } => Array { shape: vec![0], data: Vec::new() },
    }
}

/// The most elements that [`fold`] makes: a few bytes of a file must not fill the memory.
const MAX_FOLDED: usize = 1 << 27;

/// What an operator computes from constants, or `None` when that cannot be said.
pub fn fold(op: &Op, inputs: &[&Tensor]) -> Option<Tensor> {
    let typed: Vec<_> = inputs
        .iter()
        .map(|tensor| (tensor.element(), tensor.shape().iter().map(|&length| Dim::Size(length)).collect()))
        .collect();
    let (element, shape) = super::infer(op, &typed).ok()?;
    let count = shape.iter().try_fold(1usize, |count, dim| match dim {
        Dim::Size(length) => count.checked_mul(*length),
        Dim::Batch => None,
    });
    if count.is_none_or(|count| count > MAX_FOLDED) {
        return None;
    }
    let arrays: Vec<Array<f64>> = inputs.iter().map(|tensor| Array::from_tensor(tensor)).collect();
    let Array { shape, data } = evaluate(op, &arrays, None);
    let elements = match element {
        Element::F32 => Elements::F32(data.iter().map(|&value| value as f32).collect()),
        Element::U8 => Elements::U8(data.iter().map(|&value| value as u8).collect()),
        Element::I8 => Elements::I8(data.iter().map(|&value| value as i8).collect()),
        Element::I32 => Elements::I32(data.iter().map(|&value| value as i32).collect()),
        // A double does not hold every 64-bit integer, but every length and place.
        Element::I64 if data.iter().all(|value| value.abs() < (1u64 << 53) as f64) => {
            Elements::I64(data.iter().map(|&value| value as i64).collect())
        }
        Element::Bool | Element::I64 => return None,
    };
    Tensor::new(shape, elements)
}

fn evaluate<T: Real>(op: &Op, inputs: &[Array<T>], batch: Option<usize>) -> Array<T> {
    let x = &inputs[0];
    let size = |dim: &Dim| match dim {
        Dim::Batch => batch.unwrap_or(1),
        Dim::Size(size) => *size,
    };
    match op {
        Op::MatMul => matrix::matmul(x, &inputs[1]),
        Op::Gemm(gemm) => matrix::gemm(gemm, x, &inputs[1], inputs.get(2)),
        Op::Conv(conv) => convolution::convolution(conv, x, &inputs[1], inputs.get(2)),
        Op::ConvTranspose(conv) => convolution::transposed(conv, x, &inputs[1], inputs.get(2)),
        Op::Interleaved(interleaved) => {
            let small = convolution::convolution(&interleaved.convolution(), x, &inputs[1], inputs.get(2));
            let spread = layout::depth_to_space(&interleaved.depth, &small);
            layout::slice(&interleaved.slices([spread.shape[2], spread.shape[3]]), &spread)
        }
        Op::BatchNorm { epsilon } => elementwise::batch_norm(*epsilon, inputs),
        Op::Affine => elementwise::affine(x, &inputs[1].data, &inputs[2].data),
        Op::Activation(activation) => x.map(|value| elementwise::activate(activation, value)),
        Op::HardSigmoid { alpha, beta } => x.map(|value| elementwise::hard_sigmoid(*alpha, *beta, value)),
        Op::Function(function) => x.map(|value| elementwise::function(function, value)),
        Op::Binary(binary) => elementwise::binary(*binary, x, &inputs[1]),
        Op::Pool(pool) => pool::pool(pool, x),
        Op::Reduce(reduce) => reduce::reduce(reduce, x),
        Op::Reshape(shape) => Array { shape: shape.iter().map(size).collect(), data: x.data.clone() },
        Op::Transpose(permutation) => layout::transpose(permutation, x),
        Op::Concat { axis } => layout::concat(*axis, inputs),
        Op::Pad(pad) => layout::pad(pad, x),
        Op::Resize(resize) => resize::resize(resize, x),
        Op::Softmax { axis } => reduce::softmax(*axis, x),
        Op::Normalize { axis, p, epsilon } => reduce::normalize(*axis, *p, *epsilon, x),
        Op::Quantize { axis, element } => quantize::quantize(*axis, *element, x, &inputs[1], inputs.get(2)),
        Op::Dequantize { axis } => quantize::dequantize(*axis, x, &inputs[1], inputs.get(2)),
        Op::Expand(shape) => x.broadcast(&shape.iter().map(size).collect::<Vec<_>>()),
        Op::DepthToSpace(depth) => layout::depth_to_space(depth, x),
        Op::Slice(slices) => layout::slice(slices, x),
        Op::Standardize { axes, epsilon } => reduce::standardize(axes, *epsilon, x),
        Op::OneHot { depth } => layout::one_hot(*depth, x),
        Op::Cast => x.clone(),
    }
}

fn epilogue<T: Real>(node: &Node, mut result: Array<T>, residual: Option<Array<T>>) -> Array<T> {
    if let Some(residual) = residual {
        result = elementwise::binary(super::Binary::Add, &result, &residual);
    }
    if let Some(activation) = &node.epilogue.activation {
        result = result.map(|value| elementwise::activate(activation, value));
    }
    if let Some(Affine { scale, shift }) = &node.epilogue.affine {
        let real = |values: &[f32]| values.iter().map(|&value| T::from_f64(value.into())).collect::<Vec<_>>();
        result = elementwise::affine(&result, &real(scale), &real(shift));
    }
    result
}
