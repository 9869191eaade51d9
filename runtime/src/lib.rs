//! Latent runtime.
#![no_std]
