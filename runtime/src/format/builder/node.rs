//! The model being built: activations, and operators with plain weights.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{BuildError, length_error};
use super::spec::Element;
use crate::format::ops::OperatorKind;
use crate::format::pack::PlainLayer;
use crate::format::value::{Halo, Value};
use crate::ops::Affine;

/// Channels, rows, columns.
pub(super) type Extents = [usize; 3];

#[derive(Clone, Debug)]
pub(super) struct BuildValue {
    pub(super) name: String,
    pub(super) extents: Extents,
    pub(super) element: Element,
    pub(super) halo: Halo,
}

impl BuildValue {
    /// Without a halo.
    pub(super) fn new(name: &str, extents: Extents, element: Element) -> Self {
        Self { name: name.to_owned(), extents, element, halo: Halo::default() }
    }

    pub(super) fn value(&self) -> Value<'_> {
        let [channels, height, width] = self.extents;
        let (scale, zero_point) = match self.element {
            Element::F32 => (1.0, 0),
            Element::U8 { scale, zero_point } => (scale, zero_point),
        };
        Value {
            name: &self.name,
            kind: self.element.kind(),
            channels,
            height,
            width,
            halo: self.halo,
            offset: 0,
            first: 0,
            last: 0,
            scale,
            zero_point,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: OperatorKind<PlainLayer, Vec<f32>>,
    /// Of a constant, which reads nothing, its output.
    pub(super) input: usize,
    pub(super) second: Option<usize>,
    pub(super) output: usize,
}

pub(super) fn owned_affine(
    name: &str,
    affine: Option<(&[f32], &[f32])>,
    channels: usize,
) -> Result<Option<Affine<Vec<f32>>>, BuildError> {
    affine
        .map(|(scale, shift)| {
            for array in [scale, shift] {
                if array.len() != channels {
                    return Err(length_error(name, "affine coefficients", array.len(), channels));
                }
            }
            Ok(Affine { scale: scale.to_vec(), shift: shift.to_vec() })
        })
        .transpose()
}
