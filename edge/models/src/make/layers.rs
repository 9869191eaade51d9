//! Single layers with random weights, as the benchmarks measure them.

use std::vec;
use std::vec::Vec;

use latent_runtime::format::{Activation, ModelInfo, Window};
use latent_runtime::rng::Rng;

use super::{Form, Layer, Network, Result};

/// A layer with so many channels in and out and so many taps, its weights random and of a size that keeps the variance.
pub fn random(form: Form, channels: [usize; 2], taps: usize, activation: Activation, rng: &mut Rng) -> Layer {
    let [inputs, outputs] = channels;
    let size = (2.0 / (inputs * taps) as f32).sqrt();
    Layer {
        form,
        weights: (0..inputs * outputs * taps).map(|_| rng.normal() * size).collect(),
        bias: (0..outputs).map(|_| rng.normal() * 0.1).collect(),
        activation,
    }
}

/// A measured layer: its name, its input, what it does, channels in and out.
pub struct Measured {
    /// The name of its file and of its row.
    pub name: &'static str,
    input: [usize; 3],
    form: Form,
    channels: [usize; 2],
    activation: Activation,
}

const fn convolution(name: &'static str, side: usize, channels: [usize; 2], stride: usize) -> Measured {
    let form = Form::Convolution(Window::square(3, stride, 1));
    Measured { name, input: [channels[0], side, side], form, channels, activation: Activation::Relu }
}

const fn transposed(name: &'static str, side: usize, channels: [usize; 2]) -> Measured {
    let form = Form::Transposed(Window::square(4, 2, 1), [2 * side, 2 * side]);
    Measured { name, input: [channels[0], side, side], form, channels, activation: Activation::Relu }
}

const fn dense(name: &'static str, channels: [usize; 2]) -> Measured {
    Measured { name, input: [channels[0], 1, 1], form: Form::Dense, channels, activation: Activation::Relu }
}

/// The layers of small generators and encoders.
pub const LAYERS: [Measured; 10] = [
    dense("fc-1024-1024", [1024, 1024]),
    dense("fc-96-1024", [96, 1024]),
    dense("fc-16-784", [16, 784]),
    convolution("conv3x3-3-16", 32, [3, 16], 1),
    convolution("conv3x3-16-32-s2", 32, [16, 32], 2),
    convolution("conv3x3-32-64-s2", 16, [32, 64], 2),
    transposed("convt4x4-64-32-s2", 7, [64, 32]),
    transposed("convt4x4-16-8-s2", 7, [16, 8]),
    transposed("convt4x4-8-1-s2", 14, [8, 1]),
    Measured { activation: Activation::Tanh, ..transposed("tanh-convt4x4-8-1-s2", 14, [8, 1]) },
];

impl Measured {
    /// The layer alone, packed in 8-bit integers.
    ///
    /// # Errors
    /// If the builder refuses it.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut rng = Rng::from_seed(7);
        let taps = match self.form {
            Form::Convolution(window) | Form::Transposed(window, _) => window.kernel[0] * window.kernel[1],
            _ => 1,
        };
        let layer = random(self.form, self.channels, taps, self.activation, &mut rng);
        let input = if self.input[1] == 1 { self.input[..1].to_vec() } else { self.input.to_vec() };
        let values: usize = self.input.iter().product();
        let examples: Vec<Vec<f32>> =
            (0..4).map(|_| (0..values).map(|_| rng.uniform(-1.0, 1.0)).collect()).collect();
        let network =
            Network { input: ("x", input), layers: vec![layer], output: "y", info: ModelInfo::default() };
        network.pack(&examples)
    }
}
