//! Latent vectors: drawing them, and walking between them.

use core::fmt;

use crate::rng::Rng;

/// What a generator's latent values are drawn from, each independently. In files it is a name and two numbers: see
/// [`Distribution::parts`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Uniform between `low` and `high`.
    Uniform {
        /// The smallest value.
        low: f32,
        /// The bound above.
        high: f32,
    },
    /// Normal (Gaussian).
    Normal {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        std: f32,
    },
}

impl Distribution {
    /// U(-1, 1), what the reference generators are trained with.
    pub const REFERENCE: Self = Self::Uniform { low: -1.0, high: 1.0 };
    /// N(0, 1).
    pub const STANDARD_NORMAL: Self = Self::Normal { mean: 0.0, std: 1.0 };

    /// The distribution of these [parts](Self::parts); `None` if there is none of that name, a number is not finite, a
    /// uniform one does not have `a < b`, or a normal one `b > 0`.
    pub fn from_parts(name: &str, a: f32, b: f32) -> Option<Self> {
        match name {
            _ if !(a.is_finite() && b.is_finite()) => None,
            "uniform" if a < b => Some(Self::Uniform { low: a, high: b }),
            "normal" if b > 0.0 => Some(Self::Normal { mean: a, std: b }),
            _ => None,
        }
    }

    /// The name, `uniform` or `normal`, and two numbers: low and high, or mean and standard deviation.
    pub const fn parts(&self) -> (&'static str, f32, f32) {
        match *self {
            Self::Uniform { low, high } => ("uniform", low, high),
            Self::Normal { mean, std } => ("normal", mean, std),
        }
    }

    /// Draws one value per element of `out`, in order: one draw each if uniform, two if normal.
    pub fn fill(&self, rng: &mut Rng, out: &mut [f32]) {
        match *self {
            Self::Uniform { low, high } => out.fill_with(|| rng.uniform(low, high)),
            Self::Normal { mean, std } => out.fill_with(|| mean + std * rng.normal()),
        }
    }
}

impl fmt::Display for Distribution {
    /// `U(low, high)` or `N(mean, std^2)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform { low, high } => write!(f, "U({low}, {high})"),
            Self::Normal { mean, std } => write!(f, "N({mean}, {std}^2)"),
        }
    }
}

/// Linear interpolation, `(1 - t) a + t b`, element by element; `a` at `t = 0` and `b` at `t = 1`, exactly, if all
/// values are finite. `t` is not clamped.
///
/// The three slices should have one length; elements beyond the shortest are left alone.
pub fn lerp(a: &[f32], b: &[f32], t: f32, out: &mut [f32]) {
    combine(a, b, 1.0 - t, t, out);
}

/// Spherical linear interpolation (K. Shoemake, "Animating rotation with quaternion curves", 1985; for latent spaces
/// T. White, "Sampling Generative Networks", 2016): `sin((1-t)w)/sin(w) a + sin(t w)/sin(w) b`, with `w` the angle
/// between `a` and `b`. Vectors of equal norm keep it on the way, which matters where the latent is normal: the
/// straight line between two draws passes through norms that are never drawn.
///
/// Falls back to [`lerp`] where the great circle is undefined or badly conditioned: nearly parallel or antiparallel
/// vectors, a zero vector, values that are not finite.
///
/// The three slices should have one length; elements beyond the shortest are left alone.
pub fn slerp(a: &[f32], b: &[f32], t: f32, out: &mut [f32]) {
    let (mut dot, mut aa, mut bb) = (0.0f64, 0.0f64, 0.0f64);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (f64::from(x), f64::from(y));
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    let cos = dot / libm::sqrt(aa * bb);
    // Also false for NaN, which a zero or non-finite vector gives. At the bound sin(w) is 1.4e-4: nearer to parallel
    // slerp and lerp differ by less than f32's rounding, nearer to antiparallel that rounding would choose the plane.
    if libm::fabs(cos) < 1.0 - 1e-8 {
        let angle = libm::acos(cos);
        let (sin, t) = (libm::sin(angle), f64::from(t));
        let (weight_a, weight_b) = (libm::sin((1.0 - t) * angle) / sin, libm::sin(t * angle) / sin);
        combine(a, b, weight_a as f32, weight_b as f32, out);
    } else {
        lerp(a, b, t, out);
    }
}

fn combine(a: &[f32], b: &[f32], weight_a: f32, weight_b: f32, out: &mut [f32]) {
    debug_assert!(a.len() == b.len() && b.len() == out.len(), "slices of different lengths");
    for ((&x, &y), out) in a.iter().zip(b).zip(out) {
        *out = weight_a * x + weight_b * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(v: &[f32]) -> f64 {
        libm::sqrt(v.iter().map(|&x| f64::from(x) * f64::from(x)).sum())
    }

    fn draw(seed: u64) -> [f32; 96] {
        let mut out = [0.0; 96];
        Distribution::Normal { mean: 0.0, std: 1.0 }.fill(&mut Rng::from_seed(seed), &mut out);
        out
    }

    #[test]
    fn fill_draws_in_order() {
        let mut out = [0.0; 5];
        let (mut rng, mut again) = (Rng::from_seed(1), Rng::from_seed(1));
        Distribution::Uniform { low: 2.0, high: 4.0 }.fill(&mut rng, &mut out);
        assert_eq!(out, core::array::from_fn(|_| again.uniform(2.0, 4.0)));
        Distribution::Normal { mean: 10.0, std: 2.0 }.fill(&mut rng, &mut out);
        assert_eq!(out, core::array::from_fn(|_| 10.0 + 2.0 * again.normal()));
        assert_eq!(rng, again);
    }

    #[test]
    fn parts_make_the_whole() {
        for distribution in [Distribution::REFERENCE, Distribution::Normal { mean: 0.5, std: 2.0 }] {
            let (name, a, b) = distribution.parts();
            assert_eq!(Distribution::from_parts(name, a, b), Some(distribution));
        }
        for (name, a, b) in [
            ("cauchy", 0.0, 1.0),
            ("uniform", 1.0, 1.0),
            ("uniform", f32::NAN, 1.0),
            ("normal", 0.0, 0.0),
            ("normal", 0.0, f32::INFINITY),
        ] {
            assert_eq!(Distribution::from_parts(name, a, b), None, "{name} {a} {b}");
        }
        assert_eq!(std::format!("{}", Distribution::REFERENCE), "U(-1, 1)");
        assert_eq!(std::format!("{}", Distribution::STANDARD_NORMAL), "N(0, 1^2)");
    }

    #[test]
    fn end_points_are_exact() {
        let (a, b) = (draw(1), draw(2));
        for interpolate in [lerp, slerp] {
            let mut out = [f32::NAN; 96];
            interpolate(&a, &b, 0.0, &mut out);
            assert_eq!(out, a);
            interpolate(&a, &b, 1.0, &mut out);
            assert_eq!(out, b);
        }
    }

    #[test]
    fn slerp_keeps_the_norm_and_divides_the_angle() {
        let (a, mut b) = (draw(3), draw(4));
        let scale = (norm(&a) / norm(&b)) as f32;
        b.iter_mut().for_each(|x| *x *= scale);
        let cos = |u: &[f32], v: &[f32]| {
            u.iter().zip(v).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>() / (norm(u) * norm(v))
        };
        let angle = libm::acos(cos(&a, &b));
        for step in 1..8 {
            let t = step as f32 / 8.0;
            let mut out = [0.0; 96];
            slerp(&a, &b, t, &mut out);
            assert!(libm::fabs(norm(&out) / norm(&a) - 1.0) < 1e-6, "norm at {t}");
            assert!(libm::fabs(libm::acos(cos(&a, &out)) - f64::from(t) * angle) < 1e-5, "angle at {t}");
            lerp(&a, &b, t, &mut out);
            assert!(norm(&out) < norm(&a) * 0.999, "lerp cuts the corner at {t}");
        }
    }

    #[test]
    fn slerp_of_right_angles() {
        let mut out = [0.0; 2];
        slerp(&[1.0, 0.0], &[0.0, 1.0], 0.5, &mut out);
        let half = core::f32::consts::FRAC_1_SQRT_2;
        assert!(out.iter().all(|x| libm::fabsf(x - half) < 1e-7), "{out:?}");
    }

    #[test]
    fn degenerate_pairs_fall_back_to_lerp() {
        let a = [0.5, -0.25, 1.0];
        let cases: [(&str, [f32; 3], [f32; 3]); 6] = [
            ("equal", a, a),
            ("parallel", a, [1.0, -0.5, 2.0]),
            ("antiparallel", a, [-0.5, 0.25, -1.0]),
            ("zero", a, [0.0; 3]),
            ("both zero", [0.0; 3], [0.0; 3]),
            ("nearly parallel", a, [0.5, -0.25, 1.0 + 1e-6]),
        ];
        for (name, a, b) in cases {
            let (mut by_slerp, mut by_lerp) = ([0.0; 3], [0.0; 3]);
            slerp(&a, &b, 0.375, &mut by_slerp);
            lerp(&a, &b, 0.375, &mut by_lerp);
            assert_eq!(by_slerp, by_lerp, "{name}");
            assert!(by_slerp.iter().all(|x| x.is_finite()), "{name}");
        }
        let mut out = [0.0; 3];
        slerp(&a, &[f32::NAN; 3], 0.5, &mut out);
        assert!(out.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn interpolation_is_symmetric() {
        let (a, b) = (draw(8), draw(9));
        for interpolate in [lerp, slerp] {
            let (mut forth, mut back) = ([0.0; 96], [0.0; 96]);
            interpolate(&a, &b, 0.25, &mut forth);
            interpolate(&b, &a, 0.75, &mut back);
            assert!(forth.iter().zip(back).all(|(x, y)| libm::fabsf(x - y) < 1e-6));
        }
    }

    /// The bits of sampling and interpolation, which are the same on every target: this sum was also computed on a
    /// Cortex-M7 (thumbv7em-none-eabihf, in QEMU).
    #[test]
    fn bits_are_the_same_on_every_target() {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bits: u32| sum = (sum ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3);
        let mut rng = Rng::from_seed(0);
        (0..20_000).for_each(|_| add(rng.normal().to_bits()));
        let (mut a, mut b, mut out) = ([0.0; 96], [0.0; 96], [0.0; 96]);
        Distribution::REFERENCE.fill(&mut rng, &mut a);
        Distribution::Normal { mean: 0.1, std: 1.3 }.fill(&mut rng, &mut b);
        for step in 0..200 {
            slerp(&a, &b, step as f32 / 199.0, &mut out);
            for value in out {
                add(value.to_bits());
                add(u32::from(crate::pixels::ValueRange::SIGNED.to_u8(value)));
            }
        }
        assert_eq!(sum, 0xf077_0bbc_b505_5be2);
    }
}
