//! Proof that the runtime's core needs neither an operating system nor an allocator: it is built for a Cortex-M.

use anyhow::Result;

use crate::{cross, shell};

const TARGET: &str = "thumbv7em-none-eabihf";

/// Builds `latent-runtime` with all features that need neither for [`TARGET`]; why not, if there is no compiler for it.
pub(crate) fn check() -> Result<Option<String>> {
    let mut cargo = match cross::cargo(TARGET, "core") {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Some(why)),
    };
    // rustup's compiler brings a linker.
    if cargo.from_source {
        if !shell::tools(&[("ld.lld", "lld")]) {
            return Ok(Some("there is no linker, Debian's package lld".into()));
        }
        cargo.command.env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "ld.lld");
    }
    shell::run(
        cargo
            .command
            .args([
                "build",
                "--package",
                "latent-runtime",
                "--lib",
                "--features",
                "extended-operators,version-1",
            ])
            .args(["--target", TARGET, "--target-dir"])
            .arg(crate::root().join("target/bare-metal")),
    )?;
    Ok(None)
}
