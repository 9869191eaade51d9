//! Smoothed means over iterations.

use serde::{Deserialize, Serialize};

/// An exponential moving average over iterations, corrected for its start: the first value counts in full, and gaps
/// between observations count as the iterations they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mean {
    /// How many iterations the average looks back.
    span: f64,
    sum: f64,
    weight: f64,
}

impl Mean {
    pub(super) fn over(iterations: f64) -> Self {
        Self { span: iterations, sum: 0.0, weight: 0.0 }
    }

    /// Takes in a finite value that was seen `gap` iterations after the one before.
    pub(super) fn add(&mut self, value: f64, gap: u64) {
        let keep = (-(gap.max(1) as f64) / self.span).exp();
        self.sum = keep * self.sum + (1.0 - keep) * value;
        self.weight = keep * self.weight + (1.0 - keep);
    }

    /// The average, 0 before the first value.
    pub(super) fn get(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_its_own_mean_from_the_first_value_on() {
        let mut mean = Mean::over(50.0);
        assert_eq!(mean.get(), 0.0);
        for gap in [1, 1, 7, 1, 100] {
            mean.add(1.386, gap);
            assert!((mean.get() - 1.386).abs() < 1e-12);
        }
    }

    #[test]
    fn a_step_is_followed_within_the_span() {
        let mut every = Mean::over(50.0);
        let mut tenth = Mean::over(50.0);
        (0..500).for_each(|_| every.add(0.0, 1));
        (0..50).for_each(|_| tenth.add(0.0, 10));
        (0..50).for_each(|_| every.add(1.0, 1));
        (0..5).for_each(|_| tenth.add(1.0, 10));
        let expected = 1.0 - (-1.0f64).exp();
        assert!((every.get() - expected).abs() < 1e-3, "{}", every.get());
        assert!((tenth.get() - expected).abs() < 1e-3, "{}", tenth.get());
    }
}
