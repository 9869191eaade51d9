//! Holds the contrastive loss and the augmentation against PyTorch and torchvision, through the Python of `cargo xtask setup`.
//! Without it the tests say so and pass.

mod support;

use std::path::Path;

use latent_runtime::rng::Rng;
use latent_test_support::python;
use latent_trainer::checkpoint::{self, Tensors};
use latent_trainer::data::{DataSpec, Dataset, LoadOptions, Split};
use latent_trainer::simclr::augment::{
    AugmentSettings, CropBox, DeviceRenderer, Jitter, JitterStep, Normalization, Renderer, ViewParameters,
    view_rng,
};
use latent_trainer::simclr::loss::{nt_xent, nt_xent_naive};
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// Runs the script for one task on a file of tensors.
fn check(python: &Path, task: &str, tensors: &Tensors) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("given.safetensors");
    checkpoint::write_tensors(&file, tensors).unwrap();
    support::check(python, "simclr_pytorch.py", [task.as_ref(), file.as_os_str()]);
}

#[test]
fn the_loss_and_its_gradients_are_pytorchs() {
    let Some(python) = python() else { return };
    let mut rng = Rng::from_seed(17);
    let mut given = Tensors::new();
    for (case, n, d, tau, copies) in [
        ("a", 9, 16, 0.5, false),
        ("b", 12, 128, 0.05, false),
        ("c", 3, 2, 1.5, false),
        ("d", 6, 8, 0.1, true),
    ] {
        let mut random = || {
            let values: Vec<f64> = (0..n * d).map(|_| f64::from(rng.normal())).collect();
            Tensor::from_slice(&values).view([n, d])
        };
        let z1 = random();
        // Some vectors occur twice, within a view and in both.
        let z2 = if copies { Tensor::cat(&[z1.narrow(0, 0, 3), z1.narrow(0, 0, 3)], 0) } else { random() };
        // Doubles are written as the integers of their bits.
        let mut put = |name: &str, tensor: Tensor| {
            let double = tensor.kind() == Kind::Double;
            let tensor = if double { tensor.view_dtype(Kind::Int64) } else { tensor };
            given.insert(format!("{case}.{name}"), tensor);
        };
        put("tau", Tensor::from_slice(&[tau]));
        put("naive", nt_xent_naive(&z1, &z2, tau).unwrap().view(1));
        for (suffix, kind) in [("", Kind::Double), (".single", Kind::Float)] {
            let a = z1.to_kind(kind).copy().set_requires_grad(true);
            let b = z2.to_kind(kind).copy().set_requires_grad(true);
            let loss = nt_xent(&a, &b, tau).unwrap();
            let gradients = Tensor::run_backward(&[&loss], &[&a, &b], false, false);
            put(if suffix.is_empty() { "fast" } else { "single" }, loss.detach().view(1));
            for (name, gradient) in ["d1", "d2"].into_iter().zip(gradients) {
                put(&format!("{name}{suffix}"), gradient);
            }
        }
        put("z1", z1);
        put("z2", z2);
    }
    check(&python, "loss", &given);
}

fn objects(count: usize, resize: Option<(usize, usize)>) -> Dataset {
    let spec: DataSpec = format!("synth-objects:{count}").parse().unwrap();
    spec.load(Split::Train, &LoadOptions { resize, ..LoadOptions::default() }).unwrap()
}

#[test]
fn views_are_torchvisions() {
    let Some(python) = python() else { return };
    use JitterStep::{Brightness, Contrast, Hue, Saturation};
    let by = Normalization::CIFAR10;
    let (mut given, mut told) = (Tensors::new(), Vec::new());
    let crop = |top, left, height, width| CropBox { top, left, height, width };
    // One step at a time and at the ends of its range, then whole views as they are drawn.
    let whole = ViewParameters::whole(32, 32);
    let none = Jitter {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
        order: [Brightness, Contrast, Saturation, Hue],
    };
    let jitter = |jitter| ViewParameters { jitter: Some(jitter), ..whole };
    let mut explicit = vec![
        whole,
        ViewParameters { flip: true, ..whole },
        ViewParameters { grayscale: true, ..whole },
        ViewParameters { crop: crop(5, 9, 20, 11), ..whole },
        ViewParameters { crop: crop(0, 31, 32, 1), flip: true, ..whole },
        ViewParameters { crop: crop(31, 0, 1, 1), ..whole },
    ];
    for factor in [0.0, 0.6, 1.4] {
        explicit.push(jitter(Jitter { brightness: factor, ..none }));
        explicit.push(jitter(Jitter { contrast: factor, ..none }));
        explicit.push(jitter(Jitter { saturation: factor, ..none }));
    }
    explicit.extend([-0.5, -0.1, 0.04, 0.1, 0.5].map(|hue| jitter(Jitter { hue, ..none })));
    let (square, large) = (objects(8, None), objects(8, Some((70, 45))));
    for (name, data, size, parameters) in [
        ("square", &square, 32, explicit),
        ("square", &square, 32, (0..40).map(|i| draw(&square, i)).collect()),
        ("large", &large, 32, (0..20).map(|i| draw(&large, i)).collect()),
        ("square", &square, 48, (0..10).map(|i| draw(&square, 100 + i)).collect()),
    ] {
        let images: Vec<u32> = (0..parameters.len() as u32).map(|i| i % 8).collect();
        let settings = AugmentSettings { size, ..AugmentSettings::REFERENCE };
        let renderer = Renderer::new(data, settings, by).unwrap();
        let mut views = vec![0f32; images.len() * renderer.view_len()];
        renderer.render(&images, &parameters, &mut views).unwrap();
        let on_tensors = DeviceRenderer::new(data, &settings, by, Device::Cpu)
            .unwrap()
            .render(&images, &parameters)
            .unwrap();
        for (i, p) in parameters.iter().enumerate() {
            let steps = p.jitter.map_or(Vec::new(), |j| {
                let amount = |step| match step {
                    Brightness => j.brightness,
                    Contrast => j.contrast,
                    Saturation => j.saturation,
                    Hue => j.hue,
                };
                j.order.map(|step| json!([format!("{step:?}"), amount(step)])).to_vec()
            });
            let view = format!("view.{}", told.len());
            let image = format!("{name}.{}", images[i]);
            let side = size as i64;
            let values = &views[i * renderer.view_len()..][..renderer.view_len()];
            given.insert(view.clone(), Tensor::from_slice(values).view([3, side, side]));
            given.insert(format!("{view}.device"), on_tensors.get(i as i64).contiguous());
            let pixels = Tensor::from_slice(data.image(images[i] as usize)).to_kind(Kind::Float);
            given.insert(image.clone(), pixels.view([3, data.height as i64, data.width as i64]));
            let CropBox { top, left, height, width } = p.crop;
            told.push(json!({
                "image": image, "view": view, "size": size, "crop": [top, left, height, width],
                "flip": p.flip, "jitter": steps, "grayscale": p.grayscale,
            }));
        }
    }
    let told = json!({ "views": told, "mean": by.mean, "std": by.std }).to_string();
    let bytes: Vec<i64> = told.bytes().map(i64::from).collect();
    given.insert("parameters".to_owned(), Tensor::from_slice(&bytes));
    check(&python, "views", &given);
}

fn draw(data: &Dataset, image: u32) -> ViewParameters {
    AugmentSettings::REFERENCE.draw(&mut view_rng(4, 2, image, 0), data.height, data.width)
}

#[test]
fn parts_are_drawn_as_torchvision_draws_them() {
    let Some(python) = python() else { return };
    let mut given = Tensors::new();
    for (height, width, scale) in [(32, 32, [0.08, 1.0]), (32, 32, [0.2, 1.0]), (20, 60, [0.08, 1.0])] {
        let settings = AugmentSettings { scale, ..AugmentSettings::REFERENCE };
        let mut values = Vec::new();
        for image in 0..20_000 {
            let crop = settings.draw(&mut view_rng(1, 0, image, 0), height, width).crop;
            values.extend([crop.top, crop.left, crop.height, crop.width].map(|v| v as i64));
        }
        let name = format!("{height} {width} {} {}", scale[0], scale[1]);
        given.insert(name, Tensor::from_slice(&values).view([-1, 4]));
    }
    check(&python, "crops", &given);
}
