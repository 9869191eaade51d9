//! How regularly pictures came.

use std::fmt;

/// The times from picture to picture while something moved, in seconds.
#[derive(Clone, Debug, Default)]
pub struct FrameTimes {
    pub(super) seconds: Vec<f64>,
    /// What drawing took, without waiting for the next picture's time.
    pub(super) work: Vec<f64>,
}

impl FrameTimes {
    /// Their distribution in a line, if there are any.
    pub fn summary(&self) -> Option<impl fmt::Display + use<>> {
        let percentiles = |seconds: &[f64]| {
            let mut sorted = seconds.to_vec();
            sorted.sort_by(f64::total_cmp);
            let at = |p: f64| sorted.get(((sorted.len() as f64 * p).ceil() as usize).max(1) - 1).copied();
            Some((at(0.5)?, at(0.99)?, at(1.0)?))
        };
        let (p50, p99, longest) = percentiles(&self.seconds)?;
        let (work50, work99, _) = percentiles(&self.work)?;
        Some(format!(
            "{} pictures; from one to the next p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; drawing p50 {:.2} ms, \
             p99 {:.2} ms",
            self.seconds.len(),
            p50 * 1e3,
            p99 * 1e3,
            longest * 1e3,
            work50 * 1e3,
            work99 * 1e3
        ))
    }
}
