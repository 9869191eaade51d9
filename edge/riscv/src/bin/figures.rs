//! Measures a model that QEMU has put into memory: `-device loader,file=MODEL.lat,addr=...`. See `cargo xtask bench devices`.
#![no_std]
#![no_main]

use latent_edge_programs::measure::measure;
use latent_riscv::meter::Counter;
use latent_runtime::Arena;
use riscv_rt::entry;

/// Where the model lies: beyond what `memory.x` tells of.
const MODEL: usize = 0x8080_0000;
static ARENA: Arena<{ 256 << 10 }> = Arena::new();

#[entry]
fn main() -> ! {
    // SAFETY: the emulator has put a packed model there, whose length is in bytes 12 to 16.
    let model = unsafe {
        let length = (MODEL as *const u32).add(3).read_volatile() as usize;
        core::slice::from_raw_parts(MODEL as *const u8, length)
    };
    latent_riscv::run(|console| measure(model, &ARENA, &mut Counter::default(), console))
}
