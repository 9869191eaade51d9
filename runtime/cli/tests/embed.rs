//! `runtime embed`, `search` and `knn` as a user calls them, with an encoder whose embedding is the mean color.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use latent_runtime::format::{Builder, Element, ModelInfo, ModelKind};
use latent_runtime::gallery::{GalleryView, Storage};
use latent_runtime::pixels::ValueRange;
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

fn runtime(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runtime")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = runtime(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str], code: i32, message: &str) {
    let output = runtime(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(error.contains(message) && !error.contains("panicked"), "{arguments:?}: {error}");
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(folder, &[arguments, &["--json"]].concat())).unwrap()
}

/// Packs the encoder: the mean of each channel, of images of 8 x 8 pixels.
fn encoder(kind: ModelKind, metadata: &[(&str, &str)]) -> Vec<u8> {
    let info = ModelInfo {
        kind,
        range: Some(ValueRange::UNIT),
        metadata: metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        ..ModelInfo::default()
    };
    let mut builder = Builder::new(info);
    let image = builder.input("image", &[3, 8, 8], Element::F32).unwrap();
    let mean = builder.global_average_pool("mean", image, Element::F32).unwrap();
    builder.output(mean, "features", &[3]).unwrap();
    builder.finish().unwrap()
}

/// Red, green and blue images in folders of that name, for a bank (PNG) and for queries (JPEG, and of other sizes), and the
/// encoder in `m.lat`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.lat"), encoder(ModelKind::Encoder, &[])).unwrap();
    for (class, channel) in [("red", 0), ("green", 1), ("blue", 2)] {
        for (part, extension) in [("bank", "png"), ("queries", "jpg")] {
            let inside = folder.path().join(part).join(class);
            fs::create_dir_all(&inside).unwrap();
            for index in 0..4u8 {
                let mut color = [20 + 10 * index, 40, 30];
                color[channel] = 200 + 10 * index;
                let side = if part == "bank" { 8 } else { 8 * (1 + u32::from(index)) };
                let image = RgbImage::from_pixel(side, side, Rgb(color));
                image.save(inside.join(format!("{index}.{extension}"))).unwrap();
            }
        }
    }
    folder
}

#[test]
fn images_become_embeddings() {
    let folder = folder();
    let folder = folder.path();
    // Printed: the mean color.
    let csv = succeeds(folder, &["embed", "m.lat", "bank/green"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("image,label,0,1,2", 5));
    let fields: Vec<&str> = lines[2].split(',').collect();
    assert_eq!((fields[0], fields[1]), ("bank/green/1.png", "green"));
    for (field, pixel) in fields[2..].iter().zip([30.0, 210.0, 30.0]) {
        assert!((field.parse::<f32>().unwrap() - pixel / 255.0).abs() < 1e-6, "{}", lines[2]);
    }
    let report = json(folder, &["embed", "m.lat", "queries/red/3.jpg", "bank/blue"]);
    assert_eq!(
        (&report["images"], &report["backend"], &report["image"]),
        (&5.into(), &"native".into(), &"3x8x8".into())
    );
    assert_eq!(report["classes"], serde_json::json!(["blue", "red"]));
    let red = report["embeddings"][0]["values"][0].as_f64().unwrap();
    assert!((red - 230.0 / 255.0).abs() < 0.02, "{report}");

    // `run` gives the same for the same file, and says that it had another size.
    let ran = runtime(folder, &["run", "m.lat", "--input", "queries/red/3.jpg", "bank/blue/0.png", "--json"]);
    let note = String::from_utf8(ran.stderr).unwrap();
    assert!(
        note.contains("note: queries/red/3.jpg has 32 x 32 pixels; cropped and resized to the model's 8 x 8")
    );
    let ran: Value = serde_json::from_slice(&ran.stdout).unwrap();
    for at in 0..2 {
        assert_eq!(ran["results"][at]["values"], report["embeddings"][at]["values"], "{ran} {report}");
    }

    // Stored; whatever the batch and the threads, the same bytes.
    for (out, more) in [("a.safetensors", &[][..]), ("b.safetensors", &["--batch", "5", "--threads", "3"])] {
        let text = succeeds(folder, &[&["embed", "m.lat", "bank", "--out", out], more].concat());
        assert!(text.starts_with("12 images of 3x8x8, 3 classes, to embeddings of 3 values in "), "{text}");
    }
    let bytes = fs::read(folder.join("a.safetensors")).unwrap();
    assert_eq!(fs::read(folder.join("b.safetensors")).unwrap(), bytes);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("embeddings").unwrap().shape(), [12, 3]);
    let labels: Vec<i64> =
        file.tensor("labels").unwrap().data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect();
    assert_eq!(labels, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    let said = SafeTensors::read_metadata(&bytes).unwrap().1;
    let said: Value = serde_json::from_str(&said.metadata().as_ref().unwrap()["latent"]).unwrap();
    assert_eq!((&said["model"], &said["names"][11]), (&"m.lat".into(), &"bank/red/3.png".into()));
    succeeds(folder, &["embed", "m.lat", "bank", "--out", "a.gallery", "--store", "i8"]);
    let bytes = fs::read(folder.join("a.gallery")).unwrap();
    let gallery = GalleryView::from_bytes(&bytes).unwrap();
    assert_eq!((gallery.len(), gallery.dimension(), gallery.storage()), (12, 3, Storage::I8));
}

#[test]
fn a_model_may_leave_the_normalization_to_its_caller() {
    let folder = folder();
    let folder = folder.path();
    let keys = [("latent.normalize.mean", "0.5,0.25,0"), ("latent.normalize.std", "0.5,0.25,2")];
    fs::write(folder.join("n.lat"), encoder(ModelKind::Encoder, &keys)).unwrap();
    let values = |model: &str| -> Vec<f64> {
        let report = json(folder, &["embed", model, "bank/red/0.png"]);
        let values = report["embeddings"][0]["values"].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (plain, normalized) = (values("m.lat"), values("n.lat"));
    let expected = [(plain[0] - 0.5) / 0.5, (plain[1] - 0.25) / 0.25, plain[2] / 2.0];
    assert!(
        normalized.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
        "{normalized:?} {expected:?}"
    );
}

#[test]
fn neighbors_are_found_and_classes_told() {
    let folder = folder();
    let folder = folder.path();
    succeeds(folder, &["embed", "m.lat", "bank", "--out", "bank.safetensors"]);
    succeeds(folder, &["embed", "m.lat", "queries", "--out", "queries.safetensors"]);

    let search =
        ["search", "bank.safetensors", "queries/blue/2.jpg", "bank/red/1.png", "--model", "m.lat", "-k", "3"];
    let text = succeeds(folder, &[&search[..], &["--temperature", "0.05", "--out", "found.png"]].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("queries/blue/2.jpg: blue 1.00"), "{text}");
    assert!(lines[1].trim().ends_with("bank/blue/2.png"), "{text}");
    // An image is nearest to itself.
    let itself: Vec<&str> = lines[6].split_whitespace().collect();
    assert_eq!(itself, ["1", "1.0000", "red", "bank/red/1.png"]);
    // The picture: two rows of four images of 8 x 8, twice as large, two pixels apart; the first is the query.
    let picture = image::open(folder.join("found.png")).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (4 * 16 + 3 * 2, 2 * 16 + 2));
    assert_eq!(picture.get_pixel(1, 19), &Rgb([210, 40, 30]));
    assert_eq!(picture.get_pixel(19, 19), &Rgb([210, 40, 30]));

    let report = json(folder, &search);
    let found = &report["results"][0];
    assert_eq!((&found["class"], &found["neighbors"][0]["class"]), (&"blue".into(), &"blue".into()));
    assert_eq!(found["neighbors"].as_array().unwrap().len(), 3);

    for store in ["f32", "i8"] {
        let report =
            json(folder, &["knn", "bank.safetensors", "queries.safetensors", "-k", "4", "--store", store]);
        assert_eq!((&report["top1"], &report["top5"]), (&100.0.into(), &100.0.into()), "{report}");
        assert_eq!(report["classes"][1]["queries"], 4);
    }
    // When all vote alike the nearest decides; whatever the threads.
    let knn = ["knn", "bank.safetensors", "queries.safetensors", "--temperature", "1e9", "--threads"];
    let [one, three] = ["1", "3"].map(|threads| json(folder, &[&knn[..], &[threads]].concat()));
    assert_eq!(one, three);
    assert_eq!(one["top1"], 100.0);
    let text = succeeds(folder, &["knn", "bank.safetensors", "queries.safetensors", "-k", "1"]);
    assert!(text.contains("12 queries among 12") && text.contains("100.00"), "{text}");
}

#[test]
fn what_cannot_be_done_is_explained() {
    let folder = folder();
    let folder = folder.path();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    succeeds(folder, &["embed", "m.lat", "bank", "--out", "bank.safetensors"]);
    write("d.lat", &encoder(ModelKind::Discriminator, &[]));
    write("x.lat", &encoder(ModelKind::Encoder, &[("latent.normalize.mean", "1")]));
    write("there.csv", b"precious");
    let jpeg = fs::read(folder.join("queries/red/3.jpg")).unwrap();
    write("bank/green/cut.jpg", &jpeg[..jpeg.len() - 20]);
    write("text.png", b"no picture");
    write("bank.txt.safetensors", b"no embeddings");
    fs::create_dir(folder.join("empty")).unwrap();
    RgbImage::new(8, 8).save(folder.join("black.png")).unwrap();
    let search = |arguments: &[&'static str]| [&["search", "bank.safetensors"], arguments].concat();
    let cases: &[(Vec<&str>, i32, &str)] = &[
        (vec!["embed", "m.lat"], 2, "IMAGE"),
        (vec!["embed", "none.lat", "bank/red"], 1, "none.lat"),
        (vec!["embed", "m.lat", "none"], 1, "none: cannot be read: No such file"),
        (vec!["embed", "m.lat", "empty"], 1, "empty: no pictures: no PNG or JPEG file"),
        (
            vec!["embed", "m.lat", "text.png"],
            1,
            "text.png: at byte 0: found the bytes 6e 6f 20 70, expected a PNG (89 50 4e 47) or JPEG (ff d8) image",
        ),
        (vec!["embed", "m.lat", "bank"], 1, "cut.jpg: at byte "),
        (vec!["embed", "d.lat", "bank/red"], 1, "d.lat gives no embeddings: it is a discriminator"),
        (
            vec!["embed", "x.lat", "bank/red"],
            1,
            "expected both latent.normalize.mean and latent.normalize.std, or neither",
        ),
        (vec!["embed", "m.lat", "bank/red", "--out", "there.csv"], 1, "replace it with --force"),
        (vec!["embed", "m.lat", "bank/red", "--out", "a.npz"], 1, ".safetensors, .csv, .gallery"),
        (vec!["embed", "m.lat", "bank/red", "--backend", "ort"], 1, "packed model"),
        (search(&["text.png", "--model", "m.lat"]), 1, "text.png"),
        (
            search(&["black.png", "--model", "m.lat"]),
            1,
            "the embedding of black.png: the embedding has no direction",
        ),
        (search(&["bank/red", "--model", "m.lat", "--temperature", "0"]), 1, "the temperature is 0"),
        (search(&["bank/red", "--model", "m.lat", "-k", "0"]), 2, "neighbors"),
        (search(&["bank/red"]), 2, "--model"),
        (
            vec!["search", "bank.txt.safetensors", "bank/red", "--model", "m.lat"],
            1,
            "bank.txt.safetensors as embeddings",
        ),
        (vec!["knn", "bank.safetensors", "m.lat"], 1, "m.lat as embeddings"),
    ];
    for (arguments, code, message) in cases {
        fails(folder, arguments, *code, message);
    }
    assert_eq!(fs::read(folder.join("there.csv")).unwrap(), b"precious");
    // What cannot be read is left out on request, and told of.
    let output = runtime(folder, &["embed", "m.lat", "bank", "--skip-unreadable", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["images"], &report["skipped"]), (&12.into(), &1.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut.jpg"));
    // Queries of a class that the bank does not have.
    succeeds(folder, &["embed", "m.lat", "black.png", "bank/red/0.png", "--out", "q.safetensors"]);
    fails(folder, &["knn", "bank.safetensors", "q.safetensors"], 1, "of which bank.safetensors has none");
}
