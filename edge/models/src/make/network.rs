//! A chain of layers with plain weights, packed with 8-bit integers for the ranges that samples give.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use latent_runtime::AlignedBytes;
use latent_runtime::format::{
    Activation, Builder, Element, LayerSpec, Model, ModelInfo, PlainBias, PlainWeights, Precision, ValueId,
    Window,
};
use latent_runtime::native::Session;

use super::Result;

/// What a layer does with its weights.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Weights `[output][input]`.
    Dense,
    /// Weights `[output][input][row][column]`.
    Convolution(Window),
    /// Weights `[input][output][row][column]`; the rows and columns of the output.
    Transposed(Window, [usize; 2]),
    /// No weights: another shape.
    Reshape([usize; 3]),
    /// No weights: the mean of each channel.
    Mean,
}

/// A layer with one bias for each output channel.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it does.
    pub form: Form,
    /// In the order that its form says.
    pub weights: Vec<f32>,
    /// Of its output channels.
    pub bias: Vec<f32>,
    /// What follows.
    pub activation: Activation,
}

/// Layers one after the other.
#[derive(Clone, Debug)]
pub struct Network {
    /// The input's name and its shape.
    pub input: (&'static str, Vec<usize>),
    /// The layers.
    pub layers: Vec<Layer>,
    /// The output's name.
    pub output: &'static str,
    /// What else the file says.
    pub info: ModelInfo,
}

/// A range of values as steps of an 8-bit number, zero being one of them.
fn steps(values: &[f32]) -> Element {
    let (low, high) = values.iter().fold((0f32, 0f32), |(low, high), &x| (low.min(x), high.max(x)));
    let scale = ((high - low) / 255.0).max(1e-6);
    Element::U8 { scale, zero_point: (-low / scale).round() as u8 }
}

impl Layer {
    /// The output channel of a weight.
    fn channel(&self, at: usize) -> usize {
        let (count, outputs) = (self.weights.len(), self.bias.len());
        match self.form {
            Form::Transposed(window, _) => at / (window.kernel[0] * window.kernel[1]) % outputs,
            _ => at / (count / outputs),
        }
    }

    /// The weights in 8 bits, with a scale for each output channel.
    fn quantized(&self) -> (Vec<i8>, Vec<f32>) {
        let mut scales = vec![1e-9f32; self.bias.len()];
        for (at, weight) in self.weights.iter().enumerate() {
            let scale = &mut scales[self.channel(at)];
            *scale = scale.max(weight.abs() / 127.0);
        }
        let round = |(at, weight): (usize, &f32)| (weight / scales[self.channel(at)]).round() as i8;
        (self.weights.iter().enumerate().map(round).collect(), scales)
    }

    fn add(&self, builder: &mut Builder, name: &str, input: ValueId, output: Element) -> Result<ValueId> {
        let (integers, scales) = match self.bias.len() {
            0 => (Vec::new(), Vec::new()),
            _ => self.quantized(),
        };
        let weights = match output {
            Element::F32 => PlainWeights::F32(&self.weights),
            Element::U8 { .. } => PlainWeights::I8 { values: &integers, scales: &scales },
        };
        let spec = LayerSpec {
            activation: self.activation,
            output,
            ..LayerSpec::new(weights, PlainBias::F32(&self.bias))
        };
        Ok(match self.form {
            Form::Dense => builder.fully_connected(name, input, spec)?,
            Form::Convolution(window) => builder.convolution(name, input, window, 1, spec)?,
            Form::Transposed(window, size) => builder.transposed(name, input, window, size, 1, spec)?,
            Form::Reshape(shape) => builder.reshape(name, input, shape)?,
            Form::Mean => builder.global_average_pool(name, input, output)?,
        })
    }
}

impl Network {
    /// `elements` are those of the input and of each layer's output; all of them are outputs if `all`.
    fn build(&self, elements: &[Element], precision: Precision, all: bool) -> Result<Vec<u8>> {
        let mut builder = Builder::new(ModelInfo { precision, ..self.info.clone() });
        builder.winograd(false);
        let mut value = builder.input(self.input.0, &self.input.1, elements[0])?;
        for (index, (layer, element)) in self.layers.iter().zip(&elements[1..]).enumerate() {
            value = layer.add(&mut builder, &format!("layer{index}"), value, *element)?;
            let is_last = index + 1 == self.layers.len();
            if all || is_last {
                let name = if is_last { String::from(self.output) } else { format!("value{index}") };
                let extents = builder.extents(value);
                let shape = if extents[1..] == [1, 1] { &extents[..1] } else { &extents[..] };
                builder.output(value, &name, shape)?;
            }
        }
        Ok(builder.finish()?)
    }

    /// What the input and each layer give for some examples, in f32.
    ///
    /// # Errors
    /// If the layers do not fit each other.
    pub fn values(&self, examples: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let packed = AlignedBytes::copy_of(&self.build(
            &vec![Element::F32; self.layers.len() + 1],
            Precision::F32,
            true,
        )?);
        let model = Model::from_bytes(packed.as_slice())?;
        let mut arena = vec![0; model.arena_len(1).ok_or("the arena overflows")?];
        let mut session = Session::new(&model, &mut arena)?;
        let mut all = vec![Vec::new(); self.layers.len() + 1];
        for example in examples {
            let mut outputs: Vec<Vec<f32>> =
                model.outputs().map(|port| vec![0.0; port.info().values()]).collect();
            let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            session.run_all(&[example], &mut slices)?;
            all[0].extend(example);
            for (to, from) in all[1..].iter_mut().zip(outputs) {
                to.extend(from);
            }
        }
        Ok(all)
    }

    /// The packed model in 8-bit integers, with the ranges that the examples show.
    ///
    /// # Errors
    /// If the layers do not fit each other.
    pub fn pack(&self, examples: &[Vec<f32>]) -> Result<Vec<u8>> {
        let mut elements: Vec<Element> = self.values(examples)?.iter().map(|values| steps(values)).collect();
        // A reshape changes no value.
        for (index, layer) in self.layers.iter().enumerate() {
            if let Form::Reshape(_) = layer.form {
                elements[index + 1] = elements[index];
            }
        }
        self.build(&elements, Precision::Int8, false)
    }

    /// The same in f32.
    ///
    /// # Errors
    /// If the layers do not fit each other.
    pub fn pack_f32(&self) -> Result<Vec<u8>> {
        self.build(&vec![Element::F32; self.layers.len() + 1], Precision::F32, false)
    }
}
