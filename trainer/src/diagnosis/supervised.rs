//! Reading a classifier's run: recognizes that nothing is learned, and says so in one sentence.
//!
//! - *Not learning*: the loss stays at ln(classes), that of guessing.
//! - *Not finite*: the loss is NaN or infinite.

use serde::{Deserialize, Serialize};

use super::mean::Mean;
use super::{Finding, FindingKind, Log, Report, Sustained};

/// Iterations over which the loss is averaged.
const SPAN: f64 = 30.0;
/// Iterations after which a loss at the level of guessing is no longer a slow start.
const LATE: u64 = 200;
/// Below this many iterations a run is too short for a verdict.
const VERDICT: u64 = 200;

/// The figures of one iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The iteration, increasing from one to the next (gaps are fine).
    pub iteration: u64,
    pub loss: f64,
}

/// Watches the figures of a classifier's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitMonitor {
    /// ln(classes).
    guessing: f64,
    loss: Mean,
    not_learning: Sustained,
    #[serde(flatten)]
    log: Log,
}

impl FitMonitor {
    /// A monitor for a run with this many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            guessing: (classes.max(2) as f64).ln(),
            loss: Mean::over(SPAN),
            not_learning: Sustained::default(),
            log: Log::default(),
        }
    }

    /// ln(classes), the loss of guessing.
    pub fn guessing(&self) -> f64 {
        self.guessing
    }

    /// Takes in an iteration's figures; returns a finding when one begins.
    ///
    /// An observation that is not later than the one before is ignored.
    pub fn observe(&mut self, Fit { iteration, loss }: Fit) -> Option<Finding> {
        let (gap, age) = self.log.advance(iteration)?;
        if !loss.is_finite() {
            return self.log.not_finite(|| {
                format!(
                    "the loss is {loss} in iteration {iteration}: the weights are no longer usable, so go back to the last checkpoint and lower the learning rate (--lr)"
                )
            });
        }
        self.loss.add(loss, gap);
        let (loss, guessing) = (self.loss.get(), self.guessing);
        let change = self.not_learning.update(iteration, age >= LATE && loss >= 0.97 * guessing, 60);
        self.log.follow(FindingKind::NotLearning, change, |since| {
            format!(
                "nothing is learned: since iteration {since} the loss has stayed at {loss:.3}, and ln(classes) = {guessing:.3} is that of guessing: check the learning rate (--lr), and that the labels are those of the images"
            )
        })
    }

    /// Sums the run up.
    pub fn report(&self, test_accuracy: Option<f64>) -> Report {
        self.log.report(VERDICT, |count| match test_accuracy {
            Some(part) => format!(
                "healthy at the end of {count} iterations: {:.2} % of the test images are classified rightly",
                100.0 * part
            ),
            None => format!("healthy at the end of {count} iterations; there are no test images"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_judged() {
        let guess = 10f64.ln();
        let cases: [(f64, f64, &[FindingKind], &str); 3] = [
            (guess, 0.02, &[], "healthy at the end of 400"),
            (guess, guess, &[FindingKind::NotLearning], "not healthy"),
            (guess, f64::NAN, &[FindingKind::NotFinite], "not healthy"),
        ];
        for (first, last, expected, verdict) in cases {
            let mut monitor = FitMonitor::new(10);
            let loss = |at: u64| if at < 100 { first } else { last };
            let found: Vec<FindingKind> = (1..=400)
                .filter_map(|iteration| monitor.observe(Fit { iteration, loss: loss(iteration) }))
                .map(|finding| finding.kind)
                .collect();
            assert_eq!(found, expected);
            let said = monitor.report(Some(0.994)).verdict;
            assert!(said.starts_with(verdict), "{said}");
        }
    }
}
