//! An operator's record: what every family of operators reads and writes in the same way. Reading checks, writing is for
//! the builder, whose finished bytes are read back.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::ops::Range;

use super::error::{FormatError, Name};
use super::layout::{ALIGNMENT, MAX_EXTENT, operator as field, word};
#[cfg(feature = "alloc")]
use super::layout::{OPERATOR_RECORD, align};
use super::value::Value;
#[cfg(feature = "alloc")]
use crate::ops::BLOCK;
use crate::ops::{Activation, Affine, WindowAxis};

/// The values of an operator: what it reads and what it writes.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) input: Value<'a>,
    /// The second operand or the residual.
    pub(super) second: Option<Value<'a>>,
    pub(super) output: Value<'a>,
}

/// What reading needs to know of the model.
pub(super) struct Context<'a, 'v> {
    pub(super) strings: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) value: &'v dyn Fn(usize) -> Option<Value<'a>>,
    /// The bytes of scratch memory.
    pub(super) scratch: usize,
    /// Also read names and check what is too slow for every run and only concerns results: that all parameters are
    /// finite.
    pub(super) thorough: bool,
}

/// The reader of one record. Places are in words from the beginning of the record, those of arguments from the first
/// argument.
pub(super) struct Reader<'a, 'v> {
    pub(super) record: &'a [u8],
    pub(super) name: &'a str,
    pub(super) context: &'v Context<'a, 'v>,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn word(&self, at: usize) -> u32 {
        word(self.record, at * 4)
    }

    pub(super) fn float(&self, at: usize) -> f32 {
        f32::from_bits(self.word(at))
    }

    pub(super) fn operator(&self) -> Name {
        Name::new(self.name)
    }

    /// What the operator needs is left out of this build.
    #[cold]
    #[inline(never)]
    pub(super) fn feature(&self, feature: &'static str) -> FormatError {
        FormatError::Feature { operator: self.operator(), feature }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn shapes(&self, what: &'static str) -> FormatError {
        FormatError::Shapes { operator: self.operator(), what }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn types(&self) -> FormatError {
        FormatError::Types { operator: self.operator() }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn parameter(&self, parameter: &'static str) -> FormatError {
        FormatError::Parameter { operator: self.operator(), parameter }
    }

    pub(super) fn value(&self, at: usize) -> Result<Value<'a>, FormatError> {
        let index = self.word(at);
        (self.context.value)(index as usize)
            .ok_or_else(|| FormatError::NoSuchValue { operator: self.operator(), index })
    }

    fn argument(&self, at: usize, range: Range<u32>, name: &'static str) -> Result<usize, FormatError> {
        let found = self.word(field::ARGUMENTS + at);
        if range.contains(&found) { Ok(found as usize) } else { Err(self.parameter(name)) }
    }

    pub(super) fn extent(&self, at: usize, least: u32, name: &'static str) -> Result<usize, FormatError> {
        self.argument(at, least..MAX_EXTENT + 1, name)
    }

    /// One of `all`, by its place among them.
    pub(super) fn choice<T: Copy>(&self, at: usize, all: &[T], name: &'static str) -> Result<T, FormatError> {
        all.get(self.word(field::ARGUMENTS + at) as usize).copied().ok_or_else(|| self.parameter(name))
    }

    pub(super) fn flags(&self, allowed: u32) -> Result<u32, FormatError> {
        let flags = self.word(field::FLAGS);
        if flags & !allowed == 0 { Ok(flags) } else { Err(self.parameter("flags")) }
    }

    /// A part of the data section of exactly this length.
    pub(super) fn data(&self, at: usize, expected: u64, what: &'static str) -> Result<&'a [u8], FormatError> {
        let (offset, length) = (self.word(at) as usize, self.word(at + 1));
        if u64::from(length) != expected {
            let found = length.into();
            return Err(FormatError::DataLength { operator: self.operator(), what, found, expected });
        }
        if offset % ALIGNMENT != 0 {
            return Err(FormatError::DataOutOfRange { operator: self.operator(), what });
        }
        self.context
            .data
            .get(offset..)
            .and_then(|rest| rest.get(..length as usize))
            .ok_or_else(|| FormatError::DataOutOfRange { operator: self.operator(), what })
    }

    pub(super) fn cast<T: bytemuck::AnyBitPattern>(
        &self,
        bytes: &'a [u8],
        what: &'static str,
    ) -> Result<&'a [T], FormatError> {
        // Fails only where the whole file is misaligned, which the model has checked.
        bytemuck::try_cast_slice(bytes)
            .map_err(|_| FormatError::DataOutOfRange { operator: self.operator(), what })
    }

    /// `count` arrays of `rows` words each.
    pub(super) fn parameters<const COUNT: usize>(
        &self,
        rows: u64,
        count: usize,
    ) -> Result<[&'a [u8]; COUNT], FormatError> {
        let bytes = self.data(field::PARAMETERS, rows * 4 * count as u64, "parameters")?;
        let mut arrays = [&[][..]; COUNT];
        if rows > 0 {
            for (array, part) in arrays.iter_mut().zip(bytes.chunks_exact(rows as usize * 4)) {
                *array = part;
            }
        }
        Ok(arrays)
    }

    pub(super) fn floats(&self, bytes: &'a [u8]) -> Result<&'a [f32], FormatError> {
        let what = "parameters";
        let floats: &[f32] = self.cast(bytes, what)?;
        if self.context.thorough && floats.iter().any(|value| !value.is_finite()) {
            return Err(FormatError::NotFinite { operator: self.operator(), what });
        }
        Ok(floats)
    }

    pub(super) fn affine(&self, scale: &'a [u8], shift: &'a [u8]) -> Result<Affine<&'a [f32]>, FormatError> {
        Ok(Affine { scale: self.floats(scale)?, shift: self.floats(shift)? })
    }
}

/// The writer of one record, and of its weights and parameters into the data section.
#[cfg(feature = "alloc")]
pub(super) struct Writer<'d> {
    pub(super) words: [u32; OPERATOR_RECORD / 4],
    data: &'d mut Vec<u8>,
}

#[cfg(feature = "alloc")]
impl<'d> Writer<'d> {
    pub(super) fn new(data: &'d mut Vec<u8>) -> Self {
        Self { words: [0; OPERATOR_RECORD / 4], data }
    }

    pub(super) fn argument(&mut self, at: usize, value: usize) {
        self.words[field::ARGUMENTS + at] = value as u32;
    }

    pub(super) fn float(&mut self, at: usize, value: f32) {
        self.words[field::ARGUMENTS + at] = value.to_bits();
    }

    /// The reverse of [`Reader::choice`].
    pub(super) fn choice<T: PartialEq>(&mut self, at: usize, all: &[T], value: &T) {
        self.argument(at, all.iter().position(|one| one == value).unwrap_or(all.len()));
    }

    /// Appends to the data section; `at` is where offset and length go.
    pub(super) fn data(&mut self, at: usize, bytes: &[u8]) {
        self.data.resize(align(self.data.len() as u64) as usize, 0);
        self.words[at] = self.data.len() as u32;
        self.words[at + 1] = bytes.len() as u32;
        self.data.extend_from_slice(bytes);
    }

    /// Arrays of one word for each row, one after the other.
    pub(super) fn parameters(&mut self, arrays: &[Vec<u32>]) {
        let bytes: Vec<u8> = arrays.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        self.data(field::PARAMETERS, &bytes);
    }
}

/// An array of coefficients, filled up to whole blocks.
#[cfg(feature = "alloc")]
pub(super) fn padded(values: &[f32]) -> Vec<u32> {
    let mut words: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
    words.resize(values.len().next_multiple_of(BLOCK), 0);
    words
}

/// The window's extents: arguments 0..8.
pub(super) fn read_window(reader: &Reader<'_, '_>) -> Result<[WindowAxis; 2], FormatError> {
    let axis = |n: usize| {
        Ok(WindowAxis {
            kernel: reader.extent(n, 1, "kernel")?,
            stride: reader.extent(2 + n, 1, "stride")?,
            dilation: reader.extent(4 + n, 1, "dilation")?,
            pad: reader.extent(6 + n, 0, "pad")?,
        })
    };
    let [rows, columns] = [axis(0)?, axis(1)?];
    // Keeps every product of extents below within 64 bits, on 32-bit targets too.
    for axis in [rows, columns] {
        if (axis.kernel as u64) * (axis.dilation as u64) > u64::from(MAX_EXTENT) {
            return Err(reader.parameter("kernel"));
        }
    }
    Ok([rows, columns])
}

/// The reverse of [`read_window`].
#[cfg(feature = "alloc")]
pub(super) fn write_window(writer: &mut Writer<'_>, window: &[WindowAxis; 2]) {
    for (n, axis) in window.iter().enumerate() {
        for (at, extent) in [axis.kernel, axis.stride, axis.dilation, axis.pad].into_iter().enumerate() {
            writer.argument(2 * at + n, extent);
        }
    }
}

/// The activation in the words that every record has for one.
pub(super) fn read_activation(reader: &Reader<'_, '_>) -> Result<Activation, FormatError> {
    let (a, b) = (reader.float(field::ACTIVATION_A), reader.float(field::ACTIVATION_B));
    // Infinite limits are as good as none; a slope must be finite, and nothing may be NaN.
    Ok(match reader.word(field::ACTIVATION) {
        0 => Activation::Identity,
        1 => Activation::Relu,
        2 if a.is_finite() => Activation::LeakyRelu { slope: a },
        3 if a <= b => Activation::Clip { low: a, high: b },
        4 => Activation::Sigmoid,
        5 => Activation::Tanh,
        6 => Activation::HardSwish,
        _ => return Err(reader.parameter("activation")),
    })
}

/// The reverse of [`read_activation`].
#[cfg(feature = "alloc")]
pub(super) fn write_activation(writer: &mut Writer<'_>, activation: Activation) {
    let (kind, a, b) = match activation {
        Activation::Identity => (0, 0.0, 0.0),
        Activation::Relu => (1, 0.0, 0.0),
        Activation::LeakyRelu { slope } => (2, slope, 0.0),
        Activation::Clip { low, high } => (3, low, high),
        Activation::Sigmoid => (4, 0.0, 0.0),
        Activation::Tanh => (5, 0.0, 0.0),
        Activation::HardSwish => (6, 0.0, 0.0),
    };
    writer.words[field::ACTIVATION] = kind;
    writer.words[field::ACTIVATION_A] = a.to_bits();
    writer.words[field::ACTIVATION_B] = b.to_bits();
}
