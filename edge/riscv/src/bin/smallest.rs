//! The least that runs a generator: what the engine's code takes is seen by this program's size.
#![no_std]
#![no_main]

use latent_edge_programs::walk::generator;
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let (latent, mut frame) = ([0.5; generator::INPUT_LEN], [0; generator::OUTPUT_LEN]);
    latent_riscv::run(|_| {
        let mut session = generator::session()?;
        session.run_u8(core::hint::black_box(&latent), &mut frame)?;
        core::hint::black_box(&frame);
        Ok::<(), latent_edge_programs::Failure>(())
    })
}
