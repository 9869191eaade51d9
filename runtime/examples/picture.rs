//! Ten lines: open a model, sample, run, save a picture. docs/BINDINGS.md has the same in other languages.
//!
//! `cargo run --release -p latent-runtime --features std --example picture`

use latent_runtime::{AlignedBytes, format::Model, latent::Distribution, native::Session, rng::Rng};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = AlignedBytes::copy_of(&std::fs::read("models/dcgan-mnist.int8.lat")?);
    let model = Model::from_bytes(bytes.as_slice())?; // open
    let mut arena = vec![0; model.arena_len(1).ok_or("no memory")?];
    let mut session = Session::new(&model, &mut arena)?;
    let (mut z, mut pixels) = ([0.0; 96], [0; 28 * 28]);
    Distribution::REFERENCE.fill(&mut Rng::from_seed(7), &mut z); // sample
    session.run_u8(&z, &mut pixels)?; // run
    std::fs::write("seed-7.pgm", [b"P5\n28 28\n255\n".as_slice(), &pixels].concat())?; // save
    Ok(())
}
