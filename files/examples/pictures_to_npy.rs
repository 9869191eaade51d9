//! Writes the pictures in a folder as an array of float32 for NumPy, in the layout (N, C, H, W) and from -1 (black) to 1
//! (white). An array that is there already is replaced, whole or not at all.
//!
//! `cargo run -p latent-files --example pictures_to_npy -- FOLDER ARRAY.npy`

use std::error::Error;
use std::path::Path;

use latent_files::atomic::{Existing, write_file};
use latent_files::npy;
use latent_files::pictures::{list, open};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::pixels::ValueRange;

/// Channels, rows and columns of each.
const SHAPE: (usize, usize, usize) = (3, 32, 32);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, path] = arguments.as_slice() else {
        return Err("give a folder of pictures and the .npy file to write".into());
    };
    let path = Path::new(path);
    let (channels, height, width) = SHAPE;
    let files = list(Path::new(folder))?.files;
    let encoding = ImageEncoding::stated(ValueRange::SIGNED);
    let mut values = Vec::new();
    for file in &files {
        let picture = open(&file.path)?.fit(height, width)?.into_shape(SHAPE)?;
        values.extend(picture.values(&encoding));
    }
    let shape = [files.len(), channels, height, width];
    write_file(path, &npy::encode(path, &shape, &values), Existing::Replace)?;

    // What NumPy reads, and we.
    let array = npy::decode_named(path, &std::fs::read(path)?)?;
    let mean = array.values.iter().sum::<f32>() / array.values.len() as f32;
    println!("{}: shape {:?}, mean {mean:.3}", path.display(), array.shape);
    Ok(())
}
