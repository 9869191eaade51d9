//! Damaged and malicious models: an error, or a valid packed model, but never a panic, and never memory without bound.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use latent_exporter::pack::{FloatPrecision, pack};
use latent_runtime::AlignedBytes;
use latent_runtime::format::Model;
use latent_runtime::onnx::decode;
use latent_runtime::rng::Rng;
use latent_test_support::{Trials, python};
use support::run_python;

/// Packs the bytes of a model, if they are one; what is packed must be valid.
fn packs(bytes: &[u8]) -> bool {
    let Ok(model) = decode(bytes, Path::new("model.onnx")) else { return false };
    match pack(&model, FloatPrecision::F32) {
        Ok(packed) => {
            Model::from_bytes(AlignedBytes::copy_of(&packed).as_slice()).unwrap();
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn damaged_models_are_errors() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run_python(&python, "small_models.py", &[OsStr::new(folder.path())]);
    let originals = ["image.onnx", "vector.onnx", "quantized.onnx"].map(|name| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        assert!(packs(&bytes), "{name} itself");
        for length in (0..bytes.len()).step_by(7) {
            packs(&bytes[..length]);
        }
        bytes
    });
    let mut trials = Trials::new(12_000);
    let mut rng = Rng::from_seed(trials.seed() + 7);
    while let Some(round) = trials.next_round() {
        let mut damaged = originals[round as usize % originals.len()].clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(damaged.len() as u32) as usize;
            // Bits, small numbers, and the bytes that make protobuf's integers long.
            damaged[at] = match rng.below(3) {
                0 => damaged[at] ^ (1 << rng.below(8)),
                1 => rng.below(12) as u8,
                _ => 0xff,
            };
        }
        trials.keep("mutant.onnx", &damaged);
        trials.count(if packs(&damaged) { "packed" } else { "refused" });
    }
    // Both kinds of outcome must be there, or the test damages too much or too little.
    assert!(trials.counted("packed") > 500 && trials.counted("refused") > 500, "{trials:?}");
}
