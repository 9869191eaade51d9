//! The range whose integers keep most of what a distribution tells: the entropy calibrator.
//!
//! S. Migacz, "8-bit Inference with TensorRT" (GTC 2017), in the form of NVIDIA's pytorch-quantization toolkit: for
//! each threshold, the distribution with everything beyond added to the outermost intervals (P) is compared with what
//! is left of it when the intervals within are merged to as many levels as there are integers and spread again over those
//! that held something (Q). The threshold with the least Kullback-Leibler divergence of P from Q wins, of equals the
//! largest. Of activations on both sides of zero the range reaches equally far to both, but nowhere beyond what was
//! observed, as in ONNX Runtime.

use std::ops::Range;

/// As many as there are integers.
const LEVELS: usize = 256;

/// Intervals that the shortest range reaches from zero.
const SHORTEST: usize = 128;

/// The intervals to keep, of a histogram with `counts` whose middle is zero; `None` when nothing but zeros was counted.
pub(super) fn least_divergence(counts: &[u64]) -> Option<Range<usize>> {
    let zero = counts.len() / 2;
    let mut counts = counts.to_vec();
    // Zeros are exact in every range. A function like ReLU makes so many of them that nothing else would count.
    let next = *counts.get(zero + 1)?;
    *counts.get_mut(zero)? = next;
    let first = counts.iter().position(|&count| count > 0)?.min(zero);
    let last = counts.iter().rposition(|&count| count > 0)?.max(zero - 1);
    let sums = Sums::of(&counts);
    let farthest = (zero - first).max(last + 1 - zero);
    let mut best = (f64::INFINITY, first..last + 1);
    for reach in SHORTEST.min(farthest)..=farthest {
        let range = first.max(zero.saturating_sub(reach))..(last + 1).min(zero + reach);
        let divergence = sums.divergence(&counts, &range, LEVELS);
        if divergence <= best.0 {
            best = (divergence, range);
        }
    }
    Some(best.1)
}

/// Sums over all intervals before each, and over all at the end.
struct Sums {
    /// Of the counts.
    mass: Vec<u64>,
    /// Of the intervals that hold something.
    filled: Vec<usize>,
    /// Of count ln(count).
    information: Vec<f64>,
}

impl Sums {
    fn of(counts: &[u64]) -> Sums {
        let mut sums = Sums { mass: vec![], filled: vec![], information: vec![] };
        let (mut mass, mut filled, mut all) = (0, 0, 0.0);
        for &count in counts.iter().chain([&0]) {
            sums.mass.push(mass);
            sums.filled.push(filled);
            sums.information.push(all);
            mass += count;
            filled += usize::from(count > 0);
            all += information(count);
        }
        sums
    }

    /// The divergence of the whole distribution from what so many levels of `range` keep of it; infinite where something
    /// is that they say cannot be.
    fn divergence(&self, counts: &[u64], range: &Range<usize>, levels: usize) -> f64 {
        let all = self.mass.last().copied().unwrap_or(0);
        let inside = self.mass[range.end] - self.mass[range.start];
        // What lies beyond belongs to the outermost intervals.
        let beyond = [(range.start, self.mass[range.start]), (range.end - 1, all - self.mass[range.end])];
        let mut sum = 0.0;
        for level in 0..levels {
            let bound = |level: usize| range.start + (level * range.len()).div_ceil(levels);
            let (from, to) = (bound(level), bound(level + 1));
            let within = self.mass[to] - self.mass[from];
            let mut filled = self.filled[to] - self.filled[from];
            let mut mass = within;
            let mut own = self.information[to] - self.information[from];
            for (at, more) in beyond {
                if more > 0 && (from..to).contains(&at) {
                    own += information(counts[at] + more) - information(counts[at]);
                    filled += usize::from(counts[at] == 0);
                    mass += more;
                }
            }
            if mass > 0 && within == 0 {
                return f64::INFINITY;
            }
            if mass > 0 {
                sum += own - mass as f64 * (within as f64 / filled as f64).ln();
            }
        }
        let (all, inside) = (all as f64, inside as f64);
        sum / all + (inside / all).ln()
    }
}

fn information(count: u64) -> f64 {
    if count == 0 { 0.0 } else { count as f64 * (count as f64).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distributions with the ranges that `tests/python/entropy_ranges.py` prints, which follows the definition with
    /// numpy, interval by interval.
    #[rustfmt::skip] // A table.
    const RANGES: &[(&str, Range<usize>)] = &[
        ("normal", 819..3277),
        ("rectified", 2048..3329),
        ("exponential", 1..4095),
        ("rectified exponential", 2048..4096),
        ("leaky", 1779..3183),
        ("outliers", 1437..2659),
        ("uniform", 0..4096),
        ("uniform within", 1748..2548),
        ("below", 577..2048),
        ("narrow", 2048..2148),
    ];

    /// Counts of one of the distributions, in 4096 intervals; as in the script.
    fn distribution(name: &str) -> Vec<u64> {
        let count = |at: i64| -> u64 {
            let x = at as f64 / 256.0;
            let bell = |x: f64| (1e6 * (-x * x / 2.0).exp()).floor() as u64;
            let tails = |x: f64| (1e5 * (-x.abs()).exp()).floor() as u64;
            match name {
                "normal" => bell(x),
                "rectified" if at > 0 => bell(x),
                "rectified" if at == 0 => 50_000_000,
                "exponential" => tails(x),
                "rectified exponential" if at >= 0 => tails(x),
                "leaky" => {
                    if at >= 0 {
                        bell(x)
                    } else {
                        5 * bell(5.0 * x)
                    }
                }
                "outliers" => bell(2.0 * x) + u64::from(at % 97 == 5) * 3,
                "uniform" => 1000,
                "uniform within" if (-300..500).contains(&at) => 1000,
                "below" if at < 0 => tails(2.0 * x),
                "narrow" if (0..100).contains(&at) => 7 + at as u64,
                _ => 0,
            }
        };
        (-2048..2048).map(count).collect()
    }

    #[test]
    fn ranges_are_those_of_the_definition() {
        for (name, expected) in RANGES {
            assert_eq!(least_divergence(&distribution(name)).as_ref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn nothing_but_zeros_has_no_range() {
        let mut counts = vec![0; 4096];
        assert_eq!(least_divergence(&counts), None);
        counts[2048] = 9;
        assert_eq!(least_divergence(&counts), None);
    }

    #[test]
    fn a_divergence_by_hand() {
        // Two values lie beyond eight intervals, and belong to the last of them, in levels of two intervals.
        let counts = [1, 3, 0, 0, 2, 2, 4, 0, 2];
        let found = Sums::of(&counts).divergence(&counts, &(0..8), 4);
        // What is left of it says that six intervals are equally likely.
        let expected: f64 = [1.0, 3.0, 2.0, 2.0, 4.0, 2.0]
            .map(|count| count / 14.0 * (count / 14.0 * 6.0f64).ln())
            .iter()
            .sum();
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        // One level is empty but for what lies beyond: it says that this cannot be.
        let counts = [1, 3, 2, 2, 0, 0, 5];
        assert_eq!(Sums::of(&counts).divergence(&counts, &(0..6), 3), f64::INFINITY);
    }
}
