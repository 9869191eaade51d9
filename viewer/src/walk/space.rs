//! What a generator's latent vectors are drawn from.

use latent_runtime::latent::Distribution;
use latent_runtime::rng::Rng;

/// A latent space: how many values a latent vector has, and what they are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatentSpace {
    /// The values of one latent vector, at least 1.
    pub size: usize,
    /// What each of them is drawn from.
    pub distribution: Distribution,
}

impl LatentSpace {
    /// The latent vector of a seed, the one that `runtime run --seed` draws first.
    pub fn draw(&self, seed: u64) -> Vec<f32> {
        let mut latent = vec![0.0; self.size];
        self.distribution.fill(&mut Rng::from_seed(seed), &mut latent);
        latent
    }

    pub fn mean(&self) -> f32 {
        match self.distribution {
            Distribution::Uniform { low, high } => 0.5 * (low + high),
            Distribution::Normal { mean, .. } => mean,
        }
    }

    /// The standard deviation of one value.
    pub fn std(&self) -> f32 {
        match self.distribution {
            Distribution::Uniform { low, high } => (high - low) / 12.0f32.sqrt(),
            Distribution::Normal { std, .. } => std,
        }
    }

    /// How far a latent vector typically is from the mean: the standard deviation times the root of the size.
    pub fn radius(&self) -> f32 {
        self.std() * (self.size as f32).sqrt()
    }

    /// The range that a slider for one value should have: that of a uniform distribution, three standard deviations to
    /// either side of a normal one.
    pub fn slider_range(&self) -> (f32, f32) {
        match self.distribution {
            Distribution::Uniform { low, high } => (low, high),
            Distribution::Normal { mean, std } => (mean - 3.0 * std, mean + 3.0 * std),
        }
    }

    /// Truncation (A. Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, in the
    /// linear form of StyleGAN): moves `latent` towards the mean, to `psi` times its distance. 1 leaves it as it is.
    pub fn truncate(&self, latent: &mut [f32], psi: f32) {
        if psi != 1.0 {
            let mean = self.mean();
            latent.iter_mut().for_each(|value| *value = mean + psi * (*value - mean));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_draws() {
        for distribution in
            [Distribution::Uniform { low: -1.0, high: 3.0 }, Distribution::Normal { mean: 0.5, std: 2.0 }]
        {
            let space = LatentSpace { size: 100_000, distribution };
            let drawn = space.draw(1);
            let n = drawn.len() as f32;
            let mean = drawn.iter().sum::<f32>() / n;
            let std = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt();
            assert!((mean - space.mean()).abs() < 0.03, "{distribution:?}: mean {mean}");
            assert!((std - space.std()).abs() < 0.03, "{distribution:?}: deviation {std}");
            assert!((space.radius() / n.sqrt() - space.std()).abs() < 1e-4);
        }
    }

    #[test]
    fn truncation_moves_towards_the_mean() {
        let space = LatentSpace { size: 3, distribution: Distribution::Normal { mean: 1.0, std: 1.0 } };
        let mut latent = [0.0, 1.0, 3.0];
        space.truncate(&mut latent, 0.5);
        assert_eq!(latent, [0.5, 1.0, 2.0]);
        space.truncate(&mut latent, 1.0);
        assert_eq!(latent, [0.5, 1.0, 2.0]);
        space.truncate(&mut latent, 0.0);
        assert_eq!(latent, [1.0, 1.0, 1.0]);
    }
}
