//! The nearest of many, and what they vote for.

use super::GalleryError;

/// An example of a gallery, as a query sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Neighbor {
    /// Its index in the gallery.
    pub index: usize,
    /// Its label.
    pub label: u32,
    /// The cosine of the angle between it and the query, -1 to 1.
    pub similarity: f32,
}

/// What a label has of all votes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vote {
    /// The label.
    pub label: u32,
    /// Its part of the votes, 0 to 1.
    pub share: f32,
    /// The similarity of its nearest example.
    pub similarity: f32,
}

/// Keeps the most similar of the examples, in order, in `best`, and returns the part of it that was filled.
pub(super) fn nearest(similarities: impl Iterator<Item = (u32, f32)>, best: &mut [Neighbor]) -> &[Neighbor] {
    let mut len = 0;
    for (index, (label, similarity)) in similarities.enumerate() {
        let full = len == best.len();
        if full && best.last().is_none_or(|last| similarity <= last.similarity) {
            continue;
        }
        len += usize::from(!full);
        let Some(sorted) = best.get_mut(..len) else { break };
        // All but the place that is new or given up. Behind equals, which have lower indices.
        let at = sorted
            .split_last()
            .map_or(0, |(_, kept)| kept.partition_point(|kept| kept.similarity >= similarity));
        if let Some(moved) = sorted.get_mut(at..) {
            moved.rotate_right(1);
            if let Some(place) = moved.first_mut() {
                *place = Neighbor { index, label, similarity };
            }
        }
    }
    best.get(..len).unwrap_or(&[])
}

/// Lets neighbors, the most similar first, vote for their labels with weight exp(similarity / temperature). The labels with
/// the most votes come first in `votes`, as many as it has room for; of equal ones that of the nearer neighbor. The part of
/// `votes` that was filled is returned.
///
/// # Errors
/// [`GalleryError::Temperature`] unless the temperature is positive and finite.
pub fn vote<'v>(
    neighbors: &[Neighbor],
    temperature: f32,
    votes: &'v mut [Vote],
) -> Result<&'v [Vote], GalleryError> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(GalleryError::Temperature { found: temperature });
    }
    let Some(first) = neighbors.first() else { return Ok(&[]) };
    // Relative to the nearest, so that no temperature makes weights overflow.
    let weight = |neighbor: &Neighbor| libm::expf((neighbor.similarity - first.similarity) / temperature);
    let total: f32 = neighbors.iter().map(weight).sum();
    let mut len = 0;
    for (at, neighbor) in neighbors.iter().enumerate() {
        let (before, rest) = neighbors.split_at_checked(at).unwrap_or((&[], &[]));
        if before.iter().any(|other| other.label == neighbor.label) {
            continue;
        }
        let of_label = rest.iter().filter(|other| other.label == neighbor.label);
        let share = of_label.map(weight).sum::<f32>() / total;
        let full = len == votes.len();
        if full && votes.last().is_none_or(|last| share <= last.share) {
            continue;
        }
        len += usize::from(!full);
        let Some(sorted) = votes.get_mut(..len) else { break };
        let at = sorted.split_last().map_or(0, |(_, kept)| kept.partition_point(|kept| kept.share >= share));
        if let Some(moved) = sorted.get_mut(at..) {
            moved.rotate_right(1);
            if let Some(place) = moved.first_mut() {
                *place = Vote { label: neighbor.label, share, similarity: neighbor.similarity };
            }
        }
    }
    Ok(votes.get(..len).unwrap_or(&[]))
}
