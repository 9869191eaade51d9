//! How examples lie in memory.

use super::GalleryError;
use crate::format::crc32;

/// The most values of an embedding.
pub const MAX_DIMENSION: usize = 1 << 16;

pub(super) const MAGIC: [u8; 8] = *b"\x89LGA\r\n\x1a\n";
pub(super) const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 32;
/// Where the bytes begin that the checksum is of.
pub(super) const CHECKED_FROM: usize = 16;
/// Label and factor.
const PREFIX: usize = 8;
/// Sums are of this many partial sums, for the sake of vector units; their number decides the bits of a result.
const LANES: usize = 8;

/// What the values of an embedding are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers, the largest magnitude of each embedding being 127: a quarter of the memory. Queries stay floats.
    I8,
}

impl Storage {
    pub(super) const fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::I8 => 1,
        }
    }

    pub(super) const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::F32),
            1 => Some(Self::I8),
            _ => None,
        }
    }
}

/// The memory that a gallery of `examples` embeddings of `dimension` values takes; `usize::MAX` should that overflow.
pub const fn bytes_for(dimension: usize, storage: Storage, examples: usize) -> usize {
    record_bytes(dimension, storage).saturating_mul(examples).saturating_add(HEADER)
}

const fn record_bytes(dimension: usize, storage: Storage) -> usize {
    let values = match storage {
        Storage::F32 => dimension.saturating_mul(4),
        Storage::I8 => match dimension.checked_next_multiple_of(4) {
            Some(bytes) => bytes,
            None => usize::MAX,
        },
    };
    values.saturating_add(PREFIX)
}

/// The form of a gallery's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) dimension: usize,
    pub(super) storage: Storage,
}

/// An example's bytes, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) label: u32,
    /// 1 / length of the stored vector.
    factor: f32,
    values: &'a [u8],
    layout: Layout,
}

impl Layout {
    pub(super) fn new(dimension: usize, storage: Storage) -> Option<Self> {
        (1..=MAX_DIMENSION).contains(&dimension).then_some(Self { dimension, storage })
    }

    /// Bytes of a record; not zero.
    pub(super) fn record(self) -> usize {
        record_bytes(self.dimension, self.storage)
    }

    /// Where the first `count` records end, counted from the beginning of the memory.
    pub(super) fn end(self, count: usize) -> usize {
        bytes_for(self.dimension, self.storage, count)
    }

    /// The factor that makes the embedding a vector of length 1.
    pub(super) fn scale_to_unit(self, embedding: &[f32]) -> Result<f32, GalleryError> {
        if embedding.len() != self.dimension {
            return Err(GalleryError::Length { found: embedding.len(), expected: self.dimension });
        }
        if let Some(index) = embedding.iter().position(|value| !value.is_finite()) {
            return Err(GalleryError::NotFinite { index });
        }
        let largest = embedding.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        if !largest.is_normal() {
            return Err(GalleryError::NoDirection);
        }
        // Divided by the largest, whose square might overflow. The sum is at least 1.
        let mut sums = [0.0; LANES];
        for values in embedding.chunks(LANES) {
            for (sum, value) in sums.iter_mut().zip(values) {
                let value = value / largest;
                *sum += value * value;
            }
        }
        let scale = 1.0 / libm::sqrtf(total(sums)) / largest;
        if scale.is_normal() { Ok(scale) } else { Err(GalleryError::NoDirection) }
    }

    /// Writes a record; `scale` is that of [`Layout::scale_to_unit`].
    pub(super) fn write(self, record: &mut [u8], embedding: &[f32], scale: f32, label: u32) {
        let Some((label_bytes, rest)) = record.split_first_chunk_mut::<4>() else { return };
        let Some((factor_bytes, stored)) = rest.split_first_chunk_mut::<4>() else { return };
        *label_bytes = label.to_le_bytes();
        let mut sums = [0.0; LANES];
        match self.storage {
            Storage::F32 => {
                for (at, (bytes, value)) in stored.as_chunks_mut().0.iter_mut().zip(embedding).enumerate() {
                    let value = value * scale;
                    *bytes = value.to_le_bytes();
                    sums[at % LANES] += value * value;
                }
            }
            Storage::I8 => {
                let largest = embedding.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
                stored.fill(0);
                for (at, (byte, value)) in stored.iter_mut().zip(embedding).enumerate() {
                    // In -127..=127; `as` saturates.
                    let value = libm::rintf(value / largest * 127.0) as i8;
                    *byte = value.to_le_bytes()[0];
                    sums[at % LANES] += f32::from(value) * f32::from(value);
                }
            }
        }
        *factor_bytes = (1.0 / libm::sqrtf(total(sums))).to_le_bytes();
    }

    /// Takes a record apart.
    pub(super) fn read(self, record: &[u8]) -> Option<Record<'_>> {
        let (label, rest) = record.split_first_chunk::<4>()?;
        let (factor, values) = rest.split_first_chunk::<4>()?;
        let (label, factor) = (u32::from_le_bytes(*label), f32::from_le_bytes(*factor));
        Some(Record { label, factor, values, layout: self })
    }

    /// Writes the header of `bytes`, which are the whole gallery.
    pub(super) fn write_header(self, bytes: &mut [u8], len: usize) {
        let words = [self.dimension as u32, self.storage.code(), len as u32, 0];
        let Some((header, _)) = bytes.split_first_chunk_mut::<HEADER>() else { return };
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (field, word) in header[CHECKED_FROM..].as_chunks_mut().0.iter_mut().zip(words) {
            *field = word.to_le_bytes();
        }
        let checksum = crc32(bytes.get(CHECKED_FROM..).unwrap_or(&[]));
        if let Some(field) = bytes.get_mut(12..16) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

impl Record<'_> {
    /// The cosine of the angle to `query`, to whose length of 1 `scale` leads.
    pub(super) fn similarity(&self, query: &[f32], scale: f32) -> f32 {
        let mut sums = [0.0; LANES];
        let (whole, rest) = query.as_chunks::<LANES>();
        match self.layout.storage {
            Storage::F32 => {
                let (stored, _) = self.values.as_chunks::<4>();
                let (blocks, last) = stored.as_chunks::<LANES>();
                for (query, stored) in whole.iter().zip(blocks) {
                    for lane in 0..LANES {
                        sums[lane] += query[lane] * scale * f32::from_le_bytes(stored[lane]);
                    }
                }
                for ((sum, query), stored) in sums.iter_mut().zip(rest).zip(last) {
                    *sum += query * scale * f32::from_le_bytes(*stored);
                }
            }
            Storage::I8 => {
                let (blocks, last) = self.values.as_chunks::<LANES>();
                for (query, stored) in whole.iter().zip(blocks) {
                    for lane in 0..LANES {
                        sums[lane] += query[lane] * scale * f32::from(stored[lane] as i8);
                    }
                }
                for ((sum, query), stored) in sums.iter_mut().zip(rest).zip(last) {
                    *sum += query * scale * f32::from(*stored as i8);
                }
            }
        }
        total(sums) * self.factor
    }

    /// Whether the bytes are those of an example: all values finite, and the factor that of their length.
    pub(super) fn is_sound(&self) -> bool {
        let mut squares = 0.0;
        match self.layout.storage {
            Storage::F32 => {
                for bytes in self.values.as_chunks().0 {
                    let value = f32::from_le_bytes(*bytes);
                    squares += value * value;
                }
            }
            Storage::I8 => {
                for byte in self.values {
                    let value = f32::from(*byte as i8);
                    squares += value * value;
                }
                if self
                    .values
                    .get(self.layout.dimension..)
                    .is_none_or(|rest| rest.iter().any(|&byte| byte != 0))
                {
                    return false;
                }
            }
        }
        // Also false for NaN. Sums in another order differ in the last bits.
        self.factor > 0.0 && (self.factor * self.factor * squares - 1.0).abs() < 1e-2
    }
}

fn total(sums: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}
