//! Whole models through the builder, held against an independent reference: plain loops in f64 over channel-first
//! tensors, as the ONNX specification writes them.

mod extended;
mod int4;
mod outside;

use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::execute::execute;
use crate::AlignedBytes;
use crate::backend::Backend;
use crate::format::*;
use crate::kernels::{Engine, Isa};
use crate::native::{NativeBackend, NativeOptions, Session};
use crate::ops::*;
use crate::rng::Rng;

/// A channel-first tensor of one example.
#[derive(Clone, Debug, PartialEq)]
struct Tensor {
    shape: [usize; 3],
    data: Vec<f64>,
}

impl Tensor {
    fn new(shape: [usize; 3], mut value: impl FnMut(usize, usize, usize) -> f64) -> Self {
        let mut data = Vec::new();
        for c in 0..shape[0] {
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    data.push(value(c, y, x));
                }
            }
        }
        Self { shape, data }
    }

    /// The element, or 0 outside.
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let [_, height, width] = self.shape;
        if (0..height as isize).contains(&y) && (0..width as isize).contains(&x) {
            self.data[(c * height + y as usize) * width + x as usize]
        } else {
            0.0
        }
    }

    fn map(&self, function: impl Fn(usize, f64) -> f64) -> Self {
        let plane = self.shape[1] * self.shape[2];
        let data = self.data.iter().enumerate().map(|(at, &x)| function(at / plane, x)).collect();
        Self { shape: self.shape, data }
    }

    fn plus(&self, other: &Self) -> Self {
        Self { shape: self.shape, data: self.data.iter().zip(&other.data).map(|(a, b)| a + b).collect() }
    }
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                x * f64::from(slope)
            }
        }
        Activation::Clip { low, high } => x.clamp(low.into(), high.into()),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    }
}

fn convolution(input: &Tensor, weights: &[f64], outputs: usize, window: Window, groups: usize) -> Tensor {
    let [channels, height, width] = input.shape;
    let (per_in, per_out) = (channels / groups, outputs / groups);
    let [kh, kw] = window.kernel;
    let extent = |input: usize, n: usize| {
        (input + window.pads[n] + window.pads[n + 2] - (window.kernel[n] - 1) * window.dilation[n] - 1)
            / window.stride[n]
            + 1
    };
    Tensor::new([outputs, extent(height, 0), extent(width, 1)], |o, y, x| {
        let mut sum = 0.0;
        for c in 0..per_in {
            for ky in 0..kh {
                for kx in 0..kw {
                    let iy =
                        (y * window.stride[0] + ky * window.dilation[0]) as isize - window.pads[0] as isize;
                    let ix =
                        (x * window.stride[1] + kx * window.dilation[1]) as isize - window.pads[1] as isize;
                    let weight = weights[((o * per_in + c) * kh + ky) * kw + kx];
                    sum += input.at(o / per_out * per_in + c, iy, ix) * weight;
                }
            }
        }
        sum
    })
}

/// A 3x3 convolution by F(2x2, 3x3) with transformed weights rounded to 16 bits, as the format defines it: it differs from
/// one with rounded weights by more than sums in f32 do.
fn half_winograd(
    input: &Tensor,
    weights: &[f64],
    outputs: usize,
    window: Window,
    round: impl Fn(f32) -> f64,
) -> Tensor {
    let product = |a: &[&[f64]], b: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let columns = 0..b[0].len();
        let element = |row: &[f64], x: usize| row.iter().zip(b).map(|(a, b)| a * b[x]).sum();
        a.iter().map(|row| columns.clone().map(|x| element(row, x)).collect()).collect()
    };
    let turned = |a: &[Vec<f64>]| -> Vec<Vec<f64>> {
        (0..a[0].len()).map(|x| a.iter().map(|row| row[x]).collect()).collect()
    };
    // a b a^T
    let both = |a: &[&[f64]], b: &[Vec<f64>]| turned(&product(a, &turned(&product(a, b))));
    let kernels: Vec<Vec<Vec<f64>>> = weights
        .chunks(9)
        .map(|kernel| {
            let kernel: Vec<Vec<f64>> = kernel.chunks(3).map(<[f64]>::to_vec).collect();
            let g: [&[f64]; 4] = [&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]];
            let mut transformed = both(&g, &kernel);
            transformed.iter_mut().flatten().for_each(|x| *x = round(*x as f32));
            transformed
        })
        .collect();
    let [channels, height, width] = input.shape;
    let extents = [0, 1].map(|n| [height, width][n] + window.pads[n] + window.pads[n + 2] - 2);
    let mut result = Tensor::new([outputs, extents[0], extents[1]], |_, _, _| 0.0);
    for (y, x) in (0..extents[0]).step_by(2).flat_map(|y| (0..extents[1]).step_by(2).map(move |x| (y, x))) {
        let inputs: Vec<Vec<Vec<f64>>> = (0..channels)
            .map(|c| {
                let [above, left] = [window.pads[0] as isize, window.pads[1] as isize];
                let at = |dy: isize, dx: isize| input.at(c, y as isize + dy - above, x as isize + dx - left);
                let d: Vec<Vec<f64>> = (0..4).map(|dy| (0..4).map(|dx| at(dy, dx)).collect()).collect();
                let b: [&[f64]; 4] = [
                    &[1.0, 0.0, -1.0, 0.0],
                    &[0.0, 1.0, 1.0, 0.0],
                    &[0.0, -1.0, 1.0, 0.0],
                    &[0.0, 1.0, 0.0, -1.0],
                ];
                both(&b, &d)
            })
            .collect();
        for o in 0..outputs {
            let kernels = &kernels[o * channels..(o + 1) * channels];
            let sum = |y: usize, x: usize| inputs.iter().zip(kernels).map(|(d, g)| d[y][x] * g[y][x]).sum();
            let m: Vec<Vec<f64>> = (0..4).map(|y| (0..4).map(|x| sum(y, x)).collect()).collect();
            let a: [&[f64]; 2] = [&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, -1.0]];
            for (dy, row) in both(&a, &m).into_iter().enumerate() {
                for (dx, value) in row.into_iter().enumerate() {
                    result.data[(o * extents[0] + y + dy) * extents[1] + x + dx] = value;
                }
            }
        }
    }
    result
}

fn transposed(
    input: &Tensor,
    weights: &[f64],
    outputs: usize,
    window: Window,
    size: [usize; 2],
    groups: usize,
) -> Tensor {
    let [channels, height, width] = input.shape;
    let (per_in, per_out) = (channels / groups, outputs / groups);
    let [kh, kw] = window.kernel;
    let mut result = Tensor::new([outputs, size[0], size[1]], |_, _, _| 0.0);
    for c in 0..channels {
        for o in 0..per_out {
            for y in 0..height {
                for x in 0..width {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let oy = (y * window.stride[0] + ky) as isize - window.pads[0] as isize;
                            let ox = (x * window.stride[1] + kx) as isize - window.pads[1] as isize;
                            if (0..size[0] as isize).contains(&oy) && (0..size[1] as isize).contains(&ox) {
                                let channel = c / per_in * per_out + o;
                                let at = (channel * size[0] + oy as usize) * size[1] + ox as usize;
                                result.data[at] += input.at(c, y as isize, x as isize)
                                    * weights[((c * per_out + o) * kh + ky) * kw + kx];
                            }
                        }
                    }
                }
            }
        }
    }
    result
}

/// Whether two numbers differ by more than a bound, or one is not a number.
fn far(a: f64, b: f64, bound: f64) -> bool {
    let distance = (a - b).abs();
    distance.is_nan() || distance > bound
}

/// The greater error; not a number is the greatest.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Runs a packed model on an instruction set and several threads.
fn run(bytes: &[u8], input: &[f32], outputs: usize, batch: usize, isa: Isa, threads: usize) -> Vec<f32> {
    let bytes = AlignedBytes::copy_of(bytes);
    let model = Model::from_bytes(bytes.as_slice()).expect("a valid model");
    let mut arena = AlignedBytes::zeroed(model.arena_len(batch).expect("small") + model.scratch_len());
    // What an arena held before must not matter.
    arena.as_mut_slice().fill(0xA5);
    let mut engine = Engine::new(isa);
    engine.set_threads(threads);
    let mut output = vec![0.0; outputs];
    let outside: (&[&[f32]], &mut [&mut [f32]]) = (&[input], &mut [&mut output]);
    execute(&model, &mut engine, arena.as_mut_slice(), 0..batch, outside, &mut |_| ()).expect("runs");
    output
}

/// How the layers of a test model are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    F32,
    F16,
    Bf16,
    /// To U8, from there to float by an elementwise operator.
    Int8,
    /// With a float output.
    Int8ToFloat,
}

const MODES: [Mode; 5] = [Mode::F32, Mode::F16, Mode::Bf16, Mode::Int8, Mode::Int8ToFloat];

/// What a layer is.
#[derive(Clone, Copy, Debug)]
enum Form {
    Dense(usize),
    Convolution(Window, usize, usize),
    Transposed(Window, usize, [usize; 2], usize),
}

/// A layer over an input, with everything that can be fused.
#[derive(Clone, Debug)]
struct LayerCase {
    shape: [usize; 3],
    form: Form,
    activation: Activation,
    residual: bool,
    after: bool,
}

impl LayerCase {
    /// Whether it is a float convolution that the builder transforms.
    fn transforms(&self) -> bool {
        matches!(self.form, Form::Convolution(window, outputs, 1)
            if window.kernel == [3, 3] && window.stride == [1, 1] && outputs >= 16 && self.shape[0] >= 16)
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], pads: [usize; 4]) -> Window {
    Window { kernel, stride, dilation, pads }
}

fn layer_cases() -> Vec<LayerCase> {
    use Form::{Convolution, Dense, Transposed};
    let square = Window::square;
    let forms = [
        ([96, 1, 1], Dense(40)),
        ([3, 4, 5], Dense(17)),
        ([5, 1, 1], Dense(1)),
        ([3, 8, 8], Convolution(square(3, 1, 1), 16, 1)),
        ([16, 7, 5], Convolution(square(3, 2, 1), 20, 1)),
        ([8, 6, 6], Convolution(square(1, 1, 0), 33, 1)),
        ([1, 9, 9], Convolution(square(5, 1, 0), 4, 1)),
        ([4, 9, 6], Convolution(window([3, 2], [2, 1], [2, 3], [0, 1, 3, 2]), 6, 1)),
        // Large enough for Winograd: in several chunks of tiles, which threads share; with a broken block in and out; with
        // more channels than tiles, so that threads share channels.
        ([16, 16, 20], Convolution(square(3, 1, 1), 80, 1)),
        ([20, 10, 8], Convolution(window([3, 3], [1, 1], [1, 1], [0, 2, 2, 0]), 33, 1)),
        ([16, 8, 8], Convolution(square(3, 1, 1), 80, 1)),
        ([8, 5, 5], Convolution(square(3, 1, 1), 12, 2)),
        ([6, 5, 5], Convolution(square(3, 1, 1), 9, 3)),
        ([20, 6, 6], Convolution(square(3, 1, 1), 20, 20)),
        ([7, 6, 7], Convolution(window([3, 5], [2, 1], [1, 1], [1, 2, 0, 2]), 7, 7)),
        ([16, 4, 4], Transposed(square(4, 2, 1), 24, [8, 8], 1)),
        ([6, 3, 4], Transposed(square(3, 2, 1), 5, [6, 8], 1)),
        ([4, 3, 3], Transposed(square(2, 3, 0), 3, [8, 8], 1)),
        ([4, 4, 3], Transposed(window([5, 3], [1, 2], [1, 1], [2, 0, 2, 1]), 18, [4, 6], 1)),
        ([8, 3, 3], Transposed(square(4, 2, 1), 6, [6, 6], 2)),
        ([6, 3, 3], Transposed(square(4, 2, 1), 9, [6, 6], 3)),
        ([3, 4, 4], Transposed(square(4, 4, 0), 2, [16, 16], 1)),
    ];
    let functions = [
        Activation::Relu,
        Activation::Identity,
        Activation::Tanh,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Clip { low: -0.5, high: 0.8 },
        Activation::Sigmoid,
        Activation::HardSwish,
    ];
    let mut cases = Vec::new();
    for (index, (shape, form)) in forms.into_iter().enumerate() {
        for extra in 0..3 {
            let activation = functions[(index + extra) % functions.len()];
            cases.push(LayerCase { shape, form, activation, residual: extra == 1, after: extra == 2 });
        }
    }
    cases
}

struct Built {
    bytes: Vec<u8>,
    input: Vec<f32>,
    expected: Vec<f64>,
    /// The greatest error that rounding can explain.
    tolerance: f64,
}

const INPUT: Element = Element::U8 { scale: 1.0 / 64.0, zero_point: 100 };
const OUTPUT_SCALE: f32 = 1.0 / 32.0;

fn build(case: &LayerCase, mode: Mode) -> Built {
    let int8 = matches!(mode, Mode::Int8 | Mode::Int8ToFloat);
    let mut rng = Rng::from_seed(3);
    let channels = case.shape[0];
    let (outputs, taps, weights_len) = match case.form {
        Form::Dense(outputs) => (outputs, 1, outputs * case.shape.iter().product::<usize>()),
        Form::Convolution(window, outputs, groups) => {
            let taps = window.kernel[0] * window.kernel[1];
            (outputs, taps, outputs * channels / groups * taps)
        }
        Form::Transposed(window, outputs, _, groups) => {
            let taps = window.kernel[0] * window.kernel[1];
            (outputs, taps, channels * outputs / groups * taps)
        }
    };
    let _ = taps;
    // Inputs are multiples of the quantized step, so that all precisions see the same.
    let count = case.shape.iter().product();
    let input: Vec<f32> = (0..count).map(|_| (rng.below(200) as f32 - 100.0) / 64.0).collect();
    let int_weights: Vec<i8> = (0..weights_len).map(|_| (rng.below(255) as i32 - 127) as i8).collect();
    // Some transposed convolutions have scales and biases for each of their phases.
    let strides = match case.form {
        Form::Transposed(window, ..) if case.after => window.stride,
        _ => [1, 1],
    };
    let remainder = |y: usize, x: usize| y % strides[0] * strides[1] + x % strides[1];
    let rows = strides[0] * strides[1] * outputs;
    let scales: Vec<f32> = (0..rows).map(|row| 0.002 + 0.0005 * (row % 3) as f32).collect();
    let per_channel = weights_len / outputs;
    // Which of the scales and biases belongs to a weight in its plain order.
    let row_of = |at: usize| match case.form {
        Form::Dense(_) | Form::Convolution(..) => at / per_channel,
        Form::Transposed(window, outputs, _, groups) => {
            let taps = window.kernel[0] * window.kernel[1];
            let (per_in, per_out) = (channels / groups, outputs / groups);
            let (c, o) = (at / taps / per_out, at / taps % per_out);
            let (ky, kx) = (at % taps / window.kernel[1], at % window.kernel[1]);
            remainder(ky, kx) * outputs + c / per_in * per_out + o
        }
    };
    let floats: Vec<f32> =
        int_weights.iter().enumerate().map(|(at, &weight)| f32::from(weight) * scales[row_of(at)]).collect();
    let round = |weight: f32| {
        f64::from(match mode {
            Mode::F16 => crate::half::to_f32(crate::half::from_f32(weight)),
            Mode::Bf16 => crate::bfloat16::to_f32(crate::bfloat16::from_f32(weight)),
            _ => weight,
        })
    };
    let rounded: Vec<f64> = floats.iter().map(|&weight| round(weight)).collect();
    let bias: Vec<f32> = (0..rows).map(|_| rng.uniform(-0.5, 0.5)).collect();
    let scale: Vec<f32> = (0..outputs).map(|_| rng.uniform(0.5, 1.5)).collect();
    let shift: Vec<f32> = (0..outputs).map(|_| rng.uniform(-0.5, 0.5)).collect();

    let mut builder = Builder::new(ModelInfo::default());
    let x = builder.input("x", &case.shape, if int8 { INPUT } else { Element::F32 }).unwrap();
    let tensor = {
        let mut values = input.iter();
        Tensor::new(case.shape, |_, _, _| f64::from(*values.next().unwrap()))
    };
    let sum = match case.form {
        Form::Dense(outputs) => {
            let inputs = tensor.data.len();
            Tensor::new([outputs, 1, 1], |o, _, _| {
                (0..inputs).map(|k| tensor.data[k] * rounded[o * inputs + k]).sum()
            })
        }
        Form::Convolution(window, outputs, _)
            if matches!(mode, Mode::F16 | Mode::Bf16) && case.transforms() =>
        {
            let weights: Vec<f64> = floats.iter().copied().map(f64::from).collect();
            half_winograd(&tensor, &weights, outputs, window, round)
        }
        Form::Convolution(window, outputs, groups) => convolution(&tensor, &rounded, outputs, window, groups),
        Form::Transposed(window, outputs, size, groups) => {
            transposed(&tensor, &rounded, outputs, window, size, groups)
        }
    };
    let weights = match mode {
        Mode::F32 => PlainWeights::F32(&floats),
        Mode::F16 => PlainWeights::F16(&floats),
        Mode::Bf16 => PlainWeights::Bf16(&floats),
        _ => PlainWeights::I8 { values: &int_weights, scales: &scales },
    };
    let output = match mode {
        Mode::Int8 => Element::U8 { scale: OUTPUT_SCALE, zero_point: 90 },
        _ => Element::F32,
    };
    let mut spec = LayerSpec::new(weights, PlainBias::F32(&bias));
    spec.activation = case.activation;
    spec.output = output;
    if case.after {
        spec.after = Some((&scale, &shift));
    }
    let add = |builder: &mut Builder, name: &str, spec: LayerSpec<'_>| match case.form {
        Form::Dense(_) => builder.fully_connected(name, x, spec).unwrap(),
        Form::Convolution(window, _, groups) => builder.convolution(name, x, window, groups, spec).unwrap(),
        Form::Transposed(window, _, size, groups) => {
            builder.transposed(name, x, window, size, groups, spec).unwrap()
        }
    };
    let pads = match case.form {
        Form::Transposed(window, ..) => window.pads,
        _ => [0; 4],
    };
    let biased = Tensor::new(sum.shape, |c, y, x| {
        let bias = bias[remainder(y + pads[0], x + pads[1]) * outputs + c];
        sum.at(c, y as isize, x as isize) + f64::from(bias)
    });
    let mut expected = biased.clone();
    if case.residual {
        // The residual is another such layer, with nothing fused.
        let plain = LayerSpec { activation: Activation::Identity, after: None, ..spec };
        let residual = add(&mut builder, "residual", plain);
        spec.residual = Some(residual);
        expected = match mode {
            Mode::Int8 => {
                let step = f64::from(OUTPUT_SCALE);
                biased.plus(&biased.map(|_, x| (x / step).round().clamp(-90.0, 165.0) * step))
            }
            _ => biased.plus(&biased),
        };
    }
    let y = add(&mut builder, "layer", spec);
    expected = expected.map(|c, x| {
        let x = activate(case.activation, x);
        if case.after { x * f64::from(scale[c]) + f64::from(shift[c]) } else { x }
    });
    let mut tolerance = 2e-5;
    if int8 {
        // The bias is rounded to a step of the product.
        tolerance += 0.0035 / 64.0 * 2.0;
    }
    if mode == Mode::Int8 {
        let step = f64::from(OUTPUT_SCALE);
        expected = expected.map(|_, x| x.clamp(-90.0 * step, 165.0 * step));
        // Half a step; where a residual is rounded the other way, one and a half.
        tolerance += step * if case.residual { 1.5 } else { 0.5 };
    }
    let y = if mode == Mode::Int8 {
        builder.elementwise("real", y, None, Activation::Identity, None, Element::F32).unwrap()
    } else {
        y
    };
    let shape = builder.extents(y);
    builder.output(y, "y", &shape).unwrap();
    Built { bytes: builder.finish().expect("builds"), input, expected: expected.data, tolerance }
}

/// Whether a model has transformed weights.
fn transforms(bytes: &[u8]) -> bool {
    let bytes = AlignedBytes::copy_of(bytes);
    let model = Model::from_bytes(bytes.as_slice()).expect("a valid model");
    (0..model.operators_len())
        .filter_map(|index| model.operator(index))
        .any(|operator| matches!(operator.kind, OperatorKind::Convolution { winograd: true, .. }))
}

#[test]
fn layers_follow_the_definition_in_every_precision() {
    let mut failures: Vec<String> = Vec::new();
    for case in layer_cases() {
        for mode in MODES {
            let built = build(&case, mode);
            let transformed = transforms(&built.bytes);
            let float = !matches!(mode, Mode::Int8 | Mode::Int8ToFloat);
            assert_eq!(transformed, float && case.transforms(), "{mode:?} {case:?}");
            let reference = run(&built.bytes, &built.input, built.expected.len(), 1, Isa::Scalar, 1);
            let worst = reference
                .iter()
                .zip(&built.expected)
                .map(|(found, expected)| (f64::from(*found) - expected).abs() / (1.0 + expected.abs() * 0.01))
                .fold(0.0, worse);
            if far(worst, 0.0, built.tolerance) {
                failures.push(format!("scalar is off by {worst:.2e}: {mode:?} {case:?}"));
            }
            // Three different examples at once give what they give alone.
            let batch: Vec<f32> =
                (0..3).flat_map(|n| built.input.iter().map(move |x| x * (n as f32 / 2.0))).collect();
            let single: Vec<f32> = batch
                .chunks(built.input.len())
                .flat_map(|input| run(&built.bytes, input, built.expected.len(), 1, Isa::Scalar, 1))
                .collect();
            for isa in Isa::available() {
                for threads in [1, 2] {
                    let found = run(&built.bytes, &batch, single.len(), 3, isa, threads);
                    let bound = if float { 2e-5 } else { 0.0 };
                    if let Some(at) =
                        single.iter().zip(&found).position(|(&a, &b)| far(a.into(), b.into(), bound))
                    {
                        failures.push(format!("{} {threads} threads at {at}: {mode:?} {case:?}", isa.name()));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

type Make = Box<dyn Fn(&mut Builder, ValueId, Element) -> ValueId>;
type Expect = Box<dyn Fn(&Tensor) -> Tensor>;

/// A name, the input's shape, how to build it, what it should give.
type Case = (&'static str, [usize; 3], Make, Expect);

/// Operators without weights.
fn operator_cases() -> Vec<Case> {
    fn pool(kind: PoolKind, window: Window, output: [usize; 2]) -> (Make, Expect) {
        let make: Make = Box::new(move |b, x, e| b.pool("pool", x, kind, window, output, e).unwrap());
        let expect: Expect = Box::new(move |t| {
            let [c, height, width] = t.shape;
            Tensor::new([c, output[0], output[1]], |c, y, x| {
                let mut inside = Vec::new();
                for ky in 0..window.kernel[0] {
                    for kx in 0..window.kernel[1] {
                        let iy = (y * window.stride[0] + ky * window.dilation[0]) as isize
                            - window.pads[0] as isize;
                        let ix = (x * window.stride[1] + kx * window.dilation[1]) as isize
                            - window.pads[1] as isize;
                        if (0..height as isize).contains(&iy) && (0..width as isize).contains(&ix) {
                            inside.push(t.at(c, iy, ix));
                        }
                    }
                }
                let sum: f64 = inside.iter().sum();
                match kind {
                    PoolKind::Max => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    PoolKind::Average => sum / inside.len() as f64,
                    PoolKind::AverageWithPadding => sum / (window.kernel[0] * window.kernel[1]) as f64,
                }
            })
        });
        (make, expect)
    }
    fn activation(function: Activation) -> (Make, Expect) {
        let make: Make = Box::new(move |b, x, e| b.elementwise("f", x, None, function, None, e).unwrap());
        (make, Box::new(move |t| t.map(|_, x| activate(function, x))))
    }
    fn resize(
        output: [usize; 2],
        step: [f32; 2],
        coordinates: Coordinates,
        interpolation: Interpolation,
    ) -> (Make, Expect) {
        let make: Make = Box::new(move |b, x, e| {
            b.resize("resize", x, output, Resize { step, coordinates, interpolation }, e).unwrap()
        });
        let expect: Expect = Box::new(move |t| {
            let place = |at: usize, n: usize, output: usize| {
                let (x, scale, input) = (at as f64, f64::from(step[n]), t.shape[n + 1]);
                match coordinates {
                    Coordinates::HalfPixel => (x + 0.5) * scale - 0.5,
                    Coordinates::PytorchHalfPixel => {
                        if output > 1 {
                            (x + 0.5) * scale - 0.5
                        } else {
                            0.0
                        }
                    }
                    Coordinates::Asymmetric => x * scale,
                    Coordinates::AlignCorners => x * (input as f64 - 1.0) / (output as f64 - 1.0),
                }
            };
            let clamp = |at: f64, n: usize| at.clamp(0.0, t.shape[n + 1] as f64 - 1.0) as isize;
            Tensor::new([t.shape[0], output[0], output[1]], |c, y, x| {
                let (y, x) = (place(y, 0, output[0]), place(x, 1, output[1]));
                let nearest = |at: f64| match interpolation {
                    Interpolation::RoundPreferFloor => (at - 0.5).ceil(),
                    Interpolation::RoundPreferCeil => (at + 0.5).floor(),
                    Interpolation::Floor => at.floor(),
                    _ => at.ceil(),
                };
                if interpolation != Interpolation::Linear {
                    return t.at(c, clamp(nearest(y), 0), clamp(nearest(x), 1));
                }
                let mut sum = 0.0;
                for (dy, wy) in [(0.0, 1.0 - (y - y.floor())), (1.0, y - y.floor())] {
                    for (dx, wx) in [(0.0, 1.0 - (x - x.floor())), (1.0, x - x.floor())] {
                        sum += wy * wx * t.at(c, clamp(y.floor() + dy, 0), clamp(x.floor() + dx, 1));
                    }
                }
                sum
            })
        });
        (make, expect)
    }
    fn pad(pads: [usize; 4], kind: PadMode) -> (Make, Expect) {
        let make: Make = Box::new(move |b, x, e| b.pad("pad", x, pads, kind, e).unwrap());
        let expect: Expect = Box::new(move |t| {
            let [c, height, width] = t.shape;
            let place = |at: isize, extent: usize| {
                let last = extent as isize - 1;
                match kind {
                    PadMode::Constant(_) => at,
                    PadMode::Edge => at.clamp(0, last),
                    PadMode::Reflect if at < 0 => -at,
                    PadMode::Reflect if at > last => 2 * last - at,
                    PadMode::Reflect => at,
                }
            };
            Tensor::new([c, height + pads[0] + pads[2], width + pads[1] + pads[3]], |c, y, x| {
                let (y, x) = (y as isize - pads[0] as isize, x as isize - pads[1] as isize);
                let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                match kind {
                    PadMode::Constant(value) if !inside => value.into(),
                    _ => t.at(c, place(y, height), place(x, width)),
                }
            })
        });
        (make, expect)
    }
    let window_of = window;
    let square = Window::square;
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name, shape, (make, expect): (Make, Expect)| cases.push((name, shape, make, expect));
    add("max pool 2", [5, 6, 6], pool(PoolKind::Max, square(2, 2, 0), [3, 3]));
    add("max pool 3 padded", [20, 7, 5], pool(PoolKind::Max, square(3, 2, 1), [4, 3]));
    add("max pool ceil", [3, 6, 6], pool(PoolKind::Max, square(3, 2, 0), [3, 3]));
    let dilated = window_of([2, 3], [1, 2], [3, 1], [1, 0, 2, 1]);
    add("max pool dilated", [4, 6, 8], pool(PoolKind::Max, dilated, [6, 4]));
    add("average pool", [5, 6, 6], pool(PoolKind::Average, square(3, 1, 1), [6, 6]));
    add("average pool with padding", [5, 6, 6], pool(PoolKind::AverageWithPadding, square(3, 1, 1), [6, 6]));
    add("global average", [37, 4, 5], {
        let make: Make = Box::new(|b, x, e| b.global_average_pool("mean", x, e).unwrap());
        let expect: Expect = Box::new(|t| {
            Tensor::new([37, 1, 1], |c, _, _| t.data[c * 20..c * 20 + 20].iter().sum::<f64>() / 20.0)
        });
        (make, expect)
    });
    for (name, function) in [
        ("relu", Activation::Relu),
        ("leaky relu", Activation::LeakyRelu { slope: 0.01 }),
        ("clip", Activation::Clip { low: -0.3, high: 0.9 }),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("hard swish", Activation::HardSwish),
    ] {
        add(name, [19, 3, 3], activation(function));
    }
    add("affines", [18, 2, 3], {
        let make: Make = Box::new(|b, x, e| {
            let scale: Vec<f32> = (0..18).map(|c| 0.5 + c as f32 / 18.0).collect();
            let shift: Vec<f32> = (0..18).map(|c| 0.1 * c as f32 - 0.9).collect();
            let before = Some((&scale[..], &shift[..]));
            b.elementwise("bn", x, before, Activation::Relu, Some((&shift, &scale)), e).unwrap()
        });
        let expect: Expect = Box::new(|t| {
            t.map(|c, x| {
                let (scale, shift) = (0.5 + c as f64 / 18.0, 0.1 * c as f64 - 0.9);
                (x * scale + shift).max(0.0) * shift + scale
            })
        });
        (make, expect)
    });
    for (name, kind) in [("add", Binary::Add), ("subtract", Binary::Subtract), ("multiply", Binary::Multiply)]
    {
        add(name, [7, 3, 2], {
            let make: Make = Box::new(move |b, x, e| {
                let other = b.elementwise("relu", x, None, Activation::Relu, None, b.element(x)).unwrap();
                b.binary("op", kind, other, x, Activation::Identity, e).unwrap()
            });
            let expect: Expect = Box::new(move |t| {
                t.map(|_, x| match kind {
                    Binary::Add => x.max(0.0) + x,
                    Binary::Subtract => x.max(0.0) - x,
                    _ => x.max(0.0) * x,
                })
            });
            (make, expect)
        });
    }
    add("multiply by a pixel", [7, 3, 2], {
        let make: Make = Box::new(|b, x, e| {
            let window = Window { kernel: [3, 2], ..Window::square(1, 1, 0) };
            let gate = b.pool("max", x, PoolKind::Max, window, [1, 1], b.element(x)).unwrap();
            b.binary("op", Binary::Multiply, x, gate, Activation::Relu, e).unwrap()
        });
        let expect: Expect = Box::new(|t| {
            let greatest: Vec<f64> = t
                .data
                .chunks(6)
                .map(|plane| plane.iter().copied().fold(f64::NEG_INFINITY, f64::max))
                .collect();
            t.map(|c, x| (x * greatest[c]).max(0.0))
        });
        (make, expect)
    });
    for axis in 0..3 {
        add("concat", [5, 3, 4], {
            let make: Make = Box::new(move |b, x, e| {
                let relu = b.elementwise("relu", x, None, Activation::Relu, None, b.element(x)).unwrap();
                b.concat("concat", &[x, relu, x], axis, e).unwrap()
            });
            let expect: Expect = Box::new(move |t| {
                let mut shape = t.shape;
                shape[axis] *= 3;
                Tensor::new(shape, |c, y, x| {
                    let mut at = [c, y, x];
                    let part = at[axis] / t.shape[axis];
                    at[axis] %= t.shape[axis];
                    let value = t.at(at[0], at[1] as isize, at[2] as isize);
                    if part == 1 { value.max(0.0) } else { value }
                })
            });
            (make, expect)
        });
    }
    add("pad", [3, 3, 4], pad([1, 2, 0, 3], PadMode::Constant(0.25)));
    add("pad edge", [17, 3, 4], pad([1, 2, 5, 3], PadMode::Edge));
    add("pad reflect", [3, 4, 5], pad([3, 2, 1, 4], PadMode::Reflect));
    let nearest = Interpolation::RoundPreferFloor;
    add("resize nearest", [3, 3, 4], resize([6, 8], [0.5, 0.5], Coordinates::HalfPixel, nearest));
    add("resize floor", [3, 3, 4], resize([6, 8], [0.5, 0.5], Coordinates::Asymmetric, Interpolation::Floor));
    add(
        "resize ceil",
        [3, 5, 4],
        resize([3, 2], [5.0 / 3.0, 2.0], Coordinates::HalfPixel, Interpolation::Ceil),
    );
    let ceil = Interpolation::RoundPreferCeil;
    add("resize down", [3, 6, 4], resize([3, 1], [2.0, 4.0], Coordinates::PytorchHalfPixel, ceil));
    add(
        "resize bilinear",
        [20, 3, 4],
        resize([6, 8], [0.5, 0.5], Coordinates::HalfPixel, Interpolation::Linear),
    );
    let corners = Coordinates::AlignCorners;
    add("resize corners", [3, 3, 4], resize([5, 9], [0.6, 4.0 / 9.0], corners, Interpolation::Linear));
    add("softmax", [21, 2, 2], {
        let make: Make = Box::new(|b, x, e| b.softmax("softmax", x, e).unwrap());
        let expect: Expect = Box::new(|t| {
            let sum = |y, x| (0..21).map(|c| t.at(c, y, x).exp()).sum::<f64>();
            Tensor::new(t.shape, |c, y, x| {
                t.at(c, y as isize, x as isize).exp() / sum(y as isize, x as isize)
            })
        });
        (make, expect)
    });
    add("l2", [21, 2, 2], {
        let make: Make = Box::new(|b, x, e| b.l2_normalize("l2", x, 1e-12, e).unwrap());
        let expect: Expect = Box::new(|t| {
            let norm = |y, x| (0..21).map(|c| t.at(c, y, x).powi(2)).sum::<f64>().sqrt();
            Tensor::new(t.shape, |c, y, x| t.at(c, y as isize, x as isize) / norm(y as isize, x as isize))
        });
        (make, expect)
    });
    add("reshape", [6, 2, 4], {
        let make: Make = Box::new(|b, x, e| {
            let y = b.reshape("reshape", x, [3, 8, 2]).unwrap();
            b.elementwise("relu", y, None, Activation::Relu, None, e).unwrap()
        });
        let expect: Expect = Box::new(|t| Tensor { shape: [3, 8, 2], data: t.map(|_, x| x.max(0.0)).data });
        (make, expect)
    });
    cases
}

#[test]
fn operators_follow_the_definition_in_both_element_types() {
    let step = Element::U8 { scale: OUTPUT_SCALE, zero_point: 90 };
    let mut failures: Vec<String> = Vec::new();
    for (name, shape, make, expect) in operator_cases().into_iter().chain(extended::cases()) {
        for (from, to) in [(Element::F32, Element::F32), (INPUT, INPUT), (INPUT, step), (INPUT, Element::F32)]
        {
            // These only keep their type.
            if (name.starts_with("max pool") || name.starts_with("view")) && from != to {
                continue;
            }
            let mut rng = Rng::from_seed(5);
            let input: Vec<f32> =
                (0..shape.iter().product()).map(|_| (rng.below(200) as f32 - 100.0) / 64.0).collect();
            let mut builder = Builder::new(ModelInfo::default());
            let x = builder.input("x", &shape, from).unwrap();
            let mut y = make(&mut builder, x, to);
            if to != Element::F32 {
                y = builder.elementwise("real", y, None, Activation::Identity, None, Element::F32).unwrap();
            }
            let extents = builder.extents(y);
            builder.output(y, "y", &extents).unwrap();
            let bytes = builder.finish().unwrap();
            let mut values = input.iter();
            let expected = expect(&Tensor::new(shape, |_, _, _| f64::from(*values.next().unwrap())));
            assert_eq!(expected.shape, extents, "{name}");
            let tolerance = match to {
                Element::F32 => 1e-5,
                // Half a step; one more where an inner value is rounded too.
                Element::U8 { scale, .. } => f64::from(scale) * 0.5 + 1e-5,
            };
            let limits = match to {
                Element::F32 => (f64::NEG_INFINITY, f64::INFINITY),
                Element::U8 { scale, zero_point } => {
                    let zero = f64::from(zero_point);
                    (-zero * f64::from(scale), (255.0 - zero) * f64::from(scale))
                }
            };
            let scalar = run(&bytes, &input, expected.data.len(), 1, Isa::Scalar, 1);
            let off = scalar
                .iter()
                .zip(&expected.data)
                .map(|(found, expected)| (f64::from(*found) - expected.clamp(limits.0, limits.1)).abs());
            let worst = off.fold(0.0, worse);
            if far(worst, 0.0, tolerance) {
                failures.push(format!("{name} {from:?} to {to:?}: off by {worst:.2e}"));
            }
            let batch: Vec<f32> = [1.0, -0.5].iter().flat_map(|n| input.iter().map(move |x| x * n)).collect();
            let both = run(&bytes, &batch, 2 * scalar.len(), 2, Isa::Scalar, 1);
            if both[..scalar.len()] != scalar[..] {
                failures.push(format!("{name} {from:?} to {to:?}: a batch differs"));
            }
            for isa in Isa::available() {
                if run(&bytes, &batch, both.len(), 2, isa, 2) != both {
                    failures.push(format!("{name} {from:?} to {to:?}: {} differs", isa.name()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A small generator with everything in it that the reference generators have.
pub(crate) fn small_generator(int8: bool) -> Vec<u8> {
    let mut rng = Rng::from_seed(9);
    let quantized = |scale, zero_point| if int8 { Element::U8 { scale, zero_point } } else { Element::F32 };
    let info = ModelInfo {
        kind: ModelKind::Generator,
        latent_size: 6,
        distribution: Some(crate::latent::Distribution::Uniform { low: -1.0, high: 1.0 }),
        range: Some(crate::pixels::ValueRange::SIGNED),
        metadata: vec![("latent.dataset".into(), "mnist".into())],
        ..ModelInfo::default()
    };
    let mut builder = Builder::new(info);
    let mut layer = |builder: &mut Builder, input: ValueId, form: Form, activation, output| {
        let inputs = builder.extents(input);
        let (count, outputs) = match form {
            Form::Dense(outputs) => (inputs.iter().product::<usize>() * outputs, outputs),
            Form::Transposed(window, outputs, ..) => {
                (inputs[0] * outputs * window.kernel[0] * window.kernel[1], outputs)
            }
            Form::Convolution(..) => unreachable!(),
        };
        let int: Vec<i8> = (0..count).map(|_| (rng.below(255) as i32 - 127) as i8).collect();
        let floats: Vec<f32> = int.iter().map(|&weight| f32::from(weight) * 0.003).collect();
        let weights = if int8 {
            PlainWeights::I8 { values: &int, scales: &[0.003] }
        } else {
            PlainWeights::F32(&floats)
        };
        let (scale, shift) = (vec![1.25; outputs], vec![-0.125; outputs]);
        let mut spec = LayerSpec::new(weights, PlainBias::None);
        (spec.activation, spec.output, spec.after) = (activation, output, Some((&scale[..], &shift[..])));
        match form {
            Form::Dense(_) => builder.fully_connected("dense", input, spec).unwrap(),
            Form::Transposed(window, _, size, _) => {
                builder.transposed("up", input, window, size, 1, spec).unwrap()
            }
            Form::Convolution(..) => unreachable!(),
        }
    };
    let z = builder.input("z", &[6], quantized(1.0 / 128.0, 128)).unwrap();
    let a = layer(&mut builder, z, Form::Dense(10), Activation::Relu, quantized(0.01, 0));
    let b = layer(&mut builder, a, Form::Dense(18), Activation::Relu, quantized(0.02, 30));
    let c = builder.reshape("reshape", b, [2, 3, 3]).unwrap();
    let up = Window::square(4, 2, 1);
    let d = layer(&mut builder, c, Form::Transposed(up, 5, [6, 6], 1), Activation::Relu, quantized(0.02, 30));
    let e = layer(&mut builder, d, Form::Transposed(up, 1, [12, 12], 1), Activation::Tanh, Element::F32);
    builder.output(e, "image", &[1, 12, 12]).unwrap();
    builder.finish().unwrap()
}

#[test]
fn a_session_a_backend_and_its_batches_agree() {
    for int8 in [false, true] {
        let bytes = small_generator(int8);
        let aligned = AlignedBytes::copy_of(&bytes);
        let model = Model::from_bytes(aligned.as_slice()).unwrap();
        assert_eq!((model.kind(), model.latent_size()), (ModelKind::Generator, 6));
        assert_eq!(model.metadata_text("latent.dataset"), Some("mnist"));
        assert_eq!(model.arena_len(1), Some(arena_len(&bytes)));
        let mut rng = Rng::from_seed(2);
        let input: Vec<f32> = (0..6 * 150).map(|_| rng.uniform(-1.0, 1.0)).collect();
        let outputs = 144;
        let mut expected = vec![0.0; 150 * outputs];
        // An arena at an odd address and a little too large; one example at a time.
        let mut memory = vec![7; arena_len(&bytes) + 5];
        let mut session = Session::with_isa(&model, &mut memory[5..], Isa::Scalar).unwrap();
        assert_eq!((session.input().name, session.output().name), ("z", "image"));
        assert_eq!((session.input().shape, session.output().shape), (&[6][..], &[1, 12, 12][..]));
        session.run(&input, &mut expected).unwrap();
        assert!(expected.iter().any(|x| x.abs() > 0.01));
        for name in super::instruction_sets() {
            for threads in [1, 3] {
                let options = NativeOptions { threads, instruction_set: Some(name.into()) };
                let mut backend = NativeBackend::from_bytes(&bytes, &options).unwrap();
                let mut found = vec![0.0; 150 * outputs];
                backend.run(150, &input, &mut found).unwrap();
                let bound = if int8 { 0.0 } else { 1e-5 };
                assert!(expected.iter().zip(&found).all(|(a, b)| (a - b).abs() <= bound), "{name} {threads}");
                assert!(backend.run(2, &input[..12], &mut found[..3]).is_err());
                assert!(backend.run(0, &[], &mut []).is_err());
                let timings = backend.run_timed(150, &[&input], &mut [&mut found]).unwrap();
                assert_eq!(timings.len(), model.operators_len());
                let mut another = backend.another(&options).unwrap();
                drop(backend);
                let mut again = vec![0.0; 150 * outputs];
                another.run(150, &input, &mut again).unwrap();
                assert_eq!(again, found);
            }
        }
        let short = &mut memory[..arena_len(&bytes) - 1];
        assert!(Session::new(&model, short).is_err());
    }
}

#[test]
fn a_plan_reuses_memory_and_absorbs_reshapes() {
    let bytes = AlignedBytes::copy_of(&small_generator(true));
    let model = Model::from_bytes(bytes.as_slice()).unwrap();
    let names: Vec<&str> =
        (0..model.operators_len()).filter_map(|n| model.operator(n)).map(|op| op.kind.name()).collect();
    // The reshape has gone into the second layer; what stays is the copy into a bordered image.
    let up = "transposed convolution";
    assert_eq!(names, ["fully connected", "fully connected", "copy", up, up]);
    let total: usize =
        (0..model.values_len()).filter_map(|n| model.value(n)).map(|value| value.bytes()).sum();
    assert!(model.activations_len() < total);
}

#[test]
fn files_that_are_no_models_are_refused_with_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.lat");
    let load = |path: &std::path::Path| NativeBackend::load(path, &NativeOptions::default());
    assert!(format!("{}", load(&path).unwrap_err()).contains("model.lat"));
    std::fs::write(&path, b"not a model").unwrap();
    let message = format!("{}", load(&path).unwrap_err());
    assert!(message.contains("model.lat") && message.contains("too few"), "{message}");
    std::fs::write(&path, small_generator(true)).unwrap();
    assert!(load(&path).is_ok());
    let options = NativeOptions { threads: 1, instruction_set: Some("MMX".into()) };
    let message = format!("{}", NativeBackend::load(&path, &options).unwrap_err());
    assert!(message.contains("MMX") && message.contains("scalar"), "{message}");
}

/// A generator with a label: an image, which is the sum of what z and the label (through a table of two columns) make,
/// and beside it z as it came, what lies between, twice under names of its own, and a value that nothing reads.
pub(crate) fn several_ports(int8: bool) -> Vec<u8> {
    let quantized = |scale, zero_point| if int8 { Element::U8 { scale, zero_point } } else { Element::F32 };
    let step = quantized(1.0 / 16.0, 128);
    let mut builder =
        Builder::new(ModelInfo { kind: ModelKind::Generator, latent_size: 3, ..ModelInfo::default() });
    let z = builder.input("z", &[3], step).unwrap();
    let label = builder.input("label", &[], Element::F32).unwrap();
    builder.integers(label);
    let spare = builder.input("spare", &[2, 2, 2], step).unwrap();
    let hidden = [1i8, 0, 0, 0, 2, 0, 0, 0, 3, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let floats: Vec<f32> = hidden.iter().map(|&weight| weight.into()).collect();
    let weights = match int8 {
        true => PlainWeights::I8 { values: &hidden, scales: &[1.0] },
        false => PlainWeights::F32(&floats),
    };
    let mut spec = LayerSpec::new(weights, PlainBias::None);
    spec.output = step;
    let hidden = builder.fully_connected("hidden", z, spec).unwrap();
    // The label itself, in the first and the last of eight elements.
    let table = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let spec = LayerSpec::new(PlainWeights::F32(&table), PlainBias::None);
    let embedded = builder.fully_connected("embedded", label, spec).unwrap();
    let image =
        builder.binary("sum", Binary::Add, hidden, embedded, Activation::Identity, Element::F32).unwrap();
    let image = builder.reshape("reshape", image, [2, 2, 2]).unwrap();
    builder.output(image, "image", &[2, 2, 2]).unwrap();
    builder.output(z, "z", &[3]).unwrap();
    builder.output(hidden, "hidden", &[8]).unwrap();
    builder.output(hidden, "again", &[1, 2, 1, 2, 1, 2]).unwrap();
    builder.output(label, "same label", &[1]).unwrap();
    let _ = spare;
    builder.finish().unwrap()
}

#[test]
fn several_inputs_and_outputs_go_where_they_belong() {
    for int8 in [false, true] {
        let bytes = several_ports(int8);
        let aligned = AlignedBytes::copy_of(&bytes);
        let model = Model::from_bytes(aligned.as_slice()).unwrap();
        let names = |ports: Ports<'_>| ports.map(|port| format!("{}", port.info())).collect::<Vec<_>>();
        assert_eq!(names(model.inputs()), ["z (N, 3)", "label (N)", "spare (N, 2, 2, 2)"]);
        let outputs = [
            "image (N, 2, 2, 2)",
            "z (N, 3)",
            "hidden (N, 8)",
            "again (N, 1, 2, 1, 2, 1, 2)",
            "same label (N, 1)",
        ];
        assert_eq!(names(model.outputs()), outputs);
        let kinds: Vec<PortType> = model.inputs().map(|port| port.kind).collect();
        assert_eq!(kinds, [PortType::Float, PortType::Integer, PortType::Float]);

        let batch = 5;
        let z: Vec<f32> = (0..batch * 3).map(|index| index as f32 / 8.0 - 0.75).collect();
        let labels: Vec<f32> = (0..batch).map(|index| index as f32).collect();
        let spare = vec![9.0; batch * 8];
        let inputs: [&[f32]; 3] = [&z, &labels, &spare];
        let lengths = [8, 3, 8, 8, 1];
        let mut memory = vec![7; arena_len(&bytes)];
        let mut session = Session::new(&model, &mut memory).unwrap();
        let mut found: [Vec<f32>; 5] = lengths.map(|length| vec![f32::NAN; batch * length]);
        session.run_all(&inputs, &mut found.each_mut().map(Vec::as_mut_slice)).unwrap();
        for example in 0..batch {
            let [a, b, c] = [0, 1, 2].map(|index| z[example * 3 + index]);
            let hidden = [a, 2.0 * b, 3.0 * c, a + b + c, 0.0, 0.0, 0.0, 0.0];
            let mut image = hidden;
            image[0] += labels[example];
            image[7] += labels[example];
            let same = [labels[example]];
            let expected: [&[f32]; 5] = [&image, &[a, b, c], &hidden, &hidden, &same];
            for ((found, length), expected) in found.iter().zip(lengths).zip(expected) {
                assert_eq!(&found[example * length..(example + 1) * length], expected, "{int8} {example}");
            }
        }
        for threads in [1, 2] {
            let options = NativeOptions { threads, instruction_set: None };
            let mut backend = NativeBackend::from_bytes(&bytes, &options).unwrap();
            assert_eq!(backend.input_at(1).unwrap().kind, PortType::Integer);
            assert_eq!((backend.input_at(3), backend.output_at(5)), (None, None));
            let mut again: [Vec<f32>; 5] = lengths.map(|length| vec![f32::NAN; batch * length]);
            backend.run_all(batch, &inputs, &mut again.each_mut().map(Vec::as_mut_slice)).unwrap();
            assert_eq!(again, found);
            // One input and one output are not enough, and the error names them.
            let error = backend.run(batch, &z, &mut again[0]).unwrap_err();
            assert_eq!(format!("{error}"), "the model has 3 inputs (z, label, spare), but 1 was given");
            let error = backend.run_all(batch, &inputs[..1], &mut []).unwrap_err();
            assert!(format!("{error}").contains("z, label, spare"), "{error}");
        }
        let short: [&[f32]; 3] = [&z, &labels[1..], &spare];
        let error = session.run_all(&short, &mut found.each_mut().map(Vec::as_mut_slice)).unwrap_err();
        assert_eq!(format!("{error}"), "the input `label` has 4 values, but the batch needs 5");
        assert_eq!(
            session.run_all(&[&[], &[], &[]], &mut [&mut [], &mut [], &mut [], &mut [], &mut []]).err(),
            Some(crate::backend::RunError::EmptyBatch)
        );
        let error = session.run(&z, &mut found[0]).unwrap_err();
        assert!(format!("{error}").contains("3 inputs (z, label, spare)"), "{error}");
    }
}
