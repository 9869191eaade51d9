//! What the firmware in `edge/` looks at and what it holds: drawn pictures, and ([`make`], on a host) its models.
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "host")]
extern crate std;

#[cfg(feature = "host")]
pub mod make;
pub mod picture;
