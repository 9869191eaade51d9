//! An encoder of 16x16 pixels to 32 values, of random convolutions, which tell simple shapes apart without training.

use std::vec::Vec;
use std::{format, vec};

use latent_runtime::format::{Activation, ModelInfo, ModelKind, Window};
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;

use super::layers::random;
use super::{Form, Layer, Network, Result};
use crate::picture::{SIDE, draw};

/// The packed encoder.
///
/// # Errors
/// If the builder refuses it.
pub fn pack() -> Result<Vec<u8>> {
    let mut rng = Rng::from_seed(33);
    let convolution = |stride| Form::Convolution(Window::square(3, stride, 1));
    let mut network = Network {
        input: ("image", vec![1, SIDE, SIDE]),
        layers: vec![
            random(convolution(2), [1, 8], 9, Activation::Relu, &mut rng),
            random(convolution(2), [8, 16], 9, Activation::Relu, &mut rng),
            random(convolution(2), [16, 32], 9, Activation::Relu, &mut rng),
            Layer { form: Form::Mean, weights: vec![], bias: vec![], activation: Activation::Identity },
        ],
        output: "features",
        info: ModelInfo {
            kind: ModelKind::Encoder,
            range: Some(ValueRange::UNIT),
            metadata: vec![("latent.image".into(), format!("1x{SIDE}x{SIDE}"))],
            ..ModelInfo::default()
        },
    };
    let examples: Vec<Vec<f32>> = (0..30)
        .map(|at| draw(at % 3, &mut rng).iter().map(|&pixel| ValueRange::UNIT.from_u8(pixel)).collect())
        .collect();
    // As batch normalization would: each feature's mean 0 and deviation 1, so that all count alike in a cosine.
    let features = network.values(&examples)?.pop().unwrap_or_default();
    let width = 32;
    let mean = |power: i32, at: usize| -> f32 {
        features.chunks(width).map(|row| row[at].powi(power)).sum::<f32>() / examples.len() as f32
    };
    let scale: Vec<f32> =
        (0..width).map(|at| 1.0 / (mean(2, at) - mean(1, at).powi(2)).max(1e-6).sqrt()).collect();
    network.layers.push(Layer {
        form: Form::Dense,
        weights: (0..width * width)
            .map(|at| if at / width == at % width { scale[at % width] } else { 0.0 })
            .collect(),
        bias: (0..width).map(|at| -mean(1, at) * scale[at]).collect(),
        activation: Activation::Identity,
    });
    network.pack(&examples)
}
