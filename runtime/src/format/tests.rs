//! Each rule has a file that breaks it; and no change of a byte makes a model that panics or leaves its slices.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::layout::{header, operator, port, value};
use super::*;
use crate::AlignedBytes;
use crate::native::Session;
use crate::native::tests::{several_ports, small_generator};
use crate::ops::*;

/// Of many files of a kind, Miri, which is a thousand times slower, reads every fifth.
const EVERY: usize = if cfg!(miri) { 5 } else { 1 };

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn value_at(bytes: &[u8], index: usize, field: usize) -> usize {
    word(bytes, header::VALUES) as usize + 64 * index + 4 * field
}

fn operator_at(bytes: &[u8], index: usize, field: usize) -> usize {
    word(bytes, header::OPERATORS) as usize + 128 * index + 4 * field
}

fn set_port(bytes: &mut [u8], index: usize, field: usize, to: u32) {
    let at = word(bytes, header::PORTS) as usize + 64 * index + 4 * field;
    set(bytes, at, to);
}

/// What reading gives: the variant's name, or `ok`.
fn outcome(bytes: &[u8]) -> String {
    let bytes = AlignedBytes::copy_of(bytes);
    let trusted = Model::from_trusted(bytes.as_slice());
    match Model::from_bytes(bytes.as_slice()) {
        Ok(_) => {
            assert!(trusted.is_ok());
            "ok".into()
        }
        Err(error) => {
            // Of all rules only the checksum's is not checked.
            assert!(matches!(error, FormatError::Checksum { .. }) || trusted.err() == Some(error));
            assert!(!format!("{error}").is_empty());
            let text = format!("{error:?}");
            text.split([' ', '{']).next().unwrap_or_default().into()
        }
    }
}

/// A model with a residual, an elementwise, a binary, a copy, a pad, a resize and a pool, beside the generator's parts.
fn varied() -> Vec<u8> {
    let mut builder = Builder::new(ModelInfo::default());
    let x = builder.input("x", &[4, 4, 4], Element::F32).unwrap();
    let weights = vec![0.1; 4 * 4 * 9];
    let mut spec = LayerSpec::new(PlainWeights::F32(&weights), PlainBias::None);
    let a = builder.convolution("conv", x, Window::square(3, 1, 1), 1, spec).unwrap();
    spec.residual = Some(a);
    let b = builder.convolution("residual", x, Window::square(3, 1, 1), 1, spec).unwrap();
    let scale = [1.0; 4];
    let affine = Some((&scale[..], &scale[..]));
    let c = builder.elementwise(
        "affine",
        b,
        affine,
        Activation::Clip { low: 0.0, high: 6.0 },
        None,
        Element::F32,
    );
    let d = builder.binary("add", Binary::Add, c.unwrap(), a, Activation::Identity, Element::F32).unwrap();
    let e = builder.concat("concat", &[d, x], 0, Element::F32).unwrap();
    let f = builder.pad("pad", e, [1, 1, 1, 1], PadMode::Reflect, Element::F32).unwrap();
    let g = builder
        .resize(
            "resize",
            f,
            [3, 3],
            Resize {
                step: [2.0, 2.0],
                coordinates: Coordinates::HalfPixel,
                interpolation: Interpolation::Linear,
            },
            Element::F32,
        )
        .unwrap();
    let h = builder.pool("pool", g, PoolKind::Max, Window::square(2, 1, 0), [2, 2], Element::F32).unwrap();
    let window = Window::square(3, 1, 1);
    let depthwise = vec![0.1; 8 * 9];
    let spec = LayerSpec::new(PlainWeights::F16(&depthwise), PlainBias::None);
    let i = builder.convolution("depthwise", h, window, 8, spec).unwrap();
    let j = builder.l2_normalize("l2", i, 1e-6, Element::F32).unwrap();
    let k = builder.softmax("softmax", j, Element::U8 { scale: 1.0 / 255.0, zero_point: 0 }).unwrap();
    let l = builder.reshape("reshape", k, [4, 4, 2]).unwrap();
    builder.output(l, "y", &[32]).unwrap();
    builder.finish().unwrap()
}

/// A model of the operators that the feature `extended-operators` brings.
fn extended() -> Vec<u8> {
    let mut builder = Builder::new(ModelInfo::default());
    let x = builder.input("x", &[4, 2, 3], Element::U8 { scale: 0.02, zero_point: 9 }).unwrap();
    let axis = |extent, stride| ViewAxis { extent, stride };
    let turned = View::new(2, &[axis(2, 3), axis(3, -1), axis(4, 6)]).unwrap();
    let turned = builder.view("view", x, turned, [2, 3, 4]).unwrap();
    let a = builder.function("gelu", turned, Function::Elu { alpha: 0.5 }, Element::F32).unwrap();
    let mask = builder.constant("mask", &[0.5; 12], [1, 3, 4]).unwrap();
    let b = builder.binary("mul", Binary::Prelu, a, mask, Activation::Relu, Element::F32).unwrap();
    let normalize = Normalize { kind: NormalizeKind::Standardize, block: [2, 1, 4], epsilon: 1e-5 };
    let c = builder.normalize("norm", b, normalize, Element::F32).unwrap();
    let square = View::new(0, &[axis(2, 12), axis(4, 1), axis(3, 4)]).unwrap();
    let square = builder.view("square", c, square, [2, 4, 3]).unwrap();
    let d = builder.product("product", c, square, Element::F32).unwrap();
    let step = Resize {
        step: [0.5; 2],
        coordinates: Coordinates::HalfPixel,
        interpolation: Interpolation::Cubic { a: -0.75 },
    };
    let e = builder.resize("cubic", d, [6, 6], step, Element::F32).unwrap();
    let reduce = Reduce { kind: ReduceKind::Maximum, block: [1, 3, 6] };
    let f = builder.reduce("reduce", e, reduce, Element::F32).unwrap();
    let g = builder.one_hot("one-hot", f, 3, Element::F32).unwrap();
    builder.output(g, "y", &[4, 3]).unwrap();
    builder.finish().unwrap()
}

/// A convolution with transformed weights, all the same.
fn winograd(kind: WeightType, weight: f32) -> Vec<u8> {
    let mut builder = Builder::new(ModelInfo::default());
    let x = builder.input("x", &[16, 8, 8], Element::F32).unwrap();
    let weights = vec![weight; 16 * 16 * 9];
    let weights = match kind {
        WeightType::F16 => PlainWeights::F16(&weights),
        WeightType::Bf16 => PlainWeights::Bf16(&weights),
        _ => PlainWeights::F32(&weights),
    };
    let spec = LayerSpec::new(weights, PlainBias::None);
    let y = builder.convolution("conv", x, Window::square(3, 1, 1), 1, spec).unwrap();
    builder.output(y, "y", &[16, 8, 8]).unwrap();
    builder.finish().unwrap()
}

/// Two int8 (or int4) convolutions of an image of three channels, so of pixels with padding, and what they give in one value.
fn padded(int4: bool) -> Vec<u8> {
    let mut builder = Builder::new(ModelInfo::default());
    let element = Element::U8 { scale: 0.02, zero_point: 9 };
    let x = builder.input("x", &[3, 4, 4], element).unwrap();
    let (weights, scales) = (vec![1; 8 * 3 * 4], [0.01; 8]);
    let (values, scales) = (&weights, &scales);
    let weights = match int4 {
        true => PlainWeights::I4 { values, scales },
        false => PlainWeights::I8 { values, scales },
    };
    let spec = LayerSpec { output: element, ..LayerSpec::new(weights, PlainBias::None) };
    let a = builder.convolution("conv", x, Window::square(2, 2, 0), 1, spec).unwrap();
    let b = builder.transposed("transposed", x, Window::square(2, 2, 0), [8, 8], 1, spec).unwrap();
    let b = builder.pool("pool", b, PoolKind::Max, Window::square(4, 4, 0), [2, 2], element).unwrap();
    let y = builder.concat("concat", &[a, b], 0, element).unwrap();
    builder.output(y, "y", &[16, 2, 2]).unwrap();
    builder.finish().unwrap()
}

/// Adds one to a weight of an operator.
fn raise_weight(bytes: &mut [u8], index: usize, at: usize) {
    add_to_weights(bytes, index, at, 1);
}

/// Adds to a byte of an operator's weights.
fn add_to_weights(bytes: &mut [u8], index: usize, at: usize, what: u8) {
    let data = word(bytes, header::DATA) as usize;
    let weights = data + word(bytes, operator_at(bytes, index, operator::WEIGHTS)) as usize;
    bytes[weights + at] = bytes[weights + at].wrapping_add(what);
}

#[test]
fn every_rule_has_a_file_that_breaks_it() {
    type Change = fn(&mut Vec<u8>);
    let seals: &[(&str, Change)] = &[
        ("ok", |_| ()),
        ("Header", |b| set(b, header::KIND, 9)),
        ("Header", |b| set(b, header::PRECISION, 5)),
        ("Header", |b| set(b, header::DISTRIBUTION, 3)),
        ("Header", |b| set(b, header::DISTRIBUTION_A, f32::NAN.to_bits())),
        ("Header", |b| set(b, header::RANGE_LOW, 1f32.to_bits())),
        ("Header", |b| set(b, header::RANGE_HIGH, f32::NAN.to_bits())),
        ("Header", |b| set(b, header::ACTIVATIONS, 65)),
        ("Header", |b| set(b, header::SCRATCH, 1 << 31)),
        ("Reserved", |b| set(b, 60, 1)),
        ("Reserved", |b| b[191] = 1),
        ("Section", |b| set(b, header::STRINGS, 64)),
        ("Section", |b| set(b, header::DATA + 4, 1 << 30)),
        ("TooMany", |b| set(b, header::VALUES + 4, u32::MAX)),
        ("TooMany", |b| set(b, header::OPERATORS + 4, 5000)),
        ("Length", |b| b.extend([0; 64])),
        ("TooMany", |b| set(b, header::PORTS + 4, 33)),
        ("Section", |b| set(b, header::PORTS, 64)),
        ("Reserved", |b| set(b, 112, 1)),
        ("Port", |b| set_port(b, 0, port::VALUE, 99)),
        ("Port", |b| set_port(b, 1, port::VALUE, u32::MAX)),
        ("Port", |b| set_port(b, 1, port::ROLE, 2)),
        ("Port", |b| set_port(b, 0, port::TYPE, 2)),
        // Two outputs, the one's name cut.
        ("NoPort", |b| {
            let at = word(b, header::PORTS) as usize;
            b.copy_within(at + 64..at + 128, at);
            let length = word(b, at + 4 * (port::NAME + 1));
            set_port(b, 0, port::NAME + 1, length - 1);
        }),
        // The output before the input.
        ("Port", |b| {
            let at = word(b, header::PORTS) as usize;
            let (input, output) = b[at..at + 128].split_at_mut(64);
            input.swap_with_slice(output);
        }),
        ("Lifetime", |b| {
            set_port(b, 0, port::VALUE, 1);
            set_port(b, 0, port::RANK + 1, 10);
        }),
        ("ExternalShape", |b| set_port(b, 0, port::RANK + 1, 7)),
        ("ExternalShape", |b| set_port(b, 1, port::RANK, 7)),
        ("ExternalShape", |b| set_port(b, 1, port::RANK, 5)),
        ("ExternalShape", |b| set_port(b, 0, port::RANK + 2, 1)),
        ("Reserved", |b| set_port(b, 0, port::RESERVED + 3, 1)),
        ("NameOutOfRange", |b| set_port(b, 0, port::NAME, u32::MAX)),
        ("NameOutOfRange", |b| {
            let at = value_at(b, 0, value::NAME);
            set(b, at, u32::MAX);
        }),
        ("NameOutOfRange", |b| {
            let at = operator_at(b, 0, operator::NAME + 1);
            set(b, at, 1 << 20);
        }),
        ("NameOutOfRange", |b| {
            let at = word(b, header::STRINGS) as usize;
            b[at] = 0xFF;
        }),
        ("ValueType", |b| {
            let at = value_at(b, 1, value::TYPE);
            set(b, at, 2);
        }),
        ("ValueShape", |b| {
            let at = value_at(b, 1, value::CHANNELS);
            set(b, at, 0);
        }),
        ("ValueShape", |b| {
            let at = value_at(b, 1, value::HEIGHT);
            set(b, at, u32::MAX);
        }),
        ("ValueShape", |b| {
            let at = value_at(b, 1, value::HALO);
            set(b, at, 1 << 20);
            let at = value_at(b, 1, value::WIDTH);
            set(b, at, 1 << 20);
        }),
        ("ValueQuantization", |b| {
            let at = value_at(b, 1, value::SCALE);
            set(b, at, 0);
        }),
        ("ValueQuantization", |b| {
            let at = value_at(b, 1, value::ZERO_POINT);
            set(b, at, 256);
        }),
        ("ValueOffset", |b| {
            let at = value_at(b, 1, value::OFFSET);
            set(b, at, 32);
        }),
        ("ValueOffset", |b| {
            let at = value_at(b, 1, value::OFFSET);
            set(b, at, 1 << 20);
        }),
        ("Reserved", |b| {
            let at = value_at(b, 1, value::RESERVED);
            set(b, at, 1);
        }),
        ("Lifetime", |b| {
            let at = value_at(b, 1, value::LAST);
            set(b, at, 0);
        }),
        ("Lifetime", |b| {
            let at = value_at(b, 2, value::FIRST);
            set(b, at, 0);
        }),
        ("Overlap", |b| {
            let from = value_at(b, 1, value::OFFSET);
            let offset = word(b, from);
            let at = value_at(b, 2, value::OFFSET);
            set(b, at, offset);
            let at = value_at(b, 1, value::LAST);
            set(b, at, 4);
        }),
        ("Aliased", |b| {
            let from = value_at(b, 1, value::OFFSET);
            let offset = word(b, from);
            let at = value_at(b, 2, value::OFFSET);
            set(b, at, offset);
        }),
        ("NotAlive", |b| {
            let at = operator_at(b, 1, operator::INPUT);
            set(b, at, 3);
            let at = operator_at(b, 1, operator::KIND);
            set(b, at, 13);
            let at = value_at(b, 2, value::CHANNELS);
            set(b, at, 2);
        }),
        ("NoSuchValue", |b| {
            let at = operator_at(b, 0, operator::INPUT);
            set(b, at, 77);
        }),
        ("NoSuchValue", |b| {
            let at = operator_at(b, 0, operator::SECOND);
            set(b, at, 77);
        }),
        ("OperatorKind", |b| {
            let at = operator_at(b, 0, operator::KIND);
            set(b, at, 0);
        }),
        ("Types", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            set(b, at, 0);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            set(b, at, 5);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 0, operator::ACTIVATION);
            set(b, at, 7);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 0, operator::FLAGS);
            set(b, at, 4);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 3, operator::ARGUMENTS + 4);
            set(b, at, 2);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 3, operator::ARGUMENTS + 2);
            set(b, at, 0);
        }),
        ("Halo", |b| {
            let at = operator_at(b, 3, operator::ARGUMENTS + 6);
            set(b, at, 9);
        }),
        ("Shapes", |b| {
            let at = operator_at(b, 3, operator::ARGUMENTS + 8);
            set(b, at, 3);
        }),
        ("DataOutOfRange", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS);
            set(b, at, 32);
        }),
        ("DataOutOfRange", |b| {
            let at = operator_at(b, 0, operator::PARAMETERS);
            set(b, at, 1 << 30);
        }),
        ("DataLength", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS + 1);
            set(b, at, 64);
        }),
        ("NotFinite", |b| {
            // The scales follow the 16 biases.
            let parameters = word(b, operator_at(b, 0, operator::PARAMETERS)) as usize;
            let at = word(b, header::DATA) as usize + parameters + 64;
            set(b, at, f32::INFINITY.to_bits());
        }),
        ("Metadata", |b| {
            let at = word(b, header::METADATA) as usize;
            set(b, at, 1000);
        }),
    ];
    let good = small_generator(true);
    for (index, (expected, change)) in seals.iter().enumerate().step_by(EVERY) {
        let mut bytes = good.clone();
        change(&mut bytes);
        seal(&mut bytes);
        assert_eq!(outcome(&bytes), *expected, "case {index}");
    }
    let transformed: &[(&str, Change)] = &[
        ("ok", |_| ()),
        ("Parameter", |b| set(b, header::SCRATCH, 64)),
        ("Parameter", |b| {
            let at = operator_at(b, 0, operator::ARGUMENTS + 9);
            set(b, at, 2);
        }),
        // Direct weights are fewer.
        ("DataLength", |b| {
            let at = operator_at(b, 0, operator::ARGUMENTS + 9);
            set(b, at, 0);
        }),
        // Another float's are longer or shorter.
        ("DataLength", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            let other = u32::from(word(b, at) == 0);
            set(b, at, other);
        }),
        ("Types", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            set(b, at, 2);
        }),
    ];
    for kind in [WeightType::F32, WeightType::F16, WeightType::Bf16] {
        let good = winograd(kind, 0.1);
        for (index, (expected, change)) in transformed.iter().enumerate().step_by(EVERY) {
            let mut bytes = good.clone();
            change(&mut bytes);
            seal(&mut bytes);
            assert_eq!(outcome(&bytes), *expected, "{kind:?} case {index}");
        }
    }
    // Operators, in order: view, gelu, mask, mul, norm, square, product, cubic, reduce, one-hot.
    let others: &[(&str, Change)] = &[
        ("ok", |_| ()),
        // An input reached beyond, more elements than there are, another type's result.
        ("Shapes", |b| {
            let at = operator_at(b, 0, operator::ARGUMENTS);
            set(b, at, 22);
        }),
        ("Shapes", |b| {
            let at = operator_at(b, 0, operator::ARGUMENTS + 1);
            set(b, at, 2);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 1, operator::ARGUMENTS);
            set(b, at, 27);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 1, operator::ARGUMENTS + 1);
            set(b, at, f32::NAN.to_bits());
        }),
        // A constant reads nothing, a function does.
        ("Parameter", |b| {
            let at = operator_at(b, 2, operator::INPUT);
            set(b, at, 0);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 1, operator::INPUT);
            set(b, at, u32::MAX);
        }),
        ("DataLength", |b| {
            let at = operator_at(b, 2, operator::PARAMETERS + 1);
            set(b, at, 4);
        }),
        ("NoSuchValue", |b| {
            let at = operator_at(b, 3, operator::SECOND);
            set(b, at, u32::MAX);
        }),
        ("Shapes", |b| {
            let at = operator_at(b, 4, operator::ARGUMENTS + 3);
            set(b, at, 3);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 4, operator::ARGUMENTS + 4);
            set(b, at, (-1f32).to_bits());
        }),
        ("NoSuchValue", |b| {
            let at = operator_at(b, 6, operator::SECOND);
            set(b, at, u32::MAX);
        }),
        ("Shapes", |b| {
            let at = operator_at(b, 8, operator::ARGUMENTS + 2);
            set(b, at, 2);
        }),
        ("Parameter", |b| {
            let at = operator_at(b, 8, operator::ARGUMENTS);
            set(b, at, 6);
        }),
    ];
    let good = extended();
    for (index, (expected, change)) in others.iter().enumerate().step_by(EVERY) {
        let mut bytes = good.clone();
        change(&mut bytes);
        seal(&mut bytes);
        assert_eq!(outcome(&bytes), *expected, "case {index}");
    }
    let unwritten: &[(&str, Change)] = &[
        ("ok", |_| ()),
        // A weight of the third channel, and one beyond the last: [block][k / 4][16][4].
        ("ok", |b| raise_weight(b, 0, 2)),
        ("Padding", |b| raise_weight(b, 0, 3)),
        ("Padding", |b| raise_weight(b, 0, 3 * 64 + 7 * 4 + 3)),
        // A row that fills a block up.
        ("ok", |b| raise_weight(b, 0, 15 * 4 + 3)),
        ("Padding", |b| raise_weight(b, 1, 3 * 64 + 3)),
        // The second copy over the first, wholly and in part.
        ("Partial", |b| {
            let at = operator_at(b, 4, operator::ARGUMENTS);
            set(b, at, 0);
        }),
        ("Partial", |b| {
            let at = operator_at(b, 4, operator::ARGUMENTS);
            set(b, at, 7);
        }),
        // What the copies write is there before the first of them: nobody began it.
        ("Lifetime", |b| {
            let copied = word(b, operator_at(b, 4, operator::OUTPUT)) as usize;
            let at = value_at(b, copied, value::FIRST);
            let earlier = word(b, at) - 1;
            set(b, at, earlier);
        }),
        ("Header", |b| set(b, header::ACTIVATIONS, 1 << 30)),
        ("Header", |b| set(b, header::SCRATCH, 64)),
    ];
    let good = padded(true);
    // The indexes of the first block, and what is behind them: 16 rows of 16 products.
    let four: &[(&str, Change)] = &[
        ("ok", |_| ()),
        ("ok", |b| add_to_weights(b, 0, 0, 1)),
        ("Padding", |b| add_to_weights(b, 0, 1, 16)),
        ("Padding", |b| add_to_weights(b, 1, 1, 16)),
        ("Parameter", |b| add_to_weights(b, 0, 128 + 15, 128)),
        ("Parameter", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            set(b, at, 5);
        }),
        ("DataLength", |b| {
            let at = operator_at(b, 0, operator::WEIGHTS_TYPE);
            set(b, at, 2);
        }),
        ("Header", |b| set(b, header::SCRATCH, 0)),
    ];
    for (index, (expected, change)) in four.iter().enumerate() {
        let mut bytes = good.clone();
        change(&mut bytes);
        seal(&mut bytes);
        assert_eq!(outcome(&bytes), *expected, "int4 case {index}");
    }
    let good = padded(false);
    for (index, (expected, change)) in unwritten.iter().enumerate().step_by(EVERY) {
        let mut bytes = good.clone();
        change(&mut bytes);
        seal(&mut bytes);
        assert_eq!(outcome(&bytes), *expected, "case {index}");
    }
    let good = small_generator(true);
    // What comes before the checksum is not sealed again.
    let raw: &[(&str, Change)] = &[
        ("TooShort", |b| b.truncate(191)),
        ("TooShort", Vec::clear),
        ("Magic", |b| b[0] = 0),
        ("Version", |b| set(b, header::VERSION, 3)),
        ("Version", |b| set(b, header::VERSION, 0)),
        ("Length", |b| b.truncate(1000)),
        ("Length", |b| b.push(0)),
        ("Checksum", |b| b[500] ^= 1),
        ("Checksum", |b| set(b, header::CHECKSUM, 0)),
    ];
    for (index, (expected, change)) in raw.iter().enumerate().step_by(EVERY) {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert_eq!(outcome(&bytes), *expected, "case {index}");
    }
    let mut shifted = vec![0; good.len() + 4];
    let start = shifted.as_ptr().align_offset(4) + 1;
    shifted[start..start + good.len()].copy_from_slice(&good);
    assert_eq!(Model::from_bytes(&shifted[start..start + good.len()]).err(), Some(FormatError::Misaligned));
}

/// Whatever is accepted runs.
fn survive(bytes: &[u8], aligned: &mut AlignedBytes, arena: &mut [u8]) -> bool {
    let aligned = &mut aligned.as_mut_slice()[..bytes.len()];
    aligned.copy_from_slice(bytes);
    let Ok(model) = Model::from_bytes(aligned) else { return false };
    let Ok(mut session) = Session::new(&model, arena) else { return true };
    let values = |shape: &Shape| shape.as_slice().iter().product::<usize>();
    let lengths = |ports: Ports<'_>| ports.map(|port| values(&port.shape)).collect::<Vec<_>>();
    let (inputs, outputs) = (lengths(model.inputs()), lengths(model.outputs()));
    if inputs.iter().chain(&outputs).all(|&values| values < 1 << 16) {
        let inputs: Vec<Vec<f32>> = inputs.into_iter().map(|values| vec![1.0; values]).collect();
        let mut outputs: Vec<Vec<f32>> = outputs.into_iter().map(|values| vec![0.0; values]).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        session.run_all(&inputs, &mut outputs).expect("an accepted model runs");
    }
    true
}

#[test]
fn no_changed_byte_makes_a_model_that_panics() {
    let transformed = [WeightType::F32, WeightType::F16, WeightType::Bf16].map(|kind| winograd(kind, 0.1));
    let version_1 = ["generator.int8.v1", "varied.v1"].map(|name| std::fs::read(corpus(name)).unwrap());
    let written = [small_generator(true), small_generator(false), varied(), extended(), several_ports(true)];
    for good in written.into_iter().chain(transformed).chain(version_1) {
        let mut aligned = AlignedBytes::zeroed(good.len());
        let mut arena = vec![0; 1 << 20];
        assert!(survive(&good, &mut aligned, &mut arena));
        let data = word(&good, header::DATA) as usize;
        let mut accepted = 0;
        for at in header::CHECKED..good.len() {
            // All of the structure; of weights and parameters some.
            if at > data + 256 && at % 37 != 0 || at > data + (1 << 13) {
                continue;
            }
            let values =
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, 192, 254, 255];
            for new in values.into_iter().filter(|&new| new != good[at]) {
                let mut bytes = good.clone();
                bytes[at] = new;
                seal(&mut bytes);
                accepted += usize::from(survive(&bytes, &mut aligned, &mut arena));
            }
        }
        assert!(accepted > 100, "{accepted}: the change must reach further than the checks");
    }
}

#[test]
fn no_truncated_file_is_a_model() {
    let models =
        [small_generator(true), varied(), extended(), winograd(WeightType::F16, 0.1), several_ports(false)];
    for good in models {
        let mut aligned = AlignedBytes::zeroed(good.len());
        for length in 0..good.len() {
            let mut bytes = good[..length].to_vec();
            assert!(!survive(&bytes, &mut aligned, &mut []));
            if length >= super::layout::HEADER {
                seal(&mut bytes);
                assert!(!survive(&bytes, &mut aligned, &mut []), "{length} of {}", good.len());
            }
        }
    }
}

#[test]
fn weights_are_transformed_only_where_they_stay_finite() {
    // Nine of them, over four: the largest transformed weight. Half precision ends at 65504, bfloat16 at 3.39e38.
    let cases = [
        (WeightType::F16, 29_000.0, true),
        (WeightType::F16, 29_200.0, false),
        (WeightType::F16, f32::NAN, false),
        (WeightType::Bf16, 29_200.0, true),
        (WeightType::Bf16, 1.5e38, true),
        (WeightType::Bf16, 1.51e38, false),
        (WeightType::F32, 29_200.0, true),
    ];
    for (kind, weight, expected) in cases {
        let bytes = AlignedBytes::copy_of(&winograd(kind, weight));
        let model = Model::from_bytes(bytes.as_slice()).unwrap();
        let OperatorKind::Convolution { winograd, layer, .. } = model.operator(0).unwrap().kind else {
            panic!()
        };
        assert_eq!((layer.weights.weight_type(), winograd), (kind, expected), "{weight}");
        let finite = match layer.weights {
            PackedWeights::F16(weights) => weights.iter().all(|&bits| crate::half::to_f32(bits).is_finite()),
            PackedWeights::Bf16(weights) => {
                weights.iter().all(|&bits| crate::bfloat16::to_f32(bits).is_finite())
            }
            _ => continue,
        };
        assert_eq!(finite, weight.is_finite(), "{weight}");
    }
}

#[test]
fn a_precision_keeps_its_number() {
    let numbers = [(Precision::F32, 0), (Precision::F16, 1), (Precision::Int8, 2), (Precision::Bf16, 3)];
    for (precision, number) in numbers {
        let mut builder = Builder::new(ModelInfo { precision, ..ModelInfo::default() });
        let x = builder.input("x", &[4], Element::F32).unwrap();
        builder.output(x, "y", &[4]).unwrap();
        let bytes = builder.finish().unwrap();
        let aligned = AlignedBytes::copy_of(&bytes);
        let read = Model::from_bytes(aligned.as_slice()).unwrap().precision();
        assert_eq!((word(&bytes, header::PRECISION), read), (number, precision));
    }
}

/// Where the fuzzer has a model. `NAME.v1` is what was written as NAME when the format had version 1.
fn corpus(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/lat/{name}.lat"))
}

#[test]
fn the_fuzzer_begins_with_these_models() {
    let models = [
        ("generator.int8", small_generator(true)),
        ("generator.f32", small_generator(false)),
        ("varied", varied()),
        ("extended", extended()),
        ("winograd.f16", winograd(WeightType::F16, 0.1)),
        ("winograd.bf16", winograd(WeightType::Bf16, 0.1)),
        ("ports.f32", several_ports(false)),
        ("ports.int8", several_ports(true)),
        ("padded.int4", padded(true)),
    ];
    for (name, bytes) in models {
        let path = corpus(name);
        // After a change of the format: `LATENT_BLESS=1 cargo test`.
        if std::env::var_os("LATENT_BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} is not what the builder writes today");
    }
}

#[test]
fn version_1_is_read_as_ever() {
    let run = |bytes: &[u8]| {
        let bytes = AlignedBytes::copy_of(bytes);
        let model = Model::from_bytes(bytes.as_slice()).unwrap();
        let mut arena = vec![0; arena_len(bytes.as_slice())];
        assert_eq!(model.arena_len(1), Some(arena.len()));
        let mut session = Session::new(&model, &mut arena).unwrap();
        let inputs = session.input().values();
        let input: Vec<f32> = (0..inputs).map(|index| index as f32 / inputs as f32 - 0.5).collect();
        let mut output = vec![0.0; session.output().values()];
        session.run(&input, &mut output).unwrap();
        let ports = model.inputs().chain(model.outputs()).map(|port| format!("{}", port.info()));
        (ports.collect::<Vec<_>>(), format!("{:?}", model.metadata().collect::<Vec<_>>()), output)
    };
    for name in ["generator.int8", "generator.f32", "varied", "winograd.f16"] {
        let [old, new] =
            [format!("{name}.v1"), name.into()].map(|name| std::fs::read(corpus(&name)).unwrap());
        assert_eq!((word(&old, header::VERSION), word(&new, header::VERSION)), (1, 2));
        assert_eq!(run(&old), run(&new), "{name}");
    }
    type Change = fn(&mut [u8]);
    let changes: &[(&str, Change)] = &[
        ("ok", |_| ()),
        ("Port", |b| set(b, 104, 99)),
        ("Port", |b| set(b, 108, u32::MAX)),
        ("Lifetime", |b| {
            set(b, 104, 1);
            set(b, 112 + 4, 10);
        }),
        ("ExternalShape", |b| set(b, 112 + 4, 7)),
        ("ExternalShape", |b| set(b, 132, 5)),
        ("ExternalShape", |b| set(b, 112 + 8, 1)),
        ("Reserved", |b| b[191] = 1),
        ("Reserved", |b| b[152] = 1),
        // It is none of the other version.
        ("Section", |b| set(b, header::VERSION, 2)),
    ];
    let good = std::fs::read(corpus("generator.int8.v1")).unwrap();
    for (index, (expected, change)) in changes.iter().enumerate().step_by(EVERY) {
        let mut bytes = good.clone();
        change(&mut bytes);
        seal(&mut bytes);
        let found = outcome(&bytes);
        assert!(found == *expected || found == "Reserved" && *expected == "Section", "case {index}: {found}");
    }
    let mut bytes = good.clone();
    bytes[500] ^= 1;
    assert_eq!(outcome(&bytes), "Checksum");
}

#[test]
fn ports_that_cannot_be_told_apart_are_refused() {
    let build = |names: [&str; 4]| {
        let mut builder = Builder::new(ModelInfo::default());
        let inputs = [names[0], names[1]].map(|name| builder.input(name, &[2], Element::F32).unwrap());
        for (value, name) in inputs.into_iter().zip(&names[2..]) {
            builder.output(value, name, &[2, 1, 1, 1, 1, 1]).unwrap();
        }
        builder.finish()
    };
    assert!(build(["a", "b", "a", "b"]).is_ok());
    for names in [["a", "a", "x", "y"], ["a", "b", "x", "x"]] {
        let error = build(names).unwrap_err();
        assert!(matches!(error, BuildError::Format(FormatError::SamePort { .. })), "{error}");
    }
    let mut bytes = build(["a", "b", "x", "y"]).unwrap();
    set_port(&mut bytes, 1, port::VALUE, 0);
    seal(&mut bytes);
    assert_eq!(outcome(&bytes), "SamePort");
    let mut builder = Builder::new(ModelInfo::default());
    let input = builder.input("x", &[2], Element::F32).unwrap();
    for index in 0..17 {
        builder.output(input, &format!("y{index}"), &[2]).unwrap();
    }
    let limit = FormatError::TooMany { what: "output", found: 17, limit: 16 };
    assert_eq!(builder.finish(), Err(BuildError::Format(limit)));
}

#[test]
fn the_builder_says_what_does_not_fit() {
    let build = |make: fn(&mut Builder, ValueId) -> Result<ValueId, BuildError>| {
        let mut builder = Builder::new(ModelInfo::default());
        let x = builder.input("x", &[4, 3, 3], Element::F32).unwrap();
        match make(&mut builder, x) {
            Ok(_) => String::from("ok"),
            Err(error) => format!("{error}"),
        }
    };
    type Make = fn(&mut Builder, ValueId) -> Result<ValueId, BuildError>;
    let window = Window::square;
    let _ = window;
    let cases: [(&str, Make); 9] = [
        ("7 weights given, 36 needed", |b, x| {
            b.fully_connected("fc", x, LayerSpec::new(PlainWeights::F32(&[0.0; 7]), PlainBias::None))
        }),
        ("2 biases given, 1 needed", |b, x| {
            b.fully_connected(
                "fc",
                x,
                LayerSpec::new(PlainWeights::F32(&[0.0; 36]), PlainBias::F32(&[0.0; 2])),
            )
        }),
        ("int8 weights need a U8 input", |b, x| {
            let weights = PlainWeights::I8 { values: &[0; 36], scales: &[1.0] };
            b.fully_connected("fc", x, LayerSpec::new(weights, PlainBias::None))
        }),
        ("float weights give an F32 output", |b, x| {
            let mut spec = LayerSpec::new(PlainWeights::F32(&[0.0; 36]), PlainBias::None);
            spec.output = Element::U8 { scale: 1.0, zero_point: 0 };
            b.fully_connected("fc", x, spec)
        }),
        ("larger than the padded input", |b, x| {
            let spec = LayerSpec::new(PlainWeights::F32(&[0.0; 64]), PlainBias::None);
            b.convolution("conv", x, Window::square(4, 1, 0), 1, spec)
        }),
        ("do not divide", |b, x| {
            let spec = LayerSpec::new(PlainWeights::F32(&[0.0; 64]), PlainBias::None);
            b.convolution("conv", x, Window::square(1, 1, 0), 3, spec)
        }),
        ("does not follow from kernel", |b, x| {
            let spec = LayerSpec::new(PlainWeights::F32(&[0.0; 64]), PlainBias::None);
            b.transposed("up", x, Window::square(4, 2, 1), [50, 50], 1, spec)
        }),
        ("keeps the number", |b, x| b.reshape("reshape", x, [5, 1, 1])),
        ("another residual", |b, x| {
            let mut spec = LayerSpec::new(PlainWeights::F32(&[0.0; 36]), PlainBias::None);
            spec.residual = Some(x);
            b.fully_connected("another residual", x, spec)
        }),
    ];
    for (expected, make) in cases {
        let found = build(make);
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(Builder::new(ModelInfo::default()).finish(), Err(BuildError::Ends { what: "input" }));
}
