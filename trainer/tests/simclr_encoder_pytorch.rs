//! Holds SimCLR's encoders and optimizers against PyTorch and torchvision, through the Python of `cargo xtask setup`. Without
//! it the tests say so and pass.

mod support;

use std::path::Path;

use latent_runtime::rng::Rng;
use latent_test_support::python;
use latent_trainer::checkpoint::{self, Tensors};
use latent_trainer::nn::{Named, Pass};
use latent_trainer::settings::CommonSettings;
use latent_trainer::settings::Preset;
use latent_trainer::simclr::augment::AugmentSettings;
use latent_trainer::simclr::encoder::{Encoder, EncoderKind, Projection};
use latent_trainer::simclr::learner::Learner;
use latent_trainer::simclr::settings::{OptimizerKind, SimclrSettings};
use tch::{Device, Tensor};

/// Runs the script once for all these tasks (importing PyTorch takes seconds).
fn check(python: &Path, tasks: &[String]) {
    support::check(python, "simclr_encoder_pytorch.py", tasks.join(" -- ").split(' '));
}

fn images(rng: &mut Rng, count: i64, side: i64) -> Tensor {
    let values: Vec<f32> = (0..count * 3 * side * side).map(|_| rng.normal()).collect();
    Tensor::from_slice(&values).view([count, 3, side, side])
}

fn encoder(kind: EncoderKind) -> Encoder {
    let mut rng = Rng::from_seed(11);
    Encoder::new(&kind.architecture(), Projection::REFERENCE, 3, &mut rng, Device::Cpu).unwrap()
}

#[test]
fn parameters_are_as_many_as_the_references() {
    for (kind, f, both, features, multiplications) in [
        (EncoderKind::Resnet50, 23_500_352, 24_615_616, 2048, 1_297_809_408),
        (EncoderKind::Resnet18, 11_168_832, 11_168_832 + 512 * 512 + 2 * 512 + 513 * 128, 512, 555_417_600),
        (EncoderKind::Small, 1_207_840, 1_207_840 + 256 * 512 + 2 * 512 + 513 * 128, 256, 44_924_928),
    ] {
        let architecture = kind.architecture();
        assert_eq!(architecture.features(), features, "{kind}");
        assert_eq!(architecture.parameter_count(3), f, "{kind}");
        assert_eq!(architecture.multiplications(3, 32, 32), multiplications, "{kind}");
        let (found, head) = encoder(kind).parameter_counts();
        assert_eq!((found, found + head), (f, both), "{kind}");
    }
}

#[test]
fn our_weights_give_the_same_outputs_in_torchvisions_networks() {
    let Some(python) = python() else { return };
    let (mut tasks, mut folders) = (Vec::new(), Vec::new());
    for kind in [EncoderKind::Small, EncoderKind::Resnet18, EncoderKind::Resnet50] {
        let dir = tempfile::tempdir().unwrap();
        let encoder = encoder(kind);
        let mut rng = Rng::from_seed(12);
        let write = |name: &str, tensors: &Tensors| {
            checkpoint::write_tensors(&dir.path().join(name), tensors).unwrap();
        };
        let outputs: Tensors = tch::no_grad(|| {
            // Give the running statistics something to differ by.
            let _ = encoder.features(&images(&mut rng, 8, 16), Pass::TRAIN).unwrap();
            write("encoder.safetensors", &encoder.state().unwrap());
            let images = images(&mut rng, 6, 16);
            let both = |pass| {
                let h = encoder.features(&images, pass).unwrap();
                let z = encoder.project(&h, pass).unwrap();
                (h, z)
            };
            let ((h, z), (h_train, z_train)) = (both(Pass::EVAL), both(Pass::TRAIN));
            let (f, g) = encoder.parameter_counts();
            let count = |n: u64| Tensor::from_slice(&[n as i64]);
            [
                ("count.f", count(f)),
                ("count.g", count(g)),
                ("images", images),
                ("h", h),
                ("z", z),
                ("h_train", h_train),
                ("z_train", z_train),
            ]
            .into_iter()
            .map(|(name, t)| (name.to_owned(), t))
            .collect()
        });
        write("io.safetensors", &outputs);
        write("after.safetensors", &encoder.state().unwrap());
        tasks.push(format!("encoder {} {kind}", dir.path().display()));
        folders.push(dir);
    }
    check(&python, &tasks);
}

#[test]
fn steps_are_those_of_pytorchs_optimizers() {
    let Some(python) = python() else { return };
    const STEPS: u64 = 3;
    let (mut tasks, mut folders) = (Vec::new(), Vec::new());
    for (optimizer, lr, weight_decay) in [(OptimizerKind::Sgd, 0.03, 5e-4), (OptimizerKind::Adam, 1e-3, 1e-2)]
    {
        let dir = tempfile::tempdir().unwrap();
        let options = SimclrSettings {
            common: CommonSettings {
                batch: 16,
                iterations: STEPS,
                train_images: 16,
                ..CommonSettings::default()
            },
            preset: Preset::Modern,
            encoder: EncoderKind::Small,
            optimizer,
            lr,
            weight_decay,
            warmup_epochs: 0.0,
            cosine: false,
            temperature: 0.5,
            augment: AugmentSettings::MODERN,
            knn_every: 0,
            knn_bank: 0,
            knn_queries: 0,
        };
        let architecture = options.encoder.architecture();
        let mut learner =
            Learner::new(&options, &architecture, 3, &mut Rng::from_seed(3), Device::Cpu).unwrap();
        let write = |name: &str, tensors: &Tensors| {
            checkpoint::write_tensors(&dir.path().join(name), tensors).unwrap();
        };
        write("start.safetensors", &learner.encoder().state().unwrap());
        let mut rng = Rng::from_seed(4);
        let mut given = Tensors::new();
        for i in 0..STEPS {
            let views = images(&mut rng, 32, 16);
            given.insert(format!("figures.{i}"), learner.step(&views, lr).unwrap());
            given.insert(format!("views.{i}"), views);
        }
        write("given.safetensors", &given);
        write("end.safetensors", &learner.encoder().state().unwrap());
        tasks.push(format!("steps {} {optimizer} {STEPS}", dir.path().display()));
        folders.push(dir);
    }
    check(&python, &tasks);
}
