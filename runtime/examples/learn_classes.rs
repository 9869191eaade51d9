//! Learns classes from a few examples each, without training, and keeps them as bytes: the gallery.
//!
//! The embeddings here are drawn around three centers; on a device an encoder makes them (`Session::run`).
//!
//! `cargo run --release -p latent-runtime --features std --example learn_classes`

use std::error::Error;

use latent_runtime::gallery::{Gallery, GalleryView, Neighbor, Storage, Vote, bytes_for};
use latent_runtime::rng::Rng;

/// Values of an embedding.
const DIMENSION: usize = 64;
/// Examples of each class.
const SHOTS: usize = 5;
const CLASSES: [&str; 3] = ["cup", "pen", "key"];

fn embedding(center: &[f32], rng: &mut Rng) -> [f32; DIMENSION] {
    std::array::from_fn(|at| center[at] + 0.5 * rng.normal())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Rng::from_seed(1);
    let centers = CLASSES.map(|_| -> [f32; DIMENSION] { std::array::from_fn(|_| rng.normal()) });

    // All memory is the caller's; on a device, a static array of this length.
    let mut memory = [0; bytes_for(DIMENSION, Storage::I8, SHOTS * CLASSES.len())];
    let mut gallery = Gallery::new(&mut memory, DIMENSION, Storage::I8)?;
    for (label, center) in centers.iter().enumerate() {
        for _ in 0..SHOTS {
            gallery.add(&embedding(center, &mut rng), label as u32)?;
        }
    }
    let kept = gallery.bytes().to_vec();
    println!("learned {} classes from {SHOTS} examples each: {} bytes", CLASSES.len(), kept.len());

    // Later, perhaps elsewhere: read where the bytes lie.
    let gallery = GalleryView::from_bytes(&kept)?;
    let (mut neighbors, mut votes) = ([Neighbor::default(); SHOTS], [Vote::default(); CLASSES.len()]);
    let mut right = 0;
    for turn in 0..20 {
        let class = turn % CLASSES.len();
        let seen = embedding(&centers[class], &mut rng);
        let votes = gallery.classify(&seen, 0.1, &mut neighbors, &mut votes)?;
        right += usize::from(votes[0].label == class as u32);
        if turn < CLASSES.len() {
            println!(
                "a {} is taken for a {} ({:.0} %)",
                CLASSES[class],
                CLASSES[votes[0].label as usize],
                100.0 * votes[0].share
            );
        }
    }
    println!("{right} of 20 are told right");
    Ok(())
}
