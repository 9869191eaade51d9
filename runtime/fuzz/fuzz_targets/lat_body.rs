//! What the fuzzer does with its bytes; a test of the runtime does the same with its corpus (`tests/fuzz.rs`).

use latent_runtime::AlignedBytes;
use latent_runtime::format::{MAGIC, Model, Shape, VERSION};
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

/// Reads and runs the bytes as a packed model, its magic, version, length and checksum put right.
pub fn check(data: &[u8]) -> Reached {
    // As it is.
    let _ = Model::from_bytes(AlignedBytes::copy_of(data).as_slice());
    if data.len() < 20 {
        return Reached::Refused;
    }
    let mut bytes = AlignedBytes::copy_of(data);
    let slice = bytes.as_mut_slice();
    slice[..8].copy_from_slice(&MAGIC);
    slice[8..12].copy_from_slice(&VERSION.to_le_bytes());
    slice[12..16].copy_from_slice(&(data.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&slice[20..]);
    slice[16..20].copy_from_slice(&checksum.to_le_bytes());
    let Ok(model) = Model::from_bytes(slice) else { return Reached::Refused };
    for index in 0..model.operators_len() {
        model.operator(index).expect("an accepted model's operators can be read");
    }
    let values = |shape: &Shape| shape.as_slice().iter().product::<usize>();
    let (inputs, outputs) = (values(model.input_shape()), values(model.output_shape()));
    let arena = model.arena_len(2).unwrap_or(usize::MAX);
    if inputs.max(outputs) > LARGEST || arena > LARGEST_ARENA {
        return Reached::Read;
    }
    let mut arena = vec![0x5A; arena];
    let mut session = Session::new(&model, &mut arena).expect("the arena is large enough");
    let (input, mut output) = (vec![0.5; 2 * inputs], vec![0.0; 2 * outputs]);
    session.run(&input, &mut output).expect("an accepted model runs");
    Reached::Run
}
