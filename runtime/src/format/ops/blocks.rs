//! Operators over blocks of an image: reductions, Softmax, norms.

#[cfg(feature = "alloc")]
use super::number;
use crate::format::error::FormatError;
use crate::format::layout::operator as field;
#[cfg(feature = "alloc")]
use crate::format::record::Writer;
use crate::format::record::{Ends, Reader};
use crate::ops::{Normalize, NormalizeKind, Operation, Reduce, ReduceKind};

/// In the order of their numbers.
const REDUCTIONS: [ReduceKind; 6] = [
    ReduceKind::Mean,
    ReduceKind::Sum,
    ReduceKind::Maximum,
    ReduceKind::Minimum,
    ReduceKind::Euclidean,
    ReduceKind::Absolute,
];

/// In the order of their numbers.
const NORMALIZATIONS: [NormalizeKind; 5] = [
    NormalizeKind::Softmax,
    NormalizeKind::Euclidean,
    NormalizeKind::Absolute,
    NormalizeKind::Standardize,
    NormalizeKind::RootMeanSquare,
];

/// Arguments 1 to 3: the block, which divides the input.
fn read_block(reader: &Reader<'_, '_>, ends: &Ends<'_>) -> Result<[usize; 3], FormatError> {
    let extent = |at| reader.extent(at, 1, "block");
    let block = [extent(1)?, extent(2)?, extent(3)?];
    if ends.input.extents().iter().zip(block).any(|(extent, block)| !extent.is_multiple_of(block)) {
        return Err(reader.shapes("the input is no whole number of blocks"));
    }
    Ok(block)
}

#[cfg(feature = "alloc")]
fn write_block(writer: &mut Writer<'_>, block: [usize; 3]) {
    for (n, extent) in block.into_iter().enumerate() {
        writer.argument(1 + n, extent);
    }
}

pub(super) fn read_reduce<'a>(
    reader: &Reader<'a, '_>,
    ends: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let kind = reader.choice(0, &REDUCTIONS, "reduction")?;
    let block = read_block(reader, ends)?;
    let (input, output) = (ends.input.extents(), ends.output.extents());
    if (0..3).any(|n| input[n] != output[n] * block[n]) {
        return Err(reader.shapes("the output has not one element for each block"));
    }
    Ok(Operation::Reduce(Reduce { kind, block }))
}

#[cfg(feature = "alloc")]
pub(super) fn write_reduce(writer: &mut Writer<'_>, reduce: &Reduce) {
    writer.choice(0, &REDUCTIONS, &reduce.kind);
    write_block(writer, reduce.block);
}

fn read<'a>(
    reader: &Reader<'a, '_>,
    ends: &Ends<'a>,
    kind: NormalizeKind,
    block: [usize; 3],
    epsilon: f32,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !ends.input.same_shape(&ends.output) {
        return Err(reader.shapes("input and output have different shapes"));
    }
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        return Err(reader.parameter("epsilon"));
    }
    Ok(Operation::Normalize(Normalize { kind, block, epsilon }))
}

/// Over all channels of each pixel.
pub(super) fn read_softmax<'a>(
    reader: &Reader<'a, '_>,
    ends: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    read(reader, ends, NormalizeKind::Softmax, [ends.input.channels, 1, 1], 0.0)
}

/// Over all channels of each pixel.
pub(super) fn read_l2<'a>(
    reader: &Reader<'a, '_>,
    ends: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let epsilon = reader.float(field::ARGUMENTS);
    read(reader, ends, NormalizeKind::Euclidean, [ends.input.channels, 1, 1], epsilon)
}

pub(super) fn read_normalize<'a>(
    reader: &Reader<'a, '_>,
    ends: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let kind = reader.choice(0, &NORMALIZATIONS, "normalization")?;
    let block = read_block(reader, ends)?;
    read(reader, ends, kind, block, reader.float(field::ARGUMENTS + 4))
}

/// Writes it and returns its number: those over the channels of a pixel have their own.
#[cfg(feature = "alloc")]
pub(super) fn write_normalize(writer: &mut Writer<'_>, ends: &Ends<'_>, normalize: &Normalize) -> u32 {
    let Normalize { kind, block, epsilon } = *normalize;
    if block == [ends.input.channels, 1, 1] {
        match kind {
            NormalizeKind::Softmax => return number::SOFTMAX,
            NormalizeKind::Euclidean => {
                writer.float(0, epsilon);
                return number::L2_NORMALIZE;
            }
            _ => {}
        }
    }
    writer.choice(0, &NORMALIZATIONS, &kind);
    write_block(writer, block);
    writer.float(4, epsilon);
    number::NORMALIZE
}
