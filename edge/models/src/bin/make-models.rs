//! Writes the models that the firmware holds, or with `--layers` those that are measured, into a folder.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use latent_edge_models::make::{demonstration, layers::LAYERS};
use latent_runtime::AlignedBytes;
use latent_runtime::format::{Model, output_len};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, models) = match &*arguments {
        [folder] => (folder, demonstration()?.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec()),
        [option, folder] if option == "--layers" => {
            let packed = LAYERS.iter().map(|layer| Ok((format!("{}.lat", layer.name), layer.pack()?)));
            (folder, packed.collect::<Result<Vec<_>, Box<dyn Error>>>()?)
        }
        _ => return Err("expected a folder, or --layers and a folder".into()),
    };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in models {
        fs::write(folder.join(&name), &bytes)?;
        let aligned = AlignedBytes::copy_of(&bytes);
        let model = Model::from_bytes(aligned.as_slice())?;
        let operators = (0..model.operators_len()).filter_map(|index| model.operator(index));
        let macs: u64 = operators.map(|operator| operator.multiply_accumulates()).sum();
        println!("{name} {} bytes {macs} MACs {} outputs", bytes.len(), output_len(&bytes));
    }
    Ok(())
}
