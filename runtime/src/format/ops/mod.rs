//! What an operator does, and how its record says so: a file for each family of operators, in which reading and writing
//! stand side by side.

mod arrange;
mod blocks;
mod elementwise;
mod layer;
mod parameters;
mod pool;
mod product;

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use super::error::FormatError;
use super::layer::Layer;
use super::layout::operator as field;
#[cfg(feature = "alloc")]
use super::pack::PlainLayer;
#[cfg(feature = "alloc")]
use super::record::Writer;
use super::record::{Ends, Reader};
use crate::features;
use crate::ops::{Operation, WindowAxis};
#[cfg(feature = "alloc")]
pub(super) use layer::gains_by_winograd;
pub(super) use layer::scratch;

/// Numbers of the operators in a record.
mod number {
    pub(super) const FULLY_CONNECTED: u32 = 1;
    pub(super) const CONVOLUTION: u32 = 2;
    pub(super) const DEPTHWISE: u32 = 3;
    pub(super) const TRANSPOSED: u32 = 4;
    pub(super) const POOL: u32 = 5;
    pub(super) const ELEMENTWISE: u32 = 6;
    pub(super) const BINARY: u32 = 7;
    pub(super) const COPY: u32 = 8;
    pub(super) const PAD: u32 = 9;
    pub(super) const RESIZE: u32 = 10;
    pub(super) const SOFTMAX: u32 = 11;
    pub(super) const L2_NORMALIZE: u32 = 12;
    pub(super) const REORDER: u32 = 13;
    pub(super) const FUNCTION: u32 = 14;
    pub(super) const CONSTANT: u32 = 15;
    pub(super) const NORMALIZE: u32 = 16;
    pub(super) const REDUCE: u32 = 17;
    pub(super) const VIEW: u32 = 18;
    pub(super) const PRODUCT: u32 = 19;
    pub(super) const ONE_HOT: u32 = 20;
}

/// What an operator does. `L` is its layer: packed and borrowed in a model that is read ([`Layer`]), plain and owned in
/// one that is built; `C` are the coefficients of affines (see [`crate::ops::Affine`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OperatorKind<L, C> {
    /// All inputs to all outputs, both in memory order.
    FullyConnected(L),
    /// A convolution.
    Convolution {
        /// The window along rows and columns.
        window: [WindowAxis; 2],
        /// Groups of channels that see only each other.
        groups: usize,
        /// Whether the weights are transformed for Winograd's F(2x2, 3x3).
        winograd: bool,
        /// Weights and what is fused.
        layer: L,
    },
    /// A convolution whose every channel sees only itself; weights `[tap][channels rounded up to 16]`.
    Depthwise {
        /// The window along rows and columns.
        window: [WindowAxis; 2],
        /// Weights and what is fused.
        layer: L,
    },
    /// A transposed convolution; weights and each array of parameters one phase after the other, row phases outermost.
    Transposed {
        /// The window along rows and columns.
        window: [WindowAxis; 2],
        /// Groups of channels that see only each other.
        groups: usize,
        /// Weights and what is fused.
        layer: L,
    },
    /// An operator without weights.
    Unweighted(Operation<C>),
}

impl<L, C> OperatorKind<L, C> {
    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FullyConnected(_) => "fully connected",
            Self::Convolution { .. } => "convolution",
            Self::Depthwise { .. } => "depthwise convolution",
            Self::Transposed { .. } => "transposed convolution",
            Self::Unweighted(operation) => operation.name(),
        }
    }

    /// The layer, if it has one.
    pub const fn layer(&self) -> Option<&L> {
        match self {
            Self::FullyConnected(layer)
            | Self::Convolution { layer, .. }
            | Self::Depthwise { layer, .. }
            | Self::Transposed { layer, .. } => Some(layer),
            Self::Unweighted(_) => None,
        }
    }

    /// Whether it may read a second value: a residual or an operand.
    pub(super) const fn takes_second(&self) -> bool {
        match self {
            Self::Unweighted(operation) => operation.takes_second(),
            _ => true,
        }
    }

    /// Whether it reads a first value.
    pub(super) const fn takes_input(&self) -> bool {
        match self {
            Self::Unweighted(operation) => operation.takes_input(),
            _ => true,
        }
    }

    /// Whether its output may take its first input's place in memory.
    pub(super) const fn works_in_place(&self) -> bool {
        matches!(self, Self::Unweighted(operation) if operation.works_in_place())
    }
}

impl<'a> OperatorKind<Layer<'a>, &'a [f32]> {
    /// Reads and checks what a record says.
    pub(super) fn read(reader: &Reader<'a, '_>, ends: &Ends<'a>) -> Result<Self, FormatError> {
        // A guard that is false for good takes what is behind it out of the program.
        let operation = match reader.word(field::KIND) {
            number::FULLY_CONNECTED => return layer::read_fully_connected(reader, ends),
            number::CONVOLUTION => return layer::read_convolution(reader, ends),
            number::DEPTHWISE if features::DEPTHWISE => return layer::read_depthwise(reader, ends),
            number::TRANSPOSED => return layer::read_transposed(reader, ends),
            number::POOL if features::POOL => pool::read(reader, ends)?,
            number::ELEMENTWISE if features::ELEMENTWISE => elementwise::read(reader, ends)?,
            number::BINARY if features::ELEMENTWISE => elementwise::read_binary(reader, ends)?,
            number::COPY if features::ARRANGE => arrange::read_copy(reader, ends)?,
            number::PAD if features::ARRANGE => arrange::read_pad(reader, ends)?,
            number::RESIZE if features::RESIZE => arrange::read_resize(reader, ends)?,
            number::SOFTMAX if features::NORMALIZE => blocks::read_softmax(reader, ends)?,
            number::L2_NORMALIZE if features::NORMALIZE => blocks::read_l2(reader, ends)?,
            number::REORDER if features::ARRANGE => arrange::read_reorder(reader, ends)?,
            number::FUNCTION if features::EXTENDED => elementwise::read_function(reader, ends)?,
            number::CONSTANT if features::EXTENDED => product::read_constant(reader, ends)?,
            number::NORMALIZE if features::EXTENDED => blocks::read_normalize(reader, ends)?,
            number::REDUCE if features::EXTENDED => blocks::read_reduce(reader, ends)?,
            number::VIEW if features::EXTENDED => arrange::read_view(reader, ends)?,
            number::PRODUCT if features::EXTENDED => product::read_product(reader, ends)?,
            number::ONE_HOT if features::EXTENDED => product::read_one_hot(reader, ends)?,
            found => return Err(unread(reader, found)),
        };
        let second = ends.second.map(|value| value.extents());
        if !features::EXTENDED && operation.is_extended(ends.input.extents(), second) {
            return Err(reader.feature("extended-operators"));
        }
        Ok(Self::Unweighted(operation))
    }
}

/// Why an operator is not read: this build leaves it out, or there is no such kind.
#[cold]
fn unread(reader: &Reader<'_, '_>, found: u32) -> FormatError {
    reader.feature(match found {
        number::DEPTHWISE => "depthwise",
        number::POOL => "pool",
        number::ELEMENTWISE | number::BINARY => "elementwise",
        number::COPY | number::PAD | number::REORDER => "arrange",
        number::RESIZE => "resize",
        number::SOFTMAX | number::L2_NORMALIZE => "normalize",
        number::FUNCTION..=number::ONE_HOT => "extended-operators",
        _ => return FormatError::OperatorKind { operator: reader.operator(), found },
    })
}

#[cfg(feature = "alloc")]
impl OperatorKind<PlainLayer, Vec<f32>> {
    /// Writes the record but for its values and name, and packs the weights.
    pub(super) fn write(&self, writer: &mut Writer<'_>, ends: &Ends<'_>) {
        writer.words[field::KIND] = match self {
            Self::FullyConnected(layer) => {
                layer::write_fully_connected(writer, ends, layer);
                number::FULLY_CONNECTED
            }
            Self::Convolution { window, groups, winograd, layer } => {
                layer::write_convolution(writer, ends, (window, *groups, *winograd), layer);
                number::CONVOLUTION
            }
            Self::Depthwise { window, layer } => {
                layer::write_depthwise(writer, ends, window, layer);
                number::DEPTHWISE
            }
            Self::Transposed { window, groups, layer } => {
                layer::write_transposed(writer, ends, (window, *groups), layer);
                number::TRANSPOSED
            }
            Self::Unweighted(operation) => match operation {
                Operation::Pool(pool) => {
                    pool::write(writer, pool);
                    number::POOL
                }
                Operation::Elementwise { before, activation, after } => {
                    elementwise::write(writer, before.as_ref(), *activation, after.as_ref());
                    number::ELEMENTWISE
                }
                Operation::Binary { binary, activation } => {
                    elementwise::write_binary(writer, *binary, *activation);
                    number::BINARY
                }
                Operation::Copy { at } => {
                    arrange::write_copy(writer, *at);
                    number::COPY
                }
                Operation::Pad(pad) => {
                    arrange::write_pad(writer, pad);
                    number::PAD
                }
                Operation::Resize(resize) => {
                    arrange::write_resize(writer, resize);
                    number::RESIZE
                }
                Operation::Normalize(normalize) => blocks::write_normalize(writer, ends, normalize),
                Operation::Reorder => number::REORDER,
                Operation::Function(function) => {
                    elementwise::write_function(writer, *function);
                    number::FUNCTION
                }
                Operation::Constant(values) => {
                    product::write_constant(writer, values);
                    number::CONSTANT
                }
                Operation::Reduce(reduce) => {
                    blocks::write_reduce(writer, reduce);
                    number::REDUCE
                }
                Operation::View(view) => {
                    arrange::write_view(writer, view);
                    number::VIEW
                }
                Operation::Product => number::PRODUCT,
                Operation::OneHot => number::ONE_HOT,
            },
        };
    }
}
