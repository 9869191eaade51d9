//! Generative adversarial networks: architectures, losses and the training loop.

pub mod losses;
