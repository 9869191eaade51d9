//! A session that owns its memory, with threads.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::execute::execute;
use crate::aligned::AlignedBytes;
use crate::backend::{Backend, RunError, TensorInfo, check_run};
use crate::format::{FormatError, Header, Model, crc32};
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
    bytes: Bytes,
    header: Header,
    arena: AlignedBytes,
    /// Examples that the arena holds.
    limit: usize,
    engine: Engine,
    input_name: String,
    output_name: String,
    description: String,
}

/// The CRC-32 of bytes, by all threads.
fn checksum(engine: &mut Engine, bytes: &[u8]) -> u32 {
    /// The least that is worth another thread.
    const PIECE: usize = 1 << 18;
    /// Pieces for each thread: so that one that begins late has less to do, and few, since each takes a microsecond to join.
    const PIECES: usize = 2;
    if engine.threads() == 1 || bytes.len() < 2 * PIECE {
        return crc32(bytes);
    }
    let length = bytes.len().div_ceil(PIECES * engine.threads()).max(PIECE);
    let pieces: Vec<(&[u8], AtomicU32)> =
        bytes.chunks(length).map(|piece| (piece, AtomicU32::new(0))).collect();
    engine.parallel(pieces.len(), &|index| {
        let (piece, checksum) = &pieces[index];
        checksum.store(crc32(piece), Ordering::Relaxed);
    });
    let mut whole = crc32fast::Hasher::new();
    for (piece, checksum) in &pieces {
        let part =
            crc32fast::Hasher::new_with_initial_len(checksum.load(Ordering::Relaxed), piece.len() as u64);
        whole.combine(&part);
    }
    whole.finalize()
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
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::other("it is not a file")));
        }
        let length = metadata.len();
        let found = usize::try_from(length).unwrap_or(usize::MAX);
        if found == 0 {
            // An empty file cannot be mapped.
            let source = FormatError::TooShort { found };
            return Err(LoadError::Format { path: path.to_path_buf(), source });
        }
        let bytes = Bytes::Mapped(Mapping::new(&file).map_err(io)?);
        Self::new(bytes, options).map_err(|error| match error {
            LoadError::Format { source, .. } => LoadError::Format { path: path.to_path_buf(), source },
            other => other,
        })
    }

    /// Takes a packed model in memory; it is copied to an aligned address.
    ///
    /// # Errors
    /// If the bytes are no valid model, or the options ask for what this machine does not have.
    pub fn from_bytes(bytes: &[u8], options: &NativeOptions) -> Result<Self, LoadError> {
        Self::new(Bytes::Owned(AlignedBytes::copy_of(bytes)), options)
    }

    fn new(bytes: Bytes, options: &NativeOptions) -> Result<Self, LoadError> {
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
        let model = Model::from_bytes_with(bytes.as_slice(), |bytes| checksum(&mut engine, bytes))
            .map_err(|source| LoadError::Format { path: PathBuf::new(), source })?;
        let arena = arena(&model, 1, &engine).ok_or(LoadError::TooLarge)?;
        let name = |value: Option<crate::format::Value<'_>>| value.map_or("", |value| value.name).to_string();
        let description = format!(
            "native {}, {}, {} {}",
            model.precision().name(),
            isa.name(),
            engine.threads(),
            if engine.threads() == 1 { "thread" } else { "threads" }
        );
        let (input_name, output_name) = (name(model.input()), name(model.output()));
        let header = *model.header();
        Ok(Self { header, bytes, arena, limit: 1, engine, input_name, output_name, description })
    }

    /// The packed model.
    pub fn model(&self) -> Model<'_> {
        Model::with_header(self.bytes.as_slice(), &self.header)
    }

    /// Runs a batch and says how long each operator took.
    ///
    /// # Errors
    /// As [`Backend::run`].
    pub fn run_timed(
        &mut self,
        batch: usize,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<Vec<Timing>, RunError> {
        let mut marks = Vec::new();
        self.run_observed(batch, input, output, &mut |_| marks.push(Instant::now()))?;
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

    fn run_observed(
        &mut self,
        batch: usize,
        input: &[f32],
        output: &mut [f32],
        observe: &mut dyn FnMut(usize),
    ) -> Result<(), RunError> {
        check_run(self.input(), self.output(), batch, input, output)?;
        let model = Model::with_header(self.bytes.as_slice(), &self.header);
        let wanted = batch.min(MAX_BATCH);
        if wanted > self.limit {
            // Only ever grows: runs of a batch size seen before allocate nothing.
            let limit = RunError::BatchTooLarge { batch, limit: self.limit };
            self.arena = arena(&model, wanted, &self.engine).ok_or(limit)?;
            self.limit = wanted;
        }
        let (inputs, outputs) = (input.len() / batch, output.len() / batch);
        for (input, output) in input.chunks(wanted * inputs).zip(output.chunks_mut(wanted * outputs)) {
            let batch = input.len() / inputs;
            let arena = self.arena.as_mut_slice();
            execute(&model, &mut self.engine, arena, batch, (input, output), observe)?;
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
        TensorInfo { name: &self.input_name, shape: self.header.input_shape() }
    }

    fn output(&self) -> TensorInfo<'_> {
        TensorInfo { name: &self.output_name, shape: self.header.output_shape() }
    }

    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        self.run_observed(batch, input, output, &mut |_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_by_several_threads_is_the_same() {
        let bytes: Vec<u8> = (0..(5usize << 20) + 77).map(|index| (index * index / 7) as u8).collect();
        for threads in [1, 2, 3] {
            let mut engine = Engine::new(Isa::best());
            engine.set_threads(threads);
            for length in [0, 1000, (1 << 19) - 1, 1 << 19, bytes.len()] {
                assert_eq!(checksum(&mut engine, &bytes[..length]), crc32(&bytes[..length]), "{length}");
            }
        }
    }
}
