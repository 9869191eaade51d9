//! Turns what the trainer wrote into files that other programs run.
//!
//! From a training run to ONNX: [`run`] reads a run folder, [`network`] gives its weights a structure, [`onnx`] writes
//! that as an ONNX model, and [`export`] does all of it.
//!
//! From ONNX, ours or another's, to a packed model: [`import`] makes it a [`graph`], [`passes`] simplify and fuse that,
//! [`quantize`] makes it compute with 8-bit integers where that is asked for, and [`pack`] gives the bytes of a `.lat`
//! file, whose [`plan`] can be shown; [`task`] says what the quantized model loses at its own task. [`graph::interpret`] evaluates graphs by
//! definition: everything else is held against it.
//!
//! The program `exporter` is a command line around this library.

pub mod convert;
pub mod export;
pub mod finite;
pub mod graph;
pub mod import;
pub mod metadata;
pub mod network;
pub mod onnx;
pub mod pack;
pub mod passes;
pub mod plan;
pub mod quantize;
mod random_inputs;
pub mod task;

pub use latent_files::run;
