//! What the fuzzer does (`fuzz/`), for a moment: its corpus, and a few thousand mutants of it.
#![cfg(feature = "std")]

#[path = "../fuzz/fuzz_targets/body.rs"]
#[allow(missing_docs, unreachable_pub)]
mod body;

use std::fs;
use std::path::Path;

use body::{Reached, check};
use latent_runtime::rng::Rng;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/lat");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_runs() {
    let corpus = corpus();
    assert!(corpus.len() >= 3);
    for bytes in corpus {
        assert_eq!(check(&bytes), Reached::Run);
    }
}

#[test]
fn mutants_are_refused_or_run() {
    let corpus = corpus();
    let mut rng = Rng::from_seed(0);
    let (mut refused, mut run) = (0, 0);
    for round in 0..3_000 {
        let mut bytes = corpus[round % corpus.len()].clone();
        // Header and records come first and are what a mutation can break; weights are the rest.
        let structure = bytes.len().min(4096) as u32;
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
        match check(&bytes) {
            Reached::Refused => refused += 1,
            Reached::Run => run += 1,
            Reached::Read => {}
        }
    }
    // Both happen often, or the test would look at nothing.
    assert!(refused > 500 && run > 100, "{refused} refused, {run} run");
}
