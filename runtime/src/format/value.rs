//! Activations: what operators read and write in the arena.

use super::error::{FormatError, Name};
#[cfg(feature = "alloc")]
use super::layout::VALUE_RECORD;
use super::layout::{ALIGNMENT, MAX_ELEMENTS, MAX_EXTENT, align, value as field, word};
use super::strings;
use crate::ops::{GROUP, ValueType};

/// Elements around the image that a window may read; filled with zero (the zero point) before the operator that writes
/// the value runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halo {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Halo {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An activation: an image of `height` x `width` pixels with `channels` values each, channels last; a vector is an image
/// of one pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value<'a> {
    /// Its name.
    pub name: &'a str,
    /// The element type.
    pub kind: ValueType,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The border.
    pub halo: Halo,
    /// Where it lies in the arena, in bytes, for a batch of one; times the batch otherwise.
    pub offset: usize,
    /// The time at which it is written: 0 for the input, n + 1 for operator n.
    pub first: usize,
    /// The time at which it is last read; one more than the last operator's for the output.
    pub last: usize,
    /// The step of a quantized value; 1 for a float.
    pub scale: f32,
    /// What stands for zero in a quantized value; 0 for a float.
    pub zero_point: u8,
}

impl<'a> Value<'a> {
    /// Elements from pixel to pixel: the channels, for U8 rounded up to a multiple of 4.
    pub fn stride(&self) -> usize {
        match self.kind {
            ValueType::F32 => self.channels,
            ValueType::U8 => self.channels.next_multiple_of(GROUP),
        }
    }

    /// Elements from row to row, halo included.
    pub fn row(&self) -> usize {
        (self.halo.left + self.width + self.halo.right) * self.stride()
    }

    /// Elements of one example, halo included.
    pub fn elements(&self) -> usize {
        (self.halo.top + self.height + self.halo.bottom) * self.row()
    }

    /// Bytes from example to example: the elements, rounded up to a multiple of 64.
    pub fn bytes(&self) -> usize {
        (self.elements() * self.kind.size()).next_multiple_of(ALIGNMENT)
    }

    /// Elements from example to example.
    pub fn example(&self) -> usize {
        self.bytes() / self.kind.size()
    }

    /// The element of the first pixel's first channel.
    pub fn origin(&self) -> usize {
        self.halo.top * self.row() + self.halo.left * self.stride()
    }

    /// Values of one example as the outside counts them: channels x height x width.
    pub fn logical(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The bytes of the arena that a batch takes.
    pub fn range(&self, batch: usize) -> core::ops::Range<usize> {
        self.offset * batch..(self.offset + self.bytes()) * batch
    }

    /// Whether the shapes (without halo) are equal.
    pub fn same_shape(&self, other: &Value<'_>) -> bool {
        (self.channels, self.height, self.width) == (other.channels, other.height, other.width)
    }

    /// Channels, rows, columns.
    pub(super) fn extents(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Whether elements of both mean the same.
    pub(super) fn same_quantization(&self, other: &Value<'_>) -> bool {
        (self.kind, self.scale.to_bits(), self.zero_point)
            == (other.kind, other.scale.to_bits(), other.zero_point)
    }

    /// Reads a record and checks everything that concerns this value alone. Without `strings` the name is left empty.
    pub(super) fn decode(
        record: &[u8],
        index: usize,
        strings: Option<&'a [u8]>,
        arena: u32,
        operators: usize,
    ) -> Result<Self, FormatError> {
        let get = |at: usize| word(record, at * 4);
        let name = match strings {
            Some(strings) => strings::name(strings, get(field::NAME), get(field::NAME + 1))
                .ok_or(FormatError::NameOutOfRange { what: "value", index })?,
            None => "",
        };
        let error_name = || Name::new(name);
        let kind = match get(field::TYPE) {
            0 => ValueType::F32,
            1 => ValueType::U8,
            found => return Err(FormatError::ValueType { name: error_name(), found }),
        };
        let extents = [field::CHANNELS, field::HEIGHT, field::WIDTH].map(get);
        let halo = [0, 1, 2, 3].map(|side| get(field::HALO + side));
        if extents.iter().any(|&extent| extent == 0 || extent > MAX_EXTENT)
            || halo.iter().any(|&extent| extent > MAX_EXTENT)
        {
            return Err(FormatError::ValueShape { name: error_name() });
        }
        let [channels, height, width] = extents.map(u64::from);
        let stride = if kind == ValueType::U8 { channels.next_multiple_of(GROUP as u64) } else { channels };
        let rows = u64::from(halo[0]) + height + u64::from(halo[2]);
        let columns = u64::from(halo[1]) + width + u64::from(halo[3]);
        // Each factor is below 2^23, so two of them fit u64 with room for a third after the check.
        let elements = match rows * columns {
            pixels if pixels <= MAX_ELEMENTS => pixels * stride,
            _ => u64::MAX,
        };
        if elements > MAX_ELEMENTS {
            return Err(FormatError::ValueShape { name: error_name() });
        }
        let (scale, zero_point) = (f32::from_bits(get(field::SCALE)), get(field::ZERO_POINT));
        let plausible = match kind {
            ValueType::F32 => scale == 1.0 && zero_point == 0,
            ValueType::U8 => scale.is_normal() && scale > 0.0 && zero_point <= 255,
        };
        if !plausible {
            return Err(FormatError::ValueQuantization { name: error_name() });
        }
        if get(field::RESERVED) != 0 {
            return Err(FormatError::Reserved { section: "values" });
        }
        let offset = get(field::OFFSET);
        let end = u64::from(offset) + align(elements * kind.size() as u64);
        if !(offset as usize).is_multiple_of(ALIGNMENT) || end > u64::from(arena) {
            return Err(FormatError::ValueOffset { name: error_name(), found: offset, arena });
        }
        let (first, last) = (get(field::FIRST) as usize, get(field::LAST) as usize);
        if first > operators || last <= first || last > operators + 1 {
            return Err(FormatError::Lifetime { name: error_name() });
        }
        let [channels, height, width] = extents.map(|extent| extent as usize);
        let [top, left, bottom, right] = halo.map(|extent| extent as usize);
        Ok(Self {
            name,
            kind,
            channels,
            height,
            width,
            halo: Halo { top, left, bottom, right },
            offset: offset as usize,
            first,
            last,
            scale,
            zero_point: zero_point as u8,
        })
    }

    /// The record; the name's place is the caller's.
    #[cfg(feature = "alloc")]
    pub(super) fn encode(&self, name: (u32, u32)) -> [u8; VALUE_RECORD] {
        let mut words = [0u32; VALUE_RECORD / 4];
        words[field::NAME] = name.0;
        words[field::NAME + 1] = name.1;
        words[field::TYPE] = match self.kind {
            ValueType::F32 => 0,
            ValueType::U8 => 1,
        };
        words[field::CHANNELS] = self.channels as u32;
        words[field::HEIGHT] = self.height as u32;
        words[field::WIDTH] = self.width as u32;
        let Halo { top, left, bottom, right } = self.halo;
        for (word, extent) in words[field::HALO..].iter_mut().zip([top, left, bottom, right]) {
            *word = extent as u32;
        }
        words[field::OFFSET] = self.offset as u32;
        words[field::FIRST] = self.first as u32;
        words[field::LAST] = self.last as u32;
        words[field::SCALE] = self.scale.to_bits();
        words[field::ZERO_POINT] = u32::from(self.zero_point);
        let mut record = [0; VALUE_RECORD];
        for (bytes, word) in record.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        record
    }
}
