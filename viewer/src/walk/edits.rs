//! What truncation and sliders do to latent vectors.

use super::LatentSpace;

/// What is done to every latent vector of a walk before its image is made: truncation, then a shift, then values that are
/// held. By itself it does nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Edits {
    /// As [`LatentSpace::truncate`] takes it, 0 to 1.
    pub truncation: f32,
    /// Added to the latent vector; empty for nothing.
    pub shift: Vec<f32>,
    /// Values that are put in instead of the walk's, as far as they go.
    pub held: Vec<Option<f32>>,
}

impl Default for Edits {
    fn default() -> Self {
        Self { truncation: 1.0, shift: Vec::new(), held: Vec::new() }
    }
}

impl Edits {
    /// Whether they are of latent vectors of this space.
    pub fn fit(&self, space: &LatentSpace) -> bool {
        (self.shift.is_empty() || self.shift.len() == space.size) && self.held.len() <= space.size
    }

    pub fn apply(&self, space: &LatentSpace, latent: &mut [f32]) {
        space.truncate(latent, self.truncation);
        latent.iter_mut().zip(&self.shift).for_each(|(value, shift)| *value += shift);
        for (value, held) in latent.iter_mut().zip(&self.held) {
            *value = held.unwrap_or(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use latent_runtime::latent::Distribution;

    use super::*;

    #[test]
    fn they_are_done_in_turn() {
        let space = LatentSpace { size: 3, distribution: Distribution::Uniform { low: 0.0, high: 2.0 } };
        let edits = Edits { truncation: 0.5, shift: vec![0.0, 1.0, 0.5], held: vec![None, None, Some(7.0)] };
        let mut latent = [2.0, 0.0, 1.0];
        Edits::default().apply(&space, &mut latent);
        assert_eq!(latent, [2.0, 0.0, 1.0]);
        edits.apply(&space, &mut latent);
        assert_eq!(latent, [1.5, 1.5, 7.0]);
        assert!(edits.fit(&space) && Edits::default().fit(&space));
        assert!(
            !edits.fit(&LatentSpace { size: 2, ..space }) && !edits.fit(&LatentSpace { size: 4, ..space })
        );
    }
}
