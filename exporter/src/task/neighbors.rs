//! What an embedding's neighbors say of its class.

use latent_runtime::gallery::{Gallery, GalleryError, Neighbor, Storage, Vote, bytes_for, vote};
use rayon::prelude::*;

use super::TaskError;

/// How many neighbors vote. Fewer than usual, since there are some thousand pictures, not fifty thousand.
pub const NEIGHBORS: usize = 20;

/// The temperature of the vote, as `runtime knn` has it.
pub const TEMPERATURE: f32 = 0.5;

/// For each embedding the class that its nearest neighbors vote for, itself left out; embeddings lie one after the other, as
/// many as labels. One without a direction has no class and is nobody's neighbor.
pub(super) fn classes(embeddings: &[f32], labels: &[u32]) -> Result<Vec<Option<u32>>, TaskError> {
    let dimension = embeddings.len() / labels.len().max(1);
    let mut memory = vec![0; bytes_for(dimension, Storage::F32, labels.len())];
    let mut gallery = Gallery::new(&mut memory, dimension, Storage::F32)?;
    // The place of each in the gallery.
    let mut places = Vec::with_capacity(labels.len());
    for (embedding, &label) in embeddings.chunks_exact(dimension).zip(labels) {
        places.push(match gallery.add(embedding, label) {
            Ok(place) => Some(place),
            Err(GalleryError::NoDirection | GalleryError::NotFinite { .. }) => None,
            Err(error) => return Err(error.into()),
        });
    }
    let view = gallery.view();
    let class = |(embedding, place): (&[f32], &Option<usize>)| {
        let Some(place) = *place else { return Ok(None) };
        let mut nearest = [Neighbor::default(); NEIGHBORS + 1];
        let found = view.nearest(embedding, &mut nearest)?;
        let others: Vec<Neighbor> =
            found.iter().filter(|neighbor| neighbor.index != place).take(NEIGHBORS).copied().collect();
        let mut votes = [Vote::default()];
        Ok(vote(&others, TEMPERATURE, &mut votes)?.first().map(|vote| vote.label))
    };
    embeddings.par_chunks_exact(dimension).zip(&places).map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_vote_without_the_example_itself() {
        // Two bundles of directions, and one that lies among the others' bundle.
        let embeddings = [
            [1.0, 0.0],
            [2.0, 0.1],
            [1.0, -0.1],
            [0.0, 1.0],
            [0.1, 3.0],
            [-0.1, 1.0],
            // Alone it would be its own nearest neighbor.
            [0.05, 1.0],
            [0.0, 0.0],
            [f32::NAN, 1.0],
        ];
        let labels = [4, 4, 4, 7, 7, 7, 4, 7, 7];
        let found = classes(embeddings.as_flattened(), &labels).unwrap();
        // All vote, since there are fewer than 20; near ones have more weight.
        assert_eq!(found, [Some(4), Some(4), Some(4), Some(7), Some(7), Some(7), Some(7), None, None]);
        assert_eq!(classes(&[1.0, 2.0], &[3]).unwrap(), [None]);
    }
}
