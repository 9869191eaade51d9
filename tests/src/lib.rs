//! What the end-to-end tests share: the real programs, their output, and where things are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// One of the project's programs, as built in the profile of the running test.
///
/// # Panics
/// When it has not been built: `cargo xtask test` does that before it runs the tests.
pub fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap_or_default();
    // target/<profile>/deps/<test>
    let folder = test.ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default();
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not built; run `cargo xtask test`, or `cargo build --workspace --all-features --bins` first",
        path.display()
    );
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// Runs a program and returns what it printed on standard output.
///
/// # Panics
/// When it fails; the message holds everything it printed.
pub fn succeed<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> String {
    let mut command = program(name);
    command.args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}\n{}", output.status, printed(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program that must refuse: a failing exit status (not a crash), and nothing on standard output.
/// Returns its message.
///
/// # Panics
/// When it succeeds, panics or is killed.
pub fn refuse<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> String {
    let mut command = program(name);
    command.args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 2)), "{command:?} ended with {}\n{}", output.status, printed(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!message.contains("panicked"), "{command:?} panicked: {message}");
    message
}

fn printed(output: &Output) -> String {
    format!(
        "standard output:\n{}\nstandard error:\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The Python of the set-up, with PyTorch, onnx and ONNX Runtime; says so when it is not there.
pub fn python() -> Option<PathBuf> {
    let python = root().join(".latent/venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    eprintln!("skipped: {} is not there; `cargo xtask setup` makes it", python.display());
    None
}

/// A folder of real data (`mnist`, `cifar10`), from `LATENT_TEST_DATA` or beside the workspace; says so when it is not there.
pub fn data(name: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("LATENT_TEST_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let folder = folder.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}; set LATENT_TEST_DATA to a folder that has {name}", folder.display());
    None
}
