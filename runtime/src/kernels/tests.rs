//! One table of matrix products holds every instruction set against the scalar reference: int8 to the bit, floats to
//! rounding.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::embedded::Unit;
use super::epilogue::{Epilogue, Residual};
use super::geometry::{Geometry, OutOfBounds, Strides};
use super::matmul::{Layout, Part, matmul};
use super::values::{Values, ValuesMut};
use super::winograd::{SCRATCH, winograd};
use super::{Engine, Isa};
use crate::bfloat16;
use crate::half;
use crate::ops::{Activation, Affine, BLOCK, Bias, CODES, PackedWeights};
use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Types {
    F32,
    F16,
    Bf16,
    Int8ToF32,
    Int8ToU8,
    /// Scalar code multiplies the same weights as int8.
    Int4ToU8,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    height: usize,
    width: usize,
    taps: [usize; 2],
    stride: usize,
    depth: usize,
    channels: usize,
    activation: Activation,
    residual: bool,
    after: bool,
}

/// Every number of pixels in a tile, whole and broken blocks, no taps at all, every activation.
fn cases() -> Vec<Case> {
    use Activation::{Clip, HardSwish, Identity, LeakyRelu, Relu, Sigmoid, Tanh};
    let functions =
        [Identity, Relu, LeakyRelu { slope: 0.1 }, Clip { low: -1.0, high: 6.0 }, Sigmoid, Tanh, HardSwish];
    let shapes = [
        // batch, height, width, taps, stride, depth, channels
        (1, 1, 1, [1, 1], 1, 96, 1024),
        (1, 1, 1, [1, 1], 1, 100, 70),
        (1, 1, 1, [1, 2], 1, 20, 1100),
        (1, 1, 1, [1, 1], 1, 4, 1),
        (1, 5, 7, [2, 2], 1, 64, 1),
        (2, 3, 6, [3, 3], 1, 20, 3),
        (1, 1, 1, [1, 1], 1, 1024, 4),
        (7, 1, 1, [1, 1], 1, 36, 33),
        (1, 4, 4, [3, 3], 1, 16, 64),
        (2, 5, 3, [2, 2], 1, 8, 17),
        (1, 3, 11, [1, 3], 2, 12, 48),
        (1, 2, 5, [3, 1], 2, 4, 5),
        (1, 2, 2, [0, 2], 1, 8, 20),
        (3, 1, 4, [2, 3], 3, 20, 80),
    ];
    let mut cases = Vec::new();
    for (index, (batch, height, width, taps, stride, depth, channels)) in shapes.into_iter().enumerate() {
        for extra in 0..3 {
            let activation = functions[(index + 3 * extra) % functions.len()];
            let (residual, after) = (extra == 1, extra == 2);
            cases.push(Case {
                batch,
                height,
                width,
                taps,
                stride,
                depth,
                channels,
                activation,
                residual,
                after,
            });
        }
    }
    for activation in functions {
        let (residual, after) = (true, true);
        cases.push(Case {
            batch: 1,
            height: 1,
            width: 6,
            taps: [1, 1],
            stride: 1,
            depth: 8,
            channels: 30,
            activation,
            residual,
            after,
        });
    }
    cases
}

/// A layer of a single part.
fn product(
    engine: &mut Engine,
    g: &Geometry,
    input: Values<'_>,
    weights: PackedWeights<'_>,
    epilogue: Epilogue<'_>,
    output: ValuesMut<'_>,
) -> Result<(), OutOfBounds> {
    let layout = Layout {
        batch: g.batch,
        height: g.height,
        width: g.width,
        channels: g.channels,
        steps: [1, 1],
        groups: 1,
        output: g.output,
        residual: g.residual,
    };
    let part = Part { taps: g.taps, tap: g.tap, depth: g.depth, input: g.input, weights, epilogue };
    let scratch = if matches!(weights, PackedWeights::I4 { .. }) { 1 << 15 } else { 0 };
    matmul(engine, &layout, &|_| Ok(part), input, output, &mut vec![0.0; scratch])
}

fn compute(case: &Case, types: Types, isa: Isa, threads: usize) -> (Vec<f32>, Vec<u8>) {
    let mut rng = Rng::from_seed(1);
    let (rows, columns) = (
        (case.height - 1) * case.stride + case.taps[0].max(1),
        (case.width - 1) * case.stride + case.taps[1].max(1),
    );
    let input_strides = Strides {
        offset: 8,
        example: 8 + rows * columns * case.depth,
        row: case.stride * columns * case.depth,
        column: case.stride * case.depth,
    };
    let pixel = case.channels + 3;
    let output_strides = Strides {
        offset: 5,
        example: case.height * case.width * pixel,
        row: case.width * pixel,
        column: pixel,
    };
    let geometry = Geometry {
        batch: case.batch,
        height: case.height,
        width: case.width,
        taps: case.taps,
        tap: [columns * case.depth, case.depth],
        depth: case.depth,
        input: input_strides,
        output: output_strides,
        residual: Strides { offset: 1, ..output_strides },
        channels: case.channels,
        blocked: false,
    };
    let inputs = 8 + case.batch * input_strides.example;
    let outputs = 5 + case.batch * output_strides.example;
    let padded = case.channels.next_multiple_of(BLOCK);
    let count = geometry.weight_rows() * geometry.products();
    let mut floats =
        |n: usize, low: f32, high: f32| -> Vec<f32> { (0..n).map(|_| rng.uniform(low, high)).collect() };
    let (input, weights) = (floats(inputs, -1.0, 1.0), floats(count, -0.5, 0.5));
    let (bias, scale, shift) =
        (floats(padded, -1.0, 1.0), floats(padded, 0.5, 2.0), floats(padded, -3.0, 3.0));
    let bytes: Vec<u8> = input.iter().map(|x| ((x + 1.0) * 127.5) as u8).collect();
    let half: Vec<u16> = weights.iter().map(|&weight| half::from_f32(weight)).collect();
    let bf16: Vec<u16> = weights.iter().map(|&weight| bfloat16::from_f32(weight)).collect();
    let mut int8: Vec<i8> = weights.iter().map(|weight| (weight * 255.0) as i8).collect();
    let to_u8 = matches!(types, Types::Int8ToU8 | Types::Int4ToU8);
    let codebook: [i8; CODES] = core::array::from_fn(|at| (at as i16 * 16 - 127) as i8);
    let codes: Vec<u8> = int8.iter().map(|&weight| ((i16::from(weight) + 127) / 16) as u8).collect();
    if types == Types::Int4ToU8 {
        int8 = codes.iter().map(|&code| codebook[usize::from(code)]).collect();
    }
    let indexes: Vec<u8> = codes.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect();
    let int_bias: Vec<i32> = bias.iter().map(|bias| (bias * 1000.0) as i32).collect();
    let int_scale: Vec<f32> = scale.iter().map(|scale| scale * 0.01).collect();
    let products = geometry.products();
    let mut sum128 = vec![0; padded];
    for (at, &weight) in int8.iter().enumerate() {
        let (block, rest) = (at / (16 * products), at % (16 * products));
        let row = if geometry.is_narrow() { at / products } else { block * 16 + rest % 64 / 4 };
        sum128[row] += 128 * i32::from(weight);
    }
    let residual_f32 = floats(outputs, -2.0, 2.0);
    let residual_u8: Vec<u8> = residual_f32.iter().map(|x| ((x + 2.0) * 63.0) as u8).collect();

    let int = matches!(types, Types::Int8ToF32 | Types::Int8ToU8 | Types::Int4ToU8);
    let values = if to_u8 { Values::U8(&residual_u8) } else { Values::F32(&residual_f32) };
    let epilogue = Epilogue {
        bias: if int {
            Bias::I32 { bias: &int_bias, scale: &int_scale, sum128: &sum128 }
        } else {
            Bias::F32(&bias)
        },
        residual: case.residual.then_some(Residual { values, scale: 0.37, zero_point: 100 }),
        activation: case.activation,
        after: case.after.then_some(Affine { scale: &scale[..], shift: &shift[..] }),
        zero_point: 7,
    };
    let weights = match types {
        Types::F32 => PackedWeights::F32(&weights),
        Types::F16 => PackedWeights::F16(&half),
        Types::Bf16 => PackedWeights::Bf16(&bf16),
        Types::Int4ToU8 if isa != Isa::Scalar => PackedWeights::I4 { codebook: &codebook, indexes: &indexes },
        Types::Int8ToF32 | Types::Int8ToU8 | Types::Int4ToU8 => PackedWeights::I8(&int8),
    };
    let input = if int { Values::U8(&bytes) } else { Values::F32(&input) };
    let mut engine = Engine::new(isa);
    engine.set_threads(threads);
    let (mut out_f32, mut out_u8) = (vec![9.0; outputs], vec![9; outputs]);
    let output = if to_u8 { ValuesMut::U8(&mut out_u8) } else { ValuesMut::F32(&mut out_f32) };
    let result = product(&mut engine, &geometry, input, weights, epilogue, output);
    assert_eq!(result, Ok(()), "{case:?} {types:?}");
    (out_f32, out_u8)
}

/// Those of this machine, and the kernels of small processors, whose instructions are imitated where there are none.
fn all() -> impl Iterator<Item = Isa> {
    Isa::available().chain([Unit::Plain, Unit::Dsp].map(Isa::Embedded))
}

/// `cargo xtask arm` knows what its emulator has: no kernel stays untested because detection has missed it.
#[test]
fn a_known_processor_has_its_instruction_sets() {
    let found: Vec<&str> = Isa::available().map(Isa::name).collect();
    assert_eq!(found.last(), Some(&"scalar"));
    if let Ok(expected) = std::env::var("LATENT_INSTRUCTION_SETS") {
        assert_eq!(found.join(", "), expected);
    }
}

#[test]
fn every_instruction_set_computes_what_scalar_code_does() {
    let mut failures: Vec<String> = Vec::new();
    for case in cases() {
        for types in [Types::F32, Types::F16, Types::Bf16, Types::Int8ToF32, Types::Int8ToU8, Types::Int4ToU8]
        {
            let (floats, bytes) = compute(&case, types, Isa::Scalar, 1);
            for isa in all() {
                for threads in 1..=2 {
                    let (found, found_bytes) = compute(&case, types, isa, threads);
                    let integers = matches!(types, Types::Int8ToF32 | Types::Int8ToU8 | Types::Int4ToU8);
                    let tolerance = if integers { 0.0 } else { 2e-5 };
                    let same =
                        floats.iter().zip(&found).all(|(a, b)| (a - b).abs() <= tolerance * (1.0 + a.abs()));
                    if !same || bytes != found_bytes {
                        let at = floats.iter().zip(&found).position(|(a, b)| (a - b).abs() > tolerance);
                        failures.push(format!(
                            "{} {threads} threads, {types:?}, first at {at:?}: {case:?}",
                            isa.name()
                        ));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn slices_that_are_too_short_are_refused() {
    let geometry = Geometry {
        batch: 1,
        height: 2,
        width: 2,
        taps: [1, 1],
        tap: [0, 0],
        depth: 4,
        input: Strides { offset: 0, example: 16, row: 8, column: 4 },
        output: Strides { offset: 0, example: 20, row: 10, column: 5 },
        residual: Strides::default(),
        channels: 5,
        blocked: false,
    };
    // Lengths of input, weights, bias, output; only the first has all that is needed.
    let cases = [
        (16, 64, 16, 20, true),
        (15, 64, 16, 20, false),
        (16, 63, 16, 20, false),
        (16, 64, 15, 20, false),
        (16, 64, 16, 19, false),
    ];
    for (inputs, weights, biases, outputs, fits) in cases {
        for isa in all() {
            let (input, weights, bias) = (vec![1.0; inputs], vec![1.0; weights], vec![0.0; biases]);
            let mut output = vec![0.0; outputs];
            let epilogue = Epilogue::bare(Bias::F32(&bias));
            let result = product(
                &mut Engine::new(isa),
                &geometry,
                Values::F32(&input),
                PackedWeights::F32(&weights),
                epilogue,
                ValuesMut::F32(&mut output),
            );
            assert_eq!(result.is_ok(), fits, "{inputs} {biases} {outputs}");
        }
    }
    let overflow = Geometry { batch: usize::MAX, ..geometry };
    let bias = [0.0; 16];
    let epilogue = Epilogue::bare(Bias::F32(&bias));
    let (input, weights, mut output) = ([0.0; 16], [0.0; 64], [0.0; 20]);
    let result = product(
        &mut Engine::new(Isa::Scalar),
        &overflow,
        Values::F32(&input),
        PackedWeights::F32(&weights),
        epilogue,
        ValuesMut::F32(&mut output),
    );
    assert!(result.is_err());
}

#[test]
fn transformed_convolutions_refuse_what_does_not_fit() {
    // One tile of 2x2 outputs under a window of 4x4 inputs; 16 of 17 channels in, 5 out.
    let layout = Layout {
        batch: 1,
        height: 2,
        width: 2,
        channels: 5,
        steps: [1, 1],
        groups: 1,
        output: Strides { offset: 0, example: 20, row: 10, column: 5 },
        residual: Strides::default(),
    };
    let (inputs, weights, outputs) = (15 * 17 + 16, 16 * 16 * 16, 20);
    let (floats, halves, bytes) = (vec![1.0; weights], vec![0x3C00; weights], vec![1; weights]);
    let bfloats = vec![0x3F80; weights];
    let short = weights - 1;
    // PackedWeights, lengths of input, output and scratch memory, and whether that is enough.
    let cases = [
        (PackedWeights::F32(&floats), inputs, outputs, SCRATCH, true),
        (PackedWeights::F16(&halves), inputs, outputs, SCRATCH, true),
        (PackedWeights::Bf16(&bfloats), inputs, outputs, SCRATCH, true),
        (PackedWeights::I8(&bytes), inputs, outputs, SCRATCH, false),
        (PackedWeights::F32(&floats[..short]), inputs, outputs, SCRATCH, false),
        (PackedWeights::F16(&halves[..short]), inputs, outputs, SCRATCH, false),
        (PackedWeights::F16(&halves), inputs - 1, outputs, SCRATCH, false),
        (PackedWeights::F16(&halves), inputs, outputs - 1, SCRATCH, false),
        (PackedWeights::F16(&halves), inputs, outputs, SCRATCH - 1, false),
    ];
    for (weights, inputs, outputs, scratch, fits) in cases {
        for isa in all() {
            let (input, mut output) = (vec![1.0; inputs], vec![0.0; outputs]);
            let bias = [0.5; BLOCK];
            let epilogue = Epilogue::bare(Bias::F32(&bias));
            let part = Part {
                taps: [3, 3],
                tap: [4 * 17, 17],
                depth: 16,
                input: Strides { offset: 0, example: 16 * 17, row: 4 * 17, column: 17 },
                weights,
                epilogue,
            };
            let mut scratch = vec![0.0; scratch];
            let (input, target) = (Values::F32(&input), ValuesMut::F32(&mut output));
            let result = winograd(&mut Engine::new(isa), &layout, &part, input, target, &mut scratch);
            assert_eq!(result.is_ok(), fits, "{} {weights:?}", isa.name());
            // Of equal inputs only the second row and column of their transform is not zero: 4 there, times 16 channels.
            let expected = if fits { 64.5 } else { 0.0 };
            assert!(output.iter().all(|&y| y == expected), "{} {output:?}", isa.name());
        }
    }
}
