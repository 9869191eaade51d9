//! What quantization costs in the task's own unit, as `exporter pack` reports it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use latent_exporter::graph::{
    Convolution, Dim, Element, Elements, Graph, Op, Output, Reduce, ReduceKind, Tensor, Window,
};
use latent_exporter::onnx::{About, FloatType, write};
use latent_files::npy;
use latent_files::pictures::Picture;
use latent_quality::Gaussian;
use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::rng::Rng;
use prost::Message;
use serde_json::Value;
use support::{exporter, write_run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json<'a>(args: impl IntoIterator<Item = &'a str>) -> Value {
    let output = exporter(args.into_iter().chain(["--json"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a packed model gives for inputs that lie one after the other.
fn run(model: &Path, inputs: &[f32]) -> Vec<f32> {
    let mut backend = NativeBackend::load(model, &NativeOptions::default()).unwrap();
    let count = inputs.len() / backend.input().values();
    let mut outputs = vec![0.0; count * backend.output().values()];
    backend.run(count, inputs, &mut outputs).unwrap();
    outputs
}

fn write_array(path: &Path, shape: &[usize], values: &[f32]) {
    fs::write(path, npy::encode(path, shape, values)).unwrap();
}

/// The means of an image's 7x7 cells, from 0 to 1.
fn means(image: &[f32]) -> Vec<f64> {
    let mut cells = vec![0.0; 49];
    for (at, &value) in image.iter().enumerate() {
        cells[at / 28 / 4 * 7 + at % 28 / 4] += (f64::from(value) + 1.0) / 2.0 / 16.0;
    }
    cells
}

fn close(found: &Value, expected: f64) -> bool {
    (found.as_f64().unwrap() - expected).abs() < 1e-9 + 1e-6 * expected
}

#[test]
fn the_distance_of_a_generators_images() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [run_folder, latents_file, real_file, small] = ["run", "z.npy", "real.npy", "small.npy"].map(file);
    write_run(&run_folder, "vanilla", &[10], false);
    let args = ["export", text(&run_folder), "--out", text(folder.path()), "--name", "g", "--discriminator"];
    assert!(exporter(args).status.success());
    let model = file("g.fp32.onnx");

    // 16 latents to calibrate with, then 100 and 100 for the figure; those that are over are not used.
    let mut rng = Rng::from_seed(1);
    let latents: Vec<f32> = (0..230 * 96).map(|_| rng.uniform(-1.0, 1.0)).collect();
    write_array(&latents_file, &[230, 96], &latents);
    let real: Vec<f32> = (0..120 * 784).map(|_| rng.uniform(-1.0, 1.0)).collect();
    write_array(&real_file, &[120, 1, 28, 28], &real);
    let (integers, floats, scores) = (file("g.int8.lat"), file("g.f32.lat"), file("d.f32.lat"));
    let [m, i, f, z, r] = [&model, &integers, &floats, &latents_file, &real_file].map(|path| text(path));
    assert!(exporter(["pack", m, "--out", f]).status.success());
    let discriminator = file("g.discriminator.fp32.onnx");
    assert!(exporter(["pack", text(&discriminator), "--out", text(&scores)]).status.success());

    let args = ["pack", m, "--precision", "int8", "--out", i, "--force", "--samples", "16"];
    let calibrated = ["--calibration-data", z, "--task-samples", "100"];
    let report = json(args.into_iter().chain(calibrated).chain(["--reference-data", r]));
    let [first, second] = [16, 116].map(|from| &latents[from * 96..(from + 100) * 96]);
    let images = [run(&floats, first), run(&integers, first), run(&floats, second), real];
    let [float, quantized, others, reference] = images.each_ref().map(|images| {
        let features: Vec<f64> = images.chunks(784).flat_map(means).collect();
        Gaussian::of(&features, 49)
    });
    let task = &report["task"];
    assert_eq!(
        (&task["figure"], &task["samples"], &task["dimension"]),
        (&"frechet".into(), &100.into(), &49.into())
    );
    assert!(close(&task["quantized"], float.distance(&quantized)), "{task}");
    assert!(close(&task["other_latents"], float.distance(&others)), "{task}");
    assert_eq!(task["reference"]["samples"], 120);
    assert!(close(&task["reference"]["float"], reference.distance(&float)), "{task}");
    assert!(close(&task["reference"]["quantized"], reference.distance(&quantized)), "{task}");
    let distance = task["quantized"].as_f64().unwrap();
    assert!(distance > 0.0 && distance < 0.1 * task["other_latents"].as_f64().unwrap(), "{task}");

    // By one feature, the discriminator's score: the differences of mean and of standard deviation.
    let moments = |images: &[f32]| {
        let scores: Vec<f64> = run(&scores, images).into_iter().map(f64::from).collect();
        let mean = scores.iter().sum::<f64>() / 100.0;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        (mean, (squares / 99.0).sqrt())
    };
    let (a, b) = (moments(&images[0]), moments(&images[1]));
    for encoder in [&discriminator, &scores] {
        let report = json(args.into_iter().chain(calibrated).chain(["--features", text(encoder)]));
        let task = &report["task"];
        assert_eq!((&task["dimension"], &task["reference"]), (&1.into(), &Value::Null));
        assert!(close(&task["quantized"], (a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)), "{task}");
    }

    // Latents that are drawn: the same for a seed, others than for calibration. In words.
    let drawn = || json(args.into_iter().chain(["--task-samples", "64"]))["task"].clone();
    let (task, again) = (drawn(), drawn());
    assert_eq!(task, again);
    assert_eq!(task["samples"], 64);
    assert_eq!(json(args.into_iter().chain(["--task-samples", "0"]))["task"], Value::Null);
    let output = exporter(args.into_iter().chain(["--task-samples", "32", "--reference-data", r]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in
        ["Fréchet distance of 32 images (means of 4x4 pixels, 1x7x7", "from 120 real pictures: float32"]
    {
        assert!(said.contains(part), "{said}");
    }

    fs::remove_file(&integers).unwrap();
    write_array(&small, &[4, 1, 14, 14], &[0.0; 4 * 196]);
    let cases: [(&[&str], &str); 5] = [
        (&["--reference-data", "absent"], "absent"),
        (&["--reference-data", text(&small)], "[4, 1, 14, 14], but the model's output is (N, 1, 28, 28)"),
        (&["--features", m], "takes inputs of shape [96], but the generator's images are (N, 1, 28, 28)"),
        (&["--features", z], "z.npy"),
        (&["--reference-data", r, "--task-samples", "0"], "--task-samples leaves it out"),
    ];
    for (more, expected) in cases {
        let output = exporter(args.iter().chain(more));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(expected), "{more:?}: {error}");
        assert!(!integers.exists());
    }
}

/// An encoder of 3x4x4 pictures whose features are their mean colors, as ONNX.
fn encoder(path: &Path) {
    let mut graph = Graph::default();
    let shape = [Dim::Batch, Dim::Size(3), Dim::Size(4), Dim::Size(4)];
    let image = graph.add_input("image", Element::F32, shape.to_vec());
    let weights = (0..9).map(|at| if at % 4 == 0 { 1.0 } else { 0.0 }).collect();
    let weights = Tensor::new(vec![3, 3, 1, 1], Elements::F32(weights)).unwrap();
    let weights = graph.add_constant("weights", weights);
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4] };
    let conv = Op::Conv(Convolution { window, groups: 1 });
    let value = graph.add_node("conv", conv, vec![image, weights], "colors").unwrap();
    let mean = Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false });
    let value = graph.add_node("mean", mean, vec![value], "features").unwrap();
    graph.outputs.push(Output { name: "features".into(), value });
    let model = write(&graph, &About::default(), FloatType::F32).unwrap();
    fs::write(path, model.encode_to_vec()).unwrap();
}

/// Folders of pictures by color, 12 in each; the first of the reds lies among the blues.
fn pictures(folder: &Path) -> PathBuf {
    let folder = folder.join("pictures");
    for (at, class) in ["red", "green", "blue"].into_iter().enumerate() {
        for picture in 0..12u8 {
            let class = if (class, picture) == ("red", 0) { "blue" } else { class };
            fs::create_dir_all(folder.join(class)).unwrap();
            let mut color = [40 + picture, 60, 50 + picture];
            color[at] = 220 + picture;
            let name = folder.join(class).join(format!("{at}.{picture}.png"));
            let picture = Picture { width: 4, height: 4, channels: 3, pixels: color.repeat(16) };
            fs::write(name, picture.to_png().unwrap()).unwrap();
        }
    }
    folder
}

#[test]
fn the_neighbors_of_an_encoders_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let (model, packed) = (folder.path().join("e.onnx"), folder.path().join("e.lat"));
    encoder(&model);
    let data = pictures(folder.path());
    let args =
        ["pack", text(&model), "--precision", "int8", "--out", text(&packed), "--force", "--samples", "10"];
    let args = args.into_iter().chain(["--calibration-data", text(&data)]);
    let task = json(args.clone())["task"].clone();
    assert_eq!(task["figure"], "knn");
    assert_eq!((&task["samples"], &task["classes"], &task["neighbors"]), (&36.into(), &3.into(), &20.into()));
    // All but the one whose folder says another color than its neighbors'.
    for model in ["float", "quantized"] {
        assert!(close(&task[model], 35.0 / 36.0), "{task}");
    }
    assert_eq!(task["same"], 1.0);
    let task = json(args.clone().chain(["--task-samples", "20"]))["task"].clone();
    assert_eq!((&task["samples"], &task["neighbors"]), (&20.into(), &19.into()));
    let output = exporter(args.clone());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("kNN of 36 pictures of 3 classes")
            && said.contains("float32 97.22 %, quantized 97.22 %"),
        "{said}"
    );

    // Pictures without classes, and options of generators.
    let one_class = data.join("green");
    let unlabeled = args.clone().map(|arg| if arg == text(&data) { text(&one_class) } else { arg });
    assert_eq!(json(unlabeled)["task"], Value::Null);
    let output = exporter(args.chain(["--reference-data", text(&data)]));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && error.contains("does not make pictures of vectors"),
        "{error}"
    );
}
