//! Turns what the trainer wrote into files that other programs run.
//!
//! From a training run to ONNX: [`run`] reads a run folder, [`network`] makes its layers and weights a [`graph`], [`onnx`]
//! writes that as an ONNX model, and [`export`] does all of it.
//!
//! From ONNX, ours or another's, to a packed model: [`import`] makes it a [`graph`], [`passes`] simplify and fuse that,
//! [`quantize`] makes it compute with 8-bit integers where that is asked for, and [`pack`] gives the bytes of a `.lat`
//! file, whose [`plan`] can be shown; [`task`] says what the quantized model loses at its own task. [`graph::interpret`] evaluates graphs by
//! definition: everything else is held against it.
//!
//! The program `exporter` is a command line around this library.
//!
//! # Example
//!
//! The generator of a run as `models/dcgan.fp32.onnx`, and packed with weights of 16 bits for the runtime's own engine:
//!
//! ```no_run
//! use latent_exporter::export::{Options, export};
//! use latent_exporter::network::Folding;
//! use latent_exporter::pack::{FloatPrecision, pack};
//! use latent_exporter::run::{SavedRun, WeightsChoice};
//! use latent_files::atomic::{self, Existing};
//! use latent_runtime::onnx;
//!
//! let run: SavedRun = SavedRun::open("runs/dcgan".as_ref())?;
//! let options = Options {
//!     out: "models".into(),
//!     name: None,
//!     weights: WeightsChoice::Auto,
//!     discriminator: false,
//!     folding: Folding::On,
//!     existing: Existing::Replace,
//! };
//! let exported = export(&run, &options)?;
//! println!("{}: {} parameters", exported[0].path.display(), exported[0].parameters);
//!
//! let model = onnx::load(&exported[0].path)?;
//! atomic::write_file("models/dcgan.f16.lat".as_ref(), &pack(&model, FloatPrecision::F16)?, Existing::Replace)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod convert;
pub mod cost;
pub mod emit;
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
