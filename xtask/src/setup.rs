//! `cargo xtask setup`: libtorch, ONNX Runtime and the tests' Python side, once, in `.latent/`.
//!
//! Everything comes from PyPI wheels, pinned with hashes in `requirements.txt`, into a virtual environment.
//! Two stable names lead to what the Rust side needs:
//! `.latent/libtorch` (what `LIBTORCH` points to) and `.latent/onnxruntime/libonnxruntime.so`.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};

use crate::shell;

#[derive(Args, Default)]
pub(crate) struct SetupArgs {
    /// Install again even if everything is there
    #[arg(long)]
    force: bool,
}

/// The pinned requirements, also the key that says whether an installation is current.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Wheels a build needs when only one of the two libraries is wanted.
const TORCH: &str = "torch";
const ONNX_RUNTIME: &str = "onnxruntime";

/// What of the set-up the environment already provides.
struct Provided {
    libtorch: Option<String>,
    onnx_runtime: Option<String>,
}

impl Provided {
    fn from_env() -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // Cargo itself sets LIBTORCH to our own folder (.cargo/config.toml); that one is not the user's.
        let ours = crate::root().join(".latent/libtorch");
        let libtorch = match (set("LIBTORCH_USE_PYTORCH"), set("LIBTORCH")) {
            (Some(_), _) => Some("LIBTORCH_USE_PYTORCH (the PyTorch of python3)".to_owned()),
            (None, Some(dir)) if Path::new(&dir) != ours => {
                if !Path::new(&dir).join("lib").is_dir() {
                    bail!(
                        "LIBTORCH is set to {dir}, which has no lib folder; point it at a libtorch 2.11.0, or unset it to have one installed"
                    );
                }
                Some(format!("LIBTORCH ({dir})"))
            }
            _ => None,
        };
        let onnx_runtime = match set("ORT_DYLIB_PATH") {
            Some(file) if !Path::new(&file).is_file() => {
                bail!(
                    "ORT_DYLIB_PATH is set to {file}, which is not a file; point it at libonnxruntime.so, or unset it to have one installed"
                )
            }
            file => file,
        };
        Ok(Self { libtorch, onnx_runtime })
    }
}

/// Makes sure of everything; returns at once when it is there.
pub(crate) fn run(args: &SetupArgs) -> Result<()> {
    let provided = Provided::from_env()?;
    let home = crate::root().join(".latent");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let lock =
        fs::File::create(home.join("lock")).with_context(|| format!("cannot write in {}", home.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("another set-up is running; waiting for it");
        lock.lock()?;
    }

    if let Some(from) = &provided.libtorch {
        eprintln!(
            "libtorch: from {from}; the tests that compare with PyTorch use that python3 or are skipped"
        );
    }
    if let Some(file) = &provided.onnx_runtime {
        eprintln!("ONNX Runtime: {file} (ORT_DYLIB_PATH)");
    }
    compiler()?;

    let skip: Vec<&str> = [(&provided.libtorch, TORCH), (&provided.onnx_runtime, ONNX_RUNTIME)]
        .into_iter()
        .filter_map(|(from, name)| from.is_some().then_some(name))
        .collect();
    let requirements = requirements_without(&skip);
    let stamp_file = home.join("installed");
    let stamp = hex(&Sha256::digest(requirements.as_bytes()));
    let current = fs::read_to_string(&stamp_file).is_ok_and(|found| found.trim() == stamp);
    if !args.force && current && complete(&home, &provided) {
        return Ok(());
    }

    let start = Instant::now();
    let _ = fs::remove_file(&stamp_file);
    let python = virtual_environment(&home)?;
    install(&home, &python, &requirements)?;
    link(&home, &python, &provided)?;
    fs::write(&stamp_file, stamp)?;
    eprintln!("set-up complete in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The Python of the virtual environment.
pub(crate) fn python() -> PathBuf {
    crate::root().join(".latent/venv/bin/python")
}

/// Whether what the stamp promises is really there.
fn complete(home: &Path, provided: &Provided) -> bool {
    (provided.libtorch.is_some() || home.join("libtorch/lib").is_dir())
        && (provided.onnx_runtime.is_some() || home.join("onnxruntime").join(onnx_runtime_file()).is_file())
        && python().exists()
}

/// torch-sys compiles C++ against libtorch's headers.
fn compiler() -> Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let there = || shell::answers(shell::command(&compiler).arg("--version"));
    if there() || (shell::apt_install(&["g++"]) && there()) {
        return Ok(());
    }
    bail!(
        "no C++ compiler: `{compiler}` does not run. The trainer's bindings need one (Debian: apt-get install g++)"
    )
}

/// Creates `.latent/venv` and a pip in it that can take up a broken download.
fn virtual_environment(home: &Path) -> Result<PathBuf> {
    let python = python();
    let works = || shell::answers(shell::command(&python).args(["-m", "pip", "--version"]));
    if !works() {
        let venv = home.join("venv");
        let make = || shell::run(shell::command("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        if make().is_err() && !(shell::apt_install(&["python3", "python3-venv"]) && make().is_ok()) {
            bail!(
                "cannot make a virtual environment with python3 (Debian: apt-get install python3 python3-venv)"
            );
        }
    }
    let version = shell::output(
        shell::command(&python).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]),
    )?;
    let (major, minor) = version.trim().split_once('.').context("python3 gave no version")?;
    if (major.parse::<u32>()?, minor.parse::<u32>()?) < (3, 11) {
        bail!("python3 is {}; 3.11 or later is needed", version.trim());
    }
    shell::run(shell::command(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "pip>=25.1",
    ]))?;
    Ok(python)
}

/// Installs the pinned wheels. Each is downloaded by a call of its own, so that an interrupted set-up goes on with
/// the first wheel it does not have yet; pip itself takes up a transfer that breaks.
fn install(home: &Path, python: &Path, requirements: &str) -> Result<()> {
    let wheels = home.join("wheels");
    fs::create_dir_all(&wheels)?;
    let pip = |verb: &str| {
        let mut pip = shell::command(python);
        pip.args(["-m", "pip", "--disable-pip-version-check", verb]);
        pip.args(["--require-hashes", "--no-deps", "--only-binary", ":all:"])
            .arg("--find-links")
            .arg(&wheels);
        pip
    };
    let packages = blocks(requirements);
    let list = home.join("requirements.txt");
    eprintln!("downloading libtorch, ONNX Runtime and what they need: about 2.5 GB, 5 GB on disk");
    for (index, (name, block)) in packages.iter().enumerate() {
        let finished = wheels.join(format!("{}.finished", hex(&Sha256::digest(block.as_bytes()))));
        if finished.exists() {
            continue;
        }
        eprintln!("[{}/{}] {name}", index + 1, packages.len());
        fs::write(&list, block)?;
        let mut download = pip("download");
        // pip's bar is for people; a log gets the line above.
        if !std::io::stderr().is_terminal() {
            download.arg("--quiet");
        }
        download.args(["--retries", "5", "--resume-retries", "10", "--dest"]);
        shell::run_quietly(download.arg(&wheels).arg("--requirement").arg(&list))
            .context("the download did not finish; run the same command again to go on with it")?;
        fs::write(&finished, "")?;
    }
    fs::write(&list, requirements)?;
    eprintln!("installing {} packages", packages.len());
    shell::run_quietly(pip("install").args(["--quiet", "--no-index", "--requirement"]).arg(&list))?;
    fs::remove_dir_all(&wheels)?;
    Ok(())
}

/// The packages of a requirements file: each name with its version, and its lines.
fn blocks(requirements: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    for line in requirements.lines().filter(|line| !line.starts_with('#')) {
        if !line.starts_with(' ') {
            let name = line.split([' ', ';']).next().unwrap_or(line);
            blocks.push((name.to_owned(), String::new()));
        }
        if let Some((_, block)) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// Gives the libraries their stable names.
fn link(home: &Path, python: &Path, provided: &Provided) -> Result<()> {
    let site = shell::output(
        shell::command(python).args(["-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]),
    )?;
    let site = PathBuf::from(site.trim());
    if provided.libtorch.is_none() {
        symlink(&site.join("torch"), &home.join("libtorch"))?;
    }
    if provided.onnx_runtime.is_none() {
        let folder = home.join("onnxruntime");
        fs::create_dir_all(&folder)?;
        symlink(&onnx_runtime_library(&site.join("onnxruntime/capi"))?, &folder.join(onnx_runtime_file()))?;
    }
    Ok(())
}

/// The versioned library inside the wheel: `libonnxruntime.so.1.32.0`.
fn onnx_runtime_library(folder: &Path) -> Result<PathBuf> {
    let is_library = |name: &str| name.starts_with("libonnxruntime.") && !name.contains("providers");
    fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .with_context(|| format!("no libonnxruntime in {}", folder.display()))
}

fn onnx_runtime_file() -> &'static str {
    if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" }
}

/// Replaces `link` whole, also when it points elsewhere.
fn symlink(target: &Path, link: &Path) -> Result<()> {
    let beside = link.with_extension("new");
    let _ = fs::remove_file(&beside);
    std::os::unix::fs::symlink(target, &beside)
        .and_then(|()| if link.is_dir() && !link.is_symlink() { fs::remove_dir_all(link) } else { Ok(()) })
        .and_then(|()| fs::rename(&beside, link))
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

/// The pinned list less the packages that the user's environment provides, and what only these need.
fn requirements_without(skip: &[&str]) -> String {
    let skipped = |name: &str| {
        skip.iter().any(|gone| {
            name == *gone
                || (*gone == TORCH
                    && (["torchvision", "triton"].contains(&name)
                        || name.starts_with("nvidia-")
                        || name.starts_with("cuda-")))
        })
    };
    let name_of = |package: &str| package.split("==").next().unwrap_or(package).to_owned();
    blocks(REQUIREMENTS)
        .into_iter()
        .filter(|(package, _)| !skipped(&name_of(package)))
        .map(|(_, block)| block)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_with_a_hash() {
        let mut lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#')).peekable();
        while let Some(line) = lines.next() {
            if !line.starts_with(' ') {
                assert!(line.contains("==") && line.ends_with('\\'), "not pinned: {line}");
                assert!(lines.peek().is_some_and(|next| next.contains("--hash=sha256:")), "no hash: {line}");
            }
        }
    }

    #[test]
    fn what_the_user_provides_is_left_out() {
        let names = |skip: &[&str]| -> Vec<String> {
            blocks(&requirements_without(skip))
                .into_iter()
                .filter_map(|(package, _)| package.split_once("==").map(|(name, _)| name.to_owned()))
                .collect()
        };
        let has = |list: &[String], name: &str| list.iter().any(|found| found == name);
        let all = names(&[]);
        for name in ["torch", "torchvision", "onnxruntime", "onnx", "nvidia-cudnn-cu13"] {
            assert!(has(&all, name), "{name} is missing");
        }
        let without_torch = names(&[TORCH]);
        assert!(!has(&without_torch, "torch") && !has(&without_torch, "nvidia-cudnn-cu13"));
        assert!(has(&without_torch, "onnxruntime") && has(&without_torch, "onnx"));
        let without_runtime = names(&[ONNX_RUNTIME]);
        assert!(
            !has(&without_runtime, "onnxruntime")
                && has(&without_runtime, "torch")
                && has(&without_runtime, "onnx")
        );
    }
}
