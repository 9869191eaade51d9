//! What the fuzzer does with its bytes; a test of the runtime does the same with its corpus (`tests/fuzz.rs`).

use latent_runtime::AlignedBytes;
use latent_runtime::format::{MAGIC, Model, Ports, VERSION, seal};
use latent_runtime::native::Session;

/// Elements of an input or output, and bytes of an arena, that are not too many to run: Winograd's scratch memory is half a
/// megabyte.
const LARGEST: usize = 1 << 16;
const LARGEST_ARENA: usize = 1 << 20;

/// How far the bytes got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// They are no model.
    Refused,
    /// They are a model that is too large to be run here.
    Read,
    /// They are a model that has run.
    Run,
}

/// Reads and runs the bytes as a packed model, its magic, version (of two that are read), length and checksum put right.
pub fn check(data: &[u8]) -> Reached {
    // As it is.
    let _ = Model::from_bytes(AlignedBytes::copy_of(data).as_slice());
    if data.len() < 20 {
        return Reached::Refused;
    }
    let mut bytes = AlignedBytes::copy_of(data);
    let slice = bytes.as_mut_slice();
    slice[..8].copy_from_slice(&MAGIC);
    let version = if slice[8] == 1 { 1 } else { VERSION };
    slice[8..12].copy_from_slice(&version.to_le_bytes());
    seal(slice);
    let Ok(model) = Model::from_bytes(slice) else { return Reached::Refused };
    for index in 0..model.operators_len() {
        model.operator(index).expect("an accepted model's operators can be read");
    }
    let lengths = |ports: Ports<'_>| ports.map(|port| port.info().values()).collect::<Vec<_>>();
    let (inputs, outputs) = (lengths(model.inputs()), lengths(model.outputs()));
    let arena = model.arena_len(2).unwrap_or(usize::MAX);
    if inputs.iter().chain(&outputs).any(|&values| values > LARGEST) || arena > LARGEST_ARENA {
        return Reached::Read;
    }
    let inputs: Vec<Vec<f32>> = inputs.into_iter().map(|values| vec![1.0; 2 * values]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    // What comes out must not depend on what the arena held.
    let [first, second] = [0x5A, 0xA5].map(|filling| {
        let mut arena = vec![filling; arena];
        let mut session = Session::new(&model, &mut arena).expect("the arena is large enough");
        let mut outputs: Vec<Vec<f32>> = outputs.iter().map(|values| vec![0.0; 2 * values]).collect();
        let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        session.run_all(&inputs, &mut slices).expect("an accepted model runs");
        outputs.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    });
    assert_eq!(first, second, "an output depends on what the arena held");
    Reached::Run
}
