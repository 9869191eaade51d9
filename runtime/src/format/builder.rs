//! The writer of `.lat` files: takes fused operators with plain weights in the usual (ONNX) layouts and channel-first
//! shapes, packs the weights, plans the memory and gives the bytes.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::error::FormatError;
use super::layout::{
    self, BLOCK, FLAG_AFTER, FLAG_BEFORE, GROUP, HEADER, MAGIC, MAX_ELEMENTS, NONE, OPERATOR_RECORD, VERSION,
    WINOGRAD_SCRATCH, align, header, operator as field,
};
use super::model::{Model, ModelKind, Precision};
use super::operator::{
    Activation, BinaryKind, Coordinates, Interpolation, PadKind, PoolKind, WeightType, can_be_winograd,
    number,
};
use super::pack::{Plain, put_float};
use super::plan::{Buffer, plan};
use super::value::{Halo, Value, ValueType};
use super::window::Axis;
use crate::latent::Distribution;
use crate::pixels::ValueRange;

/// An activation of the model being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(usize);

/// The element type of an activation and, if quantised, its step and zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// `scale * (q - zero_point)`. (An int8 tensor becomes U8 by adding 128 to its zero point.)
    U8 {
        /// The step.
        scale: f32,
        /// What stands for zero.
        zero_point: u8,
    },
}

impl Element {
    fn kind(self) -> ValueType {
        match self {
            Self::F32 => ValueType::F32,
            Self::U8 { .. } => ValueType::U8,
        }
    }
}

/// What is known about the model beside its operators.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// What it is.
    pub kind: ModelKind,
    /// What it was packed with.
    pub precision: Precision,
    /// The length of the latent vector; 0 if it takes none.
    pub latent_size: usize,
    /// What latent vectors are drawn from.
    pub distribution: Option<Distribution>,
    /// The value range of the image side.
    pub range: ValueRange,
    /// Pairs of key and text, e.g. those of the ONNX file.
    pub metadata: Vec<(String, String)>,
}

impl Default for ModelInfo {
    fn default() -> Self {
        Self {
            kind: ModelKind::Other,
            precision: Precision::F32,
            latent_size: 0,
            distribution: None,
            range: ValueRange::SIGNED,
            metadata: Vec::new(),
        }
    }
}

/// A layer's weights in the usual order (each operator says which).
#[derive(Clone, Copy, Debug)]
pub enum PlainWeights<'a> {
    /// Kept in f32.
    F32(&'a [f32]),
    /// Rounded to binary16.
    F16(&'a [f32]),
    /// Symmetric int8 with one scale per output channel, or a single one for all.
    I8 {
        /// The weights.
        values: &'a [i8],
        /// Their scales.
        scales: &'a [f32],
    },
}

/// A layer's bias, one per output channel.
#[derive(Clone, Copy, Debug, Default)]
pub enum PlainBias<'a> {
    /// No bias.
    #[default]
    None,
    /// In real units.
    F32(&'a [f32]),
    /// In units of input scale times weight scale (int8 layers only).
    I32(&'a [i32]),
}

/// A layer's weights, bias and what is fused with it: `after(activation(sum + bias [+ residual]))`, all in real units.
#[derive(Clone, Copy, Debug)]
pub struct LayerSpec<'a> {
    /// The weights.
    pub weights: PlainWeights<'a>,
    /// The bias.
    pub bias: PlainBias<'a>,
    /// Added before the activation; of the output's shape and element kind.
    pub residual: Option<ValueId>,
    /// The activation.
    pub activation: Activation,
    /// Scale and shift per output channel, after the activation.
    pub after: Option<(&'a [f32], &'a [f32])>,
    /// The output's element type. U8 only with int8 weights.
    pub output: Element,
}

impl<'a> LayerSpec<'a> {
    /// A layer with nothing fused and a float output.
    pub fn new(weights: PlainWeights<'a>, bias: PlainBias<'a>) -> Self {
        Self {
            weights,
            bias,
            residual: None,
            activation: Activation::Identity,
            after: None,
            output: Element::F32,
        }
    }
}

/// A window's geometry in ONNX's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// `kernel_shape`: rows, columns.
    pub kernel: [usize; 2],
    /// `strides`
    pub stride: [usize; 2],
    /// `dilations`
    pub dilation: [usize; 2],
    /// `pads`: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl WindowSpec {
    /// A square kernel with equal stride and pads.
    pub fn square(kernel: usize, stride: usize, pad: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pads: [pad; 4] }
    }

    fn axes(&self) -> [Axis; 2] {
        [0, 1].map(|n| Axis {
            kernel: self.kernel[n],
            stride: self.stride[n],
            dilation: self.dilation[n],
            pad: self.pads[n],
        })
    }
}

/// Why a model cannot be built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Weights, bias, scales or affine have another length than the shapes need.
    Length {
        /// The operator.
        operator: String,
        /// Which of them.
        what: &'static str,
        /// Their number.
        found: usize,
        /// The number needed.
        expected: usize,
    },
    /// Shapes that do not fit.
    Shape {
        /// The operator.
        operator: String,
        /// What does not fit.
        what: &'static str,
    },
    /// Element types that do not fit.
    Types {
        /// The operator.
        operator: String,
        /// What does not fit.
        what: &'static str,
    },
    /// No input or no output was declared, or a second one.
    Ends {
        /// `input` or `output`.
        what: &'static str,
    },
    /// More than 4 GiB, or an activation beyond the format's limit.
    TooLarge {
        /// What is too large.
        what: String,
    },
    /// The finished bytes break a rule of the format.
    Format(FormatError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { operator, what, found, expected } => {
                write!(f, "operator `{operator}`: {found} {what} given, {expected} needed")
            }
            Self::Shape { operator, what } | Self::Types { operator, what } => {
                write!(f, "operator `{operator}`: {what}")
            }
            Self::Ends { what } => write!(f, "a model has exactly one {what}"),
            Self::TooLarge { what } => write!(f, "{what} is too large for a packed model"),
            Self::Format(error) => write!(f, "the packed model is not valid: {error}"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

/// Channels, rows, columns.
type Extents = [usize; 3];

#[derive(Clone, Debug)]
struct BuildValue {
    name: String,
    extents: Extents,
    element: Element,
    halo: Halo,
}

impl BuildValue {
    fn value(&self) -> Value<'_> {
        let [channels, height, width] = self.extents;
        let (scale, zero_point) = match self.element {
            Element::F32 => (1.0, 0),
            Element::U8 { scale, zero_point } => (scale, zero_point),
        };
        Value {
            name: &self.name,
            kind: self.element.kind(),
            channels,
            height,
            width,
            halo: self.halo,
            offset: 0,
            first: 0,
            last: 0,
            scale,
            zero_point,
        }
    }
}

#[derive(Clone, Debug)]
enum Bias {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

#[derive(Clone, Debug)]
struct LayerPlan {
    weights: Plain,
    /// Per output channel; empty for float weights.
    scales: Vec<f32>,
    bias: Bias,
    activation: Activation,
    after: Option<(Vec<f32>, Vec<f32>)>,
}

type OwnedAffine = Option<(Vec<f32>, Vec<f32>)>;

#[derive(Clone, Debug)]
enum NodeKind {
    FullyConnected(LayerPlan),
    Convolution {
        window: [Axis; 2],
        groups: usize,
        layer: LayerPlan,
    },
    Depthwise {
        window: [Axis; 2],
        layer: LayerPlan,
    },
    Transposed {
        window: [Axis; 2],
        groups: usize,
        layer: LayerPlan,
    },
    Pool {
        window: [Axis; 2],
        kind: PoolKind,
    },
    Elementwise {
        before: OwnedAffine,
        activation: Activation,
        after: OwnedAffine,
    },
    Binary {
        kind: BinaryKind,
        activation: Activation,
    },
    Copy {
        at: [usize; 3],
    },
    Pad {
        before: [usize; 2],
        kind: PadKind,
    },
    Resize {
        scale: [f32; 2],
        coordinates: Coordinates,
        interpolation: Interpolation,
    },
    Softmax,
    L2Normalise {
        epsilon: f32,
    },
    /// A change of shape in channel-first order; absorbed into its neighbours where it can be.
    Reshape,
}

#[derive(Clone, Debug)]
struct Node {
    name: String,
    kind: NodeKind,
    input: usize,
    second: Option<usize>,
    output: usize,
}

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

    /// Whether float 3x3 convolutions that gain by it are computed by Winograd's F(2x2, 3x3): half the time for 16/9 of the
    /// weights and half a megabyte of working memory. On unless switched off, as a small device will want.
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
    /// the runtime quantise what it is given.
    ///
    /// # Errors
    /// If there is an input already, or a shape the format cannot hold.
    pub fn input(&mut self, name: &str, shape: &[usize], element: Element) -> Result<ValueId, BuildError> {
        if self.input.is_some() {
            return Err(BuildError::Ends { what: "input" });
        }
        let extents = match *shape {
            [channels] => [channels, 1, 1],
            [channels, width] => [channels, 1, width],
            [channels, height, width] => [channels, height, width],
            _ => return Err(shape_error(name, "an input has one to three axes beside the batch")),
        };
        let id = self.add_value(name, extents, element)?;
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

    /// A fully connected layer over all of `input` in channel-first order; weights `[output][input]`.
    ///
    /// # Errors
    /// If lengths or types do not fit.
    pub fn fully_connected(
        &mut self,
        name: &str,
        input: ValueId,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let inputs: usize = self.extents(input).iter().product();
        let given = weights_len(&spec.weights);
        let outputs = given / inputs;
        if given == 0 || !given.is_multiple_of(inputs) {
            return Err(length_error(name, "weights", given, inputs.max(1)));
        }
        let layer = self.layer(name, input, &spec, given, outputs)?;
        self.add_layer(name, NodeKind::FullyConnected(layer), input, [outputs, 1, 1], &spec)
    }

    /// A convolution; weights `[output][input / groups][rows][columns]`. With as many groups as input and output
    /// channels it becomes a depthwise one.
    ///
    /// # Errors
    /// If lengths, shapes or types do not fit.
    pub fn convolution(
        &mut self,
        name: &str,
        input: ValueId,
        window: WindowSpec,
        groups: usize,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        let per_output = self.per_output(name, channels, groups, &window)?;
        let given = weights_len(&spec.weights);
        let outputs = given / per_output;
        if outputs == 0 || !given.is_multiple_of(per_output) || !outputs.is_multiple_of(groups) {
            return Err(length_error(name, "weights", given, per_output * groups));
        }
        let (rows, columns) = match (slide(height, &window, 0), slide(width, &window, 1)) {
            (Some(rows), Some(columns)) => (rows, columns),
            _ => return Err(shape_error(name, "the kernel is larger than the padded input")),
        };
        let mut layer = self.layer(name, input, &spec, given, outputs)?;
        let axes = window.axes();
        let kind = if groups > 1 && groups == channels && outputs == channels {
            NodeKind::Depthwise { window: axes, layer }
        } else {
            let mut groups = groups;
            if groups > 1
                && layer.weights.kind() == WeightType::I8
                && !(channels / groups).is_multiple_of(GROUP)
            {
                let taps = window.kernel[0] * window.kernel[1];
                expand_groups(&mut layer.weights, groups, outputs, channels / groups, taps);
                groups = 1;
            }
            NodeKind::Convolution { window: axes, groups, layer }
        };
        self.add_layer(name, kind, input, [outputs, rows, columns], &spec)
    }

    /// A transposed convolution; weights `[input][output / groups][rows][columns]`, dilation 1. `output` is the size
    /// of the result: `(in - 1) * stride + kernel - pads + output padding` along each axis.
    ///
    /// # Errors
    /// If lengths, shapes or types do not fit.
    pub fn transposed(
        &mut self,
        name: &str,
        input: ValueId,
        window: WindowSpec,
        output: [usize; 2],
        groups: usize,
        spec: LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        if window.dilation != [1, 1] {
            return Err(shape_error(name, "a transposed convolution must have dilation 1"));
        }
        let taps = window.kernel[0] * window.kernel[1];
        self.per_output(name, channels, groups, &window)?;
        let given = weights_len(&spec.weights);
        let outputs = given / (channels * taps) * groups;
        if outputs == 0 || !given.is_multiple_of(channels * taps) {
            return Err(length_error(name, "weights", given, channels * taps));
        }
        for (n, input) in [height, width].into_iter().enumerate() {
            // What the inputs reach, less the pad before; more is output padding and must stay below the stride.
            let full = (input - 1) * window.stride[n] + window.kernel[n];
            let least = full.saturating_sub(window.pads[n] + window.pads[n + 2]).max(window.stride[n]);
            if output[n] < least || output[n] > least + window.stride[n].max(window.pads[n + 2]) {
                return Err(shape_error(
                    name,
                    "the output's size does not follow from kernel, stride and pads",
                ));
            }
        }
        let mut layer = self.layer(name, input, &spec, given, outputs)?;
        let mut groups = groups;
        if groups > 1 && layer.weights.kind() == WeightType::I8 && !(channels / groups).is_multiple_of(GROUP)
        {
            expand_transposed_groups(&mut layer.weights, groups, outputs, channels, taps);
            groups = 1;
        }
        let kind = NodeKind::Transposed { window: window.axes(), groups, layer };
        self.add_layer(name, kind, input, [outputs, output[0], output[1]], &spec)
    }

    /// A pool with an output of `output` rows and columns (so that both of ONNX's rounding modes can be had). Max pools
    /// keep the element type; average pools may go from U8 to F32 or to another U8.
    ///
    /// # Errors
    /// If shapes or types do not fit.
    pub fn pool(
        &mut self,
        name: &str,
        input: ValueId,
        kind: PoolKind,
        window: WindowSpec,
        output: [usize; 2],
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        self.per_output(name, channels, 1, &window)?;
        let axes = window.axes();
        for (axis, (input, output)) in axes.iter().zip([(height, output[0]), (width, output[1])]) {
            if output == 0 || (output - 1) * axis.stride >= axis.pad + input {
                return Err(shape_error(name, "the last window of the pool lies outside the input"));
            }
        }
        self.add(
            name,
            NodeKind::Pool { window: axes, kind },
            input,
            None,
            [channels, output[0], output[1]],
            element,
        )
    }

    /// The mean over each channel's whole image.
    ///
    /// # Errors
    /// If types do not fit.
    pub fn global_average_pool(
        &mut self,
        name: &str,
        input: ValueId,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [_, height, width] = self.extents(input);
        let window = WindowSpec { kernel: [height, width], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
        self.pool(name, input, PoolKind::Average, window, [1, 1], element)
    }

    /// `after(activation(before(x)))` with per-channel affines, and the change from one element type to another:
    /// QuantizeLinear and DequantizeLinear are elementwise operators with nothing but another output element.
    ///
    /// # Errors
    /// If the affines' lengths do not fit.
    pub fn elementwise(
        &mut self,
        name: &str,
        input: ValueId,
        before: Option<(&[f32], &[f32])>,
        activation: Activation,
        after: Option<(&[f32], &[f32])>,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let extents = self.extents(input);
        let before = owned_affine(name, before, extents[0])?;
        let after = owned_affine(name, after, extents[0])?;
        self.add(name, NodeKind::Elementwise { before, activation, after }, input, None, extents, element)
    }

    /// `activation(a op b)`; `b` has the shape of `a`, or one pixel of as many channels.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn binary(
        &mut self,
        name: &str,
        kind: BinaryKind,
        a: ValueId,
        b: ValueId,
        activation: Activation,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let (shape, other) = (self.extents(a), self.extents(b));
        if other != shape && other != [shape[0], 1, 1] {
            return Err(shape_error(name, "the operands' shapes do not fit"));
        }
        self.add(name, NodeKind::Binary { kind, activation }, a, Some(b), shape, element)
    }

    /// The inputs one after the other along an axis: 0 channels, 1 rows, 2 columns.
    ///
    /// # Errors
    /// If there are no inputs or shapes do not fit.
    pub fn concat(
        &mut self,
        name: &str,
        inputs: &[ValueId],
        axis: usize,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let Some(&first) = inputs.first() else { return Err(shape_error(name, "nothing to concatenate")) };
        let mut extents = self.extents(first);
        if axis > 2 {
            return Err(shape_error(name, "the axis is 0, 1 or 2"));
        }
        extents[axis] = 0;
        for &input in inputs {
            let shape = self.extents(input);
            if (0..3).any(|n| n != axis && shape[n] != extents[n]) {
                return Err(shape_error(
                    name,
                    "the inputs differ along another axis than the concatenated one",
                ));
            }
            extents[axis] += shape[axis];
        }
        let output = self.add_value(name, extents, element)?;
        let mut at = [0; 3];
        for &input in inputs {
            self.nodes.push(Node {
                name: name.to_owned(),
                kind: NodeKind::Copy { at },
                input: input.0,
                second: None,
                output,
            });
            at[axis] += self.extents(input)[axis];
        }
        Ok(ValueId(output))
    }

    /// Adds a border: pads top, left, bottom, right.
    ///
    /// # Errors
    /// If the pads do not fit.
    pub fn pad(
        &mut self,
        name: &str,
        input: ValueId,
        pads: [usize; 4],
        kind: PadKind,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, height, width] = self.extents(input);
        let extents = [channels, height + pads[0] + pads[2], width + pads[1] + pads[3]];
        self.add(name, NodeKind::Pad { before: [pads[0], pads[1]], kind }, input, None, extents, element)
    }

    /// The image at `output` rows and columns; `scale` is input pixels per output pixel (1 / ONNX's scales).
    ///
    /// # Errors
    /// If the output is empty.
    #[expect(clippy::too_many_arguments, reason = "each is one attribute of ONNX's Resize")]
    pub fn resize(
        &mut self,
        name: &str,
        input: ValueId,
        output: [usize; 2],
        scale: [f32; 2],
        coordinates: Coordinates,
        interpolation: Interpolation,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        let [channels, ..] = self.extents(input);
        let kind = NodeKind::Resize { scale, coordinates, interpolation };
        self.add(name, kind, input, None, [channels, output[0], output[1]], element)
    }

    /// Softmax over channels.
    ///
    /// # Errors
    /// None today.
    pub fn softmax(&mut self, name: &str, input: ValueId, element: Element) -> Result<ValueId, BuildError> {
        self.add(name, NodeKind::Softmax, input, None, self.extents(input), element)
    }

    /// Division by the norm over channels, which counts as at least `epsilon`.
    ///
    /// # Errors
    /// None today.
    pub fn l2_normalise(
        &mut self,
        name: &str,
        input: ValueId,
        epsilon: f32,
        element: Element,
    ) -> Result<ValueId, BuildError> {
        self.add(name, NodeKind::L2Normalise { epsilon }, input, None, self.extents(input), element)
    }

    /// The same elements, in channel-first order, under another shape.
    ///
    /// # Errors
    /// If the numbers of elements differ.
    pub fn reshape(
        &mut self,
        name: &str,
        input: ValueId,
        extents: [usize; 3],
    ) -> Result<ValueId, BuildError> {
        if extents == self.extents(input) {
            return Ok(input);
        }
        if extents.iter().product::<usize>() != self.extents(input).iter().product::<usize>() {
            return Err(shape_error(name, "a reshape keeps the number of elements"));
        }
        self.add(name, NodeKind::Reshape, input, None, extents, self.element(input))
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
        self.values.push(BuildValue { name: name.to_owned(), extents, element, halo: Halo::default() });
        Ok(self.values.len() - 1)
    }

    fn add(
        &mut self,
        name: &str,
        kind: NodeKind,
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

    fn add_layer(
        &mut self,
        name: &str,
        kind: NodeKind,
        input: ValueId,
        extents: Extents,
        spec: &LayerSpec<'_>,
    ) -> Result<ValueId, BuildError> {
        if let Some(residual) = spec.residual {
            let value = &self.values[residual.0];
            if value.extents != extents {
                return Err(shape_error(name, "the residual has another shape than the output"));
            }
            if value.element.kind() != spec.output.kind() {
                return Err(BuildError::Types {
                    operator: name.to_owned(),
                    what: "the residual has another element type than the output",
                });
            }
        }
        self.add(name, kind, input, spec.residual, extents, spec.output)
    }

    fn per_output(
        &self,
        name: &str,
        channels: usize,
        groups: usize,
        window: &WindowSpec,
    ) -> Result<usize, BuildError> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(shape_error(name, "the groups do not divide the input channels"));
        }
        let sizes = [window.kernel, window.stride, window.dilation];
        if sizes.iter().flatten().any(|&size| size == 0 || size > 1 << 16)
            || window.pads.iter().any(|&pad| pad > 1 << 16)
        {
            return Err(shape_error(
                name,
                "kernel, stride and dilation must be 1 to 65536, pads at most 65536",
            ));
        }
        Ok(channels / groups * window.kernel[0] * window.kernel[1])
    }

    fn layer(
        &self,
        name: &str,
        input: ValueId,
        spec: &LayerSpec<'_>,
        weights: usize,
        outputs: usize,
    ) -> Result<LayerPlan, BuildError> {
        let types = |what| BuildError::Types { operator: name.to_owned(), what };
        let check = |what, found: usize, expected: usize| {
            if found == expected { Ok(()) } else { Err(length_error(name, what, found, expected)) }
        };
        let (plain, scales) = match spec.weights {
            PlainWeights::F32(values) => (Plain::Float(values.to_vec(), WeightType::F32), Vec::new()),
            PlainWeights::F16(values) => (Plain::Float(values.to_vec(), WeightType::F16), Vec::new()),
            PlainWeights::I8 { values, scales: [scale] } => {
                (Plain::Int8(values.to_vec()), vec![*scale; outputs])
            }
            PlainWeights::I8 { values, scales } => {
                check("weight scales", scales.len(), outputs)?;
                (Plain::Int8(values.to_vec()), scales.to_vec())
            }
        };
        check("weights", plain.len(), weights)?;
        let int8 = plain.kind() == WeightType::I8;
        if self.element(input).kind() != plain.kind().input() {
            return Err(types(if int8 {
                "int8 weights need a U8 input; quantise it first"
            } else {
                "float weights need an F32 input; dequantise it first"
            }));
        }
        if !int8 && spec.output != Element::F32 {
            return Err(types("float weights give an F32 output; quantise it after"));
        }
        let bias = match spec.bias {
            PlainBias::None if int8 => Bias::I32(vec![0; outputs]),
            PlainBias::None => Bias::F32(vec![0.0; outputs]),
            PlainBias::F32(bias) => {
                check("biases", bias.len(), outputs)?;
                Bias::F32(bias.to_vec())
            }
            PlainBias::I32(bias) => {
                check("biases", bias.len(), outputs)?;
                if !int8 {
                    return Err(types("an integer bias needs int8 weights"));
                }
                Bias::I32(bias.to_vec())
            }
        };
        let after = owned_affine(name, spec.after, outputs)?;
        Ok(LayerPlan { weights: plain, scales, bias, activation: spec.activation, after })
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
            let kind = NodeKind::Copy { at: [0; 3] };
            self.nodes.push(Node { name: "identity".to_string(), kind, input, second: None, output });
        }
        self.values[output].name = output_name;
        self.give_halos();
        self.write(input, &input_shape, output, &output_shape)
    }

    /// Does away with reshapes that a fully connected neighbour (whose weights can be permuted) or the model's output
    /// can absorb; the rest stay.
    fn absorb_reshapes(&mut self, output: &mut usize) {
        let mut at = 0;
        while at < self.nodes.len() {
            if !matches!(self.nodes[at].kind, NodeKind::Reshape) {
                at += 1;
                continue;
            }
            let (from, to) = (self.nodes[at].input, self.nodes[at].output);
            let uses = |value: usize, nodes: &[Node]| {
                nodes.iter().filter(|node| node.input == value || node.second == Some(value)).count()
            };
            let producer = self.nodes.iter().position(|node| {
                node.output == from
                    && matches!(node.kind, NodeKind::FullyConnected(_))
                    && node.second.is_none()
            });
            if let Some(producer) = producer
                && uses(from, &self.nodes) == 1
                && *output != from
            {
                // The layer writes the new shape's memory order at once.
                self.nodes[producer].output = to;
                self.nodes.remove(at);
                continue;
            }
            for node in &mut self.nodes {
                if node.input == to && matches!(node.kind, NodeKind::FullyConnected(_)) {
                    node.input = from;
                }
            }
            if *output == to && uses(to, &self.nodes) == 0 {
                *output = from;
            }
            if uses(to, &self.nodes) == 0 && *output != to {
                self.nodes.remove(at);
                continue;
            }
            at += 1;
        }
    }

    fn remove_unused(&mut self, output: usize) {
        loop {
            let used = |value: usize| {
                value == output
                    || self.nodes.iter().any(|node| node.input == value || node.second == Some(value))
            };
            let keep: Vec<bool> = self.nodes.iter().map(|node| used(node.output)).collect();
            if keep.iter().all(|&keep| keep) {
                return;
            }
            let mut keep = keep.into_iter();
            self.nodes.retain(|_| keep.next() == Some(true));
        }
    }

    /// Gives every value the border that the windows over it reach, through a copy where its writer or another reader
    /// cannot have one.
    fn give_halos(&mut self) {
        for value in 0..self.values.len() {
            let mut halo = Halo::default();
            for node in self.nodes.iter().filter(|node| node.input == value) {
                let reach = self.reach(node);
                halo.top = halo.top.max(reach.top);
                halo.left = halo.left.max(reach.left);
                halo.bottom = halo.bottom.max(reach.bottom);
                halo.right = halo.right.max(reach.right);
            }
            if halo.is_empty() {
                continue;
            }
            let flat = |node: &Node| matches!(node.kind, NodeKind::FullyConnected(_));
            let stuck = self.nodes.iter().any(|node| {
                flat(node) && (node.input == value || node.second == Some(value) || node.output == value)
            });
            if !stuck {
                self.values[value].halo = halo;
                continue;
            }
            let mut padded = self.values[value].clone();
            padded.name.push_str(".padded");
            padded.halo = halo;
            self.values.push(padded);
            let copy = self.values.len() - 1;
            let first =
                self.nodes.iter().position(|node| node.input == value && !self.reach(node).is_empty());
            let Some(first) = first else { continue };
            for at in first..self.nodes.len() {
                if self.nodes[at].input == value && !self.reach(&self.nodes[at]).is_empty() {
                    self.nodes[at].input = copy;
                }
            }
            let name = self.values[copy].name.clone();
            let kind = NodeKind::Copy { at: [0; 3] };
            self.nodes.insert(first, Node { name, kind, input: value, second: None, output: copy });
        }
    }

    /// How far a node's window reaches beyond its input.
    fn reach(&self, node: &Node) -> Halo {
        let [_, height, width] = self.values[node.input].extents;
        let [_, rows, columns] = self.values[node.output].extents;
        let (vertical, horizontal) = match &node.kind {
            NodeKind::Convolution { window, .. } | NodeKind::Depthwise { window, .. } => {
                (window[0].reach(height, rows), window[1].reach(width, columns))
            }
            NodeKind::Transposed { window, .. } => {
                (window[0].transposed_reach(height, rows), window[1].transposed_reach(width, columns))
            }
            _ => return Halo::default(),
        };
        Halo { top: vertical.0, left: horizontal.0, bottom: vertical.1, right: horizontal.1 }
    }

    fn write(
        mut self,
        input: usize,
        input_shape: &[usize],
        output: usize,
        output_shape: &[usize],
    ) -> Result<Vec<u8>, BuildError> {
        // Values in the order in which they are written; times as in the format.
        let end = self.nodes.len() + 1;
        let mut first = vec![usize::MAX; self.values.len()];
        let mut last = vec![0; self.values.len()];
        (first[input], last[output]) = (0, end);
        for (index, node) in self.nodes.iter().enumerate() {
            let now = index + 1;
            first[node.output] = first[node.output].min(now);
            last[node.input] = last[node.input].max(now);
            if let Some(second) = node.second {
                last[second] = last[second].max(now);
            }
        }
        // An input that nothing reads is still written.
        last[input] = last[input].max(1);
        for (first, last) in first.iter().zip(&mut last) {
            if *first != usize::MAX {
                *last = (*last).max(*first + 1);
            }
        }
        // A buffer may hold several values one after the other: where an operator works in place.
        let mut buffer_of = vec![usize::MAX; self.values.len()];
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut live: Vec<usize> =
            (0..self.values.len()).filter(|&value| first[value] != usize::MAX).collect();
        live.sort_by_key(|&value| first[value]);
        for &value in &live {
            let inherited = match first[value].checked_sub(1) {
                Some(index) => self.inherit(index, &last),
                None => None,
            };
            if let Some(from) = inherited {
                buffer_of[value] = buffer_of[from];
                buffers[buffer_of[from]].last = last[value];
            } else {
                buffer_of[value] = buffers.len();
                let bytes = self.values[value].value().bytes();
                buffers.push(Buffer { bytes, first: first[value], last: last[value] });
            }
        }
        let (offsets, arena) = plan(&buffers);

        let mut strings = Vec::new();
        let mut intern = |text: &str| {
            let at = (strings.len() as u32, text.len() as u32);
            strings.extend_from_slice(text.as_bytes());
            at
        };
        let mut index_of = vec![NONE; self.values.len()];
        let mut value_records = Vec::new();
        for (index, &id) in live.iter().enumerate() {
            index_of[id] = index as u32;
            let value = Value {
                offset: offsets[buffer_of[id]],
                first: first[id],
                last: last[id],
                ..self.values[id].value()
            };
            value_records.extend_from_slice(&value.encode(intern(&self.values[id].name)));
        }
        let mut data: Vec<u8> = Vec::new();
        let mut operator_records = Vec::new();
        for node in &self.nodes {
            let mut words = self.encode(node, &mut data)?;
            words[field::INPUT] = index_of[node.input];
            words[field::SECOND] = node.second.map_or(NONE, |second| index_of[second]);
            words[field::OUTPUT] = index_of[node.output];
            (words[field::NAME], words[field::NAME + 1]) = intern(&node.name);
            for word in words {
                operator_records.extend_from_slice(&word.to_le_bytes());
            }
        }
        let mut metadata = Vec::new();
        for (key, text) in &self.info.metadata {
            metadata.extend_from_slice(&(key.len() as u32).to_le_bytes());
            metadata.extend_from_slice(&(text.len() as u32).to_le_bytes());
            metadata.extend_from_slice(key.as_bytes());
            metadata.extend_from_slice(text.as_bytes());
        }

        let transforms = |record: &[u8]| {
            let get = |at: usize| layout::word(record, 4 * at);
            get(field::KIND) == number::CONVOLUTION && get(field::ARGUMENTS + 9) == 1
        };
        let scratch =
            if operator_records.chunks(OPERATOR_RECORD).any(transforms) { WINOGRAD_SCRATCH } else { 0 };

        let mut bytes = vec![0u8; HEADER];
        let mut sections = Vec::new();
        for (section, record) in [
            (&value_records, layout::VALUE_RECORD),
            (&operator_records, OPERATOR_RECORD),
            (&strings, 1),
            (&metadata, 1),
            (&data, 1),
        ] {
            bytes.resize(align(bytes.len() as u64) as usize, 0);
            sections.push((bytes.len(), section.len() / record));
            bytes.extend_from_slice(section);
        }
        if bytes.len() > u32::MAX as usize || arena > 1 << 30 {
            return Err(BuildError::TooLarge { what: "the model".to_string() });
        }
        let (distribution, a, b) = match self.info.distribution {
            None => (0, 0.0, 0.0),
            Some(Distribution::Uniform { low, high }) => (1, low, high),
            Some(Distribution::Normal { mean, std }) => (2, mean, std),
        };
        let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        put(header::VERSION, VERSION);
        put(header::KIND, self.info.kind as u32);
        put(header::PRECISION, self.info.precision as u32);
        put(header::ACTIVATIONS, arena as u32);
        put(header::SCRATCH, scratch as u32);
        put(header::LATENT, self.info.latent_size as u32);
        put(header::DISTRIBUTION, distribution);
        put(header::DISTRIBUTION_A, f32::to_bits(a));
        put(header::DISTRIBUTION_B, f32::to_bits(b));
        put(header::RANGE_LOW, self.info.range.low().to_bits());
        put(header::RANGE_HIGH, self.info.range.high().to_bits());
        for (at, (offset, count)) in
            [header::VALUES, header::OPERATORS, header::STRINGS, header::METADATA, header::DATA]
                .into_iter()
                .zip(sections)
        {
            put(at, offset as u32);
            put(at + 4, count as u32);
        }
        put(header::INPUT, index_of[input]);
        put(header::OUTPUT, index_of[output]);
        for (at, shape) in [(header::INPUT_SHAPE, input_shape), (header::OUTPUT_SHAPE, output_shape)] {
            put(at, shape.len() as u32);
            for (axis, &extent) in shape.iter().enumerate() {
                put(at + 4 + 4 * axis, extent as u32);
            }
        }
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        self.values.clear();
        seal(&mut bytes);
        check(&bytes)?;
        Ok(bytes)
    }

    /// The value whose buffer the output of operator `index` takes over, if it can work in place.
    fn inherit(&mut self, index: usize, last: &[usize]) -> Option<usize> {
        let now = index + 1;
        let fits = |from: usize, to: usize, values: &[BuildValue]| {
            last[from] == now
                && values[from].element.kind() == values[to].element.kind()
                && values[from].halo == values[to].halo
                && values[from].extents == values[to].extents
        };
        let node = &mut self.nodes[index];
        match (&node.kind, node.second) {
            (NodeKind::Elementwise { .. }, _) => {
                fits(node.input, node.output, &self.values).then_some(node.input)
            }
            (NodeKind::Binary { kind, .. }, Some(second)) if second != node.input => {
                if fits(node.input, node.output, &self.values) {
                    return Some(node.input);
                }
                if *kind != BinaryKind::Subtract && fits(second, node.output, &self.values) {
                    // The same result with the operands exchanged.
                    node.second = Some(node.input);
                    node.input = second;
                    return Some(second);
                }
                None
            }
            _ => None,
        }
    }

    /// A node's record but for its values and name; its weights and parameters go to the data section.
    fn encode(&self, node: &Node, data: &mut Vec<u8>) -> Result<[u32; OPERATOR_RECORD / 4], BuildError> {
        let mut words = [0u32; OPERATOR_RECORD / 4];
        let input = self.values[node.input].value();
        let output = self.values[node.output].value();
        let [in_channels, out_channels] = [input.channels, output.channels];
        let put_activation = |words: &mut [u32; OPERATOR_RECORD / 4], activation: Activation| {
            let (kind, a, b) = activation.encode();
            words[field::ACTIVATION] = kind;
            words[field::ACTIVATION_A] = a.to_bits();
            words[field::ACTIVATION_B] = b.to_bits();
        };
        let put_window = |words: &mut [u32; OPERATOR_RECORD / 4], window: &[Axis; 2]| {
            for (n, axis) in window.iter().enumerate() {
                for (at, extent) in
                    [axis.kernel, axis.stride, axis.dilation, axis.pad].into_iter().enumerate()
                {
                    words[field::ARGUMENTS + 2 * at + n] = extent as u32;
                }
            }
        };
        let depth = |channels: usize| match input.kind {
            ValueType::F32 => channels,
            ValueType::U8 => channels.next_multiple_of(GROUP),
        };
        match &node.kind {
            NodeKind::FullyConnected(layer) => {
                words[field::KIND] = number::FULLY_CONNECTED;
                let (inputs, outputs) = (input.elements(), output.elements());
                let columns = input.logical();
                let part = Part {
                    rows: outputs,
                    depth: inputs,
                    channel: &|row| logical(&output, row),
                    index: &|row, k| Some(logical(&output, row)? * columns + logical(&input, k)?),
                };
                self.put_layer(&mut words, node, layer, &[part], data)?;
            }
            NodeKind::Convolution { window, groups, layer } => {
                words[field::KIND] = number::CONVOLUTION;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *groups as u32;
                let (inputs, outputs) = (in_channels / groups, out_channels / groups);
                let taps = window[0].kernel * window[1].kernel;
                let deep = depth(inputs);
                let index = |group: usize, row: usize, k: usize| {
                    let (tap, channel) = (k / deep, k % deep);
                    (channel < inputs).then(|| ((group * outputs + row) * inputs + channel) * taps + tap)
                };
                if self.is_winograd(&input, &output, window, *groups, layer) {
                    words[field::ARGUMENTS + 9] = 1;
                    let transformed = transformed(layer, outputs, inputs);
                    let mut packed = Vec::new();
                    for kernel in 0..16 {
                        let index = |row: usize, k: usize| Some((kernel * outputs + row) * inputs + k);
                        transformed.pack(outputs, inputs, index, &mut packed);
                    }
                    words[field::WEIGHTS_TYPE] = WeightType::F32 as u32;
                    put_data(&mut words, field::WEIGHTS, &packed, data);
                    let padded = outputs.next_multiple_of(BLOCK);
                    let rows: Vec<_> = (0..padded).map(|row| ((row < outputs).then_some(row), 0)).collect();
                    self.put_parameters(&mut words, node, layer, &rows, data);
                    return Ok(words);
                }
                let channels: Vec<_> =
                    (0..*groups).map(|group| move |row| Some(group * outputs + row)).collect();
                let indices: Vec<_> = (0..*groups).map(|group| move |row, k| index(group, row, k)).collect();
                let parts: Vec<Part<'_>> = channels
                    .iter()
                    .zip(&indices)
                    .map(|(channel, index)| Part { rows: outputs, depth: taps * deep, channel, index })
                    .collect();
                self.put_layer(&mut words, node, layer, &parts, data)?;
            }
            NodeKind::Depthwise { window, layer } => {
                words[field::KIND] = number::DEPTHWISE;
                put_window(&mut words, window);
                self.put_depthwise(&mut words, node, layer, window, data)?;
            }
            NodeKind::Transposed { window, groups, layer } => {
                words[field::KIND] = number::TRANSPOSED;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *groups as u32;
                let (inputs, outputs) = (in_channels / groups, out_channels / groups);
                let deep = depth(inputs);
                let [rows, columns] = window;
                let mut channels: Vec<Box<Channel<'_>>> = Vec::new();
                let mut indices: Vec<Box<Index<'_>>> = Vec::new();
                let mut depths = Vec::new();
                for row_phase in 0..rows.stride {
                    let vertical = rows.phase(output.height, row_phase);
                    for column_phase in 0..columns.stride {
                        let horizontal = columns.phase(output.width, column_phase);
                        for group in 0..*groups {
                            channels.push(Box::new(move |row| Some(group * outputs + row)));
                            indices.push(Box::new(move |row, k| {
                                let (tap, channel) = (k / deep, k % deep);
                                if channel >= inputs {
                                    return None;
                                }
                                let (y, x) = (tap / horizontal.taps, tap % horizontal.taps);
                                let ky = vertical.first_tap + (vertical.taps - 1 - y) * rows.stride;
                                let kx = horizontal.first_tap + (horizontal.taps - 1 - x) * columns.stride;
                                let plane = (group * inputs + channel) * outputs + row;
                                Some((plane * rows.kernel + ky) * columns.kernel + kx)
                            }));
                            depths.push(vertical.taps * horizontal.taps * deep);
                        }
                    }
                }
                let parts: Vec<Part<'_>> = channels
                    .iter()
                    .zip(&indices)
                    .zip(depths)
                    .map(|((channel, index), depth)| Part { rows: outputs, depth, channel, index })
                    .collect();
                self.put_layer(&mut words, node, layer, &parts, data)?;
            }
            NodeKind::Pool { window, kind } => {
                words[field::KIND] = number::POOL;
                put_window(&mut words, window);
                words[field::ARGUMENTS + 8] = *kind as u32;
            }
            NodeKind::Elementwise { before, activation, after } => {
                words[field::KIND] = number::ELEMENTWISE;
                put_activation(&mut words, *activation);
                let mut floats = Vec::new();
                for (flag, affine) in [(FLAG_BEFORE, before), (FLAG_AFTER, after)] {
                    if let Some((scale, shift)) = affine {
                        words[field::FLAGS] |= flag;
                        for array in [scale, shift] {
                            floats.extend_from_slice(array);
                            floats.resize(floats.len().next_multiple_of(BLOCK), 0.0);
                        }
                    }
                }
                let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
                put_data(&mut words, field::PARAMETERS, &bytes, data);
            }
            NodeKind::Binary { kind, activation } => {
                words[field::KIND] = number::BINARY;
                words[field::ARGUMENTS] = *kind as u32;
                put_activation(&mut words, *activation);
            }
            NodeKind::Copy { at } => {
                words[field::KIND] = number::COPY;
                for (n, &at) in at.iter().enumerate() {
                    words[field::ARGUMENTS + n] = at as u32;
                }
            }
            NodeKind::Pad { before, kind } => {
                words[field::KIND] = number::PAD;
                let (mode, value) = match kind {
                    PadKind::Constant(value) => (0, *value),
                    PadKind::Edge => (1, 0.0),
                    PadKind::Reflect => (2, 0.0),
                };
                words[field::ARGUMENTS] = mode;
                words[field::ARGUMENTS + 1] = before[0] as u32;
                words[field::ARGUMENTS + 2] = before[1] as u32;
                words[field::ARGUMENTS + 3] = value.to_bits();
            }
            NodeKind::Resize { scale, coordinates, interpolation } => {
                words[field::KIND] = number::RESIZE;
                words[field::ARGUMENTS] = *interpolation as u32;
                words[field::ARGUMENTS + 1] = *coordinates as u32;
                words[field::ARGUMENTS + 2] = scale[0].to_bits();
                words[field::ARGUMENTS + 3] = scale[1].to_bits();
            }
            NodeKind::Softmax => words[field::KIND] = number::SOFTMAX,
            NodeKind::L2Normalise { epsilon } => {
                words[field::KIND] = number::L2_NORMALISE;
                words[field::ARGUMENTS] = epsilon.to_bits();
            }
            NodeKind::Reshape => words[field::KIND] = number::REORDER,
        }
        Ok(words)
    }

    /// Whether a convolution is worth transformed weights: enough pixels that arithmetic, not the weights' way from memory,
    /// is what takes time.
    fn is_winograd(
        &self,
        input: &Value<'_>,
        output: &Value<'_>,
        window: &[Axis; 2],
        groups: usize,
        layer: &LayerPlan,
    ) -> bool {
        self.winograd
            && matches!(layer.weights, Plain::Float(_, WeightType::F32))
            && can_be_winograd(input, output, window, groups)
            && output.height * output.width >= 64
            && input.channels >= BLOCK
            && output.channels >= BLOCK
    }

    /// Packs the parts of a layer one after the other and adds their parameters.
    fn put_layer(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        parts: &[Part<'_>],
        data: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let mut packed = Vec::new();
        let mut rows = Vec::new();
        for part in parts {
            layer.weights.pack(part.rows, part.depth, part.index, &mut packed);
            for row in 0..part.rows.next_multiple_of(BLOCK) {
                let channel = if row < part.rows { (part.channel)(row) } else { None };
                let sum = match channel {
                    Some(_) => layer.weights.sum(part.depth, |k| (part.index)(row, k)),
                    None => 0,
                };
                rows.push((channel, sum));
            }
        }
        words[field::WEIGHTS_TYPE] = layer.weights.kind() as u32;
        put_data(words, field::WEIGHTS, &packed, data);
        self.put_parameters(words, node, layer, &rows, data);
        Ok(())
    }

    fn put_depthwise(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        window: &[Axis; 2],
        data: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let channels = self.values[node.output].extents[0];
        let taps = window[0].kernel * window[1].kernel;
        let padded = channels.next_multiple_of(BLOCK);
        let mut packed = Vec::new();
        for tap in 0..taps {
            for channel in 0..padded {
                let at = (channel < channels).then_some(channel * taps + tap);
                match &layer.weights {
                    Plain::Float(weights, kind) => {
                        let weight = at.map_or(0.0, |at| weights[at]);
                        put_float(weight, *kind, &mut packed);
                    }
                    Plain::Int8(weights) => packed.push(at.map_or(0, |at| weights[at] as u8)),
                }
            }
        }
        let rows: Vec<_> = (0..padded)
            .map(|channel| {
                if channel < channels {
                    (Some(channel), layer.weights.sum(taps, |tap| Some(channel * taps + tap)))
                } else {
                    (None, 0)
                }
            })
            .collect();
        words[field::WEIGHTS_TYPE] = layer.weights.kind() as u32;
        put_data(words, field::WEIGHTS, &packed, data);
        self.put_parameters(words, node, layer, &rows, data);
        Ok(())
    }

    /// Bias, scales and affine of each packed row (`None`: padding) with the sum of its weights; and the activation, in
    /// the units that the kernel computes in.
    fn put_parameters(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        rows: &[(Option<usize>, i64)],
        data: &mut Vec<u8>,
    ) {
        let mut arrays: Vec<Vec<u32>> = Vec::new();
        let float = |get: &dyn Fn(usize) -> f64| {
            rows.iter()
                .map(|&(row, _)| row.map_or(0, |row| (get(row) as f32).to_bits()))
                .collect::<Vec<u32>>()
        };
        let mut activation = layer.activation;
        let mut residual_scale = 1.0;
        let after = layer.after.as_ref();
        if layer.weights.kind() == WeightType::I8 {
            let (in_scale, zero_point) = match self.values[node.input].element {
                Element::U8 { scale, zero_point } => (f64::from(scale), i64::from(zero_point)),
                Element::F32 => (1.0, 0),
            };
            // Where the activation allows it, everything is computed in steps of the output.
            let step = match self.values[node.output].element {
                Element::U8 { scale, .. } => f64::from(scale),
                Element::F32 => 1.0,
            };
            let homogeneous = match layer.activation {
                Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => true,
                Activation::Clip { low, high } => {
                    let scaled = |limit: f32| (f64::from(limit) / step) as f32;
                    activation = Activation::Clip { low: scaled(low), high: scaled(high) };
                    true
                }
                _ => false,
            };
            let before = if homogeneous { step } else { 1.0 };
            let real = |channel: usize| in_scale * f64::from(layer.scales[channel]);
            let bias = |channel: usize| match &layer.bias {
                Bias::F32(bias) => libm::rint(f64::from(bias[channel]) / real(channel)) as i64,
                Bias::I32(bias) => i64::from(bias[channel]),
            };
            let clamp = |value: i64| value.clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32;
            arrays.push(
                rows.iter()
                    .map(|&(row, sum)| row.map_or(0, |row| clamp(bias(row).saturating_sub(zero_point * sum))))
                    .collect(),
            );
            arrays.push(float(&|row| real(row) / before));
            arrays.push(rows.iter().map(|&(_, sum)| clamp(128 * sum)).collect());
            let rest = step / before;
            match after {
                // A scale within the step's units stays, a shift is divided.
                Some((scale, shift)) => {
                    arrays.push(float(&|row| f64::from(scale[row]) / rest));
                    arrays.push(float(&|row| f64::from(shift[row]) / step));
                }
                None if rest != 1.0 => {
                    arrays.push(float(&|_| 1.0 / rest));
                    arrays.push(float(&|_| 0.0));
                }
                None => {}
            }
            if let Some(second) = node.second
                && let Element::U8 { scale, .. } = self.values[second].element
            {
                residual_scale = f64::from(scale) / before;
            } else {
                residual_scale = 1.0 / before;
            }
            words[field::FLAGS] = if after.is_some() || rest != 1.0 { FLAG_AFTER } else { 0 };
        } else {
            arrays.push(float(&|row| match &layer.bias {
                Bias::F32(bias) => bias[row].into(),
                Bias::I32(_) => 0.0,
            }));
            if let Some((scale, shift)) = after {
                words[field::FLAGS] = FLAG_AFTER;
                arrays.push(float(&|row| scale[row].into()));
                arrays.push(float(&|row| shift[row].into()));
            }
        }
        let (kind, a, b) = activation.encode();
        words[field::ACTIVATION] = kind;
        words[field::ACTIVATION_A] = a.to_bits();
        words[field::ACTIVATION_B] = b.to_bits();
        words[field::RESIDUAL_SCALE] = (residual_scale as f32).to_bits();
        let bytes: Vec<u8> = arrays.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        put_data(words, field::PARAMETERS, &bytes, data);
    }
}

/// The output channel of a row.
type Channel<'a> = dyn Fn(usize) -> Option<usize> + 'a;
/// The plain weight at a row and depth.
type Index<'a> = dyn Fn(usize, usize) -> Option<usize> + 'a;

/// Rows of weights that are packed together: a group, or a phase's group.
struct Part<'a> {
    rows: usize,
    depth: usize,
    /// The output channel of a row (in the plain order); `None` for padding.
    channel: &'a Channel<'a>,
    /// The plain weight at a row and depth; `None` for padding.
    index: &'a Index<'a>,
}

/// The channel-first index of the element at `position` in memory (no halo); `None` for padding between pixels.
fn logical(value: &Value<'_>, position: usize) -> Option<usize> {
    let (pixel, channel) = (position / value.stride(), position % value.stride());
    (channel < value.channels).then(|| channel * value.height * value.width + pixel)
}

/// The 16 kernels `[4 * row + column][output][input]` G g G^T of 3x3 weights g.
fn transformed(layer: &LayerPlan, outputs: usize, inputs: usize) -> Plain {
    let Plain::Float(weights, kind) = &layer.weights else { return layer.weights.clone() };
    // G applied to three elements.
    let forward = |g: [f64; 3]| [g[0], (g[0] + g[1] + g[2]) / 2.0, (g[0] - g[1] + g[2]) / 2.0, g[2]];
    let mut kernels = vec![0.0; 16 * outputs * inputs];
    for at in 0..outputs * inputs {
        let g = |y: usize, x: usize| f64::from(weights[at * 9 + 3 * y + x]);
        let rows = [0, 1, 2].map(|y| forward([g(y, 0), g(y, 1), g(y, 2)]));
        for x in 0..4 {
            for (y, value) in forward([rows[0][x], rows[1][x], rows[2][x]]).into_iter().enumerate() {
                kernels[(4 * y + x) * outputs * inputs + at] = value as f32;
            }
        }
    }
    Plain::Float(kernels, *kind)
}

fn put_data(words: &mut [u32; OPERATOR_RECORD / 4], at: usize, bytes: &[u8], data: &mut Vec<u8>) {
    data.resize(align(data.len() as u64) as usize, 0);
    words[at] = data.len() as u32;
    words[at + 1] = bytes.len() as u32;
    data.extend_from_slice(bytes);
}

/// The number of window positions along an axis.
fn slide(input: usize, window: &WindowSpec, axis: usize) -> Option<usize> {
    let padded = input + window.pads[axis] + window.pads[axis + 2];
    let span = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
    Some(padded.checked_sub(span)? / window.stride[axis] + 1)
}

/// Turns grouped int8 weights `[output][input / groups][taps]` into those of one group, with zeros between groups.
fn expand_groups(weights: &mut Plain, groups: usize, outputs: usize, inputs: usize, taps: usize) {
    let Plain::Int8(plain) = weights else { return };
    let mut dense = vec![0; outputs * inputs * groups * taps];
    for output in 0..outputs {
        let group = output / (outputs / groups);
        let from = output * inputs * taps;
        let to = (output * groups + group) * inputs * taps;
        dense[to..to + inputs * taps].copy_from_slice(&plain[from..from + inputs * taps]);
    }
    *plain = dense;
}

/// As [`expand_groups`] for `[input][output / groups][taps]`.
fn expand_transposed_groups(weights: &mut Plain, groups: usize, outputs: usize, inputs: usize, taps: usize) {
    let Plain::Int8(plain) = weights else { return };
    let per_group = outputs / groups * taps;
    let mut dense = vec![0; inputs * outputs * taps];
    for input in 0..inputs {
        let group = input / (inputs / groups);
        let to = (input * groups + group) * per_group;
        dense[to..to + per_group].copy_from_slice(&plain[input * per_group..(input + 1) * per_group]);
    }
    *plain = dense;
}

fn owned_affine(
    name: &str,
    affine: Option<(&[f32], &[f32])>,
    channels: usize,
) -> Result<OwnedAffine, BuildError> {
    affine
        .map(|(scale, shift)| {
            for array in [scale, shift] {
                if array.len() != channels {
                    return Err(length_error(name, "affine coefficients", array.len(), channels));
                }
            }
            Ok((scale.to_vec(), shift.to_vec()))
        })
        .transpose()
}

fn weights_len(weights: &PlainWeights<'_>) -> usize {
    match weights {
        PlainWeights::F32(values) | PlainWeights::F16(values) => values.len(),
        PlainWeights::I8 { values, .. } => values.len(),
    }
}

fn shape_error(operator: &str, what: &'static str) -> BuildError {
    BuildError::Shape { operator: operator.to_owned(), what }
}

fn length_error(operator: &str, what: &'static str, found: usize, expected: usize) -> BuildError {
    BuildError::Length { operator: operator.to_owned(), what, found, expected }
}

/// Writes the length and the checksum of finished bytes.
pub(super) fn seal(bytes: &mut [u8]) {
    let length = bytes.len() as u32;
    bytes[header::LENGTH..header::LENGTH + 4].copy_from_slice(&length.to_le_bytes());
    let checksum = super::checksum::crc32(&bytes[header::CHECKED..]);
    bytes[header::CHECKSUM..header::CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the bytes back from aligned memory.
fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    aligned[..bytes.len()].copy_from_slice(bytes);
    Model::from_bytes(&aligned[..bytes.len()]).map(|_| ())
}
