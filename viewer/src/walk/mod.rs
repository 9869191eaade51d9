//! Walks through a latent space: key frames, the curve through them, and a position on it that moves with time.

mod edits;
mod file;
mod interpolation;
mod player;
mod space;

pub use edits::Edits;
pub use file::{MAX_KEY_FRAMES, WalkFile, WalkFileError};
pub use interpolation::Interpolation;
pub use player::{Player, STEPS_PER_SEGMENT};
pub use space::LatentSpace;

use std::sync::Arc;

use latent_runtime::rng::Rng;

/// A point that a walk passes through.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyFrame {
    /// The latent vector drawn from a seed.
    Seed(u64),
    /// A latent vector given by its values.
    Values(Vec<f32>),
}

impl KeyFrame {
    /// Its latent vector; `None` if it has another number of values than the space.
    pub fn latent(&self, space: &LatentSpace) -> Option<Vec<f32>> {
        match self {
            Self::Seed(seed) => Some(space.draw(*seed)),
            Self::Values(values) => (values.len() == space.size).then(|| values.clone()),
        }
    }
}

/// Key frames, and the curve through them.
///
/// Positions on it count key frames: 0 is the first, 1.5 is half-way from the second to the third. A closed walk goes
/// on from its last key frame to its first.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    space: LatentSpace,
    /// Each with its latent vector, shared by copies of the walk. Never empty.
    keys: Vec<Arc<(KeyFrame, Vec<f32>)>>,
    /// How it goes from one key frame to the next.
    pub interpolation: Interpolation,
    /// Whether it returns to its first key frame.
    pub closed: bool,
}

impl Walk {
    /// A closed walk along random key frames. The first is `seed` itself, the others are seeds below a million drawn
    /// from it. At least one key frame is made.
    pub fn random(space: LatentSpace, seed: u64, key_frames: usize, interpolation: Interpolation) -> Self {
        let mut rng = Rng::from_seed(seed);
        let keys = (0..key_frames.max(1))
            .map(|index| {
                let seed = if index == 0 { seed } else { u64::from(rng.below(1_000_000)) };
                Arc::new((KeyFrame::Seed(seed), space.draw(seed)))
            })
            .collect();
        Self { space, keys, interpolation, closed: true }
    }

    /// A walk along these key frames. `None` if there are none, or one has another number of values than the space.
    pub fn new(
        space: LatentSpace,
        keys: Vec<KeyFrame>,
        interpolation: Interpolation,
        closed: bool,
    ) -> Option<Self> {
        let keys: Option<Vec<_>> =
            keys.into_iter().map(|key| key.latent(&space).map(|latent| Arc::new((key, latent)))).collect();
        keys.filter(|keys| !keys.is_empty()).map(|keys| Self { space, keys, interpolation, closed })
    }

    /// The same walk for another latent space: seeds are drawn anew, key frames given by values are kept if they fit.
    /// Should none be left, it becomes a random walk as long as this.
    pub fn in_space(&self, space: LatentSpace) -> Self {
        let keys: Vec<_> = self.keys().filter(|key| key.latent(&space).is_some()).cloned().collect();
        Self::new(space, keys, self.interpolation, self.closed).unwrap_or_else(|| Self {
            closed: self.closed,
            ..Self::random(space, 0, self.keys.len(), self.interpolation)
        })
    }

    pub fn space(&self) -> &LatentSpace {
        &self.space
    }

    /// The number of key frames, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key frames in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &KeyFrame> {
        self.keys.iter().map(|key| &key.0)
    }

    /// A key frame's latent vector.
    pub fn key_latent(&self, index: usize) -> Option<&[f32]> {
        self.keys.get(index).map(|key| key.1.as_slice())
    }

    /// The length: the number of steps from key frame to key frame; 0 for a single key frame.
    pub fn segments(&self) -> usize {
        match self.keys.len() {
            0 | 1 => 0,
            n if self.closed => n,
            n => n - 1,
        }
    }

    /// Brings a position into the walk: around if it is closed, else to the nearer end.
    pub fn wrap(&self, position: f64) -> f64 {
        let length = self.segments() as f64;
        if length == 0.0 || !position.is_finite() {
            0.0
        } else if self.closed {
            // The remainder of a tiny negative number rounds up to the length itself.
            Some(position.rem_euclid(length)).filter(|&wrapped| wrapped < length).unwrap_or(0.0)
        } else {
            position.clamp(0.0, length)
        }
    }

    /// The key frame nearest to a position.
    pub fn nearest_key(&self, position: f64) -> usize {
        self.wrap(position).round() as usize % self.keys.len()
    }

    /// Writes the latent vector at a position, after [`Walk::wrap`], to `out`, which should have the space's size.
    pub fn latent_at(&self, position: f64, out: &mut [f32]) {
        let position = self.wrap(position);
        let segments = self.segments();
        if segments == 0 {
            out.copy_from_slice(&self.keys[0].1);
            return;
        }
        // The end of an open walk belongs to its last segment.
        let segment = (position as usize).min(segments - 1);
        let t = (position - segment as f64) as f32;
        let n = self.keys.len();
        let key = |index: usize| self.keys[index % n].1.as_slice();
        let (from, to) = (key(segment), key(segment + 1));
        // The ends of an open walk have no neighbor: the key frame beyond is the mirror image of the one before.
        let mirrored = |end: &[f32], inner: &[f32]| -> Vec<f32> {
            end.iter().zip(inner).map(|(end, inner)| 2.0 * end - inner).collect()
        };
        let (outer_before, outer_after);
        let before = if self.closed || segment > 0 {
            key(segment + n - 1)
        } else {
            outer_before = mirrored(from, to);
            &outer_before
        };
        let after = if self.closed || segment + 2 < n {
            key(segment + 2)
        } else {
            outer_after = mirrored(to, from);
            &outer_after
        };
        self.interpolation.between([before, from, to, after], t, out);
    }

    /// The positions of `frames` pictures that show the whole walk once: a closed walk without its end, which is its
    /// beginning, so that the pictures repeat without a halt; an open one with both ends.
    pub fn positions(&self, frames: usize) -> impl Iterator<Item = f64> + use<> {
        let length = self.segments() as f64;
        let steps = if self.closed { frames } else { frames.saturating_sub(1) }.max(1) as f64;
        (0..frames).map(move |frame| frame as f64 * length / steps)
    }

    /// Inserts a key frame before the one at `index` (at most the length). Returns whether it fits the space.
    pub fn insert(&mut self, index: usize, key: KeyFrame) -> bool {
        match key.latent(&self.space) {
            Some(latent) if index <= self.keys.len() && self.keys.len() < MAX_KEY_FRAMES => {
                self.keys.insert(index, Arc::new((key, latent)));
                true
            }
            _ => false,
        }
    }

    /// Removes a key frame, unless it is the only one. Returns whether it did.
    pub fn remove(&mut self, index: usize) -> bool {
        let removes = self.keys.len() > 1 && index < self.keys.len();
        if removes {
            self.keys.remove(index);
        }
        removes
    }

    /// Moves a key frame to another place. Returns whether both places are there.
    pub fn reorder(&mut self, from: usize, to: usize) -> bool {
        let moves = from < self.keys.len() && to < self.keys.len() && from != to;
        if moves {
            let key = self.keys.remove(from);
            self.keys.insert(to, key);
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::latent::Distribution;

    const SPACE: LatentSpace =
        LatentSpace { size: 8, distribution: Distribution::Normal { mean: 0.0, std: 1.0 } };

    fn walk(keys: usize, interpolation: Interpolation, closed: bool) -> Walk {
        Walk { closed, ..Walk::random(SPACE, 7, keys, interpolation) }
    }

    fn at(walk: &Walk, position: f64) -> Vec<f32> {
        let mut out = vec![f32::NAN; SPACE.size];
        walk.latent_at(position, &mut out);
        out
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn a_walk_passes_through_its_key_frames() {
        for interpolation in Interpolation::ALL {
            for closed in [true, false] {
                let walk = walk(4, interpolation, closed);
                for index in 0..4 {
                    assert_eq!(at(&walk, index as f64), walk.key_latent(index).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_walk_is_continuous_and_a_closed_one_closes() {
        for interpolation in Interpolation::ALL {
            for (keys, closed) in [(2, true), (2, false), (3, true), (5, true), (5, false)] {
                let walk = walk(keys, interpolation, closed);
                let steps = 400 * walk.segments();
                let mut last = at(&walk, 0.0);
                for step in 1..=steps {
                    let next = at(&walk, step as f64 / 400.0);
                    let moved = distance(&last, &next);
                    assert!(moved < 0.05, "{interpolation}, {keys} keys, closed {closed}: step of {moved}");
                    last = next;
                }
                let start = at(&walk, 0.0);
                assert_eq!(closed, distance(&last, &start) == 0.0);
            }
        }
    }

    #[test]
    fn positions_wrap_or_stop() {
        let closed = walk(4, Interpolation::Slerp, true);
        let open = walk(4, Interpolation::Slerp, false);
        for (position, around, stopped) in [
            (0.0, 0.0, 0.0),
            (2.5, 2.5, 2.5),
            (3.0, 3.0, 3.0),
            (4.25, 0.25, 3.0),
            (-0.5, 3.5, 0.0),
            (-1e-30, 0.0, 0.0),
            (f64::NAN, 0.0, 0.0),
        ] {
            assert_eq!(closed.wrap(position), around, "closed, {position}");
            assert_eq!(open.wrap(position), stopped, "open, {position}");
        }
        assert_eq!(closed.nearest_key(3.6), 0);
        assert_eq!(open.nearest_key(9.0), 3);
    }

    #[test]
    fn a_single_key_frame_stands_still() {
        let walk = walk(1, Interpolation::Spline, true);
        assert_eq!(walk.segments(), 0);
        assert_eq!(at(&walk, 5.3), walk.key_latent(0).unwrap());
        assert_eq!(walk.positions(3).collect::<Vec<_>>(), [0.0; 3]);
    }

    #[test]
    fn recorded_positions_show_each_moment_once() {
        let closed = walk(4, Interpolation::Slerp, true);
        assert_eq!(closed.positions(8).collect::<Vec<_>>(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
        let open = walk(3, Interpolation::Slerp, false);
        assert_eq!(open.positions(5).collect::<Vec<_>>(), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(open.positions(1).collect::<Vec<_>>(), [0.0]);
        assert_eq!(open.positions(0).count(), 0);
    }

    #[test]
    fn key_frames_are_edited() {
        let mut walk = walk(2, Interpolation::Lerp, true);
        let first = walk.keys().next().unwrap().clone();
        assert!(walk.insert(1, KeyFrame::Seed(5)));
        assert!(walk.insert(3, KeyFrame::Values(vec![0.0; 8])));
        assert!(!walk.insert(0, KeyFrame::Values(vec![0.0; 7])), "of another size");
        assert!(!walk.insert(9, KeyFrame::Seed(1)), "beyond the end");
        assert!(walk.reorder(0, 3));
        assert!(!walk.reorder(0, 4));
        let keys: Vec<_> = walk.keys().cloned().collect();
        assert_eq!(
            (&keys[0], &keys[2], &keys[3]),
            (&KeyFrame::Seed(5), &KeyFrame::Values(vec![0.0; 8]), &first)
        );
        for expected in [true, true, true, false] {
            assert_eq!(walk.remove(0), expected);
        }
        assert_eq!(walk.len(), 1);
    }

    #[test]
    fn another_space_keeps_what_fits() {
        let mut walk = walk(2, Interpolation::Lerp, false);
        walk.insert(0, KeyFrame::Values(vec![0.5; 8]));
        let larger = LatentSpace { size: 16, ..SPACE };
        let moved = walk.in_space(larger);
        assert_eq!((moved.len(), moved.closed, moved.space().size), (2, false, 16));
        assert_eq!(moved.key_latent(0).unwrap(), larger.draw(7));
        assert_eq!(walk.in_space(SPACE), walk);
        let values =
            Walk::new(SPACE, vec![KeyFrame::Values(vec![0.5; 8])], Interpolation::Lerp, true).unwrap();
        assert_eq!(values.in_space(larger).len(), 1);
    }
}
