//! Every program that reads pictures makes the same of them: the same pixels, the same labels, the same files left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use latent_exporter::graph::Dim;
use latent_exporter::quantize::Pictures;
use latent_files::pictures::{self, PictureFile, Skip};
use latent_runtime::format::{Activation, Builder, Element, ModelInfo, ModelKind};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::ImageShape;
use latent_runtime::pixels::ValueRange;
use latent_tests::{program, refuse, root};
use latent_trainer::data::{LoadOptions, Split, folder};
use latent_viewer::image_folder;
use serde_json::Value;

const HEIGHT: usize = 4;
const WIDTH: usize = 6;

/// What a reader makes of a folder: for each label the pixels of its pictures, planar, sorted.
type Read = BTreeMap<String, Vec<Vec<u8>>>;

/// A folder with every odd picture of the table of `latent-files`, and all that lies in folders beside pictures.
fn tree(folder: &Path) -> PathBuf {
    let (root, elsewhere) = (folder.join("root"), folder.join("elsewhere"));
    let table = latent_tests::root().join("files/tests/pictures");
    let mut count = 0;
    for entry in fs::read_dir(&table).unwrap() {
        let from = entry.unwrap().path();
        let name = from.file_name().unwrap().to_str().unwrap();
        if pictures::skip(name).is_none() {
            // In class folders, and deeper in one, and in a folder that a link leads to.
            let class = ["root/a", "root/b/inner/most", "elsewhere"][count % 3];
            let to = folder.join(class).join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, to).unwrap();
            count += 1;
        }
    }
    assert!(count > 30, "{} holds {count} pictures", table.display());
    for name in [
        "__MACOSX/a/0.png",
        ".ipynb_checkpoints/x.png",
        "a/._0.png",
        "a/.DS_Store",
        "a/Thumbs.db",
        "b/notes.txt",
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "no picture").unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(&elsewhere, root.join("c")).unwrap();
        symlink(&root, elsewhere.join("round")).unwrap();
        symlink(table.join("rgba.png"), root.join("a/link.png")).unwrap();
    }
    #[cfg(not(unix))]
    fs::rename(elsewhere, root.join("c")).unwrap();
    root
}

/// Pixels as values of this range, and nothing else.
fn encoded(range: ValueRange) -> ImageEncoding {
    ImageEncoding::stated(range)
}

/// An encoder whose embedding is the picture itself, black 0 and white 1.
fn identity(folder: &Path, channels: usize) -> String {
    let info = ModelInfo { kind: ModelKind::Encoder, range: Some(ValueRange::UNIT), ..ModelInfo::default() };
    let mut builder = Builder::new(info);
    let image = builder.input("image", &[channels, HEIGHT, WIDTH], Element::F32).unwrap();
    let same = builder.elementwise("same", image, None, Activation::Relu, None, Element::F32).unwrap();
    builder.output(same, "features", &[channels * HEIGHT * WIDTH]).unwrap();
    let path = folder.join(format!("identity-{channels}.lat"));
    fs::write(&path, builder.finish().unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn collected(pictures: impl IntoIterator<Item = (String, Vec<u8>)>) -> Read {
    let mut read = Read::new();
    for (label, pixels) in pictures {
        read.entry(label).or_default().push(pixels);
    }
    read.values_mut().for_each(|pictures| pictures.sort());
    read
}

fn bytes(values: &[f32], scale: f32) -> Vec<u8> {
    values.iter().map(|value| (value * scale).round() as u8).collect()
}

/// The values of a report's entry, which are pixels as shares of white.
fn pixels(entry: &Value) -> Vec<u8> {
    let values = entry["values"].as_array().unwrap();
    bytes(&values.iter().map(|value| value.as_f64().unwrap() as f32).collect::<Vec<_>>(), 255.0)
}

/// The JSON that a program prints, and what it says on standard error.
fn report(arguments: &[&str]) -> (Value, String) {
    let output = program("runtime").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn every_reader_gives_the_same_pixels_and_labels() {
    let scratch = tempfile::tempdir().unwrap();
    let root = tree(scratch.path());
    let listing = pictures::list(&root).unwrap();
    assert_eq!(listing.classes, ["a", "b", "c"]);
    let skipped: Vec<_> =
        listing.skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.why)).collect();
    let mut expected = vec![
        (".ipynb_checkpoints", Skip::Hidden),
        ("__MACOSX", Skip::MacArchive),
        ("a/.DS_Store", Skip::Hidden),
        ("a/._0.png", Skip::Hidden),
        ("a/Thumbs.db", Skip::OtherKind),
        ("b/notes.txt", Skip::OtherKind),
    ];
    if cfg!(unix) {
        expected.push(("c/round", Skip::Circle));
    }
    assert_eq!(skipped, expected);

    for channels in [1, 3] {
        let shape = ImageShape { channels, height: HEIGHT, width: WIDTH };
        let range = ValueRange::new(0.0, 255.0).unwrap();
        let planar = |picture: pictures::Picture| bytes(&picture.values(&encoded(range)), 1.0);
        let of_file = |file: &PictureFile| {
            let picture = pictures::open(&file.path).unwrap();
            planar(picture.into_shape((channels, HEIGHT, WIDTH)).unwrap())
        };
        let expected = collected(listing.files.iter().map(|file| (file.label.clone(), of_file(file))));

        let options = LoadOptions { resize: Some((HEIGHT, WIDTH)), gray: channels == 1, seed: 0 };
        let data = folder::load(&root, Split::Train, &options).unwrap();
        let class = |at: usize| data.class_names[data.labels[at] as usize].clone();
        let training = collected((0..data.len()).map(|at| (class(at), data.image(at).to_vec())));
        assert_eq!(training, expected, "training, {channels} channels");

        let dims = [Dim::Batch, Dim::Size(channels), Dim::Size(HEIGHT), Dim::Size(WIDTH)];
        let encoding = encoded(range);
        let found = Pictures::find(&root, &dims, &encoding, 7).unwrap();
        let values = found.read(0..found.len()).unwrap().values;
        let each = values.chunks_exact(channels * HEIGHT * WIDTH).map(|values| bytes(values, 1.0));
        assert_eq!(
            collected(found.classes().into_iter().zip(each)),
            expected,
            "calibration, {channels} channels"
        );

        let model = identity(scratch.path(), channels);
        let (embedded, _) = report(&["embed", &model, root.to_str().unwrap(), "--json"]);
        let entries = embedded["embeddings"].as_array().unwrap();
        let label = |entry: &Value| entry["label"].as_str().unwrap().to_owned();
        let embed = collected(entries.iter().map(|entry| (label(entry), pixels(entry))));
        assert_eq!(embed, expected, "embed, {channels} channels");

        // It takes files, which have no labels.
        let files: Vec<&str> = listing.files.iter().map(|file| file.path.to_str().unwrap()).collect();
        let (ran, said) = report(&[&["run", &model, "--json", "--input"], &files[..]].concat());
        let results = ran["results"].as_array().unwrap();
        let ran = collected(
            listing.files.iter().zip(results).map(|(file, entry)| (file.label.clone(), pixels(entry))),
        );
        assert_eq!(ran, expected, "run --input, {channels} channels");
        assert!(said.contains("cropped and resized to the model's 6 x 4"), "{said}");

        let viewed = image_folder::list(&root, usize::MAX).unwrap();
        let viewer = collected(viewed.files.iter().map(|file| {
            let label = viewed.labels[file.class.unwrap()].clone();
            (label, planar(image_folder::read(&file.path, shape).unwrap()))
        }));
        assert_eq!(viewer, expected, "viewer, {channels} channels");
    }
}

/// What is no whole picture stops every reader, which says the same of it.
#[test]
fn every_reader_refuses_the_same_files() {
    let scratch = tempfile::tempdir().unwrap();
    let table = root().join("files/tests/pictures");
    let read = |name: &str| fs::read(table.join(name)).unwrap();
    let model = identity(scratch.path(), 3);
    let cases = [
        ("cut.png", read("rgba.png")[..70].to_vec(), "at byte 70: found the end of the file"),
        ("cut.jpg", read("color.jpg")[..600].to_vec(), "at byte 600: found the end of the file"),
        ("empty.png", Vec::new(), "at byte 0: found an empty file"),
        ("text.jpeg", b"no picture".to_vec(), "at byte 0: found the bytes 6e 6f 20 70"),
        ("pipe.png", Vec::new(), "is a pipe, socket or device, not a file"),
    ];
    for (name, content, expected) in cases {
        let root = scratch.path().join(name.replace('.', "-"));
        let file = root.join("class").join(name);
        fs::create_dir_all(root.join("class")).unwrap();
        if name == "pipe.png" {
            if !cfg!(unix) {
                continue;
            }
            assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        } else {
            fs::write(&file, content).unwrap();
        }
        let [root, file] = [&root, &file].map(|path| path.to_str().unwrap());
        let options = LoadOptions { resize: Some((HEIGHT, WIDTH)), gray: false, seed: 0 };
        let dims = [Dim::Batch, Dim::Size(3), Dim::Size(HEIGHT), Dim::Size(WIDTH)];
        let calibration = Pictures::find(root.as_ref(), &dims, &encoded(ValueRange::UNIT), 0).unwrap();
        let shape = ImageShape { channels: 3, height: HEIGHT, width: WIDTH };
        let listed = image_folder::list(root.as_ref(), 9).unwrap();
        let messages = [
            folder::load(root.as_ref(), Split::Train, &options).unwrap_err().to_string(),
            calibration.read(0..1).unwrap_err().to_string(),
            refuse("runtime", ["embed", &model, root]),
            refuse("runtime", ["run", &model, "--json", "--input", file]),
            image_folder::read(&listed.files[0].path, shape).unwrap_err().to_string(),
        ];
        for message in messages {
            assert!(message.contains(&format!("{file}: {expected}")), "{message}");
        }
    }
}
