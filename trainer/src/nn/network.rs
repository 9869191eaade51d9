//! A sequence of layers with named parameters.

use tch::{Kind, TchError, Tensor};

use super::layer::{BatchNorm, Layer, Pass};
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
