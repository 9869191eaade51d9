//! Writes the models that the firmware holds, or with `--layers` those that are measured, into a folder.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use latent_edge_models::make::{demonstration, layers::LAYERS};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, models) = match &*arguments {
        [folder] => (folder, demonstration()?.map(|(name, bytes)| (name.to_owned(), bytes, 0)).to_vec()),
        [option, folder] if option == "--layers" => {
            let pack = |layer: &latent_edge_models::make::layers::Measured| {
                Ok((format!("{}.lat", layer.name), layer.pack()?, layer.macs()))
            };
            (folder, LAYERS.iter().map(pack).collect::<Result<Vec<_>, Box<dyn Error>>>()?)
        }
        _ => return Err("expected a folder, or --layers and a folder".into()),
    };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    for (name, bytes, macs) in models {
        fs::write(folder.join(&name), &bytes)?;
        println!("{name} {} bytes {macs} MACs", bytes.len());
    }
    Ok(())
}
