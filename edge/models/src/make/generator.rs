//! A generator of digits, 16 latent values to 16x16 pixels, fitted without training: the first layer is random, the second
//! the least squares solution (with a ridge) that makes the latent of seed n the digit n, the last a transposed convolution
//! that puts four channels side by side as pixels.

use std::vec::Vec;
use std::{format, vec};

use latent_runtime::format::{Activation, ModelInfo, ModelKind, Window};
use latent_runtime::latent::Distribution;
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;

use super::{Form, Layer, Network, Result};
use crate::picture::SIDE;

const LATENT: usize = 16;
const HIDDEN: usize = 64;
const HALF: usize = SIDE / 2;

/// Five columns and seven rows each, a bit for each pixel.
const DIGITS: [[u8; 7]; 10] = [
    [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
    [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
    [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
    [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
    [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
    [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
    [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
    [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
    [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
];

/// Whether a pixel of a digit, twice as large, is ink.
fn ink(digit: usize, row: usize, column: usize) -> bool {
    let (Some(row), Some(column)) = (row.checked_sub(1), column.checked_sub(3)) else { return false };
    row / 2 < 7 && column / 2 < 5 && DIGITS[digit][row / 2] >> (4 - column / 2) & 1 == 1
}

/// The latent vector of a seed.
fn latent(seed: u64) -> Vec<f32> {
    let mut latent = vec![0.0; LATENT];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(seed), &mut latent);
    latent
}

/// Solves `a x = b` for several right sides, by elimination with the largest pivot.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = a.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|&i, &j| a[i][at].abs().total_cmp(&a[j][at].abs())).unwrap_or(at);
        a.swap(at, pivot);
        b.swap(at, pivot);
        for row in (0..size).filter(|&row| row != at) {
            let factor = a[row][at] / a[at][at];
            let (pivot_a, pivot_b) = (a[at].clone(), b[at].clone());
            a[row].iter_mut().zip(pivot_a).for_each(|(x, y)| *x -= factor * y);
            b[row].iter_mut().zip(pivot_b).for_each(|(x, y)| *x -= factor * y);
        }
    }
    for at in 0..size {
        let pivot = a[at][at];
        b[at].iter_mut().for_each(|x| *x /= pivot);
    }
    b
}

fn network() -> Result<Network> {
    let mut rng = Rng::from_seed(16);
    let first = Layer {
        form: Form::Dense,
        weights: (0..HIDDEN * LATENT).map(|_| rng.normal() * 0.5).collect(),
        bias: (0..HIDDEN).map(|_| rng.normal() * 0.3).collect(),
        activation: Activation::Relu,
    };
    let mut network = Network {
        input: ("z", vec![LATENT]),
        layers: vec![first],
        output: "image",
        info: ModelInfo {
            kind: ModelKind::Generator,
            latent_size: LATENT,
            distribution: Some(Distribution::REFERENCE),
            range: Some(ValueRange::SIGNED),
            metadata: vec![("latent.image".into(), format!("1x{SIDE}x{SIDE}"))],
            ..ModelInfo::default()
        },
    };
    // With h the hidden values of digit n and a one for the bias: w = h^T (h h^T + ridge)^-1 targets.
    let mut hidden = Vec::new();
    for digit in 0..10 {
        let mut values: Vec<f64> = network.values(&[latent(digit)])?[1].iter().map(|&x| x.into()).collect();
        values.push(1.0);
        hidden.push(values);
    }
    let product = |i: usize, j: usize| -> f64 { hidden[i].iter().zip(&hidden[j]).map(|(x, y)| x * y).sum() };
    let ridge = |i: usize, j: usize| if i == j { 0.05 } else { 0.0 };
    let gram = (0..10).map(|i| (0..10).map(|j| product(i, j) + ridge(i, j)).collect()).collect();
    // Channel 2 y + x of a pixel of half the size is the pixel (y, x) of its four.
    let target = |digit: usize, at: usize| {
        let (channel, row, column) = (at / (HALF * HALF), at / HALF % HALF, at % HALF);
        f64::from(u8::from(ink(digit, 2 * row + channel / 2, 2 * column + channel % 2)))
    };
    let targets = (0..10).map(|digit| (0..SIDE * SIDE).map(|at| target(digit, at)).collect()).collect();
    let solved = solve(gram, targets);
    let weight = |at: usize, unit: usize| -> f32 {
        (0..10).map(|digit| hidden[digit][unit] * solved[digit][at]).sum::<f64>() as f32
    };
    network.layers.push(Layer {
        form: Form::Dense,
        weights: (0..SIDE * SIDE)
            .flat_map(|at| (0..HIDDEN).map(move |unit| (at, unit)))
            .map(|(at, unit)| weight(at, unit))
            .collect(),
        bias: (0..SIDE * SIDE).map(|at| weight(at, HIDDEN)).collect(),
        activation: Activation::Relu,
    });
    let reshape = Form::Reshape([4, HALF, HALF]);
    let none = Activation::Identity;
    network.layers.push(Layer { form: reshape, weights: vec![], bias: vec![], activation: none });
    // Of stride 2 and pad 1, tap 1 + y of the four puts an input at its place y of two. Ink of 0 to 1 becomes -2 to 2.
    let tap = |at: usize| {
        let (channel, row, column) = (at / 16, at / 4 % 4, at % 4);
        if (row, column) == (1 + channel / 2, 1 + channel % 2) { 4.0 } else { 0.0 }
    };
    network.layers.push(Layer {
        form: Form::Transposed(Window::square(4, 2, 1), [SIDE, SIDE]),
        weights: (0..64).map(tap).collect(),
        bias: vec![-2.0],
        activation: Activation::Tanh,
    });
    Ok(network)
}

/// The packed generator.
///
/// # Errors
/// If the builder refuses it.
pub fn pack() -> Result<Vec<u8>> {
    network()?.pack(&(0..64).map(latent).collect::<Vec<_>>())
}
