//! `runtime bench`: how fast models are, and how close to the reference.

mod contender;
mod files;
mod machine;
mod operators;
mod report;
mod statistics;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::text::seed;
use latent_runtime::format::Precision;
use latent_runtime::open::{BackendKind, Label};
use latent_runtime::pixels::ValueRange;
use serde::{Deserialize, Serialize};

use self::contender::{Contender, Engine, Opened, load, measure, outputs};
use self::files::{ModelFile, expand, inputs, leave_others_out};
use self::machine::{Machine, memory};
use self::report::{Breakdown, Reference, Report, Result_, Skipped};
use self::statistics::{Difference, median};
use super::metadata::decide;
use super::ports::{PortArgs, label};
use super::{print, usage};

/// Measure models: time, memory, size, and how far their outputs are from the reference.
///
/// All files must be of one network, in whatever format and precision; they take turns of a few hundredths of a second,
/// so that a machine that becomes faster or slower is fair to all. Latent vectors are drawn as the model wants them,
/// images are noise; the same seed gives the same inputs.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Files of one network; `models/mnist` stands for models/mnist.onnx, models/mnist.int8.lat and so on, a folder for the
    /// models in it. Of those that stand for several, files of another network are left out
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// What runs them: native, tract, ort [default: all of this build]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    backend: Vec<BackendKind>,
    /// Only files of these precisions: f32, f16, bf16, int8, int4
    #[arg(long, value_delimiter = ',', value_name = "NAME,...", value_parser = precision)]
    precision: Vec<Precision>,
    /// The threads one run may use (tract always uses one)
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "T,...", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Examples in one run
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Vec<u32>,
    /// How long each line of the table is measured
    #[arg(long, default_value_t = 1.0, value_name = "S", value_parser = seconds)]
    seconds: f64,
    /// The file that outputs are compared with [default: the first in f32]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The seed of the inputs
    #[arg(long, default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    /// The values of black and white in images that the models take [default: what their files state, else 0,1 for an encoder
    /// and -1,1 for a discriminator]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
    #[command(flatten)]
    ports: PortArgs,
    /// The instruction set of the native engine, by name [default: the best of this machine]
    #[arg(long, value_name = "NAME")]
    instruction_set: Option<String>,
    /// Also show the time of every operator (native)
    #[arg(long)]
    per_op: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
    /// Open, run once, and print the memory that took: what the program starts itself with
    #[arg(long, hide = true)]
    probe: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime bench models/mnist --threads 1,2
      every file of models/mnist.*
  runtime bench dcgan.fp32.onnx dcgan.int8.onnx dcgan.int8.lat --batch 1,16 \\
      --json
  runtime bench dcgan.int8.lat --per-op
      where the time goes
  runtime bench digits.int8.lat --input label=7
      a generator that takes a class (0 if nothing is said)
  runtime bench models/mnist --backend native --instruction-set scalar";

/// Examples whose outputs are compared with the reference's, at least.
const COMPARED: usize = 16;
/// How often a file is opened to measure that, after a first time.
const LOADS: usize = 9;

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" | "fp32" => Ok(Precision::F32),
        "f16" | "fp16" => Ok(Precision::F16),
        "bf16" => Ok(Precision::Bf16),
        "int8" => Ok(Precision::Int8),
        "int4" => Ok(Precision::Int4),
        _ => Err(format!("there is no precision \"{text}\"; the precisions are f32, f16, bf16, int8, int4")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds between 0 and 3600 is expected".into()),
    }
}

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if args.probe {
        return probe(args);
    }
    let files = files(args)?;
    let mut skipped = Vec::new();
    let mut engines = engines(args, &files, &mut skipped)?;
    decide_ranges(args, &mut engines)?;
    let reference = compare(args, &files, &mut engines)?;
    let mut contenders = Vec::new();
    for (index, engine) in engines.iter_mut().enumerate() {
        for batch in args.batch.iter().map(|&batch| batch as usize) {
            let backend = engine.opened.backend();
            let input = inputs(engine.file, backend, batch, (args.seed, args.range))?;
            contenders.push(Contender::new(index, batch, input, batch * backend.output().values()));
        }
    }
    let terminal = std::io::stderr().is_terminal();
    measure(&mut engines, &mut contenders, args.seconds, &mut |round, rounds| {
        if terminal {
            eprint!("\rround {} of {rounds} ", round + 1);
        }
    })?;
    if terminal {
        latent_files::say!("");
    }
    let mut report = Report {
        machine: Machine::here(),
        reference,
        contenders: Vec::new(),
        skipped,
        per_operator: Vec::new(),
    };
    for contender in contenders {
        let engine = &mut engines[contender.engine];
        report.contenders.push(result(args, engine, &contender));
        if let (true, Opened::Native(backend)) = (args.per_op, &mut engine.opened) {
            report.per_operator.push(Breakdown {
                model: engine.file.name(),
                threads: engine.threads,
                batch: contender.batch,
                operators: operators::times(backend, contender.batch, &contender.input)?,
            });
        }
    }
    print(&match (args.json, args.markdown) {
        (true, _) => serde_json::to_string_pretty(&report)? + "\n",
        (_, true) => report.markdown(),
        _ => report.text(),
    })
}

/// The files to measure.
fn files(args: &BenchArgs) -> anyhow::Result<Vec<ModelFile>> {
    let mut files = Vec::new();
    for (path, named) in expand(&args.models)? {
        files.push((ModelFile::read(&path)?, named));
    }
    for path in leave_others_out(&mut files) {
        latent_files::say!("note: {} is another network, and not measured", path.display());
    }
    let mut files: Vec<ModelFile> = files.into_iter().map(|(file, _)| file).collect();
    if !args.precision.is_empty() {
        files.retain(|file| args.precision.contains(&file.precision));
    }
    if files.is_empty() {
        bail!("none of the files has the precision asked for");
    }
    Ok(files)
}

/// Every file in every back end that reads it, with every number of threads.
fn engines<'a>(
    args: &BenchArgs,
    files: &'a [ModelFile],
    skipped: &mut Vec<Skipped>,
) -> anyhow::Result<Vec<Engine<'a>>> {
    let built_in = || BackendKind::ALL.iter().copied().filter(|kind| kind.is_built_in());
    let kinds: Vec<BackendKind> =
        if args.backend.is_empty() { built_in().collect() } else { args.backend.clone() };
    let mut engines: Vec<Engine<'a>> = Vec::new();
    for file in files {
        for &kind in kinds.iter().filter(|kind| kind.reads() == file.format) {
            for threads in args.threads.iter().map(|&threads| usize::from(threads)) {
                if kind == BackendKind::Tract && threads > 1 {
                    continue;
                }
                match Opened::new(&file.path, kind, threads, (args.instruction_set.as_deref(), &args.ports)) {
                    Ok(opened) => engines.push(Engine { file, kind, threads, opened, difference: None }),
                    Err(error) => {
                        latent_files::say!("warning: not measured: {error:#}");
                        skipped.push(Skipped {
                            model: file.name(),
                            backend: kind.name(),
                            why: format!("{error:#}"),
                        });
                        break;
                    }
                }
            }
        }
    }
    let Some(first) = engines.first_mut() else {
        bail!("nothing can be measured: no back end asked for runs one of the files");
    };
    let shapes = |engine: &mut Engine<'_>| {
        let backend = engine.opened.backend();
        (backend.input().shape.to_vec(), backend.output().values(), engine.file.path.clone())
    };
    let (input, output, path) = shapes(first);
    for engine in &mut engines {
        let found = shapes(engine);
        if (&found.0, found.1) != (&input, output) {
            bail!(
                "{} and {} are not the same network: the one takes {input:?} and gives {output} values, the other \
                 {:?} and {}",
                path.display(),
                found.2.display(),
                found.0,
                found.1
            );
        }
    }
    Ok(engines)
}

/// Says once for each file that takes images which range they are given in, if it does not state it, and which class one with
/// a label is given.
fn decide_ranges(args: &BenchArgs, engines: &mut [Engine<'_>]) -> anyhow::Result<()> {
    let mut last = None;
    for engine in engines {
        let (file, backend) = (engine.file, engine.opened.backend());
        let facts = file.metadata.facts(backend.input().shape, backend.output().shape);
        if !facts.takes_images() && args.range.is_some() {
            return Err(usage!("--range is for models that take images; {} takes none", file.path.display()));
        }
        // The engines of a file follow each other.
        if last == Some(&file.path) {
            continue;
        }
        last = Some(&file.path);
        if facts.takes_images() {
            decide(&file.path, &file.metadata, backend, args.range)?;
        }
        let given = |label: &Label| {
            args.ports.inputs.iter().any(|input| input.starts_with(&format!("{}=", label.name)))
        };
        if let Some(label) = label(backend, &file.metadata).filter(|label| !given(label)) {
            latent_files::say!("note: {}: its input `{}` is class 0", file.path.display(), label.name);
        }
    }
    Ok(())
}

/// Compares all outputs with those of the reference.
fn compare(
    args: &BenchArgs,
    files: &[ModelFile],
    engines: &mut [Engine<'_>],
) -> anyhow::Result<Option<Reference>> {
    let given = args.reference.as_deref().map(ModelFile::read).transpose()?;
    let first = files.iter().find(|file| file.precision == Precision::F32).or(files.first());
    let Some(file) = given.as_ref().or(first) else { return Ok(None) };
    // The best of the back ends that can run it; ONNX Runtime before tract.
    let kinds =
        BackendKind::ALL.iter().rev().filter(|kind| kind.reads() == file.format && kind.is_built_in());
    let mut opened = None;
    for &kind in kinds {
        match Opened::new(&file.path, kind, 1, (None, &args.ports)) {
            Ok(found) => {
                opened = Some(found);
                break;
            }
            Err(error) => latent_files::say!("warning: not taken as reference: {error:#}"),
        }
    }
    let Some(mut opened) = opened else { return Ok(None) };
    let batch = args.batch.first().map_or(1, |&batch| batch as usize);
    let examples = COMPARED.next_multiple_of(batch);
    let running = |path: &Path| format!("running {}", path.display());
    let backend = opened.backend();
    let given = inputs(file, backend, examples, (args.seed, args.range))?;
    let expected = outputs(backend, batch, &given).with_context(|| running(&file.path))?;
    for engine in engines {
        let backend = engine.opened.backend();
        if backend.input().values() * examples != given.len() {
            bail!(
                "{} takes other inputs than the reference {}",
                engine.file.path.display(),
                file.path.display()
            );
        }
        let found = outputs(backend, batch, &given).with_context(|| running(&engine.file.path))?;
        if found.len() != expected.len() {
            bail!(
                "{} gives other outputs than the reference {}",
                engine.file.path.display(),
                file.path.display()
            );
        }
        engine.difference = Some(Difference::of(&found, &expected));
    }
    let engine = opened.backend().describe().to_string();
    Ok(Some(Reference { model: file.name(), engine, examples }))
}

fn result(args: &BenchArgs, engine: &mut Engine<'_>, contender: &Contender) -> Result_ {
    let time = contender.summary();
    let probed = probe_in_process(args, engine, contender.batch);
    Result_ {
        model: engine.file.name(),
        file: engine.file.path.display().to_string(),
        precision: engine.file.precision.name(),
        backend: engine.kind.name(),
        engine: engine.opened.backend().describe().to_string(),
        threads: engine.threads,
        batch: contender.batch,
        per_second: contender.batch as f64 / time.mean_us * 1e6,
        time,
        turns_p50_us: contender.bursts.clone(),
        first_output_ms: probed.as_ref().map(|probed| median(&probed.loads) * 1e3),
        peak_memory_bytes: probed.as_ref().and_then(|probed| Some(probed.memory?.0)),
        model_memory_bytes: probed
            .and_then(|probed| probed.memory.map(|(peak, before)| peak.saturating_sub(before))),
        bytes: engine.file.bytes,
        difference: engine.difference,
    }
}

/// What a process of its own finds.
#[derive(Debug, Deserialize, Serialize)]
struct Probed {
    /// The most memory it had and what it had before it opened the model, in bytes; where the system tells.
    memory: Option<(u64, u64)>,
    /// Seconds from opening the file to the first output, several times.
    loads: Vec<f64>,
}

/// Starts this program with `--probe`: the most memory of a process is of one model only if it opens no other, and how fast
/// one opens depends on what others have left in the caches and to the allocator.
fn probe_in_process(args: &BenchArgs, engine: &Engine<'_>, batch: usize) -> Option<Probed> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.arg("bench").arg(&engine.file.path).args(["--probe", "--backend", engine.kind.name()]);
    command.args(["--threads", &engine.threads.to_string(), "--batch", &batch.to_string()]);
    if let Some(instruction_set) = &args.instruction_set {
        command.args(["--instruction-set", instruction_set]);
    }
    command.args(args.ports.arguments());
    let output = command.output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn probe(args: &BenchArgs) -> anyhow::Result<()> {
    let ([model], [kind], [threads], [batch]) = (&*args.models, &*args.backend, &*args.threads, &*args.batch)
    else {
        return Err(usage!("--probe takes one model, back end, number of threads and batch"));
    };
    let before = memory().map(|(_, now)| now);
    let (batch, threads) = (*batch as usize, usize::from(*threads));
    let options = (args.instruction_set.as_deref(), &args.ports);
    let mut opened = Opened::new(model, *kind, threads, options)?;
    let input = vec![0.0; batch * opened.backend().input().values()];
    outputs(opened.backend(), batch, &input)?;
    let memory = memory().zip(before).map(|((peak, _), before)| (peak, before));
    drop(opened);
    // The library is loaded by now, and the system has the file in memory.
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        loads.push(load(model, *kind, threads, options, &input)?.1);
    }
    print(&format!("{}\n", serde_json::to_string(&Probed { memory, loads })?))
}
