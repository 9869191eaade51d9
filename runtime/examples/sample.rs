//! Draws from a packed generator as a device does: no allocator in the engine, all memory from the caller.
//!
//! `cargo run --release -p latent-runtime --features std --example sample -- [MODEL.lat] [SEED]`

use std::error::Error;

use latent_runtime::AlignedBytes;
use latent_runtime::format::Model;
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::latent::Distribution;
use latent_runtime::native::Session;
use latent_runtime::rng::Rng;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "models/dcgan-mnist.int8.lat".into());
    let seed = arguments.next().map_or(Ok(7), |text| text.parse())?;

    // On a device: `static MODEL: Aligned<[u8; N]> = Aligned(*include_bytes!(...))` and static arrays.
    let bytes = AlignedBytes::copy_of(&std::fs::read(&path)?);
    let model = Model::from_bytes(bytes.as_slice())?;
    let [channels, height, width] = *model.output_shape().as_slice() else {
        return Err(format!("{path} gives {:?}, not images", model.output_shape().as_slice()).into());
    };
    let mut arena =
        AlignedBytes::zeroed(model.arena_len(1).ok_or("the model needs more memory than there is")?);
    let mut z = vec![0.0; model.latent_size()];
    let mut image = vec![0.0; channels * height * width];

    model.distribution().unwrap_or(Distribution::REFERENCE).fill(&mut Rng::from_seed(seed), &mut z);
    let mut session = Session::new(&model, arena.as_mut_slice())?;
    session.run(&z, &mut image)?;

    // Two rows of pixels to a line of text, brighter pixels as darker letters.
    let range = ImageEncoding::of(&model, None)?.range;
    for row in image[..height * width].chunks_exact(width).step_by(2) {
        let letter = |&value: &f32| [' ', '.', ':', 'o', '#'][usize::from(range.to_u8(value)) * 5 / 256];
        println!("{}", row.iter().map(letter).collect::<String>().trim_end());
    }
    Ok(())
}
