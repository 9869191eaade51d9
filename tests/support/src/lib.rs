//! What the tests of all packages share: how a test says that it cannot run here, and where things are.
//!
//! A test that returns early counts as passed, and without Python every comparison with PyTorch would be green. So
//! a test says what it lacks by [`skip!`] or [`skipped`]; `cargo xtask test` sets `LATENT_SKIP_LOG`, reads what was said, and does not
//! count those tests as passed.

mod trials;

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use trials::Trials;

/// What a machine may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The Python of `cargo xtask setup`.
    Python,
    /// ONNX Runtime's library.
    OnnxRuntime,
    /// A display, in memory or not, and what presses keys on it.
    Display,
    /// A C compiler.
    Compiler,
    /// Real data sets.
    Data,
    /// An NVIDIA GPU.
    Gpu,
    /// The network.
    Network,
}

impl Missing {
    /// The word for it in the log and in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::OnnxRuntime => "onnx-runtime",
            Self::Display => "display",
            Self::Compiler => "compiler",
            Self::Data => "data",
            Self::Gpu => "gpu",
            Self::Network => "network",
        }
    }
}

/// Says that the running test, or a part of it, cannot run: one line for people on stderr, and one in the file that
/// `LATENT_SKIP_LOG` names: test, what is missing and why, separated by tabs.
///
/// # Panics
/// When the log cannot be written: a skipped test would count as passed.
pub fn skipped(missing: Missing, why: impl fmt::Display) {
    // The harness names a test's thread after the test.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    let program =
        env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    // `convert_checks-adf4491668e1464d`: the hash says nothing.
    let program = program.unwrap_or_default();
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name);
    eprintln!("skipped: {program}::{test}: {why}");
    let Some(log) = env::var_os("LATENT_SKIP_LOG") else { return };
    let line =
        format!("{program}::{test}\t{}\t{}\n", missing.word(), why.to_string().replace(['\t', '\n'], " "));
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&log)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("cannot write to LATENT_SKIP_LOG={}: {error}", Path::new(&log).display());
    }
}

/// Ends the running test, which lacks something: `skip!(Missing::Display, "Xvfb is not here")`.
#[macro_export]
macro_rules! skip {
    ($missing:expr, $($why:tt)*) => {{
        $crate::skipped($missing, format_args!($($why)*));
        return;
    }};
}

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// The Python of `cargo xtask setup`, with PyTorch, ONNX and ONNX Runtime, or the one that `LATENT_PYTHON` names. Where it is
/// not there, the running test is [`skipped`].
pub fn python() -> Option<PathBuf> {
    let set_up = root().join(".latent/venv/bin/python");
    let python = env::var_os("LATENT_PYTHON").map_or(set_up, PathBuf::from);
    if python.is_file() {
        return Some(python);
    }
    skipped(Missing::Python, format_args!("{} is not there; `cargo xtask setup` makes it", python.display()));
    None
}

/// A folder of real data (`mnist`, `cifar10`), from `LATENT_TEST_DATA` or beside the workspace. Where it is not there, the
/// running test is [`skipped`].
pub fn data(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("LATENT_TEST_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let folder = folder.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let why = format!("there is no {}; set LATENT_TEST_DATA to a folder that has {name}", folder.display());
    skipped(Missing::Data, why);
    None
}

/// What an example of the package under test prints. Cargo builds its examples beside its tests.
///
/// # Panics
/// When it cannot be started or fails; with what it said.
pub fn run_example(name: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    // target/<profile>/deps/<test>
    let test = env::current_exe().unwrap_or_default();
    let program = test.ancestors().nth(2).unwrap_or(&test).join("examples").join(name);
    let output = Command::new(&program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let [printed, said] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "the example {name} failed: {said}");
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs only in the process that the next test starts.
    #[test]
    fn a_test_that_lacks_something() {
        if env::var_os("LATENT_TEST_SKIPS").is_some() {
            skip!(Missing::Gpu, "no GPU\there");
        }
    }

    #[test]
    fn a_skipped_test_says_so_in_the_log() {
        let log = env::temp_dir().join(format!("latent-skips-{}", std::process::id()));
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tests::a_test_that_lacks_something"])
            .envs([("LATENT_TEST_SKIPS", "1".as_ref()), ("LATENT_SKIP_LOG", log.as_os_str())])
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert_eq!(text, "latent_test_support::tests::a_test_that_lacks_something\tgpu\tno GPU here\n");
    }
}
