//! Why a model cannot be built.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::format::error::FormatError;

/// Why a model cannot be built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Weights, bias, scales or affine have another length than the shapes need.
    Length {
        /// The operator.
        operator: String,
        /// Which of them.
        what: &'static str,
        /// Their number.
        found: usize,
        /// The number needed.
        expected: usize,
    },
    /// Shapes that do not fit.
    Shape {
        /// The operator.
        operator: String,
        /// What does not fit.
        what: &'static str,
    },
    /// Element types that do not fit.
    Types {
        /// The operator.
        operator: String,
        /// What does not fit.
        what: &'static str,
    },
    /// No input or no output was declared.
    Ends {
        /// `input` or `output`.
        what: &'static str,
    },
    /// More than 4 GiB, or an activation beyond the format's limit.
    TooLarge {
        /// What is too large.
        what: String,
    },
    /// The finished bytes break a rule of the format.
    Format(FormatError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { operator, what, found, expected } => {
                write!(f, "operator `{operator}`: {found} {what} given, {expected} needed")
            }
            Self::Shape { operator, what } | Self::Types { operator, what } => {
                write!(f, "operator `{operator}`: {what}")
            }
            Self::Ends { what } => write!(f, "the model has no {what}; declare it with `Builder::{what}`"),
            Self::TooLarge { what } => write!(f, "{what} is too large for a packed model"),
            Self::Format(error) => write!(f, "the packed model is not valid: {error}"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

pub(super) fn shape_error(operator: &str, what: &'static str) -> BuildError {
    BuildError::Shape { operator: operator.to_owned(), what }
}

pub(super) fn length_error(operator: &str, what: &'static str, found: usize, expected: usize) -> BuildError {
    BuildError::Length { operator: operator.to_owned(), what, found, expected }
}
