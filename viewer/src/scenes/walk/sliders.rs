//! Sliders that change latent vectors.

use std::sync::Arc;

use crate::action::{SliderSet, SliderTarget};
use crate::directions::{Directions, Method};
use crate::walk::{Edits, LatentSpace};

/// How far a direction's slider goes to either side; 3 is as far as a latent vector typically is from the mean.
const REACH: f32 = 3.0;

#[derive(Clone, Debug, Default)]
pub struct Sliders {
    /// Those that are shown.
    pub set: SliderSet,
    sefa: Option<Arc<Directions>>,
    pca: Option<Arc<Directions>>,
    sefa_ways: Vec<f32>,
    pca_ways: Vec<f32>,
    /// Latent values that are held.
    held: Vec<Option<f32>>,
    /// What the sliders that a saved walk was made with add, whichever they were.
    shift: Vec<f32>,
}

impl Sliders {
    /// Sliders at rest, without directions.
    pub fn new(set: SliderSet) -> Self {
        Self { set, ..Self::default() }
    }

    /// The number of sliders of the set.
    pub fn count(&self, latent_size: usize) -> usize {
        match self.set {
            SliderSet::Off => 0,
            SliderSet::Sefa => self.sefa_ways.len(),
            SliderSet::Pca => self.pca_ways.len(),
            SliderSet::Latent => latent_size,
        }
    }

    pub fn targets(&self, latent_size: usize) -> impl ExactSizeIterator<Item = SliderTarget> + use<> {
        let set = self.set;
        (0..self.count(latent_size)).map(move |index| match set {
            SliderSet::Latent => SliderTarget::Latent(index),
            _ => SliderTarget::Direction(index),
        })
    }

    /// Whether the set has directions that are not known yet.
    pub fn lacks_directions(&self) -> bool {
        match self.set {
            SliderSet::Sefa => self.sefa.is_none(),
            SliderSet::Pca => self.pca.is_none(),
            SliderSet::Off | SliderSet::Latent => false,
        }
    }

    /// Takes directions.
    pub fn set_directions(&mut self, method: Method, directions: Directions) {
        let ways = vec![0.0; directions.len()];
        let directions = Some(Arc::new(directions));
        match method {
            Method::Sefa => (self.sefa, self.sefa_ways) = (directions, ways),
            Method::Pca => (self.pca, self.pca_ways) = (directions, ways),
        }
    }

    fn ways(&mut self) -> &mut Vec<f32> {
        if self.set == SliderSet::Pca { &mut self.pca_ways } else { &mut self.sefa_ways }
    }

    /// Puts a slider to a fraction of its range.
    pub fn set(&mut self, target: SliderTarget, fraction: f32, space: &LatentSpace) {
        match target {
            SliderTarget::Direction(index) => {
                // The middle is sticky, so that one can come back to it.
                let way = (fraction * 2.0 - 1.0) * REACH;
                let way = if way.abs() < 0.04 * REACH { 0.0 } else { way };
                if let Some(own) = self.ways().get_mut(index) {
                    *own = way;
                }
            }
            SliderTarget::Latent(index) if index < space.size => {
                let (low, high) = space.slider_range();
                self.held.resize(space.size, None);
                self.held[index] = Some(low + (high - low) * fraction);
            }
            _ => {}
        }
    }

    /// Puts a slider back: a direction to its middle, a latent value to the walk's.
    pub fn release(&mut self, target: SliderTarget) {
        match target {
            SliderTarget::Direction(index) => {
                if let Some(way) = self.ways().get_mut(index) {
                    *way = 0.0;
                }
            }
            SliderTarget::Latent(index) => {
                if let Some(held) = self.held.get_mut(index) {
                    *held = None;
                }
            }
            _ => {}
        }
    }

    /// Puts all sliders back.
    pub fn reset(&mut self) {
        self.sefa_ways.fill(0.0);
        self.pca_ways.fill(0.0);
        self.held.fill(None);
        self.shift.clear();
    }

    /// Does what a saved walk says, and nothing else.
    pub fn load(&mut self, edits: &Edits) {
        self.reset();
        (self.held, self.shift) = (edits.held.clone(), edits.shift.clone());
    }

    /// Whether they change latent vectors alike: the same directions as far, the same values held.
    pub fn are_where(&self, other: &Self) -> bool {
        let rests = |ways: &[f32]| ways.iter().all(|&way| way == 0.0);
        let alike = |a: &[f32], b: &[f32]| a == b || (rests(a) && rests(b));
        let held = |sliders: &Self| {
            sliders.held.iter().enumerate().filter_map(|(i, held)| Some((i, (*held)?))).collect::<Vec<_>>()
        };
        alike(&self.sefa_ways, &other.sefa_ways)
            && alike(&self.pca_ways, &other.pca_ways)
            && held(self) == held(other)
            && self.shift == other.shift
    }

    /// Puts them where those were. What is shown of them stays, and so do directions that those did not know yet.
    pub fn restore(&mut self, those: Self) {
        let resting = |directions: &Option<Arc<Directions>>| {
            vec![0.0; directions.as_ref().map_or(0, |found| found.len())]
        };
        (self.held, self.shift) = (those.held, those.shift);
        match those.sefa {
            Some(_) => (self.sefa, self.sefa_ways) = (those.sefa, those.sefa_ways),
            None => self.sefa_ways = resting(&self.sefa),
        }
        match those.pca {
            Some(_) => (self.pca, self.pca_ways) = (those.pca, those.pca_ways),
            None => self.pca_ways = resting(&self.pca),
        }
    }

    /// Whether no slider was moved.
    pub fn are_at_rest(&self) -> bool {
        self.sefa_ways.iter().chain(&self.pca_ways).all(|&way| way == 0.0)
            && self.held.iter().all(Option::is_none)
            && self.shift.is_empty()
    }

    /// Where a slider is, as a fraction of its range, and whether it was moved. `latent` is what is shown.
    pub fn fraction(&self, target: SliderTarget, space: &LatentSpace, latent: &[f32]) -> (f32, bool) {
        match target {
            SliderTarget::Direction(index) => {
                let ways = if self.set == SliderSet::Pca { &self.pca_ways } else { &self.sefa_ways };
                let way = ways.get(index).copied().unwrap_or(0.0);
                ((way / REACH + 1.0) / 2.0, way != 0.0)
            }
            SliderTarget::Latent(index) => {
                let (low, high) = space.slider_range();
                let held = self.held.get(index).copied().flatten();
                let value = held.or_else(|| latent.get(index).copied()).unwrap_or(space.mean());
                (((value - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0), held.is_some())
            }
            _ => (0.0, false),
        }
    }

    /// The number beside a slider: radii along a direction, or the latent value.
    pub fn value(&self, target: SliderTarget, space: &LatentSpace, latent: &[f32]) -> f32 {
        let (fraction, _) = self.fraction(target, space, latent);
        match target {
            SliderTarget::Latent(_) => {
                let (low, high) = space.slider_range();
                low + (high - low) * fraction
            }
            _ => (fraction * 2.0 - 1.0) * REACH,
        }
    }

    /// What they do to latent vectors, with this truncation.
    pub fn edits(&self, truncation: f32, space: &LatentSpace) -> Edits {
        let unit = space.radius() / REACH;
        let mut shift = self.shift.clone();
        for (directions, ways) in [(&self.sefa, &self.sefa_ways), (&self.pca, &self.pca_ways)] {
            for (direction, way) in
                directions.iter().flat_map(|found| found.iter()).zip(ways).filter(|&(_, &way)| way != 0.0)
            {
                shift.resize(space.size, 0.0);
                shift.iter_mut().zip(direction).for_each(|(value, along)| *value += way * unit * along);
            }
        }
        Edits { truncation, shift, held: self.held.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::latent::Distribution;

    const SPACE: LatentSpace =
        LatentSpace { size: 4, distribution: Distribution::Normal { mean: 0.0, std: 1.0 } };

    #[test]
    fn directions_and_held_values_add_up() {
        let mut sliders = Sliders { set: SliderSet::Sefa, ..Sliders::default() };
        assert!(sliders.lacks_directions());
        sliders.set_directions(Method::Sefa, vec![vec![1.0, 0.0, 0.0, 0.0], vec![0.0, 1.0, 0.0, 0.0]]);
        sliders.set_directions(Method::Pca, vec![vec![0.0, 0.0, 1.0, 0.0]]);
        assert!(!sliders.lacks_directions() && sliders.are_at_rest());
        sliders.set(SliderTarget::Direction(0), 1.0, &SPACE);
        sliders.set(SliderTarget::Direction(1), 0.51, &SPACE);
        sliders.set(SliderTarget::Direction(9), 1.0, &SPACE);
        sliders.set = SliderSet::Pca;
        sliders.set(SliderTarget::Direction(0), 0.0, &SPACE);
        sliders.set(SliderTarget::Latent(3), 1.0, &SPACE);
        let mut latent = [0.5; 4];
        sliders.edits(1.0, &SPACE).apply(&SPACE, &mut latent);
        // The radius is 2; the second direction is at its sticky middle.
        assert_eq!(latent, [2.5, 0.5, -1.5, 3.0]);
        assert_eq!(sliders.fraction(SliderTarget::Latent(3), &SPACE, &latent), (1.0, true));
        assert_eq!(sliders.fraction(SliderTarget::Latent(1), &SPACE, &latent), (3.5 / 6.0, false));
        assert_eq!(sliders.value(SliderTarget::Direction(0), &SPACE, &[]), -3.0);
        sliders.release(SliderTarget::Latent(3));
        sliders.release(SliderTarget::Direction(0));
        assert!(!sliders.are_at_rest());
        sliders.reset();
        assert!(sliders.are_at_rest());
    }
}
