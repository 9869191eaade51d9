//! What opening and running a model cost on a device, for any model that the emulator has put into memory.

use core::fmt::Write;

use latent_runtime::format::{Model, arena_len, input_len, output_len};
use latent_runtime::native::Session;
use latent_runtime::{Arena, Error};

use crate::{Checksum, Failure};

/// What counts on a machine.
pub trait Meter {
    /// Instructions since any moment.
    fn instructions(&self) -> u64;

    /// Marks the free part of the stack.
    fn paint(&mut self);

    /// Bytes of it that have been written since.
    fn used(&self) -> usize;
}

/// Opens the model and runs it once on memory of `arena`, and writes a line for each figure. A model that does not fit into
/// that memory is said and left.
///
/// # Errors
/// If it cannot be opened or run.
pub fn measure<const LEN: usize>(
    bytes: &[u8],
    arena: &'static Arena<LEN>,
    meter: &mut impl Meter,
    console: &mut impl Write,
) -> Result<(), Failure> {
    let memory = arena.take().ok_or(Error::ArenaTaken)?;
    let (arena, inputs) = (arena_len(bytes).next_multiple_of(4), 4 * input_len(bytes));
    let outputs = 4 * output_len(bytes);
    let split = memory.split_at_mut_checked(arena).and_then(|(arena, rest)| {
        let (inputs, rest) = rest.split_at_mut_checked(inputs)?;
        let inputs = bytemuck::try_cast_slice_mut(inputs).ok()?;
        Some((arena, inputs, bytemuck::try_cast_slice_mut(rest.get_mut(..outputs)?).ok()?))
    });
    let Some((arena, inputs, outputs)) = split else {
        return writeln!(console, "does not fit").map_err(|_| Failure::Write);
    };
    for (at, input) in inputs.iter_mut().enumerate() {
        *input = (at * 37 % 101) as f32 / 50.0 - 1.0;
    }
    meter.paint();
    let start = meter.instructions();
    let model = core::hint::black_box(Model::from_bytes(bytes)?);
    let (opened, open_stack) = (meter.instructions() - start, meter.used());
    let needed = arena.len();
    let mut session = Session::new(&model, arena)?;
    meter.paint();
    let start = meter.instructions();
    session.run(inputs, outputs)?;
    let (ran, run_stack) = (meter.instructions() - start, meter.used());
    let mut checksum = Checksum::default();
    outputs.iter().for_each(|output: &f32| checksum.add(&output.to_le_bytes()));
    for (name, figure) in [
        ("open_instructions", opened),
        ("open_stack", open_stack as u64),
        ("run_instructions", ran),
        ("run_stack", run_stack as u64),
        ("arena", needed as u64),
        ("checksum", checksum.0.into()),
    ] {
        writeln!(console, "{name} {figure}").map_err(|_| Failure::Write)?;
    }
    Ok(())
}
