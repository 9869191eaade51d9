//! What is measured: a model file in a back end with some threads, and runs of it of some batch size.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use latent_runtime::backend::{Backend, RunError};
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::open::{BackendKind, Chosen, OpenOptions, open, read_metadata};

use super::super::ports::{PortArgs, check_given, label};
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
pub(crate) enum Opened {
    Native(Box<Chosen<NativeBackend>>),
    Other(Box<dyn Backend>),
}

impl Opened {
    /// Opens a file; `instruction_set` is for the native engine. A label that is not given is class 0.
    pub(crate) fn new(
        path: &Path,
        kind: BackendKind,
        threads: usize,
        (instruction_set, ports): (Option<&str>, &PortArgs),
    ) -> anyhow::Result<Self> {
        let choice = ports.choice()?;
        let given: Vec<String> = choice.given.iter().map(|(name, _)| name.clone()).collect();
        // The native engine itself can tell more than the trait has; a file that it does not read is `open`'s affair.
        let mut opened = if kind == BackendKind::Native && BackendKind::for_file(path) == kind {
            let options = NativeOptions { threads, instruction_set: instruction_set.map(str::to_string) };
            let native = NativeBackend::load(path, &options)?;
            let label = native.model().metadata_text("latent.label").map(str::to_string);
            let chosen =
                Chosen::new(native, &choice, || label).with_context(|| path.display().to_string())?;
            Self::Native(Box::new(chosen))
        } else {
            Self::Other(open(path, kind, &OpenOptions { threads, choice })?)
        };
        let backend = opened.backend();
        if backend.input_at(1).is_some() {
            let label = label(backend, &read_metadata(path)?).filter(|label| !given.contains(&label.name));
            if let Some(label) = &label {
                backend.give(&label.name, &label.values(0).unwrap_or_default())?;
            }
            check_given(
                path,
                backend,
                &[given, label.into_iter().map(|label| label.name).collect()].concat(),
            )?;
        }
        Ok(opened)
    }

    pub(crate) fn backend(&mut self) -> &mut dyn Backend {
        match self {
            Self::Native(backend) => backend.as_mut(),
            Self::Other(backend) => backend.as_mut(),
        }
    }
}

/// A file in a back end.
pub(crate) struct Engine<'a> {
    pub(crate) file: &'a ModelFile,
    pub(crate) kind: BackendKind,
    pub(crate) threads: usize,
    pub(crate) opened: Opened,
    /// Against the reference.
    pub(crate) difference: Option<Difference>,
}

/// Opens the file, runs it once, and says how many seconds that took.
pub(crate) fn load(
    path: &Path,
    kind: BackendKind,
    threads: usize,
    options: (Option<&str>, &PortArgs),
    input: &[f32],
) -> anyhow::Result<(Opened, f64)> {
    let start = Instant::now();
    let mut opened = Opened::new(path, kind, threads, options)?;
    let backend = opened.backend();
    let batch = input.len() / backend.input().values().max(1);
    let mut output = vec![0.0; batch * backend.output().values()];
    backend.run(batch, input, &mut output).with_context(|| path.display().to_string())?;
    Ok((opened, start.elapsed().as_secs_f64()))
}

/// All outputs of inputs that are a whole number of batches.
pub(crate) fn outputs(backend: &mut dyn Backend, batch: usize, inputs: &[f32]) -> Result<Vec<f32>, RunError> {
    let (values, results) = (backend.input().values().max(1), backend.output().values());
    let mut outputs = vec![0.0; inputs.len() / values * results];
    for (input, output) in inputs.chunks(batch * values).zip(outputs.chunks_mut(batch * results)) {
        backend.run(batch, input, output)?;
    }
    Ok(outputs)
}

/// Runs of one engine at one batch size.
pub(crate) struct Contender {
    /// The index of the engine.
    pub(crate) engine: usize,
    pub(crate) batch: usize,
    pub(crate) input: Vec<f32>,
    pub(crate) output: Vec<f32>,
    /// Microseconds of every run.
    times: Vec<f64>,
    /// The median of each burst.
    pub(crate) bursts: Vec<f64>,
}

impl Contender {
    pub(crate) fn new(engine: usize, batch: usize, input: Vec<f32>, outputs: usize) -> Self {
        Self { engine, batch, input, output: vec![0.0; outputs], times: Vec::new(), bursts: Vec::new() }
    }

    pub(crate) fn summary(&self) -> Summary {
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
pub(crate) fn measure(
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
