//! Nearest neighbors.

use super::Sample;

/// The `count` samples that are nearest to a sample, itself left out, each with its similarity: the cosine of the angle
/// between the embeddings, 1 for the same direction. The nearest come first; of equal ones those that stand first.
pub fn nearest(samples: &[Sample], query: usize, count: usize) -> Vec<(usize, f32)> {
    let Some(asked) = samples.get(query) else { return Vec::new() };
    let mut found: Vec<(usize, f32)> = samples
        .iter()
        .enumerate()
        .filter(|&(index, _)| index != query)
        .map(|(index, sample)| (index, dot(&asked.features, &sample.features)))
        .collect();
    let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count < found.len() {
        found.select_nth_unstable_by(count, order);
        found.truncate(count);
    }
    found.sort_unstable_by(order);
    found
}

/// The scalar product. Eight sums run beside each other, so that the compiler can use vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    fn sample(features: &[f32]) -> Sample {
        Sample {
            path: "a.png".into(),
            name: "a.png".into(),
            label: None,
            picture: Picture::black(1, 1, 1),
            features: features.to_vec(),
        }
    }

    #[test]
    fn the_nearest_come_first_and_the_image_itself_does_not() {
        let samples =
            [[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [0.6, 0.8], [0.8, 0.6], [-1.0, 0.0]].map(|f| sample(&f));
        let indices = |query, count| nearest(&samples, query, count).iter().map(|n| n.0).collect::<Vec<_>>();
        assert_eq!(indices(0, 9), [2, 4, 3, 1, 5]);
        assert_eq!(indices(0, 2), [2, 4]);
        assert_eq!(indices(2, 1), [4]);
        assert_eq!(indices(0, 0), [0; 0]);
        assert_eq!(indices(6, 3), [0; 0]);
        assert!((nearest(&samples, 0, 3)[2].1 - 0.6).abs() < 1e-6);
    }

    #[test]
    fn long_products_are_those_of_plain_sums() {
        for length in [0, 1, 7, 8, 9, 100] {
            let a: Vec<f32> = (0..length).map(|i| (i as f32 * 0.7).sin()).collect();
            let b: Vec<f32> = (0..length).map(|i| (i as f32 * 0.3).cos()).collect();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum();
            assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-5, "{length}");
        }
    }
}
