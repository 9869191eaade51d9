//! The writer of `.lat` files: takes fused operators with plain weights in the usual (ONNX) layouts and channel-first
//! shapes, packs the weights, plans the memory and gives the bytes.

mod arrange;
mod error;
mod layers;
mod node;
mod operators;
mod spec;
mod write;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::layout::MAX_ELEMENTS;
use super::ops::OperatorKind;
use super::pack::PlainLayer;
use super::port::{PortType, Shape};
pub use error::BuildError;
use error::shape_error;
use node::{BuildValue, Extents, Node};
pub use spec::{Element, LayerSpec, ModelInfo, PlainBias, PlainWeights};
pub use write::seal;

/// An activation of the model being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(usize);

/// Builds a packed model operator by operator, in the order of execution.
///
/// Shapes are channel-first and without the batch axis, as in ONNX; how activations and weights lie in memory is the
/// builder's affair.
/// ```
/// use latent_runtime::format::*;
///
/// let mut builder = Builder::new(ModelInfo { kind: ModelKind::Generator, latent_size: 2, ..Default::default() });
/// let z = builder.input("z", &[2], Element::F32)?;
/// let weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // three outputs of two inputs each
/// let mut layer = LayerSpec::new(PlainWeights::F32(&weights), PlainBias::F32(&[0.5, 0.5, 0.5]));
/// layer.activation = Activation::Relu;
/// let y = builder.fully_connected("fc", z, layer)?;
/// builder.output(y, "y", &[3])?;
/// let bytes = builder.finish()?;
/// assert!(arena_len(&bytes) > 0);
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    info: ModelInfo,
    values: Vec<BuildValue>,
    nodes: Vec<Node>,
    inputs: Vec<BuildPort>,
    outputs: Vec<BuildPort>,
    winograd: bool,
}

/// An input or output, as the outside sees it.
#[derive(Clone, Debug)]
struct BuildPort {
    value: usize,
    name: String,
    kind: PortType,
    shape: Shape,
}

impl Builder {
    /// An empty model.
    pub fn new(info: ModelInfo) -> Self {
        let (inputs, outputs) = (Vec::new(), Vec::new());
        Self { info, values: Vec::new(), nodes: Vec::new(), inputs, outputs, winograd: true }
    }

    /// Whether f32, f16 and bf16 3x3 convolutions that gain by it and are added from now on are computed by Winograd's
    /// F(2x2, 3x3): a little more than half the time for 16/9 of the weights and half a megabyte of working memory for each
    /// thread. On unless switched off, as a small device will want.
    pub fn winograd(&mut self, wanted: bool) {
        self.winograd = wanted;
    }

    /// The shape of an activation: channels, rows, columns.
    pub fn extents(&self, value: ValueId) -> [usize; 3] {
        self.values[value.0].extents
    }

    /// The element type of an activation.
    pub fn element(&self, value: ValueId) -> Element {
        self.values[value.0].element
    }

    /// An input of the model: no axis for one value, one for a vector, two for channels of a sequence, three for an image.
    /// A U8 element has the runtime quantize what it is given. Inputs come in the order of these calls.
    ///
    /// # Errors
    /// If the format cannot hold the shape.
    pub fn input(&mut self, name: &str, shape: &[usize], element: Element) -> Result<ValueId, BuildError> {
        let extents = match *shape {
            [] => [1; 3],
            [channels] => [channels, 1, 1],
            [channels, width] => [channels, 1, width],
            [channels, height, width] => [channels, height, width],
            _ => return Err(shape_error(name, "an input has at most three axes beside the batch")),
        };
        self.input_as(name, shape, extents, element)
    }

    /// An input whose elements, in their order, the model takes as these channels, rows and columns.
    ///
    /// # Errors
    /// If the shape has more than six axes or another number of elements.
    pub fn input_as(
        &mut self,
        name: &str,
        shape: &[usize],
        extents: [usize; 3],
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let value = self.add_value(name, extents, element)?;
        let port = self.port(value, name, shape)?;
        self.inputs.push(port);
        Ok(ValueId(value))
    }

    /// Declares an output of the model, as the outside sees it: its name and shape without the batch axis. Outputs come in
    /// the order of these calls; one value may be several, and an input may be one.
    ///
    /// # Errors
    /// If the shape has more than six axes or another number of elements.
    pub fn output(&mut self, value: ValueId, name: &str, shape: &[usize]) -> Result<(), BuildError> {
        let port = self.port(value.0, name, shape)?;
        self.outputs.push(port);
        Ok(())
    }

    /// Says of an input or output that its numbers are whole ones: labels, indices. They are given and taken as f32 as any
    /// others; that they are whole is the affair of whoever gives them. Without effect on a value that is neither.
    pub fn integers(&mut self, value: ValueId) {
        let ports = self.inputs.iter_mut().chain(&mut self.outputs);
        ports.filter(|port| port.value == value.0).for_each(|port| port.kind = PortType::Integer);
    }

    fn port(&self, value: usize, name: &str, shape: &[usize]) -> Result<BuildPort, BuildError> {
        let elements = self.values[value].extents.iter().product::<usize>() as u64;
        let shape =
            Shape::new(shape).filter(|shape| shape.elements() == Some(elements)).ok_or(shape_error(
                name,
                "its shape has more than six axes or another number of elements than its value",
            ))?;
        Ok(BuildPort { value, name: name.to_owned(), kind: PortType::Float, shape })
    }

    /// Packs, plans and writes. The bytes are a valid model: they have been read back.
    ///
    /// # Errors
    /// If there is no input or no output, two of them have the same name, or the model is beyond the format's limits.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        for (ports, what) in [(&self.inputs, "input"), (&self.outputs, "output")] {
            if ports.is_empty() {
                return Err(BuildError::Ends { what });
            }
        }
        self.absorb_reshapes();
        self.remove_unused();
        // The first name that a value goes out under is its own, but for an input's.
        for index in (0..self.outputs.len()).rev() {
            let BuildPort { value, name, .. } = &self.outputs[index];
            if self.inputs.iter().all(|port| port.value != *value) {
                self.values[*value].name = name.clone();
            }
        }
        self.give_halos();
        self.write()
    }

    /// Whether the value is an output.
    fn is_output(&self, value: usize) -> bool {
        self.outputs.iter().any(|port| port.value == value)
    }

    fn add_value(&mut self, name: &str, extents: Extents, element: Element) -> Result<usize, BuildError> {
        let elements = extents.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64));
        if elements.is_none_or(|elements| elements > MAX_ELEMENTS) {
            return Err(BuildError::TooLarge { what: name.to_owned() });
        }
        if elements == Some(0) {
            return Err(shape_error(name, "an activation may not be empty"));
        }
        if let Element::U8 { scale, .. } = element
            && !(scale.is_normal() && scale > 0.0)
        {
            return Err(BuildError::Types {
                operator: name.to_owned(),
                what: "a scale must be positive, finite and normal",
            });
        }
        self.values.push(BuildValue::new(name, extents, element));
        Ok(self.values.len() - 1)
    }

    fn add(
        &mut self,
        name: &str,
        kind: OperatorKind<PlainLayer, Vec<f32>>,
        input: ValueId,
        second: Option<ValueId>,
        extents: Extents,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let output = self.add_value(name, extents, element)?;
        let second = second.map(|second| second.0);
        self.nodes.push(Node { name: name.to_owned(), kind, input: input.0, second, output });
        Ok(ValueId(output))
    }
}
