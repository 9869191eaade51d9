//! Tests that try things at random: a few times in `cargo test`, as long as it says in `cargo xtask torture`.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The rounds of a test. `cargo xtask torture` sets `LATENT_TORTURE_SECONDS`, how long they go on; `LATENT_TORTURE_SEED`; and
/// `LATENT_TORTURE_DIR`, where what is tried lies until it has passed, and what is kept of a failure.
#[derive(Debug)]
pub struct Trials {
    rounds: u64,
    until: Option<Instant>,
    seed: u64,
    folder: Option<PathBuf>,
    done: u64,
    outcomes: BTreeMap<String, u64>,
}

impl Trials {
    /// So many rounds, unless the environment says otherwise.
    pub fn new(rounds: u64) -> Self {
        let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        Self {
            rounds,
            until: number("LATENT_TORTURE_SECONDS")
                .map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            seed: number("LATENT_TORTURE_SEED").unwrap_or(0),
            folder: env::var_os("LATENT_TORTURE_DIR").map(PathBuf::from),
            done: 0,
            outcomes: BTreeMap::new(),
        }
    }

    /// The seed of what is drawn: 0 unless the environment says otherwise.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The number of the next round, if there is one.
    pub fn next_round(&mut self) -> Option<u64> {
        let goes_on = self.until.map_or(self.done < self.rounds, |until| Instant::now() < until);
        goes_on.then(|| {
            self.done += 1;
            self.done - 1
        })
    }

    /// Counts what came of a round.
    pub fn count(&mut self, outcome: impl Into<String>) {
        *self.outcomes.entry(outcome.into()).or_default() += 1;
    }

    /// How often that came out.
    pub fn counted(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    /// Writes what is tried next where it survives a crash, in `cargo xtask torture`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn keep(&self, name: &str, bytes: &[u8]) {
        if let Some(folder) = &self.folder {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    /// Copies a folder, which holds what failed, to where it stays, in `cargo xtask torture`. Says where it is.
    pub fn keep_folder(&self, from: &Path) -> String {
        let Some(folder) = &self.folder else { return "`cargo xtask torture` keeps it".into() };
        let to = folder.join("failed");
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(&to).status();
        match copied {
            Ok(status) if status.success() => format!("kept in {}", to.display()),
            _ => format!("not copied to {}", to.display()),
        }
    }
}

impl Drop for Trials {
    fn drop(&mut self) {
        let outcomes: Vec<String> =
            self.outcomes.iter().map(|(outcome, times)| format!("{times} {outcome}")).collect();
        let line = format!("{} rounds: {}", self.done, outcomes.join(", "));
        eprintln!("{line}");
        if let Some(folder) = &self.folder {
            let log = OpenOptions::new().append(true).create(true).open(folder.join("tried.txt"));
            let _ = log.and_then(|mut log| writeln!(log, "{line}"));
        }
    }
}
