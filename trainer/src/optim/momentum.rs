//! Gradient descent with momentum: plain, and layer by layer (LARS).

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

use super::restore;
use crate::nn::StateError;

/// How far a layer goes for its gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// As far as the learning rate says: `torch.optim.SGD`.
    Plain,
    /// LARS (You et al. 2017, algorithm 1) as SimCLR uses it: each weight moves by a part of its own length, given by the
    /// coefficient; vectors (biases, scales and shifts of normalizations) move plainly and do not decay.
    Layerwise {
        /// The trust coefficient, 0.001 in the paper.
        trust: f64,
    },
}

/// Constants of [`Momentum`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentumOptions {
    /// Plain or layerwise.
    pub rule: Rule,
    /// Part of the last step that is taken again.
    pub momentum: f64,
    /// This times the parameter is added to the gradient.
    pub weight_decay: f64,
}

/// Gradient descent with momentum over a list of named tensors.
#[derive(Debug)]
pub struct Momentum {
    options: MomentumOptions,
    parameters: Vec<Parameter>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    /// The running step, in the memory layout of `value`.
    velocity: Tensor,
}

impl Momentum {
    /// An optimizer for these parameters (f32, all on one device), at rest.
    pub fn new(parameters: Vec<(String, Tensor)>, options: MomentumOptions) -> Result<Self, TchError> {
        let new = |(name, value): (String, Tensor)| {
            let velocity = value.f_detach()?.f_zeros_like()?;
            Ok(Parameter { name, value, velocity })
        };
        let parameters = parameters.into_iter().map(new).collect::<Result<_, TchError>>()?;
        Ok(Self { options, parameters })
    }

    /// The parameters, in the order in which [`Momentum::step`] expects their gradients.
    pub fn parameters(&self) -> Vec<&Tensor> {
        self.parameters.iter().map(|p| &p.value).collect()
    }

    /// Moves every parameter by one step, given its gradient g and the learning rate.
    ///
    /// Plain: v ← μ v + (g + λ p), p ← p - lr v. Layerwise: v ← μ v + lr · r · (g + λ p), p ← p - v with
    /// r = trust · |p| / |g + λ p| (1 where either is 0).
    pub fn step(&mut self, gradients: &[Tensor], lr: f64) -> Result<(), TchError> {
        debug_assert_eq!(gradients.len(), self.parameters.len());
        let MomentumOptions { rule, momentum, weight_decay } = self.options;
        tch::no_grad(|| {
            for (Parameter { value, velocity, .. }, gradient) in self.parameters.iter_mut().zip(gradients) {
                let vector = value.dim() < 2;
                let decay = if vector && rule != Rule::Plain { 0.0 } else { weight_decay };
                let mut step = gradient.shallow_clone();
                if decay != 0.0 {
                    step = step.f_add(&value.f_mul_scalar(decay)?)?;
                }
                let _ = velocity.f_mul_scalar_(momentum)?;
                match rule {
                    Rule::Plain => {
                        let _ = velocity.f_add_(&step)?;
                        let _ = value.f_sub_(&velocity.f_mul_scalar(lr)?)?;
                    }
                    Rule::Layerwise { trust } => {
                        if !vector {
                            step = step.f_mul(&ratio(value, &step, trust)?)?;
                        }
                        let _ = velocity.f_add_(&step.f_mul_scalar(lr)?)?;
                        let _ = value.f_sub_(velocity)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The running steps, named `<prefix><parameter>.momentum`; they share their memory with the optimizer's.
    pub fn state(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let named = |p: &Parameter| (format!("{prefix}{}.momentum", p.name), p.velocity.shallow_clone());
        self.parameters.iter().map(named).collect()
    }

    /// Takes the running steps saved by [`Momentum::state`] under the same prefix.
    ///
    /// # Errors
    /// [`StateError`] if a tensor is missing or of another shape or kind. Others are ignored.
    pub fn load_state(&mut self, prefix: &str, values: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
        restore(self.state(prefix), values)
    }
}

/// `trust · |value| / |step|` as a tensor without dimensions, so that nothing has to be read from the device.
fn ratio(value: &Tensor, step: &Tensor, trust: f64) -> Result<Tensor, TchError> {
    let (length, pull) = (value.f_norm()?, step.f_norm()?);
    let one = Tensor::f_ones([0i64; 0], (Kind::Float, value.device()))?;
    let defined = length.f_gt(0.0)?.f_logical_and(&pull.f_gt(0.0)?)?;
    length.f_mul_scalar(trust)?.f_div(&pull)?.f_where_self(&defined, &one)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    const STEPS: usize = 12;

    fn gradient(step: usize, i: usize) -> f64 {
        ((i * 5 + step * 11) as f64).sin() * 10f64.powi((i % 4) as i32 - 2)
    }

    /// The formulas of [`Momentum::step`] in f64, for one parameter.
    fn reference(start: &[f64], options: MomentumOptions, lr: f64, vector: bool) -> Vec<f64> {
        let MomentumOptions { rule, momentum, weight_decay } = options;
        let (mut p, mut v) = (start.to_vec(), vec![0.0; start.len()]);
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        for step in 0..STEPS {
            let decay = if vector && rule != Rule::Plain { 0.0 } else { weight_decay };
            let g: Vec<f64> = (0..p.len()).map(|i| gradient(step, i) + decay * p[i]).collect();
            let factor = match rule {
                Rule::Layerwise { trust } if !vector => lr * trust * norm(&p) / norm(&g),
                Rule::Layerwise { .. } => lr,
                Rule::Plain => 1.0,
            };
            for i in 0..p.len() {
                v[i] = momentum * v[i] + factor * g[i];
                p[i] -= if rule == Rule::Plain { lr } else { 1.0 } * v[i];
            }
        }
        p
    }

    #[test]
    fn follows_its_formulas() {
        let layerwise = Rule::Layerwise { trust: 0.001 };
        for (rule, momentum, weight_decay, lr, shape) in [
            (Rule::Plain, 0.9, 5e-4, 0.1, vec![4i64, 6]),
            (Rule::Plain, 0.0, 0.0, 1e-3, vec![7]),
            (Rule::Plain, 0.9, 0.1, 0.01, vec![9]),
            (layerwise, 0.9, 1e-2, 2.0, vec![4, 2, 3, 3]),
            (layerwise, 0.9, 1e-2, 0.5, vec![8]),
        ] {
            let options = MomentumOptions { rule, momentum, weight_decay };
            let count = shape.iter().product::<i64>() as usize;
            let start: Vec<f64> = (0..count).map(|i| (i as f64 * 0.3).cos()).collect();
            let tensor = |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float).view(&shape[..]);
            let value = tensor(&start);
            let mut optimizer = Momentum::new(vec![("w".into(), value.shallow_clone())], options).unwrap();
            for step in 0..STEPS {
                let gradient: Vec<f64> = (0..count).map(|i| gradient(step, i)).collect();
                optimizer.step(&[tensor(&gradient)], lr).unwrap();
            }
            let found = Vec::<f64>::try_from(value.view(-1).to_kind(Kind::Double)).unwrap();
            let expected = reference(&start, options, lr, shape.len() < 2);
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error < 1e-5, "{rule:?} {shape:?}: {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_weight_or_gradient_of_zeros_is_no_division_by_zero() {
        let options =
            MomentumOptions { rule: Rule::Layerwise { trust: 0.001 }, momentum: 0.9, weight_decay: 0.0 };
        let zeros = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let ones = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
        for (value, gradient, expected) in [(&zeros, &ones, -0.5), (&ones, &zeros, 1.0)] {
            let value = value.copy();
            let mut optimizer = Momentum::new(vec![("w".into(), value.shallow_clone())], options).unwrap();
            optimizer.step(&[gradient.copy()], 0.5).unwrap();
            assert_eq!(value, Tensor::full_like(&value, expected));
        }
    }

    #[test]
    fn a_saved_state_continues_exactly() {
        let options =
            MomentumOptions { rule: Rule::Layerwise { trust: 0.001 }, momentum: 0.9, weight_decay: 1e-3 };
        let make =
            |value: &Tensor| Momentum::new(vec![("w".into(), value.shallow_clone())], options).unwrap();
        let value = || Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]);
        let gradient = |i: i64| value() - i;
        let (whole, parts) = (value(), value());
        let mut optimizer = make(&whole);
        (0..6).for_each(|i| optimizer.step(&[gradient(i)], 0.3).unwrap());
        let mut first = make(&parts);
        (0..2).for_each(|i| first.step(&[gradient(i)], 0.3).unwrap());
        let state: BTreeMap<String, Tensor> =
            first.state("x.").into_iter().map(|(name, t)| (name, t.copy())).collect();
        assert_eq!(state.keys().collect::<Vec<_>>(), ["x.w.momentum"]);
        let mut second = make(&parts);
        second.load_state("x.", &state).unwrap();
        (2..6).for_each(|i| second.step(&[gradient(i)], 0.3).unwrap());
        assert_eq!(whole, parts);
        assert!(matches!(second.load_state("y.", &state), Err(StateError::Missing { .. })));
    }
}
