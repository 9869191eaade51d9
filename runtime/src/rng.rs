//! A seeded random number generator whose output is the same, bit for bit, on every target.
//!
//! The generator is xoshiro256++ 1.0 (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators",
//! ACM TOMS 47, 2021), seeded through splitmix64 as its authors recommend. It is not for cryptography.

/// xoshiro256++: 256 bits of state, period 2^256 - 1.
///
/// ```
/// use latent_runtime::rng::Rng;
///
/// let mut a = Rng::from_seed(1);
/// let mut b = Rng::from_state(a.state()).unwrap();
/// assert_eq!(a.next_u64(), b.next_u64());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: [u64; 4],
}

/// One step of splitmix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014):
/// the next state and its output.
const fn splitmix64(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

impl Rng {
    /// A generator for this seed. Every seed is good, zero too: four successive outputs of splitmix64 are never all zero.
    pub const fn from_seed(seed: u64) -> Self {
        let (seed, a) = splitmix64(seed);
        let (seed, b) = splitmix64(seed);
        let (seed, c) = splitmix64(seed);
        let (_, d) = splitmix64(seed);
        Self { state: [a, b, c, d] }
    }

    /// Continues from a state saved with [`Rng::state`]. `None` for the all-zero state, which only ever yields zero.
    pub const fn from_state(state: [u64; 4]) -> Option<Self> {
        if state[0] | state[1] | state[2] | state[3] == 0 { None } else { Some(Self { state }) }
    }

    /// The whole state, for a checkpoint.
    pub const fn state(&self) -> [u64; 4] {
        self.state
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        let (s1_next, s0_next) = (s1 ^ s2, s0 ^ s3);
        self.state = [s0_next, s1_next, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// Uniform in [0, 1): one of the 2^24 multiples of 2^-24, all equally likely.
    pub const fn next_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform between `low` and `high`: `low + (high - low) * u` with `u` from [`Rng::next_f32`].
    ///
    /// `low` can be hit; `high` only where the sum rounds up to it.
    pub const fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next_f32()
    }

    /// Standard normal, by the cosine half of the Box-Muller transform. The sine half is not kept, so that each value
    /// takes exactly two draws and [`Rng::state`] is all there is to save. Magnitudes are at most
    /// `sqrt(48 ln 2)`, about 5.77.
    pub fn normal(&mut self) -> f32 {
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.next_f32()));
        radius * libm::cosf(core::f32::consts::TAU * self.next_f32())
    }

    /// Uniform over `0..n`, without bias (D. Lemire, "Fast Random Integer Generation in an Interval", 2019).
    /// `below(0)` is 0.
    pub const fn below(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let mut product = (self.next_u64() >> 32) * n as u64;
        if (product as u32) < n {
            // 2^32 mod n: the draws below it would favor some results.
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = (self.next_u64() >> 32) * n as u64;
            }
        }
        (product >> 32) as u32
    }

    /// A generator for a separate purpose, seeded from the next 64 bits of this one.
    pub const fn fork(&mut self) -> Rng {
        Rng::from_seed(self.next_u64())
    }

    /// Puts `items` into random order (Fisher-Yates, from the last element down).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = match u32::try_from(last + 1) {
                Ok(n) => self.below(n) as usize,
                // More than 2^32 items: the bias of a 128-bit product is below 2^-31.
                Err(_) => ((self.next_u64() as u128 * (last as u128 + 1)) >> 64) as usize,
            };
            items.swap(last, chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the reference implementation in C (also that of the crate rand_xoshiro): state 1, 2, 3, 4.
    #[test]
    fn xoshiro256plusplus_matches_the_reference_vector() {
        let mut rng = Rng::from_state([1, 2, 3, 4]).unwrap();
        let expected = [
            41943041,
            58720359,
            3588806011781223,
            3591011842654386,
            9228616714210784205,
            9973669472204895162,
            14011001112246962877,
            12406186145184390807,
            15849039046786891736,
            10450023813501588000,
        ];
        assert_eq!(core::array::from_fn::<u64, 10, _>(|_| rng.next_u64()), expected);
    }

    /// The vector of splitmix64.c for the seed 1477776061723855037.
    #[test]
    fn splitmix64_matches_the_reference_vector() {
        let mut state = 1477776061723855037;
        for expected in [
            1985237415132408290,
            2979275885539914483,
            13511426838097143398,
            8488337342461049707,
            15141737807933549159,
        ] {
            let (next, output) = splitmix64(state);
            assert_eq!(output, expected);
            state = next;
        }
    }

    #[test]
    fn seeding_takes_four_outputs_of_splitmix64() {
        // splitmix64 from 0, as published with Java's SplittableRandom and many ports.
        let expected = [0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec];
        assert_eq!(Rng::from_seed(0).state(), expected);
    }

    #[test]
    fn a_saved_state_continues_and_zero_is_refused() {
        let mut rng = Rng::from_seed(3);
        rng.normal();
        let mut copy = Rng::from_state(rng.state()).unwrap();
        for _ in 0..100 {
            assert_eq!(rng.normal().to_bits(), copy.normal().to_bits());
        }
        assert_eq!(Rng::from_state([0; 4]), None);
    }

    #[test]
    fn floats_stay_in_range_and_have_the_right_mean() {
        let mut rng = Rng::from_seed(11);
        let (mut sum, n) = (0.0f64, 100_000);
        for _ in 0..n {
            let value = rng.uniform(-3.0, 5.0);
            assert!((-3.0..=5.0).contains(&value));
            sum += f64::from(value);
        }
        // Standard error of the mean: 8 / sqrt(12 n) = 0.0073; the bound is over 5 of them.
        assert!(libm::fabs(sum / n as f64 - 1.0) < 0.04);
    }

    #[test]
    fn normal_has_its_moments_and_takes_two_draws() {
        let mut rng = Rng::from_seed(5);
        let n = 200_000;
        let (mut m1, mut m2, mut m4) = (0.0f64, 0.0, 0.0);
        for _ in 0..n {
            let x = f64::from(rng.normal());
            assert!(libm::fabs(x) < 5.8);
            m1 += x;
            m2 += x * x;
            m4 += x * x * x * x;
        }
        let n = n as f64;
        assert!(libm::fabs(m1 / n) < 0.012, "mean {}", m1 / n);
        assert!(libm::fabs(m2 / n - 1.0) < 0.017, "variance {}", m2 / n);
        assert!(libm::fabs(m4 / n - 3.0) < 0.12, "fourth moment {}", m4 / n);

        let (mut a, mut b) = (Rng::from_seed(9), Rng::from_seed(9));
        a.normal();
        b.next_f32();
        b.next_f32();
        assert_eq!(a, b);
    }

    /// The bits that every target must give; a change here changes every picture made from a seed.
    #[test]
    fn bits_of_a_seed_are_pinned() {
        let mut rng = Rng::from_seed(0);
        let draws: [u32; 3] = core::array::from_fn(|_| rng.next_f32().to_bits());
        let normals: [u32; 3] = core::array::from_fn(|_| rng.normal().to_bits());
        assert_eq!(draws, [1051078330, 1053013214, 1052254142]);
        assert_eq!(normals, [3189465048, 1040335690, 3205083536]);
    }

    #[test]
    fn below_is_uniform_and_bounded() {
        let mut rng = Rng::from_seed(2);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        for count in counts {
            assert!((9_500..10_500).contains(&count), "{counts:?}");
        }
        // A bound where plain scaling is badly biased: 3 * 2^30. A third of the draws is below 2^30.
        let low = (0..30_000).filter(|_| rng.below(3 << 30) < 1 << 30).count();
        assert!((9_500..10_500).contains(&low), "{low}");
    }

    #[test]
    fn shuffle_permutes_and_reaches_every_order() {
        let mut rng = Rng::from_seed(4);
        let mut seen = [0u32; 6];
        for _ in 0..6_000 {
            let mut items = [0usize, 1, 2];
            rng.shuffle(&mut items);
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            seen[items[0] * 2 + usize::from(items[1] > items[2])] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1_200).contains(&count)), "{seen:?}");
        rng.shuffle::<u8>(&mut []);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut rng = Rng::from_seed(6);
        let (mut a, mut b) = (rng.fork(), rng.fork());
        let (a, b, c) = (a.next_u64(), b.next_u64(), rng.next_u64());
        assert!(a != b && b != c && a != c);
    }
}
