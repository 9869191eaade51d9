//! The `state_dict` of a network: named tensors, checked when they are read back.

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

use super::layer::BatchNorm;

/// Why values could not be put into a network.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("tensor {name:?} is missing")]
    Missing { name: String },
    #[error("tensor {name:?} does not belong to this network")]
    Unexpected { name: String },
    #[error("tensor {name:?} is {found}, expected {expected}")]
    Shape {
        name: String,
        found: String,
        /// What the network has.
        expected: String,
    },
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// What the `state_dict` of a network is made of.
pub trait Named {
    /// The learned tensors in order, each named as in PyTorch's `state_dict`; they share their memory with the network's.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// The normalization layers, each with its name: their running statistics belong to the `state_dict`, too.
    fn norms(&self) -> Vec<(String, &BatchNorm)>;

    /// Number of learned values.
    fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|(_, t)| t.numel() as u64).sum()
    }

    /// The f32 tensors of the `state_dict`, learned and running, which share their memory with the network's.
    fn float_state(&self) -> Vec<(String, Tensor)> {
        let mut state = self.parameters();
        for (name, norm) in self.norms() {
            state.push((format!("{name}.running_mean"), norm.running_mean.shallow_clone()));
            state.push((format!("{name}.running_var"), norm.running_var.shallow_clone()));
        }
        state
    }

    /// The whole `state_dict`; the float tensors share their memory with the network's.
    fn state(&self) -> Result<BTreeMap<String, Tensor>, TchError> {
        let mut state: BTreeMap<String, Tensor> = self.float_state().into_iter().collect();
        for (name, norm) in self.norms() {
            let batches = Tensor::f_from_slice(&[norm.batches.get()])?.f_view([0i64; 0])?;
            state.insert(format!("{name}.num_batches_tracked"), batches);
        }
        Ok(state)
    }

    /// Copies a whole `state_dict` into the network.
    ///
    /// # Errors
    /// [`StateError`] if a tensor is missing, superfluous or of another shape or kind. Then nothing was changed.
    fn load_state(&self, values: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
        check_same(&self.state()?, values)?;
        tch::no_grad(|| -> Result<(), StateError> {
            for (name, mut target) in self.float_state() {
                target.f_copy_(&values[&name])?;
            }
            Ok(())
        })?;
        for (name, norm) in self.norms() {
            norm.batches.set(values[&format!("{name}.num_batches_tracked")].f_int64_value(&[])?);
        }
        Ok(())
    }
}

/// Whether all weights and statistics of a network are finite.
pub fn all_finite(network: &impl Named) -> Result<bool, TchError> {
    for (_, tensor) in network.float_state() {
        // The sum of absolute values is finite only if all are (barring 1e38 in total).
        if !tensor.f_detach()?.f_abs()?.f_sum(Kind::Double)?.f_double_value(&[])?.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
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
