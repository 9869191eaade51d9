//! A session that owns its memory, with threads.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::execute::execute;
use super::session::parts;
use crate::aligned::AlignedBytes;
use crate::backend::{Backend, OwnedInfo, RunError, TensorInfo, check_all};
use crate::format::{FormatError, Header, Model, Ports};
use crate::kernels::{Engine, Isa};
use crate::mapping::Mapping;

/// Why a packed model cannot be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no valid packed model.
    Format {
        /// The file; empty if the model did not come from one.
        path: PathBuf,
        /// The rule it breaks.
        source: FormatError,
    },
    /// An instruction set that this machine does not have.
    InstructionSet {
        /// What was asked for.
        asked: String,
        /// What there is.
        available: Vec<&'static str>,
    },
    /// More working memory than an address space has.
    TooLarge,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Format { path, source } if path.as_os_str().is_empty() => source.fmt(f),
            Self::Format { path, source } => write!(f, "{}: {source}", path.display()),
            Self::InstructionSet { asked, available } => {
                write!(f, "this machine has no instruction set `{asked}`; there are {}", available.join(", "))
            }
            Self::TooLarge => f.write_str("the model needs more working memory than there can be"),
        }
    }
}

impl std::error::Error for LoadError {}

/// How a model is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeOptions {
    /// Threads, the caller's included; 0 counts as 1.
    pub threads: usize,
    /// The instruction set by name (see [`super::instruction_sets`]); the best if `None`.
    pub instruction_set: Option<String>,
}

/// How long an operator took.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The operator's name.
    pub name: String,
    /// What it does.
    pub kind: &'static str,
    /// The time it took.
    pub time: Duration,
    /// The bytes of weights it read.
    pub weights: usize,
}

/// Where the model lies.
enum Bytes {
    Owned(AlignedBytes),
    Mapped(Mapping),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes.as_slice(),
            Self::Mapped(mapping) => mapping.as_slice(),
        }
    }
}

/// The native back end: a packed model, its working memory and its threads.
pub struct NativeBackend {
    bytes: Arc<Bytes>,
    header: Header,
    arena: AlignedBytes,
    /// Examples that the arena holds.
    limit: usize,
    engine: Engine,
    inputs: Vec<OwnedInfo>,
    outputs: Vec<OwnedInfo>,
    description: String,
}

/// Working memory for a batch, with scratch memory for every thread.
fn arena(model: &Model<'_>, batch: usize, engine: &Engine) -> Option<AlignedBytes> {
    let more = model.scratch_len().checked_mul(engine.threads() - 1)?;
    Some(AlignedBytes::zeroed(model.arena_len(batch)?.checked_add(more)?))
}

/// The most examples computed at once; larger batches are divided, so that memory stays bounded.
const MAX_BATCH: usize = 64;

impl NativeBackend {
    /// Loads a packed model from a file. The file is mapped, not copied: it may be replaced by a rename, but must not be
    /// changed or cut while the model is in use.
    ///
    /// # Errors
    /// If the file cannot be read or is no valid model, or the options ask for what this machine does not have.
    pub fn load(path: impl AsRef<Path>, options: &NativeOptions) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let io = |source| LoadError::Io { path: path.to_path_buf(), source };
        // Asked before it is opened: opening a named pipe would wait for a writer.
        let metadata = path.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::other("it is not a file")));
        }
        let file = File::open(path).map_err(io)?;
        let length = metadata.len();
        let found = usize::try_from(length).unwrap_or(usize::MAX);
        if found == 0 {
            // An empty file cannot be mapped.
            let source = FormatError::TooShort { found };
            return Err(LoadError::Format { path: path.to_path_buf(), source });
        }
        let bytes = Bytes::Mapped(Mapping::new(&file).map_err(io)?);
        Self::new(Arc::new(bytes), options).map_err(|error| match error {
            LoadError::Format { source, .. } => LoadError::Format { path: path.to_path_buf(), source },
            other => other,
        })
    }

    /// Takes a packed model in memory; it is copied to an aligned address.
    ///
    /// # Errors
    /// If the bytes are no valid model, or the options ask for what this machine does not have.
    pub fn from_bytes(bytes: &[u8], options: &NativeOptions) -> Result<Self, LoadError> {
        Self::new(Arc::new(Bytes::Owned(AlignedBytes::copy_of(bytes))), options)
    }

    /// Another session of the same model, for another thread of the program: it shares the model's bytes, and has working
    /// memory and threads of its own.
    ///
    /// # Errors
    /// As [`NativeBackend::from_bytes`].
    pub fn another(&self, options: &NativeOptions) -> Result<Self, LoadError> {
        Self::new(Arc::clone(&self.bytes), options)
    }

    fn new(bytes: Arc<Bytes>, options: &NativeOptions) -> Result<Self, LoadError> {
        let isa = match &options.instruction_set {
            None => Isa::best(),
            Some(asked) => {
                Isa::available().find(|isa| isa.name() == asked).ok_or_else(|| LoadError::InstructionSet {
                    asked: asked.clone(),
                    available: super::instruction_sets().collect(),
                })?
            }
        };
        let mut engine = Engine::new(isa);
        engine.set_threads(options.threads);
        let model = Model::from_bytes_with(bytes.as_slice(), |bytes| engine.checksum(bytes))
            .map_err(|source| LoadError::Format { path: PathBuf::new(), source })?;
        let arena = arena(&model, 1, &engine).ok_or(LoadError::TooLarge)?;
        let description = format!(
            "native {}, {}, {} {}",
            model.precision().name(),
            isa.name(),
            engine.threads(),
            if engine.threads() == 1 { "thread" } else { "threads" }
        );
        let owned = |ports: Ports<'_>| ports.map(|port| port.info().into()).collect();
        let (inputs, outputs) = (owned(model.inputs()), owned(model.outputs()));
        let header = *model.header();
        Ok(Self { header, bytes, arena, limit: 1, engine, inputs, outputs, description })
    }

    /// The packed model.
    pub fn model(&self) -> Model<'_> {
        Model::with_header(self.bytes.as_slice(), &self.header)
    }

    /// Runs a batch and says how long each operator took.
    ///
    /// # Errors
    /// As [`Backend::run_all`].
    pub fn run_timed(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<Vec<Timing>, RunError> {
        let mut marks = Vec::new();
        check_all(self, batch, inputs, outputs)?;
        self.run_observed(batch, inputs, outputs, &mut |_| marks.push(Instant::now()))?;
        let model = self.model();
        let count = model.operators_len();
        let mut timings: Vec<Timing> = Vec::new();
        // One set of marks for every part that a large batch was divided into.
        for marks in marks.chunks_exact(count + 1) {
            for (index, pair) in marks.windows(2).enumerate() {
                let [begin, end] = pair else { continue };
                let time = *end - *begin;
                match timings.get_mut(index) {
                    Some(timing) => timing.time += time,
                    None => {
                        let Some(operator) = model.operator(index) else { continue };
                        timings.push(Timing {
                            name: operator.name.to_string(),
                            kind: operator.kind.name(),
                            time,
                            weights: operator.kind.layer().map_or(0, |layer| layer.weights.bytes()),
                        });
                    }
                }
            }
        }
        Ok(timings)
    }

    /// Runs a batch whose slices have been checked.
    fn run_observed(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        observe: &mut dyn FnMut(usize),
    ) -> Result<(), RunError> {
        let model = Model::with_header(self.bytes.as_slice(), &self.header);
        let wanted = batch.min(MAX_BATCH);
        if wanted > self.limit {
            // Only ever grows: runs of a batch size seen before allocate nothing.
            let limit = RunError::BatchTooLarge { batch, limit: self.limit };
            self.arena = arena(&model, wanted, &self.engine).ok_or(limit)?;
            self.limit = wanted;
        }
        for examples in parts(batch, wanted) {
            let arena = self.arena.as_mut_slice();
            execute(&model, &mut self.engine, arena, examples, (inputs, outputs), observe)?;
        }
        Ok(())
    }
}

impl fmt::Debug for NativeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Backend for NativeBackend {
    fn describe(&self) -> &str {
        &self.description
    }

    fn input(&self) -> TensorInfo<'_> {
        self.inputs[0].info()
    }

    fn output(&self) -> TensorInfo<'_> {
        self.outputs[0].info()
    }

    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        self.run_all(batch, &[input], &mut [output])
    }

    fn input_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.inputs.get(index).map(OwnedInfo::info)
    }

    fn output_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.outputs.get(index).map(OwnedInfo::info)
    }

    fn run_all(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<(), RunError> {
        check_all(self, batch, inputs, outputs)?;
        self.run_observed(batch, inputs, outputs, &mut |_| ())
    }
}
