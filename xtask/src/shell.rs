//! Running other programs: shown before they run, their failure an error that names them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command that runs in the workspace's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(crate::root());
    command
}

/// The `cargo` that runs this program.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo leaves what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from)
}

/// One of the project's programs, as the release build left it.
pub(crate) fn program(name: &str) -> Command {
    command(target().join("release").join(name))
}

/// Prints the command line, runs it, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    run_quietly(command)
}

/// Runs the command without printing it first, and fails unless it succeeds.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs quietly and returns standard output; the error holds standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !done.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            line(command),
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Whether the program is there and answers with success.
pub(crate) fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether the programs are there, given with the Debian packages that have them. Installs what is not, where that is possible.
pub(crate) fn tools(tools: &[(&str, &str)]) -> bool {
    let missing = || -> Vec<&str> {
        tools
            .iter()
            .filter(|(program, _)| !answers(command(program).arg("--version")))
            .map(|&(_, package)| package)
            .collect()
    };
    let packages = missing();
    packages.is_empty() || apt_install(&packages) && missing().is_empty()
}

/// Installs Debian packages where that is possible: `apt-get` is there and we are root.
/// Returns false, and says what is missing, where it is not.
pub(crate) fn apt_install(packages: &[&str]) -> bool {
    let root = output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !answers(command("apt-get").arg("--version")) {
        eprintln!("missing system packages: install {} with your package manager", packages.join(" "));
        return false;
    }
    let install = || {
        run(command("apt-get")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A machine whose package lists are old or missing needs them first.
    install().or_else(|_| run(command("apt-get").arg("update")).and_then(|()| install())).is_ok()
}

/// The command as one would type it, with paths inside the workspace relative to it.
fn line(command: &Command) -> String {
    let root = crate::root();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            Path::new(word).strip_prefix(&root).map_or(word, Path::as_os_str).to_string_lossy().into_owned()
        })
        .map(|word| if word.contains(' ') { format!("'{word}'") } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}
