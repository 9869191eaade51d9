//! The native back end: runs packed models ([`crate::format`]) with this crate's own kernels.
//!
//! [`Session`] works in memory that the caller gives, without an allocator; [`NativeBackend`] (`std`) owns its memory,
//! reads files and uses threads.

#[cfg(feature = "std")]
mod backend;
mod execute;
mod outside;
mod session;
#[cfg(all(test, feature = "std"))]
pub(crate) mod tests;

#[cfg(feature = "std")]
pub use backend::{LoadError, NativeBackend, NativeOptions, Timing};
pub use outside::{Input, Output, View, ViewMut};
pub use session::{Session, SessionError};

/// The name of the best instruction set that this machine has and the kernels know, e.g. `AVX-512 VNNI`.
pub fn instruction_set() -> &'static str {
    crate::kernels::Isa::best().name()
}

/// The names of all instruction sets that can be asked for on this machine, the best first; the last is `scalar`.
#[cfg(feature = "std")]
pub fn instruction_sets() -> impl Iterator<Item = &'static str> {
    crate::kernels::Isa::available().map(crate::kernels::Isa::name)
}
