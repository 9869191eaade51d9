//! The packed model format `.lat`: a checked, zero-copy view of bytes that stay where they are (flash, a mapped file,
//! `include_bytes!`), and, under `alloc`, the builder that writes it. docs/FORMAT.md is the specification.
//!
//! A model is validated once, by [`Model::from_bytes`]; running it afterwards cannot go out of bounds, whatever the
//! bytes were.

mod crc32;
mod error;
mod layer;
mod layout;
#[cfg(test)]
mod left_out;
mod lengths;
mod model;
mod operator;
mod ops;
mod port;
mod record;
mod strings;
mod value;

#[cfg(feature = "alloc")]
mod builder;
#[cfg(feature = "alloc")]
mod pack;
#[cfg(feature = "alloc")]
mod plan;
#[cfg(all(test, feature = "std"))]
mod tests;

// What operators are described with; all of it is in `ops`.
pub use crate::ops::{Activation, PackedWeights, ValueType, WeightType, Window};
#[cfg(feature = "alloc")]
pub use builder::*;
pub(crate) use crc32::crc32;
pub use error::{FormatError, Name};
pub use layer::{Layer, Residual};
pub use layout::{
    ALIGNMENT, MAGIC, MAX_ELEMENTS, MAX_EXTENT, MAX_OPERATORS, MAX_PORTS, MAX_RANK, MAX_VALUES, VERSION,
};
pub use lengths::{arena_len, input_len, is_whole, output_len};
#[cfg(feature = "std")]
pub(crate) use model::Header;
pub use model::{MetadataIter, Model, ModelKind, Ports, Precision};
pub use operator::Operator;
pub use ops::OperatorKind;
pub use port::{Port, PortType, Shape};
pub use value::{Halo, Value};
