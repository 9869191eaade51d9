//! The models of the firmware and of its benchmarks: small enough for a microcontroller, made without training, the same
//! bytes each time.

pub mod encoder;
pub mod generator;
pub mod layers;
mod network;

pub use network::{Form, Layer, Network};

/// What goes wrong: a fault of this project, in words.
pub type Result<T> = core::result::Result<T, std::boxed::Box<dyn std::error::Error>>;

/// The demonstration's models with the names of their files.
///
/// # Errors
/// If the builder refuses one.
pub fn demonstration() -> Result<[(&'static str, std::vec::Vec<u8>); 2]> {
    Ok([("generator.lat", generator::pack()?), ("encoder.lat", encoder::pack()?)])
}
