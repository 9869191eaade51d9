//! A session in memory that the caller gives.

use core::fmt;

use super::execute::execute;
use crate::backend::{RunError, TensorInfo, check_run};
use crate::format::{ALIGNMENT, Model};
use crate::kernels::{Engine, Isa};

/// Why a session cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The arena does not hold a batch of one.
    ArenaTooSmall {
        /// The arena's length in bytes.
        found: usize,
        /// What [`crate::format::arena_len`] gives.
        needed: usize,
    },
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { found, needed } => {
                write!(f, "the arena has {found} bytes; this model needs {needed} (see `arena_len`)")
            }
        }
    }
}

impl core::error::Error for SessionError {}

/// Runs a packed model in an arena of the caller's: no allocation, no panic, no lock, one thread.
///
/// The instruction set is the best that the machine has (under `std`) or that the compiler may assume (without).
/// ```
/// use latent_runtime::format::*;
/// use latent_runtime::native::Session;
///
/// # let mut builder = Builder::new(ModelInfo::default());
/// # let z = builder.input("z", &[2], Element::F32)?;
/// # let y = builder.fully_connected("fc", z, LayerSpec::new(PlainWeights::F32(&[1.0, 2.0]), PlainBias::None))?;
/// # builder.output(y, "y", &[1])?;
/// # let packed = latent_runtime::AlignedBytes::copy_of(&builder.finish()?);
/// # let bytes = packed.as_slice();
/// let model = Model::from_bytes(bytes)?;
/// let mut arena = [0; 1024]; // on a device: `static ARENA: [u8; arena_len(MODEL)]`
/// let mut session = Session::new(&model, &mut arena)?;
/// let mut output = [0.0];
/// session.run(&[3.0, 4.0], &mut output)?;
/// assert_eq!(output, [11.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: Model<'m>,
    arena: &'a mut [u8],
    engine: Engine,
    limit: usize,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session. The more the arena holds beyond [`crate::format::arena_len`], the more examples run at once (see
    /// [`Model::arena_len`]).
    ///
    /// # Errors
    /// [`SessionError::ArenaTooSmall`].
    pub fn new(model: &Model<'m>, arena: &'a mut [u8]) -> Result<Self, SessionError> {
        Self::with_isa(model, arena, Isa::best())
    }

    pub(super) fn with_isa(model: &Model<'m>, arena: &'a mut [u8], isa: Isa) -> Result<Self, SessionError> {
        let needed = model.arena_len(1).unwrap_or(usize::MAX);
        let found = arena.len();
        let too_small = SessionError::ArenaTooSmall { found, needed };
        if found < needed {
            return Err(too_small);
        }
        let skip = arena.as_ptr().align_offset(ALIGNMENT);
        let arena = arena.get_mut(skip..).ok_or(too_small)?;
        let limit = match model.activations_len() {
            0 => usize::MAX,
            bytes => (arena.len() - model.scratch_len()) / bytes,
        };
        Ok(Self { model: *model, arena, engine: Engine::new(isa), limit })
    }

    /// The input's name and shape without the batch axis.
    pub fn input(&self) -> TensorInfo<'_> {
        let name = self.model.input().map_or("", |value| value.name);
        TensorInfo { name, shape: self.model.input_shape().as_slice() }
    }

    /// The output's name and shape without the batch axis.
    pub fn output(&self) -> TensorInfo<'_> {
        let name = self.model.output().map_or("", |value| value.name);
        TensorInfo { name, shape: self.model.output_shape().as_slice() }
    }

    /// How many examples run at once; larger batches are divided.
    pub fn batch_limit(&self) -> usize {
        self.limit
    }

    /// Runs as many examples as `input` holds.
    ///
    /// # Errors
    /// If the input is empty or no whole number of examples, or `output` has not the room for exactly that many.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        let shape = |shape: &crate::format::Shape| shape.as_slice().iter().product::<usize>().max(1);
        let (inputs, outputs) = (shape(self.model.input_shape()), shape(self.model.output_shape()));
        let batch = input.len() / inputs;
        check_run(self.input(), self.output(), batch, input, output)?;
        let step = batch.min(self.limit);
        for (input, output) in input.chunks(step * inputs).zip(output.chunks_mut(step * outputs)) {
            let batch = input.len() / inputs;
            execute(&self.model, &mut self.engine, self.arena, batch, (input, output), &mut |_| ())?;
        }
        Ok(())
    }
}
