//! The figures as JSON, as a table for people and as Markdown.

use serde::Serialize;

use super::machine::Machine;
use super::operators::{self, OperatorTime};
use super::statistics::{Difference, Summary};
use latent_files::text::{Align, printable, size, table};

/// Everything that is known in the end.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// The file that outputs are compared with, and what ran it.
    pub(crate) reference: Option<Reference>,
    /// In the order in which they took turns.
    pub(crate) contenders: Vec<Result_>,
    /// What was asked for and could not be measured, and why.
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) per_operator: Vec<Breakdown>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Reference {
    pub(crate) model: String,
    pub(crate) engine: String,
    pub(crate) examples: usize,
}

/// What was measured of a contender.
#[derive(Debug, Serialize)]
pub(crate) struct Result_ {
    pub(crate) model: String,
    pub(crate) file: String,
    pub(crate) precision: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) engine: String,
    pub(crate) threads: usize,
    pub(crate) batch: usize,
    #[serde(flatten)]
    pub(crate) time: Summary,
    /// The median of each turn: turns of one number were close together in time.
    pub(crate) turns_p50_us: Vec<f64>,
    /// Examples, by the mean time.
    pub(crate) per_second: f64,
    /// From opening the file to the first output, the median.
    pub(crate) first_output_ms: Option<f64>,
    /// What a process of its own takes at most, and how much of it is due to the model and its engine.
    pub(crate) peak_memory_bytes: Option<u64>,
    pub(crate) model_memory_bytes: Option<u64>,
    pub(crate) bytes: u64,
    pub(crate) difference: Option<Difference>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) model: String,
    pub(crate) backend: &'static str,
    pub(crate) why: String,
}

/// The operators of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Breakdown {
    pub(crate) model: String,
    pub(crate) threads: usize,
    pub(crate) batch: usize,
    pub(crate) operators: Vec<OperatorTime>,
}

/// Microseconds in the unit that suits.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us < 999.95 => format!("{us:.1} us"),
        us if us < 999_950.0 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Four digits at most.
fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate if rate < 10_000.0 => format!("{rate:.0}"),
        rate => format!("{:.0} k", rate / 1e3),
    }
}

const HEAD: [&str; 14] = [
    "model",
    "precision",
    "back end",
    "threads",
    "batch",
    "p50",
    "p95",
    "p99",
    "per second",
    "first output",
    "memory",
    "disk",
    "error",
    "ratio",
];

impl Report {
    fn rows(&self) -> Vec<Vec<String>> {
        let cells = |result: &Result_| {
            // The first with as many threads and examples is what the others are compared with.
            let first = self
                .contenders
                .iter()
                .find(|other| (other.threads, other.batch) == (result.threads, result.batch))
                .map_or(f64::NAN, |first| first.time.p50_us);
            vec![
                result.model.clone(),
                result.precision.into(),
                result.backend.into(),
                result.threads.to_string(),
                result.batch.to_string(),
                time(result.time.p50_us),
                time(result.time.p95_us),
                time(result.time.p99_us),
                rate(result.per_second),
                result.first_output_ms.map_or("?".into(), |ms| format!("{ms:.2} ms")),
                result.model_memory_bytes.map_or("?".into(), size),
                size(result.bytes),
                match result.difference {
                    None => "?".into(),
                    Some(Difference { psnr_db: None, .. }) => "0".into(),
                    Some(Difference { relative, psnr_db: Some(psnr), .. }) => {
                        format!("{relative:.1e}, {psnr:.1} dB")
                    }
                },
                format!("{:.3}", result.time.p50_us / first),
            ]
        };
        self.contenders.iter().map(cells).collect()
    }

    fn notes(&self) -> Vec<String> {
        let machine = &self.machine;
        let mut notes = vec![format!(
            "{}, {} cores, {} {}; native uses {}",
            machine.cpu, machine.cores, machine.architecture, machine.system, machine.instruction_set
        )];
        let mut engines: Vec<&str> = self.contenders.iter().map(|result| result.engine.as_str()).collect();
        engines.sort_unstable();
        engines.dedup();
        notes.push(format!("engines: {}", engines.join("; ")));
        if let Some(reference) = &self.reference {
            notes.push(format!(
                "error: the largest difference from {} ({}, {} examples), relative to its range, and the PSNR",
                reference.model, reference.engine, reference.examples
            ));
        }
        notes.push("ratio: p50 over that of the first line with as many threads and examples".into());
        notes.push("memory: the most that a process takes for the model and its engine".into());
        notes
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let align = |left: usize, columns: usize| -> Vec<Align> {
            (0..columns).map(|column| if column < left { Align::Left } else { Align::Right }).collect()
        };
        let with_head = |head: &[&str], rows: Vec<Vec<String>>| {
            let head: Vec<String> = head.iter().map(ToString::to_string).collect();
            [vec![head], rows].concat()
        };
        let mut out = format!("{}\n", printable(&self.notes()[0]));
        out += &table(&align(3, HEAD.len()), &with_head(&HEAD, self.rows()));
        for note in &self.notes()[1..] {
            out += &format!("{}\n", printable(note));
        }
        for breakdown in &self.per_operator {
            let rows = breakdown.operators.iter().map(OperatorTime::cells).collect();
            out += &format!("\n{}\n", printable(&breakdown.title()));
            out += &table(&align(2, operators::HEAD.len()), &with_head(&operators::HEAD, rows));
        }
        out
    }

    /// For a page.
    pub(crate) fn markdown(&self) -> String {
        let mut out = markdown(&HEAD, 3, &self.rows());
        out += "\n";
        for note in self.notes() {
            out += &format!("- {}\n", escaped(&note));
        }
        for breakdown in &self.per_operator {
            let rows: Vec<_> = breakdown.operators.iter().map(OperatorTime::cells).collect();
            out += &format!("\n{}\n\n{}", escaped(&breakdown.title()), markdown(&operators::HEAD, 2, &rows));
        }
        out
    }
}

impl Breakdown {
    fn title(&self) -> String {
        let threads = if self.threads == 1 { "thread" } else { "threads" };
        format!("{}, {} {threads}, batch {}", self.model, self.threads, self.batch)
    }
}

/// Names come from files: they must not end a cell.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// A table whose columns after the first `left` are aligned to the right.
fn markdown(head: &[&str], left: usize, rows: &[Vec<String>]) -> String {
    let mut out = format!("| {} |\n|", head.join(" | "));
    (0..head.len()).for_each(|column| out += if column < left { "---|" } else { "---:|" });
    out += "\n";
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        out += &format!("| {} |\n", cells.join(" | "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        for (us, expected) in [(0.25, "0.2 us"), (999.9, "999.9 us"), (1234.0, "1.23 ms"), (2e6, "2.00 s")] {
            assert_eq!(time(us), expected);
        }
        for (per_second, expected) in [(20.5, "20.5"), (1234.4, "1234"), (31_234.0, "31 k")] {
            assert_eq!(rate(per_second), expected);
        }
    }

    #[test]
    fn a_cell_stays_a_cell() {
        let rows = [vec!["a|b".to_string(), "1".to_string()]];
        assert_eq!(markdown(&["x", "y"], 1, &rows), "| x | y |\n|---|---:|\n| a\\|b | 1 |\n");
    }
}
