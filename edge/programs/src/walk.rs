//! A walk through the latent space of a generator of digits.

use core::fmt::Write;

use latent_runtime::latent::{Distribution, slerp};
use latent_runtime::rng::Rng;

use latent_edge_models::picture;

use crate::{Checksum, Failure};

/// The generator: seed n draws the digit n, and between seeds digits become each other.
pub mod generator {
    latent_runtime::model!("../../models/generator.lat");
}

/// The digits on the way.
const STOPS: [u64; 4] = [0, 3, 7, 2];
/// Frames from one to the next.
const FRAMES: usize = 4;

fn draw(seed: u64) -> [f32; generator::INPUT_LEN] {
    let mut latent = [0.0; generator::INPUT_LEN];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(seed), &mut latent);
    latent
}

/// Writes the frames as text, and the checksum of their pixels.
///
/// # Errors
/// If the model does not run, the arena has been taken, or the console takes no more.
pub fn walk(console: &mut impl Write) -> Result<(), Failure> {
    let mut session = generator::session()?;
    let mut frame = [0; generator::OUTPUT_LEN];
    let (mut latent, mut checksum) = ([0.0; generator::INPUT_LEN], Checksum::default());
    for (from, to) in STOPS.iter().zip(STOPS.iter().cycle().skip(1)) {
        let (a, b) = (draw(*from), draw(*to));
        for step in 0..FRAMES {
            slerp(&a, &b, step as f32 / FRAMES as f32, &mut latent);
            session.run_u8(&latent, &mut frame)?;
            checksum.add(&frame);
            writeln!(console, "from {from} to {to}, frame {step}").map_err(|_| Failure::Write)?;
            picture::print(&frame, console).map_err(|_| Failure::Write)?;
        }
    }
    writeln!(console, "checksum {:08x}", checksum.0).map_err(|_| Failure::Write)
}
