//! The command line of the `trainer` program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod bench;
pub mod bench_augment;
pub mod data;
pub mod doctor;
pub mod gan;
pub mod sample;
mod stop;
mod tuning;

/// The libtorch that tch 0.24 binds.
const LIBTORCH: &str = "2.11.0";

/// Trains small image generators with libtorch.
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
    /// Draw images from a run's generator
    #[command(after_help = sample::EXAMPLES)]
    Sample(sample::SampleArgs),
    /// Fetch, inspect and draw data sets
    Data(data::DataArgs),
    /// Say which libtorch, devices, data and libraries were found
    Doctor(doctor::DoctorArgs),
    /// Measure the speed of a training step on random pixels
    BenchStep(bench::BenchArgs),
    /// Measure how many augmented views of images can be made in a second
    BenchAugment(bench_augment::BenchAugmentArgs),
}

/// Parses the command line, runs the command and reports its error, if any, as one sentence chain.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage, 130 a training run that Ctrl-C stopped and saved.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(
        cli.command,
        Command::Vanilla(_)
            | Command::Lsgan(_)
            | Command::Dcgan(_)
            | Command::BenchStep(_)
            | Command::BenchAugment(_)
    ) {
        tuning::apply();
    }
    let result = match cli.command {
        Command::Vanilla(args) => gan::run(gan::Preset::Vanilla, args),
        Command::Lsgan(args) => gan::run(gan::Preset::Lsgan, args),
        Command::Dcgan(args) => gan::run(gan::Preset::Dcgan, args),
        Command::Sample(args) => done(sample::run(args)),
        Command::Data(args) => done(data::run(args)),
        Command::Doctor(args) => done(doctor::run(args)),
        Command::BenchStep(args) => done(bench::run(args)),
        Command::BenchAugment(args) => done(bench_augment::run(args)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}
