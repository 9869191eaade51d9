//! Measures a model that QEMU has put into memory: `-device loader,file=MODEL.lat,addr=...`. See `cargo xtask bench devices`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use latent_cortex_m::meter::Ticks;
use latent_edge_programs::measure::measure;
use latent_runtime::Arena;

/// Where the model lies: behind the program in what is flash here (`boards/mps2.x`).
const MODEL: usize = 0x20_0000;
static ARENA: Arena<{ 256 << 10 }> = Arena::new();

#[entry]
fn main() -> ! {
    // SAFETY: the emulator has put a packed model there, whose length is in bytes 12 to 16.
    let model = unsafe {
        let length = (MODEL as *const u32).add(3).read_volatile() as usize;
        core::slice::from_raw_parts(MODEL as *const u8, length)
    };
    latent_cortex_m::run(|console| {
        let timer = cortex_m::Peripherals::take().map(|all| all.SYST);
        let Some(timer) = timer else { return Err(latent_edge_programs::Failure::Write) };
        measure(model, &ARENA, &mut Ticks::start(timer), console)
    })
}
