//! What is measured: a model file in a back end with some threads, and runs of it of some batch size.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use latent_runtime::backend::{Backend, RunError};
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::open::{BackendKind, OpenError, OpenOptions, open};

use super::files::ModelFile;
use super::statistics::{Difference, Summary, median};

/// How long a contender is measured before the next has its turn.
const BURST: Duration = Duration::from_millis(40);
/// The fewest runs of a burst.
const LEAST: usize = 3;
/// How long it runs before that, so that caches hold its weights again and its threads are awake.
const WARM_UP: Duration = Duration::from_millis(4);
/// Before that, the threads of the one before may fall asleep.
const SETTLE: Duration = Duration::from_millis(3);

/// A model that a back end has opened.
pub(super) enum Opened {
    Native(Box<NativeBackend>),
    Other(Box<dyn Backend>),
}

impl Opened {
    /// Opens a file; `instruction_set` is for the native engine.
    pub(super) fn new(
        path: &Path,
        kind: BackendKind,
        threads: usize,
        instruction_set: Option<&str>,
    ) -> Result<Self, OpenError> {
        // The native engine itself can tell more than the trait has; a file that it does not read is `open`'s affair.
        if kind == BackendKind::Native && BackendKind::for_file(path) == kind {
            let options = NativeOptions { threads, instruction_set: instruction_set.map(str::to_string) };
            return Ok(Self::Native(Box::new(NativeBackend::load(path, &options)?)));
        }
        Ok(Self::Other(open(path, kind, &OpenOptions { threads })?))
    }

    pub(super) fn backend(&mut self) -> &mut dyn Backend {
        match self {
            Self::Native(backend) => backend.as_mut(),
            Self::Other(backend) => backend.as_mut(),
        }
    }
}

/// A file in a back end.
pub(super) struct Engine<'a> {
    pub(super) file: &'a ModelFile,
    pub(super) kind: BackendKind,
    pub(super) threads: usize,
    pub(super) opened: Opened,
    /// Against the reference.
    pub(super) difference: Option<Difference>,
}

/// Opens the file, runs it once, and says how many seconds that took.
pub(super) fn load(
    path: &Path,
    kind: BackendKind,
    threads: usize,
    instruction_set: Option<&str>,
    input: &[f32],
) -> anyhow::Result<(Opened, f64)> {
    let start = Instant::now();
    let mut opened = Opened::new(path, kind, threads, instruction_set)?;
    let backend = opened.backend();
    let batch = input.len() / backend.input().values().max(1);
    let mut output = vec![0.0; batch * backend.output().values()];
    backend.run(batch, input, &mut output).with_context(|| path.display().to_string())?;
    Ok((opened, start.elapsed().as_secs_f64()))
}

/// All outputs of inputs that are a whole number of batches.
pub(super) fn outputs(backend: &mut dyn Backend, batch: usize, inputs: &[f32]) -> Result<Vec<f32>, RunError> {
    let (values, results) = (backend.input().values().max(1), backend.output().values());
    let mut outputs = vec![0.0; inputs.len() / values * results];
    for (input, output) in inputs.chunks(batch * values).zip(outputs.chunks_mut(batch * results)) {
        backend.run(batch, input, output)?;
    }
    Ok(outputs)
}

/// Runs of one engine at one batch size.
pub(super) struct Contender {
    /// The index of the engine.
    pub(super) engine: usize,
    pub(super) batch: usize,
    pub(super) input: Vec<f32>,
    pub(super) output: Vec<f32>,
    /// Microseconds of every run.
    times: Vec<f64>,
    /// The median of each burst.
    pub(super) bursts: Vec<f64>,
}

impl Contender {
    pub(super) fn new(engine: usize, batch: usize, input: Vec<f32>, outputs: usize) -> Self {
        Self { engine, batch, input, output: vec![0.0; outputs], times: Vec::new(), bursts: Vec::new() }
    }

    pub(super) fn summary(&self) -> Summary {
        Summary::of(&self.times)
    }

    fn run(&mut self, backend: &mut dyn Backend) -> Result<f64, RunError> {
        let start = Instant::now();
        backend.run(self.batch, &self.input, &mut self.output)?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    }

    fn burst(&mut self, backend: &mut dyn Backend) -> Result<(), RunError> {
        thread::sleep(SETTLE);
        let start = Instant::now();
        while {
            self.run(backend)?;
            start.elapsed() < WARM_UP
        } {}
        let first = self.times.len();
        let start = Instant::now();
        while self.times.len() < first + LEAST || start.elapsed() < BURST {
            let time = self.run(backend)?;
            self.times.push(time);
        }
        self.bursts.push(median(&self.times[first..]));
        Ok(())
    }
}

/// Measures all contenders in turns, so that whatever else the machine does in the meantime meets all of them.
pub(super) fn measure(
    engines: &mut [Engine<'_>],
    contenders: &mut [Contender],
    seconds: f64,
    told: &mut dyn FnMut(usize, usize),
) -> anyhow::Result<()> {
    let rounds = (seconds / BURST.as_secs_f64()).ceil().max(1.0) as usize;
    for round in 0..rounds {
        told(round, rounds);
        for contender in contenders.iter_mut() {
            let engine = &mut engines[contender.engine];
            contender
                .burst(engine.opened.backend())
                .with_context(|| format!("running {}", engine.file.path.display()))?;
        }
    }
    Ok(())
}
