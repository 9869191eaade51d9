//! The skeletons of handwritten digits: which strokes a pen makes for each, in the ways that people do.
//!
//! Coordinates run over the unit square, x to the right and y down. A family is one way to write a digit; its shapes have the
//! same strokes with the same number of points, so that any mixture of them is a digit too. A stroke is a smooth curve through
//! its points, broken at the corners. They lie in `skeletons.json`, where `how` is a note for people.

use std::sync::LazyLock;

use serde::Deserialize;

/// One way to write a digit.
#[derive(Deserialize)]
pub(super) struct Family {
    /// Share of the digit's images that are written this way; the shares of a digit sum to about 1.
    pub(super) share: f32,
    /// Smallest and largest width of the digit, for a height of 1.
    pub(super) width: (f32, f32),
    /// For each stroke, the points at which it turns sharply.
    pub(super) corners: Vec<Vec<usize>>,
    pub(super) shapes: Vec<Skeleton>,
}

#[derive(Deserialize)]
pub(super) struct Skeleton {
    /// The points of each stroke.
    pub(super) strokes: Vec<Vec<(f32, f32)>>,
}

/// The families of each digit.
pub(super) static DIGITS: LazyLock<[Vec<Family>; 10]> =
    LazyLock::new(|| serde_json::from_str(include_str!("skeletons.json")).expect("part of the program"));
