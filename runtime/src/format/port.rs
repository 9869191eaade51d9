//! Ports: what goes into a model and what comes out of it, by name.

use super::error::{FormatError, Name};
use super::layout::{MAX_RANK, PORT_RECORD, port as field, word};
use super::strings;
use super::value::Value;
use crate::backend::TensorInfo;

/// A shape of at most six axes, without the batch axis.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// A shape; `None` for more than six axes.
    pub fn new(extents: &[usize]) -> Option<Self> {
        let mut shape = Self { extents: [0; MAX_RANK], rank: extents.len() };
        shape.extents.get_mut(..extents.len())?.copy_from_slice(extents);
        Some(shape)
    }

    /// The extents.
    pub fn as_slice(&self) -> &[usize] {
        self.extents.get(..self.rank).unwrap_or(&[])
    }

    /// The product of the extents, or `None` if it is too large to matter.
    pub(super) fn elements(&self) -> Option<u64> {
        self.as_slice().iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64))
    }

    /// Reads rank and extents from byte `at`: room for `LIMIT` of them, those beyond the rank zero.
    pub(super) fn read<const LIMIT: usize>(bytes: &[u8], at: usize) -> Option<Self> {
        let rank = word(bytes, at) as usize;
        let mut extents = [0; MAX_RANK];
        for (axis, extent) in extents.iter_mut().enumerate().take(LIMIT) {
            *extent = word(bytes, at + 4 + 4 * axis) as usize;
        }
        let unused = extents.get(rank..).filter(|_| rank <= LIMIT)?;
        unused.iter().all(|&extent| extent == 0).then_some(Self { extents, rank })
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// Whether a port is an input or an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Input,
    Output,
}

impl Role {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What the elements of a port are to the outside. They are given and taken as f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortType {
    /// Real numbers.
    #[default]
    Float,
    /// Whole numbers: labels, indices.
    Integer,
}

/// An input or an output of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Port<'a> {
    /// Its name, by which it is told from the model's other inputs or outputs.
    pub name: &'a str,
    /// What its elements are.
    pub kind: PortType,
    /// Its shape as the outside sees it, without the batch axis; elements are in this shape's row-major order.
    pub shape: Shape,
    /// The activation that it is.
    pub value: Value<'a>,
}

impl Port<'_> {
    /// What a back end tells of it.
    pub fn info(&self) -> TensorInfo<'_> {
        TensorInfo { name: self.name, shape: self.shape.as_slice(), kind: self.kind }
    }
}

/// A record as it stands in the file, its value not yet looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortRecord<'a> {
    pub(super) value: usize,
    pub(super) name: &'a str,
    pub(super) role: Role,
    pub(super) kind: PortType,
    pub(super) shape: Shape,
}

impl<'a> PortRecord<'a> {
    /// Reads a record and checks everything that concerns it alone. Without `strings` the name is left empty.
    pub(super) fn decode(
        record: &[u8],
        index: usize,
        strings: Option<&'a [u8]>,
    ) -> Result<Self, FormatError> {
        let get = |at: usize| word(record, at * 4);
        let bad = |field, at| FormatError::Port { index, field, found: get(at) };
        let name = match strings {
            Some(strings) => strings::name(strings, get(field::NAME), get(field::NAME + 1))
                .ok_or(FormatError::NameOutOfRange { what: "port", index })?,
            None => "",
        };
        let role = match get(field::ROLE) {
            0 => Role::Input,
            1 => Role::Output,
            _ => return Err(bad("role", field::ROLE)),
        };
        let kind = match get(field::TYPE) {
            0 => PortType::Float,
            1 => PortType::Integer,
            _ => return Err(bad("type", field::TYPE)),
        };
        let shape = Shape::read::<MAX_RANK>(record, field::RANK * 4)
            .ok_or(FormatError::ExternalShape { name: Name::new(name) })?;
        if (field::RESERVED..PORT_RECORD / 4).any(|at| get(at) != 0) {
            return Err(FormatError::Reserved { section: "ports" });
        }
        Ok(Self { value: get(field::VALUE) as usize, name, role, kind, shape })
    }

    /// The record; the name's place is the caller's.
    #[cfg(feature = "alloc")]
    pub(super) fn encode(&self, name: (u32, u32)) -> [u8; PORT_RECORD] {
        let mut words = [0u32; PORT_RECORD / 4];
        words[field::VALUE] = self.value as u32;
        words[field::NAME] = name.0;
        words[field::NAME + 1] = name.1;
        words[field::ROLE] = self.role as u32;
        words[field::TYPE] = self.kind as u32;
        words[field::RANK] = self.shape.rank as u32;
        for (word, extent) in words[field::RANK + 1..].iter_mut().zip(self.shape.extents) {
            *word = extent as u32;
        }
        let mut record = [0; PORT_RECORD];
        for (bytes, word) in record.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        record
    }
}
