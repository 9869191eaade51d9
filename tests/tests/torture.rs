//! What a fault may not do to the programs: outputs that are closed or full, and hostile files. A few
//! rounds of each here, many in `cargo xtask torture`; `docs/TRUST.md` says what they stand for.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use latent_runtime::AlignedBytes;
use latent_runtime::format::{MAGIC, seal};
use latent_runtime::rng::Rng;
use latent_test_support::Trials;
use latent_tests::{program, root};

/// Address space that a program may take, in KiB: libtorch alone maps 2 GB.
const MEMORY: &str = "12000000";
/// Seconds that a program may take, on a busy machine.
const SECONDS: &str = "120";

const TRAIN: &str =
    "trainer dcgan --size nano --data synth-digits:64 --batch 8 --threads 1 --device cpu --iterations 3";

/// Command lines on what [`inputs`] makes; `OUT` is a new name.
const COMMANDS: [&str; 28] = [
    "runtime --help",
    "runtime --version",
    "runtime run g.lat --seed 7 --count 4 --out OUT.png",
    "runtime run g.onnx --count 2 --out -",
    "runtime run g8.lat --interpolate slerp --count 2 --frames 3 --out OUT.png",
    "runtime bench g.lat --seconds 0.01 --backend native",
    "runtime bench g.lat --seconds 0.01 --backend native --json",
    "runtime embed e.lat pictures --out OUT.safetensors",
    "runtime search e.safetensors pictures/a.png --model e.lat",
    "runtime knn e.safetensors e.safetensors -k 2",
    "runtime inspect g.lat",
    "runtime inspect g.onnx",
    "exporter --help",
    "exporter export run --out OUT",
    "exporter pack g.onnx --out OUT.lat",
    "exporter pack g.onnx --precision int8 --samples 16 --out OUT.lat",
    "exporter convert g.onnx --precision f16 --out OUT.onnx",
    "exporter inspect g.lat",
    "exporter inspect g.onnx",
    "trainer --help",
    "trainer sample run --count 4 --out OUT.png",
    "trainer data info synth-digits:64",
    "trainer data show pictures --out OUT.png",
    "trainer data export synth-digits:16 --out OUT.npy",
    "trainer doctor",
    "viewer --version",
    "viewer g.lat --record OUT.gif --frames 4",
    "viewer g.lat --walk walk.txt --record OUT.png --frames 4",
];

/// Command lines with a file that is changed, of those that [`inputs`] makes.
const READERS: [(&str, &str); 31] = [
    ("g.lat", "runtime run g.lat --count 2 --out OUT.png"),
    ("g.lat", "runtime inspect g.lat"),
    ("g.lat", "exporter inspect g.lat"),
    ("g.lat", "viewer g.lat --record OUT.gif --frames 2"),
    ("g8.lat", "runtime run g8.lat --count 2 --out OUT.png"),
    ("g8.lat", "runtime bench g8.lat --seconds 0.01 --per-op"),
    ("e.lat", "runtime embed e.lat pictures --out OUT.safetensors"),
    ("many.lat", "runtime inspect many.lat"),
    ("many.lat", "runtime run many.lat --count 2 --save-output OUT.npy"),
    ("g.onnx", "runtime run g.onnx --backend ort --count 2 --out OUT.png"),
    ("g.onnx", "runtime run g.onnx --backend tract --count 2 --out OUT.png"),
    ("g.onnx", "runtime inspect g.onnx"),
    ("g.onnx", "exporter pack g.onnx --out OUT.lat"),
    ("g.onnx", "exporter convert g.onnx --precision int8 --samples 8 --out OUT.onnx"),
    ("g.onnx", "viewer g.onnx --record OUT.gif --frames 2"),
    ("array.npy", "exporter pack g.onnx --precision int8 --calibration-data array.npy --out OUT.lat"),
    ("z.npy", "runtime run g.lat --input z.npy --out OUT.png"),
    ("pictures/a.png", "runtime embed e.lat pictures/a.png --out OUT.safetensors"),
    ("pictures/b.jpg", "runtime embed e.lat pictures --out OUT.safetensors"),
    ("pictures/b.jpg", "trainer data info pictures"),
    ("e.safetensors", "runtime search e.safetensors pictures/a.png --model e.lat"),
    ("e.safetensors", "runtime knn e.safetensors e.safetensors -k 2"),
    ("walk.txt", "viewer g.lat --walk walk.txt --record OUT.gif --frames 2"),
    ("run/run.json", "trainer sample run --count 2 --out OUT.png"),
    ("run/run.json", "exporter export run --out OUT"),
    ("run/run.json", "trainer dcgan --resume run --quiet --iterations 4"),
    ("run/checkpoints/00000003/state.json", "trainer dcgan --resume run --quiet --iterations 4"),
    ("run/checkpoints/00000003/optimizer.safetensors", "trainer dcgan --resume run --quiet --iterations 4"),
    ("run/checkpoints/00000003/generator.safetensors", "trainer sample run --count 2 --out OUT.png"),
    ("run/checkpoints/00000003/generator.safetensors", "exporter export run --out OUT"),
    ("run/metrics.csv", "trainer dcgan --resume run --quiet --iterations 4"),
];

/// A folder with an input of each kind, all small.
fn inputs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let copy = |from: &str, to: &str| {
        fs::copy(root().join(from), at(to)).unwrap_or_else(|error| panic!("{from}: {error}"));
    };
    fs::create_dir(at("pictures")).unwrap();
    copy("files/tests/pictures/rgb.png", "pictures/a.png");
    copy("files/tests/pictures/color.jpg", "pictures/b.jpg");
    copy("files/tests/pictures/gray.png", "pictures/c.png");
    copy("edge/models/encoder.lat", "e.lat");
    copy("edge/models/generator.lat", "g8.lat");
    copy("runtime/fuzz/corpus/lat/ports.f32.lat", "many.lat");
    let lines = [
        &format!("{TRAIN} --quiet --out run"),
        "exporter export run --out exported",
        "exporter pack exported/run.fp32.onnx --out g.lat",
        "runtime embed e.lat pictures --out e.safetensors",
        "trainer data export synth-digits:16 --out array.npy",
        "runtime run g.lat --count 2 --save-output z.npy",
    ];
    for line in lines {
        let mut words = line.split(' ').map(str::to_owned);
        let mut command = program(&words.next().unwrap());
        let output = command.args(words).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output));
    }
    fs::rename(at("exported/run.fp32.onnx"), at("g.onnx")).unwrap();
    fs::write(at("walk.txt"), "latent-walk 1\ninterpolation slerp\nkey seed 1\nkey seed 2\nshift 0.5\n")
        .unwrap();
    folder
}

/// A command line in a folder, within its limits of memory and time. `OUT` becomes a name in the folder.
fn limited(line: &str, folder: &Path, before: &[&str], redirections: &str) -> Command {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let script = format!("ulimit -v {MEMORY}; exec \"$@\" {redirections}");
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", SECONDS, "sh", "-c", &script, "sh"]).args(before);
    command.arg(program(name).get_program()).args(words.map(|word| word.replace("OUT", "out")));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{}\n{out}\n{err}", output.status)
}

/// What is wrong with how a program ended: it may succeed or refuse, and nothing else. Rust's panics end with 101.
fn fault(output: &Output, says_why: bool) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0 | 2) => None,
        Some(1) if !says_why || said.contains("error: ") => None,
        Some(1) => Some(format!("it fails and does not say why: {}", text(output))),
        // `timeout` kills itself as it killed.
        _ if output.status.signal() == Some(9) => {
            Some(format!("it did not end in {SECONDS} s: {}", text(output)))
        }
        _ => Some(text(output)),
    }
}

fn pick<'a, T>(of: &'a [T], rng: &mut Rng) -> &'a T {
    &of[rng.below(of.len() as u32) as usize]
}

fn copy_of(inputs: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("cp").args(["-a"]).arg(inputs.join(".")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    folder
}

#[test]
fn outputs_that_are_closed_or_full() {
    let inputs = inputs();
    let mut trials = Trials::new(24);
    let mut rng = Rng::from_seed(trials.seed());
    let outputs = [
        "",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "2>/dev/full",
        ">/dev/full 2>&1",
        "| head -c 1",
        "2>&1 | head -c 1",
    ];
    while let Some(round) = trials.next_round() {
        // Each line in turn, with whatever outputs.
        let line = COMMANDS[round as usize % COMMANDS.len()];
        let how = pick(&outputs, &mut rng);
        let folder = copy_of(inputs.path());
        let output = match how.split_once("| ") {
            None => limited(line, folder.path(), &[], how).output().unwrap(),
            Some((also, reader)) => {
                let mut command = limited(line, folder.path(), &[], also.trim());
                let (read, write) = std::io::pipe().unwrap();
                let mut reader = Command::new("sh")
                    .args(["-c", reader])
                    .stdin(read)
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap();
                let output = command.stdout(write).stderr(Stdio::piped()).spawn().unwrap();
                drop(command);
                let output = output.wait_with_output().unwrap();
                reader.wait().unwrap();
                output
            }
        };
        trials.count(match output.status.code() {
            Some(0) => "done",
            _ => "refused",
        });
        if let Some(fault) = fault(&output, !how.contains('2') && !how.contains('|')) {
            panic!("`{line}` with outputs `{how}`: {fault}; {}", trials.keep_folder(folder.path()));
        }
    }
}

/// A file as somebody who means harm would have it: no file at all, or a few bytes changed, with a packed model's checksum put right.
fn harm(path: &Path, rng: &mut Rng) -> &'static str {
    let mut bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    match rng.below(24) {
        0 => fs::create_dir(path).unwrap(),
        1 => symlink(path, path).unwrap(),
        2 => symlink("/dev/zero", path).unwrap(),
        3 => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        4 => File::create(path).unwrap().set_len(1 << 40).unwrap(),
        5 => fs::write(path, "").unwrap(),
        kind => {
            for _ in 0..=rng.below(3) {
                // What says what is there comes first, and in ONNX last too.
                let end = bytes.len() as u32;
                let near = end.min(4096);
                let at = match rng.below(3) {
                    0 => rng.below(end),
                    1 => rng.below(near),
                    _ => end - 1 - rng.below(near),
                };
                let byte = &mut bytes[at as usize];
                *byte = match rng.below(4) {
                    0 => 0xff,
                    1 => byte.wrapping_add(1),
                    2 => *byte ^ (1 << rng.below(8)),
                    // In text, another digit.
                    _ => b'0' + rng.below(10) as u8,
                };
            }
            if kind == 6 {
                bytes.truncate(rng.below(bytes.len() as u32) as usize);
            }
            if bytes.starts_with(&MAGIC) && bytes.len() > 64 && kind % 4 != 0 {
                let mut sealed = AlignedBytes::copy_of(&bytes);
                seal(sealed.as_mut_slice());
                bytes = sealed.as_slice().to_vec();
            }
            fs::write(path, bytes).unwrap();
            return "changed bytes";
        }
    }
    "no such file"
}

#[test]
fn hostile_files() {
    let inputs = inputs();
    let mut trials = Trials::new(31);
    let mut rng = Rng::from_seed(trials.seed());
    while let Some(round) = trials.next_round() {
        let (file, line) = READERS[round as usize % READERS.len()];
        let folder = copy_of(inputs.path());
        let kind = harm(&folder.path().join(file), &mut rng);
        let output = limited(line, folder.path(), &[], "").output().unwrap();
        trials.count(format!("{kind} {}", if output.status.success() { "read" } else { "refused" }));
        if let Some(fault) = fault(&output, true) {
            panic!("`{line}` with another {file}: {fault}; {}", trials.keep_folder(folder.path()));
        }
    }
    assert!(
        trials.counted("changed bytes read") > 0 && trials.counted("changed bytes refused") > 0,
        "{trials:?}"
    );
}
