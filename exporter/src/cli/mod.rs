//! The command line: one module for each subcommand.

mod calibration;
mod convert;
mod export;
mod inspect;
mod pack;
mod task;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use latent_files::console;

/// Turn a training run into ONNX files, and ONNX files into packed models.
#[derive(Debug, Parser)]
#[command(name = "exporter", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the networks of a run as fp32 ONNX
    Export(export::ExportArgs),
    /// Pack an ONNX model for the native engine
    Pack(pack::PackArgs),
    /// Write an ONNX model in another precision or form
    Convert(convert::ConvertArgs),
    /// Show what a packed model does, and where its memory goes
    Inspect(inspect::InspectArgs),
}

/// Runs the program: 0 when all went well, 1 on an error, 2 on wrong usage.
pub(crate) fn main() -> ExitCode {
    latent_runtime::report_engine_panics_as_errors_only();
    let result = match Cli::parse().command {
        Command::Export(args) => export::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Inspect(args) => inspect::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => console::fail(error.as_ref(), 1),
    }
}
