//! The figures beside those of numpy.
//!
//! Needs the Python of `cargo xtask setup` (or `LATENT_PYTHON`).

use std::path::Path;
use std::process::Command;

use latent_files::npy;
use latent_quality::{Classes, Gaussian, KernelDistance, Neighborhoods, Vectors};
use latent_runtime::rng::Rng;
use latent_test_support::python;

#[test]
fn figures_are_those_of_numpy() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (count, dimension, classes) = (2500, 12, 4);
    let mut rng = Rng::from_seed(9);
    // Features that depend on each other, of which the second set is moved and narrower; none below 0, as behind a ReLU.
    let mut features = |narrow: f32, moved: f32| -> Vec<f32> {
        let mut all = Vec::new();
        for _ in 0..count {
            let shared = rng.normal();
            all.extend(
                (0..dimension).map(|at| (narrow * rng.normal() + 0.3 * at as f32 * shared + moved).max(0.0)),
            );
        }
        all
    };
    let (real, generated) = (features(1.0, 0.5), features(0.8, 0.7));
    let probabilities: Vec<f32> = (0..count)
        .flat_map(|_| {
            let scores: Vec<f32> = (0..classes).map(|_| (3.0 * rng.normal()).exp()).collect();
            let sum: f32 = scores.iter().sum();
            scores.into_iter().map(move |score| score / sum)
        })
        .collect();
    let expected = [0.4f32, 0.3, 0.2, 0.1];
    for (name, values, shape) in [
        ("real", &real[..], vec![count, dimension]),
        ("generated", &generated, vec![count, dimension]),
        ("probabilities", &probabilities, vec![count, classes]),
        ("expected", &expected, vec![classes]),
    ] {
        let file = folder.path().join(name).with_extension("npy");
        std::fs::write(&file, npy::encode(&file, &shape, values)).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/figures.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let of_python = |name: &str| -> f64 {
        let rest = text.split(&format!("\"{name}\": ")).nth(1).unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    };

    let gaussian = |values: &[f32]| {
        Gaussian::of(&values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), dimension)
    };
    let [a, b] = [&real, &generated].map(|values| Vectors::new(values, dimension));
    let kernel = KernelDistance::between(a, b).unwrap();
    let [near_a, near_b] = [a, b].map(|vectors| Neighborhoods::new(vectors, 5).unwrap());
    let manifold = near_a.manifold(&near_b);
    let classes = Classes::of(&probabilities, &expected.map(f64::from)).unwrap();
    for (name, found) in [
        ("frechet", gaussian(&real).distance(&gaussian(&generated))),
        ("kid", kernel.mean),
        ("kid_deviation", kernel.deviation),
        ("precision", manifold.precision),
        ("recall", manifold.recall),
        ("density", manifold.density),
        ("coverage", manifold.coverage),
        ("score", classes.score),
        ("divergence", classes.divergence),
        ("confident", classes.confident),
    ] {
        let expected = of_python(name);
        assert!(
            (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{name}: {found}, expected {expected}"
        );
    }
}
