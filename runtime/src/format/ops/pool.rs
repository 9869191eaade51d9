//! Pools.

use crate::format::error::FormatError;
use crate::format::record::{Ends, Reader, read_window};
#[cfg(feature = "alloc")]
use crate::format::record::{Writer, write_window};
use crate::ops::{Operation, Pool, PoolKind, ValueType};

/// In the order of their numbers.
const KINDS: [PoolKind; 3] = [PoolKind::Max, PoolKind::Average, PoolKind::AverageWithPadding];

pub(super) fn read<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let window = read_window(reader)?;
    let kind = reader.choice(8, &KINDS, "pool kind")?;
    if input.channels != output.channels {
        return Err(reader.shapes("a pool keeps the number of channels"));
    }
    for (axis, (input, output)) in
        window.iter().zip([(input.height, output.height), (input.width, output.width)])
    {
        if (output as u64 - 1) * axis.stride as u64 >= (input + axis.pad) as u64 {
            return Err(reader.shapes("the last window of the pool lies outside the input"));
        }
    }
    if kind == PoolKind::Max && !input.same_quantization(output) {
        return Err(reader.types());
    }
    if input.kind != output.kind && output.kind == ValueType::U8 {
        return Err(reader.types());
    }
    Ok(Operation::Pool(Pool { window, kind }))
}

#[cfg(feature = "alloc")]
pub(super) fn write(writer: &mut Writer<'_>, pool: &Pool) {
    write_window(writer, &pool.window);
    writer.choice(8, &KINDS, &pool.kind);
}
