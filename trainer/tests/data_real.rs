//! The loaders on real data, where it is at hand: env `LATENT_TEST_DATA`, else `../shared/data` beside the workspace.

use latent_test_support::data;
use latent_trainer::data::stats::stats;
use latent_trainer::data::{DataSpec, Dataset, LoadOptions, Split, idx};
use sha2::{Digest, Sha256};

fn load(spec: &str, split: Split) -> Dataset {
    spec.parse::<DataSpec>()
        .unwrap()
        .load(split, &LoadOptions::default())
        .unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|p| hash.update(p));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn mnist() {
    let Some(folder) = data("mnist") else { return };
    // The header and the body together are the decompressed file, whose SHA-256 is known (REFERENCE.md, section 3).
    let header = |values: &[u32]| values.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
    for (split, count, images_hash, labels_hash) in [
        (
            Split::Train,
            60_000,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            Split::Test,
            10_000,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ] {
        let images = load(&format!("mnist:{}", folder.display()), split);
        assert_eq!((images.len(), images.channels, images.height, images.width), (count as usize, 1, 28, 28));
        assert_eq!(sha256(&[&header(&[2051, count, 28, 28]), &images.pixels]), images_hash);
        let labels: Vec<u8> = images.labels.iter().map(|&l| l as u8).collect();
        assert_eq!(sha256(&[&header(&[2049, count]), &labels]), labels_hash);
    }
    // The first training images are a 5, a 0, a 4.
    let labels = idx::read_labels(&folder.join("train-labels-idx1-ubyte.gz"), 10).unwrap();
    assert_eq!(labels[..3], [5, 0, 4]);
}

#[test]
fn cifar10_binary() {
    let Some(folder) = data("cifar10") else { return };
    let spec = format!("cifar10:{}", folder.display());
    let train = load(&spec, Split::Train);
    assert_eq!((train.len(), train.channels, train.height, train.width), (5170, 3, 32, 32));
    assert_eq!(train.class_names[0], "airplane");
    // The moments that everybody normalizes by (REFERENCE.md, section 2), as far as a tenth of the images has them.
    let figures = stats(&train);
    for (found, expected) in figures.mean.iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((found - expected).abs() < 0.01, "{found} against {expected}");
    }
    assert_eq!(load(&spec, Split::Test).len(), 1017);
}

#[test]
fn cifar10_as_pictures() {
    let Some(folder) = data("cifar10") else { return };
    let spec = format!("folder:{}", folder.join("cifar10-images.tar.gz").display());
    let test = load(&spec, Split::Test);
    assert_eq!((test.len(), test.channels, test.height, test.width), (10_000, 3, 32, 32));
    let figures = stats(&test);
    assert!(figures.classes.iter().all(|c| c.images == 1000), "{:?}", figures.classes);
    assert_eq!(test.class_names[..2], ["airplane", "automobile"]);
    assert_eq!((test.labels[0], test.labels[9_999]), (0, 9));
}
