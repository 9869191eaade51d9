//! A moving average of a network's weights.

use tch::{TchError, Tensor};

use crate::nn::{Named, Network};

/// An exponential moving average of a network: of its weights and its running statistics alike, so that both look back over
/// the same iterations.
#[derive(Debug)]
pub struct Ema {
    average: Network,
    pairs: Vec<(Tensor, Tensor)>,
    decay: f64,
    updates: u64,
}

impl Ema {
    /// An average that starts as `source` is now; `average` is a network of the same shape, whose values are overwritten.
    pub fn new(source: &Network, average: Network, decay: f64) -> Result<Self, TchError> {
        let pairs: Vec<(Tensor, Tensor)> = tch::no_grad(|| {
            let pairs = average.float_state().into_iter().zip(source.float_state());
            pairs
                .map(|((_, mut target), (_, value))| {
                    let _ = target.f_set_requires_grad(false)?;
                    target.f_copy_(&value)?;
                    Ok((target, value))
                })
                .collect::<Result<_, TchError>>()
        })?;
        Ok(Self { average, pairs, decay, updates: 0 })
    }

    /// Takes the source's present values in: average ← d · average + (1 - d) · source, where d is the decay, or
    /// (1 + n) / (10 + n) at update n while that is less, so that the start does not linger.
    pub fn update(&mut self) -> Result<(), TchError> {
        let n = self.updates as f64;
        let decay = self.decay.min((1.0 + n) / (10.0 + n));
        self.updates += 1;
        tch::no_grad(|| {
            for (average, source) in &mut self.pairs {
                let _ = average.f_lerp_(source, 1.0 - decay)?;
            }
            Ok(())
        })
    }

    /// The averaged network.
    pub fn network(&self) -> &Network {
        &self.average
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Continues after this many updates.
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;
    use tch::{Device, Kind};

    use super::*;
    use crate::nn::init::WeightInit;
    use crate::nn::{BatchNorm, Layer, Linear};

    fn network(seed: u64) -> Network {
        let linear =
            Linear::new(3, 2, WeightInit::TorchDefault, &mut Rng::from_seed(seed), Device::Cpu).unwrap();
        let norm = BatchNorm::new(2, Device::Cpu).unwrap();
        Network::new(vec![Layer::Linear(linear), Layer::BatchNorm(norm)]).unwrap()
    }

    #[test]
    fn is_the_weighted_sum_of_the_past() {
        let source = network(1);
        let mut ema = Ema::new(&source, network(2), 0.2).unwrap();
        let value = |network: &Network, name: &str| {
            network.state().unwrap()[name].mean(Kind::Double).double_value(&[])
        };
        let names = ["0.weight", "0.bias", "1.running_mean", "1.running_var"];
        let mut expected = names.map(|name| value(&source, name));
        for n in 0..6 {
            tch::no_grad(|| {
                for (_, mut t) in source.float_state() {
                    let _ = t.f_add_scalar_(0.5).unwrap();
                }
            });
            ema.update().unwrap();
            let decay = f64::min(0.2, (1.0 + f64::from(n)) / (10.0 + f64::from(n)));
            for (expected, name) in expected.iter_mut().zip(names) {
                *expected = decay * *expected + (1.0 - decay) * value(&source, name);
                let found = value(ema.network(), name);
                assert!((found - *expected).abs() < 1e-6, "{name} after {n}: {found} {expected}");
            }
        }
        assert_eq!(ema.updates(), 6);
    }
}
