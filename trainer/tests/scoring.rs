//! Runs the `trainer` program: a classifier, what is made of it to judge by, and generators that are judged.

mod runs;

use std::fs;

use runs::{info, run, succeed};

const DATA: [&str; 8] = ["--data", "synth-digits:600", "--batch", "32", "--threads", "1", "--device", "cpu"];

#[test]
fn a_classifier_learns_and_generators_are_judged_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (classifier, gan, scorer, pairs) =
        (path("classifier"), path("gan"), path("scorer.safetensors"), path("pairs.png"));
    let text =
        succeed(&[&["classifier", "--epochs", "4", "--quiet", "--out", &classifier], &DATA[..]].concat());
    assert!(text.contains("of 600 images") && text.contains("diagnosis:"), "{text}");
    let described = info(classifier.as_ref());
    let accuracy = described["figures"]["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
    // It goes on exactly, and is no model to export.
    succeed(&["classifier", "--resume", &classifier, "--epochs", "5", "--quiet"]);

    succeed(&["scorer", &classifier, "--out", &scorer]);
    let card = fs::read_to_string(path("scorer.md")).unwrap();
    assert!(
        card.contains("of 600 test images right") && card.contains("trainer classifier --data"),
        "{card}"
    );
    let (code, text) = run(&["scorer", &classifier, "--out", &scorer]);
    assert!(code == Some(1) && text.contains("--force"), "{text}");

    succeed(
        &[&["vanilla", "--iterations", "3", "--eval-every", "0", "--quiet", "--out", &gan], &DATA[..]]
            .concat(),
    );
    let judge = ["eval", &gan, "--samples", "300", "--lookups", "20", "--scorer", &scorer, "--threads", "1"];
    let text = succeed(&[&judge[..], &["--json", "--pairs", &pairs]].concat());
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let frechet = |of: &str| found[of]["frechet"].as_f64().unwrap();
    assert!(frechet("test_images") < 0.2 * frechet("generated"), "{found}");
    assert!(frechet("test_images") < 0.2 * frechet("noise"), "{found}");
    assert!(found["test_images"]["coverage"].as_f64().unwrap() > 0.8, "{found}");
    assert!(found["generated"]["coverage"].as_f64().unwrap() < 0.1, "{found}");
    assert_eq!(found["generated"]["samples"], 300);
    assert_eq!(found["memorization"]["training_images"], 600);
    assert!(fs::read(&pairs).unwrap().starts_with(b"\x89PNG"));
    // The same seed gives the same figures.
    assert_eq!(succeed(&[&judge[..], &["--json"]].concat()), text);

    for (arguments, expected) in [
        (vec!["eval", &classifier], "is no run of a GAN"),
        (
            vec!["eval", &gan, "--data", "synth-objects:50"],
            "there is no models/scorer-synth-objects.safetensors",
        ),
        (vec!["eval", &gan, "--scorer", &pairs], "pairs.png"),
        (vec!["eval", &gan, "--backend", "native"], "is for model files"),
        (vec!["eval", &gan, "--lookups", "0", "--pairs", &scorer, "--force"], "--lookups"),
        (vec!["classifier", "--data", "synth-digits:50", "--batch", "1"], "--batch 1 is too small"),
    ] {
        let (code, text) = run(&arguments);
        assert!(code == Some(1) && text.contains(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn samples_are_judged_during_training_and_the_best_checkpoint_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let judged =
        ["vanilla", "--iterations", "30", "--eval-every", "10", "--eval-samples", "100", "--keep", "1"];
    let text = succeed(&[&judged[..], &["--out", out.to_str().unwrap()], &DATA[..]].concat());
    assert!(text.contains("best:") && text.contains("Fréchet distance"), "{text}");
    let described = info(&out);
    let figures = &described["figures"];
    assert_eq!((&figures["quality"]["iteration"], &figures["quality"]["samples"]), (&30.into(), &100.into()));
    let best = figures["best"]["iteration"].as_u64().unwrap();
    assert!(out.join(format!("checkpoints/{best:08}")).is_dir(), "{figures}");
    assert!(figures["best"]["frechet"].as_f64() <= figures["quality"]["frechet"].as_f64(), "{figures}");
    let metrics = fs::read_to_string(out.join("metrics.csv")).unwrap();
    let mut lines = metrics.lines();
    assert!(lines.next().unwrap().ends_with("diversity,frechet,kernel,score,class_divergence,classes_covered,confident,precision,recall,density,coverage"));
    for (at, line) in lines.enumerate() {
        let measured = line.split(',').filter(|field| !field.is_empty()).count();
        assert_eq!(measured > 10, (at + 1) % 10 == 0, "{line}");
    }
    let (code, text) = run(&[
        "vanilla",
        "--data",
        "synth-objects:64",
        "--batch",
        "8",
        "--eval-every",
        "5",
        "--out",
        dir.path().join("x").to_str().unwrap(),
    ]);
    assert!(code == Some(1) && text.contains("--eval-every needs a scorer"), "{text}");
}
