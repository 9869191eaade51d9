//! A session in memory that the caller gives.

use core::fmt;
use core::ops::Range;

use super::execute::{execute, run_operator};
use super::outside::{Input, Output, View, ViewMut};
use crate::backend::{RunError, Slot, TensorInfo, check_count, check_slots};
use crate::format::{ALIGNMENT, Model, Port, PortType, Ports, Shape};
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
/// The instruction set is the best that the machine has; without `std`, a 64-bit Arm's is what the compiler may assume.
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
/// let mut arena = [0; 1024]; // on a device: see [`model!`](crate::model)
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
    /// Operators that have run since an input was given; `None` before that.
    done: Option<usize>,
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
        Ok(Self { model: *model, arena, engine: Engine::new(isa), limit, done: None })
    }

    /// The first input's name and shape without the batch axis. All of them are the model's ([`Model::inputs`]).
    pub fn input(&self) -> TensorInfo<'_> {
        first(self.model.inputs(), self.model.input_shape())
    }

    /// The first output's name and shape without the batch axis. All of them are the model's ([`Model::outputs`]).
    pub fn output(&self) -> TensorInfo<'_> {
        first(self.model.outputs(), self.model.output_shape())
    }

    /// How many examples run at once; larger batches are divided.
    pub fn batch_limit(&self) -> usize {
        self.limit
    }

    /// Runs a model of one input and one output on as many examples as `input` holds.
    ///
    /// # Errors
    /// As [`Session::run_all`]; also if the model has more inputs or outputs, which the error names.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        self.run_all(&[input], &mut [output])
    }

    /// Runs a model on a slice for each of its inputs, in their order, that all hold as many examples, into a slice for each
    /// of its outputs. What goes in are whole numbers where the input is of these.
    ///
    /// # Errors
    /// If there is another number of slices than of inputs or outputs, the first input is empty or no whole number of
    /// examples, another slice has not exactly that many, or an input of whole numbers is given others.
    pub fn run_all(&mut self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<(), RunError> {
        let model = &self.model;
        check_count("input", model.inputs().map(|port| port.name), inputs.len())?;
        check_count("output", model.outputs().map(|port| port.name), outputs.len())?;
        let batch = inputs.first().map_or(0, |first| first.len()) / self.input().values().max(1);
        let slots = |ports: Ports<'m>| {
            ports.map(|Port { name, kind, value, .. }| Slot { name, kind, values: value.logical() })
        };
        check_slots(slots(model.inputs()), slots(model.outputs()), batch, inputs, outputs)?;
        self.done = None;
        for examples in parts(batch, self.limit) {
            execute(&self.model, &mut self.engine, self.arena, examples, (inputs, outputs), &mut |_| ())?;
        }
        Ok(())
    }

    /// Runs a model of one input and one output on one example, where values or the bytes of pictures go in and out:
    /// `session.run_u8(&latent, &mut picture)` of a generator, `session.run_u8(&picture, &mut embedding)` of an encoder.
    ///
    /// Pixels are 0 to 255, rows from above, the channels of a pixel side by side; they become values by the model's
    /// range (see [`crate::image_encoding`]) exactly as [`Session::run`] has them, without a copy in f32.
    ///
    /// # Errors
    /// As [`Session::run`], and [`RunError::Normalized`].
    pub fn run_u8<'i, 'o>(
        &mut self,
        input: impl Into<Input<'i>>,
        output: impl Into<Output<'o>>,
    ) -> Result<(), RunError> {
        let (input, output) = (input.into(), output.into());
        check_count("input", self.model.inputs().map(|port| port.name), 1)?;
        check_count("output", self.model.outputs().map(|port| port.name), 1)?;
        output.check(&self.model, 0)?;
        self.give(0, input)?;
        while self.step()?.is_some() {}
        self.take(0, output)
    }

    /// Gives one of the inputs the values or pixels of one example, from which [`Session::step`] goes on. All inputs have
    /// to be given, in any order, before the first step.
    ///
    /// # Errors
    /// As [`Session::run_u8`].
    pub fn give<'i>(&mut self, index: usize, input: impl Into<Input<'i>>) -> Result<(), RunError> {
        input.into().write(&self.model, index, self.arena)?;
        self.done = Some(0);
        Ok(())
    }

    /// Runs the next operator: a program that has a watchdog or other work runs a model in these steps. `Some(index)` of
    /// the operator that has run, `None` where all have. A session's arena is its own until then.
    ///
    /// ```
    /// # use latent_runtime::{format::*, native::Session};
    /// # fn run(session: &mut Session, latent: &[f32], picture: &mut [u8]) -> Result<(), latent_runtime::Error> {
    /// session.give(0, latent)?;
    /// while let Some(operator) = session.step()? {
    ///     // Feed the watchdog; look at the clock.
    /// }
    /// session.take(0, picture)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RunError::Unfinished`] if no input has been given, [`RunError::Damaged`].
    pub fn step(&mut self) -> Result<Option<usize>, RunError> {
        let operators = self.model.operators_len();
        let done = self.done.ok_or(RunError::Unfinished { done: 0, operators })?;
        if done == operators {
            return Ok(None);
        }
        run_operator(&self.model, &mut self.engine, self.arena, 1, done)?;
        self.done = Some(done + 1);
        Ok(Some(done))
    }

    /// Takes one of the outputs, as values or as pixels, after the last [`Session::step`].
    ///
    /// # Errors
    /// [`RunError::Unfinished`]; else as [`Session::give`].
    pub fn take<'o>(&mut self, index: usize, output: impl Into<Output<'o>>) -> Result<(), RunError> {
        self.finished()?;
        output.into().read(&self.model, index, self.arena)
    }

    /// One of the inputs where it lies in the arena, to be written in place: by a camera, from a sensor. What is around the
    /// picture is filled here; it counts as given, as by [`Session::give`]. `None` if there is no such input.
    pub fn input_view(&mut self, index: usize) -> Option<ViewMut<'m, '_>> {
        self.done = Some(0);
        ViewMut::new(&self.model, index, self.arena)
    }

    /// One of the outputs where it lies in the arena, after the last [`Session::step`]; `None` if there is no such output.
    ///
    /// # Errors
    /// [`RunError::Unfinished`].
    pub fn output_view(&self, index: usize) -> Result<Option<View<'m, '_>>, RunError> {
        self.finished()?;
        Ok(View::new(&self.model, index, self.arena))
    }

    fn finished(&self) -> Result<(), RunError> {
        let (done, operators) = (self.done.unwrap_or(0), self.model.operators_len());
        if self.done == Some(operators) { Ok(()) } else { Err(RunError::Unfinished { done, operators }) }
    }
}

/// A batch divided into ranges of at most so many examples.
pub(super) fn parts(batch: usize, limit: usize) -> impl Iterator<Item = Range<usize>> {
    (0..batch).step_by(limit).map(move |start| start..batch.min(start.saturating_add(limit)))
}

/// The first of a model's ports, whose shape the model has.
fn first<'a>(mut ports: Ports<'a>, shape: &'a Shape) -> TensorInfo<'a> {
    let (name, kind) = ports.next().map_or(("", PortType::Float), |port| (port.name, port.kind));
    TensorInfo { name, shape: shape.as_slice(), kind }
}
