//! The one interface of all back ends, so that a program chooses at run time.

use core::fmt;

use crate::format::{Name, PortType};

/// A tensor of one example: a model's input or output without the batch axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The name in the model, e.g. `z` or `image`.
    pub name: &'a str,
    /// The shape per example, without the batch axis, e.g. `[96]` or `[1, 28, 28]`.
    pub shape: &'a [usize],
    /// What its elements are; they are given and taken as f32 in any case.
    pub kind: PortType,
}

impl TensorInfo<'_> {
    /// The number of values per example: the product of the shape; `usize::MAX` should it overflow.
    pub fn values(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }
}

impl fmt::Display for TensorInfo<'_> {
    /// The name and the shape with the batch axis, e.g. `image (N, 1, 28, 28)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (N", self.name)?;
        self.shape.iter().try_for_each(|size| write!(f, ", {size}"))?;
        f.write_str(")")
    }
}

/// [`TensorInfo`] with memory of its own.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedInfo {
    /// See [`TensorInfo::name`].
    pub name: alloc::string::String,
    /// See [`TensorInfo::shape`].
    pub shape: alloc::vec::Vec<usize>,
    /// See [`TensorInfo::kind`].
    pub kind: PortType,
}

#[cfg(feature = "alloc")]
impl OwnedInfo {
    /// A view of it.
    pub fn info(&self) -> TensorInfo<'_> {
        TensorInfo { name: &self.name, shape: &self.shape, kind: self.kind }
    }
}

#[cfg(feature = "alloc")]
impl From<TensorInfo<'_>> for OwnedInfo {
    fn from(info: TensorInfo<'_>) -> Self {
        Self { name: info.name.into(), shape: info.shape.into(), kind: info.kind }
    }
}

/// A loaded model, ready to run.
///
/// Values are f32, row-major, the batch axis first. Most models have one input and one output, which [`Backend::input`],
/// [`Backend::output`] and [`Backend::run`] are about. Of a model with more, these are about the chosen ones
/// (`open::OpenOptions`), the other inputs having been given ([`Backend::give`]).
pub trait Backend: Send {
    /// What runs the model, in a few words for people, e.g. `ONNX Runtime 1.32.0, 2 threads`.
    fn describe(&self) -> &str;

    /// The input that [`Backend::run`] takes.
    fn input(&self) -> TensorInfo<'_>;

    /// The output that [`Backend::run`] gives.
    fn output(&self) -> TensorInfo<'_>;

    /// Runs `batch` examples: `input` holds `batch` times the input's values, `output` has room for `batch` times the
    /// output's.
    ///
    /// # Errors
    /// If `batch` is zero or more than the back end can take, a slice has another length, the model has another input
    /// that was not given, or the engine fails. The contents of `output` are then unspecified.
    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError>;

    /// One of all inputs, in the model's order; `None` beyond the last.
    fn input_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        (index == 0).then(|| self.input())
    }

    /// One of all outputs, in the model's order; `None` beyond the last.
    fn output_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        (index == 0).then(|| self.output())
    }

    /// Runs `batch` examples with a slice for each of all inputs and each of all outputs, in the model's order.
    ///
    /// # Errors
    /// As [`Backend::run`], or if there is another number of slices.
    fn run_all(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<(), RunError> {
        check_counts(self, inputs.len(), outputs.len())?;
        match (inputs, outputs) {
            ([input], [output]) => self.run(batch, input, output),
            _ => Ok(()),
        }
    }

    /// Gives an input other than that of [`Backend::run`] its values, until others are given: for one example, which all
    /// have then in common, or for each of several, over which the examples of a run go round and round.
    ///
    /// # Errors
    /// If the model has no such input, or the values are no whole number of examples.
    fn give(&mut self, name: &str, values: &[f32]) -> Result<(), RunError> {
        let _ = values;
        Err(RunError::NoSuchPort { role: "input", name: Name::new(name), names: Name::new("") })
    }
}

/// The inputs of a back end, in the model's order.
pub fn inputs<B: Backend + ?Sized>(backend: &B) -> impl Iterator<Item = TensorInfo<'_>> + Clone {
    (0..).map_while(|index| backend.input_at(index))
}

/// The outputs of a back end, in the model's order.
pub fn outputs<B: Backend + ?Sized>(backend: &B) -> impl Iterator<Item = TensorInfo<'_>> + Clone {
    (0..).map_while(|index| backend.output_at(index))
}

/// Whether there is a slice for each input and each output.
///
/// # Errors
/// [`RunError::PortCount`].
pub fn check_counts<B: Backend + ?Sized>(
    backend: &B,
    given_inputs: usize,
    given_outputs: usize,
) -> Result<(), RunError> {
    check_count("input", inputs(backend).map(|port| port.name), given_inputs)?;
    check_count("output", outputs(backend).map(|port| port.name), given_outputs)
}

/// What a back end checks before it runs all inputs and outputs: there is a slice for each, the batch is not empty, all
/// slices fit it, and inputs of integers hold whole numbers.
///
/// # Errors
/// [`RunError::PortCount`] and those of [`check_run`], which of several inputs or outputs are [`RunError::PortLength`].
pub fn check_all<B: Backend + ?Sized>(
    backend: &B,
    batch: usize,
    given_inputs: &[&[f32]],
    given_outputs: &[&mut [f32]],
) -> Result<(), RunError> {
    check_counts(backend, given_inputs.len(), given_outputs.len())?;
    let (inputs, outputs) = (inputs(backend).map(Slot::from), outputs(backend).map(Slot::from));
    check_slots(inputs, outputs, batch, given_inputs, given_outputs)
}

/// What there is to be checked of a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: PortType,
    /// For each example.
    pub(crate) values: usize,
}

impl<'a> From<TensorInfo<'a>> for Slot<'a> {
    fn from(info: TensorInfo<'a>) -> Self {
        Self { name: info.name, kind: info.kind, values: info.values() }
    }
}

/// As [`check_all`], but for the number of slices.
pub(crate) fn check_slots<'a>(
    inputs: impl Iterator<Item = Slot<'a>> + Clone,
    outputs: impl Iterator<Item = Slot<'a>> + Clone,
    batch: usize,
    given_inputs: &[&[f32]],
    given_outputs: &[&mut [f32]],
) -> Result<(), RunError> {
    if batch == 0 {
        return Err(RunError::EmptyBatch);
    }
    let largest = inputs.clone().chain(outputs.clone()).map(|slot| slot.values).max().unwrap_or(1).max(1);
    // No slice of f32 is longer than isize::MAX bytes.
    let limit = isize::MAX as usize / size_of::<f32>() / largest;
    if batch > limit {
        return Err(RunError::BatchTooLarge { batch, limit });
    }
    let alone = given_inputs.len() == 1 && given_outputs.len() == 1;
    for (slot, values) in inputs.zip(given_inputs) {
        let (expected, found) = (batch * slot.values, values.len());
        if expected != found && alone {
            return Err(RunError::InputLength { expected, found });
        }
        if expected != found {
            return Err(RunError::PortLength { role: "input", name: Name::new(slot.name), expected, found });
        }
        if slot.kind == PortType::Integer {
            check_whole(slot.name, values, 64)?;
        }
    }
    for (slot, values) in outputs.zip(given_outputs) {
        let (expected, found) = (batch * slot.values, values.len());
        if expected != found && alone {
            return Err(RunError::OutputLength { expected, found });
        }
        if expected != found {
            return Err(RunError::PortLength { role: "output", name: Name::new(slot.name), expected, found });
        }
    }
    Ok(())
}

/// Whether the values given to an input are integers of so many bits.
pub(crate) fn check_whole(name: &str, values: &[f32], bits: u32) -> Result<(), RunError> {
    // Exact: a power of two.
    let limit = (1u64 << (bits - 1)) as f32;
    let whole = |value: f32| value >= -limit && value < limit && value as i64 as f32 == value;
    match values.iter().position(|&value| !whole(value)) {
        Some(at) => Err(RunError::NotWhole { name: Name::new(name), at }),
        None => Ok(()),
    }
}

/// Whether there are as many slices as ports of these names.
pub(crate) fn check_count<'a>(
    role: &'static str,
    names: impl Iterator<Item = &'a str> + Clone,
    found: usize,
) -> Result<(), RunError> {
    let expected = names.clone().count();
    match expected == found {
        true => Ok(()),
        false => Err(RunError::PortCount { role, expected, found, names: Name::joined(names) }),
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// A batch of no examples.
    EmptyBatch,
    /// More examples at once than the back end can take.
    BatchTooLarge {
        /// The batch asked for.
        batch: usize,
        /// The most it can take.
        limit: usize,
    },
    /// The model was made for another batch size and takes no other.
    FixedBatch {
        /// The only batch size it takes.
        expected: usize,
        /// The batch asked for.
        found: usize,
    },
    /// The input slice does not hold the batch.
    InputLength {
        /// Batch times the values per example.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// The output slice does not have the room for the batch.
    OutputLength {
        /// Batch times the values per example.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// Another number of inputs, or outputs, than the model has.
    PortCount {
        /// `input` or `output`.
        role: &'static str,
        /// How many the model has.
        expected: usize,
        /// How many were given.
        found: usize,
        /// Their names.
        names: Name,
    },
    /// The model has no input, or output, of this name.
    NoSuchPort {
        /// `input` or `output`.
        role: &'static str,
        /// The name asked for.
        name: Name,
        /// The names there are.
        names: Name,
    },
    /// An input that the model has beside that of the run was not given.
    NotGiven {
        /// Its name.
        name: Name,
    },
    /// The slice of one of the inputs, or outputs, does not fit the batch.
    PortLength {
        /// `input` or `output`.
        role: &'static str,
        /// Its name.
        name: Name,
        /// Batch times the values per example.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// An input of integers was given a number that is not whole, or beyond 64 bits.
    NotWhole {
        /// Its name.
        name: Name,
        /// The number's place among the values given.
        at: usize,
    },
    /// A packed model leaves the normalization of its pictures to the caller, who gives pixels.
    Normalized,
    /// The output was asked for before all operators had run.
    Unfinished {
        /// The operators that have run since an input was given.
        done: usize,
        /// How many there are.
        operators: usize,
    },
    /// A packed model's bytes are no longer what they were when they were checked.
    Damaged {
        /// The index of the operator that no longer makes sense.
        operator: usize,
    },
    /// The engine behind the back end failed.
    #[cfg(feature = "alloc")]
    Engine {
        /// The engine's name.
        engine: &'static str,
        /// What it said.
        message: alloc::string::String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyBatch => f.write_str("a batch of 0 examples cannot be run; the least is 1"),
            Self::BatchTooLarge { batch, limit } => {
                write!(f, "a batch of {batch} examples is too large for this back end; the most is {limit}")
            }
            Self::FixedBatch { expected, found } => {
                write!(f, "the model takes only batches of {expected}, not of {found}")
            }
            Self::InputLength { expected, found } => {
                write!(f, "the input has {found} values, but the batch needs {expected}")
            }
            Self::OutputLength { expected, found } => {
                write!(f, "the output has room for {found} values, but the batch gives {expected}")
            }
            Self::PortCount { role, expected, found, names } => {
                let s = if *expected == 1 { "" } else { "s" };
                let were = if *found == 1 { "was" } else { "were" };
                write!(f, "the model has {expected} {role}{s} ({}), but {found} {were} given", names.as_str())
            }
            Self::NoSuchPort { role, name, names } if names.as_str().is_empty() => {
                write!(f, "the model has no {role} {name} to be chosen or given")
            }
            Self::NoSuchPort { role, name, names } => {
                write!(f, "the model has no {role} {name}, only {}", names.as_str())
            }
            Self::NotGiven { name } => write!(f, "the model's input {name} was not given"),
            Self::PortLength { role, name, expected, found } => {
                write!(f, "the {role} {name} has {found} values, but the batch needs {expected}")
            }
            Self::NotWhole { name, at } => {
                write!(f, "the input {name} takes whole numbers, but value {at} that was given is none")
            }
            Self::Normalized => f.write_str(
                "the model leaves the normalization of its pictures to the caller: give values instead of pixels (see \
                 `ImageEncoding::values`)",
            ),
            Self::Unfinished { done, operators } => {
                write!(f, "{done} of {operators} operators have run: there is no output yet (see `Session::step`)")
            }
            Self::Damaged { operator } => {
                write!(
                    f,
                    "the packed model has changed since it was loaded: operator {operator} no longer fits"
                )
            }
            #[cfg(feature = "alloc")]
            Self::Engine { engine, message } => write!(f, "{engine} failed: {message}"),
        }
    }
}

impl core::error::Error for RunError {}

/// What every back end checks before it runs one input and one output: the batch is not empty, both slices fit it, and an
/// input of integers holds whole numbers.
///
/// # Errors
/// [`RunError::EmptyBatch`], [`RunError::BatchTooLarge`] if the number of values overflows, [`RunError::InputLength`],
/// [`RunError::OutputLength`], [`RunError::NotWhole`].
pub fn check_run(
    input: TensorInfo<'_>,
    output: TensorInfo<'_>,
    batch: usize,
    input_values: &[f32],
    output_values: &mut [f32],
) -> Result<(), RunError> {
    let [input, output] = [input, output].map(Slot::from);
    let (inputs, outputs) = (core::iter::once(input), core::iter::once(output));
    check_slots(inputs, outputs, batch, &[input_values], &[output_values])
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: TensorInfo<'_> = TensorInfo { name: "z", shape: &[3], kind: PortType::Float };
    const OUTPUT: TensorInfo<'_> = TensorInfo { name: "image", shape: &[1, 2, 2], kind: PortType::Float };

    #[test]
    fn slices_must_fit_the_batch() {
        let limit = isize::MAX as usize / 16;
        let cases = [
            (2, 6, 8, Ok(())),
            (0, 0, 0, Err(RunError::EmptyBatch)),
            (2, 5, 8, Err(RunError::InputLength { expected: 6, found: 5 })),
            (2, 6, 9, Err(RunError::OutputLength { expected: 8, found: 9 })),
            (usize::MAX, 6, 8, Err(RunError::BatchTooLarge { batch: usize::MAX, limit })),
        ];
        for (batch, inputs, outputs, expected) in cases {
            let (input, output) = (&[0.0; 9][..inputs], &mut [0.0; 9][..outputs]);
            assert_eq!(check_run(INPUT, OUTPUT, batch, input, output), expected);
        }
    }

    #[test]
    fn a_shape_that_overflows_takes_no_batch() {
        let huge = TensorInfo { shape: &[usize::MAX, 2], ..INPUT };
        assert_eq!(huge.values(), usize::MAX);
        assert_eq!(
            check_run(huge, OUTPUT, 1, &[], &mut []),
            Err(RunError::BatchTooLarge { batch: 1, limit: 0 })
        );
    }

    #[test]
    fn integers_are_whole_numbers_in_range() {
        let label = TensorInfo { name: "label", shape: &[], kind: PortType::Integer };
        let not_whole = |at| Err(RunError::NotWhole { name: Name::new("label"), at });
        let cases: [(&[f32], Result<(), RunError>); 5] = [
            (&[0.0, -3.0, 16_777_216.0], Ok(())),
            (&[1.0, 0.5], not_whole(1)),
            (&[f32::NAN], not_whole(0)),
            (&[-9.3e18], not_whole(0)),
            (&[0.0, 0.0, f32::INFINITY], not_whole(2)),
        ];
        for (values, expected) in cases {
            assert_eq!(
                check_run(label, label, values.len(), values, &mut [0.0; 3][..values.len()]),
                expected
            );
        }
        assert_eq!(check_whole("label", &[2_147_483_648.0], 32), not_whole(0));
        assert_eq!(check_whole("label", &[-2_147_483_648.0], 32), Ok(()));
    }

    #[test]
    fn an_info_prints_its_shape() {
        assert_eq!(std::format!("{OUTPUT}"), "image (N, 1, 2, 2)");
        assert_eq!(std::format!("{}", TensorInfo { name: "s", shape: &[], ..INPUT }), "s (N)");
    }
}
