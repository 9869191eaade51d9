//! Runs `trainer simclr` and what evaluates its encoders: resume after Ctrl-C and after a kill, runs that learn nothing, and
//! what it says to wrong input.

mod runs;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use runs::{assert_same, finish, info, run, signal, succeed, trainer, wait_for};

/// Small enough for a test; one thread, so that tests beside each other do not wait for each other's threads.
const SMALL: [&str; 15] = [
    "simclr",
    "--encoder",
    "small",
    "--data",
    "synth-objects:48",
    "--batch",
    "8",
    "--view-size",
    "8",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--quiet",
    "--save-every=3",
];
/// Checks by nearest neighbors, of few images.
const CHECKS: [&str; 3] = ["--knn-every=0.5", "--knn-bank=24", "--knn-queries=12"];

fn new(options: &[&str], out: &Path) -> Vec<String> {
    [&SMALL[..], options, &["--out", out.to_str().unwrap()]]
        .concat()
        .iter()
        .map(|s| (*s).to_owned())
        .collect()
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_kills_leave_runs_that_go_on_bit_for_bit() {
    let cases: [(&[&str], &[&str]); 3] = [
        (&["INT"], &["--amp", "off"]),
        (&["KILL", "KILL"], &["--amp", "bf16", "--optimizer", "lars"]),
        (&["KILL"], &["--preset", "reference", "--log-every", "4"]),
    ];
    for (signals, options) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        let options = [options, &CHECKS, &["--iterations", "16"]].concat();
        succeed(&strs(&new(&options, &whole)));

        let resume = ["simclr", "--resume", parts.to_str().unwrap(), "--quiet"];
        let newest = || {
            let names = fs::read_dir(parts.join("checkpoints")).into_iter().flatten();
            names.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u64>().ok()).max()
        };
        let mut child = trainer(&strs(&new(&options, &parts))).spawn().unwrap();
        for (count, name) in signals.iter().enumerate() {
            let least = 3 + 3 * count as u64;
            wait_for("a checkpoint", &mut child, || newest() >= Some(least));
            thread::sleep(Duration::from_millis(11));
            signal(&child, name);
            let (code, text) = finish(child);
            if *name == "INT" {
                assert_eq!(code, Some(130), "{text}");
                let advice = format!("`trainer simclr --resume {}`", parts.display());
                assert!(text.contains("saved") && text.contains(&advice), "{text}");
                assert_eq!(info(&parts)["progress"]["stopped_by"], "interrupted");
            }
            child = trainer(&resume).spawn().unwrap();
        }
        let (code, text) = finish(child);
        assert_eq!(code, Some(0), "{text}");
        assert_same(&whole, &parts);
        let info = info(&parts);
        assert_eq!(info["progress"]["finished"], true);
        // The untrained encoder, the best and the last are kept.
        let best = info["figures"]["best"]["iteration"].as_u64().unwrap();
        let mut kept: Vec<u64> = fs::read_dir(parts.join("checkpoints"))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        kept.sort_unstable();
        let mut expected = vec![0, best, 16];
        expected.dedup();
        assert_eq!(kept, expected);
    }
}

#[test]
fn an_encoder_that_learns_nothing_is_recognized() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    // Far too hot: every pair of views counts alike.
    let options = ["--temperature", "1000", "--iterations", "270", "--knn-every", "0", "--amp", "off"];
    let mut arguments = new(&options, &out);
    arguments.retain(|argument| argument != "--quiet");
    let text = succeed(&strs(&arguments));
    let info = info(&out);
    let findings = info["diagnosis"].as_array().unwrap();
    let kinds: Vec<&str> = findings.iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["not-learning"], "{text}");
    let message = findings[0]["message"].as_str().unwrap();
    assert!(text.contains(message), "not said live: {message}\n{text}");
    assert!(info["verdict"].as_str().unwrap().starts_with("not healthy"), "{info}");
    assert!(out.join("losses.png").is_file());
}

#[test]
fn encoders_are_evaluated_beside_the_untrained_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let run_folder = out.to_str().unwrap();
    let data = ["--data", "synth-objects:200"];
    let small = SMALL.map(|option| if option == "synth-objects:48" { "synth-objects:200" } else { option });
    let options = [&small[..], &CHECKS, &["--iterations", "40", "--out", run_folder]].concat();
    succeed(&options);
    let description = info(&out);
    assert_eq!((&description["kind"], &description["features"]), (&"simclr".into(), &256.into()));
    let machine = ["--threads", "1", "--device", "cpu"];

    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeed(&[arguments, &machine, &["--json"]].concat())).unwrap()
    };
    let knn = json(&["knn", run_folder, "--k", "20", "--queries", "100"]);
    assert_eq!((&knn["bank"], &knn["queries"]), (&200.into(), &100.into()));
    for who in ["encoder", "untrained", "pixels"] {
        let top1 = knn[who]["top1"].as_f64().unwrap();
        assert!(top1 > 0.0 && top1 <= knn[who]["top5"].as_f64().unwrap(), "{knn}");
    }
    // The iteration-0 checkpoint is the untrained encoder.
    let zero = json(&["knn", run_folder, "--k", "20", "--queries", "100", "--checkpoint", "0"]);
    assert_eq!(zero["encoder"], knn["untrained"]);

    let probe = json(&["probe", run_folder, "--labels", "50%", "--seeds", "2"]);
    assert_eq!(probe["encoder"]["runs"].as_array().unwrap().len(), 2);
    assert!((95..=105).contains(&probe["labels"].as_u64().unwrap()), "{probe}");
    // A tenth is chance.
    assert!(probe["encoder"]["top1"].as_f64().unwrap() > 0.15, "{probe}");
    assert!(out.join("confusion.png").is_file());
    let text =
        succeed(&[&["probe", run_folder, "--preset", "reference", "--mirrored"], &machine[..]].concat());
    assert!(text.contains("untrained") && text.contains("pixels") && text.contains("points over"), "{text}");

    let draw = [&["embeddings", run_folder, "--points", "60", "--queries", "3"], &machine[..]].concat();
    succeed(&draw);
    for name in ["neighbors.png", "map-pca.png", "map-tsne.png"] {
        assert!(out.join("embeddings").join(name).is_file(), "{name}");
    }
    let (code, text) = run(&draw);
    assert!(code == Some(1) && text.contains("--force"), "{text}");

    let views = dir.path().join("views.png");
    succeed(&[&["simclr", "--show-augmentations", views.to_str().unwrap()], &data[..]].concat());
    assert!(views.is_file());

    let cases: [(&[&str], &str); 5] = [
        (&["knn", run_folder, "--checkpoint", "7"], "has no checkpoint 7; it has 0"),
        (&["knn", dir.path().to_str().unwrap()], "not a run folder"),
        (&["probe", run_folder, "--data", "synth-digits:100"], "the encoder of"),
        (&["sample", run_folder], "\"simclr\""),
        (
            &["simclr", "--resume", run_folder, "--batch", "16", "--iterations", "50"],
            "--batch 16 is given and the run has 8",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, text) = run(arguments);
        assert!(code == Some(1) && text.contains(expected), "{arguments:?}: {text}");
    }
    // Weights that are cut off, and weights of another network.
    let weights = out.join("checkpoints/00000040/encoder.safetensors");
    let bytes = fs::read(&weights).unwrap();
    for (content, expected) in [
        (bytes[..bytes.len() / 2].to_vec(), "safetensors file"),
        (
            fs::read(out.join("checkpoints/00000040/optimizer.safetensors")).unwrap(),
            "\"f.0.weight\" is missing",
        ),
    ] {
        fs::write(&weights, content).unwrap();
        let (code, text) = run(&["knn", run_folder, "--checkpoint", "last"]);
        assert!(code == Some(1) && text.contains("encoder.safetensors") && text.contains(expected), "{text}");
    }
}

#[test]
fn wrong_input_gets_a_sentence_and_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").to_str().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--encoder", "resnet34"], 2, "resnet18"),
        (&["--batch", "1"], 2, "--batch"),
        (&["--temperature", "0"], 2, "greater than 0"),
        (&["--resume", "x", "--force"], 2, "cannot be used with"),
        (&["--data", "synth-objects:100"], 1, "--batch 256 is more than the 100 training images"),
        (&["--data", "synth-digits:300"], 1, "color"),
        (&["--data", "synth-objects:300", "--crop-scale", "1.5"], 1, "crop scale"),
        (&["--data", "synth-objects:300", "--grayscale", "2"], 1, "gray"),
        (&["--data", "cifar10:/no/such/folder"], 1, "/no/such/folder"),
    ];
    for (arguments, expected_code, expected) in cases {
        let mut arguments = [&["simclr", "--device", "cpu"], arguments].concat();
        if !arguments.contains(&"--resume") {
            arguments.extend(["--out", &out]);
        }
        let (code, text) = run(&arguments);
        assert!(code == Some(expected_code) && text.contains(expected), "{arguments:?}: {code:?} {text}");
        assert!(!text.contains("panicked"), "{text}");
        assert!(!Path::new(&out).exists(), "{arguments:?} left a folder");
    }
}
