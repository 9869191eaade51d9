//! What the end-to-end tests share: the real programs, their output, and where things are.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

pub use latent_test_support::{data, python, root};

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
