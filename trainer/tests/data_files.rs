//! The loaders on good files, on every kind of bad file, and on random damage.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use latent_runtime::rng::Rng;
use latent_trainer::data::{DataError, DataSpec, Dataset, LoadOptions, Split, cifar, folder, idx};
use tempfile::TempDir;

const PLAIN: LoadOptions = LoadOptions { resize: None, gray: false, seed: 0 };

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images_file(count: u32, rows: u32, columns: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [2051, count, rows, columns].iter().flat_map(|v: &u32| v.to_be_bytes()).collect();
    bytes.extend((0..count * rows * columns).map(|i| (i * 7) as u8));
    bytes
}

fn labels_file(labels: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [2049, labels.len() as u32].iter().flat_map(|v| v.to_be_bytes()).collect();
    bytes.extend(labels);
    bytes
}

fn cifar_file(records: usize) -> Vec<u8> {
    (0..records)
        .flat_map(|i| [(i % 10) as u8].into_iter().chain((0..3072).map(move |p| (p + i) as u8)))
        .collect()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn color(width: u32, height: u32, seed: u8) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([seed, (x * 255 / width) as u8, (y * 255 / height) as u8])
    }))
}

fn gray(width: u32, height: u32, seed: u8) -> DynamicImage {
    DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| {
        image::Luma([(x * 9 + y * 5) as u8 ^ seed])
    }))
}

fn png_file(image: &DynamicImage) -> Vec<u8> {
    encode(image, ImageFormat::Png)
}

fn tar_file(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Runs every case, and reports all that fail: the message must have all the parts.
fn expect_errors(cases: Vec<(&str, Result<(), DataError>, Vec<String>)>) {
    let mut failures = Vec::new();
    for (case, outcome, parts) in cases {
        match outcome {
            Ok(()) => failures.push(format!("{case}: was accepted")),
            Err(e) => {
                let text = e.to_string();
                for part in parts {
                    if !text.contains(&part) {
                        failures.push(format!("{case}: {part:?} is not in {text:?}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn strings(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|&p| p.to_owned()).collect()
}

#[test]
fn idx_names_and_compression() {
    let images = images_file(6, 3, 4);
    let labels = labels_file(&[0, 1, 2, 3, 4, 9]);
    let names = [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", false),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", false),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", true),
        ("train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte.gz", true),
        ("raw/train-images-idx3-ubyte.gz", "raw/train-labels-idx1-ubyte.gz", true),
        // Unpacked on the way, but with its old name.
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", false),
    ];
    for (images_name, labels_name, gzipped) in names {
        let dir = TempDir::new().unwrap();
        let pack = |bytes: &[u8]| if gzipped { gz(bytes) } else { bytes.to_vec() };
        write(dir.path(), images_name, &pack(&images));
        write(dir.path(), labels_name, &pack(&labels));
        let spec: DataSpec = format!("mnist:{}", dir.path().display()).parse().unwrap();
        let data = spec.load(Split::Train, &PLAIN).unwrap_or_else(|e| panic!("{images_name}: {e}"));
        assert_eq!((data.len(), data.channels, data.height, data.width), (6, 1, 3, 4), "{images_name}");
        assert_eq!(data.labels, [0, 1, 2, 3, 4, 9]);
        assert_eq!(data.pixels, images[16..]);
        assert_eq!(data.source, spec.to_string());
        assert_eq!(data.image(1), &images[28..40]);
    }
}

#[test]
fn bad_idx_files() {
    let images = images_file(6, 3, 4);
    let labels = labels_file(&[0, 1, 2, 3, 4, 9]);
    let with = |bytes: &[u8], at: usize, value: u32| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    };
    let packed = gz(&images);
    let cut = packed[..packed.len() - 12].to_vec();
    let mut broken = packed.clone();
    // The checksum.
    broken[packed.len() - 6] ^= 0x5a;
    let mut packed_tail = packed.clone();
    packed_tail.extend(b"tail");
    let extra = [&images[..], &[0]].concat();
    /// Case, images, labels, parts of the message.
    type Case = (&'static str, Vec<u8>, Vec<u8>, Vec<&'static str>);
    let table: Vec<Case> = vec![
        ("empty", vec![], labels.clone(), vec!["train-images", "byte 0", "end of the file", "2051"]),
        ("cut in the header", images[..6].to_vec(), labels.clone(), vec!["byte 6", "number of images"]),
        (
            "cut in the pixels",
            images[..50].to_vec(),
            labels.clone(),
            vec!["byte 50", "6 images of 3x4", "byte 88"],
        ),
        ("too long", extra, labels.clone(), vec!["byte 88", "more bytes"]),
        ("wrong magic", with(&images, 0, 2052), labels.clone(), vec!["byte 0", "2052", "2051"]),
        ("labels as images", labels.clone(), labels.clone(), vec!["byte 0", "2049", "labels", "2051"]),
        ("images as labels", images.clone(), images.clone(), vec!["train-labels", "byte 0", "2051", "2049"]),
        ("no images", with(&images, 4, 0), labels.clone(), vec!["byte 4", "0 images", "at least 1"]),
        ("no rows", with(&images, 8, 0), labels.clone(), vec!["byte 8", "0 rows"]),
        ("absurd columns", with(&images, 12, 1 << 30), labels.clone(), vec!["byte 12", "1073741824 columns"]),
        (
            "absurd count",
            with(&images, 4, u32::MAX),
            labels.clone(),
            vec!["byte 88", "end of the file", "4294967295"],
        ),
        (
            "absurd count, gz",
            gz(&with(&images, 4, u32::MAX)),
            labels.clone(),
            vec!["gzip file that holds at most"],
        ),
        (
            "counts disagree",
            images.clone(),
            labels_file(&[0, 1, 2]),
            vec!["train-labels", "byte 4", "3 labels", "6, one"],
        ),
        (
            "label out of range",
            images.clone(),
            labels_file(&[0, 1, 2, 10, 4, 5]),
            vec!["byte 11", "label 10", "0 to 9"],
        ),
        ("labels cut", images.clone(), labels[..10].to_vec(), vec!["train-labels", "byte 10", "6 labels"]),
        (
            "labels too long",
            images.clone(),
            [&labels[..], &[1]].concat(),
            vec!["train-labels", "byte 14", "more bytes"],
        ),
        ("gz cut", cut, labels.clone(), vec!["train-images", "byte", "compressed data"]),
        ("gz damaged", broken, labels.clone(), vec!["train-images", "byte", "gzip stream"]),
        ("gz with a tail", packed_tail, labels.clone(), vec!["train-images", "gzip stream"]),
        (
            "plain text",
            b"<!DOCTYPE html><html>".to_vec(),
            labels.clone(),
            vec!["byte 0", "magic number 1008813135"],
        ),
    ];
    let mut cases = Vec::new();
    for (case, images, labels, parts) in table {
        let dir = TempDir::new().unwrap();
        write(dir.path(), "train-images-idx3-ubyte", &images);
        write(dir.path(), "train-labels-idx1-ubyte", &labels);
        let outcome = idx::load(dir.path(), Split::Train, "mnist", &["x"; 10]).map(drop);
        cases.push((case, outcome, strings(&parts)));
    }
    let dir = TempDir::new().unwrap();
    let load = |path: &Path| idx::load(path, Split::Test, "mnist", &["x"; 10]).map(drop);
    cases.push((
        "empty folder",
        load(dir.path()),
        strings(&["t10k-images-idx3-ubyte", "not found", "expected"]),
    ));
    cases.push(("no folder", load(&dir.path().join("none")), strings(&["none", "not found"])));
    write(dir.path(), "t10k-images-idx3-ubyte", &images);
    cases.push(("no labels", load(dir.path()), strings(&["t10k-labels-idx1-ubyte", "not found"])));
    expect_errors(cases);
}

#[test]
fn cifar_places() {
    let batches: Vec<Vec<u8>> = (1..=5).map(cifar_file).collect();
    let test = cifar_file(2);
    let meta = b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    let dir = TempDir::new().unwrap();
    let mut files: Vec<(String, Vec<u8>)> =
        batches.iter().enumerate().map(|(i, b)| (format!("data_batch_{}.bin", i + 1), b.clone())).collect();
    files.push(("test_batch.bin".to_owned(), test.clone()));
    for (name, bytes) in &files {
        write(&dir.path().join("plain"), name, bytes);
        write(&dir.path().join("outer/cifar-10-batches-bin"), name, bytes);
    }
    write(&dir.path().join("plain"), "batches.meta.txt", meta);
    let inner: Vec<(String, Vec<u8>)> =
        files.iter().rev().map(|(n, b)| (format!("cifar-10-batches-bin/{n}"), b.clone())).collect();
    let inner: Vec<(&str, &[u8])> = inner.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let archive = gz(&tar_file(&inner));
    write(dir.path(), "cifar-10-binary.tar.gz", &archive);
    write(dir.path(), "cifar-10-binary-other.tar.gz", b"not read: the official name wins");
    write(dir.path(), "any name.tar", &tar_file(&inner));
    let expected: Vec<u8> = batches.concat().chunks(3073).flat_map(|record| record[1..].to_vec()).collect();
    for place in ["plain", "outer", "", "cifar-10-binary.tar.gz", "any name.tar"] {
        let data =
            cifar::load(&dir.path().join(place), Split::Train).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!((data.len(), data.channels, data.height, data.width), (15, 3, 32, 32), "{place}");
        assert!(data.pixels == expected, "{place}: pixels differ");
        assert_eq!(data.labels[..6], [0, 0, 1, 0, 1, 2], "{place}");
        assert_eq!(data.class_names[0], if place == "plain" { "a" } else { "airplane" }, "{place}");
        assert_eq!(cifar::load(&dir.path().join(place), Split::Test).unwrap().len(), 2, "{place}");
    }
}

#[test]
fn bad_cifar_files() {
    let good = cifar_file(3);
    let mut label = good.clone();
    label[3073 * 2] = 10;
    let dir = TempDir::new().unwrap();
    let at = |case: &str, batch: &[u8]| {
        let path = dir.path().join(case);
        write(&path, "test_batch.bin", batch);
        path
    };
    let load = |path: &Path| cifar::load(path, Split::Test).map(drop);
    let archive = |case: &str, bytes: &[u8]| write(dir.path(), &format!("{case}.tar.gz"), bytes);
    let packed = gz(&tar_file(&[("x/test_batch.bin", &good)]));
    let twice = gz(&tar_file(&[("x/test_batch.bin", &good), ("y/test_batch.bin", &good)]));
    // A header that promises more than the archive can hold.
    let mut promise = tar_file(&[("test_batch.bin", &good[..3073])]);
    let mut header = tar::Header::new_gnu();
    header.set_path("test_batch.bin").unwrap();
    header.set_size(1 << 33);
    header.set_mode(0o644);
    header.set_cksum();
    promise[..512].copy_from_slice(header.as_bytes());
    let meta = dir.path().join("meta");
    write(&meta, "test_batch.bin", &good);
    write(&meta, "batches.meta.txt", b"one\ntwo\n");
    let cases = vec![
        ("empty", load(&at("empty", b"")), vec!["test_batch.bin", "byte 0", "3073"]),
        (
            "cut",
            load(&at("cut", &good[..3073 * 3 - 1])),
            vec!["test_batch.bin", "byte 9218", "3072 bytes into a record"],
        ),
        ("label", load(&at("label", &label)), vec!["test_batch.bin", "byte 6146", "label 10", "0 to 9"]),
        ("meta", load(&meta), vec!["batches.meta.txt", "2 class names", "10"]),
        (
            "missing",
            cifar::load(&at("missing", &good), Split::Train).map(drop),
            vec!["data_batch_1.bin", "not found"],
        ),
        ("no folder", load(&dir.path().join("none")), vec!["none", "not found"]),
        (
            "no batches",
            load(&{
                fs::create_dir(dir.path().join("nothing")).unwrap();
                dir.path().join("nothing")
            }),
            vec!["data_batch_1.bin", "not found"],
        ),
        ("archive cut", load(&archive("a", &packed[..packed.len() - 30])), vec!["a.tar.gz", "byte"]),
        (
            "archive without",
            load(&archive("b", &gz(&tar_file(&[("x.txt", b"x")])))),
            vec!["b.tar.gz: test_batch.bin", "folder:PATH"],
        ),
        ("archive twice", load(&archive("c", &twice)), vec!["c.tar.gz: y/test_batch.bin", "second"]),
        ("not an archive", load(&archive("d", &[b'x'; 2000])), vec!["d.tar.gz", "byte 0"]),
        ("promise", load(&archive("e", &promise)), vec!["e.tar.gz", "8589934592"]),
        ("promise, gz", load(&archive("f", &gz(&promise))), vec!["f.tar.gz", "8589934592"]),
    ];
    expect_errors(cases.into_iter().map(|(c, o, p)| (c, o, strings(&p))).collect());
}

/// Two classes, one file of each kind.
fn tree(root: &Path, prefix: &str) {
    write(root, &format!("{prefix}dog/2.png"), &png_file(&color(8, 6, 30)));
    write(root, &format!("{prefix}cat/b.JPG"), &encode(&color(8, 6, 90), ImageFormat::Jpeg));
    write(root, &format!("{prefix}cat/a.png"), &png_file(&color(8, 6, 10)));
    write(root, &format!("{prefix}dog/10.jpeg"), &encode(&color(8, 6, 50), ImageFormat::Jpeg));
}

#[test]
fn folder_layouts() {
    let dir = TempDir::new().unwrap();
    let root = |name: &str| dir.path().join(name);
    tree(&root("classes"), "");
    write(&root("classes"), "notes.txt", b"left alone");
    write(&root("classes"), "cat/.hidden.png", b"left alone");
    tree(&root("splits"), "train/");
    write(&root("splits"), "test/dog/x.png", &png_file(&color(8, 6, 77)));
    tree(&root("wrapped"), "outer/train/");
    write(&root("wrapped"), "outer/val/cat/y.png", &png_file(&color(8, 6, 77)));
    for i in 0..3 {
        write(&root("flat"), &format!("{i}.png"), &png_file(&color(8, 6, i)));
    }
    let mut files: Vec<(String, Vec<u8>)> = ["dog/2.png", "cat/b.JPG", "cat/a.png", "dog/10.jpeg"]
        .iter()
        .map(|n| (format!("./pictures/train/{n}"), fs::read(root("classes").join(n)).unwrap()))
        .collect();
    files.push(("./pictures/test/dog/x.png".to_owned(), png_file(&color(8, 6, 77))));
    files.push(("./pictures/readme.md".to_owned(), b"left alone".to_vec()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    write(dir.path(), "packed.tar.gz", &gz(&tar_file(&files)));

    let reference = folder::load(&root("classes"), Split::Train, &PLAIN).unwrap();
    assert_eq!((reference.channels, reference.height, reference.width), (3, 6, 8));
    assert_eq!(reference.class_names, ["cat", "dog"]);
    assert_eq!(reference.labels, [0, 0, 1, 1]);
    assert_eq!(reference.name, "classes");
    // a.png is exact: its red plane is constant. Files are in byte order, so 10.jpeg is before 2.png.
    assert!(reference.image(0)[..48].iter().all(|&v| v == 10));
    assert!(reference.image(3)[..48].iter().all(|&v| v == 30));
    for (place, test_label) in [("splits", 1), ("wrapped", 0), ("packed.tar.gz", 1)] {
        let data =
            folder::load(&root(place), Split::Train, &PLAIN).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(data.class_names, reference.class_names, "{place}");
        assert_eq!(data.labels, reference.labels, "{place}");
        assert!(data.pixels == reference.pixels, "{place}: pixels differ");
        let test = folder::load(&root(place), Split::Test, &PLAIN).unwrap();
        assert_eq!((test.len(), test.labels[0], test.image(0)[0]), (1, test_label, 77), "{place}");
    }
    let flat = folder::load(&root("flat"), Split::Train, &PLAIN).unwrap();
    assert_eq!((flat.len(), flat.class_names.len(), flat.image(2)[0]), (3, 1, 2));
    // By name through the data folder.
    let spec = "packed".parse::<DataSpec>().unwrap().resolve(Some(dir.path())).unwrap();
    assert_eq!(spec, DataSpec::Folder(root("packed.tar.gz")));
}

#[test]
fn gray_and_size() {
    let dir = TempDir::new().unwrap();
    for i in 0..4 {
        write(dir.path(), &format!("gray/c/{i}.png"), &png_file(&gray(8, 6, i)));
        write(
            dir.path(),
            &format!("mixed/c/{i}.png"),
            &png_file(&if i == 2 { color(8, 6, 9) } else { gray(8, 6, i) }),
        );
        write(dir.path(), &format!("sizes/c/{i}.png"), &png_file(&color(20 + 10 * u32::from(i), 20, i)));
    }
    let load =
        |name: &str, options: LoadOptions| folder::load(&dir.path().join(name), Split::Train, &options);
    let all_gray = load("gray", PLAIN).unwrap();
    assert_eq!((all_gray.channels, all_gray.pixels.len()), (1, 4 * 48));
    assert_eq!(all_gray.image(3), gray(8, 6, 3).as_bytes());
    let mixed = load("mixed", PLAIN).unwrap();
    assert_eq!(mixed.channels, 3);
    assert_eq!(mixed.image(0)[..48], mixed.image(0)[96..], "a gray image has three equal planes");
    let forced = load("mixed", LoadOptions { gray: true, ..PLAIN }).unwrap();
    assert_eq!(forced.channels, 1);
    // (9, 0, 0) is 0.299 * 9 = 2.69.
    assert_eq!(forced.image(2)[0], 3);
    let sized = load("sizes", LoadOptions { resize: Some((10, 10)), ..PLAIN }).unwrap();
    assert_eq!((sized.height, sized.width, sized.len()), (10, 10, 4));
    // The center of a wide image is kept: its green ramp is cut at both ends.
    let ramp: Vec<u8> = (0..10).map(|x| sized.image(3)[100 + x]).collect();
    assert!(ramp[0] > 70 && ramp[9] < 185 && ramp.is_sorted(), "{ramp:?}");
    expect_errors(vec![
        ("sizes", load("sizes", PLAIN).map(drop), strings(&["1.png", "30x20", "0.png", "20x20", "--resize"])),
        (
            "zero",
            load("gray", LoadOptions { resize: Some((0, 5)), ..PLAIN }).map(drop),
            strings(&["0x5", "1 to 16384"]),
        ),
        (
            "no test",
            folder::load(&dir.path().join("gray"), Split::Test, &PLAIN).map(drop),
            strings(&["gray", "test"]),
        ),
    ]);
}

#[test]
fn resize_averages_and_gray_follows_bt601() {
    let spec: DataSpec = "synth-objects:20".parse().unwrap();
    let data = spec.load(Split::Train, &PLAIN).unwrap();
    let gray = spec.load(Split::Train, &LoadOptions { gray: true, ..PLAIN }).unwrap();
    assert_eq!((gray.channels, gray.pixels.len()), (1, 20 * 1024));
    for i in [0, 500, 1023] {
        let [r, g, b] = [0, 1, 2].map(|c| f64::from(data.image(5)[c * 1024 + i]));
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        assert!((f64::from(gray.image(5)[i]) - luma).abs() < 0.51, "{luma} against {}", gray.image(5)[i]);
    }
    // A shrunk image keeps its mean, which it would not if it were only sampled.
    let small = spec.load(Split::Train, &LoadOptions { resize: Some((8, 8)), ..PLAIN }).unwrap();
    assert_eq!((small.height, small.width, small.pixels.len()), (8, 8, 20 * 192));
    let mean = |d: &Dataset| d.pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / d.pixels.len() as f64;
    assert!((mean(&small) - mean(&data)).abs() < 0.5, "{} against {}", mean(&small), mean(&data));
}

#[test]
fn bad_folders() {
    let dir = TempDir::new().unwrap();
    let good_png = png_file(&color(8, 6, 1));
    let good_jpeg = encode(&color(40, 30, 1), ImageFormat::Jpeg);
    let mut png_data = good_png.clone();
    let idat = good_png.windows(4).position(|w| w == b"IDAT").unwrap();
    png_data[idat + 6] ^= 0xff;
    // Sides of 60000 pixels in 67 bytes.
    let mut huge = good_png.clone();
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(&huge[12..29]);
        crc.sum()
    };
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    let mut huge_jpeg = good_jpeg.clone();
    let frame = good_jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    huge_jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let jpeg_end = format!("byte {}", good_jpeg.len() - 20);
    let files: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("empty.png", vec![], vec!["empty.png", "byte 0", "empty file"]),
        ("text.jpg", b"GIF89a...".to_vec(), vec!["text.jpg", "byte 0", "47 49 46 38", "PNG"]),
        ("cut.png", good_png[..good_png.len() - 15].to_vec(), vec!["cut.png", "byte", "cut off"]),
        ("cut.jpg", good_jpeg[..good_jpeg.len() - 20].to_vec(), vec!["cut.jpg", &jpeg_end, "cut off"]),
        ("stub.jpg", good_jpeg[..2].to_vec(), vec!["stub.jpg", "byte 2", "marker"]),
        ("damaged.png", png_data, vec!["damaged.png", "byte", "cannot be decoded"]),
        ("huge.png", huge, vec!["huge.png", "60000"]),
        ("huge.jpg", huge_jpeg, vec!["huge.jpg", "65535x65535"]),
        ("signature.png", good_png[..8].to_vec(), vec!["signature.png", "byte 8", "chunk"]),
    ];
    let mut cases = Vec::new();
    for (name, bytes, parts) in &files {
        let root = dir.path().join(format!("{name}-root"));
        // A good file comes first, in its class.
        write(&root, "class/0.png", &good_png);
        write(&root, &format!("class/{name}"), bytes);
        cases.push((*name, folder::load(&root, Split::Train, &PLAIN).map(drop), strings(parts)));
        let archive = gz(&tar_file(&[("class/0.png", &good_png), (&format!("class/{name}"), bytes)]));
        let path = write(dir.path(), &format!("{name}.tar.gz"), &archive);
        let mut parts = strings(parts);
        parts.push(format!("{name}.tar.gz: class/{name}"));
        cases.push((*name, folder::load(&path, Split::Train, &PLAIN).map(drop), parts));
    }
    let load = |path: &Path| folder::load(path, Split::Train, &PLAIN).map(drop);
    let make = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    cases.push(("nothing in it", load(&make("nothing")), strings(&["nothing", "no images"])));
    let empty = make("empty classes");
    fs::create_dir(empty.join("cat")).unwrap();
    cases.push(("empty classes", load(&empty), strings(&["empty classes", "no images", "root/<class>"])));
    cases.push(("no folder", load(&dir.path().join("none")), strings(&["none", "not found"])));
    let file = write(dir.path(), "file.zip", b"PK");
    cases.push(("no archive", load(&file), strings(&["file.zip", "neither"])));
    let stray = make("stray");
    write(&stray, "cat/a.png", &good_png);
    write(&stray, "b.png", &good_png);
    cases.push(("stray", load(&stray), strings(&["stray", "b.png"])));
    let outside = make("outside");
    write(&outside, "train/cat/a.png", &good_png);
    write(&outside, "dog/b.png", &good_png);
    cases.push(("outside", load(&outside), strings(&["outside", "dog/b.png", "train or test"])));
    let no_images = write(dir.path(), "texts.tar.gz", &gz(&tar_file(&[("a/b.txt", b"x")])));
    cases.push(("archive without images", load(&no_images), strings(&["texts.tar.gz", "no images"])));
    expect_errors(cases);
}

/// Random damage to every format: an error or a data set, never a panic, and never an inconsistent data set.
#[test]
fn random_damage_is_survived() {
    let dir = TempDir::new().unwrap();
    let mut rng = Rng::from_seed(7);
    let images = images_file(6, 3, 4);
    let labels = labels_file(&[0, 1, 2, 3, 4, 9]);
    let good_png = png_file(&color(8, 6, 1));
    let good_jpeg = encode(&color(24, 20, 1), ImageFormat::Jpeg);
    let tar_gz = gz(&tar_file(&[("r/cat/a.png", &good_png), ("r/dog/b.jpg", &good_jpeg)]));
    let tar = tar_file(&[("r/cat/a.png", &good_png), ("r/dog/b.jpg", &good_jpeg)]);
    let cifar = gz(&tar_file(&[("c/test_batch.bin", &cifar_file(2))]));
    let cifar_plain = tar_file(&[("c/test_batch.bin", &cifar_file(2))]);
    let originals: Vec<(&str, Vec<u8>)> = vec![
        ("t10k-images-idx3-ubyte", images.clone()),
        ("t10k-images-idx3-ubyte", gz(&images)),
        ("t10k-labels-idx1-ubyte", labels.clone()),
        ("tree/cat/a.png", good_png.clone()),
        ("tree/cat/b.jpg", good_jpeg),
        ("tree.tar.gz", tar_gz),
        ("tree.tar", tar),
        ("cifar.tar.gz", cifar),
        ("cifar.tar", cifar_plain),
    ];
    write(dir.path(), "t10k-images-idx3-ubyte", &images);
    write(dir.path(), "t10k-labels-idx1-ubyte", &labels);
    let (mut survived, mut refused) = (0, 0);
    for (name, original) in &originals {
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..1 + rng.below(4) {
                let at = rng.below(bytes.len() as u32) as usize;
                match rng.below(6) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes[at] = 0xff,
                    2 => bytes.truncate(at.max(1)),
                    3 => bytes.insert(at, rng.below(256) as u8),
                    4 => {
                        bytes.remove(at);
                    }
                    // Headers are where lengths are.
                    _ => {
                        let at = at % 24.min(bytes.len());
                        bytes[at] = rng.below(256) as u8;
                    }
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            let path = write(dir.path(), name, &bytes);
            let outcome = match *name {
                "tree/cat/a.png" | "tree/cat/b.jpg" => folder::load(
                    &dir.path().join("tree"),
                    Split::Train,
                    &LoadOptions { resize: Some((5, 5)), ..PLAIN },
                ),
                "tree.tar.gz" | "tree.tar" => {
                    folder::load(&path, Split::Train, &LoadOptions { resize: Some((5, 5)), ..PLAIN })
                }
                "cifar.tar.gz" | "cifar.tar" => cifar::load(&path, Split::Test),
                _ => idx::load(dir.path(), Split::Test, "mnist", &["x"; 10]),
            };
            match outcome {
                Ok(data) => {
                    survived += 1;
                    assert!(!data.is_empty());
                    assert_eq!(data.pixels.len(), data.len() * data.image_len());
                    assert!(data.labels.iter().all(|&l| (l as usize) < data.class_names.len()));
                }
                Err(e) => {
                    refused += 1;
                    assert!(e.to_string().contains(&dir.path().display().to_string()), "{e}");
                }
            }
        }
        write(dir.path(), name, original);
    }
    // The damage is real, and not all of it hits what matters.
    assert!(survived > 50 && refused > 500, "{survived} survived, {refused} refused");
}

#[test]
fn names_are_read_written_and_looked_up() {
    for text in [
        "mnist:/a/b",
        "fashion-mnist:x",
        "cifar10:c.tar.gz",
        "folder:with:colon",
        "synth-digits",
        "synth-digits:17",
        "synth-objects:2000000",
        "mnist",
        "photos",
    ] {
        assert_eq!(text.parse::<DataSpec>().unwrap_or_else(|e| panic!("{text}: {e}")).to_string(), text);
    }
    let parse = |text: &str| text.parse::<DataSpec>().map(drop);
    let dir = TempDir::new().unwrap();
    let lookup = |name: &str| name.parse::<DataSpec>().unwrap().resolve(Some(dir.path())).map(drop);
    let folder = dir.path().display().to_string();
    expect_errors(vec![
        ("empty", parse(""), strings(&["empty"])),
        ("no path", parse("mnist:"), strings(&["nothing follows the colon"])),
        ("unknown kind", parse("imagenet:x"), strings(&["imagenet", "cifar10:PATH"])),
        ("path", parse("./photos"), strings(&["folder:./photos"])),
        ("zero", parse("synth-digits:0"), strings(&["whole number from 1"])),
        ("too many", parse("synth-objects:99999999999"), strings(&["whole number"])),
        (
            "not there",
            lookup("mnist"),
            vec![format!("trainer data fetch mnist --data-dir {folder}"), format!("{folder}/mnist")],
        ),
        ("not there", lookup("cifar10"), strings(&["trainer data fetch cifar10", "synth-objects"])),
        ("unknown", lookup("photos"), strings(&["photos", "holds nothing", "fashion-mnist", "synth-digits"])),
    ]);
    fs::create_dir(dir.path().join("mnist")).unwrap();
    fs::create_dir(dir.path().join("photos")).unwrap();
    assert_eq!(
        "mnist".parse::<DataSpec>().unwrap().resolve(Some(dir.path())).unwrap(),
        DataSpec::Mnist(dir.path().join("mnist"))
    );
    expect_errors(vec![("unknown", lookup("pictures"), strings(&["pictures", "holds mnist, photos"]))]);
}
