//! What generate.c and embed.c have to find, by the runtime itself: `expected GENERATOR.lat SEED ENCODER.lat` prints the
//! features of the picture of a seed.

use std::error::Error;
use std::fs;

use latent_runtime::AlignedBytes;
use latent_runtime::format::Model;
use latent_runtime::latent::Distribution;
use latent_runtime::native::{Input, Session};
use latent_runtime::rng::Rng;

/// Values and pixels of the output of a packed model for an input.
fn run(path: &str, input: Input<'_>) -> Result<(Vec<f32>, Vec<u8>), Box<dyn Error>> {
    let bytes = AlignedBytes::copy_of(&fs::read(path)?);
    let model = Model::from_bytes(bytes.as_slice())?;
    let length = model.output().ok_or("no output")?.logical();
    let (mut values, mut pixels) = (vec![0.0; length], vec![0; length]);
    let mut arena = vec![0; model.arena_len(1).ok_or("no memory")?];
    let mut session = Session::new(&model, &mut arena)?;
    session.run_u8(input, values.as_mut_slice())?;
    session.take(0, pixels.as_mut_slice())?;
    Ok((values, pixels))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [generator, seed, encoder] = &arguments[..] else {
        return Err("usage: expected GENERATOR.lat SEED ENCODER.lat".into());
    };
    let mut latent = [0.0; 16];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(seed.parse()?), &mut latent);
    let (_, pixels) = run(generator, Input::Values(&latent))?;
    for feature in run(encoder, Input::Pixels(&pixels))?.0 {
        println!("{feature:?}");
    }
    Ok(())
}
