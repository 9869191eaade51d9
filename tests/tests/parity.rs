//! libtorch, tract, ONNX Runtime and the native engine give the same images and scores for the same input, within 1e-5.

use std::path::Path;

use latent_runtime::backend::Backend;
use latent_runtime::latent::Distribution;
use latent_runtime::open::{BackendKind, OpenOptions, open};
use latent_runtime::rng::Rng;
use latent_tests::succeed;
use latent_trainer::checkpoint;
use latent_trainer::gan::architecture::{self, ImageShape, NetKind};
use latent_trainer::gan::condition;
use latent_trainer::nn::{Named, Network, Pass};
use tch::{Device, Kind, TchError, Tensor};

const LATENT: usize = 96;
const PIXELS: usize = 28 * 28;
const TOLERANCE: f32 = 1e-5;

/// The three GANs, and conditional ones: program command, networks, and classes if it is conditional. After some training
/// steps BatchNorm's statistics are not trivial.
const GANS: [(&str, NetKind, Option<usize>); 5] = [
    ("vanilla", NetKind::Vanilla, None),
    ("lsgan", NetKind::Vanilla, None),
    ("dcgan", NetKind::Dcgan, None),
    ("vanilla", NetKind::Vanilla, Some(10)),
    ("dcgan", NetKind::Dcgan, Some(10)),
];

#[test]
fn libtorch_and_every_back_end_agree() {
    let scratch = tempfile::tempdir().unwrap();
    for (command, net, classes) in GANS {
        let name = format!("{command}{}", classes.unwrap_or(0));
        let run = scratch.path().join(&name);
        let small =
            ["--data", "synth-digits:512", "--train-images", "512", "--batch", "64", "--iterations", "24"];
        let run_name = run.to_str().unwrap();
        let conditional: &[&str] = if classes.is_some() { &["--conditional"] } else { &[] };
        // Without a moving average, whose generator would be the one that is exported.
        let plain = [command, "--preset", "reference", "--out", run_name, "--quiet"];
        succeed("trainer", [&plain, &small[..], conditional].concat());
        let models = scratch.path().join("models");
        succeed("exporter", ["export", run_name, "--out", models.to_str().unwrap(), "--discriminator"]);

        let (_, checkpoint) = checkpoint::list(&run.join("checkpoints")).unwrap().pop().unwrap();
        let image = ImageShape { channels: 1, height: 28, width: 28 };
        let mut rng = Rng::from_seed(1);
        let generator =
            architecture::generator(net, image, LATENT as i64, classes, &mut rng, Device::Cpu).unwrap();
        let discriminator = architecture::discriminator(net, image, classes, &mut rng, Device::Cpu).unwrap();
        load(&generator, &checkpoint.join("generator.safetensors"));
        load(&discriminator, &checkpoint.join("discriminator.safetensors"));

        for batch in [1, 7] {
            let mut noise = vec![0.0; batch * LATENT];
            Distribution::Uniform { low: -1.0, high: 1.0 }.fill(&mut rng, &mut noise);
            let z = Tensor::from_slice(&noise).view([batch as i64, LATENT as i64]);
            let labels: Option<Vec<f32>> =
                classes.map(|classes| (0..batch).map(|_| rng.below(classes as u32) as f32).collect());
            let hot = labels.as_ref().zip(classes).map(|(labels, classes)| {
                condition::one_hot(&Tensor::from_slice(labels).to_kind(Kind::Int64), classes).unwrap()
            });
            // What libtorch computes in evaluation mode.
            let values = |network: &Network, x: &Tensor, told: Told| {
                let y = tch::no_grad(|| told(network, x, hot.as_ref(), Pass::EVAL)).unwrap();
                Vec::<f32>::try_from(y.contiguous().view([-1])).unwrap()
            };
            let images = values(&generator, &z, condition::generate);
            let x = Tensor::from_slice(&images).view([batch as i64, 1, 28, 28]);
            let scores = values(&discriminator, &x, condition::score);
            assert!(images.iter().any(|v| v.abs() > 0.01), "{command}: the images are blank");

            let generator_file = models.join(format!("{name}.fp32.onnx"));
            let discriminator_file = models.join(format!("{name}.discriminator.fp32.onnx"));
            for (file, input, expected) in
                [(&generator_file, &noise, &images), (&discriminator_file, &images, &scores)]
            {
                let packed = file.with_extension("lat");
                if !packed.exists() {
                    succeed(
                        "exporter",
                        ["pack".as_ref(), file.as_os_str(), "--out".as_ref(), packed.as_os_str()],
                    );
                }
                let options = OpenOptions::default();
                let back_ends = [
                    open(file, BackendKind::Ort, &options).unwrap(),
                    open(file, BackendKind::Tract, &options).unwrap(),
                    open(&packed, BackendKind::Native, &options).unwrap(),
                ];
                for mut backend in back_ends {
                    if let Some(labels) = &labels {
                        backend.give("label", labels).unwrap();
                    }
                    let what = format!("{}, {}, batch {batch}", file.display(), backend.describe());
                    compare(&what, backend.as_mut(), batch, input, expected);
                }
            }
        }
        let parameters = if net == NetKind::Vanilla { 1_952_528 } else { 6_675_009 };
        assert_eq!(generator.parameter_count(), parameters + 1024 * classes.unwrap_or(0) as u64);
    }
}

fn load(network: &Network, file: &Path) {
    network.load_state(&checkpoint::read_tensors(file).unwrap().into_iter().collect()).unwrap();
}

/// How a network is told its labels.
type Told = fn(&Network, &Tensor, Option<&Tensor>, Pass) -> Result<Tensor, TchError>;

fn compare(what: &str, backend: &mut dyn Backend, batch: usize, input: &[f32], expected: &[f32]) {
    let mut output = vec![f32::NAN; expected.len()];
    backend.run(batch, input, &mut output).unwrap();
    let worst =
        output.iter().zip(expected).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
    assert!(output.iter().all(|v| v.is_finite()) && worst <= TOLERANCE, "{what}: off by {worst}");
    assert!(expected.len() == batch || expected.len() == batch * PIXELS);
    println!("{what}: within {worst:e}");
}
