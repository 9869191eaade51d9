//! `cargo xtask torture`: the tests that try things at random, each for a while, in turn.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell;

#[derive(Args)]
pub(crate) struct TortureArgs {
    /// How long, shared by all harnesses
    #[arg(long, default_value_t = 10.0, value_name = "M", value_parser = minutes)]
    minutes: f64,
    /// The seed of what is tried [default: the time, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Only harnesses with this in their names
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// What is tried, the file of tests and the test.
const HARNESSES: [(&str, &str, &str); 7] = [
    ("mutants of packed models, run twice", "fuzz", "mutants_of_models_are_refused_or_run"),
    ("mutants of galleries, used", "fuzz", "mutants_of_galleries_are_refused_or_used"),
    ("mutants of ONNX files, read", "damaged_models", "no_mutation_panics"),
    ("ONNX files with extreme sizes, read", "damaged_models", "no_size_panics"),
    ("mutants of ONNX files, packed", "damaged_models", "damaged_models_are_errors"),
    ("programs with closed and full outputs", "torture", "outputs_that_are_closed_or_full"),
    ("programs on hostile files", "torture", "hostile_files"),
];

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.1 to 10000 is expected".into()),
    }
}

/// Runs all harnesses until one finds something. What of `cargo xtask setup` is not there is skipped, and said so.
pub(crate) fn run(args: &TortureArgs) -> Result<()> {
    let tests = |more: &[&str]| {
        let mut command = shell::cargo();
        command.args(["test", "--quiet", "--workspace", "--all-features"]).args(more);
        command
    };
    shell::run(shell::cargo().args(["build", "--quiet", "--workspace", "--all-features", "--bins"]))?;
    shell::run(&mut tests(&["--no-run", "--test", "fuzz", "--test", "damaged_models", "--test", "torture"]))?;

    let named = |(what, _, test): &&(&str, &str, &str)| {
        args.only.as_ref().is_none_or(|text| what.contains(text.as_str()) || test.contains(text.as_str()))
    };
    let harnesses: Vec<_> = HARNESSES.iter().filter(named).collect();
    if harnesses.is_empty() {
        bail!("no harness has \"{}\" in its name", args.only.as_deref().unwrap_or_default());
    }
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = args.seed.unwrap_or_else(now);
    let seconds = (args.minutes * 60.0 / harnesses.len() as f64).ceil() as u64;
    println!("seed {seed}, {} harnesses of {seconds} s", harnesses.len());
    let folder = crate::root().join("target/torture");
    for (what, file, test) in harnesses {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let mut command = tests(&["--test", file, "--", "--exact", test]);
        command.env("LATENT_TORTURE_SECONDS", seconds.to_string());
        command.env("LATENT_TORTURE_SEED", seed.to_string()).env("LATENT_TORTURE_DIR", &folder);
        command.env("LATENT_SKIP_LOG", folder.join("skipped.txt"));
        let done = command.output().context("cannot start cargo test")?;
        let tried = tried(&folder);
        if !done.status.success() {
            let [out, err] =
                [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            eprintln!("{out}{err}");
            bail!(
                "{what}: a fault after {tried}; what failed is kept in {}; again with --seed {seed} --only {test}",
                folder.display()
            );
        }
        println!("{what}: {tried}");
    }
    println!("no fault was found");
    Ok(())
}

/// What a harness says that it tried, or why it could not.
fn tried(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned());
    let skipped = || read("skipped.txt").map(|line| format!("skipped: {}", line.replace('\t', ": ")));
    read("tried.txt").or_else(skipped).unwrap_or_else(|| "nothing that was counted".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_is_a_test() {
        for (_, file, test) in HARNESSES {
            let sources =
                ["runtime", "exporter", "tests"].map(|package| crate::root().join(package).join("tests"));
            let found = sources
                .iter()
                .filter_map(|folder| fs::read_to_string(folder.join(file).with_extension("rs")).ok())
                .filter(|source| source.contains(&format!("fn {test}()")))
                .count();
            assert_eq!(found, 1, "{file}: {test}");
        }
    }
}
