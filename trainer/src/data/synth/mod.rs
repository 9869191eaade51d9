//! Data sets that the program draws itself, so that everything can be tried without a download.
//!
//! [`digits`] are 28x28 gray handwritten-like digits, [`objects`] 32x32 color pictures of ten kinds of things. Each image
//! depends on nothing but (seed, split, index): the work is spread over threads and the bytes are the same for any number of
//! them. Only IEEE additions, multiplications, divisions and square roots are used, and `libm` for the rest, so they are the
//! same on every machine, too.

use latent_runtime::rng::Rng;
use rayon::prelude::*;

use super::{Dataset, Split};

pub mod digits;
pub mod objects;
mod shapes;
mod skeletons;

/// Most images of a drawn data set.
pub const MAX_COUNT: usize = 2_000_000;
/// Test images unless fewer training images are asked for.
const TEST_COUNT: usize = 10_000;

/// The generator for one image.
fn rng(seed: u64, split: Split, index: usize) -> Rng {
    // Two rounds of a 64-bit mixer (D. Stafford's variant 13), so that no (seed, split, index) lands near another's.
    let split: u64 = match split {
        Split::Train => 0x7472_6169_6e00_0001,
        Split::Test => 0x7465_7374_0000_0002,
    };
    Rng::from_seed(mix(mix(seed ^ split).wrapping_add(index as u64)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a set looks like.
struct Shape {
    name: &'static str,
    channels: usize,
    side: usize,
    class_names: &'static [&'static str],
    default_count: usize,
}

/// Draws all images of a split in parallel; `draw` fills one image and returns its label.
fn dataset(
    shape: &Shape,
    count: Option<usize>,
    split: Split,
    seed: u64,
    draw: impl Fn(&mut Rng, &mut [u8]) -> u32 + Sync,
) -> Dataset {
    let train = count.unwrap_or(shape.default_count).min(MAX_COUNT);
    let images = match split {
        Split::Train => train,
        Split::Test => TEST_COUNT.min(train),
    };
    let len = shape.channels * shape.side * shape.side;
    let mut pixels = vec![0; images * len];
    let labels = pixels
        .par_chunks_exact_mut(len)
        .enumerate()
        .map(|(i, image)| draw(&mut rng(seed, split, i), image))
        .collect();
    Dataset {
        name: shape.name.to_owned(),
        source: match count {
            Some(count) => format!("{}:{count}", shape.name),
            None => shape.name.to_owned(),
        },
        channels: shape.channels,
        height: shape.side,
        width: shape.side,
        pixels,
        labels,
        class_names: shape.class_names.iter().map(|&n| n.to_owned()).collect(),
    }
}
