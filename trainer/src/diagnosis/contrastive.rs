//! Reading a contrastive run: recognizes that nothing is learned, and says so in one sentence.
//!
//! - *Collapse*: all images get nearly the same embedding. Then the loss is ln(2N-1), that of guessing which of 2N-1 views belongs
//!   to a view, whatever the images are.
//! - *Not learning*: the loss stays at ln(2N-1) although embeddings differ: views of an image are no nearer to each other than to
//!   those of other images.
//! - *Not finite*: the loss is NaN or infinite.

use serde::{Deserialize, Serialize};

use super::mean::Mean;
use super::{Finding, FindingKind, Log, Report, Sustained};

/// Iterations over which figures are averaged.
const SPAN: f64 = 30.0;
/// Iterations at the start that say nothing.
const START: u64 = 30;
/// How long a condition must hold.
const HELD: u64 = 60;
/// Embeddings whose mean similarity is above this are alike. Healthy ones spread over the sphere: an untrained projection head gives
/// 0.3 to 0.7, and after some tens of iterations it is below 0.1.
const ALIKE: f64 = 0.9;
/// How far below ln(2N-1) the loss must be to show that something was learned. A healthy run is 0.2 below within 100 iterations.
const LEARNED: f64 = 0.05;
/// Iterations after which a loss at ln(2N-1) is no longer a slow start.
const LATE: u64 = 200;
/// Below this many iterations a run is too short for a verdict.
const VERDICT: u64 = 200;

/// The figures of one iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The iteration, increasing from one to the next (gaps are fine).
    pub iteration: u64,
    pub loss: f64,
    /// The mean similarity of the two views of an image.
    pub positive: f64,
    /// The mean similarity of all embeddings, between 0 and 1.
    pub similarity: f64,
}

/// Watches the figures of a contrastive run.
///
/// ```
/// use latent_trainer::diagnosis::{Contrast, ContrastMonitor};
///
/// let mut monitor = ContrastMonitor::new(256);
/// let alike = |iteration| Contrast { iteration, loss: 511f64.ln(), positive: 1.0, similarity: 1.0 };
/// let found = (1..=200).find_map(|iteration| monitor.observe(alike(iteration)));
/// assert_eq!(found.unwrap().kind.name(), "embedding-collapse");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContrastMonitor {
    /// ln(2N-1) for the run's batch.
    guessing: f64,
    loss: Mean,
    positive: Mean,
    #[serde(rename = "likeness")]
    similarity: Mean,
    collapse: Sustained,
    not_learning: Sustained,
    #[serde(flatten)]
    log: Log,
}

impl ContrastMonitor {
    /// A monitor for a run with this many images in a batch.
    pub fn new(batch: usize) -> Self {
        Self {
            guessing: (2.0 * batch as f64 - 1.0).max(1.0).ln(),
            loss: Mean::over(SPAN),
            positive: Mean::over(SPAN),
            similarity: Mean::over(SPAN),
            collapse: Sustained::default(),
            not_learning: Sustained::default(),
            log: Log::default(),
        }
    }

    /// ln(2N-1), the loss of guessing.
    pub fn guessing(&self) -> f64 {
        self.guessing
    }

    /// Takes in an iteration's figures; returns a finding when one begins.
    ///
    /// An observation that is not later than the one before is ignored.
    pub fn observe(&mut self, seen: Contrast) -> Option<Finding> {
        let (gap, age) = self.log.advance(seen.iteration)?;
        if !(seen.loss.is_finite() && seen.similarity.is_finite() && seen.positive.is_finite()) {
            return self.log.not_finite(|| {
                format!(
                    "the loss is {} in iteration {}: the weights are no longer usable, so go back to the last checkpoint and lower the learning rate (--lr), or train without --amp",
                    seen.loss, seen.iteration
                )
            });
        }
        self.loss.add(seen.loss, gap);
        self.positive.add(seen.positive, gap);
        self.similarity.add(seen.similarity, gap);
        let (loss, similarity) = (self.loss.get(), self.similarity.get());
        let alike = age >= START && similarity >= ALIKE;
        let change = self.collapse.update(seen.iteration, alike, HELD);
        let collapse = self.log.follow(FindingKind::EmbeddingCollapse, change, |since| {
            format!(
                "the embeddings collapsed: since iteration {since} those of all images have been nearly the same (mean similarity {similarity:.3}, loss {loss:.3}; ln(2N-1) = {:.3} is that of guessing), so that the encoder tells no image from another: lower the learning rate (--lr), lengthen the warm-up (--warmup-epochs), or lower --weight-decay",
                self.guessing
            )
        });
        if collapse.is_some() {
            return collapse;
        }
        // A collapse says the same, and more.
        let stuck = age >= LATE && loss >= self.guessing - LEARNED && !alike;
        let change = self.not_learning.update(seen.iteration, stuck, HELD);
        self.log.follow(FindingKind::NotLearning, change, |since| {
            format!(
                "nothing is learned: since iteration {since} the loss has stayed at {loss:.3}, and ln(2N-1) = {:.3} is that of guessing (two views of an image have a mean similarity of {:.3}, any two of {similarity:.3}): check the learning rate (--lr), which may be far too low or too high, and that the views still show what is in the image (--show-augmentations)",
                self.guessing,
                self.positive.get()
            )
        })
    }

    /// Sums the run up.
    pub fn report(&self) -> Report {
        self.log.report(VERDICT, |count| {
            format!(
                "healthy at the end of {count} iterations: the loss is {:.3}, {:.3} below that of guessing; two views of an image have a mean similarity of {:.3}, any two of {:.3}",
                self.loss.get(),
                self.guessing - self.loss.get(),
                self.positive.get(),
                self.similarity.get()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of a run by its age: loss, positive, similarity.
    type Curve = fn(f64) -> (f64, f64, f64);

    fn guess() -> f64 {
        511f64.ln()
    }

    fn healthy(t: f64) -> (f64, f64, f64) {
        let part = 1.0 - (-t / 60.0).exp();
        (guess() - 0.9 * part, 0.2 + 0.6 * part, 0.9 * (1.0 - part) + 0.02)
    }

    #[test]
    fn runs_are_judged_by_their_curves() {
        let cases: [(&str, Curve, u64, &[&str], &str); 7] = [
            ("healthy", healthy, 600, &[], "healthy at the end of 600 iterations: the loss is 5.336"),
            ("short", healthy, 100, &[], "too few for a verdict"),
            (
                "collapsed",
                |_| (guess(), 1.0, 1.0),
                300,
                &["embedding-collapse"],
                "not healthy at the end of 300 iterations: embedding-collapse (found in iteration 91)",
            ),
            (
                "collapsed later",
                |t| if t < 300.0 { healthy(t) } else { (guess(), 0.999, 0.998) },
                800,
                &["embedding-collapse"],
                "embedding-collapse",
            ),
            ("stuck", |_| (guess() - 0.01, 0.1, 0.1), 400, &["not-learning"], "not-learning"),
            (
                "slow, then healthy",
                |t| if t < 150.0 { (guess(), 0.9, 0.85) } else { healthy(t - 150.0) },
                700,
                &[],
                "healthy",
            ),
            (
                "collapsed, then recovered",
                |t| if t < 200.0 { (guess(), 1.0, 1.0) } else { healthy(t - 200.0) },
                900,
                &["embedding-collapse"],
                "healthy",
            ),
        ];
        for (name, curve, count, expected, verdict) in cases {
            let mut monitor = ContrastMonitor::new(256);
            let mut live = Vec::new();
            for iteration in 1..=count {
                let (loss, positive, similarity) = curve(iteration as f64);
                live.extend(monitor.observe(Contrast { iteration, loss, positive, similarity }));
                // Saved and read back.
                if iteration % 100 == 0 {
                    let text = serde_json::to_string(&monitor).unwrap();
                    monitor = serde_json::from_str(&text).unwrap();
                }
            }
            let report = monitor.report();
            assert_eq!(report.findings, live, "{name}");
            let kinds: Vec<&str> = live.iter().map(|finding| finding.kind.name()).collect();
            assert_eq!(kinds, expected, "{name}: {report}");
            assert!(report.verdict.contains(verdict), "{name}: {report}");
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_said_once() {
        let mut monitor = ContrastMonitor::new(8);
        let seen = |iteration, loss| Contrast { iteration, loss, positive: 0.5, similarity: 0.1 };
        assert_eq!(monitor.observe(seen(1, 2.0)), None);
        assert_eq!(monitor.observe(seen(2, f64::NAN)).unwrap().kind, FindingKind::NotFinite);
        assert_eq!(monitor.observe(seen(3, f64::NAN)), None);
        assert!(monitor.report().verdict.starts_with("not healthy"));
    }
}
