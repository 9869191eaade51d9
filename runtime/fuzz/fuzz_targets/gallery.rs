//! Galleries: whatever the bytes, they are refused or can be searched and changed without a panic.
//!
//! `cargo +nightly fuzz run gallery` in `runtime/fuzz`. Magic, version and checksum are put right first, so that the fuzzer's
//! time goes to what lies behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod gallery_body;

fuzz_target!(|data: &[u8]| {
    gallery_body::check(data);
});
