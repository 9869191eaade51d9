//! Real images, as a scorer sees them, and how generated ones compare.

use latent_files::run::Quality;
use latent_quality::{Classes, Gaussian, KernelDistance, Neighborhoods, Vectors, nearest_of_bytes};
use latent_runtime::rng::Rng;
use serde::Serialize;

use super::scorer::{Scorer, Scores};
use crate::data::Dataset;
use crate::simclr::features::spread;
use crate::training::TrainError;

/// Neighbors by which neighborhoods are drawn.
pub const NEIGHBORS: usize = 5;

/// Real images to compare with.
#[derive(Debug)]
pub struct Evaluator {
    scorer: Scorer,
    gaussian: Gaussian,
    scores: Scores,
    neighborhoods: Neighborhoods,
    shares: Vec<f64>,
}

impl Evaluator {
    /// Compares with `real` images, at most `most` of them, spread evenly.
    ///
    /// # Errors
    /// If they are not the scorer's, or too few.
    pub fn new(scorer: Scorer, real: &Dataset, most: usize) -> Result<Self, TrainError> {
        let found = [real.channels, real.height, real.width];
        let text = |shape: [usize; 3]| shape.map(|n| n.to_string()).join("x");
        if found != scorer.image() {
            return Err(TrainError::Data(format!(
                "the images of {} are {}, the scorer of {} takes {}",
                real.source,
                text(found),
                scorer.info.data,
                text(scorer.image())
            )));
        }
        let real = spread(real, most);
        let scores = scorer.measure(&real.pixels)?;
        let neighborhoods = neighborhoods(&scores)?;
        let even = vec![1.0 / scorer.classes() as f64; scorer.classes()];
        let shares = Classes::of(&scores.probabilities, &even).map_or(even, |classes| classes.shares);
        Ok(Self { gaussian: gaussian(&scores), scorer, scores, neighborhoods, shares })
    }

    /// What judges.
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// How many real images there are.
    pub fn real(&self) -> usize {
        self.scores.features.len() / self.scores.dimension.max(1)
    }

    /// The share of each class among the real images, as the scorer tells it.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Figures of images, planar bytes, and the share of each class.
    ///
    /// # Errors
    /// If there are too few, or libtorch fails.
    pub fn judge(&self, pixels: &[u8]) -> Result<(Quality, Vec<f64>), TrainError> {
        let scores = self.scorer.measure(pixels)?;
        let neighborhoods = neighborhoods(&scores)?;
        let vectors = |scores: &Scores| scores.features.len() / scores.dimension.max(1);
        let too_few = || TrainError::Data("there are too few images to judge".to_owned());
        let kernel = KernelDistance::between(
            Vectors::new(&self.scores.features, self.scores.dimension),
            Vectors::new(&scores.features, scores.dimension),
        );
        let kernel = kernel.ok_or_else(too_few)?;
        let classes = Classes::of(&scores.probabilities, &self.shares).ok_or_else(too_few)?;
        let manifold = self.neighborhoods.manifold(&neighborhoods);
        let quality = Quality {
            samples: vectors(&scores),
            frechet: self.gaussian.distance(&gaussian(&scores)),
            kernel: kernel.mean,
            score: classes.score,
            class_divergence: Some(classes.divergence).filter(|value| value.is_finite()),
            classes_covered: classes.covered,
            confident: classes.confident,
            precision: manifold.precision,
            recall: manifold.recall,
            density: manifold.density,
            coverage: manifold.coverage,
        };
        Ok((quality, classes.shares))
    }
}

fn gaussian(scores: &Scores) -> Gaussian {
    let features: Vec<f64> = scores.features.iter().map(|&value| f64::from(value)).collect();
    Gaussian::of(&features, scores.dimension)
}

fn neighborhoods(scores: &Scores) -> Result<Neighborhoods, TrainError> {
    let vectors = Vectors::new(&scores.features, scores.dimension);
    Neighborhoods::new(vectors, NEIGHBORS).ok_or_else(|| {
        TrainError::Data(format!(
            "{} images are too few to judge by, expected more than {NEIGHBORS}",
            vectors.len()
        ))
    })
}

/// As many images of even noise, planar bytes: what no generator should be near.
pub fn noise(values: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::from_seed(seed);
    (0..values).map(|_| (rng.next_u64() >> 56) as u8).collect()
}

/// Whether generated images are copies of training images: Euclidean distances of pixels, 0 to 255 each, to the nearest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memorization {
    /// Generated images that were looked up.
    pub samples: usize,
    /// Training images among which.
    pub training_images: usize,
    /// The median distance of a generated image.
    pub median: f64,
    /// The same of images that were kept apart, which are no copies. `None` if there are none.
    pub test_median: Option<f64>,
    /// The part of generated images nearer than all but a hundredth of those kept apart: about 0.01 if nothing was copied.
    pub suspicious: Option<f64>,
    /// The nearest pairs: generated image, then training images with their distances.
    #[serde(skip)]
    pub nearest: Vec<(usize, Vec<(usize, f64)>)>,
}

/// Pairs that are shown.
const PAIRS: usize = 10;
/// Training images beside each.
const BESIDE: usize = 5;

impl Memorization {
    /// Looks for the images nearest to `generated` ones, planar bytes of `size` each, among `training`; and for those nearest to as
    /// many of `test`.
    pub fn look(generated: &[u8], training: &[u8], test: Option<&[u8]>, size: usize) -> Self {
        let found = nearest_of_bytes(generated, training, size, BESIDE);
        let first = |found: &[Vec<(usize, f64)>]| {
            let mut distances: Vec<f64> =
                found.iter().filter_map(|near| near.first()).map(|near| near.1).collect();
            distances.sort_by(f64::total_cmp);
            distances
        };
        let distances = first(&found);
        let middle = |sorted: &[f64]| sorted.get(sorted.len() / 2).copied();
        let of_test = test.map(|test| {
            let most = test.len().min(generated.len());
            first(&nearest_of_bytes(&test[..most], training, size, 1))
        });
        let limit = of_test.as_ref().and_then(|sorted| sorted.get(sorted.len() / 100).copied());
        let mut nearest: Vec<(usize, Vec<(usize, f64)>)> = found.into_iter().enumerate().collect();
        nearest.sort_by(|a, b| {
            let distance =
                |pair: &(usize, Vec<(usize, f64)>)| pair.1.first().map_or(f64::INFINITY, |near| near.1);
            distance(a).total_cmp(&distance(b))
        });
        nearest.truncate(PAIRS);
        Self {
            samples: distances.len(),
            training_images: training.len() / size.max(1),
            median: middle(&distances).unwrap_or(f64::NAN),
            test_median: of_test.as_deref().and_then(middle),
            suspicious: limit.map(|limit| {
                distances.iter().filter(|distance| **distance < limit).count() as f64
                    / distances.len().max(1) as f64
            }),
            nearest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_suspicious_and_comes_first() {
        let size = 20;
        let (training, test) = (noise(50 * size, 1), noise(200 * size, 2));
        let mut generated = noise(8 * size, 3);
        generated[5 * size..6 * size].copy_from_slice(&training[7 * size..8 * size]);
        let found = Memorization::look(&generated, &training, Some(&test), size);
        assert_eq!((found.nearest[0].0, found.nearest[0].1[0]), (5, (7, 0.0)));
        assert!(found.suspicious.unwrap() >= 0.125 && found.samples == 8, "{found:?}");
        assert!(found.test_median.unwrap() > 0.0);
        let alone = Memorization::look(&generated, &training, None, size);
        assert_eq!((alone.suspicious, alone.test_median), (None, None));
    }
}
