//! The Fréchet distance of two sets of features, each taken for a normal distribution.
//!
//! D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions" (1982), as M. Heusel
//! et al. use it for generators (2017):
//!
//! |m - n|^2 + tr A + tr B - 2 tr (A B)^(1/2), for means m, n and covariances A, B.
//!
//! With A = L L' and B = K K', the last trace is the sum of the singular values of L' K. They come with the precision of
//! their largest, whereas roots of the eigenvalues of A B would have half as many digits: what quantization changes is little.

/// Mean and covariance of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    /// Lower triangle, row by row.
    covariance: Vec<Vec<f64>>,
}

impl Gaussian {
    /// The mean and the covariance (of n examples over n - 1) of features, one example after the other, `dimension` values
    /// each. Of fewer than two examples the covariance is zero.
    pub fn of(features: &[f64], dimension: usize) -> Gaussian {
        let examples = features.chunks_exact(dimension.max(1));
        let count = examples.len() as f64;
        let mut mean = vec![0.0; dimension];
        for example in examples.clone() {
            mean.iter_mut().zip(example).for_each(|(mean, value)| *mean += value / count);
        }
        let mut covariance: Vec<Vec<f64>> = (0..dimension).map(|row| vec![0.0; row + 1]).collect();
        let mut centered = vec![0.0; dimension];
        for example in examples {
            centered.iter_mut().zip(example).zip(&mean).for_each(|((to, value), mean)| *to = value - mean);
            for (row, &factor) in covariance.iter_mut().zip(&centered) {
                row.iter_mut().zip(&centered).for_each(|(sum, value)| *sum += factor * value);
            }
        }
        covariance.iter_mut().flatten().for_each(|sum| *sum /= (count - 1.0).max(1.0));
        Gaussian { mean, covariance }
    }

    /// The squared Fréchet distance, which is what is meant by the Fréchet distance of generators. Both are of features of
    /// the same dimension.
    pub fn distance(&self, other: &Gaussian) -> f64 {
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let shared = nuclear_norm(product(&self.root(), &other.root()));
        // Rounding may leave less than nothing of equals. A NaN stays one.
        let distance = apart + self.trace() + other.trace() - 2.0 * shared;
        if distance < 0.0 { 0.0 } else { distance }
    }

    fn trace(&self) -> f64 {
        self.covariance.iter().filter_map(|row| row.last()).sum()
    }

    /// Columns of a lower triangular L with L L' the covariance (Cholesky); those of features that depend on earlier ones
    /// are zero.
    fn root(&self) -> Vec<Vec<f64>> {
        let dimension = self.mean.len();
        let largest = self.covariance.iter().filter_map(|row| row.last()).fold(0.0, |a: f64, &b| a.max(b));
        let least = largest * f64::EPSILON * dimension as f64;
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(dimension);
        for at in 0..dimension {
            // What the columns so far leave of this one.
            let mut column: Vec<f64> = self
                .covariance
                .iter()
                .enumerate()
                .map(|(row, values)| if row < at { 0.0 } else { values[at] })
                .collect();
            for earlier in &columns {
                let factor = earlier[at];
                column[at..].iter_mut().zip(&earlier[at..]).for_each(|(left, value)| *left -= factor * value);
            }
            let pivot = column[at];
            let factor = if pivot <= least { 0.0 } else { 1.0 / pivot.sqrt() };
            column.iter_mut().for_each(|value| *value *= factor);
            columns.push(column);
        }
        columns
    }
}

/// The columns of A' B, both given by columns.
fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    b.iter().map(|b| a.iter().map(|a| dot(a, b)).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Most rounds of rotations; they converge quadratically, so that ten are many.
const MAX_ROUNDS: usize = 60;

/// The sum of the singular values of a matrix given by columns: pairs of columns are rotated until all are at right
/// angles, then their lengths are the singular values (M. R. Hestenes, 1958).
fn nuclear_norm(mut columns: Vec<Vec<f64>>) -> f64 {
    let whole: f64 = columns.iter().map(|column| dot(column, column)).sum();
    // Columns of this squared length are rounding errors.
    let nothing = whole * f64::EPSILON * f64::EPSILON;
    for _ in 0..MAX_ROUNDS {
        let mut rotated = false;
        for second in 1..columns.len() {
            let (before, rest) = columns.split_at_mut(second);
            let Some(b) = rest.first_mut() else { continue };
            for a in before {
                let (length_a, length_b, both) = (dot(a, a), dot(b, b), dot(a, b));
                let at_right_angles = both.abs() <= 1e-14 * (length_a * length_b).sqrt();
                // A NaN ends it too.
                if at_right_angles || !(length_a > nothing && length_b > nothing) {
                    continue;
                }
                rotated = true;
                let zeta = (length_b - length_a) / (2.0 * both);
                let tangent = 1f64.copysign(zeta) / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = cosine * tangent;
                for (a, b) in a.iter_mut().zip(b.iter_mut()) {
                    (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    columns.iter().map(|column| dot(column, column).sqrt()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::rng::Rng;

    /// The covariance from all its rows.
    fn gaussian(mean: &[f64], covariance: &[&[f64]]) -> Gaussian {
        let lower = covariance.iter().enumerate().map(|(at, row)| row[..=at].to_vec()).collect();
        Gaussian { mean: mean.to_vec(), covariance: lower }
    }

    fn diagonal(mean: &[f64], deviations: &[f64]) -> Gaussian {
        let row = |at: usize| {
            (0..=at).map(|column| if column == at { deviations[at].powi(2) } else { 0.0 }).collect()
        };
        Gaussian { mean: mean.to_vec(), covariance: (0..mean.len()).map(row).collect() }
    }

    #[test]
    fn closed_forms() {
        // Independent features: the differences of means and of deviations, squared.
        let (a, b) =
            (diagonal(&[1.0, -2.0, 0.0], &[3.0, 0.5, 0.0]), diagonal(&[0.0, -2.0, 0.1], &[1.0, 0.75, 2.0]));
        let expected = 1.0 + 0.01 + 4.0 + 0.0625 + 4.0;
        assert!((a.distance(&b) - expected).abs() < 1e-12 && (b.distance(&a) - expected).abs() < 1e-12);
        assert_eq!(a.distance(&a), 0.0);
        // Both turned by 45 degrees: diag(4, 1) and diag(9, 1) become these.
        let a = gaussian(&[0.0, 0.0], &[&[2.5, 1.5], &[1.5, 2.5]]);
        let b = gaussian(&[0.0, 0.0], &[&[5.0, 4.0], &[4.0, 5.0]]);
        assert!((a.distance(&b) - 1.0).abs() < 1e-12);
        // Covariances of rank one, along (1, 1) and (1, 0): only part of the deviations is shared.
        let a = gaussian(&[0.0, 0.0], &[&[1.0, 1.0], &[1.0, 1.0]]);
        let b = gaussian(&[0.0, 0.0], &[&[1.0, 0.0], &[0.0, 0.0]]);
        assert!((a.distance(&b) - (2.0 + 1.0 - 2.0)).abs() < 1e-12);
        assert!(gaussian(&[f64::NAN], &[&[1.0]]).distance(&gaussian(&[0.0], &[&[1.0]])).is_nan());
        assert_eq!(Gaussian::of(&[], 0).distance(&Gaussian::of(&[], 0)), 0.0);
    }

    #[test]
    fn means_and_covariances() {
        let found = Gaussian::of(&[1.0, 2.0, 3.0, 2.0, 5.0, 8.0], 2);
        assert_eq!(found, gaussian(&[3.0, 4.0], &[&[4.0, 6.0], &[6.0, 12.0]]));
        assert_eq!(Gaussian::of(&[1.0, 2.0], 2), gaussian(&[1.0, 2.0], &[&[0.0, 0.0], &[0.0, 0.0]]));
    }

    /// Features in closed form, as in the script.
    fn features(examples: usize, dimension: usize, turn: f64) -> Vec<f64> {
        let feature = |example: usize, at: usize| {
            let (example, at) = (example as f64, at as f64);
            (example * (at + 1.0) * 0.37 + turn).sin()
                + 0.5 * (example * 0.11 * (at + turn)).cos()
                + 0.1 * at * turn
        };
        (0..examples).flat_map(|example| (0..dimension).map(move |at| feature(example, at))).collect()
    }

    /// Distances that `tests/frechet_distances.py` prints: numpy's eigenvalues of the product of the covariances.
    #[test]
    fn distances_are_those_of_numpy() {
        #[rustfmt::skip] // A table.
        let cases: &[(usize, usize, f64, f64, f64)] = &[
            (50, 1, 0.0, 1.0, 0.343095760455),
            (200, 3, 0.2, 0.7, 0.0267502117095),
            (400, 16, 0.0, 0.3, 1.71388444758),
            (1000, 49, 0.1, 0.4, 34.5780430568),
            (300, 64, 1.0, 0.9, 9.95471747835),
            (40, 48, 0.0, 2.0, 1464.405846),
        ];
        for &(examples, dimension, a, b, expected) in cases {
            let [a, b] = [a, b].map(|turn| Gaussian::of(&features(examples, dimension, turn), dimension));
            let found = a.distance(&b);
            assert!(
                (found - expected).abs() < 1e-6 * expected.max(1.0),
                "{examples} {dimension}: {found}, expected {expected}"
            );
        }
    }

    /// Of equal distributions, and of nearly equal ones, where the terms all but cancel.
    #[test]
    fn small_distances_are_exact() {
        let mut rng = Rng::from_seed(3);
        // 30 features of which 10 depend on the others.
        let mut all = Vec::new();
        for _ in 0..500 {
            let own: Vec<f64> = (0..20).map(|_| f64::from(rng.normal())).collect();
            all.extend(&own);
            all.extend((0..10).map(|at| own[at] - own[at + 1]));
        }
        let a = Gaussian::of(&all, 30);
        assert!(a.distance(&a) < 1e-12, "{}", a.distance(&a));
        // All larger by a part in ten thousand.
        let larger: Vec<f64> = all.iter().map(|value| value * 1.0001).collect();
        let b = Gaussian::of(&larger, 30);
        let expected = 1e-8 * (a.trace() + a.mean.iter().map(|mean| mean * mean).sum::<f64>());
        assert!((a.distance(&b) / expected - 1.0).abs() < 1e-4, "{} {expected}", a.distance(&b));
    }
}
