//! `exporter inspect`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use latent_exporter::pack::{FloatPrecision, pack};
use latent_exporter::plan::{Plan, letter};
use latent_files::text::{grouped, table_with_head};
use latent_files::{console, regular};
use latent_runtime::AlignedBytes;
use latent_runtime::format::{MAGIC, Model};
use latent_runtime::onnx;

const EXAMPLES: &str = "\
Examples:
  exporter inspect models/dcgan.f16.lat
      the plan of a packed model
  exporter inspect models/dcgan.fp32.onnx
      the plan that this model would have, packed in f32, or int8 if it is
      quantized";

/// Letters in a line of the arena's picture.
const PICTURE: usize = 64;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A packed model, or an ONNX model that can be packed
    model: PathBuf,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: InspectArgs) -> anyhow::Result<()> {
    let context = || args.model.display().to_string();
    let packed = packed(&args.model).with_context(context)?;
    let bytes = AlignedBytes::copy_of(&packed);
    let model = Model::from_bytes(bytes.as_slice()).with_context(context)?;
    let plan = Plan::of(&model);
    let text = match args.json {
        true => serde_json::to_string_pretty(&plan)? + "\n",
        false => summary(&plan),
    };
    Ok(console::print(&text)?)
}

/// The largest packed model that is read, in bytes.
const MAX_PACKED: u64 = 8 << 30;

/// The bytes of a packed model: the file's, or those that its ONNX model gives.
pub(super) fn packed(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut start = [0; MAGIC.len()];
    let is_packed = regular::open(file, u64::MAX)
        .map_err(std::io::Error::from)
        .and_then(|(mut file, _)| std::io::Read::read_exact(&mut file, &mut start))
        .is_ok_and(|()| start == MAGIC);
    if is_packed {
        return Ok(regular::read(file, MAX_PACKED)?);
    }
    Ok(pack(&onnx::load(file)?, FloatPrecision::F32)?)
}

fn summary(plan: &Plan) -> String {
    let shape = |[channels, rows, columns]: [usize; 3]| match (rows, columns) {
        (1, 1) => channels.to_string(),
        _ => format!("{channels}x{rows}x{columns}"),
    };
    let head =
        ["operator", "does", "then", "from", "to", "MACs", "weight bytes", "as"].map(String::from).to_vec();
    let mut rows = vec![head];
    rows.extend(plan.operators.iter().map(|operator| {
        let mut fused = operator.fused.clone();
        fused.extend(operator.in_place.then(|| "in place".to_string()));
        vec![
            operator.name.clone(),
            operator.kind.clone(),
            fused.join(", "),
            shape(operator.input),
            shape(operator.output),
            grouped(operator.macs),
            grouped(operator.weight_bytes as u64),
            operator.weight_type.unwrap_or_default().to_string(),
        ]
    }));
    let (macs, weights) = plan.operators.iter().fold((0, 0), |(macs, weights), operator| {
        (macs + operator.macs, weights + operator.weight_bytes as u64)
    });
    let mut text = table_with_head(&rows);
    text += &format!(
        "\n{} operators, {} MACs, {} bytes of weights, {} of parameters in all\n\n",
        plan.operators.len(),
        grouped(macs),
        grouped(weights),
        grouped(plan.parameter_bytes as u64)
    );
    let head = ["", "activation", "shape", "element", "offset", "bytes"].map(String::from).to_vec();
    let mut rows = vec![head];
    rows.extend(plan.values.iter().enumerate().map(|(index, value)| {
        vec![
            letter(index).to_string(),
            value.name.clone(),
            shape(value.shape),
            match value.grid {
                None => value.element.to_string(),
                Some((scale, zero_point)) => {
                    format!("{} {scale:.3e} (q - {zero_point})", value.element)
                }
            },
            grouped(value.offset as u64),
            grouped(value.bytes as u64),
        ]
    }));
    text += &table_with_head(&rows);
    text += &format!(
        "\narena: {} bytes of activations (below), {} of scratch memory; a batch multiplies the first\n\n{}",
        grouped(plan.activation_bytes as u64),
        grouped(plan.scratch_bytes as u64),
        plan.arena(PICTURE)
    );
    text
}
