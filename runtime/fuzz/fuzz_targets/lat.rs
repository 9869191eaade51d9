//! Packed models: whatever the bytes, reading and running them neither panics nor leaves its memory.
//!
//! `cargo +nightly fuzz run lat` in `runtime/fuzz`. Magic, version, length and checksum are put right first, so that the
//! fuzzer's time goes to what lies behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod lat_body;

fuzz_target!(|data: &[u8]| {
    lat_body::check(data);
});
