//! `cargo xtask bench inference`: the native engine beside ONNX Runtime on the networks that it was made for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{markdown, median};
use crate::{setup, shell};

#[derive(Args)]
pub(super) struct InferenceArgs {
    /// Only these networks: vanilla, dcgan, resnet18, small
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    networks: Vec<String>,
    /// How long each file is measured with each number of threads
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    seconds: f64,
    /// Build the programs and make the models, but measure nothing
    #[arg(long, conflicts_with = "prepared")]
    prepare: bool,
    /// Measure with what --prepare has made: nothing is built in between
    #[arg(long)]
    prepared: bool,
    /// Run the ONNX files in tract too, whose first build takes about ten minutes on two cores
    #[arg(long)]
    tract: bool,
}

/// Where the models lie.
const MODELS: &str = "target/bench-models";
/// Where the figures go.
const RESULTS: &str = "docs/benchmarks";

/// A network and its forms as ONNX files.
struct Network {
    name: &'static str,
    title: &'static str,
    forms: &'static [&'static str],
}

const NETWORKS: [Network; 4] = [
    Network { name: "vanilla", title: "CS231n vanilla G", forms: &["vanilla"] },
    Network { name: "dcgan", title: "CS231n DCGAN G", forms: &["dcgan", "dcgan.phases"] },
    Network { name: "resnet18", title: "ResNet-18 encoder", forms: &["resnet18"] },
    Network { name: "small", title: "small encoder", forms: &["small"] },
];

/// What our time over ONNX Runtime's is to be at most: network, precision, threads.
const TARGETS: [(&str, &str, u64, f64); 11] = [
    ("vanilla", "int8", 1, 0.75),
    ("vanilla", "int8", 2, 0.5),
    ("dcgan", "int8", 1, 0.62),
    ("dcgan", "int8", 2, 0.35),
    ("dcgan", "f16", 1, 0.5),
    ("dcgan", "f32", 1, 1.0),
    ("dcgan", "f32", 2, 0.75),
    ("resnet18", "int8", 1, 1.0),
    ("resnet18", "f32", 1, 0.85),
    ("small", "int8", 1, 1.0),
    ("small", "f32", 1, 1.0),
];

/// What the time from opening the file to the first output is to be at most, over ONNX Runtime's.
const FIRST_OUTPUT: f64 = 0.05;

/// The part of `runtime bench --json` that is used here.
#[derive(Clone, Debug, Deserialize)]
struct Contender {
    model: String,
    precision: String,
    backend: String,
    engine: String,
    threads: u64,
    p50_us: f64,
    turns_p50_us: Vec<f64>,
    first_output_ms: Option<f64>,
    model_memory_bytes: Option<u64>,
    bytes: u64,
    difference: Option<Difference>,
}

/// How far outputs are from the fp32 model's.
#[derive(Clone, Debug, Deserialize)]
struct Difference {
    /// The largest difference over the range of the outputs.
    relative: f64,
    psnr_db: Option<f64>,
}

/// A line of the result: ours beside the fastest of theirs.
#[derive(Debug, Serialize)]
struct Line {
    network: &'static str,
    precision: String,
    threads: u64,
    our_us: f64,
    their_us: f64,
    /// The file in which they are fastest.
    their_form: String,
    /// The median of the ratios of all turns.
    ratio: f64,
    target: Option<f64>,
    our_first_output_ms: f64,
    their_first_output_ms: f64,
    our_memory_bytes: Option<u64>,
    their_memory_bytes: Option<u64>,
    our_bytes: u64,
    their_bytes: u64,
}

pub(super) fn run(args: &InferenceArgs) -> Result<()> {
    for name in &args.networks {
        if !NETWORKS.iter().any(|network| network.name == name) {
            bail!("there is no network \"{name}\"; there are vanilla, dcgan, resnet18, small");
        }
    }
    if !args.prepared {
        prepare(args)?;
    }
    if args.prepare {
        return Ok(());
    }
    let (mut lines, mut raw) = (Vec::new(), BTreeMap::new());
    for network in &NETWORKS {
        if args.networks.is_empty() || args.networks.iter().any(|name| name == network.name) {
            let report = measure(network, args)?;
            let contenders = Vec::<Contender>::deserialize(&report["contenders"])
                .context("`runtime bench` printed other fields than expected")?;
            lines.extend(compare(network, &contenders));
            raw.insert(network.name, report);
        }
    }
    let page = page(&lines, &raw);
    println!("{page}");
    save(&page, &lines, &raw)
}

/// Builds the programs and makes all model files.
fn prepare(args: &InferenceArgs) -> Result<()> {
    setup::run(&setup::SetupArgs::default())?;
    let python = setup::python();
    if !python.exists() {
        bail!("there is no {}: unset LIBTORCH and run `cargo xtask setup`", python.display());
    }
    for (package, tract) in [("latent-runtime-cli", args.tract), ("latent-exporter", false)] {
        let mut build = shell::cargo();
        build.args(["build", "--release", "--bins", "--package", package]);
        if tract {
            build.args(["--features", "tract"]);
        }
        shell::run(&mut build)?;
    }
    let folder = crate::root().join(MODELS);
    shell::run(shell::command(&python).arg("runtime/benches/peer_models.py").arg(&folder))?;
    for network in &NETWORKS {
        let at = |suffix: &str| folder.join(format!("{}.{suffix}", network.name));
        for precision in ["f32", "f16", "int8"] {
            let mut exporter = shell::program("exporter");
            exporter.arg("pack").arg(at("fp32.onnx")).args(["--precision", precision, "--force", "--out"]);
            exporter.arg(at(&format!("{precision}.lat")));
            if precision == "int8" {
                // A few inputs are enough: the weights are random, only the architectures count.
                exporter.args(["--samples", "8", "--calibration-data"]).arg(at("inputs.npy"));
            }
            shell::run(&mut exporter)?;
        }
        for (precision, options) in CONVERTED {
            let mut exporter = shell::program("exporter");
            exporter.arg("convert").arg(at("fp32.onnx")).args(["--precision", precision]).args(options);
            exporter.args(["--force", "--out"]).arg(at(&format!("{precision}.onnx")));
            if precision == "int8" {
                exporter.args(["--samples", "8", "--calibration-data"]).arg(at("inputs.npy"));
            }
            shell::run(&mut exporter)?;
        }
    }
    Ok(())
}

/// What `exporter convert` makes of a network, in the form that ONNX Runtime computes fastest.
const CONVERTED: [(&str, &[&str]); 2] =
    [("fp16", &[]), ("int8", &["--form", "depth-to-space", "--per-tensor"])];

/// The files of a network: packed, as PyTorch and ONNX Runtime's quantizer write it, as our exporter writes it.
fn files(network: &Network, folder: &Path) -> Vec<PathBuf> {
    let packed = ["f32", "f16", "int8"].map(|precision| format!("{}.{precision}.lat", network.name));
    let theirs = network.forms.iter().flat_map(|form| {
        ["fp32", "int8-tensor", "int8-channel"].map(|precision| format!("{form}.{precision}.onnx"))
    });
    let converted = CONVERTED.map(|(precision, _)| format!("{}.{precision}.onnx", network.name));
    packed.into_iter().chain(theirs).chain(converted).map(|name| folder.join(name)).collect()
}

fn measure(network: &Network, args: &InferenceArgs) -> Result<Value> {
    let models = Path::new(MODELS);
    let mut runtime: Command = shell::program("runtime");
    runtime.arg("bench").args(files(network, models));
    runtime.args(["--backend", if args.tract { "native,ort,tract" } else { "native,ort" }]);
    runtime.args(["--threads", "1,2", "--per-op", "--json", "--seconds", &args.seconds.to_string()]);
    runtime.arg("--reference").arg(models.join(format!("{}.fp32.onnx", network.name)));
    let printed = shell::output(&mut runtime)?;
    serde_json::from_str(&printed).context("`runtime bench --json` printed no JSON")
}

/// Ours in each precision beside the fastest of theirs; ours in f16 beside theirs in f32, since they have nothing that is
/// faster than that.
fn compare(network: &Network, contenders: &[Contender]) -> Vec<Line> {
    let ours = contenders.iter().filter(|contender| contender.backend == "native");
    let line = |our: &Contender| {
        let precision = if our.precision == "f16" { "f32" } else { &our.precision };
        let same = |their: &&Contender| {
            their.backend == "ort" && their.threads == our.threads && their.precision == precision
        };
        let their = contenders.iter().filter(same).min_by(|a, b| a.p50_us.total_cmp(&b.p50_us))?;
        let ratios = our.turns_p50_us.iter().zip(&their.turns_p50_us).map(|(a, b)| a / b).collect();
        let key = (network.name, our.precision.as_str(), our.threads);
        Some(Line {
            network: network.title,
            precision: our.precision.clone(),
            threads: our.threads,
            our_us: our.p50_us,
            their_us: their.p50_us,
            their_form: their.model.clone(),
            ratio: median(ratios),
            target: TARGETS
                .iter()
                .find(|&&(name, precision, threads, _)| (name, precision, threads) == key)
                .map(|&(.., target)| target),
            our_first_output_ms: our.first_output_ms.unwrap_or(f64::NAN),
            // The form that opens fastest.
            their_first_output_ms: contenders
                .iter()
                .filter(same)
                .filter_map(|their| their.first_output_ms)
                .fold(f64::INFINITY, f64::min),
            our_memory_bytes: our.model_memory_bytes,
            their_memory_bytes: their.model_memory_bytes,
            our_bytes: our.bytes,
            their_bytes: their.bytes,
        })
    };
    ours.filter_map(line).collect()
}

fn page(lines: &[Line], raw: &BTreeMap<&str, Value>) -> String {
    let machine = raw.values().next().map_or(&Value::Null, |report| &report["machine"]);
    let text = |key: &str| machine[key].as_str().unwrap_or("?").to_string();
    let engine = raw
        .values()
        .flat_map(|report| report["contenders"].as_array().into_iter().flatten())
        .find_map(|contender| Contender::deserialize(contender).ok().filter(|c| c.backend == "ort"))
        .map_or_else(|| "ONNX Runtime".to_string(), |contender| contender.engine);
    let peer = engine.split(',').next().unwrap_or_default();
    let mut page = format!(
        "# Inference: Latent beside {peer}\n\nMade by `cargo xtask bench inference` on {}, {} cores, {}. Batch 1, \
         medians; a ratio is the median of the ratios of all turns, and below 1 where Latent is faster. {peer} runs \
         with all graph optimizations, spinning threads, and in the form of the model that is fastest; for f16 it is \
         compared in fp32.\n\n## Time of a run\n\n",
        text("cpu"),
        machine["cores"],
        text("instruction_set"),
    );
    let row = |line: &Line| {
        vec![
            line.network.to_string(),
            line.precision.clone(),
            line.threads.to_string(),
            microseconds(line.our_us),
            microseconds(line.their_us),
            line.their_form.clone(),
            format!("{:.2}", line.ratio),
            line.target.map_or_else(String::new, |target| format!("{target:.2}")),
            verdict(line.ratio, line.target),
        ]
    };
    let head = ["network", "precision", "threads", "Latent", peer, "in the form", "ratio", "target", ""];
    page += &markdown(&head, &lines.iter().map(row).collect::<Vec<_>>());
    page += "\n## From opening the file to the first output, memory, size\n\n";
    let row = |line: &Line| {
        let ratio = line.our_first_output_ms / line.their_first_output_ms;
        let megabytes =
            |bytes: Option<u64>| bytes.map_or("?".into(), |b| format!("{:.1} MB", b as f64 / 1e6));
        vec![
            line.network.to_string(),
            line.precision.clone(),
            line.threads.to_string(),
            format!("{:.2} ms", line.our_first_output_ms),
            format!("{:.2} ms", line.their_first_output_ms),
            format!("{ratio:.3}"),
            verdict(ratio, Some(FIRST_OUTPUT)),
            megabytes(line.our_memory_bytes),
            megabytes(line.their_memory_bytes),
            megabytes(Some(line.our_bytes)),
            megabytes(Some(line.their_bytes)),
        ]
    };
    let head = [
        "network",
        "precision",
        "threads",
        "Latent",
        peer,
        "ratio",
        "target 0.05",
        "memory",
        "its memory",
        "file",
        "its file",
    ];
    page += &markdown(&head, &lines.iter().map(row).collect::<Vec<_>>());
    page += "\n## Every file in every back end, with one thread\n\nThe error is the largest difference from the fp32 file in \
             ONNX Runtime, relative to the range of its outputs, and the PSNR. The weights are random: of trained models \
             see the report that `exporter pack` prints.\n\n";
    let all = raw.values().flat_map(|report| report["contenders"].as_array().into_iter().flatten());
    let row = |contender: Contender| {
        let error = contender.difference.map_or_else(String::new, |difference| match difference.psnr_db {
            None => "0".into(),
            Some(psnr) => format!("{:.1e}, {psnr:.1} dB", difference.relative),
        });
        vec![contender.model, contender.backend, microseconds(contender.p50_us), error]
    };
    let rows: Vec<_> = all
        .filter_map(|contender| Contender::deserialize(contender).ok().filter(|c| c.threads == 1))
        .map(row)
        .collect();
    page += &markdown(&["file", "back end", "time", "error"], &rows);
    page += "\n## Where Latent's time goes, with one thread\n";
    for report in raw.values() {
        for breakdown in report["per_operator"].as_array().into_iter().flatten() {
            if breakdown["threads"] == 1 {
                page += &operators(breakdown);
            }
        }
    }
    page
}

/// The operators of a run that take at least a hundredth of it, with the rates they reach.
fn operators(breakdown: &Value) -> String {
    let operators = breakdown["operators"].as_array().map_or(&[][..], Vec::as_slice);
    let number = |operator: &Value, key: &str| operator[key].as_f64().unwrap_or(0.0);
    let row = |operator: &Value| {
        let us = number(operator, "us");
        // 1 GB/s is 1000 bytes in a microsecond.
        let rate = |key| format!("{:.1}", number(operator, key) / us / 1e3);
        vec![
            operator["name"].as_str().unwrap_or_default().to_string(),
            microseconds(us),
            format!("{:.1} %", number(operator, "share") * 100.0),
            rate("weight_bytes"),
            rate("multiply_accumulates"),
        ]
    };
    let shown = operators.iter().filter(|operator| number(operator, "share") >= 0.01);
    let table = markdown(
        &["operator", "time", "share", "weights GB/s", "GMAC/s"],
        &shown.map(row).collect::<Vec<_>>(),
    );
    format!("\n{}\n\n{table}", breakdown["model"].as_str().unwrap_or_default())
}

fn microseconds(us: f64) -> String {
    if us < 1000.0 { format!("{us:.1} us") } else { format!("{:.2} ms", us / 1e3) }
}

fn verdict(ratio: f64, target: Option<f64>) -> String {
    match target {
        Some(target) if ratio <= target => "met".into(),
        Some(target) => format!("missed by {:.0} %", (ratio / target - 1.0) * 100.0),
        None => String::new(),
    }
}

fn save(page: &str, lines: &[Line], raw: &BTreeMap<&str, Value>) -> Result<()> {
    let folder = crate::root().join(RESULTS);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("inference.md"), page)?;
    let all = serde_json::json!({"lines": lines, "measured": raw});
    fs::write(folder.join("inference.json"), serde_json::to_string_pretty(&all)? + "\n")?;
    eprintln!("written: {RESULTS}/inference.md and {RESULTS}/inference.json");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(model: &str, precision: &str, backend: &str, turns: &[f64]) -> Contender {
        Contender {
            model: model.into(),
            precision: precision.into(),
            backend: backend.into(),
            engine: String::new(),
            threads: 1,
            p50_us: median(turns.to_vec()),
            turns_p50_us: turns.to_vec(),
            first_output_ms: Some(turns[0]),
            model_memory_bytes: None,
            bytes: 1,
            difference: None,
        }
    }

    #[test]
    fn ours_meets_the_fastest_of_theirs() {
        let contenders = [
            contender("dcgan.int8.lat", "int8", "native", &[50.0, 60.0, 55.0]),
            contender("dcgan.f16.lat", "f16", "native", &[30.0, 30.0, 30.0]),
            contender("dcgan.int8-tensor.onnx", "int8", "ort", &[200.0, 200.0, 200.0]),
            contender("dcgan.phases.int8-tensor.onnx", "int8", "ort", &[100.0, 100.0, 110.0]),
            contender("dcgan.fp32.onnx", "f32", "ort", &[60.0, 60.0, 60.0]),
        ];
        let lines = compare(&NETWORKS[1], &contenders);
        let [int8, f16] = &*lines else { panic!("{lines:?}") };
        assert_eq!((int8.their_form.as_str(), int8.ratio), ("dcgan.phases.int8-tensor.onnx", 0.5));
        assert_eq!((int8.target, verdict(int8.ratio, int8.target)), (Some(0.62), "met".into()));
        assert_eq!((f16.their_form.as_str(), f16.ratio, f16.target), ("dcgan.fp32.onnx", 0.5, Some(0.5)));
        assert_eq!(verdict(0.6, Some(0.5)), "missed by 20 %");
    }
}
