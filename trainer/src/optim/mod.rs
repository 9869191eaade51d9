//! Optimizers whose state can be saved, and the course of their learning rate.

mod adam;
mod momentum;
mod schedule;

use std::collections::BTreeMap;

use tch::{TchError, Tensor};

use crate::nn::StateError;

pub use adam::{Adam, AdamOptions};
pub use momentum::{Momentum, MomentumOptions, Rule};
pub use schedule::Schedule;

#[derive(Debug)]
pub enum Optimizer {
    Adam(Adam),
    /// Gradient descent with momentum, plain or layerwise.
    Momentum(Momentum),
}

impl Optimizer {
    /// The parameters, in the order in which [`Optimizer::step`] expects their gradients.
    pub fn parameters(&self) -> Vec<&Tensor> {
        match self {
            Self::Adam(adam) => adam.parameters(),
            Self::Momentum(momentum) => momentum.parameters(),
        }
    }

    /// Moves every parameter by one step, given its gradient and the learning rate.
    pub fn step(&mut self, gradients: &[Tensor], lr: f64) -> Result<(), TchError> {
        match self {
            Self::Adam(adam) => adam.step_at(gradients, lr),
            Self::Momentum(momentum) => momentum.step(gradients, lr),
        }
    }

    /// Everything that a step changes but the parameters, with names; see [`Adam::state`] and [`Momentum::state`].
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        match self {
            Self::Adam(adam) => adam.state(""),
            Self::Momentum(momentum) => momentum.state(""),
        }
    }

    /// Takes what [`Optimizer::state`] gave after this many steps.
    ///
    /// # Errors
    /// [`StateError`] if a tensor is missing or of another shape or kind.
    pub fn load_state(&mut self, values: &BTreeMap<String, Tensor>, steps: u64) -> Result<(), StateError> {
        match self {
            Self::Adam(adam) => adam.load_state("", values, steps),
            Self::Momentum(momentum) => momentum.load_state("", values),
        }
    }
}

/// Copies saved values into an optimizer's own tensors.
fn restore(own: BTreeMap<String, Tensor>, values: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
    for (name, mut target) in own {
        let value = values.get(&name).ok_or_else(|| StateError::Missing { name: name.clone() })?;
        if (value.size(), value.kind()) != (target.size(), target.kind()) {
            let describe = |t: &Tensor| format!("{:?} {:?}", t.kind(), t.size());
            return Err(StateError::Shape { name, found: describe(value), expected: describe(&target) });
        }
        target.f_copy_(value)?;
    }
    Ok(())
}
