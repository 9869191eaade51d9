//! How different images are from each other.

use std::collections::BTreeMap;

/// Root mean square distance between two images of a set, per value: 0 if all are the same, in the units of the values.
///
/// `images` are `count` images of equal size, one after the other. For independent values of standard deviation s it is
/// about s times the square root of 2; 64 MNIST digits in [-1, 1] have about 0.71. `None` for fewer than two images, a
/// length that `count` does not divide, or values that are not finite.
///
/// The sum over pairs is taken through the mean image, so the cost is linear in `images.len()`:
/// the mean of |x_i - x_j|^2 over pairs equals 2 / (N - 1) times the sum of |x_i - m|^2.
pub fn diversity(images: &[f32], count: usize) -> Option<f32> {
    within_groups(images, &vec![0; count])
}

/// The [`diversity()`] within groups of images, `groups` having the group of each: 0 if all images of a group are the same,
/// however different the groups are. So a generator that makes one image for each class has none.
///
/// It is pooled over the groups: 2 / (N - G) times the sum of |x_i - m|^2, for G groups and the mean m of the image's own.
/// `None` as for `diversity`, and where no group has two images.
pub fn within_groups(images: &[f32], groups: &[u32]) -> Option<f32> {
    let count = groups.len();
    if count < 2 || images.is_empty() || !images.len().is_multiple_of(count) {
        return None;
    }
    let size = images.len() / count;
    let mut sums: BTreeMap<u32, (usize, Vec<f64>)> = BTreeMap::new();
    for (image, group) in images.chunks_exact(size).zip(groups) {
        let (members, mean) = sums.entry(*group).or_insert_with(|| (0, vec![0.0; size]));
        *members += 1;
        for (sum, value) in mean.iter_mut().zip(image) {
            *sum += f64::from(*value);
        }
    }
    for (members, mean) in sums.values_mut() {
        mean.iter_mut().for_each(|sum| *sum /= *members as f64);
    }
    let mut total = 0.0f64;
    for (image, group) in images.chunks_exact(size).zip(groups) {
        for (mean, value) in sums.get(group)?.1.iter().zip(image) {
            total += (f64::from(*value) - mean).powi(2);
        }
    }
    let result = (2.0 * total / ((count - sums.len()) as f64 * size as f64)).sqrt() as f32;
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
    fn within_groups_the_distance_between_groups_does_not_count() {
        let mut rng = latent_runtime::rng::Rng::from_seed(8);
        let groups = [0, 3, 0, 0, 3, 7];
        let images: Vec<f32> = (0..6 * 20).map(|_| rng.uniform(-1.0, 1.0)).collect();
        let found = within_groups(&images, &groups).unwrap();
        // The pooled variance: each group's squared diversity counts with its degrees of freedom; a single image has none.
        let of = |group: u32| {
            let chosen = images.chunks(20).zip(groups).filter(|(_, own)| *own == group);
            let chosen: Vec<f32> = chosen.flat_map(|(image, _)| image.to_vec()).collect();
            diversity(&chosen, chosen.len() / 20).unwrap().powi(2)
        };
        let expected = ((2.0 * of(0) + of(3)) / 3.0).sqrt();
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        let moved: Vec<f32> =
            images.chunks(20).zip(groups).flat_map(|(i, g)| i.iter().map(move |v| v + g as f32)).collect();
        assert!((within_groups(&moved, &groups).unwrap() - found).abs() < 1e-6);
        assert!(diversity(&moved, 6).unwrap() > 2.0 * found);
        assert_eq!(within_groups(&images, &[0, 1, 2, 3, 4, 5]), None);
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
