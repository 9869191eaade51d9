//! Runs the `trainer` program and compares what it leaves.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub fn trainer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn finish(child: Child) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    finish(trainer(arguments).spawn().unwrap())
}

pub fn succeed(arguments: &[&str]) -> String {
    let (code, text) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

/// Everything about a run that must not depend on interruptions: the metrics, the newest checkpoint, the last samples.
pub fn results(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut checkpoints: Vec<PathBuf> =
        fs::read_dir(run.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    checkpoints.sort();
    let newest = checkpoints.pop().unwrap();
    let mut files = vec![run.join("metrics.csv"), run.join("samples/final.png")];
    files.retain(|file| file.exists());
    files.extend(
        fs::read_dir(&newest).unwrap().map(|e| e.unwrap().path()).filter(|p| !p.ends_with("state.json")),
    );
    files.sort();
    let name = |path: &Path| path.strip_prefix(run).unwrap().display().to_string();
    let mut found: Vec<(String, Vec<u8>)> =
        files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
    // All of the state but the time.
    let mut state: serde_json::Value =
        serde_json::from_slice(&fs::read(newest.join("state.json")).unwrap()).unwrap();
    state["seconds"] = 0.into();
    found.push((name(&newest.join("state.json")), state.to_string().into_bytes()));
    found
}

pub fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (results(a), results(b));
    let names = |r: &[(String, Vec<u8>)]| r.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{name} differs");
    }
}

pub fn wait_for(what: &str, child: &mut Child, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(child.try_wait().unwrap().is_none(), "the trainer ended before {what}");
        assert!(start.elapsed() < Duration::from_secs(120), "no {what} after two minutes");
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

pub fn info(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap()
}
