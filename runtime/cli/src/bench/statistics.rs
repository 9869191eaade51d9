//! What many measured times come to.

use serde::Serialize;

/// Times of one run each, in microseconds, summed up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) runs: usize,
    pub(crate) mean_us: f64,
    pub(crate) least_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
}

impl Summary {
    /// Of at least one time.
    pub(crate) fn of(times: &[f64]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            runs: sorted.len(),
            mean_us: sorted.iter().sum::<f64>() / sorted.len().max(1) as f64,
            least_us: quantile(&sorted, 0.0),
            p50_us: quantile(&sorted, 0.5),
            p95_us: quantile(&sorted, 0.95),
            p99_us: quantile(&sorted, 0.99),
        }
    }
}

/// The value below which the share `q` of the sorted values lies, interpolated between neighbors; NaN of none.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The middle value; the mean of the two middle ones of an even number; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// How far outputs are from those of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// The largest difference of a value.
    pub(crate) largest: f64,
    /// The largest difference over the range of the reference's values.
    pub(crate) relative: f64,
    /// The ratio of that range to the root of the mean squared difference, in dB; `None` if they are equal.
    pub(crate) psnr_db: Option<f64>,
}

impl Difference {
    /// Of outputs of equal length. A value that is not a number differs infinitely.
    pub(crate) fn of(found: &[f32], reference: &[f32]) -> Self {
        let bounds = reference.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            (low.min(value.into()), high.max(value.into()))
        });
        let range = (bounds.1 - bounds.0).max(0.0);
        let (mut largest, mut squares) = (0.0f64, 0.0);
        for (&a, &b) in found.iter().zip(reference) {
            let difference = (f64::from(a) - f64::from(b)).abs();
            let difference = if difference.is_nan() { f64::INFINITY } else { difference };
            largest = largest.max(difference);
            squares += difference * difference;
        }
        let root = (squares / found.len().max(1) as f64).sqrt();
        // The outputs of a constant network have no range; their size then is the measure.
        let range = if range > 0.0 { range } else { bounds.1.abs().max(f64::MIN_POSITIVE) };
        Self {
            largest,
            relative: largest / range,
            psnr_db: (root > 0.0).then(|| 20.0 * (range / root).log10()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbors() {
        let times: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let summary = Summary::of(&times);
        assert_eq!((summary.runs, summary.least_us, summary.mean_us), (101, 0.0, 50.0));
        assert_eq!((summary.p50_us, summary.p95_us, summary.p99_us), (50.0, 95.0, 99.0));
        for (values, expected) in [(&[3.0][..], 3.0), (&[5.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 2.0, 3.0], 2.5)] {
            assert_eq!(median(values), expected);
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn differences_are_relative_to_the_range() {
        let reference = [-1.0, 1.0, 0.0, 0.5];
        assert_eq!(
            Difference::of(&reference, &reference),
            Difference { largest: 0.0, relative: 0.0, psnr_db: None }
        );
        let found = Difference::of(&[-1.0, 1.0, 0.0, 0.7], &reference);
        assert!((found.largest - 0.2).abs() < 1e-7 && (found.relative - 0.1).abs() < 1e-7);
        // The root of the mean square is 0.1 in a range of 2.
        assert!((found.psnr_db.unwrap() - 26.0206).abs() < 1e-3);
        assert_eq!(Difference::of(&[f32::NAN], &[1.0]).largest, f64::INFINITY);
    }
}
