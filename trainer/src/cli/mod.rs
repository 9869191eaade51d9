//! The command line of the `trainer` program.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod bench;
pub mod bench_augment;
pub mod classifier;
mod common;
pub mod data;
pub mod doctor;
pub mod eval;
pub mod evaluate;
pub mod gan;
pub mod sample;
pub mod simclr;
mod stop;
mod training;
mod tuning;

/// The libtorch that tch 0.24 binds.
const LIBTORCH: &str = "2.11.0";

/// Trains small image generators and encoders with libtorch.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train the fully connected GAN with the non-saturating cross-entropy loss
    #[command(after_help = gan::EXAMPLES)]
    Vanilla(gan::GanArgs),
    /// Train the fully connected GAN with the least-squares loss
    #[command(after_help = gan::EXAMPLES)]
    Lsgan(gan::GanArgs),
    /// Train the convolutional GAN (DCGAN)
    #[command(after_help = gan::EXAMPLES)]
    Dcgan(gan::GanArgs),
    /// Train an encoder without labels (SimCLR)
    #[command(after_help = simclr::EXAMPLES)]
    Simclr(Box<simclr::SimclrArgs>),
    /// Train a small classifier, by whose features generated images are judged
    #[command(after_help = classifier::EXAMPLES)]
    Classifier(Box<classifier::ClassifierArgs>),
    /// Classify images by the nearest neighbors that an encoder finds
    #[command(after_help = evaluate::KNN_EXAMPLES)]
    Knn(evaluate::KnnArgs),
    /// Train a linear layer on an encoder's features, and say how much it learned
    #[command(after_help = evaluate::PROBE_EXAMPLES)]
    Probe(evaluate::ProbeArgs),
    /// Draw what an encoder takes for alike: nearest neighbors and maps
    #[command(after_help = evaluate::EMBEDDINGS_EXAMPLES)]
    Embeddings(evaluate::EmbeddingsArgs),
    /// Say how good a generator's images are
    #[command(after_help = eval::EVAL_EXAMPLES)]
    Eval(Box<eval::EvalArgs>),
    /// Make of a classifier what `trainer eval` judges by
    #[command(after_help = eval::SCORER_EXAMPLES)]
    Scorer(eval::ScorerArgs),
    /// Draw images from a run's generator
    #[command(after_help = sample::EXAMPLES)]
    Sample(sample::SampleArgs),
    /// Fetch, inspect, draw and export data sets
    Data(data::DataArgs),
    /// Say which libtorch, devices, data and libraries were found
    Doctor(doctor::DoctorArgs),
    /// Measure the speed of a training step on random pixels
    BenchStep(bench::BenchArgs),
    /// Measure how many augmented views of images can be made in a second
    BenchAugment(bench_augment::BenchAugmentArgs),
}

/// Parses the command line and runs the command.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage, 130 a training run that Ctrl-C stopped and saved.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(
        cli.command,
        Command::Vanilla(_)
            | Command::Lsgan(_)
            | Command::Dcgan(_)
            | Command::Simclr(_)
            | Command::Classifier(_)
            | Command::Eval(_)
            | Command::Knn(_)
            | Command::Probe(_)
            | Command::Embeddings(_)
            | Command::BenchStep(_)
            | Command::BenchAugment(_)
    ) {
        tuning::apply();
    }
    report(cli)
}

/// Runs a command in this process: what [`main`] does without the settings of the C library and of OpenMP, which need a new one.
/// The first argument is the program's name.
pub fn run<I>(arguments: I) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    report(Cli::parse_from(arguments))
}

/// Runs the command and reports its error, if any, as one sentence chain.
fn report(cli: Cli) -> ExitCode {
    latent_runtime::report_engine_panics_as_errors_only();
    let result = match cli.command {
        Command::Vanilla(args) => gan::run(gan::GanKind::Vanilla, args),
        Command::Lsgan(args) => gan::run(gan::GanKind::Lsgan, args),
        Command::Dcgan(args) => gan::run(gan::GanKind::Dcgan, args),
        Command::Simclr(args) => simclr::run(*args),
        Command::Classifier(args) => classifier::run(*args),
        Command::Knn(args) => done(evaluate::neighbors(args)),
        Command::Probe(args) => done(evaluate::probe(args)),
        Command::Embeddings(args) => done(evaluate::embeddings(args)),
        Command::Eval(args) => done(eval::run(*args)),
        Command::Scorer(args) => done(eval::scorer(args)),
        Command::Sample(args) => done(sample::run(args)),
        Command::Data(args) => done(data::run(args)),
        Command::Doctor(args) => done(doctor::run(args)),
        Command::BenchStep(args) => done(bench::run(args)),
        Command::BenchAugment(args) => done(bench_augment::run(args)),
    };
    match result {
        Ok(code) => code,
        Err(error) => latent_files::console::fail(error.as_ref(), 1),
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_use_are_taken() {
        let others = "trainer dcgan --batch-size 8 --nz 10 --niter 2 --manualSeed 3 --data synth";
        let ours = "trainer dcgan --batch 8 --latent-size 10 --epochs 2 --seed 3 --data synth-digits";
        let [others, ours] = [others, ours].map(|line| Cli::try_parse_from(line.split(' ')).unwrap());
        assert_eq!(format!("{others:?}"), format!("{ours:?}"));
        let error = Cli::try_parse_from(["trainer", "dcgan", "--seed", "-1"]).unwrap_err().to_string();
        assert!(error.contains("seeds are whole numbers from 0"), "{error}");
    }
}
