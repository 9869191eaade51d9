//! From observed values to the scale and zero point of 8-bit integers.

use super::histogram::Histogram;
use super::{QuantizeError, entropy};

/// How the range of an activation is chosen. What lies beyond it is clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Calibrator {
    /// Everything that was observed.
    MinMax,
    /// All but this percentage of the values (more than 50, at most 100), half of the rest being cut off at either end.
    Percentile(f64),
    /// The range whose rounding and clipping errors have the least mean square, searched on a histogram.
    Mse,
    /// The range in which 256 integers keep most of what the distribution tells: the one whose Kullback-Leibler divergence
    /// is least, as TensorRT calibrates.
    Entropy,
}

/// The integers of an activation: `scale * (integer - zero point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// The step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: u8,
}

/// The smallest step. The product of an activation's and a weight's is still a normal number.
pub(super) const MIN_SCALE: f32 = 1e-18;

impl Parameters {
    /// The parameters whose integers reach from `low` to `high`, up to a step; `low <= 0 <= high`.
    pub(super) fn of(low: f64, high: f64) -> Parameters {
        let scale = ((high - low) / 255.0) as f32;
        if scale == 0.0 {
            // All zeros: any step will do.
            return Parameters { scale: 1.0, zero_point: 0 };
        }
        let scale = scale.max(MIN_SCALE);
        let zero_point = (-low / f64::from(scale)).round_ties_even().clamp(0.0, 255.0) as u8;
        Parameters { scale, zero_point }
    }

    /// The nearest value that an integer stands for.
    fn nearest(&self, value: f64) -> f64 {
        let (scale, zero_point) = (f64::from(self.scale), f64::from(self.zero_point));
        (value / scale).round_ties_even().clamp(-zero_point, 255.0 - zero_point) * scale
    }

    /// The least and the greatest value that there are integers for.
    pub fn range(&self) -> [f64; 2] {
        [0.0, 255.0].map(|integer| (integer - f64::from(self.zero_point)) * f64::from(self.scale))
    }

    /// The mean squared error of the values counted.
    fn error(&self, intervals: &[(f64, f64)]) -> f64 {
        intervals.iter().map(|&(value, count)| count * (value - self.nearest(value)).powi(2)).sum()
    }
}

/// Intervals of the histogram that are one for the entropy calibrator: then 2048 or more lie between zero and the value
/// farthest from it.
const INTERVALS_MERGED: usize = 2;

impl Calibrator {
    /// Its name on the command line and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Calibrator::MinMax => "min-max",
            Calibrator::Percentile(_) => "percentile",
            Calibrator::Mse => "mse",
            Calibrator::Entropy => "entropy",
        }
    }

    pub(super) fn check(&self) -> Result<(), QuantizeError> {
        match *self {
            Calibrator::Percentile(found) if !(found > 50.0 && found <= 100.0) => {
                Err(QuantizeError::Percentile { found })
            }
            _ => Ok(()),
        }
    }

    /// The parameters for values that are distributed like this.
    pub(super) fn parameters(&self, histogram: &Histogram) -> Parameters {
        let (low, high) = (f64::from(histogram.low).min(0.0), f64::from(histogram.high).max(0.0));
        match *self {
            Calibrator::MinMax => Parameters::of(low, high),
            Calibrator::Percentile(percentile) => {
                let cut = histogram.count() as f64 * (100.0 - percentile) / 200.0;
                let from = beyond(histogram.intervals().map(|(low, _, count)| (low, count)), cut);
                let to = beyond(histogram.intervals().rev().map(|(_, high, count)| (high, count)), cut);
                Parameters::of(from.clamp(low, 0.0), to.clamp(0.0, high))
            }
            Calibrator::Mse => least_error(histogram, low, high),
            Calibrator::Entropy => {
                let (bounds, counts) = histogram.merged(INTERVALS_MERGED);
                match entropy::least_divergence(&counts) {
                    Some(kept) => {
                        Parameters::of(bounds(kept.start).clamp(low, 0.0), bounds(kept.end).clamp(0.0, high))
                    }
                    None => Parameters::of(low, high),
                }
            }
        }
    }
}

/// The bound of the first interval with which more than `cut` values are seen.
fn beyond(intervals: impl IntoIterator<Item = (f64, u64)>, cut: f64) -> f64 {
    let mut seen = 0.0;
    let mut intervals = intervals.into_iter();
    let found = intervals.find(|(_, count)| {
        seen += *count as f64;
        seen > cut
    });
    found.map_or(0.0, |(bound, _)| bound)
}

/// Searches the range within `low` to `high` whose mean squared error is least.
fn least_error(histogram: &Histogram, low: f64, high: f64) -> Parameters {
    let intervals: Vec<(f64, f64)> =
        histogram.intervals().map(|(low, high, count)| ((low + high) / 2.0, count as f64)).collect();
    // Both ends in turn, each in steps that get finer around the best so far.
    let (mut best_low, mut best_high) = (low, high);
    let mut best = Parameters::of(low, high);
    let mut least = best.error(&intervals);
    for (reach, steps) in [(0.9, 45), (0.05, 10), (0.01, 10)] {
        let (center_low, center_high) = (best_low, best_high);
        for end in [1, 0, 1] {
            let center = if end == 1 { center_high } else { center_low };
            let whole = if end == 1 { high } else { low };
            for step in 0..=2 * steps {
                let offset = reach * (f64::from(step) / f64::from(steps) - 1.0);
                let bound = center + offset * whole;
                let (from, to) = if end == 1 { (best_low, bound) } else { (bound, best_high) };
                if from < low || from > 0.0 || to < 0.0 || to > high || from == to {
                    continue;
                }
                let parameters = Parameters::of(from, to);
                let error = parameters.error(&intervals);
                if error < least {
                    (least, best, best_low, best_high) = (error, parameters, from, to);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::rng::Rng;

    fn histogram(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::new();
        histogram.add(values).unwrap();
        histogram
    }

    #[test]
    fn parameters_hold_zero_and_the_range() {
        let cases = [
            ((0.0, 255.0), (1.0, 0)),
            ((-255.0, 0.0), (1.0, 255)),
            ((-1.28, 1.27), (0.01, 128)),
            ((-0.1, 2.45), (0.01, 10)),
            ((0.0, 0.0), (1.0, 0)),
        ];
        for ((low, high), (scale, zero_point)) in cases {
            let parameters = Parameters::of(low, high);
            assert!((parameters.scale - scale).abs() < 1e-7, "{low} {high}: {parameters:?}");
            assert_eq!(parameters.zero_point, zero_point, "{low} {high}");
            let [from, to] = parameters.range();
            let half_a_step = f64::from(parameters.scale) * 0.5001;
            assert!(from <= low + half_a_step && to >= high - half_a_step, "{low} {high}: {from} {to}");
        }
        assert!(Parameters::of(0.0, 1e-40).scale >= MIN_SCALE);
    }

    #[test]
    fn min_max_takes_everything() {
        let cases: [(&[f32], [f64; 2]); 4] = [
            (&[1.0, 3.0], [0.0, 3.0]),
            (&[-2.0, -1.0], [-2.0, 0.0]),
            (&[-1.0, 1.55], [-1.0, 1.55]),
            (&[0.0], [0.0, 255.0]),
        ];
        for (values, expected) in cases {
            let found = Calibrator::MinMax.parameters(&histogram(values)).range();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}: {found:?}");
        }
    }

    #[test]
    fn a_percentile_cuts_half_at_either_end() {
        // 0, 1, ..., 9999: 1 % is a hundred values.
        let values: Vec<f32> = (0..10_000).map(|value| value as f32).collect();
        let centered: Vec<f32> = values.iter().map(|value| value - 5000.0).collect();
        for (values, percentile, expected) in [
            (&values, 99.0, [0.0, 9949.0]),
            (&values, 100.0, [0.0, 9999.0]),
            (&centered, 99.0, [-4950.0, 4949.0]),
            (&centered, 90.0, [-4500.0, 4499.0]),
        ] {
            let found = Calibrator::Percentile(percentile).parameters(&histogram(values));
            // An interval of the histogram is 2, and the zero point is rounded.
            let tolerance = 2.5 + f64::from(found.scale) / 2.0;
            let range = found.range();
            assert!(
                range.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance),
                "{percentile}: {range:?}, expected {expected:?}"
            );
        }
        for wrong in [50.0, 100.1, f64::NAN] {
            assert!(Calibrator::Percentile(wrong).check().is_err());
        }
    }

    /// The least-error range of a normal distribution for 8 bits is known: 2 * 3.92 standard deviations for a
    /// uniform quantizer of 256 levels (J. Max, "Quantizing for minimum distortion", 1960, and the tables after it).
    #[test]
    fn the_least_error_of_a_normal_distribution() {
        let mut rng = Rng::from_seed(3);
        let values: Vec<f32> = (0..400_000).map(|_| rng.normal()).collect();
        let [low, high] = Calibrator::Mse.parameters(&histogram(&values)).range();
        assert!((-4.2..-3.65).contains(&low) && (3.65..4.2).contains(&high), "{low} {high}");
    }

    /// The range of the least divergence: less than everything, symmetric for what is symmetric, from zero for what is
    /// nowhere below it, and nowhere beyond what was observed. Its exact bounds are tested with the search itself.
    #[test]
    fn the_least_divergence() {
        let mut rng = Rng::from_seed(5);
        let normal: Vec<f32> = (0..400_000).map(|_| rng.normal()).collect();
        let mut rectified: Vec<f32> = normal.iter().map(|value| value.max(0.0)).collect();
        rectified.push(100.0);
        let leaky: Vec<f32> = normal.iter().map(|value| value.max(0.01 * value)).collect();
        let range = |values: &[f32]| Calibrator::Entropy.parameters(&histogram(values)).range();
        let [low, high] = range(&normal);
        assert!((low + high).abs() < 0.05 && (2.0..5.0).contains(&high), "{low} {high}");
        let [low, high] = range(&rectified);
        assert!(low == 0.0 && (2.0..30.0).contains(&high), "{low} {high}");
        let [low, high] = range(&leaky);
        assert!((-0.07..-0.03).contains(&low) && (2.0..5.0).contains(&high), "{low} {high}");
        assert_eq!(Calibrator::Entropy.parameters(&histogram(&[0.0; 5])), Parameters::of(0.0, 0.0));
        let found = Calibrator::Entropy.parameters(&histogram(&[0.5; 9])).range();
        assert!(found[0] == 0.0 && (found[1] - 0.5).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn the_least_error_is_no_worse_than_the_other_ranges() {
        let mut rng = Rng::from_seed(4);
        let mut draw = |what: &str| -> Vec<f32> {
            let mut one = || match what {
                "uniform" => rng.uniform(-1.0, 1.0),
                "rectified" => rng.normal().max(0.0),
                "exponential" => -rng.uniform(1e-6, 1.0).ln(),
                _ => rng.normal() + 3.0,
            };
            let mut values: Vec<f32> = (0..20_000).map(|_| one()).collect();
            values.push(if what == "uniform" { 1.0 } else { 30.0 });
            values
        };
        for what in ["uniform", "rectified", "exponential", "shifted"] {
            let values = draw(what);
            let histogram = histogram(&values);
            let error = |calibrator: Calibrator| {
                let parameters = calibrator.parameters(&histogram);
                let nearest = |&value: &f32| (f64::from(value) - parameters.nearest(value.into())).powi(2);
                values.iter().map(nearest).sum::<f64>()
            };
            let least = error(Calibrator::Mse);
            for other in [
                Calibrator::MinMax,
                Calibrator::Percentile(99.9),
                Calibrator::Percentile(99.99),
                Calibrator::Entropy,
            ] {
                assert!(least <= error(other) * 1.001, "{what}: {other:?}");
            }
            if what == "rectified" || what == "exponential" {
                assert_eq!(Calibrator::Mse.parameters(&histogram).zero_point, 0, "{what}");
            }
        }
    }
}
