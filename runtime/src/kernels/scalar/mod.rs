//! Every operator in plain Rust, written to be read. Works on 16 channels at a time, which the compiler turns into
//! vector code of whatever width it may use; the same source is compiled again for wider instruction sets (see
//! [`super::operation`]), to the same bits.
//!
//! Indexing is on slices whose bounds have been checked beforehand; a wrong check would be a panic here, not worse.

pub(crate) mod arrange;
mod bytes;
pub(crate) mod convert;
pub(crate) mod depthwise;
pub(crate) mod elementwise;
#[cfg(feature = "extended-operators")]
pub(crate) mod extended;
#[cfg(any(scalar, test))]
pub(crate) mod matmul;
#[cfg(any(not(embedded), test))]
pub(crate) mod narrow;
pub(crate) mod normalize;
pub(crate) mod pool;
#[expect(clippy::needless_range_loop, reason = "rows and columns of small matrices")]
pub(crate) mod winograd;
