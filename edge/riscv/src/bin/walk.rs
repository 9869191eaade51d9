#![no_std]
#![no_main]

use riscv_rt::entry;

#[entry]
fn main() -> ! {
    latent_riscv::run(latent_edge_programs::walk::walk)
}
