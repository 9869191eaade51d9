//! Weights of 4 bits give the bits of the same weights in 8.

use std::vec::Vec;

use super::run;
use crate::AlignedBytes;
use crate::format::{
    Activation, Builder, Element, LayerSpec, Model, ModelInfo, PackedWeights, PlainBias, PlainWeights, Window,
};
use crate::kernels::Isa;
use crate::rng::Rng;

/// A generator with a layer of every kind: phases of several blocks, broken blocks, few outputs, groups, a depthwise one.
fn generator(int4: bool) -> Vec<u8> {
    let mut rng = Rng::from_seed(4);
    let mut integers =
        |count: usize| (0..count).map(|_| (rng.uniform(0.0, 16.0) as i8 - 7) * 15).collect::<Vec<i8>>();
    let mut builder = Builder::new(ModelInfo::default());
    let element = Element::U8 { scale: 0.02, zero_point: 100 };
    let z = builder.input("z", &[24], element).unwrap();
    let layers = [
        integers(16 * 37 * 24),
        integers(37 * 37 * 9),
        integers(37 * 16 * 40),
        integers(40 * 4 * 9),
        integers(40 * 9),
        integers(3 * 40 * 9),
    ];
    let spec = |layer: usize| {
        let (values, scales) = (&*layers[layer], &[0.002f32][..]);
        let weights = match int4 {
            true => PlainWeights::I4 { values, scales },
            false => PlainWeights::I8 { values, scales },
        };
        let plain = LayerSpec::new(weights, PlainBias::None);
        LayerSpec { activation: Activation::LeakyRelu { slope: 0.1 }, output: element, ..plain }
    };
    let x = builder.fully_connected("fc", z, spec(0)).unwrap();
    let x = builder.reshape("image", x, [37, 4, 4]).unwrap();
    let x = builder.convolution("conv", x, Window::square(3, 1, 1), 1, spec(1)).unwrap();
    let x = builder.transposed("transposed", x, Window::square(4, 2, 1), [8, 8], 1, spec(2)).unwrap();
    let x = builder.convolution("groups", x, Window::square(3, 1, 1), 10, spec(3)).unwrap();
    let x = builder.convolution("depthwise", x, Window::square(3, 1, 1), 40, spec(4)).unwrap();
    let last = LayerSpec { output: Element::F32, ..spec(5) };
    let y = builder.convolution("image.out", x, Window::square(3, 1, 1), 1, last).unwrap();
    builder.output(y, "y", &[3, 8, 8]).unwrap();
    builder.finish().unwrap()
}

#[test]
fn four_bits_compute_what_eight_do() {
    let [four, eight] = [true, false].map(generator);
    let four_bytes = AlignedBytes::copy_of(&four);
    let model = Model::from_bytes(four_bytes.as_slice()).unwrap();
    let types = (0..model.operators_len()).filter_map(|index| {
        Some(matches!(model.operator(index)?.kind.layer()?.weights, PackedWeights::I4 { .. }))
    });
    assert_eq!(types.collect::<Vec<_>>(), [true, true, true, true, false, true]);
    assert!(four.len() < eight.len() * 6 / 10, "{} {}", four.len(), eight.len());
    let mut rng = Rng::from_seed(5);
    let batch = 3;
    let input: Vec<f32> = (0..batch * 24).map(|_| rng.uniform(-1.0, 1.0)).collect();
    let expected = run(&eight, &input, batch * 192, batch, Isa::Scalar, 1);
    assert!(expected.iter().any(|&y| y != expected[0]));
    for isa in Isa::available() {
        for threads in 1..=3 {
            let found = run(&four, &input, batch * 192, batch, isa, threads);
            assert_eq!(found, expected, "{} {threads}", isa.name());
        }
    }
}
