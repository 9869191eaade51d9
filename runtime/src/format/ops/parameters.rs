//! What follows the sums of a layer, in the units that the kernels compute in.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::features;
use crate::format::error::FormatError;
use crate::format::layer::{Layer, Residual};
use crate::format::layout::{FLAG_AFTER, operator as field};
#[cfg(feature = "alloc")]
use crate::format::pack::{OwnedBias, PlainLayer, to_codes};
use crate::format::record::{Ends, Reader, read_activation};
#[cfg(feature = "alloc")]
use crate::format::record::{Writer, write_activation};
#[cfg(feature = "alloc")]
use crate::ops::Affine;
use crate::ops::{Bias, CODES, PackedWeights, ValueType, WeightType};

/// The types of weights and their numbers.
const WEIGHT_TYPES: [(u32, WeightType); 5] = [
    (0, WeightType::F32),
    (1, WeightType::F16),
    (2, WeightType::I8),
    (3, WeightType::Bf16),
    (4, WeightType::I4),
];

/// The layer of an operator with `weights` weights and `rows` entries in each array of parameters (padding included).
pub(super) fn read_layer<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, second, output }: &Ends<'a>,
    weights: u64,
    rows: u64,
) -> Result<Layer<'a>, FormatError> {
    let number = reader.word(field::WEIGHTS_TYPE);
    let weight_type = WEIGHT_TYPES.iter().find(|(found, _)| *found == number);
    let Some(&(_, weight_type)) = weight_type else { return Err(reader.parameter("weight type")) };
    match weight_type {
        WeightType::F32 if !features::F32 => return Err(reader.feature("f32")),
        WeightType::F16 if !features::F16 => return Err(reader.feature("f16")),
        WeightType::Bf16 if !features::BF16 => return Err(reader.feature("bf16")),
        WeightType::I8 if !features::INT8 => return Err(reader.feature("int8")),
        WeightType::I4 if !features::INT4 => return Err(reader.feature("int4")),
        _ => {}
    }
    let is_int8 = weight_type.is_integer();
    if input.kind != weight_type.input() || (output.kind == ValueType::U8 && !is_int8) {
        return Err(reader.types());
    }
    let length = match weight_type {
        WeightType::I4 => weights / 2 + CODES as u64,
        _ => weights * weight_type.size() as u64,
    };
    let bytes = reader.data(field::WEIGHTS, length, "weights")?;
    let weights = match weight_type {
        WeightType::F32 => PackedWeights::F32(reader.cast(bytes, "weights")?),
        WeightType::F16 => PackedWeights::F16(reader.cast(bytes, "weights")?),
        WeightType::Bf16 => PackedWeights::Bf16(reader.cast(bytes, "weights")?),
        WeightType::I8 => PackedWeights::I8(reader.cast(bytes, "weights")?),
        WeightType::I4 => {
            let (indexes, codebook) =
                bytes.split_last_chunk::<CODES>().ok_or_else(|| reader.parameter("codebook"))?;
            let codebook: &[i8; CODES] = bytemuck::cast_ref(codebook);
            if !codebook.is_sorted() {
                return Err(reader.parameter("codebook"));
            }
            PackedWeights::I4 { codebook, indexes }
        }
    };
    let flags = reader.flags(FLAG_AFTER)?;
    let own = if is_int8 { 3 } else { 1 };
    let count = own + if flags & FLAG_AFTER != 0 { 2 } else { 0 };
    let arrays: [&[u8]; 5] = reader.parameters(rows, count)?;
    let bias = match weight_type {
        WeightType::I8 | WeightType::I4 => Bias::I32 {
            bias: reader.cast(arrays[0], "parameters")?,
            scale: reader.floats(arrays[1])?,
            sum128: reader.cast(arrays[2], "parameters")?,
        },
        _ => Bias::F32(reader.floats(arrays[0])?),
    };
    let after = match flags & FLAG_AFTER {
        0 => None,
        _ if own == 3 => Some(reader.affine(arrays[3], arrays[4])?),
        _ => Some(reader.affine(arrays[1], arrays[2])?),
    };
    let residual = match *second {
        None => None,
        Some(value) => {
            if value.kind != output.kind {
                return Err(reader.types());
            }
            if !value.same_shape(output) {
                return Err(reader.shapes("the residual has another shape than the output"));
            }
            let scale = reader.float(field::RESIDUAL_SCALE);
            if !scale.is_finite() {
                return Err(reader.parameter("residual scale"));
            }
            Some(Residual { value, scale })
        }
    };
    Ok(Layer { weights, bias, residual, activation: read_activation(reader)?, after, matrix: None })
}

/// Writes packed weights and their type, and the parameters; `rows` are those of [`write_parameters`].
#[cfg(feature = "alloc")]
pub(super) fn write_layer(
    writer: &mut Writer<'_>,
    ends: &Ends<'_>,
    layer: &PlainLayer,
    packed: &[u8],
    rows: &[(Option<usize>, i64)],
) {
    let weight_type = layer.weights.weight_type();
    let number = WEIGHT_TYPES.iter().find(|(_, one)| *one == weight_type);
    writer.words[field::WEIGHTS_TYPE] = number.map_or(u32::MAX, |(number, _)| *number);
    match weight_type {
        WeightType::I4 => writer.data(field::WEIGHTS, &to_codes(packed)),
        _ => writer.data(field::WEIGHTS, packed),
    }
    write_parameters(writer, ends, layer, rows);
}

/// Bias, scales and affine of each packed row (`None`: padding) with the sum of its weights; and the activation, in
/// the units that the kernel computes in.
#[cfg(feature = "alloc")]
fn write_parameters(
    writer: &mut Writer<'_>,
    ends: &Ends<'_>,
    layer: &PlainLayer,
    rows: &[(Option<usize>, i64)],
) {
    let mut arrays: Vec<Vec<u32>> = Vec::new();
    let float = |get: &dyn Fn(usize) -> f64| {
        rows.iter().map(|&(row, _)| row.map_or(0, |row| (get(row) as f32).to_bits())).collect::<Vec<u32>>()
    };
    let mut activation = layer.activation;
    let mut residual_scale = 1.0;
    let after = layer.after.as_ref();
    if layer.weights.weight_type().is_integer() {
        // Of floats 1 and 0.
        let (in_scale, zero_point) = (f64::from(ends.input.scale), i64::from(ends.input.zero_point));
        // Where the activation allows it, everything is computed in steps of the output.
        let step = f64::from(ends.output.scale);
        let in_steps = layer.activation.in_steps(step);
        let before = if in_steps.is_some() { step } else { 1.0 };
        activation = in_steps.unwrap_or(activation);
        let real = |row: usize| in_scale * f64::from(layer.scales[row % layer.scales.len()]);
        let bias = |row: usize| match &layer.bias {
            OwnedBias::F32(bias) => libm::rint(f64::from(bias[row % bias.len()]) / real(row)) as i64,
            OwnedBias::I32(bias) => i64::from(bias[row % bias.len()]),
        };
        let clamp = |value: i64| value.clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32;
        arrays.push(
            rows.iter()
                .map(|&(row, sum)| row.map_or(0, |row| clamp(bias(row).saturating_sub(zero_point * sum))))
                .collect(),
        );
        arrays.push(float(&|row| real(row) / before));
        arrays.push(rows.iter().map(|&(_, sum)| clamp(128 * sum)).collect());
        let rest = step / before;
        match after {
            // A scale within the step's units stays, a shift is divided.
            Some(Affine { scale, shift }) => {
                arrays.push(float(&|row| f64::from(scale[row % scale.len()]) / rest));
                arrays.push(float(&|row| f64::from(shift[row % shift.len()]) / step));
            }
            None if rest != 1.0 => {
                arrays.push(float(&|_| 1.0 / rest));
                arrays.push(float(&|_| 0.0));
            }
            None => {}
        }
        residual_scale = ends.second.map_or(1.0, |second| f64::from(second.scale)) / before;
        writer.words[field::FLAGS] = if after.is_some() || rest != 1.0 { FLAG_AFTER } else { 0 };
    } else {
        arrays.push(float(&|row| match &layer.bias {
            OwnedBias::F32(bias) => bias[row % bias.len()].into(),
            OwnedBias::I32(_) => 0.0,
        }));
        if let Some(Affine { scale, shift }) = after {
            writer.words[field::FLAGS] = FLAG_AFTER;
            arrays.push(float(&|row| scale[row % scale.len()].into()));
            arrays.push(float(&|row| shift[row % shift.len()].into()));
        }
    }
    write_activation(writer, activation);
    writer.words[field::RESIDUAL_SCALE] = (residual_scale as f32).to_bits();
    writer.parameters(&arrays);
}
