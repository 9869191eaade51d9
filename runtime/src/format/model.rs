//! A packed model: a checked view of bytes that stay where they are.

use super::crc32;
use super::error::{FormatError, Name};
use super::layout::{
    self, HEADER, MAGIC, MAX_OPERATORS, MAX_PORTS, MAX_RANK_1, MAX_VALUES, NONE, OPERATOR_RECORD,
    PORT_RECORD, VALUE_RECORD, VERSION, VERSION_1, align, header, operator as field, word,
};
use super::operator::Operator;
use super::ops::OperatorKind;
use super::port::{Port, PortRecord, PortType, Role, Shape};
use super::record::Context;
use super::value::Value;
use crate::features;
use crate::kernels::checksum::checksum;
use crate::latent::Distribution;
use crate::ops::Operation;
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

/// The precision a model was packed with; single layers may keep another. Its value is its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit float weights.
    F32 = 0,
    /// 16-bit float weights, 32-bit arithmetic.
    F16 = 1,
    /// bfloat16 weights, 32-bit arithmetic.
    Bf16 = 3,
    /// 8-bit integer weights and activations.
    Int8 = 2,
    /// The same with weights of 4 bits.
    Int4 = 4,
}

impl Precision {
    /// The name as in file names: `f32`, `f16`, `bf16`, `int8`, `int4`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
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
    version: u32,
    values: Section,
    operators: Section,
    /// Empty in version 1.
    ports: Section,
    /// How many ports are inputs: the first ones; and how many follow.
    inputs: usize,
    outputs: usize,
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

/// A packed model whose every rule has been checked: a view of the bytes, which stay where they are.
///
/// The rules are those of docs/FORMAT.md. Whatever the bytes, running a model that [`Model::from_bytes`] has accepted
/// neither panics nor leaves the slices it is given.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Model<'a> {
    /// Checks the bytes of a `.lat` file and gives a view of them.
    ///
    /// The bytes must lie at an address that is a multiple of 4; a multiple of 64 is fastest (see [`crate::Aligned`]).
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::from_bytes_with(bytes, checksum)
    }

    /// As [`Model::from_bytes`], but without the checksum, which takes most of the time: for bytes that have been opened by
    /// [`Model::from_bytes`] before and cannot have changed since, such as a device's flash after the first boot, or whose
    /// integrity something else vouches for, such as a signature over the whole firmware.
    ///
    /// It is as safe as [`Model::from_bytes`], whatever the bytes: every rule that running relies on is checked. What the
    /// checksum alone would have found is a changed weight or parameter, and so a wrong result.
    ///
    /// # Errors
    /// The first rule that the bytes break, except [`FormatError::Checksum`].
    pub fn from_trusted(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::check_frame(bytes)?;
        Self::from_intact(bytes)
    }

    /// As [`Model::from_bytes`], with the caller's way to compute [`checksum`]: for a large file it takes as long as a run.
    pub(crate) fn from_bytes_with(
        bytes: &'a [u8],
        checksum: impl FnOnce(&[u8]) -> u32,
    ) -> Result<Self, FormatError> {
        Self::check_frame(bytes)?;
        let checked = bytes.get(header::CHECKED..).unwrap_or(&[]);
        let is_old = features::VERSION_1 && word(bytes, header::VERSION) == VERSION_1;
        let (expected, found) =
            (word(bytes, header::CHECKSUM), if is_old { crc32(checked) } else { checksum(checked) });
        if found != expected {
            return Err(FormatError::Checksum { expected, found });
        }
        Self::from_intact(bytes)
    }

    /// Magic, version, length and address.
    fn check_frame(bytes: &[u8]) -> Result<(), FormatError> {
        if bytes.len() < HEADER {
            return Err(FormatError::TooShort { found: bytes.len() });
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(FormatError::Magic);
        }
        let get = |at: usize| word(bytes, at);
        let version = get(header::VERSION);
        let is_read = version == VERSION || features::VERSION_1 && version == VERSION_1;
        if !is_read {
            return Err(FormatError::Version { found: version });
        }
        if get(header::LENGTH) as usize != bytes.len() {
            return Err(FormatError::Length { expected: get(header::LENGTH), found: bytes.len() });
        }
        if bytes.as_ptr().align_offset(4) != 0 {
            return Err(FormatError::Misaligned);
        }
        Ok(())
    }

    /// Everything but magic, length and checksum.
    fn from_intact(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let get = |at: usize| word(bytes, at);
        let float = |at: usize| f32::from_bits(word(bytes, at));
        let bad = |field, at| FormatError::Header { field, found: get(at) };
        let version = get(header::VERSION);
        let old = features::VERSION_1 && version == VERSION_1;
        for range in if old { header::version_1::RESERVED } else { header::RESERVED } {
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
            3 => Precision::Bf16,
            4 => Precision::Int4,
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
        let ports = match old {
            true => Section::default(),
            false => section("ports", header::PORTS, PORT_RECORD, 2 * MAX_PORTS)?,
        };
        let strings = section("strings", header::STRINGS, 1, usize::MAX)?;
        let metadata = section("metadata", header::METADATA, 1, usize::MAX)?;
        let data = section("data", header::DATA, 1, usize::MAX)?;
        if end != bytes.len() as u64 {
            return Err(FormatError::Length { expected: end as u32, found: bytes.len() });
        }

        let count = operators.length / OPERATOR_RECORD;
        let mut header = Header {
            version,
            values,
            operators,
            ports,
            inputs: 0,
            outputs: 0,
            strings,
            metadata,
            data,
            kind,
            precision,
            latent_size: get(header::LATENT) as usize,
            distribution,
            range,
            input_shape: Shape::default(),
            output_shape: Shape::default(),
        };
        Self { bytes, header }.check_ports(&mut header)?;
        let model = Self { bytes, header };
        let activations = model.check_values()?;
        let mut scratch = 0;
        for index in 0..count {
            let Some(operator) = model.decode_operator(index, true)? else { break };
            let of_layer = |layer: &super::Layer<'_>| layer.weights.weight_type();
            let ends = (&operator.input, &operator.output);
            scratch = scratch.max(super::ops::scratch(&operator.kind, ends, of_layer));
            if matches!(operator.kind, OperatorKind::Unweighted(Operation::Copy { .. }))
                && operator.output.first == index + 1
            {
                model.check_copies(index, &operator.output)?;
            }
        }
        // A file may not ask for memory that nothing needs.
        if model.activations_len() != activations {
            return Err(bad("arena length", header::ACTIVATIONS));
        }
        if model.scratch_len() != scratch {
            return Err(bad("scratch length", header::SCRATCH));
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

    /// Every port, and how they go together; fills in what the header says of them.
    fn check_ports(&self, header: &mut Header) -> Result<(), FormatError> {
        let count = match self.is_version_1() {
            true => header::version_1::VALUES.len(),
            false => self.header.ports.length / PORT_RECORD,
        };
        for index in 0..count {
            let (Some(record), Some(port)) = (self.port_record(index, true)?, self.decode_port(index, true)?)
            else {
                break;
            };
            let name = Name::new(port.name);
            let (number, shape, alive) = match record.role {
                Role::Input => (&mut header.inputs, &mut header.input_shape, port.value.first == 0),
                Role::Output => {
                    let end = self.operators_len() + 1;
                    (&mut header.outputs, &mut header.output_shape, port.value.last == end)
                }
            };
            if *number == 0 {
                *shape = port.shape;
            }
            *number += 1;
            if record.role == Role::Input && header.outputs > 0 {
                return Err(FormatError::Port { index, field: "role", found: record.role as u32 });
            }
            if !alive {
                return Err(FormatError::Lifetime { name });
            }
            for before in 0..index {
                let Some(before) = self.port_record(before, true)? else { break };
                let same_value = record.role == Role::Input && before.value == record.value;
                if before.role == record.role && (before.name == record.name || same_value) {
                    return Err(FormatError::SamePort { name });
                }
            }
        }
        for (role, number) in [(Role::Input, header.inputs), (Role::Output, header.outputs)] {
            let role = role.name();
            match number {
                0 => return Err(FormatError::NoPort { role }),
                1..=MAX_PORTS => {}
                _ => {
                    let found = number as u32;
                    return Err(FormatError::TooMany { what: role, found, limit: MAX_PORTS });
                }
            }
        }
        Ok(())
    }

    fn is_version_1(&self) -> bool {
        features::VERSION_1 && self.header.version == VERSION_1
    }

    /// A port as the file has it: in version 1 without a name, which its value has.
    fn port_record(&self, index: usize, names: bool) -> Result<Option<PortRecord<'a>>, FormatError> {
        if !self.is_version_1() {
            let Some(record) = record(self.header.ports.of(self.bytes), index, PORT_RECORD) else {
                return Ok(None);
            };
            let strings = names.then(|| self.header.strings.of(self.bytes));
            return PortRecord::decode(record, index, strings).map(Some);
        }
        let ports = header::version_1::VALUES.into_iter().zip(header::version_1::SHAPES);
        let mut ports = ports.zip([Role::Input, Role::Output]);
        let Some(((value, shape), role)) = ports.nth(index) else { return Ok(None) };
        let shape = Shape::read::<MAX_RANK_1>(self.bytes, shape)
            .ok_or(FormatError::ExternalShape { name: Name::new(role.name()) })?;
        let value = word(self.bytes, value) as usize;
        Ok(Some(PortRecord { value, name: "", role, kind: PortType::Float, shape }))
    }

    fn decode_port(&self, index: usize, names: bool) -> Result<Option<Port<'a>>, FormatError> {
        let Some(record) = self.port_record(index, names)? else { return Ok(None) };
        let PortRecord { kind, shape, .. } = record;
        let found = record.value as u32;
        let value = self.decode_value(record.value, names)?;
        let value = value.ok_or(FormatError::Port { index, field: "value", found })?;
        let name = if self.is_version_1() { value.name } else { record.name };
        if shape.elements() != Some(value.logical() as u64) {
            return Err(FormatError::ExternalShape { name: Name::new(name) });
        }
        Ok(Some(Port { name, kind, shape, value }))
    }

    /// Whether the value is one of the inputs.
    fn is_input(&self, value: usize) -> bool {
        (0..self.header.inputs)
            .filter_map(|index| self.port_record(index, false).ok().flatten())
            .any(|port| port.value == value)
    }

    /// That the copies into the value which operator `begin` is the first to write fill it before anything reads it: each
    /// element is written once.
    fn check_copies(&self, begin: usize, value: &Value<'_>) -> Result<(), FormatError> {
        let broken = || FormatError::Partial { name: Name::new(value.name) };
        let word_of = |index, at: usize| {
            let record = record(self.header.operators.of(self.bytes), index, OPERATOR_RECORD);
            record.map_or(NONE, |record| word(record, at * 4))
        };
        let into = word_of(begin, field::OUTPUT);
        // The first element and the extents of what an operator copies into the value.
        let part = |index| -> Result<_, FormatError> {
            if word_of(index, field::OUTPUT) != into {
                return Ok(None);
            }
            Ok(self.decode_operator(index, false)?.and_then(|operator| match operator.kind {
                OperatorKind::Unweighted(Operation::Copy { at }) => Some((at, operator.input.extents())),
                _ => None,
            }))
        };
        let mut written = 0;
        for index in begin..self.operators_len() {
            let reads = [field::INPUT, field::SECOND].iter().any(|&at| word_of(index, at) == into);
            if reads && written != value.logical() {
                return Err(broken());
            }
            let Some((at, extents)) = part(index)? else { continue };
            for before in begin..index {
                let Some((other, others)) = part(before)? else { continue };
                if (0..3).all(|n| at[n] < other[n] + others[n] && other[n] < at[n] + extents[n]) {
                    return Err(broken());
                }
            }
            written += extents.iter().product::<usize>();
        }
        if written == value.logical() { Ok(()) } else { Err(broken()) }
    }

    /// Every value by itself, and that those alive at the same time share no memory. Gives how much they need of it.
    fn check_values(&self) -> Result<usize, FormatError> {
        let count = self.values_len();
        let mut needed = 0;
        for index in 0..count {
            let Some(value) = self.decode_value(index, true)? else { break };
            // Copies may only go on with what an operator began to write at that time.
            let begun = match value.first.checked_sub(1) {
                None => self.is_input(index),
                Some(writer) => record(self.header.operators.of(self.bytes), writer, OPERATOR_RECORD)
                    .is_some_and(|record| word(record, field::OUTPUT * 4) == index as u32),
            };
            if !begun {
                return Err(FormatError::Lifetime { name: Name::new(value.name) });
            }
            needed = needed.max(value.range(1).end);
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
        Ok(needed)
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

    /// The inputs, in their order; there is at least one.
    pub fn inputs(&self) -> Ports<'a> {
        Ports { model: *self, left: 0..self.header.inputs }
    }

    /// The outputs, in their order; there is at least one.
    pub fn outputs(&self) -> Ports<'a> {
        let inputs = self.header.inputs;
        Ports { model: *self, left: inputs..inputs + self.header.outputs }
    }

    /// The first input's value; `None` only if the bytes have changed since they were checked.
    pub fn input(&self) -> Option<Value<'a>> {
        self.inputs().next().map(|port| port.value)
    }

    /// The first output's value; `None` only if the bytes have changed since they were checked.
    pub fn output(&self) -> Option<Value<'a>> {
        self.outputs().next().map(|port| port.value)
    }

    /// The value of the input with this index, without its name.
    pub(crate) fn input_to_run(&self, index: usize) -> Option<Value<'a>> {
        Some(self.decode_port(index, false).ok()??.value)
    }

    /// The value of the output with this index, without its name.
    pub(crate) fn output_to_run(&self, index: usize) -> Option<Value<'a>> {
        Some(self.decode_port(self.header.inputs + index, false).ok()??.value)
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

    /// The first input's shape as the outside sees it, without the batch axis.
    pub fn input_shape(&self) -> &Shape {
        &self.header.input_shape
    }

    /// The first output's shape as the outside sees it, without the batch axis.
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

/// Inputs or outputs, in the file's order.
#[derive(Clone, Debug)]
pub struct Ports<'a> {
    model: Model<'a>,
    left: core::ops::Range<usize>,
}

impl<'a> Iterator for Ports<'a> {
    type Item = Port<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // Only bytes that have changed since they were checked end it early.
        self.model.decode_port(self.left.next()?, true).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for Ports<'_> {}

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
