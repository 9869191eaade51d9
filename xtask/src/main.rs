//! `cargo xtask`: the project's own commands, everything a fresh machine needs.

mod arm;
mod bare_metal;
mod bench;
mod c_library;
mod cross;
mod demo;
mod edge;
mod models;
#[cfg(test)]
mod pages;
mod python;
mod sanitize;
mod setup;
mod shell;
mod test;
mod torture;
mod web;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    about = "Set-up, demo, tests and benchmarks of Latent"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Provide libtorch, the ONNX Runtime library and the Python side of the tests, in .latent/
    Setup(setup::SetupArgs),
    /// Train, export, run and make pictures, on data drawn by the program itself
    Demo(demo::DemoArgs),
    /// Measure our speed beside the others'
    Bench(bench::BenchArgs),
    /// Make the models in models/ again, from data to card
    Models(models::ModelsArgs),
    /// Run every check and every test
    Test(test::TestArgs),
    /// Try what may not do harm, at random, for as long as you say: damaged and hostile files, lost outputs (docs/TRUST.md)
    Torture(torture::TortureArgs),
    /// Build the runtime's core for a Cortex-M4F/M7 without an operating system
    BareMetal,
    /// Run the tests of the packed format and the kernels on 64-bit Arm, in an emulator
    Arm,
    /// Run the firmware in edge/ in an emulator: its output beside this machine's, its costs beside the recorded ones
    Edge,
    /// Build the library for C and run the commands of edge/c/README.md: its programs here, on 64-bit Arm and on a Cortex-M
    CLibrary,
    /// Build the page in edge/web/ that runs models in a browser, in target/web/
    Web {
        /// Hold its engine against this machine's, and try the page in Chromium
        #[arg(long)]
        test: bool,
    },
    /// Run the tests of the packed format and the kernels under AddressSanitizer, and part of them under Miri
    Sanitize,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Torture(args) => torture::run(&args),
        Command::Sanitize => sanitize::run(),
        Command::Web { test: false } => web::run(),
        Command::Web { test: true } => {
            if let Some(why) = web::test()? {
                anyhow::bail!("the page was not tried: {why}");
            }
            Ok(())
        }
        Command::Arm => {
            if let Some(why) = arm::test()? {
                anyhow::bail!("the tests on Arm were not run: {why}");
            }
            Ok(())
        }
        Command::Edge => {
            if let Some(why) = edge::test()? {
                anyhow::bail!("the firmware was not run: {why}");
            }
            Ok(())
        }
        Command::CLibrary => {
            if let Some(why) = c_library::test()? {
                anyhow::bail!("the library for C was not tested: {why}");
            }
            Ok(())
        }
        Command::BareMetal => {
            if let Some(why) = bare_metal::check()? {
                anyhow::bail!("the bare-metal build could not be made: {why}");
            }
            Ok(())
        }
    }
}

/// The workspace's root folder.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}
