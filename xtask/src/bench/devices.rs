//! `cargo xtask bench devices`: what models cost on microcontrollers, counted in an emulator. Its figures are recorded, and
//! the tests fail where they grow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, SectionKind};
use serde::{Deserialize, Serialize};

use super::markdown;
use crate::edge::{self, MEASURED, Machine};
use crate::shell;

/// Where the single layers lie.
const LAYERS: &str = "target/edge/layers";
/// The same models as the firmware holds.
const MODELS: &str = "target/edge/models";
/// The figures, and the same as a page.
const RECORD: &str = "docs/benchmarks/devices.json";
const PAGE: &str = "docs/benchmarks/devices.md";
/// How much more than recorded a figure may be.
const GROWTH: f64 = 1.03;

/// A model to be measured.
struct Made {
    path: PathBuf,
    macs: u64,
    outputs: u64,
}

/// What was measured on a processor.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    processor: String,
    /// Bytes of the smallest program that runs a generator, without its model: optimized for speed, for size.
    code_fast: u64,
    code_small: u64,
    models: BTreeMap<String, Costs>,
}

/// What a model costs.
#[derive(Debug, Serialize, Deserialize)]
struct Costs {
    /// Bytes of the file.
    file: u64,
    macs: u64,
    /// Values of the output.
    outputs: u64,
    arena: u64,
    open_instructions: u64,
    open_stack: u64,
    run_instructions: u64,
    run_stack: u64,
    checksum: u64,
}

/// Measures and writes.
pub(super) fn run() -> Result<()> {
    if let Some(why) = edge::missing() {
        bail!("devices cannot be measured here: {why}");
    }
    let figures = measure()?;
    fs::write(crate::root().join(RECORD), format!("{}\n", serde_json::to_string_pretty(&figures)?))?;
    fs::write(crate::root().join(PAGE), page(&figures))?;
    eprintln!("written: {PAGE} and {RECORD}");
    Ok(())
}

/// Measures and fails where something has grown by more than 3 % since it was recorded.
pub(crate) fn guard() -> Result<()> {
    let path = crate::root().join(RECORD);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let recorded: Vec<Figures> = serde_json::from_str(&text).with_context(|| format!("in {RECORD}"))?;
    let grown = growth(&recorded, &measure()?);
    if !grown.is_empty() {
        bail!(
            "more than {RECORD} has; if it is worth it, `cargo xtask bench devices` records it:\n  {}",
            grown.join("\n  ")
        );
    }
    Ok(())
}

/// The figures by name, those of which less is better.
fn named(figures: &Figures) -> Vec<(String, u64)> {
    let mut all = vec![("code".into(), figures.code_fast), ("small code".into(), figures.code_small)];
    for (name, costs) in &figures.models {
        all.extend(
            [
                ("file", costs.file),
                ("arena", costs.arena),
                ("instructions to open", costs.open_instructions),
                ("stack to open", costs.open_stack),
                ("instructions to run", costs.run_instructions),
                ("stack to run", costs.run_stack),
            ]
            .map(|(what, figure)| (format!("{name}: {what}"), figure)),
        );
    }
    all.into_iter().map(|(name, figure)| (format!("{}, {name}", figures.processor), figure)).collect()
}

/// What has grown too much, or is not recorded.
fn growth(recorded: &[Figures], found: &[Figures]) -> Vec<String> {
    let recorded: BTreeMap<String, u64> = recorded.iter().flat_map(named).collect();
    found
        .iter()
        .flat_map(named)
        .filter_map(|(name, found)| match recorded.get(&name) {
            Some(&recorded) if found as f64 <= recorded as f64 * GROWTH => None,
            Some(recorded) => Some(format!("{name}: {found}, recorded {recorded}")),
            None => Some(format!("{name}: {found}, not recorded")),
        })
        .collect()
}

fn measure() -> Result<Vec<Figures>> {
    let mut models = Vec::new();
    for (options, folder) in [(&["--layers"][..], LAYERS), (&[], MODELS)] {
        let arguments = [&["--bin", "make-models", "--"], options, &[folder]].concat();
        let made = shell::output(&mut edge::host("latent-edge-models", &arguments))?;
        for line in made.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [file, _, _, macs, _, outputs, _] = words[..] else { bail!("make-models wrote {line:?}") };
            models.push(Made {
                path: crate::root().join(folder).join(file),
                macs: macs.parse()?,
                outputs: outputs.parse()?,
            });
        }
    }
    MEASURED.iter().map(|machine| measure_on(machine, &models)).collect()
}

fn measure_on(machine: &Machine, models: &[Made]) -> Result<Figures> {
    let folder = machine.build("release", &["figures", "smallest"])?;
    let small = machine.build("small", &["smallest"])?;
    let generator = fs::metadata(crate::root().join("edge/models/generator.lat"))?.len();
    let mut all = BTreeMap::new();
    for Made { path, macs, outputs } in models {
        let written = machine.run(folder.join("figures"), Some(path.clone()))?;
        let lines: BTreeMap<&str, u64> = written
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(name, figure)| Some((name, figure.parse().ok()?)))
            .collect();
        let figure = |name: &str| {
            lines.get(name).copied().with_context(|| format!("{}: no {name} in {written:?}", path.display()))
        };
        let costs = Costs {
            file: fs::metadata(path)?.len(),
            macs: *macs,
            outputs: *outputs,
            arena: figure("arena")?,
            open_instructions: figure("open_instructions")?,
            open_stack: figure("open_stack")?,
            run_instructions: figure("run_instructions")?,
            run_stack: figure("run_stack")?,
            checksum: figure("checksum")?,
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("{}: {name}: {} instructions", machine.name, costs.run_instructions);
        all.insert(name, costs);
    }
    Ok(Figures {
        processor: machine.name.into(),
        code_fast: flash(&folder.join("smallest"))? - generator,
        code_small: flash(&small.join("smallest"))? - generator,
        models: all,
    })
}

/// Bytes of an ELF file that go into flash.
fn flash(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let kept = |kind| {
        use SectionKind::{Data, ReadOnlyData, ReadOnlyString, Text};
        matches!(kind, Text | Data | ReadOnlyData | ReadOnlyString)
    };
    Ok(file.sections().filter(|section| kept(section.kind())).map(|section| section.size()).sum())
}

fn page(figures: &[Figures]) -> String {
    let mut page = String::from(
        "# On microcontrollers\n\n\
         Made by `cargo xtask bench devices`: counted in QEMU, an instruction a nanosecond (`-icount shift=0`), so the figures \
         are those of any machine that has the same compiler. Instructions are not cycles: a Cortex-M7 executes up to two in a \
         cycle, a Cortex-M0 takes several for a branch or a load. Runs include taking f32 in and giving it out. Stack is \
         measured by painting, from the caller downwards. `cargo xtask test` fails where a figure grows by more than 3 %.\n\n\
         ## Code\n\nThe smallest program that opens a generator and runs it (`edge/*/src/bin/smallest.rs`), start-up and error \
         texts included, its model not.\n\n",
    );
    let header: Vec<&str> = ["", "`opt-level = 3`", "`opt-level = \"s\"` (profile `small`)"].into();
    let rows: Vec<Vec<String>> = figures
        .iter()
        .map(|of| vec![of.processor.clone(), kilobytes(of.code_fast), kilobytes(of.code_small)])
        .collect();
    page.push_str(&markdown(&header, &rows));
    for of in figures {
        page.push_str(&format!("\n## {}\n\n", of.processor));
        let rows: Vec<Vec<String>> = of
            .models
            .iter()
            .map(|(name, costs)| {
                let each = costs.run_instructions as f64 / costs.macs as f64;
                vec![
                    name.clone(),
                    kilobytes(costs.file),
                    kilobytes(costs.arena),
                    costs.run_instructions.to_string(),
                    format!("{each:.2}"),
                    costs.run_stack.to_string(),
                    costs.open_instructions.to_string(),
                    costs.open_stack.to_string(),
                ]
            })
            .collect();
        let header = [
            "int8 model",
            "file",
            "arena",
            "instructions to run",
            "for each MAC",
            "stack to run, bytes",
            "instructions to open",
            "stack to open, bytes",
        ];
        page.push_str(&markdown(&header, &rows));
    }
    page
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1} KB", bytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(code: u64, run: u64) -> Figures {
        let costs = Costs {
            file: 1,
            macs: 1,
            outputs: 1,
            arena: 1,
            open_instructions: 1,
            open_stack: 1,
            run_instructions: run,
            run_stack: 1,
            checksum: 1,
        };
        let models = [("m".to_owned(), costs)].into();
        Figures { processor: "P".into(), code_fast: code, code_small: 1, models }
    }

    #[test]
    fn growth_beyond_three_in_a_hundred_is_told() {
        let recorded = [figures(1000, 100)];
        for (code, run, expected) in [
            (1030, 103, vec![]),
            (1, 1, vec![]),
            (1031, 100, vec!["P, code: 1031, recorded 1000"]),
            (1000, 104, vec!["P, m: instructions to run: 104, recorded 100"]),
        ] {
            assert_eq!(growth(&recorded, &[figures(code, run)]), expected);
        }
        assert_eq!(growth(&[], &[figures(1, 1)]).len(), 8);
    }
}
