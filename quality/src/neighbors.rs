//! What neighborhoods of real features say of generated ones, and which training image is nearest.

use rayon::prelude::*;

use crate::Vectors;

/// Real features, each with its distance to its k-th nearest of the others: that is its neighborhood.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighborhoods {
    values: Vec<f32>,
    dimension: usize,
    k: usize,
    /// Squared.
    radii: Vec<f32>,
}

/// How two sets lie in each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manifold {
    /// The part of generated features within the neighborhood of a real one: T. Kynkäänniemi et al., "Improved precision and
    /// recall metric for assessing generative models" (2019). It tells how real images look.
    pub precision: f64,
    /// The part of real features within the neighborhood of a generated one (the same paper). It tells how much of the data's
    /// variety there is.
    pub recall: f64,
    /// The mean number of real neighborhoods that a generated feature lies in, over k: M. F. Naeem et al., "Reliable fidelity and
    /// diversity metrics for generative models" (2020). Like precision, but one outlier among the real ones does
    /// not count for much. About 1 for generated features that are distributed as the real ones; more where they are denser.
    pub density: f64,
    /// The part of real neighborhoods with a generated feature in it (the same paper).
    pub coverage: f64,
}

impl Neighborhoods {
    /// The neighborhoods of `vectors` by their `k`-th nearest; `None` unless there are more than k, and k is at least 1.
    pub fn new(vectors: Vectors<'_>, k: usize) -> Option<Self> {
        let values = vectors.slice();
        let dimension = vectors.dimension();
        if k == 0 || vectors.len() <= k {
            return None;
        }
        let radii = (0..vectors.len()).into_par_iter().map(|at| {
            let own = &values[at * dimension..(at + 1) * dimension];
            let mut nearest = vec![f32::INFINITY; k];
            for (other, vector) in vectors.iter().enumerate() {
                let distance = squared_distance(own, vector);
                if other != at && distance < nearest[k - 1] {
                    let place = nearest.partition_point(|&near| near <= distance);
                    nearest.insert(place, distance);
                    nearest.truncate(k);
                }
            }
            nearest[k - 1]
        });
        Some(Self { radii: radii.collect(), values: values.to_vec(), dimension, k })
    }

    fn vectors(&self) -> Vectors<'_> {
        Vectors::new(&self.values, self.dimension)
    }

    /// How `generated` features lie in these real ones; both have the same dimension and k.
    pub fn manifold(&self, generated: &Neighborhoods) -> Manifold {
        let real = self.vectors();
        let of_each = generated.vectors();
        // For each generated feature: real neighborhoods it lies in.
        let within: Vec<usize> = (0..of_each.len())
            .into_par_iter()
            .map(|at| {
                let own = &generated.values[at * self.dimension..(at + 1) * self.dimension];
                let inside = |(vector, radius): &(&[f32], &f32)| squared_distance(own, vector) <= **radius;
                real.iter().zip(&self.radii).filter(inside).count()
            })
            .collect();
        // For each real feature: whether it lies in a generated neighborhood, and whether its own has a generated feature.
        let (recalled, covered) = (0..real.len())
            .into_par_iter()
            .map(|at| {
                let own = &self.values[at * self.dimension..(at + 1) * self.dimension];
                let (mut recalled, mut covered) = (false, false);
                for (vector, &radius) in of_each.iter().zip(&generated.radii) {
                    let distance = squared_distance(own, vector);
                    recalled |= distance <= radius;
                    covered |= distance <= self.radii[at];
                    if recalled && covered {
                        break;
                    }
                }
                (usize::from(recalled), usize::from(covered))
            })
            .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let (reals, all) = (real.len() as f64, of_each.len() as f64);
        Manifold {
            precision: within.iter().filter(|&&count| count > 0).count() as f64 / all,
            recall: recalled as f64 / reals,
            density: within.iter().sum::<usize>() as f64 / (self.k as f64 * all),
            coverage: covered as f64 / reals,
        }
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums, so that they can be added up in vector registers.
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Bytes after which it is seen whether an image is too far already.
const PIECE: usize = 112;

/// For each of `images`, of `size` bytes, the `count` nearest of `among`: place and Euclidean distance, nearest first. Of equal
/// distances the first counts. Nothing is found for a `size` of 0.
pub fn nearest_of_bytes(images: &[u8], among: &[u8], size: usize, count: usize) -> Vec<Vec<(usize, f64)>> {
    if size == 0 || count == 0 {
        return Vec::new();
    }
    let squared = |a: &[u8], b: &[u8], limit: u64| -> Option<u64> {
        let mut sum = 0u64;
        for (a, b) in a.chunks(PIECE).zip(b.chunks(PIECE)) {
            let piece = a.iter().zip(b).map(|(&a, &b)| {
                let difference = i32::from(a) - i32::from(b);
                (difference * difference) as u32
            });
            sum += u64::from(piece.sum::<u32>());
            if sum >= limit {
                return None;
            }
        }
        Some(sum)
    };
    images
        .par_chunks_exact(size)
        .map(|image| {
            let mut nearest: Vec<(usize, u64)> = Vec::with_capacity(count + 1);
            for (place, other) in among.chunks_exact(size).enumerate() {
                let limit = if nearest.len() == count { nearest[count - 1].1 } else { u64::MAX };
                if let Some(distance) = squared(image, other, limit) {
                    let at = nearest.partition_point(|near| near.1 <= distance);
                    nearest.insert(at, (place, distance));
                    nearest.truncate(count);
                }
            }
            nearest.into_iter().map(|(place, squared)| (place, (squared as f64).sqrt())).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighborhoods_by_hand() {
        // On a line: real at 0, 1, 2, 10 with k = 1, so radii 1, 1, 1, 8.
        let real = Neighborhoods::new(Vectors::new(&[0.0, 1.0, 2.0, 10.0], 1), 1).unwrap();
        assert_eq!(real.radii, [1.0, 1.0, 1.0, 64.0]);
        // Generated at 1.5, 1.75 and 30: radii 0.25, 0.25, 28.25.
        let generated = Neighborhoods::new(Vectors::new(&[1.5, 1.75, 30.0], 1), 1).unwrap();
        let found = real.manifold(&generated);
        // 1.5 lies in those of 1 and 2; 1.75 in those of 1, 2 and, 8.25 away, not 10; 30 in none.
        assert_eq!(found.precision, 2.0 / 3.0);
        assert_eq!(found.density, 4.0 / 3.0);
        // 2 lies 0.25 from 1.75, whose radius is 0.25; 10 lies 20 from 30, whose radius is 28.25; 0 and 1 in none.
        assert_eq!(found.recall, 0.5);
        assert_eq!(found.coverage, 0.5);
        // 0 has nothing within 1; 1 and 2 have; 10 has nothing within 8.
        assert!(Neighborhoods::new(Vectors::new(&[0.0, 1.0], 1), 2).is_none());
        let same = real.manifold(&real);
        assert_eq!((same.precision, same.recall, same.coverage), (1.0, 1.0, 1.0));
    }

    #[test]
    fn the_nearest_image_is_found_by_its_pixels() {
        let mut rng = latent_runtime::rng::Rng::from_seed(5);
        let size = 300;
        let among: Vec<u8> = (0..40 * size).map(|_| rng.next_u64() as u8).collect();
        let mut image = among[7 * size..8 * size].to_vec();
        image[250] = image[250].wrapping_add(3);
        let found = nearest_of_bytes(&image, &among, size, 3);
        assert_eq!(found[0][0].0, 7);
        for (place, distance) in &found[0] {
            let other = &among[place * size..(place + 1) * size];
            let squares = image.iter().zip(other).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            assert!((squares.sum::<f64>().sqrt() - distance).abs() < 1e-9);
        }
        assert!(found[0][1].1 <= found[0][2].1);
        assert!(nearest_of_bytes(&image, &among, 0, 3).is_empty());
    }
}
