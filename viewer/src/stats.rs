//! Latencies and frame rates over the last second.

use std::collections::VecDeque;

/// The time that figures are taken over, in seconds.
const WINDOW: f64 = 1.0;

/// The samples that are kept for the curve.
pub const CURVE: usize = 120;

/// Durations with the times at which they were measured. Times are seconds from any beginning, and do not go back.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    samples: VecDeque<(f64, f64)>,
}

impl Durations {
    /// Adds a duration that was measured at `now`.
    pub fn push(&mut self, now: f64, seconds: f64) {
        self.samples.push_back((now, seconds));
        while self.samples.len() > CURVE && self.samples.front().is_some_and(|&(at, _)| at < now - WINDOW) {
            self.samples.pop_front();
        }
    }

    /// The median and the 99th percentile (nearest rank) of the durations of the last second; `None` if there are none.
    pub fn percentiles(&self, now: f64) -> Option<(f64, f64)> {
        let recent = self.samples.iter().rev().take_while(|&&(at, _)| at > now - WINDOW);
        let mut seconds: Vec<f64> = recent.map(|&(_, seconds)| seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let rank = |p: f64| ((seconds.len() as f64 * p).ceil() as usize).clamp(1, seconds.len()) - 1;
        (!seconds.is_empty()).then(|| (seconds[rank(0.5)], seconds[rank(0.99)]))
    }

    /// How many were measured in the last second.
    pub fn rate(&self, now: f64) -> usize {
        self.samples.iter().rev().take_while(|&&(at, _)| at > now - WINDOW).count()
    }

    /// The last durations, the oldest first, at most [`CURVE`] of them.
    pub fn curve(&self) -> impl ExactSizeIterator<Item = f64> {
        self.samples.range(self.samples.len().saturating_sub(CURVE)..).map(|&(_, seconds)| seconds)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_second() {
        let mut durations = Durations::default();
        assert_eq!(durations.percentiles(0.0), None);
        (0..9).for_each(|_| durations.push(0.0, 500.0));
        for i in 0..100 {
            durations.push(10.0 + f64::from(i) * 0.005, f64::from(i + 1));
        }
        assert_eq!(durations.percentiles(10.5), Some((50.0, 99.0)));
        assert_eq!(durations.rate(10.5), 100);
        assert_eq!(durations.percentiles(11.494), Some((100.0, 100.0)));
        assert_eq!((durations.percentiles(20.0), durations.rate(20.0)), (None, 0));
        assert_eq!(durations.curve().len(), 109);
        assert_eq!(durations.curve().last(), Some(100.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut durations = Durations::default();
        for i in 0..100_000 {
            durations.push(f64::from(i) * 0.01, 1.0);
        }
        assert!(durations.samples.len() <= CURVE + 1);
        durations.clear();
        assert_eq!(durations.curve().len(), 0);
    }
}
