//! The program `runtime` as a user calls it.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latent_runtime::latent::Distribution;
use latent_runtime::onnx::proto::ModelProto;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::open::{BackendKind, ModelFormat};
use latent_runtime::ort::find_library;
use latent_runtime::rng::Rng;
use latent_test_support::{Missing, skip};
use support::{has_onnx_runtime, models, reference, save};
use tempfile::TempDir;

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn runtime(folder: &Path, arguments: &[&str]) -> Outcome {
    runtime_with(folder, arguments, &[])
}

fn runtime_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    // The program runs in a folder from where it would not find the library that this test finds.
    let output = Command::new(env!("CARGO_BIN_EXE_runtime"))
        .env("ORT_DYLIB_PATH", find_library().path())
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn fails(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(message), "\"{message}\" is not in: {}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A folder with a model of each kind.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(&models::vanilla_generator(), folder.path(), "vanilla.onnx");
    fs::write(folder.path().join("vanilla.lat"), models::packed(&models::vanilla_generator())).unwrap();
    save(&models::dcgan_generator(), folder.path(), "dcgan.onnx");
    save(&models::discriminator(), folder.path(), "discriminator.onnx");
    save(&models::conditional_generator(DataType::Int64), folder.path(), "digits.onnx");
    fs::write(folder.path().join("digits.lat"), models::packed_conditional()).unwrap();
    folder
}

/// The back ends that run ONNX files here, by name.
fn backends() -> Vec<&'static str> {
    let usable = |kind: &&BackendKind| {
        kind.is_built_in()
            && kind.reads() == ModelFormat::Onnx
            && (**kind != BackendKind::Ort || has_onnx_runtime())
    };
    BackendKind::ALL.iter().filter(usable).map(|kind| kind.name()).collect()
}

fn read_floats(path: &Path) -> Vec<f32> {
    fs::read(path).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn write_floats(path: &Path, values: &[f32]) {
    fs::write(path, values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

/// Width, height and pixels of a PNG file.
fn read_png(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn a_generator_draws_a_sheet_that_its_seed_decides() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for backend in backends() {
        for (out, seed, batch) in [("a.png", "7", "64"), ("b.png", "7", "5"), ("c.png", "8", "64")] {
            let arguments = ["run", "dcgan.onnx", "--backend", backend, "--seed", seed, "--count", "12"];
            let more = ["--columns", "4", "--scale", "2", "--batch", batch, "--force", "--out", out];
            let outcome = runtime(folder.path(), &[&arguments[..], &more].concat()).succeeds();
            assert!(outcome.stdout.starts_with("12 images of 3x12x12 in "), "{}", outcome.stdout);
        }
        let (width, height, pixels) = read_png(&at("a.png"));
        assert_eq!((width, height), (4 * 24 + 3 * 2, 3 * 24 + 2 * 2));
        assert!(pixels.iter().any(|&p| p > 128) && pixels.iter().any(|&p| (1..128).contains(&p)));
        let bytes = |name: &str| fs::read(at(name)).unwrap();
        assert_eq!(bytes("a.png"), bytes("b.png"), "the batch size changes the picture");
        assert_ne!(bytes("a.png"), bytes("c.png"), "the seed does not change the picture");
    }
}

/// The name of `--out` says the format; what cannot be one is refused before anything is computed.
#[test]
fn pictures_are_written_as_their_names_say() {
    let folder = folder();
    let run = |more: &[&str]| {
        let program = env!("CARGO_BIN_EXE_runtime");
        let arguments = ["run", "digits.lat", "--label", "1", "--output", "image", "--count", "4"];
        Command::new(program).args(arguments).args(more).current_dir(folder.path()).output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for name in ["a.png", "a.jpg", "A.JPEG"] {
        let output = run(&["--out", name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let start: &[u8] = if name == "a.png" { b"\x89PNG" } else { b"\xff\xd8" };
        assert!(fs::read(folder.path().join(name)).unwrap().starts_with(start), "{name}");
    }
    let output = run(&["--out", "-"]);
    assert_eq!(output.stdout, fs::read(folder.path().join("a.png")).unwrap());
    assert!(text(&output.stderr).contains("4 images of"), "{}", text(&output.stderr));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--out", "x.bmp"], 1, "ends in .png, .jpg or .jpeg"),
        (&["--out", "-", "--json"], 2, "both write to standard output"),
        (&["--save-output", "-"], 2, "--save-output writes a file"),
        (&["--save-output", "x.npy", "--scale", "2"], 2, "--scale is for the sheet of --out"),
        (&["--save-output", "x.npy", "--columns", "2"], 2, "--columns is for the sheet of --out"),
        (&["--out", "x.png", "--seed", "-1"], 2, "seeds are whole numbers from 0 to 18446744073709551615"),
        (&["--out", "x.png", "--seed", "1.5"], 2, "seeds are whole numbers"),
    ];
    for (more, code, message) in cases {
        let output = run(more);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(message), "{more:?}: {}", text(&output.stderr));
    }
    assert!(!["x.bmp", "-", "x.npy", "x.png"].iter().any(|name| folder.path().join(name).exists()));
}

/// A pipe in place of a file would be waited for, and a device never ends.
#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (name, of) in
        [("pipe.lat", "pipe"), ("pipe.onnx", "pipe"), ("pipe.npy", "pipe"), ("zero.npy", "/dev/zero")]
    {
        std::os::unix::fs::symlink(of, at(name)).unwrap();
    }
    let image = ["run", "digits.lat", "--label", "1", "--output", "image", "--save-output", "x.f32"];
    let cases: [&[&str]; 6] = [
        &["inspect", "pipe.lat"],
        &["inspect", "pipe.onnx"],
        &["bench", "pipe.lat"],
        &[&image[..], &["--input", "pipe.npy"]].concat(),
        &[&image[..], &["--input", "zero.npy"]].concat(),
        &["knn", "pipe", "pipe"],
    ];
    for arguments in cases {
        let outcome = runtime(folder.path(), arguments);
        assert!(outcome.code == 1 || outcome.code == 2, "{arguments:?}: {}", outcome.stderr);
        let says = ["not a file", "pipe, socket or device"].iter().any(|text| outcome.stderr.contains(text));
        assert!(
            says && outcome.stderr.matches("not a file").count() <= 1,
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn latents_go_in_and_values_come_out() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let latents: Vec<f32> = (0..36).map(|i| (i as f32 * 0.7).sin()).collect();
    write_floats(&at("latents.f32"), &latents);
    let expected = reference::evaluate(&models::vanilla_generator(), 3, &latents);
    for backend in backends() {
        let arguments = ["run", "vanilla.onnx", "--backend", backend, "--input", "latents.f32", "--force"];
        runtime(folder.path(), &[&arguments[..], &["--save-output", "out.f32"]].concat()).succeeds();
        let raw = read_floats(&at("out.f32"));
        assert!(raw.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5) && raw.len() == expected.len());
        // The same as .npy: a header of whole 64 bytes, then the same values.
        runtime(folder.path(), &[&arguments[..], &["--save-output", "out.npy"]].concat()).succeeds();
        let npy = fs::read(at("out.npy")).unwrap();
        assert_eq!(npy[npy.len() - raw.len() * 4..], fs::read(at("out.f32")).unwrap());
        assert!(String::from_utf8_lossy(&npy[..128]).contains("'shape': (3, 1, 8, 8,)"));
    }
}

#[test]
fn a_packed_model_runs_in_the_native_engine() {
    let folder = folder();
    let arguments =
        ["run", "vanilla.lat", "--seed", "3", "--count", "5", "--save-output", "out.f32", "--out", "x.png"];
    let outcome = runtime(folder.path(), &[&arguments[..], &["--json"]].concat()).succeeds();
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&json["backend"], &json["images"]), (&"native".into(), &5.into()));
    // The noise is what the file says, and the network that of the ONNX file.
    let mut latents = vec![0.0; 5 * 12];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(3), &mut latents);
    let expected = reference::evaluate(&models::vanilla_generator(), 5, &latents);
    let found = read_floats(&folder.path().join("out.f32"));
    assert!(found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
    assert_eq!(read_png(&folder.path().join("x.png")).0, 3 * 8 + 2 * 2);
}

#[test]
fn inspect_shows_a_packed_model() {
    let folder = folder();
    let outcome = runtime(folder.path(), &["inspect", "vanilla.lat"]).succeeds();
    let has =
        |line: &[&str]| outcome.stdout.lines().any(|found| found.split_whitespace().eq(line.iter().copied()));
    for line in [
        &["kind", "generator,", "trained", "on", "noise"][..],
        &["precision", "f32"],
        &["output", "image", "(N,", "1,", "8,", "8)"],
        // 12 x 32 + 32 x 64
        &["multiply-adds", "2", "432", "for", "a", "batch", "of", "one"],
        &["layer", "2", "fully", "connected", "(N,", "64,", "1,", "1)", "f32", "8", "192", "2", "048"],
        &["latent.dataset", "noise"],
    ] {
        assert!(has(line), "{line:?} is not in\n{}", outcome.stdout);
    }
    let json = runtime(folder.path(), &["inspect", "vanilla.lat", "--json"]).succeeds().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["operators"][0]["multiply_accumulates"], 384);
    assert_eq!(json["inputs"][0]["shape"], serde_json::json!([12]));
    assert_eq!(json["bytes"], fs::metadata(folder.path().join("vanilla.lat")).unwrap().len());
}

#[test]
fn a_walk_goes_from_one_latent_to_the_next() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for backend in backends() {
        let common = ["run", "vanilla.onnx", "--backend", backend, "--seed", "3", "--force"];
        let run = |more: &[&str]| runtime(folder.path(), &[&common[..], more].concat()).succeeds();
        run(&["--count", "3", "--save-output", "ends.f32"]);
        let ends = read_floats(&at("ends.f32"));
        for path in ["lerp", "slerp"] {
            let walk = ["--interpolate", path, "--count", "3", "--frames", "5", "--out", "walk.png"];
            run(&[&walk[..], &["--save-output", "walk.f32"]].concat());
            let values = read_floats(&at("walk.f32"));
            let close = |image: usize, end: usize| {
                let (a, b) = (&values[image * 64..][..64], &ends[end * 64..][..64]);
                a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-5)
            };
            assert_eq!(values.len(), 10 * 64);
            assert!(close(0, 0) && close(4, 1) && close(5, 1) && close(9, 2) && !close(2, 0), "{path}");
            assert_eq!(read_png(&at("walk.png")).0, 5 * 8 + 4 * 2);
        }
    }
}

#[test]
fn a_discriminator_scores_images() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for backend in backends() {
        let generate = ["run", "vanilla.onnx", "--backend", backend, "--force"];
        for (name, seed) in [("a.png", "1"), ("b.png", "2")] {
            runtime(
                folder.path(),
                &[&generate[..], &["--seed", seed, "--count", "1", "--out", name]].concat(),
            )
            .succeeds();
        }
        let arguments = ["run", "discriminator.onnx", "--backend", backend, "--input", "a.png", "b.png"];
        let outcome = runtime(folder.path(), &arguments).succeeds();
        let scores: Vec<f32> = outcome
            .stdout
            .lines()
            .zip(["a.png", "b.png"])
            .map(|(line, name)| {
                let (score, file) = line.trim().split_once("  ").unwrap();
                assert_eq!(file, name);
                score.parse().unwrap()
            })
            .collect();
        let pixels: Vec<f32> = ["a.png", "b.png"]
            .iter()
            .flat_map(|name| read_png(&at(name)).2)
            .map(|pixel| f32::from(pixel) / 127.5 - 1.0)
            .collect();
        let expected = reference::evaluate(&models::discriminator(), 2, &pixels);
        assert!(scores.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-5), "{scores:?} {expected:?}");
        let outcome = runtime(folder.path(), &[&arguments[..], &["--json"]].concat()).succeeds();
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(json["results"][1]["input"], "b.png");
        assert!((json["results"][1]["score"].as_f64().unwrap() - f64::from(expected[1])).abs() < 1e-5);
    }
}

#[test]
fn inspect_shows_operators_shapes_sizes_and_metadata() {
    let folder = folder();
    let outcome = runtime(folder.path(), &["inspect", "dcgan.onnx"]).succeeds();
    let has =
        |line: &[&str]| outcome.stdout.lines().any(|found| found.split_whitespace().eq(line.iter().copied()));
    for line in [
        &["kind", "generator,", "trained", "on", "noise"][..],
        &["input", "z", "float32", "(N,", "12)"],
        &["output", "image", "float32", "(N,", "3,", "12,", "12)"],
        &["operator", "set", "ai.onnx", "17"],
        // 936 + 4 x 72 + (768 + 6) + 4 x 6 + (288 + 3)
        &["parameters", "2", "313"],
        &["float32", "14", "tensors", "9.3", "kB"],
        &["ConvTranspose", "2"],
        // 3 x 3 positions x 8 channels x 6 x 4 x 4
        &["convtranspose_4", "ConvTranspose", "(N,", "6,", "6,", "6)", "774", "6", "912"],
        &["tanh_8", "Tanh", "(N,", "3,", "12,", "12)"],
        &["latent.distribution", "uniform"],
    ] {
        assert!(has(line), "{line:?} is not in\n{}", outcome.stdout);
    }
    let json = runtime(folder.path(), &["inspect", "dcgan.onnx", "--json"]).succeeds().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["operators"]["Relu"], 2);
    assert_eq!(json["parameters"], 2313);
    assert_eq!(json["nodes"][3]["shape"], serde_json::json!(["N", 8, 3, 3]));
    assert_eq!(json["weights"]["float32"]["bytes"], 9252);
    assert_eq!(json["metadata"]["latent.kind"], "generator");
}

/// Names from a file go to a terminal.
#[test]
fn inspect_escapes_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = models::vanilla_generator();
    model.graph.as_mut().unwrap().node[0].name = "\u{1b}]0;title\u{7}".into();
    save(&model, folder.path(), "model.onnx");
    let outcome = runtime(folder.path(), &["inspect", "model.onnx"]).succeeds();
    assert!(!outcome.stdout.contains('\u{1b}') && outcome.stdout.contains("\\u{1b}]0;title"));
}

#[test]
fn bench_measures_files_of_one_network_in_every_back_end() {
    let folder = folder();
    let arguments = ["bench", "vanilla", "--seconds", "0", "--threads", "1,2", "--batch", "1,3"];
    let outcome = runtime(folder.path(), &[&arguments[..], &["--json", "--per-op"]].concat()).succeeds();
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let found: Vec<_> = json["contenders"].as_array().unwrap().iter().collect();
    // tract has no second thread.
    let engines: usize = backends().iter().map(|&name| if name == "tract" { 1 } else { 2 }).sum();
    assert_eq!(found.len(), (2 + engines) * 2, "{json:#}");
    for contender in found {
        let native = contender["backend"] == "native";
        assert_eq!(contender["model"], if native { "vanilla.lat" } else { "vanilla.onnx" });
        assert!(contender["difference"]["relative"].as_f64().unwrap() < 1e-5, "{contender:#}");
        for figure in ["p50_us", "p95_us", "p99_us", "per_second", "first_output_ms", "bytes"] {
            assert!(contender[figure].as_f64().unwrap() > 0.0, "{figure} of {contender:#}");
        }
        if cfg!(target_os = "linux") {
            assert!(contender["peak_memory_bytes"].as_u64() >= contender["model_memory_bytes"].as_u64());
            assert!(contender["model_memory_bytes"].as_u64().is_some(), "{contender:#}");
        }
        assert!(contender["runs"].as_u64().unwrap() >= 3 && contender["turns_p50_us"].as_array().is_some());
    }
    assert!(json["machine"]["instruction_set"].is_string());
    let breakdowns = json["per_operator"].as_array().unwrap();
    assert_eq!(breakdowns.len(), 4);
    for breakdown in breakdowns {
        let operators = breakdown["operators"].as_array().unwrap();
        let names: Vec<&str> = operators.iter().map(|operator| operator["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["layer 0", "layer 2"]);
        let share: f64 = operators.iter().map(|operator| operator["share"].as_f64().unwrap()).sum();
        assert!((share - 1.0).abs() < 1e-6);
    }

    let arguments = ["bench", "vanilla.lat", "--seconds", "0", "--per-op", "--instruction-set", "scalar"];
    let text = runtime(folder.path(), &arguments).succeeds().stdout;
    assert!(text.contains("scalar") && text.contains("layer 2") && text.contains("GMAC/s"), "{text}");
    let page = runtime(folder.path(), &[&arguments[..], &["--markdown"]].concat()).succeeds().stdout;
    assert!(page.contains("| vanilla.lat | f32 | native | 1 | 1 |") && page.contains("|---|---|"), "{page}");
}

/// What `exporter export --discriminator` leaves beside a generator is no reason not to measure that.
#[test]
fn bench_leaves_out_files_of_another_network() {
    let folder = tempfile::tempdir().unwrap();
    save(&models::discriminator(), folder.path(), "v.discriminator.onnx");
    fs::write(folder.path().join("v.lat"), models::packed(&models::vanilla_generator())).unwrap();
    for stem in ["v", "."] {
        let arguments = ["bench", stem, "--backend", "native", "--seconds", "0", "--json"];
        let outcome = runtime(folder.path(), &arguments).succeeds();
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let contenders = json["contenders"].as_array().unwrap();
        assert!(contenders.len() == 1 && contenders[0]["model"] == "v.lat", "{json:#}");
        assert!(outcome.stderr.contains("v.discriminator.onnx is another network"), "{}", outcome.stderr);
    }
    let empty = tempfile::tempdir().unwrap();
    runtime(empty.path(), &["bench", "."]).fails(1, "there is no model (.lat or .onnx) in the folder .");
}

#[test]
fn bench_tells_what_it_cannot_measure() {
    let folder = folder();
    fs::write(folder.path().join("cut.lat"), &fs::read(folder.path().join("vanilla.lat")).unwrap()[..3000])
        .unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["bench", "none"], 1, "there is no file none, and none that is named none.*.lat"),
        (&["bench", "cut.lat"], 1, "it was cut"),
        (&["bench", "vanilla.lat", "--precision", "int8"], 1, "none of the files has the precision"),
        (
            &["bench", "vanilla.lat", "--precision", "int3"],
            2,
            "the precisions are f32, f16, bf16, int8, int4",
        ),
        (&["bench", "vanilla.lat", "--backend", "torch"], 2, "the back ends are"),
        (&["bench", "vanilla.lat", "--instruction-set", "MMX"], 1, "no instruction set `MMX`"),
        (&["bench", "vanilla.lat", "--backend", "ort"], 1, "nothing can be measured"),
        (&["bench", "vanilla.lat", "--seconds=-1"], 2, "--seconds"),
        (&["bench"], 2, "Usage"),
    ];
    for (arguments, code, message) in cases {
        runtime(folder.path(), arguments).fails(*code, message);
    }
    if has_onnx_runtime() {
        runtime(folder.path(), &["bench", "vanilla.lat", "dcgan.onnx"]).fails(1, "are not the same network");
    }
}

#[test]
fn wrong_input_is_explained() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("empty.onnx", b"");
    write("page.onnx", b"<html>Not found</html>");
    write("cut.onnx", &fs::read(folder.path().join("dcgan.onnx")).unwrap()[..3000]);
    write("cut.lat", &fs::read(folder.path().join("vanilla.lat")).unwrap()[..3000]);
    write("there.png", b"precious");
    write("odd.f32", &[0; 40]);
    write("bytes.f32", &[0; 3]);
    write("raw.dat", &[0; 48]);
    let picture =
        fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../files/tests/pictures/rgb.png")).unwrap();
    write("picture.f32", &picture);
    write("cut.png", &picture[..60]);
    write("nan.f32", &f32::NAN.to_le_bytes().repeat(12));
    fs::create_dir(folder.path().join("folder")).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "none.onnx", "--out", "x.png"], 1, "none.onnx: No such file"),
        (&["run", "folder", "--out", "x.png"], 1, "folder is not a file"),
        (&["run", "empty.onnx", "--out", "x.png"], 1, "empty.onnx is empty"),
        (&["run", "page.onnx", "--out", "x.png"], 1, "HTML page"),
        (&["run", "cut.onnx", "--out", "x.png"], 1, "cut.onnx is truncated or damaged"),
        (&["inspect", "cut.onnx"], 1, "cut.onnx is truncated or damaged"),
        (&["inspect", "folder"], 1, "folder is not a file"),
        (&["run", "none.lat", "--out", "x.png"], 1, "none.lat: No such file"),
        (&["run", "vanilla.lat", "--backend", "ort", "--out", "x.png"], 1, "the back end native does"),
        (&["run", "vanilla.onnx", "--backend", "native", "--out", "x.png"], 1, "exporter pack vanilla.onnx"),
        (&["inspect", "cut.lat"], 1, "it was cut"),
        (&["run", "vanilla.onnx", "--backend", "torch", "--out", "x.png"], 2, "the back ends are"),
        (&["run", "vanilla.onnx", "--out", "there.png"], 1, "replace it with --force"),
        (&["run", "vanilla.onnx", "--out", "folder"], 1, "it is a folder"),
        (&["run", "vanilla.onnx", "--out", "vanilla.onnx/x.png"], 1, "vanilla.onnx is a file, not a folder"),
        (&["run", "vanilla.onnx", "--out", "x", "--save-output", "x"], 2, "the same file"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--count", "0"], 2, "--count"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--count", "4294967295"], 1, "too many at once"),
        (
            &["run", "vanilla.onnx", "--out", "x.png", "--count", "10000000"],
            1,
            "at most 268435456 are written",
        ),
        (&["run", "vanilla.onnx", "--out", "x.png", "--columns", "0"], 2, "--columns"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--scale", "1000"], 2, "--scale"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--seed", "one"], 2, "--seed"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--frames", "3"], 2, "--interpolate"),
        (
            &["run", "vanilla.onnx", "--out", "x.png", "--interpolate", "lerp", "--count", "1"],
            2,
            "at least 2",
        ),
        (&["run", "vanilla.onnx", "--out", "x.png", "--input", "odd.f32"], 1, "the model takes z (N, 12)"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--input", "bytes.f32"], 1, "no whole number"),
        (&["run", "vanilla.onnx", "--out", "x.png", "--input", "nan.f32"], 1, "not finite"),
        (
            &["run", "vanilla.onnx", "--out", "x.png", "--input", "none.f32"],
            1,
            "cannot use none.f32 as input",
        ),
        (&["run", "vanilla.onnx", "--out", "x.png", "--input", "odd.f32", "--seed", "1"], 2, "--seed"),
        (&["run", "vanilla.onnx"], 2, "give --out PNG or --save-output FILE"),
        (&["run", "discriminator.onnx"], 2, "give them with --input"),
        (&["run", "discriminator.onnx", "--out", "x.png"], 2, "are for generators"),
        // The content decides what a file is; raw values need a name that says so.
        (
            &["run", "discriminator.onnx", "--input", "there.png"],
            1,
            "there.png: at byte 0: found the bytes 70 72",
        ),
        (&["run", "vanilla.onnx", "--out", "x.png", "--input", "raw.dat"], 1, "files named .f32, .bin, .raw"),
        (
            &["run", "vanilla.onnx", "--out", "x.png", "--input", "picture.f32"],
            1,
            "it is a picture, but the model",
        ),
        (&["run", "discriminator.onnx", "--input", "picture.f32", "cut.png"], 1, "cut.png: at byte 60"),
        (&[], 2, "Usage"),
        (&["walk"], 2, "unrecognized subcommand"),
    ];
    for (arguments, code, message) in cases {
        // What needs the library before it finds the fault is left out where there is none.
        if arguments.first() != Some(&"run") || has_onnx_runtime() {
            runtime(folder.path(), arguments).fails(*code, message);
        }
    }
    assert_eq!(fs::read(folder.path().join("there.png")).unwrap(), b"precious");
    let left: Vec<PathBuf> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.ends_with("x.png")), "{left:?}");
}

#[test]
fn a_missing_or_wrong_library_is_explained() {
    let folder = folder();
    fs::write(folder.path().join("text.so"), "not a library").unwrap();
    // Another library that loads.
    let other = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let cases = [
        ("./none.so", "No such file"),
        ("./text.so", "cannot be loaded"),
        ("no-such-onnxruntime.so", "cannot be loaded"),
    ];
    for (library, message) in cases.into_iter().chain(other.map(|path| (path, "is another library"))) {
        let arguments = ["run", "vanilla.onnx", "--out", "x.png"];
        let outcome = runtime_with(folder.path(), &arguments, &[("ORT_DYLIB_PATH", library)]);
        outcome.fails(1, message);
        outcome.fails(1, "cargo xtask setup");
        outcome.fails(1, library);
    }
}

/// A library of an old version, made with the C compiler if there is one.
#[test]
#[cfg(unix)]
fn a_library_that_is_too_old_is_explained() {
    let folder = folder();
    let source = r#"
        static const void *get_api(unsigned version) { return 0; }
        static const char *version(void) { return "1.17.3"; }
        static const struct { const void *(*get_api)(unsigned); const char *(*version)(void); } base = {get_api, version};
        const void *OrtGetApiBase(void) { return &base; }"#;
    fs::write(folder.path().join("old.c"), source).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", "old.so", "old.c"]).current_dir(folder.path());
    if !compiler.status().is_ok_and(|status| status.success()) {
        skip!(Missing::Compiler, "there is no C compiler to make a library with");
    }
    let arguments = ["run", "vanilla.onnx", "--out", "x.png"];
    let outcome = runtime_with(folder.path(), &arguments, &[("ORT_DYLIB_PATH", "./old.so")]);
    outcome.fails(1, "is version 1.17.3, but 1.24 or later is needed");
    outcome.fails(1, "cargo xtask setup");
}

#[test]
#[cfg(not(feature = "tract"))]
fn a_back_end_that_is_not_built_in_says_how_to_get_it() {
    let folder = folder();
    let outcome = runtime(folder.path(), &["run", "vanilla.onnx", "--backend", "tract", "--out", "x.png"]);
    outcome.fails(1, "--features tract");
}

#[test]
fn external_data_is_read_but_not_from_outside() {
    if !has_onnx_runtime() {
        return;
    }
    let folder = folder();
    let external = |location: &str| -> ModelProto {
        let mut model = models::vanilla_generator();
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        fs::write(folder.path().join("weights.bin"), &tensor.raw_data).unwrap();
        tensor.raw_data.clear();
        tensor.data_location = 1;
        let entry = latent_runtime::onnx::proto::StringStringEntryProto {
            key: "location".into(),
            value: location.into(),
        };
        tensor.external_data.push(entry);
        model
    };
    for backend in backends() {
        let save_output = |model: &str, out: &str| {
            let arguments =
                ["run", model, "--backend", backend, "--count", "2", "--force", "--save-output", out];
            runtime(folder.path(), &arguments)
        };
        save(&external("weights.bin"), folder.path(), "split.onnx");
        save_output("split.onnx", "split.f32").succeeds();
        save_output("vanilla.onnx", "whole.f32").succeeds();
        assert_eq!(
            read_floats(&folder.path().join("split.f32")),
            read_floats(&folder.path().join("whole.f32"))
        );
        for location in ["../weights.bin", "/etc/passwd", ""] {
            save(&external(location), folder.path(), "split.onnx");
            save_output("split.onnx", "split.f32").fails(1, "leads out of the model's folder");
        }
        save(&external("none.bin"), folder.path(), "split.onnx");
        save_output("split.onnx", "split.f32").fails(1, "none.bin: No such file");
    }
}

/// Every back end that runs here, with the conditional generator that it reads.
fn conditional() -> Vec<(&'static str, &'static str)> {
    backends().into_iter().map(|backend| (backend, "digits.onnx")).chain([("native", "digits.lat")]).collect()
}

#[test]
fn a_label_chooses_what_is_drawn_and_an_output_what_is_written() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (backend, model) in conditional() {
        let draw = |label: &[&str], out: &str| {
            let common = ["run", model, "--backend", backend, "--output", "image", "--force", "--count", "6"];
            let more = ["--batch", "4", "--save-output", out];
            runtime(folder.path(), &[&common[..], &more, label].concat()).succeeds();
            read_floats(&at(out))
        };
        let (threes, sevens) = (draw(&["--label", "3"], "a.f32"), draw(&["--input", "label=7"], "b.f32"));
        // Round and round, over the border of a batch.
        let mixed = draw(&["--label", "3,7,3"], "c.f32");
        for (index, class) in [3, 7, 3, 3, 7, 3].into_iter().enumerate() {
            let expected = if class == 3 { &threes } else { &sevens };
            let range = index * 64..(index + 1) * 64;
            let off = mixed[range.clone()].iter().zip(&expected[range]).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < 1e-6, "{backend} {index}");
        }
        assert!(threes.iter().zip(&sevens).any(|(a, b)| (a - b).abs() > 0.01), "{backend}");
        // All inputs by name, and an output that is no image.
        write_floats(&at("z.f32"), &[0.0; 24]);
        let named = ["--input", "z=z.f32", "label=3,4", "--output", "sum", "--save-output", "sum.npy"];
        let run = ["run", model, "--backend", backend, "--force"];
        let told = runtime(folder.path(), &[&run[..], &named].concat()).succeeds().stdout;
        assert!(told.starts_with("2 times sum (N, 12) in "), "{told}");
        for (arguments, expected) in [
            (
                &["--output", "image", "--out", "x.png"][..],
                "takes a class by its input `label`: give --label (0 to 9)",
            ),
            (&["--output", "image", "--out", "x.png", "--label", "10"], "--label 10: "),
            (
                &["--output", "image", "--out", "x.png", "--label", "1", "--input", "label=2"],
                "two values for one input",
            ),
            (
                &["--output", "sum", "--out", "x.png", "--label", "1"],
                "--out draws images, but the output is sum (N, 12)",
            ),
            (&["--output", "image", "--out", "x.png", "--input", "label=1.5"], "`label` takes whole numbers"),
        ] {
            let failed = runtime(folder.path(), &[&run[..], arguments].concat());
            let code = if expected.starts_with('`') { 1 } else { 2 };
            failed.fails(code, expected);
        }
        for (arguments, expected) in [
            (&["--out", "x.png", "--label", "1"][..], "choose one by its name (--output NAME)"),
            (&["--output", "picture", "--out", "x.png"], "it has no output `picture`, but image"),
            (
                &["--output", "image", "--input", "c=1", "--out", "x.png"],
                "it has no input `c`, but z (N, 12) and label (N)",
            ),
        ] {
            runtime(folder.path(), &[&run[..], arguments].concat()).fails(1, expected);
        }
        assert!(!at("x.png").exists());
    }
    let none = ["run", "vanilla.lat", "--label", "1", "--out", "x.png"];
    runtime(folder.path(), &none)
        .fails(2, "--label is for models that take a class; vanilla.lat takes z (N, 12)");
}

#[test]
fn bench_and_inspect_know_of_labels() {
    let folder = folder();
    let common =
        ["bench", "digits.lat", "--backend", "native", "--output", "image", "--seconds", "0", "--per-op"];
    let measured = runtime(folder.path(), &common).succeeds();
    assert!(measured.stderr.contains("digits.lat: its input `label` is class 0"), "{}", measured.stderr);
    let given = runtime(folder.path(), &[&common[..], &["--input", "label=3"]].concat()).succeeds();
    assert!(!given.stderr.contains("class 0"), "{}", given.stderr);
    let told = runtime(folder.path(), &["inspect", "digits.lat"]).succeeds().stdout;
    for line in ["z (N, 12)", "label (N), whole numbers", "image (N, 1, 8, 8)", "sum (N, 12)"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
