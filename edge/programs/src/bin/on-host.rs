//! The firmware's programs on this machine: `on-host walk` or `on-host classify`.

use std::process::ExitCode;

use latent_edge_programs::{classify::classify, walk::walk};

fn main() -> ExitCode {
    let mut text = String::new();
    let result = match std::env::args().nth(1).as_deref() {
        Some("walk") => walk(&mut text),
        Some("classify") => classify(&mut text),
        other => {
            eprintln!("expected `walk` or `classify`, found {other:?}");
            return ExitCode::FAILURE;
        }
    };
    print!("{text}");
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
