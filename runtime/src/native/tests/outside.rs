//! Pixels, steps and views give what `run` gives.

use super::*;
use crate::backend::RunError;
use crate::image_encoding::ImageEncoding;
use crate::pixels::ValueRange;

const SIDE: usize = 18;

/// From pictures to pictures by a 3x3 window, which has a halo around its input: as planes, with the channels last, or as a
/// vector of planes on both sides.
fn filter(channels: usize, form: &str, int8: bool, metadata: &[(&str, &str)]) -> AlignedBytes {
    let mut rng = Rng::from_seed(3);
    let size = format!("{channels}x{SIDE}x{SIDE}");
    let metadata = metadata.iter().copied().chain([("latent.image", &*size)]);
    let mut builder = Builder::new(ModelInfo {
        range: ValueRange::new(-0.5, 2.0),
        metadata: metadata.map(|(key, text)| (key.into(), text.into())).collect(),
        ..ModelInfo::default()
    });
    builder.winograd(false);
    let shape: &[usize] = match form {
        "planes" => &[channels, SIDE, SIDE],
        "last" => &[SIDE, SIDE, channels],
        _ => &[channels * SIDE * SIDE],
    };
    // Of a file with the channels last, the elements in their order are taken as rows of another picture.
    let extents = if form == "last" { [SIDE, SIDE, channels] } else { [channels, SIDE, SIDE] };
    let element = if int8 { Element::U8 { scale: 0.01, zero_point: 53 } } else { Element::F32 };
    let x = builder.input_as("x", shape, extents, element).unwrap();
    let inputs = extents[0];
    let floats: Vec<f32> = (0..inputs * inputs * 9).map(|_| rng.uniform(-0.2, 0.3)).collect();
    let bytes: Vec<i8> = floats.iter().map(|x| (x * 400.0) as i8).collect();
    let weights = match int8 {
        true => PlainWeights::I8 { values: &bytes, scales: &[1.0 / 400.0] },
        false => PlainWeights::F32(&floats),
    };
    let layer = LayerSpec { output: element, ..LayerSpec::new(weights, PlainBias::None) };
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4] };
    let y = builder.convolution("conv", x, window, 1, layer).unwrap();
    builder.output(y, "y", shape).unwrap();
    AlignedBytes::copy_of(&builder.finish().unwrap())
}

#[test]
fn pixels_steps_and_views_give_what_a_run_gives() {
    for (channels, form, int8) in [
        (1, "planes", true),
        (3, "planes", true),
        (3, "planes", false),
        (3, "last", true),
        (3, "last", false),
        (1, "vector", true),
        (3, "vector", true),
    ] {
        let what = format!("{channels} {form} {int8}");
        let packed = filter(channels, form, int8, &[]);
        let model = Model::from_bytes(packed.as_slice()).unwrap();
        let encoding = ImageEncoding::of(&model, None).unwrap();
        let length = channels * SIDE * SIDE;
        assert_eq!((input_len(packed.as_slice()), output_len(packed.as_slice())), (length, length), "{what}");
        let pixels: Vec<u8> = (0..length).map(|at| (at * 89 % 256) as u8).collect();
        let (mut input, mut output) = (vec![0.0; length], vec![0.0; length]);
        // As a vector has it, planes lie one after the other whatever the encoding says.
        encoding.values(&pixels, channels, &mut input).unwrap();
        let mut arena = vec![0xA5; arena_len(packed.as_slice())];
        Session::new(&model, &mut arena).unwrap().run(&input, &mut output).unwrap();
        let mut expected = vec![0; length];
        encoding.pixels(&output, channels, &mut expected).unwrap();

        // Memory as somebody else left it.
        let mut arena = vec![0x5A; arena_len(packed.as_slice())];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let (mut found, mut values) = (vec![0; length], vec![0.0; length]);
        session.run_u8(&*pixels, &mut *found).unwrap();
        assert_eq!(found, expected, "{what}");
        session.run_u8(&*input, &mut *found).unwrap();
        assert_eq!(found, expected, "{what}");
        session.run_u8(&*pixels, &mut *values).unwrap();
        assert_eq!(values, output, "{what}");

        let mut view = session.input_view(0).unwrap();
        let [c, h, w] = [view.value.channels, view.value.height, view.value.width];
        let places = || (0..c).flat_map(move |c| (0..h).flat_map(move |y| (0..w).map(move |x| (c, y, x))));
        for ((c, y, x), value) in places().zip(&input) {
            view.set(c, y, x, *value).unwrap();
        }
        assert_eq!(view.set(c, 0, 0, 0.0), None);
        assert_eq!(session.take(0, &mut *values), Err(RunError::Unfinished { done: 0, operators: 1 }));
        assert_eq!((session.step(), session.step()), (Ok(Some(0)), Ok(None)));
        let view = session.output_view(0).unwrap().unwrap();
        assert!(places().map(|(c, y, x)| view.get(c, y, x).unwrap()).eq(output.iter().copied()), "{what}");
        assert_eq!(view.get(0, h, 0), None);
    }
}

#[test]
fn what_cannot_be_given_or_taken_is_said() {
    let packed = filter(1, "planes", true, &[]);
    let model = Model::from_bytes(packed.as_slice()).unwrap();
    let mut arena = vec![0; arena_len(packed.as_slice())];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let (pixels, mut room) = ([0; SIDE * SIDE], [0.0; SIDE * SIDE]);
    let short = RunError::InputLength { expected: SIDE * SIDE, found: 5 };
    assert_eq!(session.step(), Err(RunError::Unfinished { done: 0, operators: 1 }));
    assert_eq!(session.run_u8(&[0; 5], &mut room), Err(short));
    assert_eq!(
        session.run_u8(&pixels, &mut [0; 7]),
        Err(RunError::OutputLength { expected: SIDE * SIDE, found: 7 })
    );
    assert!(matches!(session.give(1, &pixels), Err(RunError::PortCount { expected: 1, found: 2, .. })));
    session.run_u8(&pixels, &mut room).unwrap();
    assert!(matches!(session.take(1, &mut room), Err(RunError::PortCount { role: "output", .. })));

    let packed = filter(1, "planes", true, &[("latent.normalize.mean", "0.5")]);
    let model = Model::from_bytes(packed.as_slice()).unwrap();
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.run_u8(&pixels, &mut room), Err(RunError::Normalized));
}
