//! A packed model: a checked view of bytes that stay where they are.

use super::error::{FormatError, Name};
use super::layout::{
    self, HEADER, MAGIC, MAX_OPERATORS, MAX_VALUES, OPERATOR_RECORD, VALUE_RECORD, VERSION, align, header,
    word,
};
use super::operator::Operator;
use super::record::Context;
use super::value::Value;
use crate::latent::Distribution;
use crate::pixels::ValueRange;

/// What a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// None of the others.
    Other,
    /// From a latent vector to an image.
    Generator,
    /// From an image to a score.
    Discriminator,
    /// From an image to a representation.
    Encoder,
}

/// The precision a model was packed with; single layers may keep another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit float weights.
    F32,
    /// 16-bit float weights, 32-bit arithmetic.
    F16,
    /// 8-bit integer weights and activations.
    Int8,
}

impl Precision {
    /// The name as in file names: `f32`, `f16`, `int8`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

/// A shape of at most four axes, without the batch axis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    extents: [usize; 4],
    rank: usize,
}

impl Shape {
    /// A shape; `None` for more than four axes.
    pub fn new(extents: &[usize]) -> Option<Self> {
        let mut shape = Self { extents: [0; 4], rank: extents.len() };
        shape.extents.get_mut(..extents.len())?.copy_from_slice(extents);
        Some(shape)
    }

    /// The extents.
    pub fn as_slice(&self) -> &[usize] {
        self.extents.get(..self.rank).unwrap_or(&[])
    }

    /// The product of the extents, or `None` if it is too large to matter.
    fn elements(&self) -> Option<u64> {
        self.as_slice().iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64))
    }

    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let rank = word(bytes, at) as usize;
        let extents = [0, 1, 2, 3].map(|axis| word(bytes, at + 4 + 4 * axis) as usize);
        let unused = extents.get(rank..)?;
        unused.iter().all(|&extent| extent == 0).then_some(Self { extents, rank })
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, Default)]
struct Section {
    offset: usize,
    length: usize,
}

impl Section {
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.offset..).and_then(|rest| rest.get(..self.length)).unwrap_or(&[])
    }
}

/// What [`Model::from_bytes`] has found out, without the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    values: Section,
    operators: Section,
    strings: Section,
    metadata: Section,
    data: Section,
    kind: ModelKind,
    precision: Precision,
    latent_size: usize,
    distribution: Option<Distribution>,
    range: Option<ValueRange>,
    input_shape: Shape,
    output_shape: Shape,
}

#[cfg(feature = "std")]
impl Header {
    /// The input's shape as the outside sees it.
    pub(crate) fn input_shape(&self) -> &[usize] {
        self.input_shape.as_slice()
    }

    /// The output's shape as the outside sees it.
    pub(crate) fn output_shape(&self) -> &[usize] {
        self.output_shape.as_slice()
    }
}

/// A packed model whose every rule has been checked: a view of the bytes, which stay where they are.
///
/// The rules are those of docs/FORMAT.md. Whatever the bytes, running a model that [`Model::from_bytes`] has accepted
/// neither panics nor leaves the slices it is given.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: Header,
}

/// The bytes of working memory that running the model needs for a batch of one, wherever they lie in memory: 64 more
/// than the plan, so that a session can align it.
///
/// For a batch of n, see [`Model::arena_len`]. A `const fn`, so that a device can declare its arena at compile time:
/// `static ARENA: [u8; arena_len(MODEL)]`. It trusts the bytes; 0 if they are no packed model of this version.
/// ```
/// # use latent_runtime::format::arena_len;
/// assert_eq!(const { arena_len(b"no model") }, 0);
/// ```
pub const fn arena_len(bytes: &[u8]) -> usize {
    if bytes.len() < HEADER || word(bytes, header::VERSION) != VERSION {
        return 0;
    }
    let mut at = 0;
    while at < MAGIC.len() {
        if bytes[at] != MAGIC[at] {
            return 0;
        }
        at += 1;
    }
    let activations = word(bytes, header::ACTIVATIONS) as usize;
    activations.saturating_add(word(bytes, header::SCRATCH) as usize).saturating_add(layout::ALIGNMENT)
}

impl<'a> Model<'a> {
    /// Checks the bytes of a `.lat` file and gives a view of them.
    ///
    /// The bytes must lie at an address that is a multiple of 4; a multiple of 64 is fastest (see [`crate::Aligned`]).
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::from_bytes_with(bytes, super::checksum::crc32)
    }

    /// As [`Model::from_bytes`], with a CRC-32 of the caller's: checking a large file takes as long as a run.
    pub(crate) fn from_bytes_with(
        bytes: &'a [u8],
        crc32: impl FnOnce(&[u8]) -> u32,
    ) -> Result<Self, FormatError> {
        if bytes.len() < HEADER {
            return Err(FormatError::TooShort { found: bytes.len() });
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(FormatError::Magic);
        }
        let get = |at: usize| word(bytes, at);
        if get(header::VERSION) != VERSION {
            return Err(FormatError::Version { found: get(header::VERSION) });
        }
        if get(header::LENGTH) as usize != bytes.len() {
            return Err(FormatError::Length { expected: get(header::LENGTH), found: bytes.len() });
        }
        if bytes.as_ptr().align_offset(4) != 0 {
            return Err(FormatError::Misaligned);
        }
        let found = crc32(bytes.get(header::CHECKED..).unwrap_or(&[]));
        if found != get(header::CHECKSUM) {
            return Err(FormatError::Checksum { expected: get(header::CHECKSUM), found });
        }
        Self::from_intact(bytes)
    }

    /// Everything but magic, length and checksum.
    fn from_intact(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let get = |at: usize| word(bytes, at);
        let float = |at: usize| f32::from_bits(word(bytes, at));
        let bad = |field, at| FormatError::Header { field, found: get(at) };
        for range in header::RESERVED {
            if bytes.get(range).unwrap_or(&[]).iter().any(|&byte| byte != 0) {
                return Err(FormatError::Reserved { section: "header" });
            }
        }
        let kind = match get(header::KIND) {
            0 => ModelKind::Other,
            1 => ModelKind::Generator,
            2 => ModelKind::Discriminator,
            3 => ModelKind::Encoder,
            _ => return Err(bad("kind", header::KIND)),
        };
        let precision = match get(header::PRECISION) {
            0 => Precision::F32,
            1 => Precision::F16,
            2 => Precision::Int8,
            _ => return Err(bad("precision", header::PRECISION)),
        };
        let (a, b) = (float(header::DISTRIBUTION_A), float(header::DISTRIBUTION_B));
        let distribution = match get(header::DISTRIBUTION) {
            0 => None,
            number => {
                let name = layout::DISTRIBUTIONS.iter().find(|(found, _)| *found == number);
                let distribution = name.and_then(|(_, name)| Distribution::from_parts(name, a, b));
                Some(distribution.ok_or(bad("distribution", header::DISTRIBUTION))?)
            }
        };
        let range = match (get(header::RANGE_LOW), get(header::RANGE_HIGH)) {
            (0, 0) => None,
            _ => Some(
                ValueRange::new(float(header::RANGE_LOW), float(header::RANGE_HIGH))
                    .ok_or(bad("value range", header::RANGE_LOW))?,
            ),
        };
        // Half the address space, so that sums below cannot overflow on a 32-bit target either.
        let arena = get(header::ACTIVATIONS);
        for (field, at) in [("arena length", header::ACTIVATIONS), ("scratch length", header::SCRATCH)] {
            if !(get(at) as usize).is_multiple_of(layout::ALIGNMENT) || get(at) > 1 << 30 {
                return Err(bad(field, at));
            }
        }

        let mut end = HEADER as u64;
        let mut section = |section, at, record: usize, limit: usize| {
            let (offset, count) = (get(at), get(at + 4));
            if count as usize > limit {
                return Err(FormatError::TooMany { what: section, found: count, limit });
            }
            let length = u64::from(count) * record as u64;
            let gap = bytes.get(end as usize..(align(end) as usize).min(bytes.len())).unwrap_or(&[]);
            let expected = align(end);
            end = expected + length;
            if u64::from(offset) != expected || end > bytes.len() as u64 {
                return Err(FormatError::Section { section, found: offset, expected });
            }
            if gap.iter().any(|&byte| byte != 0) {
                return Err(FormatError::Reserved { section });
            }
            Ok(Section { offset: offset as usize, length: length as usize })
        };
        let values = section("values", header::VALUES, VALUE_RECORD, MAX_VALUES)?;
        let operators = section("operators", header::OPERATORS, OPERATOR_RECORD, MAX_OPERATORS)?;
        let strings = section("strings", header::STRINGS, 1, usize::MAX)?;
        let metadata = section("metadata", header::METADATA, 1, usize::MAX)?;
        let data = section("data", header::DATA, 1, usize::MAX)?;
        if end != bytes.len() as u64 {
            return Err(FormatError::Length { expected: end as u32, found: bytes.len() });
        }

        let count = operators.length / OPERATOR_RECORD;
        let decode = |index: usize| {
            let at = index * VALUE_RECORD;
            let record = values.of(bytes).get(at..at + VALUE_RECORD)?;
            Some(Value::decode(record, index, Some(strings.of(bytes)), arena, count))
        };
        let ends = |field, at: usize| match decode(get(at) as usize) {
            Some(value) => value,
            None => Err(bad(field, at)),
        };
        let input = ends("input", header::INPUT)?;
        let output = ends("output", header::OUTPUT)?;
        let shape = |value: &Value<'_>, at| {
            Shape::read(bytes, at)
                .filter(|shape| shape.elements() == Some(value.logical() as u64))
                .ok_or(FormatError::ExternalShape { name: Name::new(value.name) })
        };
        let header = Header {
            values,
            operators,
            strings,
            metadata,
            data,
            kind,
            precision,
            latent_size: get(header::LATENT) as usize,
            distribution,
            range,
            input_shape: shape(&input, header::INPUT_SHAPE)?,
            output_shape: shape(&output, header::OUTPUT_SHAPE)?,
        };
        let model = Self { bytes, header };
        model.check_values(get(header::INPUT) as usize)?;
        if input.first != 0 {
            return Err(FormatError::Lifetime { name: Name::new(input.name) });
        }
        if output.last != count + 1 {
            return Err(FormatError::Lifetime { name: Name::new(output.name) });
        }
        for index in 0..count {
            model.decode_operator(index, true)?;
        }
        let mut entries = MetadataIter { rest: metadata.of(bytes) };
        let broken = |index| FormatError::Metadata { index };
        for index in 0.. {
            match entries.step() {
                None => return Err(broken(index)),
                Some(None) => break,
                Some(Some(_)) => {}
            }
        }
        Ok(model)
    }

    /// Every value by itself, and that those alive at the same time share no memory.
    fn check_values(&self, input: usize) -> Result<(), FormatError> {
        let count = self.values_len();
        for index in 0..count {
            let Some(value) = self.decode_value(index, true)? else { break };
            if value.first == 0 && index != input {
                return Err(FormatError::Lifetime { name: Name::new(value.name) });
            }
            for other in 0..index {
                let Some(other) = self.decode_value(other, false)? else { break };
                let (a, b) = (value.range(1), other.range(1));
                // Where one is last read when the other is written, the operator in between decides (in place or not).
                if a.start < b.end
                    && b.start < a.end
                    && value.first.max(other.first) < value.last.min(other.last)
                {
                    let second = Name::new(value.name);
                    // Decoded again for its name; it is in range and has been checked.
                    let first = (0..index)
                        .filter_map(|index| self.value(index))
                        .find(|candidate| candidate.offset == other.offset && candidate.first == other.first)
                        .map_or(second, |other| Name::new(other.name));
                    return Err(FormatError::Overlap { first, second });
                }
            }
        }
        Ok(())
    }

    fn decode_value(&self, index: usize, names: bool) -> Result<Option<Value<'a>>, FormatError> {
        let Some(record) = record(self.header.values.of(self.bytes), index, VALUE_RECORD) else {
            return Ok(None);
        };
        let arena = word(self.bytes, header::ACTIVATIONS);
        let strings = names.then(|| self.header.strings.of(self.bytes));
        Value::decode(record, index, strings, arena, self.operators_len()).map(Some)
    }

    fn decode_operator(&self, index: usize, thorough: bool) -> Result<Option<Operator<'a>>, FormatError> {
        let Some(record) = record(self.header.operators.of(self.bytes), index, OPERATOR_RECORD) else {
            return Ok(None);
        };
        let value = |index| self.decode_value(index, thorough).ok().flatten();
        let context = Context {
            strings: self.header.strings.of(self.bytes),
            data: self.header.data.of(self.bytes),
            value: &value,
            scratch: self.scratch_len(),
            thorough,
        };
        Operator::decode(record, index, &context).map(Some)
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the model is.
    pub fn kind(&self) -> ModelKind {
        self.header.kind
    }

    /// What it was packed with.
    pub fn precision(&self) -> Precision {
        self.header.precision
    }

    /// The length of the latent vector; 0 if the model takes none.
    pub fn latent_size(&self) -> usize {
        self.header.latent_size
    }

    /// What latent vectors are drawn from.
    pub fn distribution(&self) -> Option<Distribution> {
        self.header.distribution
    }

    /// The value range of the image side, if the file states it. What to take where it does not,
    /// [`ImageEncoding::of`](crate::image_encoding::ImageEncoding::of) decides.
    pub fn range(&self) -> Option<ValueRange> {
        self.header.range
    }

    /// The input's value; `None` only if the bytes have changed since they were checked.
    pub fn input(&self) -> Option<Value<'a>> {
        self.value(word(self.bytes, header::INPUT) as usize)
    }

    /// The output's value; `None` only if the bytes have changed since they were checked.
    pub fn output(&self) -> Option<Value<'a>> {
        self.value(word(self.bytes, header::OUTPUT) as usize)
    }

    /// The input's value without its name.
    pub(crate) fn input_to_run(&self) -> Option<Value<'a>> {
        self.decode_value(word(self.bytes, header::INPUT) as usize, false).ok().flatten()
    }

    /// The output's value without its name.
    pub(crate) fn output_to_run(&self) -> Option<Value<'a>> {
        self.decode_value(word(self.bytes, header::OUTPUT) as usize, false).ok().flatten()
    }

    #[cfg(feature = "std")]
    /// The checked header, to view the same bytes again without checking them again.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    #[cfg(feature = "std")]
    /// A view of bytes that have been checked before and gave this header. Should they be others, running fails or
    /// gives nonsense, but stays within bounds: every operator is checked again when it runs.
    pub(crate) fn with_header(bytes: &'a [u8], header: &Header) -> Self {
        Self { bytes, header: *header }
    }

    /// The input's shape as the outside sees it, without the batch axis.
    pub fn input_shape(&self) -> &Shape {
        &self.header.input_shape
    }

    /// The output's shape as the outside sees it, without the batch axis.
    pub fn output_shape(&self) -> &Shape {
        &self.header.output_shape
    }

    /// Bytes of working memory for a batch, alignment included; `None` if that overflows.
    pub fn arena_len(&self, batch: usize) -> Option<usize> {
        (self.activations_len())
            .checked_mul(batch)?
            .checked_add(self.scratch_len())?
            .checked_add(layout::ALIGNMENT)
    }

    /// Bytes of activations per example.
    pub fn activations_len(&self) -> usize {
        word(self.bytes, header::ACTIVATIONS) as usize
    }

    /// Bytes that operators need for themselves, whatever the batch.
    pub fn scratch_len(&self) -> usize {
        word(self.bytes, header::SCRATCH) as usize
    }

    /// The number of activations.
    pub fn values_len(&self) -> usize {
        self.header.values.length / VALUE_RECORD
    }

    /// An activation; `None` beyond the last.
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        self.decode_value(index, true).ok().flatten()
    }

    /// The number of operators.
    pub fn operators_len(&self) -> usize {
        self.header.operators.length / OPERATOR_RECORD
    }

    /// An operator, with its name; `None` beyond the last.
    pub fn operator(&self, index: usize) -> Option<Operator<'a>> {
        self.decode_operator(index, true).ok().flatten()
    }

    /// An operator without names and without the checks that are too slow for every run.
    pub(crate) fn operator_to_run(&self, index: usize) -> Option<Operator<'a>> {
        self.decode_operator(index, false).ok().flatten()
    }

    /// Pairs of key and text: dataset, training figures, the keys of the ONNX export.
    pub fn metadata(&self) -> MetadataIter<'a> {
        MetadataIter { rest: self.header.metadata.of(self.bytes) }
    }

    /// The text under a key.
    pub fn metadata_text(&self, key: &str) -> Option<&'a str> {
        self.metadata().find(|(found, _)| *found == key).map(|(_, text)| text)
    }

    /// Bytes of weights and parameters.
    pub fn data_len(&self) -> usize {
        self.header.data.length
    }
}

fn record(section: &[u8], index: usize, size: usize) -> Option<&[u8]> {
    let at = index.checked_mul(size)?;
    section.get(at..)?.get(..size)
}

/// The entries of the metadata, in the file's order.
#[derive(Clone, Debug)]
pub struct MetadataIter<'a> {
    rest: &'a [u8],
}

impl<'a> MetadataIter<'a> {
    /// The next entry, `Some(None)` at the end, `None` if it cannot be read.
    fn step(&mut self) -> Option<Option<(&'a str, &'a str)>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let (lengths, rest) = self.rest.split_at_checked(8)?;
        let (key, rest) = rest.split_at_checked(word(lengths, 0) as usize)?;
        let (text, rest) = rest.split_at_checked(word(lengths, 4) as usize)?;
        self.rest = rest;
        Some(Some((core::str::from_utf8(key).ok()?, core::str::from_utf8(text).ok()?)))
    }
}

impl<'a> Iterator for MetadataIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.step().flatten()
    }
}
