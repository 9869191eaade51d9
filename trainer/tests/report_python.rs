//! What is written, read by the programs it is written for.
//!
//! Needs the Python of `cargo xtask setup` (or `LATENT_PYTHON`).

use std::path::Path;
use std::process::Command;

use latent_test_support::{Missing, python, skipped};
use latent_trainer::report::grid;
use latent_trainer::report::metrics::MetricsLog;
use latent_trainer::report::tensorboard::EventWriter;

/// Runs a script, and gives its output, or `None` if it says with exit code 77 that something is missing.
fn run(script: &str, argument: &Path) -> Option<String> {
    let output = Command::new(python()?).arg("-c").arg(script).arg(argument).output().expect("Python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        skipped(Missing::Python, out.trim());
        return None;
    }
    assert!(output.status.success(), "{err}");
    Some(out.into_owned())
}

#[test]
fn python_reads_the_same_bits_from_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.csv");
    let values = [0.1, 1.0 / 3.0, f64::from(0.7f32), 1e-9, -2.5e17, f64::INFINITY, 5e-324, f64::MAX];
    let mut log = MetricsLog::create(&path, &["value", "sometimes"]).unwrap();
    for (row, value) in values.iter().enumerate() {
        log.append_sparse(row as u64, &[Some(*value), (row % 2 == 0).then_some(f64::NAN)]).unwrap();
    }
    log.sync().unwrap();
    let script = "
import csv, struct, sys
for row in csv.DictReader(open(sys.argv[1], newline='')):
    print(row['iteration'], struct.pack('>d', float(row['value'])).hex(), row['sometimes'])
";
    let Some(out) = run(script, &path) else { return };
    let expected: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(row, value)| {
            format!("{row} {:016x} {}", value.to_bits(), if row % 2 == 0 { "NaN" } else { "" })
        })
        .collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn tensorboard_reads_the_event_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    for step in 1..=20 {
        writer.scalar("loss/discriminator", step, 1.0 / step as f64).unwrap();
    }
    let images: Vec<u8> = (0..6 * 28 * 28).map(|i| (i % 251) as u8).collect();
    let png = grid::png(&images, 6, 1, 28, 28, 3, 2).unwrap();
    let (width, height) = grid::size(6, 28, 28, 3, 2).unwrap();
    writer.image_png("samples", 10, &png, height, width, 1).unwrap();
    drop(writer);
    // A run that was killed at 20 goes on from 12, with other values.
    let mut writer = EventWriter::resume(dir.path(), 12).unwrap();
    for step in 13..=15 {
        writer.scalar("loss/discriminator", step, -1.0).unwrap();
    }
    drop(writer);
    let script = "
import sys
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print('this Python has no tensorboard'); sys.exit(77)
events = EventAccumulator(sys.argv[1]).Reload()
for e in events.Scalars('loss/discriminator'): print(e.step, round(e.value, 6))
image = events.Images('samples')[0]
print(image.step, image.width, image.height, image.encoded_image_string == open(sys.argv[1] + '/expected.png', 'rb').read())
";
    std::fs::write(dir.path().join("expected.png"), &png).unwrap();
    let Some(out) = run(script, dir.path()) else { return };
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 16, "{out}");
    assert_eq!(lines[0], "1 1.0");
    assert_eq!(lines[11], "12 0.083333");
    assert_eq!(lines[12..15], ["13 -1.0", "14 -1.0", "15 -1.0"]);
    assert_eq!(lines[15], format!("10 {width} {height} True"));
}
