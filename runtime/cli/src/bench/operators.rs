//! Where the time of the native engine goes.

use std::time::{Duration, Instant};

use latent_runtime::backend::{Backend, RunError};
use latent_runtime::native::NativeBackend;
use latent_runtime::open::Chosen;
use serde::Serialize;

use super::statistics::median;
use latent_files::text::grouped;

/// How long it is looked at.
const LOOK: Duration = Duration::from_millis(400);
/// The fewest runs.
const LEAST: usize = 5;

/// One operator's part in a run.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorTime {
    name: String,
    kind: &'static str,
    /// The median.
    us: f64,
    /// Of the whole run.
    share: f64,
    weight_bytes: usize,
    /// For the whole batch.
    multiply_accumulates: u64,
}

/// The median time of every operator in runs of this batch.
pub(crate) fn times(
    backend: &mut Chosen<NativeBackend>,
    batch: usize,
    input: &[f32],
) -> Result<Vec<OperatorTime>, RunError> {
    let mut output = vec![0.0; batch * backend.output().values()];
    let mut samples: Vec<Vec<f64>> = Vec::new();
    let (mut runs, start) = (0, Instant::now());
    while runs < LEAST || start.elapsed() < LOOK {
        let timed = |native: &mut NativeBackend, inputs: &[&[f32]], outputs: &mut [&mut [f32]]| {
            native.run_timed(batch, inputs, outputs)
        };
        let timings = backend.run_by(batch, input, &mut output, timed)?;
        runs += 1;
        if runs == 1 {
            // The first run warms up.
            samples = vec![Vec::new(); timings.len()];
            continue;
        }
        for (sample, timing) in samples.iter_mut().zip(timings) {
            sample.push(timing.time.as_secs_f64() * 1e6);
        }
    }
    let medians: Vec<f64> = samples.iter().map(|sample| median(sample)).collect();
    let total: f64 = medians.iter().sum();
    let model = backend.backend().model();
    let operators = medians.iter().enumerate().filter_map(|(index, &us)| {
        let operator = model.operator(index)?;
        Some(OperatorTime {
            name: operator.name.into(),
            kind: operator.kind.name(),
            us,
            share: us / total,
            weight_bytes: operator.kind.layer().map_or(0, |layer| layer.weights.bytes()),
            multiply_accumulates: operator.multiply_accumulates().saturating_mul(batch as u64),
        })
    });
    Ok(operators.collect())
}

/// The head of the rows of `cells`.
pub(crate) const HEAD: [&str; 7] = ["operator", "does", "time", "share", "weight bytes", "GB/s", "GMAC/s"];

impl OperatorTime {
    pub(crate) fn cells(&self) -> Vec<String> {
        // 1 GB/s is 1000 bytes in a microsecond.
        let rate = |amount: u64| match amount {
            0 => String::new(),
            amount => format!("{:.1}", amount as f64 / self.us / 1e3),
        };
        vec![
            self.name.clone(),
            self.kind.into(),
            super::report::time(self.us),
            format!("{:.1} %", self.share * 100.0),
            if self.weight_bytes == 0 { String::new() } else { grouped(self.weight_bytes as u64) },
            rate(self.weight_bytes as u64),
            rate(self.multiply_accumulates),
        ]
    }
}
