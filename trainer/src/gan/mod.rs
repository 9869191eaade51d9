//! Generative adversarial networks: architectures, losses and the training loop.

pub mod architecture;
pub mod batches;
pub mod ema;
pub mod losses;
pub mod noise;
pub mod options;
pub mod players;
pub mod train;
