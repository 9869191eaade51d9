//! Diagnosis of a GAN run from its losses.
