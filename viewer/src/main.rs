//! The program `viewer`.

fn main() -> std::process::ExitCode {
    latent_viewer::cli::main()
}
