//! The command line of the `trainer` program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod data;
pub mod doctor;
pub mod gan;
pub mod sample;

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
    Vanilla(gan::GanArgs),
    /// Train the fully connected GAN with the least-squares loss
    Lsgan(gan::GanArgs),
    /// Train the convolutional GAN (DCGAN)
    Dcgan(gan::GanArgs),
    /// Draw images from a run's generator
    Sample(sample::SampleArgs),
    /// Fetch, inspect and draw data sets
    Data(data::DataArgs),
    /// Say which libtorch, devices, data and libraries were found
    Doctor(doctor::DoctorArgs),
}

/// Parses the command line, runs the command and reports its error, if any, as one sentence chain.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Vanilla(args) => gan::run(gan::Preset::Vanilla, args),
        Command::Lsgan(args) => gan::run(gan::Preset::Lsgan, args),
        Command::Dcgan(args) => gan::run(gan::Preset::Dcgan, args),
        Command::Sample(args) => sample::run(args),
        Command::Data(args) => data::run(args),
        Command::Doctor(args) => doctor::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
