//! A sequence of layers with named parameters.

use latent_files::run::{self, Conv};
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::init::WeightInit;
use super::layer::{BatchNorm, Conv2d, ConvTranspose2d, Layer, Linear, Pass};
use super::state::Named;

/// Layers computed one after the other.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Layer>,
}

impl Network {
    /// A network of these layers; all parameters become trainable.
    pub fn new(layers: Vec<Layer>) -> Result<Self, TchError> {
        for (_, parameter) in layers.iter().flat_map(Layer::parameters) {
            let _ = parameter.f_set_requires_grad(true)?;
        }
        Ok(Self { layers })
    }

    /// The network that a run describes; the weights of each layer are drawn as `init` says, in the order of the list.
    ///
    /// # Errors
    /// [`TchError`]; for a layer that no network here has.
    pub fn build(
        layers: &[run::Layer],
        init: impl Fn(&run::Layer) -> WeightInit,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut built = Vec::new();
        for layer in layers {
            let n = |size: &usize| i64::try_from(*size).unwrap_or(i64::MAX);
            built.push(match layer {
                run::Layer::Flatten => Layer::Flatten,
                run::Layer::Unflatten { shape } => Layer::Unflatten(shape.each_ref().map(n)),
                run::Layer::Linear { inputs, outputs, bias: true } => {
                    Layer::Linear(Linear::new(n(inputs), n(outputs), init(layer), rng, device)?)
                }
                run::Layer::Linear { inputs, outputs, bias: false } => {
                    Layer::Linear(Linear::without_bias(n(inputs), n(outputs), rng, device)?)
                }
                run::Layer::Conv2d(Conv { inputs, outputs, kernel, stride: 1, padding: 0, bias: true }) => {
                    Layer::Conv2d(Conv2d::new(n(inputs), n(outputs), n(kernel), init(layer), rng, device)?)
                }
                run::Layer::ConvTranspose2d(Conv {
                    inputs,
                    outputs,
                    kernel: 4,
                    stride: 2,
                    padding: 1,
                    bias: true,
                }) => Layer::ConvTranspose2d(ConvTranspose2d::new(
                    n(inputs),
                    n(outputs),
                    init(layer),
                    rng,
                    device,
                )?),
                run::Layer::BatchNorm { features } => Layer::BatchNorm(BatchNorm::new(n(features), device)?),
                run::Layer::Relu => Layer::Relu,
                run::Layer::LeakyRelu { slope: 0.01 } => Layer::LeakyRelu,
                run::Layer::MaxPool2d { kernel: 2 } => Layer::MaxPool2,
                run::Layer::Tanh => Layer::Tanh,
                other => {
                    return Err(TchError::Shape(format!("{other:?} is no layer of a plain network here")));
                }
            });
        }
        Self::new(built)
    }

    /// The output for a batch `x`, shape (N, ...).
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        let mut layers = self.layers.iter().peekable();
        while let Some(layer) = layers.next() {
            // Leaky ReLU is monotone, so it commutes with the maximum: pooling first gives the same values for a quarter
            // of the work.
            if let (Layer::LeakyRelu, Some(Layer::MaxPool2)) = (layer, layers.peek()) {
                x = Layer::MaxPool2.forward(x, pass)?;
                layers.next();
            }
            x = layer.forward(x, pass)?;
        }
        x.f_to_kind(Kind::Float)
    }

    /// What enters the last layer, and the output.
    pub fn features_and_output(&self, x: &Tensor, pass: Pass) -> Result<(Tensor, Tensor), TchError> {
        let (mut features, mut x) = (x.shallow_clone(), x.shallow_clone());
        for layer in &self.layers {
            features = x.shallow_clone();
            x = layer.forward(x, pass)?;
        }
        Ok((features.f_to_kind(Kind::Float)?, x.f_to_kind(Kind::Float)?))
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

impl Named for Network {
    fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |(index, layer): (usize, &Layer)| {
            let named = layer.parameters().into_iter();
            named.map(|(name, t)| (format!("{index}.{name}"), t.shallow_clone())).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(named).collect()
    }

    fn norms(&self) -> Vec<(String, &BatchNorm)> {
        let mut norms = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            if let Layer::BatchNorm(norm) = layer {
                norms.push((index.to_string(), norm));
            }
        }
        norms
    }
}
