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
use latent_test_support::Trials;

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
    let mut trials = Trials::new(3_000);
    let mut rng = Rng::from_seed(trials.seed());
    while let Some(round) = trials.next_round() {
        // Header and records come first and are what a mutation can break; weights are the rest.
        let bytes = mutant(&corpus[round as usize % corpus.len()], 4096, &mut rng);
        trials.keep("mutant.lat", &bytes);
        trials.count(match lat::check(&bytes) {
            lat::Reached::Refused => "refused",
            lat::Reached::Run => "run",
            lat::Reached::Read => "too large to run here",
        });
    }
    // Both happen often, or the test would look at nothing.
    assert!(trials.counted("refused") > 500 && trials.counted("run") > 100, "{trials:?}");
}

#[test]
fn mutants_of_galleries_are_refused_or_used() {
    let corpus = corpus("gallery");
    let mut trials = Trials::new(3_000);
    let mut rng = Rng::from_seed(trials.seed());
    while let Some(round) = trials.next_round() {
        // The header as often as all that follows it.
        let bytes = &corpus[round as usize % corpus.len()];
        let structure = if round % 2 == 0 { 32 } else { bytes.len() };
        let bytes = mutant(bytes, structure, &mut rng);
        trials.keep("mutant.lga", &bytes);
        trials.count(match gallery::check(&bytes) {
            gallery::Reached::Refused => "refused",
            gallery::Reached::Used => "used",
        });
    }
    assert!(trials.counted("refused") > 500 && trials.counted("used") > 300, "{trials:?}");
}
