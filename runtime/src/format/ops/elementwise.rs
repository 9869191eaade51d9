//! Operators that treat every element by itself.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::format::error::FormatError;
use crate::format::layout::operator as field;
use crate::format::layout::{FLAG_AFTER, FLAG_BEFORE, NONE};
use crate::format::record::{Ends, Reader, read_activation};
#[cfg(feature = "alloc")]
use crate::format::record::{Writer, padded, write_activation};
#[cfg(feature = "alloc")]
use crate::ops::Activation;
use crate::ops::{Affine, BLOCK, Binary, Function, Operation};

pub(super) fn read<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !input.same_shape(output) {
        return Err(reader.shapes("input and output have different shapes"));
    }
    let flags = reader.flags(FLAG_BEFORE | FLAG_AFTER)?;
    let rows = output.channels.next_multiple_of(BLOCK) as u64;
    let arrays: [&[u8]; 4] = reader.parameters(rows, 2 * flags.count_ones() as usize)?;
    let mut rest = &arrays[..];
    let mut next = |flag| -> Result<Option<Affine<&'a [f32]>>, FormatError> {
        match rest {
            [scale, shift, tail @ ..] if flags & flag != 0 => {
                rest = tail;
                reader.affine(scale, shift).map(Some)
            }
            _ => Ok(None),
        }
    };
    let (before, after) = (next(FLAG_BEFORE)?, next(FLAG_AFTER)?);
    Ok(Operation::Elementwise { before, activation: read_activation(reader)?, after })
}

#[cfg(feature = "alloc")]
pub(super) fn write(
    writer: &mut Writer<'_>,
    before: Option<&Affine<Vec<f32>>>,
    activation: Activation,
    after: Option<&Affine<Vec<f32>>>,
) {
    write_activation(writer, activation);
    let mut arrays = Vec::new();
    for (flag, affine) in [(FLAG_BEFORE, before), (FLAG_AFTER, after)] {
        if let Some(affine) = affine {
            writer.words[field::FLAGS] |= flag;
            arrays.extend([padded(&affine.scale), padded(&affine.shift)]);
        }
    }
    writer.parameters(&arrays);
}

/// In the order of their numbers.
const BINARIES: [Binary; 8] = [
    Binary::Add,
    Binary::Subtract,
    Binary::Multiply,
    Binary::Divide,
    Binary::Maximum,
    Binary::Minimum,
    Binary::Power,
    Binary::Prelu,
];

pub(super) fn read_binary<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, second, output }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    let binary = reader.choice(0, &BINARIES, "operation")?;
    let Some(second) = second else {
        return Err(FormatError::NoSuchValue { operator: reader.operator(), index: NONE });
    };
    let spreads = second.extents().iter().zip(output.extents()).all(|(&b, a)| b == a || b == 1);
    if !input.same_shape(output) || !spreads {
        return Err(reader.shapes("the operands' shapes do not fit"));
    }
    Ok(Operation::Binary { binary, activation: read_activation(reader)? })
}

#[cfg(feature = "alloc")]
pub(super) fn write_binary(writer: &mut Writer<'_>, binary: Binary, activation: Activation) {
    writer.choice(0, &BINARIES, &binary);
    write_activation(writer, activation);
}

/// In the order of their numbers; `a` is the function's number, if it has one.
const fn functions(a: f32) -> [Function; 27] {
    [
        Function::Elu { alpha: a },
        Function::Gelu,
        Function::GeluTanh,
        Function::Softplus,
        Function::Mish,
        Function::Erf,
        Function::Exp,
        Function::Log,
        Function::Sqrt,
        Function::Reciprocal,
        Function::Power { exponent: a },
        Function::Absolute,
        Function::Floor,
        Function::Ceil,
        Function::Round,
        Function::Sign,
        Function::Sin,
        Function::Cos,
        Function::Tan,
        Function::Asin,
        Function::Acos,
        Function::Atan,
        Function::Sinh,
        Function::Cosh,
        Function::Asinh,
        Function::Acosh,
        Function::Atanh,
    ]
}

pub(super) fn read_function<'a>(
    reader: &Reader<'a, '_>,
    Ends { input, output, .. }: &Ends<'a>,
) -> Result<Operation<&'a [f32]>, FormatError> {
    if !input.same_shape(output) {
        return Err(reader.shapes("input and output have different shapes"));
    }
    let a = reader.float(field::ARGUMENTS + 1);
    if !a.is_finite() {
        return Err(reader.parameter("number of the function"));
    }
    Ok(Operation::Function(reader.choice(0, &functions(a), "function")?))
}

#[cfg(feature = "alloc")]
pub(super) fn write_function(writer: &mut Writer<'_>, function: Function) {
    let a = match function {
        Function::Elu { alpha } => alpha,
        Function::Power { exponent } => exponent,
        _ => 0.0,
    };
    writer.choice(0, &functions(a), &function);
    writer.float(1, a);
}
