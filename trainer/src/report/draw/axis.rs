//! Scales of charts: from values to points, and where ticks go.

use latent_files::text;

/// A linear scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    start: f32,
    end: f32,
}

impl Axis {
    /// Maps `low` to the point `start` and `high` to the point `end`. An empty or unusable range is widened.
    pub fn new(low: f64, high: f64, start: f32, end: f32) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let (low, high) = if high > low {
            (low, high)
        } else {
            let half = low.abs().max(1e-6) * 0.5;
            (low - half, low + half)
        };
        Self { low, high, start, end }
    }

    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where a value lies.
    pub fn at(&self, value: f64) -> f32 {
        let part = (value - self.low) / (self.high - self.low);
        // Far outside is as good as outside, and safe to draw.
        self.start + part.clamp(-10.0, 11.0) as f32 * (self.end - self.start)
    }

    /// About `count` round values within the range, and the distance between them (1, 2 or 5 times a power of ten).
    pub fn ticks(&self, count: usize) -> (Vec<f64>, f64) {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|part| part * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        ((first..=last).map(|index| index as f64 * step).collect(), step)
    }
}

/// Decimals that tell multiples of `step` apart.
pub fn decimals_for(step: f64) -> usize {
    if step > 0.0 && step.is_finite() { (-step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize } else { 0 }
}

/// A whole number with a space between groups of three digits: `12 500`.
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    if digits.len() <= 4 {
        return format!("{value:.0}");
    }
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", text::grouped(value.abs().round() as u64).replace(' ', "\u{a0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let cases: &[(f64, f64, usize, &[f64])] = &[
            (0.0, 1950.0, 5, &[0.0, 500.0, 1000.0, 1500.0]),
            (0.0, 10.0, 5, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
            (-1.0, 1.0, 4, &[-1.0, -0.5, 0.0, 0.5, 1.0]),
            (0.61, 0.69, 4, &[0.62, 0.64, 0.66, 0.68]),
        ];
        for (low, high, count, expected) in cases {
            let (ticks, step) = Axis::new(*low, *high, 0.0, 1.0).ticks(*count);
            assert_eq!(ticks.len(), expected.len(), "{low}..{high}: {ticks:?}");
            for (found, expected) in ticks.iter().zip(*expected) {
                assert!((found - expected).abs() < 1e-9 * step.max(1.0), "{low}..{high}: {ticks:?}");
            }
        }
    }

    #[test]
    fn unusable_ranges_are_widened() {
        for (low, high) in [(1.0, 1.0), (0.0, 0.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            let axis = Axis::new(low, high, 10.0, 20.0);
            assert!(axis.range().0 < axis.range().1);
            assert!(axis.at(axis.range().0) == 10.0 && axis.at(axis.range().1) == 20.0);
            assert!(!axis.ticks(5).0.is_empty());
        }
        assert!(Axis::new(0.0, 1.0, 0.0, 100.0).at(1e300).is_finite());
    }

    #[test]
    fn labels() {
        assert_eq!([1.0, 0.5, 0.2, 0.05, 0.001, 50.0].map(decimals_for), [0, 1, 1, 2, 3, 0]);
        assert_eq!(
            [0.0, 950.0, 1950.0, 12_500.0, 1_250_000.0, -12_500.0].map(grouped),
            ["0", "950", "1950", "12\u{a0}500", "1\u{a0}250\u{a0}000", "−12\u{a0}500"]
        );
    }
}
