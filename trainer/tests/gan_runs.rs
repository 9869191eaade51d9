//! Runs the `trainer` program: resume after Ctrl-C and after a kill, runs that fail in each of the diagnosed ways, samples,
//! and what it says to wrong input.

mod runs;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use latent_files::pictures::Picture;
use latent_files::sheet::{self, Compression};
use runs::{assert_same, finish, info, run, signal, succeed, trainer, wait_for};

/// Small enough for a test; one thread, so that tests beside each other do not wait for each other's threads.
const SMALL: [&str; 9] =
    ["--data", "synth-digits:192", "--batch", "8", "--threads", "1", "--device", "cpu", "--quiet"];

/// A set of signals in a process's status, as bits from signal 1 on; 0 where the system does not tell.
#[cfg(unix)]
fn mask(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_resume_goes_on_bit_for_bit() {
    // Under `nohup` a hangup is ignored.
    let hangup = if mask(std::process::id(), "SigIgn") & 1 == 0 { "HUP" } else { "INT" };
    for (command, iterations, how, more) in [
        ("vanilla", "60", "INT", &["--shuffle", "--loss", "wgan-gp", "--d-steps", "2"][..]),
        ("dcgan", "24", hangup, &["--ema", "0.9", "--distribution", "normal"]),
        ("lsgan", "60", "TERM", &["--conditional", "--ema", "0.9", "--r1", "1", "--cosine"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        let common =
            [&[command], &SMALL[..], more, &["--save-every", "7", "--diversity-every", "5"]].concat();
        let new = |out: &Path| {
            [&common[..], &["--iterations", iterations, "--out"], &[out.to_str().unwrap()]]
                .concat()
                .join("\n")
        };
        let text = new(&whole);
        succeed(&text.split('\n').collect::<Vec<_>>());

        let text = new(&parts);
        let mut child = trainer(&text.split('\n').collect::<Vec<_>>()).spawn().unwrap();
        wait_for("the first checkpoint", &mut child, || {
            fs::read_dir(parts.join("checkpoints"))
                .is_ok_and(|mut d| d.any(|e| e.unwrap().file_name() == "00000007"))
        });
        // Kernels of libtorch move the stack pointer into their buffers: a handler would write over what lies before.
        assert_eq!(mask(child.id(), "SigCgt") & 0x4003, 0, "a handler of INT, TERM or HUP");
        signal(&child, how);
        let (code, text) = finish(child);
        assert_eq!(code, Some(130), "{text}");
        let advice = format!("`trainer {command} --resume {}`", parts.display());
        assert!(text.contains("saved") && text.contains(&advice), "{text}");
        let info = info(&parts);
        assert_eq!(info["progress"]["stopped_by"], "interrupted");
        assert!(info["progress"]["iteration"].as_u64() >= Some(7), "{info}");

        succeed(&[command, "--resume", parts.to_str().unwrap(), "--quiet"]);
        assert_same(&whole, &parts);
        assert_eq!(self::info(&parts)["progress"]["finished"], true);

        // A finished run can be made longer, and is then what a longer run would have been.
        let (code, text) = run(&[command, "--resume", parts.to_str().unwrap()]);
        assert!(code == Some(1) && text.contains("is finished") && text.contains("--iterations"), "{text}");
        succeed(&[command, "--resume", parts.to_str().unwrap(), "--quiet", "--iterations", "66"]);
        assert_eq!(self::info(&parts)["progress"]["iteration"], 66);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_goes_away_ends_no_training() {
    let dir = tempfile::tempdir().unwrap();
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    // A name, stdout and stderr (none: closed), the exit code, and what can still be read.
    type Case = (&'static str, Option<Stdio>, Option<Stdio>, i32, &'static str);
    let cases: [Case; 4] = [
        ("stderr on a full disk", Some(Stdio::piped()), Some(full()), 0, "diagnosis:"),
        ("both closed", None, None, 0, ""),
        ("stdout closed", None, Some(Stdio::piped()), 0, "3 iterations in"),
        ("stdout on a full disk", Some(full()), Some(Stdio::piped()), 1, "cannot write to stdout: No space"),
    ];
    for (name, stdout, stderr, code, text) in cases {
        let out = dir.path().join(name);
        let options = ["vanilla", "--data", "synth-digits:192", "--batch", "8", "--threads", "1"];
        let more = ["--device", "cpu", "--iterations", "3", "--out", out.to_str().unwrap()];
        let mut command = trainer(&[&options[..], &more].concat());
        let closed = (stdout.is_none(), stderr.is_none());
        command.stdout(stdout.unwrap_or_else(Stdio::piped)).stderr(stderr.unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().unwrap();
        if closed.0 {
            drop(child.stdout.take());
        }
        if closed.1 {
            drop(child.stderr.take());
        }
        let (found, said) = finish(child);
        assert_eq!(found, Some(code), "{name}: {said}");
        assert!(said.contains(text) && !said.contains("panicked"), "{name}: {said}");
        assert_eq!(info(&out)["progress"]["finished"], true, "{name}");
    }
}

#[test]
fn a_time_limit_saves_and_stops_each_session() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let new = |out: &Path, more: &[&str]| {
        run(&[&["vanilla"], &SMALL[..], more, &["--iterations", "3", "--out", out.to_str().unwrap()]]
            .concat())
    };
    assert_eq!(new(&whole, &[]).0, Some(0));
    // Less than an iteration takes.
    let (code, text) = new(&parts, &["--time-limit", "1e-6"]);
    assert_eq!((code, info(&parts)["progress"]["iteration"].as_u64()), (Some(130), Some(1)), "{text}");
    assert!(text.contains("interrupted after 1 of 3 iterations, and saved"), "{text}");
    let go_on = ["vanilla", "--quiet", "--resume", parts.to_str().unwrap()];
    assert_eq!(run(&go_on).0, Some(130));
    succeed(&[&go_on[..], &["--time-limit", "60"]].concat());
    assert_same(&whole, &parts);
}

#[cfg(unix)]
#[test]
fn a_kill_at_any_moment_leaves_a_run_that_goes_on_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    // A checkpoint after every iteration: most of the time is spent saving.
    let new = |out: &Path| {
        let path = out.to_str().unwrap().to_owned();
        let options = ["--iterations", "40", "--save-every", "1", "--diversity-every", "5", "--out"];
        [&["vanilla"], &SMALL[..], &options]
            .concat()
            .iter()
            .map(|s| (*s).to_owned())
            .chain([path])
            .collect::<Vec<_>>()
    };
    let start = |arguments: &[String]| {
        trainer(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap()
    };
    assert_eq!(finish(start(&new(&whole))).0, Some(0));

    let newest = |run: &Path| {
        let names = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
        names.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u64>().ok()).max()
    };
    let mut child = start(&new(&parts));
    let mut half_written = 0;
    for kill in 0..8 {
        let seen = newest(&parts).unwrap_or(0);
        wait_for("a checkpoint", &mut child, || newest(&parts).unwrap_or(0) > seen);
        // Somewhere in the next iterations and saves.
        thread::sleep(Duration::from_millis(kill * 9));
        signal(&child, "KILL");
        child.wait().unwrap();
        let leftovers = fs::read_dir(parts.join("checkpoints")).unwrap();
        half_written += leftovers
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp-"))
            .count();
        if info(&parts)["progress"]["finished"] == true || newest(&parts) >= Some(38) {
            break;
        }
        child = start(&["vanilla", "--resume", parts.to_str().unwrap(), "--quiet"].map(str::to_owned));
    }
    let _ = child.kill();
    let _ = child.wait();
    eprintln!("half-written checkpoints left by the kills: {half_written}");
    if info(&parts)["progress"]["finished"] == false {
        succeed(&["vanilla", "--resume", parts.to_str().unwrap(), "--quiet"]);
    }
    assert_same(&whole, &parts);
    for folder in [parts.clone(), parts.join("checkpoints"), parts.join("samples")] {
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with(".tmp-"), "{name:?} was left");
        }
    }
}

/// Trains badly; returns the kinds of the findings and everything that was printed.
fn fail(command: &str, iterations: &str, options: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let arguments = [
        &[command, "--preset", "reference", "--out", out.to_str().unwrap()],
        &SMALL[..8],
        options,
        &["--iterations", iterations],
    ]
    .concat();
    let (code, text) = run(&arguments);
    let info = info(&out);
    let findings = info["diagnosis"].as_array().unwrap();
    let kinds = findings.iter().map(|f| f["kind"].as_str().unwrap().to_owned()).collect();
    for finding in findings {
        let message = finding["message"].as_str().unwrap();
        assert!(text.contains(message), "not said live: {message}\n{text}");
    }
    if code != Some(0) {
        let left = fs::read_dir(out.join("checkpoints")).unwrap().count();
        let kept = text.contains("the last good checkpoint is");
        assert_eq!(left > 0, kept, "{text}");
    }
    (code, kinds, text)
}

#[test]
fn a_discriminator_that_never_learns_is_recognized() {
    let (code, kinds, text) = fail("vanilla", "260", &["--d-lr", "0"]);
    assert_eq!((code, kinds[0].as_str()), (Some(0), "discriminator-never-learned"), "{text}");
}

#[test]
fn a_discriminator_that_wins_is_recognized() {
    let (code, kinds, text) = fail("vanilla", "260", &["--g-lr", "0"]);
    assert_eq!((code, kinds), (Some(0), vec!["discriminator-wins".to_owned()]), "{text}");
}

#[test]
fn mode_collapse_is_recognized() {
    let (code, kinds, text) = fail("vanilla", "450", &["--g-lr", "0.02", "--beta1", "0.9"]);
    assert!(code == Some(0) && kinds.contains(&"mode-collapse".to_owned()), "{kinds:?} {text}");
}

#[test]
fn losses_that_are_not_finite_stop_the_run_and_keep_the_last_good_checkpoint() {
    let (code, kinds, text) = fail("lsgan", "200", &["--lr", "1e3", "--save-every", "1"]);
    assert_eq!((code, kinds), (Some(1), vec!["not-finite".to_owned()]), "{text}");
    assert!(text.contains("training stopped"), "{text}");
}

#[test]
fn the_recipe_is_the_modern_one_unless_asked_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let train = |command: &str, options: &[&str]| {
        let rest = ["--iterations", "1", "--force", "--out", out.to_str().unwrap()];
        succeed(&[&[command], &SMALL[..], options, &rest].concat());
        let settings = &info(&out)["hyperparameters"];
        ["preset", "shuffle", "ema", "r1", "cosine", "discriminator"]
            .map(|name| settings[name].to_string())
            .join(" ")
    };
    for (options, expected) in [
        (&[][..], r#""modern" true 0.9995 1.0 true "dcgan""#),
        (&["--preset", "reference"], r#""reference" false null 0.0 false null"#),
        (
            &["--loss", "wgan-gp", "--cosine=false", "--image-size", "28"],
            r#""modern" true 0.9995 0.0 false "dcgan""#,
        ),
        (&["--image-size", "18"], r#""modern" true 0.9995 1.0 true null"#),
        (
            &["--preset", "reference", "--discriminator", "dcgan", "--shuffle"],
            r#""reference" true null 0.0 false "dcgan""#,
        ),
    ] {
        assert_eq!(train("vanilla", options), expected, "{options:?}");
    }
    assert_eq!(train("lsgan", &[]), r#""reference" false null 0.0 false null"#);
}

#[test]
fn a_resumed_run_keeps_its_options() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let out = out.to_str().unwrap();
    let new =
        [&["vanilla", "--preset", "reference"], &SMALL[..], &["--iterations", "4", "--out", out]].concat();
    succeed(&new);
    let (code, text) = run(&new);
    assert!(code == Some(1) && text.contains("--resume") && text.contains("--force"), "{text}");
    succeed(&[&new[..], &["--force"]].concat());

    let cases: [(&[&str], &str); 12] = [
        (&["--conditional"], "--conditional is given and the run does without;"),
        (&["--batch", "16"], "--batch 16 is given and the run has 8"),
        (&["--lr", "0.1"], "--lr 0.1"),
        (&["--net", "dcgan", "--seed", "3"], "--net dcgan is given and the run has vanilla and --seed 3"),
        (&["--ema", "0.9"], "--ema 0.9 is given and the run has none"),
        (&["--preset", "modern"], "--preset modern is given and the run has reference"),
        (&["--discriminator", "dcgan"], "--discriminator dcgan is given and the run has none"),
        (&["--shuffle"], "--shuffle"),
        (&["--iterations", "3"], "has done 4 iterations already"),
        (&["--data", "synth-digits:100"], "does not hold the images"),
        (&["--amp", "bf16"], "--amp bf16"),
        (&["--image-size", "32"], "--image-size"),
    ];
    for (options, expected) in cases {
        let longer: &[&str] = if options[0] == "--iterations" { &[] } else { &["--iterations", "9"] };
        let (code, text) = run(&[&["vanilla", "--resume", out], options, longer].concat());
        assert!(code == Some(1) && text.contains(expected), "{options:?}: {text}");
    }
    let (code, text) = run(&["dcgan", "--resume", out]);
    assert!(code == Some(1) && text.contains("`trainer vanilla --resume"), "{text}");
    // The same values may be repeated.
    succeed(&["vanilla", "--resume", out, "--batch", "8", "--lr", "0.001", "--iterations", "5", "--quiet"]);
    let (code, text) = run(&["vanilla", "--resume", dir.path().to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("not a run folder"), "{text}");
}

#[test]
fn samples_are_the_same_for_a_seed_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let run_folder = out.to_str().unwrap();
    succeed(
        &[&["dcgan"], &SMALL[..], &["--iterations", "6", "--ema", "0.5", "--out", run_folder, "--json"]]
            .concat(),
    );
    assert!(out.join("losses.png").is_file() && out.join("samples/final.png").is_file());

    let sample = |options: &[&str]| run(&[&["sample", run_folder], options].concat());
    let grid = |name: &str, options: &[&str]| {
        let file = path(name);
        let (code, text) = sample(&[options, &["--out", &file]].concat());
        assert_eq!(code, Some(0), "{text}");
        fs::read(file).unwrap()
    };
    let first = grid("a.png", &["--count", "5", "--seed", "3"]);
    assert_eq!(first, grid("b.png", &["--count", "5", "--seed", "3", "--weights", "ema"]));
    assert_ne!(first, grid("c.png", &["--count", "5", "--seed", "4"]));
    assert_ne!(first, grid("d.png", &["--count", "5", "--seed", "3", "--weights", "raw"]));
    let (code, text) = sample(&["--out", &path("a.png")]);
    assert!(code == Some(1) && text.contains("--force"), "{text}");
    grid("a.png", &["--force", "--columns", "9", "--scale", "2", "--count", "300"]);

    let (code, text) = sample(&["--single", &path("single"), "--count", "3"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_dir(path("single")).unwrap().count(), 3);
    let (code, text) = sample(&["--single", &path("single"), "--count", "4"]);
    assert!(code == Some(1) && text.contains("00000.png"), "{text}");

    let cases: [(&[&str], &str, i32); 5] = [
        (&["--label", "3"], "knows no classes; train with --conditional", 1),
        (&["--checkpoint", "5"], "has no checkpoint 5", 1),
        (&["--count", "0"], "--count", 2),
        (&["--out", "/proc/none/x.png"], "/proc/none", 1),
        (&["--device", "tpu"], "unknown device", 1),
    ];
    for (options, expected, expected_code) in cases {
        let (code, text) = sample(options);
        assert!(code == Some(expected_code) && text.contains(expected), "{options:?}: {text}");
    }
    // A weight file that is cut off.
    let weights = out.join("checkpoints/00000006/generator_ema.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let (code, text) = sample(&["--out", &path("e.png")]);
    assert!(
        code == Some(1) && text.contains("generator_ema.safetensors") && !text.contains("panicked"),
        "{text}"
    );
    assert!(!Path::new(&path("e.png")).exists());
}

#[test]
fn a_conditional_run_knows_its_classes_and_is_asked_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let run_folder = out.to_str().unwrap();
    let options = ["--iterations", "6", "--diversity-every", "2", "--out", run_folder];
    let new = [&["dcgan", "--conditional"], &SMALL[..], &options].concat();
    let text = succeed(&new);
    assert!(text.contains("within classes (the data's is"), "{text}");
    let info = info(&out);
    assert_eq!(info["classes"]["count"], 10);
    assert_eq!(info["classes"]["names"][7], "7");
    assert_eq!(info["networks"]["generator"][0]["inputs"], 106);
    assert_eq!(info["networks"]["discriminator"][10]["outputs"], 11);
    // Six rows of ten classes are as many as there are within 64 images.
    let grid = fs::read(out.join("samples/final.png")).unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(grid)).read_info().unwrap();
    let (width, height) = (decoder.info().width, decoder.info().height);
    assert!(width * 6 / 10 <= height + 16 && height <= width * 6 / 10 + 16, "{width}x{height}");

    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let sample = |name: &str, options: &[&str]| {
        let file = path(name);
        let (code, text) = run(&[&["sample", run_folder, "--out", &file], options].concat());
        assert_eq!(code, Some(0), "{text}");
        fs::read(file).unwrap()
    };
    let all = ["--label", "0,1,2,3,4,5,6,7,8,9", "--count", "70"];
    assert_eq!(sample("a.png", &[]), sample("b.png", &all), "whole rows of all classes");
    assert_ne!(sample("c.png", &["--label", "7"]), sample("d.png", &["--label", "3"]));
    sample("e.png", &["--label", "7,1", "--count", "5"]);
    let cases = [
        ("10", "there is no class \"10\": expected a number from 0 to 9, or a name: 0, 1"),
        ("seven", "there is no class \"seven\""),
        ("1,", "there is no class \"\""),
    ];
    for (label, expected) in cases {
        let (code, text) = run(&["sample", run_folder, "--out", &path("f.png"), "--label", label]);
        assert!(code == Some(1) && text.contains(expected), "{label}: {text}");
    }
    // The same pictures under other labels are not what it was trained on.
    let text = fs::read_to_string(out.join("run.json")).unwrap();
    let crc = info["classes"]["crc32c"].to_string();
    fs::write(out.join("run.json"), text.replace(&format!("\"crc32c\": {crc}"), "\"crc32c\": 1")).unwrap();
    let (code, text) = run(&["dcgan", "--resume", run_folder, "--iterations", "9"]);
    assert!(code == Some(1) && text.contains("does not hold the images"), "{text}");
}

#[test]
fn wrong_input_gets_a_sentence_and_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").to_str().unwrap().to_owned();
    let cases: [(&[&str], i32, &str); 14] = [
        (&["vanilla", "--threads", "0"], 2, "--threads"),
        (&["vanilla", "--batch", "0"], 2, "--batch"),
        (&["vanilla", "--loss", "mse"], 2, "wgan-gp"),
        (&["vanilla", "--lr", "-1"], 2, "must not be negative"),
        (&["vanilla", "--lr", "nan"], 2, "finite"),
        (&["vanilla", "--beta2", "1"], 2, "less than 1"),
        (&["vanilla", "--resume", "x", "--force"], 2, "cannot be used with"),
        (&["vanilla", "--data", "synth-digits:100"], 1, "--batch 128 is more than the 100 training images"),
        (&["vanilla", "--data", "mnist:/no/such/folder"], 1, "/no/such/folder"),
        (&["vanilla", "--data", "synth-digits:200", "--gp-weight", "1"], 1, "--loss wgan-gp"),
        (&["dcgan", "--data", "synth-digits:200", "--image-size", "30"], 1, "multiples of 4"),
        (&["dcgan", "--data", "synth-digits:200", "--batch", "1"], 1, "at least 2"),
        (&["vanilla", "--data", "synth-digits:200", "--device", "cuda:99"], 1, "cuda:99"),
        (&["vanilla", "--data", "synth-digits:200", "--train-images", "201"], 1, "more than the 200 images"),
    ];
    for (arguments, expected_code, expected) in cases {
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--resume") {
            arguments.extend(["--out", &out]);
        }
        let (code, text) = run(&arguments);
        assert!(code == Some(expected_code) && text.contains(expected), "{arguments:?}: {code:?} {text}");
        assert!(!text.contains("panicked"), "{text}");
        assert!(!Path::new(&out).exists(), "{arguments:?} left a folder");
    }
    // Pictures that are not in folders of classes, and a class of which no image is used.
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let picture = Picture::from_planes(&[99; 28 * 28], (1, 28, 28));
    let write =
        |name: &str| fs::write(pictures.join(name), sheet::png(&picture, Compression::Balanced).unwrap());
    write("a.png").unwrap();
    write("b.png").unwrap();
    let data = format!("folder:{}", pictures.display());
    let conditional = |more: &[&str]| {
        run(&[&["vanilla", "--conditional", "--data", &data, "--batch", "2", "--out", &out], more].concat())
    };
    let (code, text) = conditional(&[]);
    assert!(code == Some(1) && text.contains("has no labels") && text.contains("leave out"), "{text}");
    fs::remove_file(pictures.join("a.png")).unwrap();
    fs::remove_file(pictures.join("b.png")).unwrap();
    for class in ["cat", "dog"] {
        fs::create_dir(pictures.join(class)).unwrap();
        write(&format!("{class}/a.png")).unwrap();
        write(&format!("{class}/b.png")).unwrap();
    }
    let (code, text) = conditional(&["--train-images", "2"]);
    assert!(
        code == Some(1) && text.contains("have none of \"dog\"") && text.contains("--train-images"),
        "{text}"
    );
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("run");
    let (code, text) = run(&["vanilla", "--data", "synth-digits:200", "--out", inside.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("file/run"), "{text}");
}
