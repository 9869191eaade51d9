//! Reading the losses: recognises a GAN run that goes wrong, and says so in one sentence.
//!
//! Four things are recognised:
//!
//! - *The discriminator never learned*: from the start its loss stays high, at the level of guessing or above, while the
//!   generator's falls. Fooling such a discriminator means nothing.
//! - *The discriminator wins*: its loss goes to zero while the generator's is high and does not fall. A discriminator that
//!   is never wrong tells the generator little.
//! - *Mode collapse*: the generator's images become alike, compared with the data and with what they were.
//! - *Not finite*: a loss is NaN or infinite.
//!
//! The judgement uses means over iterations, never single values nor the clock: the same losses give the same findings,
//! and a [`Monitor`] that was saved and read back goes on exactly where it was. Thresholds and their reasons are in
//! `levels.rs`. Healthy runs must not be disturbed, so that a finding needs a condition to hold for a while.

mod diversity;
mod levels;
mod mean;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::diversity::diversity;
use self::levels::Levels;
use self::mean::Mean;
use crate::gan::losses::LossKind;

/// Iterations over which the losses are averaged that are judged.
const SHORT: f64 = 50.0;
/// Iterations over which the losses are averaged with which the short mean is compared: is it rising?
const LONG: f64 = 250.0;
/// Iterations at the start that say nothing about what was learned.
const START: u64 = 30;
/// How long a condition must have gone before a finding counts as over.
const OVER: u64 = 300;
/// Below this many iterations a run is too short for a verdict.
const VERDICT: u64 = 300;
/// Findings kept in full; a run that flickers for ever must not fill the memory.
const KEPT: usize = 100;

/// What can be wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The discriminator's loss was never below the level of guessing, while the generator's fell.
    DiscriminatorNeverLearned,
    /// The discriminator's loss is near zero, the generator's high and not falling.
    DiscriminatorWins,
    /// Samples are much less diverse than the data, or than they were.
    ModeCollapse,
    /// A loss is NaN or infinite.
    NotFinite,
}

impl FindingKind {
    /// The name in `run.json`: `discriminator-never-learned`, `discriminator-wins`, `mode-collapse`, `not-finite`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiscriminatorNeverLearned => "discriminator-never-learned",
            Self::DiscriminatorWins => "discriminator-wins",
            Self::ModeCollapse => "mode-collapse",
            Self::NotFinite => "not-finite",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The iteration in which it was found.
    pub iteration: u64,
    /// What is wrong.
    pub kind: FindingKind,
    /// What was seen, since when, what it means and what to try.
    pub message: String,
}

/// The figures of one iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The iteration, increasing from one observation to the next (gaps are fine).
    pub iteration: u64,
    /// The discriminator's loss.
    pub d_loss: f64,
    /// The generator's loss.
    pub g_loss: f64,
    /// The diversity of samples from fixed noise, where it was measured; on the scale of [`diversity`].
    pub diversity: Option<f32>,
}

/// A finding and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    finding: Finding,
    /// The iteration in which it was over.
    ended: Option<u64>,
}

/// A condition: since when it holds without a break, or has not held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Watch {
    since: Option<u64>,
    /// Whether it has been reported and is not yet over.
    reported: bool,
    /// Since when it has not held, while reported.
    gone_since: Option<u64>,
}

/// What [`Watch::update`] saw.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    None,
    /// It now holds for long enough; since this iteration.
    Begins(u64),
    Ends,
}

impl Watch {
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

/// Watches the figures of a run.
///
/// ```
/// use latent_trainer::diagnosis::{Monitor, Observation};
/// use latent_trainer::gan::losses::LossKind;
///
/// let mut monitor = Monitor::new(LossKind::Bce);
/// let mut found = None;
/// for iteration in 1..=300 {
///     // A discriminator that is right about everything.
///     let seen = Observation { iteration, d_loss: 0.01, g_loss: 6.0, diversity: None };
///     found = found.or(monitor.observe(seen));
/// }
/// assert_eq!(found.unwrap().kind.name(), "discriminator-wins");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    loss: LossKind,
    data_diversity: Option<f64>,
    first: Option<u64>,
    last: u64,
    d_short: Mean,
    g_short: Mean,
    d_long: Mean,
    g_long: Mean,
    /// Least and greatest short means since the start: (D least, D greatest), (G least, G greatest).
    d_range: Option<(f64, f64)>,
    g_range: Option<(f64, f64)>,
    /// The last measured diversity and the greatest mean of two neighbouring ones.
    diversity: Option<f64>,
    peak: Option<(f64, u64)>,
    never_learned: Watch,
    wins: Watch,
    collapse: Watch,
    not_finite: bool,
    episodes: Vec<Episode>,
}

impl Monitor {
    /// A monitor for a run with this pair of losses.
    pub fn new(loss: LossKind) -> Self {
        Self {
            loss,
            data_diversity: None,
            first: None,
            last: 0,
            d_short: Mean::over(SHORT),
            g_short: Mean::over(SHORT),
            d_long: Mean::over(LONG),
            g_long: Mean::over(LONG),
            d_range: None,
            g_range: None,
            diversity: None,
            peak: None,
            never_learned: Watch::default(),
            wins: Watch::default(),
            collapse: Watch::default(),
            not_finite: false,
            episodes: Vec::new(),
        }
    }

    /// Gives the diversity of as many real images, against which that of the samples is judged; without it, they are only
    /// compared with what they were. Values that are not positive are ignored.
    #[must_use]
    pub fn with_data_diversity(mut self, diversity: f32) -> Self {
        self.data_diversity = Some(f64::from(diversity)).filter(|value| value.is_finite() && *value > 0.0);
        self
    }

    /// Takes in an iteration's figures; returns a finding when one begins, at most one at a time.
    ///
    /// An observation that is not later than the one before is ignored.
    pub fn observe(&mut self, seen: Observation) -> Option<Finding> {
        if self.first.is_some() && seen.iteration <= self.last {
            return None;
        }
        let gap = if self.first.is_some() { seen.iteration - self.last } else { 1 };
        let first = *self.first.get_or_insert(seen.iteration);
        self.last = seen.iteration;
        if !seen.d_loss.is_finite() || !seen.g_loss.is_finite() {
            return self.judge_finiteness(seen);
        }

        self.d_short.add(seen.d_loss, gap);
        self.g_short.add(seen.g_loss, gap);
        self.d_long.add(seen.d_loss, gap);
        self.g_long.add(seen.g_loss, gap);
        let age = seen.iteration - first;
        if age >= START {
            widen(&mut self.d_range, self.d_short.get());
            widen(&mut self.g_range, self.g_short.get());
        }
        // Each condition is followed in each iteration, whatever the others say.
        let found = [
            self.judge_learning(seen.iteration, first),
            self.judge_winning(seen.iteration, age),
            self.judge_diversity(seen, age),
        ];
        let mut found = found.into_iter().flatten();
        let finding = found.next();
        for finding in finding.iter().cloned().chain(found) {
            if self.episodes.len() < KEPT {
                self.episodes.push(Episode { finding, ended: None });
            }
        }
        finding
    }

    fn judge_finiteness(&mut self, seen: Observation) -> Option<Finding> {
        if self.not_finite {
            return None;
        }
        self.not_finite = true;
        let (who, value) =
            if seen.d_loss.is_finite() { ("generator", seen.g_loss) } else { ("discriminator", seen.d_loss) };
        let before = if self.d_range.is_some() {
            format!(", after losses of about {:.3} (D) and {:.3} (G)", self.d_short.get(), self.g_short.get())
        } else {
            String::new()
        };
        let finding = Finding {
            iteration: seen.iteration,
            kind: FindingKind::NotFinite,
            message: format!(
                "the {who}'s loss is {value} in iteration {}{before}: the weights are no longer usable, so go back to the last checkpoint and lower the learning rates, or train without --amp",
                seen.iteration
            ),
        };
        if self.episodes.len() < KEPT {
            self.episodes.push(Episode { finding: finding.clone(), ended: None });
        }
        Some(finding)
    }

    /// From the start the discriminator is no better than guessing, and the generator not worse off for it.
    fn judge_learning(&mut self, iteration: u64, first: u64) -> Option<Finding> {
        let levels = Levels::of(self.loss);
        let (d, g) = (self.d_short.get(), self.g_short.get());
        let age = iteration - first;
        let ((d_least, d_greatest), (g_least, g_greatest)) = self.d_range.zip(self.g_range)?;
        let learned = d_least <= levels.d_learned;
        let rising = g > 1.02 * self.g_long.get();
        let holds = !learned
            && match levels.g {
                Some(guess) => {
                    // Fooled: far above guessing, and the generator far below.
                    let fooled = age >= 50 && d >= 1.5 * levels.d && g <= 0.5 * guess && !rising;
                    // The generator below guessing, and staying there.
                    let below = age >= 500 && g <= 0.9 * guess && !rising;
                    // Both constant: no gradient reaches anything. A healthy generator is above guessing.
                    let still =
                        d_greatest - d_least <= 0.02 * levels.d && g_greatest - g_least <= 0.02 * guess;
                    let constant = age >= 500 && still && (g <= 1.02 * guess || d >= 1.5 * levels.d);
                    fooled || below || constant
                }
                // The generator's loss has no level of its own here; the discriminator's says it all.
                None => age >= 400,
            };
        let begins = match self.never_learned.update(iteration, holds, 100) {
            Change::Begins(_) => true,
            Change::Ends => {
                self.end(FindingKind::DiscriminatorNeverLearned, iteration);
                false
            }
            Change::None => false,
        };
        begins.then(|| {
            let level = match self.loss {
                LossKind::WganGp => "0, that of a critic that cannot tell".to_owned(),
                _ => format!("{:.3}, that of guessing", levels.d),
            };
            let generator = if g_greatest - g_least <= 0.02 * g.abs().max(0.05) {
                format!("the generator's stands still at {g:.3}")
            } else {
                format!("the generator's went from {:.3} to {g:.3}", if g < g_greatest { g_greatest } else { g_least })
            };
            Finding {
                iteration,
                kind: FindingKind::DiscriminatorNeverLearned,
                message: format!(
                    "the discriminator never learned: since iteration {first} its loss has not been below {level} (now {d:.3}), while {generator}, so that fooling it means nothing: raise the discriminator's learning rate, and check that it is given both real and generated images"
                ),
            }
        })
    }

    /// The discriminator is never wrong.
    fn judge_winning(&mut self, iteration: u64, age: u64) -> Option<Finding> {
        let (d_won, g_won) = Levels::of(self.loss).won?;
        let (d, g) = (self.d_short.get(), self.g_short.get());
        let holds = age >= START && d <= d_won && g >= g_won && g >= 0.9 * self.g_long.get();
        match self.wins.update(iteration, holds, 150) {
            Change::Begins(since) => Some(Finding {
                iteration,
                kind: FindingKind::DiscriminatorWins,
                message: format!(
                    "the discriminator wins: since iteration {since} its loss has been near zero (now {d:.4}) and the generator's high (now {g:.2}), so that the generator learns little from it: lower the discriminator's learning rate or raise the generator's, or take the loss ls or wgan-gp, whose gradients do not vanish"
                ),
            }),
            Change::Ends => {
                self.end(FindingKind::DiscriminatorWins, iteration);
                None
            }
            Change::None => None,
        }
    }

    /// Samples are alike. Healthy runs start so, too (vanilla: a tenth of the data's diversity up to iteration 190), and
    /// have half the data's by iteration 300 and two thirds by 700.
    fn judge_diversity(&mut self, seen: Observation, age: u64) -> Option<Finding> {
        let now = f64::from(seen.diversity?);
        if !now.is_finite() {
            return None;
        }
        let before = self.diversity.replace(now);
        // Untrained generators may draw noise, which is diverse: what came before does not count.
        if age < 150 {
            return None;
        }
        // One lucky measurement is no peak.
        let peak_now = before.map_or(now, |before| before.min(now));
        if self.peak.is_none_or(|(peak, _)| peak_now > peak) {
            self.peak = Some((peak_now, seen.iteration));
        }
        let (peak, peak_at) = self.peak?;
        let part_of_data = self.data_diversity.map(|data| now / data);
        // Fell: to half of what it was, where that was worth something, and well below the data's.
        let worth = self.data_diversity.is_none_or(|data| peak >= 0.3 * data);
        let fell = now <= 0.5 * peak && worth && part_of_data.is_none_or(|part| part <= 0.5);
        // Never came up: a quarter of the data's, long after it should.
        let never = age >= 600 && part_of_data.is_some_and(|part| part <= 0.25);
        match self.collapse.update(seen.iteration, fell || never, 200) {
            Change::Begins(since) => {
                let data = part_of_data
                    .map(|part| format!(", {:.0} % of the data's", 100.0 * part))
                    .unwrap_or_default();
                let was = if fell {
                    format!(", down from {peak:.3} in iteration {peak_at}")
                } else {
                    ", and never was better".to_owned()
                };
                Some(Finding {
                    iteration: seen.iteration,
                    kind: FindingKind::ModeCollapse,
                    message: format!(
                        "mode collapse: since iteration {since} the generator's images are nearly alike (diversity {now:.3}{data}{was}), so that it covers few kinds of image whatever its loss says: lower the generator's learning rate, use larger batches, or take the loss ls or wgan-gp"
                    ),
                })
            }
            Change::Ends => {
                self.end(FindingKind::ModeCollapse, seen.iteration);
                None
            }
            Change::None => None,
        }
    }

    fn end(&mut self, kind: FindingKind, iteration: u64) {
        let open = self.episodes.iter_mut().rev().find(|episode| episode.finding.kind == kind);
        if let Some(episode) = open {
            episode.ended = Some(iteration);
        }
    }

    /// All findings up to now, in the order in which they were made.
    pub fn findings(&self) -> Vec<Finding> {
        self.episodes.iter().map(|episode| episode.finding.clone()).collect()
    }

    /// Sums the run up.
    pub fn report(&self) -> Report {
        Report { findings: self.findings(), verdict: self.verdict() }
    }

    fn verdict(&self) -> String {
        let Some(first) = self.first else {
            return "no iteration was seen".to_owned();
        };
        let count = self.last - first + 1;
        let open: Vec<&Episode> = self.episodes.iter().filter(|episode| episode.ended.is_none()).collect();
        if !open.is_empty() {
            let mut kinds: Vec<String> = Vec::new();
            for episode in &open {
                let finding = &episode.finding;
                kinds.push(format!("{} (found in iteration {})", finding.kind, finding.iteration));
            }
            return format!("not healthy at the end of {count} iterations: {}", kinds.join(", "));
        }
        if count < VERDICT {
            return format!(
                "{count} iterations are too few for a verdict ({VERDICT} are needed); nothing wrong was seen"
            );
        }
        let over = match self.episodes.len() {
            0 => format!("healthy: nothing wrong was seen in {count} iterations"),
            1 => format!("healthy at the end of {count} iterations, after one finding that is over"),
            many => format!("healthy at the end of {count} iterations, after {many} findings that are over"),
        };
        format!("{over}; {}", self.balance())
    }

    /// How close the game is to its equilibrium, from the long means.
    fn balance(&self) -> String {
        let levels = Levels::of(self.loss);
        let (d, g) = (self.d_long.get(), self.g_long.get());
        let losses = match levels.g {
            Some(guess) => {
                format!("D {d:.3} ({:.3} when it can only guess), G {g:.3} ({guess:.3})", levels.d)
            }
            None if self.loss == LossKind::Hinge => {
                format!("D {d:.3} ({:.3} when it can only guess), G {g:.3}", levels.d)
            }
            None => format!("D {d:.3} (0 when it cannot tell), G {g:.3}"),
        };
        let meaning = match self.loss {
            // D is the sum of two mean negative log probabilities of the right answer.
            LossKind::Bce => {
                let right = 100.0 * (-d / 2.0).exp();
                format!("the discriminator gives the right answer {right:.0} % (50 % is equilibrium), ")
            }
            // D is half the sum of two mean squares.
            LossKind::Ls => {
                format!("its scores are {:.2} off their targets (0.50 is equilibrium), ", d.max(0.0).sqrt())
            }
            LossKind::Hinge => String::new(),
            LossKind::WganGp => {
                return format!("{losses}: the critic sees a distance of about {:.3}", (-d).max(0.0));
            }
        };
        let place = match d / levels.d {
            ratio if ratio >= 0.92 => "close to equilibrium",
            ratio if ratio >= 0.7 => "which is ahead of the generator, as it should be a little",
            _ => "which is well ahead of the generator",
        };
        format!("{losses}: {meaning}{place}")
    }
}

fn widen(range: &mut Option<(f64, f64)>, value: f64) {
    *range = Some(range.map_or((value, value), |(least, greatest)| (least.min(value), greatest.max(value))));
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
