//! Packed models: whatever the bytes, reading and running them neither panics nor leaves its memory.
//!
//! `cargo +nightly fuzz run lat` in `runtime/fuzz`. Magic, version, length and checksum are put right first, so that the
//! fuzzer's time goes to what lies behind them.
#![no_main]

use latent_runtime::AlignedBytes;
use latent_runtime::format::{MAGIC, Model, Shape, VERSION};
use latent_runtime::native::Session;
use libfuzzer_sys::fuzz_target;

const LARGEST: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    // As it is.
    let _ = Model::from_bytes(AlignedBytes::copy_of(data).as_slice());
    if data.len() < 20 {
        return;
    }
    let mut bytes = AlignedBytes::copy_of(data);
    let slice = bytes.as_mut_slice();
    slice[..8].copy_from_slice(&MAGIC);
    slice[8..12].copy_from_slice(&VERSION.to_le_bytes());
    slice[12..16].copy_from_slice(&(data.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&slice[20..]);
    slice[16..20].copy_from_slice(&checksum.to_le_bytes());
    let Ok(model) = Model::from_bytes(slice) else { return };
    for index in 0..model.operators_len() {
        model.operator(index).expect("an accepted model's operators can be read");
    }
    let values = |shape: &Shape| shape.as_slice().iter().product::<usize>();
    let (inputs, outputs) = (values(model.input_shape()), values(model.output_shape()));
    let arena = model.arena_len(2).unwrap_or(usize::MAX);
    if inputs.max(outputs).max(arena) > LARGEST {
        return;
    }
    let mut arena = vec![0x5A; arena];
    let mut session = Session::new(&model, &mut arena).expect("the arena is large enough");
    let (input, mut output) = (vec![0.5; 2 * inputs], vec![0.0; 2 * outputs]);
    session.run(&input, &mut output).expect("an accepted model runs");
});
