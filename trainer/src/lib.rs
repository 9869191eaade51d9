//! Training of small GAN generators and SimCLR encoders with libtorch: data sets, networks, losses, the training loop, checkpoints and reports.
//!
//! The `trainer` program is a thin shell around [`cli`]; everything it does can be called from here. A GAN on drawn digits:
//!
//! ```no_run
//! use std::error::Error;
//! use std::process::ExitCode;
//!
//! use latent_trainer::checkpoint::{self, GENERATOR};
//! use latent_trainer::gan::run::RunInfo;
//! use latent_trainer::{cli, run_folder, training};
//!
//! fn main() -> Result<ExitCode, Box<dyn Error>> {
//!     // As `trainer dcgan ...` does: into runs/digits, which must not be there.
//!     let options = ["--data", "synth-digits:2000", "--epochs", "2", "--out", "runs/digits"];
//!     let code = cli::run(["trainer", "dcgan"].into_iter().chain(options));
//!
//!     let run = "runs/digits".as_ref();
//!     let info: RunInfo = run_folder::read_info(run)?;
//!     println!("{}: G {:?}", info.verdict, info.figures.g_loss);
//!     let weights = checkpoint::read_tensors(&training::newest_checkpoint(run)?.join(GENERATOR))?;
//!     for (name, tensor) in &weights {
//!         println!("{name} {:?}", tensor.size());
//!     }
//!     Ok(code)
//! }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`session`] | the training loop, and what a kind of training is to it: [`session::Task`] |
//! | [`settings`] | the settings that all kinds share, and how stored ones are compared with those asked for |
//! | [`gan`], [`simclr`], [`classifier`] | the three kinds of training |
//! | [`data`] | data sets: read, fetched, drawn |
//! | [`nn`], [`optim`] | layers and optimizers on libtorch |
//! | [`run_folder`], [`checkpoint`] | what a run leaves on the disk |
//! | [`diagnosis`], [`report`] | what went wrong, told and drawn |

// The program's own library: nobody else builds on it, so names that speak for themselves need no sentence.
#![allow(missing_docs)]

pub mod checkpoint;
pub mod classifier;
pub mod cli;
pub mod data;
pub mod device;
pub mod diagnosis;
pub mod doctor;
pub mod gan;
pub mod libtorch;
pub mod nn;
pub mod optim;
pub mod report;
pub mod run_folder;
pub mod scoring;
pub mod session;
pub mod settings;
pub mod simclr;
pub mod training;
pub mod which;
