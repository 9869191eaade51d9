//! The Python of `cargo xtask setup`, against whose PyTorch the tests hold ours.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Runs a script of this folder's parent, which fails if something is not as it should be.
#[allow(dead_code, reason = "not every test has a script")]
pub(crate) fn check(python: &Path, script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}");
}
