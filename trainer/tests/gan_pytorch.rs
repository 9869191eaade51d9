//! Holds networks, losses, optimizer and training steps against PyTorch, through the Python of `cargo xtask setup`.
//! Without it the tests say so and pass.

mod support;

use std::fs;
use std::path::Path;

use latent_runtime::latent::Distribution;
use latent_runtime::rng::Rng;
use latent_test_support::python;
use latent_trainer::checkpoint::{self, Tensors};
use latent_trainer::gan::architecture::{self, ImageShape, NetKind};
use latent_trainer::gan::batches::Batches;
use latent_trainer::gan::condition::{self, Labels};
use latent_trainer::gan::losses::LossKind;
use latent_trainer::gan::model::Gan;
use latent_trainer::gan::noise::Noise;
use latent_trainer::gan::settings::GanSettings;
use latent_trainer::nn::{Named, Pass};
use latent_trainer::optim::{Adam, AdamOptions};
use latent_trainer::settings::CommonSettings;
use tch::{Device, Kind, Tensor};

const MNIST: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

/// Runs the script once for all these tasks (importing PyTorch takes seconds).
fn check(python: &Path, tasks: &[String]) {
    support::check(python, "gan_pytorch.py", tasks.join(" -- ").split(' '));
}

fn noise(seed: u64) -> Noise {
    Noise::new(Rng::from_seed(seed), Distribution::REFERENCE, 96, Device::Cpu)
}

/// Classes of the conditional networks.
const CLASSES: usize = 5;

/// Labels that are not all as frequent.
fn labels(count: usize) -> Labels {
    let labels: Vec<u32> = (0..count as u32).map(|i| i * i % 7 % CLASSES as u32).collect();
    Labels::new(&labels, CLASSES, Device::Cpu).unwrap()
}

fn pixels(count: usize) -> Vec<u8> {
    // Half of each image is background, as in digits: ties in the pooling.
    let mut rng = Rng::from_seed(5);
    (0..count * 784).map(|i| if i % 28 < 14 { 0 } else { rng.below(256) as u8 }).collect()
}

#[test]
fn our_weights_give_the_same_outputs_in_pytorch() {
    let Some(python) = python() else { return };
    let (mut tasks, mut folders) = (Vec::new(), Vec::new());
    for (net, classes) in [
        (NetKind::Vanilla, None),
        (NetKind::Dcgan, None),
        (NetKind::Vanilla, Some(CLASSES)),
        (NetKind::Dcgan, Some(CLASSES)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = Rng::from_seed(11);
        let d = architecture::discriminator(net, MNIST, classes, &mut rng, Device::Cpu).unwrap();
        let g = architecture::generator(net, MNIST, 96, classes, &mut rng, Device::Cpu).unwrap();
        let label = classes.map(|_| labels(128).draw(&mut rng, 128).unwrap());
        let y = label.as_ref();
        let (image, z) = tch::no_grad(|| {
            // Give the running statistics something to differ by.
            for seed in 0..3 {
                let z = noise(seed).draw(128).unwrap();
                let _ = condition::generate(&g, &z, y, Pass::TRAIN).unwrap();
            }
            let image =
                Batches::new(&pixels(128), 128, MNIST, 128, None, Device::Cpu).unwrap().get(0).unwrap();
            (image, noise(9).draw(128).unwrap())
        });
        let write = |name: &str, tensors: &Tensors| {
            checkpoint::write_tensors(&dir.path().join(name), tensors).unwrap();
        };
        write("discriminator.safetensors", &d.state().unwrap());
        write("generator.safetensors", &g.state().unwrap());
        let outputs = tch::no_grad(|| {
            let score = condition::score(&d, &image, y, Pass::TRAIN).unwrap();
            let eval = condition::generate(&g, &z, y, Pass::EVAL).unwrap();
            let train = condition::generate(&g, &z, y, Pass::TRAIN).unwrap();
            [("image", image), ("z", z), ("score", score), ("eval", eval), ("train", train)]
        });
        let outputs = outputs.into_iter().chain(label.map(|label| ("label", label)));
        write("io.safetensors", &outputs.map(|(n, t)| (n.to_owned(), t)).collect());
        write("after.safetensors", &g.state().unwrap());
        tasks.push(format!("forward {} {net} {}", dir.path().display(), classes.unwrap_or(0)));
        folders.push(dir);
    }
    check(&python, &tasks);
}

#[test]
fn iterations_are_those_of_the_notebook() {
    let Some(python) = python() else { return };
    let cases = [
        (NetKind::Vanilla, LossKind::Bce, None, 0.0),
        (NetKind::Vanilla, LossKind::Ls, None, 0.0),
        (NetKind::Vanilla, LossKind::WganGp, None, 0.0),
        (NetKind::Dcgan, LossKind::Bce, None, 0.0),
        (NetKind::Dcgan, LossKind::Hinge, None, 0.0),
        (NetKind::Dcgan, LossKind::WganGp, None, 0.0),
        (NetKind::Vanilla, LossKind::Ls, Some(CLASSES), 0.0),
        (NetKind::Vanilla, LossKind::WganGp, Some(CLASSES), 0.0),
        (NetKind::Dcgan, LossKind::Bce, Some(CLASSES), 0.0),
        // With R1, and step sizes that fall.
        (NetKind::Vanilla, LossKind::Bce, None, 2.0),
        (NetKind::Dcgan, LossKind::Bce, Some(CLASSES), 2.0),
    ];
    let (mut tasks, mut folders) = (Vec::new(), Vec::new());
    for (net, loss, classes, r1) in cases {
        // Adam enlarges differences of rounding from step to step, batch normalization still more.
        let count = if net == NetKind::Dcgan { 2 } else { 4 };
        let dir = tempfile::tempdir().unwrap();
        let batch = 16;
        let options = GanSettings {
            common: CommonSettings {
                batch,
                iterations: count,
                train_images: 48,
                ..CommonSettings::default()
            },
            net,
            d_steps: 1,
            d_lr: 1e-3,
            g_lr: 1e-3,
            beta1: 0.5,
            beta2: 0.999,
            r1,
            cosine: r1 > 0.0,
            ..GanSettings::new(loss)
        };
        let mut gan = Gan::new(&options, MNIST, classes, &mut Rng::from_seed(3), Device::Cpu).unwrap();
        let mut batches = Batches::new(&pixels(48), 48, MNIST, batch, None, Device::Cpu).unwrap();
        let drawn = classes.map(|_| labels(48));
        if classes.is_some() {
            batches = batches.with_labels(labels(48)).unwrap();
        }
        let write = |folder: &str, gan: &Gan| {
            fs::create_dir(dir.path().join(folder)).unwrap();
            for (name, tensors) in gan.tensors().unwrap() {
                checkpoint::write_tensors(&dir.path().join(folder).join(name), &tensors).unwrap();
            }
        };
        write("start", &gan);
        // The same draws, in the order in which a step makes them.
        let (mut training, mut copy) = (noise(21), noise(21));
        let mut given = Tensors::new();
        for i in 0..count {
            given.insert(format!("real.{i}"), batches.get(i).unwrap());
            given.insert(format!("zd.{i}"), copy.draw(batch).unwrap());
            if loss == LossKind::WganGp {
                given.insert(format!("t.{i}"), copy.fractions(batch).unwrap());
            }
            given.insert(format!("zg.{i}"), copy.draw(batch).unwrap());
            if let Some(labels) = batches.labels(i).unwrap() {
                given.insert(format!("yd.{i}"), labels);
            }
            if let Some(labels) = copy.labels(drawn.as_ref(), batch).unwrap() {
                given.insert(format!("yg.{i}"), labels);
            }
            let figures = gan.step(i, &mut batches, &mut training).unwrap();
            given.insert(format!("losses.{i}"), figures);
        }
        checkpoint::write_tensors(&dir.path().join("given.safetensors"), &given).unwrap();
        write("end", &gan);
        let classes = classes.unwrap_or(0);
        tasks.push(format!("steps {} {net} {classes} {loss} {count} {r1}", dir.path().display()));
        folders.push(dir);
    }
    check(&python, &tasks);
}

#[test]
fn adam_follows_pytorchs() {
    let Some(python) = python() else { return };
    const STEPS: usize = 25;
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::from_seed(2);
    let mut random = |shape: &[i64], scale: f32| {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..count).map(|_| scale * rng.normal()).collect();
        Tensor::from_slice(&values).view(shape)
    };
    // The last is large enough to be updated in pieces.
    let shapes: [(&str, &[i64]); 3] = [("a", &[7]), ("b", &[3, 4, 2, 2]), ("c", &[300, 500])];
    let mut file = Tensors::new();
    let mut parameters = Vec::new();
    for (name, shape) in shapes {
        let value = random(shape, 0.1);
        file.insert(format!("start.{name}"), value.copy());
        parameters.push((name.to_owned(), value));
    }
    let options = AdamOptions { lr: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let mut adam = Adam::new(parameters, options).unwrap();
    for i in 0..STEPS {
        let mut gradients = Vec::new();
        for (k, (name, shape)) in shapes.into_iter().enumerate() {
            let gradient = random(shape, [1e-6, 1.0, 1e-2][k]);
            file.insert(format!("gradient.{name}.{i}"), gradient.copy());
            gradients.push(gradient);
        }
        adam.step(&gradients).unwrap();
        for ((name, _), value) in shapes.into_iter().zip(adam.parameters()) {
            file.insert(format!("value.{name}.{i}"), value.copy());
        }
    }
    for (name, tensor) in adam.state("state.") {
        file.insert(name, tensor);
    }
    checkpoint::write_tensors(&dir.path().join("adam.safetensors"), &file).unwrap();
    assert_eq!(file["value.a.0"].kind(), Kind::Float);
    check(&python, &[format!("adam {} {STEPS}", dir.path().display())]);
}
