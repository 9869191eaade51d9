//! Proof that the runtime's core needs neither an operating system nor an allocator: it is built for a Cortex-M.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

const TARGET: &str = "thumbv7em-none-eabihf";

/// How the check ended when it did not fail.
pub(crate) enum Outcome {
    /// The core was built.
    Built,
    /// This machine has no standard library for the target and none could be had.
    Skipped(String),
}

/// Builds `latent-runtime` without features for [`TARGET`].
pub(crate) fn check() -> Result<Outcome> {
    let Some(mut cargo) = cargo_for_target() else {
        return Ok(Outcome::Skipped(format!(
            "rustup cannot add the target {TARGET} and Debian's packages {} are not there",
            DEBIAN.join(", ")
        )));
    };
    let folder = crate::root().join("target/bare-metal");
    shell::run(
        cargo
            .args([
                "build",
                "--package",
                "latent-runtime",
                "--lib",
                "--no-default-features",
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(folder),
    )?;
    Ok(Outcome::Built)
}

/// Debian's toolchain with the sources of the standard library, for machines that do not reach rustup's server.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A cargo that can build for the target: rustup's, else Debian's, which builds `core` from source.
fn cargo_for_target() -> Option<Command> {
    let installed = || {
        shell::output(shell::command("rustup").args(["target", "list", "--installed"]))
            .is_ok_and(|list| list.lines().any(|line| line == TARGET))
    };
    if installed()
        || (shell::answers(shell::command("rustup").args(["target", "add", TARGET])) && installed())
    {
        return Some(shell::cargo());
    }
    let rustc = Path::new("/usr/bin/rustc");
    let there = || {
        sources_of(rustc).is_some_and(|sources| sources.exists())
            && shell::answers(shell::command("/usr/bin/cargo").arg("--version"))
            && shell::answers(shell::command("ld.lld").arg("--version"))
    };
    if !(there() || shell::apt_install(&DEBIAN) && there()) {
        return None;
    }
    let mut cargo = shell::command("/usr/bin/cargo");
    cargo
        .args(["-Zbuild-std=core"])
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "ld.lld");
    Some(cargo)
}

/// Where a rustc expects the sources of the standard library.
fn sources_of(rustc: &Path) -> Option<std::path::PathBuf> {
    let sysroot = shell::output(shell::command(rustc).args(["--print", "sysroot"])).ok()?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core"))
}
