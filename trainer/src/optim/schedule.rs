//! The course of the learning rate.

/// A rise along a straight line, then half a cosine down to 0, or a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The greatest learning rate.
    pub peak: f64,
    /// Steps of the rise.
    pub warmup: u64,
    /// All steps.
    pub total: u64,
    /// Whether it falls after the rise.
    pub cosine: bool,
}

impl Schedule {
    /// The learning rate of step `index`, from 0.
    pub fn at(&self, index: u64) -> f64 {
        if index < self.warmup {
            return self.peak * (index + 1) as f64 / self.warmup as f64;
        }
        if !self.cosine {
            return self.peak;
        }
        let (done, all) = (index - self.warmup, self.total.saturating_sub(self.warmup).max(1));
        let part = (done as f64 / all as f64).min(1.0);
        // The C library's cosine differs from one to the next.
        self.peak * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls() {
        let cosine = Schedule { peak: 0.8, warmup: 4, total: 14, cosine: true };
        for (index, expected) in
            [(0, 0.2), (1, 0.4), (3, 0.8), (4, 0.8), (9, 0.4), (13, 0.019_577_393_481_938_6), (99, 0.0)]
        {
            assert!((cosine.at(index) - expected).abs() < 1e-12, "{index}: {}", cosine.at(index));
        }
        let constant = Schedule { warmup: 0, cosine: false, ..cosine };
        assert_eq!([0, 7, 99].map(|index| constant.at(index)), [0.8; 3]);
        // A warm-up that is longer than the run.
        assert_eq!(Schedule { warmup: 100, total: 10, ..cosine }.at(9), 0.08);
    }
}
