//! The one interface of all back ends, so that a program chooses at run time.

use core::fmt;

/// A tensor of one example: a model's input or output without the batch axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// The name in the model, e.g. `z` or `image`.
    pub name: &'a str,
    /// The shape per example, without the batch axis, e.g. `[96]` or `[1, 28, 28]`.
    pub shape: &'a [usize],
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

/// A loaded model with one input and one output, ready to run.
///
/// Values are f32, row-major, the batch axis first.
pub trait Backend: Send {
    /// What runs the model, in a few words for people, e.g. `ONNX Runtime 1.32.0, 2 threads`.
    fn describe(&self) -> &str;

    /// The input.
    fn input(&self) -> TensorInfo<'_>;

    /// The output.
    fn output(&self) -> TensorInfo<'_>;

    /// Runs `batch` examples: `input` holds `batch` times the input's values, `output` has room for `batch` times the
    /// output's.
    ///
    /// # Errors
    /// If `batch` is zero or more than the back end can take, a slice has another length, or the engine fails. The
    /// contents of `output` are then unspecified.
    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError>;
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

/// What every back end checks before it runs: the batch is not empty and both slices fit it.
///
/// # Errors
/// [`RunError::EmptyBatch`], [`RunError::BatchTooLarge`] if the number of values overflows, [`RunError::InputLength`],
/// [`RunError::OutputLength`].
pub fn check_run(
    input: TensorInfo<'_>,
    output: TensorInfo<'_>,
    batch: usize,
    input_values: &[f32],
    output_values: &[f32],
) -> Result<(), RunError> {
    if batch == 0 {
        return Err(RunError::EmptyBatch);
    }
    let largest = input.values().max(output.values()).max(1);
    // No slice of f32 is longer than isize::MAX bytes.
    let limit = isize::MAX as usize / size_of::<f32>() / largest;
    if batch > limit {
        return Err(RunError::BatchTooLarge { batch, limit });
    }
    let (expected_input, expected_output) = (batch * input.values(), batch * output.values());
    if input_values.len() != expected_input {
        return Err(RunError::InputLength { expected: expected_input, found: input_values.len() });
    }
    if output_values.len() != expected_output {
        return Err(RunError::OutputLength { expected: expected_output, found: output_values.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: TensorInfo<'_> = TensorInfo { name: "z", shape: &[3] };
    const OUTPUT: TensorInfo<'_> = TensorInfo { name: "image", shape: &[1, 2, 2] };

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
            let (input, output) = (&[0.0; 9][..inputs], &[0.0; 9][..outputs]);
            assert_eq!(check_run(INPUT, OUTPUT, batch, input, output), expected);
        }
    }

    #[test]
    fn a_shape_that_overflows_takes_no_batch() {
        let huge = TensorInfo { name: "x", shape: &[usize::MAX, 2] };
        assert_eq!(huge.values(), usize::MAX);
        assert_eq!(check_run(huge, OUTPUT, 1, &[], &[]), Err(RunError::BatchTooLarge { batch: 1, limit: 0 }));
    }

    #[test]
    fn an_info_prints_its_shape() {
        assert_eq!(std::format!("{OUTPUT}"), "image (N, 1, 2, 2)");
        assert_eq!(std::format!("{}", TensorInfo { name: "s", shape: &[] }), "s (N)");
    }
}
