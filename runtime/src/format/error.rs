//! Why bytes are no model: one variant per broken rule.

use core::fmt;

use crate::features;

/// The name of a value or operator, kept in the error itself so that it outlives the bytes; cut at 40 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; 40],
    length: u8,
}

impl Name {
    /// As much of `name` as fits.
    pub fn new(name: &str) -> Self {
        let mut length = name.len().min(40);
        while !name.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; 40];
        for (to, from) in bytes.iter_mut().zip(name.as_bytes().iter().take(length)) {
            *to = *from;
        }
        Self { bytes, length: length as u8 }
    }

    /// As much of the names, with commas between them, as fits.
    pub(crate) fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let (mut bytes, mut length) = ([0; 40], 0);
        for (index, name) in names.enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            for (to, from) in bytes.iter_mut().skip(length).zip(separator.bytes().chain(name.bytes())) {
                *to = from;
                length += 1;
            }
        }
        // Cut at a character.
        let whole = bytes.get(..length).map_or("", |bytes| match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => bytes
                .get(..error.valid_up_to())
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .unwrap_or(""),
        });
        Self::new(whole)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.length))
            .and_then(|name| core::str::from_utf8(name).ok())
            .unwrap_or("")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.as_str())
    }
}

/// Why bytes are no packed model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FormatError {
    /// Fewer bytes than a header.
    TooShort {
        /// The number of bytes.
        found: usize,
    },
    /// The first eight bytes are not the magic number.
    Magic,
    /// A version this crate does not read.
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The header gives another length than the bytes have: truncated, or something appended.
    Length {
        /// The length in the header.
        expected: u32,
        /// The number of bytes.
        found: usize,
    },
    /// The bytes' address is not a multiple of 4.
    Misaligned,
    /// The checksum does not fit the contents.
    Checksum {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the contents.
        found: u32,
    },
    /// A header field has a value without a meaning.
    Header {
        /// The field.
        field: &'static str,
        /// Its value.
        found: u32,
    },
    /// Bytes that must be zero are not.
    Reserved {
        /// Which part of the file.
        section: &'static str,
    },
    /// A section does not begin where the one before it ends (rounded up to 64), or leaves the file.
    Section {
        /// The section.
        section: &'static str,
        /// Where it begins.
        found: u32,
        /// Where it should.
        expected: u64,
    },
    /// More values, operators or ports than the limit.
    TooMany {
        /// `values`, `operators`, `inputs` or `outputs`.
        what: &'static str,
        /// How many.
        found: u32,
        /// The limit.
        limit: usize,
    },
    /// A port's field has a value without a meaning.
    Port {
        /// The port's index.
        index: usize,
        /// The field.
        field: &'static str,
        /// Its value.
        found: u32,
    },
    /// The model has no input, or no output.
    NoPort {
        /// `input` or `output`.
        role: &'static str,
    },
    /// Two inputs, or two outputs, have the same name or two inputs are the same value.
    SamePort {
        /// The second one's name.
        name: Name,
    },
    /// The shape of the model's input or output does not hold as many elements as its value.
    ExternalShape {
        /// The value.
        name: Name,
    },
    /// A name lies outside the strings section or is not UTF-8.
    NameOutOfRange {
        /// `value`, `operator`, `port` or `metadata`.
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// A value's element type is unknown.
    ValueType {
        /// The value.
        name: Name,
        /// The type's number.
        found: u32,
    },
    /// A value's extents are zero or too large.
    ValueShape {
        /// The value.
        name: Name,
    },
    /// A value's scale is not a positive, finite, normal number, or its zero point is above 255; or a float value has either.
    ValueQuantization {
        /// The value.
        name: Name,
    },
    /// A value lies outside the arena or not at a multiple of 64.
    ValueOffset {
        /// The value.
        name: Name,
        /// Its offset.
        found: u32,
        /// The arena's activation bytes.
        arena: u32,
    },
    /// A value's lifetime is empty or leaves the model.
    Lifetime {
        /// The value.
        name: Name,
    },
    /// Two values that live at the same time share memory.
    Overlap {
        /// The one.
        first: Name,
        /// The other.
        second: Name,
    },
    /// An operator reads a value that is not alive then: not yet written, or already given up.
    NotAlive {
        /// The operator.
        operator: Name,
        /// The value.
        value: Name,
    },
    /// An operator names a value that does not exist.
    NoSuchValue {
        /// The operator.
        operator: Name,
        /// The value's index.
        index: u32,
    },
    /// A value that copies put together is read before all of it is written, or some of it is written twice.
    Partial {
        /// The value.
        name: Name,
    },
    /// Weights of an int8 operator that meet the padding between pixels, whose content is unspecified, are not zero.
    Padding {
        /// The operator.
        operator: Name,
    },
    /// An operator reads the same value twice, or reads what it writes although it cannot work in place.
    Aliased {
        /// The operator.
        operator: Name,
    },
    /// An operator's kind is unknown.
    OperatorKind {
        /// The operator.
        operator: Name,
        /// The kind's number.
        found: u32,
    },
    /// An operator of a family that this build of the crate leaves out.
    Feature {
        /// The operator.
        operator: Name,
        /// The crate's feature that brings it.
        feature: &'static str,
    },
    /// An operator cannot take values or weights of these types together.
    Types {
        /// The operator.
        operator: Name,
    },
    /// An operator's values do not fit each other or its parameters.
    Shapes {
        /// The operator.
        operator: Name,
        /// What does not fit.
        what: &'static str,
    },
    /// The input's halo is too small for the window's reach beyond the border.
    Halo {
        /// The operator.
        operator: Name,
    },
    /// A parameter of an operator is out of its range.
    Parameter {
        /// The operator.
        operator: Name,
        /// The parameter.
        parameter: &'static str,
    },
    /// An operator's weights or parameters lie outside the data section or not at a multiple of 64.
    DataOutOfRange {
        /// The operator.
        operator: Name,
        /// `weights` or `parameters`.
        what: &'static str,
    },
    /// An operator's weights or parameters have another length than its shape needs.
    DataLength {
        /// The operator.
        operator: Name,
        /// `weights` or `parameters`.
        what: &'static str,
        /// The length in bytes.
        found: u64,
        /// The length it needs.
        expected: u64,
    },
    /// A parameter is infinite or not a number.
    NotFinite {
        /// The operator.
        operator: Name,
        /// `parameters`.
        what: &'static str,
    },
    /// The metadata cannot be read.
    Metadata {
        /// The index of the broken entry.
        index: usize,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found } => write!(
                f,
                "{found} bytes are too few for a packed model; its header alone has {}",
                super::layout::HEADER
            ),
            Self::Magic => f.write_str("this is no packed model: the first eight bytes are not those of a .lat file"),
            Self::Version { found } => write!(
                f,
                "the packed model has format version {found}; this runtime reads {}{}; pack it again, or take a newer runtime",
                if features::VERSION_1 { "versions 1 to " } else { "version " },
                super::layout::VERSION
            ),
            Self::Length { expected, found } => {
                write!(f, "the packed model should have {expected} bytes but has {found}; it was cut or appended to")
            }
            Self::Misaligned => f.write_str(
                "the packed model's bytes must lie at an address that is a multiple of 4 (64 is fastest); wrap them in `Aligned`",
            ),
            Self::Checksum { expected, found } => {
                write!(f, "the packed model is damaged: its checksum is {found:08x}, expected {expected:08x}")
            }
            Self::Header { field, found } => write!(f, "the header's {field} is {found}, which has no meaning"),
            Self::Reserved { section } => write!(f, "reserved bytes of the {section} are not zero"),
            Self::Section { section, found, expected } => {
                write!(f, "the {section} section begins at byte {found}, expected {expected}, or leaves the file")
            }
            Self::TooMany { what, found, limit } => write!(f, "{found} {what}; the limit is {limit}"),
            Self::Port { index, field, found } => {
                write!(f, "the {field} of port {index} is {found}, which has no meaning")
            }
            Self::NoPort { role } => write!(f, "the model has no {role}"),
            Self::SamePort { name } => {
                write!(f, "the input or output {name} has the name or the value of another one")
            }
            Self::ExternalShape { name } => {
                write!(f, "the outer shape of {name} does not hold as many elements as the value itself")
            }
            Self::NameOutOfRange { what, index } => {
                write!(f, "the name of {what} {index} lies outside the strings or is not UTF-8")
            }
            Self::ValueType { name, found } => write!(f, "value {name} has unknown type {found}"),
            Self::ValueShape { name } => write!(f, "value {name} has an extent of zero or is too large"),
            Self::ValueQuantization { name } => write!(f, "value {name} has an impossible scale or zero point"),
            Self::ValueOffset { name, found, arena } => write!(
                f,
                "value {name} at byte {found} leaves the arena of {arena} bytes or is not at a multiple of 64"
            ),
            Self::Lifetime { name } => write!(f, "value {name} has an impossible lifetime"),
            Self::Overlap { first, second } => {
                write!(f, "values {first} and {second} live at the same time but share memory")
            }
            Self::NotAlive { operator, value } => {
                write!(f, "operator {operator} uses value {value} outside the value's lifetime")
            }
            Self::NoSuchValue { operator, index } => {
                write!(f, "operator {operator} names value {index}, which does not exist")
            }
            Self::Partial { name } => {
                write!(f, "value {name} is read before copies have written each of its elements once")
            }
            Self::Padding { operator } => {
                write!(f, "operator {operator} has weights other than zero where its input has padding")
            }
            Self::Aliased { operator } => {
                write!(f, "operator {operator} reads a value twice or overwrites what it reads")
            }
            Self::OperatorKind { operator, found } => write!(f, "operator {operator} has unknown kind {found}"),
            Self::Feature { operator, feature } => {
                write!(f, "operator {operator} needs latent-runtime built with its feature `{feature}`")
            }
            Self::Types { operator } => {
                write!(f, "operator {operator} cannot take values and weights of these types together")
            }
            Self::Shapes { operator, what } => write!(f, "operator {operator}: {what}"),
            Self::Halo { operator } => {
                write!(f, "operator {operator} reaches further beyond its input's border than the input's halo")
            }
            Self::Parameter { operator, parameter } => {
                write!(f, "operator {operator} has an impossible {parameter}")
            }
            Self::DataOutOfRange { operator, what } => {
                write!(f, "the {what} of operator {operator} leave the data section or are not at a multiple of 64")
            }
            Self::DataLength { operator, what, found, expected } => {
                write!(f, "the {what} of operator {operator} have {found} bytes; its shape needs {expected}")
            }
            Self::NotFinite { operator, what } => {
                write!(f, "the {what} of operator {operator} hold a number that is infinite or not a number")
            }
            Self::Metadata { index } => write!(f, "metadata entry {index} leaves its section or is not UTF-8"),
        }
    }
}

impl core::error::Error for FormatError {}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn names_are_cut_at_a_character() {
        assert_eq!(Name::new("fc1").as_str(), "fc1");
        let long = "ä".repeat(30);
        assert_eq!(Name::new(&long).as_str(), "ä".repeat(20));
        let odd = format!("x{long}");
        assert_eq!(Name::new(&odd).as_str(), format!("x{}", "ä".repeat(19)));
        assert_eq!(Name::joined(["z", "label"].into_iter()).as_str(), "z, label");
        assert_eq!(Name::joined(["z", &long].into_iter()).as_str(), format!("z, {}", "ä".repeat(18)));
        assert_eq!(Name::joined([].into_iter()).as_str(), "");
    }
}
