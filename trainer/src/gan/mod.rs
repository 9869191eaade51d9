//! Generative adversarial networks: architectures, losses and the training loop.

pub mod architecture;
pub mod losses;
