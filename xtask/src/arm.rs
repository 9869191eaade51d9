//! `cargo xtask arm`: the tests of the packed format and of the kernels on 64-bit Arm (NEON, with and without dot products),
//! in an emulator.

use std::path::Path;

use anyhow::Result;

use crate::{cross, shell};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Where Debian puts the C library of the other machine.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// An emulated processor.
struct Processor {
    name: &'static str,
    /// The instruction sets that the engine must find there: a test fails if it finds others.
    instruction_sets: &'static str,
    /// What of the runtime's tests is run on it.
    tests: &'static [&'static str],
}

const PROCESSORS: [Processor; 2] = [
    Processor {
        name: "max",
        instruction_sets: "NEON dotprod, NEON, scalar",
        // One test alone would take two minutes in the emulator, with a hundred thousand mutants of packed models; how bytes
        // are read does not depend on the processor, and the fuzzer's test runs three thousand.
        tests: &["--lib", "--test", "fuzz", "--", "--skip", "no_changed_byte_makes_a_model_that_panics"],
    },
    // Older than dot products. What else differs from the first is nothing, so the kernels' own tests suffice.
    Processor { name: "cortex-a53", instruction_sets: "NEON, scalar", tests: &["--lib", "--", "kernels::"] },
];

/// Runs the tests; why not, if they cannot be run.
pub(crate) fn test() -> Result<Option<String>> {
    if cfg!(target_arch = "aarch64") {
        return Ok(Some("this machine is a 64-bit Arm itself: `cargo test` runs them".into()));
    }
    if !cfg!(target_os = "linux") {
        return Ok(Some("the emulator of single programs, qemu-aarch64, is for Linux".into()));
    }
    let tools = [("qemu-aarch64", "qemu-user"), ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")];
    let library = || Path::new(SYSROOT).join("lib/libc.so").exists();
    if !(shell::tools(&tools) && (library() || shell::apt_install(&["libc6-dev-arm64-cross"]) && library())) {
        return Ok(Some(
            "Debian's packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross are not there"
                .into(),
        ));
    }
    for processor in &PROCESSORS {
        let mut cargo = match cross::cargo(TARGET, "core,alloc,std,panic_unwind,proc_macro,test") {
            Ok(cargo) => cargo.command,
            Err(why) => return Ok(Some(why)),
        };
        eprintln!("emulated processor: {}", processor.name);
        shell::run(
            cargo
                .args(["test", "--package", "latent-runtime", "--features", "std"])
                .args(["--target", TARGET, "--target-dir"])
                .arg(crate::root().join("target/arm"))
                .args(processor.tests)
                .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
                .env(
                    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
                    format!("qemu-aarch64 -cpu {} -L {SYSROOT}", processor.name),
                )
                .env("LATENT_INSTRUCTION_SETS", processor.instruction_sets),
        )?;
    }
    Ok(None)
}
