//! The Python package in `edge/python`: installed from the folder into a fresh environment, as its README says, and tested there.

use anyhow::Result;

use crate::shell;

/// Runs its tests; why not, if they cannot be run.
pub(crate) fn test() -> Result<Option<String>> {
    let folder = crate::root().join("target/python");
    let (venv, python) = (folder.join("venv"), folder.join("venv/bin/python"));
    let make = || shell::run(shell::command("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    if make().is_err() && !(shell::apt_install(&["python3", "python3-venv"]) && make().is_ok()) {
        return Ok(Some("Debian's packages python3 and python3-venv are not there".into()));
    }
    shell::run(
        shell::command(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "./edge/python[test]"])
            .env("CARGO_TARGET_DIR", &folder),
    )?;
    let mut tests = shell::command(&python);
    tests.args(["-m", "pytest", "-p", "no:cacheprovider", "edge/python"]);
    shell::run(tests.env("LATENT_RUNTIME", shell::target().join("debug/runtime")))?;
    Ok(None)
}
