//! Turns what the trainer wrote into files that other programs run.
//!
//! [`run`] reads a run folder, [`network`] gives its weights a structure, [`onnx`] writes that as an ONNX model, and
//! [`export`] does all of it. The program `exporter` is a command line around this library.

pub mod atomic;
pub mod export;
pub mod graph;
pub mod import;
pub mod metadata;
pub mod network;
pub mod onnx;
pub mod pack;
pub mod passes;
pub mod run;
