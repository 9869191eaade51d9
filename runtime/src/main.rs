//! The program `runtime`: runs models, and tells what is in them.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
