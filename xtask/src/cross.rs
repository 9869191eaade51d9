//! Building for another machine than this one: with the standard library that rustup has for it, else with Debian's
//! compiler, which builds it from source, for machines that do not reach rustup's server.

use std::path::Path;
use std::process::Command;

use crate::shell;

/// Debian's compiler with the sources of the standard library.
const DEBIAN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A cargo for the target, in the workspace's root.
pub(crate) struct Cargo {
    pub(crate) command: Command,
    /// It is Debian's, which builds the standard library from source.
    pub(crate) from_source: bool,
}

/// Finds or installs a cargo that can build for the target. `crates` are those of the standard library that are needed, as
/// `-Zbuild-std` takes them. The error says why there is none.
pub(crate) fn cargo(target: &str, crates: &str) -> Result<Cargo, String> {
    let installed = || {
        shell::output(shell::command("rustup").args(["target", "list", "--installed"]))
            .is_ok_and(|list| list.lines().any(|line| line == target))
    };
    if installed()
        || (shell::answers(shell::command("rustup").args(["target", "add", target])) && installed())
    {
        return Ok(Cargo { command: shell::cargo(), from_source: false });
    }
    let there = || sources_are_there() && shell::answers(shell::command(DEBIAN_CARGO).arg("--version"));
    if !(there() || shell::apt_install(&DEBIAN) && there()) {
        return Err(format!(
            "rustup cannot add the target {target} and Debian's packages {} are not there",
            DEBIAN.join(", ")
        ));
    }
    let (found, needed) = (version_of(DEBIAN_RUSTC), env!("CARGO_PKG_RUST_VERSION"));
    if found < version(needed) {
        let found = found.map_or("of no version".into(), |(major, minor)| format!("{major}.{minor}"));
        return Err(format!(
            "rustup cannot add the target {target} and Debian's compiler is {found}, older than the {needed} that is needed"
        ));
    }
    let mut command = shell::command(DEBIAN_CARGO);
    command
        .arg(format!("-Zbuild-std={crates}"))
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(Cargo { command, from_source: true })
}

/// Whether the sources of the standard library are where Debian's compiler expects them.
fn sources_are_there() -> bool {
    shell::output(shell::command(DEBIAN_RUSTC).args(["--print", "sysroot"]))
        .is_ok_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists())
}

/// Major and minor version of a compiler, which says `rustc 1.85.0 (...)`.
fn version_of(rustc: &str) -> Option<(u32, u32)> {
    let said = shell::output(shell::command(rustc).arg("--version")).ok()?;
    version(said.split_whitespace().nth(1)?)
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (text, expected) in
            [("1.90", Some((1, 90))), ("1.85.0", Some((1, 85))), ("1.100.2", Some((1, 100))), ("x", None)]
        {
            assert_eq!(version(text), expected, "{text}");
        }
        assert!(version("1.100") > version("1.90") && version("1.90") > None);
    }
}
