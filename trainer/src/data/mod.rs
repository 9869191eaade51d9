//! Data sets: from a name on the command line to pixels in memory.
//!
//! [`DataSpec`] is the name (`mnist`, `cifar10:PATH`, `synth-digits:2000`, ...); [`DataSpec::load`] gives a [`Dataset`], which
//! holds every image of one [`Split`] as 8-bit values. The loaders for each format are public too: [`idx`], [`cifar`],
//! [`folder`]; [`synth`] draws images itself, so that everything else can run without a download; [`fetch`] downloads.
//!
//! Nothing here depends on libtorch.

mod archive;
pub mod cifar;
mod dataset;
mod error;
pub mod fetch;
pub mod folder;
pub mod idx;
mod spec;
pub mod stats;
pub mod synth;
mod transform;

pub use dataset::{Dataset, LoadOptions, Split};
pub use error::DataError;
pub(crate) use spec::is_workspace;
pub use spec::{DataSpec, data_folders};

/// Largest amount of pixel data that a loader takes on, in bytes. A file that states more is refused before anything is
/// allocated for it.
pub const MAX_BYTES: u64 = 16 << 30;
