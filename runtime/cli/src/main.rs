//! The program `runtime`: runs models, measures them, and tells what is in them.

mod bench;
mod embed;
mod embeddings;
mod encoder;
mod inspect;
mod inspect_packed;
mod knn;
mod metadata;
mod ports;
mod run;
mod search;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use latent_files::console;

/// Run small generators and encoders, and look into their files.
#[derive(Parser)]
#[command(name = "runtime", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a model: a generator draws images from seeded noise, a discriminator scores images
    Run(run::RunArgs),
    /// Measure models: time, memory, size, and how far their outputs are from the reference
    Bench(bench::BenchArgs),
    /// Turn images into embeddings with an encoder
    Embed(embed::EmbedArgs),
    /// Find the images most similar to an image among stored embeddings
    Search(search::SearchArgs),
    /// Tell how well stored embeddings tell classes apart: k nearest neighbors
    Knn(knn::KnnArgs),
    /// Show what is in a model: operators, shapes, sizes, metadata
    Inspect(inspect::InspectArgs),
}

const EXAMPLES: &str = "\
Examples:
  runtime run generator.lat --seed 7 --count 64 --out sheet.png
  runtime run generator.onnx --interpolate slerp --count 4 --frames 12 \\
      --out walk.png
  runtime run digits.lat --label 7 --out sevens.png
  runtime run discriminator.onnx --input digit.png other.png
  runtime embed encoder.lat photos/ --out photos.safetensors
  runtime search photos.safetensors new.jpg --model encoder.lat
  runtime inspect generator.onnx
  runtime bench generator.onnx generator.int8.lat --threads 1,2

Exit status: 0 for success, 1 for a failure, 2 for wrong usage.";

/// An error in how the program was called; exit status 2.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An [`anyhow::Error`] for wrong usage.
macro_rules! usage {
    ($($format:tt)*) => { anyhow::Error::new($crate::Usage(format!($($format)*))) };
}
use usage;

/// Parses the command line, does what it says, and reports an error as one sentence chain on stderr.
fn main() -> ExitCode {
    latent_runtime::report_engine_panics_as_errors_only();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Knn(args) => knn::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    console::fail(error.as_ref(), if error.is::<Usage>() { 2 } else { 1 })
}

/// Writes a result to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(console::print(text)?)
}
