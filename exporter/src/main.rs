//! The program `exporter`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
