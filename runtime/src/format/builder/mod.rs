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
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::layout::MAX_ELEMENTS;
use super::ops::OperatorKind;
use super::pack::PlainLayer;
use crate::ops::Operation;
pub use error::BuildError;
use error::shape_error;
use node::{BuildValue, Extents, Node};
pub use spec::{Element, LayerSpec, ModelInfo, PlainBias, PlainWeights};
#[cfg(all(test, feature = "std"))]
pub(super) use write::seal;

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
    input: Option<(usize, Vec<usize>)>,
    output: Option<(usize, Vec<usize>, String)>,
    winograd: bool,
}

impl Builder {
    /// An empty model.
    pub fn new(info: ModelInfo) -> Self {
        Self { info, values: Vec::new(), nodes: Vec::new(), input: None, output: None, winograd: true }
    }

    /// Whether f32 and f16 3x3 convolutions that gain by it and are added from now on are computed by Winograd's
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

    /// The model's input: one axis for a vector, two for channels of a sequence, three for an image. A U8 element has
    /// the runtime quantize what it is given.
    ///
    /// # Errors
    /// If there is an input already, or a shape the format cannot hold.
    pub fn input(&mut self, name: &str, shape: &[usize], element: Element) -> Result<ValueId, BuildError> {
        let extents = match *shape {
            [channels] => [channels, 1, 1],
            [channels, width] => [channels, 1, width],
            [channels, height, width] => [channels, height, width],
            _ => return Err(shape_error(name, "an input has one to three axes beside the batch")),
        };
        self.input_as(name, shape, extents, element)
    }

    /// The model's input, whose elements, in their order, the model takes as these channels, rows and columns.
    ///
    /// # Errors
    /// As [`Builder::input`], or if the shape has more than four axes or another number of elements.
    pub fn input_as(
        &mut self,
        name: &str,
        shape: &[usize],
        extents: [usize; 3],
        element: Element,
    ) -> Result<ValueId, BuildError> {
        if self.input.is_some() {
            return Err(BuildError::Ends { what: "input" });
        }
        let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let id = self.add_value(name, extents, element)?;
        if shape.len() > 4 || elements != Some(extents.iter().product()) {
            return Err(shape_error(name, "the input's shape has another number of elements than its value"));
        }
        self.input = Some((id, shape.to_vec()));
        Ok(ValueId(id))
    }

    /// Declares the model's output, as the outside sees it: its name and shape without the batch axis.
    ///
    /// # Errors
    /// If there is one already, or the shape has another number of elements.
    pub fn output(&mut self, value: ValueId, name: &str, shape: &[usize]) -> Result<(), BuildError> {
        if self.output.is_some() {
            return Err(BuildError::Ends { what: "output" });
        }
        let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if shape.len() > 4 || elements != Some(self.values[value.0].extents.iter().product()) {
            return Err(shape_error(
                name,
                "the output's shape has another number of elements than its value",
            ));
        }
        self.output = Some((value.0, shape.to_vec(), name.to_owned()));
        Ok(())
    }

    /// Packs, plans and writes. The bytes are a valid model: they have been read back.
    ///
    /// # Errors
    /// If input or output is missing, or the model is beyond the format's limits.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        let (input, input_shape) = self.input.clone().ok_or(BuildError::Ends { what: "input" })?;
        let (mut output, output_shape, output_name) =
            self.output.clone().ok_or(BuildError::Ends { what: "output" })?;
        self.absorb_reshapes(&mut output);
        self.remove_unused(output);
        if output == input {
            // A model that does nothing still moves its input to its output.
            let copy = self.values[input].clone();
            self.values.push(copy);
            output = self.values.len() - 1;
            let kind = OperatorKind::Unweighted(Operation::Copy { at: [0; 3] });
            self.nodes.push(Node { name: "identity".to_string(), kind, input, second: None, output });
        }
        self.values[output].name = output_name;
        self.give_halos();
        self.write(input, &input_shape, output, &output_shape)
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
