//! Latent trainer.
