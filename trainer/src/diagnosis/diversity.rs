//! How different images are from each other.

/// Root mean square distance between two images of a set, per value: 0 if all are the same, in the units of the values.
///
/// `images` are `count` images of equal size, one after the other. For independent values of standard deviation s it is
/// about s times the square root of 2; 64 MNIST digits in [-1, 1] have about 0.71. `None` for fewer than two images, a
/// length that `count` does not divide, or values that are not finite.
///
/// The sum over pairs is taken through the mean image, so the cost is linear in `images.len()`:
/// the mean of |x_i - x_j|^2 over pairs equals 2 / (N - 1) times the sum of |x_i - m|^2.
pub fn diversity(images: &[f32], count: usize) -> Option<f32> {
    if count < 2 || images.is_empty() || !images.len().is_multiple_of(count) {
        return None;
    }
    let size = images.len() / count;
    let mut mean = vec![0.0f64; size];
    for image in images.chunks_exact(size) {
        for (sum, value) in mean.iter_mut().zip(image) {
            *sum += f64::from(*value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= count as f64);
    let mut total = 0.0f64;
    for image in images.chunks_exact(size) {
        for (mean, value) in mean.iter().zip(image) {
            total += (f64::from(*value) - mean).powi(2);
        }
    }
    let result = (2.0 * total / ((count - 1) as f64 * size as f64)).sqrt() as f32;
    result.is_finite().then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_mean_over_pairs() {
        let mut rng = latent_runtime::rng::Rng::from_seed(7);
        let images: Vec<f32> = (0..9 * 20).map(|_| rng.uniform(-1.0, 1.0)).collect();
        let (mut sum, mut pairs) = (0.0f64, 0);
        for i in 0..9 {
            for j in 0..i {
                let distance = (0..20).map(|k| f64::from(images[i * 20 + k] - images[j * 20 + k]).powi(2));
                sum += distance.sum::<f64>() / 20.0;
                pairs += 1;
            }
        }
        let expected = (sum / f64::from(pairs)).sqrt() as f32;
        assert!((diversity(&images, 9).unwrap() - expected).abs() < 1e-6);
    }

    #[test]
    fn edges() {
        assert_eq!(diversity(&[0.5; 30], 3), Some(0.0));
        assert_eq!(diversity(&[0.0, 1.0], 2), Some(1.0));
        for (images, count) in
            [(&[1.0f32; 5][..], 1), (&[1.0; 5], 2), (&[], 2), (&[1.0, f32::NAN], 2), (&[1.0; 4], 0)]
        {
            assert_eq!(diversity(images, count), None);
        }
    }
}
