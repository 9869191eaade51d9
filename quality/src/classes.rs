//! What a classifier says of generated images.

/// A probability above this is confident.
pub const CONFIDENT: f32 = 0.9;

/// A class that has at least this part of the share it has in the data is covered.
const COVERED: f64 = 0.1;

/// What a classifier says of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// The inception score of T. Salimans et al., "Improved techniques for training GANs" (2016), with this classifier in
    /// place of Inception: exp of the mean over images of KL(p(y|x) || p(y)), p(y) being the mean of p(y|x). It is 1 for
    /// images that all look alike to the classifier, and the number of classes for confident ones of equally many of each.
    pub score: f64,
    /// The share of the images that each class has, as the most probable one.
    pub shares: Vec<f64>,
    /// KL(shares || those of the data), in nats: 0 when classes are as frequent as in the data. Infinite for a class that the
    /// data does not have.
    pub divergence: f64,
    /// How many classes of the data have at least a tenth of the share that they have there: modes in the sense of A.
    /// Srivastava et al., "VEEGAN" (2017), who count each class that comes up at all.
    pub covered: usize,
    /// The part of the images whose most probable class has a probability above [`CONFIDENT`].
    pub confident: f64,
}

impl Classes {
    /// `probabilities` are those of `expected.len()` classes for each image; `expected` is the share of each class in the data.
    /// `None` for no image, or values that are not finite.
    pub fn of(probabilities: &[f32], expected: &[f64]) -> Option<Classes> {
        let classes = expected.len();
        let images = probabilities.chunks_exact(classes.max(1));
        let count = images.len() as f64;
        if images.len() == 0 || !probabilities.iter().all(|p| p.is_finite()) {
            return None;
        }
        let mut mean = vec![0.0f64; classes];
        let mut shares = vec![0.0f64; classes];
        let mut confident = 0.0;
        for image in images.clone() {
            let mut most = 0;
            for (class, &p) in image.iter().enumerate() {
                mean[class] += f64::from(p) / count;
                if p > image[most] {
                    most = class;
                }
            }
            shares[most] += 1.0 / count;
            confident += f64::from(u8::from(image[most] > CONFIDENT)) / count;
        }
        let divergence = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
        let of_images = images
            .map(|image| image.iter().zip(&mean).map(|(&p, &q)| divergence(f64::from(p), q)).sum::<f64>());
        let covered = |(share, expected): &(&f64, &f64)| **expected > 0.0 && **share >= COVERED * **expected;
        Some(Classes {
            score: (of_images.sum::<f64>() / count).exp(),
            divergence: shares.iter().zip(expected).map(|(&p, &q)| divergence(p, q)).sum(),
            covered: shares.iter().zip(expected).filter(covered).count(),
            confident,
            shares,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes() {
        let expected = [0.5, 0.25, 0.25, 0.0];
        // Certain, and as frequent as in the data.
        let certain =
            [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let found = Classes::of(certain.as_flattened(), &expected).unwrap();
        assert!((found.score - 8f64.sqrt()).abs() < 1e-12, "exp of the entropy of the shares");
        assert!(found.divergence.abs() < 1e-12);
        assert_eq!((found.covered, found.confident, &found.shares[..3]), (3, 1.0, &expected[..3]));
        // All alike and doubtful.
        let found = Classes::of([[0.4, 0.3, 0.3, 0.0]; 5].as_flattened(), &expected).unwrap();
        assert!((found.score - 1.0).abs() < 1e-6 && (found.divergence - 2f64.ln()).abs() < 1e-12);
        assert_eq!((found.covered, found.confident), (1, 0.0));
        let elsewhere = Classes::of(&[0.0, 0.0, 0.0, 1.0], &expected).unwrap();
        assert!(elsewhere.divergence.is_infinite() && elsewhere.covered == 0);
        assert_eq!(Classes::of(&[], &expected), None);
        assert_eq!(Classes::of(&[f32::NAN; 4], &expected), None);
    }
}
