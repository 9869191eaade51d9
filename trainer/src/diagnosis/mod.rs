//! Reading the losses: recognizes a run that goes wrong, and says so in one sentence.
//!
//! [`Monitor`] does so for runs of a GAN, [`ContrastMonitor`] for contrastive ones, [`FitMonitor`] for classifiers; their modules say what they recognize.
//!
//! The judgment uses means over iterations, never single values nor the clock: the same losses give the same findings,
//! and a [`Monitor`] that was saved and read back goes on exactly where it was. Thresholds and their reasons are with
//! the losses, in `gan::losses`. Healthy runs must not be disturbed, so that a finding needs a condition to hold for a while.

mod adversarial;
mod contrastive;
mod diversity;
mod mean;
mod supervised;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use latent_files::run::{Finding, FindingKind};

pub use self::adversarial::{Monitor, Observation};
pub use self::contrastive::{Contrast, ContrastMonitor};
pub use self::diversity::{diversity, within_groups};
pub use self::supervised::{Fit, FitMonitor};

/// How long a condition must have gone before a finding counts as over.
const OVER: u64 = 300;
/// Findings kept in full; a run that flickers for ever must not fill the memory.
const KEPT: usize = 100;

/// A finding and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    finding: Finding,
    /// The iteration in which it was over.
    ended: Option<u64>,
}

/// Whether a condition holds for long enough: since when it has held, or has not, without a break.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Sustained {
    since: Option<u64>,
    /// Whether it has been reported and is not yet over.
    reported: bool,
    /// Since when it has not held, while reported.
    gone_since: Option<u64>,
}

/// What [`Sustained::update`] saw.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    None,
    /// It now holds for long enough; since this iteration.
    Begins(u64),
    Ends,
}

impl Sustained {
    fn update(&mut self, iteration: u64, holds: bool, for_iterations: u64) -> Change {
        if !holds {
            self.since = None;
            if self.reported {
                let gone = *self.gone_since.get_or_insert(iteration);
                if iteration - gone >= OVER {
                    *self = Self::default();
                    return Change::Ends;
                }
            }
            return Change::None;
        }
        self.gone_since = None;
        let since = *self.since.get_or_insert(iteration);
        if !self.reported && iteration - since >= for_iterations {
            self.reported = true;
            return Change::Begins(since);
        }
        Change::None
    }
}

/// The iterations that were seen, and what was found in them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Log {
    first: Option<u64>,
    last: u64,
    not_finite: bool,
    episodes: Vec<Episode>,
}

impl Log {
    /// How far an iteration is from the one before, and from the first; `None` if it is not later than those before.
    fn advance(&mut self, iteration: u64) -> Option<(u64, u64)> {
        let gap = match self.first {
            Some(_) => iteration.checked_sub(self.last).filter(|&gap| gap > 0)?,
            None => 1,
        };
        self.last = iteration;
        Some((gap, iteration - *self.first.get_or_insert(iteration)))
    }

    fn keep(&mut self, kind: FindingKind, message: String) -> Finding {
        let finding = Finding { iteration: self.last, kind, message };
        if self.episodes.len() < KEPT {
            self.episodes.push(Episode { finding: finding.clone(), ended: None });
        }
        finding
    }

    /// A figure is NaN or infinite; that is said once.
    fn not_finite(&mut self, message: impl FnOnce() -> String) -> Option<Finding> {
        let said = std::mem::replace(&mut self.not_finite, true);
        (!said).then(|| self.keep(FindingKind::NotFinite, message()))
    }

    /// Writes down that a condition begins, with a message about since when it has held, or ends.
    fn follow(
        &mut self,
        kind: FindingKind,
        change: Change,
        message: impl FnOnce(u64) -> String,
    ) -> Option<Finding> {
        match change {
            Change::Begins(since) => return Some(self.keep(kind, message(since))),
            Change::Ends => {
                let open = self.episodes.iter_mut().rev().find(|episode| episode.finding.kind == kind);
                if let Some(episode) = open {
                    episode.ended = Some(self.last);
                }
            }
            Change::None => {}
        }
        None
    }

    /// Sums the run up; `healthy` does so for one of that many iterations in which nothing is wrong. Fewer than `needed` are
    /// too few to say.
    fn report(&self, needed: u64, healthy: impl FnOnce(u64) -> String) -> Report {
        let findings = self.episodes.iter().map(|episode| episode.finding.clone()).collect();
        let open = self.episodes.iter().filter(|episode| episode.ended.is_none()).map(|open| &open.finding);
        let open: Vec<String> = open
            .map(|finding| format!("{} (found in iteration {})", finding.kind, finding.iteration))
            .collect();
        let verdict = match self.first.map(|first| self.last - first + 1) {
            None => "no iteration was seen".to_owned(),
            Some(count) if !open.is_empty() => {
                format!("not healthy at the end of {count} iterations: {}", open.join(", "))
            }
            Some(count) if count < needed => format!(
                "{count} iterations are too few for a verdict ({needed} are needed); nothing wrong was seen"
            ),
            Some(count) => healthy(count),
        };
        Report { findings, verdict }
    }
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All findings, in the order in which they were made.
    pub findings: Vec<Finding>,
    /// One line: healthy and how close to equilibrium, or what is wrong at the end.
    pub verdict: String,
}

impl fmt::Display for Report {
    /// One line for each finding, and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "iteration {}: {}", finding.iteration, finding.message)?;
        }
        f.write_str(&self.verdict)
    }
}
