//! Adam.

use tch::{Device, Kind, TchError, Tensor};

use super::restore;
use crate::nn::StateError;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// Step size.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the square root.
    pub eps: f64,
    /// This times the parameter is added to the gradient (`weight_decay` of `torch.optim.Adam`).
    pub weight_decay: f64,
}

/// Values updated at a time: this many of the parameter, its gradient, both moments and the scratch fit into the second
/// level of cache of two cores, so that a step reads and writes main memory only once.
const CHUNK: i64 = 1 << 17;

/// Adam (Kingma and Ba 2015, algorithm 1) over a list of named tensors, equal to `torch.optim.Adam` up to rounding.
#[derive(Debug)]
pub struct Adam {
    options: AdamOptions,
    parameters: Vec<Parameter>,
    steps: u64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    /// First moment, in the memory layout of `value`.
    mean: Tensor,
    /// Second moment, in the memory layout of `value`.
    square: Tensor,
    /// Where `value` is large and contiguous: flat pieces of it and of its moments.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    start: i64,
    len: i64,
    value: Tensor,
    mean: Tensor,
    square: Tensor,
    scratch: Tensor,
}

/// The factors of one step; the same for all parameters.
#[derive(Clone, Copy)]
struct Factors {
    mean: f64,
    square: f64,
    /// `None`: the learning rate is zero, only the moments move.
    denominator: Option<(f64, f64)>,
}

impl Adam {
    /// An optimizer for these parameters (f32, all on one device), with zero moments.
    pub fn new(parameters: Vec<(String, Tensor)>, options: AdamOptions) -> Result<Self, TchError> {
        let device = parameters.first().map_or(Device::Cpu, |(_, value)| value.device());
        let scratch = Tensor::f_empty([CHUNK], (Kind::Float, device))?;
        let parameters = tch::no_grad(|| {
            let new = |(name, value): (String, Tensor)| Parameter::new(name, value, &scratch);
            parameters.into_iter().map(new).collect::<Result<_, _>>()
        })?;
        Ok(Self { options, parameters, steps: 0 })
    }

    /// The parameters, in the order in which [`Adam::step`] expects their gradients.
    pub fn parameters(&self) -> Vec<&Tensor> {
        self.parameters.iter().map(|p| &p.value).collect()
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves every parameter by one step, given its gradient.
    ///
    /// With t the number of this step and g the gradient, to which the decaying weight is added: m ← m + (1-β1)(g - m), v ← v + (1-β2)(g² - v),
    /// p ← p - lr · (m / (1-β1ᵗ)) / (√(v / (1-β2ᵗ)) + ε).
    pub fn step(&mut self, gradients: &[Tensor]) -> Result<(), TchError> {
        self.step_at(gradients, self.options.lr)
    }

    /// As [`Adam::step`], with this learning rate.
    pub fn step_at(&mut self, gradients: &[Tensor], lr: f64) -> Result<(), TchError> {
        debug_assert_eq!(gradients.len(), self.parameters.len());
        self.steps += 1;
        let AdamOptions { beta1, beta2, eps, weight_decay, .. } = self.options;
        let t = self.steps as f64;
        let (correction1, correction2) = (1.0 - beta1.powf(t), (1.0 - beta2.powf(t)).sqrt());
        // p - lr m̂ / (√v̂ + ε) = p + m / (a √v + b): all constants go into the denominator, which saves a pass.
        let a = -correction1 / (lr * correction2);
        let factors = Factors {
            mean: 1.0 - beta1,
            square: 1.0 - beta2,
            denominator: (lr != 0.0).then_some((a, a * eps * correction2)),
        };
        tch::no_grad(|| {
            for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
                if weight_decay == 0.0 {
                    parameter.step(gradient, factors)?;
                } else {
                    let decayed = gradient.f_add(&parameter.value.f_mul_scalar(weight_decay)?)?;
                    parameter.step(&decayed, factors)?;
                }
            }
            Ok(())
        })
    }

    /// The moments, named `<prefix><parameter>.mean` and `.square`; they share their memory with the optimizer's.
    pub fn state(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        for p in &self.parameters {
            state.insert(format!("{prefix}{}.mean", p.name), p.mean.shallow_clone());
            state.insert(format!("{prefix}{}.square", p.name), p.square.shallow_clone());
        }
        state
    }

    /// Takes moments saved by [`Adam::state`] under the same prefix, and the number of steps they stem from.
    ///
    /// # Errors
    /// [`StateError`] if a tensor is missing or of another shape or kind. Others are ignored.
    pub fn load_state(
        &mut self,
        prefix: &str,
        values: &BTreeMap<String, Tensor>,
        steps: u64,
    ) -> Result<(), StateError> {
        restore(self.state(prefix), values)?;
        self.steps = steps;
        Ok(())
    }
}

impl Parameter {
    fn new(name: String, value: Tensor, scratch: &Tensor) -> Result<Self, TchError> {
        let (mean, square) = (value.f_zeros_like()?, value.f_zeros_like()?);
        let mut pieces = Vec::new();
        let count = value.numel() as i64;
        if count > CHUNK && value.is_contiguous() {
            let (v, m, s) = (value.f_view(-1)?, mean.f_view(-1)?, square.f_view(-1)?);
            let mut start = 0;
            while start < count {
                let len = CHUNK.min(count - start);
                pieces.push(Piece {
                    start,
                    len,
                    value: v.f_narrow(0, start, len)?,
                    mean: m.f_narrow(0, start, len)?,
                    square: s.f_narrow(0, start, len)?,
                    scratch: scratch.f_narrow(0, 0, len)?,
                });
                start += len;
            }
        }
        Ok(Self { name, value, mean, square, pieces })
    }

    fn step(&mut self, gradient: &Tensor, factors: Factors) -> Result<(), TchError> {
        if self.pieces.is_empty() {
            let scratch = self.square.f_empty_like()?;
            return update(&mut self.value, &mut self.mean, &mut self.square, gradient, scratch, factors);
        }
        let gradient = gradient.f_reshape([-1])?;
        for Piece { start, len, value, mean, square, scratch } in &mut self.pieces {
            let gradient = gradient.f_narrow(0, *start, *len)?;
            update(value, mean, square, &gradient, scratch.shallow_clone(), factors)?;
        }
        Ok(())
    }
}

fn update(
    value: &mut Tensor,
    mean: &mut Tensor,
    square: &mut Tensor,
    gradient: &Tensor,
    mut scratch: Tensor,
    factors: Factors,
) -> Result<(), TchError> {
    let _ = mean.f_lerp_(gradient, factors.mean)?;
    let _ = gradient.f_mul_out(&scratch, gradient)?;
    let _ = square.f_lerp_(&scratch, factors.square)?;
    if let Some((a, b)) = factors.denominator {
        let _ = square.f_sqrt_out(&scratch)?;
        let _ = scratch.f_mul_scalar_(a)?;
        let _ = scratch.f_add_scalar_(b)?;
        let _ = value.f_addcdiv_(mean, &scratch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Algorithm 1 of the paper in f64.
    fn reference(steps: &[Vec<f64>], start: &[f64], o: AdamOptions) -> Vec<f64> {
        let (mut p, mut m, mut v) = (start.to_vec(), vec![0.0; start.len()], vec![0.0; start.len()]);
        for (t, g) in steps.iter().enumerate() {
            let t = t as i32 + 1;
            for i in 0..p.len() {
                let g = g[i] + o.weight_decay * p[i];
                m[i] = o.beta1 * m[i] + (1.0 - o.beta1) * g;
                v[i] = o.beta2 * v[i] + (1.0 - o.beta2) * g * g;
                let (mh, vh) = (m[i] / (1.0 - o.beta1.powi(t)), v[i] / (1.0 - o.beta2.powi(t)));
                p[i] -= o.lr * mh / (vh.sqrt() + o.eps);
            }
        }
        p
    }

    fn gradients(step: usize, count: usize) -> Vec<f64> {
        // Magnitudes from 1e-6 to 1e2; some are zero throughout.
        (0..count)
            .map(|i| match i % 5 {
                0 => 0.0,
                k => ((i * 7 + step * 13) as f64).sin() * 10f64.powi(2 * k as i32 - 6),
            })
            .collect()
    }

    fn tensor(values: &[f64], shape: &[i64]) -> Tensor {
        Tensor::from_slice(values).to_kind(Kind::Float).view(shape)
    }

    #[test]
    fn follows_the_algorithm_of_the_paper() {
        let cases = [
            (1e-3, 0.5, 0.999, 0.0, vec![10i64, 7]),
            (1e-1, 0.9, 0.99, 0.0, vec![33]),
            (0.0, 0.5, 0.999, 0.0, vec![4]),
            (1e-3, 0.0, 0.9, 0.0, vec![300, 1000]),
            (1e-3, 0.9, 0.999, 0.1, vec![500, 600]),
        ];
        for (lr, beta1, beta2, weight_decay, shape) in cases {
            let options = AdamOptions { lr, beta1, beta2, eps: 1e-8, weight_decay };
            let count = shape.iter().product::<i64>() as usize;
            let start: Vec<f64> = (0..count).map(|i| (i as f64 * 0.1).cos()).collect();
            let steps: Vec<Vec<f64>> = (0..20).map(|s| gradients(s, count)).collect();
            let value = tensor(&start, &shape);
            let mut adam = Adam::new(vec![("w".into(), value.shallow_clone())], options).unwrap();
            assert_eq!(adam.parameters[0].pieces.len(), if count as i64 > CHUNK { 3 } else { 0 });
            for g in &steps {
                adam.step(&[tensor(g, &shape)]).unwrap();
            }
            let found = Vec::<f64>::try_from(value.view(-1).to_kind(Kind::Double)).unwrap();
            for (i, (found, expected)) in found.iter().zip(reference(&steps, &start, options)).enumerate() {
                let error = (found - expected).abs();
                assert!(error < 1e-6 * expected.abs().max(1.0), "{shape:?} lr {lr}: {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_saved_state_continues_exactly() {
        let options = AdamOptions { lr: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
        let start = gradients(99, 50);
        let run = |from: usize, to: usize, value: &Tensor, adam: &mut Adam| {
            for s in from..to {
                adam.step(&[tensor(&gradients(s, 50), &[50])]).unwrap();
            }
            value.copy()
        };
        let make = |value: &Tensor| Adam::new(vec![("w".into(), value.shallow_clone())], options).unwrap();
        let value = tensor(&start, &[50]);
        let whole = run(0, 10, &value, &mut make(&value));

        let value = tensor(&start, &[50]);
        let mut first = make(&value);
        let _ = run(0, 4, &value, &mut first);
        let state: BTreeMap<String, Tensor> =
            first.state("d.").into_iter().map(|(name, t)| (name, t.copy())).collect();
        let mut second = make(&value);
        second.load_state("d.", &state, first.steps()).unwrap();
        assert_eq!(run(4, 10, &value, &mut second), whole);
        assert!(matches!(second.load_state("g.", &state, 1), Err(StateError::Missing { .. })));
    }
}
