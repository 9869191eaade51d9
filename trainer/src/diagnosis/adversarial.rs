//! Reading the losses of a GAN: recognizes four ways in which its game goes wrong, and says so in one sentence.
//!
//! - *The discriminator never learned*: from the start its loss stays high, at the level of guessing or above, while the
//!   generator's falls. Fooling such a discriminator means nothing.
//! - *The discriminator wins*: its loss goes to zero while the generator's is high and does not fall. A discriminator that
//!   is never wrong tells the generator little.
//! - *Mode collapse*: the generator's images become alike, compared with the data and with what they were.
//! - *Not finite*: a loss is NaN or infinite.

use serde::{Deserialize, Serialize};

use super::mean::Mean;
use super::{Finding, FindingKind, Log, Report, Sustained};
use crate::gan::losses::LossKind;

/// Iterations over which the losses are averaged that are judged.
const SHORT: f64 = 50.0;
/// Iterations over which the losses are averaged with which the short mean is compared: is it rising?
const LONG: f64 = 250.0;
/// Iterations at the start that say nothing about what was learned.
const START: u64 = 30;
/// Below this many iterations a run is too short for a verdict.
const VERDICT: u64 = 300;
/// The part of the data's diversity that images of a run which may be called healthy have. Good runs have half of it by
/// iteration 300 and two thirds by 700.
const ENOUGH: f64 = 2.0 / 3.0;
/// When less than that is no longer a matter of time.
const LATE: u64 = 1000;

/// The figures of one iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The iteration, increasing from one observation to the next (gaps are fine).
    pub iteration: u64,
    pub d_loss: f64,
    pub g_loss: f64,
    /// The diversity of samples from fixed noise, where it was measured; on the scale of [`super::diversity()`].
    pub diversity: Option<f32>,
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
    d_short: Mean,
    g_short: Mean,
    d_long: Mean,
    g_long: Mean,
    /// Least and greatest short means since the start: (D least, D greatest), (G least, G greatest).
    d_range: Option<(f64, f64)>,
    g_range: Option<(f64, f64)>,
    /// The generator's first loss.
    g_first: Option<f64>,
    /// The last measured diversity and the greatest mean of two neighboring ones.
    diversity: Option<f64>,
    peak: Option<(f64, u64)>,
    never_learned: Sustained,
    wins: Sustained,
    collapse: Sustained,
    #[serde(flatten)]
    log: Log,
}

impl Monitor {
    /// A monitor for a run with this pair of losses.
    pub fn new(loss: LossKind) -> Self {
        Self {
            loss,
            data_diversity: None,
            d_short: Mean::over(SHORT),
            g_short: Mean::over(SHORT),
            d_long: Mean::over(LONG),
            g_long: Mean::over(LONG),
            d_range: None,
            g_range: None,
            g_first: None,
            diversity: None,
            peak: None,
            never_learned: Sustained::default(),
            wins: Sustained::default(),
            collapse: Sustained::default(),
            log: Log::default(),
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
        let (gap, age) = self.log.advance(seen.iteration)?;
        if !seen.d_loss.is_finite() || !seen.g_loss.is_finite() {
            return self.judge_finiteness(seen);
        }

        self.g_first.get_or_insert(seen.g_loss);
        self.d_short.add(seen.d_loss, gap);
        self.g_short.add(seen.g_loss, gap);
        self.d_long.add(seen.d_loss, gap);
        self.g_long.add(seen.g_loss, gap);
        if age >= START {
            widen(&mut self.d_range, self.d_short.get());
            widen(&mut self.g_range, self.g_short.get());
        }
        // Each condition is followed in each iteration, whatever the others say.
        let found = [
            self.judge_learning(seen.iteration, age),
            self.judge_winning(seen.iteration, age),
            self.judge_diversity(seen, age),
        ];
        found.into_iter().flatten().next()
    }

    fn judge_finiteness(&mut self, seen: Observation) -> Option<Finding> {
        let (who, value) =
            if seen.d_loss.is_finite() { ("generator", seen.g_loss) } else { ("discriminator", seen.d_loss) };
        let before = if self.d_range.is_some() {
            format!(", after losses of about {:.3} (D) and {:.3} (G)", self.d_short.get(), self.g_short.get())
        } else {
            String::new()
        };
        self.log.not_finite(|| {
            format!(
                "the {who}'s loss is {value} in iteration {}{before}: the weights are no longer usable, so go back to the last checkpoint and lower the learning rates, or train without --amp",
                seen.iteration
            )
        })
    }

    /// From the start the discriminator is no better than guessing, and the generator not worse off for it.
    fn judge_learning(&mut self, iteration: u64, age: u64) -> Option<Finding> {
        let levels = self.loss.definition().levels;
        let (d, g) = (self.d_short.get(), self.g_short.get());
        let ((d_least, d_greatest), (g_least, g_greatest)) = self.d_range.zip(self.g_range)?;
        let learned = d_least <= levels.d_learned;
        let rising = g > 1.02 * self.g_long.get();
        let holds = !learned
            && match levels.g.map(|level| level.value) {
                Some(guess) => {
                    // Fooled: far above guessing, and the generator far below.
                    let fooled = age >= 50 && d >= 1.5 * levels.d.value && g <= 0.5 * guess && !rising;
                    // The generator below guessing, and staying there.
                    let below = age >= 500 && g <= 0.9 * guess && !rising;
                    // Both constant: no gradient reaches anything. A healthy generator is above guessing.
                    let still = d_least >= 0.97 * d_greatest && g_least >= 0.97 * g_greatest;
                    let constant = age >= 500 && still && (g <= 1.02 * guess || d >= 1.5 * levels.d.value);
                    fooled || below || constant
                }
                // The generator's loss has no level of its own here; the discriminator's says it all.
                None => age >= 400,
            };
        let change = self.never_learned.update(iteration, holds, 100);
        self.log.follow(FindingKind::DiscriminatorNeverLearned, change, |_| {
            let level = if levels.critic() {
                "0, that of a critic that cannot tell".to_owned()
            } else {
                format!("{:.3}, that of guessing", levels.d.value)
            };
            let g_first = self.g_first.unwrap_or(g);
            let generator = if (g - g_first).abs() <= 0.03 * g_first.abs().max(0.05) {
                format!("the generator's stands still at {g:.3}")
            } else {
                let went = if g < g_first { "fell" } else { "rose" };
                format!("the generator's {went} from {g_first:.3} to {g:.3}")
            };
            let first = iteration - age;
            format!(
                "the discriminator never learned: since iteration {first} its loss has not been below {level} (now {d:.3}), while {generator}, so that fooling it means nothing: raise the discriminator's learning rate, and check that it is given both real and generated images"
            )
        })
    }

    /// The discriminator is never wrong.
    fn judge_winning(&mut self, iteration: u64, age: u64) -> Option<Finding> {
        let (d_won, g_won) = self.loss.definition().levels.won?;
        let (d, g) = (self.d_short.get(), self.g_short.get());
        let holds = age >= START && d <= d_won && g >= g_won && g >= 0.9 * self.g_long.get();
        let instead = self.loss.definition().instead;
        let change = self.wins.update(iteration, holds, 150);
        self.log.follow(FindingKind::DiscriminatorWins, change, |since| {
            format!(
                "the discriminator wins: since iteration {since} its loss has been near zero (now {d:.4}) and the generator's high (now {g:.2}), so that the generator learns little from it: lower the discriminator's learning rate or raise the generator's, or take {instead}"
            )
        })
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
        // Never came up: no difference to speak of, or a quarter of the data's long after it should be more.
        let never = part_of_data.is_some_and(|part| part <= 0.02 || age >= 600 && part <= 0.25);
        let critic = self.loss.definition().levels.critic();
        let other = if critic { "" } else { ", or take the loss wgan-gp" };
        let change = self.collapse.update(seen.iteration, fell || never, 200);
        self.log.follow(FindingKind::ModeCollapse, change, |since| {
                let data = part_of_data
                    .map(|part| format!(", {:.0} % of the data's", 100.0 * part))
                    .unwrap_or_default();
                let was = if fell {
                    format!(", down from {peak:.3} in iteration {peak_at}")
                } else {
                    ", and never was better".to_owned()
                };
                format!(
                    "mode collapse: since iteration {since} the generator's images are nearly alike (diversity {now:.3}{data}{was}), so that it covers few kinds of image whatever its loss says: lower the generator's learning rate or use larger batches{other}"
                )
        })
    }

    /// Sums the run up. `losses` are the figures of D and G that the run reports, in place of this monitor's own means;
    /// `classes` how many classes a scorer finds among samples, and how many there are.
    pub fn report(&self, losses: Option<(f64, f64)>, classes: Option<(usize, usize)>) -> Report {
        let losses = losses.unwrap_or((self.d_long.get(), self.g_long.get()));
        self.log.report(VERDICT, |count| {
            if let Some(missing) = self.missing(count, classes) {
                return format!("{missing}; {}", self.balance(losses));
            }
            let over = match self.log.episodes.len() {
                0 => format!("healthy: nothing wrong was seen in {count} iterations"),
                1 => format!("healthy at the end of {count} iterations, after one finding that is over"),
                many => {
                    format!("healthy at the end of {count} iterations, after {many} findings that are over")
                }
            };
            format!("{over}; {}", self.balance(losses))
        })
    }

    /// What samples lack after `count` iterations, although no finding says so.
    fn missing(&self, count: u64, classes: Option<(usize, usize)>) -> Option<String> {
        let advice = if count < LATE {
            "train on"
        } else {
            "and it is late for that: it may be mode collapse, so look at the samples, and lower the generator's learning rate"
        };
        let part = self.diversity.zip(self.data_diversity).map(|(now, data)| now / data);
        if let Some(part) = part.filter(|part| *part < ENOUGH) {
            let part = 100.0 * part;
            return Some(format!(
                "not yet healthy: after {count} iterations the images have {part:.0} % of the data's diversity, {advice}"
            ));
        }
        let (covered, all) = classes.filter(|(covered, all)| covered < all)?;
        Some(format!(
            "not yet healthy: after {count} iterations the images show {covered} of {all} classes, {advice}"
        ))
    }

    /// How close the game is to its equilibrium.
    fn balance(&self, (d, g): (f64, f64)) -> String {
        let loss = self.loss.definition();
        let levels = loss.levels;
        let meaning = (loss.meaning)(d);
        if levels.critic() {
            return format!("D {d:.3} (0 when it cannot tell), G {g:.3}: {meaning}");
        }
        let place = match d / levels.d.value {
            ratio if ratio >= 0.92 => "close to equilibrium",
            ratio if ratio >= 0.7 => "a little ahead of the generator, as it should be",
            _ => "well ahead of the generator",
        };
        let guess = levels.g.map(|guess| format!(" ({:.3})", guess.value)).unwrap_or_default();
        format!("D {d:.3} ({:.3} when it can only guess), G {g:.3}{guess}: {meaning}{place}", levels.d.value)
    }
}

fn widen(range: &mut Option<(f64, f64)>, value: f64) {
    *range = Some(range.map_or((value, value), |(least, greatest)| (least.min(value), greatest.max(value))));
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    /// One row of the reference's table for a recipe: iteration, then [mean, least, greatest] of D and of G.
    type Band = (u64, [f64; 3], [f64; 3]);

    /// The six columns of REFERENCE.md, "What the loss should look like".
    const REFERENCE: [(&str, LossKind, &[Band]); 3] = [
        (
            "vanilla",
            LossKind::Bce,
            &[
                (250, [1.29, 0.94, 1.90], [1.07, 0.59, 2.22]),
                (1000, [1.22, 1.00, 1.46], [0.99, 0.76, 1.25]),
                (2500, [1.32, 1.25, 1.40], [0.89, 0.74, 1.15]),
                (3750, [1.34, 1.29, 1.41], [0.84, 0.73, 0.89]),
            ],
        ),
        (
            "least squares",
            LossKind::Ls,
            &[
                (250, [0.17, 0.08, 0.25], [0.38, 0.18, 0.94]),
                (1000, [0.19, 0.14, 0.52], [0.26, 0.13, 0.36]),
                (2500, [0.22, 0.19, 0.25], [0.18, 0.14, 0.21]),
                (3750, [0.23, 0.21, 0.25], [0.16, 0.13, 0.19]),
            ],
        ),
        (
            "DC",
            LossKind::Bce,
            &[
                (250, [1.32, 1.21, 1.68], [0.71, 0.17, 1.16]),
                (1000, [1.25, 1.17, 1.45], [0.97, 0.83, 1.20]),
                (1750, [1.13, 1.03, 1.35], [0.93, 0.78, 1.15]),
            ],
        ),
    ];

    /// The band at an iteration, between the rows by straight lines, the outer rows continued.
    fn band(rows: &[Band], iteration: u64) -> ([f64; 3], [f64; 3]) {
        let after = rows.partition_point(|row| row.0 < iteration);
        if after == 0 || after == rows.len() {
            let row = rows[after.min(rows.len() - 1)];
            return (row.1, row.2);
        }
        let (a, b) = (rows[after - 1], rows[after]);
        let part = (iteration - a.0) as f64 / (b.0 - a.0) as f64;
        let between = |x: [f64; 3], y: [f64; 3]| [0, 1, 2].map(|i| x[i] + part * (y[i] - x[i]));
        (between(a.1, b.1), between(a.2, b.2))
    }

    /// How a healthy generator's diversity comes up, as a part of the data's 0.71 (vanilla and least squares on MNIST).
    fn healthy_diversity(iteration: u64, rng: &mut Rng) -> Option<f32> {
        let value = match iteration {
            ..190 => 0.05,
            190..300 => 0.05 + 0.25 * (iteration - 190) as f32 / 110.0,
            300..1000 => 0.3 + 0.3 * (iteration - 300) as f32 / 700.0,
            _ => 0.6,
        };
        iteration.is_multiple_of(10).then(|| value * rng.uniform(0.85, 1.15))
    }

    fn run(monitor: &mut Monitor, curve: impl IntoIterator<Item = Observation>) -> Vec<Finding> {
        curve.into_iter().filter_map(|seen| monitor.observe(seen)).collect()
    }

    #[test]
    fn healthy_reference_curves_never_trigger() {
        // A path through each band: a fixed place, single iterations anywhere between the bounds, or places that wander.
        type Place = fn(&mut Rng, u64, usize, f64) -> f64;
        let at = |band: [f64; 3], place: f64| match place {
            p if p < 0.5 => band[1] + 2.0 * p * (band[0] - band[1]),
            p => band[0] + 2.0 * (p - 0.5) * (band[2] - band[0]),
        };
        let fixed = [0.0, 0.25, 0.5, 0.75, 1.0];
        let noisy: Place = |rng, _, _, _| f64::from(rng.next_f32());
        let extremes: Place = |rng, _, _, _| f64::from(rng.below(2));
        let wandering: Place = |rng, _, _, now| (now + f64::from(rng.uniform(-0.05, 0.05))).clamp(0.0, 1.0);
        let waves: Place = |_, t, which, _| 0.5 + 0.5 * (t as f64 / 40.0 + which as f64).sin();
        for (name, loss, rows) in REFERENCE {
            let last = rows[rows.len() - 1].0 + 200;
            for d_place in fixed {
                for g_place in fixed {
                    let mut rng = Rng::from_seed(0);
                    let mut monitor = Monitor::new(loss).with_data_diversity(0.71);
                    let curve = (1..=last).map(|iteration| {
                        let (d, g) = band(rows, iteration);
                        let diversity = healthy_diversity(iteration, &mut rng);
                        Observation { iteration, d_loss: at(d, d_place), g_loss: at(g, g_place), diversity }
                    });
                    let found = run(&mut monitor, curve.collect::<Vec<_>>());
                    assert!(found.is_empty(), "{name} at {d_place}, {g_place}: {found:?}");
                    assert!(
                        monitor.report(None, None).verdict.starts_with("healthy: "),
                        "{}",
                        monitor.report(None, None).verdict
                    );
                }
            }
            for (kind, place) in
                [("noisy", noisy), ("extremes", extremes), ("wandering", wandering), ("waves", waves)]
            {
                for seed in 0..8 {
                    let mut rng = Rng::from_seed(seed);
                    let mut monitor = Monitor::new(loss).with_data_diversity(0.71);
                    let mut places = [0.5, 0.5];
                    let curve = (1..=last).map(|iteration| {
                        let (d, g) = band(rows, iteration);
                        for (which, now) in places.iter_mut().enumerate() {
                            *now = place(&mut rng, iteration, which, *now);
                        }
                        let diversity = healthy_diversity(iteration, &mut rng);
                        Observation {
                            iteration,
                            d_loss: at(d, places[0]),
                            g_loss: at(g, places[1]),
                            diversity,
                        }
                    });
                    let found = run(&mut monitor, curve.collect::<Vec<_>>());
                    assert!(found.is_empty(), "{name}, {kind}, seed {seed}: {found:?}");
                }
            }
        }
    }

    /// A curve: losses from a function of the iteration, with a little noise, and a diversity every tenth iteration.
    fn curve(
        iterations: u64,
        mut figures: impl FnMut(u64) -> (f64, f64, f64),
    ) -> impl Iterator<Item = Observation> {
        let mut rng = Rng::from_seed(3);
        (1..=iterations).map(move |iteration| {
            let (d, g, diversity) = figures(iteration);
            let mut noise = |value: f64| value + 0.02 * value.abs() * f64::from(rng.normal());
            let (d_loss, g_loss) = (noise(d), noise(g));
            let diversity = iteration.is_multiple_of(10).then_some(diversity as f32);
            Observation { iteration, d_loss, g_loss, diversity }
        })
    }

    /// Goes from `a` to `b`, with the half of the way done after `half` iterations.
    fn towards(a: f64, b: f64, half: f64, iteration: u64) -> f64 {
        b + (a - b) * (-std::f64::consts::LN_2 * iteration as f64 / half).exp()
    }

    #[test]
    fn failing_runs_are_recognized() {
        use FindingKind::*;
        use LossKind::*;
        type Figures = fn(u64) -> (f64, f64, f64);
        // (name, loss, figures, the one finding expected, found at the latest, words of its message)
        type Case = (&'static str, LossKind, Figures, FindingKind, u64, &'static [&'static str]);
        let cases: [Case; 15] = [
            (
                "D frozen, fooled at once (measured with lr 0)",
                Bce,
                |t| (towards(1.37, 2.53, 5.0, t), towards(0.68, 0.168, 5.0, t), 0.4),
                DiscriminatorNeverLearned,
                200,
                &[
                    "never learned",
                    "since iteration 1 ",
                    "1.386",
                    "now 2.5",
                    "fell from 0.6",
                    "to 0.17",
                    "learning rate",
                ],
            ),
            (
                "D frozen, fooled slowly",
                Bce,
                |t| (towards(1.387, 1.7, 300.0, t), towards(0.70, 0.45, 300.0, t), 0.4),
                DiscriminatorNeverLearned,
                800,
                &["1.386", "that of guessing"],
            ),
            (
                "D dead: the same score for everything",
                Bce,
                |_| (2.0 * std::f64::consts::LN_2, std::f64::consts::LN_2, 0.4),
                DiscriminatorNeverLearned,
                700,
                &["stands still at 0.69"],
            ),
            (
                "least squares, D frozen",
                Ls,
                |t| (towards(0.5, 1.0, 10.0, t), towards(0.5, 0.01, 10.0, t), 0.4),
                DiscriminatorNeverLearned,
                200,
                &["0.250"],
            ),
            (
                "least squares, D dead at 0",
                Ls,
                |_| (0.5, 0.5, 0.4),
                DiscriminatorNeverLearned,
                700,
                &["stands still"],
            ),
            (
                "hinge, D frozen",
                Hinge,
                |t| (towards(2.0, 6.0, 50.0, t), towards(0.0, -4.0, 50.0, t), 0.4),
                DiscriminatorNeverLearned,
                600,
                &["2.000"],
            ),
            (
                "WGAN-GP, critic frozen",
                WganGp,
                |t| (towards(10.0, 30.0, 50.0, t), towards(0.0, -20.0, 50.0, t), 0.4),
                DiscriminatorNeverLearned,
                600,
                &["a critic that cannot tell"],
            ),
            (
                "G frozen (measured with lr 0)",
                Bce,
                |t| (towards(1.37, 0.0003, 4.0, t), 0.7 + 1.9 * (t as f64).ln(), 0.4),
                DiscriminatorWins,
                300,
                &["wins", "near zero", "learning rate"],
            ),
            (
                "D wins after a healthy time",
                Bce,
                |t| if t < 800 { (1.25, 0.95, 0.4) } else { (0.02, 5.0 + 0.01 * (t - 800) as f64, 0.4) },
                DiscriminatorWins,
                1200,
                &["since iteration 9"],
            ),
            (
                "least squares, G frozen (measured)",
                Ls,
                |t| (towards(0.45, 0.0005, 4.0, t), 0.5, 0.4),
                DiscriminatorWins,
                400,
                &["near zero"],
            ),
            (
                "hinge, D wins",
                Hinge,
                |t| (towards(2.0, 0.0, 20.0, t), 3.0, 0.4),
                DiscriminatorWins,
                400,
                &["near zero"],
            ),
            (
                "collapse after a healthy time",
                Bce,
                |t| (1.2, 1.0, if t < 900 { 0.5 } else { 0.15 }),
                ModeCollapse,
                1150,
                &["nearly alike", "0.150", "21 % of the data's", "down from 0.500", "since iteration 900 "],
            ),
            (
                "collapse of half the kinds only",
                Bce,
                |t| (1.2, 1.0, towards(0.6, 0.2, 300.0, t)),
                ModeCollapse,
                1500,
                &["of the data's"],
            ),
            ("never any diversity", Bce, |_| (1.2, 1.0, 0.003), ModeCollapse, 400, &["never was better"]),
            ("never much diversity", Ls, |_| (0.2, 0.2, 0.1), ModeCollapse, 900, &["14 % of the data's"]),
        ];
        for (name, loss, figures, kind, latest, words) in cases {
            let mut monitor = Monitor::new(loss).with_data_diversity(0.71);
            let found = run(&mut monitor, curve(2000, figures));
            assert_eq!(
                found.iter().map(|finding| finding.kind).collect::<Vec<_>>(),
                [kind],
                "{name}: {found:?}"
            );
            assert!(found[0].iteration <= latest, "{name}: found only in iteration {}", found[0].iteration);
            for word in words {
                assert!(found[0].message.contains(word), "{name}: no {word:?} in {:?}", found[0].message);
            }
            let sentence = &found[0].message;
            assert!(!sentence.contains('\n') && !sentence.contains(". "), "{name}: one sentence: {sentence}");
            let report = monitor.report(None, None);
            assert_eq!(report.findings, found);
            assert!(report.verdict.contains(kind.name()), "{name}: {}", report.verdict);
        }
    }

    #[test]
    fn a_critic_may_be_as_good_as_it_can() {
        let mut monitor = Monitor::new(LossKind::WganGp).with_data_diversity(0.71);
        let found = run(&mut monitor, curve(2000, |t| (towards(8.0, -3.0, 10.0, t), 5.0, 0.5)));
        assert!(found.is_empty(), "{found:?}");
        assert!(
            monitor.report(None, None).verdict.contains("sees a distance of about "),
            "{}",
            monitor.report(None, None).verdict
        );
    }

    #[test]
    fn losses_that_are_not_finite_are_found_at_once() {
        for (d_loss, g_loss, who, value) in [
            (f64::NAN, 1.0, "discriminator", "NaN"),
            (1.0, f64::INFINITY, "generator", "inf"),
            (f64::NEG_INFINITY, f64::NAN, "discriminator", "-inf"),
        ] {
            let mut monitor = Monitor::new(LossKind::Bce);
            run(&mut monitor, curve(40, |_| (1.3, 0.8, 0.3)));
            let finding =
                monitor.observe(Observation { iteration: 41, d_loss, g_loss, diversity: None }).unwrap();
            assert_eq!((finding.iteration, finding.kind), (41, FindingKind::NotFinite));
            assert!(
                finding.message.contains(&format!("the {who}'s loss is {value} in iteration 41")),
                "{finding:?}"
            );
            assert!(finding.message.contains("1.3"), "{finding:?}");
            let again = Observation { iteration: 42, d_loss, g_loss, diversity: None };
            assert_eq!(monitor.observe(again), None, "said once");
            assert!(monitor.report(None, None).verdict.contains("not-finite"));
        }
        let seen = Observation { iteration: 1, d_loss: f64::NAN, g_loss: 1.0, diversity: None };
        assert!(Monitor::new(LossKind::Ls).observe(seen).is_some());
    }

    #[test]
    fn what_recovers_is_over_and_may_come_again() {
        let mut monitor = Monitor::new(LossKind::Bce);
        let bad = |t: u64| (500..1000).contains(&t) || t >= 2000;
        let found =
            run(&mut monitor, curve(2400, |t| if bad(t) { (0.01, 6.0, 0.5) } else { (1.25, 0.95, 0.5) }));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(monitor.report(None, None).verdict.starts_with("not healthy"));
        run(
            &mut monitor,
            (2401..3400).map(|iteration| Observation {
                iteration,
                d_loss: 1.3,
                g_loss: 0.8,
                diversity: None,
            }),
        );
        let verdict = monitor.report(None, None).verdict;
        assert!(verdict.starts_with("healthy at the end of 3399 iterations, after 2 findings"), "{verdict}");
    }

    #[test]
    fn a_saved_monitor_goes_on_exactly() {
        let figures = |t: u64| {
            let wobble = (t as f64 * 0.37).sin();
            (1.2 + 0.3 * wobble, 1.0 - 0.1 * wobble, if t < 700 { 0.5 } else { 0.1 })
        };
        let all: Vec<Observation> = curve(1200, figures).collect();
        let mut whole = Monitor::new(LossKind::Bce).with_data_diversity(0.71);
        let found = run(&mut whole, all.iter().copied());
        assert_eq!(found.len(), 1);
        for cut in [0, 1, 29, 31, 500, 705, 950, 1199] {
            let mut first = Monitor::new(LossKind::Bce).with_data_diversity(0.71);
            let mut broken = run(&mut first, all[..cut].iter().copied());
            let text = serde_json::to_string(&first).unwrap();
            let mut second: Monitor = serde_json::from_str(&text).unwrap();
            assert_eq!(second, first, "cut at {cut}");
            broken.extend(run(&mut second, all[cut..].iter().copied()));
            assert_eq!(broken, found, "cut at {cut}");
            assert_eq!(second, whole, "cut at {cut}");
        }
    }

    #[test]
    fn iterations_that_go_back_are_ignored() {
        let mut monitor = Monitor::new(LossKind::Bce);
        run(&mut monitor, curve(100, |_| (1.3, 0.8, 0.3)));
        let before = monitor.clone();
        assert_eq!(
            monitor.observe(Observation { iteration: 100, d_loss: f64::NAN, g_loss: 0.0, diversity: None }),
            None
        );
        assert_eq!(monitor, before);
    }

    #[test]
    fn images_that_lack_variety_are_not_yet_healthy() {
        let cases = [
            // Recorded: vanilla on drawn digits after 600 iterations, of 0.720; three smears.
            (
                600,
                0.362,
                None,
                "not yet healthy: after 600 iterations the images have 50 % of the data's diversity, train on",
            ),
            (2000, 0.40, None, "it is late for that"),
            (600, 0.66, None, "healthy: nothing wrong"),
            (600, 0.66, Some((10, 10)), "healthy: nothing wrong"),
            (
                600,
                0.66,
                Some((7, 10)),
                "not yet healthy: after 600 iterations the images show 7 of 10 classes, train on",
            ),
            (200, 0.362, None, "200 iterations are too few"),
        ];
        for (iterations, diversity, classes, expected) in cases {
            let mut monitor = Monitor::new(LossKind::Bce).with_data_diversity(0.720);
            let seen =
                |iteration| Observation { iteration, d_loss: 1.3, g_loss: 0.8, diversity: Some(diversity) };
            assert!(run(&mut monitor, (1..=iterations).map(seen)).is_empty());
            let verdict = monitor.report(Some((1.25, 0.5)), classes).verdict;
            assert!(verdict.contains(expected), "{verdict}");
            // The losses are those that the run reports.
            assert_eq!(verdict.contains("D 1.250"), iterations >= 300, "{verdict}");
        }
    }

    #[test]
    fn verdicts_say_how_close_the_game_is() {
        let cases = [
            (LossKind::Bce, 1.36, 0.80, "close to equilibrium"),
            (LossKind::Bce, 1.13, 0.93, "right answer 57 % (50 % is equilibrium), a little ahead"),
            (LossKind::Bce, 0.80, 1.6, "well ahead"),
            (LossKind::Ls, 0.24, 0.15, "0.49 off their targets (0.50 is equilibrium), close to equilibrium"),
            (LossKind::Hinge, 1.6, 0.4, "D 1.600 (2.000 when it can only guess)"),
        ];
        for (loss, d, g, expected) in cases {
            let mut monitor = Monitor::new(loss);
            let figures =
                (1..=600).map(|iteration| Observation { iteration, d_loss: d, g_loss: g, diversity: None });
            assert!(run(&mut monitor, figures).is_empty());
            let verdict = monitor.report(None, None).verdict;
            assert!(verdict.contains(expected), "{verdict}");
        }
        assert_eq!(Monitor::new(LossKind::Bce).report(None, None).verdict, "no iteration was seen");
        let mut short = Monitor::new(LossKind::Bce);
        run(&mut short, curve(20, |_| (1.3, 0.8, 0.3)));
        assert!(short.report(None, None).verdict.contains("too few"));
    }
}
