//! What the firmware does: [`walk`] through the latent space of a small generator, and [`classify`] pictures of classes that
//! are learned from five examples each. Everything goes to a [`core::fmt::Write`]: a serial port, a debugger, a terminal.
#![no_std]
#![warn(missing_docs)]

pub mod classify;
pub mod measure;
pub mod walk;

use core::fmt;

use latent_runtime::Error;

/// Why a program ended early.
#[derive(Debug)]
pub enum Failure {
    /// The engine says why.
    Engine(Error),
    /// What was to be written to did not take it.
    Write,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

impl fmt::Display for Failure {
    /// A number and a few constant words: the formatted sentence would cost a device several KB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => write!(f, "error {}: {}", error.code(), error.text()),
            Self::Write => f.write_str("the console does not take any more"),
        }
    }
}

/// FNV-1a over bytes: what tells whether two machines have made the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(pub u32);

impl Default for Checksum {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Checksum {
    /// Takes in more bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}
