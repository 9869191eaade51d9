//! Training of small GAN generators and SimCLR encoders with libtorch: data sets, networks, losses, the training loop, checkpoints and reports.
//!
//! The `trainer` program is a thin shell around [`cli`]; everything it does can be called from here.

pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod device;
pub mod diagnosis;
pub mod doctor;
pub mod gan;
pub mod nn;
pub mod optim;
pub mod report;
pub mod run_folder;
pub mod session;
pub mod settings;
pub mod simclr;
pub mod training;
