//! A sequence of layers with named parameters.

use std::collections::BTreeMap;
use std::fmt;

use tch::{Kind, TchError, Tensor};

use super::layer::{Layer, Pass};

/// Layers computed one after the other.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Layer>,
}

/// Why values could not be put into a network.
#[derive(Debug)]
pub enum StateError {
    /// A tensor of the network is not among the values.
    Missing {
        /// Its name.
        name: String,
    },
    /// There is a value that the network has no place for.
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A value has another shape or kind than the network's tensor.
    Shape {
        /// Its name.
        name: String,
        /// What was given.
        found: String,
        /// What the network has.
        expected: String,
    },
    /// libtorch could not copy.
    Torch(TchError),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "tensor {name:?} is missing"),
            Self::Unexpected { name } => write!(f, "tensor {name:?} does not belong to this network"),
            Self::Shape { name, found, expected } => {
                write!(f, "tensor {name:?} is {found}, expected {expected}")
            }
            Self::Torch(error) => write!(f, "libtorch: {error}"),
        }
    }
}

impl std::error::Error for StateError {}

impl From<TchError> for StateError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
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

    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The learned tensors in order, each named as in PyTorch's `state_dict`.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |(index, layer): (usize, &Layer)| {
            let named = layer.parameters().into_iter();
            named.map(|(name, t)| (format!("{index}.{name}"), t.shallow_clone())).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(named).collect()
    }

    /// The running statistics, each named as in PyTorch's `state_dict`.
    fn buffers(&self) -> Vec<(String, Tensor)> {
        let mut buffers = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            if let Layer::BatchNorm(norm) = layer {
                buffers.push((format!("{index}.running_mean"), norm.running_mean.shallow_clone()));
                buffers.push((format!("{index}.running_var"), norm.running_var.shallow_clone()));
            }
        }
        buffers
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> u64 {
        self.layers.iter().flat_map(Layer::parameters).map(|(_, t)| t.numel() as u64).sum()
    }

    /// The f32 tensors of the `state_dict`, learned and running, which share their memory with the network's.
    pub fn float_state(&self) -> Vec<(String, Tensor)> {
        let mut state = self.parameters();
        state.extend(self.buffers());
        state
    }

    /// The whole `state_dict`; the float tensors share their memory with the network's.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, TchError> {
        let mut state: BTreeMap<String, Tensor> = self.float_state().into_iter().collect();
        for (index, layer) in self.layers.iter().enumerate() {
            if let Layer::BatchNorm(norm) = layer {
                let batches = Tensor::f_from_slice(&[norm.batches.get()])?.f_view([0i64; 0])?;
                state.insert(format!("{index}.num_batches_tracked"), batches);
            }
        }
        Ok(state)
    }

    /// Copies a whole `state_dict` into the network.
    ///
    /// # Errors
    /// [`StateError`] if a tensor is missing, superfluous or of another shape or kind. Then nothing was changed.
    pub fn load_state(&self, values: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
        let own = self.state()?;
        check_same(&own, values)?;
        tch::no_grad(|| -> Result<(), StateError> {
            for (name, mut target) in self.float_state() {
                target.f_copy_(&values[&name])?;
            }
            Ok(())
        })?;
        for (index, layer) in self.layers.iter().enumerate() {
            if let Layer::BatchNorm(norm) = layer {
                norm.batches.set(values[&format!("{index}.num_batches_tracked")].f_int64_value(&[])?);
            }
        }
        Ok(())
    }
}

/// Whether `values` has the same names, shapes and kinds as `own`.
fn check_same(own: &BTreeMap<String, Tensor>, values: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
    let describe = |t: &Tensor| format!("{:?} {:?}", t.kind(), t.size());
    for (name, tensor) in own {
        let value = values.get(name).ok_or_else(|| StateError::Missing { name: name.clone() })?;
        let (found, expected) = (describe(value), describe(tensor));
        if found != expected {
            return Err(StateError::Shape { name: name.clone(), found, expected });
        }
    }
    match values.keys().find(|name| !own.contains_key(*name)) {
        Some(name) => Err(StateError::Unexpected { name: name.clone() }),
        None => Ok(()),
    }
}
