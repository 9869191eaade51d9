//! Runs small generators and encoders anywhere, from a server to bare metal.
//!
//! The core needs neither the standard library nor an allocator: seeded latent sampling ([`rng`], [`latent`]), image
//! conversion ([`pixels`], [`image_encoding`]), the trait that every back end implements ([`backend`]), and a gallery of labeled embeddings
//! that learns new classes from a few examples ([`gallery`]). The caller owns all memory.
//! Floating-point functions come from `libm`, so that the same seed gives the same bits on every target.
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | (none) | the core | `core` |
//! | `int8`, `f16`, `bf16`, `f32` | layers with such weights | `core` |
//! | `winograd` | convolutions with transformed weights (f16, bf16 and f32) | `core` |
//! | `depthwise`, `elementwise`, `arrange`, `pool`, `resize`, `normalize` | operators: depthwise convolutions; activations, affines, sums and products; copies, pads and reshapes; pools; resizing; softmax and L2 norms | `core` |
//! | `version-1` | reading version 1 of the packed format | `core` |
//! | `extended-operators` | functions such as GELU, instance and layer norms, attention, transposes: see [`ops::Operation::is_extended`] | `core` |
//! | `alloc` | owned buffers | an allocator |
//! | `std` | files, choosing a back end at run time | the standard library |
//! | `onnx` | reading ONNX files: `onnx::load`, `onnx::ModelMetadata` | `std` |
//! | `tract` | the back end `tract::TractBackend`, pure Rust | `onnx` |
//! | `ort` | the back end `ort::OrtBackend`, ONNX Runtime's shared library loaded at run time | `onnx` |
//!
//! By default all weights and operators but the extended ones are there. A device that wants a small program takes
//! `default-features = false` and what its models need: opening a model that needs more names the feature.
//!
//! # Example
//!
//! Draw two latent vectors, walk half-way between them, and turn a row of values in [-1, 1] into pixels:
//!
//! ```
//! use latent_runtime::latent::{slerp, Distribution};
//! use latent_runtime::pixels::ValueRange;
//! use latent_runtime::rng::Rng;
//!
//! let mut rng = Rng::from_seed(7);
//! let distribution = Distribution::Uniform { low: -1.0, high: 1.0 };
//! let (mut from, mut to, mut between) = ([0.0; 96], [0.0; 96], [0.0; 96]);
//! distribution.fill(&mut rng, &mut from);
//! distribution.fill(&mut rng, &mut to);
//! slerp(&from, &to, 0.5, &mut between);
//!
//! let range = ValueRange::SIGNED; // [-1, 1]
//! assert_eq!([-1.0, 0.0, 1.0].map(|value| range.to_u8(value)), [0, 128, 255]);
//! ```
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
// Unit tests may use it, whatever the features.
#[cfg(any(feature = "std", test))]
extern crate std;

mod aligned;
mod arena;
pub mod backend;
#[cfg(feature = "std")]
mod backend_kind;
mod bfloat16;
#[cfg(any(feature = "ort", feature = "tract"))]
mod caught;
#[cfg(feature = "std")]
mod choice;
mod embedded;
mod error;
mod features;
pub mod format;
pub mod gallery;
mod half;
pub mod image_encoding;
mod kernels;
pub mod latent;
#[cfg(feature = "std")]
mod mapping;
pub mod native;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "std")]
pub mod open;
#[cfg(feature = "std")]
mod open_error;
pub mod ops;
#[cfg(feature = "ort")]
pub mod ort;
#[cfg(any(feature = "ort", feature = "tract"))]
mod per_batch;
pub mod pixels;
pub mod rng;
#[cfg(feature = "tract")]
pub mod tract;

pub use aligned::Aligned;
#[cfg(feature = "alloc")]
pub use aligned::AlignedBytes;
pub use arena::Arena;
#[cfg(any(feature = "ort", feature = "tract"))]
pub use caught::report_engine_panics_as_errors_only;
#[doc(hidden)]
pub use embedded::session;
pub use error::{CODES, Error};
