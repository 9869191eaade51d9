//! `cargo xtask bench`: our speed beside the others', measured in turns in one call.

pub(crate) mod devices;
mod inference;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{setup, shell};

#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Training steps a second on the CPU, beside the same loop in PyTorch
    Train(TrainArgs),
    /// The native engine beside ONNX Runtime; writes docs/benchmarks/inference.{md,json}
    Inference(inference::InferenceArgs),
    /// Code, memory and instructions on microcontrollers, in an emulator; writes docs/benchmarks/devices.{md,json}
    Devices,
}

#[derive(Args)]
struct TrainArgs {
    /// Pairs of measurements; the median of their ratios counts
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Iterations of one measurement of the convolutional networks; the small networks do ten times as many
    #[arg(long, default_value_t = 30)]
    iterations: u32,
    /// Threads of both [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
}

/// Measures and writes the figures.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    match &args.what {
        What::Train(args) => train(args),
        What::Inference(args) => inference::run(args),
        What::Devices => devices::run(),
    }
}

/// Name, networks, loss, and how many times more iterations than DCGAN one measurement takes.
const GANS: [(&str, &str, &str, u32); 3] =
    [("vanilla", "vanilla", "bce", 10), ("lsgan", "vanilla", "ls", 10), ("dcgan", "dcgan", "bce", 1)];

fn train(args: &TrainArgs) -> Result<()> {
    setup::run(&setup::SetupArgs::default())?;
    let python = setup::python();
    if !python.exists() {
        bail!(
            "there is no {}: unset LIBTORCH and run `cargo xtask setup`, so that PyTorch can be measured",
            python.display()
        );
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "latent-trainer"]))?;
    let threads = args.threads.unwrap_or_else(cores).to_string();
    let mut rows = Vec::new();
    for (name, net, loss, times) in GANS {
        let iterations = (args.iterations * times).to_string();
        let arguments =
            ["--net", net, "--loss", loss, "--iterations", &iterations, "--threads", &threads, "--json"];
        let mut pairs = Vec::new();
        for round in 0..args.rounds {
            let ours = speed(shell::program("trainer").arg("bench-step").args(arguments))?;
            // PyTorch at its best: plain, and with channels last where there are convolutions.
            let script = "trainer/benches/pytorch_gan.py";
            let mut theirs = speed(shell::command(&python).arg(script).args(arguments))?;
            if net == "dcgan" {
                theirs = theirs
                    .max(speed(shell::command(&python).arg(script).args(arguments).arg("--channels-last"))?);
            }
            eprintln!("{name} {}/{}: {ours:.1} it/s, PyTorch {theirs:.1} it/s", round + 1, args.rounds);
            pairs.push((ours, theirs));
        }
        let column = |of: fn(&(f64, f64)) -> f64| median(pairs.iter().map(of).collect());
        let (ours, theirs, ratio) = (column(|p| p.0), column(|p| p.1), column(|p| p.0 / p.1));
        rows.push(json!({"gan": name, "iterations_per_second": ours, "pytorch_iterations_per_second": theirs, "ratio": ratio, "pairs": pairs}));
    }
    let cells = |row: &Value| {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        vec![
            row["gan"].as_str().unwrap_or_default().to_owned(),
            format!("{:.1}", number("iterations_per_second")),
            format!("{:.1}", number("pytorch_iterations_per_second")),
            format!("{:.2}", number("ratio")),
        ]
    };
    let header = ["GAN", "Latent, it/s", "PyTorch, it/s", "ratio"];
    let table = markdown(&header, &rows.iter().map(cells).collect::<Vec<_>>());
    println!("{table}");
    let machine = json!({"cpu": cpu(), "threads": threads, "rounds": args.rounds});
    save("train", &table, &json!({"machine": machine, "rows": rows}))
}

/// Runs a benchmark that prints JSON and returns its iterations a second.
fn speed(command: &mut Command) -> Result<f64> {
    let printed = shell::output(command)?;
    let line = printed.lines().last().unwrap_or_default();
    let result: Value =
        serde_json::from_str(line).with_context(|| format!("the benchmark printed no JSON but {line:?}"))?;
    result["iterations_per_second"].as_f64().context("the benchmark gave no iterations_per_second")
}

/// The middle value; the mean of the two middle ones of an even number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut table = line(&header.iter().map(ToString::to_string).collect::<Vec<_>>());
    table.push_str(&format!("|{}\n", "---|".repeat(header.len())));
    rows.iter().for_each(|row| table.push_str(&line(row)));
    table
}

/// The processor's name and how many cores this process may use.
fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    format!("{}, {} cores", name.trim_start_matches([' ', '\t', ':']), cores())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn save(name: &str, table: &str, json: &Value) -> Result<()> {
    let folder = crate::root().join("out");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("bench-{name}.md")), table)?;
    fs::write(folder.join(format!("bench-{name}.json")), serde_json::to_string_pretty(json)?)?;
    eprintln!("written: out/bench-{name}.md and out/bench-{name}.json");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, expected) in
            [(vec![3.0], 3.0), (vec![5.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5)]
        {
            assert_eq!(median(values), expected);
        }
    }

    #[test]
    fn a_table_has_a_row_each() {
        let table = markdown(&["a", "b"], &[vec!["1".into(), "2".into()]]);
        assert_eq!(table, "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
