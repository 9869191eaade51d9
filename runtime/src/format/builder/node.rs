//! The model being built: activations, and operators with plain weights.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{BuildError, length_error};
use super::spec::Element;
use crate::format::operator::{Activation, BinaryKind, Coordinates, Interpolation, PadKind, PoolKind};
use crate::format::pack::Plain;
use crate::format::value::{Halo, Value};
use crate::format::window::Axis;

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
pub(super) enum Bias {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

#[derive(Clone, Debug)]
pub(super) struct LayerPlan {
    pub(super) weights: Plain,
    /// Per output channel, or per remainder and output channel; empty for float weights.
    pub(super) scales: Vec<f32>,
    /// The same; each array has its own length.
    pub(super) bias: Bias,
    pub(super) activation: Activation,
    pub(super) after: Option<(Vec<f32>, Vec<f32>)>,
}

pub(super) type OwnedAffine = Option<(Vec<f32>, Vec<f32>)>;

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    FullyConnected(LayerPlan),
    Convolution {
        window: [Axis; 2],
        groups: usize,
        layer: LayerPlan,
    },
    Depthwise {
        window: [Axis; 2],
        layer: LayerPlan,
    },
    Transposed {
        window: [Axis; 2],
        groups: usize,
        layer: LayerPlan,
    },
    Pool {
        window: [Axis; 2],
        kind: PoolKind,
    },
    Elementwise {
        before: OwnedAffine,
        activation: Activation,
        after: OwnedAffine,
    },
    Binary {
        kind: BinaryKind,
        activation: Activation,
    },
    Copy {
        at: [usize; 3],
    },
    Pad {
        before: [usize; 2],
        kind: PadKind,
    },
    Resize {
        scale: [f32; 2],
        coordinates: Coordinates,
        interpolation: Interpolation,
    },
    Softmax,
    L2Normalize {
        epsilon: f32,
    },
    /// A change of shape in channel-first order; absorbed into its neighbors where it can be.
    Reshape,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: NodeKind,
    pub(super) input: usize,
    pub(super) second: Option<usize>,
    pub(super) output: usize,
}

pub(super) fn owned_affine(
    name: &str,
    affine: Option<(&[f32], &[f32])>,
    channels: usize,
) -> Result<OwnedAffine, BuildError> {
    affine
        .map(|(scale, shift)| {
            for array in [scale, shift] {
                if array.len() != channels {
                    return Err(length_error(name, "affine coefficients", array.len(), channels));
                }
            }
            Ok((scale.to_vec(), shift.to_vec()))
        })
        .transpose()
}
