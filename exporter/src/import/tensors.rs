//! ONNX tensors with known elements.

use latent_runtime::onnx::proto::TensorProto;
use latent_runtime::onnx::proto::tensor_proto::{DataLocation, DataType};
use latent_runtime::onnx::{element_type, tensor_bytes};

use super::ImportError;
use crate::graph::{Element, Elements, Tensor};

/// The element type that stands for an ONNX one in our graphs; `None` when there is none.
pub(super) fn element(data_type: i32) -> Option<Element> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double => Element::F32,
        DataType::Uint8 => Element::U8,
        DataType::Int8 => Element::I8,
        DataType::Int32 => Element::I32,
        DataType::Int64 => Element::I64,
        DataType::Bool => Element::Bool,
        _ => return None,
    })
}

/// ONNX's name for a type, for messages.
pub(super) fn type_name(data_type: i32) -> String {
    element_type(data_type).map_or_else(|| format!("type {data_type}"), |(name, _)| name.to_string())
}

/// Reads a tensor; `name` is what messages call it.
pub(super) fn tensor(proto: &TensorProto, name: &str) -> Result<Tensor, ImportError> {
    let error = |what: String| ImportError::Tensor { tensor: name.into(), what };
    if proto.data_location == DataLocation::External as i32 {
        return Err(error("its data is in another file, which was not read".into()));
    }
    let shape: Option<Vec<usize>> = proto.dims.iter().map(|&length| usize::try_from(length).ok()).collect();
    let shape = shape.ok_or_else(|| error(format!("its shape {:?} is not valid", proto.dims)))?;
    let data_type = DataType::try_from(proto.data_type).unwrap_or(DataType::Undefined);
    let count = shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length));
    let (count, bytes) = count.zip(tensor_bytes(proto.data_type, &proto.dims)).ok_or_else(|| {
        error(format!("shape {:?} of {} is not supported", proto.dims, type_name(proto.data_type)))
    })?;
    let raw = &proto.raw_data;
    if !raw.is_empty() && raw.len() as u64 != bytes {
        return Err(error(format!("its shape {shape:?} needs {bytes} bytes, but it has {}", raw.len())));
    }
    // Either the raw bytes, little-endian, or the list of the type's own field, is there.
    let from_raw = !raw.is_empty();
    let elements = match data_type {
        DataType::Float if from_raw => Elements::F32(chunks(raw).map(f32::from_le_bytes).collect()),
        DataType::Float => Elements::F32(proto.float_data.clone()),
        DataType::Double if from_raw => {
            Elements::F32(chunks(raw).map(|bytes| f64::from_le_bytes(bytes) as f32).collect())
        }
        DataType::Double => Elements::F32(proto.double_data.iter().map(|&value| value as f32).collect()),
        DataType::Float16 | DataType::Bfloat16 => {
            let bits: Vec<u16> = match from_raw {
                true => chunks(raw).map(u16::from_le_bytes).collect(),
                false => proto.int32_data.iter().map(|&bits| bits as u16).collect(),
            };
            let widen = |bits| match data_type {
                DataType::Float16 => half::f16::from_bits(bits).to_f32(),
                _ => half::bf16::from_bits(bits).to_f32(),
            };
            Elements::F32(bits.into_iter().map(widen).collect())
        }
        DataType::Uint8 if from_raw => Elements::U8(raw.clone()),
        DataType::Uint8 => Elements::U8(proto.int32_data.iter().map(|&value| value as u8).collect()),
        DataType::Int8 if from_raw => Elements::I8(chunks(raw).map(i8::from_le_bytes).collect()),
        DataType::Int8 => Elements::I8(proto.int32_data.iter().map(|&value| value as i8).collect()),
        DataType::Int32 if from_raw => Elements::I32(chunks(raw).map(i32::from_le_bytes).collect()),
        DataType::Int32 => Elements::I32(proto.int32_data.clone()),
        DataType::Int64 if from_raw => Elements::I64(chunks(raw).map(i64::from_le_bytes).collect()),
        DataType::Int64 => Elements::I64(proto.int64_data.clone()),
        DataType::Bool if from_raw => Elements::Bool(raw.iter().map(|&value| value != 0).collect()),
        DataType::Bool => Elements::Bool(proto.int32_data.iter().map(|&value| value != 0).collect()),
        DataType::Uint16 | DataType::Int16 | DataType::Uint4 | DataType::Int4 => {
            return Err(error(format!(
                "its type {} is not supported: of quantized models only 8-bit activations and weights are",
                type_name(proto.data_type)
            )));
        }
        _ => return Err(error(format!("its type {} is not supported", type_name(proto.data_type)))),
    };
    if let Elements::F32(values) = &elements
        && let Some(at) = values.iter().position(|value| value.is_nan())
    {
        return Err(error(format!("value {at} is NaN")));
    }
    Tensor::new(shape, elements)
        .ok_or_else(|| error(format!("it does not have the {count} elements of its shape")))
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(data_type: DataType, dims: &[i64]) -> TensorProto {
        TensorProto { data_type: data_type as i32, dims: dims.to_vec(), ..TensorProto::default() }
    }

    #[test]
    fn reads_both_ways_of_storing_data() {
        let cases = [
            (TensorProto { float_data: vec![1.5, -2.0], ..proto(DataType::Float, &[2]) }, vec![1.5, -2.0]),
            (TensorProto { raw_data: vec![0, 0, 192, 63], ..proto(DataType::Float, &[1]) }, vec![1.5]),
            (TensorProto { raw_data: vec![0, 62], ..proto(DataType::Float16, &[]) }, vec![1.5]),
            (TensorProto { int32_data: vec![0x3e00], ..proto(DataType::Float16, &[1]) }, vec![1.5]),
            (TensorProto { raw_data: vec![192, 63], ..proto(DataType::Bfloat16, &[1]) }, vec![1.5]),
            (TensorProto { double_data: vec![1.5], ..proto(DataType::Double, &[1]) }, vec![1.5]),
            (TensorProto { raw_data: vec![255, 3], ..proto(DataType::Int8, &[2]) }, vec![-1.0, 3.0]),
            (TensorProto { int32_data: vec![255, 3], ..proto(DataType::Uint8, &[2]) }, vec![255.0, 3.0]),
            (TensorProto { int32_data: vec![-7], ..proto(DataType::Int32, &[1]) }, vec![-7.0]),
            (TensorProto { int64_data: vec![-1], ..proto(DataType::Int64, &[1]) }, vec![-1.0]),
            (TensorProto { raw_data: vec![1, 0], ..proto(DataType::Bool, &[2]) }, vec![1.0, 0.0]),
            (proto(DataType::Float, &[0, 4]), vec![]),
        ];
        for (proto, expected) in cases {
            let tensor = tensor(&proto, "t").unwrap();
            assert_eq!(tensor.doubles(), expected, "{proto:?}");
            assert_eq!(tensor.shape().len(), proto.dims.len());
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            (proto(DataType::Float, &[2]), "does not have the 2 elements"),
            (proto(DataType::Float, &[-1]), "[-1] is not valid"),
            (proto(DataType::Float, &[i64::MAX, i64::MAX]), "is not supported"),
            (proto(DataType::String, &[1]), "is not supported"),
            (proto(DataType::Uint4, &[1]), "uint4 is not supported"),
            (
                TensorProto { raw_data: vec![0; 7], ..proto(DataType::Float, &[2]) },
                "needs 8 bytes, but it has 7",
            ),
            (
                TensorProto { float_data: vec![0.0, f32::NAN], ..proto(DataType::Float, &[2]) },
                "value 1 is NaN",
            ),
            (TensorProto { data_location: 1, ..proto(DataType::Float, &[2]) }, "in another file"),
        ];
        for (proto, expected) in cases {
            let error = tensor(&proto, "w").unwrap_err().to_string();
            assert!(
                error.starts_with("tensor \"w\": ") && error.contains(expected),
                "{error}, expected {expected}"
            );
        }
    }
}
