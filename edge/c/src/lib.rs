//! liblatent: the engine for C, as a static and a shared library.
//!
//! It has no logic of its own: each function takes what C has, pointers and lengths, checks them as far as that can be
//! checked, and calls `latent-runtime`. `edge/c/include/latent.h` is made of this crate, and says what holds for all functions;
//! for each of them, those rules are what makes it safe to call.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![allow(non_camel_case_types)] // The names are C's.
#![allow(clippy::missing_safety_doc)] // See above.
#![warn(missing_docs)]

mod latents;
mod memory;
mod model;
mod session;
mod status;
#[cfg(test)]
mod tests;

/// Without the standard library a panic calls the program's `abort`, as any library of C would. None is known to be reached.
#[cfg(not(any(feature = "std", test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn abort() -> !;
    }
    // SAFETY: the C library's, or the program's own, which does not return.
    unsafe { abort() }
}
