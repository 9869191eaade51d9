//! Latent exporter.
