//! Classes learned on the device: five examples each, by their embeddings.

use core::fmt::Write;

use latent_runtime::gallery::{Gallery, Neighbor, Storage, Vote, bytes_for};
use latent_runtime::rng::Rng;

use crate::{Checksum, Failure};
use latent_edge_models::picture::{CLASSES, draw};

/// The encoder of pictures.
pub mod encoder {
    latent_runtime::model!("../../models/encoder.lat");
}

/// Examples of each class that are learned.
const EXAMPLES: usize = 5;
/// Pictures that are classified.
const PICTURES: u32 = 20;
const GALLERY: usize = bytes_for(encoder::OUTPUT_LEN, Storage::F32, EXAMPLES * CLASSES.len());

/// Learns, classifies, and writes what it found; at the end how many were right, and the checksum of all embeddings.
///
/// # Errors
/// If the model does not run, the arena has been taken, or the console takes no more.
pub fn classify(console: &mut impl Write) -> Result<(), Failure> {
    let mut session = encoder::session()?;
    let mut memory = [0; GALLERY];
    let mut gallery = Gallery::new(&mut memory, encoder::OUTPUT_LEN, Storage::F32)?;
    let (mut embedding, mut checksum) = ([0.0; encoder::OUTPUT_LEN], Checksum::default());
    let mut rng = Rng::from_seed(1);
    let mut embed = |class, embedding: &mut [f32; encoder::OUTPUT_LEN]| {
        session.run_u8(&draw(class, &mut rng), &mut *embedding)?;
        embedding.iter().for_each(|value| checksum.add(&value.to_le_bytes()));
        Ok::<(), Failure>(())
    };
    for (label, _) in (0..).zip(CLASSES) {
        for _ in 0..EXAMPLES {
            embed(label, &mut embedding)?;
            gallery.add(&embedding, label)?;
        }
    }
    let name = |label: u32| CLASSES.get(label as usize).copied().unwrap_or("?");
    let mut right = 0;
    for picture in 0..PICTURES {
        let label = picture * 7 % CLASSES.len() as u32;
        embed(label, &mut embedding)?;
        let (mut neighbors, mut votes) = ([Neighbor::default(); 3], [Vote::default(); 1]);
        let Some(vote) = gallery.classify(&embedding, 0.05, &mut neighbors, &mut votes)?.first() else {
            continue;
        };
        right += u32::from(vote.label == label);
        let (found, percent) = (name(vote.label), (vote.share * 100.0) as u32);
        writeln!(console, "picture {picture}, {}: {found}, {percent} %", name(label))
            .map_err(|_| Failure::Write)?;
    }
    writeln!(console, "right {right} of {PICTURES}\nchecksum {:08x}", checksum.0).map_err(|_| Failure::Write)
}
