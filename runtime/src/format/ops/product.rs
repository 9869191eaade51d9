//! Products of two values, and what feeds them: constants, one-hot vectors.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::format::error::FormatError;
use crate::format::layout::NONE;
#[cfg(feature = "alloc")]
use crate::format::layout::operator as field;
#[cfg(feature = "alloc")]
use crate::format::record::Writer;
use crate::format::record::{Ends, Reader};
use crate::ops::{Operation, ValueType};

pub(super) fn read_constant<'a>(
    reader: &Reader<'a, '_>,
    Ends { output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if output.kind != ValueType::F32 {
        return Err(reader.types());
    }
    let [values] = reader.parameters(output.logical() as u64, 1)?;
    Ok(Operation::Constant(reader.floats(values)?))
}

#[cfg(feature = "alloc")]
pub(super) fn write_constant(writer: &mut Writer<'_>, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    writer.data(field::PARAMETERS, &bytes);
}

pub(super) fn read_product<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, second, output }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let Some(second) = second else {
        return Err(FormatError::NoSuchValue { operator: reader.operator(), index: NONE });
    };
    if input.width != second.height
        || [input.channels, input.height, second.width] != output.extents()
        || (second.channels != 1 && second.channels != input.channels)
    {
        return Err(reader.shapes("the matrices do not fit"));
    }
    Ok(Operation::Product)
}

pub(super) fn read_one_hot<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !output.logical().is_multiple_of(input.logical()) {
        return Err(reader.shapes("the output is no whole number of elements for each of the input's"));
    }
    Ok(Operation::OneHot)
}
