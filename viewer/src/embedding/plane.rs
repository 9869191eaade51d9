//! The plane that shows most of what distinguishes embeddings.

use latent_runtime::rng::Rng;
use nalgebra::{DMatrix, SymmetricEigen};

use super::neighbors::dot;

/// The rows that the plane is found from at most; they are a random choice.
const MOST_ROWS: usize = 2048;
/// Directions that are followed; more than the two wanted, so that these converge soon.
const FOLLOWED: usize = 6;
/// Rounds after which it is good enough, and the change of the variance at which it is good before.
const ROUNDS: usize = 60;
const GOOD: f64 = 1e-5;
/// The share of points that lie between -1 and 1 along the longer axis.
const INSIDE: f64 = 0.98;

/// The plane of the first two principal components, in units in which most points are between -1 and 1.
#[derive(Clone, Debug)]
pub struct Plane {
    mean: Vec<f32>,
    axes: [Vec<f32>; 2],
    /// What is in the middle of the map, along each axis.
    middle: [f32; 2],
    scale: f32,
    /// The share of the variance that the plane shows, 0 to 1.
    pub share: f32,
}

impl Plane {
    /// Finds it by subspace iteration, beginning with the plane found `before`, and looks at it from the side from which
    /// that one was looked at. `None` if there are fewer than three rows of two values or more, they are all alike, or a
    /// value is not finite.
    pub fn fit(rows: &[&[f32]], before: Option<&Self>) -> Option<Self> {
        let rows = &rows[..rows.len().min(MOST_ROWS)];
        let size = rows.first()?.len();
        if rows.len() < 3 || size < 2 || rows.iter().any(|row| row.len() != size) {
            return None;
        }
        let mut centered = DMatrix::from_fn(rows.len(), size, |row, column| rows[row][column]);
        let mean = centered.row_mean();
        centered.row_iter_mut().for_each(|mut row| row -= &mean);
        let total: f64 = centered.iter().map(|&x| f64::from(x).powi(2)).sum();
        if !total.is_finite() || total <= f64::from(f32::MIN_POSITIVE) {
            return None;
        }

        let mut rng = Rng::from_seed(0);
        let known = before.filter(|plane| plane.mean.len() == size);
        let begun: Vec<f32> = known.iter().flat_map(|plane| plane.axes.iter().flatten().copied()).collect();
        let mut basis = DMatrix::from_iterator(
            size,
            FOLLOWED.min(size),
            begun.into_iter().chain(std::iter::repeat_with(|| rng.normal())).take(size * FOLLOWED.min(size)),
        );
        let mut variances = vec![0.0; basis.ncols()];
        for _ in 0..ROUNDS {
            let (turned, found) = round(&centered, &basis);
            let change = (found[0] + found[1] - variances[0] - variances[1]).abs();
            (basis, variances) = (turned, found);
            if change <= GOOD * (variances[0] + variances[1]) {
                break;
            }
        }

        let mut axes = [0, 1].map(|index| basis.column(index).as_slice().to_vec());
        for (index, axis) in axes.iter_mut().enumerate() {
            // The side that one looks from is arbitrary, but it should not change.
            let flip = match known {
                Some(plane) => dot(axis, &plane.axes[index]) < 0.0,
                None => largest(axis) < 0.0,
            };
            if flip {
                axis.iter_mut().for_each(|x| *x = -*x);
            }
        }
        let ends = [0, 1].map(|axis: usize| {
            let mut along = (&centered * basis.column(axis)).as_slice().to_vec();
            if dot(&axes[axis], basis.column(axis).as_slice()) < 0.0 {
                along.iter_mut().for_each(|x| *x = -*x);
            }
            along.sort_unstable_by(f32::total_cmp);
            let beyond = ((along.len() as f64 * (1.0 - INSIDE) / 2.0) as usize).min(along.len() / 2);
            (along[beyond], along[along.len() - 1 - beyond])
        });
        let middle = ends.map(|(low, high)| (low + high) / 2.0);
        let edge = ends.iter().map(|(low, high)| (high - low) / 2.0).fold(f32::MIN_POSITIVE, f32::max);
        let share = ((variances[0] + variances[1]) / total).min(1.0) as f32;
        Some(Self { mean: mean.iter().copied().collect(), axes, middle, scale: 1.0 / edge, share })
    }

    /// Where an embedding lies on it.
    pub fn place(&self, features: &[f32]) -> [f32; 2] {
        [0, 1].map(|index: usize| {
            let axis = &self.axes[index];
            let along = (dot(features, axis) - dot(&self.mean, axis) - self.middle[index]) * self.scale;
            if along.is_finite() { along } else { 0.0 }
        })
    }
}

/// One round: the basis multiplied with the covariance and made orthonormal again, turned so that its vectors are those
/// of the largest variance within it, and these variances, times the number of rows.
fn round(rows: &DMatrix<f32>, basis: &DMatrix<f32>) -> (DMatrix<f32>, Vec<f64>) {
    let next = rows.tr_mul(&(rows * basis)).qr().q();
    let along = (rows * &next).cast::<f64>();
    let eigen = SymmetricEigen::new(along.tr_mul(&along));
    let mut order: Vec<usize> = (0..next.ncols()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let turned = next * eigen.eigenvectors.select_columns(&order).cast::<f32>();
    (turned, order.iter().map(|&index| eigen.eigenvalues[index]).collect())
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points around (3, 3, ...) that spread along given axes.
    fn points(count: usize, size: usize, spread: &[(usize, f32)]) -> Vec<Vec<f32>> {
        let mut rng = Rng::from_seed(5);
        (0..count)
            .map(|_| {
                let mut point: Vec<f32> = (0..size).map(|_| 3.0 + 0.01 * rng.normal()).collect();
                spread.iter().for_each(|&(axis, by)| point[axis] += by * rng.normal());
                point
            })
            .collect()
    }

    fn rows(points: &[Vec<f32>]) -> Vec<&[f32]> {
        points.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn the_axes_are_those_of_the_largest_variance() {
        let points = points(500, 40, &[(7, 5.0), (31, 2.0), (2, 0.5)]);
        let plane = Plane::fit(&rows(&points), None).unwrap();
        assert!(plane.axes[0][7] > 0.999 && plane.axes[1][31] > 0.999, "{:?}", plane.axes);
        // 25 and 4 of 29.25 are seen; samples scatter.
        assert!((plane.share - 0.991).abs() < 0.004, "{}", plane.share);
        let inside = points.iter().filter(|p| plane.place(p).iter().all(|x| x.abs() <= 1.0)).count();
        assert!((485..=492).contains(&inside), "{inside}");
    }

    #[test]
    fn it_agrees_with_a_full_decomposition() {
        let mut rng = Rng::from_seed(11);
        // Variances that fall slowly.
        let points: Vec<Vec<f32>> =
            (0..300).map(|_| (0..24).map(|i| rng.normal() * 0.9f32.powi(i)).collect()).collect();
        let plane = Plane::fit(&rows(&points), None).unwrap();
        let mut centered = DMatrix::from_fn(300, 24, |i, j| f64::from(points[i][j]));
        let mean = centered.row_mean();
        centered.row_iter_mut().for_each(|mut row| row -= &mean);
        let mut variances: Vec<f64> =
            SymmetricEigen::new(centered.tr_mul(&centered)).eigenvalues.iter().copied().collect();
        variances.sort_by(|a, b| b.total_cmp(a));
        let share = (variances[0] + variances[1]) / variances.iter().sum::<f64>();
        assert!((f64::from(plane.share) - share).abs() < 1e-3, "{} {share}", plane.share);
    }

    #[test]
    fn the_view_does_not_jump_to_the_other_side() {
        let points = points(200, 8, &[(1, 5.0), (3, 2.0)]);
        let mut plane = Plane::fit(&rows(&points[..50]), None).unwrap();
        plane.axes.iter_mut().flatten().for_each(|x| *x = -*x);
        let next = Plane::fit(&rows(&points), Some(&plane)).unwrap();
        assert!(next.axes[0][1] < -0.99 && next.axes[1][3] < -0.99, "{:?}", next.axes);
    }

    #[test]
    fn what_has_no_plane_gives_none() {
        for points in [
            vec![],
            vec![vec![1.0, 2.0]; 2],
            vec![vec![1.0, 2.0]; 9],
            vec![vec![1.0]; 9],
            vec![vec![1.0, f32::NAN], vec![1.0, 2.0], vec![0.0, 1.0]],
            vec![vec![1.0, 2.0], vec![1.0], vec![3.0, 4.0]],
        ] {
            assert!(Plane::fit(&rows(&points), None).is_none(), "{points:?}");
        }
        // All on a line: the second axis shows nothing.
        let line: Vec<Vec<f32>> = (0..9).map(|i| vec![i as f32, 0.0, 0.0]).collect();
        let plane = Plane::fit(&rows(&line), None).unwrap();
        assert!((plane.place(&line[8])[0] - 1.0).abs() < 1e-3 && plane.place(&line[8])[1].abs() < 1e-3);
    }
}
