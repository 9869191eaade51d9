//! The page in `edge/web/`: built, its size checked, its engine beside this machine's, tried in a browser.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cross, shell};

const TARGET: &str = "wasm32-unknown-unknown";
/// The most bytes of the engine, as a server sends it.
const MOST: u64 = 60_000;
/// What lies beside the engine.
const PAGE: [&str; 5] = ["index.html", "style.css", "page.js", "latent.js", "package.json"];
const MODEL: &str = "models/dcgan-mnist.int8.lat";
const SMALL: &str = "edge/models/generator.lat";
const ENCODER: &str = "edge/models/encoder.lat";
/// Models of all weights, on which the engine is held against this machine's.
const COMPARED: [&str; 7] = [
    MODEL,
    SMALL,
    ENCODER,
    "runtime/fuzz/corpus/lat/generator.int8.lat",
    "runtime/fuzz/corpus/lat/generator.f32.lat",
    "runtime/fuzz/corpus/lat/winograd.f16.lat",
    "runtime/fuzz/corpus/lat/varied.lat",
];

fn folder() -> PathBuf {
    crate::root().join("target/web")
}

/// Builds the folder that a server gives to browsers; the error says why it cannot be built.
fn build() -> Result<Result<PathBuf, String>> {
    let mut cargo = match cross::cargo(TARGET, "core") {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Err(why)),
    };
    if cargo.from_source {
        if !shell::tools(&[("wasm-ld", "lld")]) {
            return Ok(Err("there is no linker, Debian's package lld".into()));
        }
        cargo.command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
    }
    let (source, output, folder) =
        (crate::root().join("edge/web"), crate::root().join("target/edge/web"), folder());
    let command = cargo.command.current_dir(&source).args(["build", "--locked", "--release"]);
    shell::run(command.args(["--target", TARGET, "--target-dir"]).arg(&output))?;
    fs::create_dir_all(folder.join("examples"))?;
    let copy = |from: &Path, to: &str| {
        fs::copy(from, folder.join(to)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&output.join(TARGET).join("release/latent_web.wasm"), "latent.wasm")?;
    PAGE.iter().try_for_each(|name| copy(&source.join(name), name).map(|_| ()))?;
    copy(&source.join("examples/ten-lines.mjs"), "examples/ten-lines.mjs")?;
    copy(&crate::root().join(MODEL), "dcgan-mnist.int8.lat")?;
    Ok(Ok(folder))
}

/// The command: builds the folder and says how to open it.
pub(crate) fn run() -> Result<()> {
    match build()? {
        Ok(_) => println!("python3 -m http.server 8000 --directory target/web, then http://localhost:8000"),
        Err(why) => bail!("the page could not be built: {why}"),
    }
    Ok(())
}

/// Bytes of a file as a server sends it.
fn compressed(path: &Path) -> Result<u64> {
    let output = crate::root().join("target/edge/web/latent.wasm.gz");
    let to = File::create(&output)?;
    shell::run_quietly(shell::command("gzip").args(["-9", "--no-name", "--stdout"]).arg(path).stdout(to))?;
    Ok(fs::metadata(output)?.len())
}

/// Runs everything; why not, if it cannot be run.
pub(crate) fn test() -> Result<Option<String>> {
    if !shell::tools(&[("node", "nodejs"), ("chromium", "chromium"), ("python3", "python3")]) {
        return Ok(Some("Debian's packages nodejs, chromium and python3 are not there".into()));
    }
    let folder = match build()? {
        Ok(folder) => folder,
        Err(why) => return Ok(Some(why)),
    };
    let size = compressed(&folder.join("latent.wasm"))?;
    eprintln!("latent.wasm: {size} bytes compressed, of at most {MOST}");
    if size > MOST {
        bail!("latent.wasm has {size} bytes when compressed, more than {MOST}");
    }
    // The same artifacts as those of the tests.
    shell::run(shell::cargo().args(["build", "--workspace", "--all-features", "--bin", "runtime"]))?;
    let runtime = shell::target().join("debug/runtime");
    shell::run(node("edge/web/check/parity.mjs").arg(&folder).arg(&runtime).args(COMPARED))?;
    let lines = folder.join("examples/ten-lines.mjs");
    shell::run(shell::command("node").arg(lines).arg(MODEL).arg("target/edge/web/seven.pgm"))?;
    let seven = crate::root().join("target/edge/web/seven.png");
    shell::run(
        shell::command(&runtime)
            .args(["run", MODEL, "--seed", "7", "--count", "1", "--force", "--out"])
            .arg(&seven),
    )?;
    // Small models for the page to be given.
    let served = crate::root().join("target/edge/web/served");
    fs::create_dir_all(&served)?;
    let served_files =
        PAGE.iter().chain(&["latent.wasm", "dcgan-mnist.int8.lat"]).map(|name| folder.join(name));
    let models = [(SMALL, "small.lat"), (ENCODER, "encoder.lat")];
    for path in served_files {
        fs::copy(&path, served.join(path.file_name().unwrap_or_default()))?;
    }
    models
        .iter()
        .try_for_each(|(from, to)| fs::copy(crate::root().join(from), served.join(to)).map(|_| ()))?;
    let screenshots = crate::root().join("target/edge/web/screenshots");
    shell::run(node("edge/web/check/page.mjs").arg(&served).arg(&seven).arg(&screenshots))?;
    Ok(None)
}

fn node(script: &str) -> Command {
    let mut command = shell::command("node");
    command.arg(script);
    command
}
