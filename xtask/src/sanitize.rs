//! `cargo xtask sanitize`: the tests of the packed format and of the kernels under AddressSanitizer, and those of the
//! packed format and of the threads under Miri where rustup has it.

use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Runs both; says what could not be run and why.
pub(crate) fn run() -> Result<()> {
    if let Some(why) = address_sanitizer()? {
        println!("AddressSanitizer: not run: {why}");
    } else {
        println!("AddressSanitizer: the tests of the runtime's library and the fuzzer's corpus passed");
    }
    match miri()? {
        Some(why) => println!("Miri: not run: {why}"),
        None => println!("Miri: the tests of the packed format and of the threads passed"),
    }
    Ok(())
}

/// Tests under AddressSanitizer; why not, if they cannot be run.
pub(crate) fn address_sanitizer() -> Result<Option<String>> {
    let host = host()?;
    // https://doc.rust-lang.org/beta/unstable-book/compiler-flags/sanitizer.html#addresssanitizer
    let supported = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin"];
    if !supported.contains(&host.as_str()) {
        return Ok(Some(format!("Rust has none for {host}")));
    }
    shell::run(
        shell::cargo()
            .args(["test", "--package", "latent-runtime", "--lib", "--test", "fuzz"])
            .args(["--features", "std", "--target", &host, "--target-dir"])
            .arg(crate::root().join("target/sanitize"))
            // Sanitizers are not stable, but the stable compiler has them: no nightly is needed.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address"),
    )?;
    Ok(None)
}

/// Parts of the nightly toolchain that Miri needs beside the compiler, as rustup names them.
const MIRI_COMPONENTS: [&str; 2] = ["miri", "rust-src"];

/// Tests under Miri, which rustup installs where it is not there; why not, if they cannot be run.
pub(crate) fn miri() -> Result<Option<String>> {
    if !miri_is_there() {
        let mut install = shell::command("rustup");
        install.args(["toolchain", "install", "nightly", "--profile", "minimal", "--no-self-update"]);
        install.args(MIRI_COMPONENTS.map(|component| ["--component", component]).as_flattened());
        let failure = shell::run(&mut install).err();
        if !miri_is_there() {
            let why =
                failure.map_or("it is not there after it was installed".into(), |why| format!("{why:#}"));
            return Ok(Some(format!(
                "no test of the packed format and of the threads was run under Miri, which is of the nightly toolchain that rustup installs: {why}"
            )));
        }
    }
    // Miri has few vector instructions and is a thousand times slower: what reads packed models and the pool of threads,
    // without the tests that go through thousands of files or keep cores busy.
    shell::run(
        nightly_cargo()
            .args(["miri", "test", "--package", "latent-runtime", "--lib"])
            // libm's own square roots are assembly, which Miri does not run.
            .args(["--features", "std,libm/force-soft-floats", "--target-dir"])
            .arg(crate::root().join("target/miri"))
            .args(["--", "format::", "kernels::threads", "--skip", "no_truncated_file"])
            .args(["--skip", "no_changed_byte", "--skip", "a_crowded_machine"])
            .env("MIRIFLAGS", "-Zmiri-disable-isolation"),
    )?;
    Ok(None)
}

/// The nightly toolchain's `cargo`.
fn nightly_cargo() -> Command {
    let mut command = shell::command("rustup");
    command.args(["run", "nightly", "cargo"]);
    command
}

/// Whether the nightly toolchain has Miri and the sources of the standard library that it runs.
fn miri_is_there() -> bool {
    let list = ["component", "list", "--toolchain", "nightly", "--installed"];
    shell::output(shell::command("rustup").args(list)).is_ok_and(|list| {
        // A component for one machine has that machine's name behind its own.
        MIRI_COMPONENTS.iter().all(|component| list.lines().any(|line| line.starts_with(component)))
    }) && shell::answers(nightly_cargo().args(["miri", "--version"]))
}

/// The compiler's own target.
fn host() -> Result<String> {
    let version = shell::output(shell::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}
