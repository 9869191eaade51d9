//! Lists the pictures in a folder with their labels, what was passed over, and the files that cannot be read.
//!
//! `cargo run -p latent-files --example list_pictures -- FOLDER`

use std::error::Error;
use std::path::Path;

use latent_files::pictures::{list, open};
use latent_files::text::{Align, table};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give a folder of pictures")?;
    let listing = list(Path::new(&folder))?;
    let mut rows = Vec::new();
    for file in &listing.files {
        match open(&file.path) {
            Ok(picture) => rows.push(vec![
                file.name.clone(),
                file.label.clone(),
                format!("{} x {}", picture.width, picture.height),
                if picture.channels == 1 { "gray" } else { "color" }.to_owned(),
            ]),
            // The error names the file.
            Err(error) => eprintln!("{error}"),
        }
    }
    println!("{}", table(&[Align::Left, Align::Left, Align::Right, Align::Left], &rows));
    listing.skipped.iter().for_each(|skipped| println!("passed over: {} ({:?})", skipped.name, skipped.why));
    println!("{} pictures, {} classes", rows.len(), listing.classes.len());
    Ok(())
}
