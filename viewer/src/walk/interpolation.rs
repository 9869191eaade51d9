//! Curves between key frames.

use std::fmt;

use latent_runtime::latent::{lerp, slerp};

/// How the walk goes from one key frame to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Interpolation {
    /// Straight lines.
    Lerp,
    /// Great circles: keeps the distance from zero, which suits normal latents.
    Slerp,
    /// A Catmull-Rom spline: smooth through every key frame.
    Spline,
}

impl Interpolation {
    /// All of them, in the order in which the window goes through them.
    pub const ALL: [Self; 3] = [Self::Slerp, Self::Lerp, Self::Spline];

    /// The name on the command line and in walk files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lerp => "lerp",
            Self::Slerp => "slerp",
            Self::Spline => "spline",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interpolation| interpolation.name() == name)
    }

    /// The one after this, and after the last the first.
    pub fn next(self) -> Self {
        let index = Self::ALL.iter().position(|&other| other == self).unwrap_or(0);
        Self::ALL[(index + 1) % Self::ALL.len()]
    }

    /// The point at `t` in [0, 1] between the two middle ones of four consecutive key frames. Only the spline looks at
    /// the outer ones.
    pub fn between(self, around: [&[f32]; 4], t: f32, out: &mut [f32]) {
        let [_, from, to, _] = around;
        match self {
            Self::Lerp => lerp(from, to, t, out),
            Self::Slerp => slerp(from, to, t, out),
            Self::Spline => catmull_rom(around, t, out),
        }
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The uniform Catmull-Rom spline (E. Catmull and R. Rom, "A class of local interpolating splines", 1974), tension 1/2:
/// at `t = 0` it is `p1` with the slope `(p2 - p0) / 2`, at `t = 1` it is `p2` with the slope `(p3 - p1) / 2`.
fn catmull_rom([p0, p1, p2, p3]: [&[f32]; 4], t: f32, out: &mut [f32]) {
    let (t2, t3) = (t * t, t * t * t);
    let weights = [
        -0.5 * t3 + t2 - 0.5 * t,
        1.5 * t3 - 2.5 * t2 + 1.0,
        -1.5 * t3 + 2.0 * t2 + 0.5 * t,
        0.5 * (t3 - t2),
    ];
    for ((((out, a), b), c), d) in out.iter_mut().zip(p0).zip(p1).zip(p2).zip(p3) {
        *out = weights[0] * a + weights[1] * b + weights[2] * c + weights[3] * d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(interpolation: Interpolation, points: [[f32; 2]; 4], t: f32) -> [f32; 2] {
        let mut out = [f32::NAN; 2];
        let [a, b, c, d] = &points;
        interpolation.between([a, b, c, d], t, &mut out);
        out
    }

    const POINTS: [[f32; 2]; 4] = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];

    #[test]
    fn every_interpolation_hits_its_key_frames() {
        for interpolation in Interpolation::ALL {
            assert_eq!(at(interpolation, POINTS, 0.0), POINTS[1], "{interpolation}");
            assert_eq!(at(interpolation, POINTS, 1.0), POINTS[2], "{interpolation}");
        }
    }

    #[test]
    fn the_middle_is_where_each_curve_says() {
        let half = 0.5f32.sqrt();
        for (interpolation, expected) in [
            (Interpolation::Lerp, [-0.5, 0.5]),
            (Interpolation::Slerp, [-half, half]),
            // (-1, 9, 9, -1) / 16
            (Interpolation::Spline, [-0.625, 0.625]),
        ] {
            let found = at(interpolation, POINTS, 0.5);
            let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{interpolation}: {found:?}");
        }
    }

    #[test]
    fn the_spline_has_no_kink_at_a_key_frame() {
        let next = [POINTS[1], POINTS[2], POINTS[3], [3.0, 2.0]];
        let h = 1e-3;
        for (axis, at_key) in POINTS[2].into_iter().enumerate() {
            let before = (at_key - at(Interpolation::Spline, POINTS, 1.0 - h)[axis]) / h;
            let after = (at(Interpolation::Spline, next, h)[axis] - at_key) / h;
            assert!((before - after).abs() < 0.01, "axis {axis}: slope {before} then {after}");
        }
    }

    #[test]
    fn names_go_both_ways() {
        for interpolation in Interpolation::ALL {
            assert_eq!(Interpolation::from_name(interpolation.name()), Some(interpolation));
            assert_ne!(interpolation.next(), interpolation);
        }
        assert_eq!(Interpolation::from_name("cubic"), None);
    }
}
