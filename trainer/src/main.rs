//! The `trainer` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    latent_trainer::cli::main()
}
