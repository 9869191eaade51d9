//! Compares packed models of one network: how far their outputs are from the first one's, and how many bytes each takes.
//!
//! `cargo run --release -p latent-runtime --features std --example compare_precisions -- REFERENCE.lat OTHER.lat ...`

use std::error::Error;

use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::rng::Rng;

/// Inputs that are tried.
const EXAMPLES: usize = 16;

fn outputs(path: &str) -> Result<(Vec<f32>, usize), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let mut model = NativeBackend::from_bytes(&bytes, &NativeOptions::default())?;
    let length = |shape: &[usize]| shape.iter().product::<usize>();
    let [inputs, outputs] = [length(model.input().shape), length(model.output().shape)];
    let mut rng = Rng::from_seed(0);
    let input: Vec<f32> = (0..EXAMPLES * inputs).map(|_| rng.uniform(-1.0, 1.0)).collect();
    let mut output = vec![0.0; EXAMPLES * outputs];
    model.run(EXAMPLES, &input, &mut output)?;
    Ok((output, bytes.len()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [reference, others @ ..] = paths.as_slice() else {
        return Err("give two packed models of one network or more".into());
    };
    let (expected, bytes) = outputs(reference)?;
    println!("{reference}: {bytes} bytes");
    let (low, high) = expected.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    for path in others {
        let (found, bytes) = outputs(path)?;
        if found.len() != expected.len() {
            return Err(format!("{path} gives {} values, {reference} {}", found.len(), expected.len()).into());
        }
        let squares: f64 = found.iter().zip(&expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let rms = (squares / expected.len() as f64).sqrt();
        let decibels = 20.0 * (f64::from(high - low) / rms).log10();
        println!("{path}: {bytes} bytes, {decibels:.1} dB from {reference}");
    }
    Ok(())
}
