//! The plane of seeds: every integer point is a random latent vector, and between them it is interpolated.

use latent_runtime::latent::{lerp, slerp};

use crate::walk::{Interpolation, KeyFrame, LatentSpace};

/// The seed of an integer point; different for all points. On the line `y = 0`, x = 0, -1, 1, -2, 2, ... are the seeds
/// 0, 1, 2, 3, 4, ...
pub(super) fn seed(x: i32, y: i32) -> u64 {
    // ZigZag: signed numbers in the order 0, -1, 1, -2, 2, ...
    let unsigned = |n: i32| ((n << 1) ^ (n >> 31)) as u32;
    u64::from(unsigned(x)) | u64::from(unsigned(y)) << 32
}

/// The latent vector at a point: interpolated between the four integer points around it, first along x, then along y.
/// A spline is taken for slerp here.
pub(super) fn latent(space: &LatentSpace, (x, y): (f64, f64), interpolation: Interpolation) -> Vec<f32> {
    let between = |a: &[f32], b: &[f32], t: f32| {
        let mut out = vec![0.0; space.size];
        match interpolation {
            Interpolation::Lerp => lerp(a, b, t, &mut out),
            Interpolation::Slerp | Interpolation::Spline => slerp(a, b, t, &mut out),
        }
        out
    };
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = ((x - left) as f32, (y - top) as f32);
    // `as` saturates; the plane ends there.
    let (left, top) = (left as i32, top as i32);
    let row = |y: i32| {
        let from = space.draw(seed(left, y));
        if fx == 0.0 { from } else { between(&from, &space.draw(seed(left.saturating_add(1), y)), fx) }
    };
    let from = row(top);
    if fy == 0.0 { from } else { between(&from, &row(top.saturating_add(1)), fy) }
}

/// The point as a key frame: the seed of an integer point, else the values there.
pub(super) fn key_frame(space: &LatentSpace, (x, y): (f64, f64), interpolation: Interpolation) -> KeyFrame {
    if x == x.floor() && y == y.floor() {
        KeyFrame::Seed(seed(x as i32, y as i32))
    } else {
        KeyFrame::Values(latent(space, (x, y), interpolation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::latent::Distribution;
    use std::collections::HashSet;

    const SPACE: LatentSpace =
        LatentSpace { size: 16, distribution: Distribution::Normal { mean: 0.0, std: 1.0 } };

    #[test]
    fn seeds_are_all_different() {
        let seeds: HashSet<u64> = (-20..20).flat_map(|y| (-20..20).map(move |x| seed(x, y))).collect();
        assert_eq!(seeds.len(), 1600);
        assert_eq!([0, -1, 1, -2, 2].map(|x| seed(x, 0)), [0, 1, 2, 3, 4]);
        assert_eq!(seed(i32::MIN, i32::MAX), u64::from(u32::MAX) | (u64::from(u32::MAX) - 1) << 32);
    }

    #[test]
    fn integer_points_are_draws_and_the_plane_is_continuous() {
        for interpolation in Interpolation::ALL {
            assert_eq!(latent(&SPACE, (3.0, -2.0), interpolation), SPACE.draw(seed(3, -2)));
            // Across the line x = 1 and the line y = -1.
            for (a, b) in [((1.0 - 1e-6, 0.3), (1.0 + 1e-6, 0.3)), ((0.7, -1.0 - 1e-6), (0.7, -1.0 + 1e-6))] {
                let (a, b) = (latent(&SPACE, a, interpolation), latent(&SPACE, b, interpolation));
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{interpolation}");
            }
        }
    }

    #[test]
    fn key_frames_are_seeds_where_they_can_be() {
        assert_eq!(key_frame(&SPACE, (2.0, 0.0), Interpolation::Lerp), KeyFrame::Seed(4));
        let KeyFrame::Values(values) = key_frame(&SPACE, (0.5, 0.0), Interpolation::Lerp) else {
            panic!("not a seed");
        };
        let (a, b) = (SPACE.draw(0), SPACE.draw(2));
        assert!(values.iter().zip(a.iter().zip(&b)).all(|(v, (a, b))| (v - 0.5 * (a + b)).abs() < 1e-6));
    }
}
