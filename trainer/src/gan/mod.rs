//! Generative adversarial networks: architectures, losses and the training loop.

pub mod architecture;
pub mod batches;
pub mod condition;
pub mod ema;
pub mod losses;
pub mod model;
pub mod noise;
pub mod run;
pub mod sampler;
pub mod settings;
pub mod train;
