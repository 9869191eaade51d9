//! Operators over all channels of a pixel.

use crate::format::error::FormatError;
use crate::format::layout::operator as field;
#[cfg(feature = "alloc")]
use crate::format::record::Writer;
use crate::format::record::{Ends, Reader};
use crate::ops::Operation;

pub(super) fn read_softmax<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !input.same_shape(output) {
        return Err(reader.shapes("input and output have different shapes"));
    }
    Ok(Operation::Softmax)
}

pub(super) fn read_l2<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !input.same_shape(output) {
        return Err(reader.shapes("input and output have different shapes"));
    }
    let epsilon = reader.float(field::ARGUMENTS);
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        return Err(reader.parameter("epsilon"));
    }
    Ok(Operation::L2Normalize { epsilon })
}

#[cfg(feature = "alloc")]
pub(super) fn write_l2(writer: &mut Writer<'_>, epsilon: f32) {
    writer.float(0, epsilon);
}
