//! The exporter's own form of a network: typed operators in the order of evaluation, constants, and shapes whose batch
//! axis is a symbol. [`crate::import`] makes it from ONNX, [`crate::passes`] rewrite it, [`interpret`] evaluates it.

mod grid;
mod infer;
mod interleaved;
pub mod interpret;
mod op;
mod tensor;

use std::collections::BTreeMap;
use std::fmt;

pub use grid::Grid;
pub(crate) use infer::broadcast;
pub use infer::{InferError, infer};
pub use interleaved::Interleaved;
// The attributes that the packed format has too.
pub use latent_runtime::ops::{
    Activation, Binary, Coordinates, Function, Interpolation, PadMode, PoolKind, ReduceKind, Window,
};
pub(crate) use op::is_nearest;
pub use op::{
    Convolution, DepthOrder, DepthToSpace, Gemm, Op, Pad, Pool, Reduce, Resize, Slice, TransposedConvolution,
};
pub use tensor::{Element, Elements, Tensor};

/// The length of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The batch: known only when the model runs.
    Batch,
    /// A length.
    Size(usize),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Batch => f.write_str("N"),
            Dim::Size(size) => write!(f, "{size}"),
        }
    }
}

/// A shape for messages: `(N, 3, 32, 32)`.
pub fn shape_text(shape: &[Dim]) -> String {
    let lengths: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("({})", lengths.join(", "))
}

/// A value of a [`Graph`]: its place in [`Graph::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

/// Something that nodes read: a constant, an input, or what another node computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name in the file it came from.
    pub name: String,
    /// What is known of it.
    pub content: Content,
}

/// What is known of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Everything.
    Constant(Tensor),
    /// Its type and shape.
    Computed {
        /// The element type.
        element: Element,
        /// The shape.
        shape: Vec<Dim>,
    },
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in the file it came from; unique.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What is done to the result at once.
    pub epilogue: Epilogue,
    /// What it writes.
    pub output: ValueId,
}

/// What a node does to its result before it writes it: affine(activation(result + residual)).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epilogue {
    /// A value of the result's shape, added first.
    pub residual: Option<ValueId>,
    /// Then this function of each element.
    pub activation: Option<Activation>,
    /// Then, per channel (axis 1), a multiplication and an addition.
    pub affine: Option<Affine>,
}

impl Epilogue {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        *self == Epilogue::default()
    }
}

/// x * scale + shift, one pair for each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// The factors.
    pub scale: Vec<f32>,
    /// The summands.
    pub shift: Vec<f32>,
}

/// An output of a [`Graph`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name, which may differ from its value's.
    pub name: String,
    /// What it is.
    pub value: ValueId,
}

/// The most elements of a value, for one example: a file of a hundred bytes can ask for any number.
pub const MAX_ELEMENTS: usize = 1 << 26;

/// Whether a value of this shape has more than [`MAX_ELEMENTS`] for one example.
pub fn is_too_large(shape: &[Dim]) -> bool {
    let sizes = shape.iter().map(|dim| if let Dim::Size(length) = dim { *length } else { 1 });
    let count = sizes.into_iter().try_fold(1usize, usize::checked_mul);
    count.is_none_or(|count| count > MAX_ELEMENTS)
}

/// What is wrong with a value that [is too large](is_too_large).
pub fn too_large(shape: &[Dim]) -> String {
    format!(
        "a value of shape {} has more than the {MAX_ELEMENTS} elements that are supported",
        shape_text(shape)
    )
}

/// A network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Inputs, constants and results.
    pub values: Vec<Value>,
    /// Operations; each reads only what comes before it.
    pub nodes: Vec<Node>,
    /// What the caller gives.
    pub inputs: Vec<ValueId>,
    /// What the caller gets.
    pub outputs: Vec<Output>,
    /// Sentences on what was taken otherwise than the model's file has it, for people.
    pub notes: Vec<String>,
}

impl Graph {
    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The tensor of a constant.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        match &self.value(id).content {
            Content::Constant(tensor) => Some(tensor),
            Content::Computed { .. } => None,
        }
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Vec<Dim> {
        match &self.value(id).content {
            Content::Constant(tensor) => tensor.shape().iter().map(|&length| Dim::Size(length)).collect(),
            Content::Computed { shape, .. } => shape.clone(),
        }
    }

    /// The element type of a value.
    pub fn element(&self, id: ValueId) -> Element {
        match &self.value(id).content {
            Content::Constant(tensor) => tensor.element(),
            Content::Computed { element, .. } => *element,
        }
    }

    /// Adds a value.
    pub fn add_value(&mut self, name: impl Into<String>, content: Content) -> ValueId {
        self.values.push(Value { name: name.into(), content });
        ValueId(self.values.len() - 1)
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        self.add_value(name, Content::Constant(tensor))
    }

    /// Adds an input.
    pub fn add_input(&mut self, name: impl Into<String>, element: Element, shape: Vec<Dim>) -> ValueId {
        let id = self.add_value(name, Content::Computed { element, shape });
        self.inputs.push(id);
        id
    }

    /// Adds a node after all others. Its output's type and shape follow from its inputs'.
    ///
    /// # Errors
    /// When the inputs do not fit the operator.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: Vec<ValueId>,
        output: impl Into<String>,
    ) -> Result<ValueId, InferError> {
        let (element, shape) = self.infer(&op, &inputs)?;
        if is_too_large(&shape) {
            return Err(InferError(too_large(&shape)));
        }
        let output = self.add_value(output, Content::Computed { element, shape });
        self.nodes.push(Node { name: name.into(), op, inputs, epilogue: Epilogue::default(), output });
        Ok(output)
    }

    /// Type and shape of what `op` would compute from `inputs`.
    ///
    /// # Errors
    /// When the inputs do not fit the operator.
    pub fn infer(&self, op: &Op, inputs: &[ValueId]) -> Result<(Element, Vec<Dim>), InferError> {
        let inputs: Vec<_> = inputs.iter().map(|&id| (self.element(id), self.shape(id))).collect();
        infer(op, &inputs)
    }

    /// How often each value is read, outputs of the graph included.
    pub fn uses(&self) -> BTreeMap<ValueId, usize> {
        let mut uses = BTreeMap::new();
        let read = self.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.epilogue.residual));
        for &id in read.chain(self.outputs.iter().map(|output| &output.value)) {
            *uses.entry(id).or_insert(0) += 1;
        }
        uses
    }

    /// Makes every reader of `from`, and every output that is it, take `to` instead.
    pub fn replace(&mut self, from: ValueId, to: ValueId) {
        for node in &mut self.nodes {
            let residual = node.epilogue.residual.iter_mut();
            for id in node.inputs.iter_mut().chain(residual).filter(|id| **id == from) {
                *id = to;
            }
        }
        for output in self.outputs.iter_mut().filter(|output| output.value == from) {
            output.value = to;
        }
    }

    /// Removes nodes whose result nobody reads. Values stay where they are.
    pub fn remove_unread(&mut self) {
        loop {
            let uses = self.uses();
            let before = self.nodes.len();
            self.nodes.retain(|node| uses.contains_key(&node.output));
            if self.nodes.len() == before {
                return;
            }
        }
    }
}
