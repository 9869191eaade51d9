//! The kernel distance of two sets of features.

use rayon::prelude::*;

use crate::Vectors;

/// Vectors of each set that are compared at once.
pub const BLOCK: usize = 1000;

/// The kernel (inception) distance of M. Bińkowski et al., "Demystifying MMD GANs" (2018): the unbiased estimate of the squared
/// maximum mean discrepancy under the kernel (x·y / d + 1)^3, d being the dimension. Unlike the Fréchet distance it has
/// no bias for few images; of sets from one distribution it is 0 on average, and may be below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// The mean over blocks of [`BLOCK`] vectors of each set, the first with the first, the second with the second, and so on.
    pub mean: f64,
    /// The standard deviation over these blocks; 0 for one.
    pub deviation: f64,
    /// How many blocks there were.
    pub blocks: usize,
}

impl KernelDistance {
    /// The distance of two sets of vectors of one dimension; of fewer than [`BLOCK`], those are the only block. `None` where a set
    /// has fewer than two.
    pub fn between(a: Vectors<'_>, b: Vectors<'_>) -> Option<KernelDistance> {
        let all = a.len().min(b.len());
        if all < 2 || a.dimension() != b.dimension() {
            return None;
        }
        let size = all.min(BLOCK);
        let blocks = all / size;
        let found: Vec<f64> =
            (0..blocks).into_par_iter().map(|at| discrepancy(a, b, at * size, size)).collect();
        let mean = found.iter().sum::<f64>() / blocks as f64;
        let variance = found.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / blocks as f64;
        Some(KernelDistance { mean, deviation: variance.sqrt(), blocks })
    }
}

/// Over `size` vectors of each from the place `start`.
fn discrepancy(a: Vectors<'_>, b: Vectors<'_>, start: usize, size: usize) -> f64 {
    let dimension = a.dimension();
    let part = |of: Vectors<'_>| -> Vec<f64> {
        of.slice()[start * dimension..(start + size) * dimension].iter().map(|&v| f64::from(v)).collect()
    };
    let (a, b) = (part(a), part(b));
    let kernel = |x: &[f64], y: &[f64]| {
        let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
        (product / dimension as f64 + 1.0).powi(3)
    };
    let sum = |a: &[f64], b: &[f64], apart: bool| -> f64 {
        let rows = a.chunks_exact(dimension).enumerate();
        rows.map(|(i, x)| {
            let columns = b.chunks_exact(dimension).enumerate();
            columns.filter(|(j, _)| !apart || i != *j).map(|(_, y)| kernel(x, y)).sum::<f64>()
        })
        .sum()
    };
    let n = size as f64;
    (sum(&a, &a, true) + sum(&b, &b, true)) / (n * (n - 1.0)) - 2.0 * sum(&a, &b, false) / (n * n)
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    #[test]
    fn equals_the_definition_and_is_none_of_too_few() {
        // One dimension, by hand: k(x, y) = (xy + 1)^3.
        let found =
            KernelDistance::between(Vectors::new(&[0.0, 1.0], 1), Vectors::new(&[2.0, 0.0], 1)).unwrap();
        let expected = (2.0 * 1.0 + 2.0 * 1.0) / 2.0 - 2.0 * (1.0 + 1.0 + 27.0 + 1.0) / 4.0;
        assert!((found.mean - expected).abs() < 1e-12 && found.blocks == 1 && found.deviation == 0.0);
        assert_eq!(KernelDistance::between(Vectors::new(&[0.0], 1), Vectors::new(&[2.0, 0.0], 1)), None);

        let mut rng = Rng::from_seed(4);
        let mut normal = |mean: f32| -> Vec<f32> { (0..2500 * 4).map(|_| rng.normal() + mean).collect() };
        let (a, b, c) = (normal(0.0), normal(0.0), normal(1.0));
        let [a, b, c] = [&a, &b, &c].map(|values| Vectors::new(values, 4));
        let (same, other) = (KernelDistance::between(a, b).unwrap(), KernelDistance::between(a, c).unwrap());
        assert!(same.mean.abs() < 0.05 && same.blocks == 2, "{same:?}");
        assert!(other.mean > 1.0, "{other:?}");
    }
}
