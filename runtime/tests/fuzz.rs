//! What the fuzzer does (`fuzz/`), for a moment: its corpora, and a few thousand mutants of each.
#![cfg(feature = "std")]

#[path = "../fuzz/fuzz_targets/gallery_body.rs"]
#[allow(missing_docs, unreachable_pub)]
mod gallery;
#[path = "../fuzz/fuzz_targets/lat_body.rs"]
#[allow(missing_docs, unreachable_pub)]
mod lat;

use std::fs;
use std::path::Path;

use latent_runtime::rng::Rng;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 3, "{paths:?}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes one to three of the first `structure` bytes, and sometimes cuts.
fn mutant(bytes: &[u8], structure: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let structure = bytes.len().min(structure) as u32;
    for _ in 0..=rng.below(3) {
        let at = rng.below(structure) as usize;
        bytes[at] = match rng.below(4) {
            0 => 0xff,
            1 => bytes[at].wrapping_add(1),
            2 => bytes[at] ^ (1 << rng.below(8)),
            _ => rng.below(256) as u8,
        };
    }
    if rng.below(20) == 0 {
        bytes.truncate(rng.below(bytes.len() as u32) as usize);
    }
    bytes
}

#[test]
fn the_corpora_are_whole() {
    for bytes in corpus("lat") {
        assert_eq!(lat::check(&bytes), lat::Reached::Run);
    }
    for bytes in corpus("gallery") {
        assert_eq!(gallery::check(&bytes), gallery::Reached::Used);
    }
}

#[test]
fn mutants_of_models_are_refused_or_run() {
    let corpus = corpus("lat");
    let mut rng = Rng::from_seed(0);
    let (mut refused, mut run) = (0, 0);
    for round in 0..3_000 {
        // Header and records come first and are what a mutation can break; weights are the rest.
        match lat::check(&mutant(&corpus[round % corpus.len()], 4096, &mut rng)) {
            lat::Reached::Refused => refused += 1,
            lat::Reached::Run => run += 1,
            lat::Reached::Read => {}
        }
    }
    // Both happen often, or the test would look at nothing.
    assert!(refused > 500 && run > 100, "{refused} refused, {run} run");
}

#[test]
fn mutants_of_galleries_are_refused_or_used() {
    let corpus = corpus("gallery");
    let mut rng = Rng::from_seed(0);
    let (mut refused, mut used) = (0, 0);
    for round in 0..3_000 {
        // The header as often as all that follows it.
        let bytes = &corpus[round % corpus.len()];
        let structure = if round % 2 == 0 { 32 } else { bytes.len() };
        match gallery::check(&mutant(bytes, structure, &mut rng)) {
            gallery::Reached::Refused => refused += 1,
            gallery::Reached::Used => used += 1,
        }
    }
    assert!(refused > 500 && used > 300, "{refused} refused, {used} used");
}
