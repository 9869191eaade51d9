//! The programs in `examples/`, which cargo builds beside the tests.

use std::fs;
use std::path::Path;

use latent_test_support::run_example;

#[test]
fn the_examples_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for (from, to) in [("rgb.png", "pictures/a/1.png"), ("gray.jpg", "pictures/b/c/2.jpg")] {
        fs::create_dir_all(Path::new(&at(to)).parent().unwrap()).unwrap();
        fs::copy(recorded.join(from), at(to)).unwrap();
    }
    fs::write(at("pictures/b/._2.jpg"), "").unwrap();
    fs::write(at("pictures/b/cut.png"), &fs::read(recorded.join("rgb.png")).unwrap()[..40]).unwrap();
    let listed = run_example("list_pictures", &[at("pictures")]);
    for expected in
        ["a/1.png", "b/c/2.jpg  b ", "gray", "passed over: b/._2.jpg (Hidden)", "2 pictures, 2 classes"]
    {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }

    fs::remove_file(at("pictures/b/cut.png")).unwrap();
    let sheet = run_example("contact_sheet", &[at("pictures"), at("new/sheet.png")]);
    assert!(sheet.contains("2 pictures, 134 x 68 pixels"), "{sheet}");
    let picture = latent_files::pictures::open(Path::new(&at("new/sheet.png"))).unwrap();
    assert_eq!((picture.width, picture.height, picture.channels), (134, 68, 3));

    for _ in 0..2 {
        let array = run_example("pictures_to_npy", &[at("pictures"), at("array.npy")]);
        assert!(array.contains("shape [2, 3, 32, 32], mean "), "{array}");
    }

    fs::create_dir_all(at("run/checkpoints/00000012")).unwrap();
    let description = r#"{"format":1,"kind":"gan","command":"dcgan","latent_version":"0.1.0","libtorch":"2.11.0","seed":7,
        "net":"dcgan","loss":"bce","latent":{"size":96,"distribution":"uniform","low":-1.0,"high":1.0},
        "image":{"channels":1,"height":28,"width":28,"low":-1.0,"high":1.0},
        "data":{"name":"mnist","source":"mnist:DIR","images":50000,"crc32c":3},"hyperparameters":{"batch":128},
        "progress":{"iteration":12,"iterations":1950,"epoch":5.0,"seconds":1.0,"finished":false,"stopped_by":null},
        "figures":{"d_loss":1.1,"g_loss":null},"diagnosis":[],"verdict":"healthy"}"#;
    fs::write(at("run/run.json"), description).unwrap();
    let described = run_example("describe_run", &[at("run")]);
    for expected in
        ["96 values of noise", "dcgan with the loss bce", "12 of 1 950", "d_loss: 1.1", "checkpoint 12: "]
    {
        assert!(described.contains(expected), "{expected}: {described}");
    }
}
