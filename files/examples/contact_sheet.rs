//! Writes the pictures in a folder as one PNG file: a contact sheet. A file that is there already stays.
//!
//! `cargo run -p latent-files --example contact_sheet -- FOLDER SHEET.png`

use std::error::Error;
use std::path::Path;

use latent_files::atomic::{Existing, check, write_file};
use latent_files::pictures::{list, open};
use latent_files::sheet::{Compression, Gap, Sheet};

/// Rows and columns that every picture is fitted into.
const SIDE: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, path] = arguments.as_slice() else {
        return Err("give a folder of pictures and the PNG file to write".into());
    };
    let path = Path::new(path);
    // Before the work, which would be lost.
    check(path, Existing::Keep)?;
    let shape = (3, SIDE, SIDE);
    let mut pictures = Vec::new();
    for file in list(Path::new(folder))?.files {
        pictures.push(open(&file.path)?.fit(SIDE, SIDE)?.into_shape(shape)?);
    }
    let sheet = Sheet { count: pictures.len(), columns: 8, scale: 1, shape, gap: Gap::FRAME };
    write_file(path, &sheet.png(&pictures, Compression::High)?, Existing::Keep)?;
    let (width, height) = sheet.size()?;
    println!("{}: {} pictures, {width} x {height} pixels", path.display(), pictures.len());
    Ok(())
}
