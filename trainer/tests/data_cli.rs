//! `trainer data` as a user meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn trainer(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .arg("data")
        .args(arguments)
        .current_dir(folder)
        .env_remove("LATENT_DATA")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn info_prints_text_and_json() {
    let dir = TempDir::new().unwrap();
    let text = trainer(dir.path(), &["info", "synth-digits:50", "--resize", "14x16"]);
    let text = stdout(&text);
    assert!(text.contains("train: 50 images of 1x14x16") && text.contains("test: 50 images"), "{text}");
    let json = trainer(
        dir.path(),
        &["info", "synth-objects:30", "--gray", "--split", "test", "--seed", "9", "--json"],
    );
    let json: serde_json::Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_eq!(json["source"], "synth-objects:30");
    assert_eq!(json["splits"]["test"]["images"], 30);
    assert_eq!(json["splits"]["test"]["shape"], serde_json::json!([1, 32, 32]));
    assert!(json["splits"]["train"].is_null());
}

#[test]
fn show_writes_a_png_and_overwrites_nothing() {
    let dir = TempDir::new().unwrap();
    let run = |more: &[&str]| {
        let arguments =
            [&["show", "synth-digits:200", "--count", "12", "--columns", "4", "--out", "sheet.png"], more]
                .concat();
        trainer(dir.path(), &arguments)
    };
    assert_eq!(stdout(&run(&[])).trim(), "sheet.png");
    let first = fs::read(dir.path().join("sheet.png")).unwrap();
    let sheet = image::load_from_memory(&first).unwrap();
    assert!(sheet.width() > 4 * 56 && sheet.height() > 3 * 56 && sheet.width() > sheet.height());
    let again = run(&["--seed", "1"]);
    assert_eq!(again.status.code(), Some(1));
    let message = String::from_utf8_lossy(&again.stderr);
    assert!(message.contains("sheet.png") && message.contains("--force"), "{message}");
    assert_eq!(fs::read(dir.path().join("sheet.png")).unwrap(), first);
    stdout(&run(&["--force"]));
    assert_eq!(fs::read(dir.path().join("sheet.png")).unwrap(), first, "the same seed gives the same bytes");
    stdout(&run(&["--force", "--seed", "1"]));
    assert_ne!(fs::read(dir.path().join("sheet.png")).unwrap(), first);
}

/// What is exported is read again as it was, by class, and as an array.
#[test]
fn images_are_exported() {
    let dir = TempDir::new().unwrap();
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(stdout(&trainer(dir.path(), arguments))).unwrap()
    };
    assert!(stdout(&trainer(dir.path(), &["export", "synth:40", "--out", "digits"])).contains("40 images"));
    let [drawn, exported] = ["synth-digits:40", "folder:digits"]
        .map(|name| json(&["info", name, "--split", "train", "--json"])["splits"]["train"].clone());
    for what in ["images", "shape", "mean", "std", "classes"] {
        assert_eq!(drawn[what], exported[what], "{what}");
    }
    let array = |more: &[&str]| {
        let arguments = [&["export", "synth-digits:40", "--out", "digits.npy", "--force"], more].concat();
        stdout(&trainer(dir.path(), &arguments));
        latent_files::npy::decode(&fs::read(dir.path().join("digits.npy")).unwrap()).unwrap()
    };
    let all = array(&[]);
    assert_eq!(all.shape, [40, 1, 28, 28]);
    let mean = all.values.iter().map(|value| f64::from(*value)).sum::<f64>() / all.values.len() as f64;
    assert!((mean - (2.0 * drawn["mean"][0].as_f64().unwrap() - 1.0)).abs() < 1e-4, "{mean}");
    let some = array(&["--count", "5", "--range", "0,1", "--resize", "8x9"]);
    assert_eq!(some.shape, [5, 1, 8, 9]);
    assert!(some.values.iter().all(|value| (0.0..=1.0).contains(value)));
    let cases: [(&[&str], &str); 4] = [
        (&["--out", "digits"], "digits is there already"),
        (&["--out", "digits.npy"], "--force"),
        (&["--out", "digits.png"], "give a folder, or a file named .npy"),
        (&["--out", "other", "--range", "0,1"], "--range is for arrays"),
    ];
    for (more, expected) in cases {
        let output = trainer(dir.path(), &[&["export", "synth-digits:40"], more].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(expected), "{more:?}: {error}");
    }
}

/// The name says the format; `-` is standard output.
#[test]
fn sheets_are_written_as_their_names_say() {
    let dir = TempDir::new().unwrap();
    let show = |more: &[&str]| {
        trainer(dir.path(), &[&["show", "synth-digits:50", "--count", "4", "--out"], more].concat())
    };
    stdout(&show(&["a.png"]));
    stdout(&show(&["a.jpg"]));
    assert!(fs::read(dir.path().join("a.jpg")).unwrap().starts_with(b"\xff\xd8"));
    assert_eq!(show(&["-"]).stdout, fs::read(dir.path().join("a.png")).unwrap());
    for (more, code, expected) in [
        (&["a.gif"][..], 1, "ends in .png, .jpg or .jpeg"),
        (&["b.png", "--seed", "-1"], 2, "seeds are whole numbers from 0"),
    ] {
        let output = show(more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && error.contains(expected), "{error}");
    }
}

#[test]
fn names_are_found_in_the_data_folder() {
    let dir = TempDir::new().unwrap();
    for (folder, level) in [("data", 10), ("elsewhere", 20), ("given", 30)] {
        let class = dir.path().join(folder).join("pictures/only");
        fs::create_dir_all(&class).unwrap();
        image::GrayImage::from_pixel(4, 4, image::Luma([level])).save(class.join("a.png")).unwrap();
    }
    let mean = |output: Output| {
        let json: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
        (json["splits"]["train"]["mean"][0].as_f64().unwrap() * 255.0).round()
    };
    let info = ["info", "pictures", "--json"];
    assert_eq!(mean(trainer(dir.path(), &info)), 10.0);
    let with_variable = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_trainer"))
            .arg("data")
            .args([&info, more].concat())
            .current_dir(dir.path())
            .env("LATENT_DATA", dir.path().join("elsewhere"))
            .output()
            .unwrap()
    };
    assert_eq!(mean(with_variable(&[])), 20.0);
    assert_eq!(mean(with_variable(&["--data-dir", "given"])), 30.0);
    let missing = trainer(dir.path(), &["info", "mnist", "--data-dir", "given"]);
    assert_eq!(missing.status.code(), Some(1));
    let message = String::from_utf8_lossy(&missing.stderr);
    assert!(message.contains("trainer data fetch mnist --data-dir given"), "{message}");
    assert_eq!(trainer(dir.path(), &["info", "imagenet:x"]).status.code(), Some(2));
}
