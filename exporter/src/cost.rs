//! What a packed model will cost on a microcontroller, estimated from what `cargo xtask bench devices` measured.

use std::collections::BTreeMap;

use latent_files::text::{grouped, size, table_with_head};
use latent_runtime::format::{Activation, Model, OperatorKind, WeightType};
use serde::Deserialize;

/// The measured table, as it was when this program was built.
const MEASURED: &str = include_str!("../../docs/benchmarks/devices.json");

#[derive(Debug, Deserialize)]
struct Figures {
    processor: String,
    code_fast: u64,
    code_small: u64,
    models: BTreeMap<String, Costs>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Costs {
    macs: u64,
    outputs: u64,
    open_stack: u64,
    run_instructions: u64,
    run_stack: u64,
}

/// Of a processor.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Its name.
    pub processor: String,
    /// Bytes of the engine's code, optimized for speed and for size.
    pub code: [u64; 2],
    /// The most bytes of stack that any measured model took to be opened or run.
    pub stack: u64,
    /// Instructions of a run; `None` where a layer is of a kind that was not measured, such as one with float weights.
    pub instructions: Option<f64>,
    /// How far the estimate of a measured layer is off at most, as a part of it.
    pub error: f64,
}

/// The kinds of layers that are told apart, by the beginning of their names in the table.
fn kind<L, C>(operator: &OperatorKind<L, C>) -> Option<&'static str> {
    match operator {
        OperatorKind::FullyConnected(_) => Some("fc-"),
        OperatorKind::Convolution { .. } => Some("conv3x3-"),
        OperatorKind::Transposed { .. } => Some("convt4x4-"),
        _ => None,
    }
}

/// Instructions as `a` for each MAC and `b` for each value given out: what has the least squares of relative errors, and the
/// largest of these.
fn fit(rows: &[Costs]) -> Option<([f64; 2], f64)> {
    let parts = |row: &Costs| [row.macs, row.outputs].map(|count| count as f64 / row.run_instructions as f64);
    let [mut uu, mut uv, mut vv, mut u1, mut v1] = [0.0; 5];
    for [u, v] in rows.iter().map(parts) {
        uu += u * u;
        uv += u * v;
        vv += v * v;
        u1 += u;
        v1 += v;
    }
    let determinant = uu * vv - uv * uv;
    let factors = [(u1 * vv - v1 * uv) / determinant, (uu * v1 - uv * u1) / determinant];
    let off = |row: &Costs| (parts(row)[0] * factors[0] + parts(row)[1] * factors[1] - 1.0).abs();
    factors.iter().all(|x| x.is_finite()).then(|| (factors, rows.iter().map(off).fold(0.0, f64::max)))
}

/// Instructions of a tanh, by the measured layer that has one and the same layer with a ReLU.
fn tanh(models: &BTreeMap<String, Costs>) -> Option<f64> {
    let [with, without] = ["tanh-convt4x4-8-1-s2", "convt4x4-8-1-s2"].map(|name| models.get(name));
    let more = with?.run_instructions.checked_sub(without?.run_instructions)?;
    Some(more as f64 / with?.outputs as f64)
}

/// What the model costs on each processor of the table. Operators without weights are left out of the instructions.
///
/// # Errors
/// If the table that this program holds cannot be read: a fault of this project.
pub fn estimates(model: &Model<'_>) -> Result<Vec<Estimate>, serde_json::Error> {
    let measured: Vec<Figures> = serde_json::from_str(MEASURED)?;
    let all = measured.into_iter().map(|figures| {
        let (mut instructions, mut error) = (Some(0.0), 0f64);
        for operator in (0..model.operators_len()).filter_map(|index| model.operator(index)) {
            let Some(layer) = operator.kind.layer() else { continue };
            let fitted = kind(&operator.kind)
                .filter(|_| layer.weights.weight_type() == WeightType::I8)
                .and_then(|kind| {
                    let rows = figures.models.iter().filter(|(name, _)| name.starts_with(kind));
                    fit(&rows.map(|(_, costs)| *costs).collect::<Vec<_>>())
                });
            instructions = instructions.zip(fitted).map(|(sum, ([mac, value], off))| {
                error = error.max(off);
                let (macs, values) = (operator.multiply_accumulates(), operator.output.logical());
                let activation = match layer.activation {
                    Activation::Tanh | Activation::Sigmoid => tanh(&figures.models).unwrap_or(0.0),
                    _ => 0.0,
                };
                sum + mac * macs as f64 + (value + activation) * values as f64
            });
        }
        let stack = figures.models.values().map(|costs| costs.run_stack.max(costs.open_stack)).max();
        Estimate {
            processor: figures.processor,
            code: [figures.code_fast, figures.code_small],
            stack: stack.unwrap_or(0),
            instructions,
            error,
        }
    });
    Ok(all.collect())
}

/// The estimates as a table for people.
pub fn table(model: &Model<'_>, estimates: &[Estimate]) -> String {
    let head = [
        "on",
        "flash: code, fast or small",
        "flash: model",
        "RAM: arena",
        "RAM: stack",
        "instructions a run",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    for estimate in estimates {
        let [fast, small] = estimate.code.map(size);
        let instructions = match estimate.instructions {
            Some(count) => format!("{} +- {:.0} %", grouped(count as u64), estimate.error * 100.0),
            None => "not measured for such layers".into(),
        };
        rows.push(vec![
            estimate.processor.clone(),
            format!("{fast} or {small}"),
            size(model.bytes().len() as u64),
            size(model.arena_len(1).unwrap_or(usize::MAX) as u64),
            size(estimate.stack),
            instructions,
        ]);
    }
    table_with_head(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::AlignedBytes;

    #[test]
    fn a_fit_finds_what_made_the_rows() {
        let row = |macs, outputs| Costs {
            macs,
            outputs,
            open_stack: 0,
            run_instructions: 3 * macs + 50 * outputs,
            run_stack: 0,
        };
        let ([mac, value], error) = fit(&[row(1000, 10), row(500, 100), row(9000, 20)]).unwrap();
        assert!((mac - 3.0).abs() < 1e-9 && (value - 50.0).abs() < 1e-7 && error < 1e-9);
        assert_eq!(fit(&[row(10, 10)]), None);
    }

    #[test]
    fn estimates_of_measured_models_are_near_what_was_measured() {
        let measured: Vec<Figures> = serde_json::from_str(MEASURED).unwrap();
        for name in ["generator", "encoder"] {
            let path = format!("{}/../edge/models/{name}.lat", env!("CARGO_MANIFEST_DIR"));
            let bytes = AlignedBytes::copy_of(&std::fs::read(path).unwrap());
            let model = Model::from_bytes(bytes.as_slice()).unwrap();
            for (estimate, figures) in estimates(&model).unwrap().iter().zip(&measured) {
                let found = figures.models[name].run_instructions as f64;
                let off = estimate.instructions.unwrap() / found - 1.0;
                assert!(off.abs() < 0.5, "{name} on {}: off by {off}", figures.processor);
            }
        }
    }
}
