//! The packed model format `.lat`: a checked, zero-copy view of bytes that stay where they are (flash, a mapped file,
//! `include_bytes!`), and, under `alloc`, the builder that writes it. docs/FORMAT.md is the specification.
//!
//! A model is validated once, by [`Model::from_bytes`]; running it afterwards cannot go out of bounds, whatever the
//! bytes were.

mod checksum;
mod decode;
mod error;
mod layout;
mod model;
mod operator;
mod value;
mod window;

#[cfg(feature = "alloc")]
mod builder;
#[cfg(feature = "alloc")]
mod pack;
#[cfg(feature = "alloc")]
mod plan;
#[cfg(all(test, feature = "std"))]
mod tests;

#[cfg(feature = "alloc")]
pub use builder::*;
pub(crate) use checksum::crc32;
pub use error::{FormatError, Name};
pub(crate) use layout::weight_rows;
pub use layout::{
    ALIGNMENT, BLOCK, GROUP, MAGIC, MAX_ELEMENTS, MAX_EXTENT, MAX_OPERATORS, MAX_VALUES, NARROW, VERSION,
};
#[cfg(feature = "std")]
pub(crate) use model::Header;
pub use model::{MetadataIter, Model, ModelKind, Precision, Shape, arena_len};
pub use operator::{
    Activation, Affine, Bias, BinaryKind, Coordinates, Interpolation, Kind, Layer, Operator, PadKind,
    PoolKind, Residual, WeightType, Weights,
};
pub use value::{Halo, Value, ValueType};
pub use window::{Axis, Phase};
