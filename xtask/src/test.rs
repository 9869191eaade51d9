//! `cargo xtask test`: every check and every test, on a fresh machine too.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{arm, bare_metal, c_library, edge, python, sanitize, setup, shell, web};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only the tests: no formatting, lints, documentation, bare-metal build, firmware, C library, web page, sanitizer, Miri or emulator
    #[arg(long)]
    tests_only: bool,
}

/// Feature sets of the runtime that users build besides "everything".
const RUNTIME_FEATURES: [&str; 6] =
    ["", "int8,arrange", "default", "default,extended-operators", "default,alloc", "std"];

/// What a machine may lack without making the run incomplete, and why; everything else that is skipped is a failure under
/// `LATENT_REQUIRE_ALL=1`.
const MAY_BE_MISSING: [(&str, &str); 4] = [
    ("gpu", "an NVIDIA GPU, which few machines for tests have"),
    ("network", "a network beyond the package registries"),
    ("data", "the data sets, which are not part of the project"),
    ("miri", "Miri, which only rustup's server has"),
];

/// Runs everything and fails at the end if anything failed.
pub(crate) fn run(args: &TestArgs) -> Result<()> {
    let start = Instant::now();
    setup::run(&setup::SetupArgs::default())?;
    let mut steps = Steps::default();
    if !args.tests_only {
        steps.step("formatting", || shell::run(shell::cargo().args(["fmt", "--all", "--check"])));
        steps.step("no libtorch below the trainer", no_libtorch_in_default_members);
        steps.step("lints", || {
            shell::run(shell::cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]))
        });
        for features in RUNTIME_FEATURES {
            steps.step(&format!("lints of the runtime with features [{features}]"), || {
                shell::run(shell::cargo().args(["clippy", "--package", "latent-runtime", "--lib"]).args([
                    "--no-default-features",
                    "--features",
                    features,
                    "--",
                    "-D",
                    "warnings",
                ]))
            });
        }
        // All of them are in the tests below; here it is what is left out that matters.
        for features in ["", "int8,arrange", "default"] {
            steps.step(&format!("the runtime's tests with features [{features}]"), || {
                shell::run(
                    shell::cargo().args(["test", "--quiet", "--package", "latent-runtime", "--lib"]).args([
                        "--no-default-features",
                        "--features",
                        features,
                    ]),
                )
            });
        }
        steps.step("documentation", || {
            shell::run(
                shell::cargo()
                    .args(["doc", "--workspace", "--no-deps", "--all-features"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        });
        steps.step("packages", || {
            shell::run(shell::cargo().args(["package", "--quiet", "--allow-dirty"]).args([
                "--package",
                "latent-runtime",
                "--package",
                "latent-files",
            ]))
        });
        steps.optional("bare metal", "bare-metal", bare_metal::check);
        steps.optional("firmware", "emulator", edge::test);
        steps.optional("C library", "c", c_library::test);
        steps.optional("web page", "browser", web::test);
        steps.optional("address sanitizer", "sanitizer", sanitize::address_sanitizer);
        steps.optional("Miri", "miri", sanitize::miri);
        steps.optional("64-bit Arm", "arm", arm::test);
    }
    window_tools();
    // The end-to-end tests start the real programs.
    steps.step("programs", || {
        shell::run(shell::cargo().args(["build", "--workspace", "--all-features", "--bins"]))
    });
    steps.optional("Python wheel", "python", python::test);
    let mut counts = Counts::default();
    let log = crate::root().join("target/skipped.log");
    let _ = fs::remove_file(&log);
    steps.step("tests", || {
        let mut command = shell::cargo();
        command
            .args(["test", "--workspace", "--all-features", "--no-fail-fast"])
            .env("LATENT_SKIP_LOG", &log);
        cargo_test(&mut command, &mut counts)
    });
    let left_out = skips(&fs::read_to_string(&log).unwrap_or_default());
    // A test that ended early has passed, as its harness sees it.
    counts.passed = counts.passed.saturating_sub(tests_among(&left_out));
    counts.skipped += tests_among(&left_out);
    counts.skipped += steps.skipped.len() as u64;
    steps.skipped.extend(left_out);
    if std::env::var_os("LATENT_REQUIRE_ALL").is_some_and(|value| value == "1") {
        let required = steps.skipped.iter().filter(|skip| !skip.may_be_missing());
        let required: Vec<&str> = required.map(|skip| skip.what.as_str()).collect();
        let result = match required.is_empty() {
            true => Ok(()),
            false => bail!("LATENT_REQUIRE_ALL is set, and these were skipped: {}", required.join(", ")),
        };
        steps.step("nothing left out", || result);
    }

    eprintln!();
    for (name, seconds, failure) in &steps.done {
        eprintln!("{:>7.1} s  {}  {name}", seconds, if failure.is_some() { "FAILED" } else { "ok    " });
    }
    eprintln!("{:>7.1} s  in all", start.elapsed().as_secs_f64());
    if !steps.skipped.is_empty() {
        eprintln!("\nskipped:");
        steps.skipped.iter().for_each(|skip| eprintln!("  {} ({}): {}", skip.what, skip.missing, skip.why));
        eprintln!("what may be missing:");
        MAY_BE_MISSING.iter().for_each(|(word, why)| eprintln!("  {word}: {why}"));
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    let failures: Vec<String> = steps
        .done
        .iter()
        .filter_map(|(name, _, failure)| failure.as_ref().map(|why| format!("{name}: {why:#}")))
        .collect();
    if !failures.is_empty() {
        bail!("{} of {} steps failed\n  {}", failures.len(), steps.done.len(), failures.join("\n  "));
    }
    Ok(())
}

/// The viewer is tested in a window on a display in memory. Where that cannot be had, its tests say so and are skipped.
fn window_tools() {
    let is_there = |program: &str, argument: &str| shell::answers(shell::command(program).arg(argument));
    let all = || is_there("Xvfb", "-help") && is_there("xdotool", "--version");
    if cfg!(target_os = "linux") && !all() && !shell::apt_install(&["xvfb", "xdotool", "libxcursor1"]) {
        eprintln!("the tests of the viewer's window are skipped");
    }
}

/// What ran so far: name, seconds, and why it failed.
#[derive(Default)]
struct Steps {
    done: Vec<(String, f64, Option<anyhow::Error>)>,
    /// What could not run here.
    skipped: Vec<Skip>,
}

impl Steps {
    /// Runs a step; a failure is kept, so that one call shows all of them.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        eprintln!("\n=== {name} ===");
        let start = Instant::now();
        let failure = work().err();
        if let Some(why) = &failure {
            eprintln!("{name}: {why:#}");
        }
        self.done.push((name.to_owned(), start.elapsed().as_secs_f64(), failure));
    }

    /// Runs a step that cannot be run on every machine; it says why, if so.
    fn optional(&mut self, name: &str, missing: &str, work: impl FnOnce() -> Result<Option<String>>) {
        let mut why = None;
        self.step(name, || {
            why = work()?;
            Ok(())
        });
        if let Some(why) = why {
            eprintln!("skipped: {why}");
            self.skipped.push(Skip { what: name.to_owned(), missing: missing.to_owned(), why });
        }
    }
}

/// What was not run: a step or a test, the word for what it lacks, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Skip {
    what: String,
    missing: String,
    why: String,
}

impl Skip {
    fn may_be_missing(&self) -> bool {
        MAY_BE_MISSING.iter().any(|(word, _)| *word == self.missing)
    }
}

/// What tests wrote to the file that `LATENT_SKIP_LOG` names (`latent_test_support::skipped`), each test once for each reason.
fn skips(log: &str) -> Vec<Skip> {
    let mut skips: Vec<Skip> = Vec::new();
    for line in log.lines() {
        let mut parts = line.splitn(3, '\t').map(str::to_owned);
        let (Some(what), Some(missing), Some(why)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let skip = Skip { what, missing, why };
        if !skips.contains(&skip) {
            skips.push(skip);
        }
    }
    skips.sort_by(|a, b| a.what.cmp(&b.what));
    skips
}

/// How many tests these are.
fn tests_among(skips: &[Skip]) -> u64 {
    let mut names: Vec<&str> = skips.iter().map(|skip| skip.what.as_str()).collect();
    names.dedup();
    names.len() as u64
}

/// A user of the library, the exporter or the viewer must not need libtorch.
fn no_libtorch_in_default_members() -> Result<()> {
    let tree = shell::output(shell::cargo().args(["tree", "--edges", "normal,build", "--prefix", "none"]))?;
    match tree.lines().find(|line| line.starts_with("torch-sys ")) {
        Some(found) => bail!("a default member depends on {found}"),
        None => Ok(()),
    }
}

/// The tests of all test binaries of one `cargo test`.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    /// Adds a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        let number = |what: &str| -> u64 {
            result
                .split([';', '.'])
                .filter_map(|part| part.trim().strip_suffix(what))
                .find_map(|count| count.trim().parse().ok())
                .unwrap_or(0)
        };
        self.passed += number(" passed");
        self.failed += number(" failed");
        self.skipped += number(" ignored");
    }
}

/// Runs the tests, showing their output as it comes, and counts them.
fn cargo_test(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        counts.add(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} tests failed ({status})", counts.failed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_added() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
        ] {
            counts.add(line);
        }
        assert_eq!((counts.passed, counts.failed, counts.skipped), (12, 3, 1));
    }

    #[test]
    fn skipped_tests_are_told_apart() {
        let log = "window::b\tdisplay\tXvfb is not here\nexport::a\tpython\tno venv\n\
                   window::b\tdisplay\tXvfb is not here\nwindow::b\tgpu\tnone\nnonsense\n";
        let skips = skips(log);
        assert_eq!(tests_among(&skips), 2);
        let found: Vec<_> =
            skips.iter().map(|skip| (&*skip.what, &*skip.missing, skip.may_be_missing())).collect();
        assert_eq!(
            found,
            [("export::a", "python", false), ("window::b", "display", false), ("window::b", "gpu", true)]
        );
        assert_eq!(skips[0].why, "no venv");
    }
}
