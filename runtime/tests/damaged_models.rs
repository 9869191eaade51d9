//! Damaged ONNX files give errors or nonsense, never a panic.
#![cfg(feature = "onnx")]

#[path = "support/models.rs"]
#[allow(dead_code, missing_docs, unreachable_pub)]
mod models;

use std::path::Path;

use latent_runtime::onnx::{Interface, ModelMetadata, decode, infer_shapes, multiply_accumulates};
use latent_runtime::rng::Rng;
use latent_test_support::Trials;
use prost::Message;

/// Whatever a tool asks about a model before it runs it.
fn look_at(bytes: &[u8]) -> bool {
    let Ok(model) = decode(bytes, Path::new("damaged.onnx")) else { return false };
    let _ = Interface::of(&model);
    let _ = ModelMetadata::from_model(&model);
    let graph = model.graph.as_ref().unwrap();
    let shapes = infer_shapes(graph);
    for node in &graph.node {
        let _ = multiply_accumulates(node, &shapes);
    }
    true
}

#[test]
fn no_truncation_panics() {
    let bytes = models::dcgan_generator().encode_to_vec();
    assert!(look_at(&bytes));
    for length in 0..bytes.len() {
        look_at(&bytes[..length]);
    }
}

#[test]
fn no_mutation_panics() {
    let originals = [models::dcgan_generator(), models::discriminator()].map(|model| model.encode_to_vec());
    let mut trials = Trials::new(20_000);
    let mut rng = Rng::from_seed(trials.seed());
    while let Some(round) = trials.next_round() {
        let mut bytes = originals[round as usize % 2].clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u32) as usize;
            bytes[at] = match rng.below(3) {
                0 => 0xff,
                1 => bytes[at] ^ (1 << rng.below(8)),
                _ => rng.below(256) as u8,
            };
        }
        trials.keep("mutant.onnx", &bytes);
        trials.count(if look_at(&bytes) { "understood" } else { "refused" });
    }
    // Weights make most of the bytes: many mutants must still be read, or the test would look at nothing.
    assert!(trials.counted("understood") >= 1_000 && trials.counted("refused") > 0, "{trials:?}");
}

/// Sizes that would overflow, set in every place that holds a size.
#[test]
fn no_size_panics() {
    let extremes = [0, -1, 1, i64::MAX, i64::MIN, i64::MAX / 2, 1 << 40];
    let mut trials = Trials::new(5_000);
    let mut rng = Rng::from_seed(trials.seed() + 1);
    while trials.next_round().is_some() {
        let mut model = models::dcgan_generator();
        let graph = model.graph.as_mut().unwrap();
        let mut places: Vec<&mut i64> = Vec::new();
        for tensor in &mut graph.initializer {
            places.extend(&mut tensor.dims);
            places.extend(&mut tensor.int64_data);
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            places.extend(&mut attribute.ints);
            places.push(&mut attribute.i);
        }
        for _ in 0..3 {
            let at = rng.below(places.len() as u32) as usize;
            *places[at] = extremes[rng.below(extremes.len() as u32) as usize];
        }
        let bytes = model.encode_to_vec();
        trials.keep("sizes.onnx", &bytes);
        assert!(look_at(&bytes));
    }
}
