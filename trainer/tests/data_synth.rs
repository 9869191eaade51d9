//! The drawn data sets: the same bytes everywhere, and what they promise about balance and variety.

use latent_trainer::data::stats::stats;
use latent_trainer::data::{DataSpec, Dataset, LoadOptions, Split};

fn load(spec: &str, split: Split, seed: u64) -> Dataset {
    spec.parse::<DataSpec>().unwrap().load(split, &LoadOptions { seed, ..LoadOptions::default() }).unwrap()
}

/// Whoever changes how images are drawn changes these on purpose.
#[test]
fn golden_hashes() {
    for (spec, split, seed, expected) in [
        (
            "synth-digits:500",
            Split::Train,
            0,
            "69780b8f1e9f6983ae2da16951df55c6c7e42f3018db7b72722f58c192df5068",
        ),
        (
            "synth-digits:500",
            Split::Test,
            7,
            "5dbbf8bce67a1b1e55c4b2689d1e360a95d2da7bb05901a4e38bf41b3a7a5e72",
        ),
        (
            "synth-objects:200",
            Split::Train,
            0,
            "f06f921d3b173d66fb5c97850e5713e44742fa94c043b9e77af688e829c5835d",
        ),
        (
            "synth-objects:200",
            Split::Test,
            7,
            "1e838af794d10740b26bdcf9908d8cded7e35e70b1612411e1a5d4e551213f72",
        ),
    ] {
        assert_eq!(stats(&load(spec, split, seed)).sha256, expected, "{spec}, {split}, seed {seed}");
    }
}

#[test]
fn images_depend_on_nothing_but_seed_split_and_index() {
    for spec in ["synth-digits", "synth-objects"] {
        let all = load(&format!("{spec}:120"), Split::Train, 3);
        let few = load(&format!("{spec}:40"), Split::Train, 3);
        assert_eq!(
            all.pixels[..few.pixels.len()],
            few.pixels,
            "{spec}: a smaller set is the start of a larger one"
        );
        assert_eq!(all.labels[..40], few.labels);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(
                pool.install(|| load(&format!("{spec}:120"), Split::Train, 3)),
                all,
                "{spec}, {threads} threads"
            );
        }
        let test = load(&format!("{spec}:120"), Split::Test, 3);
        let other = load(&format!("{spec}:120"), Split::Train, 4);
        for i in 0..120 {
            assert_ne!(all.image(i), test.image(i), "{spec}: image {i} is in both splits");
            assert_ne!(all.image(i), other.image(i), "{spec}: image {i} is the same for another seed");
        }
    }
}

#[test]
fn counts_and_classes() {
    for (spec, shape) in [("synth-digits:3000", [1, 28, 28]), ("synth-objects:3000", [3, 32, 32])] {
        let data = load(spec, Split::Train, 0);
        let figures = stats(&data);
        assert_eq!((figures.images, figures.shape), (3000, shape));
        assert_eq!(figures.classes.len(), 10);
        // Three standard deviations of a binomial are 49.
        assert!(figures.classes.iter().all(|c| (250..350).contains(&c.images)), "{:?}", figures.classes);
        assert_eq!(load(spec, Split::Test, 0).len(), 3000);
        // No two images are alike.
        let mut images: Vec<&[u8]> = (0..data.len()).map(|i| data.image(i)).collect();
        images.sort();
        images.dedup();
        assert_eq!(images.len(), 3000);
    }
}

/// Digits are made as MNIST's are: ink, size and place agree with the figures of the real set.
#[test]
fn digits_sit_like_mnist() {
    let data = load("synth-digits:2000", Split::Train, 0);
    let figures = stats(&data);
    assert!((figures.mean[0] - 0.1307).abs() < 0.012, "mean {}", figures.mean[0]);
    assert!((figures.std[0] - 0.3081).abs() < 0.015, "std {}", figures.std[0]);
    for i in 0..data.len() {
        let image = data.image(i);
        let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
        for (p, &v) in image.iter().enumerate() {
            mass += f64::from(v);
            x += f64::from(v) * ((p % 28) as f64 + 0.5);
            y += f64::from(v) * ((p / 28) as f64 + 0.5);
        }
        let (x, y) = (x / mass - 14.0, y / mass - 14.0);
        assert!(x.abs() < 1.6 && y.abs() < 1.6, "image {i}: center of mass {x:.2} {y:.2} from the middle");
        assert!(*image.iter().max().unwrap() > 150, "image {i} has no ink");
        let rows = (0..28).filter(|r| image[r * 28..(r + 1) * 28].iter().any(|&v| v > 64)).count();
        let columns = (0..28).filter(|c| (0..28).any(|r| image[r * 28 + c] > 64)).count();
        assert!((17..=22).contains(&rows.max(columns)), "image {i}: {rows} rows, {columns} columns");
    }
}
