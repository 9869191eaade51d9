//! How the values of an activation are distributed.

/// Intervals of a histogram. At least a quarter of them lie on the side of zero that reaches farther, so a step of an 8-bit
/// integer is 16 of them or more.
const BINS: usize = 1 << 14;

/// Counts of values in equal intervals from -radius to radius. The radius is a power of two that grows as larger values
/// come, two intervals becoming one each time: what is counted does not depend on the order in which values come.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    radius: f64,
    counts: Vec<u64>,
    /// The least value; infinite when there is none.
    pub(super) low: f32,
    /// The greatest value.
    pub(super) high: f32,
}

/// A value was infinite or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram { radius: 0.0, counts: Vec::new(), low: f32::INFINITY, high: f32::NEG_INFINITY }
    }

    /// Counts `values`.
    pub(super) fn add(&mut self, values: &[f32]) -> Result<(), NotFinite> {
        if values.iter().any(|value| !value.is_finite()) {
            return Err(NotFinite);
        }
        for &value in values {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
        if values.is_empty() {
            return Ok(());
        }
        self.reach(f64::from(self.high.max(-self.low)));
        let per_unit = BINS as f64 / (2.0 * self.radius);
        for &value in values {
            // Exact but for values far below an interval's width, which fall to one side of zero always.
            let bin = (f64::from(value) + self.radius) * per_unit;
            self.counts[(bin as usize).min(BINS - 1)] += 1;
        }
        Ok(())
    }

    /// Counts what `other` has counted too.
    pub(super) fn merge(&mut self, other: &Histogram) {
        if other.counts.is_empty() {
            return;
        }
        let mut other = other.clone();
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.reach(other.radius / 2.0);
        other.reach(self.radius / 2.0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Makes the radius greater than `value`.
    fn reach(&mut self, value: f64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BINS];
            self.radius = 1.0;
            // Not smaller than what 32-bit floats tell apart.
            while self.radius / 2.0 > value && self.radius > 1e-38 {
                self.radius /= 2.0;
            }
        }
        while self.radius <= value {
            let mut wider = vec![0; BINS];
            for (bin, count) in self.counts.iter().enumerate() {
                wider[BINS / 4 + bin / 2] += count;
            }
            self.counts = wider;
            self.radius *= 2.0;
        }
    }

    /// How many values were counted.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All intervals, `count` after the other being one: the bounds by place, and the number of values in each. Zero is the
    /// lower bound of the second half's first.
    pub(super) fn merged(&self, count: usize) -> (impl Fn(usize) -> f64 + use<>, Vec<u64>) {
        let (width, radius) = (2.0 * self.radius / BINS as f64 * count as f64, self.radius);
        let counts = self.counts.chunks(count).map(|counts| counts.iter().sum()).collect();
        (move |place| place as f64 * width - radius, counts)
    }

    /// The intervals that hold values: lower bound, upper bound, number of values; ascending.
    pub(super) fn intervals(&self) -> impl DoubleEndedIterator<Item = (f64, f64, u64)> {
        let width = 2.0 * self.radius / BINS as f64;
        let bound = move |bin: usize| bin as f64 * width - self.radius;
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(move |(bin, &count)| (bound(bin), bound(bin + 1), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::rng::Rng;

    #[test]
    fn counts_do_not_depend_on_the_order() {
        let mut rng = Rng::from_seed(1);
        let mut values: Vec<f32> =
            (0..5000).map(|_| rng.normal() * 10.0f32.powi(rng.normal() as i32)).collect();
        values.extend([0.0, 1.0, -1.0, 2.0, 1e-30, -1e-30]);
        let mut at_once = Histogram::new();
        at_once.add(&values).unwrap();
        // In pieces that grow, into two histograms, joined either way round.
        values.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let mut parts = [Histogram::new(), Histogram::new()];
        for (index, piece) in values.chunks(700).enumerate() {
            parts[index % 2].add(piece).unwrap();
        }
        for (first, second) in [(0, 1), (1, 0)] {
            let mut joined = parts[first].clone();
            joined.merge(&parts[second]);
            assert_eq!((joined.low, joined.high, joined.radius), (at_once.low, at_once.high, at_once.radius));
            assert!(joined.counts == at_once.counts);
        }
        assert_eq!(at_once.count(), values.len() as u64);
    }

    #[test]
    fn intervals_hold_their_values() {
        let mut histogram = Histogram::new();
        histogram.merge(&Histogram::new());
        histogram.add(&[]).unwrap();
        assert_eq!(histogram.count(), 0);
        histogram.add(&[-3.0, 0.0, 0.0, 5.0]).unwrap();
        let found: Vec<_> = histogram.intervals().collect();
        assert_eq!(found.len(), 3);
        for ((low, high, count), (value, expected)) in found.into_iter().zip([(-3.0, 1), (0.0, 2), (5.0, 1)])
        {
            assert!(low <= value && value < high && high - low < 0.001 * 8.0, "{low} {high}");
            assert_eq!(count, expected);
        }
        let (bounds, counts) = histogram.merged(4);
        assert_eq!((counts.len(), bounds(0), bounds(BINS / 8), bounds(BINS / 4)), (BINS / 4, -8.0, 0.0, 8.0));
        let filled: Vec<_> = (0..BINS / 4)
            .filter(|&place| counts[place] > 0)
            .map(|place| (bounds(place), counts[place]))
            .collect();
        assert_eq!(filled, [(-3.0, 1), (0.0, 2), (5.0, 1)]);
        assert_eq!(histogram.add(&[f32::NAN]), Err(NotFinite));
        assert_eq!(histogram.add(&[f32::INFINITY]), Err(NotFinite));
        let mut zeros = Histogram::new();
        zeros.add(&[0.0; 7]).unwrap();
        assert_eq!((zeros.low, zeros.high, zeros.count()), (0.0, 0.0, 7));
        let mut largest = Histogram::new();
        largest.add(&[f32::MAX, f32::MIN]).unwrap();
        assert_eq!(largest.count(), 2);
    }
}
