//! `cargo xtask sanitize`: the tests of the packed format and of the kernels under AddressSanitizer, and under Miri where
//! there is one.

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
            .args(["--no-default-features", "--features", "std", "--target", &host, "--target-dir"])
            .arg(crate::root().join("target/sanitize"))
            // Sanitizers are not stable, but the stable compiler has them: no nightly is needed.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address"),
    )?;
    Ok(None)
}

/// Tests under Miri; why not, if there is none.
fn miri() -> Result<Option<String>> {
    if !shell::answers(shell::command("cargo").args(["+nightly", "miri", "--version"])) {
        return Ok(Some(
            "install it with `rustup toolchain install nightly --component miri --component rust-src`".into(),
        ));
    }
    // Miri has few vector instructions and is a thousand times slower: what reads packed models and the pool of threads,
    // without the tests that go through thousands of files or keep cores busy.
    shell::run(
        shell::command("cargo")
            .args(["+nightly", "miri", "test", "--package", "latent-runtime", "--lib"])
            // libm's own square roots are assembly, which Miri does not run.
            .args(["--no-default-features", "--features", "std,libm/force-soft-floats", "--target-dir"])
            .arg(crate::root().join("target/miri"))
            .args(["--", "format::", "kernels::threads", "--skip", "no_truncated_file"])
            .args(["--skip", "no_changed_byte", "--skip", "a_crowded_machine"])
            .env("MIRIFLAGS", "-Zmiri-disable-isolation"),
    )?;
    Ok(None)
}

/// The compiler's own target.
fn host() -> Result<String> {
    let version = shell::output(shell::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}
