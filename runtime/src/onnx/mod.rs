//! Reading ONNX files: the protobuf messages, what our exporter says about a model, and what goes in and comes out.

mod error;
mod external;
mod interface;
mod load;
mod metadata;
mod parts;
mod shapes;
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
pub mod proto;

pub use crate::image_encoding::ImageShape;
pub use error::{MAX_EXTERNAL_BYTES, MAX_FILE_BYTES, OnnxError};
pub use interface::{
    Dimension, Element, Interface, InterfaceError, Port, ValueInfo, graph_inputs, graph_outputs,
};
pub use load::{check_file, decode, load};
pub use metadata::{ModelKind, ModelMetadata};
pub use shapes::{infer_shapes, multiplies, multiply_accumulates};

use crate::format::Precision;
use proto::ModelProto;
use proto::tensor_proto::DataType;

/// The precision that most of a model's weights have.
pub fn weight_precision(model: &ModelProto) -> Precision {
    let (mut int8, mut f16, mut f32) = (0u64, 0u64, 0u64);
    for tensor in model.graph.iter().flat_map(|graph| &graph.initializer) {
        let count = match DataType::try_from(tensor.data_type) {
            Ok(DataType::Int8 | DataType::Uint8) => &mut int8,
            Ok(DataType::Float16) => &mut f16,
            Ok(DataType::Float) => &mut f32,
            _ => continue,
        };
        let elements = tensor.dims.iter().fold(1, |n: u64, &size| n.saturating_mul(size.max(0) as u64));
        *count = count.saturating_add(elements);
    }
    if int8 > f16.max(f32) {
        Precision::Int8
    } else if f16 > f32 {
        Precision::F16
    } else {
        Precision::F32
    }
}

/// The name of an ONNX element type as the ONNX documentation writes it (`float32`, `int8`, ...), and the bits of one
/// element; `None` for strings and for types unknown to this version.
pub fn element_type(data_type: i32) -> Option<(&'static str, usize)> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Float => ("float32", 32),
        DataType::Uint8 => ("uint8", 8),
        DataType::Int8 => ("int8", 8),
        DataType::Uint16 => ("uint16", 16),
        DataType::Int16 => ("int16", 16),
        DataType::Int32 => ("int32", 32),
        DataType::Int64 => ("int64", 64),
        DataType::Bool => ("bool", 8),
        DataType::Float16 => ("float16", 16),
        DataType::Double => ("float64", 64),
        DataType::Uint32 => ("uint32", 32),
        DataType::Uint64 => ("uint64", 64),
        DataType::Complex64 => ("complex64", 64),
        DataType::Complex128 => ("complex128", 128),
        DataType::Bfloat16 => ("bfloat16", 16),
        DataType::Float8e4m3fn => ("float8e4m3fn", 8),
        DataType::Float8e4m3fnuz => ("float8e4m3fnuz", 8),
        DataType::Float8e5m2 => ("float8e5m2", 8),
        DataType::Float8e5m2fnuz => ("float8e5m2fnuz", 8),
        DataType::Uint4 => ("uint4", 4),
        DataType::Int4 => ("int4", 4),
        DataType::Float4e2m1 => ("float4e2m1", 4),
        DataType::Float8e8m0 => ("float8e8m0", 8),
        DataType::Uint2 => ("uint2", 2),
        DataType::Int2 => ("int2", 2),
        DataType::Float6e2m3 => ("float6e2m3", 6),
        DataType::Float6e3m2 => ("float6e3m2", 6),
        DataType::Undefined | DataType::String => return None,
    })
}

/// The bytes that a tensor of these dimensions takes as raw data; `None` if a dimension is negative, the element has no
/// fixed size, or the product overflows.
pub fn tensor_bytes(data_type: i32, dims: &[i64]) -> Option<u64> {
    let (_, bits) = element_type(data_type)?;
    let elements = dims
        .iter()
        .try_fold(1u64, |product, &dim| u64::try_from(dim).ok().and_then(|dim| product.checked_mul(dim)))?;
    Some(elements.checked_mul(bits as u64)?.div_ceil(8))
}
