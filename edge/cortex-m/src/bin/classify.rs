#![no_std]
#![no_main]

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    latent_cortex_m::run(latent_edge_programs::classify::classify)
}
