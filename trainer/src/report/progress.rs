//! Progress of a training run, on stderr.
//!
//! On a terminal a bar with speed, losses and the time left; otherwise (a log file, CI) one short line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar's text is made anew.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// When, after the start, the first line is printed where there is no terminal.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(5);
/// How often further lines are printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// The speed shown is an average over about this long.
const SPEED_OVER: f64 = 5.0;

/// The progress of one run (or of its continuation).
#[derive(Debug)]
pub struct Progress {
    total: u64,
    start: u64,
    iteration: u64,
    figures: Vec<(&'static str, f64)>,
    started: Instant,
    next: Instant,
    speed: Speed,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress towards `total` iterations, of which `start` are done already. Writes to stderr: a bar on a terminal,
    /// lines otherwise.
    pub fn new(total: u64, start: u64) -> Self {
        Self::with_terminal(total, start, std::io::stderr().is_terminal())
    }

    /// Says nothing at all (`--quiet`, tests).
    pub fn hidden(total: u64, start: u64) -> Self {
        let mut progress = Self::with_terminal(total, start, true);
        progress.bar = Some(ProgressBar::hidden());
        progress
    }

    fn with_terminal(total: u64, start: u64, terminal: bool) -> Self {
        let now = Instant::now();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
            let style = "{wide_bar:.cyan/black.bright} {pos}/{len} {msg}";
            // The template is a constant; were it wrong, the default style would do.
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_position(start);
            bar
        });
        Self {
            total,
            start,
            iteration: start,
            figures: Vec::new(),
            started: now,
            next: now + if terminal { Duration::ZERO } else { FIRST_LINE_AFTER },
            speed: Speed::new(start),
            bar,
        }
    }

    /// Says that `iteration` iterations are done, the last with these named figures, such as losses. Cheap; call it each time.
    pub fn tick(&mut self, iteration: u64, figures: &[(&'static str, f64)]) {
        self.iteration = iteration;
        self.figures.clear();
        self.figures.extend_from_slice(figures);
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.speed.update(iteration, now - self.started);
        match &self.bar {
            Some(bar) => {
                self.next = now + REDRAW_EVERY;
                bar.set_position(iteration);
                bar.set_message(self.course());
            }
            None => {
                self.next = now + LINE_EVERY;
                latent_files::say!("{}", self.line());
            }
        }
    }

    /// Prints a line of text (a finding, a file written) without disturbing the bar.
    pub fn println(&self, text: &str) {
        match &self.bar {
            Some(bar) if !bar.is_hidden() => bar.suspend(|| latent_files::say!("{text}")),
            Some(_) => {}
            None => latent_files::say!("{text}"),
        }
    }

    /// Mean speed since the start, in iterations a second; 0 before the first iteration.
    pub fn iterations_per_second(&self) -> f64 {
        rate(self.iteration.saturating_sub(self.start), self.started.elapsed())
    }

    /// Takes the bar away and prints one line that sums the run up.
    pub fn finish(self) {
        let quiet = self.bar.as_ref().is_some_and(ProgressBar::is_hidden);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !quiet {
            latent_files::say!("{}", self.summary(self.started.elapsed()));
        }
    }

    /// `9.2 it/s  D 1.213  G 0.934  ETA 2:05`
    fn course(&self) -> String {
        let mut text = format!("{} it/s", short(self.speed.value));
        for (name, value) in &self.figures {
            text.push_str(&format!("  {name} {value:.3}"));
        }
        let left = self.total.saturating_sub(self.iteration);
        if self.speed.value > 0.0 && left > 0 {
            text.push_str(&format!("  ETA {}", clock(left as f64 / self.speed.value)));
        }
        text
    }

    /// `iteration 520/1950 (27 %)  9.2 it/s  D 1.213  G 0.934  ETA 2:05`
    fn line(&self) -> String {
        let percent = 100 * self.iteration.min(self.total) / self.total.max(1);
        format!("iteration {}/{} ({percent} %)  {}", self.iteration, self.total, self.course())
    }

    /// `1950 iterations in 3:32 (9.2 it/s)`
    fn summary(&self, elapsed: Duration) -> String {
        let done = self.iteration.saturating_sub(self.start);
        let mut text = format!(
            "{done} iterations in {} ({} it/s)",
            clock(elapsed.as_secs_f64()),
            short(rate(done, elapsed))
        );
        if self.iteration < self.total {
            text.push_str(&format!(", stopped at iteration {} of {}", self.iteration, self.total));
        }
        text
    }
}

/// A smoothed speed: exponential average over time, whatever the distance between updates.
#[derive(Debug)]
struct Speed {
    iteration: u64,
    at: Duration,
    value: f64,
}

impl Speed {
    fn new(start: u64) -> Self {
        Self { iteration: start, at: Duration::ZERO, value: 0.0 }
    }

    fn update(&mut self, iteration: u64, at: Duration) {
        let span = at.saturating_sub(self.at);
        let now = rate(iteration.saturating_sub(self.iteration), span);
        if span.is_zero() || now == 0.0 {
            return;
        }
        // The first value counts in full.
        let weight = if self.value == 0.0 { 1.0 } else { 1.0 - (-span.as_secs_f64() / SPEED_OVER).exp() };
        self.value += weight * (now - self.value);
        (self.iteration, self.at) = (iteration, at);
    }
}

fn rate(count: u64, over: Duration) -> f64 {
    if over.is_zero() { 0.0 } else { count as f64 / over.as_secs_f64() }
}

/// About three digits.
fn short(value: f64) -> String {
    let decimals = if value < 9.95 {
        2
    } else if value < 99.5 {
        1
    } else {
        0
    };
    format!("{value:.decimals$}")
}

/// `0:07`, `2:05`, `1:02:03`, `3 d 4 h`
fn clock(seconds: f64) -> String {
    // A float-to-integer cast saturates, and NaN is 0.
    let seconds = seconds.round() as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, m, s) => format!("{m}:{s:02}"),
        (0, h, m, s) => format!("{h}:{m:02}:{s:02}"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_speeds_are_short() {
        let cases =
            [(0.0, "0:00"), (6.6, "0:07"), (125.0, "2:05"), (3723.0, "1:02:03"), (273_600.0, "3 d 4 h")];
        for (seconds, expected) in cases {
            assert_eq!(clock(seconds), expected);
        }
        assert_eq!(clock(f64::NAN), "0:00");
        for (value, expected) in [(0.0, "0.00"), (9.236, "9.24"), (57.04, "57.0"), (312.7, "313")] {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn lines_say_how_far_the_run_is() {
        let mut progress = Progress::with_terminal(1950, 390, false);
        progress.iteration = 790;
        progress.figures = vec![("D", 1.2131), ("G", 0.9342)];
        progress.speed.update(790, Duration::from_secs(40));
        assert_eq!(progress.line(), "iteration 790/1950 (40 %)  10.0 it/s  D 1.213  G 0.934  ETA 1:56");
        assert_eq!(
            progress.summary(Duration::from_secs(40)),
            "400 iterations in 0:40 (10.0 it/s), stopped at iteration 790 of 1950"
        );
        progress.iteration = 1950;
        assert_eq!(progress.summary(Duration::from_secs(120)), "1560 iterations in 2:00 (13.0 it/s)");
    }

    #[test]
    fn speed_follows_a_change() {
        let mut speed = Speed::new(0);
        (1..=10).for_each(|second| speed.update(10 * second, Duration::from_secs(second)));
        assert!((speed.value - 10.0).abs() < 1e-9);
        (1..=30).for_each(|second| speed.update(100 + 20 * second, Duration::from_secs(10 + second)));
        assert!((speed.value - 20.0).abs() < 0.1, "{}", speed.value);
    }

    #[test]
    fn an_empty_run_divides_by_nothing() {
        let progress = Progress::hidden(0, 0);
        assert_eq!(progress.line(), "iteration 0/0 (0 %)  0.00 it/s");
        assert_eq!(progress.iterations_per_second(), 0.0);
        progress.finish();
    }
}
